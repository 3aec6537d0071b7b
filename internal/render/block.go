package render

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// block reads the YAML that charts are mostly made of: maps and lists in block
// style, scalars on one line, and literal text. It knows only what it surely
// reads as Helm's parser does, and gives up on everything else, right or wrong,
// so that whoever asks turns to that parser.
type block struct {
	text string
	next int // where the line after the current one begins
	// The current line: its indentation, and where its content begins and ends.
	indent, start, end int
	eof                bool
	// values says that values are wanted, and not only whether there is no
	// mistake in the text.
	values bool
	depth  int
	head   head
}

// head is what Helm reads of a manifest to sort it.
type head struct {
	apiVersion, kind, name string
	annotations            map[string]string // those of Helm's own
}

// Where in a manifest a map stands.
type place uint8

const (
	elsewhere place = iota
	atTop
	inMetadata
	inAnnotations
)

// maxBlocks is how deep blocks may nest here.
const maxBlocks = 100

// readHead gives the head of a manifest that is surely well-formed.
func readHead(text string) (head, bool) {
	b := block{text: text}
	if !b.open() {
		return head{}, false
	}
	if _, ok := b.mapping(0, atTop); !ok || !b.eof {
		return head{}, false
	}
	return b.head, true
}

// readMap gives the map that a text surely is, with numbers as floats, as JSON
// has them.
func readMap(text string) (map[string]any, bool) {
	b := block{text: text, values: true}
	if !b.open() {
		return nil, false
	}
	v, ok := b.mapping(0, elsewhere)
	if !ok || !b.eof {
		return nil, false
	}
	return v.(map[string]any), true
}

// open goes to the first line, which begins a map.
func (b *block) open() bool {
	if !plainCharacters(b.text) || !b.line() || b.eof || b.indent != 0 {
		return false
	}
	return true
}

// plainCharacters says whether a text has no character that is a mistake, or
// breaks a line, other than a newline. Tabs are left to those who know where.
func plainCharacters(text string) bool {
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if (c < ' ' || c == 0x7F) && c != '\n' && c != '\t' {
				return false
			}
			i++
			continue
		}
		r, width := utf8.DecodeRuneInString(text[i:])
		if !plainRune(r) {
			return false
		}
		i += width
	}
	return true
}

// plainRune says whether a character beyond ASCII is printed as it is.
func plainRune(r rune) bool {
	return r >= 0xA0 && r < 0xD800 && r != 0x2028 && r != 0x2029
}

// line goes to the next line that is neither empty nor a comment.
func (b *block) line() bool {
	for b.next < len(b.text) {
		begin := b.next
		b.start = begin
		for b.start < len(b.text) && b.text[b.start] == ' ' {
			b.start++
		}
		b.end = begin + lineLength(b.text[begin:])
		b.next = b.end + 1
		if b.start >= b.end {
			continue
		}
		switch b.text[b.start] {
		case '\t':
			return false
		case '#':
			continue
		}
		b.indent = b.start - begin
		// A marker ends the document.
		if b.indent == 0 && (strings.HasPrefix(b.text[b.start:b.end], "---") || strings.HasPrefix(b.text[b.start:b.end], "...")) {
			return false
		}
		return true
	}
	b.eof = true
	return true
}

func lineLength(text string) int {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return i
	}
	return len(text)
}

// dash says whether the current line is an item of a list.
func (b *block) dash() bool { return isDash(b.text[b.start:b.end]) }

func isDash(text string) bool { return text[0] == '-' && (len(text) == 1 || text[1] == ' ') }

// node reads the block that the current line begins.
func (b *block) node(at place) (any, bool) {
	if b.dash() {
		if at != elsewhere {
			return nil, false
		}
		return b.sequence(b.indent)
	}
	return b.mapping(b.indent, at)
}

// mapping reads a map whose keys stand in a column.
func (b *block) mapping(column int, at place) (any, bool) {
	if b.depth++; b.depth > maxBlocks {
		return nil, false
	}
	defer func() { b.depth-- }()
	var out map[string]any
	if b.values {
		out = map[string]any{}
	}
	for {
		key, rest, ok := cutKey(b.text[b.start:b.end])
		if !ok || key == "" {
			return nil, false
		}
		inner, ok := b.entry(key, at)
		if !ok {
			return nil, false
		}
		value, ok := b.value(rest, column, inner, true)
		if !ok || !b.note(key, value, at) {
			return nil, false
		}
		if b.values {
			if _, twice := out[key]; twice {
				return nil, false
			}
			out[key] = value
		}
		if b.eof || b.indent < column {
			return out, true
		}
		if b.indent > column || b.dash() {
			return nil, false
		}
	}
}

