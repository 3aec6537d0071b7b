package kubeschema

import (
	"encoding/json"
	"fmt"
	"math"
	"net/mail"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation"
)

const objectMeta = "apimachinery.pkg.apis.meta.v1.ObjectMeta"

// customObject checks a custom resource: its fields against the schema, its
// metadata as the server reads those of every object.
func (c *checker) customObject(n *Node, o map[string]any) {
	c.customFields(n, nil, o, true)
	c.customStruct(n, nil, o)
	meta, err := c.schemas.named(objectMeta)
	if err == nil && o["metadata"] != nil {
		c.value(meta, (*at)(nil).child("metadata"), o["metadata"])
	}
	c.name(o, validation.IsDNS1123Subdomain)
	c.rules(n, o)
}

// custom checks a value as the server does after it has dropped the nulls of
// fields that take none.
func (c *checker) custom(n *Node, where *at, v any) {
	if v == nil && (n.custom.nullable || n.Type == "" && !n.custom.intOrString) {
		return
	}
	if !c.customType(n, where, v) {
		return
	}
	c.customValue(n, where, v)
	switch v := v.(type) {
	case map[string]any:
		c.customFields(n, where, v, n.custom.embedded)
		c.customStruct(n, where, v)
	case []any:
		for i, item := range v {
			if n.Items != nil {
				c.custom(n.Items, where.item(i, item), item)
			}
		}
	}
}

func (c *checker) customType(n *Node, where *at, v any) bool {
	_, isText := v.(string)
	_, isWhole := whole(v)
	ok, want := true, ""
	switch {
	case n.custom.intOrString:
		ok, want = isText || isWhole, "a whole number or a text"
	case n.Type == "string":
		ok, want = isText, "a text"
	case n.Type == "integer":
		ok, want = isWhole, "a whole number"
	case n.Type == "number":
		ok, want = isNumber(v), "a number"
	case n.Type == "boolean":
		_, ok = v.(bool)
		want = "a bool"
	case n.Type == "object":
		_, ok = v.(map[string]any)
		want = "an object"
	case n.Type == "array":
		_, ok = v.([]any)
		want = "a list"
	}
	if !ok {
		c.wrongType(where, want, v)
	}
	return ok
}

// customFields checks the fields of an object one by one. A root or an embedded
// object has some that its schema need not name.
func (c *checker) customFields(n *Node, where *at, m map[string]any, isObject bool) {
	for k, v := range m {
		p, ok := n.Properties[k]
		here := &at{parent: where, field: k}
		switch {
		case isObject && (k == "apiVersion" || k == "kind" || k == "metadata"):
		case ok && dropped(p, v):
		case ok:
			c.custom(p, here, v)
		case n.Values != nil && dropped(n.Values, v):
		case n.Values != nil:
			c.custom(n.Values, here, v)
		case !n.custom.preserve:
			c.add(here, UnknownField, nearest(k, keys(n.Properties)), "unknown field %q", k)
		}
	}
}

// dropped says whether the server takes a null away before it judges.
func dropped(n *Node, v any) bool { return v == nil && !n.custom.nullable }

// customStruct checks what is said of an object as a whole. A part of a schema
// below allOf and the like says nothing else.
func (c *checker) customStruct(n *Node, where *at, m map[string]any) {
	count := int64(0)
	for k, v := range m {
		if p := n.Properties[k]; p == nil || !dropped(p, v) {
			count++
		}
	}
	for _, name := range n.Required {
		p := n.Properties[name]
		if _, ok := m[name]; ok && (p == nil || !dropped(p, m[name])) || p != nil && p.custom.hasDefault {
			continue
		}
		c.add(where.child(name), Required, "", "the field is required")
	}
	c.bounds(where, "fields", count, n.custom.minProperties, n.custom.maxProperties)
}

// customValue checks what is said of a value besides its type.
func (c *checker) customValue(n *Node, where *at, v any) {
	u := n.custom
	if len(u.enum) > 0 && !slices.ContainsFunc(u.enum, func(e any) bool { return same(e, v) }) {
		values := make([]string, len(u.enum))
		for i, e := range u.enum {
			values[i] = fmt.Sprint(e)
		}
		c.add(where, Enum, nearest(fmt.Sprint(v), values), "%q is not among the values that the field takes", fmt.Sprint(v))
	}
	switch v := v.(type) {
	case string:
		c.bounds(where, "characters", int64(utf8.RuneCountInString(v)), u.minLength, u.maxLength)
		if u.pattern != nil && !u.pattern.MatchString(v) {
			c.add(where, Value, "", "%q does not match %s", v, u.pattern)
		}
		if check := formats[n.Format]; check != nil && !check(v) {
			c.add(where, Value, "", "%q is no %s", v, n.Format)
		}
	case []any:
		c.bounds(where, "items", int64(len(v)), u.minItems, u.maxItems)
		c.twice(n, where, v)
	default:
		c.number(n, where, v)
	}
	for _, part := range u.allOf {
		c.problems = append(c.problems, c.part(part, where, v)...)
	}
	matching := func(parts []*Node) int {
		matched := 0
		for _, part := range parts {
			if len(c.part(part, where, v)) == 0 {
				matched++
			}
		}
		return matched
	}
	if len(u.anyOf) > 0 && matching(u.anyOf) == 0 {
		c.add(where, Value, "", "is none of the %d forms that the schema knows", len(u.anyOf))
	}
	if n := len(u.oneOf); n > 0 {
		if matched := matching(u.oneOf); matched != 1 {
			c.add(where, Value, "", "must be one of the %d forms that the schema knows, and is %d of them", n, matched)
		}
	}
	if u.not != nil && len(c.part(u.not, where, v)) == 0 {
		c.add(where, Value, "", "is what the schema rules out")
	}
}

