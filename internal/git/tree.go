package git

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Tree is a folder at a revision. It is a file system: fs.ReadDirFS,
// fs.ReadFileFS, fs.StatFS and fs.ReadLinkFS, and safe for concurrent use.
//
// Symbolic links are followed inside of the tree; one that leads out of it is an
// error. A submodule is a folder that cannot be read: its files stand in another
// repository. Files have no time.
type Tree struct {
	Commit   string // the commit's full name
	Revision string // as it was asked for
	Prefix   string // the folder's path in the repository, "" for its root
	// Ignored are paths that no file system of Go can have, or that are there
	// twice. They are left out.
	Ignored []string

	root  *node
	blobs blobs
}

var (
	_ fs.ReadDirFS  = (*Tree)(nil)
	_ fs.ReadFileFS = (*Tree)(nil)
	_ fs.StatFS     = (*Tree)(nil)
	_ fs.ReadLinkFS = (*Tree)(nil)
)

// What a path cannot be. The text of errEscapes is that of os.Root, so that
// whoever explains the one explains the other.
var (
	errEscapes   = errors.New("path escapes from parent")
	errLoop      = errors.New("too many levels of symbolic links")
	errIsDir     = errors.New("is a folder")
	errNotDir    = errors.New("is not a folder")
	errNoTarget  = errors.New("is a symbolic link that names no path")
	errNotLink   = errors.New("is not a symbolic link")
	errSubmodule = errors.New("is a submodule, whose files are not in this repository")
)

// The bounds on links, as Linux has them: on the way to a file, and bytes of one.
const (
	maxLinks  = 40
	maxTarget = 4095
)

// node is a file, a link, a folder or a submodule.
type node struct {
	name     string
	mode     fs.FileMode
	object   string // of a file or a link
	entries  map[string]*node
	sorted   []*node
	external bool     // a submodule
	ignored  []string // below the root alone

	mu     sync.Mutex
	target string // of a link that was read
}

func newDir(name string) *node {
	return &node{name: name, mode: fs.ModeDir | 0o755, entries: map[string]*node{}}
}

// add puts a file into the tree, with the folders on its way. Where a damaged
// tree gives two files, or a file and a folder, one name, the first stays, and it
// says so.
func (n *node) add(name, mode, object string) bool {
	for {
		first, rest, more := strings.Cut(name, "/")
		child := n.entries[first]
		if !more {
			if child != nil {
				return false
			}
			n.entries[first] = newNode(first, mode, object)
			return true
		}
		if child == nil {
			child = newDir(first)
			n.entries[first] = child
		}
		if child.entries == nil {
			return false
		}
		n, name = child, rest
	}
}

// newNode makes what a mode of git stands for.
func newNode(name, mode, object string) *node {
	n := &node{name: name, mode: 0o644, object: object}
	switch mode {
	case "100755":
		n.mode = 0o755
	case "120000":
		n.mode = fs.ModeSymlink | 0o777
	case "160000":
		n.mode, n.external = fs.ModeDir|0o755, true
	}
	return n
}

func (n *node) sort() {
	n.sorted = make([]*node, 0, len(n.entries))
	for _, c := range n.entries {
		n.sorted = append(n.sorted, c)
		c.sort()
	}
	slices.SortFunc(n.sorted, func(a, b *node) int { return strings.Compare(a.name, b.name) })
}

// Close ends the process that reads files. A tree that is closed is not read.
func (t *Tree) Close() error { return t.blobs.close() }

// Open implements fs.FS.
func (t *Tree) Open(name string) (fs.File, error) {
	n, err := t.find("open", name, true)
	if err != nil {
		return nil, err
	}
	if n.mode.IsDir() {
		if n.external {
			return nil, &fs.PathError{Op: "open", Path: name, Err: errSubmodule}
		}
		return &dir{tree: t, node: n, name: path.Base(name)}, nil
	}
	data, err := t.blobs.read(n.object)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &file{Reader: bytes.NewReader(data), info: info{path.Base(name), n.mode, int64(len(data))}}, nil
}

// ReadFile implements fs.ReadFileFS. A file of more than MaxFile bytes is an
// error.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	n, err := t.find("read", name, true)
	if err != nil {
		return nil, err
	}
	if n.mode.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errIsDir}
	}
	data, err := t.blobs.read(n.object)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return slices.Clone(data), nil
}

// ReadDir implements fs.ReadDirFS.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.find("readdir", name, true)
	if err != nil {
		return nil, err
	}
	switch {
	case n.external:
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errSubmodule}
	case !n.mode.IsDir():
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errNotDir}
	}
	return t.list(n.sorted), nil
}

