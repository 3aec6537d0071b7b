package descriptor

import (
	"maps"
	"slices"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/schemas"
)

// kubeShape is a map in Kubernetes' words, which a field of a type may have. It says
// in JSON Schema's words what is in it; shape: NAME stands in it for another one.
type kubeShape struct {
	name      string
	unchecked bool // for editors alone
	schema    map[string]any

	once     sync.Once
	checks   map[string]any // the schema with all others that it names in it
	compiled *jsonschema.Schema
	err      error
}

// kubeShapes reads schemas/shapes.yaml, which is a part of the program, once.
var kubeShapes = sync.OnceValue(func() map[string]*kubeShape {
	v, findings := source.ReadYAML(schemas.FS, "shapes.yaml")
	if findings != nil {
		panic(findings) // TestShapes holds the file
	}
	shapes := map[string]*kubeShape{}
	for _, f := range v.Fields {
		schema, _ := f.Value.Native().(map[string]any)
		unchecked := schema["checked"] == false
		delete(schema, "checked")
		shapes[f.Key] = &kubeShape{name: f.Key, unchecked: unchecked, schema: schema}
	}
	return shapes
})

// compile gives the JSON Schema that values are held to, also as a map.
func (k *kubeShape) compile() (*jsonschema.Schema, map[string]any, error) {
	k.once.Do(func() {
		k.checks = inline(k.schema)
		k.compiled, k.err = compileKeywords(k.checks)
	})
	return k.compiled, k.checks, k.err
}

// inline puts shapes in the place of their names.
func inline(schema map[string]any) map[string]any { return mapParts(named(schema), inline) }

// withoutNulls gives a value without what is null in its maps, which comes to the
// same in Kubernetes' words.
func withoutNulls(v *source.Value) *source.Value {
	switch {
	case v == nil || v.Kind != source.Map && v.Kind != source.List:
		return v
	case !hasNull(v):
		return v
	}
	out := v.Shallow()
	for i, item := range out.Items {
		out.Items[i] = withoutNulls(item)
	}
	out.Fields = out.Fields[:0]
	for _, f := range v.Fields {
		if !f.Value.IsNull() {
			f.Value = withoutNulls(f.Value)
			out.Fields = append(out.Fields, f)
		}
	}
	return out
}

func hasNull(v *source.Value) bool {
	return slices.ContainsFunc(v.FieldsOrNone(), func(f source.Field) bool { return f.Value.IsNull() || hasNull(f.Value) }) ||
		slices.ContainsFunc(v.ItemsOrNone(), hasNull)
}

// named puts the content of a shape in the place of its name. What stands beside
// the name decides.
func named(schema map[string]any) map[string]any {
	name, ok := schema["shape"].(string)
	if !ok {
		return schema
	}
	out := maps.Clone(kubeShapes()[name].schema)
	maps.Copy(out, schema)
	delete(out, "shape")
	return out
}

// nullType adds null to the types, and to the enumerated values, of a schema that is
// the caller's own.
func nullType(schema map[string]any) {
	switch t := schema["type"].(type) {
	case string:
		if t != "null" {
			schema["type"] = []any{t, "null"}
		}
	case []any:
		if !slices.Contains(t, any("null")) {
			schema["type"] = append(slices.Clone(t), "null")
		}
	}
	if values, ok := schema["enum"].([]any); ok && !slices.Contains(values, nil) {
		schema["enum"] = append(slices.Clone(values), nil)
	}
}

// mapParts gives a copy of a JSON Schema in which change has been made to every
// schema that stands directly below properties, items and the like.
func mapParts(schema map[string]any, change func(map[string]any) map[string]any) map[string]any {
	out := maps.Clone(schema)
	each := func(part any) any {
		if s, ok := part.(map[string]any); ok {
			return change(s)
		}
		return part
	}
	for _, key := range []string{"properties", "patternProperties"} {
		if parts, ok := schema[key].(map[string]any); ok {
			mapped := map[string]any{}
			for name, part := range parts {
				mapped[name] = each(part)
			}
			out[key] = mapped
		}
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if part, ok := schema[key]; ok {
			out[key] = each(part)
		}
	}
	for _, key := range []string{"anyOf", "oneOf", "allOf"} {
		if parts, ok := schema[key].([]any); ok {
			mapped := make([]any, len(parts))
			for i, part := range parts {
				mapped[i] = each(part)
			}
			out[key] = mapped
		}
	}
	return out
}

// described follows a path of keys into a JSON Schema and gives the description of
// what stands there, or "". source.Item stands for a
// list's item.
func described(schema map[string]any, path []string) string {
	schema = named(schema)
	if len(path) == 0 {
		text, _ := schema["description"].(string)
		return text
	}
	var next any
	if path[0] == source.Item {
		next = schema["items"]
	} else if properties, ok := schema["properties"].(map[string]any); ok {
		next = properties[path[0]]
	}
	if next == nil && path[0] != source.Item && len(path) > 1 {
		// A key that is a name; it has no description of its own.
		next = schema["additionalProperties"]
	}
	if s, ok := next.(map[string]any); ok {
		return described(s, path[1:])
	}
	for _, key := range []string{"anyOf", "oneOf", "allOf"} {
		parts, _ := schema[key].([]any)
		for _, part := range parts {
			if s, ok := part.(map[string]any); ok {
				if text := described(s, path); text != "" {
					return text
				}
			}
		}
	}
	return ""
}
