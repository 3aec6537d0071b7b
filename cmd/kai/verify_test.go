package main

import (
	"bytes"
	"errors"
	"testing"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/source"
)

func TestPrintVerification(t *testing.T) {
	t.Parallel()
	at := source.Origin{Position: source.Position{File: "kai-workspace.yaml", Line: 3, Column: 5}}
	opened := source.Findings{{Origin: at, Message: "a word", Code: "w", Severity: source.Warning}}
	dev := &check{name: "dev", road: road{releases: make([]build.Release, 2)}, findings: source.Findings{
		opened[0], {Message: "there is no namespace shop", Hint: "make one", Code: "namespace"}, {Message: "there is no namespace shop", Hint: "make one", Code: "namespace"},
	}}
	prod := &check{name: "prod", road: road{releases: make([]build.Release, 1)}}
	for _, test := range []struct {
		name   string
		format string
		opened source.Findings
		checks []*check
		want   string
		fails  bool
	}{
		{"nothing", "text", nil, []*check{prod}, "verify: 1 release, 0 findings\n", false},
		{"warnings do not fail", "text", opened, []*check{prod}, "kai-workspace.yaml:3:5: warning: a word\nverify: 1 release, 0 findings, 1 warning\n", false},
		{"one context", "text", opened, []*check{dev}, "kai-workspace.yaml:3:5: warning: a word\nthere is no namespace shop\n  hint: make one\nverify: 2 releases, 1 finding, 1 warning\n", true},
		{"two contexts", "text", opened, []*check{dev, prod}, "kai-workspace.yaml:3:5: warning: a word\ncontext dev:\nthere is no namespace shop\n  hint: make one\nverify: 3 releases, 1 finding, 1 warning\n", true},
		{"json", "json", opened, []*check{dev}, `{
  "releases": 2,
  "findings": [
    {
      "severity": "warning",
      "code": "w",
      "file": "kai-workspace.yaml",
      "line": 3,
      "column": 5,
      "message": "a word"
    },
    {
      "context": "dev",
      "severity": "error",
      "code": "namespace",
      "message": "there is no namespace shop",
      "hint": "make one"
    }
  ]
}
`, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			a := &app{stdout: &out}
			err := a.printVerification(test.format, test.opened, test.checks)
			if said := (*saidError)(nil); errors.As(err, &said) != test.fails {
				t.Errorf("error %v", err)
			}
			if out.String() != test.want {
				t.Errorf("got:\n%swant:\n%s", out.String(), test.want)
			}
		})
	}
}

func TestFindingsOfErrors(t *testing.T) {
	t.Parallel()
	var c check
	c.add("x", nil)
	c.add("plan", errors.New("it is not so\n  hint: do this"))
	c.add("plan", source.Findings{{Message: "m", Code: "own"}})
	if len(c.findings) != 2 || c.findings[0].Message != "it is not so" || c.findings[0].Hint != "do this" || c.findings[0].Code != "plan" || c.findings[1].Code != "own" {
		t.Errorf("got %+v", c.findings)
	}
}
