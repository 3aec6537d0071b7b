//go:build darwin || linux

package chartdir

import (
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// restTime is more than the clock by which a local file system notes changes
// may lag behind: two of its steps, with the slowest of kernels.
const restTime = 20 * time.Millisecond

// facts gives what the kernel notes of a path below the folder, and whether it
// is there. No link is followed in its last step, and a folder on the way that
// has become a link shows in the facts of that folder.
func (d *dir) facts(name string) (facts, bool) {
	var st unix.Stat_t
	_, err := again(func() (int, error) { return 0, unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return facts{}, false
	}
	return facts{
		kind: uint32(st.Mode), dev: uint64(st.Dev), ino: uint64(st.Ino), size: st.Size,
		mtime: st.Mtim.Nano(), stir: st.Ctim.Nano(),
	}, true
}

func (f facts) isDir() bool { return f.kind&unix.S_IFMT == unix.S_IFDIR }

// isOther says that it is neither a file nor a folder.
func (f facts) isOther() bool { return !f.isDir() && f.kind&unix.S_IFMT != unix.S_IFREG }

// keepsTime says whether the file system of the folder notes every change with
// this machine's own clock.
func (d *dir) keepsTime() bool {
	var st unix.Statfs_t
	_, err := again(func() (int, error) { return 0, unix.Fstatfs(d.fd, &st) })
	return err == nil && local(&st)
}

// Private says whether a file is this user's, and nobody else can write to it.
func Private(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && info.Mode().Perm()&0o022 == 0
}
