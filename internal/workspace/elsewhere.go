package workspace

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/helm-kai/helm-kai/flavors"
	"github.com/helm-kai/helm-kai/friends"
	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/lock"
	"github.com/helm-kai/helm-kai/internal/remote"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Sources gives a workspace what stands elsewhere, and is told what else it uses.
// It is safe for concurrent use. *lock.Pinned and *lock.Resolving are such.
type Sources interface {
	// Tree gives the files of a source, always the same.
	Tree(use lock.Use, s remote.Source) (lock.Tree, source.Findings)
	// Own says what is wrong with using what the library or the workspace itself
	// has. digest gives that of the library's files.
	Own(use lock.Use, digest func() (string, error)) source.Findings
}

// nothing is elsewhere for a workspace without sources.
type nothing struct{}

func (nothing) Tree(u lock.Use, s remote.Source) (lock.Tree, source.Findings) {
	var findings source.Findings
	findings.Add("unpinned", u.Origin, u.Path, "name a flavor of the library, or a path", "%s cannot be had here", s)
	return lock.Tree{}, findings
}

func (nothing) Own(lock.Use, func() (string, error)) source.Findings { return nil }

// forest is the workspace's own tree, with the trees from elsewhere that it uses
// as folders at its root (source.TreeName). So one path says where any file is.
type forest struct {
	own fs.FS
	*trees
}

// trees are those from elsewhere, by the folders that they are in.
type trees struct {
	mu       sync.RWMutex
	byFolder map[string]lock.Tree
}

// Observer is a tree that is told for whom its files are read.
type Observer interface {
	fs.FS
	// For gives the tree as the service with a descriptor's file reads it.
	For(descriptor string) fs.FS
}

// readBy gives the workspace's files as the service with a descriptor's file reads
// them.
func (w *Workspace) readBy(descriptor string) fs.FS {
	if own, ok := w.forest.own.(Observer); ok && w.FS == fs.FS(w.forest) {
		return &forest{own: own.For(descriptor), trees: w.forest.trees}
	}
	return w.FS
}

// add gives the folder under which a tree stands from now on.
func (f *forest) add(t lock.Tree) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := source.TreeName(t.Address)
	if other, ok := f.byFolder[name]; ok && other.Digest != t.Digest {
		name = source.TreeName(t.Address + "+" + t.Digest)
	}
	if _, ok := f.byFolder[name]; !ok {
		f.byFolder[name] = t
	}
	return name
}

// find gives the tree that a file lies in, and its path there.
func (f *forest) find(name string) (fs.FS, string) {
	folder := source.TreeOf(name)
	if folder == "" {
		return f.own, name
	}
	f.mu.RLock()
	tree, ok := f.byFolder[folder]
	f.mu.RUnlock()
	if !ok {
		return f.own, name
	}
	if name == folder {
		return tree.Files, "."
	}
	return tree.Files, name[len(folder)+1:]
}

func (f *forest) Open(name string) (fs.File, error) {
	tree, name := f.find(name)
	return tree.Open(name)
}

func (f *forest) Stat(name string) (fs.FileInfo, error) {
	tree, name := f.find(name)
	return fs.Stat(tree, name)
}

func (f *forest) ReadFile(name string) ([]byte, error) {
	tree, name := f.find(name)
	return fs.ReadFile(tree, name)
}

// ReadFileMax implements source.BoundedFS.
func (f *forest) ReadFileMax(name string, max int64) ([]byte, error) {
	tree, name := f.find(name)
	return source.ReadFile(tree, name, max)
}

func (f *forest) ReadDir(name string) ([]fs.DirEntry, error) {
	tree, name := f.find(name)
	return fs.ReadDir(tree, name)
}

// folder is one in which flavors or friends are looked up: a path, or a source.
type folder struct {
	path   string
	remote *source.Value
	where  string
}

// folders reads a list of folders: paths relative to the workspace's root, and
// sources.
func (w *Workspace) folders(key string, findings *source.Findings) []folder {
	var out []folder
	for i, item := range descriptor.ListOf(w.root.Get(key), key, findings) {
		here := descriptor.Index(key, i)
		if item.IsScalar() && remote.IsRemote(item.Str()) {
			out = append(out, folder{remote: item, where: here})
		} else if p, ok := inside(item, here, findings); ok {
			out = append(out, folder{path: p})
		}
	}
	return out
}

// at gives the path of a folder in the workspace's files.
func (w *Workspace) at(f folder, kind lock.Kind) (string, source.Findings) {
	if f.remote == nil {
		return f.path, nil
	}
	return w.elsewhere(kind, f.remote, f.where)
}

// elsewhere gives the folder of the tree that a text names.
func (w *Workspace) elsewhere(kind lock.Kind, text *source.Value, where string) (string, source.Findings) {
	s, err := remote.Parse(text.Str())
	return w.tree(kind, s, err, text.Origin, where)
}

func (w *Workspace) tree(kind lock.Kind, s remote.Source, err error, at source.Origin, where string) (string, source.Findings) {
	use := lock.Use{Kind: kind, Origin: at, Path: where}
	if err != nil {
		return "", source.Findings{lock.Finding(use, err)}
	}
	if from := source.TreeOf(at.File); from != "" && strings.HasPrefix(s.URL, "file:") && !strings.HasPrefix(source.Readable(from), "git+file:") {
		var findings source.Findings
		findings.Add("file", at, where, "name it by a URL that everybody can reach", "what comes from elsewhere cannot name a repository of this machine, %s", s)
		return "", findings
	}
	tree, findings := w.sources.Tree(use, s)
	if findings != nil {
		return "", findings
	}
	return w.forest.add(tree), nil
}

