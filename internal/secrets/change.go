package secrets

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// What happens to a key.
const (
	Added   = "added"
	Changed = "changed"
	Removed = "removed"
)

// Change says what happens to a key, and never its value.
type Change struct {
	Key  Key
	What string
}

// Diff gives what makes one state of a path the other, sorted by key.
func Diff(path Path, before, after map[string]Value) []Change {
	var out []Change
	for _, name := range sortedNames(before) {
		if _, ok := after[name]; !ok {
			out = append(out, Change{path.key(name), Removed})
		}
	}
	for _, name := range sortedNames(after) {
		old, ok := before[name]
		switch {
		case !ok:
			out = append(out, Change{path.key(name), Added})
		case !old.Equal(after[name]):
			out = append(out, Change{path.key(name), Changed})
		}
	}
	slices.SortStableFunc(out, func(a, b Change) int { return strings.Compare(a.Key.Name, b.Key.Name) })
	return out
}

// Update changes what a path holds, as Edit does, and gives the changes and the
// version after. A dry run only says what would change.
func Update(ctx context.Context, s Store, path Path, dry bool, change func(values map[string]Value) error) ([]Change, string, error) {
	var changes []Change
	run := func(values map[string]Value) error {
		before := maps.Clone(values)
		if err := change(values); err != nil {
			return err
		}
		changes = Diff(path, before, values)
		return nil
	}
	if !dry {
		version, err := Edit(ctx, s, path, run)
		if err != nil {
			return nil, "", err
		}
		return changes, version, nil
	}
	docs, err := s.Read(ctx, []Path{path})
	if err != nil {
		return nil, "", err
	}
	values := maps.Clone(docs[path].Values)
	if values == nil {
		values = map[string]Value{}
	}
	if err := run(values); err != nil {
		return nil, "", err
	}
	if len(changes) > 0 {
		err = Check(ctx, s, []Doc{{Path: path, Values: values}})
	}
	return changes, docs[path].Version, err
}

// Put writes docs: their keys come to those that are there or, with replace, in
// the place of those that the same path holds. What the store can be known to
// refuse is an error before anything is written, also in a dry run. Each path is
// written by itself: where one fails all the same, the changes of those before it
// are given with the error.
func Put(ctx context.Context, s Store, docs []Doc, replace, dry bool) ([]Change, error) {
	if err := fits(ctx, s, docs, replace); err != nil {
		return nil, err
	}
	var all []Change
	for _, doc := range sortedDocs(docs) {
		changes, _, err := Update(ctx, s, doc.Path, dry, func(values map[string]Value) error {
			if replace {
				clear(values)
			}
			maps.Copy(values, doc.Values)
			return nil
		})
		if err != nil {
			return all, err
		}
		all = append(all, changes...)
	}
	return all, nil
}

// fits says whether a store can take docs, beside what their paths hold.
func fits(ctx context.Context, s Store, docs []Doc, replace bool) error {
	paths := make([]Path, len(docs))
	for i, doc := range docs {
		paths[i] = doc.Path
		for _, name := range sortedNames(doc.Values) {
			if err := CheckNames(doc.Path, name); err != nil {
				return fmt.Errorf("%s: %q %w", doc.Path, name, err)
			}
		}
	}
	if _, ok := s.(Checker); !ok || len(docs) == 0 {
		return nil
	}
	there, err := s.Read(ctx, paths)
	if err != nil {
		return err
	}
	after := make([]Doc, 0, len(docs))
	for _, doc := range sortedDocs(docs) {
		values := maps.Clone(there[doc.Path].Values)
		if replace || values == nil {
			values = map[string]Value{}
		}
		maps.Copy(values, doc.Values)
		if len(Diff(doc.Path, there[doc.Path].Values, values)) > 0 {
			after = append(after, Doc{Path: doc.Path, Values: values})
		}
	}
	return Check(ctx, s, after)
}

