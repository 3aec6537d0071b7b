//go:build unix && !linux

package child

import "syscall"

// attributes let a child be somebody else. Other systems have no way to let it end with its parent, however that ends.
func attributes(owner *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: owner}
}
