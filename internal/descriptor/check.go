package descriptor

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/helm-kai/helm-kai/internal/source"
)

// checker holds values to their types once all layers are merged.
type checker struct {
	types    *Types
	findings *source.Findings
}

// fields gives the final value of a structured type: defaults filled in,
// embedded values merged into their parent, keys in the type's order.
func (c *checker) fields(fields []Field, v *source.Value, path string) *source.Value {
	out := &source.Value{Kind: source.Map, Origin: v.Origin, Over: v.Over, Fields: make([]source.Field, 0, len(v.Fields))}
	origin := map[string]source.Origin{}
	put := func(key string, at source.Origin, value *source.Value, here string) {
		if first, ok := origin[key]; ok {
			c.findings.Add("embedded-collision", at, here, "rename one of the two, or do not embed it", "the embedded key %q stands here already, from %s", key, first)
			return
		}
		origin[key] = at
		out.Fields = append(out.Fields, source.Field{Key: key, Origin: at, Value: value})
	}
	for i := range fields {
		field := &fields[i]
		here := join(path, field.Name)
		value := v.Get(field.Name)
		if value == nil && field.Default != nil {
			value = field.Default
		}
		if value != nil && value.Broken {
			continue
		}
		if value.IsNull() {
			if field.Required && !c.replaced(fields, field, v) {
				c.findings.Add("required", v.Origin, here, cmp.Or(field.Description, "write "+field.Name+": …"), "%s is missing", field.Name)
			}
			continue
		}
		value = c.value(field.Expr, value, here)
		if value == nil {
			continue
		}
		c.keywords(field, value, here)
		c.shape(field, value, here)
		if !field.Expr.Embedded {
			put(field.Name, value.Origin, value, here)
			continue
		}
		for _, m := range embedded(field.Expr, value) {
			if m.Kind != source.Map {
				c.findings.Add("wrong-type", m.Origin, here, source.Instead("a map", m.Kind), "only a map can be embedded, and this is %s", m.Kind)
				continue
			}
			for _, f := range m.Fields {
				put(f.Key, f.Origin, f.Value, here)
			}
		}
	}
	return out
}

// replaced says whether another field of the same group stands in for one.
func (c *checker) replaced(fields []Field, field *Field, v *source.Value) bool {
	for _, other := range fields {
		if field.group != "" && other.group == field.group && v.Has(other.Name) {
			return true
		}
	}
	return false
}

// embedded gives the maps that an embedded field merges into its parent.
func embedded(e Expr, v *source.Value) []*source.Value {
	if e.mode == repeated {
		return v.Items
	}
	return []*source.Value{v}
}

func (c *checker) value(e Expr, v *source.Value, path string) *source.Value {
	fields, structured := c.types.fieldsOf(e)
	single := func(v *source.Value, path string) *source.Value {
		if v.Broken {
			return nil
		}
		if structured {
			if v.Kind != source.Map {
				return c.wrong(e, v, path)
			}
			return c.fields(fields, v, path)
		}
		return c.primitive(e.base, v, path)
	}
	switch e.mode {
	case repeated:
		if v.Kind != source.List {
			return c.wrong(e, v, path)
		}
		out := v.Shallow()
		out.Items = out.Items[:0]
		for i, item := range v.Items {
			if got := single(item, index(path, i)); got != nil {
				out.Items = append(out.Items, got)
			}
		}
		return out
	case mapped:
		if v.Kind != source.Map {
			return c.wrong(e, v, path)
		}
		out := v.Shallow()
		out.Fields = out.Fields[:0]
		for _, f := range v.Fields {
			if f.Value.IsNull() {
				continue
			}
			if got := single(f.Value, join(path, f.Key)); got != nil {
				out.Fields = append(out.Fields, source.Field{Key: f.Key, Origin: f.Origin, Value: got})
			}
		}
		return out
	}
	return single(v, path)
}

