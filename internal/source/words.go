package source

import "strings"

// Or joins words to a choice: a, b or c.
func Or(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// schemaKinds are the types of JSON Schema, as messages name them.
var schemaKinds = map[string]string{
	"string": "text", "number": "a number", "integer": "a whole number", "boolean": "true or false",
	"array": "a list", "object": "a map", "null": "null",
}

// SchemaKinds words the types that a JSON Schema admits. What text may be written as
// is not said apart.
func SchemaKinds(types []string) []string {
	var out []string
	text := false
	for _, t := range types {
		text = text || t == "string"
	}
	for _, t := range types {
		if scalar := t == "number" || t == "integer" || t == "boolean"; scalar && text {
			continue
		}
		word := schemaKinds[t]
		if word == "" {
			word = t
		}
		out = append(out, word)
	}
	return out
}

// Instead says how a kind of value is written where another one stands.
func Instead(wanted string, got Kind) string {
	switch {
	case wanted == "text" && (got == Bool || got == Number):
		return `put it in quotes`
	case wanted == "text":
		return "write one text, without [ ], { } or dashes"
	case wanted == "true or false":
		return "write true or false"
	case wanted == "a whole number":
		return "write a whole number such as 3, without quotes and without a unit"
	case wanted == "a number":
		return "write a number such as 3, without quotes and without a unit"
	case wanted == "a list":
		return "write [A, B], or a line - A for each"
	case wanted == "a map" && got == List:
		return "write KEY: VALUE, without dashes"
	case wanted == "a map":
		return "write {KEY: VALUE}, or a line KEY: VALUE for each"
	}
	return ""
}
