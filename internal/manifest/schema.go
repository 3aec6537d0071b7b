package manifest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Schemas checks objects against the OpenAPI v3 documents of a cluster. One
// value serves a whole run; it is safe for concurrent use.
type Schemas struct {
	fetch func(ctx context.Context, group, version string) ([]byte, error)
	mu    sync.Mutex
	docs  map[schema.GroupVersion]*document
}

// NewSchemas gives a checker that reads the document of an API group's version
// with fetch, once, when the first object of it is checked. fetch answers with
// the JSON of /openapi/v3/apis/GROUP/VERSION, and with nothing or a NotFound of
// the API where the cluster has no such version; any other error is Check's.
func NewSchemas(fetch func(ctx context.Context, group, version string) ([]byte, error)) *Schemas {
	return &Schemas{fetch: fetch, docs: map[schema.GroupVersion]*document{}}
}

// Check holds an object to the schema of its kind, strictly: unknown fields,
// wrong types, missing fields and values outside an enum are findings of code
// schema, each with the path of its field. A kind that the cluster does not have
// is a finding too. The status is not checked: it is the cluster's. The error
// says that the schema itself could not be had.
func (s *Schemas) Check(ctx context.Context, o Object) (source.Findings, error) {
	apiVersion, kind := text(o.Fields["apiVersion"]), text(o.Fields["kind"])
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil || gv.Version == "" || kind == "" {
		c := checker{at: o.Source}
		c.add("", "", "the object needs an apiVersion and a kind; it has %q and %q", apiVersion, kind)
		return c.findings, nil
	}
	doc, err := s.document(ctx, gv)
	if err != nil {
		return nil, fmt.Errorf("cannot read the cluster's schema of %s: %w", gv, err)
	}
	c := checker{at: o.Source, doc: doc}
	name, ok := doc.kinds[kind]
	if !ok {
		hint := source.Nearest(kind, doc.known)
		if len(doc.known) == 0 {
			hint = "the cluster does not have this version of the API; is the CustomResourceDefinition missing?"
		}
		c.add("", hint, "no matches for kind %q in version %q", kind, apiVersion)
		return c.findings, nil
	}
	n, err := doc.named(name)
	if err != nil {
		return nil, fmt.Errorf("the cluster's schema of %s: %w", gv, err)
	}
	c.root(n, o.Fields)
	if c.err != nil {
		return nil, fmt.Errorf("the cluster's schema of %s: %w", gv, c.err)
	}
	slices.SortStableFunc(c.findings, func(a, b source.Finding) int { return strings.Compare(a.Path, b.Path) })
	return c.findings, nil
}

// document gives the document of a group version, read once. Who asks for it
// meanwhile waits; after a failure the next one tries again.
func (s *Schemas) document(ctx context.Context, gv schema.GroupVersion) (*document, error) {
	s.mu.Lock()
	doc, ok := s.docs[gv]
	if !ok {
		doc = &document{}
		s.docs[gv] = doc
	}
	s.mu.Unlock()
	doc.mu.Lock()
	defer doc.mu.Unlock()
	if doc.raw != nil {
		return doc, nil
	}
	data, err := s.fetch(ctx, gv.Group, gv.Version)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	return doc, doc.read(data, gv)
}

// document is an OpenAPI v3 document of which nothing is decoded before it is
// needed: the core's has more than a megabyte.
type document struct {
	mu    sync.Mutex
	raw   map[string][]byte // schemas by their names
	nodes map[string]*node
	kinds map[string]string // names of the schemas of its kinds
	known []string          // kinds, in order, without lists
}

var gvkMember = []byte(`"x-kubernetes-group-version-kind"`)

