package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/release"
	"github.com/helm-kai/helm-kai/internal/report"
)

//go:generate go test . -run Golden -update

var update = flag.Bool("update", false, "write the golden files anew")

// object builds a test's object; spec stands below its kind's own key.
func object(apiVersion, kind, name, key string, value any) map[string]any {
	return map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name}, key: value}
}

func ref(apiVersion, kind, name string) manifest.Ref {
	return manifest.Ref{APIVersion: apiVersion, Kind: kind, Namespace: "shop", Name: name}
}

// examplePlan has every action of releases and objects, and values that are
// hard to print.
func examplePlan() *release.Plan {
	workload := func(image string, replicas int64) map[string]any {
		return map[string]any{"replicas": replicas, "template": map[string]any{"spec": map[string]any{
			"containers": []any{map[string]any{"name": "carts", "image": image, "ports": []any{map[string]any{"containerPort": int64(8080)}}}},
			"volumes":    []any{map[string]any{"name": "tmp", "emptyDir": map[string]any{}}},
		}}}
	}
	const image = "spec.template.spec.containers[name=carts].image"
	return &release.Plan{
		Target:  release.Target{Workspace: "sock-shop", Context: "prod", Namespace: "shop"},
		Against: "live",
		Notes:   []string{"the kind Widget is not known to the cluster yet"},
		Steps: []release.Step{
			{
				Release: "carts-db", Kind: "dependency", Namespace: "shop", Action: release.Create, Chart: "carts-db-0.1.0",
				Objects: []manifest.Change{{
					Ref: ref("v1", "ConfigMap", "carts-db"), Action: manifest.Create, Source: "carts-db/templates/config.yaml",
					After: object("v1", "ConfigMap", "carts-db", "data", map[string]any{"html": "<b>&</b>", "fence": "````"}),
				}},
			},
			{
				Release: "carts", Kind: "service", Namespace: "shop", Action: release.Upgrade, Revision: 3, Chart: "carts-0.2.0", AppVersion: "0.4.9",
				Needs: []string{"carts-db"},
				Objects: []manifest.Change{
					{
						Ref: ref("apps/v1", "Deployment", "carts"), Action: manifest.Update,
						Before: object("apps/v1", "Deployment", "carts", "spec", workload("carts:0.4.8", 1)),
						After:  object("apps/v1", "Deployment", "carts", "spec", workload("carts:0.4.9", 1)),
						Fields: []manifest.Field{{Path: image, Before: "carts:0.4.8", After: "carts:0.4.9"}},
					},
					{
						Ref: ref("v1", "Secret", "carts"), Action: manifest.Update,
						Before: object("v1", "Secret", "carts", "data", map[string]any{"KEY": "[masked]"}),
						After:  object("v1", "Secret", "carts", "data", map[string]any{"KEY": "[masked, changed]"}),
						Fields: []manifest.Field{{Path: "data.KEY", Before: "[masked]", After: "[masked, changed]"}},
					},
					{
						Ref: ref("v1", "ConfigMap", "carts-settings"), Action: manifest.Update, From: &manifest.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "shop", Name: "carts-config"},
						Before: object("v1", "ConfigMap", "carts-config", "data", map[string]any{"a": "1", "debug": "true"}),
						After:  object("v1", "ConfigMap", "carts-settings", "data", map[string]any{"a": "1\n2\t→", "list": "x"}),
						Fields: []manifest.Field{
							{Path: "data.a", Before: "1", After: "1\n2\t→"},
							{Path: "data.debug", Before: "true"},
							{Path: "data.list", After: "x"},
						},
					},
					{
						Ref: ref("batch/v1", "Job", "seed"), Action: manifest.Replace, Immutable: []string{"spec.template"},
						Before: object("batch/v1", "Job", "seed", "spec", map[string]any{"backoffLimit": int64(1), "template": "a"}),
						After:  object("batch/v1", "Job", "seed", "spec", map[string]any{"backoffLimit": int64(2), "template": "b"}),
						Fields: []manifest.Field{
							{Path: "spec.backoffLimit", Before: int64(1), After: int64(2)},
							{Path: "spec.template", Before: "a", After: "b"},
						},
					},
					{Ref: ref("v1", "Service", "carts"), Action: manifest.Unchanged},
					{
						Ref: manifest.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "monitoring", Name: "carts-dashboard"}, Action: manifest.Remove,
						Before: object("v1", "ConfigMap", "carts-dashboard", "data", map[string]any{"x": "y"}),
					},
				},
				Hooks: []manifest.Change{{
					Ref: ref("batch/v1", "Job", "migrate"), Action: manifest.Update, Hook: []string{"pre-upgrade", "pre-install"},
					Before: object("batch/v1", "Job", "migrate", "spec", map[string]any{"env": []any{map[string]any{"name": "A"}}}),
					After:  object("batch/v1", "Job", "migrate", "spec", map[string]any{"env": []any{map[string]any{"name": "B"}}}),
					Fields: []manifest.Field{
						{Path: "spec.env[name=A]", Before: map[string]any{"name": "A"}},
						{Path: "spec.env[name=B]", After: map[string]any{"name": "B"}},
					},
				}},
			},
			{Release: "orders", Kind: "service", Namespace: "shop", Action: release.Upgrade, Revision: 1, Chart: "orders-0.2.0", Reason: "its notes | or its chart's\nmetadata differ, @someone *said*"},
			{Release: "catalogue", Kind: "service", Namespace: "shop", Action: release.Unchanged, Revision: 7, Chart: "catalogue-0.1.0"},
			{Release: "front-end", Kind: "service", Namespace: "shop", Action: release.Unchanged, Revision: 2, Chart: "front-end-0.1.0"},
			{
				Release: "old", Kind: "service", Namespace: "shop", Action: release.Remove, Revision: 12, Chart: "old-0.1.0", Reason: "the workspace has no such service",
				Objects: []manifest.Change{{
					Ref: ref("v1", "ConfigMap", "old"), Action: manifest.Remove,
					Before: object("v1", "ConfigMap", "old", "data", map[string]any{"x": "y"}),
				}},
			},
		},
	}
}