// Chart gives the folder of the chart that a friend names, by its repository, in a
// registry, in git or by path.
func (w *Workspace) Chart(chart *source.Value) (string, source.Findings) {
	var findings source.Findings
	given := ""
	for _, key := range []string{"repository", "oci", "git", "path"} {
		if !chart.Has(key) {
			continue
		}
		if given != "" {
			findings.Add("one-of", chart.Get(key).OriginOrNone(), "chart."+key, "keep one of the two", "%s and %s exclude one another", given, key)
			return "", findings
		}
		given = key
	}
	for _, f := range chart.FieldsOrNone() {
		ok := f.Key == given || f.Key == "version" && (given == "repository" || given == "oci") || f.Key == "name" && given == "repository"
		if given != "" && !ok {
			findings.Add("one-of", f.Origin, "chart."+f.Key, "remove it", "%s says nothing beside %s", f.Key, given)
			return "", findings
		}
	}
	v, version := chart.Get(given), chart.Get("version").Str()
	switch {
	case given == "":
		findings.Add("required", chart.Origin, "chart", chartForms, "the chart has no source")
		return "", findings
	case !v.IsScalar() || v.Str() == "":
		findings.Add("required", chart.Origin, "chart."+given, chartForms, "%s is empty", given)
		return "", findings
	case given == "path":
		return w.ownChart(v)
	case given == "repository":
		s, err := remote.Chart(v.Str(), chart.Get("name").Str(), version)
		return w.tree(lock.Chart, s, err, v.Origin, "chart.repository")
	case given == "git":
		s, err := remote.Parse(v.Str())
		if strings.HasPrefix(v.Str(), "oci:") || err == nil && s.Kind != remote.Git {
			findings.Add("source", v.Origin, "chart.git", chartForms, "this is no git repository")
			return "", findings
		}
		return w.tree(lock.Chart, s, err, v.Origin, "chart.git")
	}
	return w.registryChart(v, chart.Get("version"))
}

// registryChart gives the folder of a chart in a registry: of the tag, the digest
// or the folder that the text names, or else of a version.
func (w *Workspace) registryChart(v, version *source.Value) (string, source.Findings) {
	var findings source.Findings
	rest, ok := strings.CutPrefix(v.Str(), "oci://")
	repository, name := path.Split(rest)
	whole := strings.ContainsAny(name, ":@?") || strings.Contains(rest, "//") || strings.Contains(repository, "@") || repository == ""
	switch {
	case !ok:
		findings.Add("source", v.Origin, "chart.oci", chartForms, "a registry's address begins with oci://")
		return "", findings
	case whole && !version.IsNull():
		findings.Add("one-of", version.Origin, "chart.version", "keep one of the two", "version says nothing beside a tag, a digest or a folder")
		return "", findings
	}
	s, err := remote.Parse(v.Str())
	if !whole {
		s, err = remote.Chart("oci://"+repository, name, version.Str())
	}
	return w.tree(lock.Chart, s, err, v.Origin, "chart.oci")
}

const chartForms = "write {repository: https://…, name: …, version: …}, {oci: oci://…, version: …}, {git: git+https://…//DIR?ref=…} or {path: …}"

// ownChart gives the folder of a chart that is named by path.
func (w *Workspace) ownChart(p *source.Value) (string, source.Findings) {
	dir, ok, findings := besides(p, "chart.path")
	if !ok {
		return "", findings
	}
	return dir, w.own(lock.Chart, dir, dir, p.Origin, "chart.path")
}

// besides gives the path of what a file names relative to itself.
func besides(v *source.Value, where string) (dir string, ok bool, findings source.Findings) {
	dir = path.Join(path.Dir(v.Origin.File), v.Str())
	switch {
	case strings.HasPrefix(v.Str(), "/") || !fs.ValidPath(dir):
		findings.Add("file", v.Origin, where, "paths are relative to the file that names them, and stay in the workspace", "the path %q leads out of the workspace", v.Str())
	case source.TreeOf(dir) != source.TreeOf(v.Origin.File):
		findings.Add("file", v.Origin, where, "paths are relative to the file that names them, and stay in its tree", "the path %q leads out of the tree that it stands in", v.Str())
	}
	return dir, findings == nil, findings
}

// own tells the sources that a folder or file of the workspace is used. What lies
// in a tree from elsewhere is part of that.
func (w *Workspace) own(kind lock.Kind, name, file string, at source.Origin, where string) source.Findings {
	if source.TreeOf(file) != "" {
		return nil
	}
	return w.sources.Own(lock.Use{Kind: kind, Name: name, Source: file, Origin: at, Path: where}, nil)
}

// library tells the sources that a flavor or friend of the library is used.
func (w *Workspace) library(kind lock.Kind, name string, at source.Origin, where string) source.Findings {
	use := lock.Use{Kind: kind, Name: name, Source: lock.Library, Origin: at, Path: where}
	return w.sources.Own(use, func() (string, error) { return LibraryDigest(kind, name) })
}

// LibraryDigest gives the digest of a flavor or a friend of the library, as it is
// pinned.
func LibraryDigest(kind lock.Kind, name string) (string, error) {
	if kind == lock.Friend {
		return digestOfFile(friends.FS, name+".yaml")
	}
	return digestOfFolder(flavors.FS, name)
}

// digestOfFile gives the digest of a friend's file, as sha256sum has it.
func digestOfFile(fsys fs.FS, name string) (string, error) {
	data, err := fs.ReadFile(fsys, name)
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:]), err
}

// digestOfFolder gives the digest of a flavor's files.
func digestOfFolder(fsys fs.FS, dir string) (string, error) {
	sub, err := fs.Sub(fsys, dir)
	if err != nil {
		return "", err
	}
	return remote.Digest(sub)
}
