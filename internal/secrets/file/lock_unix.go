//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lock takes a file's lock, which ends with the process at the latest, and polls
// for it, since a blocked call could not be told that ctx has ended. The file is
// removed with the lock; one that a dead process has left is taken over.
func lock(ctx context.Context, name string) (unlock func(), err error) {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			// Whoever held it before may have removed the file that was locked.
			held, err := f.Stat()
			if err == nil {
				var there fs.FileInfo
				if there, err = os.Lstat(name); err == nil && os.SameFile(held, there) {
					return func() {
						os.Remove(name)
						f.Close()
					}, nil
				}
			}
			f.Close()
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			pause = 0
		case errors.Is(err, unix.EWOULDBLOCK), errors.Is(err, unix.EINTR):
			f.Close()
		default:
			f.Close()
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		pause = max(pause, time.Millisecond)
	}
}

// likeOwner gives a file the owner of another, where that is allowed.
func likeOwner(f *os.File, other fs.FileInfo) {
	if st, ok := other.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(st.Uid), int(st.Gid))
	}
}

// syncDir makes names in a folder survive a crash.
func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}