// part gives what a part of a schema has against a value. Such parts say nothing of
// which fields there are.
func (c *checker) part(n *Node, where *at, v any) []Problem {
	sub := checker{schemas: c.schemas, kind: c.kind, apiVersion: c.apiVersion}
	if !sub.customType(n, where, v) {
		return sub.problems
	}
	sub.customValue(n, where, v)
	switch v := v.(type) {
	case map[string]any:
		sub.customStruct(n, where, v)
		for k, p := range n.Properties {
			if value, ok := v[k]; ok && value != nil {
				sub.problems = append(sub.problems, sub.part(p, where.child(k), value)...)
			}
		}
		if n.Values != nil {
			for k, value := range v {
				sub.problems = append(sub.problems, sub.part(n.Values, where.child(k), value)...)
			}
		}
	case []any:
		for i, item := range v {
			if n.Items != nil {
				sub.problems = append(sub.problems, sub.part(n.Items, where.item(i, item), item)...)
			}
		}
	}
	return sub.problems
}

func (c *checker) bounds(where *at, what string, n int64, low, high *int64) {
	if low != nil && n < *low {
		c.add(where, Value, "", "must have at least %d %s", *low, what)
	}
	if high != nil && n > *high {
		c.add(where, Value, "", "may have at most %d %s", *high, what)
	}
}

func (c *checker) number(n *Node, where *at, v any) {
	f, ok := float(v)
	if !ok {
		return
	}
	u := n.custom
	if n.Format == "int32" && (f < math.MinInt32 || f > math.MaxInt32) {
		c.add(where, Value, "", "is too large for 32 bits")
	}
	if u.minimum != nil && (f < *u.minimum || u.exclusiveMinimum && f == *u.minimum) {
		c.add(where, Value, "", "must be at least %v", *u.minimum)
	}
	if u.maximum != nil && (f > *u.maximum || u.exclusiveMaximum && f == *u.maximum) {
		c.add(where, Value, "", "may be at most %v", *u.maximum)
	}
	if u.multipleOf != nil && *u.multipleOf > 0 && math.Abs(math.Remainder(f, *u.multipleOf)) > 1e-9 {
		c.add(where, Value, "", "must be a multiple of %v", *u.multipleOf)
	}
}

func float(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	case int:
		return float64(v), true
	}
	return 0, false
}

// twice says which items of a set, or of a list with keys, stand there twice.
func (c *checker) twice(n *Node, where *at, items []any) {
	u := n.custom
	if !u.unique && u.listType != "set" && u.listType != "map" {
		return
	}
	seen := map[string]bool{}
	for i, item := range items {
		identity := item
		if m, ok := item.(map[string]any); ok && u.listType == "map" {
			identity = identityOf(n.Items, m, u.listKeys)
		}
		text, err := json.Marshal(identity)
		if err != nil {
			return
		}
		if seen[string(text)] {
			c.add(where.item(i, item), Value, "", "stands there twice")
		}
		seen[string(text)] = true
	}
}

// identityOf gives the keys of a list's item. One whose key has a default that is
// not known here is like no other.
func identityOf(n *Node, m map[string]any, names []string) any {
	var identity []any
	for _, name := range names {
		v, ok := m[name]
		if p := n.Properties[name]; !ok && p != nil && p.custom.hasDefault {
			return fmt.Sprintf("%p", m)
		}
		identity = append(identity, v)
	}
	return identity
}

// same compares a value of an enum with one of an object.
func same(a, b any) bool {
	x, isNumber := float(a)
	y, areNumbers := float(b)
	if isNumber && areNumbers {
		return x == y
	}
	return reflect.DeepEqual(a, b)
}

// formats are those that the server checks of custom resources; it lets every text
// pass for one that it does not know.
var formats = map[string]func(string) bool{
	"ipv4": func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is4() },
	"ipv6": func(s string) bool {
		a, err := netip.ParseAddr(s)
		return err == nil && strings.Contains(s, ":") && a.IsValid()
	},
	"cidr": func(s string) bool { _, err := netip.ParsePrefix(s); return err == nil },
	"uri":  func(s string) bool { _, err := url.ParseRequestURI(s); return err == nil },
	"email": func(s string) bool {
		a, err := mail.ParseAddress(s)
		return err == nil && a.Address != ""
	},
	"date":      func(s string) bool { _, err := time.Parse(time.DateOnly, s); return err == nil },
	"date-time": func(s string) bool { return strings.ContainsAny(s, "-") && len(s) >= len(time.DateOnly) },
	"hostname":  func(s string) bool { return len(validation.IsDNS1123Subdomain(strings.ToLower(s))) == 0 || s != "" },
}
