package descriptor

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/helm-kai/helm-kai/internal/source"
)

// refusal is what a JSON Schema has against one value inside of another.
type refusal struct {
	at      string         // of the value, a JSON pointer
	keyword string         // that refuses it, or either, where none of several schemas takes it
	schema  map[string]any // that the keyword stands in
	given   string         // what the library says
	kinds   []string       // what would be taken, for either
}

// either stands for anyOf and oneOf where the kind of the value fits none of them.
const either = "either"

// refusals gives what lies at the root of an error: of several schemas of which one
// has to fit, that of the one which was probably meant.
func refusals(e *jsonschema.ValidationError, root map[string]any) []refusal {
	keyword := lastStep(e.KeywordLocation)
	if len(e.Causes) == 0 {
		return []refusal{{at: unescaped(e.InstanceLocation), keyword: keyword, schema: schemaAt(root, e.KeywordLocation), given: e.Message}}
	}
	if keyword != "anyOf" && keyword != "oneOf" {
		var out []refusal
		for _, cause := range e.Causes {
			out = append(out, refusals(cause, root)...)
		}
		return out
	}
	var kinds []string
	for _, cause := range e.Causes {
		found := refusals(cause, root)
		other := found[0].kindsInstead()
		if len(found) != 1 || found[0].at != unescaped(e.InstanceLocation) || other == nil {
			return found
		}
		for _, kind := range other {
			if !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
		}
	}
	return []refusal{{at: unescaped(e.InstanceLocation), keyword: either, kinds: kinds}}
}

// kindsInstead words what would have been taken, where a value is refused for what
// it is and not for what is in it.
func (r refusal) kindsInstead() []string {
	switch r.keyword {
	case either:
		return r.kinds
	case "type":
		return source.SchemaKinds(texts(r.schema["type"]))
	case "enum":
		return texts(r.schema["enum"])
	case "const":
		return texts([]any{r.schema["const"]})
	}
	return nil
}

// schemaAt gives the schema that a keyword stands in.
func schemaAt(root map[string]any, location string) map[string]any {
	steps := strings.Split(strings.TrimPrefix(location, "/"), "/")
	var at any = root
	for _, step := range steps[:len(steps)-1] {
		switch v := at.(type) {
		case map[string]any:
			at = v[unescapedStep(step)]
		case []any:
			if i, err := strconv.Atoi(step); err == nil && i < len(v) {
				at = v[i]
			}
		}
	}
	schema, _ := at.(map[string]any)
	return schema
}

func lastStep(location string) string { return location[strings.LastIndexByte(location, '/')+1:] }

// unescaped takes the escapes of an address off a JSON pointer.
func unescaped(pointer string) string {
	if text, err := url.PathUnescape(pointer); err == nil {
		return text
	}
	return pointer
}

func unescapedStep(step string) string {
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(unescaped(step))
}

// texts words the scalars of a list, or one.
func texts(v any) []string {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var out []string
	for _, item := range list {
		switch text := item.(type) {
		case nil:
			out = append(out, "null")
		case string:
			out = append(out, text)
			if text == "" {
				out[len(out)-1] = `""`
			}
		default:
			out = append(out, fmt.Sprint(text))
		}
	}
	return out
}

