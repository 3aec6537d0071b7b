// Package format writes our files in one style: keys in the order of the docs, two
// spaces of indentation, lists indented below their key, no more than one blank line
// at a time.
//
// It moves lines and never writes a value anew, so that comments, quotes, block
// scalars and maps on one line stay as somebody wrote them. What comes out is held to
// what went in, both as values and line by line: a file that could lose something is
// refused.
package format

import (
	"bytes"
	"regexp"
	"slices"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/helm-kai/helm-kai/internal/source"
)

// separator is a line between two documents of a file.
var separator = regexp.MustCompile(`^(---|\.\.\.)([ \t]+#.*)?[ \t]*$`)

// File gives the content of a file in our style. name says what kind of file it is,
// where its keys do not, and is the file of the findings.
func File(name string, data []byte) ([]byte, error) {
	if len(data) > source.MaxFile {
		return nil, source.Findings{source.FileFinding(name, &source.TooLargeError{Max: source.MaxFile})}
	}
	text := strings.ReplaceAll(string(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))), "\r\n", "\n")
	if i := strings.IndexAny(text, "\r\u0085\u2028\u2029"); i >= 0 {
		return nil, refused(name, 1+strings.Count(text[:i], "\n"), "a line ends in another way than with a line feed", "write the lines' ends as \\n")
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	var out []string
	for start := 0; start <= len(lines); {
		end := start
		for end < len(lines) && !separator.MatchString(lines[end]) {
			end++
		}
		part, err := document(name, start, lines[start:end], end < len(lines) || strings.HasSuffix(text, "\n"))
		if err != nil {
			return nil, err
		}
		out = append(out, part...)
		if end < len(lines) {
			out = append(out, strings.TrimRight(lines[end], " \t"))
		}
		start = end + 1
	}
	if len(out) == 0 {
		return nil, nil
	}
	return []byte(strings.Join(out, "\n") + "\n"), nil
}

// document gives the lines of one document of a file, which begins after so many
// lines of it. ended says whether its last line has an end.
func document(name string, before int, lines []string, ended bool) ([]string, error) {
	text := strings.Join(lines, "\n")
	if ended {
		text += "\n"
	}
	padded := strings.Repeat("\n", before) + text // findings count the file's lines
	value, findings := source.ParseYAML(name, []byte(padded))
	if findings.Err() != nil {
		return nil, findings
	}
	for i, line := range lines {
		if strings.HasPrefix(line, "%") || strings.HasPrefix(line, "--- ") {
			return nil, refused(name, before+i+1, "a directive, or a document that begins behind ---, is not formatted", "begin the document on a line of its own")
		}
	}
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		return nil, err
	}
	f := formatter{lines: slices.Clone(lines)}
	out := slices.Clone(lines)
	if len(root.Content) > 0 {
		f.protect(root.Content[0])
		out = f.whole(root.Content[0], ofKind(Kind(name, value)))
	} else {
		out = squeezed(out, nil)
	}
	after, findings := source.ParseYAML(name, []byte(strings.Join(out, "\n")+"\n"))
	if full, more := source.ParseYAML(name, []byte(text+"\n")); !ended && more.Err() == nil && !source.Equal(value, full) {
		return nil, refused(name, before+len(lines), "the last line has no end, and with one the text that it belongs to would be another", "write |- or >- where the text begins, or end the line")
	}
	if findings.Err() != nil || !source.Equal(value, after) || !slices.Equal(words(lines), words(out)) {
		return nil, refused(name, before+1, "formatting would change what the file says, so it is left as it is",
			"simplify its layout: keys on lines of their own, no comments inside of values")
	}
	return out, nil
}

func refused(name string, line int, message, hint string) error {
	return source.Findings{{Origin: source.Origin{Position: source.Position{File: name, Line: line}}, Code: "format", Message: message, Hint: hint}}
}

