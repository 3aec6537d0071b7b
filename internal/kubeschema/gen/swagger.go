package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/helm-kai/helm-kai/internal/kubeschema"
)

// swagger is Kubernetes' OpenAPI document, as far as it is read.
type swagger struct {
	Definitions map[string]definition
	Paths       map[string]path
}

type path struct {
	Post *struct {
		Action string   `json:"x-kubernetes-action"`
		Kind   groupVer `json:"x-kubernetes-group-version-kind"`
	}
}

type groupVer struct{ Group, Version, Kind string }

func (k groupVer) key() string {
	if k.Group == "" {
		return k.Version + "/" + k.Kind
	}
	return k.Group + "/" + k.Version + "/" + k.Kind
}

type definition struct {
	schema
	Kinds []groupVer `json:"x-kubernetes-group-version-kind"`
}

type schema struct {
	Ref                  string `json:"$ref"`
	Type, Format         string
	Properties           map[string]*schema
	AdditionalProperties *schema
	Items                *schema
	Required             []string
}

// reduce gives the kinds that one can create, and the schemas that they are made
// of, by their names.
func (s swagger) reduce(enums enums) (map[string]kubeschema.Kind, map[string]*kubeschema.Node, error) {
	named := map[string]string{}
	for name, definition := range s.Definitions {
		for _, kind := range definition.Kinds {
			named[kind.key()] = name
		}
	}
	kinds, definitions := map[string]kubeschema.Kind{}, map[string]*kubeschema.Node{}
	for _, at := range slices.Sorted(maps.Keys(s.Paths)) {
		post := s.Paths[at].Post
		if post == nil || post.Action != "post" || strings.Contains(at, "{name}") {
			continue
		}
		name, ok := named[post.Kind.key()]
		if !ok {
			return nil, nil, fmt.Errorf("no definition for %s, which %s creates", post.Kind.key(), at)
		}
		kinds[post.Kind.key()] = kubeschema.Kind{
			Definition: short(name),
			Resource:   at[strings.LastIndexByte(at, '/')+1:],
			Namespaced: strings.Contains(at, "{namespace}"),
		}
		s.collect(name, enums, definitions)
	}
	return kinds, definitions, nil
}

// collect adds a definition, and those that it needs.
func (s swagger) collect(name string, enums enums, into map[string]*kubeschema.Node) {
	if into[short(name)] != nil {
		return
	}
	d := s.Definitions[name]
	node := d.schema.node(func(ref string) string {
		return short(strings.TrimPrefix(ref, "#/definitions/"))
	})
	for property, values := range enums[lastParts(name, ".")] {
		if p := node.Properties[property]; p != nil {
			leaf(p).Enum = values
		}
	}
	into[short(name)] = node
	d.schema.references(func(ref string) { s.collect(strings.TrimPrefix(ref, "#/definitions/"), enums, into) })
}

// leaf is what an enum is of: the items of a list, the values of a map.
func leaf(n *kubeschema.Node) *kubeschema.Node {
	for {
		switch {
		case n.Items != nil:
			n = n.Items
		case n.Values != nil:
			n = n.Values
		default:
			return n
		}
	}
}

func (s *schema) node(ref func(string) string) *kubeschema.Node {
	n := &kubeschema.Node{Type: s.Type, Format: s.Format, Required: s.Required}
	if s.Ref != "" {
		return &kubeschema.Node{Ref: ref(s.Ref)}
	}
	if s.AdditionalProperties != nil {
		n.Values = s.AdditionalProperties.node(ref)
	}
	if s.Items != nil {
		n.Items = s.Items.node(ref)
	}
	if s.Properties != nil {
		n.Properties = map[string]*kubeschema.Node{}
	}
	for name, property := range s.Properties {
		n.Properties[name] = property.node(ref)
	}
	return n
}

func (s *schema) references(visit func(string)) {
	if s == nil {
		return
	}
	if s.Ref != "" {
		visit(s.Ref)
	}
	s.AdditionalProperties.references(visit)
	s.Items.references(visit)
	for _, property := range s.Properties {
		property.references(visit)
	}
}

// short is a definition's name without what all begin with.
func short(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, "io.k8s."), "api.")
}

// lastParts are the group, the version and the kind in a definition's name.
func lastParts(name, separator string) string {
	parts := strings.Split(name, separator)
	return strings.Join(parts[max(0, len(parts)-3):], ".")
}

// enums are the values of properties, by definition and property. The OpenAPI
// document that Kubernetes publishes leaves them out.
type enums map[string]map[string][]string

// readEnums reads the Go code of which Kubernetes makes its document.
func readEnums(file string) (enums, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	found := enums{}
	for _, decl := range parsed.Decls {
		function, ok := decl.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(function.Name.Name, "schema_") {
			continue
		}
		name := lastParts(function.Name.Name, "_")
		eachField(function, "Properties", func(value ast.Expr) {
			for _, element := range elements(value) {
				pair := element.(*ast.KeyValueExpr)
				eachField(pair.Value, "Enum", func(values ast.Expr) {
					if found[name] == nil {
						found[name] = map[string][]string{}
					}
					found[name][unquote(pair.Key)] = literals(values)
				})
			}
		})
	}
	return found, nil
}

// eachField visits the values of all fields of a name in composite literals.
func eachField(in ast.Node, name string, visit func(ast.Expr)) {
	ast.Inspect(in, func(n ast.Node) bool {
		if pair, ok := n.(*ast.KeyValueExpr); ok {
			if key, ok := pair.Key.(*ast.Ident); ok && key.Name == name {
				visit(pair.Value)
				return false
			}
		}
		return true
	})
}

func elements(value ast.Expr) []ast.Expr {
	if literal, ok := value.(*ast.CompositeLit); ok {
		return literal.Elts
	}
	return nil
}

func literals(value ast.Expr) []string {
	var values []string
	for _, element := range elements(value) {
		values = append(values, unquote(element))
	}
	return values
}

func unquote(value ast.Expr) string {
	literal, ok := value.(*ast.BasicLit)
	if !ok {
		return ""
	}
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		return ""
	}
	return text
}