// golden compares with a file below testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s: run go test ./internal/report -run Golden -update and look at the diff; got\n%s", file, got)
	}
}

func write(t *testing.T, p *release.Plan, o report.Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Write(&b, p, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGoldenPlans(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file string
		o    report.Options
	}{
		{"diff.golden", report.Options{Context: 2}},
		{"diff-whole.golden", report.Options{Format: "diff", Context: -1, ShowUnchanged: true}},
		{"diff-color.golden", report.Options{Context: 0, Color: true}},
		{"summary.golden", report.Options{Format: "summary"}},
		{"summary-unchanged.golden", report.Options{Format: "summary", ShowUnchanged: true, Color: true}},
		{"paths.golden", report.Options{Format: "paths"}},
		{"json.golden", report.Options{Format: "json"}},
		{"markdown.golden", report.Options{Format: "markdown", Context: 1}},
		{"markdown-bounded.golden", report.Options{Format: "markdown", Context: 1, MaxBytes: 1800}},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			got := write(t, examplePlan(), c.o)
			golden(t, c.file, got)
			if again := write(t, examplePlan(), c.o); got != again {
				t.Error("the same plan gave two texts")
			}
		})
	}
}

// TestColorAddsNothing: without its colours a text is the one for a pipe.
func TestColorAddsNothing(t *testing.T) {
	t.Parallel()
	strip := strings.NewReplacer("\x1b[m", "", "\x1b[1m", "", "\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[36m", "")
	for _, format := range report.Formats() {
		plain := write(t, examplePlan(), report.Options{Format: format, Context: 3})
		colored := write(t, examplePlan(), report.Options{Format: format, Context: 3, Color: true})
		if strip.Replace(colored) != plain {
			t.Errorf("%s: colour changes the text", format)
		}
	}
}

func TestNothingChanges(t *testing.T) {
	t.Parallel()
	p := &release.Plan{Target: release.Target{Context: "dev"}, Against: "stored", Steps: []release.Step{{Release: "a", Action: release.Unchanged}}}
	const line = "dev, compared with stored: 0 to create, 0 to upgrade, 1 unchanged, 0 to remove\n"
	for format, want := range map[string]string{"diff": line, "summary": line, "paths": ""} {
		if got := write(t, p, report.Options{Format: format}); got != want {
			t.Errorf("%s: got %q, want %q", format, got, want)
		}
	}
	if got := write(t, &release.Plan{}, report.Options{Format: "json"}); !strings.Contains(got, `"steps": []`) {
		t.Errorf("an empty plan as JSON: %s", got)
	}
}

func TestJSONFollowsItsSchema(t *testing.T) {
	t.Parallel()
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(report.PlanSchema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("plan.schema.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("plan.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*release.Plan{"example": examplePlan(), "empty": {}} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(write(t, p, report.Options{Format: "json"})))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiled.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		undocumented(t, name, v, schema, schema)
	}
}

