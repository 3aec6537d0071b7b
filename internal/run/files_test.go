//go:build unix

package run

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

func fileOf(path, content string, mode fs.FileMode) File {
	return File{Name: "X", Path: path, Mode: mode, Content: secrets.New(content), From: secrets.Key{Deployment: "d", App: "a", Scope: "secret", Name: "KFILE_X_CONTENT"}}
}

func openFolder(t *testing.T, dir string) *folder {
	t.Helper()
	f, err := newFolder(Config{FileRoot: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	return f
}

// tree gives what is below a folder, with modes and contents.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		line := fmt.Sprintf("%s %v", rel, info.Mode())
		if info.Mode().IsRegular() {
			raw, _ := os.ReadFile(name)
			line += " " + string(raw)
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

func TestWriteFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "there"), 0o755); err != nil {
		t.Fatal(err)
	}
	f := openFolder(t, dir)
	if err := f.write([]File{fileOf("one", "1", 0o600), fileOf("there/two", "2", 0o640), fileOf("a/b/three", "3", 0o444)}); err != nil {
		t.Fatal(err)
	}
	want := "a drwxr-x---\na/b drwxr-x---\na/b/three -r--r--r-- 3\none -rw------- 1\nthere drwxr-xr-x\nthere/two -rw-r----- 2"
	if got := tree(t, dir); got != want {
		t.Errorf("got\n%s", got)
	}
	before, _ := os.Stat(filepath.Join(dir, "one"))
	if err := f.write([]File{fileOf("one", "1", 0o600), fileOf("there/two", "22", 0o600)}); err != nil {
		t.Fatal(err)
	}
	if got, want := tree(t, dir), "a drwxr-x---\na/b drwxr-x---\none -rw------- 1\nthere drwxr-xr-x\nthere/two -rw------- 22"; got != want {
		t.Errorf("after a change\n%s", got)
	}
	if after, _ := os.Stat(filepath.Join(dir, "one")); !os.SameFile(before, after) {
		t.Error("a file that did not change was written")
	}
	f.cleanup(World{Stderr: os.Stderr})
	if got := tree(t, dir); got != "there drwxr-xr-x" {
		t.Errorf("after cleanup\n%s", got)
	}
}

func TestFilesStayBelowTheRoot(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	for name, to := range map[string]string{"out": outside, "up": "../" + filepath.Base(outside), "in": "real"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o755); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(outside, "target")
	if err := os.WriteFile(target, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	f := openFolder(t, dir)
	err := f.write([]File{fileOf("out/example", "x", 0o600), fileOf("up/example", "x", 0o600), fileOf("out/new/example", "x", 0o600)})
	if err == nil || strings.Count(err.Error(), "the file X of d/a/secret/KFILE_X_CONTENT cannot be written") != 3 || strings.Contains(err.Error(), "example") {
		t.Errorf("got %v", err)
	}
	if err := f.write([]File{fileOf("in/ok", "x", 0o600), fileOf("link", "ours", 0o600)}); err != nil {
		t.Error(err)
	}
	if got := tree(t, outside); got != "target -rw------- theirs" {
		t.Errorf("outside there is\n%s", got)
	}
	if info, err := os.Lstat(filepath.Join(dir, "link")); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
}

func TestFilesWithoutARoot(t *testing.T) {
	t.Parallel()
	f := openFolder(t, filepath.Join(t.TempDir(), "missing"))
	if err := f.write(nil); err != nil {
		t.Error(err)
	}
	if err := f.write([]File{fileOf("x", "", 0o600)}); err == nil || !strings.Contains(err.Error(), "--file-root is not there") {
		t.Errorf("got %v", err)
	}
	f.cleanup(World{Stderr: os.Stderr})
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := openFolder(t, dir).write([]File{fileOf("x", "", 0o600)}); err == nil || tree(t, dir) != "x drwxr-xr-x" {
		t.Errorf("got %v and\n%s", err, tree(t, dir))
	}
}

// TestKilledWhileWriting kills processes that replace a file.
func TestKilledWhileWriting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	left := 0
	for i := range 30 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "as", "writes", dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(name); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(20*time.Millisecond + time.Duration(i*700)*time.Microsecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		raw, err := os.ReadFile(name)
		if err != nil || len(raw) != 1<<20 || strings.Trim(string(raw), string(raw[:1])) != "" {
			t.Fatalf("the file is torn: %d bytes, %v", len(raw), err)
		}
		entries, _ := os.ReadDir(dir)
		left = max(left, len(entries)-1)
		if len(entries) > 2 {
			t.Fatalf("what was left is not removed: %v", entries)
		}
	}
	t.Logf("at most %d was left", left)
	if err := openFolder(t, dir).write([]File{fileOf("file", "end", 0o600)}); err != nil || tree(t, dir) != "file -rw------- end" {
		t.Errorf("%v\n%s", err, tree(t, dir))
	}
}

// TestTwoWrite writes a file from several sides: all come through.
func TestTwoWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	done := make(chan error)
	for i := range 4 {
		go func() {
			f, err := newFolder(Config{FileRoot: dir})
			for n := 0; n < 50 && err == nil; n++ {
				err = f.write([]File{fileOf("x", strings.Repeat(fmt.Sprint(i), 1000+n), 0o600)})
			}
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("there is %v", entries)
	}
}
