package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Answer says where a value or a field comes from.
type Answer struct {
	Context string `json:"context"`
	Release string `json:"release"`
	Path    string `json:"path"`
	Kind    string `json:"kind"` // value or field
	Value   any    `json:"value"`
	// Layers are where a value is given, highest first: the first decides, and the
	// others are what it overrode.
	Layers []Place `json:"layers,omitempty"`
	// Template is the file that a field stands in.
	Template *Template `json:"template,omitempty"`
	// Changes are the values of which each, changed alone, gives the field another
	// value. Presence are those of which one, changed alone, takes the field away.
	Changes  []Cause `json:"changes,omitempty"`
	Presence []Cause `json:"presence,omitempty"`
	// Fixed are values of the same text that cannot be changed alone, such as a name
	// that others use. Whether the field comes from them is not tried.
	Fixed []Place `json:"fixed,omitempty"`
	// Patches are all that the context has for objects of the field's kind; of a
	// value, all that it has.
	Patches []Place `json:"patches,omitempty"`
	// Patched is the one of them that the field has.
	Patched *Place `json:"patched,omitempty"`
}

// Kinds of answers.
const (
	KindValue = "value"
	KindField = "field"
)

// Template is a file that manifests are made of.
type Template struct {
	File    string `json:"file"`
	By      string `json:"by"` // flavor, generator or chart
	BuiltIn bool   `json:"builtIn,omitempty"`
}

// String gives the file and who brings it.
func (t Template) String() string {
	switch {
	case t.By == build.MadeByGenerator:
		return t.File + " (kai's own, in every chart)"
	case t.BuiltIn:
		return "flavors/" + t.File + " (built in)"
	}
	return t.File
}

// Cause is a value that a field depends on.
type Cause struct {
	Place
	// Tried is what the value was changed to, as YAML; nil is that it was removed.
	Tried *string `json:"tried"`
	// Name says that the place is that of a key, and not of what stands behind it.
	Name bool `json:"name,omitempty"`
}

// Match is what a path names.
type Match struct {
	release *release
	value   *source.Value // of the context or the chart's values
	node    *node
	object  int
	path    string
}

// String gives the path in the form that names nothing else.
func (m Match) String() string {
	if m.node == nil {
		return m.path
	}
	return m.release.objects.list[m.object].Ref.String() + ":" + m.node.path
}

// Find gives what a path names: fields of manifests, KIND/NAME:PATH or KIND.PATH,
// and values of the context or of the chart. Where it names nothing, the finding
// says what was meant.
func (x *Explainer) Find(path string) ([]Match, source.Findings) {
	var out []Match
	s := search{path: path}
	for _, r := range x.releases {
		values := s.values(r)
		if values == nil && len(x.o.Given.layers(path)) > 0 {
			values = []Match{{release: r, path: path}}
		}
		out = append(out, values...)
		out = append(out, s.fields(r)...)
	}
	if len(out) == 0 {
		return nil, source.Findings{s.finding()}
	}
	return out, nil
}

// search looks a path up, and keeps what is nearest to it.
type search struct {
	path  string
	best  int // characters of the path that lead somewhere
	where string
	steps []string
	tops  []string
}

func (s *search) miss(done int, where string, steps []string) {
	if done > s.best {
		s.best, s.where, s.steps = done, where, steps
	}
}

func (s *search) finding() source.Finding {
	f := source.Finding{Code: "unknown-path", Message: fmt.Sprintf("%q names neither a value nor a field of a manifest", s.path)}
	if s.best > 0 {
		wrong := strings.TrimLeft(s.path[s.best:], ".:")
		if step, _, ok := strings.Cut(wrong, "."); ok && !strings.HasPrefix(wrong, "[") {
			wrong = step
		}
		f.Message = fmt.Sprintf("%s has no %s", s.where, wrong)
		f.Hint = source.Nearest(wrong, s.steps)
		return f
	}
	wrong, _, _ := strings.Cut(s.path, ":")
	if !strings.Contains(wrong, "/") {
		wrong, _, _ = strings.Cut(wrong, ".")
	}
	slices.Sort(s.tops)
	if f.Hint = source.Nearest(wrong, slices.Compact(s.tops)); strings.HasPrefix(f.Hint, "known: ") {
		f.Hint = "a value is such as image.tag, a field such as Deployment/NAME:spec.replicas; the shell completes both"
	}
	return f
}

// values looks in the context's fields, and else in the chart's values.
func (s *search) values(r *release) []Match {
	if strings.Contains(s.path, "/") && strings.Contains(s.path, ":") {
		return nil
	}
	for _, root := range []*source.Value{r.Trace.Fields, r.Trace.Values} {
		s.tops = append(s.tops, root.Keys()...)
		v, rest, steps := follow(root, s.path)
		if v != nil {
			return []Match{{release: r, value: v, path: s.path}}
		}
		if done := len(s.path) - len(rest); done > 0 {
			s.miss(done, strings.TrimSuffix(s.path[:done], "."), steps)
		}
	}
	return nil
}

