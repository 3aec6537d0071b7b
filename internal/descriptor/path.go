package descriptor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
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

// Item gives the path of an item of a list of named things: by the name under which it
// is known, or else, as where that cannot be one, by its place.
func Item(path string, i int, item *source.Value) string {
	if name := knownAs(item); name != "" && !strings.ContainsAny(name, "./[]${} \t\n") {
		return join(path, name)
	}
	return index(path, i)
}

// knownAs gives the name under which an entry of a list is known, or "".
func knownAs(item *source.Value) string {
	return cmp.Or(item.Get("name").Str(), item.Get("from").Str(), item.Get("service").Str())
}
