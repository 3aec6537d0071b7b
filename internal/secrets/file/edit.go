package file

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
)

// A file is edited in its text: the parser says where values begin, the editor
// finds where they end, and what is not edited keeps every byte. Printing the
// parsed file again would lose blank lines, indentation and folds. The editor
// need not understand all of YAML: whoever calls it reads the result and compares
// it with what was wanted.

// change is what is written into a scope of an app.
type change struct {
	app, scope string
	set        []source.Field // in the order in which new keys are added
	remove     []string
}

// errShape says that a text is written in a way that the editor does not know.
var errShape = errors.New("the file is written in a way that kai cannot edit")

// empty is a new file.
const empty = "apiVersion: " + secrets.APIVersion + "\napps: {}\n"

// edit gives a file with changes, and with other recipients where they are not
// nil. With plain, new values stand on one line each, and blank lines go with what
// is removed before them.
func edit(data []byte, changes []change, recipients []string, plain bool) ([]byte, error) {
	body := bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	var doc yaml.Node
	if err := yaml.Unmarshal(body, &doc); err != nil || len(doc.Content) != 1 {
		return nil, errShape
	}
	e := &editor{text: body, lines: lineStarts(body), eol: "\n", plain: plain}
	if i := bytes.IndexByte(body, '\n'); i > 0 && body[i-1] == '\r' {
		e.eol = "\r\n"
	}
	root, err := e.mapping(doc.Content[0], nil)
	if err != nil {
		return nil, err
	}
	if recipients != nil {
		if err := e.recipients(root, recipients); err != nil {
			return nil, err
		}
	}
	apps := root.find("apps")
	if apps == nil {
		return nil, errShape
	}
	for _, c := range changes {
		if err := e.change(apps, c); err != nil {
			return nil, err
		}
	}
	out, err := e.apply()
	if err != nil {
		return nil, err
	}
	return append(data[:len(data)-len(body):len(data)-len(body)], out...), nil
}

// editor collects what is replaced in a text.
type editor struct {
	text    []byte
	lines   []int // where lines begin
	eol     string
	plain   bool
	splices []splice
}

// splice replaces a range of the text.
type splice struct {
	start, end int
	with       string
}

func (e *editor) splice(start, end int, with string) {
	e.splices = append(e.splices, splice{start, end, with})
}

// apply gives the text with all replacements.
func (e *editor) apply() ([]byte, error) {
	// What is inserted at a place stands before what is replaced from there on.
	slices.SortStableFunc(e.splices, func(a, b splice) int { return cmp.Or(a.start-b.start, a.end-b.end) })
	var out []byte
	at := 0
	for _, s := range e.splices {
		if s.start < at || s.end < s.start || s.end > len(e.text) {
			return nil, errShape
		}
		out = append(append(out, e.text[at:s.start]...), s.with...)
		at = s.end
	}
	return append(out, e.text[at:]...), nil
}

// mapping is a map of the text.
type mapping struct {
	node    *yaml.Node
	parent  *entry // that it is the value of; nil for the root
	flow    bool
	start   int
	end     int
	entries []*entry
}

// entry is a key of a map.
type entry struct {
	name       string
	node       *yaml.Node // the value
	in         *mapping
	start      int // of the key
	colon      int // behind the colon
	valueStart int
	end        int // of the value
	removed    bool
}

func (m *mapping) find(name string) *entry {
	for _, f := range m.entries {
		if f.name == name {
			return f
		}
	}
	return nil
}

// indent is how far the keys of a block stand from the margin.
func (m *mapping) indent() int { return m.node.Column - 1 }

// mapping gives the entries of a map.
func (e *editor) mapping(n *yaml.Node, parent *entry) (*mapping, error) {
	if n.Kind != yaml.MappingNode {
		return nil, errShape
	}
	m := &mapping{node: n, parent: parent, flow: n.Style&yaml.FlowStyle != 0, start: e.offset(n)}
	outer := -1
	if parent != nil {
		outer = parent.in.indent()
	}
	var err error
	if m.end, err = e.end(n, outer); err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		f := &entry{name: k.Value, node: v, in: m, start: e.offset(k), valueStart: e.offset(v)}
		keyEnd, err := e.end(k, -1)
		if err != nil {
			return nil, err
		}
		if f.colon = e.skip(keyEnd, " \t"); f.colon >= len(e.text) || e.text[f.colon] != ':' {
			return nil, errShape
		}
		f.colon++
		if f.end, err = e.end(v, m.node.Column-1); err != nil {
			return nil, err
		}
		if f.valueStart < f.colon || f.end < f.valueStart {
			return nil, errShape
		}
		m.entries = append(m.entries, f)
	}
	return m, nil
}

