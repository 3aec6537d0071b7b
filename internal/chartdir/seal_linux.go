package chartdir

import (
	"slices"

	"golang.org/x/sys/unix"
)

// zfs is the magic number of ZFS, which is not part of Linux.
const zfs = 0x2fc12fc1

var localTypes = []uint32{
	unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.F2FS_SUPER_MAGIC,
	unix.OVERLAYFS_SUPER_MAGIC, zfs,
}

func local(st *unix.Statfs_t) bool { return slices.Contains(localTypes, uint32(st.Type)) }
