//go:build unix

package refs

import (
	"os/exec"
	"syscall"
)

// ownGroup gives a command a group of processes of its own, all of which end when it is
// ended, and gives what ends what is left of them.
func ownGroup(cmd *exec.Cmd) (end func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	kill := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = kill
	return func() {
		if cmd.Process != nil {
			_ = kill() // none is left mostly
		}
	}
}