// entry tells where the value of a key stands, and refuses keys that JSON would
// take for another.
func (b *block) entry(key string, at place) (place, bool) {
	switch at {
	case atTop:
		switch {
		case key == "metadata":
			return inMetadata, b.head.name == "" && b.head.annotations == nil
		case key == "apiVersion" || key == "kind":
			return elsewhere, true
		}
		return elsewhere, !strings.EqualFold(key, "metadata") && !strings.EqualFold(key, "apiVersion") && !strings.EqualFold(key, "kind")
	case inMetadata:
		switch {
		case key == "annotations":
			return inAnnotations, b.head.annotations == nil
		case key == "name":
			return elsewhere, true
		}
		return elsewhere, !strings.EqualFold(key, "annotations") && !strings.EqualFold(key, "name")
	}
	return elsewhere, true
}

// text is a scalar that is surely text.
type text string

// note keeps what belongs to the head.
func (b *block) note(key string, value any, at place) bool {
	switch at {
	case atTop:
		switch key {
		case "apiVersion":
			return once(&b.head.apiVersion, value)
		case "kind":
			return once(&b.head.kind, value)
		}
	case inMetadata:
		if key == "name" {
			return once(&b.head.name, value)
		}
	case inAnnotations:
		if value == (container{}) {
			return false
		}
		if strings.HasPrefix(key, "helm.sh/") {
			t, ok := value.(text)
			if _, twice := b.head.annotations[key]; !ok || twice {
				return false
			}
			if b.head.annotations == nil {
				b.head.annotations = map[string]string{}
			}
			b.head.annotations[key] = string(t)
		}
	}
	return true
}

func once(into *string, value any) bool {
	t, ok := value.(text)
	if !ok || *into != "" || t == "" {
		return false
	}
	*into = string(t)
	return true
}

// container stands for a map or a list where values are not wanted, scalar for
// what is neither and not surely text.
type (
	container struct{}
	scalar    struct{}
)

// value reads what follows a key or the dash of an item, and goes on to the line
// after it.
func (b *block) value(rest string, column int, at place, ofMap bool) (any, bool) {
	rest = strings.TrimRight(rest, " ")
	if rest == "" || rest[0] == '#' {
		return b.below(column, at, ofMap)
	}
	if at == inMetadata || at == inAnnotations {
		return nil, false
	}
	if rest[0] == '|' || rest[0] == '>' {
		return b.literal(rest, column)
	}
	v, ok := b.scalar(rest)
	if !ok || !b.line() {
		return nil, false
	}
	return v, true
}

// below reads a value that begins on the line after its key or its dash.
func (b *block) below(column int, at place, ofMap bool) (any, bool) {
	if !b.line() {
		return nil, false
	}
	if b.eof || b.indent < column || b.indent == column && !(ofMap && b.dash()) {
		return b.null(), true
	}
	v, ok := b.node(at)
	if ok && !b.values {
		v = container{}
	}
	return v, ok
}

// null is no value at all.
func (b *block) null() any {
	if b.values {
		return nil
	}
	return scalar{}
}

// sequence reads a list whose dashes stand in a column.
func (b *block) sequence(column int) (any, bool) {
	if b.depth++; b.depth > maxBlocks {
		return nil, false
	}
	defer func() { b.depth-- }()
	list := []any{}
	for {
		v, ok := b.item(column)
		if !ok {
			return nil, false
		}
		if b.values {
			list = append(list, v)
		}
		if b.eof || b.indent < column || b.indent == column && !b.dash() {
			return list, true
		}
		if b.indent > column {
			return nil, false
		}
	}
}

// item reads what stands after a dash.
func (b *block) item(column int) (any, bool) {
	after := b.start + 1
	for after < b.end && b.text[after] == ' ' {
		after++
	}
	rest := b.text[after:b.end]
	if rest == "" || rest[0] == '#' {
		return b.value("", column, elsewhere, false)
	}
	if _, _, isKey := cutKey(rest); isKey || isDash(rest) {
		b.indent += after - b.start
		b.start = after
		return b.node(elsewhere)
	}
	return b.value(rest, column, elsewhere, false)
}

