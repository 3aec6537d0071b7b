package report

import (
	"bufio"
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/validate"
)

// FindingsOptions say how findings are printed.
type FindingsOptions struct {
	// Format is one of FindingsFormats, "" for the first.
	Format string
	// Color paints text for a terminal.
	Color bool
	// Version is kai's, which SARIF names.
	Version string
	// Checked are the names of the releases that were looked at: JUnit has those
	// without findings too.
	Checked []string
	// Path gives a file of the workspace as readers of the format find it, who stand
	// in a repository or a folder; nil leaves it as it is.
	Path func(file string) string
	// Root is the file of the workspace, which stands for what has no file where a
	// format needs one: code scanning refuses a whole report otherwise.
	Root string
}

// path gives a file of the workspace as readers find it. What comes from elsewhere
// is no file of theirs.
func (o FindingsOptions) path(file string) string {
	if file == "" || source.TreeOf(file) != "" || o.Path == nil {
		return source.Readable(file)
	}
	return o.Path(file)
}

// findingsFormat is a way to print findings.
type findingsFormat struct {
	name  string
	write func(w *printer, found []finding, o FindingsOptions) error
}

func findingsFormats() []findingsFormat {
	return []findingsFormat{
		{"text", writeFindingsText},
		{"json", writeFindingsJSON},
		{"sarif", writeSARIF},
		{"junit", writeJUnit},
		{"github", writeGitHub},
		{"gitlab", writeGitLab},
	}
}

// FindingsFormats gives the names that FindingsOptions.Format takes, the default
// first.
func FindingsFormats() []string {
	var names []string
	for _, f := range findingsFormats() {
		names = append(names, f.name)
	}
	return names
}

// Findings prints what kai validate found, by file and line. What is the same in
// several contexts is said once. It fails for a format that is not known, and where
// w does.
func Findings(w io.Writer, found []validate.Finding, o FindingsOptions) error {
	all := findingsFormats()
	name := cmp.Or(o.Format, all[0].name)
	for _, f := range all {
		if f.name != name {
			continue
		}
		out := &printer{Writer: bufio.NewWriter(w), color: o.Color}
		if err := f.write(out, gathered(found), o); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return fmt.Errorf("print the findings: %w", err)
		}
		return nil
	}
	return unknown("findings", name, FindingsFormats())
}

// closing is the last line of findings as text.
var closing = regexp.MustCompile(`(?:^|\n)[0-9]+ errors?, [0-9]+ warnings?, [0-9]+ infos?, [0-9]+ ignored\n$`)

// IsFindings says whether a file is what Findings prints, in any format, or empty.
func IsFindings(data []byte) bool {
	has := func(text string) bool { return bytes.Contains(data, []byte(text)) }
	switch text := string(bytes.TrimSpace(data)); {
	case text == "" || text == "[]":
		return true
	case text[0] == '<':
		return has(`<testsuites name="kai validate"`)
	case text[0] == '[':
		return has(`"check_name":`) && has(`"fingerprint":`)
	case text[0] == '{':
		return has(`"kind": "Findings"`) || has(`"$schema": "`+sarifSchema) && has(`"name": "kai"`)
	}
	return closing.Match(data)
}

// finding is what was found in some contexts.
type finding struct {
	validate.Finding
	contexts []string
}

// gathered gives each finding once, with its contexts: those of a file by their
// place, then those without one by release and template.
func gathered(all []validate.Finding) []finding {
	var out []finding
	at := map[identity]int{}
	for _, f := range all {
		key := identityOf(f)
		i, known := at[key]
		if !known {
			i = len(out)
			at[key] = i
			out = append(out, finding{Finding: f})
		}
		if out[i].Object.Namespace != f.Object.Namespace {
			out[i].Object.Namespace = "" // another one in another context
		}
		if f.Context != "" && !slices.Contains(out[i].contexts, f.Context) {
			out[i].contexts = append(out[i].contexts, f.Context)
		}
	}
	slices.SortStableFunc(out, func(a, b finding) int {
		if (a.File == "") != (b.File == "") {
			return cmp.Compare(b.File, a.File)
		}
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Release, b.Release), cmp.Compare(a.Source, b.Source))
	})
	return out
}

// identity is what makes a finding the same in another context, whatever the
// namespace there is.
type identity struct {
	rule, release, source, apiVersion, object, path, message, hint, ignored, file string
	severity                                                                      validate.Severity
	line, column                                                                  int
}

func identityOf(f validate.Finding) identity {
	return identity{
		rule: f.Rule, release: f.Release, source: f.Source, apiVersion: f.Object.APIVersion, object: f.Object.String(), path: f.Path,
		message: f.Message, hint: f.Hint, ignored: f.Ignored, file: f.File, severity: f.Severity, line: f.Line, column: f.Column,
	}
}

// place is where a finding stands: FILE:LINE:COLUMN, or else the template or the
// release.
func (f finding) place(o FindingsOptions) string {
	if f.File == "" {
		return cmp.Or(f.Source, f.Release)
	}
	return source.Position{File: o.path(f.File), Line: f.Line, Column: f.Column}.String()
}

// about names the object and its field, or the field of the file.
func (f finding) about() string {
	if f.Object.Kind == "" {
		return f.Path
	}
	return strings.TrimSpace(f.Object.String() + " " + f.Path)
}

