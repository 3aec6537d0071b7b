package codegen

import (
	"bytes"
	"embed"
	"regexp"

	"golang.org/x/tools/txtar"
)

// parts are the pieces of code that do not depend on the service, one file for a
// language: sections of the txtar format, each named after what it declares.
//
//go:embed parts/*.txt
var parts embed.FS

var identifier = regexp.MustCompile(`[A-Za-z_$][A-Za-z0-9_]*`)

// needed gives the pieces of a language that code uses, and those that they use, in
// the order of the file.
func needed(language, code string) string {
	data, err := parts.ReadFile("parts/" + language + ".txt")
	if err != nil {
		panic(err) // it is embedded
	}
	sections := txtar.Parse(data).Files
	wanted := make([]bool, len(sections))
	var want func(code string)
	want = func(code string) {
		used := map[string]bool{}
		for _, name := range identifier.FindAllString(code, -1) {
			used[name] = true
		}
		for i, s := range sections {
			if used[s.Name] && !wanted[i] {
				wanted[i] = true
				want(string(s.Data))
			}
		}
	}
	want(withoutText(code))
	var out bytes.Buffer
	for i, s := range sections {
		if wanted[i] {
			out.Write(s.Data)
		}
	}
	return out.String()
}

var literal = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|(?m:^\s*(?://|#|\*|/\*\*).*$)`)

// withoutText takes comments and literals out of code, in which a name means nothing.
func withoutText(code string) string { return literal.ReplaceAllString(code, " ") }
