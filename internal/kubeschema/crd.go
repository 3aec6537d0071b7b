package kubeschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// AddCRD adds the versions of a CustomResourceDefinition, given as an object, that
// the server serves, with their rules in CEL.
func (s *Schemas) AddCRD(object map[string]any) error {
	var crd struct {
		Kind     string
		Metadata struct{ Name string }
		Spec     struct {
			Group                 string
			Names                 struct{ Kind string }
			PreserveUnknownFields bool
			Versions              []struct {
				Name   string
				Served *bool
				Schema struct {
					OpenAPIV3Schema *crdSchema
				}
			}
		}
	}
	data, err := json.Marshal(object)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &crd); err != nil {
		return fmt.Errorf("read the CustomResourceDefinition: %w", err)
	}
	if crd.Kind != "CustomResourceDefinition" || crd.Spec.Group == "" || crd.Spec.Names.Kind == "" {
		return errors.New("the object is no CustomResourceDefinition with a group and a kind\n  hint: give those of apiextensions.k8s.io/v1")
	}
	for _, version := range crd.Spec.Versions {
		if version.Served != nil && !*version.Served {
			continue
		}
		schema := version.Schema.OpenAPIV3Schema
		if schema == nil {
			schema = &crdSchema{Preserve: true}
		}
		n, err := schema.node()
		if err != nil {
			return fmt.Errorf("the CustomResourceDefinition %s, version %s: %w", crd.Metadata.Name, version.Name, err)
		}
		n.custom.preserve = n.custom.preserve || crd.Spec.PreserveUnknownFields
		n.custom.ruled.root = true
		s.custom[key(crd.Spec.Group+"/"+version.Name, crd.Spec.Names.Kind)] = n
	}
	return nil
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

func (s *crdSchema) node() (*Node, error) {
	if s == nil {
		return nil, nil
	}
	n := &Node{Type: s.Type, Format: s.Format, Required: s.Required}
	n.custom = &custom{
		nullable: s.Nullable, preserve: s.Preserve, embedded: s.Embedded, hasDefault: len(s.Default) > 0, intOrString: s.IntOrString,
		enum: s.Enum, minimum: s.Minimum, maximum: s.Maximum, exclusiveMinimum: s.ExclusiveMinimum, exclusiveMaximum: s.ExclusiveMaximum,
		multipleOf: s.MultipleOf, minLength: s.MinLength, maxLength: s.MaxLength, minItems: s.MinItems, maxItems: s.MaxItems,
		minProperties: s.MinProperties, maxProperties: s.MaxProperties, unique: s.UniqueItems, listType: s.ListType, listKeys: s.ListMapKeys,
	}
	n.custom.ruled.schema, n.custom.ruled.root, n.custom.ruled.below = s, s.Embedded, len(s.Validations) > 0
	if s.Pattern != "" {
		pattern, err := regexp.Compile(s.Pattern)
		if err != nil {
			return nil, err
		}
		n.custom.pattern = pattern
	}
	var errs []error
	child := func(c *crdSchema) *Node {
		n, err := c.node()
		errs = append(errs, err)
		return n
	}
	children := func(schemas []*crdSchema) []*Node {
		var nodes []*Node
		for _, c := range schemas {
			nodes = append(nodes, child(c))
		}
		return nodes
	}
	n.Items, n.custom.not = child(s.Items), child(s.Not)
	n.custom.allOf, n.custom.anyOf, n.custom.oneOf = children(s.AllOf), children(s.AnyOf), children(s.OneOf)
	if s.Properties != nil {
		n.Properties = map[string]*Node{}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		n.Properties[name] = child(s.Properties[name])
	}
	switch text := string(s.AdditionalProperties); text {
	case "", "null", "false":
	case "true":
		n.custom.preserve = true
	default:
		s.values = &crdSchema{}
		errs = append(errs, json.Unmarshal(s.AdditionalProperties, s.values))
		n.Values = child(s.values)
	}
	for _, part := range append(slices.Collect(maps.Values(n.Properties)), n.Items, n.Values) {
		n.custom.ruled.below = n.custom.ruled.below || part != nil && part.custom.ruled.below
	}
	return n, errors.Join(errs...)
}
