package workspace

import (
	"io/fs"
	"maps"
	"slices"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Unapplied is a context of a descriptor that no context of the workspace applies.
type Unapplied struct {
	Service, Context string
	Origin           source.Origin
}

// Unapplied gives the contexts of some services that no context of the workspace
// applies, by itself or since another one extends it, by service and in their order.
// Those that others of these extend are not among them: they are part of those. Where a
// context of the workspace cannot be resolved there are none, for nobody knows.
func (w *Workspace) Unapplied(wanted func(service string) bool) []Unapplied {
	if w.root == nil {
		return nil
	}
	var targets []*Target
	for _, name := range w.contexts.Names() {
		t, _ := w.Target(name)
		if t == nil {
			return nil
		}
		targets = append(targets, t)
	}
	var out []Unapplied
	for _, s := range w.Services {
		if !wanted(s.Name) {
			continue
		}
		applied, extended := map[string]bool{}, map[string]bool{}
		for _, t := range targets {
			// A context that leaves the service out would apply it all the same.
			note(applied, s.Contexts, s.Contexts.Choose(t.Uses, t.Lineage)...)
		}
		for _, name := range s.Contexts.Names() {
			if !applied[name] {
				note(extended, s.Contexts, s.Contexts.Get(name).Extends...)
			}
		}
		for _, name := range s.Contexts.Names() {
			if !applied[name] && !extended[name] {
				out = append(out, Unapplied{s.Name, name, s.Contexts.Get(name).Origin})
			}
		}
	}
	return out
}

// note notes contexts and all that they extend.
func note(in map[string]bool, contexts *descriptor.Contexts, names ...string) {
	for _, name := range names {
		in[name] = true
	}
	chain, _ := contexts.Chain(names...) // reading the descriptor has said what is wrong
	for _, c := range chain {
		in[c.Name] = true
	}
}

// Assuming gives the workspace with a context that it has not: one of descriptors, with
// the workspace's own variables alone. Services that have neither it nor a base are left
// out.
func (w *Workspace) Assuming(c Unapplied) *Workspace {
	again := w.twin()
	again.Services = w.Services
	except := source.NewList(c.Origin)
	for _, s := range w.Services {
		if s.Contexts.Choose(nil, []string{c.Context}) == nil {
			except.Items = append(except.Items, source.NewString(c.Origin, s.Name))
		}
	}
	again.contexts = descriptor.ReadContexts(source.NewList(c.Origin, source.NewMap(c.Origin,
		source.Field{Key: "name", Value: source.NewString(c.Origin, c.Context)},
		source.Field{Key: "except", Value: except},
	)), "contexts", &source.Findings{})
	return again
}

// twin gives a workspace of the same files, flavors and friends, without services.
func (w *Workspace) twin() *Workspace {
	again := bare(w.forest.own)
	again.forest, again.FS, again.sources, again.through = w.forest, w.FS, w.sources, w.through
	again.Name, again.Types, again.Values, again.Incomplete = w.Name, w.Types, w.Values, w.Incomplete
	again.base, again.root, again.contexts = w.base, w.root, w.contexts
	again.flavorDirs, again.friendDirs = w.flavorDirs, w.friendDirs
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.Copy(again.flavors, w.flavors)
	maps.Copy(again.friends, w.friends)
	return again
}

// Trying gives the workspace with other services than its own: those of descriptors
// that are given by the paths of their files, which need not be there.
func (w *Workspace) Trying(descriptors map[string][]byte) (*Workspace, source.Findings) {
	again := w.twin()
	own := &withFiles{FS: w.FS, files: descriptors}
	again.FS = own
	var findings source.Findings
	for _, file := range slices.Sorted(maps.Keys(descriptors)) {
		s, more := descriptor.ReadService(own, file, w.Types)
		findings = append(findings, more...)
		if s != nil {
			again.Services = append(again.Services, s)
		}
	}
	return again, findings
}

// withFiles is a tree with more files.
type withFiles struct {
	fs.FS
	files map[string][]byte
}

// ReadFile reads a file.
func (f *withFiles) ReadFile(name string) ([]byte, error) {
	if data, ok := f.files[name]; ok {
		return data, nil
	}
	return fs.ReadFile(f.FS, name)
}

// ReadFileMax implements source.BoundedFS.
func (f *withFiles) ReadFileMax(name string, max int64) ([]byte, error) {
	if data, ok := f.files[name]; ok {
		return data, nil
	}
	return source.ReadFile(f.FS, name, max)
}

// Stat says what a file is.
func (f *withFiles) Stat(name string) (fs.FileInfo, error) { return fs.Stat(f.FS, name) }

// ReadDir lists a folder.
func (f *withFiles) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(f.FS, name) }
