package descriptor

import (
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/source"
)

// TestShapes compiles every shape of schemas/shapes.yaml, and finds those that name
// one which is not there.
func TestShapes(t *testing.T) {
	t.Parallel()
	shapes := kubeShapes()
	if len(shapes) < 40 {
		t.Errorf("only %d shapes", len(shapes))
	}
	var visit func(where string, v any)
	visit = func(where string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if name, ok := v["shape"].(string); ok && shapes[name] == nil {
				t.Errorf("%s: there is no shape %q", where, name)
			}
			for key, part := range v {
				visit(where+"."+key, part)
			}
		case []any:
			for _, part := range v {
				visit(where, part)
			}
		}
	}
	for name, shape := range shapes {
		visit(name, shape.schema)
	}
	if t.Failed() {
		return
	}
	for name, shape := range shapes {
		if _, _, err := shape.compile(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestShapeOfField(t *testing.T) {
	t.Parallel()
	parse := func(text string) *source.Value {
		v, findings := source.ParseYAML("x.yaml", []byte(text))
		if findings != nil {
			t.Fatal(findings)
		}
		return v
	}
	types, findings := ParseTypes(nil, parse("t:\n  security: {type: object, shape: security}\n  taints: {type: repeated object, shape: toleration}\n  resources: {type: object, shape: resources}\n  env: {type: object, shape: env}\n"), false)
	if findings != nil {
		t.Fatal(findings)
	}
	for text, want := range map[string]string{
		"security: {runAsUser: 1000, seccompProfile: null}":       "",
		"security: {runAsUsr: 1000}":                              "x.yaml:1:12: t.security.runAsUsr: the key \"runAsUsr\" is not known here\n  hint: did you mean \"runAsUser\"?",
		"security: {runAsUser: root}":                             "x.yaml:1:23: t.security.runAsUser: expected a whole number, got text \"root\"\n  hint: write a whole number such as 3, without quotes and without a unit",
		"security: {seccompProfile: {type: Runtime}}":             `t.security.seccompProfile.type: expected RuntimeDefault, Localhost or Unconfined, got text "Runtime"`,
		"security: {sysctls: [{name: a, value: null}]}":           "",
		"security: {sysctls: [{name: a, value: 1}, {name: [a]}]}": "x.yaml:1:50: t.security.sysctls[1].name: expected text, got a list\n  hint: write one text, without [ ], { } or dashes",
		"taints: [{operator: Exists}, {key: {}}]":                 "x.yaml:1:36: t.taints[1].key: expected text, got a map\n  hint: write one text, without [ ], { } or dashes",
		"resources: {requests: {cpu: 1, example.com/gpu: 2}}":     "",
		"resources: {request: {cpu: 1}}":                          "t.resources.request: the key \"request\" is not known here\n  hint: did you mean \"requests\"? (claims, limits, requests)",
		"env: {A: [1]}":                                           "", // the generator says more about it
	} {
		_, findings := Compile(types, "t", nil, parse(text))
		got := findings.Error()
		if got != want && (want == "" || !strings.Contains(got, want)) {
			t.Errorf("%s: %s", text, got)
		}
	}
	if _, findings := ParseTypes(nil, parse("t: {a: {type: object, shape: resource}}"), false); !strings.Contains(findings.Error(), `x.yaml:1:30: t.a.shape: there is no shape "resource"`) || !strings.Contains(findings.Error(), `did you mean "resources"?`) {
		t.Errorf("%v", findings)
	}
}
