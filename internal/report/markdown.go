package report

import (
	"bufio"
	"cmp"
	"fmt"
	"html"
	"strings"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/release"
)

const (
	// githubComment is how long a comment of GitHub's may be, in characters.
	githubComment = 65536
	// noteRoom is kept free for what says that something is left out.
	noteRoom = 400
)

const tableHead = "| release | action | chart | revision | objects |\n|---|---|---|---|---|\n"

// markdownText is a plan in the parts that are cut one by one where the whole
// would be too long.
type markdownText struct {
	head    string
	rows    []string
	notes   []string
	details []string
}

// writeMarkdown prints a plan for a pull request: the counts, a table of the
// releases and a folded diff of each one that changes. Where that is too long,
// whole releases are left out, and it says how many.
func writeMarkdown(w *printer, p *release.Plan, o Options) error {
	text := markdownOf(p, o)
	limit := cmp.Or(o.MaxBytes, githubComment)
	if limit < 0 || text.size() <= limit {
		return text.write(w, markdownText{})
	}
	kept, left, err := text.fit(limit)
	if err != nil {
		return err
	}
	return kept.write(w, left)
}

func markdownOf(p *release.Plan, o Options) markdownText {
	text := markdownText{head: "### " + escape(count(p).String()) + "\n\n" + escape(headline(p)) + "\n\n"}
	for _, s := range p.Steps {
		if s.Changed() || o.ShowUnchanged {
			text.rows = append(text.rows, tableRow(s))
		}
		if s.Changed() {
			text.details = append(text.details, detail(s, o))
		}
	}
	for _, n := range p.Notes {
		text.notes = append(text.notes, "> "+escape(n)+"\n\n")
	}
	return text
}

// size gives the length of the whole text.
func (t markdownText) size() int {
	size := len(t.head)
	if len(t.rows) > 0 {
		size += len(tableHead) + 1
	}
	for _, part := range [][]string{t.rows, t.notes, t.details} {
		for _, s := range part {
			size += len(s)
		}
	}
	return size
}

// fit keeps what has room below limit, rows before notes before details, and
// gives what it left out.
func (t markdownText) fit(limit int) (kept, left markdownText, err error) {
	room := limit - noteRoom - len(t.head) - len(tableHead) - 1
	if room < 0 {
		return kept, left, fmt.Errorf("%d bytes are too few for a plan as markdown: it needs %d at least", limit, limit-room)
	}
	take := func(parts []string) (in, out []string) {
		for _, s := range parts {
			if len(s) > room {
				out = append(out, s)
				continue
			}
			room -= len(s)
			in = append(in, s)
		}
		return in, out
	}
	kept.head = t.head
	kept.rows, left.rows = take(t.rows)
	kept.notes, left.notes = take(t.notes)
	kept.details, left.details = take(t.details)
	return kept, left, nil
}

func (t markdownText) write(w *printer, left markdownText) error {
	_, _ = w.WriteString(t.head)
	if len(t.rows) > 0 {
		_, _ = w.WriteString(tableHead + strings.Join(t.rows, "") + "\n")
	}
	for _, s := range t.notes {
		_, _ = w.WriteString(s)
	}
	for _, s := range t.details {
		_, _ = w.WriteString(s)
	}
	if missing := t.missing(left); missing != "" {
		_, _ = w.WriteString("**Left out, since this text would be too long: " + missing + ".** `helm kai diff` shows all.\n")
	}
	return nil
}

// missing says how much of a text was left out.
func (t markdownText) missing(left markdownText) string {
	var parts []string
	for _, m := range []struct {
		left, kept []string
		what       string
	}{
		{left.rows, t.rows, "rows of the table"},
		{left.notes, t.notes, "notes"},
		{left.details, t.details, "diffs of releases"},
	} {
		if len(m.left) > 0 {
			parts = append(parts, fmt.Sprintf("%d of %d %s", len(m.left), len(m.left)+len(m.kept), m.what))
		}
	}
	return strings.Join(parts, ", ")
}

func tableRow(s release.Step) string {
	cells := []string{code(s.Release), string(s.Action), escape(s.Chart), revisions(s), objectCount(s)}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// objectCount gives "2 created, 1 changed", hooks included.
func objectCount(s release.Step) string {
	n := map[manifest.Action]int{}
	for _, objects := range [][]manifest.Change{s.Objects, s.Hooks} {
		for _, c := range objects {
			n[c.Action]++
		}
	}
	var parts []string
	for _, a := range []manifest.Action{manifest.Create, manifest.Update, manifest.Replace, manifest.Remove} {
		if n[a] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[a], done(a)))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "none changed")
}

// detail gives the folded diff of a release.
func detail(s release.Step, o Options) string {
	var b strings.Builder
	b.WriteString("<details><summary>" + html.EscapeString(clean(releaseHeading(s))) + "</summary>\n\n")
	if s.Reason != "" {
		b.WriteString(escape(s.Reason) + "\n\n")
	}
	if replaced := replacedNames(s); replaced != "" {
		b.WriteString("⚠️ deleted and created anew: " + replaced + "\n\n")
	}
	b.WriteString(fenced(s, o) + "\n\n</details>\n\n")
	return b.String()
}

// fenced gives the diff of a release as a block of code, with a fence that its
// text cannot close.
func fenced(s release.Step, o Options) string {
	if len(changed(s.Objects, false))+len(changed(s.Hooks, false)) == 0 {
		return noObjects
	}
	var body strings.Builder
	w := &printer{Writer: bufio.NewWriter(&body)}
	w.objects(s, o)
	_ = w.Flush() // a strings.Builder takes everything
	text := strings.TrimRight(body.String(), "\n")
	fence := strings.Repeat("`", max(3, longestRun(text, '`')+1))
	return fence + "diff\n" + text + "\n" + fence
}

func replacedNames(s release.Step) string {
	var names []string
	for _, c := range s.Objects {
		if c.Action == manifest.Replace {
			names = append(names, code(label(s, c.Ref)))
		}
	}
	return strings.Join(names, ", ")
}

// longestRun gives the length of the longest run of c in text.
func longestRun(text string, c byte) int {
	longest, run := 0, 0
	for i := range len(text) {
		if text[i] != c {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}

// code gives text as code inside a line or a cell of a table.
func code(text string) string {
	return "<code>" + escape(text) + "</code>"
}

// escape gives text as it is inside a line or a cell: no markup, no HTML, and no
// mention of people or issues, which a character without width prevents.
func escape(text string) string {
	var b strings.Builder
	for _, r := range oneLine(text) {
		switch r {
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '&':
			b.WriteString("&amp;")
		case '@', '#':
			b.WriteRune(r)
			b.WriteString("&#8203;")
		case '\\', '`', '*', '_', '[', ']', '|', '~':
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
