package run

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// adopt makes orphans below us our children, as process 1 has them, and keeps
// our memory and environment, where credentials are, from others of the same
// user, such as the command.
func adopt() {
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

// attributes make a process the leader of a group that is asked to end when we
// are killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
