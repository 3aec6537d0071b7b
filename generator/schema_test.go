package generator

import (
	"bytes"
	"testing"

	"github.com/helm-kai/helm-kai/internal/source"
)

// TestSchemaText holds the text that is put together to the one that the
// encoder would write.
func TestSchemaText(t *testing.T) {
	t.Parallel()
	encode := func(v any) []byte {
		b, err := source.AppendJSON(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	object := map[string]any{"type": "object", "description": "values of the vendored chart"}
	schema := func(more ...string) map[string]any {
		properties := map[string]any{
			"global": map[string]any{}, "image": map[string]any{"properties": map[string]any{"a": map[string]any{}, "b": true}},
			"replicas": map[string]any{"description": "a \"}\" and\n  }", "enum": []any{1, 2}},
		}
		for _, key := range more {
			properties[key] = object
		}
		return map[string]any{
			"$schema": "x", "definitions": map[string]any{"t": map[string]any{"properties": map[string]any{"x": true}}},
			"properties": properties, "type": "object", "title": "y",
		}
	}
	for _, names := range [][]string{nil, {"a-db"}, {"zoo"}, {"image-cache", "global-x", "a"}} {
		var subcharts []Subchart
		for _, name := range names {
			subcharts = append(subcharts, Subchart{Chart: Chart{Name: name}})
		}
		if got, want := newSchemaText(encode(schema())).with(subcharts), encode(schema(names...)); !bytes.Equal(got, want) {
			t.Errorf("%v:\n%s\nwant:\n%s", names, got, want)
		}
	}
}
