package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/helm-kai/helm-kai/internal/report"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/validate"
)

// exampleFindings has findings with and without a file, an object and a line, of one
// context and of two, of one cause in several objects, ignored ones, and texts that
// are hard to print.
func exampleFindings() []validate.Finding {
	web := ref("apps/v1", "Deployment", "web")
	tag := validate.Finding{
		Rule: "latest-tag", Severity: validate.Warning, Release: "web", Object: web, Source: "web/templates/deployment.yaml",
		Path: "spec.template.spec.containers[name=web].image", Message: "web:latest is another image on another day", Hint: "name a tag that stays, or a digest",
		Context: "dev", File: "services/web/kai.yaml", Line: 4, Column: 12,
	}
	tagInProd := tag
	tagInProd.Context, tagInProd.Object.Namespace = "prod", "other"
	found := []validate.Finding{
		{
			Rule: "no-schema", Severity: validate.Info, Release: "web", Object: ref("example.com/v1", "Light", "web"), Source: "web/templates/objects.yaml",
			Message: "there is no schema of example.com/v1 Light", Hint: "give its CustomResourceDefinition", Context: "prod",
		},
		tag, tagInProd,
		{
			Rule: "unknown-key", Severity: validate.Error, Path: "contexts.prod.relicas", Message: "unknown key \"relicas\": 100%,\nor <so> & \x1b[31mred", Hint: "did you mean \"replicas\"?\nit is a number",
			File: "services/a:b, c/kai.yaml", Line: 9, Column: 3,
		},
		{
			Rule: "removed-api", Severity: validate.Error, Release: "web", Object: ref("policy/v1beta1", "PodDisruptionBudget", "web"), Path: "apiVersion",
			Message: "policy/v1beta1 is not in Kubernetes any more", Context: "prod", File: source.TreeName("https://git.example.com/flavors") + "/web/templates/pdb.yaml", Line: 1, Column: 1,
		},
		{
			Rule: "no-anti-affinity", Severity: validate.Warning, Release: "web", Object: web, Message: "nothing keeps its pods apart", Context: "prod",
			File: "services/web/kai.yaml", Line: 2, Ignored: "one node",
		},
		{Rule: "workspace-file", Severity: validate.Error, Message: "there is no such folder", File: "kai-workspace.yaml"},
	}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		found = append(found, validate.Finding{
			Rule: "run-as-non-root", Severity: validate.Error, Release: name, Object: ref("apps/v1", "Deployment", name), Path: "spec", Message: "it may run as root",
			Context: "prod", File: "flavors/own/flavor.yaml", Line: 7, Column: 5,
		})
	}
	return found
}

func findings(t *testing.T, found []validate.Finding, o report.FindingsOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Findings(&b, found, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGoldenFindings(t *testing.T) {
	t.Parallel()
	below := func(file string) string { return "deploy/" + file }
	for _, c := range []struct {
		file string
		o    report.FindingsOptions
	}{
		{"findings.golden", report.FindingsOptions{}},
		{"findings-color.golden", report.FindingsOptions{Format: "text", Color: true, Path: below}},
		{"findings-json.golden", report.FindingsOptions{Format: "json"}},
		{"findings-junit.golden", report.FindingsOptions{Format: "junit", Checked: []string{"web", "api"}, Path: below}},
		{"findings-github.golden", report.FindingsOptions{Format: "github", Path: below}},
		{"findings-gitlab.golden", report.FindingsOptions{Format: "gitlab", Path: below, Root: "kai-workspace.yaml"}},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			golden(t, c.file, findings(t, exampleFindings(), c.o))
		})
	}
}

func TestFindingsOfNothing(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		"text":   "0 errors, 0 warnings, 0 infos, 0 ignored\n",
		"github": "0 errors, 0 warnings, 0 infos, 0 ignored\n",
		"json":   `"findings": []`,
		"sarif":  `"results": []`,
		"gitlab": "[]\n",
		"junit":  `<testsuites name="kai validate" tests="0" failures="0" errors="0" skipped="0"></testsuites>`,
	} {
		if got := findings(t, nil, report.FindingsOptions{Format: format}); !strings.Contains(got, want) {
			t.Errorf("%s: got\n%s\nwant in it\n%s", format, got, want)
		}
	}
	err := report.Findings(&bytes.Buffer{}, nil, report.FindingsOptions{Format: "serif"})
	if want := "findings cannot be printed as \"serif\"\n  hint: did you mean \"sarif\"? (text, json, sarif, junit, github, gitlab)"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

