package codegen

import (
	"fmt"
	"slices"
	"strings"
)

// tsWriter writes TypeScript that only has to lose its types to run.
type tsWriter struct{ dialect }

// tsScalars are the types of variables, and what reads them.
var tsScalars = scalars{
	text:     {"string", "asText", "placeText"},
	integer:  {"number", "asInt", "placeInt"},
	float:    {"number", "asFloat", "placeFloat"},
	boolean:  {"boolean", "asBool", "placeBool"},
	duration: {"number", "asDuration", "placeDuration"},
	address:  {"URL", "asURL", "placeURL"},
	secret:   {"Secret", "asSecret", "placeSecret"},
	blank:    {"Secret", "asBlankSecret", "placeBlankSecret"},
	choice:   {"", "asChoice", ""},
	anything: {"unknown", "", "placeAny"},
}

// writeTypeScript writes one module.
func writeTypeScript(m *model, in Input) ([]byte, error) {
	w := &tsWriter{dialect{
		scalars: tsScalars, groups: []string{"files", "folders", "ports"}, field: camel, quote: tsQuote,
		want: [2]string{"want", "may"}, raw: "Uint8Array", list: tsList, items: "items", reads: "read",
		choices: func(literals []string) string { return strings.Join(literals, " | ") },
		types:   newScope(), names: map[*typ]string{},
	}}
	w.object = w.writeObject
	for _, p := range partsOf["typescript"]() {
		w.types.name(p.name)
	}
	config := w.config(m)
	code := config + w.structs.String() + w.constructor(m) + w.readers.String()
	// Classes come first: they are not there before they are declared.
	body := config + w.structs.String() + needed("typescript", code) + w.constructor(m) + w.readers.String()
	var b strings.Builder
	fmt.Fprintf(&b, "// %s\n// %s\n\n", Mark, printable(in.Command))
	b.WriteString("import { readFileSync } from \"node:fs\";\nimport { join } from \"node:path\";\n\n")
	b.WriteString(strings.TrimRight(body, "\n") + "\n")
	return []byte(b.String()), nil
}

// doc writes a comment above a line.
func tsDoc(indent string, words ...string) string {
	return fmt.Sprintf("%s/** %s */\n", indent, strings.Join(words, ", "))
}

// unit says what a number of a duration means.
func unit(t *typ, doc []string, word string) []string {
	doc = slices.Clone(doc)
	if t != nil && t.kind == duration && len(doc) > 0 {
		doc[0] += " " + word
	}
	return doc
}

func (w *tsWriter) config(m *model) string {
	var b strings.Builder
	b.WriteString(tsDoc("", "What the service "+printable(m.service)+" gets from its contexts."))
	b.WriteString("export interface Config {\n")
	names := w.fields(m)
	for i, v := range m.vars {
		b.WriteString(tsDoc("  ", "The variable "+printable(v.name)+": "+strings.Join(unit(v.typ, v.doc, "in milliseconds"), ", ")+"."))
		fmt.Fprintf(&b, "  readonly %s: %s;\n", names[i], orUndefined(w.variableType(v.typ), v.optional))
	}
	if len(m.files) > 0 {
		b.WriteString(tsDoc("  ", "The files that are mounted.") + "  readonly files: {\n")
		fields := newScope()
		for _, f := range m.files {
			name := fields.name(camel(f.stem()))
			b.WriteString(tsDoc("    ", "The file "+printable(f.path)+": "+strings.Join(f.doc, ", ")+"."))
			fmt.Fprintf(&b, "    readonly %s: %s;\n", name, orUndefined(w.fileType(f, pascal(f.stem(), false)), f.optional))
		}
		b.WriteString("  };\n")
	}
	if len(m.dirs) > 0 {
		b.WriteString(tsDoc("  ", "The folders that are mounted, where the process finds them.") + "  readonly folders: {\n")
		fields := newScope()
		for _, d := range m.dirs {
			b.WriteString(tsDoc("    ", "The folder "+strings.Join(d.doc, ", ")+"."))
			fmt.Fprintf(&b, "    readonly %s: string;\n", fields.name(camel(d.name)))
		}
		b.WriteString("  };\n")
	}
	if len(m.ports) > 0 {
		b.WriteString(tsDoc("  ", "The ports that the container opens, the same in all contexts.") + "  readonly ports: {\n")
		fields := newScope()
		for _, p := range m.ports {
			b.WriteString(tsDoc("    ", "The route "+printable(p.name)+"."))
			fmt.Fprintf(&b, "    readonly %s: number;\n", fields.name(camel(p.name)))
		}
		b.WriteString("  };\n")
	}
	return b.String() + "}\n\n"
}

func orUndefined(name string, may bool) string {
	if may && name != "unknown" {
		return name + " | undefined"
	}
	return name
}

// tsList gives the type of a list.
func tsList(item string) string {
	if strings.Contains(item, " ") {
		item = "(" + item + ")"
	}
	return "readonly " + item + "[]"
}

