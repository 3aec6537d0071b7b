package render

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"helm.sh/helm/v3/pkg/chartutil"
	"sigs.k8s.io/yaml"
)

// emitter writes a value as YAML, byte for byte as Helm's toYaml, which goes by
// way of JSON and a parser. It gives up where that way is not surely known:
// there the library writes the whole value.
type emitter struct{ out []byte }

const (
	// foldAt is the column after which the library breaks a line at a space.
	foldAt = 80
	// keyMost is the longest key that stands on one line with its value.
	keyMost = 100
	// wholeMost is below what a float holds exactly and JSON writes without
	// an exponent.
	wholeMost = 1e15
)

// emitYAML gives a value's YAML without the newline at its end.
func emitYAML(v any) (string, bool) {
	e := emitter{out: make([]byte, 0, 256)}
	ok := false
	switch v := v.(type) {
	case map[string]any:
		if len(v) > 0 {
			ok = e.mapping(v, 0, true, 0)
		} else {
			ok = e.empty(v == nil, "{}")
		}
	case []any:
		if len(v) > 0 {
			ok = e.sequence(v, 0, true, 0)
		} else {
			ok = e.empty(v == nil, "[]")
		}
	case string:
		ok = !strings.Contains(v, "\n") && e.text(v, 0)
	case chartutil.Values:
		return emitYAML(map[string]any(v))
	default:
		ok = e.scalar(v)
	}
	if !ok {
		return "", false
	}
	if n := len(e.out); n > 0 && e.out[n-1] == '\n' {
		e.out = e.out[:n-1]
	}
	return string(e.out), true
}

func (e *emitter) empty(isNil bool, mark string) bool {
	if isNil {
		mark = "null"
	}
	e.out = append(e.out, mark...)
	return true
}

// line begins a line that is indented.
func (e *emitter) line(indent int) {
	if n := len(e.out); n > 0 && e.out[n-1] != '\n' {
		e.out = append(e.out, '\n')
	}
	for range indent {
		e.out = append(e.out, ' ')
	}
}

// mapping writes a map whose keys stand in a column; inline says that the first
// follows what stands on the line.
func (e *emitter) mapping(m map[string]any, indent int, inline bool, depth int) bool {
	if depth > maxNesting {
		return false
	}
	var some [16]string
	keys := some[:0]
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, naturally)
	for i, key := range keys {
		if i > 0 || !inline {
			e.line(indent)
		}
		if len(key) > keyMost || !e.key(key) {
			return false
		}
		e.out = append(e.out, ':')
		if !e.value(m[key], indent, true, depth+1) {
			return false
		}
	}
	return true
}

// sequence writes a list whose dashes stand in a column.
func (e *emitter) sequence(list []any, indent int, inline bool, depth int) bool {
	if depth > maxNesting {
		return false
	}
	for i, item := range list {
		if i > 0 || !inline {
			e.line(indent)
		}
		e.out = append(e.out, '-')
		if !e.value(item, indent, false, depth+1) {
			return false
		}
	}
	return true
}

// value writes what stands after a key or a dash in a column.
func (e *emitter) value(v any, indent int, ofMap bool, depth int) bool {
	switch t := v.(type) {
	case map[string]any:
		if len(t) > 0 {
			if !ofMap {
				e.out = append(e.out, ' ')
			}
			return e.mapping(t, indent+2, !ofMap, depth)
		}
		e.out = append(e.out, ' ')
		return e.empty(t == nil, "{}")
	case []any:
		if len(t) > 0 && ofMap {
			return e.sequence(t, indent, false, depth)
		}
		e.out = append(e.out, ' ')
		if len(t) > 0 {
			return e.sequence(t, indent+2, true, depth)
		}
		return e.empty(t == nil, "[]")
	case string:
		e.out = append(e.out, ' ')
		return e.text(t, indent+2)
	}
	e.out = append(e.out, ' ')
	return e.scalar(v)
}

// scalar writes what is no text, map or list.
func (e *emitter) scalar(v any) bool {
	switch v := v.(type) {
	case nil:
		e.out = append(e.out, "null"...)
	case bool:
		e.out = strconv.AppendBool(e.out, v)
	case int:
		e.out = strconv.AppendInt(e.out, int64(v), 10)
	case int64:
		e.out = strconv.AppendInt(e.out, v, 10)
	case float64:
		if !isWhole(v) {
			return false
		}
		e.out = strconv.AppendInt(e.out, int64(v), 10)
	default:
		return false
	}
	return true
}

// isWhole says whether a number is written as an integer everywhere.
func isWhole(f float64) bool {
	return f == math.Trunc(f) && f > -wholeMost && f < wholeMost && (f != 0 || !math.Signbit(f))
}

// key writes a key.
func (e *emitter) key(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x7F || s[i] < ' ' {
			return false
		}
	}
	return s != "" && e.oneLine(s)
}

