package kubeschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Flaw is a part of a CustomResourceDefinition that cannot be used, so that what it
// says is not checked. The API server refuses such a definition.
type Flaw struct {
	// Path leads to it: keys, and indices of lists as text.
	Path []string
	// Message says what is wrong, and Hint what to do instead, or is "".
	Message, Hint string
}

// At gives the path as messages have it: .spec.versions[0].schema.
func (f Flaw) At() string {
	var b strings.Builder
	for _, step := range f.Path {
		if _, err := strconv.Atoi(step); err == nil {
			b.WriteString("[" + step + "]")
		} else {
			b.WriteString("." + step)
		}
	}
	return b.String()
}

// String gives the flaw as people read it.
func (f Flaw) String() string {
	text := f.At() + ": " + f.Message
	if f.Hint != "" {
		text += "\n  hint: " + f.Hint
	}
	return text
}

// AddCRD adds the versions of a CustomResourceDefinition, given as an object, that
// the server serves, with their rules in CEL. What of it cannot be used is among the
// flaws; the rest holds. The error is about an object that is no definition at all.
func (s *Schemas) AddCRD(object map[string]any) ([]Flaw, error) {
	var crd struct {
		APIVersion, Kind string
		Spec             struct {
			Group                 string
			Names                 struct{ Kind string }
			PreserveUnknownFields bool
			Versions              []struct {
				Name   string
				Served *bool
				Schema struct {
					OpenAPIV3Schema json.RawMessage
				}
			}
		}
	}
	data, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &crd); err != nil {
		return nil, fmt.Errorf("read the CustomResourceDefinition: %w", err)
	}
	if crd.Kind != "CustomResourceDefinition" || crd.Spec.Group == "" || crd.Spec.Names.Kind == "" || len(crd.Spec.Versions) == 0 {
		return nil, errors.New("the object is no CustomResourceDefinition with a group, a kind and versions\n  hint: give those of apiextensions.k8s.io/v1")
	}
	var r crdReader
	defined := key(crd.Spec.Group, crd.Spec.Names.Kind)
	served := s.served[defined]
	for i, version := range crd.Spec.Versions {
		if version.Served != nil && !*version.Served {
			continue
		}
		path := []string{"spec", "versions", strconv.Itoa(i), "schema", "openAPIV3Schema"}
		n := r.node(r.schema(version.Schema.OpenAPIV3Schema, path), path)
		n.custom.preserve = n.custom.preserve || crd.Spec.PreserveUnknownFields
		n.custom.ruled.root = true
		apiVersion := crd.Spec.Group + "/" + version.Name
		if !slices.Contains(served, apiVersion) {
			served = append(served, apiVersion)
		}
		s.custom[key(apiVersion, crd.Spec.Names.Kind)] = n
		r.rules(n, path)
	}
	s.served[defined] = served // also if it serves nothing
	return r.flaws, nil
}

// Refused says whether the server refuses a kind since its definition, which was
// given, does not serve the version; instead are the versions that are served.
func (s *Schemas) Refused(apiVersion, kind string) (instead []string, refused bool) {
	group, _, _ := strings.Cut(apiVersion, "/")
	instead, given := s.served[key(group, kind)]
	return instead, given && !s.Known(apiVersion, kind)
}

// crdSchema is a schema as a CustomResourceDefinition has it.
type crdSchema struct {
	Type                 string
	Format               string
	Properties           map[string]*crdSchema
	AdditionalProperties json.RawMessage
	Items                *crdSchema
	Required             []string
	Enum                 []any
	Nullable             bool
	Default              jsonText
	Pattern              string
	Minimum, Maximum     *float64
	ExclusiveMinimum     bool
	ExclusiveMaximum     bool
	MultipleOf           *float64
	MinLength, MaxLength *int64
	MinItems, MaxItems   *int64
	MinProperties        *int64
	MaxProperties        *int64
	UniqueItems          bool
	AllOf, AnyOf, OneOf  []*crdSchema
	Not                  *crdSchema
	Preserve             bool      `json:"x-kubernetes-preserve-unknown-fields"`
	IntOrString          bool      `json:"x-kubernetes-int-or-string"`
	Embedded             bool      `json:"x-kubernetes-embedded-resource"`
	ListType             string    `json:"x-kubernetes-list-type"`
	ListMapKeys          []string  `json:"x-kubernetes-list-map-keys"`
	MapType              string    `json:"x-kubernetes-map-type"`
	Validations          []crdRule `json:"x-kubernetes-validations"`

	values *crdSchema // of AdditionalProperties, where that is a schema
}

// crdTypes are the types that a schema of a definition may name.
var crdTypes = []string{"array", "boolean", "integer", "number", "object", "string"}

// crdReader reads schemas of definitions, and collects what of them cannot be used.
type crdReader struct{ flaws []Flaw }

func (r *crdReader) add(path []string, hint, format string, args ...any) {
	r.flaws = append(r.flaws, Flaw{Path: slices.Clone(path), Hint: hint, Message: fmt.Sprintf(format, args...)})
}

// schema decodes a schema. One that is missing or cannot be read takes everything.
func (r *crdReader) schema(data json.RawMessage, path []string) *crdSchema {
	schema := &crdSchema{}
	if len(data) == 0 || string(data) == "null" {
		return &crdSchema{Preserve: true}
	}
	if err := json.Unmarshal(data, schema); err != nil {
		r.unread(data, path, err)
		return &crdSchema{Preserve: true}
	}
	return schema
}

