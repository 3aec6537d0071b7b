package main

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/explain"
	"github.com/helm-kai/helm-kai/internal/kubeschema"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/validate"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// validation is a run over some contexts of a workspace.
type validation struct {
	f        *validateFlags
	ws       *workspace.Workspace
	read     *readFiles
	schemas  *kubeschema.Schemas
	settings validate.Settings
	match    func(labels map[string]string) bool // of the selector; nil is all
	mentions *mentions
	scope    *scope
	kit      *build.Kit
	found    []validate.Finding
	checked  map[string]bool          // releases that were looked at
	whole    bool                     // all contexts are validated
	roots    map[string]*source.Value // of files that findings are about
}

// readFiles is a tree that remembers which of its files were read.
type readFiles struct {
	fs.FS
	mu    sync.Mutex
	names map[string]bool
}

func (r *readFiles) note(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names[name] = true
}

// Open opens a file, and notes its name.
func (r *readFiles) Open(name string) (fs.File, error) {
	r.note(name)
	return r.FS.Open(name)
}

// ReadFile reads a file, and notes its name.
func (r *readFiles) ReadFile(name string) ([]byte, error) {
	r.note(name)
	return fs.ReadFile(r.FS, name)
}

// Stat says what a file is.
func (r *readFiles) Stat(name string) (fs.FileInfo, error) { return fs.Stat(r.FS, name) }

// ReadDir lists a folder.
func (r *readFiles) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(r.FS, name) }

// openWatched is open with the files remembered that are read. Where the workspace
// cannot be read, it is nil, and the findings say why.
func (w *workspaceFlags) openWatched() (*workspace.Workspace, string, *readFiles, source.Findings, error) {
	dir, err := w.root()
	if err != nil {
		return nil, "", nil, nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, "", nil, nil, err
	}
	read := &readFiles{FS: root.FS(), names: map[string]bool{}}
	ws, findings, err := w.openPinned(read, false)
	return ws, dir, read, findings.Sorted(), err
}

// stage adds findings of a stage before the objects, but for those about services
// that are not validated.
func (v *validation) stage(context, release string, findings source.Findings) {
	for _, f := range validate.OfStage(context, release, findings, v.settings) {
		if owner := v.owner(f.File); owner != "" {
			if !v.wants(owner) && !v.wantsRoutesOf(owner, &f) {
				continue
			}
			f.Release = cmp.Or(f.Release, owner)
		} else if path.Base(f.File) == descriptor.FileName && v.scope != nil && !v.scope.hasFile(f.File) {
			continue // a descriptor that cannot be read, and was not asked for
		}
		f.Path = v.fieldAt(source.Position{File: f.File, Line: f.Line, Column: f.Column}, f.Path)
		if f.Rule == "unknown-context" { // the contexts stand beside it
			f.Message = strings.Replace(f.Message, fmt.Sprintf(" for %q", context), " that applies", 1)
		}
		v.found = append(v.found, f)
	}
}

func (v *validation) owner(file string) string {
	if v.mentions == nil || file == "" {
		return ""
	}
	return v.mentions.owner(file)
}

// wantsRoutesOf says whether a finding is that something is wrong with the routes of a
// service that those that are validated speak of: what they call is not known then.
func (v *validation) wantsRoutesOf(service string, f *validate.Finding) bool {
	return v.scope.beside[service] && f.Severity == validate.Error && slices.Contains(validate.Fields(f.Path), "routes")
}

func (v *validation) wants(service string) bool { return v.scope == nil || v.scope.has(service) }

// context validates one context.
func (v *validation) context(ctx context.Context, name string) error {
	among := v.scope.among()
	c, err := v.rendered(ctx, name, among)
	if err != nil {
		return err
	}
	found := v.check(c)
	if among != nil && slices.ContainsFunc(found, lacksOthers) {
		// It may be there after all, in a service that was not looked at.
		wide, err := v.rendered(ctx, name, nil)
		if err != nil {
			return err
		}
		found = v.check(wide)
	}
	v.stage(name, "", c.findings)
	c.place(ctx, v, found)
	v.found = append(v.found, found...)
	return ctx.Err()
}

// lacksOthers says whether a finding may be due to what was not looked at.
func lacksOthers(f validate.Finding) bool {
	rules := validate.RulesOf(f.Rule)
	return len(rules) > 0 && rules[0].Group == validate.References && f.Ignored == ""
}

// renderedContext is a context as far as it could be made.
type renderedContext struct {
	name     string
	releases []build.Release // made and rendered
	objects  []validate.Release
	findings source.Findings
	locator  *explain.Locator
	failed   []string // services that could not be made
}

