package codegen

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"github.com/helm-kai/helm-kai/internal/source"
)

// model is what a service gets, over all its contexts.
type model struct {
	service  string
	contexts []string
	vars     []variable
	files    []file
	dirs     []folder
	ports    []port
}

// variable is one of the environment.
type variable struct {
	name     string
	typ      *typ
	optional bool
	doc      []string // lines, safe in comments
}

// Formats of files. A file of another is text, or bytes where it is none.
const (
	formatJSON = "json"
	formatYAML = "yaml"
	formatTOML = "toml"
	formatText = "text"
	formatRaw  = "bytes"
)

// file is one that is mounted.
type file struct {
	path     string
	format   string
	typ      *typ // of a structured one: an object or a list; else text or secret
	optional bool
	doc      []string
}

func (f file) structured() bool {
	return f.format == formatJSON || f.format == formatYAML || f.format == formatTOML
}

// folder is one whose files are not known.
type folder struct {
	path, name string
	doc        []string
}

// port is one that the container opens, the same in all contexts.
type port struct {
	name   string
	number int
}

// newModel observes all contexts, and joins what they say.
func newModel(in Input) (*model, error) {
	if len(in.Contexts) == 0 {
		return nil, errors.New("there is no context to read")
	}
	m := &model{service: in.Service}
	all := map[string]*seen{}
	for _, c := range in.Contexts {
		s, err := observe(c, in.Container, in.Placeholder)
		if err != nil {
			return nil, err
		}
		all[c.Name] = s
		m.contexts = append(m.contexts, c.Name)
	}
	if err := m.addVariables(in, all); err != nil {
		return nil, err
	}
	m.addFiles(in, all)
	m.addFolders(all)
	m.addPorts(all)
	if len(m.vars)+len(m.files)+len(m.dirs)+len(m.ports) == 0 {
		return nil, fmt.Errorf("%s gets nothing that code could read: no variable, file, folder or port\n  hint: env: {LOG_LEVEL: info} in a context gives it a variable", in.Service)
	}
	return m, nil
}

func (m *model) addVariables(in Input, all map[string]*seen) error {
	names := map[string]bool{}
	for _, s := range all {
		for name := range s.vars {
			names[name] = true
		}
	}
	if names[RootVariable] {
		return fmt.Errorf("the variable %s is taken: the code reads in it which folder stands for the container's root\n  hint: rename it", RootVariable)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Types)) {
		if !names[name] {
			return fmt.Errorf("--type %s=%s: no context has the variable\n  hint: %s", name, in.Types[name], source.Nearest(name, slices.Sorted(maps.Keys(names))))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		v := variable{name: name}
		var there, from []string
		given := map[string]string{} // by context, where it is known
		for i, c := range m.contexts {
			s, ok := all[c].vars[name]
			if !ok {
				v.optional = true
				continue
			}
			there = append(there, c)
			v.optional = v.optional || s.optional
			v.typ = join(v.typ, variableType(s, in.Contexts[i].Env.Get(name)), true)
			if s.known && !s.secret {
				given[c] = s.text
			}
			if s.from != "" && !slices.Contains(from, s.from) {
				from = append(from, s.from)
			}
		}
		if t := in.Types[name]; t != "" {
			said, err := parseType(name, t)
			switch {
			case err != nil:
				return err
			case v.typ.kind == secret && said.kind != secret:
				return fmt.Errorf("--type %s=%s: the variable is a secret in a context, and stays one", name, t)
			}
			said.blank = v.typ.blank
			if err := said.contradicted(given); err != nil {
				return fmt.Errorf("--type %s=%s: %w", name, t, err)
			}
			v.typ = said
		}
		v.doc = docLines(v.typ.word(), from, where(m.contexts, there))
		m.vars = append(m.vars, v)
	}
	return nil
}

// contradicted says where contexts give what is none of the type, by their names.
func (t *typ) contradicted(given map[string]string) error {
	var in []string
	for _, c := range slices.Sorted(maps.Keys(given)) {
		if !t.accepts(given[c]) {
			in = append(in, c)
		}
	}
	if len(in) == 0 {
		return nil
	}
	return fmt.Errorf("what %s gives is not %s\n  hint: change it there, or give another type", strings.Join(in, ", "), t.expected())
}

// variableType gives the type of a variable in a context; written is how the
// descriptor has it.
func variableType(v value, written *source.Value) *typ {
	switch {
	case v.secret:
		return &typ{kind: secret}
	case v.numeric:
		return &typ{kind: integer}
	case !v.known:
		return &typ{kind: text}
	case written.IsScalar() && written.Text == v.text:
		return scalar(written.Kind, v.text)
	}
	return textual(v.text)
}

// docLines says what something is, and where it comes from.
func docLines(what string, from []string, when string) []string {
	var parts []string
	for _, part := range append([]string{what}, strings.Join(from, "; "), when) {
		if part != "" {
			parts = append(parts, printable(part))
		}
	}
	return parts
}

