package codegen

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// words cuts a name into its words, in lower case: at what is neither letter nor
// digit, and where a capital follows a small letter.
func words(name string) []string {
	var out []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			out = append(out, strings.ToLower(string(word)))
			word = nil
		}
	}
	before := ' '
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			flush()
		case unicode.IsUpper(r) && (unicode.IsLower(before) || unicode.IsDigit(before)):
			flush()
			word = append(word, r)
		default:
			word = append(word, r)
		}
		before = r
	}
	flush()
	return out
}

// initialisms are written in capitals in Go.
var initialisms = strings.Fields(`acl api ascii cpu css db dns eof grpc guid html http https id ip json jwt lhs qps ram rhs
	rpc s3 sla smtp sql ssh tcp tls toml ttl udp ui uid uuid uri url utf8 vm xml xsrf xss yaml`)

// pascal gives LogLevel, with Go's initialisms where they are asked for.
func pascal(name string, capitals bool) string {
	var b strings.Builder
	for _, w := range words(name) {
		if capitals && slices.Contains(initialisms, w) {
			b.WriteString(strings.ToUpper(w))
			continue
		}
		r := []rune(w)
		b.WriteRune(unicode.ToUpper(r[0]))
		b.WriteString(string(r[1:]))
	}
	// Letters of scripts without capitals, and digits, cannot begin such a name.
	if first := []rune(b.String() + " ")[0]; !unicode.IsUpper(first) {
		return "X" + b.String()
	}
	return b.String()
}

// camel gives logLevel.
func camel(name string) string {
	p := []rune(pascal(name, false))
	return startsWell(string(unicode.ToLower(p[0]))+string(p[1:]), "x")
}

// snake gives log_level.
func snake(name string) string { return startsWell(strings.Join(words(name), "_"), "x") }

func startsWell(name, before string) string {
	if name == "" || unicode.IsDigit([]rune(name)[0]) {
		return before + name
	}
	return name
}

// scope gives each name once. What is taken already gets a number; what is a word of
// the language gets an underscore.
type scope struct {
	taken map[string]bool
	words []string
}

func newScope(words ...string) *scope { return &scope{taken: map[string]bool{}, words: words} }

func (s *scope) name(want string) string {
	if slices.Contains(s.words, want) {
		want += "_"
	}
	name := want
	for n := 2; s.taken[name]; n++ {
		name = fmt.Sprintf("%s%d", want, n)
		if unicode.IsDigit(rune(want[len(want)-1])) {
			name = fmt.Sprintf("%s_%d", want, n)
		}
	}
	s.taken[name] = true
	return name
}

// stem gives what a file is called after: without the extension that its format
// tells.
func (f file) stem() string {
	base := path.Base(f.path)
	if f.structured() {
		return strings.TrimSuffix(base, path.Ext(base))
	}
	return base
}

// quoted writes a string literal: only what is seen as what it is stays as it is.
func quoted(text string, escape func(r rune) string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(escape(r))
		}
	}
	b.WriteByte('"')
	return b.String()
}

func goQuote(text string) string { return strconv.Quote(text) }

// tsQuote writes a literal of TypeScript.
func tsQuote(text string) string {
	return quoted(text, func(r rune) string { return fmt.Sprintf(`\u{%x}`, r) })
}

// pyQuote writes a literal of Python.
func pyQuote(text string) string {
	return quoted(text, func(r rune) string { return fmt.Sprintf(`\U%08x`, r) })
}
