package render_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"

	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/render/rendertest"
	"github.com/helm-kai/helm-kai/internal/source"
)

// TestLintAsHelm holds Lint against Helm's, for charts with something wrong.
func TestLintAsHelm(t *testing.T) {
	t.Parallel()
	charts := map[string]string{
		"good":         "",
		"names":        "-- templates/a.yaml --\napiVersion: v1\nkind: Service\nmetadata: {name: 1a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: A_b}\n---\nkind: Role\nmetadata: {name: 'a/b'}\n---\nkind: Namespace\nmetadata: {name: a.b}\n---\nkind: ServiceAccount\n---\nkind: CertificateSigningRequest\n",
		"deprecated":   "-- templates/a.yaml --\napiVersion: autoscaling/v2beta2\nkind: HorizontalPodAutoscaler\nmetadata: {name: a}\n---\napiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: a}\n",
		"selector":     "-- templates/a.yaml --\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n",
		"list":         "-- templates/a.yaml --\napiVersion: v1\nkind: List\nmetadata: {name: a}\nitems: [{metadata: {annotations: {helm.sh/resource-policy: keep}}}]\n",
		"indent":       "-- templates/a.yaml --\n\n  kind: A\n  metadata: {name: a}\n",
		"yaml":         "-- templates/a.yaml --\na: b: c\n-- templates/b.json --\n{}\n",
		"extension":    "-- templates/a.json --\n{}\n-- templates/b.yml --\na: b: c\n",
		"hooks":        "-- templates/a.yaml --\n# helm.sh/hook: crd-install\n# {{ .Release.Time }}\n",
		"refused":      "-- templates/a.yaml --\n# {{ required \"x\" .Values.x }}{{ fail \"y\" }}\n",
		"parse":        "-- templates/a.yaml --\n{{ if }}\n",
		"execution":    "-- templates/a.yaml --\n{{ .a.b.c }}\n",
		"values":       "-- values.yaml --\nport: x\n-- values.schema.json --\n{\"properties\": {\"port\": {\"type\": \"number\"}}}\n",
		"version":      "-- Chart.yaml --\napiVersion: v2\nname: a\nversion: 0.0.0\nappVersion: 1.5\nicon: x\nsources: ['']\nmaintainers: [{name: a, email: b}]\n",
		"first":        "-- Chart.yaml --\napiVersion: v1\nname: a\nversion: 1.0.0\ntype: application\nmaintainers: [{name: a, url: ':'}]\n",
		"dependencies": "-- Chart.yaml --\napiVersion: v2\nname: a\nversion: 1.0.0\ndependencies: [{name: x, version: 1.0.0}, {name: w, version: 1.0.0}]\n-- charts/u/Chart.yaml --\napiVersion: v2\nname: u\nversion: 1.0.0\n",
	}
	for name, text := range charts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := chartOf(txtar.Parse([]byte(text)))
			if !strings.Contains(text, "-- Chart.yaml --") {
				c.Files = append(c.Files, generator.File{Path: "Chart.yaml", Data: []byte("apiVersion: v2\nname: a\nversion: 0.1.0\n")})
			}
			want := helmLint(t, c)
			found, err := mustLoad(t, c).Lint(t.Context(), render.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range found {
				severity := "ERROR "
				if f.Severity == source.Warning {
					severity = "WARNING "
				}
				got = append(got, severity+f.Message)
			}
			slices.Sort(got)
			rendertest.Same(t, strings.Join(want, "\n"), strings.Join(got, "\n"))
			// Helm's lint lets fail and required pass.
			if good := name == "good" || name == "refused"; good != (len(got) == 0) {
				t.Errorf("found %q", got)
			}
		})
	}
	t.Run("everything", func(t *testing.T) {
		t.Parallel()
		c := readChart(t, "everything.txtar")
		found, err := mustLoad(t, c).Lint(t.Context(), render.Options{})
		if want := helmLint(t, c); err != nil || len(want) != len(found) {
			t.Errorf("got %v, %v, want %q", found, err, want)
		}
	})
}

// helmLint gives what Helm's lint says above the level of a note.
func helmLint(t *testing.T, c generator.Chart) []string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a")
	rendertest.Write(t, dir, c)
	version, err := chartutil.ParseKubeVersion(render.DefaultKubeVersion)
	if err != nil {
		t.Fatal(err)
	}
	linter := lint.AllWithKubeVersion(dir, map[string]any{}, "default", version)
	var out []string
	for _, m := range linter.Messages {
		message := strings.TrimSpace(m.Err.Error())
		switch m.Severity {
		case support.ErrorSev:
			out = append(out, "ERROR "+message)
		case support.WarningSev:
			out = append(out, "WARNING "+message)
		}
	}
	slices.Sort(out)
	return out
}

