package source

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"
)

// jsonLine is how many characters a part of a JSON document may have to stand on
// one line.
const jsonLine = 110

// AppendJSON appends v as JSON for people to read, with a final newline: parts that
// are short stand on one line, but for the document and what is directly in it. v is
// made of map[string]any, []any and what else encoding/json takes; keys are sorted.
func AppendJSON(b []byte, v any) ([]byte, error) {
	w := jsonWriter{b: b}
	if err := w.value(v, 0); err != nil {
		return nil, err
	}
	return append(w.b, '\n'), nil
}

type jsonWriter struct{ b []byte }

func (w *jsonWriter) value(v any, depth int) error {
	start := len(w.b)
	if depth > 1 {
		if err := w.line(v); err != nil {
			return err
		}
		if utf8.RuneCount(w.b[start:]) <= jsonLine {
			return nil
		}
		w.b = w.b[:start]
	}
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			break
		}
		w.b = append(w.b, '{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			w.next(i, depth+1)
			if err := w.line(key); err != nil {
				return err
			}
			w.b = append(w.b, ": "...)
			if err := w.value(v[key], depth+1); err != nil {
				return err
			}
		}
		w.newLine(depth)
		w.b = append(w.b, '}')
		return nil
	case []any:
		if len(v) == 0 {
			break
		}
		w.b = append(w.b, '[')
		for i, item := range v {
			w.next(i, depth+1)
			if err := w.value(item, depth+1); err != nil {
				return err
			}
		}
		w.newLine(depth)
		w.b = append(w.b, ']')
		return nil
	}
	return w.line(v)
}

func (w *jsonWriter) next(i, depth int) {
	if i > 0 {
		w.b = append(w.b, ',')
	}
	w.newLine(depth)
}

func (w *jsonWriter) newLine(depth int) {
	w.b = append(w.b, '\n')
	for range depth {
		w.b = append(w.b, "  "...)
	}
}

// line writes a value on one line, with a space after each colon and comma.
func (w *jsonWriter) line(v any) error {
	switch v := v.(type) {
	case map[string]any:
		w.b = append(w.b, '{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				w.b = append(w.b, ", "...)
			}
			if err := w.line(key); err != nil {
				return err
			}
			w.b = append(w.b, ": "...)
			if err := w.line(v[key]); err != nil {
				return err
			}
		}
		w.b = append(w.b, '}')
		return nil
	case []any:
		w.b = append(w.b, '[')
		for i, item := range v {
			if i > 0 {
				w.b = append(w.b, ", "...)
			}
			if err := w.line(item); err != nil {
				return err
			}
		}
		w.b = append(w.b, ']')
		return nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	w.b = append(w.b, bytes.TrimRight(b.Bytes(), "\n")...)
	return nil
}