// change makes the replacements of one scope.
func (e *editor) change(apps *entry, c change) error {
	// A level that is not there comes with what is in it.
	add := source.NewMap(source.Origin{}, c.set...)
	m, err := e.mapping(apps.node, apps)
	if err != nil {
		return err
	}
	for _, level := range []string{c.app, c.scope} {
		f := m.find(level)
		if f == nil {
			if len(c.set) == 0 {
				return errShape
			}
			if level == c.app {
				add = source.NewMap(source.Origin{}, source.Field{Key: c.scope, Value: add})
			}
			return e.insert(m, nil, []source.Field{{Key: level, Value: add}})
		}
		if m, err = e.mapping(f.node, f); err != nil {
			return err
		}
	}
	for _, name := range c.remove {
		f := m.find(name)
		if f == nil {
			return errShape
		}
		f.removed = true
	}
	var added []source.Field
	for _, field := range c.set {
		f := m.find(field.Key)
		if f == nil {
			added = append(added, field)
			continue
		}
		e.replace(f, field.Value)
	}
	if err := e.remove(m, len(added) == 0); err != nil {
		return err
	}
	if len(added) == 0 {
		return nil
	}
	var last *entry
	for _, f := range m.entries {
		if !f.removed {
			last = f
		}
	}
	return e.insert(m, last, added)
}

// replace gives a key another value. The key's comment stays behind it.
func (e *editor) replace(f *entry, v *source.Value) {
	text := " " + e.inFlow(v)
	if !f.in.flow && !e.plain {
		margin := strings.Repeat(" ", f.in.indent())
		block := strings.TrimPrefix(e.inBlock([]source.Field{{Key: "k", Value: v}}, len(margin)), margin+"k:")
		// Lines cannot stand before a comment.
		if _, alone := e.lineEnd(f.end); alone || !strings.Contains(block, e.eol) {
			text = block
		}
	}
	start := f.colon
	// What stands between the colon and a value on its line is kept.
	if f.valueStart > f.colon && !bytes.ContainsAny(e.text[f.colon:f.valueStart], "\r\n") && !strings.HasPrefix(text, e.eol) {
		start, text = f.valueStart, strings.TrimPrefix(text, " ")
	}
	e.splice(start, f.end, text)
}

// remove takes out the entries that are marked. A block that loses all becomes
// {}, where nothing is added.
func (e *editor) remove(m *mapping, close bool) error {
	kept := 0
	for _, f := range m.entries {
		if !f.removed {
			kept++
		}
	}
	if kept == len(m.entries) {
		return nil
	}
	if m.flow {
		e.removeInFlow(m)
		return nil
	}
	for _, f := range m.entries {
		if !f.removed {
			continue
		}
		start := e.lineStart(f.start)
		if len(bytes.Trim(e.text[start:f.start], " ")) > 0 {
			return errShape
		}
		end, _ := e.lineEnd(f.end)
		next := e.nextLine(end)
		// A text before it that keeps its blank lines would take in those behind.
		for e.plain && next < len(e.text) {
			if _, blank := e.lineEnd(next); !blank {
				break
			}
			next = e.nextLine(next)
		}
		e.splice(start, next, "")
	}
	if kept > 0 || !close {
		return nil
	}
	if m.parent == nil {
		return errShape
	}
	e.splice(m.parent.colon, m.parent.colon, " {}")
	return nil
}

// removeInFlow takes out entries and the commas behind them, and the comma that
// would stand before the end where none stood there.
func (e *editor) removeInFlow(m *mapping) {
	commas := make([]int, len(m.entries))
	lastKept := -1
	for i, f := range m.entries {
		commas[i] = -1
		if at := e.skipBlank(f.end, ""); at < m.end && e.text[at] == ',' {
			commas[i] = at
		}
		if !f.removed {
			lastKept = i
		}
	}
	n := len(m.entries)
	for i, f := range m.entries {
		switch {
		case !f.removed:
			if i == lastKept && i < n-1 && commas[n-1] < 0 && commas[i] >= 0 {
				e.splice(commas[i], e.behindComma(commas[i]), "")
			}
		case commas[i] < 0:
			e.splice(f.start, f.end, "")
		default:
			e.splice(f.start, f.end, "")
			e.splice(commas[i], e.behindComma(commas[i]), "")
		}
	}
}

