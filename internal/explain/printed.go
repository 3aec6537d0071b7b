package explain

import (
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
