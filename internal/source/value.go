package source

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Kind is the kind of a Value.
type Kind uint8

// The kinds a Value can have.
const (
	Null Kind = iota
	String
	Number
	Bool
	List
	Map
)

// String names the kind as messages do.
func (k Kind) String() string {
	return [...]string{"null", "text", "a number", "true or false", "a list", "a map"}[k]
}

// Value is a YAML value that knows where it was written.
//
// Values are shared freely between layers and contexts and must not be changed
// once they were read; Copy gives one of one's own.
type Value struct {
	Kind   Kind
	Text   string // of a scalar, as it was written (text: without quotes)
	Items  []*Value
	Fields []Field
	Origin Origin

	// Over is the value that this one replaced when layers were merged.
	Over *Value
	// Whole says that the value replaces what a lower layer says instead of
	// being merged with it.
	Whole bool
	// Append says that a list is appended to the lower layer's.
	Append bool
	// Broken says that a finding about the value is made already, so that
	// nothing else has to be said about it.
	Broken bool
}

// Field is one entry of a map, in the order of the file.
type Field struct {
	Key    string
	Origin Origin // of the key
	Value  *Value
}

// Text, number, bool and collection constructors for values that kai derives.

// NewString gives a text value.
func NewString(at Origin, text string) *Value { return &Value{Kind: String, Text: text, Origin: at} }

// NewInt gives a whole number.
func NewInt(at Origin, n int) *Value {
	return &Value{Kind: Number, Text: strconv.Itoa(n), Origin: at}
}

// NewBool gives true or false.
func NewBool(at Origin, b bool) *Value {
	return &Value{Kind: Bool, Text: strconv.FormatBool(b), Origin: at}
}

// NewMap gives a map of the given fields.
func NewMap(at Origin, fields ...Field) *Value {
	return &Value{Kind: Map, Fields: fields, Origin: at}
}

// NewList gives a list of the given items.
func NewList(at Origin, items ...*Value) *Value {
	return &Value{Kind: List, Items: items, Origin: at}
}

// Get gives the value of a key, or nil where v is no map or has no such key.
func (v *Value) Get(key string) *Value {
	if v == nil {
		return nil
	}
	for i := range v.Fields {
		if v.Fields[i].Key == key {
			return v.Fields[i].Value
		}
	}
	return nil
}

// At follows several keys.
func (v *Value) At(keys ...string) *Value {
	for _, k := range keys {
		v = v.Get(k)
	}
	return v
}

// Has says whether a key has a value other than null.
func (v *Value) Has(key string) bool { return !v.Get(key).IsNull() }

// IsNull says whether v is missing or null.
func (v *Value) IsNull() bool { return v == nil || v.Kind == Null }

// IsScalar says whether v is text, a number or a bool.
func (v *Value) IsScalar() bool {
	return v != nil && (v.Kind == String || v.Kind == Number || v.Kind == Bool)
}

// Str gives the text of a scalar, and "" for anything else.
func (v *Value) Str() string {
	if v.IsScalar() {
		return v.Text
	}
	return ""
}

// Int gives a whole number and whether v is one that fits.
func (v *Value) Int() (int, bool) {
	if v == nil || v.Kind != Number {
		return 0, false
	}
	n, err := parseInt(v.Text)
	return int(n), err == nil
}

// True says whether v is the bool true.
func (v *Value) True() bool { return v != nil && v.Kind == Bool && strings.EqualFold(v.Text, "true") }

// Set replaces or appends a field of a map that the caller owns.
func (v *Value) Set(key string, value *Value) {
	for i := range v.Fields {
		if v.Fields[i].Key == key {
			v.Fields[i].Value = value
			return
		}
	}
	at := Origin{}
	if value != nil {
		at = value.Origin
	}
	v.Fields = append(v.Fields, Field{Key: key, Origin: at, Value: value})
}

// Delete removes a field of a map that the caller owns.
func (v *Value) Delete(key string) {
	for i := range v.Fields {
		if v.Fields[i].Key == key {
			v.Fields = append(v.Fields[:i:i], v.Fields[i+1:]...)
			return
		}
	}
}

// Keys gives the keys of a map in the order of the file.
func (v *Value) Keys() []string {
	if v == nil {
		return nil
	}
	keys := make([]string, len(v.Fields))
	for i, f := range v.Fields {
		keys[i] = f.Key
	}
	return keys
}