// Remove deletes what a pattern names. What is sealed in an Encrypted store and
// cannot be opened is deleted too.
func Remove(ctx context.Context, s Store, deployment string, p Pattern, dry bool) ([]Change, error) {
	s = Raw(s)
	var paths []Path
	if p.App != "" && p.Scope != "" {
		paths = []Path{{deployment, p.App, p.Scope}}
	} else {
		listed, err := s.List(ctx, deployment)
		if err != nil {
			return nil, err
		}
		paths = slices.DeleteFunc(listed, func(path Path) bool { return !p.Holds(path) })
	}
	var all []Change
	for _, path := range paths {
		changes, _, err := Update(ctx, s, path, dry, func(values map[string]Value) error {
			if p.Name == "" {
				clear(values)
			}
			delete(values, p.Name)
			return nil
		})
		if err != nil {
			return all, err
		}
		all = append(all, changes...)
	}
	return all, nil
}

// Amend does to a path what makes before of after, key by key, whatever else
// others have written meanwhile; where they have written one of the same keys,
// nothing is written and it fails.
func Amend(ctx context.Context, s Store, path Path, before, after map[string]Value) ([]Change, error) {
	wanted := Diff(path, before, after)
	if len(wanted) == 0 {
		return nil, nil
	}
	changes, _, err := Update(ctx, s, path, false, func(values map[string]Value) error {
		for _, c := range wanted {
			name := c.Key.Name
			old, was := before[name]
			now, is := values[name]
			if was != is || is && !old.Equal(now) {
				return fmt.Errorf("%s: %s was changed by somebody else meanwhile, and nothing is written there\n  hint: begin anew from what is there now", path, name)
			}
			if c.What == Removed {
				delete(values, name)
				continue
			}
			if err := CheckNames(path, name); err != nil {
				return fmt.Errorf("%s: %q %w", path, name, err)
			}
			values[name] = after[name]
		}
		return nil
	})
	return changes, err
}

// Select reads what a pattern names of a deployment, sorted.
func Select(ctx context.Context, s Store, deployment string, p Pattern) ([]Doc, error) {
	paths := []Path{{deployment, p.App, p.Scope}}
	if p.App == "" || p.Scope == "" {
		listed, err := s.List(ctx, deployment)
		if err != nil {
			return nil, err
		}
		paths = slices.DeleteFunc(listed, func(path Path) bool { return !p.Holds(path) })
	}
	docs, err := s.Read(ctx, paths)
	if err != nil {
		return nil, err
	}
	var out []Doc
	for _, doc := range sortedDocs(slices.Collect(maps.Values(docs))) {
		if p.Name != "" {
			v, ok := doc.Values[p.Name]
			if !ok {
				continue
			}
			doc.Values = map[string]Value{p.Name: v}
		}
		if len(doc.Values) > 0 {
			out = append(out, doc)
		}
	}
	return out, nil
}

// Past gives a store's history, and a *CannotError where it keeps none.
func Past(s Store) (Historian, error) {
	h, ok := s.(Historian)
	can := s.Can()
	if !ok || !can.History {
		return nil, &CannotError{can.Name, "give older versions: it keeps none", pastHints[can.Name]}
	}
	return h, nil
}

var pastHints = map[string]string{
	"file":       "where the file stands in a repository, git log has its history",
	"kubernetes": "the stores sql and vault keep versions: helm kai secrets copy",
	"vault":      "kv version 2 keeps versions: vault kv enable-versioning MOUNT",
}

// letters are what Random writes: none that a shell, a URL or YAML takes for
// something else.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// Random gives a text of letters and digits, which nobody can guess where it is
// long enough: each has almost six bits.
func Random(length int) (Value, error) {
	out := make([]byte, 0, length)
	some := make([]byte, length+16)
	for len(out) < length {
		if _, err := rand.Read(some); err != nil {
			return Value{}, fmt.Errorf("there are no random numbers to be had: %w", err)
		}
		for _, b := range some {
			// What is above the last whole multiple would make some letters likelier.
			if b < byte(256/len(letters)*len(letters)) && len(out) < length {
				out = append(out, letters[int(b)%len(letters)])
			}
		}
	}
	return New(string(out)), nil
}
