package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/source"
)

// TestSchemaSamples: what a schema demands is given.
func TestSchemaSamples(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]string{
		"{}":                            "example",
		"{type: string, maxLength: 3}":  "x",
		"{type: string, minLength: 9}":  "xxxxxxxxx",
		"{type: string, pattern: '^/'}": "/example",
		"{type: string, pattern: '^v[0-9]+[.][a-f]{2,}$'}":   "v1.aa",
		"{type: string, pattern: '^(a|b)c?$', minLength: 2}": "ac",
		"{type: string, pattern: '^[^a-z]+$'}":               "EXAMPLE",
		"{type: string, pattern: '^(?=x)'}":                  "example", // not of Go's kind
		"{type: string, format: uri}":                        "https://example.com",
		"{type: string, default: d, enum: [a, d]}":           "d",
		"{enum: [a, b]}":                                           "a",
		"{const: 7}":                                               "7",
		"{examples: [{a: [1, true, null]}]}":                       "a:\n  - 1\n  - true\n  - null",
		"{type: number}":                                           "1",
		"{type: number, maximum: 0.5, minimum: 0.25}":              "0.5",
		"{type: integer, minimum: 2, multipleOf: 5}":               "5",
		"{type: number, exclusiveMinimum: 3}":                      "4",
		"{type: number, exclusiveMaximum: 0}":                      "-1",
		"{type: [string, number, boolean]}":                        "example",
		"{type: ['null', boolean]}":                                "true",
		"{type: array, items: {type: integer}}":                    "- 1",
		"{type: array, minItems: 2, uniqueItems: true}":            "- example\n- example1",
		"{type: object}":                                           "{}",
		"{type: object, minProperties: 2}":                         "example: example\nexamplex: example",
		"{required: [a], properties: {a: {type: boolean}, b: {}}}": "a: true",
		"{$ref: '#/definitions/t'}":                                "n: 1",
		"{allOf: [{type: string}, {minLength: 8}]}":                "xxxxxxxx",
		"{anyOf: [{type: boolean}, {type: 'null'}]}":               "true",
		"{$ref: '#/definitions/loop'}":                             "",
	} {
		parse := func(text string) map[string]any {
			v, findings := source.ParseYAML("", []byte(text))
			if findings.Err() != nil {
				t.Fatal(text, findings)
			}
			return v.Native().(map[string]any)
		}
		s := schemaSampler{parse("{t: {type: object, required: [n], properties: {n: {type: number}}}, loop: {required: [l], properties: {l: {$ref: '#/definitions/loop'}}}}")}
		got := strings.TrimSpace(string(source.AppendYAML(nil, s.value(parse(schema), depthOfSchemas), nil)))
		if got = regexp.MustCompile(`"(.*)"`).ReplaceAllString(got, "$1"); got != want && want != "" {
			t.Errorf("%s: got %s, want %s", schema, got, want)
		}
	}
}
