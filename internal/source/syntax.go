package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

var (
	yamlLine  = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)
	tabIndent = regexp.MustCompile(`(?m)^ *\t[ \t]*[^\s#]`)
	noAnchor  = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// mistake is an error of yaml.v3 as people read it.
type mistake struct {
	message, hint string
	// without is the message where mark finds nothing.
	without string
	// from0 says that the parser counts lines from 0: its grammar does, its scanner
	// does not.
	from0 bool
	// block says that the error is in the first line with which the file cannot be
	// read; else the line that the parser names is the better one.
	block bool
	// mark finds the place in the line, or is nil for where the line begins.
	mark *regexp.Regexp
}

var (
	notClosed  = "close the quotes"
	sameIndent = "give the keys of a map the same indentation, and quote text that goes over several lines"
	noTag      = mistake{message: "the tag is not known here", hint: "remove the tag, or quote text that begins with !", mark: regexp.MustCompile(`!`)}
	directive  = mistake{message: "the line begins with %, which has a meaning of its own in YAML", hint: "remove the line"}
	tabHere    = mistake{message: "a tab stands in the indentation", hint: "YAML is indented with spaces", mark: regexp.MustCompile(`\t`)}
)

// mistakes are the errors of yaml.v3 that a file can have.
var mistakes = map[string]mistake{
	"mapping values are not allowed in this context": {
		message: `a ": " stands in text that has no quotes`, without: "the key is indented deeper than what it belongs to, and the line above has a value already", hint: `quote text with ": " in it, and give the keys of a map the same indentation`, block: true,
		mark: regexp.MustCompile(`: .*?(:)(?: |$)`),
	},
	"mapping keys are not allowed in this context": {message: "a key cannot stand here", hint: sameIndent},
	"did not find expected key": {
		message: "the line does not go on with the map that it stands in", hint: sameIndent, from0: true, block: true,
	},
	"could not find expected ':'":                    {message: "the line is neither KEY: VALUE nor an item - VALUE", hint: "write KEY: VALUE, with a space behind the colon"},
	"did not find expected '-' indicator":            {message: "the line does not go on with the list that it stands in", hint: "begin every item of a list with a dash, at the same indentation", from0: true, block: true},
	"did not find expected ',' or '}'":               {message: "the { is not closed, or a comma is missing between its entries", hint: "write {A: 1, B: 2}", from0: true, mark: regexp.MustCompile(`\{[^{}]*$|\{`)},
	"did not find expected ',' or ']'":               {message: "the [ is not closed, or a comma is missing between its items", hint: "write [A, B]", from0: true, mark: regexp.MustCompile(`\[[^\[\]]*$|\[`)},
	"did not find expected node content":             {message: "a value is missing", hint: "write a value, and quote text that begins with one of , ] } %@`", from0: true},
	"did not find expected <document start>":         {message: "something stands behind the end of the document", hint: "remove it, or indent it as a part of what is above", from0: true, block: true},
	"found undefined tag handle":                     {message: noTag.message, hint: noTag.hint, from0: true, mark: noTag.mark},
	"did not find expected tag URI":                  noTag,
	"did not find expected '!'":                      noTag,
	"did not find URI escaped octet":                 noTag,
	"did not find the expected '>'":                  noTag,
	"found an incorrect leading UTF-8 octet":         noTag,
	"found an incorrect trailing UTF-8 octet":        noTag,
	"did not find expected whitespace or line break": noTag,
	"block sequence entries are not allowed in this context": {
		message: "a list begins in the middle of a line", hint: "begin the list on a line of its own, or write [A, B]", mark: regexp.MustCompile(`:[ \t]+(-)[ \t]`),
	},
	"found unexpected end of stream":                               {message: "the quotes that begin here are not closed", hint: notClosed, mark: regexp.MustCompile(`["'][^"']*$|["']`)},
	"found unexpected document indicator":                          {message: "the quotes that begin here are not closed before the next document", hint: notClosed, mark: regexp.MustCompile(`["'][^"']*$|["']`)},
	"found character that cannot start any token":                  {message: "text cannot begin with %, @ or `", hint: "put the text in quotes", mark: regexp.MustCompile("(?:^|[ \\t\\[{,])([%@`])")},
	"found unknown escape character":                               {message: `after \ in double quotes stands a character that has no meaning there`, hint: `write \\ for a \, or use single quotes`, mark: regexp.MustCompile(`\\[^0abtnvfre "/\\N_LPxuU\t]`)},
	"did not find expected hexdecimal number":                      {message: `\x, \u and \U in double quotes go on with hexadecimal digits`, hint: `write two digits after \x, four after \u, eight after \U; write \\ for a \, or use single quotes`, mark: regexp.MustCompile(`\\[xuU]`)},
	"found invalid Unicode character escape code":                  {message: `the escape in double quotes names no character`, hint: `write \\ for a \, or use single quotes`, mark: regexp.MustCompile(`\\[xuU]`)},
	"did not find expected alphabetic or numeric character":        {message: "& and * are followed by a name, without a space", hint: "quote text that begins with & or *", mark: regexp.MustCompile(`(?:^|[\s\[{,])([&*])(?:[^\w-]|$)`)},
	"did not find expected comment or line break":                  {message: "text stands behind | or >", hint: "put the text on the lines below, indented; quote text that begins with | or >", mark: regexp.MustCompile(`[ \t]([|>])`)},
	"found an indentation indicator equal to 0":                    {message: "| and > cannot have the indentation 0", hint: "leave the number out, or write 1 to 9", mark: regexp.MustCompile(`[|>]`)},
	"found a tab character that violates indentation":              tabHere,
	"found a tab character where an indentation space is expected": tabHere,
	"found unknown directive name":                                 directive,
	"could not find expected directive name":                       directive,
	"found incompatible YAML document":                             directive,
	"found duplicate %YAML directive":                              directive,
	"found duplicate %TAG directive":                               directive,
	"did not find expected digit or '.' character":                 directive,
	"did not find expected version number":                         directive,
	"found extremely long version number":                          directive,
	"did not find expected whitespace":                             directive,
	"found unexpected non-alphabetical character":                  directive,
}

