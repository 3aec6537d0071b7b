package sql

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	contract(t, Options{URL: "sqlite:"})
}

// ownTables gives options for tables that no other test has: of SQLite a file.
func ownTables(t *testing.T, o Options) Options {
	t.Helper()
	if o.URL == "sqlite:" {
		o.URL += filepath.Join(t.TempDir(), "my #1?&%.db")
		return o
	}
	return ownServerTables(t, o)
}

func newFile(t *testing.T) string { return filepath.Join(t.TempDir(), "secrets.db") }

// TestSQLiteFile: reading makes no file; the one that a write makes is its
// owner's alone.
func TestSQLiteFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "new", "secrets.db")
	s := mustOpen(t, Options{URL: "sqlite:" + file})
	if doc := storetest.Get(t, s, place); doc.Version != "" {
		t.Error("a file that is not there holds something")
	}
	if list, err := s.List(t.Context(), place.Deployment); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	if _, err := s.At(t.Context(), place, "1"); err == nil {
		t.Error("a file that is not there has a version")
	}
	if _, err := os.Stat(filepath.Dir(file)); !os.IsNotExist(err) {
		t.Errorf("reading has made the folder: %v", err)
	}
	storetest.Put(t, s, place, map[string]any{"pass": "one"})
	if runtime.GOOS == "windows" {
		return
	}
	for name, mode := range map[string]os.FileMode{"": 0o600, "-wal": 0o600, "-shm": 0o600} {
		if info, err := os.Stat(file + name); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s%s: %v, %v", file, name, info.Mode(), err)
		}
	}
	if info, err := os.Stat(filepath.Dir(file)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Options{URL: "sqlite:" + file})
	wantError(t, err, file, "everybody", "0644", "hint: chmod 600")
}

func TestSQLiteFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, says := range map[string]string{text: "no database of SQLite", dir: "not a file"} {
		_, err := Open(t.Context(), Options{URL: "sqlite:" + file})
		wantError(t, err, file, says)
	}
	// In the place of a folder stands a file.
	s, err := Open(t.Context(), Options{URL: "sqlite:" + filepath.Join(text, "secrets.db")})
	if err == nil {
		_, err = s.Write(t.Context(), secrets.Doc{Path: place, Values: storetest.Hide(t, map[string]any{"a": "b"})})
		_ = s.Close()
	}
	wantError(t, err, "not a directory")
}

