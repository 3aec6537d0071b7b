package render

import (
	"context"
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/helm-kai/helm-kai/generator"
)

func withTemplate(text, values string) generator.Chart {
	return generator.Chart{Name: "one", Files: []generator.File{
		{Path: "Chart.yaml", Data: []byte("apiVersion: v2\nname: one\nversion: 0.1.0\nappVersion: \"7\"\n")},
		{Path: "templates/x.yaml", Data: []byte(text)},
		{Path: "values.yaml", Data: []byte(values)},
	}}
}

// quickValues are what the templates below see.
const quickValues = `
num: 3
zero: 0
f: 1.5
s: text
empty: ""
ok: true
bad: false
nil: null
list: [1, two, {three: 3}, null]
none: []
map: {b: 2, a: {c: {d: deep}}, z: null}
texts: [b, a, c]
`

// TestQuickly renders templates by both executors. Where known is true, the quick
// one has to know all that is in them; where it gives up, it is text/template's.
func TestQuickly(t *testing.T) {
	t.Parallel()
	for text, known := range map[string]bool{
		`{{ .Values.s }}{{ .Values.num }}{{ .Values.f }}{{ .Values.ok }}{{ .Values.nil }}{{ .Values.absent }}`:                                                            true,
		`{{ with .Values.map }}{{ .b }}{{ .a.c.d }}{{ $.Values.s }}{{ else }}no{{ end }}`:                                                                                 true,
		`{{ with .Values.empty }}{{ . }}{{ else with .Values.s }}{{ . }}{{ end }}`:                                                                                        true,
		`{{ range .Values.texts }}{{ . }}{{ end }}{{ range $i, $t := .Values.texts }}{{ $i }}{{ $t }}{{ end }}{{ range .Values.none }}{{ else }}x{{ end }}`:               true,
		`{{ range $k, $v := .Values.map }}{{ $k }}{{ if eq $k "b" }}{{ continue }}{{ end }}{{ if eq $k "z" }}{{ break }}{{ end }}-{{ end }}`:                              true,
		`{{ range .Values.nil }}{{ else }}nothing{{ end }}{{ range .Values.absent }}{{ end }}`:                                                                            true,
		`{{ $x := 1 }}{{ if .Values.ok }}{{ $x = 2 }}{{ $x := 3 }}{{ $x }}{{ end }}{{ $x }}{{ range .Values.texts }}{{ $x = . }}{{ end }}{{ $x }}`:                        true,
		`{{ (.Values.nil).a }}{{ (.Values.absent).a.b }}{{ $n := .Values.nil }}{{ $n.a }}{{ (.Values.map).b }}`:                                                           true,
		`{{ define "a" }}[{{ . }}{{ with .x }}{{ template "a" . }}{{ end }}]{{ end }}{{ template "b" "q" }}{{ define "b" }}{{ . | upper }}{{ end }}`:                      true,
		`{{ define "a" }}x: {{ .s }}{{ end }}{{ include "a" .Values | nindent 4 | quote }}{{ include "a" (dict "s" (list 1 2)) | len }}`:                                  false,
		`{{ define "a" }}x: {{ .s }}{{ end }}{{ include "a" .Values | nindent 4 | quote }}{{ include "a" (dict "s" "y") | len }}`:                                         true,
		`{{ tpl "{{ .Values.s }}{{ .Release.Name }}" . }}{{ tpl "plain" . }}{{ tpl .Values.s . }}`:                                                                        true,
		`{{ tpl "{{ define \"q\" }}{{ end }}{{ .Values.s }}" . }}`:                                                                                                        false,
		`{{ and .Values.ok .Values.s }}{{ or .Values.bad .Values.empty "last" }}{{ not .Values.nil }}{{ and .Values.bad (fail "never") }}`:                                true,
		`{{ eq .Values.s "text" "b" }}{{ ne .Values.num 3.0 }}{{ eq .Values.nil "a" }}{{ lt 1 2 }}{{ ge "b" "a" }}{{ le 2 2 }}{{ gt .Values.f 1.0 }}`:                     false,
		`{{ eq .Values.s "a" "text" }}{{ eq .Values.nil "a" }}{{ lt 1 2 }}{{ ge "b" "a" }}{{ le 2 2 }}{{ eq .Values.ok true }}{{ int .Values.num | eq 3 }}`:               true,
		`{{ index .Values.map "a" "c" "d" }}{{ index .Values.list 1 }}{{ index .Values.map "q" }}{{ len .Values.list }}`:                                                  true,
		`{{ default "d" .Values.empty }}{{ .Values.s | default "d" }}{{ empty .Values.none }}{{ coalesce .Values.nil "c" }}{{ ternary 1 2 .Values.ok }}`:                  true,
		`{{ $d := dict "a" 1 }}{{ $_ := set $d "b" .Values.list }}{{ get $d "a" }}{{ hasKey $d "b" }}{{ toJson $d }}{{ $d | toYaml | nindent 2 }}`:                        true,
		`{{ toJson (pick .Values.map "a" "b") }}{{ toJson (omit .Values.map "a") }}{{ keys .Values.map | sortAlpha | join "," }}{{ has "b" .Values.texts }}`:              true,
		`{{ merge (dict "q" 1) .Values.map | toJson }}{{ $c := deepCopy .Values.map }}{{ $_ := set $c.a "c" 1 }}{{ toJson .Values.map }}`:                                 true,
		`{{ printf "%s-%d-%v" .Values.s (int .Values.num) .Values.list }}{{ print 1 "a" }}{{ quote 1 nil "b" }}{{ squote .Values.s }}`:                                    true,
		`{{ splitList "," "a,b" | toJson }}{{ trimSuffix "t" .Values.s }}{{ replace "t" "x" .Values.s }}{{ trunc 2 .Values.s }}{{ sha256sum "a" }}`:                       true,
		`{{ fromJson "{\"a\":[1,{\"b\":null}],\"c\":\"d\\n\"}" | toYaml }}{{ (fromYaml "a: {b: c}").a.b }}{{ fromJsonArray "[1]" | toJson }}`:                             true,
		`{{ uniq (concat .Values.texts (list "a")) | toJson }}{{ first .Values.texts }}{{ append .Values.none 1 | toJson }}{{ slice .Values.texts 1 | toJson }}`:          true,
		`{{ .Chart.Name }}{{ .Chart.AppVersion }}{{ .Capabilities.KubeVersion.Version }}{{ .Capabilities.APIVersions.Has "v1" }}{{ $.Capabilities.APIVersions.Has "q" }}`: true,
		`{{ .Template.Name }}{{ .Template.BasePath }}{{ .Release.Service }}{{ .Release.Revision }}{{ .Release.IsInstall }}`:                                               true,
		`{{ .Files.Get "a.txt" }}{{ add 1 2 3 }}{{ sub 5 3 }}{{ int64 .Values.num }}{{ kindIs "map" .Values.map }}{{ toString .Values.num }}`:                             true,
		`{{ required "give it" .Values.s }}{{ lookup "v1" "Pod" "" "" | toJson }}`:                                                                                        false,
		`{{ .Values.list }}`:                                                                                  false,
		`{{ range $i := until 3 }}{{ $i }}{{ end }}`:                                                          false,
		`{{ .Values.AsMap | toJson }}{{ .Chart.Metadata.Name }}`:                                              false,
		`{{ 0.5 }}{{ 'a' }}{{ 0x10 }}`:                                                                        false,
		"{{- /* c */ -}} \n a {{- 1 -}} b":                                                                    true,
		`{{ range $i, $x := .Values.none }}{{ else }}{{ toJson $x }}{{ toJson $i }}{{ end }}`:                 true,
		`{{ range .Values.texts }}{{ range $.Values.none }}{{ else }}{{ break }}{{ end }}{{ . }}{{ end }}`:    true,
		`{{ range .Values.texts }}{{ range $.Values.none }}{{ else }}{{ continue }}{{ end }}{{ . }}{{ end }}`: true,
		`{{ typeOf . }}{{ index . "Values" "s" }}{{ include "a" . }}{{ define "a" }}{{ typeOf $ }}{{ end }}`:  true,
		`{{ define "\x00file" }}x{{ end }}`:                                                                   false,
	} {
		c, err := Load(withTemplate(text, quickValues))
		if err != nil {
			t.Fatal(err)
		}
		opts := Options{}
		quick, _, ok := c.quickly(t.Context(), opts)
		slow, _, err := c.renderWith(t.Context(), opts, false, c.program)
		if ok && (err != nil || !reflect.DeepEqual(quick, slow)) {
			t.Errorf("%s\ngives %q\nwant  %q, %v", text, quick, slow, err)
		}
		if known && !ok {
			t.Errorf("%s\nis left to text/template", text)
		}
		if known && err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestQuicklyGivesUp holds that mistakes and bounds are text/template's to word.
func TestQuicklyGivesUp(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{{ .Values.nil.a }}`, `{{ range .Values.list }}{{ .three }}{{ end }}`, `{{ range .Values.num }}{{ end }}`, `{{ fail "x" }}`, `{{ required "x" .Values.nil }}`,
		`{{ include "nothing" . }}`, `{{ template "nothing" }}`, `{{ upper 1 }}`, `{{ upper "a" "b" }}`, `{{ nindent "2" "a" }}`, `{{ index .Values.list 9 }}`,
		`{{ index .Values.nil 1 }}`, `{{ lt 1 "a" }}`, `{{ eq 1 "a" }}`, `{{ eq .Values.map .Values.map }}`, `{{ set .Values.s "a" 1 }}`, `{{ first "x" }}`, `{{ tpl "{{" . }}`,
		`{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}`, `{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ toYaml $d }}`, `{{ .Values.s.a }}`,
		`{{ $x := list 1 }}{{ range until 60 }}{{ $x = list $x $x }}{{ end }}{{ toJson $x }}`, `{{ nil }}`, `{{ if (nil) }}{{ end }}`, `{{ range nil }}{{ end }}`,
	} {
		c, err := Load(withTemplate(text, quickValues))
		if err != nil {
			t.Fatal(err)
		}
		if got, _, ok := c.quickly(t.Context(), Options{}); ok {
			t.Errorf("%s\ngives %q", text, got)
		}
	}
}

// TestQuicklyKeepsValues holds that a template which changes its values does not
// change those of the next rendering.
func TestQuicklyKeepsValues(t *testing.T) {
	t.Parallel()
	c, err := Load(withTemplate(`{{ .Values.map.b }}{{ $_ := set .Values.map "b" "changed" }}{{ .Values.user.a }}{{ $_ := set .Values.user "a" 2 }}`, quickValues))
	if err != nil {
		t.Fatal(err)
	}
	user := map[string]any{"user": map[string]any{"a": 1}}
	for range 2 {
		files, own, ok := c.quickly(t.Context(), Options{Values: user})
		if !ok || files["one/templates/x.yaml"] != "21" || !reflect.DeepEqual(own.Values, c.chart.Values) {
			t.Fatal(files, ok)
		}
	}
}

// TestQuicklyBounded holds that what a template prints is counted as it is printed.
func TestQuicklyBounded(t *testing.T) {
	t.Parallel()
	q := NewLibrary().quick()
	trees, err := q.executor.parser.parse(anyFile, strings.Repeat(`{{ . }}`, 1000))
	if err != nil {
		t.Fatal(err)
	}
	q.start(newRun(t.Context(), Limits{Output: 1 << 10}.orDefault(), false))
	if q.call(compile(trees[anyFile]), strings.Repeat("a", 1<<10)) || len(q.out) > 2<<10 {
		t.Errorf("%d bytes were printed", len(q.out))
	}
}

// TestMetadataKept holds that a template which sorts what it sees of Chart.yaml
// does not do so for the next rendering.
func TestMetadataKept(t *testing.T) {
	t.Parallel()
	files := withTemplate(`{{ .Chart.Keywords | toJson }}{{ $_ := sortAlpha .Chart.Keywords }}`, "")
	files.Files[0].Data = append(files.Files[0].Data, "keywords: [b, a]\n"...)
	c, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		files, _, err := c.render(t.Context(), Options{}, false)
		if err != nil || files["one/templates/x.yaml"] != `["b","a"]` {
			t.Fatal(files, err)
		}
	}
}

// TestSchemaAsHelm holds that schemas with and without the names of subcharts
// admit what Helm's admit.
func TestSchemaAsHelm(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{
		`{"properties": {"my-sub": {"type": "object"}}, "additionalProperties": false}`, `{"properties": {"a": {"not": {"const": "my-sub"}}}}`, `{"properties": {"a": {"properties": {"my-sub": {"type": "string"}}}}}`,
		`{"patternProperties": {"^my-": {"type": "string"}}}`, `{"propertyNames": {"maxLength": 3}}`, `{"propertyNames": {"not": {"pattern": "^my"}}}`, `{"not": {"required": ["my-sub"]}}`, `{"not": {"required": ["my\u002dsub"]}}`,
		`{"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"format": "my-sub"}, "my-sub": {}}}`, `{"definitions": {"my-sub": {"type": "string"}}, "properties": {"a": {"$ref": "#/definitions/my-sub"}}}`,
		`{"properties": {"subchart 0": {"type": "string"}, "my-sub": {"type": "object"}}}`, `{"const": {"my-sub": {}}}`, `{"not": {"const": {"my-sub": {}}}}`,
	} {
		c := &chart.Chart{Metadata: &chart.Metadata{Name: "one"}, Schema: []byte(schema)}
		c.AddDependency(&chart.Chart{Metadata: &chart.Metadata{Name: "my-sub"}})
		for _, values := range []map[string]any{
			{}, {"my-sub": map[string]any{}}, {"a": "my-sub"}, {"a": map[string]any{"my-sub": 1}}, {"my-sub": map[string]any{}, "a": map[string]any{"my-sub": 1}},
			{"subchart 0": "x", "my-sub": map[string]any{}}, {"a": map[string]any{"subchart 0": 1}},
		} {
			var s schemas
			got, want := s.validate(c, values), ""
			if err := chartutil.ValidateAgainstSchema(c, values); err != nil {
				want = err.Error()
			}
			if (got == "") != (want == "") {
				t.Errorf("%s and %s\ngive %q\nwant %q", schema, asText(values), got, want)
			}
		}
	}
}

// TestMerged holds merged values, and the chart as it is left, to Helm's.
func TestMerged(t *testing.T) {
	t.Parallel()
	parent := `{a: 1, n: null, t: {x: 1, y: null, z: {q: 1}}, sub: {s: 2, deep: {a: 1}, gone: null}, global: {zone: a}, l: [1]}`
	for _, user := range []string{
		`{}`, `{a: null, n: 1, new: null}`, `{t: {x: null, y: 2, z: null}}`, `{t: null}`, `{t: 1}`, `{a: {b: c}}`, `{n: {b: c}}`, `{sub: {s: null, deep: {a: null, b: 1}}}`, `{sub: null}`, `{sub: 1}`,
		`{global: {zone: b}}`, `{global: {table: {k: w}}}`, `{global: null}`, `{global: 1}`, `{sub: {global: {zone: c}}}`, `{sub: {global: {table: {m: n}}}}`, `{l: null}`, `{l: {}}`, `{t: {z: {q: null, r: null}}}`, `{t: {z: 1}}`,
	} {
		for _, sub := range []string{`{s: 1, t: {u: 1}, deep: {a: 2, c: null}, gone: 3}`, `{}`, `{global: {zone: z}}`, `{deep: 1}`} {
			values := map[string]any{}
			if m, err := chartutil.ReadValues([]byte(user)); err == nil {
				values = m
			}
			mine, helms := twoCharts(t, parent, sub), twoCharts(t, parent, sub)
			got, ok := NewLibrary().merged(mine, values)
			if !ok {
				continue
			}
			if err := chartutil.ProcessDependenciesWithMerge(helms, values); err != nil {
				t.Fatal(err)
			}
			want, err := chartutil.CoalesceValues(helms, values)
			if err != nil || asText(got) != asText(want.AsMap()) || asText(mine.Values) != asText(helms.Values) || asText(mine.Metadata) != asText(helms.Metadata) {
				t.Errorf("%s over %s\ngives %s\nwant  %s, %v\nchart %s\nwant  %s", user, sub, asText(got), asText(want), err, asText(mine.Values), asText(helms.Values))
			}
		}
	}
	if _, ok := NewLibrary().merged(twoCharts(t, `{a: 1}`, `{}`), map[string]any{"sub": nil}); ok {
		t.Error("Helm refuses a null for a subchart")
	}
	if _, ok := NewLibrary().merged(twoCharts(t, parent, `{s: 1}`), map[string]any{"a": 2}); !ok {
		t.Error("left to Helm")
	}
}

func twoCharts(t *testing.T, parent, sub string) *chart.Chart {
	t.Helper()
	c, err := loadChart([]generator.File{
		{Path: "Chart.yaml", Data: []byte("apiVersion: v2\nname: one\nversion: 0.1.0\ndependencies: [{name: sub, version: 1.0.0, repository: ''}]\n")},
		{Path: "values.yaml", Data: []byte(parent)},
		{Path: "charts/sub/Chart.yaml", Data: []byte("apiVersion: v2\nname: sub\nversion: 1.0.0\n")},
		{Path: "charts/sub/values.yaml", Data: []byte(sub)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestReadChart holds charts that are read here to those that Helm reads.
func TestReadChart(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	charts := [][]generator.File{withTemplate("a: b", quickValues).Files}
	for _, p := range paths {
		archive, err := txtar.ParseFile(p)
		if err != nil {
			t.Fatal(err)
		}
		var files []generator.File
		for _, f := range archive.Files {
			files = append(files, generator.File{Path: f.Name, Data: f.Data})
		}
		charts = append(charts, files)
	}
	charts = append(charts, []generator.File{
		{Path: "Chart.yaml", Data: []byte("apiVersion: v2\nname: one\nversion: 0.1.0\ntype: application\nkeywords:\n- a\nannotations:\n  b: c\ndependencies:\n- name: sub\n  version: 1.0.0\n  repository: \"\"\n")},
		{Path: "Chart.lock", Data: []byte("dependencies:\n- name: sub\n  version: 1.0.0\n  repository: \"\"\ndigest: sha256:00ff\ngenerated: \"0001-01-01T00:00:00Z\"\n")},
		{Path: "README.md", Data: []byte("one")}, {Path: "templates/x.yaml", Data: []byte("a: b")}, {Path: "values.schema.json", Data: []byte("{}")},
		{Path: "charts/sub/Chart.yaml", Data: []byte("apiVersion: v2\nname: sub\nversion: 1.0.0\n")}, {Path: "charts/sub/values.yaml", Data: []byte("a: 1\n")},
	})
	if _, ok := readChart(append(charts[len(charts)-1], generator.File{Path: "charts/sub/a.prov"})); ok {
		t.Error("a file that Helm takes as the parent's")
	}
	read := 0
	for _, files := range charts {
		got, ok := readChart(files)
		if !ok {
			continue
		}
		read++
		want, err := loadChart(files)
		if err != nil {
			t.Fatal(err)
		}
		sortDependencies(got)
		sortDependencies(want)
		if asText(got) != asText(want) || asText(got.Raw) != asText(want.Raw) || len(got.Dependencies()) != len(want.Dependencies()) {
			t.Errorf("gives %s\nwant  %s", asText(got), asText(want))
		}
		for i, sub := range got.Dependencies() {
			if asText(sub) != asText(want.Dependencies()[i]) || sub.ChartFullPath() != want.Dependencies()[i].ChartFullPath() {
				t.Errorf("gives %s\nwant  %s", asText(sub), asText(want.Dependencies()[i]))
			}
		}
	}
	if read < 2 {
		t.Errorf("%d charts were read here", read)
	}
}

// TestQuicklyConcurrently shares a library among renderings of two charts.
func TestQuicklyConcurrently(t *testing.T) {
	t.Parallel()
	l := NewLibrary()
	done := make(chan string)
	for i := range 8 {
		go func() {
			c, err := l.Load(withTemplate(`{{ define "a" }}{{ .Values.who }}{{ end }}{{ range until 50 }}{{ include "a" $ }}{{ end }}`, "who: "+string(rune('a'+i))))
			if err != nil {
				done <- err.Error()
				return
			}
			files, _, err := c.render(context.Background(), Options{}, false)
			if err != nil {
				done <- err.Error()
				return
			}
			for _, r := range files["one/templates/x.yaml"] {
				if r != rune('a'+i) {
					done <- files["one/templates/x.yaml"]
					return
				}
			}
			done <- ""
		}()
	}
	for range 8 {
		if wrong := <-done; wrong != "" {
			t.Error(wrong)
		}
	}
}

// asText gives a value in a form that can be compared.
func asText(v any) string {
	data, _ := json.Marshal(v)
	return string(data)
}
