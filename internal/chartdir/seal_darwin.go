package chartdir

import "golang.org/x/sys/unix"

func local(st *unix.Statfs_t) bool {
	return unix.ByteSliceToString(st.Fstypename[:]) == "apfs"
}
