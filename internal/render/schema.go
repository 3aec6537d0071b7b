package render

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"helm.sh/helm/v3/pkg/chart"
)

// schemas checks values as Helm does and with its words, but compiles each
// schema once, and takes a reference to another document as permissive instead of
// fetching it.
type schemas struct {
	mu       sync.Mutex
	compiled map[string]*compiledSchema // by the schema's text
}

type compiledSchema struct {
	once   sync.Once
	schema *jsonschema.Schema
	err    error
}

const schemaURL = "file:///values.schema.json"

// validate gives the text of all violations, of the chart and of its subcharts,
// or nothing.
func (s *schemas) validate(c *chart.Chart, values map[string]any) string {
	var out strings.Builder
	if c.Schema != nil && s.check(general(c, values)) != nil {
		if err := s.check(c.Schema, values); err != nil {
			fmt.Fprintf(&out, "%s:\n%s", c.Name(), err)
		}
	}
	for _, sub := range c.Dependencies() {
		raw, ok := values[sub.Name()]
		if !ok || raw == nil {
			continue
		}
		subValues, ok := raw.(map[string]any)
		if !ok {
			fmt.Fprintf(&out, "%s:\ninvalid type for values: expected object (map), got %T\n", sub.Name(), raw)
			continue
		}
		out.WriteString(s.validate(sub, subValues))
	}
	return out.String()
}

// general takes the names of a chart's subcharts out of its schema and its
// values, so that charts which differ in them alone share one compiled schema. A
// name without a hyphen stays: it might be a word of the schema.
func general(c *chart.Chart, values map[string]any) ([]byte, map[string]any) {
	text, values := c.Schema, maps.Clone(values)
	for i, sub := range c.Dependencies() {
		name := sub.Name()
		if !strings.Contains(name, "-") {
			continue
		}
		neutral := fmt.Sprintf("subchart %d", i)
		text = bytes.ReplaceAll(text, []byte(`"`+name+`"`), []byte(`"`+neutral+`"`))
		if v, ok := values[name]; ok {
			delete(values, name)
			values[neutral] = v
		}
	}
	return text, values
}

// check holds values against one schema.
func (s *schemas) check(text []byte, values map[string]any) error {
	compiled := s.get(text)
	if compiled.err != nil {
		return compiled.err
	}
	if values == nil {
		values = map[string]any{}
	}
	if err := compiled.schema.Validate(values); err != nil {
		message := strings.TrimPrefix(err.Error(), "jsonschema validation failed with '"+schemaURL+"#'\n")
		//lint:ignore ST1005 Helm's text ends so
		return fmt.Errorf("%s\n", message)
	}
	return nil
}

func (s *schemas) get(text []byte) *compiledSchema {
	s.mu.Lock()
	c := s.compiled[string(text)]
	if c == nil {
		c = &compiledSchema{}
		if s.compiled == nil {
			s.compiled = map[string]*compiledSchema{}
		}
		s.compiled[string(text)] = c
	}
	s.mu.Unlock()
	c.once.Do(func() { c.schema, c.err = compileSchema(text) })
	return c
}

func compileSchema(text []byte) (schema *jsonschema.Schema, err error) {
	defer func() {
		if r := recover(); r != nil {
			schema, err = nil, fmt.Errorf("unable to validate schema: %s", r)
		}
	}()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(permissive{})
	if err := compiler.AddResource(schemaURL, document); err != nil {
		return nil, err
	}
	return compiler.Compile(schemaURL)
}

// permissive gives, for every other document, the schema that admits all.
type permissive struct{}

// Load gives the schema `true`.
func (permissive) Load(string) (any, error) { return true, nil }
