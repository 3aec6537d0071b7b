package report

import (
	"fmt"
	"strings"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/release"
)

// writeDiff prints unified lines below a heading for each release and each
// object. Headings begin with a word, so that the first character of a line
// tells what it is.
func writeDiff(w *printer, p *release.Plan, o Options) error {
	for _, s := range p.Steps {
		if !s.Changed() && !o.ShowUnchanged {
			continue
		}
		w.line(bold, releaseHeading(s))
		if s.Reason != "" {
			w.line("", "why: "+oneLine(s.Reason))
		}
		w.line("", "")
		w.objects(s, o)
	}
	w.closing(p, o)
	return nil
}

// closing writes the notes of a plan, its unchanged releases and the counts.
func (w *printer) closing(p *release.Plan, o Options) {
	for _, n := range p.Notes {
		w.line(yellow, "note: "+oneLine(n))
	}
	if names := unchangedNames(p); len(names) > 0 && len(names) < len(p.Steps) && !o.ShowUnchanged {
		w.line("", "unchanged: "+strings.Join(names, ", "))
	}
	w.line(bold, headline(p)+": "+count(p).String())
}

// releaseHeading gives "release carts: upgrade in shop, chart …, revision 3 → 4".
func releaseHeading(s release.Step) string {
	text := "release " + s.Release + ": " + string(s.Action)
	if s.Namespace != "" {
		text += " in " + s.Namespace
	}
	if a := about(s); a != "" {
		text += ", " + a
	}
	return text
}

// noObjects is said where a release changes and none of its objects does.
const noObjects = "no object changes"

// objects writes the changes of a step, hooks apart.
func (w *printer) objects(s release.Step, o Options) {
	objects, hooks := changed(s.Objects, o.ShowUnchanged), changed(s.Hooks, o.ShowUnchanged)
	for _, c := range objects {
		w.object(s, c, o)
	}
	if len(hooks) > 0 {
		w.line(bold, "hooks of "+s.Release)
		w.line("", "")
	}
	for _, c := range hooks {
		w.object(s, c, o)
	}
	if s.Changed() && len(objects)+len(hooks) == 0 {
		w.line("", noObjects)
		w.line("", "")
	}
}

func (w *printer) object(s release.Step, c manifest.Change, o Options) {
	w.line(bold, objectHeading(s, c))
	if c.Action == manifest.Replace {
		w.line(yellow, "warning: it is "+immutable(c))
	}
	for _, l := range unified(c, o.Context) {
		op := string(rune(l.Op))
		switch l.Op {
		case '+':
			w.line(green, op+l.Text)
		case '-':
			w.line(red, op+l.Text)
		case '@':
			w.line(cyan, l.Text)
		default:
			w.line("", op+l.Text)
		}
	}
	w.line("", "")
}

// unified gives the lines of a change; what is created or removed is given
// whole.
func unified(c manifest.Change, context int) []manifest.Line {
	if c.Action == manifest.Unchanged {
		return nil
	}
	if c.Before == nil || c.After == nil {
		context = -1
	}
	return c.Diff(context)
}

// objectHeading gives "Deployment/carts (apps/v1) is changed".
func objectHeading(s release.Step, c manifest.Change) string {
	kind := c.Ref.APIVersion
	if len(c.Hook) > 0 {
		kind += ", hook " + strings.Join(c.Hook, ", ")
	}
	text := fmt.Sprintf("%s (%s) is %s", label(s, c.Ref), kind, done(c.Action))
	if c.From != nil {
		text += ", renamed from " + c.From.String()
	}
	return text
}

// done gives what happened to an object after an action.
func done(a manifest.Action) string {
	switch a {
	case manifest.Create:
		return "created"
	case manifest.Replace:
		return "replaced"
	case manifest.Remove:
		return "removed"
	case manifest.Unchanged:
		return "unchanged"
	}
	return "changed"
}