// TestFindingsSchema: what is printed as JSON is as its schema says.
func TestFindingsSchema(t *testing.T) {
	t.Parallel()
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(report.FindingsSchema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("findings.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("findings.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(findings(t, exampleFindings(), report.FindingsOptions{Format: "json"})))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(v); err != nil {
		t.Error(err)
	}
}

// sarif is what the tests read of SARIF; that the schema takes it is tested in e2e.
type sarif struct {
	Runs []struct {
		Tool struct {
			Driver struct {
				Rules []struct{ ID string }
			}
		}
		Results []struct {
			RuleID              string
			RuleIndex           int
			Level               string
			PartialFingerprints map[string]string
			Suppressions        []struct{ Justification string }
			Locations           []struct {
				PhysicalLocation struct {
					ArtifactLocation struct{ URI, URIBaseID string }
					Region           *struct{ StartLine, StartColumn int }
				}
				LogicalLocations []struct{ FullyQualifiedName string }
			}
		}
	}
}

func readSARIF(t *testing.T, found []validate.Finding) sarif {
	t.Helper()
	var log sarif
	o := report.FindingsOptions{Format: "sarif", Version: "1.0.0", Root: "kai-workspace.yaml", Path: func(file string) string { return "deploy/" + file }}
	if err := json.Unmarshal([]byte(findings(t, found, o)), &log); err != nil {
		t.Fatal(err)
	}
	return log
}

func TestSARIF(t *testing.T) {
	t.Parallel()
	run := readSARIF(t, exampleFindings()).Runs[0]
	if len(run.Tool.Driver.Rules) < len(validate.Rules) {
		t.Errorf("there are %d rules", len(run.Tool.Driver.Rules))
	}
	var seen []string
	for _, r := range run.Results {
		if got := run.Tool.Driver.Rules[r.RuleIndex].ID; got != r.RuleID {
			t.Errorf("the index of %s is that of %s", r.RuleID, got)
		}
		at := r.Locations[0].PhysicalLocation
		line := r.Level + " " + r.RuleID + " " + at.ArtifactLocation.URI
		if at.Region != nil {
			line += "#" + strings.Repeat("l", at.Region.StartLine) + strings.Repeat("c", at.Region.StartColumn)
		}
		if len(r.Locations[0].LogicalLocations) > 0 {
			line += " " + r.Locations[0].LogicalLocations[0].FullyQualifiedName
		}
		if len(r.Suppressions) > 0 {
			line += " ignored: " + r.Suppressions[0].Justification
		}
		seen = append(seen, line)
	}
	for _, want := range []string{
		"error unknown-key deploy/services/a:b,%20c/kai.yaml#lllllllllccc",
		"warning latest-tag deploy/services/web/kai.yaml#llllcccccccccccc web/Deployment/web/spec.template.spec.containers[name=web].image",
		"warning no-anti-affinity deploy/services/web/kai.yaml#ll web/Deployment/web ignored: one node",
		"error removed-api deploy/kai-workspace.yaml web/PodDisruptionBudget/web/apiVersion",
		"note no-schema deploy/kai-workspace.yaml web/Light/web",
	} {
		if !slices.Contains(seen, want) {
			t.Errorf("%q is not there; there are\n%s", want, strings.Join(seen, "\n"))
		}
	}
	if got := len(run.Results); got != 11 {
		t.Errorf("there are %d results; what is found in two contexts is one", got)
	}
}

// TestFingerprints: they differ from one another, and stay where lines move, contexts
// are added, and other findings go.
func TestFingerprints(t *testing.T) {
	t.Parallel()
	marks := func(found []validate.Finding) map[string]string {
		out := map[string]string{}
		for _, r := range readSARIF(t, found).Runs[0].Results {
			mark := r.PartialFingerprints["kaiFinding/v1"]
			if mark == "" || out[mark] != "" {
				t.Errorf("%s has the mark %q, as %s", r.RuleID, mark, out[mark])
			}
			out[mark] = r.RuleID
		}
		return out
	}
	before := marks(exampleFindings())
	moved := exampleFindings()[1:]
	for i := range moved {
		if moved[i].Line > 0 {
			moved[i].Line += 3
		}
		moved[i].Context = "staging"
	}
	for mark, rule := range marks(moved) {
		if before[mark] != rule {
			t.Errorf("%s has another mark than before", rule)
		}
	}
}

// TestJUnitCounts: what the attributes say is what is there, and no name is there
// twice.
func TestJUnitCounts(t *testing.T) {
	t.Parallel()
	var all struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
		Suites   []struct {
			Cases []struct {
				Name      string    `xml:"name,attr"`
				ClassName string    `xml:"classname,attr"`
				Failure   *struct{} `xml:"failure"`
				Skipped   *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	text := findings(t, append(exampleFindings(), exampleFindings()...), report.FindingsOptions{Format: "junit", Checked: []string{"api"}})
	if err := xml.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	failures, skipped := 0, 0
	for _, s := range all.Suites {
		for _, c := range s.Cases {
			if names[c.ClassName+" "+c.Name] {
				t.Errorf("%s: %s is there twice", c.ClassName, c.Name)
			}
			names[c.ClassName+" "+c.Name] = true
			if c.Failure != nil {
				failures++
			}
			if c.Skipped != nil {
				skipped++
			}
		}
	}
	if all.Tests != len(names) || all.Failures != failures || all.Skipped != skipped || failures != 8 || skipped != 1 {
		t.Errorf("%d tests, %d failures, %d skipped; counted %d, %d, %d", all.Tests, all.Failures, all.Skipped, len(names), failures, skipped)
	}
}
