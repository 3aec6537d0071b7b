package validate

import (
	"cmp"
	"slices"
)

// UnusedIgnore is the rule of what is ignored and not found.
const UnusedIgnore = "unused-ignore"

// unusedFix is its way out.
const unusedFix = "remove it"

// unused gives the lines of annotations that pass nothing over in their context.
func (w *world) unused(found []Finding) []Finding {
	severity := w.settings.severityOf(UnusedIgnore)
	if severity == Off {
		return nil
	}
	used := map[int]map[string]bool{} // rules by object
	for _, f := range found {
		if used[f.order] == nil {
			used[f.order] = map[string]bool{}
		}
		used[f.order][f.Rule] = true
	}
	var out []Finding
	for _, o := range w.objects {
		for _, one := range o.ignores {
			rules := RulesOf(one.rule)
			if one.unknown || one.reason == "" || w.settings.allOff(rules) || slices.ContainsFunc(rules, func(r *Rule) bool { return used[o.order][r.ID] }) {
				continue
			}
			out = append(out, Finding{
				Rule: UnusedIgnore, Severity: severity, Release: o.release, Object: o.Ref, Source: o.Source, Path: one.path,
				Message: one.rule + " is ignored, and finds nothing here", Hint: unusedFix, order: o.order, ignores: one.rule,
			})
		}
	}
	return out
}

// allOff says whether none of the rules is looked for.
func (s Settings) allOff(rules []*Rule) bool {
	return !slices.ContainsFunc(rules, func(r *Rule) bool { return s.severity(r) != Off })
}

func (s Settings) severityOf(id string) Severity {
	for _, r := range RulesOf(id) {
		return s.severity(r)
	}
	return Off
}

// withoutUsed removes the unused annotations that pass something over in another
// context.
func withoutUsed(found []Finding) []Finding {
	type line struct{ release, object, rule string }
	used := map[line]bool{}
	for _, f := range found {
		if f.Ignored != "" && f.Object.Kind != "" {
			used[line{f.Release, f.Object.String(), f.Rule}] = true
		}
	}
	return slices.DeleteFunc(found, func(f Finding) bool {
		return f.ignores != "" && slices.ContainsFunc(RulesOf(f.ignores), func(r *Rule) bool {
			return used[line{f.Release, f.Object.String(), r.ID}]
		})
	})
}

// unused gives what the settings ignore and no finding is. Where something keeps a
// chart from being made, that cannot be known.
func (s Settings) unused(found []Finding) []Finding {
	severity := s.severityOf(UnusedIgnore)
	broken := slices.ContainsFunc(found, func(f Finding) bool { return f.Object.Kind == "" && f.Severity == Error && f.Rule != SecretInClear })
	if !s.Unused || severity == Off || broken {
		return nil
	}
	var out []Finding
	for _, one := range s.Ignores {
		rules := RulesOf(one.Rule)
		if s.allOff(rules) || slices.ContainsFunc(found, func(f Finding) bool { return f.Ignored != "" && one.covers(rules, f) }) {
			continue
		}
		out = append(out, Finding{
			Rule: UnusedIgnore, Severity: severity, Message: one.Rule + " is ignored, and finds nothing " + one.where(),
			Hint: unusedFix, File: one.At.File, Line: one.At.Line, Column: one.At.Column,
		})
	}
	return out
}

// where words what findings are passed over in.
func (i FileIgnore) where() string {
	if in := cmp.Or(i.Object, i.Release, i.File); in != "" {
		return "in " + in
	}
	return "anywhere"
}

// covers says whether a finding is one that is passed over, for whichever reason.
func (i FileIgnore) covers(rules []*Rule, f Finding) bool {
	return slices.ContainsFunc(rules, func(r *Rule) bool { return r.ID == f.Rule }) && like(i.File, f.File) &&
		(i.Release == "" || i.Release == f.Release) && like(i.Object, f.Object.String())
}
