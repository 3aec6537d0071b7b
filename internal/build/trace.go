package build

import (
	"path"
	"strings"

	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Trace tells where what stands in a release's chart comes from.
type Trace struct {
	// Fields are those of the resolved context; nil where the release has none.
	Fields *source.Value
	// Values are what the chart's values.yaml says, and below the name of a
	// vendored chart what that one's does.
	Values *source.Value
	// Services are those of the workspace that the release talks to.
	Services []string
	// Friends are the files of those that it has.
	Friends []string
	// Uses are where the friends are asked for whose charts it vendors, by the names
	// of these; of a shared friend's release, "" is its own.
	Uses map[string]source.Origin

	parts map[string]part // by folder inside of the chart, "" and charts/NAME
}

// part is what a chart, or one that it vendors, is made of.
type part struct {
	flavor *descriptor.Flavor // nil for a chart that was there already,
	dir    string             // which stands here
	values *source.Value
}

// namedPart is a vendored chart.
type namedPart struct {
	name string
	part part
	use  source.Origin
}

// Makers of templates.
const (
	MadeByFlavor    = "flavor"
	MadeByGenerator = "generator"
	MadeByChart     = "chart"
)

// Template says where the template lies that Helm names as the source of a
// manifest, and what brings it: a flavor, the generator or a vendored chart.
// builtIn says that it is one of the library's.
func (t *Trace) Template(name string) (file, by string, builtIn bool) {
	_, file, _ = strings.Cut(name, "/")
	p := t.parts[""]
	if rest, ok := strings.CutPrefix(file, "charts/"); ok {
		if chart, below, ok := strings.Cut(rest, "/"); ok {
			if sub, ok := t.parts["charts/"+chart]; ok {
				p, file = sub, below
			}
		}
	}
	if p.flavor == nil {
		if p.dir == "" {
			return file, MadeByGenerator, true
		}
		return path.Join(p.dir, file), MadeByChart, false
	}
	for _, f := range p.flavor.Files {
		if f.Path == file {
			return f.Source, MadeByFlavor, f.Library
		}
	}
	return file, MadeByGenerator, true
}

// trace gives the trace of a service.
func trace(s *service, resolved *descriptor.Resolved, own part, vendored []namedPart) *Trace {
	t := &Trace{Fields: resolved.Fields, Values: own.values.Shallow(), Uses: map[string]source.Origin{}, parts: map[string]part{"": own}}
	for _, use := range s.folded.Friends {
		if use.Service != "" {
			t.Services = append(t.Services, use.Service)
		}
	}
	for _, v := range vendored {
		t.add(v)
	}
	return t
}

// trace gives the trace of a shared friend, whose chart is the friend's own or
// one around it.
func (d *dependency) trace(sub *generator.Subchart) *Trace {
	uses := map[string]source.Origin{"": d.origin}
	if !sub.Foreign {
		return &Trace{Values: d.made.values, Friends: d.definition.files, Uses: uses, parts: map[string]part{"": d.made}}
	}
	t := &Trace{Values: source.NewMap(source.Origin{}), Friends: d.definition.files, Uses: uses, parts: map[string]part{"": {}}}
	t.add(namedPart{sub.Chart.Name, d.made, d.origin})
	return t
}

func (t *Trace) add(v namedPart) {
	t.parts["charts/"+v.name] = v.part
	t.Uses[v.name] = v.use
	if v.part.values != nil {
		t.Values.Set(v.name, v.part.values)
	}
}

// ownValues gives the values of a chart that was there already, with those that
// kai gives it laid over them.
func ownValues(chart generator.Chart, dir string, given *source.Value) *source.Value {
	for _, f := range chart.Files {
		if f.Path != "values.yaml" {
			continue
		}
		// Helm says what is wrong with the file, when it reads the chart.
		if values, _ := source.ParseYAML(path.Join(dir, f.Path), f.Data); values != nil && values.Kind == source.Map {
			return laid(values, given)
		}
	}
	return given
}

// laid lays values over others as Helm does.
func laid(lower, upper *source.Value) *source.Value {
	if upper == nil {
		return lower
	}
	out := upper.Shallow()
	if lower == nil {
		return out
	}
	if upper.Kind != source.Map || lower.Kind != source.Map {
		out.Over = lower
		return out
	}
	out = lower.Shallow()
	for _, f := range upper.Fields {
		out.Set(f.Key, laid(lower.Get(f.Key), f.Value))
	}
	return out
}
