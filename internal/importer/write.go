package importer

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// width is where a line ends that could go on.
const width = 116

// page writes YAML as kai's documents have it: what fits stands on one line.
type page struct{ b bytes.Buffer }

func (p *page) line(depth int, text string) {
	p.b.WriteString(strings.Repeat("  ", depth))
	p.b.WriteString(text)
	p.b.WriteByte('\n')
}

// note writes a comment.
func (p *page) note(depth int, text string) {
	for _, line := range wrapped(text, width-2*depth-2) {
		p.line(depth, "# "+line)
	}
}

func wrapped(text string, at int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > at {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}

// field writes a key and its value.
func (p *page) field(depth int, key string, v *source.Value) {
	p.entry(depth, strings.Repeat("  ", depth), key, v)
}

// entry is field with what stands before the key.
func (p *page) entry(depth int, before, key string, v *source.Value) {
	name := flat(text(key))
	if line := before + name + ": " + flat(v); len(line) <= width && !strings.Contains(line, "\x00") {
		p.b.WriteString(line + "\n")
		return
	}
	switch {
	case v.Kind == source.Map && len(v.Fields) > 0:
		p.b.WriteString(before + name + ":\n")
		for _, f := range v.Fields {
			p.field(depth+1, f.Key, f.Value)
		}
	case v.Kind == source.List && len(v.Items) > 0:
		p.b.WriteString(before + name + ":\n")
		for _, item := range v.Items {
			p.item(depth+1, item)
		}
	default:
		p.scalar(depth, before+name+": ", v)
	}
}

// item writes an item of a list.
func (p *page) item(depth int, v *source.Value) {
	indent := strings.Repeat("  ", depth) + "- "
	if line := indent + flat(v); len(line) <= width && !strings.Contains(line, "\x00") {
		p.b.WriteString(line + "\n")
		return
	}
	switch {
	case v.Kind == source.Map && len(v.Fields) > 0:
		for i, f := range v.Fields {
			before := strings.Repeat("  ", depth+1)
			if i == 0 {
				before = indent
			}
			p.entry(depth+1, before, f.Key, f.Value)
		}
	case v.Kind == source.List && len(v.Items) > 0:
		p.b.WriteString(strings.TrimRight(indent, " ") + "\n")
		for _, item := range v.Items {
			p.item(depth+1, item)
		}
	default:
		p.scalar(depth, indent, v)
	}
}

// scalar writes text that has a line of its own, or several.
func (p *page) scalar(depth int, before string, v *source.Value) {
	lines := strings.SplitAfter(string(source.AppendYAML(nil, mapOf(entry("x", v)), nil)), "\n")
	p.b.WriteString(before + strings.TrimPrefix(lines[0], "x: "))
	for _, line := range lines[1:] {
		if line != "" && line != "\n" {
			p.b.WriteString(strings.Repeat("  ", depth))
		}
		p.b.WriteString(line)
	}
}

// plain is text that needs no quotes, although it begins like a number or a
// list: quantities, versions, flags.
var plain = regexp.MustCompile(`^([0-9]+(m|k|M|G|T|Ki|Mi|Gi|Ti|ms|s|h|%)|[0-9]+(\.[0-9]+){2,}([-+][A-Za-z0-9.-]+)?|--?[A-Za-z][-A-Za-z0-9_]*(=[-A-Za-z0-9_./]+)?)$`)

// flat gives a value on one line. A text of several lines has none, which is
// said by a NUL.
func flat(v *source.Value) string {
	switch {
	case v.IsNull():
		return "null"
	case v.Kind == source.Map:
		parts := make([]string, len(v.Fields))
		for i, f := range v.Fields {
			parts[i] = inFlow(text(f.Key)) + ": " + inFlow(f.Value)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case v.Kind == source.List:
		parts := make([]string, len(v.Items))
		for i, item := range v.Items {
			parts[i] = inFlow(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	if v.Kind == source.String && plain.MatchString(v.Text) {
		return v.Text
	}
	out := strings.TrimSuffix(string(source.AppendYAML(nil, v, nil)), "\n")
	if strings.Contains(out, "\n") {
		return "\x00"
	}
	return out
}

// inFlow is flat for what stands between braces, where more has to be quoted.
func inFlow(v *source.Value) string {
	out := flat(v)
	if v != nil && v.Kind == source.String && !strings.HasPrefix(out, `"`) && strings.ContainsAny(out, ",[]{}:#") {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(v.Text) // text always encodes
		return strings.TrimSuffix(b.String(), "\n")
	}
	return out
}

// descriptorText writes the descriptor of a service.
func descriptorText(name string, drafts []*draft) []byte {
	in := hoist(drafts)
	base, more := contexts(drafts)
	var p page
	p.line(0, "apiVersion: kai/v1")
	p.field(0, "name", text(name))
	for _, d := range drafts {
		if d.version != "" {
			p.field(0, "version", text(d.version))
			break
		}
	}
	for _, d := range drafts {
		if d.description != "" {
			p.field(0, "description", text(d.description))
			break
		}
	}
	p.b.WriteByte('\n')
	some := false
	for _, kind := range in.kinds {
		if list := in.of[kind]; list != nil {
			some = true
			p.line(0, kind+":")
			for _, item := range list.Items {
				p.item(1, item)
			}
		}
	}
	if some {
		p.b.WriteByte('\n')
	}
	p.line(0, "contexts:")
	p.context("base", "", base, drafts)
	for _, f := range more {
		p.context(f.Key, "base", f.Value, slices.DeleteFunc(slices.Clone(drafts), func(d *draft) bool { return d.context != f.Key }))
	}
	return p.b.Bytes()
}

// context writes one context; base has a line for every field, others stand on
// one line where they fit.
func (p *page) context(name, extends string, fields *source.Value, drafts []*draft) {
	whole := mapOf(entry("name", text(name)))
	if extends != "" {
		whole.Set("extends", text(extends))
	}
	notes := map[string]string{}
	for _, f := range fields.Fields {
		whole.Set(f.Key, f.Value)
		for _, d := range drafts {
			if note := d.notes[strings.TrimSuffix(f.Key, "+")]; note != "" {
				notes[f.Key] = note
				delete(d.notes, strings.TrimSuffix(f.Key, "+"))
			}
		}
	}
	if line := "  - " + flat(whole); extends != "" && len(notes) == 0 && len(line) <= width && !strings.Contains(line, "\x00") {
		p.b.WriteString(line + "\n")
		return
	}
	for i, f := range whole.Fields {
		before := "    "
		if i == 0 {
			before = "  - "
		}
		if note := notes[f.Key]; note != "" {
			p.note(2, note)
		}
		p.entry(2, before, f.Key, f.Value)
	}
}

// friendText writes a friend's file.
func friendText(f *friendFile) []byte {
	var p page
	p.line(0, "apiVersion: kai/v1")
	p.field(0, "name", text(f.name))
	if f.note != "" {
		p.note(0, f.note)
	}
	for _, field := range f.value.Fields {
		p.field(0, field.Key, field.Value)
	}
	return p.b.Bytes()
}

// workspaceText writes kai-workspace.yaml.
func (p *project) workspaceText(names []string, byService map[string][]*draft) []byte {
	var out page
	out.line(0, "apiVersion: kai/v1")
	out.field(0, "name", text(p.name))
	out.line(0, "services: ["+servicesDir+"/*]")
	if len(p.friends) > 0 {
		out.line(0, "friends: ["+friendsDir+"]")
	}
	out.line(0, "contexts:")
	for _, e := range p.contexts {
		v := mapOf(entry("name", text(e.name)))
		if e.namespace != "" {
			v.Set("namespace", text(e.namespace))
		}
		var missing []string
		for _, name := range names {
			if !slices.ContainsFunc(byService[name], func(d *draft) bool { return d.context == e.name }) {
				missing = append(missing, name)
			}
		}
		setIn(v, "except", texts(missing...))
		for _, f := range e.settings.FieldsOrNone() {
			v.Set(f.Key, f.Value)
		}
		out.item(1, v)
	}
	return out.b.Bytes()
}
