package notify

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/slack-go/slack"
)

// Slack's limits, and how much of a message a diff and the releases may take:
// https://docs.slack.dev/reference/block-kit/blocks
const (
	maxBlocks   = 50
	maxText     = 3000 // of a section
	maxHeader   = 150
	maxDiff     = 4 // sections
	maxReleases = 8 // sections
	maxMarkdown = 4 // sections
	maxError    = 500
)

// page is a message as Slack shows it.
type page struct {
	text   string // where blocks are not shown, as in a notification
	blocks []slack.Block
}

func (p *page) options() []slack.MsgOption {
	return []slack.MsgOption{slack.MsgOptionText(p.text, false), slack.MsgOptionBlocks(p.blocks...), slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl()}
}

// compose gives everything of a message but its diff.
func compose(m Message) *page {
	title := orElse(m.Title, strings.TrimSpace(strings.Join([]string{m.Command, m.Context, m.Status}, " ")))
	p := &page{text: escape(cut(title, 1000))}
	if title != "" {
		p.add(slack.NewHeaderBlock(slack.NewTextBlockObject(slack.PlainTextType, fit(title, maxHeader), false, false)))
	}
	var facts []string
	for _, fact := range [][2]string{{"workspace", m.Workspace}, {"context", m.Context}, {"cluster", m.Cluster}, {"command", m.Command}, {"status", m.Status}} {
		if fact[1] != "" {
			facts = append(facts, fact[0]+" *"+escape(cut(fact[1], 200))+"*")
		}
	}
	p.note(strings.Join(facts, " · "))
	p.addLines(releaseLines(m.Releases), "", "", maxReleases, "releases")
	if m.Diff == "" && m.Markdown != "" {
		p.addLines(mrkdwn(m.Markdown), "", "", maxMarkdown, "lines")
	}
	return p
}

// releaseLines gives a line for each release.
func releaseLines(releases []Release) []string {
	var out []string
	for _, r := range releases {
		line := "• `" + strings.ReplaceAll(escape(cut(r.Name, 100)), "`", "'") + "`"
		if words := strings.TrimSpace(r.Action + " " + r.Status); words != "" {
			line += " " + escape(cut(words, 100))
		}
		if r.Error != "" {
			line += ": " + escape(cut(strings.Join(strings.Fields(r.Error), " "), maxError))
		}
		out = append(out, line)
	}
	return out
}

// addDiff adds a diff and says whether it is whole. One that is too long is left
// to its thread, or its beginning is added with a note.
func (p *page) addDiff(diff string, thread bool) bool {
	if diff == "" {
		return true
	}
	lines := strings.Split(strings.TrimRight(diff, "\n"), "\n")
	for i, line := range lines {
		// Three would end the code that the diff is shown as.
		lines[i] = escape(strings.ReplaceAll(line, "```", "`\u200b`\u200b`"))
	}
	const open, end = "```\n", "\n```"
	if thread && len(sections(lines, maxText-len(open)-len(end))) > maxDiff {
		p.note(fmt.Sprintf("The diff has %d lines and follows in the thread.", len(lines)))
		return false
	}
	return p.addLines(lines, open, end, maxDiff, "lines")
}

// addLines adds lines in sections of the size that Slack takes, each between
// open and end, and says whether all found their place.
func (p *page) addLines(lines []string, open, end string, most int, what string) bool {
	shown := 0
	for i, s := range sections(lines, maxText-len(open)-len(end)) {
		if i == most || len(p.blocks) >= maxBlocks-1 {
			p.note(fmt.Sprintf("Cut: %d of %d %s are shown.", shown, len(lines), what))
			return false
		}
		shown += s.lines
		if strings.TrimSpace(s.text) != "" {
			p.add(slack.NewSectionBlock(slack.NewTextBlockObject(slack.MarkdownType, open+s.text+end, false, true), nil, nil))
		}
	}
	return true
}

func (p *page) note(text string) {
	if text != "" {
		p.add(slack.NewContextBlock("", slack.NewTextBlockObject(slack.MarkdownType, cut(text, maxText-1), false, true)))
	}
}

func (p *page) add(b slack.Block) { p.blocks = append(p.blocks, b) }

// section is the text of some lines.
type section struct {
	text  string
	lines int
}

// sections joins escaped lines to texts of at most max characters. A line that
// is longer alone is cut.
func sections(lines []string, max int) []section {
	var out []section
	var b strings.Builder
	size, count := 0, 0
	flush := func() {
		if count > 0 {
			out = append(out, section{b.String(), count})
		}
		b.Reset()
		size, count = 0, 0
	}
	for _, line := range lines {
		line = cutEscaped(line, max)
		n := utf16Len(line)
		if count > 0 && size+1+n > max {
			flush()
		}
		if count > 0 {
			b.WriteByte('\n')
			size++
		}
		b.WriteString(line)
		size += n
		count++
	}
	flush()
	return out
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// escape takes the meaning from the three characters that have one in a text of
// Slack's: a mention of everybody, for one, begins with <!.
func escape(text string) string { return escaper.Replace(strings.ToValidUTF8(text, "�")) }

// utf16Len counts characters as the most careful reader of a limit does.
func utf16Len(text string) int {
	n := 0
	for _, r := range text {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// cut shortens a text to max characters, with a mark where it does.
func cut(text string, max int) string {
	if utf16Len(text) <= max {
		return text
	}
	n := 1 // the mark
	for i, r := range text {
		if n += utf16Len(string(r)); n > max {
			return text[:i] + "…"
		}
	}
	return text
}

// cutEscaped shortens an escaped text without cutting an entity.
func cutEscaped(text string, max int) string {
	short := cut(text, max)
	if short == text {
		return text
	}
	if i := strings.LastIndexByte(short, '&'); i >= 0 && !strings.Contains(short[i:], ";") {
		short = short[:i] + "…"
	}
	return short
}

// fit escapes a text and shortens it to max characters of the result.
func fit(text string, max int) string { return cutEscaped(escape(text), max) }

var (
	heading = regexp.MustCompile(`^#{1,6} +(.*?) *#*$`)
	bold    = regexp.MustCompile(`\*\*([^*]+)\*\*`)
	bullet  = regexp.MustCompile(`^( *)[-*] +`)
)

// mrkdwn gives Markdown, line by line, in Slack's way of it: headings, lists and
// bold text outside of code. What Slack does not have, such as tables, stays as
// it is written.
func mrkdwn(text string) []string {
	lines := strings.Split(strings.TrimRight(escape(text), "\n"), "\n")
	code := false
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			code = !code
			lines[i] = "```" // a language after it would be shown
			continue
		}
		if code {
			continue
		}
		line = bold.ReplaceAllString(bullet.ReplaceAllString(line, "$1• "), "*$1*")
		if m := heading.FindStringSubmatch(line); m != nil {
			line = "*" + strings.ReplaceAll(m[1], "*", "") + "*"
		}
		lines[i] = line
	}
	return lines
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
