package codegen

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// kind is what a value is taken for.
type kind string

const (
	text     kind = "text"
	integer  kind = "int"
	float    kind = "float"
	boolean  kind = "bool"
	duration kind = "duration"
	address  kind = "url"
	choice   kind = "choice" // one of some texts; only where the user says so
	secret   kind = "secret"
	anything kind = "any"
	object   kind = "object"
	list     kind = "list"
	blank    kind = "blank" // a secret that may be empty, in the tables of languages
)

// given are the kinds that a user may give a variable.
var given = []kind{text, integer, float, boolean, duration, address, secret}

// typ is the type of a variable, of a file or of a value inside of one.
type typ struct {
	kind    kind
	choices []string // of a choice
	fields  []*field // of an object, in the order of their keys
	item    *typ     // of a list; nil where no context has an item
	seen    int      // objects that the fields come from
	blank   bool     // it is empty in a context, which a secret else may not be
}

// field is a key of an object.
type field struct {
	key      string
	typ      *typ // nil where it is null everywhere
	optional bool
	seen     int // objects that have it
}

// expected words a kind for a message.
func (t *typ) expected() string {
	switch t.kind {
	case integer:
		return "a whole number"
	case float:
		return "a number"
	case boolean:
		return "true or false"
	case duration:
		return "a duration such as 1m30s"
	case address:
		return "a URL"
	case choice:
		return "one of " + strings.Join(t.choices, ", ")
	case secret:
		return "a secret"
	case object:
		return "a map"
	case list:
		return "a list"
	case anything:
		return "a value"
	}
	return "text"
}

// word names a kind in comments, "" where its type says it.
func (t *typ) word() string {
	switch {
	case t.kind == choice:
		return t.expected()
	case t.row() == blank:
		return "a secret, or empty"
	}
	return map[kind]string{
		text: "text", integer: "a whole number", float: "a number", boolean: "true or false", duration: "a duration",
		address: "a URL", secret: "a secret", anything: "of no one type",
	}[t.kind]
}

// scalar gives the type of a scalar, by the kind that it is written with. A number
// that would not come back as it is written, such as 1.10 or 0777, is text.
func scalar(k source.Kind, value string) *typ {
	switch k {
	case source.Bool:
		if value == "true" || value == "false" {
			return &typ{kind: boolean}
		}
	case source.Number:
		if t := (&typ{kind: integer}); t.accepts(value) {
			return t
		}
		f, err := strconv.ParseFloat(value, 64)
		if t := (&typ{kind: float}); err == nil && strconv.FormatFloat(f, 'f', -1, 64) == value && strings.Contains(value, ".") && t.accepts(value) {
			return t
		}
	}
	return textual(value)
}

// textual gives the type of text.
func textual(value string) *typ {
	for _, t := range []*typ{{kind: duration}, {kind: address}} {
		if value != "0" && t.accepts(value) {
			return t
		}
	}
	return &typ{kind: text, blank: value == ""}
}

// parseType reads a type as --type gives it: a kind, or choices with | between them.
func parseType(name, value string) (*typ, error) {
	if strings.Contains(value, "|") {
		choices := strings.Split(value, "|")
		if slices.Contains(choices, "") || len(slices.Compact(slices.Sorted(slices.Values(choices)))) != len(choices) {
			return nil, fmt.Errorf("--type %s=%s: a choice is empty, or stands twice", name, value)
		}
		return &typ{kind: choice, choices: choices}, nil
	}
	if !slices.Contains(given, kind(value)) {
		var known []string
		for _, k := range given {
			known = append(known, string(k))
		}
		return nil, fmt.Errorf("--type %s=%s: there is no such type\n  hint: %s; or choices: debug|info|warn", name, value, source.Nearest(value, known))
	}
	return &typ{kind: kind(value)}, nil
}

// join gives the type of what is one or the other. In a variable all is text.
func join(a, b *typ, variable bool) *typ {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.kind == b.kind:
		return joinSame(a, b, variable)
	case a.kind == secret && b.scalar(), b.kind == secret && a.scalar():
		return &typ{kind: secret, blank: a.blank || b.blank}
	case a.number() && b.number():
		return &typ{kind: float}
	case a.textual() && b.textual(), variable:
		return &typ{kind: text, blank: a.blank || b.blank}
	}
	return &typ{kind: anything}
}

func joinSame(a, b *typ, variable bool) *typ {
	switch a.kind {
	case list:
		return &typ{kind: list, item: join(a.item, b.item, variable)}
	case object:
		out := &typ{kind: object, seen: a.seen + b.seen}
		for _, f := range a.fields {
			joined := *f
			out.fields = append(out.fields, &joined)
		}
		for _, f := range b.fields {
			if i := slices.IndexFunc(out.fields, func(o *field) bool { return o.key == f.key }); i >= 0 {
				o := out.fields[i]
				o.typ, o.seen, o.optional = join(o.typ, f.typ, variable), o.seen+f.seen, o.optional || f.optional
				continue
			}
			added := *f
			out.fields = append(out.fields, &added)
		}
		for _, f := range out.fields {
			f.optional = f.optional || f.seen < out.seen
		}
		out.fields = sortedBy(out.fields, func(f *field) string { return f.key })
		return out
	}
	return &typ{kind: a.kind, blank: a.blank || b.blank}
}

func (t *typ) number() bool  { return t.kind == integer || t.kind == float }
func (t *typ) textual() bool { return t.kind == text || t.kind == duration || t.kind == address }

// row is the kind under which the tables of languages have the type.
func (t *typ) row() kind {
	if t.kind == secret && t.blank {
		return blank
	}
	return t.kind
}

func (t *typ) scalar() bool {
	return t.kind != object && t.kind != list && t.kind != anything
}

// typeOf gives the type of a value in a file. placeholder stands for secrets.
func typeOf(v *source.Value, placeholder string) *typ {
	switch {
	case v.IsNull():
		return nil
	case v.Broken:
		return &typ{kind: anything}
	case v.Kind == source.List:
		t := &typ{kind: list}
		for _, item := range v.Items {
			t.item = join(t.item, typeOf(item, placeholder), false)
			if item.IsNull() {
				t.item = &typ{kind: anything}
			}
		}
		return t
	case v.Kind == source.Map:
		t := &typ{kind: object, seen: 1}
		for _, f := range v.Fields {
			of := typeOf(f.Value, placeholder)
			t.fields = append(t.fields, &field{key: f.Key, typ: of, optional: of == nil, seen: 1})
		}
		t.fields = sortedBy(t.fields, func(f *field) string { return f.key })
		return t
	case placeholder != "" && strings.Contains(v.Text, placeholder):
		return &typ{kind: secret}
	case v.Kind == source.Number:
		// What reads the file makes a number of it, however it is written.
		if n, err := strconv.ParseInt(v.Text, 0, 64); err == nil && n <= maxSafe && n >= -maxSafe {
			return &typ{kind: integer}
		}
		if strings.ContainsAny(v.Text, "nN") {
			return &typ{kind: anything} // .inf and .nan are no numbers that the code takes
		}
		return &typ{kind: float}
	}
	return scalar(v.Kind, v.Text)
}

// settled gives a type without what is not known of it.
func (t *typ) settled() *typ {
	if t == nil {
		return &typ{kind: anything}
	}
	switch t.kind {
	case list:
		t.item = t.item.settled()
	case object:
		if len(t.fields) == 0 {
			return &typ{kind: anything}
		}
		for _, f := range t.fields {
			f.typ = f.typ.settled()
		}
	}
	return t
}
