package explain

import (
	"bytes"
	"context"
	"io/fs"
	"regexp"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Printed gives the line of a template of the workspace's own that prints a line, or the
// nearest one before it that is known. template is its name as a manifest's source has
// it, and printed all that it prints. Where the template is another's, the place is that
// of Place, and own is false.
func (p *Located) Printed(template string, printed []string, line int) (at source.Position, own bool) {
	var file string
	builtIn := true
	if p.release.Trace != nil {
		file, _, builtIn = p.release.Trace.Template(template)
	}
	if builtIn || !p.l.isOwn(file) {
		return p.Place(context.Background(), Field{Source: template}, true), false
	}
	at = source.Position{File: file, Line: 1, Column: 1}
	data, err := fs.ReadFile(p.l.w.FS, file)
	if err != nil {
		return at, true
	}
	lines := strings.Split(string(data), "\n")
	if n, ok := printing(lines, printed, line); ok {
		at.Line, at.Column = n+1, 1+len(lines[n])-len(strings.TrimLeft(lines[n], " \t"))
	}
	return at, true
}

// wrongKind is the message about what an expression prints that stands for a text.
var wrongKind = regexp.MustCompile(`^must be a text, and is a (whole number|number|bool)$`)

// inTemplate gives the line of a template of the workspace's own that prints a field,
// where no value is the cause: the key is wrong, what it prints has no quotes, it stands
// there as it is printed, or it makes an object that there is already.
func (p *Located) inTemplate(ctx context.Context, f Field) (source.Position, bool) {
	if p.release.Trace == nil || p.loaded == nil || f.Path == "" {
		return source.Position{}, false
	}
	file, _, builtIn := p.release.Trace.Template(f.Source)
	if m := otherTemplate.FindStringSubmatch(f.Message); m != nil && f.Rule == "object-twice" && builtIn && m[1] == p.release.Name {
		f.Source = m[2] // of the two the one that can be changed
		file, _, builtIn = p.release.Trace.Template(f.Source)
	}
	if builtIn || !p.l.isOwn(file) {
		return source.Position{}, false
	}
	line, whole := p.printedLine(ctx, f)
	data, err := fs.ReadFile(p.l.w.FS, file)
	if line < 0 || err != nil {
		return source.Position{}, false
	}
	lines := strings.Split(string(data), "\n")
	n, ok := printing(lines, strings.Split(p.printed[f.Source], "\n"), line)
	if !ok {
		return source.Position{}, false
	}
	key := keyInLine.FindStringSubmatchIndex(lines[n])
	if key == nil || lines[n][key[2]:key[3]] != lastKeyOf(f.Path) {
		return source.Position{}, false
	}
	value := lines[n][key[1]:]
	switch {
	case strings.HasPrefix(f.Message, "unknown field "), f.Rule == "object-twice":
	case wrongKind.MatchString(f.Message) && strings.TrimSpace(value) != "":
	case whole && strings.TrimSpace(value) != "" && !strings.Contains(value, "{{"):
	default:
		return source.Position{}, false
	}
	return source.Position{File: file, Line: n + 1, Column: key[2] + 1}, true
}

// otherTemplate finds what else makes an object: its release and its template.
var otherTemplate = regexp.MustCompile(`^the object is made by release (\S+), in (\S+) as well$`)

// keyInLine finds the key that a line of a template begins with.
var keyInLine = regexp.MustCompile(`^[ -]*"?([^\s":{}]+)"?:(?:\s|$)`)

// lastKeyOf gives the last key of a path, which may have dots in it.
func lastKeyOf(path string) string {
	if m := quotedKey.FindStringSubmatch(path); m != nil {
		return m[1]
	}
	return lastKey(path)
}

// printedLine gives the line, from 0, in which a template prints a field, and whether
// that is one scalar; or -1.
func (p *Located) printedLine(ctx context.Context, f Field) (line int, whole bool) {
	if p.printed == nil {
		p.printed = map[string]string{}
		if all, err := p.loaded.Printed(ctx, p.options); err == nil {
			p.printed = all
		}
	}
	before := 0
	for _, doc := range source.Documents([]byte(p.printed[f.Source])) {
		v, _ := source.ParseYAML("", doc)
		if v.Get("kind").Str() == f.Object.Kind && v.At("metadata", "name").Str() == f.Object.Name {
			line = before + deepest(v, f.Path).Line - 1
			if f.Rule != "object-twice" {
				return line, find(v, f.Path).IsScalar()
			}
			whole = true // the last is the one too many
		}
		before += bytes.Count(doc, []byte("\n"))
	}
	if !whole {
		return -1, false
	}
	return line, true
}

// printing finds the line of a template that prints a line: the one that is most like
// it, and has the likest lines around it. Where none is, as where a function prints
// several lines, it goes on with the line before.
func printing(template, printed []string, line int) (int, bool) {
	forms := make([]*regexp.Regexp, len(template))
	for i, text := range template {
		forms[i] = formOf(text)
	}
	like := func(i, k int) int {
		if i < 0 || k < 0 || i >= len(template) || k >= len(printed) || forms[i] == nil || !forms[i].MatchString(strings.TrimSpace(printed[k])) {
			return 0
		}
		if strings.Contains(template[i], "{{") {
			return 1
		}
		return 2
	}
	for k := min(line, len(printed)-1); k >= 0; k-- {
		best, most := -1, 0
		for i := range template {
			score := 8 * like(i, k)
			if score == 0 {
				continue
			}
			for d := 1; d <= 3; d++ {
				score += like(i-d, k-d) + like(i+d, k+d)
			}
			if score > most {
				best, most = i, score
			}
		}
		if best >= 0 {
			return best, true
		}
	}
	return 0, false
}

var action = regexp.MustCompile(`\{\{.*?\}\}`)

// formOf gives what a line of a template may print, nil where it prints nothing that
// tells it from others.
func formOf(line string) *regexp.Regexp {
	line = strings.TrimSpace(line)
	parts := action.Split(line, -1)
	if strings.TrimSpace(strings.Join(parts, "")) == "" {
		return nil
	}
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	form, err := regexp.Compile("^" + strings.Join(parts, ".*") + "$")
	if err != nil {
		return nil
	}
	return form
}
