package codegen

import (
	"fmt"
	"slices"
	"strings"
)

// pyWriter writes Python.
type pyWriter struct{ dialect }

// pyScalars are the types of variables, and what reads them.
var pyScalars = scalars{
	text:     {"str", "str", "_place_text"},
	integer:  {"int", "_as_int", "_place_int"},
	float:    {"float", "_as_float", "_place_float"},
	boolean:  {"bool", "_as_bool", "_place_bool"},
	duration: {"timedelta", "_as_duration", "_place_duration"},
	address:  {"SplitResult", "_as_url", "_place_url"},
	secret:   {"Secret", "_as_secret", "_place_secret"},
	blank:    {"Secret", "Secret", "_place_blank_secret"},
	choice:   {"", "_as_choice", ""},
	anything: {"Any", "", "_place_any"},
}

// pyWords cannot be the name of an attribute: keywords, and the types that stand
// beside it.
var pyWords = strings.Fields(`and as assert async await break class continue def del elif else except finally for from global
	if import in is lambda nonlocal not or pass raise return try while with
	bool bytes dict float int list str timedelta tuple`)

// pyImports are what the code may need, in the order in which it is written.
var pyImports = []struct {
	module string
	names  []string // none stands for the module itself
}{
	{module: "json"}, {module: "os"}, {module: "re"}, {module: "sys"},
	{"dataclasses", []string{"dataclass"}},
	{"datetime", []string{"timedelta"}},
	{"fractions", []string{"Fraction"}},
	{"typing", []string{"Any", "Callable", "Literal", "Mapping", "Optional", "Sequence"}},
	{"urllib.parse", []string{"SplitResult", "urlsplit"}},
}

// writePython writes one module.
func writePython(m *model, in Input) ([]byte, error) {
	w := &pyWriter{dialect{
		scalars: pyScalars, reserved: pyWords, groups: []string{"files", "folders", "ports"}, field: snake, quote: pyQuote,
		want: [2]string{"_want", "_may"}, raw: "bytes", list: func(item string) string { return "tuple[" + item + ", ...]" }, items: "_items", reads: "_read_",
		choices: func(literals []string) string { return "Literal[" + strings.Join(literals, ", ") + "]" },
		types:   newScope(), names: map[*typ]string{},
	}}
	w.object = w.writeObject
	config := w.config(m)
	code := config + w.structs.String() + w.constructor(m) + w.readers.String()
	pieces := needed("python", code)
	body := pieces + w.structs.String() + config + w.constructor(m) + w.readers.String()
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n# %s\n", Mark, printable(in.Command))
	b.WriteString("\"\"\"What the service gets from its contexts.\"\"\"\n\nfrom __future__ import annotations\n\n")
	used := namesIn(body)
	for _, i := range pyImports {
		names := slices.DeleteFunc(slices.Clone(i.names), func(name string) bool { return !used[name] })
		switch {
		case len(i.names) == 0 && used[i.module]:
			fmt.Fprintf(&b, "import %s\n", i.module)
		case len(names) > 0:
			fmt.Fprintf(&b, "from %s import %s\n", i.module, strings.Join(names, ", "))
		}
	}
	fmt.Fprintf(&b, "\n_ROOT_VARIABLE = %q\n_LOCAL_FILE = %q\n\n\n", RootVariable, LocalFile)
	b.WriteString(strings.TrimRight(body, "\n") + "\n")
	return []byte(b.String()), nil
}

func (w *pyWriter) config(m *model) string {
	var b, more strings.Builder
	names := w.fields(m)
	for i, v := range m.vars {
		fmt.Fprintf(&b, "    # The variable %s: %s.\n    %s: %s\n", printable(v.name), strings.Join(v.doc, ", "), names[i], orNone(w.variableType(v.typ), v.optional))
	}
	group := func(field, class, what string, lines func(b *strings.Builder)) {
		fmt.Fprintf(&b, "    # %s\n    %s: %s\n", what, field, class)
		fmt.Fprintf(&more, "@dataclass(frozen=True)\nclass %s:\n    \"\"\"%s\"\"\"\n\n", class, what)
		lines(&more)
		more.WriteString("\n\n")
	}
	if len(m.files) > 0 {
		group("files", "Files", "The files that are mounted.", func(b *strings.Builder) {
			fields := newScope(pyWords...)
			for _, f := range m.files {
				fmt.Fprintf(b, "    # The file %s: %s.\n    %s: %s\n", printable(f.path), strings.Join(f.doc, ", "), fields.name(snake(f.stem())), orNone(w.fileType(f, pascal(f.stem(), false)), f.optional))
			}
		})
	}
	if len(m.dirs) > 0 {
		group("folders", "Folders", "The folders that are mounted, where the process finds them.", func(b *strings.Builder) {
			fields := newScope(pyWords...)
			for _, d := range m.dirs {
				fmt.Fprintf(b, "    # The folder %s.\n    %s: str\n", strings.Join(d.doc, ", "), fields.name(snake(d.name)))
			}
		})
	}
	if len(m.ports) > 0 {
		group("ports", "Ports", "The ports that the container opens, the same in all contexts.", func(b *strings.Builder) {
			fields := newScope(pyWords...)
			for _, p := range m.ports {
				fmt.Fprintf(b, "    # The route %s.\n    %s: int\n", printable(p.name), fields.name(snake(p.name)))
			}
		})
	}
	return fmt.Sprintf("%s@dataclass(frozen=True)\nclass Config:\n    # What the service %s gets from its contexts.\n\n%s\n\n", more.String(), printable(m.service), b.String())
}

