//go:build unix && !linux

package controlplane

import "syscall"

// childAttributes: other systems have no way to let a child end with its parent, however that ends.
func childAttributes() *syscall.SysProcAttr { return nil }
