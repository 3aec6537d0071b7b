package generator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// schema writes values.schema.json in draft-07, which old Helms obey.
func (g *generation) schema(values *source.Value) []byte {
	fields, types := outputFields(g.in)
	var more []string // keys without a type
	for _, f := range values.Fields {
		known := slices.ContainsFunc(fields, func(field descriptor.Field) bool { return field.Name == f.Key })
		vendored := slices.ContainsFunc(g.in.Subcharts, func(s Subchart) bool { return s.Chart.Name == f.Key })
		if !known && !vendored {
			more = append(more, f.Key)
		}
	}
	write := func() (*schemaText, error) { return outputSchema(g.in.Resolved.Flavor.Name, types, fields, more) }
	text, err := g.in.Templates.schema(g.in.Resolved.Types, schemaKey(g.in.Resolved.Flavor.Name, fields, more), write)()
	if err != nil {
		g.fail("internal", source.Origin{}, "", "", "%s", err)
		return nil
	}
	return text.with(g.in.Subcharts)
}

// schemaKey tells the schemas of one set of types apart.
func schemaKey(flavor string, fields []descriptor.Field, more []string) string {
	words := []string{flavor}
	for _, f := range fields {
		words = append(words, f.Name)
	}
	return strings.Join(append(append(words, ""), more...), "\n")
}

// schemaText is a schema, and the same in pieces: what stands before its
// properties, each of them, and what stands after.
type schemaText struct {
	whole      []byte
	head, tail string
	properties []string
}

// The indentation of a schema's text tells its own properties from those inside
// of others.
const (
	propertiesStart = "\n  \"properties\": {\n"
	propertiesEnd   = "\n  }"
	propertyStart   = "    \""
	propertyEnd     = ",\n"
)

func newSchemaText(whole []byte) *schemaText {
	t := &schemaText{whole: whole}
	var rest string
	t.head, rest, _ = strings.Cut(string(whole), propertiesStart)
	rest, t.tail, _ = strings.Cut(rest, propertiesEnd)
	for rest != "" {
		property, more, found := strings.Cut(rest, propertyEnd+propertyStart)
		t.properties = append(t.properties, property)
		if rest = more; found {
			rest = propertyStart + more
		}
	}
	return t
}

// with adds the values of subcharts, in the order of the keys.
func (t *schemaText) with(subcharts []Subchart) []byte {
	if len(subcharts) == 0 {
		return t.whole
	}
	properties := slices.Clone(t.properties)
	for _, s := range subcharts {
		properties = append(properties, fmt.Sprintf("    %q: {\"description\": \"values of the vendored chart\", \"type\": \"object\"}", s.Chart.Name))
	}
	slices.SortFunc(properties, func(a, b string) int { return strings.Compare(propertyKey(a), propertyKey(b)) })
	out := make([]byte, 0, len(t.whole)+128*len(subcharts))
	out = append(append(out, t.head...), propertiesStart...)
	for i, p := range properties {
		if i > 0 {
			out = append(out, propertyEnd...)
		}
		out = append(out, p...)
	}
	return append(append(out, propertiesEnd...), t.tail...)
}

func propertyKey(property string) string {
	key, _, _ := strings.Cut(property[len(propertyStart):], `"`)
	return key
}

// outputSchema writes the schema of a chart without subcharts. It does not name
// the chart: charts that have the same values have the same schema.
func outputSchema(flavor string, types *descriptor.Types, fields []descriptor.Field, more []string) (*schemaText, error) {
	schema, definitions := descriptor.OutputSchema(types, fields)
	properties := schema["properties"].(map[string]any)
	for _, key := range more {
		properties[key] = map[string]any{}
	}
	properties["global"] = map[string]any{"type": "object", "description": "values that every vendored chart sees as well"}
	schema["$schema"] = descriptor.Draft07
	schema["title"] = "Values of a chart of the flavor " + flavor
	if len(definitions) > 0 {
		schema["definitions"] = definitions
	}
	text, err := source.AppendJSON(nil, schema)
	if err != nil {
		return nil, err
	}
	return newSchemaText(text), nil
}