func TestLintKeepsValues(t *testing.T) {
	t.Parallel()
	values := map[string]any{"global": map[string]any{"zone": nil}}
	if _, err := mustLoad(t, readChart(t, "schema.txtar")).Lint(t.Context(), render.Options{Values: values}); err != nil {
		t.Fatal(err)
	}
	if len(values) != 1 || len(values["global"].(map[string]any)) != 1 {
		t.Errorf("the values were changed: %v", values)
	}
}

func TestForbidden(t *testing.T) {
	t.Parallel()
	c := generator.Chart{Name: "a", Files: []generator.File{
		{Path: "Chart.yaml", Data: []byte("apiVersion: v2\nname: a\nversion: 0.1.0\n")},
		{Path: ".helmignore", Data: []byte("*.bak\n")},
		{Path: "templates/_a.tpl", Data: []byte("{{ define \"x\" }}\n  é{{ now | date \"2006\" }}{{ end }}")},
		{Path: "templates/b.yaml", Data: []byte(`{{ if (lookup "v1" "Secret" "a" "b").data }}{{ else }}{{ with $x := randAlpha 5 }}{{ end }}{{ end }}` +
			"\n{{ template \"x\" (dict \"a\" (uuidv4)) }}{{ range $i := list (genCA \"a\" 1) }}{{ env \"HOME\" }}{{ end }}")},
		{Path: "templates/c.yaml", Data: []byte(`{{ .now }}{{ "now" }}{{/* now */}} now {{ $now := 1 }}{{ $now }} {{ htpasswd "a" "b" }}`)},
		{Path: "templates/d.yaml", Data: []byte("{{ tpl \"{{ now }}\" . }}\n{{ . | tpl (`{{ if .a }}{{ tpl \"{{ uuidv4 }}\" . }}{{ end }}`) }}" +
			`{{ tpl "now {{ .now }}" . }}{{ tpl "{{ nosuch }}" . }}{{ tpl .Values.text . }}{{ print "{{ now }}" }}`)},
		{Path: "templates/d.yaml.bak", Data: []byte("{{ now }}")},
		{Path: "templates/e.yaml", Data: []byte("\n{{ if }}")},
		{Path: "files/f.txt", Data: []byte("{{ now }}")},
		{Path: "charts/sub/Chart.yaml", Data: []byte("apiVersion: v2\nname: sub\nversion: 0.1.0\n")},
		{Path: "charts/sub/templates/g.yaml", Data: []byte("{{ getHostByName \"a\" }}")},
		{Path: "charts/sub/charts/deep/Chart.yaml", Data: []byte("apiVersion: v2\nname: deep\nversion: 0.1.0\n")},
		{Path: "charts/sub/charts/deep/templates/h.yaml", Data: []byte("{{ bcrypt \"a\" }}")},
	}}
	var got []string
	for _, f := range mustLoad(t, c).Forbidden() {
		word, _, _ := strings.Cut(strings.TrimPrefix(f.Message, "the function "), " ")
		if f.Severity == source.Warning {
			word += " (warning)"
		}
		got = append(got, f.Origin.String()+" "+word)
	}
	want := []string{
		"charts/sub/charts/deep/templates/h.yaml:1:4 bcrypt (warning)",
		"charts/sub/templates/g.yaml:1:4 getHostByName (warning)",
		"templates/_a.tpl:2:7 now",
		"templates/_a.tpl:2:13 date",
		"templates/b.yaml:1:8 lookup",
		"templates/b.yaml:1:69 randAlpha",
		"templates/b.yaml:2:28 uuidv4",
		"templates/b.yaml:2:60 genCA",
		"templates/b.yaml:2:78 env",
		"templates/c.yaml:1:69 htpasswd",
		"templates/d.yaml:1:8 now",
		"templates/d.yaml:2:13 uuidv4",
		"templates/e.yaml:2 missing",
	}
	rendertest.Same(t, strings.Join(want, "\n"), strings.Join(got, "\n"))
}

func TestErrorFinding(t *testing.T) {
	t.Parallel()
	_, err := mustLoad(t, oneTemplate("\n{{ fail \"give a host\" }}")).Render(t.Context(), render.Options{})
	var e *render.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	rendertest.Same(t, "templates/x.yaml:2:4: give a host", e.Finding().String())
}

