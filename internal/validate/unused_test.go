package validate_test

import (
	"slices"
	"testing"

	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/validate"
)

// TestUnusedIgnores: what is ignored and not there is a finding, in annotations and in
// settings, where everything is looked at; what one context needs is used in all.
func TestUnusedIgnores(t *testing.T) {
	t.Parallel()
	clean := `apiVersion: v1
kind: Pod
metadata:
  name: a
  annotations: {kai.validate/ignore: "latest-tag: built on every commit\nhost-pid: it was so\nhost-ipc"}
spec: {containers: [{name: a, image: "a:1.0.0"}]}
`
	settings, findings := validate.ReadSettings("rules.yaml", []byte(`rules: {ssh-port: off}
ignore:
  - {rule: no-read-only-root-fs, object: Pod/a, reason: used}
  - {rule: container-resources, reason: "used, of two rules"}
  - {rule: run-as-non-root, object: Pod/b, reason: unused}
  - {rule: ssh-port, reason: it is off}
`))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	unused := func(settings validate.Settings, texts ...string) []string {
		var all []validate.Finding
		for i, text := range texts {
			found := check(t, text, settings)
			for j := range found {
				found[j].Context = []string{"dev", "prod"}[i]
			}
			all = append(all, found...)
		}
		var out []string
		for _, f := range of(validate.UnusedIgnore, validate.Settle(all, settings)) {
			at := source.Position{File: f.File, Line: f.Line, Column: f.Column}
			out = append(out, at.String()+" "+string(f.Severity)+" "+f.Context+" "+f.Message)
		}
		return out
	}
	if got := unused(settings, clean, latest); got != nil {
		t.Errorf("not everything is looked at: %q", got)
	}
	settings.Unused = true
	for _, c := range []struct {
		name  string
		texts []string
		want  []string
	}{
		{"one context", []string{clean}, []string{
			" info dev latest-tag is ignored, and finds nothing here", " info dev host-pid is ignored, and finds nothing here",
			"rules.yaml:5:5 info  run-as-non-root is ignored, and finds nothing in Pod/b",
		}},
		{"two", []string{clean, latest}, []string{
			" info dev host-pid is ignored, and finds nothing here", "rules.yaml:5:5 info  run-as-non-root is ignored, and finds nothing in Pod/b",
		}},
	} {
		got := unused(settings, c.texts...)
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q\nwant %q", c.name, got, c.want)
		}
	}
	broken := validate.OfStage("dev", "a", source.Findings{{Code: "required", Message: "m"}}, settings)
	if got := of(validate.UnusedIgnore, validate.Settle(broken, settings)); len(got) > 0 {
		t.Errorf("where a chart is not made, nobody knows: %v", got)
	}
	settings.Severities[validate.UnusedIgnore] = validate.Off
	if got := unused(settings, clean); got != nil {
		t.Errorf("it is off: %q", got)
	}
}

// TestSettingsOver: what a flag says comes over what the workspace says.
func TestSettingsOver(t *testing.T) {
	t.Parallel()
	base := validate.Settings{Severities: map[string]validate.Severity{"a": validate.Info, "b": validate.Info}, Ignores: []validate.FileIgnore{{Rule: "a"}}}
	own := validate.Settings{Severities: map[string]validate.Severity{"a": validate.Error}, Ignores: []validate.FileIgnore{{Rule: "b"}}}
	both := own.Over(base)
	if both.Severities["a"] != validate.Error || both.Severities["b"] != validate.Info || len(both.Ignores) != 2 || base.Severities["a"] != validate.Info {
		t.Errorf("got %+v", both)
	}
}

// TestSettingsShape: what is no setting has its place.
func TestSettingsShape(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"rules: [latest-tag]":                              `rules.yaml:1:8: rules: expected a map, got a list`,
		"ignore: {rule: latest-tag}":                       `rules.yaml:1:9: ignore: expected a list, got a map`,
		"ignore: [{rule: latest-tag, why: so, reason: a}]": `rules.yaml:1:29: ignore[0].why: unknown key "why"`,
		"ignored: []":                                      `rules.yaml:1:1: ignored: unknown key "ignored"`,
	} {
		_, findings := validate.ReadSettings("rules.yaml", []byte(text))
		if len(findings) == 0 || !slices.ContainsFunc(findings, func(f source.Finding) bool { f.Hint = ""; return f.String() == want }) {
			t.Errorf("%s: got %v, want %s", text, findings, want)
		}
	}
}
