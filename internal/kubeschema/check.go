package kubeschema

import (
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/helm-kai/helm-kai/internal/source"
)

// checker collects what is wrong with one object.
type checker struct {
	schemas          *Schemas
	apiVersion, kind string
	problems         []Problem
	// decodeOnly is above zero where the server reads, but does not judge: in the
	// status, and in the claims of a StatefulSet.
	decodeOnly int
	// claimTemplates are those of a StatefulSet, which become volumes of its pods.
	claimTemplates []map[string]any
}

// at is where a value stands. It becomes a path only when there is a problem.
type at struct {
	parent *at
	field  string
	index  int // of a list's item, whose field is its name or ""
	isItem bool
}

func (a *at) child(field string) *at { return &at{parent: a, field: field} }

func (a *at) item(i int, v any) *at {
	name := ""
	if m, ok := v.(map[string]any); ok {
		name, _ = m["name"].(string)
	}
	return &at{parent: a, field: name, index: i, isItem: true}
}

func (a *at) String() string {
	if a == nil {
		return ""
	}
	path := a.parent.String()
	switch {
	case a.isItem && a.field != "" && !strings.ContainsAny(a.field, `[]"`):
		return path + "[name=" + a.field + "]"
	case a.isItem:
		return path + "[" + strconv.Itoa(a.index) + "]"
	case a.field == "" || strings.ContainsAny(a.field, `.[]"`):
		return path + "[" + strconv.Quote(a.field) + "]"
	case path == "":
		return a.field
	}
	return path + "." + a.field
}

func (c *checker) add(where *at, code Code, hint, format string, args ...any) {
	c.problems = append(c.problems, Problem{Path: where.String(), Code: code, Hint: hint, Message: fmt.Sprintf(format, args...)})
}

// claimsJudged is the first minor that judges the claims of StatefulSets.
const claimsJudged = 34

// object checks an object of one of Kubernetes' own kinds.
func (c *checker) object(kind Kind, object map[string]any) {
	n, err := c.schemas.named(kind.Definition)
	if err != nil { // of the embedded file, which a test holds
		c.add(nil, UnknownKind, "", "%v", err)
		return
	}
	spec, _ := object["spec"].(map[string]any)
	c.claimTemplates = list(spec, "volumeClaimTemplates")
	c.fields(n, nil, object)
	c.name(object, names[c.kind])
}

// value checks a value of Kubernetes' own types, as Go's decoder takes it: a null
// is as if nothing stood there.
func (c *checker) value(n *Node, where *at, v any) {
	if v == nil {
		return
	}
	switch n.special {
	case quantity:
		c.quantity(where, v)
		return
	case intOrString:
		if i, ok := whole(v); ok {
			c.inRange(where, "int32", i)
		} else if _, ok := v.(string); !ok {
			c.wrongType(where, "a number or a text", v)
		}
		return
	case timestamp:
		c.time(where, v)
		return
	case anything:
		return
	}
	switch n.Type {
	case "object":
		m, ok := v.(map[string]any)
		if !ok {
			c.wrongType(where, "an object", v)
			return
		}
		c.fields(n, where, m)
	case "array":
		list, ok := v.([]any)
		if !ok {
			c.wrongType(where, "a list", v)
			return
		}
		for i, item := range list {
			if n.Items == nil {
				continue
			}
			if item == nil && n.Items.Type == "object" && n.Items.Properties != nil {
				item = map[string]any{} // what a null is in a list of structs
			}
			c.value(n.Items, where.item(i, item), item)
		}
	default:
		c.scalar(n, where, v)
	}
}

func (c *checker) scalar(n *Node, where *at, v any) {
	switch n.Type {
	case "string":
		s, ok := v.(string)
		if !ok {
			c.wrongType(where, "a text", v)
			return
		}
		if n.Format == "byte" {
			if _, err := base64.StdEncoding.DecodeString(s); err != nil {
				c.add(where, Type, "write it in base64; a Secret takes text under stringData", "must be base64")
			}
		}
		c.enum(n, where, s)
	case "boolean":
		if _, ok := v.(bool); !ok {
			c.wrongType(where, "a bool", v)
		}
	case "integer":
		i, ok := whole(v)
		if !ok {
			c.wrongType(where, "a whole number", v)
			return
		}
		c.inRange(where, n.Format, i)
	case "number":
		if !isNumber(v) {
			c.wrongType(where, "a number", v)
		}
	}
}