func (c *checker) wrong(e Expr, v *source.Value, path string) *source.Value {
	hint := cmp.Or(source.Instead(e.kind(), v.Kind), "name one of the "+Plural(e.base)+", or write it here: {…}")
	c.findings.Add("wrong-type", v.Origin, path, hint, "expected %s, got %s", e.article(), describe(v))
	return nil
}

// describe words a value for a message.
func describe(v *source.Value) string {
	if v.Kind == source.Bool {
		return v.Text
	}
	if v.IsScalar() && len(v.Text) <= 40 {
		return fmt.Sprintf("%s %q", v.Kind, v.Text)
	}
	return v.Kind.String()
}

// primitive holds a value to a primitive type. Text may be written as a number,
// and stays as it was written: a tag 1.10 is not 1.1.
func (c *checker) primitive(base string, v *source.Value, path string) *source.Value {
	ok := false
	switch base {
	case "string":
		if v.Kind == source.Number {
			out := *v
			out.Kind = source.String
			return &out
		}
		ok = v.Kind == source.String
	case "numeric":
		ok = v.Kind == source.Number
	case "integer":
		ok = v.Kind == source.Number && whole(v)
	case "bool":
		ok = v.Kind == source.Bool
	case "scalar":
		ok = v.IsScalar()
	case "object":
		if v.Kind == source.Map {
			return dropNulls(v)
		}
	case "any":
		return dropNulls(v)
	}
	if !ok {
		return c.wrong(Expr{base: base}, v, path)
	}
	return v
}

// whole says whether a number has no fraction.
func whole(v *source.Value) bool {
	n, _ := v.Float()
	return n == math.Trunc(n) && !math.IsInf(n, 0)
}

// dropNulls removes what a null of a higher layer took away.
func dropNulls(v *source.Value) *source.Value {
	if v.Kind != source.Map {
		return v
	}
	out := v.Shallow()
	out.Fields = out.Fields[:0]
	for _, f := range v.Fields {
		if !f.Value.IsNull() {
			out.Fields = append(out.Fields, source.Field{Key: f.Key, Origin: f.Origin, Value: dropNulls(f.Value)})
		}
	}
	return out
}

// keywords holds a value to the JSON Schema keywords beside the field's type.
func (c *checker) keywords(field *Field, v *source.Value, path string) {
	if len(field.keywords) == 0 {
		return
	}
	schema, err := field.compiled()
	if err != nil {
		c.findings.Add("type", field.Origin, path, "write them as JSON Schema has them", "the keywords of this field are no JSON Schema: %s", err)
		return
	}
	c.hold(schema, field.keywordMap, field.Description, v, path)
}

// shape holds a value, or each of several, to the field's shape.
func (c *checker) shape(field *Field, v *source.Value, path string) {
	if field.shape == nil || field.shape.unchecked {
		return
	}
	schema, keywords, err := field.shape.compile()
	if err != nil {
		c.findings.Add("internal", field.Origin, path, "", "the shape %s is no JSON Schema: %s", field.shape.name, err)
		return
	}
	hold := func(v *source.Value, path string) {
		c.hold(schema, func() map[string]any { return keywords }, "", withoutNulls(v), path)
	}
	switch {
	case field.Expr.mode == one:
		hold(v, path)
	case v.Kind == source.List:
		for i, item := range v.Items {
			hold(item, index(path, i))
		}
	default:
		for _, f := range v.Fields {
			hold(f.Value, join(path, f.Key))
		}
	}
}

// hold holds a value to a JSON Schema, whose keywords are given as a map too. Where
// hint is empty the schema's own description of the part at fault is the way out.
func (c *checker) hold(schema *jsonschema.Schema, keywords func() map[string]any, hint string, v *source.Value, path string) {
	var failed *jsonschema.ValidationError
	if err := schema.Validate(v.Native()); errors.As(err, &failed) {
		for _, r := range refusals(failed, keywords()) {
			at, where := locate(v, r.at, path)
			if r.keyword == "additionalProperties" && at.Kind == source.Map {
				c.additional(r, at, where)
				continue
			}
			code := "constraint"
			switch r.keyword {
			case "required":
				code = "required"
			case "type", either:
				code = "wrong-type"
			}
			message, way := r.word(at)
			words := hint
			if words == "" {
				words = described(keywords(), pointerPath(r.at))
			}
			c.findings.Add(code, at.Origin, where, cmp.Or(way, words, r.resort()), "%s", message)
		}
	}
}

