package codegen

import (
	"fmt"
	"go/format"
	"regexp"
	"strings"
)

// goPackages are those that the code may import, by the name that it uses.
var goPackages = []string{
	"bytes", "encoding/json", "errors", "fmt", "io", "io/fs", "log/slog", "math", "net/url", "os", "path/filepath", "regexp", "slices", "strconv", "strings", "time", "unicode/utf8",
}

// goWriter writes Go.
type goWriter struct{ dialect }

// qualified is a name of a package before what is taken from it.
var qualified = regexp.MustCompile(`\b([a-z0-9]+)\.[A-Z]`)

var packageName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// writeGo writes one file of a package.
func writeGo(m *model, in Input) ([]byte, error) {
	if !IsPackage(in.Package) {
		return nil, fmt.Errorf("--package %q: is no name of a package\n  hint: --package config", in.Package)
	}
	w := &goWriter{dialect{
		scalars: goScalars, groups: []string{"Files", "Folders", "Ports"}, field: func(name string) string { return pascal(name, true) }, quote: goQuote,
		want: [2]string{"want", "may"}, raw: "[]byte", list: func(item string) string { return "[]" + item }, items: "items", reads: "read",
		types: newScope(), names: map[*typ]string{},
	}}
	w.object = w.writeObject
	for _, name := range []string{"Config", "Files", "Folders", "Ports", "Secret", "NewSecret", "Error", "Load", "LoadFrom"} {
		w.types.name(name)
	}
	body := w.config(m)
	body += w.structs.String() + w.constructor(m) + w.readers.String()
	body += needed("go", body)
	var b strings.Builder
	fmt.Fprintf(&b, "// %s\n// %s\n\n", Mark, printable(in.Command))
	fmt.Fprintf(&b, "// Package %s is what the service %s gets from its contexts.\npackage %[1]s\n\nimport (\n", in.Package, printable(m.service))
	used := map[string]bool{}
	for _, of := range qualified.FindAllStringSubmatch(withoutText(body), -1) {
		used[of[1]] = true
	}
	for _, p := range goPackages {
		if used[p[strings.LastIndex(p, "/")+1:]] {
			fmt.Fprintf(&b, "\t%q\n", p)
		}
	}
	b.WriteString(")\n\n" + body)
	out, err := format.Source([]byte(b.String()))
	if err != nil {
		return nil, fmt.Errorf("the Go code is wrong, which is a fault of kai: %w", err)
	}
	return out, nil
}

// goScalars are the types of variables, and what reads them.
var goScalars = scalars{
	text:     {"string", "asText", "nodeText"},
	integer:  {"int", "asInt", "nodeInt"},
	float:    {"float64", "asFloat", "nodeFloat"},
	boolean:  {"bool", "asBool", "nodeBool"},
	duration: {"time.Duration", "asDuration", "nodeDuration"},
	address:  {"*url.URL", "asURL", "nodeURL"},
	choice:   {"string", "asChoice", ""},
	secret:   {"Secret", "asSecret", "nodeSecret"},
	blank:    {"Secret", "asBlankSecret", "nodeBlankSecret"},
	anything: {"any", "", "nodeAny"},
}

