package report

import (
	"fmt"
	"strings"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/release"
)

// maxValue bounds a value in a summary, in columns.
const maxValue = 60

// writeSummary prints a line for each object that changes.
func writeSummary(w *printer, p *release.Plan, o Options) error {
	for _, s := range p.Steps {
		if !s.Changed() && !o.ShowUnchanged {
			continue
		}
		w.line(bold, releaseHeading(s))
		if s.Reason != "" {
			w.line("", "  why: "+oneLine(s.Reason))
		}
		for _, objects := range [][]manifest.Change{s.Objects, s.Hooks} {
			for _, c := range changed(objects, o.ShowUnchanged) {
				symbol, style := mark(c.Action)
				w.paint(style, "  "+symbol)
				w.line("", " "+objectLine(s, c))
			}
		}
	}
	w.closing(p, o)
	return nil
}

// mark gives the sign of an action, as Terraform has it, and its colour.
func mark(a manifest.Action) (symbol, style string) {
	switch a {
	case manifest.Create:
		return "+", green
	case manifest.Replace:
		return "-/+", yellow
	case manifest.Remove:
		return "-", red
	case manifest.Unchanged:
		return "=", ""
	}
	return "~", yellow
}

// objectLine gives an object and what changes in it: the first field, and how
// many more.
func objectLine(s release.Step, c manifest.Change) string {
	var parts []string
	if c.From != nil {
		parts = append(parts, "renamed from "+c.From.Name)
	}
	if c.Action == manifest.Replace {
		parts = append(parts, immutable(c))
	}
	if c.Action == manifest.Update || c.Action == manifest.Replace {
		if f := fieldsText(c.Fields); f != "" {
			parts = append(parts, f)
		}
	}
	text := label(s, c.Ref)
	if len(c.Hook) > 0 {
		text += " (hook " + strings.Join(c.Hook, ", ") + ")"
	}
	if len(parts) > 0 {
		text += "  " + strings.Join(parts, "; ")
	}
	return text
}

// telling gives the field that says most: labels and annotations change with
// every version.
func telling(fields []manifest.Field) manifest.Field {
	for _, f := range fields {
		if !strings.Contains(f.Path, "metadata.labels") && !strings.Contains(f.Path, "metadata.annotations") {
			return f
		}
	}
	return fields[0]
}

func fieldsText(fields []manifest.Field) string {
	if len(fields) == 0 {
		return ""
	}
	f := telling(fields)
	text := f.Path + ": " + cut(valueText(f.Before), maxValue) + " → " + cut(valueText(f.After), maxValue)
	switch more := len(fields) - 1; more {
	case 0:
		return text
	case 1:
		return text + ", and 1 more field"
	default:
		return fmt.Sprintf("%s, and %d more fields", text, more)
	}
}
