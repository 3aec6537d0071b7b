package chartdir

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// comparison is a chart set against what lies on disk.
type comparison struct {
	name    string
	path    string // of the chart's folder
	want    files
	record  files // what kai made there
	recText []byte

	exists  bool
	changes []Change
	equal   map[string]bool // wanted files that are there already
	foreign []foreign
}

// foreign is something in the folder that kai did not make; a folder stands
// for all that it holds.
type foreign struct {
	path string
	kind fs.FileMode
}

// compare reads a chart's folder and sets it against the files wanted there.
func (f *Folder) compare(name string, want files) (*comparison, error) {
	c := &comparison{name: name, path: filepath.Join(f.path, name), want: want}
	if f.top == nil {
		c.addMissing(nil)
		return c, nil
	}
	d, err := openFolder(f.top, name, c.path)
	if errors.Is(err, fs.ErrNotExist) {
		c.addMissing(nil)
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.close()
	c.exists = true
	if c.recText, c.record, err = readRecord(d); err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(want))
	c.equal = make(map[string]bool, len(want))
	if err := c.scan(d, "", seen); err != nil {
		return nil, err
	}
	c.addMissing(seen)
	c.addConflicts()
	slices.SortFunc(c.changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return c, nil
}

// openFolder opens what must be a folder, and says what else it is.
func openFolder(parent *dir, name, full string) (*dir, error) {
	d, err := parent.sub(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	if in, e := parent.stat(name); e == nil && in.mode&fs.ModeSymlink != 0 {
		return nil, linkError(full)
	} else if e == nil && !in.mode.IsDir() {
		return nil, fmt.Errorf("%s: is a file where kai needs a folder; move it away", full)
	}
	return nil, failed("open", full, err)
}

// readRecord gives a chart's record, empty where there is none.
func readRecord(d *dir) ([]byte, files, error) {
	full := filepath.Join(d.path, RecordName)
	r, err := d.open(RecordName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		if in, e := d.stat(RecordName); e == nil && in.mode&fs.ModeSymlink != 0 {
			return nil, nil, linkError(full)
		}
		return nil, nil, failed("read", full, err)
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxRecord+1))
	if err != nil {
		return nil, nil, failed("read", full, err)
	}
	if len(text) > maxRecord {
		return nil, nil, fmt.Errorf("%s: is larger than any record that kai writes (%d bytes); remove the chart's folder and generate it again", full, maxRecord)
	}
	record, err := parseRecord(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: is not a record as kai writes it: %w; restore it, or remove the chart's folder and generate it again", full, err)
	}
	return text, record, nil
}

// scan compares what a folder holds. Folders in which kai has and wants nothing
// are the user's and are not looked into.
func (c *comparison) scan(d *dir, prefix string, seen map[string]bool) error {
	entries, err := d.list()
	if err != nil {
		return failed("read", d.path, err)
	}
	for _, e := range entries {
		p := prefix + e.Name()
		if p == RecordName {
			continue
		}
		want, made := c.want.find(p), c.record.find(p)
		switch kind := e.Type(); {
		case kind.IsDir() && (c.want.below(p) || c.record.below(p)):
			sub, err := d.sub(e.Name())
			if err != nil {
				return failed("open", filepath.Join(d.path, e.Name()), err)
			}
			err = c.scan(sub, p+"/", seen)
			sub.close()
			if err != nil {
				return err
			}
		case kind&fs.ModeSymlink != 0 && (want != nil || made != nil || c.want.below(p) || c.record.below(p)):
			return linkError(filepath.Join(d.path, e.Name()))
		case kind.IsRegular() && (want != nil || made != nil):
			seen[p] = true
			if err := c.compareFile(d, e.Name(), p, want, made); err != nil {
				return failed("read", filepath.Join(d.path, e.Name()), err)
			}
		default:
			c.foreign = append(c.foreign, foreign{p, kind.Type()})
		}
	}
	return nil
}

// compareFile judges a file that is wanted, or was made by kai, or both.
func (c *comparison) compareFile(d *dir, name, p string, want, made *file) error {
	if want != nil {
		same, err := holds(d, name, want.data)
		if err != nil {
			return err
		}
		if same {
			c.equal[p] = true
			return nil
		}
		if made == nil {
			c.changes = append(c.changes, Change{p, KindForeign})
			return nil
		}
	}
	now, err := hash(d, name)
	if err != nil {
		return err
	}
	kind := KindChanged
	switch {
	case now != made.sum:
		kind = KindEdited
	case want == nil:
		kind = KindRemoved
	}
	c.changes = append(c.changes, Change{p, kind})
	return nil
}

// addMissing notes the wanted files that are not there.
func (c *comparison) addMissing(seen map[string]bool) {
	for _, w := range c.want {
		if !seen[w.path] {
			c.changes = append(c.changes, Change{w.path, KindAdded})
		}
	}
}

// addConflicts notes what is the user's and stands where a wanted file, or a
// folder of one, has to go, or is in a folder whose place a file has to take.
func (c *comparison) addConflicts() {
	for _, f := range c.foreign {
		conflict := c.want.find(f.path) != nil || c.want.below(f.path)
		for p := path.Dir(f.path); p != "." && !conflict; p = path.Dir(p) {
			conflict = c.want.find(p) != nil
		}
		if conflict {
			// Where the file itself was noted as missing, this says why.
			c.changes = slices.DeleteFunc(c.changes, func(ch Change) bool { return ch.Path == f.path })
			c.changes = append(c.changes, Change{f.path, KindForeign})
		}
	}
}

// upToDate says that nothing is to be written.
func (c *comparison) upToDate() bool {
	return len(c.changes) == 0 && c.exists && bytes.Equal(c.recText, c.want.record())
}

// has says whether there is a change of a kind.
func (c *comparison) has(k Kind) bool {
	return slices.ContainsFunc(c.changes, func(ch Change) bool { return ch.Kind == k })
}

func (c *comparison) result(s State) Result {
	return Result{Chart: c.name, Folder: c.path, State: s, Changes: c.changes}
}

// buffers are for reading files; charts' are small.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// holds says whether a file's content is data.
func holds(d *dir, name string, data []byte) (bool, error) {
	r, err := d.open(name)
	if err != nil {
		return false, err
	}
	defer r.Close()
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := r.Read(buf[:])
		if n > len(data) || !bytes.Equal(buf[:n], data[:n]) {
			return false, nil
		}
		data = data[n:]
		if errors.Is(err, io.EOF) {
			return len(data) == 0, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// hash gives the hash of a file's content.
func hash(d *dir, name string) (s sum, err error) {
	r, err := d.open(name)
	if err != nil {
		return s, err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return s, err
	}
	h.Sum(s[:0])
	return s, nil
}
