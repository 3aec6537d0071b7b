package main

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// systemPrograms are programs of scripts that need this operating system.
var systemPrograms = map[string]func(){"kai-limited": func() { os.Exit(runLimited()) }}

// systemCommands are commands of scripts that need this operating system. What
// they change, they change for the script's own thread, and so for what it
// starts, and it ends with the thread: nothing has to be undone.
var systemCommands = map[string]func(*testscript.TestScript, bool, []string){
	"fill":         fill,
	"tmpfs":        tmpfs,
	"unprivileged": unprivileged,
}

// runLimited is kai where no file can grow beyond a size: kai-limited BYTES ….
func runLimited() int {
	size, err := strconv.ParseUint(os.Args[1], 10, 64)
	if err == nil {
		err = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: size})
	}
	if err != nil {
		panic(err)
	}
	os.Args = slices.Delete(os.Args, 1, 2)
	return run()
}

// canMount says whether a thread may have mounts of its own.
func canMount() bool {
	answer := make(chan bool)
	go func() {
		runtime.LockOSThread() // and never unlocked, so that the thread ends
		answer <- unix.Unshare(unix.CLONE_NEWNS) == nil
	}()
	return <-answer
}

// tmpfs mounts a small file system, or changes how it is mounted:
// tmpfs FOLDER OPTIONS, tmpfs FOLDER readonly.
func tmpfs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tmpfs FOLDER OPTIONS")
	}
	folder := ts.MkAbs(args[0])
	if args[1] == "readonly" {
		ts.Check(unix.Mount("", folder, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
		return
	}
	runtime.LockOSThread()
	ts.Check(unix.Unshare(unix.CLONE_NEWNS))
	ts.Check(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	ts.Check(os.MkdirAll(folder, 0o755))
	ts.Check(unix.Mount("tmpfs", folder, "tmpfs", 0, args[1]))
}

// fill makes a file that leaves no room on its file system: fill FILE.
func fill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fill FILE")
	}
	err := os.WriteFile(ts.MkAbs(args[0]), make([]byte, 64<<20), 0o644)
	if !errors.Is(err, unix.ENOSPC) {
		ts.Fatalf("the file system is not full: %v", err)
	}
}

// unprivileged takes from root the right to pass over the modes of files.
func unprivileged(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: unprivileged")
	}
	if os.Geteuid() != 0 {
		return
	}
	runtime.LockOSThread()
	for _, capability := range []uintptr{unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH} {
		ts.Check(unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0))
	}
}
