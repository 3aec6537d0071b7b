package explain

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// unit is a value of an input that is changed alone: a scalar, a null, an empty
// list or map, the name of a variable, or a whole file that is no YAML to kai.
type unit struct {
	tree  *tree // nil for a value of the user's
	file  string
	place Place
	value *source.Value // nil for a whole file
	key   bool          // the key of an entry, and not what stands behind it
	// root is the document that the value stands in: of a file that is read as
	// YAML, or one of several in a file that is not.
	root  *source.Value
	docs  []*source.Value // of a file that is not; root is one of them
	given int             // of a user's value, its number
	arg   [2]string       // around a value that a flag was given
}

// inputs collects the units of what a run has read.
type inputs struct {
	units []unit
	// texts are the scalars of the manifests, to tell keys that become one.
	texts map[string]bool
	// related says whether a service's descriptor is read for what is explained.
	related func(name string) bool
	// friends says the same for the file of a friend.
	friends func(file string) bool
	// shared says that only shared friends are explained.
	shared  bool
	lineage []string // of the workspace's context
	flavors []string // folders of flavors, by their full path
	charts  []string // folders of charts that are vendored
	seen    map[spot]bool
}

// spot is where a value is written; an alias stands for what is written at its
// anchor.
type spot struct {
	at  source.Position
	key bool
}

