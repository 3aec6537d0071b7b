package secrets

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Kind says what a Value is.
type Kind uint8

// The kinds of values. The zero Value is a text.
const (
	Text Kind = iota
	Number
	Bool
	List
	Map
)

// String gives the kind's name.
func (k Kind) String() string {
	return [...]string{"text", "number", "bool", "list", "map"}[k]
}

// Kind says what the value is.
func (v Value) Kind() Kind { return v.kind }

// Of hides a value of JSON: a string, a bool, a number (json.Number keeps its
// digits), a []any or a map[string]any. Other types are an error, as is null,
// which is no value.
func Of(value any) (Value, error) {
	switch x := value.(type) {
	case string:
		return New(x), nil
	case bool:
		return hidden(fmt.Sprint(x), Bool), nil
	case json.Number:
		return hidden(x.String(), Number), nil
	case int, int64, uint64, float64:
		text, err := json.Marshal(x)
		return hidden(string(text), Number), err
	case []any:
		text, err := compact(x)
		return hidden(text, List), err
	case map[string]any:
		text, err := compact(x)
		return hidden(text, Map), err
	case nil:
		return Value{}, fmt.Errorf("null is no value")
	}
	return Value{}, fmt.Errorf("a value cannot be of the type %T", value)
}

func hidden(text string, kind Kind) Value {
	return Value{reveal: func() string { return text }, kind: kind}
}

// compact writes JSON without spaces, keys sorted, and no character escaped that
// needs not be.
func compact(value any) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", fmt.Errorf("a value cannot be written as JSON")
	}
	return string(bytes.TrimSuffix(out.Bytes(), []byte("\n"))), nil
}

// Any gives the value as JSON decodes it: a string, a bool, a json.Number, a
// []any or a map[string]any.
func (v Value) Any() any {
	switch v.kind {
	case Bool:
		return v.Reveal() == "true"
	case Number:
		return json.Number(v.Reveal())
	case List, Map:
		decoder := json.NewDecoder(bytes.NewReader([]byte(v.Reveal())))
		decoder.UseNumber()
		var out any
		if err := decoder.Decode(&out); err != nil {
			return nil
		}
		return out
	}
	return v.Reveal()
}
