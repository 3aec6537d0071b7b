package generator

import (
	"fmt"
	"sort"
	"strings"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Wrap makes a chart around another tool's chart, so that it can be installed
// by itself with the values that kai gives it and stays as it was fetched. It makes
// the Secret that the input names, if that has keys.
func Wrap(in Input, s Subchart) (Chart, source.Findings) {
	g := &generation{in: in, files: map[string][]byte{}}
	g.in.Subcharts = []Subchart{s}
	g.secrets = newSecrets(in, &g.findings)
	values := source.NewMap(source.Origin{})
	schema := ""
	if own := g.secrets.values(); own != nil {
		values.Set("secrets", own)
		schema = `, "secrets": {"type": "object"}`
		g.secretFiles()
		g.put("ci/default-values.yaml", source.AppendYAML(nil, g.secrets.example(), nil))
	}
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
	g.put("values.schema.json", []byte(fmt.Sprintf(`{
  "$schema": %q,
  "type": "object",
  "properties": {"global": {"type": "object"}%s, %q: {"type": "object"}},
  "additionalProperties": false
}
`, descriptor.Draft07, schema, s.Chart.Name)))
	var readme strings.Builder
	fmt.Fprintf(&readme, "# %s\n\nA friend that services share: the chart %s %s, with the values that kai gives it for the context `%s`.\n", in.Name, s.Chart.Name, s.Chart.Version, in.Context)
	if schema != "" {
		readme.WriteString("\n")
		g.readmeSecrets(&readme)
	}
	g.put("README.md", []byte(strings.TrimRight(readme.String(), "\n")+"\n"))
	if ignore, err := templates.ReadFile("templates/helmignore"); err == nil {
		g.put(".helmignore", ignore)
	}
	chart := Chart{Name: in.Name, Version: in.Version}
	for name, data := range g.files {
		chart.Files = append(chart.Files, File{Path: name, Data: data})
	}
	sort.Slice(chart.Files, func(i, j int) bool { return chart.Files[i].Path < chart.Files[j].Path })
	return chart, g.findings
}

// secretFiles adds the templates that make Secrets, and what they need.
func (g *generation) secretFiles() {
	digest, own, err := ownTemplates()
	if err != nil {
		g.fail("internal", source.Origin{}, "", "", "%s", err)
		return
	}
	for _, f := range own {
		if f.Path == "templates/_kai.tpl" || f.Path == "templates/secret.yaml" || f.Path == externalSecretFile && g.secrets.external() {
			g.put(f.Path, []byte(ownNames(digest).Replace(string(f.Data))))
		}
	}
}
