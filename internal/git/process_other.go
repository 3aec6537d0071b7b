//go:build !unix

package git

import "os/exec"

// setApart does nothing where there are no sessions: what git started ends when
// it finds git gone.
func setApart(*exec.Cmd) {}
