//go:build unix && !linux

package run

import "syscall"

// adopt does nothing: orphans are process 1's.
func adopt() {}

// attributes make a process the leader of a group.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
