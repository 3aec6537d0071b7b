package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// memoryFolder gives a folder whose files are in memory, "" for none. Others may
// write there as well, but not to what is somebody else's.
func memoryFolder() string {
	const shared = "/dev/shm"
	var system unix.Statfs_t
	var info unix.Stat_t
	if unix.Statfs(shared, &system) != nil || system.Type != unix.TMPFS_MAGIC || unix.Lstat(shared, &info) != nil {
		return ""
	}
	own := int(info.Uid) == os.Geteuid() && info.Mode&0o022 == 0
	sticky := info.Uid == 0 && info.Mode&unix.S_ISVTX != 0
	if info.Mode&unix.S_IFMT != unix.S_IFDIR || !own && !sticky {
		return ""
	}
	return shared
}