// config writes the type of the whole, with what it is made of.
func (w *goWriter) config(m *model) string {
	var b, more strings.Builder
	fmt.Fprintf(&b, "// Config is what the service %s gets.\ntype Config struct {\n", printable(m.service))
	names := w.fields(m)
	for i, v := range m.vars {
		fmt.Fprintf(&b, "\t// %s is the variable %s: %s.\n\t%[1]s %[4]s\n", names[i], printable(v.name), strings.Join(v.doc, ", "), optional(w.variableType(v.typ), v.optional))
	}
	group := func(name, what string, lines func(b *strings.Builder)) {
		fmt.Fprintf(&b, "\t// %s are %s.\n\t%[1]s %[1]s\n", name, what)
		fmt.Fprintf(&more, "// %s are %s.\ntype %[1]s struct {\n", name, what)
		lines(&more)
		more.WriteString("}\n\n")
	}
	if len(m.files) > 0 {
		fields := newScope()
		group("Files", "the files that are mounted", func(b *strings.Builder) {
			for _, f := range m.files {
				name := fields.name(pascal(f.stem(), true))
				fmt.Fprintf(b, "\t// %s is the file %s: %s.\n\t%[1]s %[4]s\n", name, printable(f.path), strings.Join(f.doc, ", "), optional(w.fileType(f, name), f.optional && f.format != formatRaw))
			}
		})
	}
	if len(m.dirs) > 0 {
		fields := newScope()
		group("Folders", "the folders that are mounted, where the process finds them", func(b *strings.Builder) {
			for _, d := range m.dirs {
				fmt.Fprintf(b, "\t// %s is the folder %s.\n\t%[1]s string\n", fields.name(pascal(d.name, true)), strings.Join(d.doc, ", "))
			}
		})
	}
	if len(m.ports) > 0 {
		fields := newScope()
		group("Ports", "the ports that the container opens, the same in all contexts", func(b *strings.Builder) {
			for _, p := range m.ports {
				fmt.Fprintf(b, "\t// %s is the route %s.\n\t%[1]s int\n", fields.name(pascal(p.name, true)), printable(p.name))
			}
		})
	}
	return b.String() + "}\n\n" + more.String()
}

// optional gives the type of what may be missing. A URL is nil then anyway.
func optional(name string, may bool) string {
	if may && !strings.HasPrefix(name, "*") && !strings.HasPrefix(name, "[]") && name != "any" {
		return "*" + name
	}
	return name
}

// writeObject writes the type of a map, and what reads it. at says where it stands.
func (w *goWriter) writeObject(t *typ, name, at string) {
	var b, r strings.Builder
	fmt.Fprintf(&b, "// %s is what stands in %s.\ntype %[1]s struct {\n", name, at)
	fmt.Fprintf(&r, "func read%s(n node) %[1]s {\n\tfields := n.fields()\n\treturn %[1]s{\n", name)
	fields := newScope()
	for _, f := range t.fields {
		fieldName := fields.name(pascal(f.key, true))
		of := w.typeName(f.typ, name+fieldName, printable(f.key)+" of "+name)
		fmt.Fprintf(&b, "\t// %s is %s.\n\t%[1]s %[3]s\n", fieldName, f.doc(""), optional(of, f.optional))
		call := fmt.Sprintf("key(n, fields, %s, %s, %s)", goQuote(f.key), goQuote(f.typ.expected()), w.reader(f.typ))
		if f.optional {
			call = fmt.Sprintf("mayKey(n, fields, %s, %s)", goQuote(f.key), w.reader(f.typ))
			if optional(of, true) == of {
				call = "deref(" + call + ")"
			}
		}
		fmt.Fprintf(&r, "\t\t%s: %s,\n", fieldName, call)
	}
	b.WriteString("}\n\n")
	r.WriteString("\t}\n}\n\n")
	w.structs.WriteString(b.String())
	w.readers.WriteString(r.String())
}