// words gives all that stands in the lines, sorted, without what formatting may
// change: indentation, blank lines, and which of an item's lines has its dash.
func words(lines []string) []string {
	var out []string
	for _, line := range lines {
		line = strings.TrimSpace(line)
		for strings.HasPrefix(line, "- ") {
			out, line = append(out, "-"), strings.TrimSpace(line[2:])
		}
		if line != "" {
			out = append(out, line)
		}
	}
	slices.Sort(out)
	return out
}

// formatter holds the lines of one document.
type formatter struct {
	lines []string
	// kept are lines inside of a value, such as a block scalar's, which are moved
	// and otherwise stay as they are.
	kept map[int]bool
	// still says that keys stay where they are: an alias must follow its anchor.
	still bool
}

// order is what is known about the keys of a map.
type order struct {
	keys  []string          // in their order; others follow those before rest
	below map[string]*order // of the maps below a key, "[]" for the items of a list
}

func (o *order) at(key string) *order {
	if o == nil {
		return nil
	}
	return o.below[strings.TrimSuffix(key, "+")]
}

// rest stands in an order for all keys that it does not name.
const rest = "…"

func (o *order) rank(key string) int {
	key = strings.TrimSuffix(key, "+")
	if i := slices.Index(o.keys, key); i >= 0 {
		return i
	}
	if i := slices.Index(o.keys, rest); i >= 0 {
		return i
	}
	return len(o.keys)
}

// protect finds the lines inside of values.
func (f *formatter) protect(root *yaml.Node) {
	f.kept = map[int]bool{}
	var nodes []*yaml.Node // as they stand in the file
	var ends []int         // how many nodes stand before what follows each
	var visit func(n *yaml.Node)
	visit = func(n *yaml.Node) {
		i := len(nodes)
		nodes, ends = append(nodes, n), append(ends, 0)
		f.still = f.still || n.Kind == yaml.AliasNode
		for _, c := range n.Content {
			visit(c)
		}
		ends[i] = len(nodes)
	}
	visit(root)
	for i, n := range nodes {
		flow := n.Style&yaml.FlowStyle != 0
		if n.Kind != yaml.ScalarNode && !flow {
			continue
		}
		// What begins in a later line bounds the value.
		next := len(f.lines)
		after := nodes[ends[i]:]
		if j := sort.Search(len(after), func(j int) bool { return after[j].Line > n.Line }); j < len(after) {
			next = after[j].Line - 1
		}
		end := f.end(n.Line-1, next, n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0)
		for l := n.Line; l < end; l++ {
			f.kept[l] = true
		}
	}
}

// blockHead finds the head of a block scalar: its indentation and what becomes of
// the line ends at its end.
var blockHead = regexp.MustCompile(`[|>]([0-9]?)([-+]?)([0-9]?)([ \t]+#.*)?[ \t]*$`)

// end gives the line after the last of a value that begins in a line, and that ends
// before next.
func (f *formatter) end(line, next int, block bool) int {
	if !block {
		// Comments and blank lines at the end belong to what follows.
		for next > line+1 && (blank(f.lines[next-1]) || comment(f.lines[next-1]) || dashOnly(f.lines[next-1])) {
			next--
		}
		return next
	}
	head := blockHead.FindStringSubmatch(f.lines[line])
	keep := head != nil && head[2] == "+"
	indentation := -1
	if head != nil && head[1]+head[3] != "" {
		// As it says, beyond what it stands in: at least its line, if that does not
		// begin with it.
		indentation = int((head[1] + head[3])[0] - '0')
		if strings.IndexAny(strings.TrimSpace(f.lines[line]), "|>&!") > 0 {
			indentation += indent(f.lines[line])
		}
	}
	end := line + 1
	for l := line + 1; l < next; l++ {
		switch {
		case blank(f.lines[l]):
			if keep {
				end = l + 1
			}
			continue
		case indentation < 0:
			indentation = indent(f.lines[l])
		case indent(f.lines[l]) < indentation:
			return end
		}
		end = l + 1
	}
	return end
}

