// Package mutate makes mistakes in Kubernetes objects, of the kinds that people make: a misspelled field, a text for a number,
// a field that was forgotten, a value that is none of an enum, a version of an API that is gone. The same seed makes the same
// mistakes.
package mutate

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// Mutant is an object with a mistake in it. The server may take it all the same.
type Mutant struct {
	Object map[string]any
	// Mistake is the kind of mistake, and Path where it was made.
	Mistake, Path string
}

func (m Mutant) String() string {
	metadata, _ := m.Object["metadata"].(map[string]any)
	return fmt.Sprintf("%s at %s of %v %v", m.Mistake, m.Path, m.Object["kind"], metadata["name"])
}

// mistakes are the kinds, each with where it can be made and what it does there.
var mistakes = []struct {
	name  string
	fits  func(site) bool
	apply func(*rand.Rand, site)
}{
	{"rename a field", site.isField, func(r *rand.Rand, s site) { s.rename(misspell(r, s.key)) }},
	{"wrong type", site.anywhere, func(r *rand.Rand, s site) { s.set(ofAnotherType(r, s.value)) }},
	{"remove a field", site.isField, func(_ *rand.Rand, s site) { delete(s.parent, s.key) }},
	{"null", site.isField, func(_ *rand.Rand, s site) { s.set(nil) }},
	{"empty", site.canBeEmpty, func(_ *rand.Rand, s site) { s.set(emptied(s.value)) }},
	{"typo in a word", site.isWord, func(r *rand.Rand, s site) { s.set(misspell(r, s.value.(string))) }},
	{"wrong character", site.isText, func(r *rand.Rand, s site) {
		s.set(s.value.(string) + pick(r, []string{"_", " ", "/", "Ä", "-", ".", "%"}))
	}},
	{"wrong number", site.isNumber, func(r *rand.Rand, s site) { s.set(pick(r, []any{-1, 0, 65536, 1 << 40, 1.5})) }},
	{"twice", site.isList, func(r *rand.Rand, s site) { s.double(r) }},
	{"unknown field", site.isObject, func(r *rand.Rand, s site) {
		s.value.(map[string]any)[pick(r, []string{"kai", "enabled", "x-kai"})] = true
	}},
	{"version of the API", site.isVersion, func(r *rand.Rand, s site) { s.set(anotherVersion(r, s.value.(string))) }},
}

// Make makes a mistake in one of the objects, which stay as they are.
func Make(r *rand.Rand, objects []map[string]any) Mutant {
	for {
		kind := mistakes[r.IntN(len(mistakes))]
		object := copyOf(objects[r.IntN(len(objects))])
		var sites []site
		walk(object, "", func(s site) {
			if kind.fits(s) {
				sites = append(sites, s)
			}
		})
		if len(sites) == 0 {
			continue
		}
		s := sites[r.IntN(len(sites))]
		kind.apply(r, s)
		return Mutant{Object: object, Mistake: kind.name, Path: s.path}
	}
}

// Kinds are the names of the mistakes.
func Kinds() []string {
	var names []string
	for _, kind := range mistakes {
		names = append(names, kind.name)
	}
	return names
}

// site is a value in an object: a field of parent, or an item of list.
type site struct {
	path   string
	parent map[string]any
	key    string
	list   []any
	index  int
	value  any
}

func (s site) set(v any) {
	if s.parent != nil {
		s.parent[s.key] = v
		return
	}
	s.list[s.index] = v
}

func (s site) rename(name string) {
	delete(s.parent, s.key)
	s.parent[name] = s.value
}

// double makes an item of the list stand there twice.
func (s site) double(r *rand.Rand) {
	items := s.value.([]any)
	s.set(append(slices.Clone(items), items[r.IntN(len(items))]))
}

// Where kind and name are wrong, no server is asked: the address of the request has them as well.
func (s site) anywhere() bool {
	return s.path != "kind" && s.path != "apiVersion" && s.path != "metadata" && s.path != "metadata.namespace"
}
func (s site) isField() bool   { return s.anywhere() && s.parent != nil }
func (s site) isVersion() bool { return s.path == "apiVersion" }

func (s site) isText() bool {
	_, ok := s.value.(string)
	return ok && s.anywhere()
}

// isWord says whether a text looks like a value of an enum.
func (s site) isWord() bool {
	text, _ := s.value.(string)
	return s.isText() && len(text) > 2 && text[0] >= 'A' && text[0] <= 'Z' && !strings.ContainsAny(text, " /:.")
}

func (s site) isNumber() bool {
	_, ok := s.value.(float64)
	return ok
}

func (s site) isList() bool {
	items, _ := s.value.([]any)
	return len(items) > 0
}

func (s site) isObject() bool {
	_, ok := s.value.(map[string]any)
	return ok
}

func (s site) canBeEmpty() bool {
	switch s.value.(type) {
	case string, []any, map[string]any:
		return s.anywhere()
	}
	return false
}

func walk(v any, path string, visit func(site)) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			at := strings.TrimPrefix(path+"."+key, ".")
			visit(site{path: at, parent: v, key: key, value: v[key]})
			walk(v[key], at, visit)
		}
	case []any:
		for i, item := range v {
			at := fmt.Sprintf("%s[%d]", path, i)
			visit(site{path: at, list: v, index: i, value: item})
			walk(item, at, visit)
		}
	}
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// misspell makes another word of a word.
func misspell(r *rand.Rand, word string) string {
	letters := []rune(word)
	i := r.IntN(len(letters))
	switch r.IntN(4) {
	case 0:
		return string(slices.Delete(letters, i, i+1)) + "x"
	case 1:
		return string(slices.Insert(letters, i, letters[i]))
	case 2:
		return strings.ToUpper(word) + "s"
	}
	return word + "s"
}

func ofAnotherType(r *rand.Rand, v any) any {
	others := []any{"kai", 7, true, []any{"kai"}, map[string]any{"kai": "kai"}}
	switch v.(type) {
	case string:
		others = []any{7, true, 1.5, []any{"kai"}, map[string]any{"kai": "kai"}}
	case float64:
		others = []any{fmt.Sprint(v), true, []any{v}, map[string]any{"kai": "kai"}}
	case bool:
		others = []any{fmt.Sprint(v), 1, []any{v}}
	case []any:
		others = []any{"kai", 7, map[string]any{"kai": v}}
	case map[string]any:
		others = []any{"kai", 7, []any{v}}
	}
	return pick(r, others)
}

func emptied(v any) any {
	switch v.(type) {
	case string:
		return ""
	case []any:
		return []any{}
	}
	return map[string]any{}
}

func anotherVersion(r *rand.Rand, apiVersion string) string {
	group, _, grouped := strings.Cut(apiVersion, "/")
	version := pick(r, []string{"v1alpha1", "v1beta1", "v1beta2", "v2", "v2beta2", "v3"})
	if !grouped {
		return version
	}
	if r.IntN(4) == 0 {
		group = pick(r, []string{"extensions", "apps", "kai.example.com"})
	}
	return group + "/" + version
}

func copyOf(object map[string]any) map[string]any {
	data, err := json.Marshal(object)
	if err != nil {
		panic(err) // it came from JSON
	}
	var copied map[string]any
	if err := json.Unmarshal(data, &copied); err != nil {
		panic(err)
	}
	return copied
}
