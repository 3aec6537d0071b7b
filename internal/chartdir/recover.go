package chartdir

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// maxPasses bounds how often a folder that is to go is read again because
// something has appeared in it meanwhile.
const maxPasses = 10

// recover brings what a killed run has left to its end.
func (f *Folder) recover() error {
	work, err := openFolder(f.top, workName, filepath.Join(f.path, workName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f.work = work
	entries, err := work.list()
	if err != nil {
		return failed("read", work.path, err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		if e.IsDir() {
			err = errors.Join(err, f.recoverFolder(work, e.Name()))
		}
	}
	if err != nil {
		return fmt.Errorf("clearing what an interrupted run has left: %w", err)
	}
	return nil
}

// recoverFolder settles one folder in the work folder; what is not named as kai
// names them is left alone.
func (f *Folder) recoverFolder(work *dir, name string) error {
	suffix := filepath.Ext(name)
	chart := strings.TrimSuffix(name, suffix)
	if checkName(chart) != nil {
		return nil
	}
	switch suffix {
	case newSuffix:
		return f.discard(work, name)
	case oldSuffix:
		_, err := f.clean(work, chart, suffix, nil)
		return err
	case backSuffix:
		_, err := f.top.stat(chart)
		if errors.Is(err, fs.ErrNotExist) {
			err = work.rename(name, f.top, chart)
		} else if err == nil {
			_, err = f.clean(work, chart, suffix, nil)
		}
		return err
	}
	return nil
}

// discard removes a folder that was never more than a draft.
func (f *Folder) discard(work *dir, name string) error {
	err := removeTree(work, name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return failed("clear", filepath.Join(work.path, name), err)
}

// removeTree removes a folder and all in it, following no link.
func removeTree(parent *dir, name string) error {
	d, err := parent.sub(name)
	if err != nil {
		return err
	}
	defer d.close()
	entries, err := listToEmpty(d)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			err = removeTree(d, e.Name())
		} else {
			err = d.remove(e.Name())
		}
		if err != nil {
			return err
		}
	}
	return parent.removeDir(name)
}

// listToEmpty lists a folder that is about to go, which its mode must not hinder.
func listToEmpty(d *dir) ([]fs.DirEntry, error) {
	if !d.writable() {
		if err := d.unprotect(); err != nil {
			return nil, err
		}
	}
	return d.list()
}

// cleaner takes a replaced folder apart.
type cleaner struct {
	record  files           // of the replaced folder
	givenUp map[string]bool // edited files that were replaced on purpose
	saved   []Change        // what had to be put beside something else
}

// clean removes the folder that the chart has replaced. What is the user's and
// has not got into the new one, because it could not be linked or because it
// has appeared meanwhile, moves there now; only what the record names with the
// same hash, or what the new folder holds as well, goes. The record goes last,
// so that a run that is killed here can be continued.
func (f *Folder) clean(work *dir, chart, suffix string, givenUp map[string]bool) ([]Change, error) {
	name := chart + suffix
	full := filepath.Join(work.path, name)
	d, err := work.sub(name)
	if err != nil {
		return nil, failed("open", full, err)
	}
	defer d.close()
	_, record, err := readRecord(d)
	if err != nil {
		return nil, err
	}
	c := &cleaner{record: record, givenUp: givenUp}
	now := &target{top: f.top, name: chart}
	defer now.close()
	for pass := 1; ; pass++ {
		if err := c.folder(d, now, ""); err != nil {
			return c.saved, failed("clear", full, err)
		}
		if err := d.remove(RecordName); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return c.saved, failed("clear", full, err)
		}
		err := work.removeDir(name)
		if err == nil {
			return c.saved, nil
		}
		if !isNotEmpty(err) || pass == maxPasses {
			return c.saved, failed("clear", full, err)
		}
	}
}

// folder empties a folder of the replaced chart.
func (c *cleaner) folder(old *dir, now *target, prefix string) error {
	entries, err := listToEmpty(old)
	if err != nil {
		return err
	}
	for _, e := range entries {
		p := prefix + e.Name()
		switch {
		case p == RecordName:
		case e.IsDir():
			err = c.subfolder(old, now, e.Name(), p)
		default:
			err = c.file(old, now, e.Name(), p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *cleaner) subfolder(old *dir, now *target, name, p string) error {
	if !c.record.below(p) && !now.has(name) {
		return c.save(old, now, name, p)
	}
	child := &target{parent: now, name: name}
	defer child.close()
	for pass := 1; ; pass++ {
		d, err := old.sub(name)
		if err != nil {
			return err
		}
		err = c.folder(d, child, p+"/")
		d.close()
		if err != nil {
			return err
		}
		if err = old.removeDir(name); err == nil || !isNotEmpty(err) || pass == maxPasses {
			return err
		}
	}
}

// file removes a file of the replaced chart, or saves it.
func (c *cleaner) file(old *dir, now *target, name, p string) error {
	goes, err := c.expendable(old, now, name, p)
	if err != nil {
		return err
	}
	if goes {
		return old.remove(name)
	}
	return c.save(old, now, name, p)
}

// expendable says whether nothing is lost with a file.
func (c *cleaner) expendable(old *dir, now *target, name, p string) (bool, error) {
	if c.givenUp[p] {
		return true, nil
	}
	in, err := old.stat(name)
	if err != nil {
		return false, err
	}
	d := now.open()
	var there info
	if d != nil {
		if there, err = d.stat(name); err == nil && there.id == in.id {
			return true, nil
		}
		if err != nil {
			d = nil
		}
	}
	if made := c.record.find(p); made != nil && in.mode.IsRegular() {
		if s, err := hash(old, name); err != nil || s == made.sum {
			return err == nil, err
		}
	}
	if d == nil || in.mode.Type() != there.mode.Type() {
		return false, nil
	}
	switch in.mode.Type() {
	case 0:
		return sameContent(old, d, name)
	case fs.ModeSymlink:
		a, err := old.readLink(name)
		if err != nil {
			return false, err
		}
		b, err := d.readLink(name)
		return a == b, err
	}
	return false, nil
}

func sameContent(a, b *dir, name string) (bool, error) {
	x, err := hash(a, name)
	if err != nil {
		return false, err
	}
	y, err := hash(b, name)
	return x == y, err
}

// save moves what is the user's to where it was in the chart or, if something
// has taken its place, beside that.
func (c *cleaner) save(old *dir, now *target, name, p string) error {
	d, err := now.make()
	if err != nil {
		return err
	}
	free := name
	for n := 1; exists(d, free); n++ {
		free = fmt.Sprintf("%s.saved%d", name, n)
	}
	if free != name {
		c.saved = append(c.saved, Change{strings.TrimSuffix(p, name) + free, KindForeign})
	}
	return old.rename(name, d, free)
}

func exists(d *dir, name string) bool {
	_, err := d.stat(name)
	return err == nil
}

// target is the folder of the new chart that answers to one of the old; it is
// opened when it is needed and made when something is to be saved in it.
type target struct {
	top    *dir // set for the chart's own folder
	parent *target
	name   string
	d      *dir
}

func (t *target) up() *dir {
	if t.parent == nil {
		return t.top
	}
	return t.parent.open()
}

// open gives the folder, or nil where there is none.
func (t *target) open() *dir {
	if t.d == nil {
		if up := t.up(); up != nil {
			t.d, _ = up.sub(t.name) // what cannot be opened cannot be compared, so all is saved
		}
	}
	return t.d
}

func (t *target) has(name string) bool {
	d := t.open()
	return d != nil && exists(d, name)
}

// make gives the folder and makes it if need be, under another name if a file
// stands in its place.
func (t *target) make() (*dir, error) {
	if d := t.open(); d != nil {
		return d, nil
	}
	up := t.top
	if t.parent != nil {
		var err error
		if up, err = t.parent.make(); err != nil {
			return nil, err
		}
	}
	name := t.name
	for n := 1; exists(up, name); n++ {
		name = fmt.Sprintf("%s.saved%d", t.name, n)
	}
	d, err := makeFolder(up, name)
	t.d = d
	return d, err
}

func (t *target) close() {
	if t.d != nil {
		t.d.close()
	}
}
