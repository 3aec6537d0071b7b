// Package workspace finds services, contexts, flavors and friends in a tree of
// files, which may be a folder or a git revision. No path leaves the tree. What
// stands elsewhere is given by Sources.
package workspace

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/helm-kai/helm-kai/flavors"
	"github.com/helm-kai/helm-kai/friends"
	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/lock"
	"github.com/helm-kai/helm-kai/internal/remote"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/schemas"
)

// FileName is the name of a workspace's file, at the root of its tree.
const FileName = source.WorkspaceFile

// DefaultVersion is the version of a chart where nothing gives one.
const DefaultVersion = "0.1.0"

// Workspace is a set of services that are installed together, or one service
// alone.
type Workspace struct {
	Name     string                // "" for one service alone
	FS       fs.FS                 // its files, and those from elsewhere that it uses
	Services []*descriptor.Service // sorted by name
	Types    *descriptor.Types     // the built-in ones
	Values   *descriptor.Types     // the shapes of what stands in a chart's values
	// Incomplete says that a descriptor could not be read, or that services are not where
	// the workspace has them, so that not every service is known.
	Incomplete bool

	base       string // folder of its file in FS; "" is the root
	root       *source.Value
	contexts   *descriptor.Contexts
	flavorDirs []folder
	friendDirs []folder
	sources    Sources
	forest     *forest

	through func(fs.FS) fs.FS // in whose form the library is read, or nil

	mu      sync.Mutex
	flavors map[string]*loadedFlavor
	friends map[string]*loaded[*descriptor.Friend]
}

// loaded is read once, however many ask for it at the same time.
type loaded[T any] struct {
	once     sync.Once
	value    T
	findings source.Findings
}

// loadedFlavor is a flavor and whether what it extends comes to an end, which
// has to be known before one waits for another.
type loadedFlavor struct {
	loaded[*descriptor.Flavor]
	lineage sync.Once
	cycle   source.Findings
}

var workspaceKeys = []string{"apiVersion", "name", "services", "flavors", "friends", "defaults", "version", "variables", "validate", "contexts"}

var contextKeys = []string{
	"namespace", "variables", "versions", "cluster", "secrets", "only", "except", "values", "uses",
	"gateway", "ingress", "istio", "monitoring", "dependencies", "confirm",
}

// Open reads the workspace at the root of a tree, as OpenWith does; nothing from
// elsewhere can be had.
func Open(fsys fs.FS) (*Workspace, source.Findings) { return OpenWith(fsys, nothing{}) }

// OpenWith reads the workspace at the root of a tree: kai-workspace.yaml, or else
// the one service whose kai.yaml stands there. sources gives what stands
// elsewhere, when it is asked for.
func OpenWith(fsys fs.FS, sources Sources) (*Workspace, source.Findings) {
	w, findings := empty(fsys)
	if w == nil {
		return nil, findings
	}
	w.sources = sources
	return w.open()
}

// Again opens the workspace in another form: form gives that of its files, which
// are those of w, trees from elsewhere included, and that of the library. With
// the same flavors, those that w has read are taken.
func (w *Workspace) Again(form func(fs.FS) fs.FS, sameFlavors bool) (*Workspace, source.Findings) {
	again := bare(w.forest.own)
	again.forest, again.FS, again.sources, again.through = w.forest, form(w.forest), w.sources, form
	again.Types, again.Values = w.Types, w.Values
	if sameFlavors {
		w.mu.Lock()
		maps.Copy(again.flavors, w.flavors)
		w.mu.Unlock()
	}
	return again.open()
}

// Within opens the workspace or the service in a folder of w's tree as Open does one
// at the root. It finds w's flavors and friends after its own, and what is elsewhere
// as w does; before those it looks for flavors in the folders that are given.
func (w *Workspace) Within(dir string, flavors ...string) (*Workspace, source.Findings) {
	in := bare(w.forest.own)
	in.forest, in.FS, in.sources, in.Types, in.Values, in.base = w.forest, w.FS, w.sources, w.Types, w.Values, dir
	in, findings := in.open()
	if in == nil {
		return nil, findings
	}
	for _, f := range flavors {
		in.flavorDirs = append(in.flavorDirs, folder{path: f})
	}
	in.flavorDirs = append(in.flavorDirs, w.flavorDirs...)
	in.friendDirs = append(in.friendDirs, w.friendDirs...)
	return in, findings
}

