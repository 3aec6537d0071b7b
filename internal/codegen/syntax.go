package codegen

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The language of variables: which text stands for a value of a type. The code in
// every language holds text to these expressions before it converts it, the schema
// has them as patterns, and kai takes the type of a value by them. They mean the same
// to Go, JavaScript, Python and JSON Schema, and leave next to nothing for a parser of
// one of them to refuse.
const (
	// A whole number has no sign but a minus, and comes back as it was written: no
	// zeros before it, no blanks, underscores or other bases. maxSafe bounds it.
	intSyntax = `^(?:0|-?[1-9][0-9]{0,15})$`
	// A number is written as in JSON, and never too great for one.
	floatSyntax = `^-?(?:0|[1-9][0-9]{0,99})(?:[.][0-9]{1,99})?(?:[eE][-+]?[0-9]{1,2})?$`
	// A duration is one that every language has exactly, to the microsecond. That it
	// is not empty is said beside.
	durationSyntax = `^(?:0|(?:[0-9]{1,6}(?:[.][0-9]{1,8})?h)?(?:[0-9]{1,7}(?:[.][0-9]{1,7})?m)?(?:[0-9]{1,9}(?:[.][0-9]{1,6})?s)?` +
		`(?:[0-9]{1,12}(?:[.][0-9]{1,3})?ms)?(?:[0-9]{1,15}[uµ]s)?)$`
	// A URL is scheme://user@host:port/path?query#fragment with a host, as RFC 3986
	// writes it, in ASCII.
	urlSyntax = `^[A-Za-z][-+.A-Za-z0-9]*://(?:(?:[-._~!$&'()*+,;=:A-Za-z0-9]|%[0-9A-Fa-f]{2})*@)?` +
		`(?:` + nameSyntax + `|(?:` + octetSyntax + `[.]){3}` + octetSyntax + `|\[(?:` + ipv6Syntax + `)\])(?::` + portSyntax + `)?` +
		`(?:[/?#](?:[-._~!$&'()*+,;=:@/?#A-Za-z0-9]|\[|\]|%[0-9A-Fa-f]{2})*)?$`
	// Languages differ about the host of a file, so it is no URL.
	fileSyntax = `^[Ff][Ii][Ll][Ee]:`

	// The last label of a name is no number in any base, or it would be an address.
	nameSyntax  = `(?:[-_A-Za-z0-9]+[.])*(?:[0-9]*[-_A-WYZa-wyz]|[Xx])[-_A-Za-z0-9]*[.]?`
	octetSyntax = `(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])`
	portSyntax  = `(?:0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])`

	// Eight words, or fewer around one ::.
	ipv6Syntax = before + `{7}` + word + `|` + before + `{1,7}:|` + before + `{6}:` + word + `|` + before + `{5}` + after + `{1,2}|` +
		before + `{4}` + after + `{1,3}|` + before + `{3}` + after + `{1,4}|` + before + `{2}` + after + `{1,5}|` + before + after + `{1,6}|:` + after + `{1,7}|::`
	word   = `[0-9A-Fa-f]{1,4}`
	before = `(?:` + word + `:)`
	after  = `(?::` + word + `)`
)

// maxSafe is the greatest whole number that every language's numbers hold.
const maxSafe = 1<<53 - 1

var (
	intText      = regexp.MustCompile(intSyntax)
	floatText    = regexp.MustCompile(floatSyntax)
	durationText = regexp.MustCompile(durationSyntax)
	urlText      = regexp.MustCompile(urlSyntax)
	fileText     = regexp.MustCompile(fileSyntax)
)

// accepts says whether the code takes text for a value of the type of a variable.
func (t *typ) accepts(text string) bool {
	switch t.kind {
	case integer:
		n, err := strconv.ParseInt(text, 10, 64)
		return intText.MatchString(text) && err == nil && n <= maxSafe && n >= -maxSafe
	case float:
		return floatText.MatchString(text)
	case boolean:
		return text == "true" || text == "false"
	case duration:
		return text != "" && durationText.MatchString(text)
	case address:
		return urlText.MatchString(text) && !fileText.MatchString(text)
	case choice:
		return slices.Contains(t.choices, text)
	case secret:
		return text != "" || t.blank
	}
	return true
}

// safeSyntax is intSyntax with the bounds in it, for a schema, which has nothing else
// that bounds text.
func safeSyntax() string {
	most := strconv.Itoa(maxSafe)
	forms := []string{fmt.Sprintf("[1-9][0-9]{0,%d}", len(most)-2)}
	for i := range most {
		first := byte('0')
		if i == 0 {
			first = '1'
		}
		if most[i] > first { // a digit less here, and then any
			forms = append(forms, fmt.Sprintf("%s[%c-%c][0-9]{%d}", most[:i], first, most[i]-1, len(most)-i-1))
		}
	}
	return `^(?:0|-?(?:` + strings.Join(append(forms, most), "|") + `))$`
}

// literals writes the expressions into a part of a language's code, where it has
// their names.
func literals(language, code string) string {
	quote := map[string]func(string) string{
		"go":         func(s string) string { return "`" + s + "`" },
		"typescript": func(s string) string { return "/" + strings.ReplaceAll(s, "://", `:\/\/`) + "/" },
		"python":     func(s string) string { return `r"` + s + `"` },
	}[language]
	return strings.NewReplacer("@INT@", quote(intSyntax), "@FLOAT@", quote(floatSyntax), "@DURATION@", quote(durationSyntax),
		"@URL@", quote(urlSyntax), "@FILE@", quote(fileSyntax)).Replace(code)
}