// syntax words an error of the parser, which gives a line at best, and for a tab, the
// most common mistake, a riddle.
func syntax(file string, data []byte, err error) Finding {
	line, problem := 1, err.Error()
	numbered := false
	if m := yamlLine.FindStringSubmatch(problem); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			line, numbered = n, true
		}
		problem = m[2]
	}
	at := func(line, column int) Origin {
		return Origin{Position: Position{File: file, Line: line, Column: column}}
	}
	if strings.Contains(problem, "depth") {
		return Finding{Origin: at(line, 1), Code: "limit", Message: fmt.Sprintf("values are nested deeper than the bound of %d", MaxDepth), Hint: wrongFile}
	}
	if m := noAnchor.FindStringSubmatch(problem); m != nil {
		column := 1
		if i := bytes.Index(data, []byte("*"+m[1])); i >= 0 {
			line, column = lineAndColumn(data, i)
		}
		return Finding{Origin: at(line, column), Code: "yaml", Message: fmt.Sprintf("there is no anchor &%s for the alias *%s", m[1], m[1]), Hint: "quote the text, if no alias is meant"}
	}
	if strings.Contains(problem, "cannot start any token") || strings.Contains(problem, "tab character") {
		if loc := tabIndent.FindIndex(data); loc != nil {
			tab := bytes.IndexByte(data[loc[0]:], '\t')
			return Finding{Origin: at(1+bytes.Count(data[:loc[0]], []byte("\n")), tab+1), Code: "yaml", Message: tabHere.message, Hint: tabHere.hint}
		}
	}
	m, ok := mistakes[problem]
	if !ok {
		m = mistake{message: "this cannot be read as YAML: " + problem, hint: "look at the quotes, the brackets and the indentation, here and above"}
	}
	if m.from0 && numbered {
		line++
	}
	if ofBrackets[problem] {
		if open := unclosed(data, line); open >= 0 {
			m = mistakes[flowMistakes[data[open]]]
			line, column := lineAndColumn(data, open)
			return Finding{Origin: at(line, column), Code: "yaml", Message: m.message, Hint: m.hint}
		}
	}
	if m.block {
		line = firstUnreadable(data, problem, line)
	}
	column, found := columnOf(data, line, m.mark)
	if !found && m.without != "" {
		m.message = m.without
	}
	return Finding{Origin: at(line, column), Code: "yaml", Message: m.message, Hint: m.hint}
}

