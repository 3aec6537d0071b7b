// Package descriptor reads what people write about a service: descriptors,
// flavors and friends, and the types they are written in. It resolves a
// descriptor's context into the fields that a flavor takes.
//
// Nothing here touches a disk, a network or a clock: files come from an fs.FS.
package descriptor

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// mode says how many values of a type an expression takes.
type mode uint8

const (
	one mode = iota
	repeated
	mapped
)

// Expr is a type expression: `repeated route`, `embedded mapped service`, or a
// nested map of fields.
type Expr struct {
	Embedded bool
	mode     mode
	base     string  // a primitive or a type's name; "" for a nested map of fields
	fields   []Field // of a nested map
}

// Field is one field of a type.
type Field struct {
	Name        string
	Expr        Expr
	Description string
	Required    bool
	Default     *source.Value
	// keywords are JSON Schema keywords beside the type.
	keywords   []source.Field
	constraint *constraint
	shape      *kubeShape // of the value, or of each where there are several; or nil
	builtIn    bool       // declared in schemas/
	// group and alternative say which other fields this one excludes: those of
	// the same group and another alternative.
	group, alternative string
	Origin             source.Origin
}

// Type is a named type with its fields.
type Type struct {
	Name    string
	Fields  []Field
	Origin  source.Origin
	BuiltIn bool // shipped in schemas/
}

// Types are the types known to a descriptor or a flavor, by name.
type Types struct {
	byName map[string]*Type
}

var primitives = map[string]bool{"string": true, "numeric": true, "integer": true, "bool": true, "object": true, "scalar": true, "any": true}

// keyword says which keys beside `type` make a map an annotated field.
var keyword = map[string]bool{
	"type": true, "description": true, "default": true, "required": true, "choice": true, "shape": true, "expected": true,
	"enum": true, "const": true, "pattern": true, "format": true, "minLength": true, "maxLength": true,
	"minimum": true, "maximum": true, "exclusiveMinimum": true, "exclusiveMaximum": true, "multipleOf": true,
	"minItems": true, "maxItems": true, "uniqueItems": true, "items": true,
	"minProperties": true, "maxProperties": true, "properties": true, "additionalProperties": true,
	"patternProperties": true, "propertyNames": true, "dependentRequired": true,
	"oneOf": true, "anyOf": true, "allOf": true, "not": true, "examples": true, "title": true, "deprecated": true,
}

// ParseTypes reads a file of types, a map from a type's name to its fields.
// Types of base that the file names anew are replaced.
func ParseTypes(base *Types, v *source.Value, builtIn bool) (*Types, source.Findings) {
	var fs source.Findings
	out := base.with()
	if v.IsNull() {
		return out, nil
	}
	if v.Kind != source.Map {
		fs.Add("type", v.Origin, "", "write TYPE: {FIELD: EXPRESSION}", "types are a map, and this is %s", v.Kind)
		return out, fs
	}
	for _, f := range v.Fields {
		t := &Type{Name: f.Key, Origin: f.Origin, BuiltIn: builtIn}
		if f.Value.IsNull() {
			out.byName[t.Name] = t
			continue
		}
		if f.Value.Kind != source.Map {
			fs.Add("type", f.Value.Origin, f.Key, "write FIELD: EXPRESSION below it", "a type is a map of fields, and this is %s", f.Value.Kind)
			continue
		}
		t.Fields = parseFields(f.Value, f.Key, &fs)
		for i := range t.Fields {
			t.Fields[i].builtIn = builtIn
		}
		out.byName[t.Name] = t
	}
	for _, f := range v.Fields {
		if t := out.byName[f.Key]; t != nil {
			out.checkNames(t.Fields, f.Key, &fs)
		}
	}
	return out, fs
}

// with gives a copy that can be added to.
func (ts *Types) with() *Types {
	out := &Types{byName: map[string]*Type{}}
	if ts != nil {
		for k, t := range ts.byName {
			out.byName[k] = t
		}
	}
	return out
}

// Get gives the type of a name, or nil.
func (ts *Types) Get(name string) *Type { return ts.byName[name] }

