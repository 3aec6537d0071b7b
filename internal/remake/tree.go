package remake

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/helm-kai/helm-kai/internal/source"
)

// sum is the SHA-256 of what a file system answers.
type sum = [sha256.Size]byte

// question is what a file system can be asked.
type question struct {
	kind asks
	name string
	max  int64 // of asksContent: more bytes are an error
}

type asks byte

const (
	asksKind    asks = 'k' // whether there is something, and of which kind
	asksContent asks = 'c' // of a file
	asksNames   asks = 'n' // of what a folder holds, and their kinds
)

// answer is what a file system says, asked once in a run.
type answer struct {
	once    sync.Once
	sum     sum
	sound   bool // the sum stands for all of it; of most errors there is none
	err     error
	info    fs.FileInfo
	data    []byte
	entries []fs.DirEntry
}

// tree is a file system that answers each question once. So what a run compares
// with the last one is what it reads, whatever changes meanwhile.
type tree struct {
	of fs.FS

	mu      sync.Mutex
	answers map[question]*answer
}

func newTree(of fs.FS) *tree { return &tree{of: of, answers: map[question]*answer{}} }

func (t *tree) ask(q question) *answer {
	t.mu.Lock()
	a := t.answers[q]
	if a == nil {
		a = &answer{}
		t.answers[q] = a
	}
	t.mu.Unlock()
	a.once.Do(func() { a.fill(t.of, q) })
	return a
}

func (a *answer) fill(of fs.FS, q question) {
	h := sha256.New()
	switch q.kind {
	case asksKind:
		var info fs.FileInfo
		if info, a.err = fs.Stat(of, q.name); a.err == nil {
			kind := entry{path.Base(q.name), info.Mode().Type()}
			a.info = kind
			h.Write(kind.text())
		}
	case asksContent:
		a.data, a.err = source.ReadFile(of, q.name, q.max)
		h.Write(a.data)
	case asksNames:
		var entries []fs.DirEntry
		entries, a.err = fs.ReadDir(of, q.name)
		for _, e := range entries {
			kind := entry{e.Name(), e.Type()}
			a.entries = append(a.entries, kind)
			h.Write(kind.text())
		}
	}
	switch {
	case a.err == nil:
		h.Write([]byte("answered"))
	case errors.Is(a.err, fs.ErrNotExist):
		h.Write([]byte("nothing there"))
	default:
		return
	}
	a.sound = true
	h.Sum(a.sum[:0])
}

// entry is a name and its kind; nobody who reads a workspace is to know more.
type entry struct {
	name string
	kind fs.FileMode
}

func (e entry) text() []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(e.kind)), e.name+"\x00"...)
}

func (e entry) Name() string               { return e.name }
func (e entry) Mode() fs.FileMode          { return e.kind }
func (e entry) Type() fs.FileMode          { return e.kind }
func (e entry) IsDir() bool                { return e.kind.IsDir() }
func (e entry) Info() (fs.FileInfo, error) { return e, nil }
func (e entry) Size() int64                { return 0 }
func (e entry) ModTime() time.Time         { return time.Time{} }
func (e entry) Sys() any                   { return nil }

// record is what was asked in a run and what the answers were: by each service,
// known by its descriptor's file, and under "" by all else.
type record struct {
	mu      sync.Mutex
	asked   map[string]map[question]sum
	unsound bool // something was asked that cannot be asked again
}

func (r *record) note(owner string, q question, a *answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked == nil {
		r.asked = map[string]map[question]sum{}
	}
	if r.asked[owner] == nil {
		r.asked[owner] = map[question]sum{}
	}
	r.asked[owner][q] = a.sum
	r.unsound = r.unsound || !a.sound
}

// reader is a tree as one reads it, which is recorded. It implements
// workspace.Observer.
type reader struct {
	tree   *tree
	record *record
	owner  string
}

func (r *reader) ask(kind asks, name string, max int64) *answer {
	q := question{kind, name, max}
	a := r.tree.ask(q)
	r.record.note(r.owner, q, a)
	return a
}

// For gives the tree as a service reads it.
func (r *reader) For(descriptor string) fs.FS { return &reader{r.tree, r.record, descriptor} }

// Open is for whoever reads in another way than those below. What is read so is
// not known.
func (r *reader) Open(name string) (fs.File, error) {
	r.record.mu.Lock()
	r.record.unsound = true
	r.record.mu.Unlock()
	return r.tree.of.Open(name)
}

func (r *reader) Stat(name string) (fs.FileInfo, error) {
	a := r.ask(asksKind, name, 0)
	return a.info, a.err
}

func (r *reader) ReadDir(name string) ([]fs.DirEntry, error) {
	a := r.ask(asksNames, name, 0)
	return slices.Clone(a.entries), a.err
}

// ReadFileMax implements source.BoundedFS.
func (r *reader) ReadFileMax(name string, max int64) ([]byte, error) {
	a := r.ask(asksContent, name, max)
	return slices.Clip(a.data), a.err
}

// with adds what was asked to what had been.
func with(before, now map[question]sum) map[question]sum {
	out := maps.Clone(before)
	if out == nil {
		out = map[question]sum{}
	}
	maps.Copy(out, now)
	return out
}
