package explain

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

// Formats lists the formats of Write, the usual one first.
func Formats() []string { return []string{"text", "json", "yaml"} }

// Write writes an answer.
func Write(w io.Writer, format string, a Answer) error {
	switch format {
	case "text":
		_, err := io.WriteString(w, a.text())
		return err
	case "yaml":
		data, err := yaml.Marshal(a)
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(a)
}

// text gives an answer as people read it.
func (a Answer) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s", a.Path, indented(valueText(a.Value)))
	var rows [][2]string
	section := func(title string, places ...[2]string) {
		if len(places) == 0 {
			return
		}
		rows = append(rows, [2]string{"\n" + title})
		rows = append(rows, places...)
	}
	if a.Kind == KindValue {
		if len(a.Layers) > 0 {
			section("given by", row(a.Layers[0], ""))
			section("instead of", placeRows(a.Layers[1:])...)
		}
		section(counted("patches in the context", len(a.Patches)), placeRows(a.Patches)...)
	} else {
		section("template", [2]string{a.Template.String()})
		if a.Patched != nil {
			section("patched by", row(*a.Patched, ""))
		}
		if section("changes with", causeRows(a.Changes)...); len(a.Changes) == 0 && a.Patched == nil {
			section("changes with", [2]string{"no single value"})
		}
		section("is there only with", causeRows(a.Presence)...)
		section("of the same text, but not to be changed alone", placeRows(a.Fixed)...)
		section(counted("patches for the object", len(a.Patches)), placeRows(a.Patches)...)
	}
	writeRows(&b, rows)
	return b.String()
}

func counted(what string, n int) string { return fmt.Sprintf("%s: %d", what, n) }

// writeRows writes lines of two columns below their titles.
func writeRows(b *strings.Builder, rows [][2]string) {
	width := 0
	for _, r := range rows {
		if r[1] != "" {
			width = max(width, utf8.RuneCountInString(r[0]))
		}
	}
	for _, r := range rows {
		switch {
		case strings.HasPrefix(r[0], "\n"):
			fmt.Fprintln(b, r[0][1:])
		case r[1] == "":
			fmt.Fprintln(b, "  "+r[0])
		default:
			fmt.Fprintf(b, "  %s%s  %s\n", r[0], strings.Repeat(" ", width-utf8.RuneCountInString(r[0])), r[1])
		}
	}
}

func placeRows(places []Place) [][2]string {
	var out [][2]string
	for _, p := range places {
		out = append(out, row(p, ""))
	}
	return out
}

func causeRows(causes []Cause) [][2]string {
	var out [][2]string
	for _, c := range causes {
		note := ""
		if c.Name {
			note = " (the name)"
		}
		out = append(out, row(c.Place, note))
	}
	return out
}

// row gives a place and what stands there.
func row(p Place, note string) [2]string {
	text := p.Path
	if value := oneLine(p.Value); !p.Whole && value != "" {
		if text != "" {
			text += ": "
		}
		text += value
	}
	if p.Whole {
		text = "the file"
	}
	if p.Because != "" {
		note += " (" + strings.TrimSpace(p.Because) + ")"
	}
	return [2]string{p.String(), text + note}
}

// maxLine bounds a value in one line, in characters.
const maxLine = 80

func oneLine(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	text := string(data)
	if s, ok := v.(string); ok && s != "" && !strings.ContainsAny(s, "\n\t") {
		text = s
	}
	if v == nil {
		text = "null"
	}
	if runes := []rune(text); len(runes) > maxLine {
		text = string(runes[:maxLine]) + "…"
	}
	return text
}

// valueText gives a value as YAML.
func valueText(v any) string {
	if s, ok := v.(string); ok && !strings.Contains(s, "\n") {
		return s
	}
	data, err := yaml.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(string(data), "\n")
}

func indented(text string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		b.WriteString("  " + line + "\n")
	}
	return b.String()
}