// fields looks in the manifests.
func (s *search) fields(r *release) []Match {
	var out []Match
	for i, object := range r.objects.list {
		name := object.Ref.String()
		s.tops = append(s.tops, name)
		rest, ok := "", len(s.path) >= len(name) && strings.EqualFold(s.path[:len(object.Ref.Kind)], object.Ref.Kind)
		if ok {
			rest, ok = strings.CutPrefix(s.path[len(object.Ref.Kind):], name[len(object.Ref.Kind):])
		}
		if ok && rest != "" && rest[0] != ':' && rest[0] != '.' {
			continue
		}
		if !ok {
			kind := strings.ToLower(object.Ref.Kind)
			if len(s.path) < len(kind) || strings.ToLower(s.path[:len(kind)]) != kind {
				continue
			}
			if rest, ok = after(s.path[len(kind):], ""); !ok {
				continue
			}
		}
		n, far, left := r.objects.roots[i].find(strings.TrimPrefix(rest, ":"))
		if n != nil {
			out = append(out, Match{release: r, node: n, object: i})
			continue
		}
		where := name
		if far.path != "" {
			where += ":" + far.path
		}
		s.miss(len(s.path)-len(left), where, far.steps())
	}
	return out
}

// find gives the value at a path, or nil.
func find(v *source.Value, path string) *source.Value {
	got, _, _ := follow(v, path)
	return got
}

// follow gives the value at a path, or what is left of the path where it leads no
// further, and what would.
func follow(v *source.Value, path string) (got *source.Value, rest string, steps []string) {
	path = strings.TrimPrefix(path, ".")
	if path == "" {
		return v, "", nil
	}
	rest, steps = path, v.Keys()
	try := func(next *source.Value, step string) bool {
		left, ok := after(path, step)
		if !ok {
			return false
		}
		found, remains, below := follow(next, left)
		if found != nil {
			got = found
			return true
		}
		if len(remains) < len(rest) {
			rest, steps = remains, below
		}
		return false
	}
	for i, item := range v.ItemsOrNone() {
		step := segment(item.Get("name").Str(), i)
		steps = append(steps, step)
		if try(item, step) || try(item, fmt.Sprintf("[%d]", i)) {
			return got, "", nil
		}
	}
	fields := slices.Clone(v.FieldsOrNone())
	slices.SortStableFunc(fields, func(a, b source.Field) int { return len(b.Key) - len(a.Key) })
	for _, f := range fields {
		if f.Value != nil && (try(f.Value, f.Key) || try(f.Value, `["`+f.Key+`"]`)) {
			return got, "", nil
		}
	}
	return nil, rest, steps
}

// layers gives where the value at a path is given, highest first: what it took
// the place of, and what the maps around it did.
func layers(root *source.Value, path string) []Place {
	var out []Place
	seen := map[source.Position]bool{}
	var visit func(v *source.Value, path string)
	visit = func(v *source.Value, path string) {
		if v == nil {
			return
		}
		if path == "" {
			if p := placeOf(v.Origin); p.Line > 0 && !seen[v.Origin.Position] {
				seen[v.Origin.Position] = true
				p.Value = v.Native()
				out = append(out, p)
			}
		} else {
			for _, step := range stepsOf(v, path) {
				visit(step.value, step.rest)
			}
		}
		visit(v.Over, path)
	}
	visit(root, path)
	return out
}

type step struct {
	value *source.Value
	rest  string
}

// stepsOf gives the next value on a path, and what is left of the path.
func stepsOf(v *source.Value, path string) []step {
	path = strings.TrimPrefix(path, ".")
	for i, item := range v.Items {
		for _, s := range []string{segment(item.Get("name").Str(), i), fmt.Sprintf("[%d]", i)} {
			if rest, ok := after(path, s); ok {
				return []step{{item, rest}}
			}
		}
	}
	fields := slices.Clone(v.Fields)
	slices.SortStableFunc(fields, func(a, b source.Field) int { return len(b.Key) - len(a.Key) })
	for _, f := range fields {
		for _, s := range []string{f.Key, `["` + f.Key + `"]`} {
			if rest, ok := after(path, s); ok {
				return []step{{f.Value, rest}}
			}
		}
	}
	return nil
}