// rendered makes and renders the charts of a context, and lints those that are
// validated. What is wrong with one keeps no other from it.
func (v *validation) rendered(ctx context.Context, name string, among map[string]bool) (*renderedContext, error) {
	releases, findings := build.Charts(ctx, v.ws, name, build.Options{Jobs: v.f.jobs, Kit: v.kit, Among: among, Partial: true, Trace: true})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := &renderedContext{name: name, findings: append(findings, v.beside(findings)...), locator: explain.NewLocator(v.ws, name)}
	objects, wrong := make([]validate.Release, len(releases)), make([]source.Findings, len(releases))
	done := make([]bool, len(releases))
	build.Each(ctx, v.f.jobs, len(releases), func(i int) {
		r := releases[i]
		objects[i] = validate.Release{Name: r.Name, Namespace: cmp.Or(r.Namespace, v.f.namespace)}
		objects[i].Objects, wrong[i] = v.render(ctx, c, r)
		done[i] = wrong[i].Err() == nil || len(objects[i].Objects) > 0
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	made := map[string]bool{}
	for i, r := range releases {
		if v.wantsRelease(r) {
			v.checked[r.Name] = true
			c.findings = append(c.findings, wrong[i]...)
		}
		if done[i] {
			made[r.Labels["name"]] = true
			c.releases, c.objects = append(c.releases, r), append(c.objects, objects[i])
		}
	}
	if target, _ := v.ws.Target(name); target != nil {
		for _, s := range v.ws.ServiceNames() {
			if target.Selects(s) && !made[s] && (among == nil || among[s]) {
				c.failed = append(c.failed, s)
			}
		}
	}
	return c, nil
}

// wantsRelease says whether findings about a release are reported: those of the
// services that are asked for, and of shared friends by their name or file.
func (v *validation) wantsRelease(r build.Release) bool {
	if v.match != nil && !v.match(r.Labels) {
		return false
	}
	if v.scope.has(r.Labels["name"]) {
		return true
	}
	return r.Kind == build.KindDependency && r.Trace != nil && slices.ContainsFunc(r.Trace.Friends, func(file string) bool { return v.scope.files[file] })
}

// render renders one chart, and lints it. Findings stand where the cause is.
func (v *validation) render(ctx context.Context, c *renderedContext, r build.Release) ([]manifest.Object, source.Findings) {
	o := v.options()
	loaded, err := build.Load(r)
	var objects []manifest.Object
	var result *render.Result
	if err == nil {
		if result, err = loaded.Render(ctx, o); err == nil {
			objects, err = manifest.Parse(result.Text())
		}
	}
	var findings source.Findings
	if err != nil {
		f := build.Finding(r, err)
		f.Path = ""
		if placed, ok := v.printed(ctx, c, r, loaded, result, err); ok {
			return objects, source.Findings{placed}
		}
		findings = source.Findings{f}
	} else if v.wantsRelease(r) {
		if findings, err = loaded.Lint(ctx, o); err != nil {
			return nil, nil // the run is cancelled
		}
		// The rules about objects say it of each, at its own place.
		findings = slices.DeleteFunc(findings, func(f source.Finding) bool { return f.Code == render.CodeDeprecated })
	}
	for i := range findings {
		findings[i].Origin.Position = v.placeOfChart(ctx, c, r, findings[i])
	}
	return objects, findings
}

func (v *validation) options() render.Options {
	return render.Options{Namespace: v.f.namespace, KubeVersion: v.f.kubeVersion}
}

// placeOfValue is how a schema's validator names a value.
var placeOfValue = regexp.MustCompile(`at '/([^']*)'`)

// placeOfChart gives where the cause of a finding about a chart's file stands.
func (v *validation) placeOfChart(ctx context.Context, c *renderedContext, r build.Release, f source.Finding) source.Position {
	at := f.Origin.Position
	file, ofChart := at.File, strings.HasPrefix(at.File, "templates/") || !strings.Contains(at.File, "/")
	if ofChart && r.Trace != nil {
		if template, _, builtIn := r.Trace.Template(r.Name + "/" + at.File); !builtIn {
			file, ofChart = template, false
		}
	}
	if !ofChart && v.isOwn(file) {
		return source.Position{File: file, Line: max(at.Line, 1), Column: max(at.Column, 1)}
	}
	located := c.locator.Release(r, nil, v.options())
	if m := placeOfValue.FindStringSubmatch(f.Message); m != nil {
		if at, ok := located.Value(strings.Split(m[1], "/")); ok {
			return at
		}
	}
	return located.Place(ctx, explain.Field{Source: r.Name + "/" + at.File}, true)
}

// isOwn says whether a file is one of the workspace's.
func (v *validation) isOwn(file string) bool {
	if file == "" || source.TreeOf(file) != "" {
		return false
	}
	_, err := fs.Stat(v.ws.FS, file)
	return err == nil
}

// check applies the rules, and keeps what is reported.
func (v *validation) check(c *renderedContext) []validate.Finding {
	wanted := map[string]bool{}
	for _, r := range c.releases {
		wanted[r.Name] = v.wantsRelease(r)
	}
	found := validate.Check(validate.Input{Releases: c.objects, Schemas: v.schemas, Settings: v.settings})
	return slices.DeleteFunc(found, func(f validate.Finding) bool {
		return !wanted[f.Release] || lacksOthers(f) && c.speaksOfFailed(f.Message)
	})
}

// speaksOfFailed says whether a message names a service that could not be made: what
// is wrong with that is said already.
func (c *renderedContext) speaksOfFailed(message string) bool {
	words := strings.FieldsFunc(message, func(r rune) bool { return strings.ContainsRune(" ,:/", r) })
	return slices.ContainsFunc(c.failed, func(name string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return w == name || strings.HasPrefix(w, name+"-") })
	})
}

