package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// The bounds on input. They are far above what people write and far below what
// would exhaust a machine.
const (
	MaxFile  = 4 << 20 // bytes of a YAML file
	MaxDepth = 100     // maps and lists inside one another
	MaxNodes = 500_000 // values of a file after its aliases are expanded
)

// wrongFile is the way out where a file passes a bound.
const wrongFile = "is it the right file? kai reads descriptions, not data"

// BoundedFS is a file system that reads files of bounded size by itself, as
// ReadFile does.
type BoundedFS interface {
	fs.FS
	ReadFileMax(name string, max int64) ([]byte, error)
}

// ReadFile reads a file of at most max bytes from a file system.
func ReadFile(fsys fs.FS, name string, max int64) ([]byte, error) {
	if bounded, ok := fsys.(BoundedFS); ok {
		return bounded.ReadFileMax(name, max)
	}
	// Before it is opened: a named pipe would wait for a writer.
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("is a folder")}
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("is not a regular file")}
	}
	if info.Size() > max {
		return nil, tooLarge(name, max)
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > max {
		return nil, tooLarge(name, max)
	}
	return data, nil
}

// TooLargeError says that a file has more bytes than the bound on it.
type TooLargeError struct{ Max int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("is larger than the bound of %d KiB", e.Max>>10)
}

func tooLarge(name string, max int64) error {
	return &fs.PathError{Op: "read", Path: name, Err: &TooLargeError{Max: max}}
}

// ParsedFS is a file system that gives its YAML documents read already.
type ParsedFS interface {
	fs.FS
	ReadYAML(name string) (*Value, Findings)
}

// ReadYAML reads one YAML document of a file system; name is also the file of
// its origins.
func ReadYAML(fsys fs.FS, name string) (*Value, Findings) {
	if parsed, ok := fsys.(ParsedFS); ok {
		return parsed.ReadYAML(name)
	}
	data, err := ReadFile(fsys, name, MaxFile)
	if err != nil {
		return nil, Findings{FileFinding(name, err)}
	}
	return ParseYAML(name, data)
}

// NoSuchFile is the message about a file that is not there.
const NoSuchFile = "there is no such file"

// FileFinding words an error of the file system.
func FileFinding(name string, err error) Finding {
	f := Finding{Origin: Origin{Position: Position{File: name}}, Code: "file", Message: err.Error()}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		f.Message = pe.Err.Error()
	}
	var large *TooLargeError
	switch {
	case errors.As(err, &large):
		f.Message, f.Hint = "the file "+large.Error(), wrongFile
	case errors.Is(err, fs.ErrNotExist):
		f.Message, f.Hint = NoSuchFile, "is the name right?"
	case errors.Is(err, fs.ErrPermission):
		f.Message, f.Hint = "the file may not be read", "give yourself the permission to read it"
	case strings.Contains(f.Message, "path escapes"), errors.Is(err, fs.ErrInvalid):
		f.Message, f.Hint = "the path leads out of the workspace", "move the file into the workspace, or remove the link"
	default:
		f.Hint = "name a file with text in it"
	}
	return f
}

// ParseYAML reads one YAML document. An empty document gives a null value.
func ParseYAML(file string, data []byte) (*Value, Findings) {
	at := func(line, column int) Origin {
		return Origin{Position: Position{File: file, Line: line, Column: column}}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if len(data) > MaxFile {
		return nil, Findings{FileFinding(file, tooLarge(file, MaxFile))}
	}
	if i, message, hint := noText(data); i >= 0 {
		line, column := lineAndColumn(data, i)
		return nil, Findings{{Origin: at(line, column), Code: "yaml", Message: message, Hint: hint}}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return &Value{Kind: Null, Origin: at(1, 1)}, nil
		}
		return nil, Findings{syntax(file, data, err)}
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		return nil, Findings{{Origin: at(second.Line, second.Column), Code: "yaml", Message: "the file holds more than one document", Hint: "one file, one document: remove the line ---"}}
	case !errors.Is(err, io.EOF):
		return nil, Findings{syntax(file, data, err)}
	}
	r := reader{file: file, budget: MaxNodes}
	v := r.value(doc.Content[0], 0)
	if len(r.findings) > 0 {
		return nil, r.findings
	}
	return v, nil
}

// noText finds the first byte that YAML does not take, or -1.
func noText(data []byte) (i int, message, hint string) {
	binary := looksBinary(data)
	for i < len(data) {
		r, n := utf8.DecodeRune(data[i:])
		switch {
		case binary && (r == utf8.RuneError && n == 1 || r < ' ' && r != '\t' && r != '\n' && r != '\r' || unprintable(r)):
			return i, "the file is not text", "is it the right file?"
		case r == utf8.RuneError && n == 1:
			return i, "the file is not UTF-8", "save it as UTF-8"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', unprintable(r) && r != 0x85:
			return i, fmt.Sprintf("the control character U+%04X cannot stand in YAML", r), `write it as an escape in double quotes, such as "\u0007"`
		}
		i += n
	}
	return -1, "", ""
}

// looksBinary says whether a file begins as programs, pictures and archives do: with
// many bytes that no text has.
func looksBinary(data []byte) bool {
	head := data[:min(len(data), 512)]
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return false // UTF-16
	}
	odd := 0
	for _, c := range head {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f {
			odd++
		}
	}
	return odd > len(head)/10 && odd > 1
}

// lineAndColumn gives the place of a byte; columns count characters.
func lineAndColumn(data []byte, i int) (line, column int) {
	start := bytes.LastIndexByte(data[:i], '\n') + 1
	return 1 + bytes.Count(data[:i], []byte("\n")), 1 + utf8.RuneCount(data[start:i])
}

type reader struct {
	file     string
	budget   int
	findings Findings
	stopped  bool
}