// undocumented fails for a field that the schema does not describe.
func undocumented(t *testing.T, path string, v, schema, root any) {
	t.Helper()
	s, _ := schema.(map[string]any)
	if to, ok := s["$ref"].(string); ok {
		defs, _ := root.(map[string]any)["$defs"].(map[string]any)
		s, _ = defs[strings.TrimPrefix(to, "#/$defs/")].(map[string]any)
	}
	switch v := v.(type) {
	case map[string]any:
		properties, ok := s["properties"].(map[string]any)
		if !ok {
			return // before and after are anything
		}
		for k, field := range v {
			if properties[k] == nil {
				t.Errorf("%s.%s is not in the schema", path, k)
			}
			undocumented(t, path+"."+k, field, properties[k], root)
		}
	case []any:
		for _, item := range v {
			undocumented(t, path+"[]", item, s["items"], root)
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	t.Parallel()
	err := report.Write(&bytes.Buffer{}, &release.Plan{}, report.Options{Format: "jsno"})
	const want = "a plan cannot be printed as \"jsno\"\n  hint: did you mean \"json\"? (diff, summary, json, markdown, paths)"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWriteErrors(t *testing.T) {
	t.Parallel()
	for _, format := range report.Formats() {
		if err := report.Write(full{}, examplePlan(), report.Options{Format: format}); err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("%s: got %v", format, err)
		}
	}
}

// bigPlan has n releases with an object of some size each.
func bigPlan(n, size int) *release.Plan {
	p := &release.Plan{Target: release.Target{Context: "prod"}, Against: "live"}
	for i := range n {
		name := "release-" + strings.Repeat("x", i%7)
		p.Steps = append(p.Steps, release.Step{Release: name, Action: release.Create, Objects: []manifest.Change{{
			Ref: ref("v1", "ConfigMap", name), Action: manifest.Create,
			After: object("v1", "ConfigMap", name, "data", map[string]any{"text": strings.Repeat("`y", size/2)}),
		}}})
	}
	return p
}

func TestMarkdownIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ n, size, limit int }{{3, 100, 0}, {100, 2000, 0}, {3000, 10, 0}, {2, 200000, 0}, {20, 1000, 5000}, {20, 1000, 1000}} {
		got := write(t, bigPlan(c.n, c.size), report.Options{Format: "markdown", MaxBytes: c.limit})
		limit := c.limit
		if limit == 0 {
			limit = 65536
		}
		if len(got) > limit {
			t.Errorf("%+v: %d bytes", c, len(got))
		}
		if opened, closed := strings.Count(got, "<details>"), strings.Count(got, "</details>"); opened != closed {
			t.Errorf("%+v: %d details opened, %d closed", c, opened, closed)
		}
		if !strings.HasPrefix(got, "### ") {
			t.Errorf("%+v: the summary is missing: %.80s", c, got)
		}
	}
	if got := write(t, bigPlan(100, 2000), report.Options{Format: "markdown", MaxBytes: -1}); len(got) < 200000 {
		t.Errorf("without a bound: %d bytes", len(got))
	}
	if err := report.Write(&bytes.Buffer{}, bigPlan(100, 2000), report.Options{Format: "markdown", MaxBytes: 100}); err == nil || !strings.Contains(err.Error(), "too few") {
		t.Errorf("100 bytes: %v", err)
	}
}

// TestNothingSteersTheTerminal: what a cluster or a chart says is shown, not obeyed.
func TestNothingSteersTheTerminal(t *testing.T) {
	t.Parallel()
	p := examplePlan()
	p.Steps[1].Reason = "a\x1b[31mb\x07\r\u202e"
	p.Steps[1].Objects[0].Fields[0].After = "evil\x1b]0;title\x07\nnext\ttab"
	p.Notes = []string{"\x1b[2J"}
	for _, format := range report.Formats() {
		got := write(t, p, report.Options{Format: format})
		if strings.ContainsAny(got, "\x1b\x07\r\u202e") && format != "json" {
			t.Errorf("%s: %q", format, got)
		}
	}
	for line := range strings.Lines(write(t, p, report.Options{Format: "paths"})) {
		if strings.Count(line, "\t") != 3 {
			t.Errorf("not four columns: %q", line)
		}
	}
	if !json.Valid([]byte(write(t, p, report.Options{Format: "json"}))) {
		t.Error("the JSON is not valid")
	}
}

func BenchmarkWrite(b *testing.B) {
	p := bigPlan(50, 2000)
	for _, format := range report.Formats() {
		b.Run(format, func(b *testing.B) {
			for b.Loop() {
				if err := report.Write(&bytes.Buffer{}, p, report.Options{Format: format, Context: 3}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