// pointerPath gives the keys of a JSON pointer, numbers as source.Item.
func pointerPath(pointer string) []string {
	if pointer == "" {
		return nil
	}
	steps := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, step := range steps {
		if _, err := strconv.Atoi(step); err == nil {
			step = source.Item
		}
		steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
	}
	return steps
}

// additional reports the keys of a map that a field's schema does not know.
func (c *checker) additional(r refusal, v *source.Value, path string) {
	properties, _ := r.schema["properties"].(map[string]any)
	patterns, _ := r.schema["patternProperties"].(map[string]any)
	known := sortedKeys(properties)
	for _, f := range v.Fields {
		if properties[f.Key] == nil && !matchesAny(f.Key, patterns) {
			c.findings.Add("unknown-key", f.Origin, join(path, f.Key), cmp.Or(source.Nearest(f.Key, known), "remove it"), "the key %q is not known here", f.Key)
		}
	}
}

// matchesAny says whether one of the patterns that are keys matches a text.
func matchesAny(text string, patterns map[string]any) bool {
	for pattern := range patterns {
		if ok, err := regexp.MatchString(pattern, text); err == nil && ok {
			return true
		}
	}
	return false
}

// constraint is the JSON Schema of a field's keywords, compiled when it is
// first needed.
type constraint struct {
	once   sync.Once
	schema *jsonschema.Schema
	err    error

	read     sync.Once
	keywords map[string]any // as a map, which nobody may change
}

func (f *Field) compiled() (*jsonschema.Schema, error) {
	f.constraint.once.Do(func() {
		f.constraint.schema, f.constraint.err = compileKeywords(f.keywordMap())
	})
	return f.constraint.schema, f.constraint.err
}

func compileKeywords(keywords map[string]any) (*jsonschema.Schema, error) {
	data, err := json.Marshal(keywords)
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.Draft = jsonschema.Draft2020
	// An address of its own: a relative one would be taken for a file of the folder
	// that the process is in, whose name may hold anything.
	const url = "kai:///field.json"
	if err := compiler.AddResource(url, bytes.NewReader(data)); err != nil {
		return nil, err
	}
	return compiler.Compile(url)
}

func (f *Field) keywordMap() map[string]any {
	m := map[string]any{}
	for _, k := range f.keywords {
		m[k.Key] = k.Value.Native()
	}
	return m
}

// locate follows a JSON pointer into v.
func locate(v *source.Value, pointer, path string) (*source.Value, string) {
	if pointer == "" {
		return v, path
	}
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		var next *source.Value
		if i, err := strconv.Atoi(step); err == nil && v.Kind == source.List && i < len(v.Items) {
			next, path = v.Items[i], index(path, i)
		} else {
			next, path = v.Get(step), join(path, step)
		}
		if next == nil {
			return v, path
		}
		v = next
	}
	return v, path
}

// Compile resolves a value of named type fields against instances, the way
// a context is: references, defaults, embedding and checks, without layers.
func Compile(types *Types, typeName string, in map[string]map[string]*source.Value, v *source.Value) (*source.Value, source.Findings) {
	var fs source.Findings
	t := types.Get(typeName)
	if t == nil {
		fs.Add("type", v.Origin, "", source.Nearest(typeName, types.Names()), "there is no type %q", typeName)
		return nil, fs
	}
	s := scope{types: types, instances: in, vars: &Variables{}, findings: &fs}
	expanded := s.expand(t.Fields, v, typeName)
	if expanded == nil {
		return nil, fs
	}
	c := checker{types: types, findings: &fs}
	return c.fields(t.Fields, expanded, typeName), fs
}
