package manifest

import (
	"slices"
	"strconv"
	"strings"
)

// alignment says how the items of two lists belong together.
type alignment struct {
	// keys are the fields that tell one item from another; the first set of them
	// that does for all items counts. Items without such a set stand by place.
	keys [][]string
	// set says that a list without keys is a set: its order means nothing.
	set bool
	// ordered says that a list with keys has an order that matters.
	ordered bool
}

var byName = alignment{keys: [][]string{{"name"}}}

// alignments says it by the name of the list, or by PARENT.NAME. The keys are
// those of Kubernetes' strategic merge (patchMergeKey and listMapKey in
// k8s.io/api), the sets those lists that controllers read as sets. A list that
// is not named here is ordered.
var alignments = map[string]alignment{
	"containers":                {keys: byName.keys},
	"initContainers":            {keys: byName.keys, ordered: true},
	"ephemeralContainers":       byName,
	"volumes":                   byName,
	"env":                       byName,
	"imagePullSecrets":          byName,
	"secrets":                   byName,
	"webhooks":                  byName,
	"sysctls":                   byName,
	"resourceClaims":            byName,
	"versions":                  byName,
	"ports":                     {keys: [][]string{{"containerPort", "protocol"}, {"port", "protocol"}, {"name"}}, set: true},
	"volumeMounts":              {keys: [][]string{{"mountPath"}}},
	"volumeDevices":             {keys: [][]string{{"devicePath"}}},
	"volumeClaimTemplates":      {keys: [][]string{{"metadata.name"}}},
	"topologySpreadConstraints": {keys: [][]string{{"topologyKey", "whenUnsatisfiable"}}, set: true},
	"hostAliases":               {keys: [][]string{{"ip"}}},
	"readinessGates":            {keys: [][]string{{"conditionType"}}},
	"ownerReferences":           {keys: [][]string{{"uid"}}},
	"configMap.items":           {keys: [][]string{{"key", "path"}}},
	"secret.items":              {keys: [][]string{{"key", "path"}}},
	"downwardAPI.items":         {keys: [][]string{{"path"}}},
	"tolerations":               {set: true},
	"envFrom":                   {set: true},
	"capabilities.add":          {set: true},
	"capabilities.drop":         {set: true},
	"matchExpressions":          {set: true},
	"subjects":                  {set: true},
	"policyTypes":               {set: true},
	"accessModes":               {set: true},
	"finalizers":                {set: true},
	"externalIPs":               {set: true},
	"loadBalancerSourceRanges":  {set: true},
	"rules.apiGroups":           {set: true},
	"rules.resources":           {set: true},
	"rules.resourceNames":       {set: true},
	"rules.verbs":               {set: true},
	"rules.nonResourceURLs":     {set: true},
}

func alignmentOf(parent, name string) alignment {
	if a, ok := alignments[name]; ok {
		return a
	}
	return alignments[parent+"."+name]
}

// pairing is how two lists belong together.
type pairing struct {
	// of gives for each item of the first list its place in the second, or -1.
	of []int
	// keys are the fields by which items were told apart, or nil.
	keys []string
	// set says that the lists are sets without keys.
	set bool
}

// pair finds what belongs together in two lists, b and a.
func (r alignment) pair(b, a []any) pairing {
	for _, keys := range r.keys {
		if of, ok := pairByKeys(keys, b, a); ok {
			return pairing{of: of, keys: keys}
		}
	}
	if r.set {
		return pairing{of: pairSet(b, a), set: true}
	}
	return pairing{of: pairByPlace(b, a)}
}

// pairByKeys fails where an item has not all the keys, or two of a list share
// them.
func pairByKeys(keys []string, b, a []any) ([]int, bool) {
	place := make(map[string]int, len(a))
	for i, item := range a {
		id, ok := identity(keys, item)
		if _, twice := place[id]; !ok || twice {
			return nil, false
		}
		place[id] = i
	}
	of := make([]int, len(b))
	seen := make(map[string]bool, len(b))
	for i, item := range b {
		id, ok := identity(keys, item)
		if !ok || seen[id] {
			return nil, false
		}
		seen[id] = true
		of[i] = -1
		if j, ok := place[id]; ok {
			of[i] = j
		}
	}
	return of, true
}