// fields checks a struct or a map.
func (c *checker) fields(n *Node, where *at, m map[string]any) {
	if n.Properties == nil {
		if n.Values != nil {
			for k, v := range m {
				c.value(n.Values, where.child(k), v)
			}
		}
		return
	}
	for k, v := range m {
		p, ok := n.Properties[k]
		if !ok {
			c.add(where.child(k), UnknownField, nearest(k, keys(n.Properties)), "unknown field %q", k)
			continue
		}
		if v == nil {
			continue
		}
		here := at{parent: where, field: k}
		status := k == "status" && n.fields[k] == nil // not that of a condition
		if status || k == "volumeClaimTemplates" && c.schemas.number < claimsJudged {
			c.decodeOnly++
			c.value(p, &here, v)
			c.decodeOnly--
			continue
		}
		c.value(p, &here, v)
		if rule := n.fields[k]; rule != nil && c.decodeOnly == 0 {
			if problem := rule(v); problem != "" {
				c.add(&here, Value, "", "%s", problem)
			}
		}
	}
	if c.decodeOnly > 0 {
		return
	}
	for _, name := range n.Required {
		if empty(m[name]) {
			c.add(where.child(name), Required, takes(name, n.Properties[name]), "the field is required")
		}
	}
	if n.rule != nil {
		n.rule(c, where, m)
	}
}

// empty says whether the server takes a value for a missing one.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	}
	return false
}

func (c *checker) enum(n *Node, where *at, s string) {
	if len(n.Enum) == 0 || s == "" || c.decodeOnly > 0 || slices.Contains(n.Enum, s) {
		return
	}
	hint := nearest(s, n.Enum)
	if hint == "" {
		hint = "it takes " + strings.Join(n.Enum, ", ")
	}
	c.add(where, Enum, hint, "%q is not among the values that the field takes", s)
}

// takes says what a missing field takes.
func takes(name string, n *Node) string {
	switch {
	case n == nil:
		return ""
	case len(n.Enum) > 0:
		return fmt.Sprintf("add %s: %s", name, source.Or(n.Enum))
	case n.special == plain && n.Type != "":
		return fmt.Sprintf("add %s, which is %s", name, source.SchemaKinds([]string{n.Type})[0])
	}
	return "add " + name
}

// instead says what stands for a value of each type.
var instead = map[string]string{
	"a text": "write one text, without [ ], { } or dashes", "a bool": "write true or false", "a list": "write [A, B], or a line - A for each",
	"a whole number": "write a whole number such as 3, without a unit", "a number": "write a number such as 3, without a unit",
	"an object": "write {KEY: VALUE}, or a line KEY: VALUE for each", "a number or a text": "write one number or text, such as 8080 or http",
	"a quantity": "such as 100m, 1, 64Mi or 1Gi", "a time": "such as 2006-01-02T15:04:05Z",
}

func (c *checker) wrongType(where *at, want string, v any) {
	hint := instead[want]
	s, isText := v.(string)
	switch {
	case want == "a text" && (isNumber(v) || v == true || v == false):
		hint = "write it in quotes"
	case isText && want == "a bool" && (s == "true" || s == "false"):
		hint = "write it without quotes"
	case isText && strings.HasSuffix(want, "number"):
		if _, err := strconv.ParseFloat(s, 64); err == nil {
			hint = "write it without quotes"
		}
	}
	c.add(where, Type, hint, "must be %s, and is %s", want, typeName(v))
}

func (c *checker) inRange(where *at, format string, i int64) {
	if format == "int32" && (i < math.MinInt32 || i > math.MaxInt32) {
		c.add(where, Type, "", "is too large for 32 bits")
	}
}

func (c *checker) quantity(where *at, v any) {
	s, ok := v.(string)
	if !ok {
		if !isNumber(v) {
			c.wrongType(where, "a quantity", v)
		}
		return
	}
	if _, err := resource.ParseQuantity(strings.TrimSpace(s)); err != nil {
		c.add(where, Type, "such as 100m, 1, 64Mi or 1Gi", "%q is not a quantity", s)
	}
}

func (c *checker) time(where *at, v any) {
	s, ok := v.(string)
	if !ok {
		c.wrongType(where, "a time", v)
		return
	}
	if _, err := time.Parse(time.RFC3339, s); err != nil {
		c.add(where, Type, "such as 2006-01-02T15:04:05Z", "%q is not a time", s)
	}
}

// whole gives a whole number, however it was decoded.
func whole(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case int:
		return int64(v), true
	case float64:
		return int64(v), v == math.Trunc(v) && math.Abs(v) < 1<<63
	}
	return 0, false
}

func isNumber(v any) bool {
	switch v.(type) {
	case int, int64, uint64, float64:
		return true
	}
	return false
}

func typeName(v any) string {
	switch v.(type) {
	case string:
		return "a text"
	case bool:
		return "a bool"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case nil:
		return "null"
	}
	if _, ok := whole(v); ok {
		return "a whole number"
	}
	return "a number"
}

func keys(m map[string]*Node) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func nearest(name string, known []string) string { return source.Nearest(name, known) }
