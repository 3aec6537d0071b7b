package sql

import (
	"context"
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
	both, err := connectFile(t.file, url.Values{
		"mode":          {"rw"},
		"_txlock":       {"immediate"},
		"_busy_timeout": {strconv.FormatInt(min(patience, shortWait).Milliseconds(), 10)},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_error_rc":     {"1"},
	})
	if err != nil {
		return nil, err
	}
	return &fileConnector{Connector: both, file: t.file}, nil
}

func connectFile(file string, query url.Values) (driver.Connector, error) {
	name := filepath.ToSlash(file)
	if !strings.HasPrefix(name, "/") {
		name = "/" + name // a drive
	}
	dsn := url.URL{Scheme: "file", Path: name, RawQuery: query.Encode()}
	return driversqlite.NewConnector(dsn.String())
}

// fileConnector opens a file for reading alone where it may not be written, or its
// folder may not: SQLite by itself wants to write beside what it reads.
type fileConnector struct {
	driver.Connector
	file string
	// once is called where a connection may only read.
	once func()
}

// Connect implements driver.Connector.
func (c *fileConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	var e *driversqlite.Error
	if !errors.As(err, &e) || e.Code()&0xff != codeReadOnly && e.Code()&0xff != codeCannotOpen {
		return conn, err
	}
	query := url.Values{"mode": {"ro"}, "_error_rc": {"1"}}
	// What was committed and is not in the file yet, stands beside it. Without that
	// nothing beside it is needed.
	if info, err := os.Stat(c.file + "-wal"); err != nil || info.Size() == 0 {
		query.Set("immutable", "1")
	}
	reading, wrong := connectFile(c.file, query)
	if wrong != nil {
		return nil, err
	}
	if conn, wrong = reading.Connect(ctx); wrong != nil {
		return nil, err
	}
	if c.once != nil {
		c.once()
	}
	return conn, nil
}

// Result codes of sqlite3.h.
const (
	codeReadOnly   = 8
	codeCannotOpen = 14
)

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
	case codeReadOnly:
		return judgment{other, "the file is read-only, or its folder is", "give the user of this process the right to write both"}
	case codeCannotOpen:
		return judgment{other, "the file cannot be opened", "the user of this process must have the right to read it; and to write it and its folder where another process left something beside it (-wal)"}
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