// text writes text, in lines of their own at an indentation where it has several.
func (e *emitter) text(s string, indent int) bool {
	if s == "" {
		e.out = append(e.out, `""`...)
		return true
	}
	if !plainCharacters(s) || strings.IndexByte(s, '\t') >= 0 {
		return false
	}
	if strings.IndexByte(s, '\n') >= 0 {
		return e.literal(s, indent)
	}
	if strings.IndexByte(s, ' ') >= 0 && e.column()+len(s)+2 > foldAt {
		return false
	}
	return e.oneLine(s)
}

// column is where the next character stands.
func (e *emitter) column() int {
	for i := len(e.out) - 1; i >= 0; i-- {
		if e.out[i] == '\n' {
			return len(e.out) - 1 - i
		}
	}
	return len(e.out)
}

// oneLine writes text of one line in the style that the library chooses.
func (e *emitter) oneLine(s string) bool {
	if s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	switch kindOf(s) {
	case isString:
		if !indicates(s) {
			e.out = append(e.out, s...)
			return true
		}
		e.out = append(e.out, '\'')
		e.out = append(e.out, strings.ReplaceAll(s, "'", "''")...)
		e.out = append(e.out, '\'')
		return true
	case unsure:
		return e.asLibrary(s)
	}
	e.out = append(e.out, '"')
	e.out = append(e.out, s...)
	e.out = append(e.out, '"')
	return true
}

// asLibrary has the library write a short text, whose style does not depend on
// where it stands.
func (e *emitter) asLibrary(s string) bool {
	if len(s) > foldAt/2 {
		return false
	}
	data, err := yaml.Marshal(s)
	if err != nil {
		return false
	}
	e.out = append(e.out, strings.TrimSuffix(string(data), "\n")...)
	return true
}