func (w *Workspace) open() (*Workspace, source.Findings) {
	fsys, file, service := w.FS, path.Join(w.base, FileName), path.Join(w.base, descriptor.FileName)
	switch _, err := fs.Stat(fsys, file); {
	case err == nil:
		return w.read(file)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, source.Findings{source.FileFinding(file, err)}
	}
	if _, err := fs.Stat(fsys, service); errors.Is(err, fs.ErrNotExist) {
		return nil, source.Findings{{Code: "file", Message: "there is neither " + service + " nor " + file + " here", Hint: "helm kai init writes one"}}
	}
	s, findings := descriptor.ReadService(fsys, service, w.Types)
	if s != nil {
		w.Services = []*descriptor.Service{s}
	}
	return w, findings
}

func builtIn(file string) (*descriptor.Types, source.Findings) {
	v, findings := source.ReadYAML(schemas.FS, file)
	if findings != nil {
		return nil, findings
	}
	return descriptor.ParseTypes(nil, v, true)
}

func (w *Workspace) read(file string) (*Workspace, source.Findings) {
	root, findings := source.ReadYAML(w.FS, file)
	if findings != nil {
		return nil, findings
	}
	w.root = root
	if !descriptor.CheckRoot(root, &findings) {
		return nil, findings
	}
	w.Name = root.Get("name").Str()
	descriptor.UnknownKeys(root, "", workspaceKeys, &findings)
	w.contexts = descriptor.ReadContexts(root.Get("contexts"), "contexts", &findings)
	for _, name := range w.contexts.Names() {
		descriptor.UnknownKeys(w.contexts.Get(name).Fields, "contexts."+name, contextKeys, &findings)
	}
	if d := root.Get("defaults"); !d.IsNull() && d.Kind != source.Map {
		findings.Add("wrong-type", d.Origin, "defaults", "write fields of a context", "expected a map, got %s", d.Kind)
	}
	w.flavorDirs = w.folders("flavors", &findings)
	w.friendDirs = w.folders("friends", &findings)
	if v := root.Get("version"); v != nil && !descriptor.IsVersion(v.Str()) {
		findings.Add("version", v.Origin, "version", "write MAJOR.MINOR.PATCH, such as 0.4.0", "%q is no semantic version", v.Str())
	}
	w.readServices(&findings)
	return w, findings
}

// inside gives a path relative to the workspace's file, and says where one leads
// out of the tree.
func inside(v *source.Value, where string, findings *source.Findings) (string, bool) {
	return descriptor.Inside(path.Dir(v.OriginOrNone().File), v, where, findings)
}

func (w *Workspace) readServices(findings *source.Findings) {
	files := map[string]source.Origin{}
	for i, item := range descriptor.ListOf(w.root.Get("services"), "services", findings) {
		here := descriptor.Index("services", i)
		pattern, ok := inside(item, here, findings)
		if !ok {
			continue
		}
		matches, err := fs.Glob(w.FS, pattern)
		if err != nil {
			findings.Add("file", item.Origin, here, "close the [, or put \\ before a character that is meant as it is", "%q is no pattern: %s", item.Str(), err)
			continue
		}
		found := false
		for _, m := range matches {
			// A README beside the folders of the services.
			if info, err := fs.Stat(w.FS, m); err == nil && !info.IsDir() {
				continue
			}
			file := path.Join(m, descriptor.FileName)
			if _, err := fs.Stat(w.FS, file); errors.Is(err, fs.ErrNotExist) {
				continue
			}
			found = true
			files[file] = item.Origin
		}
		if !found {
			w.Incomplete = true
			findings.Add("file", item.Origin, here, "a service is a folder with a "+descriptor.FileName, "no service matches %q", item.Str())
		}
	}
	names := map[string]*descriptor.Service{}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		s, more := descriptor.ReadService(w.readBy(file), file, w.Types)
		*findings = append(*findings, more...)
		if s == nil {
			w.Incomplete = true
			continue
		}
		if other := names[s.Name]; other != nil {
			findings.Add("duplicate-name", s.Origin(), "name", "rename one of the two", "the service %q stands in %s as well", s.Name, other.File)
			continue
		}
		names[s.Name] = s
		w.Services = append(w.Services, s)
	}
	slices.SortFunc(w.Services, func(a, b *descriptor.Service) int { return strings.Compare(a.Name, b.Name) })
}