func orNone(name string, may bool) string {
	if may && name != "Any" {
		return "Optional[" + name + "]"
	}
	return name
}

// writeObject writes the type of a map, and what reads it. at says where it stands.
func (w *pyWriter) writeObject(t *typ, name, at string) {
	var b, r strings.Builder
	fmt.Fprintf(&b, "@dataclass(frozen=True)\nclass %s:\n    # What stands in %s.\n\n", name, at)
	reader := "_read_" + name
	fields := newScope(pyWords...)
	var lines strings.Builder
	for _, f := range t.fields {
		fieldName := fields.name(snake(f.key))
		of := w.typeName(f.typ, name+pascal(f.key, false), printable(f.key)+" of "+name)
		fmt.Fprintf(&b, "    # %s.\n    %s: %s\n", capital(f.doc("")), fieldName, orNone(of, f.optional))
		args := []string{"at", "fields", pyQuote(f.key), pyQuote(f.typ.expected()), w.reader(f.typ)}
		how := "_key"
		if f.optional {
			how, args = "_may_key", slices.Delete(args, 3, 4)
		}
		lines.WriteString(pyLaidOut("        ", fieldName+"="+how, args))
	}
	b.WriteString("\n\n")
	fmt.Fprintf(&r, "def %s(at: _Place) -> %s:\n", reader, name)
	fmt.Fprintf(&r, "    fields = at.fields()\n    return %s(\n%s    )\n\n\n", name, lines.String())
	w.structs.WriteString(b.String())
	w.readers.WriteString(r.String())
}

// pyLaidOut writes a call as an argument, on several lines where it is long.
func pyLaidOut(indent, name string, args []string) string {
	if line := indent + name + "(" + strings.Join(args, ", ") + "),"; width(line) <= 88 {
		return line + "\n"
	}
	if line := indent + "    " + strings.Join(args, ", "); width(line) <= 88 {
		return indent + name + "(\n" + line + "\n" + indent + "),\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s(\n", indent, name)
	for _, arg := range args {
		fmt.Fprintf(&b, "%s    %s,\n", indent, arg)
	}
	fmt.Fprintf(&b, "%s),\n", indent)
	return b.String()
}

// constructor writes load.
func (w *pyWriter) constructor(m *model) string {
	var params strings.Builder
	parsers := ""
	for _, f := range m.formats() {
		fmt.Fprintf(&params, "    %s: Callable[[str], Any],\n", f)
		parsers = "\n    What parses the files comes from a library of your own."
	}
	var b strings.Builder
	fmt.Fprintf(&b, `def load(
%s    environ: Optional[Mapping[str, str]] = None,
    root: Optional[str] = None,
) -> Config:
    """Reads the configuration, and raises a ConfigError with all that is wrong.%s

    On a laptop %s, or root, names a folder that stands for the
    container's root, and its file %s has the variables that the
    environment does not.
    """
    if environ is None:
        environ = os.environ
    root = root or environ.get(_ROOT_VARIABLE)
    r = _Reader(_with_local(environ, root) if root else environ, root or "/")
    config = Config(
`, params.String(), parsers, RootVariable, LocalFile)
	names := w.fields(m)
	for i, v := range m.vars {
		how, args := w.variable(v)
		b.WriteString(pyLaidOut("        ", names[i]+"="+how, args))
	}
	group := func(field, class string, lines func(fields *scope)) {
		fmt.Fprintf(&b, "        %s=%s(\n", field, class)
		lines(newScope(pyWords...))
		b.WriteString("        ),\n")
	}
	if len(m.files) > 0 {
		group("files", "Files", func(fields *scope) {
			for _, f := range m.files {
				how, args := w.file(f)
				b.WriteString(pyLaidOut("            ", fields.name(snake(f.stem()))+"="+how, args))
			}
		})
	}
	if len(m.dirs) > 0 {
		group("folders", "Folders", func(fields *scope) {
			for _, d := range m.dirs {
				b.WriteString(pyLaidOut("            ", fields.name(snake(d.name))+"=r.path", []string{pyQuote(d.path)}))
			}
		})
	}
	if len(m.ports) > 0 {
		group("ports", "Ports", func(fields *scope) {
			for _, p := range m.ports {
				fmt.Fprintf(&b, "            %s=%d,\n", fields.name(snake(p.name)), p.number)
			}
		})
	}
	b.WriteString("    )\n    if r.problems:\n        raise ConfigError(r.problems)\n    return config\n\n\n")
	return b.String()
}

// file reads a file: the function and its arguments.
func (w *pyWriter) file(f file) (string, []string) {
	path, optional := pyQuote(f.path), "False"
	if f.optional {
		optional = "True"
	}
	switch {
	case f.format == formatRaw && f.optional:
		return "_content", []string{"r", path, optional}
	case f.format == formatRaw:
		return "_bytes_file", []string{"r", path}
	case f.structured():
		parse := f.format
		if parse == formatJSON {
			parse = "_parse_json"
		}
		return "_parsed", []string{"r", path, optional, parse, w.reader(f.typ)}
	}
	return "_text_file", []string{"r", path, optional, pyQuote(f.typ.expected()), pyScalars[f.typ.row()].parse}
}