func blank(line string) bool   { return strings.TrimSpace(line) == "" }
func comment(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "#") }

// dashOnly says whether a line is the beginning of an item whose value stands below.
func dashOnly(line string) bool { return strings.Trim(line, " -") == "" && strings.Contains(line, "-") }

func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// whole gives the lines of a document.
func (f *formatter) whole(root *yaml.Node, o *order) []string {
	first := f.first(root)
	if first < 0 {
		return squeezed(f.lines, f.kept)
	}
	// The comments that the document begins with are about the file, as is what editors
	// read; another comment directly above the first key goes with it.
	head := first
	for head > 0 && comment(f.lines[head-1]) && !strings.Contains(f.lines[head-1], "yaml-language-server:") {
		head--
	}
	if root.Kind == yaml.MappingNode && !slices.ContainsFunc(f.lines[:head], comment) {
		for head = first; head > 0 && blank(f.lines[head-1]); {
			head--
		}
	}
	tail := len(f.lines)
	for tail > first+1 && !f.kept[tail-1] && blank(f.lines[tail-1]) {
		tail--
	}
	out := squeezed(f.lines[:head], nil)
	body := f.block(root, head, tail, 0, o)
	if head > 0 && blank(f.lines[head-1]) && len(out) > 0 {
		out = append(out, "")
	}
	return append(out, body...)
}

// squeezed gives lines without blanks at their ends, one blank line at a time, none
// at the beginning and none at the end. kept ones stay as they are.
func squeezed(lines []string, kept map[int]bool) []string {
	var out []string
	for i, line := range lines {
		if !kept[i] {
			line = strings.TrimRight(line, " \t")
			if line == "" && (len(out) == 0 || out[len(out)-1] == "") {
				continue
			}
		}
		out = append(out, line)
	}
	for len(out) > 0 && out[len(out)-1] == "" && !kept[len(lines)-1] {
		out = out[:len(out)-1]
	}
	return out
}

// first gives the line in which the first key or item of a block collection stands,
// or -1 where the node is none.
func (f *formatter) first(n *yaml.Node) int {
	if n.Style&yaml.FlowStyle != 0 || len(n.Content) == 0 {
		return -1
	}
	switch n.Kind {
	case yaml.MappingNode:
		return n.Content[0].Line - 1
	case yaml.SequenceNode:
		return f.dash(n, n.Content[0], 0)
	}
	return -1
}

// dash gives the line in which the dash of a list's item stands, or -1.
func (f *formatter) dash(list, item *yaml.Node, from int) int {
	for l := item.Line - 1; l >= from; l-- {
		line := f.lines[l]
		at := indent(line)
		if strings.HasPrefix(line[at:], "- ") || line[at:] == "-" {
			// The item's own dash, where it is a list itself, stands behind.
			if l < item.Line-1 || at < item.Column-1 {
				return l
			}
		} else if l < item.Line-1 && !blank(line) && !comment(line) {
			return -1
		}
	}
	return -1
}

// plain says whether each key of a map stands at the beginning of a line, the first
// perhaps behind a dash that has been replaced.
func (f *formatter) plain(n *yaml.Node) bool {
	column := n.Content[0].Column
	last := -1
	for i := 0; i < len(n.Content); i += 2 {
		k := n.Content[i]
		line := k.Line - 1
		if k.Kind != yaml.ScalarNode || k.Column != column || line <= last || indent(f.lines[line]) != column-1 || strings.HasPrefix(f.lines[line][column-1:], "? ") {
			return false
		}
		last = line
	}
	return true
}

// block gives the lines from one to another, in which a block collection stands, at
// an indentation.
func (f *formatter) block(n *yaml.Node, from, to, at int, o *order) []string {
	switch {
	case n.Kind == yaml.MappingNode && f.plain(n):
		return f.mapping(n, from, to, at, o)
	case n.Kind == yaml.SequenceNode && f.dashes(n):
		return f.sequence(n, from, to, at, o)
	}
	first := f.text(from, to)
	column := indent(f.lines[first])
	end := f.behind(first, to, column, false)
	out := append(f.above(from, first, at, column), f.shifted(first, end, at)...)
	return append(out, f.tail(end, to, at, column)...)
}