// flowMistakes are what is wrong where a bracket is not closed.
var flowMistakes = map[byte]string{'[': "did not find expected ',' or ']'", '{': "did not find expected ',' or '}'"}

// ofBrackets are the errors that an open bracket above may be the cause of.
var ofBrackets = map[string]bool{
	flowMistakes['[']: true, flowMistakes['{']: true, "did not find expected node content": true,
	"block sequence entries are not allowed in this context": true,
}

var (
	blockScalar = regexp.MustCompile(`(?:^|[ \t])[|>][-+0-9]*[ \t]*(?:#.*)?$`)
	startsValue = regexp.MustCompile(`(?:^|[:?-][ \t]|[\[{,]|[&!]\S*[ \t])[ \t]*$`)
)

// unclosed gives the innermost bracket that is open where a line ends, or that another
// one's end closes, or -1.
func unclosed(data []byte, line int) int {
	var open []int
	var quote byte
	block := -1 // the indentation of the line that begins a block scalar
	at := 0
	for n, text := range bytes.SplitAfter(data, []byte("\n")) {
		if n == line {
			break
		}
		start := at
		at += len(text)
		trimmed := bytes.TrimRight(text, "\r\n")
		indentation := len(trimmed) - len(bytes.TrimLeft(trimmed, " "))
		if block >= 0 && (indentation > block || len(bytes.TrimSpace(trimmed)) == 0) {
			continue
		}
		block = -1
		for i := 0; i < len(trimmed); i++ {
			c := trimmed[i]
			switch {
			case quote != 0:
				if c == '\\' && quote == '"' {
					i++
				} else if c == quote {
					quote = 0
				}
				continue
			case c == '#' && (i == 0 || trimmed[i-1] == ' ' || trimmed[i-1] == '\t'):
				trimmed = trimmed[:i]
				continue
			case len(open) > 0 && (c == ']' || c == '}'):
				if last := open[len(open)-1]; data[last] != c-2 { // [ and ], { and } are two apart
					return last
				}
				open = open[:len(open)-1]
				continue
			case c != '"' && c != '\'' && c != '[' && c != '{' || !startsValue.Match(trimmed[:i]):
				continue
			case c == '"' || c == '\'':
				quote = c
			default:
				open = append(open, start+i)
			}
		}
		if len(open) == 0 && quote == 0 && blockScalar.Match(trimmed) {
			block = indentation
		}
	}
	if len(open) == 0 {
		return -1
	}
	return open[len(open)-1]
}

// firstUnreadable gives the first line with which a file has a problem, by reading
// what stands before it; or the line that the parser names.
func firstUnreadable(data []byte, problem string, named int) int {
	ends := []int{}
	for i, c := range data {
		if c == '\n' || i == len(data)-1 {
			ends = append(ends, i+1)
		}
	}
	n := sort.Search(len(ends), func(k int) bool {
		dec := yaml.NewDecoder(bytes.NewReader(data[:ends[k]]))
		for {
			var doc yaml.Node
			if err := dec.Decode(&doc); err != nil {
				return !errors.Is(err, io.EOF) && strings.HasSuffix(err.Error(), problem)
			}
		}
	})
	if n == len(ends) {
		return named
	}
	return n + 1
}

// columnOf gives the column of what mark finds in a line, or else where the line
// begins.
func columnOf(data []byte, line int, mark *regexp.Regexp) (column int, found bool) {
	lines := bytes.SplitN(data, []byte("\n"), line+1)
	if line > len(lines) {
		return 1, false
	}
	text := bytes.TrimRight(lines[line-1], "\r")
	start := len(text) - len(bytes.TrimLeft(text, " \t"))
	if mark != nil {
		if loc := mark.FindSubmatchIndex(text); loc != nil {
			found = true
			if start = loc[0]; len(loc) > 2 && loc[2] >= 0 {
				start = loc[2]
			}
		}
	}
	return 1 + utf8.RuneCount(text[:start]), found
}
