package chartdir

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/windows"
)

// lockName is the lock file of a folder: folders cannot be locked on Windows.
const lockName = ".kai-lock"

// dir is an open folder. os.Root keeps every step within it.
type dir struct {
	path string
	root *os.Root
}

// info is what is known of a name in a folder.
type info struct {
	mode fs.FileMode
	id   fileID
}

// fileID says whether two names are one file. The system's own comparison
// needs both open, so this one knows only that a name equals itself; contents
// are compared where it says no.
type fileID struct{ path string }

func openDir(path string) (*dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &dir{path, root}, nil
}

func (d *dir) close() { d.root.Close() }

func (d *dir) sub(name string) (*dir, error) {
	in, err := d.stat(name)
	if err != nil {
		return nil, err
	}
	if !in.mode.IsDir() {
		return nil, windows.ERROR_DIRECTORY
	}
	root, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &dir{filepath.Join(d.path, name), root}, nil
}

// list gives what the folder holds now, in no order.
func (d *dir) list() ([]fs.DirEntry, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

func (d *dir) stat(name string) (info, error) {
	in, err := d.root.Lstat(name)
	if err != nil {
		return info{}, err
	}
	return info{mode: in.Mode(), id: fileID{filepath.Join(d.path, name)}}, nil
}

func (d *dir) open(name string) (io.ReadCloser, error) { return d.root.Open(name) }

// create writes a new file.
func (d *dir) create(name string, data []byte) error {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

func (d *dir) makeDir(name string) error { return d.root.Mkdir(name, 0o755) }

func (d *dir) remove(name string) error { return d.root.Remove(name) }

func (d *dir) removeDir(name string) error { return d.root.Remove(name) }

func (d *dir) link(name string, to *dir, toName string) error {
	return os.Link(filepath.Join(d.path, name), filepath.Join(to.path, toName))
}

func (d *dir) rename(name string, to *dir, toName string) error {
	return os.Rename(filepath.Join(d.path, name), filepath.Join(to.path, toName))
}

func (d *dir) readLink(name string) (string, error) { return d.root.Readlink(name) }

func (d *dir) symlink(target, name string) error { return d.root.Symlink(target, name) }

// writable says whether names in the folder can be changed; Windows decides
// that by more than the folder's mode, so the change itself has to be tried.
func (d *dir) writable() bool { return true }

// likeMode has nothing to do: folders have no permission bits.
func (d *dir) likeMode(*dir) error { return nil }

// unprotect has nothing to do either.
func (d *dir) unprotect() error { return nil }

func isNotEmpty(err error) bool { return errors.Is(err, windows.ERROR_DIR_NOT_EMPTY) }

// isOtherDevice says that a folder cannot be renamed where it is.
func isOtherDevice(err error) bool { return errors.Is(err, windows.ERROR_NOT_SAME_DEVICE) }

// lock takes the folder's lock file and polls for it, since a blocked call
// could not be told that ctx has ended. The system lets the file be removed
// only by who is last to have it open.
func lock(ctx context.Context, d *dir, exclusive bool) (unlock func(), err error) {
	f, err := d.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if exclusive {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{})
		if err == nil {
			return func() {
				f.Close()
				d.root.Remove(lockName)
			}, nil
		}
		if !errors.Is(err, windows.ERROR_LOCK_VIOLATION) && !errors.Is(err, windows.ERROR_IO_PENDING) {
			f.Close()
			return nil, err
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}
