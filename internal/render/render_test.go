package render_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"

	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/render/rendertest"
)

// readChart gives a chart that stands in a txtar file of testdata.
func readChart(t testing.TB, name string) generator.Chart {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return chartOf(archive)
}

func chartOf(archive *txtar.Archive) generator.Chart {
	var c generator.Chart
	for _, f := range archive.Files {
		c.Files = append(c.Files, generator.File{Path: f.Name, Data: f.Data})
	}
	return c
}

// oneTemplate gives a chart with a single template.
func oneTemplate(text string) generator.Chart {
	return generator.Chart{Name: "one", Files: []generator.File{
		{Path: "Chart.yaml", Data: []byte("apiVersion: v2\nname: one\nversion: 0.1.0\n")},
		{Path: "templates/x.yaml", Data: []byte(text)},
	}}
}

func mustLoad(t testing.TB, c generator.Chart) *render.Chart {
	t.Helper()
	loaded, err := render.Load(c)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// helmTemplate is what `helm template` does, made of Helm's own packages.
func helmTemplate(t testing.TB, c generator.Chart, opts render.Options) (string, error) {
	t.Helper()
	dir := t.TempDir()
	rendertest.Write(t, dir, c)
	loaded, err := loader.LoadDir(dir)
	if err != nil {
		return "", err
	}
	return helmRender(loaded, opts)
}

func helmRender(c *chart.Chart, opts render.Options) (string, error) {
	if err := chartutil.ProcessDependenciesWithMerge(c, opts.Values); err != nil {
		return "", err
	}
	version := opts.KubeVersion
	if version == "" {
		version = render.DefaultKubeVersion
	}
	kube, err := chartutil.ParseKubeVersion(version)
	if err != nil {
		return "", err
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = *kube
	capabilities.HelmVersion.Version = render.HelmVersion
	capabilities.APIVersions = append(capabilities.APIVersions[:len(capabilities.APIVersions):len(capabilities.APIVersions)], opts.APIVersions...)
	release := chartutil.ReleaseOptions{
		Name: "release-name", Namespace: "default", Revision: 1, IsInstall: !opts.IsUpgrade, IsUpgrade: opts.IsUpgrade,
	}
	values, err := chartutil.ToRenderValues(c, opts.Values, release, capabilities)
	if err != nil {
		return "", err
	}
	files, err := engine.Render(c, values)
	if err != nil {
		return "", err
	}
	for name := range files {
		if strings.HasSuffix(name, "NOTES.txt") {
			delete(files, name)
		}
	}
	hooks, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if opts.IncludeCRDs {
		for _, crd := range c.CRDObjects() {
			fmt.Fprintf(&b, "---\n# Source: %s\n%s\n", crd.Filename, crd.File.Data)
		}
	}
	for _, m := range manifests {
		fmt.Fprintf(&b, "---\n# Source: %s\n%s\n", m.Name, m.Content)
	}
	out := strings.TrimSpace(b.String()) + "\n"
	if !opts.NoHooks {
		for _, h := range hooks {
			out += fmt.Sprintf("---\n# Source: %s\n%s\n", h.Path, h.Manifest)
		}
	}
	return out, nil
}

// comparison is a rendering that is held against Helm's.
type comparison struct {
	chart generator.Chart
	opts  render.Options
	// helm3 says that Helm 4 is known to differ.
	helm3 bool
}

func comparisons(t testing.TB) map[string]comparison {
	t.Helper()
	everything := readChart(t, "everything.txtar")
	nulls := oneTemplate("a: {{ .Values | toJson }} {{ .Values.a }}")
	nulls.Files = append(nulls.Files, generator.File{Path: "values.yaml", Data: []byte("a: null\nb: {c: null, d: 1}\ne: 1\n")})
	bom := oneTemplate("kind: A\n")
	bom.Files[1].Data = append([]byte("\xEF\xBB\xBF"), bom.Files[1].Data...)
	return map[string]comparison{
		"everything":               {chart: everything},
		"everything with CRDs":     {chart: everything, opts: render.Options{IncludeCRDs: true}},
		"everything without hooks": {chart: everything, opts: render.Options{NoHooks: true}},
		"everything upgraded": {chart: everything, opts: render.Options{
			IsUpgrade: true, KubeVersion: "1.29.3", APIVersions: []string{"example.com/v1"},
		}},
		"everything without its stores": {chart: everything, opts: render.Options{Values: map[string]any{
			"store": map[string]any{"enabled": false}, "second": map[string]any{"enabled": true, "own": nil, "gone": nil},
			"labels": map[string]any{"a": nil, "new": 1e6}, "global": map[string]any{"zone": "south"},
		}}},
		"plain":            {chart: readChart(t, "plain.txtar")},
		"hooks only":       {chart: readChart(t, "hooks-only.txtar")},
		"nothing":          {chart: readChart(t, "nothing.txtar")},
		"schema":           {chart: readChart(t, "schema.txtar")},
		"byte order mark":  {chart: bom},
		"nulls":            {chart: nulls, opts: render.Options{Values: map[string]any{"e": nil, "b": map[string]any{"d": nil, "f": nil}}}, helm3: true},
		"carriage returns": {chart: oneTemplate("kind: A\r\nname: {{ .Release.Name }}\r\n---\r\n# comment\r\n---\r\nkind: B\r\n")},
		"separators":       {chart: oneTemplate("{{- $x := 1 -}}\nkind: {{ $x }}\n---\n---\n\n---\n{}\n---\n"), helm3: true},
		"root":             {chart: oneTemplate(`kind: {{ typeOf . }}{{ .PathValue "Release.Name" }}{{ define "a" }}{{ typeOf $ }}{{ end }}{{ include "a" . }}`), helm3: true},
		"odd name":         {chart: oneTemplate(`{{ define "\x00file" }}kind: A{{ end }}`)},
		"Helm's version":   {chart: oneTemplate("kind: {{ .Capabilities.HelmVersion.Version }}"), helm3: true},
	}
}

func TestRenderAsHelm(t *testing.T) {
	t.Parallel()
	for name, c := range comparisons(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := helmTemplate(t, c.chart, c.opts)
			if err != nil {
				t.Fatal(err)
			}
			loaded := mustLoad(t, c.chart)
			for range 3 { // what is kept from one rendering to the next must not show
				result, err := loaded.Render(t.Context(), c.opts)
				if err != nil {
					t.Fatal(err)
				}
				rendertest.Same(t, want, result.Text())
			}
		})
	}
}