// behindComma gives what goes with a comma: the blanks to the next entry, and
// not those to a comment.
func (e *editor) behindComma(at int) int {
	next := e.skip(at+1, " ")
	if next >= len(e.text) || strings.IndexByte("#\r\n", e.text[next]) >= 0 {
		return at + 1
	}
	return next
}

// insert adds keys to a map behind one of its entries, which is nil where none
// is kept: then they stand where the first one was.
func (e *editor) insert(m *mapping, after *entry, fields []source.Field) error {
	if after == nil && len(m.entries) > 0 && !m.entries[0].removed {
		after = m.entries[len(m.entries)-1]
	}
	switch {
	case m.flow && after != nil:
		e.splice(after.end, after.end, ", "+e.flowFields(fields))
	case m.flow:
		_, alone := e.lineEnd(m.end)
		parent := m.parent
		if len(m.entries) == 0 && alone && !e.plain && parent != nil && !parent.in.flow && len(bytes.TrimSpace(e.text[m.start+1:m.end-1])) == 0 && len(bytes.TrimSpace(e.text[parent.colon:m.start])) == 0 {
			e.splice(parent.colon, m.end, e.eol+e.inBlock(fields, parent.in.indent()+2))
			return nil
		}
		e.splice(m.start+1, m.start+1, e.flowFields(fields))
	case after != nil:
		end, _ := e.lineEnd(after.end)
		e.splice(end, end, e.eol+e.inBlock(fields, m.indent()))
	case len(m.entries) > 0:
		start := e.lineStart(m.entries[0].start)
		e.splice(start, start, e.inBlock(fields, m.indent())+e.eol)
	default:
		return errShape
	}
	return nil
}

// recipients replaces the list of recipients: what is in both keeps its line.
func (e *editor) recipients(root *mapping, want []string) error {
	list := func(texts []string) *source.Value {
		v := source.NewList(source.Origin{})
		for _, text := range texts {
			v.Items = append(v.Items, source.NewString(source.Origin{}, text))
		}
		return v
	}
	f := root.find("recipients")
	if f == nil {
		return e.insert(root, root.find("apiVersion"), []source.Field{{Key: "recipients", Value: list(want)}})
	}
	if f.node.Kind != yaml.SequenceNode || f.node.Style&yaml.FlowStyle != 0 || len(f.node.Content) == 0 {
		e.replace(f, list(want))
		return nil
	}
	have := map[string]bool{}
	kept := -1
	for _, item := range f.node.Content {
		have[item.Value] = true
		itemStart := e.offset(item)
		itemEnd, err := e.end(item, f.node.Column-1)
		if err != nil {
			return err
		}
		start := e.lineStart(itemStart)
		end, _ := e.lineEnd(itemEnd)
		if slices.Contains(want, item.Value) {
			kept = end
			continue
		}
		if string(bytes.TrimSpace(e.text[start:itemStart])) != "-" {
			return errShape
		}
		e.splice(start, e.nextLine(end), "")
	}
	if kept < 0 {
		return errShape
	}
	for _, text := range want {
		if !have[text] {
			item := source.AppendYAML(nil, list([]string{text}), nil)
			e.splice(kept, kept, e.eol+strings.Repeat(" ", f.node.Column-1)+strings.TrimSuffix(string(item), "\n"))
		}
	}
	return nil
}

// inBlock gives keys as lines of a block, without the last line's end.
func (e *editor) inBlock(fields []source.Field, indent int) string {
	var b []byte
	for _, f := range fields {
		if e.plain || awkward(f.Value) {
			b = append(b, blockKey(f.Key)+": "+e.inFlow(f.Value)+"\n"...)
			continue
		}
		b = source.AppendYAML(b, source.NewMap(source.Origin{}, f), nil)
	}
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = strings.Repeat(" ", indent) + line
		}
	}
	return strings.Join(lines, e.eol)
}

