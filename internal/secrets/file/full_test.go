//go:build darwin || freebsd || linux || netbsd || openbsd

package file

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

// TestFull lets a process write that may not write files of more than 16 KiB,
// which to it is what the end of a disk is: in the midst of a file.
func TestFull(t *testing.T) {
	const large = 1 << 16
	if name := os.Getenv("FILE_TEST_FULL"); name != "" {
		signal.Ignore(syscall.SIGXFSZ)
		limit := syscall.Rlimit{Cur: 16 << 10, Max: 16 << 10}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
		holdsWhatItHeld(t, name, large, "file too large")
		return
	}
	t.Parallel()
	name := filepath.Join(t.TempDir(), "dev.yaml")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFull$", "-test.v")
	cmd.Env = append(os.Environ(), "FILE_TEST_FULL="+name, "GOCOVERDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestFull") || strings.Contains(string(out), canary) {
		t.Fatalf("%v\n%s", err, out)
	}
	// Who has room goes on where it was.
	s := newStore(t, name, Options{Deployment: fullAt.Deployment})
	storetest.Want(t, s, fullAt, map[string]any{"A": "one"})
	storetest.Put(t, s, fullAt, map[string]any{"A": strings.Repeat("x", large)})
}

// TestSmallDisk does the same at the end of a disk of two MiB, whose folder is
// KAI_TEST_SMALL_DISK. The end-to-end tests have one.
func TestSmallDisk(t *testing.T) {
	dir := os.Getenv("KAI_TEST_SMALL_DISK")
	if dir == "" {
		t.Skip("there is no small disk: set KAI_TEST_SMALL_DISK, or run the end-to-end tests")
	}
	// A file has at most 4 MiB: what fills the disk is another one.
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "dev.yaml")
	holdsWhatItHeld(t, name, 2<<20, "no space left on device")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, newStore(t, name, Options{Deployment: fullAt.Deployment}), fullAt, map[string]any{"A": "two"})
}

var fullAt = secrets.Path{Deployment: "dev", App: "carts", Scope: secrets.Private}

// holdsWhatItHeld writes a value that fits and one that does not, and holds the
// file to the first.
func holdsWhatItHeld(t *testing.T, name string, large int, says string) {
	t.Helper()
	s := newStore(t, name, Options{Deployment: fullAt.Deployment})
	version := storetest.Put(t, s, fullAt, map[string]any{"A": "one"})
	before := read(t, name)
	_, err := s.Write(t.Context(), secrets.Doc{Path: fullAt, Version: version, Values: storetest.Hide(t, map[string]any{"A": strings.Repeat(canary, large/len(canary)+1)})})
	storetest.WantError(t, err, []string{canary}, name+" was not written", says)
	if read(t, name) != before {
		t.Error("the file changed")
	}
	entries, err := os.ReadDir(filepath.Dir(name))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".dev.yaml") {
			t.Errorf("%s was left", e.Name())
		}
	}
}
