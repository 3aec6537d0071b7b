package lock

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/helm-kai/helm-kai/internal/remote"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Resolver also asks what a source stands for now: a *remote.Fetcher.
type Resolver interface {
	Getter
	Resolve(ctx context.Context, s remote.Source, locked remote.Pin) (remote.Pin, error)
}

// Resolving gives a workspace what its sources stand for now, and notes it: that
// becomes the next kai.lock. It is safe for concurrent use.
type Resolving struct {
	ctx      context.Context // of the run, as in Pinned
	old      *File
	resolver Resolver
	version  string
	names    []string

	mu      sync.Mutex
	sources map[string]*resolution
	entries map[Use]Entry
}

// resolution is a source that is got once, however many ask.
type resolution struct {
	once sync.Once
	pin  remote.Pin
	got  fetched
}

// NewResolving gives the sources for an upgrade. Only what is named moves, by its
// name or its source; all, if nothing is. version is that of this kai.
func NewResolving(ctx context.Context, old *File, resolver Resolver, version string, names []string) *Resolving {
	return &Resolving{
		ctx: ctx, old: old, resolver: resolver, version: version, names: names,
		sources: map[string]*resolution{}, entries: map[Use]Entry{},
	}
}

func (r *Resolving) moves(name, text string) bool {
	return len(r.names) == 0 || slices.Contains(r.names, name) || slices.Contains(r.names, text)
}

// Ahead resolves what the old lock names, several at a time, so that those who
// ask need not wait for one after the other. What is wrong is said when asked.
func (r *Resolving) Ahead() {
	if r.old == nil {
		return
	}
	var wg sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for _, e := range r.old.Entries {
		s, err := remote.Parse(e.Source)
		if !e.IsRemote() || err != nil {
			continue
		}
		wg.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			r.resolve(s)
		})
	}
	wg.Wait()
}

func (r *Resolving) resolve(s remote.Source) *resolution {
	text := s.String()
	r.mu.Lock()
	one := r.sources[text]
	if one == nil {
		one = &resolution{}
		r.sources[text] = one
	}
	r.mu.Unlock()
	one.once.Do(func() {
		one.pin = r.old.pin(s)
		if one.pin == (remote.Pin{}) || r.moves(NameOf(s), text) {
			pin, err := r.resolver.Resolve(r.ctx, s, one.pin)
			if err != nil {
				one.got.err = err
				return
			}
			one.pin = pin
		}
		one.got = get(r.ctx, r.resolver, one.pin)
	})
	return one
}

// Tree gives the files that a source stands for now.
func (r *Resolving) Tree(u Use, s remote.Source) (Tree, source.Findings) {
	one := r.resolve(s)
	if one.got.err != nil {
		return Tree{}, source.Findings{Finding(u, one.got.err)}
	}
	r.note(Entry{Kind: u.Kind, Name: NameOf(s), Source: one.pin.Source, Resolved: one.pin.Resolved, Digest: one.pin.Digest})
	return one.got.tree, nil
}

// Own notes a use of the library, or of the workspace itself.
func (r *Resolving) Own(u Use, digest func() (string, error)) source.Findings {
	e := Entry{Kind: u.Kind, Name: u.Name, Source: u.Source}
	if u.Source == Library {
		is, err := digest()
		if err != nil {
			return source.Findings{Finding(u, err)}
		}
		e.Resolved, e.Digest = r.version, is
	}
	if old, ok := r.old.find(u); ok && old.Source == u.Source && (old.Digest == e.Digest || !r.moves(u.Name, u.Source)) {
		e = old
	}
	r.note(e)
	return nil
}

func (r *Resolving) note(e Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Origin = source.Origin{}
	r.entries[Use{Kind: e.Kind, Name: e.Name, Source: e.Source}] = e
}

// File gives what was noted.
func (r *Resolving) File() *File {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := &File{}
	for _, e := range r.entries {
		f.Entries = append(f.Entries, e)
	}
	f.Entries = sorted(f.Entries)
	return f
}

// Unknown gives the names that are neither in the old lock nor used now.
func (r *Resolving) Unknown() (unknown, known []string) {
	entries := r.File().Entries
	if r.old != nil {
		entries = append(entries, r.old.Entries...)
	}
	for _, e := range entries {
		known = append(known, e.Name)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	for _, name := range r.names {
		if !slices.ContainsFunc(entries, func(e Entry) bool { return e.Name == name || e.Source == name }) {
			unknown = append(unknown, name)
		}
	}
	return unknown, known
}

// Move is what an upgrade changes: one of Before and After may be missing.
type Move struct {
	Kind   Kind   `json:"kind"`
	Name   string `json:"name"`
	Before *Entry `json:"before,omitempty"`
	After  *Entry `json:"after,omitempty"`
}

// Word says what kind of change it is.
func (m Move) Word() string {
	switch {
	case m.Before == nil:
		return "new"
	case m.After == nil:
		return "no longer used"
	}
	return "moved"
}

// Compare gives what differs between two locks, in the order of the file. A source
// that is written otherwise, such as with another ref, is one that has moved.
func Compare(before, after *File) []Move {
	var old []Entry
	if before != nil {
		old = slices.Clone(before.Entries)
	}
	var moves []Move
	take := func(match func(Entry) bool) *Entry {
		i := slices.IndexFunc(old, match)
		if i < 0 {
			return nil
		}
		e := old[i]
		old = slices.Delete(old, i, i+1)
		return &e
	}
	var fresh []Entry
	for _, e := range after.Entries {
		was := take(func(o Entry) bool { return o.Kind == e.Kind && o.Name == e.Name && o.Source == e.Source })
		if was == nil {
			fresh = append(fresh, e)
		} else if was.Resolved != e.Resolved || was.Digest != e.Digest {
			moves = append(moves, Move{e.Kind, e.Name, was, &e})
		}
	}
	for _, e := range fresh {
		moves = append(moves, Move{e.Kind, e.Name, take(func(o Entry) bool { return o.Kind == e.Kind && o.Name == e.Name }), &e})
	}
	for _, e := range old {
		moves = append(moves, Move{e.Kind, e.Name, &e, nil})
	}
	slices.SortStableFunc(moves, func(a, b Move) int {
		return strings.Compare(string(a.Kind)+" "+a.Name, string(b.Kind)+" "+b.Name)
	})
	return moves
}