func (m *model) addFiles(in Input, all map[string]*seen) {
	paths := map[string]bool{}
	for _, s := range all {
		for p := range s.files {
			paths[p] = true
		}
	}
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		f := file{path: p}
		var there, from []string
		var contents []content
		for _, c := range m.contexts {
			s, ok := all[c].files[p]
			if !ok {
				f.optional = true
				continue
			}
			there = append(there, c)
			f.optional = f.optional || s.optional
			contents = append(contents, s)
			if !slices.Contains(from, s.from) {
				from = append(from, s.from)
			}
		}
		f.format, f.typ = fileType(p, contents, in.Placeholder)
		what := ""
		if !f.structured() {
			what = f.typ.word()
			if f.format == formatRaw {
				what = "bytes"
			}
		}
		f.doc = docLines(what, from, where(m.contexts, there))
		m.files = append(m.files, f)
	}
}

// fileType gives the format of a file, and the type of what stands in it.
func fileType(p string, contents []content, mark string) (string, *typ) {
	var t *typ
	format := formatOf(p)
	secretive, raw, empty := false, false, false
	for _, c := range contents {
		empty = empty || c.known && !c.secret && len(c.data) == 0
		secretive = secretive || c.secret || mark != "" && strings.Contains(string(c.data), mark)
		raw = raw || c.known && !utf8.Valid(c.data)
		parsed := parse(format, c)
		if c.secret || parsed == nil {
			format = formatText
			continue
		}
		t = join(t, typeOf(parsed, mark), false)
	}
	switch {
	case format != formatText && t != nil && (t.kind == object || t.kind == list):
		return format, t.settled()
	case secretive:
		return formatText, &typ{kind: secret, blank: empty}
	case raw:
		return formatRaw, &typ{kind: text}
	}
	return formatText, &typ{kind: text}
}

func formatOf(p string) string {
	switch strings.ToLower(path.Ext(p)) {
	case ".json":
		return formatJSON
	case ".yaml", ".yml":
		return formatYAML
	case ".toml":
		return formatTOML
	}
	return formatText
}

// parse reads a file of a format, nil where it is none.
func parse(format string, c content) *source.Value {
	if !c.known {
		return nil
	}
	switch format {
	case formatYAML:
		if v, findings := source.ParseYAML("", c.data); findings.Err() == nil {
			return v
		}
	case formatJSON:
		dec := json.NewDecoder(bytes.NewReader(c.data))
		dec.UseNumber()
		var v any
		if dec.Decode(&v) == nil && !dec.More() {
			return valueOf(v)
		}
	case formatTOML:
		var v map[string]any
		if _, err := toml.Decode(string(c.data), &v); err == nil {
			return valueOf(v)
		}
	}
	return nil
}

// valueOf gives what a decoder read as a value.
func valueOf(v any) *source.Value {
	at := source.Origin{}
	switch v := v.(type) {
	case nil:
		return &source.Value{}
	case string:
		return source.NewString(at, v)
	case bool:
		return source.NewBool(at, v)
	case json.Number:
		return &source.Value{Kind: source.Number, Text: v.String()}
	case int64, float64:
		text := fmt.Sprint(v)
		if _, ok := v.(float64); ok && !strings.ContainsAny(text, ".e") {
			text += ".0"
		}
		return &source.Value{Kind: source.Number, Text: text}
	case []any:
		out := source.NewList(at)
		for _, item := range v {
			out.Items = append(out.Items, valueOf(item))
		}
		return out
	case []map[string]any:
		out := source.NewList(at)
		for _, item := range v {
			out.Items = append(out.Items, valueOf(item))
		}
		return out
	case map[string]any:
		out := source.NewMap(at)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out.Set(key, valueOf(v[key]))
		}
		return out
	}
	return &source.Value{Kind: source.String, Broken: true} // a time, for which languages have types of their own
}

func (m *model) addFolders(all map[string]*seen) {
	names := map[string]string{}
	for _, c := range m.contexts {
		for at, name := range all[c].dirs {
			if _, ok := names[at]; !ok {
				names[at] = name
			}
		}
	}
	for _, at := range slices.Sorted(maps.Keys(names)) {
		var there []string
		for _, c := range m.contexts {
			if _, ok := all[c].dirs[at]; ok {
				there = append(there, c)
			}
		}
		m.dirs = append(m.dirs, folder{at, names[at], docLines(at, []string{"the mount " + names[at]}, where(m.contexts, there))})
	}
}

func (m *model) addPorts(all map[string]*seen) {
	numbers := map[string]int{}
	for i, c := range m.contexts {
		for name, n := range all[c].ports {
			if before, ok := numbers[name]; i == 0 || ok && before == n {
				numbers[name] = n
			} else {
				numbers[name] = 0 // the process cannot know which
			}
		}
		for name := range numbers {
			if _, ok := all[c].ports[name]; !ok {
				numbers[name] = 0
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(numbers)) {
		if n := numbers[name]; n != 0 {
			m.ports = append(m.ports, port{name, n})
		}
	}
}

// doc says what a key of a file is. inMilliseconds is for languages that have no type
// for durations.
func (f *field) doc(inMilliseconds string) string {
	doc := "the key " + printable(f.key)
	if word := f.typ.word(); word != "" {
		doc += ": " + printable(word)
		if f.typ.kind == duration {
			doc += inMilliseconds
		}
	}
	if f.optional {
		doc += ", which may be missing"
	}
	return doc
}

// formats are those of files that a parser has to be given for, in order.
func (m *model) formats() []string {
	var out []string
	for _, f := range m.files {
		if (f.format == formatYAML || f.format == formatTOML) && !slices.Contains(out, f.format) {
			out = append(out, f.format)
		}
	}
	slices.Sort(out)
	slices.Reverse(out) // yaml, toml
	return out
}
