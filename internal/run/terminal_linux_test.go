package run

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminalPair opens a pseudoterminal: what a user has, and what a program has.
func terminalPair(t *testing.T) (user, program *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there is no terminal to be had: %v", err)
	}
	t.Cleanup(func() { _ = user.Close() })
	if err := unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skip(err)
	}
	n, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skip(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return user, program
}

// TestTerminal types: the command reads, also after a restart; Ctrl-Z stops both
// and Ctrl-C ends the command.
func TestTerminal(t *testing.T) {
	t.Parallel()
	user, program := terminalPair(t)
	m := stored(t, map[string]any{"dev/a/secret/n": "0"})
	r := &running{t: t, log: filepath.Join(t.TempDir(), "log")}
	cmd := exec.Command(os.Args[0], "as", "kai-run", "--deployment=dev", "--app=a", "--watch", "--interval=5ms", "--", os.Args[0], "as", "reads", r.log)
	cmd.Env = append(os.Environ(), "KAI_STORE_PATH="+m.serve(t))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	kind := func(text string) {
		t.Helper()
		if _, err := user.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	says := func(want string) {
		t.Helper()
		if got := r.line(); got != want {
			t.Fatalf("the log says %q, not %q", got, want)
		}
	}
	state := func(pid int) string {
		raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		_, rest, _ := strings.Cut(string(raw), ") ")
		return rest[:min(1, len(rest))]
	}
	pid, _ := r.started()
	kind("one\n")
	says("read one")
	m.set(t, "dev/a/secret/n", "1")
	pid, n := r.started()
	if n != "1" {
		t.Errorf("N is %s", n)
	}
	kind("two\n")
	says("read two")

	kind("\x1a")
	wait(t, "both to stop", func() bool { return state(pid) == "T" && state(cmd.Process.Pid) == "T" })
	_ = cmd.Process.Signal(syscall.SIGCONT)
	wait(t, "both to go on", func() bool { return state(pid) != "T" && state(cmd.Process.Pid) != "T" })
	kind("three\n")
	says("read three")

	kind("\x03")
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 128+int(syscall.SIGINT) {
		t.Errorf("the exit code is %d", got)
	}
}
