package descriptor

import (
	"fmt"
	"maps"
)

// Drafts of JSON Schema: editors read the newest, old Helms read draft-07.
const (
	Draft2020 = "https://json-schema.org/draft/2020-12/schema"
	Draft07   = "http://json-schema.org/draft-07/schema#"
)

// schemaWriter compiles types to JSON Schema.
type schemaWriter struct {
	types *Types
	// input schemas describe what people write: names, {from: …}, KEY+. Output
	// schemas describe compiled values.
	input bool
	defs  map[string]any
	refs  string
}

// InputSchema gives the JSON Schema (2020-12) of what a person may write for
// the given fields, its types under $defs.
func InputSchema(types *Types, fields []Field) (schema map[string]any, defs map[string]any) {
	w := schemaWriter{types: types, input: true, defs: map[string]any{}, refs: "#/$defs/"}
	return w.object(fields, nil), w.defs
}

// InstanceSchema gives the input schema of a list of instances of a type.
func InstanceSchema(types *Types, typ string, defs map[string]any) map[string]any {
	w := schemaWriter{types: types, input: true, defs: defs, refs: "#/$defs/"}
	w.define(typ)
	return map[string]any{"type": "array", "items": map[string]any{"allOf": []any{
		map[string]any{"$ref": w.refs + typ}, map[string]any{"required": []any{"name"}},
	}}}
}

// OutputSchema gives the JSON Schema (draft-07) of compiled fields: what stands
// in a chart's values.
func OutputSchema(types *Types, fields []Field) (schema map[string]any, defs map[string]any) {
	w := schemaWriter{types: types, defs: map[string]any{}, refs: "#/definitions/"}
	return w.object(fields, nil), w.defs
}

func (w *schemaWriter) define(typ string) {
	if _, ok := w.defs[typ]; ok {
		return
	}
	w.defs[typ] = nil // holds the place for a type that refers to itself
	var more map[string]any
	if w.input {
		more = map[string]any{
			"name": map[string]any{"type": "string", "description": "name of the instance"},
			"from": map[string]any{"type": "string", "description": "instance that this one changes"},
		}
	}
	w.defs[typ] = w.object(w.types.Get(typ).Fields, more)
}

// object gives the schema of a map with the given fields.
func (w *schemaWriter) object(fields []Field, more map[string]any) map[string]any {
	properties := map[string]any{}
	maps.Copy(properties, more)
	var required []any
	open := false
	for i := range fields {
		f := &fields[i]
		if f.Expr.Embedded && !w.input {
			open = w.embed(f, properties) || open
			continue
		}
		properties[f.Name] = w.field(f)
		if w.input && f.Expr.mode != one {
			properties[f.Name+"+"] = w.field(f)
		}
		if f.Required && f.group == "" && !w.input {
			required = append(required, f.Name)
		}
	}
	schema := map[string]any{"type": "object", "properties": properties}
	if !open {
		schema["additionalProperties"] = false
	}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

// embed adds what an embedded field merges into its parent, and says whether
// that can be any key.
func (w *schemaWriter) embed(f *Field, properties map[string]any) bool {
	fields, structured := w.types.fieldsOf(f.Expr)
	if !structured || f.Expr.mode != one {
		return true
	}
	inner := w.object(fields, nil)
	maps.Copy(properties, inner["properties"].(map[string]any))
	return inner["additionalProperties"] == nil
}

func (w *schemaWriter) field(f *Field) map[string]any {
	schema := w.expr(f.Expr)
	if keywords := f.keywordMap(); len(keywords) > 0 {
		if w.input {
			// A layer may say a part, which others complete.
			delete(keywords, "required")
			delete(keywords, "minProperties")
			// A substitution may stand where the keywords want something else.
			schema = map[string]any{"anyOf": []any{
				map[string]any{"allOf": []any{schema, keywords}},
				map[string]any{"type": "string", "pattern": `\$\{`},
				map[string]any{"type": "null"},
			}}
		} else {
			schema = map[string]any{"allOf": []any{schema, keywords}}
		}
	} else if w.input {
		schema = map[string]any{"anyOf": []any{schema, map[string]any{"type": "null"}}}
	}
	if f.Description != "" {
		schema["description"] = f.Description
	}
	if f.Default != nil {
		schema["default"] = f.Default.Native()
	}
	return schema
}

func (w *schemaWriter) expr(e Expr) map[string]any {
	single := w.single(e)
	switch {
	case e.mode == repeated, e.mode == mapped && w.input:
		return map[string]any{"type": "array", "items": single}
	case e.mode == mapped:
		return map[string]any{"type": "object", "additionalProperties": nullable(single)}
	}
	return single
}

func nullable(schema map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{schema, map[string]any{"type": "null"}}}
}

func (w *schemaWriter) single(e Expr) map[string]any {
	if e.base == "" {
		return w.object(e.fields, nil)
	}
	if primitives[e.base] {
		return w.primitive(e.base)
	}
	w.define(e.base)
	ref := map[string]any{"$ref": w.refs + e.base}
	if w.input {
		return map[string]any{"anyOf": []any{map[string]any{"type": "string", "description": fmt.Sprintf("name of one of the %s", Plural(e.base))}, ref}}
	}
	return ref
}

func (w *schemaWriter) primitive(base string) map[string]any {
	types := map[string]any{
		"string": "string", "numeric": "number", "bool": "boolean", "object": "object",
		"scalar": []any{"string", "number", "boolean"},
	}[base]
	if types == nil {
		return map[string]any{}
	}
	if w.input {
		switch base {
		case "string":
			types = []any{"string", "number"}
		case "numeric", "bool":
			types = []any{types, "string"}
		}
	}
	return map[string]any{"type": types}
}