// findingCounts is how many findings there are of which kind.
type findingCounts struct {
	Errors   int `json:"errors"`
	Warnings int `json:"warnings"`
	Infos    int `json:"infos"`
	Ignored  int `json:"ignored"`
}

func countFindings(found []finding) findingCounts {
	var c findingCounts
	for _, f := range found {
		switch {
		case f.Ignored != "":
			c.Ignored++
		case f.Severity == validate.Error:
			c.Errors++
		case f.Severity == validate.Warning:
			c.Warnings++
		default:
			c.Infos++
		}
	}
	return c
}

// String gives the closing line of text.
func (c findingCounts) String() string {
	return fmt.Sprintf("%s, %s, %s, %d ignored", plural(c.Errors, "error"), plural(c.Warnings, "warning"), plural(c.Infos, "info"), c.Ignored)
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// spot is what has one cause: findings of one rule with the same words at one place
// of a file, in however many objects.
type spot struct {
	finding
	of []finding
}

// spots gathers findings that are not ignored. Where no file is known each is one.
func spots(found []finding) []spot {
	type key struct {
		rule, file, message, hint string
		severity                  validate.Severity
		line, column              int
	}
	var out []spot
	at := map[key]int{}
	for _, f := range found {
		if f.Ignored != "" {
			continue
		}
		k := key{f.Rule, f.File, f.Message, f.Hint, f.Severity, f.Line, f.Column}
		i, known := at[k]
		if !known || f.File == "" {
			i = len(out)
			at[k] = i
			out = append(out, spot{finding: f})
		}
		out[i].of = append(out[i].of, f)
	}
	return out
}

// maxNamed bounds the objects that text names for one spot.
const maxNamed = 3

// where names the objects of a spot and their contexts, one on each line.
func (s spot) where() []string {
	var lines []string
	for i, f := range s.of {
		if i == maxNamed && len(s.of) > maxNamed+1 {
			return append(lines, fmt.Sprintf("and %d more", len(s.of)-maxNamed))
		}
		line := f.about()
		if len(f.contexts) > 0 {
			line = strings.TrimSpace(line + " in " + strings.Join(f.contexts, ", "))
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

var severityColors = map[validate.Severity]string{validate.Error: red, validate.Warning: yellow, validate.Info: cyan}

// writeFindingsText prints FILE:LINE:COLUMN: SEVERITY: MESSAGE (RULE), as compilers
// do, a block for each file.
func writeFindingsText(w *printer, found []finding, o FindingsOptions) error {
	file := ""
	for i, s := range spots(found) {
		here := cmp.Or(s.File, s.place(o))
		if i > 0 && here != file {
			w.line("", "")
		}
		file = here
		w.paint(bold, s.place(o)+": ")
		w.paint(severityColors[s.Severity], string(s.Severity)+": ")
		w.line("", fmt.Sprintf("%s (%s)", oneLine(s.Message), s.Rule))
		for _, line := range s.where() {
			w.line("", "  "+line)
		}
		for i, line := range strings.Split(s.Hint, "\n") {
			switch {
			case i > 0:
				w.line("", "    "+strings.TrimSpace(line))
			case line != "":
				w.line("", "  hint: "+line)
			}
		}
	}
	c := countFindings(found)
	if file != "" {
		w.line("", "")
	}
	w.line("", c.String())
	return nil
}

// FindingsSchema is the JSON Schema (2020-12) of the format json.
//
//go:embed findings.schema.json
var FindingsSchema []byte

// findingsJSON is the shape of the format json: findings.schema.json describes it,
// and it grows by new fields only.
type findingsJSON struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Findings   []findingJSON `json:"findings"`
	Summary    findingCounts `json:"summary"`
}

type findingJSON struct {
	Rule     string            `json:"rule"`
	Severity validate.Severity `json:"severity"`
	Message  string            `json:"message"`
	Hint     string            `json:"hint,omitempty"`
	File     string            `json:"file,omitempty"`
	Line     int               `json:"line,omitempty"`
	Column   int               `json:"column,omitempty"`
	Contexts []string          `json:"contexts,omitempty"`
	Release  string            `json:"release,omitempty"`
	Template string            `json:"template,omitempty"`
	Object   *manifest.Ref     `json:"object,omitempty"`
	Path     string            `json:"path,omitempty"`
	Ignored  string            `json:"ignored,omitempty"`
}

func writeFindingsJSON(w *printer, found []finding, o FindingsOptions) error {
	out := findingsJSON{APIVersion: "kai/v1", Kind: "Findings", Findings: make([]findingJSON, len(found)), Summary: countFindings(found)}
	for i, f := range found {
		out.Findings[i] = findingJSON{
			Rule: f.Rule, Severity: f.Severity, Message: f.Message, Hint: f.Hint, File: o.path(f.File), Line: f.Line, Column: f.Column,
			Contexts: f.contexts, Release: f.Release, Template: f.Source, Path: f.Path, Ignored: f.Ignored,
		}
		if f.Object.Kind != "" {
			out.Findings[i].Object = &f.Object
		}
	}
	if err := encodeJSON(w, out, "  "); err != nil {
		return fmt.Errorf("print the findings as JSON: %w", err)
	}
	return nil
}
