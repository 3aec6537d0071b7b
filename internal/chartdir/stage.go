package chartdir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/helm-kai/helm-kai/generator"
)

// The names under which a chart's folders lie in the work folder tell the next
// run what a killed one was about:
//
//	NAME.new   is being built and has never been anything else: goes
//	NAME.old   is complete and about to be exchanged, or has been: what the
//	           user has in it and the chart lacks moves to the chart, the rest goes
//	NAME.back  where folders cannot be exchanged, the chart while its
//	           successor takes its place: if none has, it comes back
const (
	newSuffix  = ".new"
	oldSuffix  = ".old"
	backSuffix = ".back"
)

// errNoExchange says that the system or the file system cannot swap folders.
var errNoExchange = errors.New("folders cannot be exchanged here")

// errReplaced says that another folder has taken the place of a locked one.
var errReplaced = errors.New("it has been replaced meanwhile")

// placement is something to be put into the new folder: a file to be written,
// or what is to be taken over from the old one.
type placement struct {
	path string
	data []byte
	from origin
}

// origin says how a placement gets into the new folder.
type origin uint8

const (
	written origin = iota // from the chart
	linked                // generated, and in the old folder already with the same bytes
	carried               // the user's file: can get across after the exchange as well
	folder                // the user's folder: the same for all that it holds
)

// Staged is a chart that is written, but does not stand in its place yet. Until
// Commit or Discard no other of its name can be.
type Staged struct {
	folder  *Folder
	c       *comparison
	state   State
	release func()
	builds  bool    // its folder is complete and waits to be exchanged
	seals   bool    // all its files are new, so that they can be sealed
	paths   Seal    // with no digests yet
	before  witness // of the folder as it is, or that waits
}

// Stage does all of Write that comes before the chart takes its place, which is
// left to Commit. A run that ends before has changed nothing.
func (f *Folder) Stage(ctx context.Context, chart generator.Chart, opts Options) (*Staged, error) {
	want, err := chartFiles(chart)
	if err != nil {
		return nil, err
	}
	release, err := f.claim(chart.Name)
	if err != nil {
		return nil, err
	}
	s := &Staged{folder: f, state: Updated, release: release}
	var paths sealedPaths
	if opts.Seal {
		paths = pathsOf(want)
		s.paths = witness{}.seal(paths)
		s.before = f.look(f.top, chart.Name, paths) // before it is read
	}
	seen := time.Now()
	if err = ctx.Err(); err == nil {
		s.c, err = f.compare(chart.Name, want)
	}
	if err != nil {
		release()
		return nil, err
	}
	switch c := s.c; {
	case c.upToDate():
		s.state, s.seals = Unchanged, opts.Seal && s.before.rested(seen)
	case c.has(KindForeign), c.has(KindEdited) && !opts.Force:
		s.state = Refused
	default:
		if !c.exists {
			s.state = Created
		}
		if err := f.build(ctx, c); err != nil {
			release()
			return nil, err
		}
		s.builds = true
		// A file that was linked was there before: that it has been changed since it was
		// read cannot be told from the change that the link is.
		if s.seals = opts.Seal && len(c.equal) == 0; s.seals {
			s.before = f.look(f.work, chart.Name+newSuffix, paths)
		}
	}
	s.c.forget()
	return s, nil
}

// Commit puts the chart in its place. An error leaves the folder as it was,
// unless the result says that the chart is written.
func (s *Staged) Commit(ctx context.Context) (Result, error) {
	defer s.release()
	result := s.c.result(s.state)
	if !s.builds {
		if s.seals {
			result.Seal = s.before.set(s.paths)
		}
		return result, nil
	}
	if err := ctx.Err(); err != nil {
		return Result{}, errors.Join(err, s.discard())
	}
	rested := s.before.rested(time.Now()) // until now nobody has seen it
	done, err := s.folder.take(s.c)
	if !done {
		return Result{}, err
	}
	result.Changes = s.c.changes
	if s.seals && rested && err == nil {
		paths, _ := s.paths.paths()
		if now := s.folder.look(s.folder.top, s.c.name, paths); now.ok && now.files == s.before.files {
			result.Seal = now.set(s.paths)
		}
	}
	return result, err
}

// Rest gives how long to wait until the chart, if it is committed then, can be
// sealed.
func (s *Staged) Rest() time.Duration {
	if !s.builds || !s.seals || !s.before.ok {
		return 0
	}
	return max(0, restTime-time.Since(s.before.latest)+time.Millisecond)
}