// read finds the schemas in a document.
func (d *document) read(data []byte, gv schema.GroupVersion) error {
	raw, kinds := map[string][]byte{}, map[string]string{}
	var known []string
	if len(data) > 0 {
		components, err := member(data, "components")
		if err != nil {
			return err
		}
		schemas, err := member(components, "schemas")
		if err != nil {
			return err
		}
		err = members(schemas, func(name string, value []byte) error {
			raw[name] = value
			if !bytes.Contains(value, gvkMember) {
				return nil
			}
			list, err := member(value, "x-kubernetes-group-version-kind")
			if err != nil || list == nil {
				return err
			}
			var gvks []schema.GroupVersionKind
			if err := json.Unmarshal(list, &gvks); err != nil {
				return err
			}
			for _, gvk := range gvks {
				if gvk.GroupVersion() != gv {
					continue
				}
				kinds[gvk.Kind] = name
				// What is of many groups is not of the kinds that one installs.
				if len(gvks) == 1 && !strings.HasSuffix(gvk.Kind, "List") {
					known = append(known, gvk.Kind)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	slices.Sort(known)
	d.raw, d.kinds, d.known, d.nodes = raw, kinds, known, map[string]*node{}
	return nil
}

const refPrefix = "#/components/schemas/"

// named gives a schema of the document, decoded when it is first asked for.
func (d *document) named(name string) (*node, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n, ok := d.nodes[name]; ok {
		return n, nil
	}
	raw, ok := d.raw[name]
	if !ok {
		return nil, fmt.Errorf("it names the schema %s, which it does not have", name)
	}
	n := &node{}
	if err := json.Unmarshal(raw, n); err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	n.quantity = strings.HasSuffix(name, ".api.resource.Quantity")
	d.nodes[name] = n
	return n, nil
}

// node is a schema, as far as it is checked.
type node struct {
	Ref         string           `json:"$ref"`
	Type        string           `json:"type"`
	AllOf       []*node          `json:"allOf"`
	AnyOf       []*node          `json:"anyOf"`
	OneOf       []*node          `json:"oneOf"`
	Properties  map[string]*node `json:"properties"`
	Additional  *additional      `json:"additionalProperties"`
	Items       *node            `json:"items"`
	Required    []string         `json:"required"`
	Enum        []any            `json:"enum"`
	Nullable    bool             `json:"nullable"`
	IntOrString bool             `json:"x-kubernetes-int-or-string"`
	Preserve    bool             `json:"x-kubernetes-preserve-unknown-fields"`
	Embedded    bool             `json:"x-kubernetes-embedded-resource"`

	quantity bool
}

// additional is the schema of the values of a map, or whether there may be any.
type additional struct {
	any  bool
	node *node
}

// UnmarshalJSON takes a schema or a bool.
func (a *additional) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] != '{' {
		return json.Unmarshal(data, &a.any)
	}
	a.node = &node{}
	return json.Unmarshal(data, a.node)
}

// checker collects what is wrong with one object.
type checker struct {
	doc      *document
	at       string
	findings source.Findings
	err      error
}

func (c *checker) add(path, hint, format string, args ...any) {
	c.findings.Add("schema", source.Origin{Position: source.Position{File: c.at}}, path, hint, format, args...)
}

// resolve follows references: a schema that is one, or whose only part is one.
func (c *checker) resolve(n *node) *node {
	for range maxReferences {
		ref := n.Ref
		if ref == "" && len(n.AllOf) == 1 && n.Type == "" && n.Properties == nil {
			ref = n.AllOf[0].Ref
		}
		if ref == "" {
			return n
		}
		name, ok := strings.CutPrefix(ref, refPrefix)
		if !ok {
			c.err = fmt.Errorf("it has a reference to elsewhere: %s", ref)
			return nil
		}
		next, err := c.doc.named(name)
		if err != nil {
			c.err = err
			return nil
		}
		n = next
	}
	c.err = errors.New("its references go round in a circle")
	return nil
}

const maxReferences = 32

// root checks an object without its status.
func (c *checker) root(n *node, fields map[string]any) {
	if _, ok := fields["status"]; ok {
		rest := make(map[string]any, len(fields))
		for k, v := range fields {
			if k != "status" {
				rest[k] = v
			}
		}
		fields = rest
	}
	c.value(n, "", fields)
}

// value checks a value. A null is as if nothing stood there.
func (c *checker) value(n *node, path string, v any) {
	if n = c.resolve(n); n == nil || v == nil {
		return
	}
	for _, part := range n.AllOf {
		// A part may speak of some fields only, so it does not say which are unknown.
		if part.Ref != "" || part.Type != "" && part.Properties == nil {
			c.value(part, path, v)
		}
	}
	if !c.typed(n, path, v) {
		return
	}
	if n.quantity {
		c.quantity(path, v)
	}
	if len(n.Enum) > 0 && !slices.ContainsFunc(n.Enum, func(e any) bool { return equalLeaf(e, v) }) {
		c.enum(n, path, v)
	}
	switch v := v.(type) {
	case map[string]any:
		c.object(n, path, v)
	case []any:
		if n.Items == nil {
			return
		}
		for i, item := range v {
			c.value(n.Items, path+itemLabel(item, i), item)
		}
	}
}

// object checks a map: a struct's fields, or a map of values.
func (c *checker) object(n *node, path string, m map[string]any) {
	for _, name := range n.Required {
		if m[name] == nil {
			c.add(fieldPath(path, name), "", "the field is required")
		}
	}
	// A schema that names no fields takes any.
	closed := n.Properties != nil && !n.Preserve && n.Additional == nil
	for k, v := range m {
		p, ok := n.Properties[k]
		switch {
		case ok:
			c.value(p, fieldPath(path, k), v)
		case n.Embedded && (k == "apiVersion" || k == "kind" || k == "metadata"):
		case n.Additional != nil && n.Additional.node != nil:
			c.value(n.Additional.node, fieldPath(path, k), v)
		case closed || n.Additional != nil && !n.Additional.any && !n.Preserve:
			c.add(fieldPath(path, k), source.Nearest(k, fieldsOf(n)), "unknown field %q", k)
		}
	}
}

func fieldsOf(n *node) []string {
	names := make([]string, 0, len(n.Properties))
	for name := range n.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// typed checks the type of a value and says whether it is right.
func (c *checker) typed(n *node, path string, v any) bool {
	wanted := typesOf(n)
	if len(wanted) == 0 || slices.ContainsFunc(wanted, func(t string) bool { return isType(v, t) }) {
		return true
	}
	hint := ""
	if s, ok := v.(string); ok && (wanted[0] == "integer" || wanted[0] == "number" || wanted[0] == "boolean") && isText(s, wanted[0]) {
		hint = "write it without quotes"
	}
	if wanted[0] == "string" && typeName(v) != "object" && typeName(v) != "array" {
		hint = "write it in quotes"
	}
	c.add(path, hint, "must be %s, and is %s", article(strings.Join(wanted, " or ")), article(typeName(v)))
	return false
}

// typesOf gives the types that a value may have, none for any.
func typesOf(n *node) []string {
	if n.IntOrString {
		return []string{"integer", "string"}
	}
	if n.Type != "" {
		return []string{n.Type}
	}
	for _, choice := range [][]*node{n.OneOf, n.AnyOf} {
		var out []string
		for _, alternative := range choice {
			if alternative.Type == "" {
				return nil
			}
			out = append(out, alternative.Type)
		}
		if out != nil {
			return out
		}
	}
	return nil
}

func isType(v any, t string) bool {
	switch t {
	case "number":
		return typeName(v) == "number" || typeName(v) == "integer"
	}
	return typeName(v) == t
}

// typeName gives the type of a value as OpenAPI names it.
func typeName(v any) string {
	switch number(v).(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case int64:
		return "integer"
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case nil:
		return "null"
	}
	return "number"
}

// isText says whether a text reads as a number or a bool.
func isText(s, t string) bool {
	switch t {
	case "integer":
		_, err := strconv.ParseInt(s, 10, 64)
		return err == nil
	case "number":
		_, err := strconv.ParseFloat(s, 64)
		return err == nil
	}
	return s == "true" || s == "false"
}

func article(t string) string {
	if strings.ContainsAny(t[:1], "aeio") {
		return "an " + t
	}
	return "a " + t
}

func (c *checker) quantity(path string, v any) {
	s, ok := v.(string)
	if !ok {
		return
	}
	if _, err := resource.ParseQuantity(s); err != nil {
		c.add(path, "such as 100m, 1, 64Mi or 1Gi", "%q is not a quantity", s)
	}
}

func (c *checker) enum(n *node, path string, v any) {
	// Kubernetes' own types take an empty text for nothing.
	if v == "" {
		return
	}
	values := make([]string, len(n.Enum))
	for i, e := range n.Enum {
		values[i] = fmt.Sprint(e)
	}
	c.add(path, source.Nearest(fmt.Sprint(v), values), "%q is not among the values that the field takes", fmt.Sprint(v))
}

// itemLabel names an item of a list: by its name, or by its number.
func itemLabel(item any, i int) string {
	if m, ok := item.(map[string]any); ok {
		if name := text(m["name"]); name != "" {
			return "[name=" + keyLabel(name) + "]"
		}
	}
	return "[" + strconv.Itoa(i) + "]"
}

// fieldPath adds a field to a path; one that would not be read back as one stands in
// brackets.
func fieldPath(path, key string) string {
	if key == "" || strings.ContainsAny(key, ".[]\"") {
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// member gives the raw value of an object's member, nil where it has none.
func member(data []byte, name string) ([]byte, error) {
	var found []byte
	if data == nil {
		return nil, nil
	}
	err := members(data, func(key string, value []byte) error {
		if key == name && found == nil {
			found = value
		}
		return nil
	})
	return found, err
}

// errNotJSON says that a document ends too early or is no JSON.
var errNotJSON = errors.New("it is not the JSON of an OpenAPI document")

// members goes through a JSON object without decoding its values: most of a
// document is never looked at, and encoding/json would read it twice to find
// where a value ends.
func members(data []byte, visit func(key string, value []byte) error) error {
	i := space(data, 0)
	if i >= len(data) || data[i] != '{' {
		return errNotJSON
	}
	i = space(data, i+1)
	if i < len(data) && data[i] == '}' {
		return nil
	}
	for i < len(data) {
		end := skip(data, i)
		if end < 0 || data[i] != '"' {
			return errNotJSON
		}
		var key string
		if raw := data[i+1 : end-1]; bytes.IndexByte(raw, '\\') < 0 {
			key = string(raw)
		} else if err := json.Unmarshal(data[i:end], &key); err != nil {
			return errNotJSON
		}
		i = space(data, end)
		if i >= len(data) || data[i] != ':' {
			return errNotJSON
		}
		i = space(data, i+1)
		end = skip(data, i)
		if end < 0 {
			return errNotJSON
		}
		if err := visit(key, data[i:end]); err != nil {
			return err
		}
		i = space(data, end)
		switch {
		case i < len(data) && data[i] == ',':
			i = space(data, i+1)
		case i < len(data) && data[i] == '}':
			return nil
		default:
			return errNotJSON
		}
	}
	return errNotJSON
}

func space(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\t' || data[i] == '\r') {
		i++
	}
	return i
}

// skip gives the place behind the value that begins at i, -1 where it has no
// end.
func skip(data []byte, i int) int {
	depth := 0
	for start := i; i < len(data); {
		switch c := data[i]; c {
		case '"':
			i = closing(data, i+1)
			if i < 0 {
				return -1
			}
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			if depth < 0 {
				if i == start {
					return -1
				}
				return i // the end of a number or a word
			}
			i++
		case ',', ':', ' ', '\n', '\t', '\r':
			if depth == 0 {
				if i == start {
					return -1
				}
				return i
			}
			i++
			continue
		default:
			i++
			if depth == 0 {
				continue
			}
		}
		if depth == 0 {
			return i
		}
	}
	return -1
}

// closing gives the place behind the quote that ends a text.
func closing(data []byte, i int) int {
	for {
		next := bytes.IndexByte(data[i:], '"')
		if next < 0 {
			return -1
		}
		i += next
		slashes := 0
		for data[i-1-slashes] == '\\' {
			slashes++
		}
		i++
		if slashes%2 == 0 {
			return i
		}
	}
}