// text gives the first line from one on that has more than a comment.
func (f *formatter) text(from, to int) int {
	for l := from; l < to; l++ {
		if !blank(f.lines[l]) && !comment(f.lines[l]) {
			return l
		}
	}
	return from
}

// entry is a key of a map or an item of a list, with the lines above and of it.
type entry struct {
	rank          int
	above, itself []string
}

func (f *formatter) mapping(n *yaml.Node, from, to, at int, o *order) []string {
	var entries []entry
	start, column := from, n.Content[0].Column-1
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		line, next := key.Line-1, to
		if i+2 < len(n.Content) {
			next = n.Content[i+2].Line - 1
		}
		level := value.Kind == yaml.SequenceNode && f.below(value, line+1, next) && indent(f.lines[f.first(value)]) == column
		end := f.behind(line, next, column, level)
		e := entry{above: f.above(start, line, at, column)}
		if o != nil && !f.still {
			e.rank = o.rank(key.Value)
		}
		below := f.below(value, line+1, end)
		if below {
			e.itself = append(f.shifted(line, line+1, at), f.block(value, line+1, end, at+2, o.at(key.Value))...)
		} else {
			e.itself = f.shifted(line, end, at)
		}
		entries = append(entries, e)
		start = end
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return a.rank - b.rank })
	return append(joined(entries), f.tail(start, to, at, column)...)
}

// below says whether a value is a block collection that stands in the lines below
// its key, with nothing but comments above it.
func (f *formatter) below(value *yaml.Node, from, to int) bool {
	first := f.first(value)
	return first >= from && first < to && f.text(from, to) == first
}

// behind gives the first of the comments and blank lines at the end of an entry, from
// line on to next, that are not its own: those from the first comment on that does not
// stand deeper than the column of the entry. level says that the entry's value is a
// list whose dashes stand in that column as well.
func (f *formatter) behind(line, next, column int, level bool) int {
	start := next
	for start-1 > line && !f.kept[start-1] && (blank(f.lines[start-1]) || comment(f.lines[start-1])) {
		start--
	}
	if level {
		start = f.items(start, next, column)
	}
	l := start
	for l < next && (blank(f.lines[l]) || indent(f.lines[l]) > column) {
		l++
	}
	for l > start && blank(f.lines[l-1]) {
		l--
	}
	return l
}

// items gives the line after the last comment that is an item of a list, whose dashes
// stand in a column, or from where there is none. Without its comment sign it is to be
// an item still, and so it goes where the list goes.
func (f *formatter) items(from, to, column int) int {
	end, dash := from, -1
	for l := from; l < to && (blank(f.lines[l]) || indent(f.lines[l]) >= column); l++ {
		text := strings.TrimLeft(strings.TrimSpace(f.lines[l]), "#")
		switch {
		case strings.HasPrefix(strings.TrimSpace(text), "- "):
			end, dash = l+1, indent(text)
		case dash >= 0 && !blank(text) && indent(text) > dash:
			end = l + 1
		default:
			dash = -1
		}
	}
	return end
}

// above gives comments and blank lines above what moves from a column to an
// indentation, as far from it as they were. The first never stands deeper than it: it
// would belong to what comes before.
func (f *formatter) above(from, to, at, column int) []string {
	deeper := 0
	if first := slices.IndexFunc(f.lines[from:to], comment); first >= 0 {
		deeper = max(0, indent(f.lines[from+first])-column)
	}
	return f.comments(from, to, func(n int) int { return max(min(n, column), n-deeper) + at - column })
}

// tail gives comments and blank lines at the end of a collection that moves from a
// column to an indentation. They stay deeper than what the collection stands in.
func (f *formatter) tail(from, to, at, column int) []string {
	return f.comments(from, to, func(n int) int { return max(n+at-column, at-1) })
}

