package chartdir

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/helm-kai/helm-kai/generator"
)

// Write makes the chart's folder hold the chart, beside what else the user has
// put there. It is left as it is, with the state Refused, when a file that kai
// generated has been edited and opts.Force is not set, or when a file of the
// user's stands where one of the chart's must go. A generated file that has
// been removed is made again. An error leaves the folder as it was, unless the
// result says that the chart is written.
func (f *Folder) Write(ctx context.Context, chart generator.Chart, opts Options) (Result, error) {
	s, err := f.Stage(ctx, chart, opts)
	if err != nil {
		return Result{}, err
	}
	return s.Commit(ctx)
}

// Check says what Write would find, and writes nothing: Unchanged, or Stale
// with the files that are missing (added), changed, to be removed, edited, or
// in the way.
func (f *Folder) Check(chart generator.Chart) (Result, error) {
	want, err := chartFiles(chart)
	if err != nil {
		return Result{}, err
	}
	c, err := f.compare(chart.Name, want)
	if err != nil {
		return Result{}, err
	}
	if c.upToDate() {
		return c.result(Unchanged), nil
	}
	return c.result(Stale), nil
}

// Prune removes the charts that kai made and that are not among those to keep.
// What kai did not make stays. A chart of which a file has been edited stays as a
// whole, with the state Refused, unless opts.Force is set. A chart that cannot be
// removed does not keep the others from being.
func (f *Folder) Prune(ctx context.Context, keep []string, opts Options) ([]Result, error) {
	names, err := f.obsolete(keep)
	if err != nil {
		return nil, err
	}
	var results []Result
	var errs []error
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return results, errors.Join(append(errs, err)...)
		}
		r, err := f.prune(ctx, name, opts)
		if err != nil {
			errs = append(errs, err)
		}
		if r.State != "" {
			results = append(results, r)
		}
	}
	return results, errors.Join(errs...)
}

// Obsolete says which charts Prune would remove, each with its files, and
// removes nothing.
func (f *Folder) Obsolete(keep []string) ([]Result, error) {
	names, err := f.obsolete(keep)
	if err != nil {
		return nil, err
	}
	var results []Result
	var errs []error
	for _, name := range names {
		c, err := f.compare(name, nil)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		results = append(results, c.result(Stale))
	}
	return results, errors.Join(errs...)
}

// obsolete gives the folders with a record that are not among those to keep.
func (f *Folder) obsolete(keep []string) ([]string, error) {
	if f.top == nil {
		return nil, nil
	}
	kept := make(map[string]bool, len(keep))
	for _, name := range keep {
		kept[name] = true
	}
	f.mu.Lock() // the folder is read through one handle
	entries, err := f.top.list()
	f.mu.Unlock()
	if err != nil {
		return nil, failed("read", f.path, err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() || kept[e.Name()] || checkName(e.Name()) != nil {
			continue
		}
		d, err := f.top.sub(e.Name())
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue // what kai cannot look into it has not made
		}
		if err != nil {
			return nil, failed("open", filepath.Join(f.path, e.Name()), err)
		}
		if _, err := d.stat(RecordName); err == nil {
			names = append(names, e.Name())
		}
		d.close()
	}
	slices.Sort(names)
	return names, nil
}

func (f *Folder) prune(ctx context.Context, name string, opts Options) (Result, error) {
	release, err := f.claim(name)
	if err != nil {
		return Result{}, err
	}
	defer release()
	c, err := f.compare(name, nil)
	if err != nil {
		return Result{}, err
	}
	if c.has(KindEdited) && !opts.Force {
		r := c.result(Refused)
		r.Obsolete = true
		return r, nil
	}
	done, err := f.remove(ctx, c)
	if !done {
		return Result{}, err
	}
	return c.result(Removed), err
}