// Names gives the names of all types, sorted.
func (ts *Types) Names() []string {
	names := make([]string, 0, len(ts.byName))
	for name := range ts.byName {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Plural gives the key under which a descriptor lists the instances of a type.
func Plural(name string) string {
	switch {
	case strings.HasSuffix(name, "ss"), strings.HasSuffix(name, "x"), strings.HasSuffix(name, "z"),
		strings.HasSuffix(name, "ch"), strings.HasSuffix(name, "sh"):
		return name + "es"
	case strings.HasSuffix(name, "s"):
		return name
	case strings.HasSuffix(name, "y") && len(name) > 1 && !strings.ContainsRune("aeiou", rune(name[len(name)-2])):
		return name[:len(name)-1] + "ies"
	}
	return name + "s"
}

func parseFields(v *source.Value, path string, fs *source.Findings) []Field {
	fields := make([]Field, 0, len(v.Fields))
	for _, f := range v.Fields {
		here := path + "." + f.Key
		field := Field{Name: f.Key, Origin: f.Origin, constraint: &constraint{}}
		switch {
		case f.Value != nil && f.Value.Kind == source.String:
			field.Expr = parseExpr(f.Value, here, fs)
		case annotated(f.Value):
			parseAnnotated(&field, f.Value, here, fs)
		case misspelledKeyword(f.Value):
			parseAnnotated(&field, withoutUnknown(f.Value, here, fs), here, fs)
		case f.Value != nil && f.Value.Kind == source.Map:
			field.Expr = Expr{fields: parseFields(f.Value, here, fs)}
		default:
			fs.Add("type", f.Origin, here, "write a type expression such as `repeated string`", "a field is a type expression or a map of fields")
			continue
		}
		fields = append(fields, field)
	}
	return fields
}

// annotated tells {type: string, enum: […]} from a nested map that has a field
// called type: the former has nothing but keywords.
func annotated(v *source.Value) bool {
	if v == nil || v.Kind != source.Map || v.Get("type") == nil {
		return false
	}
	if k := v.Get("type").Kind; k != source.String && k != source.Map {
		return false
	}
	for _, f := range v.Fields {
		if !keyword[f.Key] {
			return false
		}
	}
	return true
}

// misspelledKeyword tells an annotated field with a keyword that nobody knows from a
// nested map: the others are like keywords, and one has a value that is no type.
func misspelledKeyword(v *source.Value) bool {
	if v == nil || v.Get("type") == nil || v.Get("type").Kind != source.String {
		return false
	}
	sure := false
	for _, f := range v.Fields {
		if !keyword[f.Key] && source.Closest(f.Key, sortedKeys(keyword)) == "" {
			return false
		}
		words := strings.Fields(f.Value.Str())
		switch {
		case f.Key == "type" || f.Value.Kind == source.Map:
		case f.Value.Kind != source.String:
			sure = true
		default:
			sure = sure || keyword[f.Key] && (len(words) == 0 || !primitives[words[len(words)-1]])
		}
	}
	return sure
}

// withoutUnknown gives an annotated field without the keywords that nobody knows, which
// it reports.
func withoutUnknown(v *source.Value, path string, fs *source.Findings) *source.Value {
	known := source.NewMap(v.Origin)
	for _, f := range v.Fields {
		if keyword[f.Key] {
			known.Fields = append(known.Fields, f)
			continue
		}
		fs.Add("unknown-key", f.Origin, join(path, f.Key), source.Nearest(f.Key, sortedKeys(keyword)), "a field has no keyword %q", f.Key)
	}
	return known
}

func parseAnnotated(field *Field, v *source.Value, path string, fs *source.Findings) {
	for _, k := range v.Fields {
		switch k.Key {
		case "type":
			if k.Value.Kind == source.Map {
				field.Expr = Expr{fields: parseFields(k.Value, path, fs)}
			} else {
				field.Expr = parseExpr(k.Value, path, fs)
			}
		case "description":
			field.Description = k.Value.Str()
		case "default":
			field.Default = k.Value
		case "required":
			if k.Value.Kind == source.Bool {
				field.Required = k.Value.True()
			} else {
				field.keywords = append(field.keywords, k)
			}
		case "shape":
			shapes := kubeShapes()
			if field.shape = shapes[k.Value.Str()]; field.shape == nil {
				fs.Add("type", k.Value.Origin, path+".shape", source.Nearest(k.Value.Str(), slices.Sorted(maps.Keys(shapes))), "there is no shape %q", k.Value.Str())
			}
		case "choice":
			field.group, field.alternative, _ = strings.Cut(k.Value.Str(), "/")
			if field.alternative == "" {
				field.alternative = field.Name
			}
		default:
			field.keywords = append(field.keywords, k)
		}
	}
}

// parseExpr reads `[embedded] [repeated|mapped] BASE`.
func parseExpr(v *source.Value, path string, fs *source.Findings) Expr {
	var e Expr
	words := strings.Fields(v.Str())
	if len(words) > 0 && words[0] == "embedded" && len(words) > 1 {
		e.Embedded, words = true, words[1:]
	}
	if len(words) > 1 {
		switch words[0] {
		case "repeated":
			e.mode, words = repeated, words[1:]
		case "mapped":
			e.mode, words = mapped, words[1:]
		}
	}
	if len(words) != 1 {
		fs.Add("type", v.Origin, path, "write [embedded] [repeated|mapped] TYPE", "%q is no type expression", v.Str())
		return e
	}
	e.base = words[0]
	return e
}

func (ts *Types) checkNames(fields []Field, path string, fs *source.Findings) {
	for _, f := range fields {
		here := path + "." + f.Name
		if f.Expr.fields != nil {
			ts.checkNames(f.Expr.fields, here, fs)
		} else if b := f.Expr.base; b != "" && !primitives[b] && ts.byName[b] == nil {
			known := append(ts.Names(), "string", "numeric", "integer", "bool", "object", "scalar", "any")
			fs.Add("type", f.Origin, here, source.Nearest(b, known), "there is no type %q", b)
		}
	}
}

// fieldsOf gives the fields of what an expression names: a type's or a nested
// map's; ok is false for a primitive.
func (ts *Types) fieldsOf(e Expr) (fields []Field, ok bool) {
	if e.base == "" {
		return e.fields, true
	}
	if t := ts.byName[e.base]; t != nil {
		return t.Fields, true
	}
	return nil, false
}

// FieldsBelow gives the fields that an expression's values have where the author of
// a flavor has declared them: those of a nested map, or of a type that is not built
// in. several says that there may be more than one such value.
func (ts *Types) FieldsBelow(e Expr) (fields []Field, several bool) {
	if t := ts.byName[e.base]; e.base != "" && (t == nil || t.BuiltIn) {
		return nil, false
	}
	fields, _ = ts.fieldsOf(e)
	return fields, e.mode != one
}

func find(fields []Field, name string) *Field {
	for i := range fields {
		if fields[i].Name == name {
			return &fields[i]
		}
	}
	return nil
}

func fieldNames(fields []Field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return names
}

// String gives the expression as it is written.
func (e Expr) String() string {
	s := e.base
	if s == "" {
		s = "map"
	}
	switch e.mode {
	case repeated:
		s = "repeated " + s
	case mapped:
		s = "mapped " + s
	}
	if e.Embedded {
		s = "embedded " + s
	}
	return s
}

// kind words the kind of value that an expression takes.
func (e Expr) kind() string {
	switch {
	case e.mode != one:
		return "a list"
	case e.base == "" || primitives[e.base]:
		return e.article()
	}
	return "" // a name or a map
}

// article words an expression for a message: what a value should have been.
func (e Expr) article() string {
	switch {
	case e.mode != one && primitives[e.base]:
		return "a list"
	case e.mode != one:
		return fmt.Sprintf("a list of %s: names or maps", Plural(e.base))
	case e.base == "string", e.base == "scalar":
		return "text"
	case e.base == "numeric":
		return "a number"
	case e.base == "integer":
		return "a whole number"
	case e.base == "bool":
		return "true or false"
	case e.base == "object", e.base == "":
		return "a map"
	}
	return fmt.Sprintf("the name of an instance of %s, or a map", e.base)
}

// With adds types that describe what the generator writes. A user's own type of
// the same name stays.
func (ts *Types) With(shapes *Types) *Types {
	out := ts.with()
	for name, t := range shapes.byName {
		if own := out.byName[name]; own == nil || own.BuiltIn {
			out.byName[name] = t
		}
	}
	return out
}

// Describe gives the description of the field at a path of keys, or "". The
// keys of mapped types stand for names and have none; source.Item stands
// for a list's.
func (ts *Types) Describe(fields []Field, path []string) string {
	for i := 0; i < len(path); i++ {
		f := find(fields, path[i])
		if f == nil {
			return ""
		}
		if i == len(path)-1 {
			return f.Description
		}
		if f.Expr.mode != one {
			i++
			if i == len(path)-1 {
				return ""
			}
		}
		var structured bool
		if fields, structured = ts.fieldsOf(f.Expr); !structured {
			return f.describe(path[i+1:])
		}
	}
	return ""
}

// describe gives the description of what stands in a field's value, by its shape or
// by the keywords beside its type.
func (f *Field) describe(path []string) string {
	if f.shape != nil {
		if text := described(f.shape.schema, path); text != "" {
			return text
		}
	}
	if f.Expr.mode != one {
		return ""
	}
	if len(f.keywords) == 0 {
		return ""
	}
	f.constraint.read.Do(func() { f.constraint.keywords = f.keywordMap() })
	return described(f.constraint.keywords, path)
}
