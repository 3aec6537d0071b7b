package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"text/template"

	"github.com/BurntSushi/toml"
	"github.com/Masterminds/sprig/v3"
	"sigs.k8s.io/yaml"
	goyaml "sigs.k8s.io/yaml/goyaml.v3"
)

// functions gives Helm's functions. Those that depend on the rendering stand
// here as their names only; an executor puts its own in their place.
func functions() template.FuncMap {
	f := sprig.TxtFuncMap()
	delete(f, "env")
	delete(f, "expandenv")

	f["toYaml"] = toYAML
	f["toYamlPretty"] = toYAMLPretty
	f["fromYaml"] = fromYAML
	f["fromYamlArray"] = fromYAMLArray
	f["toToml"] = toTOML
	f["fromToml"] = fromTOML
	f["toJson"] = toJSON
	f["fromJson"] = fromJSON
	f["fromJsonArray"] = fromJSONArray
	f["lookup"] = func(_, _, _, _ string) (map[string]any, error) { return map[string]any{}, nil }
	f["getHostByName"] = func(string) string { return "" }

	// These are text/template's own, named here so that they are bounded.
	f["print"] = fmt.Sprint
	f["printf"] = fmt.Sprintf
	f["println"] = fmt.Sprintln
	f["html"] = template.HTMLEscaper
	f["js"] = template.JSEscaper
	f["urlquery"] = template.URLQueryEscaper

	var none *executor
	for name, function := range none.rendering(nil) {
		f[name] = function
	}
	for name, function := range none.refusing() {
		f[name] = function
	}
	return f
}

// refusing gives the functions with which a chart refuses its values. Lint lets
// them pass, as Helm's does.
func (e *executor) refusing() template.FuncMap {
	return template.FuncMap{
		"required": func(message string, v any) (any, error) {
			if v != nil && v != "" {
				return v, nil
			}
			if e.run.lint {
				return "", nil
			}
			return v, refusal(message)
		},
		"fail": func(message string) (string, error) {
			if e.run.lint {
				return "", nil
			}
			return "", refusal(message)
		},
	}
}

func unmarshalYAML(data []byte, into any) error { return yaml.Unmarshal(data, into) }

// toYAML gives a value's YAML, and nothing for a value that has none, as do the
// other functions of this kind.
func toYAML(v any) string {
	if text, ok := emitYAML(v); ok {
		return text
	}
	data, err := yaml.Marshal(v)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(data), "\n")
}

func toYAMLPretty(v any) string {
	var data bytes.Buffer
	encoder := goyaml.NewEncoder(&data)
	encoder.SetIndent(2)
	if err := encoder.Encode(v); err != nil {
		return ""
	}
	return strings.TrimSuffix(data.String(), "\n")
}

// fromYAML gives a map; what is wrong with the text stands in it as Error.
func fromYAML(text string) map[string]any {
	if m, ok := readMap(text); ok {
		return m
	}
	m := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &m); err != nil {
		m["Error"] = err.Error()
	}
	return m
}

func fromYAMLArray(text string) []any {
	list := []any{}
	if err := yaml.Unmarshal([]byte(text), &list); err != nil {
		list = []any{err.Error()}
	}
	return list
}

func toTOML(v any) string {
	var data bytes.Buffer
	if err := toml.NewEncoder(&data).Encode(v); err != nil {
		return err.Error()
	}
	return data.String()
}

func fromTOML(text string) map[string]any {
	m := map[string]any{}
	if err := toml.Unmarshal([]byte(text), &m); err != nil {
		m["Error"] = err.Error()
	}
	return m
}

func toJSON(v any) string {
	if data, ok := emitJSON(nil, v, 0); ok {
		return string(data)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(data)
}

func fromJSON(text string) map[string]any {
	if m, ok := readJSON(text); ok {
		return m
	}
	m := map[string]any{}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		m["Error"] = err.Error()
	}
	return m
}

func fromJSONArray(text string) []any {
	list := []any{}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		list = []any{err.Error()}
	}
	return list
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
