//go:build unix

package build_test

import (
	"syscall"
	"time"
)

// cpuTime is what this process has used of all processors. Unlike the time on the
// clock it says the same where other work goes on beside.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
