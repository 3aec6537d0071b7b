package report

import (
	"bufio"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The colours are git's: bold for headings, red and green for lines, cyan for
// where they are.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

// printer writes lines, in colours where they are wanted. Its errors come with
// Flush.
type printer struct {
	*bufio.Writer
	color bool
}

// line writes a line, painted where colour is wanted; style "" is plain.
func (p *printer) line(style, text string) {
	p.paint(style, text)
	_ = p.WriteByte('\n')
}

func (p *printer) paint(style, text string) {
	text = clean(text)
	if !p.color || style == "" || text == "" {
		_, _ = p.WriteString(text)
		return
	}
	_, _ = p.WriteString("\x1b[" + style + "m" + text + "\x1b[m")
}

// clean replaces what could steer a terminal, tabs apart: names, values and
// messages come from clusters and charts.
func clean(text string) string {
	if strings.IndexFunc(text, steers) < 0 && utf8.ValidString(text) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if steers(r) {
			return utf8.RuneError
		}
		return r
	}, text)
}

// steers says whether a terminal obeys a rune instead of showing it. Marks that
// turn the direction of writing can make a line look like another one.
func steers(r rune) bool {
	return unicode.IsControl(r) && r != '\t' || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// oneLine gives a message that may have several lines as one.
func oneLine(text string) string {
	if strings.ContainsAny(text, "\n\r\t") {
		text = strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
		text = strings.Join(strings.Fields(text), " ")
	}
	return clean(strings.TrimSpace(text))
}

// cut shortens text to n columns of a terminal, the last an ellipsis.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	columns, end := 0, 0
	for i, r := range text {
		columns += columnsOf(r)
		if columns > n {
			return text[:end] + "…"
		}
		// The ellipsis needs a column itself.
		if columns < n {
			end = i + utf8.RuneLen(r)
		}
	}
	return text
}

// columnsOf gives an upper bound for the columns that a rune takes.
func columnsOf(r rune) int {
	if r >= 0x1100 {
		return 2
	}
	return 1
}