func (t *Tree) list(nodes []*node) []fs.DirEntry {
	out := make([]fs.DirEntry, len(nodes))
	for i, c := range nodes {
		out[i] = entry{t, c}
	}
	return out
}

// Stat implements fs.StatFS. It follows links.
func (t *Tree) Stat(name string) (fs.FileInfo, error) { return t.stat("stat", name, true) }

// Lstat implements fs.ReadLinkFS: it does not follow the path's last link.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) { return t.stat("lstat", name, false) }

func (t *Tree) stat(op, name string, follow bool) (fs.FileInfo, error) {
	n, err := t.find(op, name, follow)
	if err != nil {
		return nil, err
	}
	i, err := t.info(n, path.Base(name))
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return i, nil
}

// info asks git for the size of a file.
func (t *Tree) info(n *node, name string) (fs.FileInfo, error) {
	if n.mode.IsDir() {
		return info{name: name, mode: n.mode}, nil
	}
	size, err := t.blobs.size(n.object)
	if err != nil {
		return nil, err
	}
	return info{name, n.mode, size}, nil
}

// ReadLink implements fs.ReadLinkFS.
func (t *Tree) ReadLink(name string) (string, error) {
	n, err := t.find("readlink", name, false)
	if err != nil {
		return "", err
	}
	if n.mode&fs.ModeSymlink == 0 {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: errNotLink}
	}
	target, err := t.link(n)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return target, nil
}

func (t *Tree) link(n *node) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.target == "" {
		data, err := t.blobs.read(n.object)
		if err != nil {
			return "", err
		}
		if len(data) == 0 || len(data) > maxTarget || bytes.IndexByte(data, 0) >= 0 {
			return "", errNoTarget
		}
		n.target = string(data)
	}
	return n.target, nil
}

// find walks to a path, through links, and to the last one's target if it is to
// be followed.
func (t *Tree) find(op, name string, follow bool) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, err := t.walk(name, follow)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return n, nil
}

func (t *Tree) walk(name string, follow bool) (*node, error) {
	way := []*node{t.root} // from the root to where the walk stands
	rest, links := name, 0
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		here := way[len(way)-1]
		switch {
		case here.external:
			return nil, errSubmodule
		case !here.mode.IsDir():
			return nil, errNotDir
		case part == "", part == ".":
			continue
		case part == "..":
			if len(way) == 1 {
				return nil, errEscapes
			}
			way = way[:len(way)-1]
			continue
		}
		next := here.entries[part]
		if next == nil {
			return nil, fs.ErrNotExist
		}
		if next.mode&fs.ModeSymlink == 0 || rest == "" && !follow {
			way = append(way, next)
			continue
		}
		if links++; links > maxLinks {
			return nil, errLoop
		}
		target, err := t.link(next)
		switch {
		case err != nil:
			return nil, err
		case strings.HasPrefix(target, "/"):
			return nil, errEscapes
		}
		if rest != "" {
			target += "/" + rest
		}
		rest = target
	}
	return way[len(way)-1], nil
}

// info is what is known of a file.
type info struct {
	name string
	mode fs.FileMode
	size int64
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }
func (i info) String() string     { return fs.FormatFileInfo(i) }

// entry is a node in a listing. Its size is asked for with its Info only.
type entry struct {
	tree *Tree
	node *node
}

func (e entry) Name() string               { return e.node.name }
func (e entry) IsDir() bool                { return e.node.mode.IsDir() }
func (e entry) Type() fs.FileMode          { return e.node.mode.Type() }
func (e entry) Info() (fs.FileInfo, error) { return e.tree.info(e.node, e.node.name) }
func (e entry) String() string             { return fs.FormatDirEntry(e) }

// file is an open file.
type file struct {
	*bytes.Reader
	info info
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *file) Close() error               { return nil }

// dir is an open folder.
type dir struct {
	tree *Tree
	node *node
	name string
	read int
}

func (d *dir) Stat() (fs.FileInfo, error) { return info{name: d.name, mode: d.node.mode}, nil }
func (d *dir) Close() error               { return nil }

func (d *dir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errIsDir}
}

// ReadDir implements fs.ReadDirFile.
func (d *dir) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := d.node.sorted[d.read:]
	if n > 0 {
		if len(rest) == 0 {
			return nil, io.EOF
		}
		rest = rest[:min(n, len(rest))]
	}
	d.read += len(rest)
	return d.tree.list(rest), nil
}

// String names the tree as people do: the revision and the short commit.
func (t *Tree) String() string { return fmt.Sprintf("%s (%.10s)", t.Revision, t.Commit) }
