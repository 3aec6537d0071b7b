package validate_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/validate"
)

// code is where a finding gets its code.
var code = regexp.MustCompile(`(?:\.Add\(|\.fail\(|Code: +|Code +Code = |Code[A-Za-z]+ = |Code[A-Za-z]+ +Code = )"([a-z]+(?:-[a-z]+)*)"`)

// notGenerating are codes of findings that no run of validate makes, since they are
// about a cluster, a store or an argument.
var notGenerating = []string{"cancelled", "missing-secret", "unknown-path"}

// TestCodesAreRules: whatever a finding on the way to a chart is called, the page of
// rules has it.
func TestCodesAreRules(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"../descriptor", "../workspace", "../../generator", "../build", "../source", "../lock", "../render"} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range code.FindAllStringSubmatch(string(data), -1) {
				if len(validate.RulesOf(m[1])) == 0 && !slices.Contains(notGenerating, m[1]) {
					t.Errorf("%s: there is no rule %s", file, m[1])
				}
			}
		}
	}
}

func finding(code string, severity source.Severity) source.Finding {
	return source.Finding{Origin: source.Origin{Position: source.Position{File: "kai.yaml", Line: 3, Column: 5}}, Path: "a.b", Message: "is wrong", Code: code, Severity: severity}
}

// TestOfStage: settings change what a chart is made with all the same, and nothing
// else.
func TestOfStage(t *testing.T) {
	t.Parallel()
	settings := validate.Settings{Severities: map[string]validate.Severity{
		"unknown-key": validate.Off, "helm-lint": validate.Info, "unused-instance": validate.Off, "latest-tag": validate.Error,
	}}
	found := validate.OfStage("dev", "web", source.Findings{
		finding("unknown-key", source.Error), finding("helm-lint", source.Error), finding("unused-instance", source.Warning), finding("latest-tag", source.Warning),
	}, settings)
	var got []string
	for _, f := range found {
		if f.File != "kai.yaml" || f.Line != 3 || f.Column != 5 || f.Context != "dev" || f.Release != "web" || f.Hint == "" {
			t.Errorf("%+v", f)
		}
		got = append(got, f.Rule+" "+string(f.Severity))
	}
	if want := []string{"unknown-key error", "helm-lint info", "latest-tag error"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if text := found[0].String(); text != "error: a.b: is wrong (unknown-key)" {
		t.Error(text)
	}
}

// TestSettle: one mistake that two stages see is said once, and a place can be
// ignored.
func TestSettle(t *testing.T) {
	t.Parallel()
	settings, findings := validate.ReadSettings("rules.yaml", []byte("ignore: [{rule: secret-in-clear, file: \"*.env\", reason: an example}]"))
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	pod := manifest.Ref{APIVersion: "v1", Kind: "Pod", Name: "a"}
	at := func(f validate.Finding, file string, line int) validate.Finding {
		f.File, f.Line, f.Column = file, line, 1
		return f
	}
	found := validate.Settle([]validate.Finding{
		at(validate.Finding{Rule: "latest-tag", Object: pod}, "b.yaml", 2),
		at(validate.Finding{Rule: "latest-tag"}, "b.yaml", 2),
		at(validate.Finding{Rule: "env-var-secret", Object: pod}, "b.yaml", 1),
		at(validate.Finding{Rule: validate.SecretInClear}, "b.yaml", 1),
		at(validate.Finding{Rule: validate.SecretInClear}, "a.env", 1),
		at(validate.Finding{Rule: validate.SecretInClear}, "a.env", 1),
	}, settings)
	var got []string
	for _, f := range found {
		got = append(got, strings.Join([]string{f.File, f.Rule, f.Object.Kind, f.Ignored}, " "))
	}
	want := []string{"a.env secret-in-clear  an example", "b.yaml secret-in-clear  ", "b.yaml latest-tag Pod "}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