// Discard removes what Stage has written.
func (s *Staged) Discard() error {
	defer s.release()
	return s.discard()
}

func (s *Staged) discard() error {
	if !s.builds {
		return nil
	}
	return s.folder.discard(s.folder.work, s.c.name+newSuffix)
}

// forget drops what is on the disk now, or does not matter any more.
func (c *comparison) forget() {
	c.want, c.record, c.recText, c.equal, c.foreign = nil, nil, nil, nil, nil
	if !c.exists {
		c.changes = nil
	}
}

// remove takes the chart away, all but what is the user's. Done says whether it
// is gone, which it may be in spite of an error.
func (f *Folder) remove(ctx context.Context, c *comparison) (done bool, err error) {
	work, err := f.workDir()
	if err != nil {
		return false, err
	}
	if len(c.foreign) > 0 {
		if err := f.build(ctx, c); err != nil {
			return false, err
		}
		return f.take(c)
	}
	if err := f.top.rename(c.name, work, c.name+oldSuffix); err != nil {
		return false, failed("remove", c.path, err)
	}
	return f.clear(c)
}

// build makes the new folder beside the old one.
func (f *Folder) build(ctx context.Context, c *comparison) error {
	work, err := f.workDir()
	if err != nil {
		return err
	}
	err = f.stage(work, c, c.placements())
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return errors.Join(err, f.discard(work, c.name+newSuffix))
	}
	return nil
}

// take puts the new folder in the place of the old one, which goes.
func (f *Folder) take(c *comparison) (done bool, err error) {
	if err := f.swap(f.work, c); err != nil {
		return false, errors.Join(err, f.discard(f.work, c.name+newSuffix))
	}
	return f.clear(c)
}

// clear removes what the chart has replaced.
func (f *Folder) clear(c *comparison) (done bool, err error) {
	if !c.exists {
		return true, nil
	}
	saved, err := f.clean(f.work, c.name, oldSuffix, c.givenUp())
	c.changes = append(c.changes, saved...)
	if err != nil {
		return true, fmt.Errorf("%s: this is done, but what was there before is not cleared: %w", c.path, err)
	}
	return true, nil
}

// givenUp are the edited files that are overwritten or removed on purpose.
func (c *comparison) givenUp() map[string]bool {
	given := map[string]bool{}
	for _, ch := range c.changes {
		if ch.Kind == KindEdited {
			given[ch.Path] = true
		}
	}
	return given
}

// placements lists what the new folder will hold, sorted by path.
func (c *comparison) placements() []placement {
	out := make([]placement, 0, len(c.want)+len(c.foreign))
	for _, w := range c.want {
		p := placement{path: w.path, data: w.data}
		if c.equal[w.path] {
			p.from = linked
		}
		out = append(out, p)
	}
	for _, f := range c.foreign {
		p := placement{path: f.path, from: carried}
		if f.kind.IsDir() {
			p.from = folder
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b placement) int { return strings.Compare(a.path, b.path) })
	return out
}

// stage builds the new folder. Its record comes first and so names whatever of
// the chart is there when the run ends early.
func (f *Folder) stage(work *dir, c *comparison, places []placement) error {
	name := c.name + newSuffix
	if err := work.makeDir(name); err != nil {
		return failed("make the folder", filepath.Join(work.path, name), err)
	}
	next, err := work.sub(name)
	if err != nil {
		return failed("open", filepath.Join(work.path, name), err)
	}
	defer next.close()
	if record := c.want.record(); len(record) > 0 {
		if err := next.create(RecordName, record); err != nil {
			return c.failed("write", RecordName, err)
		}
	}
	var now *dir
	if c.exists {
		if now, err = f.top.sub(c.name); err != nil {
			return failed("open", c.path, err)
		}
		defer now.close()
	}
	return c.fill(next, now, "", places)
}

// failed names a file by the place that it was to have.
func (c *comparison) failed(doing, p string, err error) error {
	err = failed(doing, filepath.Join(c.path, filepath.FromSlash(p)), err)
	if c.exists {
		return fmt.Errorf("%w; the chart is left as it was", err)
	}
	return err
}