// unread says which part of a schema cannot be read: the deepest that has an error.
func (r *crdReader) unread(data json.RawMessage, path []string, err error) {
	var parts map[string]json.RawMessage
	if json.Unmarshal(data, &parts) != nil {
		r.add(path, "write it as a map", "the schema cannot be read, and is not checked: it is no map")
		return
	}
	found := len(r.flaws)
	part := func(data json.RawMessage, keys ...string) {
		if err := json.Unmarshal(data, &crdSchema{}); err != nil {
			r.unread(data, append(slices.Clone(path), keys...), err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		var named map[string]json.RawMessage
		var listed []json.RawMessage
		switch name {
		case "items", "not":
			part(parts[name], name)
		case "properties":
			_ = json.Unmarshal(parts[name], &named) // what is no map is said below
			for _, property := range slices.Sorted(maps.Keys(named)) {
				part(named[property], name, property)
			}
		case "allOf", "anyOf", "oneOf":
			_ = json.Unmarshal(parts[name], &listed)
			for i, one := range listed {
				part(one, name, strconv.Itoa(i))
			}
		}
	}
	if len(r.flaws) > found {
		return
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		field, _, _ := strings.Cut(wrong.Field, ".")
		for name := range parts {
			if strings.EqualFold(name, field) {
				field = name
			}
		}
		r.add(append(slices.Clone(path), field), "correct it: an API server refuses it as well", "the schema cannot be read, and is not checked: %s is of the wrong type", field)
		return
	}
	r.add(path, "correct it: an API server refuses it as well", "the schema cannot be read, and is not checked: %s", err)
}

// node gives what objects are checked with.
func (r *crdReader) node(s *crdSchema, path []string) *Node {
	if s == nil {
		return nil
	}
	n := &Node{Type: s.Type, Format: s.Format, Required: s.Required}
	n.custom = &custom{
		nullable: s.Nullable, preserve: s.Preserve, embedded: s.Embedded, hasDefault: len(s.Default) > 0, intOrString: s.IntOrString,
		enum: s.Enum, minimum: s.Minimum, maximum: s.Maximum, exclusiveMinimum: s.ExclusiveMinimum, exclusiveMaximum: s.ExclusiveMaximum,
		multipleOf: s.MultipleOf, minLength: s.MinLength, maxLength: s.MaxLength, minItems: s.MinItems, maxItems: s.MaxItems,
		minProperties: s.MinProperties, maxProperties: s.MaxProperties, unique: s.UniqueItems, listType: s.ListType, listKeys: s.ListMapKeys,
	}
	if s.Type != "" && !slices.Contains(crdTypes, s.Type) {
		r.add(append(slices.Clone(path), "type"), nearest(s.Type, crdTypes), "there is no type %q, and values of it are not checked", s.Type)
		n.Type, n.custom.preserve = "", true
	}
	n.custom.ruled.schema, n.custom.ruled.root, n.custom.ruled.below = s, s.Embedded, len(s.Validations) > 0
	if s.Pattern != "" {
		pattern, err := regexp.Compile(s.Pattern)
		if err != nil {
			r.add(append(path, "pattern"), "write it as Go's RE2 has it; an API server refuses it as well", "the pattern cannot be read, and is not checked: %s", err)
		}
		n.custom.pattern = pattern
	}
	child := func(c *crdSchema, keys ...string) *Node { return r.node(c, append(slices.Clone(path), keys...)) }
	children := func(schemas []*crdSchema, name string) []*Node {
		var nodes []*Node
		for i, c := range schemas {
			if c != nil {
				nodes = append(nodes, child(c, name, strconv.Itoa(i)))
			}
		}
		return nodes
	}
	n.Items, n.custom.not = child(s.Items, "items"), child(s.Not, "not")
	n.custom.allOf, n.custom.anyOf, n.custom.oneOf = children(s.AllOf, "allOf"), children(s.AnyOf, "anyOf"), children(s.OneOf, "oneOf")
	if s.Properties != nil {
		n.Properties = map[string]*Node{}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		c := s.Properties[name]
		if c == nil {
			c = &crdSchema{Preserve: true}
		}
		n.Properties[name] = child(c, "properties", name)
	}
	switch text := string(s.AdditionalProperties); text {
	case "", "null", "false":
	case "true":
		n.custom.preserve = true
	default:
		s.values = r.schema(s.AdditionalProperties, append(slices.Clone(path), "additionalProperties"))
		n.Values = child(s.values, "additionalProperties")
	}
	for _, part := range n.parts() {
		n.custom.ruled.below = n.custom.ruled.below || part.node.custom.ruled.below
	}
	return n
}

// nodePart is a schema in another, with the keys that lead to it.
type nodePart struct {
	node *Node
	keys []string
}

// parts gives the schemas of what stands in a value.
func (n *Node) parts() []nodePart {
	var out []nodePart
	add := func(part *Node, keys ...string) {
		if part != nil {
			out = append(out, nodePart{part, keys})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.Properties)) {
		add(n.Properties[name], "properties", name)
	}
	add(n.Items, "items")
	add(n.Values, "additionalProperties")
	return out
}

// rules compiles the rules of a schema and of those in it.
func (r *crdReader) rules(n *Node, path []string) {
	if !n.custom.ruled.below {
		return
	}
	n.custom.ruled.compile(func(keys []string, format string, args ...any) {
		r.add(append(slices.Clone(path), keys...), "correct it: an API server refuses it as well", format, args...)
	})
	for _, part := range n.parts() {
		r.rules(part.node, append(slices.Clone(path), part.keys...))
	}
}
