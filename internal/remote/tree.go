package remote

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// tree is a folder in memory that nobody changes.
type tree struct{ nodes map[string]*node }

// node is a file or a folder.
type node struct {
	name    string
	folder  bool
	data    []byte
	entries []fs.DirEntry // by name
}

var (
	_ fs.ReadDirFS  = (*tree)(nil)
	_ fs.ReadFileFS = (*tree)(nil)
	_ fs.StatFS     = (*tree)(nil)
)

// newTree makes a tree of files by path, each of which is valid and no folder of
// another.
func newTree(files map[string][]byte) *tree {
	t := &tree{nodes: map[string]*node{".": {name: ".", folder: true}}}
	for name, data := range files {
		t.nodes[name] = &node{name: path.Base(name), data: data}
		child := t.nodes[name]
		for dir := path.Dir(name); ; dir = path.Dir(dir) {
			parent, known := t.nodes[dir]
			if !known {
				parent = &node{name: path.Base(dir), folder: true}
				t.nodes[dir] = parent
			}
			parent.entries = append(parent.entries, child)
			if known {
				break
			}
			child = parent
		}
	}
	for _, n := range t.nodes {
		slices.SortFunc(n.entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	}
	return t
}

// files gives the paths of all files, sorted.
func (t *tree) files() []string {
	var names []string
	for name, n := range t.nodes {
		if !n.folder {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// sub gives a folder of the tree, "" for all of it.
func (t *tree) sub(dir string) *tree {
	if dir == "" {
		return t
	}
	files := map[string][]byte{}
	for _, name := range t.files() {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok {
			files[rest] = t.nodes[name].data
		}
	}
	return newTree(files)
}

func (t *tree) find(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, ok := t.nodes[name]
	if !ok {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return n, nil
}

// Open implements fs.FS.
func (t *tree) Open(name string) (fs.File, error) {
	n, err := t.find("open", name)
	if err != nil {
		return nil, err
	}
	if n.folder {
		return &openFolder{node: n}, nil
	}
	return &openFile{Reader: bytes.NewReader(n.data), node: n}, nil
}

// ReadFile implements fs.ReadFileFS.
func (t *tree) ReadFile(name string) ([]byte, error) {
	n, err := t.find("read", name)
	if err != nil {
		return nil, err
	}
	if n.folder {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	return slices.Clone(n.data), nil
}

// ReadDir implements fs.ReadDirFS.
func (t *tree) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.folder {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	return slices.Clone(n.entries), nil
}

// Stat implements fs.StatFS.
func (t *tree) Stat(name string) (fs.FileInfo, error) { return t.find("stat", name) }

// node is its own description and entry.
func (n *node) Name() string               { return n.name }
func (n *node) Size() int64                { return int64(len(n.data)) }
func (n *node) ModTime() time.Time         { return time.Time{} }
func (n *node) IsDir() bool                { return n.folder }
func (n *node) Sys() any                   { return nil }
func (n *node) Type() fs.FileMode          { return n.Mode().Type() }
func (n *node) Info() (fs.FileInfo, error) { return n, nil }
func (n *node) String() string             { return fs.FormatFileInfo(n) }

func (n *node) Mode() fs.FileMode {
	if n.folder {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

type openFile struct {
	*bytes.Reader
	node *node
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.node, nil }
func (f *openFile) Close() error               { return nil }

type openFolder struct {
	node *node
	read int
}

func (f *openFolder) Stat() (fs.FileInfo, error) { return f.node, nil }
func (f *openFolder) Close() error               { return nil }

func (f *openFolder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: f.node.name, Err: fs.ErrInvalid}
}

// ReadDir implements fs.ReadDirFile.
func (f *openFolder) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := f.node.entries[f.read:]
	if n > 0 {
		if len(rest) == 0 {
			return nil, io.EOF
		}
		rest = rest[:min(n, len(rest))]
	}
	f.read += len(rest)
	return slices.Clone(rest), nil
}
