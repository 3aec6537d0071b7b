package render

import (
	"testing"

	"github.com/helm-kai/helm-kai/generator"
)

// TestCoverage renders a chart by two sets of values, and looks at what has run.
func TestCoverage(t *testing.T) {
	t.Parallel()
	text := `{{- /* a comment */ -}}
{{- if .Values.a }}
a: {{ include "x.help" . }}
{{- else if .Values.b }}

b: 1
{{- else }}
c: 1
{{- end }}
{{- range .Values.list }}{{ end }}
{{ with .Values.never }}{{ . }}{{ end }}
{{- define "x.help" }}{{ if .Values.deep }}
deep{{ else }}flat{{ end }}{{ end }}
`
	chart := generator.Chart{Name: "x", Version: "1.0.0", Files: []generator.File{
		{Path: "Chart.yaml", Data: []byte("apiVersion: v2\nname: x\nversion: 1.0.0\n")},
		{Path: "templates/x.yaml", Data: []byte(text)},
	}}
	coverage := NewCoverage()
	plain, err := Load(chart)
	if err != nil {
		t.Fatal(err)
	}
	covered, err := NewLibraryWith(coverage).Load(chart)
	if err != nil {
		t.Fatal(err)
	}
	for _, values := range []map[string]any{{"a": true}, {"b": true, "list": []any{1}}} {
		want, err := plain.Render(t.Context(), Options{Values: values})
		if err != nil {
			t.Fatal(err)
		}
		got, err := covered.Render(t.Context(), Options{Values: values})
		if err != nil || got.Text() != want.Text() {
			t.Errorf("%v: %v\n%s\nwithout coverage:\n%s", values, err, got.Text(), want.Text())
		}
	}
	blocks, err := Blocks(text)
	if err != nil {
		t.Fatal(err)
	}
	ran := coverage.Ran(text)
	never := map[int]string{}
	for _, b := range blocks {
		if !ran[b] {
			never[b.Line] = b.Template
		}
	}
	if len(blocks) != 9 || len(never) != 3 || never[8] != "" || never[11] != "" || never[13] != "x.help" {
		t.Errorf("blocks %+v, of which never: %v", blocks, never)
	}
}
