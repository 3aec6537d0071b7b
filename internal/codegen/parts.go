package codegen

import (
	"embed"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/tools/txtar"
)

// parts are the pieces of code that do not depend on the service, one file for a
// language: sections of the txtar format, each named after what it declares.
//
//go:embed parts/*.txt
var parts embed.FS

var identifier = regexp.MustCompile(`[A-Za-z_$][A-Za-z0-9_]*`)

// part is a piece of code.
type part struct {
	name, code string
	used       map[string]bool // names that it speaks of
}

// partsOf are those of a language, in the order of the file.
var partsOf = map[string]func() []part{"go": readParts("go"), "typescript": readParts("typescript"), "python": readParts("python")}

func readParts(language string) func() []part {
	return sync.OnceValue(func() []part {
		data, err := parts.ReadFile("parts/" + language + ".txt")
		if err != nil {
			panic(err) // it is embedded
		}
		var out []part
		for _, s := range txtar.Parse(data).Files {
			code := literals(language, string(s.Data))
			out = append(out, part{s.Name, code, namesIn(code)})
		}
		return out
	})
}

// namesIn gives the names in code, but for those in comments and literals.
func namesIn(code string) map[string]bool {
	names := map[string]bool{}
	for _, name := range identifier.FindAllString(withoutText(code), -1) {
		names[name] = true
	}
	return names
}

// needed gives the pieces of a language that code uses, and those that they use, in
// the order of the file.
func needed(language, code string) string {
	all := partsOf[language]()
	wanted := make([]bool, len(all))
	var want func(used map[string]bool)
	want = func(used map[string]bool) {
		for i, p := range all {
			if used[p.name] && !wanted[i] {
				wanted[i] = true
				want(p.used)
			}
		}
	}
	want(namesIn(code))
	var out strings.Builder
	for i, p := range all {
		if wanted[i] {
			out.WriteString(p.code)
		}
	}
	return out.String()
}

var literal = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|(?m:^\s*(?://|#|\*|/\*\*).*$)`)

// withoutText takes comments and literals out of code, in which a name means nothing.
func withoutText(code string) string { return literal.ReplaceAllString(code, " ") }
