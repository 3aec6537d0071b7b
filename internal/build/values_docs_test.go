package build_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// TestValuesAreDocumented goes over every value of every example's charts: its
// schema describes it, in other words than those of its key, and where it is not
// one of many names the description stands above it as a comment.
func TestValuesAreDocumented(t *testing.T) {
	t.Parallel()
	leaves := 0
	for _, dir := range []string{"hello", "podinfo", "sock-shop", "friends", "jobs", "routes"} {
		w, findings := workspace.Open(os.DirFS(filepath.Join("..", "..", "testdata", dir)))
		if findings.Err() != nil {
			t.Fatal(findings)
		}
		for _, name := range w.ContextNames() {
			releases, findings := build.Charts(context.Background(), w, name, build.Options{})
			if findings.Err() != nil {
				t.Fatal(findings)
			}
			for _, r := range releases {
				d := valuesDocs{t: t, chart: dir + "/" + name + "/" + r.Chart.Name, schema: map[string]any{}}
				var values yaml.Node
				for _, f := range r.Chart.Files {
					switch f.Path {
					case "values.yaml":
						if err := yaml.Unmarshal(f.Data, &values); err != nil {
							t.Fatal(err)
						}
					case "values.schema.json":
						if err := json.Unmarshal(f.Data, &d.schema); err != nil {
							t.Fatal(err)
						}
					}
				}
				if len(values.Content) > 0 {
					d.walk(values.Content[0], []map[string]any{d.schema}, nil, true)
				}
				leaves += d.leaves
			}
		}
	}
	if leaves < 5000 {
		t.Errorf("only %d values were looked at", leaves)
	}
}

// valuesDocs looks at the values of one chart.
type valuesDocs struct {
	t      *testing.T
	chart  string
	schema map[string]any
	leaves int
	said   []string // paths in lists whose comments were seen
}

// inKubernetesWords are the values whose inside Kubernetes alone describes.
var inKubernetesWords = regexp.MustCompile(`^patches\.[^.]+\.`)

func (d *valuesDocs) walk(n *yaml.Node, schemas []map[string]any, path []string, described bool) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			here := append(slices.Clone(path), key.Value)
			parts, named := d.below(schemas, key.Value)
			text := description(parts)
			name := strings.Join(here, ".")
			switch {
			case inKubernetesWords.MatchString(name):
				d.leaves++
				continue
			case text == "" && (!named || value.Kind == yaml.ScalarNode):
				d.t.Errorf("%s: %s: the schema does not describe it", d.chart, name)
			case text != "" && !named && tautology(here, text):
				d.t.Errorf("%s: %s: %q says no more than the key", d.chart, name, text)
			}
			comment := strings.TrimPrefix(key.HeadComment, "# -- ")
			if i == 0 && len(path) > 0 && path[len(path)-1] == "[]" {
				comment = strings.TrimPrefix(n.HeadComment, "# -- ")
			}
			if !named && comment != text && !slices.Contains(d.said, name) {
				d.t.Errorf("%s: %s: the comment is %q, the schema's description %q", d.chart, name, comment, text)
			}
			if slices.Contains(here, "[]") {
				d.said = append(d.said, name)
			}
			d.walk(value, parts, here, text != "")
		}
	case yaml.SequenceNode:
		parts := d.items(schemas)
		for _, item := range n.Content {
			d.walk(item, parts, append(slices.Clone(path), "[]"), described)
		}
	default:
		d.leaves++
	}
}

// below gives the schemas of a key, and whether it is a name and no word of the
// schema.
func (d *valuesDocs) below(schemas []map[string]any, key string) (parts []map[string]any, named bool) {
	for _, s := range d.flat(schemas) {
		if properties, ok := s["properties"].(map[string]any); ok && properties[key] != nil {
			parts = append(parts, properties[key].(map[string]any))
		}
	}
	if parts != nil {
		return parts, false
	}
	for _, s := range d.flat(schemas) {
		if more, ok := s["additionalProperties"].(map[string]any); ok {
			parts = append(parts, more)
		}
	}
	return parts, parts != nil
}

func (d *valuesDocs) items(schemas []map[string]any) []map[string]any {
	var parts []map[string]any
	for _, s := range d.flat(schemas) {
		if items, ok := s["items"].(map[string]any); ok {
			parts = append(parts, items)
		}
	}
	return parts
}

// flat gives schemas and all that they refer to.
func (d *valuesDocs) flat(schemas []map[string]any) []map[string]any {
	var out []map[string]any
	for _, s := range schemas {
		out = append(out, s)
		if ref, ok := s["$ref"].(string); ok {
			name := strings.TrimPrefix(ref, "#/definitions/")
			out = append(out, d.flat([]map[string]any{d.schema["definitions"].(map[string]any)[name].(map[string]any)})...)
		}
		for _, key := range []string{"anyOf", "allOf", "oneOf"} {
			list, _ := s[key].([]any)
			for _, part := range list {
				out = append(out, d.flat([]map[string]any{part.(map[string]any)})...)
			}
		}
	}
	return out
}

func description(schemas []map[string]any) string {
	for _, s := range schemas {
		if text, ok := s["description"].(string); ok {
			return text
		}
	}
	return ""
}

var word = regexp.MustCompile(`[A-Z]?[a-z]+|[A-Z]+`)

// tautology says whether a description has no word but those of the key, of what it
// is a part of, and those that say nothing.
func tautology(path []string, text string) bool {
	known := map[string]bool{"the": true, "a": true, "an": true, "of": true, "its": true, "it": true, "this": true, "is": true, "for": true, "to": true}
	for _, key := range path[max(0, len(path)-2):] {
		for _, w := range word.FindAllString(key, -1) {
			known[stem(w)] = true
		}
	}
	for _, w := range word.FindAllString(text, -1) {
		if !known[stem(w)] && !known[strings.ToLower(w)] {
			return false
		}
	}
	return true
}

func stem(word string) string { return strings.TrimSuffix(strings.ToLower(word), "s") }

func TestTautology(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path, text string
		want       bool
	}{
		{"routes.http.portName", "name of the port", true},
		{"service.annotations", "annotations of the Services", true},
		{"replicas", "number of pods", false},
		{"image.tag", "tag (default: the chart's appVersion)", false},
	} {
		if got := tautology(strings.Split(c.path, "."), c.text); got != c.want {
			t.Errorf("%s %q: %v", c.path, c.text, got)
		}
	}
}
