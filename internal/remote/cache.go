package remote

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// cache keeps trees by their digest:
//
//	trees/HEX.tar   a tree
//	tmp/…           what is being written, or fetched by git
//
// A tree is written whole and renamed, so processes never see a part of one, and
// it does not matter which of two that write the same comes last. It is checked
// each time it is read: what does not fit its name is as good as not there.
type cache struct {
	dir    string
	limits Limits
}

func (c cache) path(digest string) string {
	return filepath.Join(c.dir, "trees", strings.TrimPrefix(digest, "sha256:")+".tar")
}

// temporary makes a folder for work that nobody else sees.
func (c cache) temporary() (string, error) {
	parent := filepath.Join(c.dir, "tmp")
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", cacheError(err)
	}
	dir, err := os.MkdirTemp(parent, "work-")
	if err != nil {
		return "", cacheError(err)
	}
	return dir, nil
}

func cacheError(err error) error {
	return &Error{Reason: Local, Message: "the cache cannot be written", Hint: "make room and give the right to write there, or choose another folder for the cache", Cause: err}
}

// load gives the tree with a digest. It is fs.ErrNotExist if there is none.
func (c cache) load(digest string) (*tree, error) {
	file, err := os.Open(c.path(digest))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	t, err := unpackTar(&ratioReader{reader: file, packed: 1 << 40, limits: c.limits}, below{}, c.limits)
	if err != nil {
		return nil, err
	}
	found, err := Digest(t)
	if err != nil {
		return nil, err
	}
	if found != digest {
		return nil, fmt.Errorf("the file has the digest %s", found)
	}
	c.used(digest)
	return t, nil
}

// used notes for Prune that a tree was needed. It is no matter if it cannot be.
func (c cache) used(digest string) {
	const often = time.Hour
	now := time.Now()
	if info, err := os.Stat(c.path(digest)); err == nil && now.Sub(info.ModTime()) > often {
		_ = os.Chtimes(c.path(digest), now, now)
	}
}

// store keeps a tree.
func (c cache) store(t *tree, digest string) error {
	work, err := c.temporary()
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	temp := filepath.Join(work, "tree.tar")
	if err := writeTree(temp, t); err != nil {
		return cacheError(err)
	}
	target := c.path(digest)
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return cacheError(err)
	}
	if err := os.Rename(temp, target); err == nil {
		return nil
	}
	// Where a file that is in the way cannot be replaced, it is another's, or damaged.
	if _, err := c.load(digest); err == nil {
		return nil
	}
	if err := errors.Join(os.RemoveAll(target), os.Rename(temp, target)); err != nil {
		return cacheError(err)
	}
	return nil
}

func writeTree(path string, t *tree) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o444)
	if err != nil {
		return err
	}
	return errors.Join(packTree(file, t), file.Close())
}

func packTree(w io.Writer, t *tree) error {
	archive := tar.NewWriter(w)
	for _, name := range t.files() {
		data := t.nodes[name].data
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o444, Size: int64(len(data))}); err != nil {
			return err
		}
		if _, err := archive.Write(data); err != nil {
			return err
		}
	}
	return archive.Close()
}

// Pruned says what Prune removed.
type Pruned struct {
	Trees int
	Bytes int64
}

// abandoned is how old work in progress must be to be nobody's.
const abandoned = 24 * time.Hour

// Prune removes the trees that were not needed since a time, and what killed
// processes left. A tree that somebody has got stays whole: it is in memory.
func (f *Fetcher) Prune(since time.Time) (Pruned, error) {
	var pruned Pruned
	var errs []error
	for _, path := range list(filepath.Join(f.cache.dir, "trees"), since, &errs) {
		info, err := os.Lstat(path)
		if err == nil {
			err = os.RemoveAll(path)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		pruned.Trees++
		pruned.Bytes += info.Size()
	}
	for _, path := range list(filepath.Join(f.cache.dir, "tmp"), time.Now().Add(-abandoned), &errs) {
		errs = append(errs, os.RemoveAll(path))
	}
	if err := errors.Join(errs...); err != nil {
		return pruned, cacheError(err)
	}
	return pruned, nil
}

// list gives what a folder has that is older than a time.
func list(dir string, before time.Time, errs *[]error) []string {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		*errs = append(*errs, err)
	}
	var old []string
	for _, entry := range entries {
		// What is gone by now was removed by another process.
		if info, err := entry.Info(); err == nil && info.ModTime().Before(before) {
			old = append(old, filepath.Join(dir, entry.Name()))
		}
	}
	return old
}
