//go:build !darwin && !linux

package chartdir

import "time"

const restTime = time.Hour

// facts are not to be had, or not known well enough, on this system.
func (d *dir) facts(string) (facts, bool) { return facts{}, false }

func (facts) isDir() bool { return false }

func (facts) isOther() bool { return true }

func (d *dir) keepsTime() bool { return false }
