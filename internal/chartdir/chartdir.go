// Package chartdir keeps generated charts on disk: OUT/CONTEXT holds a folder
// for each chart.
//
// Its rules:
//
//   - A chart is replaced as a whole. It is built beside, in OUT/CONTEXT/.kai,
//     and then exchanged with the folder that stands there, so that whoever
//     looks, and whenever kai is killed, sees the old chart or the new one. What
//     a killed run left in .kai is cleared by the next one.
//   - What kai made is recorded in the chart, in .kai.sha256, in the format of
//     `sha256sum -c`. It lies inside so that it changes hands with the chart.
//   - Nothing that the record does not name is ever removed or overwritten. Such
//     foreign files are hard-linked into the new folder before the exchange, so
//     that they are there at every moment; where that cannot be, and for files
//     that appear meanwhile, they are moved after it.
//   - A file differs when its bytes differ; times and sizes prove nothing. When
//     no byte differs nothing is written. That a folder is as it was is proved by
//     its Seal too, for those who remember what they wrote.
//   - No symbolic link is followed, whether it stands for OUT/CONTEXT, for a
//     chart, or within one; every step of a path is opened from its parent.
//   - One run at a time writes into an OUT/CONTEXT: an advisory lock on the
//     folder itself, which the kernel drops with the process, leaves no file
//     behind and is why whatever lies in .kai is known to be a dead run's. On
//     network file systems that lock holds between processes of one machine.
//
// Nothing is flushed to the device: the promise is against the death of the
// process, not of the machine, and a flush for each chart would cost more than
// everything else. After a power failure a file may be empty; it is then
// reported as edited, and generating with Force restores it.
package chartdir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/helm-kai/helm-kai/internal/source"
)

// RecordName is the file in a chart's folder that lists what kai made there.
const RecordName = ".kai.sha256"

// workName is the folder beside the charts in which they are built and to
// which replaced ones retire. No chart's name begins with a dot.
const workName = ".kai"

// State is what became of a chart.
type State string

// The states of a chart. Write gives Created, Updated, Unchanged or Refused;
// Check and Obsolete give Unchanged or Stale; Prune gives Removed or Refused.
const (
	Created   State = "created"
	Updated   State = "updated"
	Unchanged State = "unchanged"
	Removed   State = "removed"
	Stale     State = "stale"   // would be written, removed or refused
	Refused   State = "refused" // something of the user's stands in the way
)

// Kind is how a file on disk differs from the chart.
type Kind string

// The kinds of change. Edited is a file that kai made and that has been altered
// since; Foreign is one that kai did not make and that stands where it would
// write, or that had to be put aside.
const (
	KindAdded   Kind = "added"
	KindChanged Kind = "changed"
	KindRemoved Kind = "removed"
	KindEdited  Kind = "edited"
	KindForeign Kind = "foreign"
)

// Change is one file that differs. Path is slash-separated and below the
// chart's folder.
type Change struct {
	Path string
	Kind Kind
}

// Result is what became of one chart. Changes are sorted by path; with the
// state Refused they are those that would have been made, and the reasons
// against them, and with Created, where everything is new, there are none.
type Result struct {
	Chart   string
	Folder  string // where it lies
	State   State
	Changes []Change
	// Obsolete says of a chart that was refused that it should go, since it is not
	// among those to keep.
	Obsolete bool
	Seal     Seal // of the folder as it is now, where Options ask for one and it can be had
}

// Findings gives the reasons for which a chart was refused, each with the way
// out, and nothing for any other state.
func (r Result) Findings() source.Findings {
	if r.State != Refused {
		return nil
	}
	var out source.Findings
	for _, c := range r.Changes {
		f := source.Finding{Origin: source.Origin{Position: source.Position{File: filepath.ToSlash(filepath.Join(r.Folder, filepath.FromSlash(c.Path)))}}}
		switch c.Kind {
		case KindEdited:
			f.Code, f.Message = "edited-file", "has been edited since kai generated it, and is left as it is"
			f.Hint = "carry the edit over into the descriptor, or give it up with --force"
			if r.Obsolete {
				f.Hint = "nothing describes this chart any more: keep the edit elsewhere, and remove the chart with --force"
			}
		case KindForeign:
			f.Code, f.Message = "foreign-file", "stands where kai would write, but kai did not generate it"
			f.Hint = "move it away"
		default:
			continue
		}
		out = append(out, f)
	}
	return out
}