func (r *reader) add(n *yaml.Node, code, hint, format string, args ...any) {
	r.findings.Add(code, r.at(n), "", hint, format, args...)
}

func (r *reader) at(n *yaml.Node) Origin {
	return Origin{Position: Position{File: r.file, Line: n.Line, Column: n.Column}}
}

// stop reports a bound that was passed, once, and ends the reading.
func (r *reader) stop(n *yaml.Node, format string, args ...any) *Value {
	if !r.stopped {
		r.stopped = true
		r.add(n, "limit", wrongFile, format, args...)
	}
	return &Value{Kind: Null, Origin: r.at(n)}
}

func (r *reader) value(n *yaml.Node, depth int) *Value {
	if r.stopped {
		return &Value{Kind: Null}
	}
	if depth > MaxDepth {
		return r.stop(n, "values are nested deeper than the bound of %d", MaxDepth)
	}
	if r.budget--; r.budget < 0 {
		return r.stop(n, "the file has more values than the bound of %d, its aliases expanded", MaxNodes)
	}
	v := &Value{Origin: r.at(n)}
	switch n.Kind {
	case yaml.AliasNode:
		return r.value(n.Alias, depth+1)
	case yaml.ScalarNode:
		r.scalar(n, v)
	case yaml.SequenceNode:
		v.Kind = List
		v.Items = make([]*Value, 0, len(n.Content))
		for _, c := range n.Content {
			v.Items = append(v.Items, r.value(c, depth+1))
		}
	case yaml.MappingNode:
		v.Kind = Map
		r.mapping(n, v, depth)
	}
	return v
}

func (r *reader) mapping(n *yaml.Node, v *Value, depth int) {
	v.Fields = make([]Field, 0, len(n.Content)/2)
	index := make(map[string]int, len(n.Content)/2)
	var merged []*Value
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, c := n.Content[i], n.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			r.add(k, "yaml", "write the key as text", "a key is a map or a list")
			continue
		}
		if k.Value == "<<" && k.Style == 0 {
			merged = append(merged, r.value(c, depth+1))
			continue
		}
		if first, ok := index[k.Value]; ok {
			r.add(k, "duplicate-key", "keep one of the two", "the key %q stands here twice; first in line %d", k.Value, v.Fields[first].Origin.Line)
			continue
		}
		index[k.Value] = len(v.Fields)
		v.Fields = append(v.Fields, Field{Key: k.Value, Origin: r.at(k), Value: r.value(c, depth+1)})
	}
	// What << brings in stands below the map's own keys, earlier maps first.
	for _, m := range merged {
		maps := []*Value{m}
		if m.Kind == List {
			maps = m.Items
		}
		for _, m := range maps {
			if m.Kind != Map {
				r.findings.Add("yaml", m.Origin, "", "give it a map, or a list of maps", "<< merges maps, and this is %s", m.Kind)
				continue
			}
			for _, f := range m.Fields {
				if _, ok := index[f.Key]; !ok {
					index[f.Key] = len(v.Fields)
					v.Fields = append(v.Fields, f)
				}
			}
		}
	}
}

var (
	intText   = regexp.MustCompile(`^[-+]?[0-9]+$`)
	octalText = regexp.MustCompile(`^[-+]?0o?[0-7]+$`)
	hexText   = regexp.MustCompile(`^0x[0-9a-fA-F]+$`)
	floatText = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	nullText  = map[string]bool{"": true, "~": true, "null": true, "Null": true, "NULL": true}
	boolText  = map[string]bool{"true": true, "True": true, "TRUE": true, "false": true, "False": true, "FALSE": true}
)

func (r *reader) scalar(n *yaml.Node, v *Value) {
	v.Text = n.Value
	plain := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	tagged := n.Style&yaml.TaggedStyle != 0
	switch {
	case tagged && n.Tag == "!!str", !plain && !tagged:
		v.Kind = String
	case tagged && !strings.HasPrefix(n.Tag, "!!"), tagged && (n.Tag == "!!binary" || n.Tag == "!!set" || n.Tag == "!!omap"):
		r.add(n, "yaml", "remove the tag", "the tag %q is not known here", n.Tag)
	default:
		v.Kind = PlainKind(n.Value)
	}
}

// PlainKind gives the kind that the YAML 1.2 core schema gives an unquoted
// scalar. A number with leading zeros is octal where it can be, as in YAML 1.1
// and as file modes are written, and else text.
func PlainKind(text string) Kind {
	switch {
	case nullText[text]:
		return Null
	case boolText[text]:
		return Bool
	case !strings.ContainsRune("+-.0123456789", rune(text[0])):
		return String // as most are, which the expressions would be slower to say
	case octalText.MatchString(text), hexText.MatchString(text):
		return Number
	case intText.MatchString(text), floatText.MatchString(text):
		digits := strings.TrimLeft(text, "+-")
		if len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
			return String
		}
		return Number
	}
	return String
}

// parseInt reads a whole number as PlainKind knows them.
func parseInt(text string) (int64, error) {
	digits := strings.TrimPrefix(text, "+")
	if octalText.MatchString(text) {
		return strconv.ParseInt(strings.Replace(digits, "0o", "0", 1), 0, 64)
	}
	if hexText.MatchString(text) {
		return strconv.ParseInt(text, 0, 64)
	}
	return strconv.ParseInt(digits, 10, 64)
}

var separator = regexp.MustCompile(`(?m)^---[ \t]*(#.*)?\r?$`)

// Documents cuts a stream of YAML documents at its separators.
func Documents(data []byte) [][]byte {
	var docs [][]byte
	start := 0
	for _, loc := range separator.FindAllIndex(data, -1) {
		docs = append(docs, data[start:loc[0]])
		start = loc[1]
	}
	return append(docs, data[start:])
}
