// Package report prints what kai found out and what it is doing: plans in the
// formats of `kai diff`, findings in those of `kai validate`, the progress of a
// run, and lists as kubectl shows them.
//
// It decides nothing and hides nothing: a plan comes with its secrets masked.
// The same plan and options always give the same bytes.
package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/release"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Options say how a plan is printed.
type Options struct {
	// Format is one of Formats, "" for the first.
	Format string
	// Context is how many lines stand around a changed one in diff and markdown;
	// a negative number gives whole objects.
	Context int
	// Color paints diff and summary for a terminal, as git does.
	Color bool
	// ShowUnchanged names what does not change too, instead of counting it.
	ShowUnchanged bool
	// MaxBytes bounds markdown; 0 is what GitHub takes as a comment, a negative
	// number no bound.
	MaxBytes int
}

// format is a way to print a plan.
type format struct {
	name  string
	write func(w *printer, p *release.Plan, o Options) error
}

// formats gives every format, the default first.
func formats() []format {
	return []format{
		{"diff", writeDiff},
		{"summary", writeSummary},
		{"json", writeJSON},
		{"markdown", writeMarkdown},
		{"paths", writePaths},
	}
}

// Formats gives the names that Options.Format takes, the default first.
func Formats() []string {
	var names []string
	for _, f := range formats() {
		names = append(names, f.name)
	}
	return names
}

// Write prints a plan. It fails for a format that is not known, for a MaxBytes
// that does not even hold the headline, and where w does.
func Write(w io.Writer, p *release.Plan, o Options) error {
	all := formats()
	name := cmp.Or(o.Format, all[0].name)
	for _, f := range all {
		if f.name != name {
			continue
		}
		out := &printer{Writer: bufio.NewWriter(w), color: o.Color}
		if err := f.write(out, p, o); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return fmt.Errorf("print the plan: %w", err)
		}
		return nil
	}
	return unknown("a plan", name, Formats())
}

// unknown is the error for a format that is not among the known ones.
func unknown(what, name string, known []string) error {
	return fmt.Errorf("%s cannot be printed as %q\n  hint: %s", what, name, source.Nearest(name, known))
}

// counts is how many releases a plan treats in which way.
type counts struct {
	Create    int `json:"create"`
	Upgrade   int `json:"upgrade"`
	Unchanged int `json:"unchanged"`
	Remove    int `json:"remove"`
}

func count(p *release.Plan) counts {
	var c counts
	for _, s := range p.Steps {
		switch s.Action {
		case release.Create:
			c.Create++
		case release.Upgrade:
			c.Upgrade++
		case release.Remove:
			c.Remove++
		default:
			c.Unchanged++
		}
	}
	return c
}

// String gives the closing line of a plan.
func (c counts) String() string {
	return fmt.Sprintf("%d to create, %d to upgrade, %d unchanged, %d to remove", c.Create, c.Upgrade, c.Unchanged, c.Remove)
}

// changed gives the objects that change, or all.
func changed(objects []manifest.Change, all bool) []manifest.Change {
	var kept []manifest.Change
	for _, c := range objects {
		if all || c.Action != manifest.Unchanged {
			kept = append(kept, c)
		}
	}
	return kept
}

// unchangedNames gives the releases that stay as they are.
func unchangedNames(p *release.Plan) []string {
	var names []string
	for _, s := range p.Steps {
		if !s.Changed() {
			names = append(names, s.Release)
		}
	}
	return names
}

// headline says what the plan is for and what it compares with.
func headline(p *release.Plan) string {
	text := p.Target.Context
	if p.Target.Workspace != "" {
		text = p.Target.Workspace + " " + text
	}
	if p.Target.Namespace != "" {
		text += " in namespace " + p.Target.Namespace
	}
	if p.Against != "" {
		text += ", compared with " + p.Against
	}
	return text
}

// about gives a step's chart and revisions, "chart carts-0.1.0, revision 3 → 4".
func about(s release.Step) string {
	var parts []string
	if s.Chart != "" {
		parts = append(parts, "chart "+s.Chart)
	}
	if r := revisions(s); r != "" {
		parts = append(parts, "revision "+r)
	}
	return strings.Join(parts, ", ")
}

// revisions gives the revision that a step starts from and the one it makes.
func revisions(s release.Step) string {
	switch {
	case s.Action == release.Create && s.Revision == 0:
		return "1"
	case s.Revision == 0: // of a plan that asked no cluster
		return ""
	case s.Changed() && s.Action != release.Remove:
		return fmt.Sprintf("%d → %d", s.Revision, s.Revision+1)
	}
	return fmt.Sprint(s.Revision)
}

// label names an object inside a step: its namespace only where it is another
// than the release's.
func label(s release.Step, r manifest.Ref) string {
	if r.Namespace != "" && r.Namespace != s.Namespace {
		return r.String() + " in " + r.Namespace
	}
	return r.String()
}

// immutable says why an object is replaced.
func immutable(c manifest.Change) string {
	if len(c.Immutable) == 0 {
		return "deleted and created anew"
	}
	return "deleted and created anew, since " + strings.Join(c.Immutable, ", ") + " cannot be changed in place"
}
