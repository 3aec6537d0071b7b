package remote

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDiskFull lets a process fetch into a file system that is full, which it
// makes for itself in namespaces of its own.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	address, _ := newChartRepository(t, "1.0.0").serve(nil)
	r := newGitRepo(t)
	r.commit(map[string]string{"x": strings.Repeat("0123456789", 1000)})
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperDiskFull$", "-test.v")
	cmd.Env = append(os.Environ(), "KAI_TEST_FULL="+t.TempDir(), "KAI_TEST_ADDRESS="+address, "KAI_TEST_GIT="+r.url())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil && !strings.Contains(string(out), "--- FAIL") {
		t.Skipf("no namespaces here: %v", err)
	}
	if err != nil {
		t.Errorf("%s", out)
	}
	if strings.Contains(string(out), "--- SKIP") {
		t.Skipf("%s", out)
	}
}

// TestHelperDiskFull is the process of TestDiskFull.
func TestHelperDiskFull(t *testing.T) {
	dir := os.Getenv("KAI_TEST_FULL")
	if dir == "" {
		t.Skip("is no test, but a process of one")
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	fill := filepath.Join(dir, "fill")
	if err := os.WriteFile(fill, make([]byte, 52<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	f := fetcher(t, func(o *Options) { o.Cache = filepath.Join(dir, "cache") })
	chart := redis(t, os.Getenv("KAI_TEST_ADDRESS"), "")
	big := source(t, os.Getenv("KAI_TEST_GIT"))
	if err := os.WriteFile(filepath.Join(dir, "more"), make([]byte, 11<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := f.Resolve(t.Context(), chart, Pin{})
	wantError(t, err, Local, "no space left")
	_, err = f.Resolve(t.Context(), big, Pin{})
	if err == nil {
		t.Error("there was room for a repository")
	}
	wantClean(t, f)
	if len(cached(t, f)) != 0 {
		t.Errorf("left: %v", cached(t, f))
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	wantValue(t, f, chart, resolve(t, f, chart), "1.0.0")
}
