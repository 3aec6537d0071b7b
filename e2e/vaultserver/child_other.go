//go:build unix && !linux

package vaultserver

import "syscall"

// attributes: other systems have no way to let a child end with its parent, however that ends.
func attributes() *syscall.SysProcAttr { return nil }