// writeObject writes the type of a map, and what reads it. at says where it stands.
func (w *tsWriter) writeObject(t *typ, name, at string) {
	var b, r strings.Builder
	b.WriteString(tsDoc("", "What stands in "+at+"."))
	fmt.Fprintf(&b, "export interface %s {\n", name)
	fmt.Fprintf(&r, "function read%s(at: Place): %[1]s {\n  const fields = fieldsOf(at);\n  return {\n", name)
	fields := newScope()
	for _, f := range t.fields {
		fieldName := fields.name(camel(f.key))
		of := w.typeName(f.typ, name+pascal(f.key, false), printable(f.key)+" of "+name)
		b.WriteString(tsDoc("  ", capital(f.doc(" in milliseconds"))+"."))
		fmt.Fprintf(&b, "  readonly %s: %s;\n", fieldName, orUndefined(of, f.optional))
		args := []string{"at", "fields", tsQuote(f.key), tsQuote(f.typ.expected()), w.reader(f.typ)}
		how := "key"
		if f.optional {
			how, args = "mayKey", slices.Delete(args, 3, 4)
		}
		r.WriteString(laidOut("    ", fieldName+": "+how, args))
	}
	b.WriteString("}\n\n")
	r.WriteString("  };\n}\n\n")
	w.structs.WriteString(b.String())
	w.readers.WriteString(r.String())
}

// laidOut writes a call as an entry of a literal, on several lines where it is long.
func laidOut(indent, name string, args []string) string {
	line := indent + name + "(" + strings.Join(args, ", ") + "),"
	if width(line) <= 80 {
		return line + "\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s(\n", indent, name)
	for _, arg := range args {
		fmt.Fprintf(&b, "%s  %s,\n", indent, arg)
	}
	fmt.Fprintf(&b, "%s),\n", indent)
	return b.String()
}

// capital begins a sentence.
func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

func width(line string) int { return len([]rune(line)) }

// constructor writes load.
func (w *tsWriter) constructor(m *model) string {
	var params strings.Builder
	parsers := ""
	for _, f := range m.formats() {
		fmt.Fprintf(&params, "\n  %s: Parse,", f)
		parsers = " What\n * parses the files comes from a library of your own."
	}
	const own = "env: Environment = process.env, read?: ReadFile"
	if parsers == "" {
		params.WriteString(own)
	} else {
		fmt.Fprintf(&params, "\n  %s,\n", strings.ReplaceAll(own, ", ", ",\n  "))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `const rootVariable = %q;
const localFile = %q;

/**
 * Reads the configuration, and throws a ConfigError with all that is wrong.%s
 *
 * On a laptop %s names a folder that stands for the container's root,
 * and its file %s has the variables that the environment does not.
 * Files of your own, for tests, are given by their paths in the container.
 */
export function load(%s): Config {
  const local = env[rootVariable] ?? "";
  const root = local === "" ? "/" : local;
  const r = read
    ? new Reader(env, read)
    : new Reader(local === "" ? env : withLocal(env, root), fileBelow(root));
  const config: Config = {
`, RootVariable, LocalFile, parsers, RootVariable, LocalFile, params.String())
	names := w.fields(m)
	for i, v := range m.vars {
		how, args := w.variable(v)
		b.WriteString(laidOut("    ", names[i]+": "+how, args))
	}
	if len(m.files) > 0 {
		fields := newScope()
		b.WriteString("    files: {\n")
		for _, f := range m.files {
			how, args := w.file(f)
			b.WriteString(laidOut("      ", fields.name(camel(f.stem()))+": "+how, args))
		}
		b.WriteString("    },\n")
	}
	if len(m.dirs) > 0 {
		fields := newScope()
		b.WriteString("    folders: {\n")
		for _, d := range m.dirs {
			b.WriteString(laidOut("      ", fields.name(camel(d.name))+": join", []string{"root", tsQuote(d.path)}))
		}
		b.WriteString("    },\n")
	}
	if len(m.ports) > 0 {
		fields := newScope()
		b.WriteString("    ports: {\n")
		for _, p := range m.ports {
			fmt.Fprintf(&b, "      %s: %d,\n", fields.name(camel(p.name)), p.number)
		}
		b.WriteString("    },\n")
	}
	b.WriteString("  };\n  if (r.problems.length > 0) {\n    throw new ConfigError(r.problems);\n  }\n  return config;\n}\n\n")
	return b.String()
}

// file reads a file: the function and its arguments.
func (w *tsWriter) file(f file) (how string, args []string) {
	path := tsQuote(f.path)
	switch {
	case f.format == formatRaw && f.optional:
		return "content", []string{"r", path, "true"}
	case f.format == formatRaw:
		return "bytesFile", []string{"r", path}
	case f.structured():
		how = "parsed"
		if f.optional {
			how = "mayParsed"
		}
		parse := f.format
		if parse == formatJSON {
			parse = "parseJSON"
		}
		return how, []string{"r", path, parse, w.reader(f.typ)}
	case f.optional:
		return "mayTextFile", []string{"r", path, tsQuote(f.typ.expected()), tsScalars[f.typ.row()].parse}
	}
	return "textFile", []string{"r", path, tsQuote(f.typ.expected()), tsScalars[f.typ.row()].parse}
}
