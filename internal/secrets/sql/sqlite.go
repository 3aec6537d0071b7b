package sql

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	driversqlite "modernc.org/sqlite"
)

var sqlite = &dialect{
	name:          "SQLite",
	connector:     connectSQLite,
	quote:         `"`,
	level:         "TEXT",
	blob:          "BLOB",
	table:         " WITHOUT ROWID",
	transactional: true,
	judge:         judgeSQLite,
}

// connectSQLite opens a file that is there. A transaction takes the lock for
// writing at its begin, so that none reads what it then may not write upon; what
// is committed is on the disk.
func connectSQLite(t target, patience time.Duration) (driver.Connector, error) {
	query := url.Values{
		"mode":          {"rw"},
		"_txlock":       {"immediate"},
		"_busy_timeout": {strconv.FormatInt(min(patience, shortWait).Milliseconds(), 10)},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_error_rc":     {"1"},
	}
	name := filepath.ToSlash(t.file)
	if !strings.HasPrefix(name, "/") {
		name = "/" + name // a drive
	}
	dsn := url.URL{Scheme: "file", Path: name, RawQuery: query.Encode()}
	return driversqlite.NewConnector(dsn.String())
}

// create makes an empty file for its owner alone. SQLite gives the files that it
// makes beside it the same rights.
func create(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // somebody else has come first
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func checkFile(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return errors.New("it is not a file")
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o007 != 0 {
		return &said{text: fmt.Sprintf("everybody on this machine may use the file (its mode is %#o)", mode), hint: "chmod 600 the file, and think of its values as known"}
	}
	return nil
}

func judgeSQLite(err error) judgment {
	var e *driversqlite.Error
	if !errors.As(err, &e) {
		return judgment{}
	}
	// The result codes of sqlite3.h; the lower byte is the primary one.
	switch e.Code() & 0xff {
	case 5, 6:
		return judgment{busy, "the file is locked by another process", "wait until that has ended what it does, or end it"}
	case 13:
		return judgment{other, "the disk is full", "make room, and do it again"}
	case 8:
		return judgment{other, "the file is read-only, or its folder is", "give the user of this process the right to write both"}
	case 14:
		return judgment{other, "the file cannot be opened", "the user of this process must have the right to write it and its folder"}
	case 11:
		return judgment{other, "the file is damaged", "restore it from a backup"}
	case 26:
		return judgment{other, "the file is no database of SQLite", "name another, or remove it"}
	case 10:
		return judgment{other, "the file cannot be read or written: " + e.Error(), "look after the disk"}
	case 19:
		return judgment{kind: taken}
	case 1:
		if strings.Contains(e.Error(), "no such table") {
			return judgment{kind: noTable}
		}
	}
	return judgment{}
}

// shortWait is how long SQLite itself waits for a lock: no context ends that
// wait. Beyond it the store asks again, as it does of other databases.
const shortWait = 100 * time.Millisecond