// Strings gives the texts of a list of scalars.
func (v *Value) Strings() []string {
	if v == nil {
		return nil
	}
	out := make([]string, 0, len(v.Items))
	for _, item := range v.Items {
		out = append(out, item.Str())
	}
	return out
}

// Size counts the values that v is made of, itself included.
func (v *Value) Size() int {
	if v == nil {
		return 0
	}
	n := 1
	for _, item := range v.Items {
		n += item.Size()
	}
	for _, f := range v.Fields {
		n += f.Value.Size()
	}
	return n
}

// Shallow gives a copy whose fields and items can be replaced without
// touching v.
func (v *Value) Shallow() *Value {
	c := *v
	c.Fields = append([]Field(nil), v.Fields...)
	c.Items = append([]*Value(nil), v.Items...)
	return &c
}

// Break gives the value that stands for one about which a finding is made.
func (v *Value) Break() *Value { return &Value{Kind: String, Origin: v.Origin, Broken: true} }

// Equal says whether two values say the same, wherever they were written and
// in whatever order their keys stand.
func Equal(a, b *Value) bool {
	if a.IsNull() || b.IsNull() {
		return a.IsNull() && b.IsNull()
	}
	if a.Kind != b.Kind || a.Text != b.Text || len(a.Items) != len(b.Items) || len(a.Fields) != len(b.Fields) {
		return false
	}
	for i := range a.Items {
		if !Equal(a.Items[i], b.Items[i]) {
			return false
		}
	}
	for _, f := range a.Fields {
		other := b.Get(f.Key)
		if other == nil || !Equal(f.Value, other) {
			return false
		}
	}
	return true
}

// Native gives v as encoding/json would read it: maps, slices, strings, bools,
// nil, and every number as float64, which is what Helm makes of values.yaml.
func (v *Value) Native() any {
	if v == nil {
		return nil
	}
	switch v.Kind {
	case String:
		return v.Text
	case Bool:
		return v.True()
	case Number:
		n, _ := v.Float()
		return n
	case List:
		out := make([]any, len(v.Items))
		for i, item := range v.Items {
			out[i] = item.Native()
		}
		return out
	case Map:
		out := make(map[string]any, len(v.Fields))
		for _, f := range v.Fields {
			out[f.Key] = f.Value.Native()
		}
		return out
	}
	return nil
}

// FromNative gives a value, written nowhere, for what Native gives or a decoder
// of JSON or YAML does: whole numbers without a point, keys in order.
func FromNative(x any) *Value {
	switch x := x.(type) {
	case string:
		return NewString(Origin{}, x)
	case bool:
		return NewBool(Origin{}, x)
	case json.Number:
		return &Value{Kind: Number, Text: x.String()}
	case int:
		return NewInt(Origin{}, x)
	case int64:
		return &Value{Kind: Number, Text: strconv.FormatInt(x, 10)}
	case float64:
		return &Value{Kind: Number, Text: strconv.FormatFloat(x, 'f', -1, 64)}
	case []any:
		out := NewList(Origin{})
		for _, item := range x {
			out.Items = append(out.Items, FromNative(item))
		}
		return out
	case map[string]any:
		out := NewMap(Origin{})
		for _, key := range slices.Sorted(maps.Keys(x)) {
			out.Fields = append(out.Fields, Field{Key: key, Value: FromNative(x[key])})
		}
		return out
	}
	return &Value{}
}

// Float gives the number and whether a float64 holds it exactly as written.
func (v *Value) Float() (float64, bool) {
	if n, err := parseInt(v.Text); err == nil {
		f := float64(n)
		return f, f < 1<<63 && int64(f) == n
	}
	f, err := strconv.ParseFloat(v.Text, 64)
	return f, err == nil && strings.ContainsAny(v.Text, ".eE")
}

// OriginOrNone gives the origin, or none where v is missing.
func (v *Value) OriginOrNone() Origin {
	if v == nil {
		return Origin{}
	}
	return v.Origin
}

// FieldsOrNone gives the fields of a map, or none where v is missing.
func (v *Value) FieldsOrNone() []Field {
	if v == nil {
		return nil
	}
	return v.Fields
}

// ItemsOrNone gives the items of a list, or none where v is missing.
func (v *Value) ItemsOrNone() []*Value {
	if v == nil {
		return nil
	}
	return v.Items
}
