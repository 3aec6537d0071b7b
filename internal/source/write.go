package source

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// AppendYAML appends v as block-style YAML, indented by two spaces a level and
// with a final newline. comment gives the comment to stand above the value at
// a path of keys, or ""; Item stands in the path for an item of a list, where a
// comment is written but once. The same value always gives the same bytes.
func AppendYAML(b []byte, v *Value, comment func(path []string) string) []byte {
	w := writer{b: b, comment: comment}
	if v.IsNull() || v.IsScalar() || len(v.Fields)+len(v.Items) == 0 {
		w.inline(v, 1)
		return w.b
	}
	w.block(v, 0, nil)
	return w.b
}

// Item stands in a path of keys for any item of a list.
const Item = "[]"

type writer struct {
	b       []byte
	comment func(path []string) string
	said    map[string]bool // paths in lists whose comments stand
}

func (w *writer) indent(depth int) {
	for range depth {
		w.b = append(w.b, "  "...)
	}
}

// explain writes the comment on the value at a path.
func (w *writer) explain(depth int, path []string) {
	if w.comment == nil {
		return
	}
	text := w.comment(path)
	if text == "" {
		return
	}
	if slices.Contains(path, Item) {
		key := strings.Join(path, "\x00")
		if w.said[key] {
			return
		}
		if w.said == nil {
			w.said = map[string]bool{}
		}
		w.said[key] = true
	}
	for line := range strings.SplitSeq(text, "\n") {
		w.indent(depth)
		w.b = append(w.b, strings.TrimRight("# "+line, " ")+"\n"...)
	}
}

// block writes the entries of a map or list that is not empty.
func (w *writer) block(v *Value, depth int, path []string) {
	if v.Kind == List {
		here := below(path, Item)
		for _, item := range v.Items {
			if item != nil && item.Kind == Map && len(item.Fields) > 0 {
				w.explain(depth, below(here, item.Fields[0].Key))
			}
			w.indent(depth)
			w.b = append(w.b, "- "...)
			w.item(item, depth+1, here)
		}
		return
	}
	for _, f := range v.Fields {
		here := below(path, f.Key)
		w.explain(depth, here)
		w.indent(depth)
		w.field(f, depth, here)
	}
}

func below(path []string, key string) []string { return append(path[:len(path):len(path)], key) }

func (w *writer) field(f Field, depth int, path []string) {
	w.b = append(w.b, scalarText(f.Key)...)
	w.b = append(w.b, ':')
	v := f.Value
	switch {
	case v != nil && v.Kind == Map && len(v.Fields) > 0, v != nil && v.Kind == List && len(v.Items) > 0:
		w.b = append(w.b, '\n')
		w.block(v, depth+1, path)
	default:
		w.b = append(w.b, ' ')
		w.inline(v, depth+1)
	}
}

// item writes a list's item behind its dash: a map's first key stands on the
// dash's line.
func (w *writer) item(v *Value, depth int, path []string) {
	switch {
	case v != nil && v.Kind == Map && len(v.Fields) > 0:
		for i, f := range v.Fields {
			here := below(path, f.Key)
			if i > 0 {
				w.explain(depth, here)
				w.indent(depth)
			}
			w.field(f, depth, here)
		}
	case v != nil && v.Kind == List && len(v.Items) > 0:
		for i, item := range v.Items {
			if i > 0 {
				w.indent(depth)
			}
			w.b = append(w.b, "- "...)
			w.item(item, depth+1, below(path, Item))
		}
	default:
		w.inline(v, depth)
	}
}

// inline writes scalars and empty collections, and ends the line.
func (w *writer) inline(v *Value, depth int) {
	switch {
	case v.IsNull():
		w.b = append(w.b, "null\n"...)
	case v.Kind == Map:
		w.b = append(w.b, "{}\n"...)
	case v.Kind == List:
		w.b = append(w.b, "[]\n"...)
	case v.Kind == Bool:
		w.b = append(w.b, strings.ToLower(v.Text)+"\n"...)
	case v.Kind == Number:
		w.b = append(w.b, v.Text+"\n"...)
	case literal(v.Text):
		w.literal(v.Text, depth)
	default:
		w.b = append(w.b, scalarText(v.Text)+"\n"...)
	}
}

// literal says whether text can stand as a literal block and reads better so.
func literal(text string) bool {
	if !strings.Contains(strings.TrimRight(text, "\n"), "\n") || strings.TrimRight(text, "\n") == "" {
		return false
	}
	if text[0] == ' ' || text[0] == '\n' || text[0] == '\t' {
		return false
	}
	for _, r := range text {
		if r < ' ' && r != '\n' && r != '\t' || r == utf8.RuneError || unprintable(r) || r == 0x2028 || r == 0x2029 {
			return false
		}
	}
	return true
}

func (w *writer) literal(text string, depth int) {
	w.b = append(w.b, '|')
	body := strings.TrimRight(text, "\n")
	switch len(text) - len(body) {
	case 0:
		w.b = append(w.b, '-')
	case 1:
	default:
		w.b = append(w.b, '+')
	}
	w.b = append(w.b, '\n')
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for _, line := range lines {
		if line != "" {
			w.indent(depth)
			w.b = append(w.b, line...)
		}
		w.b = append(w.b, '\n')
	}
}

// yaml11 are the words that a YAML 1.1 reader takes for a bool or for null.
var yaml11 = map[string]bool{"y": true, "n": true, "yes": true, "no": true, "on": true, "off": true, "true": true, "false": true, "null": true}

// isPlain says whether a text begins and goes on with characters that need no quotes.
func isPlain(text string) bool {
	for i := range len(text) {
		c := text[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && strings.IndexByte("_./$%(", c) < 0 && (i == 0 || (c < '0' || c > '9') && strings.IndexByte("-){}@+=,:;", c) < 0) {
			return false
		}
	}
	return text != ""
}

// scalarText gives text as a scalar on one line: plain where every reader takes
// it for the same text, and else in double quotes.
func scalarText(text string) string {
	if isPlain(text) && !strings.HasSuffix(text, ":") && !yaml11[strings.ToLower(text)] &&
		PlainKind(text) == String && !strings.HasPrefix(text, ".") && !strings.HasPrefix(text, "%") {
		return text
	}
	if plainWords(text) {
		return text
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	// A string always encodes; JSON's quoting is a part of YAML's.
	_ = enc.Encode(text)
	quoted := strings.TrimSuffix(buf.String(), "\n")
	if strings.IndexFunc(quoted, unprintable) < 0 {
		return quoted
	}
	var b strings.Builder
	for _, r := range quoted {
		if unprintable(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// unprintable says whether YAML wants a rune escaped that JSON lets stand.
func unprintable(r rune) bool {
	return r >= 0x7f && r < 0xa0 || r == 0xfeff || r == 0xfffe || r == 0xffff
}

// plainWords says whether text is simple words separated by single spaces.
func plainWords(text string) bool {
	if len(text) < 2 || !strings.Contains(text, " ") {
		return false
	}
	first := text[0]
	if !(first >= 'a' && first <= 'z' || first >= 'A' && first <= 'Z') || text[len(text)-1] == ' ' {
		return false
	}
	for _, c := range []byte(text) {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(" -_.,/()+=;", c) >= 0
		if !ok {
			return false
		}
	}
	return true
}