// TestRenderAsHelmCommand holds the same charts against helm itself, where the
// environment names one or more binaries, separated as in PATH.
func TestRenderAsHelmCommand(t *testing.T) {
	t.Parallel()
	binaries := filepath.SplitList(os.Getenv("KAI_TEST_HELM"))
	if len(binaries) == 0 {
		t.Skip("KAI_TEST_HELM names no helm")
	}
	for name, c := range comparisons(t) {
		for _, helm := range binaries {
			if c.helm3 && rendertest.Major(t, helm) > 3 {
				continue
			}
			t.Run(name+" "+filepath.Base(helm), func(t *testing.T) {
				t.Parallel()
				rendertest.CompareWithHelm(t, helm, c.chart, c.opts)
			})
		}
	}
}

// TestRenderConcurrently renders one chart for two choices of dependencies at
// the same time.
func TestRenderConcurrently(t *testing.T) {
	t.Parallel()
	c := readChart(t, "everything.txtar")
	choices := []render.Options{{}, {Values: map[string]any{"second": map[string]any{"enabled": false}}}}
	wants := make([]string, len(choices))
	for i, opts := range choices {
		want, err := helmTemplate(t, c, opts)
		if err != nil {
			t.Fatal(err)
		}
		wants[i] = want
	}
	if wants[0] == wants[1] {
		t.Fatal("the choices are the same")
	}
	loaded := mustLoad(t, c)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			result, err := loaded.Render(t.Context(), choices[i%2])
			if err != nil {
				t.Error(err)
			} else if result.Text() != wants[i%2] {
				t.Error("differs from Helm")
			}
		})
	}
	wait.Wait()
}