// comments gives comments and blank lines, each comment where place puts its
// indentation.
func (f *formatter) comments(from, to int, place func(int) int) []string {
	var out []string
	for l := from; l < to; l++ {
		line := strings.TrimSpace(f.lines[l])
		switch {
		case line != "":
			out = append(out, strings.Repeat(" ", max(0, place(indent(f.lines[l]))))+line)
		case len(out) == 0 || out[len(out)-1] != "":
			out = append(out, "")
		}
	}
	return out
}

// joined puts entries one below the other. The first has no blank line above it.
func joined(entries []entry) []string {
	var out []string
	for i, e := range entries {
		above := e.above
		for i == 0 && len(above) > 0 && above[0] == "" {
			above = above[1:]
		}
		out = append(append(out, above...), e.itself...)
	}
	return out
}

// shifted gives lines as they are, the first of them at an indentation and the others
// as far from it as they were.
func (f *formatter) shifted(from, to, at int) []string {
	var out []string
	by := at - indent(f.lines[from])
	for l := from; l < to; l++ {
		line := f.lines[l]
		if !f.kept[l] {
			if line = strings.TrimRight(line, " \t"); line == "" && out[len(out)-1] == "" && !f.kept[l-1] {
				continue
			}
		}
		switch {
		case line == "":
		case by > 0:
			line = strings.Repeat(" ", by) + line
		case by < 0:
			line = line[min(-by, indent(line)):]
		}
		out = append(out, line)
	}
	return out
}

// dashes says whether every item of a list begins with a dash at the beginning of a
// line, all at one indentation.
func (f *formatter) dashes(n *yaml.Node) bool {
	last, column := -1, -1
	for _, item := range n.Content {
		line := f.dash(n, item, last+1)
		if line <= last || column >= 0 && indent(f.lines[line]) != column {
			return false
		}
		last, column = line, indent(f.lines[line])
	}
	return true
}

func (f *formatter) sequence(n *yaml.Node, from, to, at int, o *order) []string {
	var entries []entry
	start, last := from, from-1
	lines := make([]int, len(n.Content))
	for i, item := range n.Content {
		lines[i] = f.dash(n, item, last+1)
		last = lines[i]
	}
	dash := indent(f.lines[lines[0]])
	for i, item := range n.Content {
		line, next := lines[i], to
		if i+1 < len(n.Content) {
			next = lines[i+1]
		}
		end := f.behind(line, next, dash, false)
		e := entry{above: f.above(start, line, at, dash)}
		if item.Kind == yaml.MappingNode && item.Style&yaml.FlowStyle == 0 && len(item.Content) > 0 && item.Content[0].Line-1 == line {
			// Without its dash the item is a map like any other.
			f.lines[line] = f.lines[line][:dash] + " " + f.lines[line][dash+1:]
			if f.plain(item) {
				above, itself := split(f.mapping(item, line, end, at+2, o.at("[]")))
				for _, c := range above {
					// They stand above the dash now, and in its column.
					if indent(c) > at {
						c = strings.Repeat(" ", max(at, indent(c)-2)) + strings.TrimSpace(c)
					}
					e.above = append(e.above, c)
				}
				itself[0] = itself[0][:at] + "-" + itself[0][at+1:]
				e.itself = itself
			} else {
				f.lines[line] = f.lines[line][:dash] + "-" + f.lines[line][dash+1:]
			}
		}
		if e.itself == nil {
			e.itself = f.shifted(line, end, at)
		}
		entries = append(entries, e)
		start = end
	}
	return append(joined(entries), f.tail(start, to, at, dash)...)
}

// split parts the comments above the first key from the rest.
func split(lines []string) (above, itself []string) {
	i := 0
	for comment(lines[i]) || blank(lines[i]) {
		i++
	}
	return lines[:i], lines[i:]
}
