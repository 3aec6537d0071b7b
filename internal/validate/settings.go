package validate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Settings are what a file says of the rules.
type Settings struct {
	// Severities are those of rules, by ID, that differ from the rules' own.
	Severities map[string]Severity
	Ignores    []FileIgnore
	// Unused says that what is ignored and never found is a finding. That is known only
	// where everything is looked at.
	Unused bool
}

// Over gives the settings with those of base where they say nothing.
func (s Settings) Over(base Settings) Settings {
	both := maps.Clone(base.Severities)
	if both == nil {
		both = map[string]Severity{}
	}
	maps.Copy(both, s.Severities)
	return Settings{Severities: both, Ignores: slices.Concat(s.Ignores, base.Ignores), Unused: s.Unused}
}

// FileIgnore passes over the findings of a rule in some objects.
type FileIgnore struct {
	// Rule is a rule's name.
	Rule string
	// Object is Kind/name, as findings have it, where * stands for any text; ""
	// means every object.
	Object string
	// Release is the name of a release, or "" for all.
	Release string
	// File is the file that caused the finding, where * stands for any text; "" means
	// every file.
	File string
	// Reason is why.
	Reason string
	// At is where this stands.
	At source.Position
}

func (s Settings) severity(rule *Rule) Severity {
	if severity, ok := s.Severities[rule.ID]; ok {
		return severity
	}
	return rule.Severity
}

// ReadSettings reads a file such as
//
//	rules: {latest-tag: error, pod-networkpolicy: off}
//	ignore:
//	  - {rule: no-anti-affinity, object: Deployment/web, reason: one replica is enough}
//
// Findings say what of it cannot be meant.
func ReadSettings(name string, data []byte) (Settings, source.Findings) {
	v, findings := source.ParseYAML(name, data)
	if len(findings) > 0 {
		return Settings{}, findings
	}
	settings, findings := SettingsOf(v, "")
	known := []string{"rules", "ignore"}
	for _, field := range v.FieldsOrNone() {
		if !slices.Contains(known, field.Key) {
			findings.Add("unknown-key", field.Origin, field.Key, source.Nearest(field.Key, known), "unknown key %q", field.Key)
		}
	}
	return settings, findings.Sorted()
}

// SettingsOf reads the keys rules and ignore of a map, as ReadSettings does; here is
// where the map stands in its file, such as "validate.", or "". What findings are about
// is left out of the settings.
func SettingsOf(v *source.Value, here string) (Settings, source.Findings) {
	var findings source.Findings
	settings := Settings{Severities: map[string]Severity{}}
	if rules := v.Get("rules"); !rules.IsNull() && rules.Kind != source.Map {
		findings.Add("wrong-type", rules.Origin, here+"rules", "write {RULE: warning}", "expected a map, got %s", rules.Kind)
	}
	for _, field := range v.Get("rules").FieldsOrNone() {
		path := here + "rules." + field.Key
		rules := rulesNamed(&findings, field.Origin, path, field.Key)
		severity := Severity(field.Value.Str())
		if field.Value.Kind == source.Bool && !field.Value.True() {
			severity = Off // YAML reads off as false
		}
		if !slices.Contains(Severities, severity) {
			findings.Add("value", field.Value.OriginOrNone(), path, "one of error, warning, info, off", "%q is no severity", field.Value.Str())
			continue
		}
		for _, rule := range rules {
			if fixed(rule) && severity != Error {
				findings.Add("value", field.Value.OriginOrNone(), path, fixedHint, "%s keeps a chart from being made: it stays an error, and cannot be turned %s", rule.ID, turned(severity))
				continue
			}
			settings.Severities[rule.ID] = severity
		}
	}
	if ignores := v.Get("ignore"); !ignores.IsNull() && ignores.Kind != source.List {
		findings.Add("wrong-type", ignores.Origin, here+"ignore", "write [{rule: RULE, reason: why}]", "expected a list, got %s", ignores.Kind)
	}
	for i, item := range v.Get("ignore").ItemsOrNone() {
		wrong := len(findings)
		if one := ignoreOf(item, fmt.Sprintf("%signore[%d]", here, i), &findings); len(findings) == wrong {
			settings.Ignores = append(settings.Ignores, one)
		}
	}
	return settings, findings
}

var ignoreKeys = []string{"rule", "object", "release", "file", "reason"}

