//go:build !darwin && !linux

package chartdir

import (
	"io/fs"
	"time"
)

const restTime = time.Hour

// facts are not to be had, or not known well enough, on this system.
func (d *dir) facts(string) (facts, bool) { return facts{}, false }

func (facts) isDir() bool { return false }

func (facts) isOther() bool { return true }

func (d *dir) keepsTime() bool { return false }

// Private is not known on this system.
func Private(fs.FileInfo) bool { return false }