// cutKey splits a line into its key and what stands after the colon.
func cutKey(line string) (key, rest string, ok bool) {
	end := 0
	switch line[0] {
	case '"', '\'':
		end = strings.IndexByte(line[1:], line[0])
		if end < 0 {
			return "", "", false
		}
		key = line[1 : 1+end]
		if strings.ContainsAny(key, "\\\t") || key == "<<" {
			return "", "", false
		}
		end += 2
	default:
		for end < len(line) && keyCharacter(line[end]) {
			end++
		}
		key = line[:end]
		if !isText(key) {
			return "", "", false
		}
	}
	if len(key) > 200 || end >= len(line) || line[end] != ':' || end+1 < len(line) && line[end+1] != ' ' {
		return "", "", false
	}
	return key, strings.TrimLeft(line[end+1:], " "), true
}

func keyCharacter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_-./$", c) >= 0
}

// literal reads text in lines of its own, below a key or a dash in a column.
func (b *block) literal(mark string, column int) (any, bool) {
	chomp := byte(0)
	switch {
	case mark == "|" || mark == ">" && !b.values:
	case mark == "|-" || mark == "|+" || (mark == ">-" || mark == ">+") && !b.values:
		chomp = mark[1]
	default:
		return nil, false
	}
	begin := b.next
	// Empty lines before the first that is not.
	for begin < len(b.text) && b.text[begin] == '\n' {
		begin++
	}
	deep := 0
	for begin+deep < len(b.text) && b.text[begin+deep] == ' ' {
		deep++
	}
	var lines strings.Builder
	if deep > column && begin+deep < len(b.text) {
		switch b.text[begin+deep] {
		case '\n', '\t':
			return nil, false
		}
		if b.values {
			lines.WriteString(b.text[b.next:begin])
		}
		var ok bool
		if begin, ok = b.lines(&lines, begin, deep); !ok {
			return nil, false
		}
	} else if b.values {
		// What an empty text keeps of the lines below it is for the parser.
		return nil, false
	}
	b.next = begin
	if !b.line() {
		return nil, false
	}
	if !b.values {
		return scalar{}, true
	}
	return chomped(lines.String(), chomp), true
}

// lines reads those that are indented deep enough, and gives where they end.
func (b *block) lines(out *strings.Builder, begin, deep int) (int, bool) {
	for begin < len(b.text) {
		line := b.text[begin : begin+lineLength(b.text[begin:])]
		spaces := 0
		for spaces < len(line) && spaces < deep && line[spaces] == ' ' {
			spaces++
		}
		switch {
		case spaces == len(line):
			line = ""
		case spaces < deep:
			return begin, line[spaces] != '\t'
		default:
			line = line[deep:]
		}
		begin += spaces + len(line)
		if b.values {
			out.WriteString(line)
		}
		if begin < len(b.text) {
			begin++
			out.WriteByte('\n')
		}
	}
	return begin, true
}

// chomped gives a literal text with as many newlines at its end as its mark says.
func chomped(s string, chomp byte) string {
	if chomp == '+' {
		return s
	}
	bare := strings.TrimRight(s, "\n")
	if chomp == '-' || len(bare) == len(s) {
		return bare
	}
	return bare + "\n"
}

// scalar reads one that stands on the line of its key or dash.
func (b *block) scalar(s string) (any, bool) {
	switch s[0] {
	case '{':
		if s != "{}" {
			return nil, false
		}
		if b.values {
			return map[string]any{}, true
		}
		return container{}, true
	case '[':
		if s != "[]" {
			return nil, false
		}
		if b.values {
			return []any{}, true
		}
		return container{}, true
	case '"':
		return b.quoted(unquoteDouble(s))
	case '\'':
		return b.quoted(unquoteSingle(s))
	}
	return b.plain(s)
}

func (b *block) quoted(s string, ok bool) (any, bool) {
	if !ok {
		return nil, false
	}
	if b.values {
		return s, true
	}
	return text(s), true
}

func unquoteDouble(s string) (string, bool) {
	s = s[1:]
	i := strings.IndexAny(s, "\"\\\t")
	if i < 0 {
		return "", false
	}
	if s[i] == '"' {
		return s[:i], i == len(s)-1
	}
	out := []byte(s[:i])
	for i < len(s) {
		switch c := s[i]; c {
		case '"':
			return string(out), i == len(s)-1
		case '\t':
			return "", false
		case '\\':
			i++
			if i >= len(s) {
				return "", false
			}
			switch s[i] {
			case '"', '\\':
				out = append(out, s[i])
			case 'n':
				out = append(out, '\n')
			case 't':
				out = append(out, '\t')
			default:
				return "", false
			}
		default:
			out = append(out, c)
		}
		i++
	}
	return "", false
}

