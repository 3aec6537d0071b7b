package main

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// fieldAt words the path of what a finding is about one way: from the beginning of the
// file, with the names of named things instead of their numbers.
func (v *validation) fieldAt(at source.Position, field string) string {
	if field == "" || at.Line == 0 || !strings.HasSuffix(at.File, ".yaml") {
		return field
	}
	root, known := v.roots[at.File]
	if !known {
		if v.roots == nil {
			v.roots = map[string]*source.Value{}
		}
		root, _ = source.ReadYAML(v.read.FS, at.File) // what is wrong with it has been said
		v.roots[at.File] = root
	}
	field = byName(root, field)
	if whole := pathTo(root, "", at); whole != "" && (endsWith(whole, field) || endsWith(numbered(root, "", at), field)) {
		return whole
	}
	return field
}

// namedNumbers are the keys and the numbers of a path.
var namedNumbers = regexp.MustCompile(`[^.\[\]]+|\[\d+\]`)

// byName gives a path from the beginning of a file with names instead of numbers, as far
// as it leads through the file.
func byName(v *source.Value, field string) string {
	at, rest := "", field
	for v != nil && rest != "" {
		step := namedNumbers.FindString(rest)
		here := strings.TrimPrefix(at+"."+step, ".")
		if number, ok := strings.CutPrefix(step, "["); ok {
			i, _ := strconv.Atoi(strings.TrimSuffix(number, "]"))
			if i >= len(v.ItemsOrNone()) {
				break
			}
			v = v.Items[i]
			here = itemPath(at, i, v)
		} else {
			v = v.Get(step)
		}
		if v == nil || step == "" {
			break
		}
		at, rest = here, strings.TrimPrefix(rest[len(step):], ".")
	}
	switch {
	case at == "" || rest == "" || strings.HasPrefix(rest, "["):
		return at + rest
	}
	return at + "." + rest
}

// itemPath gives the path of a list's item: by name, or a friend's by what it says.
func itemPath(path string, i int, item *source.Value) string {
	if item.IsScalar() && strings.HasSuffix(path, ".friends") {
		return path + "." + item.Text
	}
	return descriptor.Item(path, i, item)
}

// endsWith says whether a path ends with the fields of another one.
func endsWith(whole, field string) bool {
	return whole == field || strings.HasSuffix(whole, "."+field)
}

// pathTo gives the path of the key or the value at a place, by names, or "".
func pathTo(v *source.Value, here string, at source.Position) string {
	return walkTo(v, here, at, itemPath)
}

// numbered gives the same by numbers.
func numbered(v *source.Value, here string, at source.Position) string {
	return walkTo(v, here, at, func(path string, i int, _ *source.Value) string { return descriptor.Index(path, i) })
}

func walkTo(v *source.Value, here string, at source.Position, item func(string, int, *source.Value) string) string {
	for _, f := range v.FieldsOrNone() {
		below := strings.TrimPrefix(here+"."+f.Key, ".")
		if found := walkTo(f.Value, below, at, item); found != "" {
			return found
		}
		if f.Origin.Position == at || f.Value.OriginOrNone().Position == at {
			return below
		}
	}
	for i, one := range v.ItemsOrNone() {
		below := item(here, i, one)
		if found := walkTo(one, below, at, item); found != "" {
			return found
		}
		if one.OriginOrNone().Position == at {
			return below
		}
	}
	return ""
}
