package generator

import (
	"sort"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Wrap makes a chart around another tool's chart, so that it can be installed
// by itself with the values that kai gives it and stays as it was fetched.
func Wrap(in Input, s Subchart) Chart {
	g := &generation{in: in, files: map[string][]byte{}}
	g.in.Subcharts = []Subchart{s}
	values := source.NewMap(source.Origin{})
	g.subcharts(values)
	at := source.Origin{}
	text := func(key, value string) source.Field {
		return source.Field{Key: key, Value: source.NewString(at, value)}
	}
	g.put("Chart.yaml", source.AppendYAML(nil, source.NewMap(at,
		text("apiVersion", "v2"), text("name", in.Name), text("version", in.Version),
		text("description", "The shared friend "+in.Name+"."), text("type", "application"),
		source.Field{Key: "dependencies", Value: g.dependencies()}), nil))
	g.put("values.yaml", source.AppendYAML(nil, values, nil))
	chart := Chart{Name: in.Name, Version: in.Version}
	for name, data := range g.files {
		chart.Files = append(chart.Files, File{Path: name, Data: data})
	}
	sort.Slice(chart.Files, func(i, j int) bool { return chart.Files[i].Path < chart.Files[j].Path })
	return chart
}