func TestRenderResult(t *testing.T) {
	t.Parallel()
	values := map[string]any{"labels": map[string]any{"x": "y"}}
	result, err := mustLoad(t, readChart(t, "everything.txtar")).Render(t.Context(), render.Options{
		ReleaseName: "mine", Namespace: "here", IncludeCRDs: true, Values: values,
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "Installed mine into here.\n"; result.Notes != want {
		t.Errorf("notes %q, want %q", result.Notes, want)
	}
	if len(values) != 1 || len(values["labels"].(map[string]any)) != 1 {
		t.Errorf("the values were changed: %v", values)
	}
	first, last := result.Manifests[0], result.Manifests[len(result.Manifests)-1]
	if !first.CRD || first.Source != "everything/crds/a/others.yaml" || first.Kind != "CustomResourceDefinition" {
		t.Errorf("first: %+v", first)
	}
	if !last.Hook || last.Kind != "Job" || last.Name != "before" || last.Weight != -5 ||
		last.APIVersion != "batch/v1" || strings.Join(last.Events, ",") != "pre-install,pre-upgrade" {
		t.Errorf("last: %+v", last)
	}
}

// TestRenderErrors holds the texts of errors against Helm's, and the places that
// only kai tells.
func TestRenderErrors(t *testing.T) {
	t.Parallel()
	bad := readChart(t, "schema.txtar")
	tests := map[string]struct {
		chart  generator.Chart
		values map[string]any
		code   render.Code
		at     string
	}{
		"parse":           {chart: oneTemplate("a: 1\nb: {{ if }}\n"), code: render.CodeParse, at: "templates/x.yaml:2"},
		"unknown":         {chart: oneTemplate("\n{{ env \"HOME\" }}"), code: render.CodeParse, at: "templates/x.yaml:2"},
		"bounds' names":   {chart: oneTemplate("{{ _leave }}"), code: render.CodeParse, at: "templates/x.yaml:1"},
		"twice":           {chart: oneTemplate(`{{define "a"}}x{{end}}{{define "a"}}y{{end}}`), code: render.CodeParse, at: "templates/x.yaml:1"},
		"nil":             {chart: oneTemplate("a: {{ .Values.a.b.c }}"), code: render.CodeExecution, at: "templates/x.yaml:1:14"},
		"fail":            {chart: oneTemplate("\n\n  {{ fail \"no: really\" }}"), code: render.CodeRefused, at: "templates/x.yaml:3:6"},
		"required":        {chart: oneTemplate(`{{ required "give a" .Values.a }}`), code: render.CodeRefused, at: "templates/x.yaml:1:4"},
		"required empty":  {chart: oneTemplate(`{{ required "give\na" "" }}`), code: render.CodeRefused, at: "templates/x.yaml:1:4"},
		"within":          {chart: oneTemplate("{{ define \"a\" }}\n{{ fail \"deep\" }}{{ end }}\n\n{{ include \"a\" . }}"), code: render.CodeRefused, at: "templates/x.yaml:2:4"},
		"no such":         {chart: oneTemplate(`{{ include "nothing" . }}`), code: render.CodeExecution, at: "templates/x.yaml:1:4"},
		"tpl parse":       {chart: oneTemplate(`{{ tpl "{{ if }}" . }}`), code: render.CodeExecution, at: "templates/x.yaml:1:4"},
		"tpl execution":   {chart: oneTemplate(`{{ tpl "{{ .a.b.c }}" . }}`), code: render.CodeExecution, at: "templates/x.yaml:1:4"},
		"tpl fail":        {chart: oneTemplate(`{{ tpl "{{ fail \"x\" }}" . }}`), code: render.CodeRefused, at: "templates/x.yaml:1:4"},
		"tpl keeps":       {chart: oneTemplate(`{{ tpl "{{ define \"q\" }}x{{ end }}{{ include \"q\" . }}" . }}{{ include "q" . }}`), code: render.CodeExecution, at: "templates/x.yaml:1:67"},
		"panic":           {chart: oneTemplate(`{{ first "x" }}`), code: render.CodeExecution, at: "templates/x.yaml:1:4"},
		"arguments":       {chart: oneTemplate(`{{ upper 1 2 }}`), code: render.CodeExecution, at: "templates/x.yaml:1:4"},
		"type":            {chart: oneTemplate(`{{ upper (list) }}`), code: render.CodeExecution, at: "templates/x.yaml:1:11"},
		"join":            {chart: oneTemplate(`{{ repeat -1 "x" }}`), code: render.CodeExecution, at: "templates/x.yaml:1:4"},
		"must":            {chart: oneTemplate(`{{ mustRegexFind "(" "x" }}`), code: render.CodeExecution, at: "templates/x.yaml:1:4"},
		"YAML":            {chart: oneTemplate("a: b: c\n"), code: render.CodeManifest, at: "templates/x.yaml"},
		"schema":          {chart: bad, values: map[string]any{"port": "eighty", "below": map[string]any{"size": "xl"}}, code: render.CodeSchema, at: "values.schema.json"},
		"schema subchart": {chart: bad, values: map[string]any{"below": map[string]any{"size": "xl"}}, code: render.CodeSchema, at: "values.schema.json"},
		"values":          {chart: bad, values: map[string]any{"below": "text"}, code: render.CodeValues, at: "values.yaml"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := render.Options{Values: test.values}
			_, want := helmTemplate(t, test.chart, opts)
			_, err := mustLoad(t, test.chart).Render(t.Context(), opts)
			var got *render.Error
			if !errors.As(err, &got) {
				t.Fatalf("got %v", err)
			}
			if want != nil && name != "bounds' names" {
				rendertest.Same(t, want.Error(), err.Error())
			}
			if got.Code != test.code || got.At.String() != test.at {
				t.Errorf("%s at %s, want %s at %s", got.Code, got.At, test.code, test.at)
			}
		})
	}
}

func TestRenderNotInstallable(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		chartfile string
		opts      render.Options
		want      string
	}{
		"library":    {"type: library", render.Options{}, "library charts are not installable"},
		"missing":    {"dependencies: [{name: a, version: 1, repository: ''}]", render.Options{}, "found in Chart.yaml, but missing in charts/ directory: a"},
		"kubernetes": {"kubeVersion: '>=1.30'", render.Options{KubeVersion: "1.29"}, "chart requires kubeVersion: >=1.30 which is incompatible with Kubernetes v1.29"},
		"version":    {"", render.Options{KubeVersion: "new"}, "invalid kube version 'new'"},
		"release":    {"", render.Options{ReleaseName: "Not_A_Name"}, `release name "Not_A_Name": `},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := oneTemplate("")
			c.Files[0].Data = append(c.Files[0].Data, test.chartfile...)
			_, err := mustLoad(t, c).Render(t.Context(), test.opts)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	for name, files := range map[string][]generator.File{
		"no Chart.yaml":  {{Path: "values.yaml"}},
		"bad Chart.yaml": {{Path: "Chart.yaml", Data: []byte("a: b: c")}},
		"bad values":     {{Path: "Chart.yaml", Data: []byte("apiVersion: v2\nname: a\nversion: 1.0.0")}, {Path: "values.yaml", Data: []byte("- 1")}},
		"bad ignore":     {{Path: ".helmignore", Data: []byte("a[")}, {Path: "Chart.yaml"}},
		"outside":        {{Path: "../Chart.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var e *render.Error
			if _, err := render.Load(generator.Chart{Name: "a", Files: files}); !errors.As(err, &e) || e.Code != render.CodeChart {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestLimits runs templates that would take all memory, all time or the whole
// stack.
func TestLimits(t *testing.T) {
	t.Parallel()
	small := render.Limits{Output: 1 << 20, Work: 16 << 20, Steps: 100_000}
	for name, test := range map[string]struct{ text, want string }{
		"loop":             {"\n{{ range 10000000000 }}{{ end }}", "execution error at (one/templates/x.yaml:2:10): the templates take more than 100000 steps (limit steps)"},
		"loop in a loop":   {`{{ range 100000 }}{{ range 100000 }}{{ end }}{{ end }}`, "(limit steps)"},
		"printing":         {`{{ range 100000 }}{{ "0123456789abcdef" }}{{ end }}`, "execution error at (one/templates/x.yaml:1): the templates print more than 1 MiB (limit output)"},
		"text":             {`{{ range 100000 }}0123456789abcdef{{ end }}`, "(limit output)"},
		"include":          {`{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}`, "rendering template has a nested reference name: a: unable to execute template"},
		"mutual include":   {`{{ define "a" }}{{ include "b" . }}{{ end }}{{ define "b" }}{{ include "a" . }}{{ end }}{{ include "a" . }}`, "nested reference name"},
		"template":         {`{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}`, "(limit depth)"},
		"tpl":              {`{{ $d := dict "x" "{{ tpl .x . }}" }}{{ tpl $d.x $d }}`, "(limit depth)"},
		"tpl with define":  {`{{ $d := dict "x" "{{ define \"a\" }}{{ end }}{{ tpl .x . }}" }}{{ tpl $d.x $d }}`, "(limit depth)"},
		"many names":       {`{{ define "a" }}{{ template "b" . }}{{ end }}{{ define "b" }}{{ template "a" . }}{{ end }}{{ template "b" . }}`, "(limit depth)"},
		"until":            {`{{ range until 1000000000 }}{{ end }}`, "a list of numbers is longer than"},
		"untilStep":        {`{{ untilStep 0 9223372036854775807 9223372036854775806 }}`, "a list of numbers is longer than"},
		"seq":              {`{{ seq 1 1000000000 }}`, "a list of numbers is longer than"},
		"repeat":           {`{{ repeat 1000000000 "x" }}`, "one/templates/x.yaml:1:4): a value is larger than 1 MiB (limit output)"},
		"indent":           {`{{ indent 1000000000 "x" }}`, "(limit output)"},
		"nindent":          {`{{ nindent 10000 (repeat 1000 "\n") }}`, "(limit output)"},
		"replace":          {`{{ replace "a" (repeat 10000 "b") (repeat 10000 "a") }}`, "(limit output)"},
		"join":             {`{{ join (repeat 10000 "b") (until 10000) }}`, "(limit output)"},
		"regexReplaceAll":  {`{{ regexReplaceAll "" (repeat 100000 "a") (repeat 100000 "b") }}`, "(limit output)"},
		"wrapWith":         {`{{ wrapWith 1 (repeat 100000 "a") (repeat 100000 "b") }}`, "(limit output)"},
		"printf width":     {`{{ printf "%0999999d%0999999d" 1 2 }}`, "(limit output)"},
		"printf star":      {`{{ printf "%*d" 900000 1 }}`, "(limit output)"},
		"printf again":     {`{{ printf (repeat 10000 "%[1]s") (repeat 10000 "x") }}`, "(limit output)"},
		"random":           {`{{ randAlpha 1000000000 }}`, "(limit output)"},
		"random bytes":     {`{{ randBytes 100000000000 }}`, "(limit output)"},
		"doubling text":    {`{{ $s := "x" }}{{ range 100 }}{{ $s = print $s $s }}{{ end }}`, "(limit output)"},
		"doubling cat":     {`{{ $s := "x" }}{{ range 100 }}{{ $s = cat $s $s }}{{ end }}`, "(limit output)"},
		"doubling quotes":  {`{{ $s := "\"" }}{{ range 100 }}{{ $s = quote $s }}{{ end }}`, "(limit output)"},
		"doubling list":    {`{{ $l := list 1 }}{{ range 100 }}{{ $l = concat $l $l }}{{ end }}`, "(limit output)"},
		"growing list":     {`{{ $l := list }}{{ range 90000 }}{{ $l = append $l . }}{{ end }}`, "(limit work)"},
		"many texts":       {`{{ $l := list }}{{ range 90000 }}{{ $l = append $l (repeat 10000 "x") }}{{ end }}`, "(limit work)"},
		"doubling include": {`{{ define "a" }}{{ . }}{{ . }}{{ end }}{{ $s := "x" }}{{ range 100 }}{{ $s = include "a" $s }}{{ end }}`, "(limit output)"},
		"shared list":      {`{{ $l := list 1 }}{{ range 60 }}{{ $l = list $l $l }}{{ end }}{{ toJson $l }}`, "(limit output)"},
		"shared map":       {`{{ $l := dict }}{{ range 60 }}{{ $l = dict "a" $l "b" $l }}{{ end }}{{ deepCopy $l }}`, "(limit output)"},
		"shared, printed":  {`{{ $l := list 1 }}{{ range 60 }}{{ $l = list $l $l }}{{ end }}{{ $l }}`, "(limit output)"},
		"itself, printed":  {`{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ $d }}`, "contains itself"},
		"itself, text":     {`{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ print $d }}`, "contains itself"},
		"itself, number":   {`{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ int $d }}`, "contains itself"},
		"itself, added":    {`{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ add 1 $d }}`, "contains itself"},
		"itself, YAML":     {`{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ toYamlPretty $d }}`, "contains itself"},
		"itself, TOML":     {`{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ toToml $d }}`, "contains itself"},
		"itself, merged":   {`{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ $e := dict }}{{ $_ := set $e "d" $e }}{{ $_ := merge $d $e }}`, "contains itself"},
		"itself, escaped":  {`{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ html $d }}`, "contains itself"},
		"uniq":             {`{{ uniq (until 65000) }}`, "(limit steps)"},
		"keys":             {`{{ range 100000 }}{{ $_ := genPrivateKey "ecdsa" }}{{ end }}`, "(limit steps)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := mustLoad(t, oneTemplate(test.text)).Render(t.Context(), render.Options{Limits: small})
			var e *render.Error
			if !errors.As(err, &e) || e.Code != render.CodeLimit {
				t.Fatalf("got %.300v", err)
			}
			if !strings.Contains(err.Error(), test.want) || e.At.File != "templates/x.yaml" || e.At.Line == 0 {
				t.Errorf("got %.300v at %v, want %s", err, e.At, test.want)
			}
		})
	}
}

// TestItselfUnprinted holds that a value may contain itself, as the values of
// some charts do, as long as nobody prints it.
func TestItselfUnprinted(t *testing.T) {
	t.Parallel()
	c := oneTemplate(`{{ $_ := set .Values "root" $ }}a: {{ .Values.root.Values.root.Release.Name }}`)
	result, err := mustLoad(t, c).Render(t.Context(), render.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rendertest.Same(t, "---\n# Source: one/templates/x.yaml\na: release-name\n", result.Text())
}

func TestRenderCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	c := mustLoad(t, oneTemplate(`{{ range 10000000000 }}{{ end }}`))
	_, err := c.Render(ctx, render.Options{Limits: render.Limits{Steps: 1 << 60}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Render(ctx, render.Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// FuzzRender feeds any text to the engine, as a template and as a value for
// tpl. Nothing may panic or go beyond the bounds, and what Helm renders comes
// out the same.
func FuzzRender(f *testing.F) {
	f.Add("a: {{ .Values.a }}", "x")
	f.Add("{{ range $i, $x := until 3 }}{{ if $i }}{{ continue }}{{ end }}{{ $x | quote }}{{ end }}", "{{ . }}")
	f.Add(`{{ define "a" }}{{ with . }}{{ template "a" .b }}{{ end }}{{ end }}{{ include "a" .Values }}`, `{{ define "b" }}{{ end }}`)
	f.Add("{{ tpl .Values.a . }}{{ toYaml . }}{{ . }}", "{{ tpl .Values.a . }}")
	f.Add("{{- /* c */ -}}\r\n---\n{{ printf \"%9999999999d\" 1 }}", "")
	archive, err := txtar.ParseFile(filepath.Join("testdata", "everything.txtar"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		if strings.HasPrefix(file.Name, "templates/") {
			f.Add(string(file.Data), "x")
		}
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		c := mustLoad(t, oneTemplate(text))
		_ = c.Forbidden()
		opts := render.Options{
			Values: map[string]any{"a": value},
			Limits: render.Limits{Output: 1 << 18, Work: 1 << 20, Steps: 10_000, Depth: 200},
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		result, err := c.Render(ctx, opts)
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatal("no end in sight")
		}
		var e *render.Error
		if err != nil && (!errors.As(err, &e) || e.Code == render.CodeInternal) {
			t.Fatalf("%v", err)
		}
		if err != nil || len(c.Forbidden()) > 0 || strings.Contains(text+value, "0x") {
			return
		}
		want, err := helmRender(helmChart(t, text), opts)
		if err != nil || want != result.Text() && !strings.Contains(want, "0x") {
			t.Errorf("Helm gives %v\n%q\nwe give\n%q", err, want, result.Text())
		}
	})
}

func helmChart(t testing.TB, text string) *chart.Chart {
	t.Helper()
	c, err := loader.LoadFiles([]*loader.BufferedFile{
		{Name: "Chart.yaml", Data: []byte("apiVersion: v2\nname: one\nversion: 0.1.0\n")},
		{Name: "templates/x.yaml", Data: []byte(text)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func BenchmarkRender(b *testing.B) {
	c := readChart(b, "everything.txtar")
	b.Run("kai", func(b *testing.B) {
		loaded := mustLoad(b, c)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := loaded.Render(b.Context(), render.Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("kai with loading", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := mustLoad(b, c).Render(b.Context(), render.Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("helm with loading", func(b *testing.B) {
		dir := b.TempDir()
		rendertest.Write(b, dir, c)
		b.ReportAllocs()
		for b.Loop() {
			loaded, err := loader.LoadDir(dir)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := helmRender(loaded, render.Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
