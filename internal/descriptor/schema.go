package descriptor

import (
	"fmt"
	"maps"
	"slices"
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
		if w.input && (f.Expr.mode != one || f.Expr.base == "any") {
			more := w.field(f)
			more["description"] = "appended to what lower layers say: " + f.Description
			delete(more, "default")
			properties[f.Name+"+"] = more
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
	schema := w.expr(f)
	keywords := f.keywordMap()
	if w.input {
		// A layer may say a part, which others complete.
		delete(keywords, "required")
		delete(keywords, "minProperties")
	}
	if !w.input {
		delete(keywords, "expected")
	}
	keywords = mapParts(keywords, w.part)
	clash := isRef(schema) && !w.input
	for name := range keywords {
		clash = clash || schema[name] != nil
	}
	if clash && len(keywords) > 0 {
		schema = map[string]any{"allOf": []any{schema, keywords}}
	} else {
		maps.Copy(schema, keywords)
	}
	if isRef(schema) && !w.input && (f.Description != "" || f.Default != nil) {
		// Beside $ref, draft-07 reads nothing.
		schema = map[string]any{"allOf": []any{schema}}
	}
	if f.Description != "" {
		schema["description"] = f.Description
	}
	if f.Default != nil {
		schema["default"] = f.Default.Native()
	}
	if w.input {
		return relaxed(schema)
	}
	return schema
}

func isRef(schema map[string]any) bool { return schema["$ref"] != nil }

// substitution is what text has in it that becomes something else.
const substitution = `\$\{`

// relaxed lets a value of a descriptor be null, which takes it away, or have a
// substitution where the schema wants something else.
func relaxed(schema map[string]any) map[string]any {
	types, plain := typeList(schema["type"])
	expected := schema["expected"]
	delete(schema, "expected")
	switch {
	case !plain && schema["anyOf"] == nil && schema["allOf"] == nil && schema["enum"] == nil:
		return schema // anything, or a shape, whose definition is relaxed
	case schema["enum"] != nil, !plain:
		words := map[string]any{}
		for _, key := range []string{"description", "default", "examples"} {
			if word, ok := schema[key]; ok {
				words[key] = word
				delete(schema, key)
			}
		}
		parts := []any{schema}
		if any, ok := schema["anyOf"].([]any); ok && len(schema) == 1 {
			parts = any
		}
		// Few ways, for an editor says something on each.
		words["anyOf"] = append(slices.Clone(parts), map[string]any{"type": []any{"string", "null"}, "pattern": substitution})
		return words
	}
	text := slices.Contains(types, any("string"))
	if pattern, ok := schema["pattern"].(string); ok && text {
		schema["pattern"] = "(?:" + pattern + ")|" + substitution
		if words, ok := expected.(string); ok {
			schema["patternErrorMessage"] = "expected " + words
		} else if words, ok := schema["description"].(string); ok {
			schema["patternErrorMessage"] = "expected: " + words
		}
	}
	for _, scalar := range []string{"number", "integer", "boolean"} {
		if slices.Contains(types, any(scalar)) && !text {
			types, text = append(types, "string"), true
			schema["pattern"] = substitution
			schema["patternErrorMessage"] = "expected " + map[string]string{
				"number": "a number, without quotes", "integer": "a whole number, without quotes", "boolean": "true or false",
			}[scalar]
		}
	}
	if !slices.Contains(types, any("null")) {
		types = append(types, "null")
	}
	schema["type"] = types
	return schema
}

// typeList gives the types that a schema names, and whether it says all in them and
// in keywords beside them.
func typeList(t any) (types []any, plain bool) {
	switch t := t.(type) {
	case string:
		return []any{t}, true
	case []any:
		return slices.Clone(t), true
	}
	return nil, false
}

// part writes a part of a shape, or of a field's keywords.
func (w *schemaWriter) part(schema map[string]any) map[string]any {
	schema = mapParts(schema, w.part)
	name, shaped := schema["shape"].(string)
	if shaped {
		delete(schema, "shape")
		ref := w.shape(name)
		if !w.input && len(schema) > 0 {
			schema["allOf"] = []any{ref}
		} else {
			maps.Copy(schema, ref)
		}
	}
	if w.input && (shaped || schema["type"] != nil) {
		return relaxed(schema)
	}
	if !w.input {
		delete(schema, "expected")
		nullType(schema)
	}
	return schema
}

// shape defines a shape and gives the reference to it.
func (w *schemaWriter) shape(name string) map[string]any {
	def := ShapeDefinition + name
	if _, ok := w.defs[def]; !ok {
		w.defs[def] = nil
		schema := mapParts(named(map[string]any{"shape": name}), w.part)
		delete(schema, "description")
		if w.input && schema["additionalProperties"] == false {
			// KEY+ appends to a list.
			schema["patternProperties"] = map[string]any{`\+$`: map[string]any{"type": "array"}}
		}
		if w.input {
			schema = relaxed(schema)
		} else {
			nullType(schema)
		}
		w.defs[def] = schema
	}
	return map[string]any{"$ref": w.refs + def}
}

// ShapeDefinition begins the names of the shapes among a schema's definitions; no
// type has a dot in its name.
const ShapeDefinition = "kubernetes."

func (w *schemaWriter) expr(f *Field) map[string]any {
	e := f.Expr
	single := w.single(e)
	if f.shape != nil {
		single = w.shape(f.shape.name)
	}
	switch {
	case e.mode == repeated && w.input && f.shape == nil && primitives[e.base]:
		return map[string]any{"type": "array", "items": relaxed(single)}
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
		"string": "string", "numeric": "number", "integer": "integer", "bool": "boolean", "object": "object",
		"scalar": []any{"string", "number", "boolean"},
	}[base]
	if types == nil {
		return map[string]any{}
	}
	if w.input && base == "string" {
		types = []any{"string", "number"}
	}
	return map[string]any{"type": types}
}
