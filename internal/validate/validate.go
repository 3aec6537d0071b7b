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

// Groups lists them.
var Groups = []Group{Format, Names, Chart, Schema, References, Available, Security, Resources, Ignoring}

// The groups, in the order of the docs.
const (
	Format     Group = "Format and types"
	Names      Group = "References"
	Chart      Group = "The generated chart"
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
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	// Release is the one that it concerns; "" where it concerns no one of them.
	Release string `json:"release,omitempty"`
	// Object is the one that it is about; none where it is about a file.
	Object manifest.Ref `json:"object,omitzero"`
	// Source is the template that made the object, or "".
	Source string `json:"source,omitempty"`
	// Path is the field in the object, or "" for all of it.
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	// Hint is the way out.
	Hint string `json:"hint,omitempty"`
	// Ignored is the reason for which it is passed over, or "".
	Ignored string `json:"ignored,omitempty"`
	// Context is the context in which it was found.
	Context string `json:"context,omitempty"`
	// File is the descriptor, flavor, friend or workspace file that caused it, by a
	// path from the workspace's root with slashes, or "" where none is known; Line
	// and Column count from 1.
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`

	order   int    // of the object
	ignores string // the rule that an unused annotation ignores
}

// String gives the finding as people read it.
func (f Finding) String() string {
	where := f.Path
	if f.Object.Kind != "" {
		where = strings.TrimSuffix(f.Object.String()+" "+f.Path, " ")
	}
	if where != "" {
		where += ": "
	}
	return fmt.Sprintf("%s: %s%s (%s)", f.Severity, where, f.Message, f.Rule)
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
		if rule.check == nil || severity == Off {
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
	if in.Settings.Unused {
		found = append(found, w.unused(found)...)
	}
	found = withoutTwins(found)
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
