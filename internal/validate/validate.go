// Package validate finds what is wrong, or not as it should be, with the objects
// of releases: against Kubernetes' schemas, of one object with another, and by what
// the field holds for good practice. Its rules are data, of which docs/rules.md is
// made. It is a pure function of the objects: it reads no file and asks no cluster.
package validate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/kubeschema"
	"github.com/helm-kai/helm-kai/internal/manifest"
)

// Severity says what a finding means.
type Severity string

// The severities, the heaviest first. What is Off is not looked for.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
	Off     Severity = "off"
)

// Severities lists them.
var Severities = []Severity{Error, Warning, Info, Off}

// Rule is something that is looked for.
type Rule struct {
	// ID names the rule, as kube-linter or kube-score do where they have it.
	ID string
	// Also are the names that those give the same rule.
	Also []string
	// Severity is that of its findings, where the settings say nothing else.
	Severity Severity
	// Group is the part of the docs that it stands in.
	Group Group
	// About says what it finds, and Fix the way out.
	About, Fix string

	check check
}

// Group is a kind of rule.
type Group string

// The groups, in the order of the docs.
const (
	Schema     Group = "Schemas and versions of APIs"
	References Group = "What objects say of one another"
	Available  Group = "Availability"
	Security   Group = "Security"
	Resources  Group = "Resources and images"
	Ignoring   Group = "Ignoring"
)

// check reports what it finds.
type check func(w *world, report reporter)

// reporter takes a finding: the object that it is about, the path in it, and what
// is wrong. What stands behind hintMark is the way out, instead of the rule's.
type reporter func(o *object, path, format string, args ...any)

// hintMark stands before the hint in messages.
const hintMark = "\n  hint: "

// Finding is a place where a rule is not held.
type Finding struct {
	Rule     string       `json:"rule"`
	Severity Severity     `json:"severity"`
	Release  string       `json:"release"`
	Object   manifest.Ref `json:"object"`
	// Source is the template that made the object, or "".
	Source string `json:"source,omitempty"`
	// Path is the field in the object, or "" for all of it.
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	// Hint is the way out.
	Hint string `json:"hint,omitempty"`
	// Ignored is the reason for which it is passed over, or "".
	Ignored string `json:"ignored,omitempty"`

	order int // of the object
}

// String gives the finding as people read it.
func (f Finding) String() string {
	where := f.Object.String()
	if f.Path != "" {
		where += " " + f.Path
	}
	return fmt.Sprintf("%s: %s: %s (%s)", f.Severity, where, f.Message, f.Rule)
}

// Release is what is rendered for one release.
type Release struct {
	Name, Namespace string
	Objects         []manifest.Object
}

// Input is what is looked at: the releases of one context, since they refer to one
// another.
type Input struct {
	Releases []Release
	Schemas  *kubeschema.Schemas
	Settings Settings
}

// Check gives the findings, in the order of the releases, the objects and the
// paths, and those that are ignored among them, with the reason.
func Check(in Input) []Finding {
	w := newWorld(in)
	var found []Finding
	for i := range Rules {
		rule := &Rules[i]
		severity := in.Settings.severity(rule)
		if severity == Off || rule.check == nil {
			continue
		}
		rule.check(w, func(o *object, path, format string, args ...any) {
			message, hint, _ := strings.Cut(fmt.Sprintf(format, args...), hintMark)
			found = append(found, Finding{
				Rule: rule.ID, Severity: severity, Release: o.release, Object: o.Ref, Source: o.Source, Path: path,
				Message: message, Hint: cmp.Or(hint, rule.Fix), Ignored: w.ignored(rule, o), order: o.order,
			})
		})
	}
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.order, b.order), strings.Compare(a.Path, b.Path), strings.Compare(a.Rule, b.Rule))
	})
	return found
}

// RulesOf gives the rules that a name means: the rule of that ID, or those that
// another tool gives the name.
func RulesOf(name string) []*Rule {
	var found []*Rule
	for i := range Rules {
		if Rules[i].ID == name || slices.Contains(Rules[i].Also, name) {
			found = append(found, &Rules[i])
		}
	}
	return found
}