// fill puts the placements below prefix into the folder next. What of them is
// on disk lies in the folder now, which is nil where there is none.
func (c *comparison) fill(next, now *dir, prefix string, places []placement) error {
	for len(places) > 0 {
		p := places[0]
		name, _, nested := strings.Cut(p.path[len(prefix):], "/")
		if !nested {
			if err := place(next, now, name, p); err != nil {
				return c.failed("write", p.path, err)
			}
			places = places[1:]
			continue
		}
		below := prefix + name + "/"
		n := 1 // sorted paths of one folder stand together
		for n < len(places) && strings.HasPrefix(places[n].path, below) {
			n++
		}
		if err := c.fillFolder(next, now, name, below, places[:n]); err != nil {
			return err
		}
		places = places[n:]
	}
	if now == nil {
		return nil
	}
	if err := next.likeMode(now); err != nil {
		return c.failed("set the mode of", strings.TrimSuffix(prefix, "/"), err)
	}
	return nil
}

func (c *comparison) fillFolder(next, now *dir, name, below string, places []placement) error {
	sub, err := makeFolder(next, name)
	if err != nil {
		return c.failed("make the folder", path.Clean(below), err)
	}
	defer sub.close()
	var nowSub *dir
	if now != nil {
		// Where there is none, nothing is taken from it.
		if nowSub, err = now.sub(name); err == nil {
			defer nowSub.close()
		} else {
			nowSub = nil
		}
	}
	return c.fill(sub, nowSub, below, places)
}

func makeFolder(parent *dir, name string) (*dir, error) {
	if err := parent.makeDir(name); err != nil {
		return nil, err
	}
	return parent.sub(name)
}

// place puts one thing into the new folder.
func place(next, now *dir, name string, p placement) error {
	switch p.from {
	case written:
		return next.create(name, p.data)
	case linked:
		if now.link(name, next, name) == nil {
			return nil
		}
		return next.create(name, p.data)
	case folder:
		return carryFolder(next, now, name)
	}
	return carry(next, now, name)
}

// carry takes a file of the user's over. What cannot be linked (file systems
// without hard links, files of other users) is moved after the exchange.
func carry(next, now *dir, name string) error {
	if now.link(name, next, name) == nil {
		return nil
	}
	in, err := now.stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the user has taken it away meanwhile
	}
	if err != nil {
		return err
	}
	if in.mode&fs.ModeSymlink != 0 {
		target, err := now.readLink(name)
		if err != nil {
			return err
		}
		return next.symlink(target, name)
	}
	if !now.writable() {
		return fmt.Errorf("%w: %s cannot be linked, nor moved out of its folder", fs.ErrPermission, name)
	}
	return nil
}

// carryFolder takes a folder of the user's over, with all that it holds.
func carryFolder(next, now *dir, name string) error {
	from, err := now.sub(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer from.close()
	to, err := makeFolder(next, name)
	if err != nil {
		return err
	}
	defer to.close()
	entries, err := from.list()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			err = carryFolder(to, from, e.Name())
		} else {
			err = carry(to, from, e.Name())
		}
		if err != nil {
			return err
		}
	}
	return to.likeMode(from)
}

// swap puts the new folder, which is complete, in the place of the old one.
func (f *Folder) swap(work *dir, c *comparison) error {
	next, old := c.name+newSuffix, c.name+oldSuffix
	if !c.exists {
		return c.swapped(work.rename(next, f.top, c.name))
	}
	if err := work.rename(next, work, old); err != nil {
		return c.swapped(err)
	}
	err := f.exchange(work, old, f.top, c.name)
	if err == nil {
		return nil
	}
	if e := work.rename(old, work, next); e != nil {
		return c.swapped(errors.Join(err, e))
	}
	if errors.Is(err, errNoExchange) {
		err = f.swapInTwo(work, c.name)
	}
	return c.swapped(err)
}

// swapInTwo is for where folders cannot be exchanged: between its two steps the
// chart is missing, and the next run brings it back.
func (f *Folder) swapInTwo(work *dir, name string) error {
	next, back := name+newSuffix, name+backSuffix
	if err := f.top.rename(name, work, back); err != nil {
		return err
	}
	if err := work.rename(next, f.top, name); err != nil {
		return errors.Join(err, work.rename(back, f.top, name))
	}
	return work.rename(back, work, name+oldSuffix)
}

// swapped explains why a folder could not be put in the chart's place.
func (c *comparison) swapped(err error) error {
	switch {
	case err == nil:
		return nil
	case isOtherDevice(err):
		return fmt.Errorf("%s: the folder is a mount, or in a lower layer of a container's file system, and cannot be replaced as a whole; remove it first, or choose another folder: %w", c.path, err)
	}
	return failed("replace", c.path, err)
}
