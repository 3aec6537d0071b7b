// Package workspace finds services, contexts, flavors and friends in a tree of
// files, which may be a folder or a git revision. No path leaves the tree.
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
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/schemas"
)

// FileName is the name of a workspace's file, at the root of its tree.
const FileName = "kai-workspace.yaml"

// DefaultVersion is the version of a chart where nothing gives one.
const DefaultVersion = "0.1.0"

// Workspace is a set of services that are installed together, or one service
// alone.
type Workspace struct {
	Name     string // "" for one service alone
	FS       fs.FS
	Services []*descriptor.Service // sorted by name
	Types    *descriptor.Types     // the built-in ones
	Values   *descriptor.Types     // the shapes of what stands in a chart's values
	// Incomplete says that a descriptor could not be read, so that not every
	// service is known.
	Incomplete bool

	root       *source.Value
	contexts   *descriptor.Contexts
	flavorDirs []string
	friendDirs []string

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

var workspaceKeys = []string{"apiVersion", "name", "services", "flavors", "friends", "defaults", "version", "variables", "contexts"}

var contextKeys = []string{
	"namespace", "variables", "versions", "cluster", "secrets", "only", "except", "values", "uses",
	"gateway", "ingress", "istio", "monitoring", "dependencies", "confirm",
}

// Open reads the workspace at the root of a tree: kai-workspace.yaml, or else
// the one service whose kai.yaml stands there.
func Open(fsys fs.FS) (*Workspace, source.Findings) {
	w, findings := empty(fsys)
	if w == nil {
		return nil, findings
	}
	switch _, err := fs.Stat(fsys, FileName); {
	case err == nil:
		return w.read()
	case !errors.Is(err, fs.ErrNotExist):
		return nil, source.Findings{source.FileFinding(FileName, err)}
	}
	if _, err := fs.Stat(fsys, descriptor.FileName); errors.Is(err, fs.ErrNotExist) {
		return nil, source.Findings{{Code: "file", Message: "there is neither " + descriptor.FileName + " nor " + FileName + " here", Hint: "helm kai init writes one"}}
	}
	s, findings := descriptor.ReadService(fsys, descriptor.FileName, w.Types)
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

func (w *Workspace) read() (*Workspace, source.Findings) {
	root, findings := source.ReadYAML(w.FS, FileName)
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
	w.flavorDirs = w.paths("flavors", &findings)
	w.friendDirs = w.paths("friends", &findings)
	if v := root.Get("version"); v != nil && !descriptor.IsVersion(v.Str()) {
		findings.Add("version", v.Origin, "version", "write MAJOR.MINOR.PATCH, such as 0.4.0", "%q is no semantic version", v.Str())
	}
	w.readServices(&findings)
	return w, findings
}

// paths reads a list of paths relative to the workspace's root.
func (w *Workspace) paths(key string, fs *source.Findings) []string {
	var out []string
	for i, item := range descriptor.ListOf(w.root.Get(key), key, fs) {
		if p, ok := inside(item, descriptor.Index(key, i), fs); ok {
			out = append(out, p)
		}
	}
	return out
}

// inside gives a path relative to the root, and says where one leads out.
func inside(v *source.Value, where string, findings *source.Findings) (string, bool) {
	return descriptor.Inside(".", v, where, findings)
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
			findings.Add("file", item.Origin, here, "", "%q is no pattern: %s", item.Str(), err)
			continue
		}
		found := false
		for _, m := range matches {
			file := path.Join(m, descriptor.FileName)
			if _, err := fs.Stat(w.FS, file); errors.Is(err, fs.ErrNotExist) {
				continue
			}
			found = true
			files[file] = item.Origin
		}
		if !found {
			findings.Add("file", item.Origin, here, "a service is a folder with a "+descriptor.FileName, "no service matches %q", item.Str())
		}
	}
	names := map[string]*descriptor.Service{}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		s, more := descriptor.ReadService(w.FS, file, w.Types)
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
// with ./ or ../, relative to that file, or a name of the workspace's folders or
// the built-in library.
func (w *Workspace) Flavor(name *source.Value) (*descriptor.Flavor, source.Findings) {
	fsys, dir, findings := w.findFlavor(name)
	if findings != nil {
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
		entry.value, entry.findings = descriptor.ReadFlavor(fsys, dir, fsys == fs.FS(flavors.FS), w.Types, func(parent *source.Value) (*descriptor.Flavor, source.Findings) {
			value, findings := w.Flavor(parent)
			for i := range findings {
				if findings[i].Origin == parent.Origin {
					findings[i].Path = "extends"
				}
			}
			return value, findings
		})
	})
	if entry.findings.Err() != nil {
		return nil, slices.Clone(entry.findings)
	}
	return entry.value, nil
}

func (w *Workspace) flavorKey(fsys fs.FS, dir string) string {
	if fsys == fs.FS(flavors.FS) {
		return "built-in " + dir
	}
	return dir
}

