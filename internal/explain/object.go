package explain

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/render"
)

// Leaf is a field of a manifest that has no fields below it.
type Leaf struct {
	Object string // KIND/NAME
	Path   string
	Value  any
	index  int // of the object
}

// String gives KIND/NAME:PATH.
func (l Leaf) String() string { return l.Object + ":" + l.Path }

// node is a field of a manifest. Its leaves are numbered through all objects of a
// release.
type node struct {
	path        string
	value       any
	fields      []child
	items       []*node
	first, last int // leaves: first <= i < last
}

type child struct {
	key  string
	node *node
}

// objects are the manifests of a release.
type objects struct {
	list   []manifest.Object
	roots  []*node
	leaves []Leaf
}

func newObjects(list []manifest.Object) *objects {
	o := &objects{list: list}
	for i, object := range list {
		o.roots = append(o.roots, o.add(i, "", object.Fields))
	}
	return o
}

func (o *objects) add(object int, path string, v any) *node {
	n := &node{path: path, value: v, first: len(o.leaves)}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range sortedNames(v) {
			n.fields = append(n.fields, child{key, o.add(object, joined(path, key), v[key])})
		}
	case []any:
		named := allNamed(v)
		for i, item := range v {
			name := ""
			if named {
				name = nameOf(item)
			}
			n.items = append(n.items, o.add(object, path+segment(name, i), item))
		}
	}
	if len(n.fields)+len(n.items) == 0 {
		o.leaves = append(o.leaves, Leaf{Object: o.list[object].Ref.String(), Path: path, Value: v, index: object})
	}
	n.last = len(o.leaves)
	return n
}

// effect is what a change does to the leaves of a release.
type effect struct {
	altered []int // have another value
	gone    []int // are not there any more
}

// against compares with what other manifests a change has brought.
func (o *objects) against(other []manifest.Object) effect {
	var e effect
	partner := pairObjects(o.list, other)
	for i, root := range o.roots {
		if partner[i] < 0 {
			e.lose(root)
			continue
		}
		now := other[partner[i]]
		e.moved(root, now.Fields, o.list[i].Ref.String() != now.Ref.String())
	}
	return e
}

// moved compares what may have another name now. Then a path that names it leads
// nowhere any more, whatever the values are.
func (e *effect) moved(n *node, other any, renamed bool) {
	before := len(e.altered)
	e.compare(n, other)
	if !renamed {
		return
	}
	for i := n.first; i < n.last; i++ {
		if !slices.Contains(e.altered[before:], i) && !slices.Contains(e.gone, i) {
			e.gone = append(e.gone, i)
		}
	}
}

func (e *effect) lose(n *node) {
	for i := n.first; i < n.last; i++ {
		e.gone = append(e.gone, i)
	}
}

func (e *effect) compare(n *node, other any) {
	switch {
	case len(n.fields) > 0:
		m, ok := other.(map[string]any)
		if !ok {
			e.lose(n)
			return
		}
		for _, f := range n.fields {
			if v, ok := m[f.key]; ok {
				e.compare(f.node, v)
			} else {
				e.lose(f.node)
			}
		}
	case len(n.items) > 0:
		list, ok := other.([]any)
		if !ok {
			e.lose(n)
			return
		}
		e.items(n, list)
	case !reflect.DeepEqual(n.value, other):
		e.altered = append(e.altered, n.first)
	}
}

// pairObjects finds for each object the one that it has become: that of the same
// name, or else one of the same kind and template. It is -1 where there is none.
func pairObjects(list, other []manifest.Object) []int {
	place := func(o manifest.Object) string {
		return o.Ref.Group() + "/" + o.Ref.Kind + " " + render.Unnamed(o.Source)
	}
	return pair(len(list), len(other), func(i, j int) bool { return list[i].Ref.Key() == other[j].Ref.Key() },
		func(i, j int) bool { return place(list[i]) == place(other[j]) })
}

// items compares a list: by the names of the items, and else by their places.
func (e *effect) items(n *node, other []any) {
	if !allNamed(n.value.([]any)) {
		for i, item := range n.items {
			if i < len(other) {
				e.compare(item, other[i])
			} else {
				e.lose(item)
			}
		}
		return
	}
	if !allNamed(other) {
		e.lose(n)
		return
	}
	partner := pair(len(n.items), len(other), func(i, j int) bool { return nameOf(n.items[i].value) == nameOf(other[j]) },
		func(i, j int) bool { return len(n.items) == len(other) })
	for i, item := range n.items {
		if partner[i] < 0 {
			e.lose(item)
			continue
		}
		now := other[partner[i]]
		e.moved(item, now, nameOf(item.value) != nameOf(now))
	}
}

// pair pairs what is the same, and then, in their order, those left over that are
// alike.
func pair(n, m int, same, alike func(i, j int) bool) []int {
	partner, taken := make([]int, n), make([]bool, m)
	for i := range partner {
		partner[i] = -1
	}
	for _, rule := range []func(i, j int) bool{same, alike} {
		if rule == nil {
			continue
		}
		for i := range partner {
			for j := 0; j < m && partner[i] < 0; j++ {
				if !taken[j] && rule(i, j) {
					partner[i], taken[j] = j, true
				}
			}
		}
	}
	return partner
}

// allNamed says whether the items of a list are told apart by their names.
func allNamed(list []any) bool {
	seen := map[string]bool{}
	for _, item := range list {
		name := nameOf(item)
		if name == "" || seen[name] {
			return false
		}
		seen[name] = true
	}
	return len(list) > 0
}

func nameOf(item any) string {
	m, _ := item.(map[string]any)
	name, _ := m["name"].(string)
	return name
}

// find gives the nodes that a path names, from this one on, or how far it leads.
func (n *node) find(path string) (found *node, far *node, rest string) {
	path = strings.TrimPrefix(path, ".")
	if path == "" {
		return n, n, ""
	}
	far, rest = n, path
	try := func(next *node, left string) bool {
		got, reached, remains := next.find(left)
		if len(remains) < len(rest) {
			far, rest = reached, remains
		}
		found = got
		return got != nil
	}
	for i, item := range n.items {
		for _, step := range []string{strings.TrimPrefix(item.path, n.path), "[" + strconv.Itoa(i) + "]"} {
			if left, ok := after(path, step); ok && try(item, left) {
				return found, far, rest
			}
		}
	}
	// Keys with dots in them need no quotes: the longest that fits is meant.
	fields := slices.Clone(n.fields)
	slices.SortStableFunc(fields, func(a, b child) int { return len(b.key) - len(a.key) })
	for _, f := range fields {
		for _, step := range []string{f.key, `["` + f.key + `"]`, `['` + f.key + `']`} {
			if left, ok := after(path, step); ok && try(f.node, left) {
				return found, far, rest
			}
		}
	}
	return nil, far, rest
}

// after gives what follows a step of a path.
func after(path, step string) (string, bool) {
	rest, ok := strings.CutPrefix(path, step)
	if !ok || rest != "" && rest[0] != '.' && rest[0] != '[' {
		return "", false
	}
	return rest, true
}

// steps gives the next steps below a node.
func (n *node) steps() []string {
	var out []string
	for _, f := range n.fields {
		out = append(out, f.key)
	}
	for _, item := range n.items {
		out = append(out, strings.TrimPrefix(item.path, n.path))
	}
	return out
}