// collect walks the files of a tree. YAML that kai reads has each of its values,
// manifests and the values of vendored charts as well; anything else is one.
func (in *inputs) collect(t *tree) {
	t.mu.Lock()
	docs, raw := sortedNames(t.docs), sortedNames(t.raw)
	t.mu.Unlock()
	for _, name := range docs {
		if path.Base(name) == descriptor.FlavorFile {
			in.flavors = append(in.flavors, path.Dir(t.full(name)))
		}
	}
	for _, name := range raw {
		if path.Base(name) == "Chart.yaml" {
			in.charts = append(in.charts, path.Dir(name))
		}
	}
	for _, name := range docs {
		if d := t.docs[name]; d.value != nil {
			if d.value.Has("apiVersion") && path.Base(name) != descriptor.FileName && !in.friends(t.full(name)) {
				continue
			}
			w := walker{in: in, unit: unit{tree: t, file: name, root: d.value}, keys: true}
			w.skip = in.skip(name, d.value)
			w.walk(d.value, "")
		}
	}
	for _, name := range raw {
		if _, read := t.docs[name]; !read {
			in.plain(t, name, t.raw[name])
		}
	}
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// plain adds a file that is not read as one of kai's own.
func (in *inputs) plain(t *tree, name string, data []byte) {
	if isTemplate(name) || path.Base(name) == ".helmignore" || t.name != "" {
		return
	}
	base := path.Base(name)
	inChart := slices.Contains(in.charts, path.Dir(name))
	if inChart && base != "values.yaml" {
		return // what the chart is, and no value of it
	}
	if ext := path.Ext(name); ext == ".yaml" || ext == ".yml" {
		if docs := documents(t.full(name), data); inChart || manifests(docs) {
			for _, doc := range docs {
				w := walker{in: in, unit: unit{tree: t, file: name, root: doc, docs: docs}}
				w.walk(doc, "")
			}
			return
		}
	}
	in.units = append(in.units, unit{tree: t, file: name, place: Place{File: source.Readable(t.full(name)), Whole: true}})
}

// documents reads a stream of YAML, or gives nothing where it is none.
func documents(name string, data []byte) []*source.Value {
	var out []*source.Value
	line := 0
	for _, part := range source.Documents(data) {
		// Positions count from the beginning of the file.
		padded := append(bytes.Repeat([]byte("\n"), line), part...)
		v, findings := source.ParseYAML(name, padded)
		if findings.Err() != nil {
			return nil
		}
		out = append(out, v)
		line += bytes.Count(part, []byte("\n"))
	}
	return out
}

func manifests(docs []*source.Value) bool {
	any := false
	for _, doc := range docs {
		if doc.IsNull() {
			continue
		}
		if !doc.Has("kind") || !doc.Has("apiVersion") {
			return false
		}
		any = true
	}
	return any
}

// skip says which values of a file cannot matter: types are no values, other
// contexts of the workspace say only where they are, of services that nobody
// here talks to the name alone counts, and for a shared friend their friends.
func (in *inputs) skip(name string, root *source.Value) func(path string) bool {
	switch {
	case path.Base(name) == descriptor.FlavorFile:
		return func(path string) bool {
			return (strings.HasPrefix(path, "types") || strings.HasPrefix(path, "context.")) && !strings.HasSuffix(path, ".default")
		}
	case path.Base(name) == descriptor.FileName && in.shared:
		return func(path string) bool {
			return path != "name" && !strings.Contains(path, "friends") && !strings.Contains(path, "extends")
		}
	case path.Base(name) == descriptor.FileName && !in.related(root.Get("name").Str()):
		return func(path string) bool { return path != "name" }
	case name == workspace.FileName:
		return func(path string) bool {
			rest, ok := strings.CutPrefix(path, "contexts[name=")
			if !ok {
				return false
			}
			context, field, _ := strings.Cut(rest, "].")
			return !slices.Contains(in.lineage, context) && field != "namespace" && field != "name" && !strings.HasPrefix(field, "cluster")
		}
	}
	return func(string) bool { return false }
}

// walker finds the units of a document.
type walker struct {
	in   *inputs
	unit unit
	skip func(path string) bool
	keys bool
}

func (w *walker) walk(v *source.Value, at string) {
	switch {
	case v == nil:
	case v.Kind == source.Map && len(v.Fields) > 0:
		for _, f := range v.Fields {
			here := joined(at, f.Key)
			if w.keys && w.in.texts[f.Key] && (w.skip == nil || !w.skip(here)) {
				w.add(f.Origin, here, source.NewString(f.Origin, f.Key), true)
			}
			w.walk(f.Value, here)
		}
	case v.Kind == source.List && len(v.Items) > 0:
		for i, item := range v.Items {
			w.walk(item, at+segment(item.Get("name").Str(), i))
		}
	case w.skip == nil || !w.skip(at):
		w.add(v.Origin, at, v, false)
	}
}

func (w *walker) add(at source.Origin, where string, v *source.Value, key bool) {
	u := w.unit
	u.value, u.key = v, key
	u.place = placeOf(at)
	u.place.Path, u.place.Value = where, v.Native()
	if key {
		u.place.Value = v.Text
	}
	here := spot{at.Position, key}
	if !w.in.seen[here] {
		w.in.seen[here] = true
		w.in.units = append(w.in.units, u)
	}
}

// change is what takes the place of a unit.
type change struct {
	value   *source.Value // nil removes it
	newFile []byte        // of a whole file
}

// text gives the change as it would be written.
func (c change) text() string {
	if c.value == nil {
		return ""
	}
	return strings.TrimSuffix(string(source.AppendYAML(nil, c.value, nil)), "\n")
}

// applied gives the document of a unit with the change in it.
func (u *unit) applied(c change) *source.Value {
	out, _ := replaced(u.root, u, c)
	return out
}

// replaced gives v with the unit's place changed; the rest is shared.
func replaced(v *source.Value, u *unit, c change) (*source.Value, bool) {
	if v == nil {
		return v, false
	}
	if !u.key && v.Origin == u.value.Origin && v.Kind == u.value.Kind && len(v.Fields)+len(v.Items) == 0 {
		if c.value == nil {
			return nil, true
		}
		value := *c.value
		value.Origin = v.Origin
		return &value, true
	}
	var out *source.Value
	for i := len(v.Items) - 1; i >= 0; i-- {
		if item, changed := replaced(v.Items[i], u, c); changed {
			if out == nil {
				out = v.Shallow()
			}
			if item == nil {
				out.Items = slices.Delete(out.Items, i, i+1)
			} else {
				out.Items[i] = item
			}
		}
	}
	for i := len(v.Fields) - 1; i >= 0; i-- {
		f := v.Fields[i]
		if u.key && f.Origin == u.value.Origin && f.Key == u.value.Text {
			if out == nil {
				out = v.Shallow()
			}
			out.Fields[i].Key = c.value.Text
			continue
		}
		if value, changed := replaced(f.Value, u, c); changed {
			if out == nil {
				out = v.Shallow()
			}
			if value == nil {
				out.Fields = slices.Delete(out.Fields, i, i+1)
			} else {
				out.Fields[i].Value = value
			}
		}
	}
	if out == nil {
		return v, false
	}
	return out, true
}

// stream gives the bytes of a unit's file with the change in it, where the file
// is not read as one of kai's own.
func (u *unit) stream(c change) []byte {
	if u.value == nil {
		return c.newFile
	}
	var b []byte
	for i, doc := range u.docs {
		if i > 0 {
			b = append(b, "---\n"...)
		}
		if doc == u.root {
			doc = u.applied(c)
		}
		b = source.AppendYAML(b, doc, nil)
	}
	return b
}

func joined(at, key string) string {
	if strings.ContainsAny(key, ".[]/") {
		return fmt.Sprintf("%s[%q]", at, key)
	}
	if at == "" {
		return key
	}
	return at + "." + key
}

// segment gives the step to a list's item, by its name where it has one.
func segment(name string, i int) string {
	if name != "" && !strings.ContainsAny(name, "[]") {
		return "[name=" + name + "]"
	}
	return fmt.Sprintf("[%d]", i)
}
