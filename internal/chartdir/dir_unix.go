//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package chartdir

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// dir is an open folder. Everything is done one step from an open folder and
// without following a symbolic link there, so that no path can be bent, and by
// plain system calls: os.Root would open each folder of a path again for every
// file, and offers every file to the poller, which doubles the calls.
type dir struct {
	path string // for messages
	fd   int
	file *os.File
}

// info is what is known of a name in a folder.
type info struct {
	mode fs.FileMode // kind and permissions
	raw  uint32      // permissions with set-id and sticky bits
	id   fileID
}

// fileID says whether two names are one file.
type fileID struct{ dev, ino uint64 }

func openDir(path string) (*dir, error) { return openDirAt(unix.AT_FDCWD, path, path) }

func openDirAt(at int, name, path string) (*dir, error) {
	fd, err := again(func() (int, error) {
		return unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	return &dir{path: path, fd: fd, file: os.NewFile(uintptr(fd), path)}, nil
}

// again repeats a system call that a signal has interrupted.
func again[T any](call func() (T, error)) (T, error) {
	for {
		v, err := call()
		if !errors.Is(err, unix.EINTR) {
			return v, err
		}
	}
}

func (d *dir) close() { d.file.Close() }

func (d *dir) sub(name string) (*dir, error) {
	return openDirAt(d.fd, name, d.path+string(os.PathSeparator)+name)
}

// list gives what the folder holds now, in no order.
func (d *dir) list() ([]fs.DirEntry, error) {
	if _, err := d.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return d.file.ReadDir(-1)
}

func (d *dir) stat(name string) (info, error) {
	var st unix.Stat_t
	_, err := again(func() (int, error) { return 0, unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return info{}, err
	}
	raw := uint32(st.Mode)
	in := info{mode: fs.FileMode(raw & 0o777), raw: raw & 0o7777, id: fileID{uint64(st.Dev), uint64(st.Ino)}}
	switch raw & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		in.mode |= fs.ModeDir
	case unix.S_IFLNK:
		in.mode |= fs.ModeSymlink
	default:
		in.mode |= fs.ModeIrregular
	}
	return in, nil
}

// reader reads a file by system calls.
type reader int

func (r reader) Read(p []byte) (int, error) {
	n, err := again(func() (int, error) { return unix.Read(int(r), p) })
	switch {
	case err != nil:
		return 0, err
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

func (r reader) Close() error { return unix.Close(int(r)) }

// open reads a file. A pipe that was put in its place does not block.
func (d *dir) open(name string) (io.ReadCloser, error) {
	fd, err := again(func() (int, error) {
		return unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	})
	return reader(fd), err
}

// create writes a new file.
func (d *dir) create(name string, data []byte) error {
	fd, err := again(func() (int, error) {
		return unix.Openat(d.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	})
	if err != nil {
		return err
	}
	for len(data) > 0 {
		n, err := again(func() (int, error) { return unix.Write(fd, data) })
		if err != nil {
			unix.Close(fd)
			return err
		}
		data = data[n:]
	}
	return unix.Close(fd) // some file systems tell only now that they are full
}

func (d *dir) makeDir(name string) error { return unix.Mkdirat(d.fd, name, 0o755) }

func (d *dir) remove(name string) error { return unix.Unlinkat(d.fd, name, 0) }

func (d *dir) removeDir(name string) error { return unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR) }

func (d *dir) link(name string, to *dir, toName string) error {
	return unix.Linkat(d.fd, name, to.fd, toName, 0)
}

func (d *dir) rename(name string, to *dir, toName string) error {
	return unix.Renameat(d.fd, name, to.fd, toName)
}

func (d *dir) readLink(name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(d.fd, name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

func (d *dir) symlink(target, name string) error { return unix.Symlinkat(target, d.fd, name) }

// writable says whether names in the folder can be changed.
func (d *dir) writable() bool { return unix.Faccessat(d.fd, ".", unix.W_OK|unix.X_OK, 0) == nil }

// likeMode gives the folder the permissions of another.
func (d *dir) likeMode(other *dir) error {
	want, err := other.stat(".")
	if err != nil {
		return err
	}
	if have, err := d.stat("."); err != nil || have.raw == want.raw {
		return err
	}
	return unix.Fchmod(d.fd, want.raw)
}

// unprotect lets the owner of a folder that is about to go change it.
func (d *dir) unprotect() error { return unix.Fchmod(d.fd, 0o700) }

func isNotEmpty(err error) bool {
	return errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST)
}

// isOtherDevice says that a folder cannot be renamed where it is.
func isOtherDevice(err error) bool { return errors.Is(err, unix.EXDEV) }

// lock takes the folder's advisory lock and polls for it, since a blocked call
// could not be told that ctx has ended.
func lock(ctx context.Context, d *dir, exclusive bool) (unlock func(), err error) {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		_, err := again(func() (int, error) { return 0, unix.Flock(d.fd, how|unix.LOCK_NB) })
		if err == nil {
			return func() {}, d.stillThere() // closing the folder unlocks it
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// stillThere says whether the folder is still the one at its path: while
// waiting for its lock, it may have been removed or replaced.
func (d *dir) stillThere() error {
	held, err := d.stat(".")
	if err != nil {
		return err
	}
	now, err := (&dir{fd: unix.AT_FDCWD}).stat(d.path)
	if err == nil && now.id != held.id {
		err = errReplaced
	}
	return err
}
