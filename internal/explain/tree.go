package explain

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/helm-kai/helm-kai/flavors"
	"github.com/helm-kai/helm-kai/friends"
	"github.com/helm-kai/helm-kai/internal/source"
)

// The library's trees stand among the files as trees from elsewhere do.
var (
	flavorTree = source.TreeName(builtIn + "flavors")
	friendTree = source.TreeName(builtIn + "friends")
)

const builtIn = "kai://"

// tree is one of the trees that a workspace is read from. It remembers what was
// read, so that the same is given again however often it is asked for.
type tree struct {
	of   fs.FS
	name string // under which its files are known: "" or that of a library

	mu   sync.Mutex
	docs map[string]*document // YAML, by name
	raw  map[string][]byte    // everything else
}

type document struct {
	once     sync.Once
	value    *source.Value
	findings source.Findings
}

func newTree(of fs.FS) *tree {
	t := &tree{of: of, docs: map[string]*document{}, raw: map[string][]byte{}}
	switch {
	case of == fs.FS(flavors.FS):
		t.name = flavorTree
	case of == fs.FS(friends.FS):
		t.name = friendTree
	}
	return t
}

// full gives the path under which a file of the tree is known.
func (t *tree) full(name string) string { return path.Join(t.name, name) }

// ReadYAML gives a document, parsed once.
func (t *tree) ReadYAML(name string) (*source.Value, source.Findings) {
	t.mu.Lock()
	d := t.docs[name]
	if d == nil {
		d = &document{}
		t.docs[name] = d
	}
	t.mu.Unlock()
	d.once.Do(func() {
		d.value, d.findings = source.ReadYAML(t.of, name)
		if t.name != "" {
			d.value = named(d.value, t.name)
		}
	})
	return d.value, d.findings
}

// named gives a value of a library, whose files have the library's name before
// theirs.
func named(v *source.Value, in string) *source.Value {
	if v == nil {
		return nil
	}
	out := v.Shallow()
	out.Origin.File = path.Join(in, v.Origin.File)
	for i, item := range out.Items {
		out.Items[i] = named(item, in)
	}
	for i := range out.Fields {
		f := &out.Fields[i]
		f.Origin.File = path.Join(in, f.Origin.File)
		f.Value = named(f.Value, in)
	}
	return out
}

func (t *tree) Open(name string) (fs.File, error) {
	t.mu.Lock()
	data, known := t.raw[name]
	t.mu.Unlock()
	if known {
		return newFile(name, data), nil
	}
	f, err := t.of.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > source.MaxFile {
		return f, err // who reads it says what is wrong with it
	}
	defer f.Close()
	if data, err = io.ReadAll(io.LimitReader(f, source.MaxFile)); err != nil {
		return nil, err
	}
	t.mu.Lock()
	t.raw[name] = data
	t.mu.Unlock()
	return newFile(name, data), nil
}

func (t *tree) Stat(name string) (fs.FileInfo, error) {
	t.mu.Lock()
	data, known := t.raw[name]
	t.mu.Unlock()
	if known {
		return newFile(name, data).Stat()
	}
	return fs.Stat(t.of, name)
}

func (t *tree) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(t.of, name) }

// edited is a tree with one file changed.
type edited struct {
	*tree
	file  string
	value *source.Value // of a file that is read as YAML,
	data  []byte        // or what any other holds
}

func (e *edited) ReadYAML(name string) (*source.Value, source.Findings) {
	if name != e.file || e.value == nil {
		return e.tree.ReadYAML(name)
	}
	return e.value, nil
}

func (e *edited) Open(name string) (fs.File, error) {
	if name != e.file || e.value != nil {
		return e.tree.Open(name)
	}
	return newFile(name, e.data), nil
}

func (e *edited) Stat(name string) (fs.FileInfo, error) {
	if name != e.file || e.value != nil {
		return e.tree.Stat(name)
	}
	return newFile(name, e.data).Stat()
}

// forest are the trees of a workspace: its own and the library's.
type forest struct {
	mu    sync.Mutex
	trees []*tree
}

// form gives the tree that stands for another.
func (f *forest) form(of fs.FS) fs.FS { return f.tree(of) }

func (f *forest) tree(of fs.FS) *tree {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.trees {
		if t.of == of {
			return t
		}
	}
	t := newTree(of)
	f.trees = append(f.trees, t)
	return t
}

// with gives the same forest with one file changed.
func (f *forest) with(t *tree, file string, value *source.Value, data []byte) func(fs.FS) fs.FS {
	changed := &edited{tree: t, file: file, value: value, data: data}
	return func(of fs.FS) fs.FS {
		if own := f.tree(of); own != t {
			return own
		}
		return changed
	}
}

// file is one in memory.
type file struct {
	*bytes.Reader
	name string
	size int64
}

func newFile(name string, data []byte) *file {
	return &file{Reader: bytes.NewReader(data), name: path.Base(name), size: int64(len(data))}
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info(), nil }
func (f *file) Close() error               { return nil }
func (f *file) info() fileInfo             { return fileInfo{f.name, f.size} }

type fileInfo struct {
	name string
	size int64
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) Mode() fs.FileMode  { return 0o444 }
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool        { return false }
func (i fileInfo) Sys() any           { return nil }

// isTemplate says whether a file of a flavor or chart is code and no value.
func isTemplate(name string) bool {
	return strings.Contains("/"+name, "/templates/")
}
