// Package kubeschema turns the descriptions of APIs that Kubernetes publishes, its OpenAPI document and
// CustomResourceDefinitions, into the JSON Schemas that kubeconform reads: one file for each kind, strict, so that a field
// the API does not have is a mistake.
package kubeschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"
)

// Location is the pattern, below a folder of schemas, by which kubeconform finds the file of a kind.
const Location = "{{.ResourceKind}}{{.KindSuffix}}.json"

// Schemas are JSON Schemas by the names of their files.
type Schemas map[string]map[string]any

// Write puts the schemas into a folder.
func (s Schemas) Write(dir string) error {
	for name, schema := range s {
		data, err := json.Marshal(schema)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// gvk is a kind as it stands in x-kubernetes-group-version-kind.
type gvk struct{ Group, Version, Kind string }

// file is the name kubeconform's Location has for the kind: the first word of the group, if there is one, and the version.
func (k gvk) file() string {
	parts := []string{strings.ToLower(k.Kind)}
	if k.Group != "" {
		group, _, _ := strings.Cut(k.Group, ".")
		parts = append(parts, group)
	}
	return strings.ToLower(strings.Join(append(parts, k.Version), "-")) + ".json"
}

func (k gvk) apiVersion() string {
	if k.Group == "" {
		return k.Version
	}
	return k.Group + "/" + k.Version
}

// own narrows an object's schema to this kind and asks for what every object must say.
func (k gvk) own(schema map[string]any) map[string]any {
	properties, _ := schema["properties"].(map[string]any)
	if properties == nil {
		properties = map[string]any{}
		schema["properties"] = properties
	}
	properties["apiVersion"] = map[string]any{"const": k.apiVersion()}
	properties["kind"] = map[string]any{"const": k.Kind}
	if properties["metadata"] == nil { // Kubernetes adds it, and some definitions leave it to that
		properties["metadata"] = map[string]any{"type": "object"}
	}
	required, _ := schema["required"].([]any)
	schema["required"] = append([]any{"apiVersion", "kind"}, required...)
	return schema
}

// FromOpenAPI gives the schemas of all kinds of an OpenAPI v2 document.
func FromOpenAPI(document []byte) (Schemas, error) {
	var swagger struct{ Definitions map[string]map[string]any }
	if err := json.Unmarshal(document, &swagger); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	for name, definition := range swagger.Definitions {
		swagger.Definitions[name] = definitionOf(name, definition)
	}
	schemas := Schemas{}
	for name, definition := range swagger.Definitions {
		kinds, err := kindsOf(definition)
		if err != nil {
			return nil, fmt.Errorf("definition %s: %w", name, err)
		}
		for _, kind := range kinds {
			schema := kind.own(clone(definition))
			schema["definitions"] = reachable(definition, swagger.Definitions)
			schemas[kind.file()] = schema
		}
	}
	return schemas, nil
}

// definitionOf makes one definition strict. Two are called text in the document, although the API takes numbers as well.
func definitionOf(name string, definition map[string]any) map[string]any {
	switch {
	case strings.HasSuffix(name, ".IntOrString"):
		return map[string]any{"type": []any{"string", "integer"}}
	case strings.HasSuffix(name, ".resource.Quantity"):
		return map[string]any{"type": []any{"string", "number"}}
	}
	strict(definition)
	return definition
}

func kindsOf(definition map[string]any) ([]gvk, error) {
	data, err := json.Marshal(definition["x-kubernetes-group-version-kind"])
	if err != nil {
		return nil, err
	}
	var kinds []gvk
	return kinds, json.Unmarshal(data, &kinds)
}

// FromCRD gives the schemas of all versions of the CustomResourceDefinitions in a YAML stream.
func FromCRD(stream []byte) (Schemas, error) {
	schemas := Schemas{}
	decoder := yaml.NewDecoder(strings.NewReader(string(stream)))
	for {
		var crd struct {
			Spec struct {
				Group    string
				Names    struct{ Kind string }
				Versions []struct {
					Name   string
					Schema struct {
						OpenAPIV3Schema map[string]any `yaml:"openAPIV3Schema"`
					}
				}
			}
		}
		if err := decoder.Decode(&crd); err != nil {
			if errors.Is(err, io.EOF) {
				return schemas, nil
			}
			return nil, fmt.Errorf("read the CustomResourceDefinition: %w", err)
		}
		for _, version := range crd.Spec.Versions {
			kind := gvk{crd.Spec.Group, version.Name, crd.Spec.Names.Kind}
			schema := version.Schema.OpenAPIV3Schema
			strict(schema)
			schemas[kind.file()] = kind.own(schema)
		}
	}
}

// strict closes every object that names its properties, wherever it stands in the schema, says what Kubernetes' extensions
// mean in JSON Schema, and drops the descriptions, which are most of the text.
func strict(schema any) {
	switch schema := schema.(type) {
	case []any:
		for _, item := range schema {
			strict(item)
		}
	case map[string]any:
		strictObject(schema)
		for _, child := range schema {
			strict(child)
		}
	}
}

func strictObject(schema map[string]any) {
	if _, text := schema["description"].(string); text {
		delete(schema, "description")
	}
	if schema["x-kubernetes-int-or-string"] == true {
		schema["type"] = []any{"string", "integer"}
		delete(schema, "anyOf")
	}
	if schema["nullable"] == true {
		schema["type"] = []any{schema["type"], "null"}
	}
	_, properties := schema["properties"].(map[string]any)
	_, typed := schema["type"].(string)
	open := schema["x-kubernetes-preserve-unknown-fields"] == true || schema["additionalProperties"] != nil
	if properties && typed && !open {
		schema["additionalProperties"] = false
	}
}

// reachable picks the definitions that a schema needs, directly or through others.
func reachable(schema map[string]any, definitions map[string]map[string]any) map[string]any {
	found := map[string]any{}
	var visit func(any)
	visit = func(node any) {
		switch node := node.(type) {
		case []any:
			for _, item := range node {
				visit(item)
			}
		case map[string]any:
			if ref, ok := node["$ref"].(string); ok {
				name := strings.TrimPrefix(ref, "#/definitions/")
				if _, seen := found[name]; !seen {
					found[name] = definitions[name]
					visit(definitions[name])
				}
			}
			for _, child := range node {
				visit(child)
			}
		}
	}
	visit(schema)
	return found
}

// clone copies what own changes, so that kinds of one definition do not share it.
func clone(schema map[string]any) map[string]any {
	copied := make(map[string]any, len(schema))
	for key, value := range schema {
		copied[key] = value
	}
	if properties, ok := schema["properties"].(map[string]any); ok {
		copied["properties"] = clone(properties)
	}
	return copied
}
