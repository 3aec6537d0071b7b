package codegen

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
)

// writeSchema writes a JSON Schema of {environment: {…}, files: {PATH: …}}, where a
// file with a structure is what it parses to, and another one its text.
func writeSchema(m *model, in Input) ([]byte, error) {
	environment, files := map[string]any{}, map[string]any{}
	var wanted, wantedFiles []string
	for _, v := range m.vars {
		s := variableSchema(v.typ)
		s["description"] = joined(v.doc)
		environment[v.name] = s
		if !v.optional {
			wanted = append(wanted, v.name)
		}
	}
	for _, f := range m.files {
		s := schemaOf(f.typ)
		if f.format == formatRaw {
			s["contentEncoding"] = "base64"
		}
		s["description"] = joined(f.doc)
		files[f.path] = s
		if !f.optional {
			wantedFiles = append(wantedFiles, f.path)
		}
	}
	parts := func(properties map[string]any, required []string) map[string]any {
		s := map[string]any{"type": "object", "properties": properties}
		if len(required) > 0 {
			s["required"] = required
		}
		return s
	}
	schema := map[string]any{
		"$schema":    "https://json-schema.org/draft/2020-12/schema",
		"$comment":   Mark + " " + printable(in.Command),
		"title":      "What the service " + m.service + " gets from its contexts",
		"type":       "object",
		"properties": map[string]any{"environment": parts(environment, wanted), "files": parts(files, wantedFiles)},
		"required":   []string{"environment", "files"},
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(schema)
	return b.Bytes(), err
}

func joined(doc []string) string { return strings.Join(doc, ", ") }

// variableSchema describes the text of a variable.
func variableSchema(t *typ) map[string]any {
	s := map[string]any{"type": "string"}
	switch t.kind {
	case integer:
		s["pattern"] = safeSyntax()
	case float:
		s["pattern"] = floatSyntax
	case boolean:
		s["enum"] = []string{"true", "false"}
	case choice:
		s["enum"] = t.choices
	case duration:
		s["pattern"], s["minLength"] = durationSyntax, 1
	case address:
		s["format"], s["pattern"], s["not"] = "uri", urlSyntax, map[string]any{"pattern": fileSyntax}
	case secret:
		s["writeOnly"] = true
		if !t.blank {
			s["minLength"] = 1
		}
	}
	return s
}

// schemaOf describes a value in a file.
func schemaOf(t *typ) map[string]any {
	switch t.kind {
	case integer:
		return map[string]any{"type": "integer", "minimum": -maxSafe, "maximum": maxSafe}
	case float:
		return map[string]any{"type": "number", "minimum": -math.MaxFloat64, "maximum": math.MaxFloat64}
	case boolean:
		return map[string]any{"type": "boolean"}
	case anything:
		return map[string]any{}
	case secret:
		s := variableSchema(t)
		s["type"], s["minimum"], s["maximum"] = []string{"string", "integer", "boolean"}, -maxSafe, maxSafe
		return s
	case list:
		return map[string]any{"type": "array", "items": schemaOf(t.item)}
	case object:
		properties, required := map[string]any{}, []string{}
		for _, f := range t.fields {
			of := schemaOf(f.typ)
			if f.optional && len(of) > 0 {
				of = map[string]any{"anyOf": []any{of, map[string]any{"type": "null"}}}
			}
			properties[f.key] = of
			if !f.optional {
				required = append(required, f.key)
			}
		}
		s := map[string]any{"type": "object", "properties": properties}
		if len(required) > 0 {
			s["required"] = required
		}
		return s
	}
	return variableSchema(t)
}