// TestSQLiteLocked: another process holds the lock for writing.
func TestSQLiteLocked(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	s := mustOpen(t, Options{URL: "sqlite:" + file, Patience: 300 * time.Millisecond})
	version := storetest.Put(t, s, place, map[string]any{"pass": "one"})
	release := lockElsewhere(t, file)

	// Who reads does not wait.
	storetest.Want(t, s, place, map[string]any{"pass": "one"})
	doc := secrets.Doc{Path: place, Version: version, Values: storetest.Hide(t, map[string]any{"pass": canary})}
	_, err := s.Write(t.Context(), doc)
	wantError(t, err, file, place.String(), "locked by another process", "hint:")

	// A context ends the wait.
	patient := mustOpen(t, Options{URL: "sqlite:" + file, Patience: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err = patient.Write(ctx, doc)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 20*time.Second {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}

	// Who is patient comes to it.
	time.AfterFunc(200*time.Millisecond, release)
	if _, err := patient.Write(t.Context(), doc); err != nil {
		t.Error(err)
	}
	storetest.Want(t, s, place, map[string]any{"pass": canary})
}

// lockElsewhere lets a process of its own lock a file, until release is called.
func lockElsewhere(t *testing.T, file string) (release func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHoldLock$")
	cmd.Env = append(os.Environ(), "KAI_TEST_LOCK="+file, "GOCOVERDIR="+t.TempDir())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	var once sync.Once
	release = func() { once.Do(func() { _ = in.Close() }) }
	t.Cleanup(func() { release(); _ = cmd.Wait() })
	return release
}

// TestHoldLock is the other process.
func TestHoldLock(t *testing.T) {
	file := os.Getenv("KAI_TEST_LOCK")
	if file == "" {
		t.Skip("this is the other process of TestSQLiteLocked")
	}
	s := mustOpen(t, Options{URL: "sqlite:" + file})
	tx, err := s.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	fmt.Println("locked")
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
}

// TestSQLiteFull lets SQLite take a bound of the file's size for the disk's end,
// which is one and the same to it.
func TestSQLiteFull(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	s := mustOpen(t, Options{URL: "sqlite:" + file, Conns: 1})
	version := storetest.Put(t, s, place, map[string]any{"pass": "one"})
	if _, err := s.db.ExecContext(t.Context(), "PRAGMA max_page_count = 1"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Write(t.Context(), secrets.Doc{Path: place, Version: version, Values: storetest.Hide(t, map[string]any{"pass": strings.Repeat("x", 1<<16)})})
	wantError(t, err, file, "the disk is full", "hint: make room")
	storetest.Want(t, s, place, map[string]any{"pass": "one"})
	if doc := storetest.Get(t, s, place); doc.Version != version {
		t.Errorf("the version is %q", doc.Version)
	}
}

// TestSQLiteSmallDisk fills a disk of less than 8 MiB, whose folder is
// KAI_TEST_SMALL_DISK. The end-to-end tests have one.
func TestSQLiteSmallDisk(t *testing.T) {
	dir := os.Getenv("KAI_TEST_SMALL_DISK")
	if dir == "" {
		t.Skip("there is no small disk: set KAI_TEST_SMALL_DISK, or run the end-to-end tests")
	}
	s := mustOpen(t, Options{URL: "sqlite:" + filepath.Join(dir, "secrets.db")})
	fields := map[string]any{"pass": "one"}
	version := storetest.Put(t, s, place, fields)
	_, err := s.Write(t.Context(), secrets.Doc{Path: place, Version: version, Values: storetest.Hide(t, map[string]any{"pass": strings.Repeat(canary, 500000)})})
	wantError(t, err, dir, "the disk is full", "hint: make room")
	storetest.Want(t, s, place, fields)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s = mustOpen(t, Options{URL: "sqlite:" + filepath.Join(dir, "secrets.db")})
	storetest.Want(t, s, place, fields)
	storetest.Put(t, s, place, map[string]any{"pass": "two"})
}

func TestNewerTables(t *testing.T) {
	t.Parallel()
	o := Options{URL: "sqlite:" + newFile(t)}
	s := mustOpen(t, o)
	storetest.Put(t, s, place, map[string]any{"a": "b"})
	if _, err := s.db.ExecContext(t.Context(), s.adapt("INSERT INTO {migrations} (number, done) VALUES (99, 0)")); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), o)
	wantError(t, err, "newer kai", "migration 99", "hint: use a newer kai")
}

// TestKeep: old versions go, numbers do not come back.
func TestKeep(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	s := mustOpen(t, Options{URL: "sqlite:" + newFile(t), Keep: 3, Now: func() time.Time { return now }})
	for i := range 10 {
		storetest.Put(t, s, place, map[string]any{"n": i})
	}
	docs, err := s.History(t.Context(), place)
	if err != nil || len(docs) != 3 || docs[0].Version != "10" || docs[2].Version != "8" || !docs[0].Time.Equal(now) {
		t.Errorf("the history is %v, %v", docs, err)
	}
	_, err = s.At(t.Context(), place, "7")
	wantError(t, err, place.String(), `no version "7"`, "hint:")
	storetest.Put(t, s, place, nil)
	if version := storetest.Put(t, s, place, map[string]any{"n": 1}); version != "12" {
		t.Errorf("the version after a deletion is %q", version)
	}
}

// TestForeignContent: what somebody else has put in a path's place is not read
// where it is large or no JSON, and no error shows it.
func TestForeignContent(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, Options{URL: "sqlite:" + newFile(t)})
	storetest.Put(t, s, place, map[string]any{"a": "b"})
	for content, text := range map[string]string{
		"zeroblob(209715200)":      "200 MiB",
		`'{"a":"` + canary + `'`:   "no JSON object",
		`'["` + canary + `"]'`:     "no JSON object",
		`'{"a":1} ` + canary + `'`: "no JSON object",
	} {
		if _, err := s.db.ExecContext(t.Context(), s.adapt("UPDATE {versions} SET content = "+content)); err != nil {
			t.Fatal(err)
		}
		_, err := s.Read(t.Context(), []secrets.Path{place})
		wantError(t, err, place.String(), text)
	}
	// It can be written anew.
	if _, err := s.Write(t.Context(), secrets.Doc{Path: place, Version: "1", Values: storetest.Hide(t, map[string]any{"a": "c"})}); err != nil {
		t.Error(err)
	}
	storetest.Want(t, s, place, map[string]any{"a": "c"})
}
