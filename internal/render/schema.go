package render

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"maps"
	"strconv"
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
	compiled map[uint64][]*compiledSchema // by a hash of the schema's text
}

type compiledSchema struct {
	text   []byte
	once   sync.Once
	schema *jsonschema.Schema
	err    error

	read  sync.Once
	words int  // how often a key begins with subchartWord
	names bool // whether it has one of namesMatter
}

const schemaURL = "file:///values.schema.json"

// validate gives the text of all violations, of the chart and of its subcharts,
// or nothing.
func (s *schemas) validate(c *chart.Chart, values map[string]any) string {
	var out strings.Builder
	if c.Schema != nil && s.check(s.general(c, values)) != nil {
		if err := s.check(pieces{c.Schema}, values); err != nil {
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
// values, so that charts which differ in them alone share one compiled schema. It
// does so where the values are right by the one exactly if they are by the other:
// where a name is one key of the schema, and a key of the values at their top
// alone. A name without a hyphen stays: it might be a word of the schema.
func (s *schemas) general(c *chart.Chart, values map[string]any) (pieces, map[string]any) {
	whole := pieces{c.Schema}
	text, own := whole, values
	taken := map[string]bool{}
	for i, sub := range c.Dependencies() {
		name := sub.Name()
		if !strings.Contains(name, "-") || strings.Contains(name, `\`) || taken[name] {
			continue
		}
		neutral := subchartWord + strconv.Itoa(i)
		shared, ok := text.withKey(`"`+name+`"`, `"`+neutral+`"`)
		if !ok {
			continue
		}
		if _, ok := values[neutral]; ok {
			return whole, values
		}
		if len(taken) == 0 {
			own = maps.Clone(values)
		}
		text = shared
		taken[name], taken[neutral] = true, true
		if v, ok := values[name]; ok {
			delete(own, name)
			own[neutral] = v
		}
	}
	if len(taken) > 0 && s.get(text).looksIntoNames(len(taken)/2) {
		return whole, values
	}
	for _, v := range values {
		if len(taken) > 0 && hasKey(v, taken, 0) {
			return whole, values
		}
	}
	return text, own
}

// subchartWord begins the key that stands for a subchart's name.
const subchartWord = "subchart "

// namesMatter are what a schema has in it that looks into names, or may hold one
// in other words.
var namesMatter = [][]byte{[]byte(`"patternProperties"`), []byte(`"propertyNames"`), []byte(`\u`)}

// looksIntoNames says whether a schema, in which some names of subcharts are
// replaced, may still tell one name from another. It reads the text once.
func (c *compiledSchema) looksIntoNames(replaced int) bool {
	c.read.Do(func() {
		c.words = bytes.Count(c.text, []byte(`"`+subchartWord))
		for _, word := range namesMatter {
			c.names = c.names || bytes.Contains(c.text, word)
		}
	})
	return c.names || c.words != replaced
}

// hasKey says whether a value has one of some keys in it, or nests too deep to tell.
func hasKey(v any, keys map[string]bool, depth int) bool {
	if depth > maxNesting {
		return true
	}
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			if keys[key] || hasKey(item, keys, depth+1) {
				return true
			}
		}
	case []any:
		for _, item := range v {
			if hasKey(item, keys, depth+1) {
				return true
			}
		}
	}
	return false
}

// pieces are a text that has not been put together.
type pieces [][]byte

// withKey gives the text with another key in place of one, both in quotes, if that
// stands in it once and as a key.
func (p pieces) withKey(key, by string) (pieces, bool) {
	var out pieces
	found := false
	for _, piece := range p {
		i := bytes.Index(piece, []byte(key))
		if i < 0 {
			out = append(out, piece)
			continue
		}
		rest := piece[i+len(key):]
		if found || !bytes.HasPrefix(rest, []byte(":")) || bytes.Contains(rest, []byte(key)) {
			return nil, false
		}
		found = true
		out = append(out, piece[:i], []byte(by), rest)
	}
	return out, found
}

// hash gives the same for the same text, whatever its pieces.
func (p pieces) hash() uint64 {
	var h maphash.Hash
	h.SetSeed(hashSeed)
	for _, piece := range p {
		h.Write(piece)
	}
	return h.Sum64()
}

var hashSeed = maphash.MakeSeed()

// are says whether the pieces make a text.
func (p pieces) are(text []byte) bool {
	for _, piece := range p {
		if !bytes.HasPrefix(text, piece) {
			return false
		}
		text = text[len(piece):]
	}
	return len(text) == 0
}

// check holds values against one schema.
func (s *schemas) check(text pieces, values map[string]any) error {
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

func (s *schemas) get(text pieces) *compiledSchema {
	hash := text.hash()
	s.mu.Lock()
	var c *compiledSchema
	for _, known := range s.compiled[hash] {
		if text.are(known.text) {
			c = known
		}
	}
	if c == nil {
		c = &compiledSchema{text: bytes.Join(text, nil)}
		if s.compiled == nil {
			s.compiled = map[uint64][]*compiledSchema{}
		}
		s.compiled[hash] = append(s.compiled[hash], c)
	}
	s.mu.Unlock()
	c.once.Do(func() { c.schema, c.err = compileSchema(c.text) })
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
