package codegen

import "strings"

// dialect is what the writers of languages have in common: how they walk over the
// model, with the words in which they differ.
type dialect struct {
	scalars  scalars
	reserved []string                       // what no field may be called
	groups   []string                       // fields of the configuration that are no variables
	field    func(name string) string       // gives a name as fields have it
	quote    func(text string) string       // writes a literal
	want     [2]string                      // read a variable, and one that may be missing
	raw      string                         // the type of bytes
	list     func(item string) string       // gives the type of a list
	items    string                         // reads a list
	object   func(t *typ, want, at string)  // writes the type that names has for a map, and what reads it
	reads    string                         // begins the names of what reads maps
	choices  func(literals []string) string // gives the type of one of some texts, nil where it is text
	types    *scope
	names    map[*typ]string // of the types of maps
	structs  strings.Builder // these types
	readers  strings.Builder // and what reads them
}

// scalars are the types of values without parts, what makes them of a variable's text,
// and what reads them in a file.
type scalars map[kind]struct{ name, parse, read string }

// fields names the variables' fields.
func (d *dialect) fields(m *model) []string {
	s := newScope(d.reserved...)
	for _, name := range d.groups {
		s.name(name)
	}
	names := make([]string, len(m.vars))
	for i, v := range m.vars {
		names[i] = s.name(d.field(v.name))
	}
	return names
}

// variableType gives the type of a variable.
func (d *dialect) variableType(t *typ) string {
	if t.kind == choice && d.choices != nil {
		return d.choices(quotedAll(t.choices, d.quote))
	}
	return d.scalars[t.row()].name
}

// variable gives what reads a variable: the function and its arguments.
func (d *dialect) variable(v variable) (string, []string) {
	parse := d.scalars[v.typ.row()].parse
	if v.typ.kind == choice {
		parse += "(" + strings.Join(quotedAll(v.typ.choices, d.quote), ", ") + ")"
	}
	how := d.want[0]
	if v.optional {
		how = d.want[1]
	}
	return how, []string{"r", d.quote(v.name), d.quote(v.typ.expected()), parse}
}

// fileType gives the type of a file's field, name being what its own types begin with.
func (d *dialect) fileType(f file, name string) string {
	switch {
	case f.structured():
		return d.typeName(f.typ, name+"File", "the file "+printable(f.path))
	case f.format == formatRaw:
		return d.raw
	}
	return d.scalars[f.typ.row()].name
}

// typeName gives a type, and writes those of maps inside of it, once for each place.
// want is what such a type is called if it can be, at says where it stands.
func (d *dialect) typeName(t *typ, want, at string) string {
	switch t.kind {
	case list:
		return d.list(d.typeName(t.item, want, "an item of "+at))
	case object:
		if d.names[t] == "" {
			d.names[t] = d.types.name(want)
			d.object(t, d.names[t], at)
		}
		return d.names[t]
	}
	return d.scalars[t.row()].name
}

// reader gives the function that reads a type from a file.
func (d *dialect) reader(t *typ) string {
	switch t.kind {
	case list:
		return d.items + "(" + d.reader(t.item) + ")"
	case object:
		return d.reads + d.names[t]
	}
	return d.scalars[t.row()].read
}

func quotedAll(texts []string, quote func(string) string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = quote(t)
	}
	return out
}
