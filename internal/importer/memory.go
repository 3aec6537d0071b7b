package importer

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// memory is a folder of files in memory.
type memory map[string]*node

// node is a file or a folder of it.
type node struct {
	name    string
	folder  bool
	data    []byte
	entries []fs.DirEntry
}

// FS gives files as a file system, to read them as if they were written already.
func FS(files []File) fs.FS {
	m := memory{".": {name: ".", folder: true}}
	for _, f := range files {
		m[f.Path] = &node{name: path.Base(f.Path), data: f.Data}
		child := m[f.Path]
		for dir := path.Dir(f.Path); ; dir = path.Dir(dir) {
			parent, known := m[dir]
			if !known {
				parent = &node{name: path.Base(dir), folder: true}
				m[dir] = parent
			}
			parent.entries = append(parent.entries, child)
			if known {
				break
			}
			child = parent
		}
	}
	for _, n := range m {
		slices.SortFunc(n.entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	}
	return m
}

// Open opens a file or a folder.
func (m memory) Open(name string) (fs.File, error) {
	n := m[name]
	if n == nil || !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &handle{node: n, Reader: bytes.NewReader(n.data)}, nil
}

// A node says of itself what a folder's entry and a file's info say.

func (n *node) Name() string               { return n.name }
func (n *node) IsDir() bool                { return n.folder }
func (n *node) Size() int64                { return int64(len(n.data)) }
func (n *node) ModTime() time.Time         { return time.Time{} }
func (n *node) Sys() any                   { return nil }
func (n *node) Info() (fs.FileInfo, error) { return n, nil }
func (n *node) Type() fs.FileMode          { return n.Mode().Type() }

func (n *node) Mode() fs.FileMode {
	if n.folder {
		return fs.ModeDir | 0o755
	}
	return 0o644
}

// handle is a node that somebody reads.
type handle struct {
	*node
	*bytes.Reader
	read int // entries of a folder that were given
}

func (h *handle) Stat() (fs.FileInfo, error) { return h.node, nil }
func (h *handle) Close() error               { return nil }
func (h *handle) Size() int64                { return h.node.Size() }

// ReadDir gives the next entries of a folder.
func (h *handle) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := h.entries[h.read:]
	if n > 0 && len(rest) == 0 {
		return nil, io.EOF
	}
	if n > 0 && len(rest) > n {
		rest = rest[:n]
	}
	h.read += len(rest)
	return slices.Clone(rest), nil
}