func unquoteSingle(s string) (string, bool) {
	s = s[1:]
	if strings.IndexByte(s, '\t') >= 0 {
		return "", false
	}
	i := strings.IndexByte(s, '\'')
	if i < 0 {
		return "", false
	}
	if i == len(s)-1 {
		return s[:i], true
	}
	var out strings.Builder
	for {
		if i == len(s)-1 {
			out.WriteString(s[:i])
			return out.String(), true
		}
		if s[i+1] != '\'' {
			return "", false
		}
		out.WriteString(s[:i+1])
		s = s[i+2:]
		if i = strings.IndexByte(s, '\''); i < 0 {
			return "", false
		}
	}
}

// plain reads a scalar without quotes.
func (b *block) plain(s string) (any, bool) {
	if !plainStart(s) || strings.IndexByte(s, '\t') >= 0 || s[len(s)-1] == ':' || strings.Contains(s, ": ") || strings.Contains(s, " #") {
		return nil, false
	}
	kind := kindOf(s)
	if !b.values {
		if kind == isString {
			return text(s), true
		}
		// The one number that has no JSON.
		if kind == unsure && strings.IndexByte("+-.", s[0]) >= 0 && strings.Contains(s, ".") && strings.ContainsAny(s, "iInN") {
			return nil, false
		}
		return scalar{}, true
	}
	switch kind {
	case isString:
		return s, true
	case isNull:
		return nil, true
	case isTrue, isFalse:
		return kind == isTrue, true
	case isNumber:
		f, err := strconv.ParseFloat(s, 64)
		return f, err == nil
	}
	return nil, false
}

// plainStart says whether a scalar may begin so without quotes.
func plainStart(s string) bool {
	switch c := s[0]; c {
	case '-':
		return len(s) > 1 && s[1] != ' '
	case '_', '/', '.', '$', '(', ')', '+', '~', ';', '^', '\\':
		return true
	default:
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= utf8.RuneSelf
	}
}

// kind is what a scalar without quotes stands for.
type kind uint8

const (
	unsure kind = iota
	isString
	isNull
	isTrue
	isFalse
	isNumber // one that is written alike in JSON
)

func isText(s string) bool { return s != "" && kindOf(s) == isString }

// kindOf tells what a scalar without quotes stands for in YAML 1.1, as far as
// that is easily told.
func kindOf(s string) kind {
	if s == "" {
		return isNull
	}
	switch c := s[0]; {
	case c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.':
		return kindOfNumber(s)
	case strings.IndexByte("yYnNtTfFoO~", c) >= 0:
		return kindOfWord(s)
	}
	return isString
}

func kindOfWord(s string) kind {
	switch s {
	case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y":
		return isTrue
	case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N":
		return isFalse
	case "null", "Null", "NULL", "~":
		return isNull
	}
	return isString
}

// kindOfNumber looks at what begins like a number. Letters that no number and no
// time holds, or two points, make it text.
func kindOfNumber(s string) kind {
	digits, points, letters, colon := 0, 0, false, false
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c == '.':
			points++
		case c == ':':
			colon = true
		case !inNumber(c):
			return isString
		case isLetter(c) && c != 'e' && c != 'E':
			letters = true
		}
	}
	switch {
	case colon:
		return unsure
	case letters && isDigit(s[0]) && !(s[0] == '0' && strings.IndexByte("xXbBoO", s[1]) >= 0) && !(len(s) > 4 && s[4] == '-') && strings.IndexByte(s, '_') < 0:
		return isString // no number to the base of 16 or 2, and no time
	case points > 1 && digits+points == len(s):
		return isString
	case digits == len(s) && len(s) <= 15 && (s[0] != '0' || len(s) == 1):
		return isNumber
	case s[0] == '-' && digits == len(s)-1 && digits > 0 && digits <= 15 && s[1] != '0':
		return isNumber
	}
	return unsure
}

// inNumber says whether numbers, times and what is infinite may hold a character.
func inNumber(c byte) bool {
	switch {
	case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
		return true
	}
	return strings.IndexByte("+-._: inoptxyzINOPTXYZ", c) >= 0
}
