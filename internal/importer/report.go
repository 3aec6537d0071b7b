package importer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Outcome is what became of a part of the source.
type Outcome string

// The outcomes, in the order of the report.
const (
	Carried Outcome = "carried over"
	Changed Outcome = "changed"
	LeftOut Outcome = "left out"
	Decide  Outcome = "to decide"
)

// Entry is one line of a report.
type Entry struct {
	Outcome Outcome `json:"outcome"`
	// Place is where it stands in the source, FILE:LINE:COLUMN.
	Place string `json:"place,omitempty"`
	// Service and Context are whom it is about, "" for all.
	Service string `json:"service,omitempty"`
	Context string `json:"context,omitempty"`
	// What is the part of the source: an object, or a field of it.
	What string `json:"what"`
	// Path is the field that is another after the import, as kai compare names it.
	Path   string `json:"path,omitempty"`
	Before any    `json:"before,omitempty"`
	After  any    `json:"after,omitempty"`
	// Why says what became of it, or why.
	Why string `json:"why"`
}

// Stored is a secret that has to be put into the store.
type Stored struct {
	Context string   `json:"context"`
	Path    string   `json:"path"`              // APP.SCOPE.KEY, or a Secret
	Places  []string `json:"places"`            // where the source has it
	Command string   `json:"command,omitempty"` // that stores it
}

// Report says what became of the source.
type Report struct {
	Entries []Entry  `json:"entries"`
	Store   []Stored `json:"store,omitempty"`

	said map[[6]string]bool // what add has added
}

func (r *Report) add(outcome Outcome, at source.Origin, service, context, what, format string, args ...any) {
	e := Entry{Outcome: outcome, Service: service, Context: context, What: what, Why: fmt.Sprintf(format, args...)}
	if at.File != "" {
		e.Place = at.String()
	}
	key := [...]string{string(e.Outcome), e.Place, e.Service, e.Context, e.What, e.Why}
	if r.said == nil {
		r.said = map[[6]string]bool{}
	}
	if !r.said[key] {
		r.said[key] = true
		r.Entries = append(r.Entries, e)
	}
}

// names says whether something is said of an object.
func (r *Report) names(what, context string) bool {
	return slices.ContainsFunc(r.Entries, func(e Entry) bool { return e.What == what && e.Context == context })
}

// store names a secret that is wanted.
func (r *Report) store(context, path, command string, at source.Origin) {
	for i := range r.Store {
		if s := &r.Store[i]; s.Context == context && s.Path == path {
			if place := at.String(); place != "" && !slices.Contains(s.Places, place) {
				s.Places = append(s.Places, place)
			}
			return
		}
	}
	s := Stored{Context: context, Path: path, Command: command, Places: []string{}}
	if place := at.String(); place != "" {
		s.Places = append(s.Places, place)
	}
	r.Store = append(r.Store, s)
}

// Count gives the number of entries of an outcome.
func (r *Report) Count(outcome Outcome) int {
	n := 0
	for _, e := range r.Entries {
		if e.Outcome == outcome {
			n++
		}
	}
	return n
}

// WriteJSON writes the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// textHead is the first line of a report as text.
var textHead = regexp.MustCompile(`^(?:` + string(Decide) + `|` + string(LeftOut) + `|` + string(Changed) + `|` + string(Carried) + `|to store) \([0-9]+\)`)

// IsReport says whether a file is what WriteJSON, WriteText or WriteWhole writes, or
// empty.
func IsReport(data []byte) bool {
	return len(data) == 0 || bytes.HasPrefix(data, []byte("{\n  \"entries\": [")) || textHead.Match(data)
}

// WriteText writes the report for people, on a terminal: long paragraphs are cut.
func (r *Report) WriteText(w io.Writer) error { return r.writeText(w, maxLines) }

// WriteWhole writes the report for people, and all of it.
func (r *Report) WriteWhole(w io.Writer) error { return r.writeText(w, math.MaxInt) }

