package descriptor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// Index gives the path of a list's item.
func Index(path string, i int) string { return index(path, i) }