// TestForbiddenInTpl: a text that is put together while rendering may not call what
// a flavor may not call. It may in a chart that kai has not made.
func TestForbiddenInTpl(t *testing.T) {
	t.Parallel()
	const made = "annotations: {chart.kai/flavor: webservice 1.0.0}\n"
	chart := func(of, template, sub, subTemplate string) generator.Chart {
		return generator.Chart{Name: "a", Files: []generator.File{
			{Path: "Chart.yaml", Data: []byte("apiVersion: v2\nname: a\nversion: 0.1.0\n" + of)},
			{Path: "values.yaml", Data: []byte("clock: '{{ now }}'\nchance: \"a: b\\nc: {{ uuidv4 }}\"\nplain: '{{ .Release.Name }}'\n" +
				"inner: '{{ tpl .Values.clock . }}'\nhelper: '{{ include \"flavor.help\" . }}'\nown: '{{ define \"x\" }}{{ randAlpha 3 }}{{ end }}{{ include \"x\" . }}'\n" +
				"sub: {clock: '{{ now }}'}\n")},
			{Path: "templates/_help.tpl", Data: []byte(`{{ define "flavor.help" }}help{{ end }}{{ define "flavor.tpl" }}` + "\n" + `  {{ tpl .Values.chance . }}{{ end }}`)},
			{Path: "templates/x.yaml", Data: []byte("a: b\n" + template)},
			{Path: "charts/sub/Chart.yaml", Data: []byte("apiVersion: v2\nname: sub\nversion: 0.1.0\n" + sub)},
			{Path: "charts/sub/templates/y.yaml", Data: []byte("a: b\n" + subTemplate)},
		}}
	}
	const clock = "the function now depends on the time or the time zone of the machine, so that no two renderings are the same\n  hint: give the result as a value instead"
	const chance = "depends on chance, so that no two renderings are the same\n  hint: give the result as a value instead"
	tests := map[string]struct {
		chart generator.Chart
		want  string
	}{
		"a value":          {chart(made, "c: {{ tpl .Values.clock . }}", "", ""), "templates/x.yaml:2:7: line 1 of the text that tpl is given: " + clock},
		"a later line":     {chart(made, "{{ tpl .Values.chance . }}", "", ""), "templates/x.yaml:2:4: line 2 of the text that tpl is given: the function uuidv4 " + chance},
		"in a helper":      {chart(made, `{{ include "flavor.tpl" . }}`, "", ""), "templates/_help.tpl:2:6: line 2 of the text that tpl is given: the function uuidv4 " + chance},
		"tpl in tpl":       {chart(made, "c: {{ tpl .Values.inner . }}", "", ""), "templates/x.yaml:2:7: line 1 of the text that tpl is given: " + clock},
		"its own template": {chart(made, "c: {{ tpl .Values.own . }}", "", ""), "templates/x.yaml:2:7: line 1 of the text that tpl is given: the function randAlpha " + chance},
		"after a helper":   {chart(made, `c: {{ include "flavor.help" . }}{{ tpl (print "{{ now }}" "") . }}`, "", ""), "templates/x.yaml:2:36: line 1 of the text that tpl is given: " + clock},
		"env is no function": {chart(made, `c: {{ tpl (print "{{ env" " \"HOME\" }}") . }}`, "", ""),
			`templates/x.yaml:2:7: executing "a/templates/x.yaml" at <tpl (print "{{ env" " \"HOME\" }}") .>: error calling tpl: cannot parse template "{{ env \"HOME\" }}": template: gotpl:1: function "env" not defined`},
		"in a subchart":     {chart("", "", made, "c: {{ tpl .Values.clock . }}"), "charts/sub/templates/y.yaml:2:7: line 1 of the text that tpl is given: " + clock},
		"of somebody else":  {chart("", "c: {{ tpl .Values.clock . }}", "", ""), ""},
		"of another's part": {chart(made, "", "", "c: {{ tpl .Values.clock . }}"), ""},
		"a part after ours": {chart(made, `c: {{ include "flavor.help" . }}`, "", `c: {{ include "flavor.help" . }}{{ tpl .Values.clock . }}`), ""},
		"nothing forbidden": {chart(made, "c: {{ tpl .Values.plain . }}\nd: {{ tpl .Values.helper . }}", "", ""), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			_, err := mustLoad(t, tt.chart).Render(t.Context(), render.Options{})
			var e *render.Error
			if errors.As(err, &e) {
				got = e.Finding().String()
			} else if err != nil {
				t.Fatal(err)
			}
			rendertest.Same(t, tt.want, got)
		})
	}
}