// Explain answers for one match. Fields want Trace before.
func (x *Explainer) Explain(m Match) Answer {
	a := Answer{Context: x.o.Context, Release: m.release.Name, Path: m.String()}
	if m.node == nil {
		return x.value(a, m)
	}
	r := m.release
	object := r.objects.list[m.object]
	file, by, builtIn := r.Trace.Template(object.Source)
	a.Kind, a.Template = KindField, &Template{File: source.Readable(file), By: by, BuiltIn: builtIn}
	a.Value = x.hidden(m.node.value)
	if object.Ref.Kind == "Secret" && (strings.HasPrefix(m.node.path, "data") || strings.HasPrefix(m.node.path, "stringData")) {
		a.Value = masked
	}
	a.Patches, a.Patched = x.patches(r, m)
	where := map[*unit]int{}
	for leaf := m.node.first; leaf < m.node.last; leaf++ {
		for _, c := range r.causes[leaf] {
			// Of a field with others below it, one that goes is a change.
			gone := c.gone && m.node.last-m.node.first == 1
			if at, ok := where[c.unit]; ok && (at == 0 || gone) {
				continue
			}
			where[c.unit] = 1
			if !gone {
				where[c.unit] = 0
			}
			cause := x.cause(c)
			if gone {
				a.Presence = append(a.Presence, cause)
			} else {
				a.Changes = append(a.Changes, cause)
			}
		}
	}
	if text, ok := m.node.value.(string); ok && a.Value != masked && len(a.Changes) == 0 {
		for _, u := range x.fixed {
			if u.value.Str() == text {
				a.Fixed = append(a.Fixed, u.place)
			}
		}
	}
	return a
}

// cause words a cause; secrets of the user's are masked.
func (x *Explainer) cause(c cause) Cause {
	out := Cause{Place: c.unit.place, Name: c.unit.key}
	if c.change.value != nil {
		text := c.change.text()
		out.Tried = &text
	}
	if c.unit.tree == nil && isSecret(out.Path) {
		out.Value, out.Tried = masked, nil
	}
	out.Value = x.hidden(out.Value)
	return out
}

// hidden masks the secrets that the user has given, wherever they went.
func (x *Explainer) hidden(v any) any {
	switch v := v.(type) {
	case string:
		return x.mask.Text(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = x.hidden(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, below := range v {
			out[key] = x.hidden(below)
		}
		return out
	}
	return v
}

// value answers for a value of the context or of the chart.
func (x *Explainer) value(a Answer, m Match) Answer {
	a.Kind, a.Value = KindValue, m.value.Native()
	for _, root := range []*source.Value{m.release.Trace.Fields, m.release.Trace.Values} {
		if find(root, m.path) != nil {
			a.Layers = layers(root, m.path)
			break
		}
	}
	if given := x.o.Given.layers(m.path); len(given) > 0 {
		a.Layers, a.Value = append(given, a.Layers...), given[0].Value
	}
	a.Patches = patchesOf(m.release.Trace.Values.Get("patches"), "patches")
	a.Value = x.hidden(a.Value)
	for i := range a.Layers {
		a.Layers[i].Value = x.hidden(a.Layers[i].Value)
	}
	return a
}

// patches lists the user's patches for a field's object, and the one of the field.
func (x *Explainer) patches(r *release, m Match) (all []Place, own *Place) {
	object := r.objects.list[m.object]
	values := r.Trace.Values
	_, file, _ := strings.Cut(object.Source, "/")
	if rest, ok := strings.CutPrefix(file, "charts/"); ok {
		chart, _, _ := strings.Cut(rest, "/")
		values = values.Get(chart)
	}
	kind := strings.ToLower(object.Ref.Kind)
	patch := values.At("patches", kind)
	all = patchesOf(patch, "patches."+kind)
	if v := find(patch, m.node.path); v != nil && m.node.path != "" {
		p := placeOf(v.Origin)
		p.Path, p.Value = "patches."+kind+"."+m.node.path, v.Native()
		own = &p
	}
	return all, own
}

// patchesOf lists the fields that a patch changes.
func patchesOf(v *source.Value, at string) []Place {
	var out []Place
	switch {
	case v == nil:
	case v.Kind == source.Map && v.Get("$patch").Str() == "delete":
		p := placeOf(v.Origin)
		p.Path = at
		out = append(out, p)
	case v.Kind == source.Map && len(v.Fields) > 0:
		for _, f := range v.Fields {
			out = append(out, patchesOf(f.Value, joined(at, f.Key))...)
		}
	case v.Kind == source.List && len(v.Items) > 0:
		for i, item := range v.Items {
			out = append(out, patchesOf(item, at+segment(item.Get("name").Str(), i))...)
		}
	default:
		p := placeOf(v.Origin)
		p.Path, p.Value = at, v.Native()
		out = append(out, p)
	}
	return out
}

// IsField says whether a match is a field of a manifest.
func (m Match) IsField() bool { return m.node != nil }
