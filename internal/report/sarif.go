package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/validate"
)

// sarifSchema names the schema of SARIF 2.1.0.
const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

// The shape of SARIF 2.1.0, as far as kai has something to say in it.
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool        sarifTool         `json:"tool"`
	Automation  sarifAutomation   `json:"automationDetails"`
	Invocations []sarifInvocation `json:"invocations"`
	ColumnKind  string            `json:"columnKind"`
	Results     []sarifResult     `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version,omitempty"`
	Rules   []sarifRule `json:"rules"`
}

type sarifAutomation struct {
	ID string `json:"id"`
}

type sarifInvocation struct {
	Successful bool `json:"executionSuccessful"`
}

type sarifRule struct {
	ID         string           `json:"id"`
	Short      sarifText        `json:"shortDescription"`
	Full       sarifText        `json:"fullDescription"`
	Help       sarifText        `json:"help"`
	Default    sarifDefault     `json:"defaultConfiguration"`
	Properties *sarifProperties `json:"properties,omitempty"`
}

type sarifText struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown,omitempty"`
}

type sarifDefault struct {
	Level string `json:"level"`
}

type sarifProperties struct {
	Tags     []string `json:"tags,omitempty"`
	Contexts []string `json:"contexts,omitempty"`
	Release  string   `json:"release,omitempty"`
	Template string   `json:"template,omitempty"`
}

type sarifResult struct {
	RuleID       string             `json:"ruleId"`
	RuleIndex    int                `json:"ruleIndex"`
	Level        string             `json:"level"`
	Message      sarifText          `json:"message"`
	Locations    []sarifLocation    `json:"locations"`
	Fingerprints map[string]string  `json:"partialFingerprints"`
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	Properties   *sarifProperties   `json:"properties,omitempty"`
}

type sarifLocation struct {
	Physical *sarifPhysical `json:"physicalLocation,omitempty"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI  string `json:"uri"`
	Base string `json:"uriBaseId"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn,omitempty"`
}

type sarifLogical struct {
	Name      string `json:"name"`
	Qualified string `json:"fullyQualifiedName"`
	Kind      string `json:"kind"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Justification string `json:"justification"`
}

// sarifLevels are SARIF's words for severities.
var sarifLevels = map[validate.Severity]string{validate.Error: "error", validate.Warning: "warning", validate.Info: "note", validate.Off: "none"}

// fingerprint is the name of our way to know a finding again.
const fingerprint = "kaiFinding/v1"

// writeSARIF prints SARIF 2.1.0. What is ignored is in it, as suppressed.
func writeSARIF(w *printer, found []finding, o FindingsOptions) error {
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{Name: "kai", Version: o.Version}},
		Automation:  sarifAutomation{"kai-validate/"},
		Invocations: []sarifInvocation{{true}},
		ColumnKind:  "unicodeCodePoints",
		Results:     make([]sarifResult, len(found)),
	}
	index := map[string]int{}
	for i := range validate.Rules {
		index[validate.Rules[i].ID] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRuleOf(&validate.Rules[i]))
	}
	marks := marker{}
	for i, f := range found {
		at, known := index[f.Rule]
		if !known {
			at = len(run.Tool.Driver.Rules)
			index[f.Rule] = at
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRuleOf(&validate.Rule{ID: f.Rule, About: f.Rule, Severity: f.Severity}))
		}
		run.Results[i] = sarifResultOf(f, at, o)
		run.Results[i].Fingerprints = map[string]string{fingerprint: marks.of(f)}
	}
	if err := encodeJSON(w, sarifLog{sarifSchema, "2.1.0", []sarifRun{run}}, "  "); err != nil {
		return fmt.Errorf("print the findings as SARIF: %w", err)
	}
	return nil
}

func sarifRuleOf(rule *validate.Rule) sarifRule {
	out := sarifRule{
		ID: rule.ID, Short: sarifText{Text: sentence(rule.About)}, Full: sarifText{Text: sentence(rule.About)},
		Help: sarifText{Text: sentence(rule.About)}, Default: sarifDefault{sarifLevels[rule.Severity]},
	}
	if rule.Fix != "" {
		out.Help = sarifText{
			Text:     sentence(rule.About) + " Way out: " + rule.Fix + ".",
			Markdown: "**Finds**: " + rule.About + ".\n\n**Way out**: " + rule.Fix + ".",
		}
	}
	if len(rule.Also) > 0 {
		out.Help.Markdown += "\n\nAlso called `" + strings.Join(rule.Also, "`, `") + "`."
	}
	if rule.Group != "" {
		out.Properties = &sarifProperties{Tags: []string{string(rule.Group)}}
	}
	return out
}

// sentence begins with a capital and ends with a full stop.
func sentence(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

func sarifResultOf(f finding, rule int, o FindingsOptions) sarifResult {
	out := sarifResult{RuleID: f.Rule, RuleIndex: rule, Level: sarifLevels[f.Severity], Message: sarifText{Text: f.Message}}
	if f.Object.Kind != "" {
		out.Message.Text = f.about() + ": " + f.Message
	}
	if f.Hint != "" {
		out.Message.Text += "\nhint: " + f.Hint
	}
	var at sarifLocation
	file := f.File
	if file == "" || source.TreeOf(file) != "" {
		file = o.Root
	}
	if file != "" {
		uri := url.URL{Path: o.path(file)}
		at.Physical = &sarifPhysical{Artifact: sarifArtifact{uri.String(), "%SRCROOT%"}}
		if f.Line > 0 && file == f.File {
			at.Physical.Region = &sarifRegion{f.Line, f.Column}
		}
	}
	if f.Object.Kind != "" {
		logical := sarifLogical{Name: f.Object.String(), Qualified: f.Release + "/" + f.Object.String(), Kind: "object"}
		if f.Path != "" {
			logical = sarifLogical{Name: f.Path, Qualified: logical.Qualified + "/" + f.Path, Kind: "property"}
		}
		at.Logical = []sarifLogical{logical}
	}
	out.Locations = []sarifLocation{at}
	if f.Ignored != "" {
		out.Suppressions = []sarifSuppression{{"inSource", f.Ignored}}
	}
	if len(f.contexts) > 0 || f.Release != "" {
		out.Properties = &sarifProperties{Contexts: f.contexts, Release: f.Release, Template: f.Source}
	}
	return out
}

// marker gives findings marks by which they are known again after lines have moved:
// of what is the same, the first is the first again.
type marker map[string]int

func (m marker) of(f finding) string {
	text := strings.Join([]string{f.Rule, f.File, f.Release, f.Object.APIVersion, f.Object.String(), f.Path, f.Message}, "\x00")
	m[text]++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", text, m[text]))
	return hex.EncodeToString(sum[:16])
}
