package validate

import (
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
	// Reason is why.
	Reason string
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
	settings := Settings{Severities: map[string]Severity{}}
	if len(findings) > 0 {
		return settings, findings
	}
	for _, field := range v.FieldsOrNone() {
		if field.Key != "rules" && field.Key != "ignore" {
			findings.Add("unknown-key", field.Value.Origin, field.Key, source.Nearest(field.Key, []string{"rules", "ignore"}), "unknown key %q", field.Key)
		}
	}
	for _, field := range v.Get("rules").FieldsOrNone() {
		rules := rulesNamed(&findings, field.Value.Origin, field.Key)
		severity := Severity(field.Value.Str())
		if field.Value.Kind == source.Bool && !field.Value.True() {
			severity = Off // YAML reads off as false
		}
		if !slices.Contains(Severities, severity) {
			findings.Add("value", field.Value.Origin, "rules."+field.Key, "one of error, warning, info, off", "%q is no severity", field.Value.Text)
			continue
		}
		for _, rule := range rules {
			settings.Severities[rule.ID] = severity
		}
	}
	for _, item := range v.Get("ignore").ItemsOrNone() {
		one := FileIgnore{
			Rule: item.Get("rule").Str(), Object: item.Get("object").Str(), Release: item.Get("release").Str(),
			Reason: strings.TrimSpace(item.Get("reason").Str()),
		}
		if one.Reason == "" {
			findings.Add("reason", item.Origin, "ignore", "add reason: …", "what is ignored needs a reason")
		}
		rulesNamed(&findings, item.Origin, one.Rule)
		settings.Ignores = append(settings.Ignores, one)
	}
	return settings, findings
}

func rulesNamed(findings *source.Findings, at source.Origin, name string) []*Rule {
	rules := RulesOf(name)
	if len(rules) == 0 {
		findings.Add("unknown-rule", at, "", source.Nearest(name, ruleNames()), "there is no rule %q", name)
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
				found = append(found, ignore{rule, strings.TrimSpace(reason), len(RulesOf(rule)) == 0})
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
		if slices.Contains(RulesOf(one.Rule), rule) && (one.Release == "" || one.Release == o.release) && like(one.Object, o.Ref.String()) {
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
