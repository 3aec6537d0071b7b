package explain

import (
	"slices"
	"testing"
	"testing/fstest"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

func TestTexts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0.4.8":          "0.4.9",
		"64Mi":           "65Mi",
		"25%":            "26%",
		"10.0.0.0/8":     "10.0.0.0/9",
		"*/5 * * * *":    "*/6 * * * *",
		"example.com":    "example.comx",
		"${friends.a.b}": "x",
		"":               "x",
		"sha256:00ff":    "sha256:01ff",
	} {
		if got := texts(text); len(got) == 0 || got[0] != want {
			t.Errorf("texts(%q) = %q, want %q first", text, got, want)
		}
		if got := texts(text); slices.Contains(got, text) {
			t.Errorf("texts(%q) has the text itself", text)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{"80": {"81", "1", "0"}, "1": {"2", "0"}, "0": {"1"}, "0444": {"0445"}, "1.5": {"1.6"}} {
		if got := numbers(text); !slices.Equal(got, want) {
			t.Errorf("numbers(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	list, err := manifest.Parse(`
apiVersion: v1
kind: ConfigMap
metadata: {name: a, labels: {app.kubernetes.io/name: a, app: b}}
data: {app.conf: x}
list: [{name: one, value: 1}, {name: two, args: [p, q]}]
`)
	if err != nil {
		t.Fatal(err)
	}
	root := newObjects(list).roots[0]
	for path, want := range map[string]string{
		"metadata.name":                             "metadata.name",
		"metadata.labels.app.kubernetes.io/name":    `metadata.labels["app.kubernetes.io/name"]`,
		`metadata.labels["app.kubernetes.io/name"]`: `metadata.labels["app.kubernetes.io/name"]`,
		"metadata.labels.app":                       "metadata.labels.app",
		"data['app.conf']":                          `data["app.conf"]`,
		"list[1].args[0]":                           "list[name=two].args[0]",
		"list[name=one].value":                      "list[name=one].value",
		"list":                                      "list",
		"list[2]":                                   "",
		"metadata.nam":                              "",
		"metadata.labels.app.kubernetes.io/name.one": "",
	} {
		n, _, _ := root.find(path)
		got := ""
		if n != nil {
			got = n.path
		}
		if got != want {
			t.Errorf("%s names %q, want %q", path, got, want)
		}
	}
}

// TestCompare: fields are known by their paths, items by their names where all
// have one.
func TestCompare(t *testing.T) {
	t.Parallel()
	const before = `
apiVersion: v1
kind: Thing
metadata: {name: a}
named: [{name: one, v: 1}, {name: two, v: 2}]
plain: [p, q]
`
	for _, c := range []struct {
		what, after   string
		altered, gone []string
	}{
		{what: "the same", after: before},
		{what: "another order of names", after: "{apiVersion: v1, kind: Thing, metadata: {name: a}, named: [{name: two, v: 2}, {name: one, v: 1}], plain: [p, q]}"},
		{what: "another name", after: "{apiVersion: v1, kind: Thing, metadata: {name: a}, named: [{name: three, v: 1}, {name: two, v: 2}], plain: [p, q]}",
			altered: []string{"named[name=one].name"}, gone: []string{"named[name=one].v"}},
		{what: "less", after: "{apiVersion: v1, kind: Thing, metadata: {name: a}, named: [{name: one, v: 3}], plain: [q]}",
			altered: []string{"named[name=one].v", "plain[0]"}, gone: []string{"named[name=two].name", "named[name=two].v", "plain[1]"}},
		{what: "a renamed object", after: "{apiVersion: v1, kind: Thing, metadata: {name: b}, named: [{name: one, v: 1}, {name: two, v: 2}], plain: [p, q]}",
			altered: []string{"metadata.name"}, gone: []string{"apiVersion", "kind", "named[name=one].name", "named[name=one].v", "named[name=two].name", "named[name=two].v", "plain[0]", "plain[1]"}},
		{what: "another kind", after: "{apiVersion: v1, kind: Other, metadata: {name: a}}",
			gone: []string{"apiVersion", "kind", "metadata.name", "named[name=one].name", "named[name=one].v", "named[name=two].name", "named[name=two].v", "plain[0]", "plain[1]"}},
	} {
		list, err := manifest.Parse(before)
		if err != nil {
			t.Fatal(err)
		}
		other, err := manifest.Parse(c.after)
		if err != nil {
			t.Fatal(err)
		}
		o := newObjects(list)
		e := o.against(other)
		paths := func(leaves []int) []string {
			var out []string
			for _, i := range leaves {
				out = append(out, o.leaves[i].Path)
			}
			slices.Sort(out)
			return out
		}
		if got := paths(e.altered); !slices.Equal(got, c.altered) {
			t.Errorf("%s: altered %q, want %q", c.what, got, c.altered)
		}
		if got := paths(e.gone); !slices.Equal(got, c.gone) {
			t.Errorf("%s: gone %q, want %q", c.what, got, c.gone)
		}
	}
}

// TestAlias: what is written once and used twice is one value, changed at once.
func TestAlias(t *testing.T) {
	t.Parallel()
	answers := explainAll(t, fstest.MapFS{"kai.yaml": {Data: []byte(`apiVersion: kai/v1
name: one
contexts:
  - name: dev
    flavor: webservice
    image: {repository: example/one, tag: &tag 1.0.0}
    env: {A: &level info, B: *level, TAG: *tag}
`)}}, "dev", "Deployment/one:spec.template.spec.containers[0].env[name=B].value", "Deployment/one:spec.template.spec.containers[0].image")
	for i, want := range []string{"kai.yaml:7:14", "kai.yaml:6:43"} {
		if !slices.ContainsFunc(answers[i].Changes, func(c Cause) bool { return c.Place.String() == want }) {
			t.Errorf("%s changes with %v, want %s", answers[i].Path, answers[i].Changes, want)
		}
	}
}

// TestGiven: several settings of one flag are values of their own.
func TestGiven(t *testing.T) {
	t.Parallel()
	g := Given{render.UserValues{Set: []string{`a=1,b.c=x\,y,d={p,q}`}, SetString: []string{"e=2"}}}
	var got []string
	for _, s := range g.settings() {
		got = append(got, s.flag+" "+s.path+"="+s.value+" "+s.before+"|"+s.after)
	}
	want := []string{`--set a=1 a=|,b.c=x\,y,d={p,q}`, `--set b.c=x\,y a=1,b.c=|,d={p,q}`, `--set d={p,q} a=1,b.c=x\,y,d=|`, "--set-string e=2 e=|"}
	if !slices.Equal(got, want) {
		t.Errorf("settings are %q, want %q", got, want)
	}
	values, err := g.merge(0, func(*source.Value) *source.Value { return source.NewString(source.Origin{}, "a=7") })
	if err != nil || values["a"] != int64(7) || values["e"] != "2" {
		t.Errorf("with a=7 the values are %v (%v)", values, err)
	}
}

func explainAll(t *testing.T, files fstest.MapFS, contextName string, paths ...string) []Answer {
	t.Helper()
	w, findings := workspace.Open(files)
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	x, findings, err := New(t.Context(), w, Options{Context: contextName})
	if err != nil || findings.Err() != nil {
		t.Fatal(err, findings)
	}
	if err := x.Trace(t.Context(), Match{}); err != nil {
		t.Fatal(err)
	}
	var out []Answer
	for _, path := range paths {
		matches, findings := x.Find(path)
		if findings.Err() != nil || len(matches) != 1 {
			t.Fatalf("%s: %d matches %v", path, len(matches), findings)
		}
		out = append(out, x.Explain(matches[0]))
	}
	return out
}

// TestLayers: what a value overrode is known through substitutions, and through
// a null that took lower layers away.
func TestLayers(t *testing.T) {
	t.Parallel()
	answers := explainAll(t, fstest.MapFS{"kai.yaml": {Data: []byte(`apiVersion: kai/v1
name: one
routes:
  - {name: http, port: 8080}
contexts:
  - {name: base, flavor: webservice, image: {repository: example/one, tag: 1.0.0}, routes: [http], env: {P: "1"}, gracePeriod: null}
  - {name: dev, extends: base, env: {P: "${service.port}"}, gracePeriod: 5, routes: [{from: http, port: 9090}]}
`)}}, "dev", "env.P", "gracePeriod", "routes.http.port")
	want := [][]string{
		{"kai.yaml:7:41", "kai.yaml:6:109"},
		{"kai.yaml:7:74", "kai.yaml:6:128", "flavors/pod/flavor.yaml:8:16 (built in)"},
		{"kai.yaml:7:105", "kai.yaml:4:24"},
	}
	for i, a := range answers {
		var got []string
		for _, l := range a.Layers {
			got = append(got, l.String())
		}
		if !slices.Equal(got, want[i]) {
			t.Errorf("%s is given by %q, want %q", a.Path, got, want[i])
		}
	}
}
