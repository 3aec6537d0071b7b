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
	wrong   bool // extends cannot be read
	done    bool
	order   []string // what it extends and itself, lowest first; nil where there is none
}

// Contexts are the contexts of one file, in its order.
type Contexts struct {
	path   string
	list   []*Context
	byName map[string]*Context
	broken source.Findings // why some have no order
}

// ReadContexts reads a list of contexts.
func ReadContexts(v *source.Value, path string, fs *source.Findings) *Contexts {
	cs := &Contexts{path: path, byName: map[string]*Context{}}
	if v.IsNull() {
		return cs
	}
	if v.Kind != source.List {
		fs.Add("wrong-type", v.Origin, path, "contexts are a list: - {name: dev, …}", "expected a list, got %s", v.Kind)
		return cs
	}
	folded := map[string]string{}
	for i, item := range v.Items {
		here := Item(path, i, item)
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
			for j, name := range e.Items {
				if !name.IsScalar() {
					cs.broken.Add("wrong-type", name.Origin, index(here+".extends", j), "write extends: [A, B]", "expected a name, got %s", name.Kind)
					c.wrong = true
				}
			}
			c.Extends = e.Strings()
		case e.IsScalar():
			c.Extends = []string{e.Str()}
		default:
			cs.broken.Add("wrong-type", e.Origin, here+".extends", "write extends: A, or extends: [A, B]", "expected a name or a list of names, got %s", e.Kind)
			c.wrong = true
		}
		cs.list = append(cs.list, c)
		cs.byName[name] = c
	}
	for _, c := range cs.list {
		here := path + "." + c.Name + ".extends"
		seen := map[string]bool{}
		for i, e := range slices.Clone(c.Extends) {
			switch {
			case cs.byName[e] == nil:
				cs.broken.Add("unknown-context", c.named(i), here, source.Nearest(e, cs.Names()), "there is no context %q", e)
			case seen[e]:
				fs.Add("duplicate-name", c.named(i), here, "keep one of the two", "the context %q stands here twice", e)
			}
			seen[e] = true
		}
		if len(seen) < len(c.Extends) {
			c.Extends = nil // the list is wrong already
		}
	}
	for _, c := range cs.list {
		cs.linearize(c, nil)
	}
	*fs = append(*fs, cs.broken...)
	return cs
}

// named gives where a context names one that it extends.
func (c *Context) named(i int) source.Origin {
	if c.extends.Kind == source.List {
		return c.extends.Items[i].Origin
	}
	return c.extends.Origin
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
// method resolution in Python has it. Where the names themselves cannot be kept
// in their order, the finding has no origin: the caller knows who named them.
func (cs *Contexts) Chain(names ...string) ([]*Context, source.Findings) {
	var lists [][]string
	for _, name := range names {
		c := cs.byName[name]
		if c == nil {
			continue
		}
		if c.order == nil {
			return nil, slices.Clone(cs.broken)
		}
		lists = append(lists, c.order)
	}
	order, ok := mergeOrders(lists, names)
	if !ok {
		return nil, source.Findings{outOfOrder(source.Origin{}, cs.path, names)}
	}
	out := make([]*Context, 0, len(order))
	for _, name := range order {
		if c := cs.byName[name]; c != nil {
			out = append(out, c)
		}
	}
	return out, nil
}

func outOfOrder(at source.Origin, path string, names []string) source.Finding {
	return source.Finding{
		Origin: at, Path: path, Code: "extends-order", Message: "no order of " + strings.Join(names, ", ") + " keeps what each of them extends",
		Hint: "list them in the order in which they extend one another",
	}
}

// linearize gives a context its order, itself last, and those that it extends
// theirs. trail are the contexts that are waiting for it.
func (cs *Contexts) linearize(c *Context, trail []string) {
	if c.done {
		return
	}
	here := cs.path + "." + c.Name + ".extends"
	trail = append(trail, c.Name)
	var lists [][]string
	ok := !c.wrong
	for i, name := range c.Extends {
		other := cs.byName[name]
		if other == nil {
			ok = false
			continue
		}
		if j := slices.Index(trail, name); j >= 0 {
			cs.broken.Add("cycle", c.named(i), here, "remove one of the extends", "the context %s extends itself: %s", name, strings.Join(append(slices.Clone(trail[j:]), name), " → "))
			ok = false
			continue
		}
		if len(trail) > maxChain {
			ok = false
			break
		}
		cs.linearize(other, trail)
		ok = ok && other.order != nil
		lists = append(lists, other.order)
	}
	c.done = true
	if len(trail) > maxChain || len(c.Extends) > maxChain {
		cs.broken.Add("limit", c.extends.Origin, here, "write fewer, larger contexts", "the context extends more than the bound of %d others", maxChain)
		return
	}
	if !ok {
		return
	}
	order, ok := mergeOrders(lists, c.Extends)
	if !ok {
		cs.broken = append(cs.broken, outOfOrder(c.extends.Origin, here, c.Extends))
		return
	}
	if len(order) > maxChain {
		cs.broken.Add("limit", c.extends.Origin, here, "write fewer, larger contexts", "the context extends more than the bound of %d others", maxChain)
		return
	}
	c.order = append(order, c.Name)
}

// maxChain bounds the contexts that one extends, by way of others or not.
const maxChain = 100

// mergeOrders joins the orders of several contexts and the list of these
// contexts to one order that keeps them all.
func mergeOrders(orders [][]string, names []string) (out []string, ok bool) {
	// The later a context stands, the more it has to say; the list of names
	// only decides where nothing else does.
	lists := slices.Clone(orders)
	slices.Reverse(lists)
	lists = append(lists, names)
	for {
		lists = slices.DeleteFunc(lists, func(list []string) bool { return len(list) == 0 })
		if len(lists) == 0 {
			slices.Reverse(out)
			return out, true
		}
		// From the end: a candidate is what no other list wants to come earlier.
		next := ""
		for _, list := range lists {
			last := list[len(list)-1]
			blocked := slices.ContainsFunc(lists, func(list []string) bool { return slices.Contains(list[:len(list)-1], last) })
			if !blocked {
				next = last
				break
			}
		}
		if next == "" {
			return nil, false
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