// Service gives a service by name, or nil.
func (w *Workspace) Service(name string) *descriptor.Service {
	for _, s := range w.Services {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// ServiceNames gives the names of all services, sorted.
func (w *Workspace) ServiceNames() []string {
	names := make([]string, len(w.Services))
	for i, s := range w.Services {
		names[i] = s.Name
	}
	return names
}

// ContextNames gives the contexts that a command can be run for: the
// workspace's, or else the one service's.
func (w *Workspace) ContextNames() []string {
	if names := w.contexts.Names(); len(names) > 0 || w.root != nil {
		return names
	}
	if len(w.Services) == 1 {
		return w.Services[0].Contexts.Names()
	}
	return nil
}

// ContextNames gives the names of the contexts of the workspace at the root of a
// tree without reading more than that takes, or nil where it cannot be read.
func ContextNames(fsys fs.FS) []string {
	for _, file := range []string{FileName, descriptor.FileName} {
		if root, findings := source.ReadYAML(fsys, file); findings == nil {
			return descriptor.ReadContexts(root.Get("contexts"), "contexts", &source.Findings{}).Names()
		}
		if exists(fsys, file) {
			return nil
		}
	}
	return nil
}

// Version gives the version of charts whose descriptor gives none.
func (w *Workspace) Version() string {
	if v := w.root.Get("version").Str(); v != "" {
		return v
	}
	return DefaultVersion
}

// Defaults are the context fields that every service starts from, or nil.
func (w *Workspace) Defaults() *source.Value { return w.root.Get("defaults") }

// Flavor finds a flavor by the name that a file gives it: a path that begins
// with ./ or ../, relative to that file, a source elsewhere, or a name of the
// workspace's folders or the built-in library.
func (w *Workspace) Flavor(name *source.Value) (*descriptor.Flavor, source.Findings) {
	f, findings := w.anyFlavor(name)
	if findings.Err() != nil {
		return nil, findings
	}
	return f, nil
}

// anyFlavor is Flavor that gives one in which something is wrong as well, as far as it
// could be read.
func (w *Workspace) anyFlavor(name *source.Value) (*descriptor.Flavor, source.Findings) {
	fsys, dir, findings := w.findFlavor(name)
	if findings != nil {
		return nil, findings
	}
	if findings := w.useFlavor(fsys, dir, name); findings != nil {
		return nil, findings
	}
	key := w.flavorKey(fsys, dir)
	w.mu.Lock()
	entry := w.flavors[key]
	if entry == nil {
		entry = &loadedFlavor{}
		w.flavors[key] = entry
	}
	w.mu.Unlock()
	entry.lineage.Do(func() { entry.cycle = w.flavorCycle(fsys, dir) })
	if entry.cycle != nil {
		return nil, slices.Clone(entry.cycle)
	}
	entry.once.Do(func() {
		entry.value, entry.findings = descriptor.ReadFlavor(w.form(fsys), dir, fsys == fs.FS(flavors.FS), w.Types, func(parent *source.Value) (*descriptor.Flavor, source.Findings) {
			value, findings := w.Flavor(parent)
			for i := range findings {
				if findings[i].Origin == parent.Origin {
					findings[i].Path = "extends"
				}
			}
			return value, findings
		})
	})
	return entry.value, slices.Clone(entry.findings)
}

// useFlavor tells the sources that a flavor is used.
func (w *Workspace) useFlavor(fsys fs.FS, dir string, name *source.Value) source.Findings {
	switch {
	case fsys == fs.FS(flavors.FS):
		return w.library(lock.Flavor, dir, name.Origin, "flavor")
	case isPath(name.Str()):
		return w.own(lock.Flavor, dir, dir, name.Origin, "flavor")
	}
	return w.own(lock.Flavor, name.Str(), dir, name.Origin, "flavor")
}

func (w *Workspace) flavorKey(fsys fs.FS, dir string) string {
	if fsys == fs.FS(flavors.FS) {
		return "built-in " + dir
	}
	return dir
}

// maxLineage bounds how many flavors extend one another: servers can make up
// ever new ones.
const maxLineage = 32

// flavorCycle says where what a flavor extends leads back to a flavor that it
// has passed, or nowhere.
func (w *Workspace) flavorCycle(fsys fs.FS, dir string) source.Findings {
	passed := map[string]bool{}
	for {
		passed[w.flavorKey(fsys, dir)] = true
		root, _ := source.ReadYAML(w.form(fsys), path.Join(dir, descriptor.FlavorFile))
		parent := root.Get("extends")
		if !parent.IsScalar() {
			return nil
		}
		var findings source.Findings
		if fsys, dir, findings = w.findFlavor(parent); findings != nil {
			return nil // reading the flavor says so
		}
		if len(passed) >= maxLineage {
			findings.Add("limit", parent.Origin, "extends", "let one of them extend a flavor further up", "more flavors extend one another than the bound of %d", maxLineage)
			return findings
		}
		if passed[w.flavorKey(fsys, dir)] {
			findings.Add("cycle", parent.Origin, "extends", "name another flavor", "the flavor %q extends itself", parent.Str())
			return findings
		}
	}
}

func isPath(text string) bool {
	return strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../") || strings.HasPrefix(text, "/")
}

func (w *Workspace) findFlavor(name *source.Value) (fs.FS, string, source.Findings) {
	text := name.Str()
	switch {
	case isPath(text):
		dir, ok, findings := besides(name, "flavor")
		if !ok {
			return nil, "", findings
		}
		return w.flavorAt(dir, name)
	case remote.IsRemote(text):
		dir, findings := w.elsewhere(lock.Flavor, name, "flavor")
		if findings != nil {
			return nil, "", findings
		}
		return w.flavorAt(dir, name)
	}
	for _, f := range w.flavorDirs {
		dir, findings := w.at(f, lock.Flavors)
		if findings != nil {
			return nil, "", findings
		}
		own := path.Join(dir, text)
		if fs.ValidPath(own) && source.TreeOf(own) == source.TreeOf(dir) && exists(w.FS, path.Join(own, descriptor.FlavorFile)) {
			return w.FS, own, nil
		}
	}
	if fs.ValidPath(text) && exists(flavors.FS, path.Join(text, descriptor.FlavorFile)) {
		return flavors.FS, text, nil
	}
	var findings source.Findings
	findings.Add("unknown-flavor", name.Origin, "flavor", source.Nearest(text, w.usable()), "there is no flavor %q", text)
	return nil, "", findings
}

// flavorAt gives the flavor in a folder that is named as such.
func (w *Workspace) flavorAt(dir string, name *source.Value) (fs.FS, string, source.Findings) {
	if !exists(w.FS, path.Join(dir, descriptor.FlavorFile)) {
		var findings source.Findings
		findings.Add("unknown-flavor", name.Origin, "flavor", "a flavor is a folder with a "+descriptor.FlavorFile, "there is no flavor at %q", name.Str())
		return nil, "", findings
	}
	return w.FS, dir, nil
}

// exists says whether there is a file of a name. One that cannot be reached, as
// behind a link that leads out of the tree, is there: reading it says why not.
func exists(fsys fs.FS, name string) bool {
	_, err := fs.Stat(fsys, name)
	return !errors.Is(err, fs.ErrNotExist)
}

// FlavorNames gives the names of the workspace's and the built-in flavors. A
// folder elsewhere that cannot be had has none; Unreachable says why.
func (w *Workspace) FlavorNames() []string {
	names := map[string]bool{}
	for _, f := range w.flavorDirs {
		if dir, findings := w.at(f, lock.Flavors); findings == nil {
			collect(w.FS, dir, names)
		}
	}
	collect(flavors.FS, ".", names)
	return slices.Sorted(maps.Keys(names))
}

// FlavorFolders gives the folders of the workspace's own tree in which it looks for
// flavors.
func (w *Workspace) FlavorFolders() []string {
	var out []string
	for _, f := range w.flavorDirs {
		if f.remote == nil {
			out = append(out, f.path)
		}
	}
	return out
}

// usable gives the flavors that a context may name: all but those that are only
// there to be extended. It reads their files and not the flavors, for it words a
// hint while one of them is being read.
func (w *Workspace) usable() []string {
	var names []string
	for _, name := range w.FlavorNames() {
		fsys, dir, findings := w.findFlavor(source.NewString(source.Origin{}, name))
		if findings != nil {
			continue
		}
		if root, _ := source.ReadYAML(w.form(fsys), path.Join(dir, descriptor.FlavorFile)); !root.Get("abstract").True() {
			names = append(names, name)
		}
	}
	return names
}

func collect(fsys fs.FS, dir string, names map[string]bool) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() && exists(fsys, path.Join(dir, e.Name(), descriptor.FlavorFile)) {
			names[e.Name()] = true
		}
	}
}

