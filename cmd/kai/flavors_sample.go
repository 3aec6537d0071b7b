package main

import (
	"maps"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// sampler makes values for the fields that a flavor demands, such as its author
// would take for an example.
type sampler struct {
	types *descriptor.Types
}

// deepest bounds types that demand one another.
const deepest = 8

// builtInSamples are for kai's own types, of which most fields may be left out. The
// case of a new flavor has an image called release.
var builtInSamples = map[string]string{
	"image": "release", "route": "{port: 8080}", "command": "{command: [example]}", "probe": "{tcpSocket: {port: 8080}}",
	"mount": "{path: /example, volume: {emptyDir: {}}}", "container": "{name: example, image: release}",
}

// field gives a value that a field takes, or nil where none comes to mind.
func (s sampler) field(f descriptor.Field, depth int) *source.Value {
	words := strings.Fields(f.Expr.String())
	below, _ := s.types.FieldsBelow(f.Expr)
	var one *source.Value
	switch sample, builtIn := builtInSamples[words[len(words)-1]]; {
	case depth > deepest:
		return nil
	case below != nil:
		one = source.NewMap(source.Origin{})
		for _, inner := range below {
			if v := s.demanded(inner, depth+1); v != nil {
				one.Set(inner.Name, v)
			}
		}
	case builtIn:
		one, _ = source.ParseYAML("", []byte(sample))
	default:
		return s.leaf(f)
	}
	switch {
	case slices.Contains(words, "mapped") && one.Kind == source.Map && !one.Has("name"):
		one.Fields = append([]source.Field{{Key: "name", Value: source.NewString(source.Origin{}, "example")}}, one.Fields...)
		return source.NewList(source.Origin{}, one)
	case slices.Contains(words, "mapped"), slices.Contains(words, "repeated"):
		return source.NewList(source.Origin{}, one)
	}
	return one
}

// isChoice says whether a field that has to be given may be replaced by another.
func (s sampler) isChoice(f descriptor.Field) bool {
	schema, _ := descriptor.OutputSchema(s.types, []descriptor.Field{f})
	return f.Required && !f.Expr.Embedded && schema["required"] == nil
}

// demanded gives a value for a field that has to be given, or nil.
func (s sampler) demanded(f descriptor.Field, depth int) *source.Value {
	if !f.Required || f.Default != nil {
		return nil
	}
	return s.field(f, depth)
}

// leaf gives a value for a field that is no structure of kai's, by its schema.
func (s sampler) leaf(f descriptor.Field) *source.Value {
	f.Expr.Embedded = false
	schema, defs := descriptor.OutputSchema(s.types, []descriptor.Field{f})
	properties, _ := schema["properties"].(map[string]any)
	of, _ := properties[f.Name].(map[string]any)
	return schemaSampler{defs}.value(of, depthOfSchemas)
}

const depthOfSchemas = 16

// schemaSampler makes values that a JSON Schema admits, as far as its keywords are
// those that authors of flavors write.
type schemaSampler struct {
	defs map[string]any
}

func (s schemaSampler) value(schema map[string]any, depth int) *source.Value {
	if depth == 0 {
		return source.NewMap(source.Origin{})
	}
	schema = s.joined(schema, depth)
	for _, key := range []string{"const", "default"} {
		if v, ok := schema[key]; ok {
			return source.FromNative(v)
		}
	}
	for _, key := range []string{"examples", "enum"} {
		if list, ok := schema[key].([]any); ok && len(list) > 0 {
			return source.FromNative(list[0])
		}
	}
	switch kind(schema) {
	case "number", "integer":
		return source.FromNative(numberIn(schema))
	case "boolean":
		return source.NewBool(source.Origin{}, true)
	case "array":
		return s.list(schema, depth)
	case "object":
		return s.object(schema, depth)
	}
	return source.NewString(source.Origin{}, textIn(schema))
}

// joined gives a schema with what it refers to, and the first of its ways, in it.
func (s schemaSampler) joined(schema map[string]any, depth int) map[string]any {
	out := maps.Clone(schema)
	add := func(part any) {
		if m, ok := part.(map[string]any); ok && depth > 0 {
			for key, v := range s.joined(m, depth-1) {
				if _, ok := out[key]; !ok {
					out[key] = v
				}
			}
		}
	}
	if ref, ok := schema["$ref"].(string); ok {
		add(s.defs[strings.TrimPrefix(ref, "#/definitions/")])
	}
	all, _ := schema["allOf"].([]any)
	for _, part := range all {
		add(part)
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if ways, ok := schema[key].([]any); ok && len(ways) > 0 {
			add(ways[0])
		}
	}
	return out
}

// kind gives the first type of a schema that is not null.
func kind(schema map[string]any) string {
	switch t := schema["type"].(type) {
	case string:
		return t
	case []any:
		for _, one := range t {
			if name, _ := one.(string); name != "null" {
				return name
			}
		}
	}
	if schema["properties"] != nil || schema["required"] != nil {
		return "object"
	}
	return "string"
}

func (s schemaSampler) list(schema map[string]any, depth int) *source.Value {
	items, _ := schema["items"].(map[string]any)
	out := source.NewList(source.Origin{})
	for range max(1, int(number(schema, "minItems", 1))) {
		out.Items = append(out.Items, s.value(items, depth-1))
	}
	if schema["uniqueItems"] == true {
		for i, item := range out.Items {
			if i > 0 && item.IsScalar() {
				item.Text += strconv.Itoa(i)
			}
		}
	}
	return out
}

func (s schemaSampler) object(schema map[string]any, depth int) *source.Value {
	out := source.NewMap(source.Origin{})
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, key := range required {
		name, _ := key.(string)
		of, _ := properties[name].(map[string]any)
		out.Set(name, s.value(of, depth-1))
	}
	rest, _ := schema["additionalProperties"].(map[string]any)
	for i := 0; len(out.Fields) < int(number(schema, "minProperties", 0)); i++ {
		out.Set("example"+strings.Repeat("x", i), s.value(rest, depth-1))
	}
	return out
}

// number gives a keyword that is a number, or another where it is not there.
func number(schema map[string]any, key string, other float64) float64 {
	switch n := schema[key].(type) {
	case float64:
		return n
	case int:
		return float64(n)
	case int64:
		return float64(n)
	}
	return other
}

// numberIn gives a number within a schema's bounds, 1 if it may be.
func numberIn(schema map[string]any) float64 {
	step := number(schema, "multipleOf", 0)
	beside := max(step, 1) // how far a number is from a bound that it may not have
	most := math.Min(number(schema, "maximum", math.Inf(1)), number(schema, "exclusiveMaximum", math.Inf(1))-beside)
	least := math.Max(number(schema, "minimum", math.Inf(-1)), number(schema, "exclusiveMinimum", math.Inf(-1))+beside)
	n := math.Max(math.Min(1, most), least)
	if step > 0 {
		n = math.Ceil(n/step) * step
	}
	return n
}

// samples are texts that mean something, for fields with conditions.
var samples = []string{
	"example", "Example", "EXAMPLE", "1", "example.com", "1.0.0", "/example", "https://example.com", "example:8080", "30s", "128Mi", "10%",
	"ops@example.com", "192.0.2.1", "192.0.2.0/24", "2026-01-31", "2026-01-31T12:00:00Z", "0 3 * * *", "PT1M",
}

var formats = map[string]string{
	"uri": "https://example.com", "email": "ops@example.com", "hostname": "example.com", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1",
	"date": "2026-01-31", "date-time": "2026-01-31T12:00:00Z", "time": "12:00:00Z", "duration": "PT1M",
	"uuid": "00000000-0000-4000-8000-000000000000",
}

// textIn gives a text that a schema admits: a common one, or else one that is made
// from the pattern.
func textIn(schema map[string]any) string {
	pattern, _ := schema["pattern"].(string)
	expression, err := regexp.Compile(pattern)
	if err != nil {
		return samples[0]
	}
	least, most := int(number(schema, "minLength", 0)), int(number(schema, "maxLength", math.MaxInt32))
	fits := func(text string) bool {
		n := utf8.RuneCountInString(text)
		return n >= least && n <= most && expression.MatchString(text)
	}
	format, _ := schema["format"].(string)
	if text := formats[format]; text != "" && fits(text) {
		return text
	}
	if i := slices.IndexFunc(samples, fits); i == 0 || i > 0 && pattern != "" {
		return samples[i]
	}
	if pattern == "" {
		return strings.Repeat("x", min(max(least, 1), most))
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	for n := 0; err == nil && n <= max(least, 1); n++ {
		if text := matching(parsed, n); fits(text) {
			return text
		}
	}
	return samples[0]
}

// matching gives a text of an expression, in which what may stand any number of
// times stands n times.
func matching(e *syntax.Regexp, n int) string {
	var parts []string
	switch e.Op {
	case syntax.OpLiteral:
		return string(e.Rune)
	case syntax.OpCharClass:
		return string(oneOf(e.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "x"
	case syntax.OpAlternate:
		return matching(e.Sub[0], n)
	case syntax.OpStar:
		return strings.Repeat(matching(e.Sub[0], n), n)
	case syntax.OpPlus:
		return strings.Repeat(matching(e.Sub[0], n), max(1, n))
	case syntax.OpQuest:
		return strings.Repeat(matching(e.Sub[0], n), min(1, n))
	case syntax.OpRepeat:
		times := max(e.Min, n)
		if e.Max >= 0 {
			times = min(times, e.Max)
		}
		return strings.Repeat(matching(e.Sub[0], n), times)
	}
	for _, sub := range e.Sub {
		parts = append(parts, matching(sub, n))
	}
	return strings.Join(parts, "")
}

// oneOf gives a character of a class, which is a list of ranges; a letter or a digit
// where it has one.
func oneOf(class []rune) rune {
	for _, r := range "xX1" {
		for i := 0; i+1 < len(class); i += 2 {
			if class[i] <= r && r <= class[i+1] {
				return r
			}
		}
	}
	for i := 0; i+1 < len(class); i += 2 {
		for _, within := range [][2]rune{{'a', 'z'}, {'A', 'Z'}, {'0', '9'}, {'!', '~'}} {
			if r := max(class[i], within[0]); r <= min(class[i+1], within[1]) {
				return r
			}
		}
	}
	if len(class) == 0 {
		return 'x'
	}
	return class[0]
}
