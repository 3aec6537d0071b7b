//go:build !unix

package run

import "os"

// moreSignals are those that a helper notes beside the common ones.
var moreSignals []os.Signal

func spawn(...string) { panic("not here") }

func helper(role string, _ []string) { panic("there is no role " + role) }