// Friend finds a friend by name, in the workspace's folders and then in the
// built-in library. library skips the workspace, for a friend of the workspace
// that is made from the library's of the same name.
func (w *Workspace) Friend(name *source.Value, library bool) (*descriptor.Friend, source.Findings) {
	text := name.Str()
	fsys, file := fs.FS(friends.FS), text+".yaml"
	if !library {
		for _, f := range w.friendDirs {
			dir, findings := w.at(f, lock.Friends)
			if findings != nil {
				return nil, findings
			}
			if own := path.Join(dir, text+".yaml"); fs.ValidPath(own) && source.TreeOf(own) == source.TreeOf(dir) && exists(w.FS, own) {
				fsys, file = w.FS, own
				break
			}
		}
	}
	if !fs.ValidPath(file) || !exists(fsys, file) {
		var findings source.Findings
		if library {
			findings.Add("unknown-friend", name.Origin, "from", source.Nearest(text, friendNames(friends.FS, ".")), "the library has no friend %q", text)
		} else {
			findings.Add("unknown-friend", name.Origin, "friends."+text, source.Nearest(text, w.FriendNames()), "there is no friend %q", text)
		}
		return nil, findings
	}
	key, used := file, source.Findings(nil)
	if fsys == fs.FS(friends.FS) {
		key = "built-in " + file
		used = w.library(lock.Friend, text, name.Origin, "friends."+text)
	} else {
		used = w.own(lock.Friend, text, file, name.Origin, "friends."+text)
	}
	if used != nil {
		return nil, used
	}
	w.mu.Lock()
	entry := w.friends[key]
	if entry == nil {
		entry = &loaded[*descriptor.Friend]{}
		w.friends[key] = entry
	}
	w.mu.Unlock()
	entry.once.Do(func() {
		entry.value, entry.findings = descriptor.ReadFriend(w.form(fsys), file)
		if entry.value != nil {
			entry.value.FS = fsys
		}
		if entry.value != nil && entry.value.Name != text {
			entry.findings.Add("name", source.Origin{Position: source.Position{File: file}}, "name", "rename the file or the friend", "the file of the friend %q is called %s", entry.value.Name, path.Base(file))
		}
	})
	if entry.findings.Err() != nil {
		return nil, slices.Clone(entry.findings)
	}
	return entry.value, nil
}