// place says where the causes of findings about objects stand, each release by
// itself.
func (c *renderedContext) place(ctx context.Context, v *validation, found []validate.Finding) {
	of := map[string][]*validate.Finding{}
	for i := range found {
		found[i].Context = c.name
		of[found[i].Release] = append(of[found[i].Release], &found[i])
	}
	names := slices.Sorted(maps.Keys(of))
	build.Each(ctx, v.f.jobs, len(names), func(i int) {
		at := slices.IndexFunc(c.releases, func(r build.Release) bool { return r.Name == names[i] })
		if at < 0 {
			return // it is one of the wider look
		}
		located := c.locator.Release(c.releases[at], c.objects[at].Objects, v.options())
		for _, f := range of[names[i]] {
			p := located.Place(ctx, explain.Field{Object: f.Object, Source: f.Source, Path: f.Path, Rule: f.Rule, Message: f.Message}, false)
			f.File, f.Line, f.Column = p.File, p.Line, p.Column
			v.inTemplate(f, p)
		}
	})
}

// secrets looks for secrets in clear in all files that were read.
func (v *validation) secrets() {
	v.read.mu.Lock()
	names := slices.Sorted(maps.Keys(v.read.names))
	v.read.mu.Unlock()
	for _, name := range names {
		if owner := v.owner(name); owner != "" && !v.wants(owner) {
			continue
		}
		info, err := fs.Stat(v.read.FS, name)
		if err != nil || !info.Mode().IsRegular() || info.Size() > source.MaxFile {
			continue // who needs it has said what is wrong with it
		}
		data, err := fs.ReadFile(v.read.FS, name)
		if err != nil {
			continue
		}
		v.stage("", "", validate.Clear(name, data))
	}
}

// validateContexts finds what is wrong, and prints it.
func validateContexts(ctx context.Context, a *app, w *workspaceFlags, f validateFlags, args []string) error {
	if _, err := f.outputs.read(); err != nil {
		return err
	}
	collectSeldom()
	v := &validation{f: &f, kit: build.NewKit(), checked: map[string]bool{}}
	var err error
	if v.match, err = f.matcher(nil); err != nil {
		return err
	}
	ws, dir, read, findings, err := w.openWatched()
	if err != nil {
		return err
	}
	v.ws, v.read = ws, read
	var wrong source.Findings
	if v.schemas, v.settings, wrong, err = f.judgement(ws); err != nil {
		return err
	}
	v.settings.Ignores = f.placed(a, dir, v.settings.Ignores)
	v.stage("", "", f.placedFindings(a, dir, wrong))
	if ws == nil {
		v.stage("", "", findings)
	} else if err := v.contexts(ctx, a, dir, findings, args); err != nil {
		return err
	}
	return f.outputs.write(a, dir, validate.Settle(v.found, v.settings), slices.Sorted(maps.Keys(v.checked)))
}

// contexts validates the contexts that are asked for.
func (v *validation) contexts(ctx context.Context, a *app, dir string, findings source.Findings, args []string) error {
	chosen := selection{contexts: v.f.contexts, all: v.f.all || len(v.f.contexts) == 0}
	names, err := chosen.choose(a, v.ws)
	if err != nil && findings.Err() == nil {
		return err
	}
	v.mentions = newMentions(v.ws)
	if v.scope, err = v.f.scopeOf(ctx, a, v.mentions, dir, args); err != nil {
		return err
	}
	v.whole = v.match == nil && len(names) == len(v.ws.ContextNames())
	if !v.scope.all && len(v.scope.names) == 0 {
		return v.unused(ctx)
	}
	v.settings.Unused = v.scope.all && v.whole
	if err := v.stages(ctx, findings, names); err != nil {
		return err
	}
	for _, name := range v.scope.unsure {
		if !v.checked[name] {
			return noService(name, strings.Join(names, ", "), v.ws.ServiceNames())
		}
	}
	return nil
}

// stages goes through all stages for some contexts; findings are those of reading the
// workspace.
func (v *validation) stages(ctx context.Context, findings source.Findings, contexts []string) error {
	v.stage("", "", findings)
	for _, name := range contexts {
		if err := v.context(ctx, name); err != nil {
			return err
		}
	}
	if err := v.unused(ctx); err != nil {
		return err
	}
	v.secrets()
	return nil
}