// identity gives what tells an item from others, as a path shows it:
// name=carts. A missing protocol is TCP.
func identity(keys []string, item any) (string, bool) {
	m, ok := item.(map[string]any)
	if !ok {
		return "", false
	}
	var b strings.Builder
	for i, key := range keys {
		var v any
		if parent, child, deep := strings.Cut(key, "."); deep {
			inner, _ := m[parent].(map[string]any)
			v = inner[child]
		} else {
			v = m[key]
		}
		if v == nil && key == "protocol" {
			v = "TCP"
		}
		switch v.(type) {
		case nil, map[string]any, []any:
			return "", false
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(key)
		b.WriteByte('=')
		b.WriteString(keyLabel(plainText(v)))
	}
	return b.String(), true
}

// keyLabel quotes what would not be read back as one value of a path.
func keyLabel(text string) string {
	if text == "" || strings.ContainsAny(text, "\"[]=,\n\r") {
		return strconv.Quote(text)
	}
	return text
}

// pairSet pairs equal items first, and then what is left in its order, so that
// an item that was changed reads as a change.
func pairSet(b, a []any) []int {
	of := make([]int, len(b))
	taken := make([]bool, len(a))
	places := make(map[string][]int, len(a))
	for j, item := range a {
		id := fingerprint(item)
		places[id] = append(places[id], j)
	}
	for i, item := range b {
		of[i] = -1
		id := fingerprint(item)
		if free := places[id]; len(free) > 0 {
			of[i], places[id] = free[0], free[1:]
			taken[free[0]] = true
		}
	}
	j := 0
	for i := range b {
		if of[i] >= 0 {
			continue
		}
		for j < len(a) && taken[j] {
			j++
		}
		if j == len(a) {
			break
		}
		of[i], taken[j] = j, true
	}
	return of
}

// fingerprint gives a text that is the same for equal values.
func fingerprint(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return YAML(map[string]any{"": v})
}

// pairByPlace pairs what is the same at both ends, and between them by place.
func pairByPlace(b, a []any) []int {
	of := make([]int, len(b))
	head := 0
	for head < len(b) && head < len(a) && sameValue(b[head], a[head]) {
		of[head] = head
		head++
	}
	tail := 0
	for tail < len(b)-head && tail < len(a)-head && sameValue(b[len(b)-1-tail], a[len(a)-1-tail]) {
		of[len(b)-1-tail] = len(a) - 1 - tail
		tail++
	}
	for i := head; i < len(b)-tail; i++ {
		of[i] = -1
		if i < len(a)-tail {
			of[i] = i
		}
	}
	return of
}

// moved says whether the items that both lists have stand in another order.
func (p pairing) moved() bool {
	common := slices.DeleteFunc(slices.Clone(p.of), func(j int) bool { return j < 0 })
	return !slices.IsSorted(common)
}

// slot is a place in the list that two aligned lists make together: an item of
// the first, of the second (-1: none), or both.
type slot struct {
	b, a  int
	label string // name=carts, or a number
}

// slots gives what is in either list in the order of the second; what only the
// first has stands behind what it stood behind there.
func (p pairing) slots(b, a []any) []slot {
	from := make([]int, len(a))
	for j := range from {
		from[j] = -1
	}
	gone := map[int][]int{}
	last := -1
	for i, j := range p.of {
		if j < 0 {
			gone[last] = append(gone[last], i)
			continue
		}
		from[j], last = i, j
	}
	out := make([]slot, 0, len(a)+len(b))
	extra := 0
	remove := func(after int) {
		for _, i := range gone[after] {
			// The numbers of a set's items that are gone follow those that it has.
			number := i
			if p.set {
				number = len(a) + extra
			}
			extra++
			out = append(out, slot{b: i, a: -1, label: p.label(b[i], number)})
		}
	}
	remove(-1)
	for j := range a {
		out = append(out, slot{b: from[j], a: j, label: p.label(a[j], j)})
		remove(j)
	}
	return out
}

func (p pairing) label(item any, number int) string {
	if p.keys != nil {
		id, _ := identity(p.keys, item)
		return id
	}
	return strconv.Itoa(number)
}

// sameValue says whether two values are the same, whatever Go type a number
// has.
func sameValue(b, a any) bool {
	switch b := b.(type) {
	case map[string]any:
		a, ok := a.(map[string]any)
		if !ok || len(b) != len(a) {
			return false
		}
		for k, v := range b {
			other, there := a[k]
			if !there || !sameValue(v, other) {
				return false
			}
		}
		return true
	case []any:
		a, ok := a.([]any)
		if !ok || len(b) != len(a) {
			return false
		}
		for i := range b {
			if !sameValue(b[i], a[i]) {
				return false
			}
		}
		return true
	case string:
		a, ok := a.(string)
		return ok && b == a
	case bool:
		a, ok := a.(bool)
		return ok && b == a
	case nil:
		return a == nil
	case int64:
		switch a := a.(type) {
		case int64:
			return b == a
		case float64:
			return float64(b) == a
		}
	case float64:
		switch a := a.(type) {
		case int64:
			return b == float64(a)
		case float64:
			return b == a
		}
	}
	switch a.(type) {
	case nil, string, bool, map[string]any, []any:
		return false
	}
	return plainText(b) == plainText(a)
}