// FriendNames gives the names of the workspace's and the built-in friends.
func (w *Workspace) FriendNames() []string {
	names := friendNames(friends.FS, ".")
	for _, f := range w.friendDirs {
		if dir, findings := w.at(f, lock.Friends); findings == nil {
			names = append(names, friendNames(w.FS, dir)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Unreachable says which folders of flavors and friends cannot be had.
func (w *Workspace) Unreachable() source.Findings {
	var findings source.Findings
	for _, f := range w.flavorDirs {
		_, more := w.at(f, lock.Flavors)
		findings = append(findings, more...)
	}
	for _, f := range w.friendDirs {
		_, more := w.at(f, lock.Friends)
		findings = append(findings, more...)
	}
	return findings
}

// friendNames gives the names of the friends in a folder, sorted.
func friendNames(fsys fs.FS, dir string) []string {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".yaml"); ok && !e.IsDir() {
			names = append(names, name)
		}
	}
	return names
}

// Library gives a workspace without services: the built-in flavors and friends.
func Library() (*Workspace, error) { return Bare(emptyFS{}) }

// Bare gives a workspace over a tree of files that has none: no services, the
// flavors of some folders, and the built-in flavors and friends.
func Bare(fsys fs.FS, flavors ...string) (*Workspace, error) {
	w, findings := empty(fsys)
	if w == nil {
		return nil, findings
	}
	for _, f := range flavors {
		w.flavorDirs = append(w.flavorDirs, folder{path: f})
	}
	return w, findings.Err()
}

// empty gives a workspace that knows the built-in types alone.
func empty(fsys fs.FS) (*Workspace, source.Findings) {
	w := bare(fsys)
	var findings source.Findings
	if w.Types, findings = builtIn("types.yaml"); findings != nil {
		return nil, findings
	}
	if w.Values, findings = builtIn("values.yaml"); findings != nil {
		return nil, findings
	}
	return w, nil
}

func bare(fsys fs.FS) *Workspace {
	grown := &forest{own: fsys, trees: &trees{byFolder: map[string]lock.Tree{}}}
	w := &Workspace{FS: grown, forest: grown, sources: nothing{}, flavors: map[string]*loadedFlavor{}, friends: map[string]*loaded[*descriptor.Friend]{}}
	w.contexts = descriptor.ReadContexts(nil, "", &source.Findings{})
	return w
}

// form gives a tree in the form in which it is to be read.
func (w *Workspace) form(fsys fs.FS) fs.FS {
	if w.through == nil || fsys == w.FS {
		return fsys
	}
	return w.through(fsys)
}

// emptyFS is a tree without files.
type emptyFS struct{}

func (emptyFS) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// IsLibrary says whether a friend is one of the built-in ones.
func (w *Workspace) IsLibrary(f *descriptor.Friend) bool { return f.FS == fs.FS(friends.FS) }
