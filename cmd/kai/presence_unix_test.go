//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPresence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := appear(dir), appear(dir)
	defer two.leave()
	if one.file == nil {
		t.Fatal("no file was locked")
	}
	if two.gone(one.name) || one.gone(two.name) || two.gone(two.name) {
		t.Error("a run that is there counts as gone")
	}
	// A run that leaves takes its file along, and with it the proof that it is over.
	one.leave()
	if two.gone(one.name) {
		t.Error("a run without a file counts as gone, and might be elsewhere")
	}
	// One that is killed leaves its file without a lock.
	killed := appear(dir)
	_ = killed.file.Close()
	elsewhere := strings.Replace(killed.name, "/", ".example.com/", 1)
	for _, name := range []string{elsewhere, "", "/", "a/b/c", killed.name + "/..", strings.ToUpper(killed.name)} {
		if name != killed.name && two.gone(name) {
			t.Errorf("%q counts as gone", name)
		}
	}
	if !two.gone(killed.name) {
		t.Error("a killed run counts as there")
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("left: %v %v", left, err)
	}
}

// A run may be killed when no Lease names it: then the file it leaves is swept by a later run.
func TestPresenceSwept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	alive, killed, fresh := appear(dir), appear(dir), appear(dir)
	defer alive.leave()
	_, _ = killed.file.Close(), fresh.file.Close()
	old := time.Now().Add(-2 * forgotten)
	other := filepath.Join(dir, "kai-run-notes")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{alive.file.Name(), killed.file.Name(), other} {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	appear(dir).leave()
	for path, want := range map[string]bool{alive.file.Name(): true, killed.file.Name(): false, fresh.file.Name(): true, other: true} {
		if _, err := os.Lstat(path); (err == nil) != want {
			t.Errorf("%s is there: %t", filepath.Base(path), err == nil)
		}
	}
}

func TestPresenceWithoutFiles(t *testing.T) {
	t.Parallel()
	p := appear(filepath.Join(t.TempDir(), "none"))
	if p.file != nil || p.gone(p.name) {
		t.Error("a folder that is not there was used")
	}
	p.leave()
	// A link is not what a run leaves.
	dir := t.TempDir()
	one := appear(dir)
	defer one.leave()
	if err := os.Symlink(filepath.Join(dir, "x"), one.path("0123456789abcdef")); err != nil {
		t.Fatal(err)
	}
	if one.gone(strings.SplitN(one.name, "/", 2)[0] + "/1/0123456789abcdef") {
		t.Error("a link counts as the file of a run")
	}
}
