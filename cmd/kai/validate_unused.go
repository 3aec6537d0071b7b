package main

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/flavortest"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/validate"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// unused looks at what no context of the workspace comes by: contexts of descriptors
// that none applies, flavors and friends that nobody uses, files and folders that are
// of nothing.
func (v *validation) unused(ctx context.Context) error {
	for _, f := range v.ws.Loose() {
		if v.touches(f.Origin.File) {
			v.stage("", "", source.Findings{f})
		}
	}
	if v.whole {
		if err := v.unapplied(ctx); err != nil {
			return err
		}
	}
	uses := sync.OnceValue(v.uses)
	for _, dir := range v.ws.OwnFlavors() {
		if !v.touches(dir) {
			continue
		}
		flavor, findings := v.ws.CheckFlavor(dir)
		if flavor != nil {
			findings = append(findings, build.CheckFlavor(flavor)...)
		}
		if !uses()[dir] && !v.ws.Incomplete {
			findings = append(findings, nobody(workspace.CodeUnusedFlavor, path.Join(dir, descriptor.FlavorFile), "nothing uses the flavor %q", path.Base(dir)))
		}
		v.stage("", "", findings)
		if !uses()[dir] && flavor != nil {
			if err := v.cases(ctx, dir); err != nil {
				return err
			}
		}
	}
	for _, file := range v.ws.OwnFriends() {
		if !v.touches(file + ".yaml") {
			continue
		}
		friend, findings := v.ws.CheckFriend(path.Base(file))
		if !uses()[file] && !v.ws.Incomplete {
			findings = append(findings, nobody(workspace.CodeUnusedFriend, file+".yaml", "nothing uses the friend %q", path.Base(file)))
		}
		v.stage("", "", findings)
		if !uses()[file] && friend != nil {
			if err := v.consumed(ctx, file); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// nobody is the finding that something is unused.
func nobody(code, file, format, name string) source.Finding {
	return source.Finding{
		Origin: source.Origin{Position: source.Position{File: file, Line: 1, Column: 1}}, Code: code, Severity: source.Warning,
		Message: fmt.Sprintf(format, name),
	}
}

// touches says whether a file, or something in a folder, was asked for.
func (v *validation) touches(file string) bool {
	if v.scope.hasFile(file) {
		return true
	}
	for named := range v.scope.files {
		if strings.HasPrefix(named, file+"/") {
			return true
		}
	}
	return false
}

// unapplied looks at the contexts of descriptors that no context of the workspace
// applies, each for itself. What only a context of the workspace could give is not
// missed.
func (v *validation) unapplied(ctx context.Context) error {
	ws, scope := v.ws, v.scope
	defer func() { v.ws, v.scope = ws, scope }()
	some := len(ws.ContextNames()) > 0
	for _, c := range ws.Unapplied(scope.has) {
		if some {
			f := source.Finding{Origin: c.Origin, Path: "contexts." + c.Context, Code: workspace.CodeUnusedContext, Severity: source.Warning}
			f.Message = fmt.Sprintf("no context of the workspace applies the context %q", c.Context)
			v.stage("", "", source.Findings{f})
		}
		v.ws = ws.Assuming(c)
		v.scope = newScope()
		v.scope.names[c.Service] = true
		v.mentions.besides(v.scope)
		from := len(v.found)
		if err := v.context(ctx, c.Context); err != nil {
			return err
		}
		v.found = append(v.found[:from], slices.DeleteFunc(v.found[from:], func(f validate.Finding) bool {
			return f.Release == "" || f.Rule == "unknown-variable" || f.Rule == "unknown-context"
		})...)
	}
	return nil
}

// cases validates the test cases of a flavor that nobody uses, but for those that kai
// has to refuse. What is wrong with the flavor is kept, and the errors of the cases.
func (v *validation) cases(ctx context.Context, dir string) error {
	names, err := flavortest.Names(v.ws.FS, dir)
	if err != nil {
		return nil // it has none that can be read
	}
	for _, name := range names {
		if flavortest.Refuses(v.ws.FS, dir, name) {
			continue
		}
		at := path.Join(dir, descriptor.FlavorTests, name)
		ws, findings := v.ws.Within(at, path.Dir(dir))
		if err := v.elsewhere(ctx, ws, findings, func(f validate.Finding) bool {
			return strings.HasPrefix(f.File, dir+"/") && (f.Severity == validate.Error || !strings.HasPrefix(f.File, path.Join(dir, descriptor.FlavorTests)+"/"))
		}); err != nil {
			return err
		}
	}
	return nil
}

// consumer is the folder of a service that is there to use a friend that nobody uses.
const consumer = "kai-consumer"

// consumed validates a friend that nobody uses with a service that does. What is wrong
// with the friend's file is kept.
func (v *validation) consumed(ctx context.Context, file string) error {
	text := fmt.Sprintf(`apiVersion: kai/v1
name: %s
images: [{name: release, registry: registry.example.com, repository: consumer, tag: 1.0.0}]
contexts: [{name: base, flavor: worker, image: release, friends: [%s]}]
`, consumer, path.Base(file))
	ws, findings := v.ws.Trying(map[string][]byte{path.Join(consumer, descriptor.FileName): []byte(text)})
	return v.elsewhere(ctx, ws, findings, func(f validate.Finding) bool { return f.File == file+".yaml" })
}

// elsewhere validates all of another workspace in the same tree, and takes over what is
// to be kept.
func (v *validation) elsewhere(ctx context.Context, ws *workspace.Workspace, findings source.Findings, keep func(validate.Finding) bool) error {
	in := &validation{f: v.f, ws: ws, read: v.read, schemas: v.schemas, settings: v.settings, kit: v.kit, checked: map[string]bool{}, scope: newScope()}
	in.scope.all, in.settings.Unused = true, false
	in.stage("", "", findings)
	if ws != nil {
		in.mentions = &mentions{ws: ws, dirs: map[string]string{}}
		for _, name := range ws.ContextNames() {
			if err := in.context(ctx, name); err != nil {
				return err
			}
		}
	}
	for _, f := range in.found {
		if keep(f) {
			f.Context = ""
			v.found = append(v.found, f)
		}
	}
	return nil
}

// uses gives the folders of flavors and the files of friends, without .yaml, of the
// workspace that its services come by: those that a context names, and those that these
// are made from. A name with a variable in it may be any.
func (v *validation) uses() map[string]bool {
	u := usage{used: map[string]bool{}, flavors: map[string]string{}, friends: map[string]string{}, fsys: v.ws.FS}
	for _, dir := range slices.Backward(v.ws.OwnFlavors()) { // the first of a name is meant
		u.flavors[path.Base(dir)] = dir
	}
	for _, file := range slices.Backward(v.ws.OwnFriends()) {
		u.friends[path.Base(file)] = file
	}
	root, _ := source.ReadYAML(v.ws.FS, workspace.FileName)
	u.read(root, "")
	for _, s := range v.ws.Services {
		u.read(s.Root(), s.Dir())
	}
	return u.used
}

// usage follows names of flavors and friends.
type usage struct {
	fsys             fs.FS
	used             map[string]bool
	flavors, friends map[string]string // where they lie, by name
}

// read follows what a value names. dir is the folder that its paths are relative to.
func (u *usage) read(v *source.Value, dir string) {
	for _, f := range v.FieldsOrNone() {
		switch {
		case f.Key == "flavor" && f.Value.IsScalar():
			u.flavor(f.Value.Text, dir)
		case f.Key == "friends" || f.Key == "friends+":
			for _, item := range f.Value.ItemsOrNone() {
				u.friend(item.Str())
				u.friend(item.Get("from").Str())
			}
		}
		u.read(f.Value, dir)
	}
	for _, item := range v.ItemsOrNone() {
		u.read(item, dir)
	}
}

func (u *usage) flavor(name, dir string) {
	at := u.flavors[name]
	if strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../") {
		at = path.Join(dir, name)
	}
	if strings.Contains(name, "${") {
		for other := range u.flavors {
			u.flavor(other, dir)
		}
	}
	if at == "" || u.used[at] {
		return
	}
	u.used[at] = true
	root, _ := source.ReadYAML(u.fsys, path.Join(at, descriptor.FlavorFile))
	u.flavor(root.Get("extends").Str(), at)
	u.read(root.Get("defaults"), at)
}

func (u *usage) friend(name string) {
	if strings.Contains(name, "${") {
		for other := range u.friends {
			u.friend(other)
		}
	}
	at := u.friends[name]
	if at == "" || u.used[at] {
		return
	}
	u.used[at] = true
	root, _ := source.ReadYAML(u.fsys, at+".yaml")
	u.friend(root.Get("from").Str())
	u.read(root, path.Dir(at))
}
