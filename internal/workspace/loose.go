package workspace

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Codes of findings about what nothing uses.
const (
	CodeUnusedContext = "unused-context"
	CodeUnusedFlavor  = "unused-flavor"
	CodeUnusedFriend  = "unused-friend"
	CodeUnusedVersion = "unused-version"
	CodeFlavorName    = "flavor-name"
)

// Loose gives what is wrong with the workspace whatever a service uses: services and no
// contexts, folders that are missing, version files of no service, and flavors whose
// names differ from their folders'.
func (w *Workspace) Loose() source.Findings {
	var findings source.Findings
	if w.root == nil {
		return nil
	}
	if w.root.Get("contexts").IsNull() && len(w.Services) > 0 {
		findings.Add("required", w.root.Origin, "contexts", "write contexts: [{name: dev}, …]; until then the descriptors' own contexts are looked at",
			"the workspace has no contexts, so that nothing can be generated")
	}
	w.missing("flavors", w.flavorDirs, &findings)
	w.missing("friends", w.friendDirs, &findings)
	w.missingVersions(&findings)
	w.unusedVersions(&findings)
	for _, dir := range w.OwnFlavors() {
		root, _ := source.ReadYAML(w.FS, path.Join(dir, descriptor.FlavorFile)) // CheckFlavor says what is wrong with it
		name := root.Get("name")
		if _, ok := descriptor.InvalidName(name.Str()); ok && name.Str() != path.Base(dir) {
			findings = append(findings, source.Finding{
				Origin: name.Origin, Path: "name", Code: CodeFlavorName, Severity: source.Warning, Hint: "rename one of the two: contexts name the folder",
				Message: fmt.Sprintf("the folder of the flavor %q is called %s", name.Str(), path.Base(dir)),
			})
		}
	}
	return findings
}

// missing reports folders of a list that are not there.
func (w *Workspace) missing(key string, folders []folder, findings *source.Findings) {
	for i, item := range w.root.Get(key).ItemsOrNone() {
		dir := path.Join(w.base, item.Str())
		if !slices.ContainsFunc(folders, func(f folder) bool { return f.remote == nil && f.path == dir }) {
			continue // it is elsewhere, or reading the workspace has said what is wrong with it
		}
		w.missingFolder(dir, item, descriptor.Index(key, i), findings)
	}
}

// missingFolder reports a folder that a value names and that is not there.
func (w *Workspace) missingFolder(dir string, named *source.Value, where string, findings *source.Findings) {
	switch info, err := fs.Stat(w.FS, dir); {
	case !exists(w.FS, dir):
		findings.Add("file", named.Origin, where, "make it, or do not name it; git keeps no folder without a file", "there is no folder %q", named.Str())
	case err == nil && !info.IsDir():
		findings.Add("file", named.Origin, where, "name the folder that the file is in", "%q is no folder", named.Str())
	}
}

// missingVersions reports folders of version files that are not there: git does not
// keep one that is still empty, so that this stops nothing else.
func (w *Workspace) missingVersions(findings *source.Findings) {
	seen := map[source.Position]bool{}
	for _, name := range w.contexts.Names() {
		t, _ := w.Target(name)
		if t == nil || t.versions == nil || seen[t.versions.Origin.Position] {
			continue
		}
		seen[t.versions.Origin.Position] = true
		w.missingFolder(t.Versions, t.versions, t.versionsIn, findings)
	}
}

// unusedVersions reports version files of services that are not there.
func (w *Workspace) unusedVersions(findings *source.Findings) {
	if w.Incomplete {
		return
	}
	for _, name := range w.contexts.Names() {
		t, _ := w.Target(name)
		if t == nil || t.Versions == "" {
			continue
		}
		for _, service := range friendNames(w.FS, t.Versions) {
			if w.Service(service) != nil {
				continue
			}
			*findings = append(*findings, source.Finding{
				Origin: source.Origin{Position: source.Position{File: path.Join(t.Versions, service+".yaml"), Line: 1, Column: 1}},
				Code:   CodeUnusedVersion, Severity: source.Warning, Hint: source.Nearest(service, w.ServiceNames()),
				Message: fmt.Sprintf("there is no service %q, which this version file would be of", service),
			})
		}
	}
}

// OwnFlavors gives the folders of the flavors in the workspace's own tree.
func (w *Workspace) OwnFlavors() []string {
	return own(w.flavorDirs, func(dir string) []string {
		names := map[string]bool{}
		collect(w.FS, dir, names)
		return sorted(names)
	})
}

// OwnFriends gives the files of the friends in the workspace's own tree, without .yaml.
func (w *Workspace) OwnFriends() []string {
	return own(w.friendDirs, func(dir string) []string { return friendNames(w.FS, dir) })
}

func own(folders []folder, list func(dir string) []string) []string {
	var out []string
	for _, f := range folders {
		if f.remote != nil {
			continue
		}
		for _, name := range list(f.path) {
			out = append(out, path.Join(f.path, name))
		}
	}
	return out
}

func sorted(names map[string]bool) []string { return slices.Sorted(maps.Keys(names)) }

// CheckFlavor reads the flavor in a folder of the workspace's own tree as far as it can
// be read, whether anything uses it or not. What is wrong with its pins concerns those
// who use it.
func (w *Workspace) CheckFlavor(dir string) (*descriptor.Flavor, source.Findings) {
	f, findings := w.anyFlavor(source.NewString(atRoot, "./"+dir))
	return f, slices.DeleteFunc(findings, ofPins)
}

// CheckFriend does the same for a friend, by its name.
func (w *Workspace) CheckFriend(name string) (*descriptor.Friend, source.Findings) {
	f, findings := w.Friend(source.NewString(atRoot, name), false)
	return f, slices.DeleteFunc(findings, ofPins)
}

// atRoot is the origin of paths from the root of the tree.
var atRoot = source.Origin{Position: source.Position{File: FileName}}

// ofPins says whether a finding is about the lock alone.
func ofPins(f source.Finding) bool { return f.Code == "unpinned" || f.Code == "lock" }
