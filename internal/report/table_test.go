package report_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/report"
)

type entry struct {
	Name     string `json:"name"`
	Revision int    `json:"revision"`
	Note     string `json:"note,omitempty"`
}

var entries = []entry{{"carts", 12345678, "<a & b>"}, {"orders", 2, ""}}

var deployment = map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "carts", "labels": map[string]any{"app": "carts"}}}

func TestGoldenTable(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := report.Table(&b, []string{"Name", "revision", "STATUS"}, [][]string{
		{"carts", "12", "deployed"}, {"a-release-with-a-long-name", "1", "failed\nsecond line"}, {"orders", "2", "\x1b[2J"},
	}); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.golden", b.String())
}

func TestTableWithoutRows(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := report.Table(&b, []string{"NAME"}, nil); err != nil || b.Len() > 0 {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

func TestTableErrors(t *testing.T) {
	t.Parallel()
	if err := report.Table(full{}, []string{"NAME"}, [][]string{{"a"}}); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got %v", err)
	}
}

func TestGoldenObjects(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	for _, c := range []struct {
		format string
		v      any
	}{
		{"json", entries}, {"yaml", entries}, {"name", entries},
		{"jsonpath={[*].name}", entries},
		{`jsonpath={range [*]}{.name}{"\t"}{.revision}{"\n"}{end}`, entries},
		{"jsonpath={[1].missing}", entries},
		{"custom-columns=NAME:.name,Rev:{revision},NOTE:{.note}", entries},
		{"go-template={{range .items}}{{.name}} {{.revision}};{{end}}", entries},
		{"json", []entry{}}, {"name", []entry{}}, {"custom-columns=NAME:.name", []entry{}},
		{"yaml", deployment}, {"name", deployment}, {"jsonpath={.metadata.labels}", deployment},
		{"custom-columns=NAME:metadata.name,KIND:kind", deployment},
		{"name", map[string]any{"items": []any{deployment, map[string]any{"release": "carts"}}}},
	} {
		fmt.Fprintf(&b, "== %s\n", c.format)
		if err := report.Objects(&b, c.format, c.v); err != nil {
			t.Errorf("%s: %v", c.format, err)
		}
		b.WriteString("\n")
	}
	golden(t, "objects.golden", b.String())
}

func TestObjectsErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format string
		v      any
		want   string
	}{
		{"jsn", entries, `did you mean "json"?`},
		{"", entries, "known: json"},
		{"json=x", entries, "json takes nothing after it"},
		{"jsonpath", entries, "jsonpath wants a template after ="},
		{"jsonpath=", entries, "jsonpath wants a template after ="},
		{"jsonpath={.a", entries, "unclosed action"},
		{"custom-columns=NAME", entries, `the column "NAME" is not HEADER:PATH`},
		{"custom-columns=NAME:{.a}{.b}", entries, "is not a path like .metadata.name"},
		{"go-template={{", entries, "print as go-template"},
		{"name", []int{1}, "without a name"},
		{"json", make(chan int), "unsupported type"},
	} {
		err := report.Objects(&bytes.Buffer{}, c.format, c.v)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.format, err, c.want)
		}
	}
	for _, format := range []string{"json", "yaml", "name", "jsonpath={[0]}", "custom-columns=A:.name"} {
		if err := report.Objects(full{}, format, entries); err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("%s: got %v", format, err)
		}
	}
}

func FuzzObjects(f *testing.F) {
	for _, s := range []string{"json", "jsonpath={[*].name}", "custom-columns=A:.name,B:{.x[0]}", "go-template={{.}}", "jsonpath={range [*]}{.x}{end}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, format string) {
		// A format may be wrong, and then is an error and nothing else.
		_ = report.Objects(&bytes.Buffer{}, format, entries)
	})
}
