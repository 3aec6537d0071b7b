package descriptor

import (
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Context is a named set of fields, in a descriptor, a friend or a workspace.
type Context struct {
	Name    string
	Extends []string
	Fields  *source.Value // without name and extends
	Origin  source.Origin
	extends *source.Value
}

// Contexts are the contexts of one file, in its order.
type Contexts struct {
	list   []*Context
	byName map[string]*Context
}

// ReadContexts reads a list of contexts.
func ReadContexts(v *source.Value, path string, fs *source.Findings) *Contexts {
	cs := &Contexts{byName: map[string]*Context{}}
	if v.IsNull() {
		return cs
	}
	if v.Kind != source.List {
		fs.Add("wrong-type", v.Origin, path, "contexts are a list: - {name: dev, …}", "expected a list, got %s", v.Kind)
		return cs
	}
	folded := map[string]string{}
	for i, item := range v.Items {
		here := index(path, i)
		name := item.Get("name").Str()
		if item.Kind != source.Map || name == "" {
			fs.Add("name", item.Origin, here, "write {name: …}", "a context has no name")
			continue
		}
		if at, ok := InvalidName(name); !ok {
			fs.Add("name", item.Get("name").Origin, here, "use a to z, 0 to 9 and -", "%q is no name for a context: %s", name, at)
			continue
		}
		if other, ok := folded[strings.ToLower(name)]; ok {
			message := "the context %q stands here twice"
			if other != name {
				message = "the context %q differs only in case from another"
			}
			fs.Add("duplicate-name", item.Get("name").Origin, here, "rename one of the two", message, name)
			continue
		}
		folded[strings.ToLower(name)] = name
		c := &Context{Name: name, Origin: item.Origin, extends: item.Get("extends")}
		c.Fields = item.Shallow()
		c.Fields.Delete("name")
		c.Fields.Delete("extends")
		switch e := c.extends; {
		case e.IsNull():
		case e.Kind == source.List:
			c.Extends = e.Strings()
		case e.IsScalar():
			c.Extends = []string{e.Str()}
		default:
			fs.Add("wrong-type", e.Origin, here+".extends", "", "expected a name or a list of names, got %s", e.Kind)
		}
		cs.list = append(cs.list, c)
		cs.byName[name] = c
	}
	for _, c := range cs.list {
		for _, e := range c.Extends {
			if cs.byName[e] == nil {
				fs.Add("unknown-context", c.extends.Origin, path+"."+c.Name+".extends", source.Nearest(e, cs.Names()), "there is no context %q", e)
			}
		}
	}
	return cs
}

// Get gives a context by name, or nil.
func (cs *Contexts) Get(name string) *Context { return cs.byName[name] }

// Names gives the contexts' names in the order of the file.
func (cs *Contexts) Names() []string {
	names := make([]string, len(cs.list))
	for i, c := range cs.list {
		names[i] = c.Name
	}
	return names
}

// Chain gives the contexts to apply, lowest first, so that each of the named
// ones stands once and after all that it extends, and the order in which a
// context lists what it extends is kept. This is the C3 linearization, as
// method resolution in Python has it.
func (cs *Contexts) Chain(path string, names ...string) ([]*Context, source.Findings) {
	var fs source.Findings
	l := linearizer{cs: cs, path: path, findings: &fs, busy: map[string]bool{}}
	order := l.merge(names, nil)
	if len(fs) > 0 {
		return nil, fs
	}
	out := make([]*Context, 0, len(order))
	for _, name := range order {
		out = append(out, cs.byName[name])
	}
	return out, nil
}

type linearizer struct {
	cs       *Contexts
	path     string
	findings *source.Findings
	busy     map[string]bool
}

// of gives the order for one context, itself last.
func (l *linearizer) of(name string) []string {
	c := l.cs.byName[name]
	if c == nil {
		return nil
	}
	if l.busy[name] {
		l.findings.Add("cycle", c.extends.Origin, l.path+"."+name+".extends", "remove one of the extends", "the context %q extends itself", name)
		return nil
	}
	l.busy[name] = true
	defer delete(l.busy, name)
	return append(l.merge(c.Extends, c), name)
}

// merge joins the orders of several contexts and the list of them itself.
func (l *linearizer) merge(names []string, by *Context) []string {
	var lists [][]string
	for _, name := range names {
		order := l.of(name)
		if len(*l.findings) > 0 {
			return nil
		}
		lists = append(lists, order)
	}
	lists = append(lists, slices.Clone(names))
	var out []string
	for {
		lists = slices.DeleteFunc(lists, func(list []string) bool { return len(list) == 0 })
		if len(lists) == 0 {
			slices.Reverse(out)
			return out
		}
		// From the end: a candidate is what no other list wants to come earlier.
		next := ""
		for i := len(lists) - 1; i >= 0 && next == ""; i-- {
			last := lists[i][len(lists[i])-1]
			blocked := slices.ContainsFunc(lists, func(list []string) bool { return slices.Contains(list[:len(list)-1], last) })
			if !blocked {
				next = last
			}
		}
		if next == "" {
			at := source.Origin{}
			if by != nil {
				at = by.extends.Origin
			}
			l.findings.Add("extends-order", at, l.path, "list them in the order in which they extend one another", "no order of %s keeps what each of them extends", strings.Join(names, ", "))
			return nil
		}
		out = append(out, next)
		for i, list := range lists {
			if list[len(list)-1] == next {
				lists[i] = list[:len(list)-1]
			}
		}
	}
}

// Choose gives the contexts of a service or a friend that apply in a workspace's
// context: those named by uses, or else the one of the same name, of a context
// that this one extends, or base. An empty result means that there is none.
func (cs *Contexts) Choose(uses []string, lineage []string) []string {
	if len(uses) > 0 {
		var out []string
		for _, name := range uses {
			if cs.byName[name] != nil {
				out = append(out, name)
			}
		}
		return out
	}
	for _, name := range lineage {
		if cs.byName[name] != nil {
			return []string{name}
		}
	}
	if cs.byName["base"] != nil {
		return []string{"base"}
	}
	return nil
}
