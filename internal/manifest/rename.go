package manifest

import (
	"cmp"
	"hash/maphash"
	"regexp"
	"slices"
	"strings"
)

// Renames pairs removed with created objects of one group and kind whose
// contents are alike, and gives the list with such a pair as one change in the
// place of the created one: a Replace with From. Alike is the share of leaves
// that both have at the same paths, 1 for all, metadata.name apart; each line of
// a longer text is a leaf. The best pairs are made first, equal ones in the
// order of the list. What is masked on both sides counts as the same.
func Renames(changes []Change, threshold float64) []Change {
	seed := maphash.MakeSeed()
	removed, created := map[string][]content{}, map[string][]content{}
	for i, c := range changes {
		if c.Action != Remove {
			continue
		}
		kind := kindOf(c.Ref)
		removed[kind] = append(removed[kind], contentOf(seed, i, c.Before))
	}
	for i, c := range changes {
		if kind := kindOf(c.Ref); c.Action == Create && removed[kind] != nil {
			created[kind] = append(created[kind], contentOf(seed, i, c.After))
		}
	}
	type match struct {
		from, to int
		alike    float64
	}
	var matches []match
	for kind, olds := range removed {
		for _, old := range olds {
			for _, other := range created[kind] {
				if alike := old.alike(other, threshold); alike >= threshold {
					matches = append(matches, match{old.index, other.index, alike})
				}
			}
		}
	}
	slices.SortFunc(matches, func(m, n match) int {
		return cmp.Or(cmp.Compare(n.alike, m.alike), m.from-n.from, m.to-n.to)
	})
	from, gone := map[int]int{}, map[int]bool{}
	for _, m := range matches {
		if _, taken := from[m.to]; !taken && !gone[m.from] {
			from[m.to], gone[m.from] = m.from, true
		}
	}
	out := make([]Change, 0, len(changes)-len(gone))
	for i, c := range changes {
		if old, ok := from[i]; ok {
			c = renamed(changes[old], c)
		}
		if !gone[i] {
			out = append(out, c)
		}
	}
	return out
}

func kindOf(ref Ref) string { return ref.Group() + "/" + ref.Kind }

// renamed gives the change from an object to one of another name. Both are
// masked already.
func renamed(old, c Change) Change {
	between := Compare(c.Ref, old.Before, c.After, Unmasked())
	c.Action, c.From = Replace, &old.Ref
	c.Before, c.Fields = old.Before, between.Fields
	if between.Before != nil {
		c.Before, c.After = between.Before, between.After
	}
	return c
}

// content is what an object is made of, to compare it with others at little
// cost.
type content struct {
	index  int
	leaves []uint64 // hashes of paths and values, sorted
}

func contentOf(seed maphash.Seed, index int, fields map[string]any) content {
	c := content{index: index}
	c.add(seed, fields, nil)
	slices.Sort(c.leaves)
	return c
}

// add hashes leaves. Lists tell items apart by their contents alone, so that one
// more does not move the others.
func (c *content) add(seed maphash.Seed, v any, path []byte) {
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			below := append(append(path[:len(path):len(path)], 0), k...)
			if string(below) == "\x00metadata\x00name" {
				continue
			}
			c.add(seed, item, below)
		}
		return
	case []any:
		for _, item := range v {
			c.add(seed, item, append(path[:len(path):len(path)], 1))
		}
		return
	}
	for line := range strings.SplitSeq(plainText(v), "\n") {
		c.leaves = append(c.leaves, maphash.Bytes(seed, append(append(path[:len(path):len(path)], 2), line...)))
	}
}

// alike gives the share of leaves of both in all, or 0 where it cannot reach a
// threshold.
func (c content) alike(other content, threshold float64) float64 {
	total := len(c.leaves) + len(other.leaves)
	if total == 0 {
		return 1
	}
	if most := 2 * min(len(c.leaves), len(other.leaves)); float64(most) < threshold*float64(total) {
		return 0
	}
	shared := 0
	for i, j := 0, 0; i < len(c.leaves) && j < len(other.leaves); {
		switch {
		case c.leaves[i] < other.leaves[j]:
			i++
		case c.leaves[i] > other.leaves[j]:
			j++
		default:
			shared, i, j = shared+1, i+1, j+1
		}
	}
	return float64(2*shared) / float64(total)
}

// Suppress leaves out what a reader does not want to see: changes of objects of
// kinds, in whatever case they are written, and leaves whose path the pattern
// matches (nil: none). Such a leaf is taken out of Fields and Immutable and has
// its earlier value in After, so that Diff does not show it. An update that has
// no leaves left is Unchanged; a Replace, and an object that is new or gone, stay.
// changes itself is not touched.
func Suppress(changes []Change, kinds []string, pattern *regexp.Regexp) []Change {
	out := make([]Change, 0, len(changes))
	for _, c := range changes {
		unwanted := func(kind string) bool { return strings.EqualFold(kind, c.Ref.Kind) }
		if slices.ContainsFunc(kinds, unwanted) {
			continue
		}
		if pattern != nil && c.Before != nil && c.After != nil {
			c = suppress(c, pattern)
		}
		out = append(out, c)
	}
	return out
}

func suppress(c Change, pattern *regexp.Regexp) Change {
	match := func(f Field) bool { return pattern.MatchString(f.Path) }
	if !slices.ContainsFunc(c.Fields, match) {
		return c
	}
	c.Fields = slices.DeleteFunc(slices.Clone(c.Fields), match)
	c.Immutable = slices.DeleteFunc(slices.Clone(c.Immutable), pattern.MatchString)
	if len(c.Fields) == 0 && c.Action == Update {
		c.Action, c.Fields, c.Immutable, c.Before, c.After = Unchanged, nil, nil, nil, nil
		return c
	}
	w := walker{mask: Unmasked(), revert: pattern.MatchString}
	b, a := w.pair(c.Before, c.After, "", "", nil, false)
	c.Before, _ = b.(map[string]any)
	c.After, _ = a.(map[string]any)
	return c
}