// awkward says whether a value has a text that as a block would take in the blank
// lines behind it.
func awkward(v *source.Value) bool {
	if v.Kind == source.String {
		return strings.HasSuffix(v.Text, "\n\n")
	}
	for _, f := range v.Fields {
		if awkward(f.Value) {
			return true
		}
	}
	return slices.ContainsFunc(v.Items, awkward)
}

// blockKey gives a key as it stands in a block.
func blockKey(key string) string {
	line := source.AppendYAML(nil, source.NewMap(source.Origin{}, source.Field{Key: key, Value: source.NewString(source.Origin{}, "")}), nil)
	return strings.TrimSuffix(string(line), ": \"\"\n")
}

// flowFields gives keys as they stand between braces.
func (e *editor) flowFields(fields []source.Field) string {
	parts := make([]string, len(fields))
	for i, f := range fields {
		key := blockKey(f.Key)
		if !strings.HasPrefix(key, `"`) && strings.ContainsAny(key, ",[]{}:") {
			key = quoted(f.Key)
		}
		parts[i] = key + ": " + e.inFlow(f.Value)
	}
	return strings.Join(parts, ", ")
}

// inFlow gives a value on one line.
func (e *editor) inFlow(v *source.Value) string {
	switch v.Kind {
	case source.String:
		return quoted(v.Text)
	case source.List:
		parts := make([]string, len(v.Items))
		for i, item := range v.Items {
			parts[i] = e.inFlow(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case source.Map:
		return "{" + e.flowFields(v.Fields) + "}"
	case source.Null:
		return "null"
	}
	return v.Text
}

// quoted gives text in double quotes, on one line: JSON's are a part of YAML's,
// but for some characters that YAML wants escaped.
func quoted(text string) string {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	// A string always encodes.
	_ = enc.Encode(text)
	var b strings.Builder
	for _, r := range strings.TrimSuffix(buf.String(), "\n") {
		if r >= 0x7f && r < 0xa0 || r == 0xfeff || r == 0xfffe || r == 0xffff {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// lineStarts gives where lines begin, by the breaks that the parser counts.
func lineStarts(text []byte) []int {
	starts := []int{0}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\r' && i+1 < len(text) && text[i+1] == '\n':
		case text[i] == '\n', text[i] == '\r', isWideBreak(text[:i+1]):
			starts = append(starts, i+1)
		}
	}
	return starts
}

// isWideBreak says whether text ends with a break that is no ASCII.
func isWideBreak(text []byte) bool {
	return bytes.HasSuffix(text, []byte("\u0085")) || bytes.HasSuffix(text, []byte("\u2028")) || bytes.HasSuffix(text, []byte("\u2029"))
}

// offset gives where a node begins.
func (e *editor) offset(n *yaml.Node) int {
	if n.Line < 1 || n.Line > len(e.lines) {
		return len(e.text)
	}
	at := e.lines[n.Line-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(e.text[at:])
		at += size
	}
	return at
}

// line gives the index of the line that a place is in.
func (e *editor) line(at int) int {
	i, found := slices.BinarySearch(e.lines, at)
	if !found {
		i--
	}
	return i
}

func (e *editor) lineStart(at int) int { return e.lines[e.line(at)] }

// nextLine gives where the line behind a place begins.
func (e *editor) nextLine(at int) int {
	if i := e.line(at) + 1; i < len(e.lines) {
		return e.lines[i]
	}
	return len(e.text)
}

// lineEnd gives where the line of a place ends, without its break, and whether
// there is nothing but blanks from the place to there.
func (e *editor) lineEnd(at int) (end int, blank bool) {
	end = e.nextLine(at)
	for end > at && strings.IndexByte("\r\n", e.text[end-1]) >= 0 {
		end--
	}
	for end > at && isWideBreak(e.text[:end]) {
		_, size := utf8.DecodeLastRune(e.text[:end])
		end -= size
	}
	return end, len(bytes.Trim(e.text[at:end], " \t")) == 0
}

// skip gives the first place from at on whose byte is none of set.
func (e *editor) skip(at int, set string) int {
	for at < len(e.text) && strings.IndexByte(set, e.text[at]) >= 0 {
		at++
	}
	return at
}

// skipBlank passes blanks, breaks, comments, and the bytes of also.
func (e *editor) skipBlank(at int, also string) int {
	for at < len(e.text) {
		switch c := e.text[at]; {
		case strings.IndexByte(" \t\r\n"+also, c) >= 0:
			at++
		case c == '#':
			at, _ = e.lineEnd(at)
		default:
			if _, size := utf8.DecodeRune(e.text[at:]); isWideBreak(e.text[:min(at+size, len(e.text))]) {
				at += size
				continue
			}
			return at
		}
	}
	return at
}

// end gives where a node ends. outer is the indentation of the block around it.
func (e *editor) end(n *yaml.Node, outer int) (int, error) {
	at := e.offset(n)
	if n.Kind == yaml.AliasNode {
		for at < len(e.text) && strings.IndexByte(" \t\r\n,[]{}", e.text[at]) < 0 {
			at++
		}
		return at, nil
	}
	// Anchors and tags stand before what they belong to.
	for at < len(e.text) && (e.text[at] == '&' || e.text[at] == '!') && (n.Anchor != "" || n.Style&yaml.TaggedStyle != 0) {
		stop := at
		for stop < len(e.text) && strings.IndexByte(" \t\r\n,[]{}", e.text[stop]) < 0 {
			stop++
		}
		if n.Kind == yaml.ScalarNode && n.Value == "" && n.Style&^yaml.TaggedStyle == 0 {
			return stop, nil
		}
		at = e.skipBlank(stop, "")
	}
	switch {
	case n.Kind == yaml.ScalarNode:
		return e.scalarEnd(n, at, outer)
	case n.Style&yaml.FlowStyle != 0:
		opened := at < len(e.text) && strings.IndexByte("{[", e.text[at]) >= 0
		if opened {
			at++
		}
		if len(n.Content) > 0 {
			var err error
			if at, err = e.end(n.Content[len(n.Content)-1], outer); err != nil {
				return 0, err
			}
		}
		if !opened { // a map of one key in a list
			return at, nil
		}
		at = e.skipBlank(at, ",:?")
		if at >= len(e.text) || strings.IndexByte("}]", e.text[at]) < 0 {
			return 0, errShape
		}
		return at + 1, nil
	case len(n.Content) == 0:
		return 0, errShape
	}
	return e.end(n.Content[len(n.Content)-1], n.Column-1)
}

func (e *editor) scalarEnd(n *yaml.Node, at, outer int) (int, error) {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		for at++; at < len(e.text); at++ {
			switch e.text[at] {
			case '\\':
				at++
			case '"':
				return at + 1, nil
			}
		}
		return 0, errShape
	case n.Style&yaml.SingleQuotedStyle != 0:
		for at++; at < len(e.text); at++ {
			if e.text[at] == '\'' {
				if at+1 < len(e.text) && e.text[at+1] == '\'' {
					at++
					continue
				}
				return at + 1, nil
			}
		}
		return 0, errShape
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return e.blockEnd(at, outer), nil
	}
	// What is not quoted stands in the text as it is read, but for the blanks.
	for _, word := range strings.FieldsFunc(n.Value, isBlank) {
		for at < len(e.text) {
			r, size := utf8.DecodeRune(e.text[at:])
			if !isBlank(r) {
				break
			}
			at += size
		}
		if !bytes.HasPrefix(e.text[at:], []byte(word)) {
			return 0, errShape
		}
		at += len(word)
	}
	return at, nil
}

func isBlank(r rune) bool {
	return r == ' ' || r == '\t' || r == '\r' || r == '\n' || r == 0x85 || r == 0x2028 || r == 0x2029
}

// blockEnd gives where a literal or folded text ends: behind its last line, with
// the blank ones after it where they belong to it.
func (e *editor) blockEnd(at, outer int) int {
	header, _ := e.lineEnd(at)
	keep, indent := false, 0
	for _, c := range e.text[at+1 : e.skip(at+1, "+-123456789")] {
		switch c {
		case '+':
			keep = true
		case '-':
		default:
			indent = max(outer, 0) + int(c-'0')
		}
	}
	end, blanks := header, header
	for i := e.line(at) + 1; i < len(e.lines); i++ {
		start := e.lines[i]
		if start >= len(e.text) {
			break
		}
		stop, _ := e.lineEnd(start)
		first := e.skip(start, " ")
		if first >= stop && (indent == 0 || first-start <= indent) {
			blanks = stop
			continue
		}
		if indent == 0 {
			if first-start <= outer {
				break
			}
			indent = first - start
		}
		if first-start < indent {
			break
		}
		end, blanks = stop, stop
	}
	if keep {
		return blanks
	}
	return end
}