// Options say how charts are written.
type Options struct {
	Force bool // overwrite and remove generated files that have been edited
	Seal  bool // seal the charts that are there in the end
}

// Folder is an OUT/CONTEXT that this process holds. Its methods may be called
// from several goroutines at once.
type Folder struct {
	path     string
	top      *dir // nil where a folder to be read does not exist
	unlock   func()
	exchange func(from *dir, fromName string, to *dir, toName string) error
	// keepsTime says that the file system can be relied upon for seals.
	keepsTime bool

	mu     sync.Mutex
	work   *dir
	claims map[string]*claim
}

// claim makes the writers of one chart wait for each other.
type claim struct {
	name string
	mu   sync.Mutex
}

// Open makes the folder if need be, waits until no other run writes there or
// ctx ends, and clears what a killed run has left. The folder is held until
// Close, which belongs right after.
func Open(ctx context.Context, path string) (*Folder, error) {
	path = filepath.Clean(path)
	if err := refuseLink(path); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, failed("make the folder", path, err)
	}
	f, err := hold(ctx, path, true)
	if err != nil {
		return nil, err
	}
	if err := f.recover(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// View opens the folder for Check and Obsolete only. It waits, as Open does,
// for a run that writes there, and writes nothing; the folder need not exist.
func View(ctx context.Context, path string) (*Folder, error) {
	path = filepath.Clean(path)
	if err := refuseLink(path); err != nil {
		return nil, err
	}
	f, err := hold(ctx, path, false)
	if errors.Is(err, fs.ErrNotExist) {
		return &Folder{path: path, unlock: func() {}, claims: map[string]*claim{}}, nil
	}
	return f, err
}

func hold(ctx context.Context, path string, exclusive bool) (*Folder, error) {
	top, err := openDir(path)
	if err != nil {
		return nil, failed("open", path, err)
	}
	unlock, err := lock(ctx, top, exclusive)
	if err != nil {
		top.close()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: another run of kai writes here: %w", path, ctx.Err())
		}
		return nil, failed("lock", path, err)
	}
	return &Folder{path: path, top: top, unlock: unlock, exchange: exchange, keepsTime: top.keepsTime(), claims: map[string]*claim{}}, nil
}

// Close lets other runs in.
func (f *Folder) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.top == nil {
		return nil
	}
	var err error
	if f.work != nil {
		f.work.close()
		f.work = nil
		// What could not be cleared has been reported; it keeps the folder.
		if e := f.top.removeDir(workName); e != nil && !isNotEmpty(e) && !errors.Is(e, fs.ErrNotExist) {
			err = failed("remove", filepath.Join(f.path, workName), e)
		}
	}
	f.unlock()
	f.top.close()
	f.top = nil
	return err
}

// workDir gives the work folder, made when it is first needed so that a run
// that changes nothing writes nothing.
func (f *Folder) workDir() (*dir, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.work != nil {
		return f.work, nil
	}
	path := filepath.Join(f.path, workName)
	if err := f.top.makeDir(workName); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, failed("make the folder", path, err)
	}
	work, err := openFolder(f.top, workName, path)
	if err != nil {
		return nil, err
	}
	f.work = work
	return work, nil
}

// claim reserves a chart's folder for the caller until release is called.
func (f *Folder) claim(name string) (release func(), err error) {
	f.mu.Lock()
	key := fold(name)
	c := f.claims[key]
	if c == nil {
		c = &claim{name: name}
		f.claims[key] = c
	}
	f.mu.Unlock()
	if c.name != name {
		return nil, fmt.Errorf("%s: the charts %q and %q differ only in case, and many file systems take them for one; rename one", f.path, c.name, name)
	}
	c.mu.Lock()
	return c.mu.Unlock, nil
}

// refuseLink gives an error if a symbolic link stands at path.
func refuseLink(path string) error {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return linkError(path)
	}
	return nil
}

// linkError names a symbolic link that kai would have to follow.
func linkError(path string) error {
	return fmt.Errorf("%s: is a symbolic link, and kai does not write through links; remove it or choose another folder", path)
}

// failed says what could not be done with which path, in the words of the
// operating system but without its names for calls.
func failed(doing, path string, err error) error {
	var pathError *fs.PathError
	var linkError *os.LinkError
	switch {
	case errors.As(err, &pathError):
		err = pathError.Err
	case errors.As(err, &linkError):
		err = linkError.Err
	}
	return fmt.Errorf("%s: cannot %s: %w", path, doing, err)
}
