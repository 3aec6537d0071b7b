// Package importer turns what describes services elsewhere into a workspace of
// kai's: manifests of Kubernetes, Compose files, Score's workloads and Pligos'
// configurations.
//
// Its rules: what one service is in one environment is a draft, in the fields of
// a context. The drafts of a service are compared; what they have in common is
// the context base, and each environment's context has the rest. What the flavor
// says by itself is left out. No secret is copied. What has no place in kai is in
// the report, with the file and line where it stands, and so is everything that
// kai makes otherwise than the source has it.
package importer

import (
	"cmp"
	"io/fs"
	"slices"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Tree is a file or a folder that is read.
type Tree struct {
	Context string // environment that it describes, "" for the only one
	Name    string // by which the user knows FS, "" for the current folder; places begin with it
	FS      fs.FS
	Path    string // of the file or folder inside of FS
}

// Options say what is imported.
type Options struct {
	Trees []Tree
	Name  string // of the workspace, "" for what the source says, or else Folder
	// Folder is the name of a workspace of which neither says the name.
	Folder string
	Kai    string // how kai was called, for the commands that a report names; "" is kai
	// Clear gives where a file that is to be written has secrets in clear, each from one
	// byte to another, in order: what kai validate calls so, an import never writes. Nil
	// looks for none but those that the formats name as such.
	Clear func(file string, data []byte) [][2]int
}

// File is a file of the workspace that an import makes.
type File struct {
	Path string
	Data []byte
}

// Result is what an import makes.
type Result struct {
	Files  []File // sorted by path
	Report *Report

	p *project
}

// Services is the number of services that were found.
func (r *Result) Services() int {
	names := map[string]bool{}
	for _, d := range r.p.drafts {
		names[d.service] = true
	}
	return len(names)
}

// DefaultContext is the name of a context that the source does not name.
const DefaultContext = "default"

// project is the workspace as it is found out.
type project struct {
	name     string
	kai      string
	contexts []*environment
	drafts   []*draft // by service and environment
	friends  []*friendFile
	shared   map[string]bool // servers that several services use, by name
	report   *Report
	// clustersRead are what manifests said, to compare the import with.
	clustersRead []*cluster
	hidden       []string // texts of the source that are secrets
	clear        func(file string, data []byte) [][2]int
}

// environment is one context of the workspace.
type environment struct {
	name      string
	namespace string
	settings  *source.Value // more fields of the workspace's context, or nil
}

// friendFile is a friend that several services share.
type friendFile struct {
	name  string
	value *source.Value
	note  string // a comment at its top, or ""
}

// draft is one service in one environment.
type draft struct {
	service string
	context string
	flavor  string
	fields  *source.Value // of a context; instances stand in their places, written out
	// units are files beside the descriptor: by folder, then by name.
	units map[string]map[string][]byte
	// notes are comments by the field that they stand above; each asks for a
	// decision.
	notes       map[string]string
	version     string
	description string
	extraEnv    []source.Field // variables that a container's arguments need
}

func newDraft(service, context, flavor string) *draft {
	return &draft{
		service: service, context: context, flavor: flavor,
		fields: source.NewMap(source.Origin{}), units: map[string]map[string][]byte{}, notes: map[string]string{},
	}
}

// set gives a field a value, where there is one.
func (d *draft) set(key string, v *source.Value) { setIn(d.fields, key, v) }

// add appends to a field that is a list.
func (d *draft) add(key string, items ...*source.Value) {
	list := d.fields.Get(key)
	if list == nil {
		list = source.NewList(source.Origin{})
		d.fields.Set(key, list)
	}
	list.Items = append(list.Items, items...)
}

// file puts a file beside the descriptor.
func (d *draft) file(unit, name string, data []byte) {
	if d.units[unit] == nil {
		d.units[unit] = map[string][]byte{}
	}
	d.units[unit][name] = data
}

// setIn sets a key of a map to a value that is there and not empty.
func setIn(m *source.Value, key string, v *source.Value) {
	if v.IsNull() || v.Kind == source.Map && len(v.Fields) == 0 || v.Kind == source.List && len(v.Items) == 0 {
		return
	}
	m.Set(key, v)
}

// child gives the map under a key, and makes it where there is none.
func child(m *source.Value, keys ...string) *source.Value {
	for _, key := range keys {
		next := m.Get(key)
		if next == nil || next.Kind != source.Map {
			next = source.NewMap(source.Origin{})
			m.Set(key, next)
		}
		m = next
	}
	return m
}

// text and entry write values.
func text(s string) *source.Value { return source.NewString(source.Origin{}, s) }

func entry(key string, v *source.Value) source.Field { return source.Field{Key: key, Value: v} }

func mapOf(fields ...source.Field) *source.Value { return source.NewMap(source.Origin{}, fields...) }

func listOf(items ...*source.Value) *source.Value { return source.NewList(source.Origin{}, items...) }

func texts(all ...string) *source.Value {
	out := listOf()
	for _, s := range all {
		out.Items = append(out.Items, text(s))
	}
	return out
}

// result writes the workspace, without a secret in clear.
func (p *project) result(findings source.Findings) (*Result, source.Findings) {
	p.keepSecrets()
	files := p.files()
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	findings = append(findings, p.blank(files)...)
	p.report.sort()
	out := &Result{Files: files, Report: p.report, p: p}
	out.hide()
	return out, findings
}

// newProject begins a workspace.
func newProject(o Options) *project {
	p := &project{name: cmp.Or(o.Name, o.Folder), kai: cmp.Or(o.Kai, "kai"), shared: map[string]bool{}, report: &Report{Entries: []Entry{}}, clear: o.Clear}
	for _, t := range o.Trees {
		p.environment(t.Context)
	}
	return p
}

// environment gives the environment of a name.
func (p *project) environment(name string) *environment {
	name = cmp.Or(name, DefaultContext)
	for _, e := range p.contexts {
		if e.name == name {
			return e
		}
	}
	e := &environment{name: name}
	p.contexts = append(p.contexts, e)
	return e
}