// indicates says whether text would be read as more than text, without quotes.
func indicates(s string) bool {
	switch s[0] {
	case '#', ',', '[', ']', '{', '}', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`':
		return true
	case '?', ':', '-':
		if len(s) == 1 || s[1] == ' ' {
			return true
		}
	}
	return strings.HasPrefix(s, "---") || strings.HasPrefix(s, "...") ||
		s[len(s)-1] == ':' || strings.Contains(s, ": ") || strings.Contains(s, " #")
}

// literal writes text of several lines.
func (e *emitter) literal(s string, indent int) bool {
	if s[0] == ' ' || s[0] == '\n' || s[len(s)-1] == ' ' || strings.Contains(s, " \n") {
		return false
	}
	e.out = append(e.out, '|')
	switch {
	case strings.HasSuffix(s, "\n\n"):
		e.out = append(e.out, '+')
	case s[len(s)-1] != '\n':
		e.out = append(e.out, '-')
	}
	e.out = append(e.out, '\n')
	for s != "" {
		n := lineLength(s)
		if n > 0 {
			for range indent {
				e.out = append(e.out, ' ')
			}
			e.out = append(e.out, s[:n]...)
		}
		if n < len(s) {
			e.out = append(e.out, '\n')
			n++
		}
		s = s[n:]
	}
	return true
}

// naturally orders keys as the library does: numbers in them by their size,
// letters after what is none.
func naturally(a, b string) int {
	if naturallyBefore(a, b) {
		return -1
	}
	if naturallyBefore(b, a) {
		return 1
	}
	return 0
}

func naturallyBefore(a, b string) bool {
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] == b[i] {
			continue
		}
		aLetter, bLetter := isLetter(a[i]), isLetter(b[i])
		if aLetter && bLetter {
			return a[i] < b[i]
		}
		if aLetter || bLetter {
			return bLetter
		}
		var n, m int64
		if a[i] == '0' || b[i] == '0' {
			for j := i - 1; j >= 0 && isDigit(a[j]); j-- {
				if a[j] != '0' {
					n, m = 1, 1
					break
				}
			}
		}
		ai, bi := i, i
		for ; ai < len(a) && isDigit(a[ai]); ai++ {
			n = n*10 + int64(a[ai]-'0')
		}
		for ; bi < len(b) && isDigit(b[bi]); bi++ {
			m = m*10 + int64(b[bi]-'0')
		}
		if n != m {
			return n < m
		}
		if ai != bi {
			return ai < bi
		}
		return a[i] < b[i]
	}
	return len(a) < len(b)
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// emitJSON writes a value as encoding/json does, as far as it is made of what
// JSON gives.
func emitJSON(out []byte, v any, depth int) ([]byte, bool) {
	if depth > maxNesting {
		return nil, false
	}
	switch v := v.(type) {
	case nil:
		return append(out, "null"...), true
	case bool:
		return strconv.AppendBool(out, v), true
	case int:
		return strconv.AppendInt(out, int64(v), 10), true
	case int64:
		return strconv.AppendInt(out, v, 10), true
	case float64:
		if !isWhole(v) {
			return nil, false
		}
		return strconv.AppendInt(out, int64(v), 10), true
	case string:
		return quoteJSON(out, v)
	case chartutil.Values:
		return emitJSON(out, map[string]any(v), depth)
	case map[string]any:
		return emitJSONMap(out, v, depth)
	case []any:
		return emitJSONList(out, v, depth)
	}
	return nil, false
}

func emitJSONMap(out []byte, m map[string]any, depth int) (_ []byte, ok bool) {
	if m == nil {
		return append(out, "null"...), true
	}
	var some [16]string
	keys := some[:0]
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	out = append(out, '{')
	for i, key := range keys {
		if i > 0 {
			out = append(out, ',')
		}
		if out, ok = quoteJSON(out, key); !ok {
			return nil, false
		}
		if out, ok = emitJSON(append(out, ':'), m[key], depth+1); !ok {
			return nil, false
		}
	}
	return append(out, '}'), true
}

func emitJSONList(out []byte, list []any, depth int) (_ []byte, ok bool) {
	if list == nil {
		return append(out, "null"...), true
	}
	out = append(out, '[')
	for i, item := range list {
		if i > 0 {
			out = append(out, ',')
		}
		if out, ok = emitJSON(out, item, depth+1); !ok {
			return nil, false
		}
	}
	return append(out, ']'), true
}

// quoteJSON writes text; what needs more than quotes is for the library.
func quoteJSON(out []byte, s string) ([]byte, bool) {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c >= 0x7F || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&':
			data, err := json.Marshal(s)
			return append(out, data...), err == nil
		}
	}
	out = append(out, '"')
	out = append(out, s...)
	return append(out, '"'), true
}

// jsonReader reads the JSON that emitJSON writes, and gives up on all other.
type jsonReader struct {
	text string
	at   int
}

// readJSON gives the map that a text surely is.
func readJSON(text string) (map[string]any, bool) {
	r := jsonReader{text: text}
	if !r.next('{') {
		return nil, false
	}
	m, ok := r.mapping(0)
	return m, ok && r.at == len(text)
}

func (r *jsonReader) next(c byte) bool {
	if r.at < len(r.text) && r.text[r.at] == c {
		r.at++
		return true
	}
	return false
}

func (r *jsonReader) word(w string) bool {
	if strings.HasPrefix(r.text[r.at:], w) {
		r.at += len(w)
		return true
	}
	return false
}

func (r *jsonReader) mapping(depth int) (map[string]any, bool) {
	m := map[string]any{}
	if r.next('}') {
		return m, true
	}
	for {
		if !r.next('"') {
			return nil, false
		}
		key, ok := r.quoted()
		if !ok || !r.next(':') {
			return nil, false
		}
		if m[key], ok = r.value(depth + 1); !ok {
			return nil, false
		}
		if r.next('}') {
			return m, true
		}
		if !r.next(',') {
			return nil, false
		}
	}
}

func (r *jsonReader) list(depth int) ([]any, bool) {
	list := []any{}
	if r.next(']') {
		return list, true
	}
	for {
		v, ok := r.value(depth + 1)
		if !ok {
			return nil, false
		}
		list = append(list, v)
		if r.next(']') {
			return list, true
		}
		if !r.next(',') {
			return nil, false
		}
	}
}

func (r *jsonReader) value(depth int) (any, bool) {
	if r.at >= len(r.text) || depth > maxNesting {
		return nil, false
	}
	switch {
	case r.next('"'):
		return r.quoted()
	case r.next('{'):
		return r.mapping(depth)
	case r.next('['):
		return r.list(depth)
	case r.word("true"):
		return true, true
	case r.word("false"):
		return false, true
	case r.word("null"):
		return nil, true
	}
	return r.number()
}

// quoted gives text without anything that stands for another character.
func (r *jsonReader) quoted() (string, bool) {
	for i := r.at; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case c == '"':
			s := r.text[r.at:i]
			r.at = i + 1
			return s, true
		case c == '\\' || c >= 0x7F:
			return r.unquoted()
		case c < ' ':
			return "", false
		}
	}
	return "", false
}

// unquoted has the library read text that has something in it.
func (r *jsonReader) unquoted() (s string, ok bool) {
	for i := r.at; i < len(r.text); i++ {
		switch r.text[i] {
		case '\\':
			i++
		case '"':
			ok = json.Unmarshal([]byte(r.text[r.at-1:i+1]), &s) == nil
			r.at = i + 1
			return s, ok
		}
	}
	return "", false
}

// number gives one that is whole and short.
func (r *jsonReader) number() (any, bool) {
	from := r.at
	r.next('-')
	digits := r.at
	for r.at < len(r.text) && isDigit(r.text[r.at]) {
		r.at++
	}
	s := r.text[from:r.at]
	if n := r.at - digits; n == 0 || n > 15 || r.text[digits] == '0' && (n > 1 || digits > from) {
		return nil, false
	}
	if r.at < len(r.text) && strings.IndexByte(".eE", r.text[r.at]) >= 0 {
		return nil, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}
