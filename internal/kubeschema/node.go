package kubeschema

import (
	"regexp"
	"strings"
)

// Node is a schema: of Kubernetes' own types, or of a CustomResourceDefinition,
// which may say more.
type Node struct {
	Ref        string           `json:"ref,omitempty"`
	Type       string           `json:"type,omitempty"`
	Format     string           `json:"format,omitempty"`
	Properties map[string]*Node `json:"properties,omitempty"`
	// Values is the schema of the values of a map.
	Values   *Node    `json:"values,omitempty"`
	Items    *Node    `json:"items,omitempty"`
	Required []string `json:"required,omitempty"`
	Enum     []string `json:"enum,omitempty"`

	// special is what a definition is whose schema does not say it.
	special special
	fields  map[string]valueRule
	rule    objectRule
	custom  *custom
}

// special is a definition that the server decodes in its own way.
type special uint8

const (
	plain special = iota
	quantity
	intOrString
	timestamp
	anything
)

// custom is what only the schema of a custom resource says.
type custom struct {
	nullable, preserve, embedded, hasDefault bool
	intOrString                              bool
	enum                                     []any
	minimum, maximum                         *float64
	exclusiveMinimum, exclusiveMaximum       bool
	multipleOf                               *float64
	minLength, maxLength                     *int64
	minItems, maxItems                       *int64
	minProperties, maxProperties             *int64
	unique                                   bool
	pattern                                  *regexp.Regexp
	listType                                 string
	listKeys                                 []string
	allOf, anyOf, oneOf                      []*Node
	not                                      *Node
	ruled                                    ruled
}

// prepare says of a definition of Kubernetes' what its name alone tells, and what
// is known of its validation.
func (n *Node) prepare(name string) {
	switch last := name[strings.LastIndexByte(name, '.')+1:]; last {
	case "Quantity":
		n.special = quantity
	case "IntOrString":
		n.special = intOrString
	case "Time", "MicroTime":
		n.special = timestamp
	case "RawExtension", "FieldsV1", "Patch", "JSON", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray":
		n.special = anything
	}
	n.fields, n.rule = fieldRules[name], objectRules[name]
	n.Required = trimRequired(name, n.Required)
}