// flavorCycle says where what a flavor extends leads back to a flavor that it
// has passed.
func (w *Workspace) flavorCycle(fsys fs.FS, dir string) source.Findings {
	passed := map[string]bool{}
	for {
		passed[w.flavorKey(fsys, dir)] = true
		root, _ := source.ReadYAML(fsys, path.Join(dir, descriptor.FlavorFile))
		parent := root.Get("extends")
		if !parent.IsScalar() {
			return nil
		}
		var findings source.Findings
		if fsys, dir, findings = w.findFlavor(parent); findings != nil {
			return nil // reading the flavor says so
		}
		if passed[w.flavorKey(fsys, dir)] {
			findings.Add("cycle", parent.Origin, "extends", "name another flavor", "the flavor %q extends itself", parent.Str())
			return findings
		}
	}
}

func (w *Workspace) findFlavor(name *source.Value) (fs.FS, string, source.Findings) {
	var findings source.Findings
	text := name.Str()
	switch {
	case strings.HasPrefix(text, "./"), strings.HasPrefix(text, "../"), strings.HasPrefix(text, "/"):
		dir := path.Join(path.Dir(name.Origin.File), text)
		if strings.HasPrefix(text, "/") || !fs.ValidPath(dir) {
			findings.Add("file", name.Origin, "flavor", "paths are relative to the file that names them, and stay in the workspace", "the path %q leads out of the workspace", text)
			return nil, "", findings
		}
		if !exists(w.FS, path.Join(dir, descriptor.FlavorFile)) {
			findings.Add("unknown-flavor", name.Origin, "flavor", "a flavor is a folder with a "+descriptor.FlavorFile, "there is no flavor at %q", text)
			return nil, "", findings
		}
		return w.FS, dir, nil
	case strings.Contains(text, "://"), strings.HasPrefix(text, "git@"):
		findings.Add("unsupported", name.Origin, "flavor", "copy the flavor into the workspace and name it by path", "this version of kai does not fetch flavors, as from %q", text)
		return nil, "", findings
	}
	for _, dir := range w.flavorDirs {
		dir = path.Join(dir, text)
		if fs.ValidPath(dir) && exists(w.FS, path.Join(dir, descriptor.FlavorFile)) {
			return w.FS, dir, nil
		}
	}
	if fs.ValidPath(text) && exists(flavors.FS, path.Join(text, descriptor.FlavorFile)) {
		return flavors.FS, text, nil
	}
	findings.Add("unknown-flavor", name.Origin, "flavor", source.Nearest(text, w.usable()), "there is no flavor %q", text)
	return nil, "", findings
}

// exists says whether there is a file of a name. One that cannot be reached, as
// behind a link that leads out of the tree, is there: reading it says why not.
func exists(fsys fs.FS, name string) bool {
	_, err := fs.Stat(fsys, name)
	return !errors.Is(err, fs.ErrNotExist)
}

// FlavorNames gives the names of the workspace's and the built-in flavors.
func (w *Workspace) FlavorNames() []string {
	names := map[string]bool{}
	for _, dir := range w.flavorDirs {
		collect(w.FS, dir, names)
	}
	collect(flavors.FS, ".", names)
	return slices.Sorted(maps.Keys(names))
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
		if root, _ := source.ReadYAML(fsys, path.Join(dir, descriptor.FlavorFile)); !root.Get("abstract").True() {
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
		for _, dir := range w.friendDirs {
			if own := path.Join(dir, text+".yaml"); fs.ValidPath(own) && exists(w.FS, own) {
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
	key := file
	if fsys == fs.FS(friends.FS) {
		key = "built-in " + file
	}
	w.mu.Lock()
	entry := w.friends[key]
	if entry == nil {
		entry = &loaded[*descriptor.Friend]{}
		w.friends[key] = entry
	}
	w.mu.Unlock()
	entry.once.Do(func() {
		entry.value, entry.findings = descriptor.ReadFriend(fsys, file)
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
	for _, dir := range w.friendDirs {
		names = append(names, friendNames(w.FS, dir)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
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
func Library() (*Workspace, error) {
	w, findings := empty(emptyFS{})
	return w, findings.Err()
}

// empty gives a workspace that knows the built-in types alone.
func empty(fsys fs.FS) (*Workspace, source.Findings) {
	w := &Workspace{FS: fsys, flavors: map[string]*loadedFlavor{}, friends: map[string]*loaded[*descriptor.Friend]{}}
	var findings source.Findings
	if w.Types, findings = builtIn("types.yaml"); findings != nil {
		return nil, findings
	}
	if w.Values, findings = builtIn("values.yaml"); findings != nil {
		return nil, findings
	}
	w.contexts = descriptor.ReadContexts(nil, "", &findings)
	return w, nil
}

// emptyFS is a tree without files.
type emptyFS struct{}

func (emptyFS) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// IsLibrary says whether a friend is one of the built-in ones.
func (w *Workspace) IsLibrary(f *descriptor.Friend) bool { return f.FS == fs.FS(friends.FS) }