// constructor writes Load and LoadFrom.
func (w *goWriter) constructor(m *model) string {
	var b strings.Builder
	params, args := "", ""
	for _, f := range m.formats() {
		params += fmt.Sprintf(", %s func(data []byte, v any) error", f)
		args += ", " + f
	}
	parsers := ""
	if params != "" {
		parsers = "\n//\n// What parses the files comes from a library of your own: its Unmarshal."
	}
	fmt.Fprintf(&b, `// Load reads the configuration of the process, and says all that is wrong with it
// at once, in an *Error.
//
// On a laptop %[1]s names a folder that stands for the container's root, and
// its file %[2]s has the variables that the environment does not.%[3]s
func Load(%[4]s) (*Config, error) {
	root := os.Getenv(rootVariable)
	if root == "" {
		return LoadFrom(os.LookupEnv, os.DirFS("/")%[5]s)
	}
	local, err := localVariables(root)
	if err != nil {
		return nil, err
	}
	lookup := func(name string) (string, bool) {
		if text, ok := os.LookupEnv(name); ok {
			return text, true
		}
		if text := local[name]; text != nil {
			return *text, true
		}
		return "", false
	}
	return LoadFrom(lookup, os.DirFS(root)%[5]s)
}

const (
	rootVariable = %[6]q
	localFile    = %[7]q
)

// LoadFrom is Load with an environment and files of your own, for tests. The
// files' paths are those of the container, without the slash that they begin with.
func LoadFrom(lookup func(name string) (string, bool), files fs.FS%[8]s) (*Config, error) {
	r := &reader{lookup: lookup, files: files}
	c := &Config{
`, RootVariable, LocalFile, parsers, strings.TrimPrefix(params, ", "), args, RootVariable, LocalFile, params)
	names := w.fields(m)
	for i, v := range m.vars {
		fmt.Fprintf(&b, "\t\t%s: %s,\n", names[i], w.read(v))
	}
	w.rest(&b, m)
	b.WriteString("\t}\n\tif err := r.err(); err != nil {\n\t\treturn nil, err\n\t}\n\treturn c, nil\n}\n\n")
	return b.String()
}

// read reads a variable.
func (w *goWriter) read(v variable) string {
	how, args := w.variable(v)
	call := how + "(" + strings.Join(args, ", ") + ")"
	if name := w.variableType(v.typ); v.optional && optional(name, true) == name {
		call = "deref(" + call + ")"
	}
	return call
}

// rest reads all but the variables.
func (w *goWriter) rest(b *strings.Builder, m *model) {
	if len(m.files) > 0 {
		fields := newScope()
		b.WriteString("\t\tFiles: Files{\n")
		for _, f := range m.files {
			fmt.Fprintf(b, "\t\t\t%s: %s,\n", fields.name(pascal(f.stem(), true)), w.file(f))
		}
		b.WriteString("\t\t},\n")
	}
	if len(m.dirs) > 0 {
		fields := newScope()
		b.WriteString("\t\tFolders: Folders{\n")
		for _, d := range m.dirs {
			fmt.Fprintf(b, "\t\t\t%s: r.folder(%s),\n", fields.name(pascal(d.name, true)), goQuote(d.path))
		}
		b.WriteString("\t\t},\n")
	}
	if len(m.ports) > 0 {
		fields := newScope()
		b.WriteString("\t\tPorts: Ports{\n")
		for _, p := range m.ports {
			fmt.Fprintf(b, "\t\t\t%s: %d,\n", fields.name(pascal(p.name, true)), p.number)
		}
		b.WriteString("\t\t},\n")
	}
}

// file reads a file.
func (w *goWriter) file(f file) string {
	if !f.structured() {
		switch {
		case f.format == formatRaw:
			return fmt.Sprintf("r.content(%s, %t)", goQuote(f.path), f.optional)
		case f.optional:
			return fmt.Sprintf("mayTextFile(r, %s, %s, %s)", goQuote(f.path), goQuote(f.typ.expected()), goScalars[f.typ.row()].parse)
		}
		return fmt.Sprintf("textFile(r, %s, %s, %s)", goQuote(f.path), goQuote(f.typ.expected()), goScalars[f.typ.row()].parse)
	}
	decode := f.format
	if decode == formatJSON {
		decode = "decodeJSON"
	}
	how := "parsed"
	if f.optional {
		how = "mayParsed"
	}
	call := fmt.Sprintf("%s(r, %s, %s, %s)", how, goQuote(f.path), decode, w.reader(f.typ))
	if f.optional && (f.typ.kind == list || f.typ.kind == anything) {
		call = "deref(" + call + ")"
	}
	return call
}
