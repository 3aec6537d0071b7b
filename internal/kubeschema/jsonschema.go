package kubeschema

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// jsonSchema checks the objects of one kind.
type jsonSchema interface {
	validate(object map[string]any) []Problem
}

// AddJSONSchema adds a schema of a kind, as kubeconform takes them. It refers to no
// other file.
func (s *Schemas) AddJSONSchema(apiVersion, kind string, data []byte) error {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("the schema of %s %s is no JSON: %w", apiVersion, kind, err)
	}
	const name = "schema.json"
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft4)
	compiler.UseLoader(jsonschema.SchemeURLLoader{})
	if err := compiler.AddResource(name, document); err != nil {
		return fmt.Errorf("the schema of %s %s: %w", apiVersion, kind, err)
	}
	compiled, err := compiler.Compile(name)
	if err != nil {
		return fmt.Errorf("the schema of %s %s: %w", apiVersion, kind, err)
	}
	s.json[key(apiVersion, kind)] = compiledSchema{compiled}
	return nil
}

// JSONSchemaFile gives the name of a kind's file as kubeconform's patterns have it:
// {{.Group}}, {{.ResourceKind}}, {{.ResourceAPIVersion}} and {{.KindSuffix}} stand
// for parts of the kind, in small letters where kubeconform has them so.
func JSONSchemaFile(pattern, apiVersion, kind string) string {
	group, version, grouped := strings.Cut(apiVersion, "/")
	if !grouped {
		group, version = "", apiVersion
	}
	suffix := "-" + version
	if group != "" {
		first, _, _ := strings.Cut(group, ".")
		suffix = "-" + first + "-" + version
	}
	return strings.NewReplacer(
		"{{.Group}}", group, "{{.ResourceKind}}", strings.ToLower(kind),
		"{{.ResourceAPIVersion}}", version, "{{.KindSuffix}}", strings.ToLower(suffix),
	).Replace(strings.ReplaceAll(strings.ReplaceAll(pattern, "{{ ", "{{"), " }}", "}}"))
}

type compiledSchema struct{ schema *jsonschema.Schema }

func (s compiledSchema) validate(object map[string]any) []Problem {
	err := s.schema.Validate(object)
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return nil
	}
	var problems []Problem
	for _, unit := range invalid.BasicOutput().Errors {
		if unit.Error == nil {
			continue
		}
		var where *at
		for _, part := range strings.Split(strings.Trim(unit.InstanceLocation, "/"), "/") {
			if part != "" {
				where = where.child(strings.NewReplacer("~1", "/", "~0", "~").Replace(part))
			}
		}
		problems = append(problems, Problem{Path: where.String(), Code: Value, Message: unit.Error.String()})
	}
	return problems
}
