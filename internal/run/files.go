package run

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// folder is where files are written, and nowhere else: a link that leads out of
// it is an error.
type folder struct {
	root    *os.Root
	written []string // by us, and there since
	made    []string // folders, outer ones first
}

// newFolder opens the root of files. It need not be there as long as no file is
// written.
func newFolder(c Config) (*folder, error) {
	root, err := os.OpenRoot(c.FileRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return &folder{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("--file-root: %w", err)
	}
	return &folder{root: root}, nil
}

func (f *folder) close() {
	if f.root != nil {
		_ = f.root.Close()
	}
}

// write makes the files be there, and those that it wrote before and that are
// wanted no longer not be there. All that could not be written is in the error,
// by the names of the files: their paths are values.
func (f *folder) write(files []File) error {
	if len(files) > 0 && f.root == nil {
		return fmt.Errorf("files are to be written, and the folder of --file-root is not there\n  hint: mount it, as an emptyDir with medium: Memory")
	}
	var wrong []error
	want := map[string]bool{}
	for _, file := range files {
		name := filepath.ToSlash(file.Path)
		want[name] = true
		f.mkdir(path.Dir(name))
		if err := replaceFile(f.root, name, file.Mode, []byte(file.Content.Reveal())); err != nil {
			wrong = append(wrong, fmt.Errorf("the file %s of %s cannot be written: %w", file.Name, place(file.From), reason(err)))
			continue
		}
		if !slices.Contains(f.written, name) {
			f.written = append(f.written, name)
		}
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	f.written = slices.DeleteFunc(f.written, func(name string) bool {
		if want[name] {
			return false
		}
		err := f.root.Remove(name)
		return err == nil || errors.Is(err, fs.ErrNotExist)
	})
	return nil
}

// mkdir makes a folder and those around it, and remembers which it made. A
// failure shows when a file is written there.
func (f *folder) mkdir(dir string) {
	var missing []string
	for at := dir; at != "."; at = path.Dir(at) {
		if _, err := f.root.Stat(at); err == nil {
			break
		}
		missing = append(missing, at)
	}
	slices.Reverse(missing)
	for _, at := range missing {
		if f.root.Mkdir(at, 0o750) == nil {
			f.made = append(f.made, at)
		}
	}
}

// cleanup removes what was written, and the folders that were made for it.
func (f *folder) cleanup(w World) {
	if f.root == nil {
		return
	}
	for _, name := range f.written {
		if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.say("warning: a file could not be removed: %v", reason(err))
		}
	}
	for _, name := range slices.Backward(f.made) {
		_ = f.root.Remove(name) // others may have put something there
	}
	f.written, f.made = nil, nil
}

// reason takes the path out of an error.
func reason(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err
	}
	return err
}

// replaceFile makes a file have a content and a mode, at once: whoever dies or
// reads meanwhile finds the old one or the new one. A file that has both already
// is left alone.
func replaceFile(root *os.Root, name string, mode fs.FileMode, content []byte) error {
	if same(root, name, mode, content) {
		return nil
	}
	return putFile(root, name, mode, func(file *os.File) error {
		_, err := file.Write(content)
		return err
	})
}

// putFile is replaceFile for a content that fill writes.
func putFile(root *os.Root, name string, mode fs.FileMode, fill func(*os.File) error) (err error) {
	dir, base := path.Split(name)
	prefix := "." + base + ".kai-"
	sweep(root, path.Clean(dir+"."), prefix)
	file, temp, err := create(root, dir+prefix)
	if err != nil {
		return err
	}
	defer func() {
		_ = file.Close()
		if err != nil {
			_ = root.Remove(temp)
		}
	}()
	if err := fill(file); err != nil {
		return err
	}
	if err := file.Chmod(mode); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if renamesOpen {
		err = root.Rename(temp, name)
	} else if err = file.Close(); err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		return err
	}
	if d, err := root.Open(path.Clean(dir + ".")); err == nil {
		_ = d.Sync() // some file systems cannot
		_ = d.Close()
	}
	return nil
}

// create makes a file of a new name that sweep leaves alone.
func create(root *os.Root, prefix string) (*os.File, string, error) {
	for try := 1; ; try++ {
		name := prefix + rand.Text()
		file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, "", err
		}
		locked := lock(file)
		_, err = root.Lstat(name)
		// Another run may have swept it before it was locked. Where nothing can be
		// locked nothing is swept.
		if err == nil && (locked || try == 10) {
			return file, name, nil
		}
		_ = file.Close()
		if removed := root.Remove(name); err == nil {
			err = removed
		}
		if err != nil && try == 10 {
			return nil, "", err
		}
	}
}

// same says whether a file is as it should be. A link is not.
func same(root *os.Root, name string, mode fs.FileMode, content []byte) bool {
	info, err := root.Lstat(name)
	if err != nil || info.Mode() != mode || info.Size() != int64(len(content)) {
		return false
	}
	file, err := root.Open(name)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	there, err := io.ReadAll(io.LimitReader(file, int64(len(content))+1))
	return err == nil && string(there) == string(content)
}

// sweep removes what runs that were killed have left of a file. One that still
// writes holds a lock.
func sweep(root *os.Root, dir, prefix string) {
	d, err := root.Open(dir)
	if err != nil {
		return
	}
	defer func() { _ = d.Close() }()
	for {
		names, err := d.Readdirnames(1000)
		for _, name := range names {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			full := path.Join(dir, name)
			info, err := root.Lstat(full)
			if err != nil || !info.Mode().IsRegular() {
				continue
			}
			if file, err := root.OpenFile(full, os.O_RDWR, 0); err == nil {
				if lock(file) {
					_ = root.Remove(full)
				}
				_ = file.Close()
			}
		}
		if err != nil {
			return
		}
	}
}