func ignoreOf(item *source.Value, path string, findings *source.Findings) FileIgnore {
	at := item.OriginOrNone()
	one := FileIgnore{
		Rule: item.Get("rule").Str(), Object: item.Get("object").Str(), Release: item.Get("release").Str(), File: item.Get("file").Str(),
		Reason: strings.TrimSpace(item.Get("reason").Str()), At: at.Position,
	}
	for _, field := range item.FieldsOrNone() {
		if !slices.Contains(ignoreKeys, field.Key) {
			findings.Add("unknown-key", field.Origin, path+"."+field.Key, source.Nearest(field.Key, ignoreKeys), "unknown key %q", field.Key)
		}
	}
	if one.Reason == "" {
		findings.Add("required", at, path, "add reason: …", "what is ignored needs a reason")
	}
	for _, rule := range rulesNamed(findings, at, path+".rule", one.Rule) {
		if fixed(rule) {
			findings.Add("value", item.Get("rule").OriginOrNone(), path+".rule", fixedHint, "%s keeps a chart from being made: it cannot be ignored", rule.ID)
		}
	}
	return one
}

// fixed says whether a rule stays an error whatever the settings say, since no chart
// is made where it is not held.
func fixed(rule *Rule) bool {
	before := slices.Contains([]Group{Format, Names, Chart}, rule.Group)
	// Of another's chart, a function is a warning only.
	return before && rule.Severity == Error && !optional(rule) && rule.ID != "forbidden-function"
}

const fixedHint = "correct what it finds; docs/rules.md says which rules can be turned off"

// turned words what a rule is turned to.
func turned(severity Severity) string {
	if severity == Off {
		return "off"
	}
	return "into " + string(severity)
}

func rulesNamed(findings *source.Findings, at source.Origin, path, name string) []*Rule {
	rules := RulesOf(name)
	if len(rules) == 0 {
		hint := source.Nearest(name, ruleNames())
		if strings.HasPrefix(hint, "known: ") {
			hint = "docs/rules.md lists the rules"
		}
		findings.Add("unknown-rule", at, path, hint, "there is no rule %q", name)
	}
	return rules
}

func ruleNames() []string {
	names := make([]string, len(Rules))
	for i := range Rules {
		names[i] = Rules[i].ID
	}
	return names
}

// Annotation is where an object says which rules do not concern it: a rule and a
// reason on each line, as in "latest-tag: built on every commit".
const Annotation = "kai.validate/ignore"

// ignore is a line of the annotation.
type ignore struct {
	path         string // of the annotation
	rule, reason string
	unknown      bool // there is no such rule
}

// ignoresOf reads the annotation of an object, and of its pods.
func ignoresOf(o manifest.Object) []ignore {
	var found []ignore
	for _, path := range []string{"metadata.annotations", templates[o.Ref.Kind] + ".metadata.annotations"} {
		if strings.HasPrefix(path, ".") {
			continue
		}
		for line := range strings.Lines(text(dig(o.Fields, path)[Annotation])) {
			rule, reason, _ := strings.Cut(strings.TrimSpace(line), ":")
			if rule != "" {
				rule = strings.TrimSpace(rule)
				found = append(found, ignore{path + `["` + Annotation + `"]`, rule, strings.TrimSpace(reason), len(RulesOf(rule)) == 0})
			}
		}
	}
	return found
}

// ignored gives the reason for which the findings of a rule in an object are
// passed over, or "".
func (w *world) ignored(rule *Rule, o *object) string {
	if rule.Group == Ignoring {
		return ""
	}
	for _, one := range o.ignores {
		if slices.Contains(RulesOf(one.rule), rule) && one.reason != "" {
			return one.reason
		}
	}
	for _, one := range w.settings.Ignores {
		if slices.Contains(RulesOf(one.Rule), rule) && one.File == "" && (one.Release == "" || one.Release == o.release) && like(one.Object, o.Ref.String()) {
			return one.Reason
		}
	}
	return ""
}

// like says whether a text matches a pattern with *.
func like(pattern, s string) bool {
	if pattern == "" {
		return true
	}
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	rest, ok := strings.CutPrefix(s, parts[0])
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(rest, part)
		if !ok || at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return ok && strings.HasSuffix(rest, parts[len(parts)-1])
}