// word gives the message about a value, and a way out where the message alone shows
// none better than the field's description.
func (r refusal) word(v *source.Value) (message, hint string) {
	number := func(keyword string) (float64, bool) {
		switch n := r.schema[keyword].(type) {
		case int:
			return float64(n), true
		case int64:
			return float64(n), true
		case float64:
			return n, true
		}
		return 0, false
	}
	count := func(keyword string) int { n, _ := number(keyword); return int(n) }
	switch r.keyword {
	case either, "type":
		kinds := r.kindsInstead()
		if len(kinds) > 1 && v.Kind != source.Null {
			kinds = slices.DeleteFunc(kinds, func(kind string) bool { return kind == "null" })
		}
		return fmt.Sprintf("expected %s, got %s", source.Or(kinds), describe(v)), source.Instead(kinds[0], v.Kind)
	case "enum", "const":
		known := r.kindsInstead()
		if near := source.Closest(v.Str(), known); near != "" && v.IsScalar() {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return fmt.Sprintf("expected %s, got %s", source.Or(known), describe(v)), hint
	case "pattern":
		if words, ok := r.schema["expected"].(string); ok {
			return fmt.Sprintf("expected %s, got %s", words, describe(v)), ""
		}
		return fmt.Sprintf("%q is not written as it has to be here", v.Str()), ""
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
		if r.schema["type"] == "integer" {
			hint = "write a whole number, " + bounds(number)
		}
		return fmt.Sprintf("expected %s, got %s", bounds(number), v.Text), hint
	case "multipleOf":
		if n, _ := number("multipleOf"); n != 1 {
			return fmt.Sprintf("expected a multiple of %v, got %s", r.schema["multipleOf"], v.Text), ""
		}
		return fmt.Sprintf("expected a whole number, got %s", v.Text), source.Instead("a whole number", v.Kind)
	case "minLength":
		if v.Str() == "" {
			return "the text is empty", ""
		}
		return fmt.Sprintf("expected at least %s, got %d", counted(count("minLength"), "character"), len([]rune(v.Str()))), ""
	case "maxLength":
		return fmt.Sprintf("expected at most %s, got %d", counted(count("maxLength"), "character"), len([]rune(v.Str()))), ""
	case "minItems":
		return fmt.Sprintf("expected at least %s in the list, got %d", counted(count("minItems"), "item"), len(v.Items)), ""
	case "maxItems":
		return fmt.Sprintf("expected at most %s in the list, got %d", counted(count("maxItems"), "item"), len(v.Items)), ""
	case "uniqueItems":
		return "an item stands in the list twice", "keep one of the two"
	case "minProperties":
		if len(v.Fields) == 0 {
			return "the map is empty", ""
		}
		return fmt.Sprintf("expected at least %s in the map, got %d", counted(count("minProperties"), "key"), len(v.Fields)), ""
	case "maxProperties":
		return fmt.Sprintf("expected at most %s in the map, got %d", counted(count("maxProperties"), "key"), len(v.Fields)), ""
	case "required":
		missing := slices.DeleteFunc(texts(r.schema["required"]), v.Has)
		return fmt.Sprintf("%s is missing", strings.Join(missing, ", ")), fmt.Sprintf("write %s: …", source.Or(missing[:min(1, len(missing))]))
	case "format":
		return fmt.Sprintf("%s is not of the format %v", describe(v), r.schema["format"]), ""
	case "not":
		return fmt.Sprintf("%s cannot stand here", describe(v)), ""
	}
	return r.given, ""
}

// resort is the way out where neither the message nor a description shows one.
func (r refusal) resort() string {
	if r.keyword == "pattern" {
		return fmt.Sprintf("the field's type holds it to the pattern %v", r.schema["pattern"])
	}
	return "write what the message asks for"
}

// bounds words the range that a schema gives for a number.
func bounds(number func(keyword string) (float64, bool)) string {
	text := func(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
	low, above, high, below := math.Inf(-1), false, math.Inf(1), false
	if n, ok := number("minimum"); ok {
		low = n
	}
	if n, ok := number("exclusiveMinimum"); ok && n >= low {
		low, above = n, true
	}
	if n, ok := number("maximum"); ok {
		high = n
	}
	if n, ok := number("exclusiveMaximum"); ok && n <= high {
		high, below = n, true
	}
	least, most := "at least "+text(low), "at most "+text(high)
	if above {
		least = "more than " + text(low)
	}
	if below {
		most = "less than " + text(high)
	}
	switch {
	case math.IsInf(high, 1):
		return least
	case math.IsInf(low, -1):
		return most
	case above || below:
		return least + " and " + most
	}
	return fmt.Sprintf("%s to %s", text(low), text(high))
}

// counted gives a number of things.
func counted(n int, thing string) string {
	if n == 1 {
		return "one " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
