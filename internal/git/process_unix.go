//go:build unix

package git

import (
	"os/exec"
	"syscall"
)

// setApart gives a process a session: without a terminal nothing it starts can
// ask a question, and all of it ends with it.
func setApart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