// writeText writes the report with at most so many lines for a paragraph. What is
// said of several services, or of several contexts, in the same words is one
// paragraph.
func (r *Report) writeText(w io.Writer, lines int) error {
	var b strings.Builder
	for _, outcome := range []Outcome{Decide, LeftOut, Changed, Carried} {
		r.section(&b, outcome, lines)
	}
	if len(r.Store) > 0 {
		fmt.Fprintf(&b, "to store (%d): the values are not copied\n", len(r.Store))
		for _, s := range r.Store {
			fmt.Fprintf(&b, "  %s: %s\n", s.Context, s.Path)
			if s.Command != "" {
				fmt.Fprintf(&b, "    %s\n", s.Command)
			}
			for _, place := range s.Places {
				fmt.Fprintf(&b, "    from %s\n", place)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// paragraph is what is said of several in the same words.
type paragraph struct {
	head string
	// lines are its lines in their order, each with whom it is about.
	lines []string
	whom  map[string][]string
}

func (p *paragraph) add(line, whom string) {
	if p.whom == nil {
		p.whom = map[string][]string{}
	}
	if _, ok := p.whom[line]; !ok {
		p.lines = append(p.lines, line)
	}
	p.whom[line] = appendNew(p.whom[line], whom)
}

// section writes the entries of an outcome, each under its reason.
func (r *Report) section(b *strings.Builder, outcome Outcome, most int) {
	var all []*paragraph
	n := 0
	for _, e := range r.Entries {
		if e.Outcome != outcome {
			continue
		}
		n++
		head, line, whom := e.Why, e.What, e.whom()
		switch {
		case e.Path != "":
			line = e.change()
		case outcome != Carried && outcome != Changed && e.Place != "":
			line += ", " + e.Place
		}
		i := slices.IndexFunc(all, func(p *paragraph) bool { return p.head == head })
		if i < 0 {
			i = len(all)
			all = append(all, &paragraph{head: head})
		}
		all[i].add(line, whom)
	}
	if n == 0 {
		return
	}
	fmt.Fprintf(b, "%s (%d)\n", outcome, n)
	for _, p := range all {
		fmt.Fprintf(b, "  %s\n", p.head)
		for i, line := range p.lines {
			if i == most {
				fmt.Fprintf(b, "    and %d more, which --report has\n", len(p.lines)-i)
				break
			}
			fmt.Fprintf(b, "    %s\n", strings.TrimSpace(line+about(p.whom[line], most > maxLines)))
		}
	}
}

// about says whom a line is about, or, unless all are wanted, of how many it is
// true.
func about(whom []string, all bool) string {
	switch {
	case len(whom) == 0:
		return ""
	case all, len(whom) <= 3:
		return " (" + strings.Join(whom, ", ") + ")"
	}
	return fmt.Sprintf(" (%d services)", len(whom))
}

// maxLines bounds the lines of a paragraph on a terminal.
const maxLines = 12

// whom gives the service and the context that the entry is about.
func (e Entry) whom() string {
	return strings.Trim(e.Context+"/"+e.Service, "/")
}

// change words the change of a leaf; the service's own name is SERVICE in it, so
// that those of several services read alike.
func (e Entry) change() string {
	return fmt.Sprintf("%s: %s → %s", general(e.Path, e.Service), general(leafText(e.Before), e.Service), general(leafText(e.After), e.Service))
}

func general(text, service string) string {
	if service == "" {
		return text
	}
	for _, around := range []string{"=%s]", "/%s\"", "\"%s\"", "\"%s-secrets\"", "\"%s-headless\"", "\"%s-0.1.0\""} {
		text = strings.ReplaceAll(text, fmt.Sprintf(around, service), fmt.Sprintf(around, "SERVICE"))
	}
	return text
}

func leafText(v any) string {
	if v == nil {
		return "nothing"
	}
	if s, ok := v.(string); ok {
		if len(s) > 60 {
			s = strings.ToValidUTF8(s[:60], "") + "…"
		}
		return fmt.Sprintf("%q", s)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if s := string(data); len(s) <= 60 {
		return s
	}
	return strings.ToValidUTF8(string(data[:60]), "") + "…"
}

func appendNew(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// sort brings the entries into an order that does not change.
func (r *Report) sort() {
	rank := func(o Outcome) int { return slices.Index([]Outcome{Decide, LeftOut, Changed, Carried}, o) }
	slices.SortStableFunc(r.Entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(rank(a.Outcome), rank(b.Outcome)), cmp.Compare(a.Service, b.Service), cmp.Compare(a.What, b.What), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Context, b.Context))
	})
	slices.SortStableFunc(r.Store, func(a, b Stored) int {
		return cmp.Or(cmp.Compare(a.Context, b.Context), cmp.Compare(a.Path, b.Path))
	})
}
