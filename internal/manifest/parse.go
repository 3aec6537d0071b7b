package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	// What Helm and kubectl read YAML with, below sigs.k8s.io/yaml; read with it
	// directly, objects need no way through JSON.
	"go.yaml.in/yaml/v2"

	"github.com/helm-kai/helm-kai/internal/source"
)

// hookAnnotation says that an object is a hook of Helm, and of which events.
const hookAnnotation = "helm.sh/hook"

// Parse reads documents of YAML or JSON, as Helm writes manifests, into objects
// in their order. A value means what it means to Helm and to kubectl: YAML 1.1,
// whole numbers are int64, a repeated key's last value counts. A comment
// `# Source: FILE` above an object is its Source, the annotation helm.sh/hook its
// Hook. An object that names no namespace stays without one. The items of a List
// stand for themselves, and a document without content is skipped.
//
// An error names the source and the document, and repeats nothing that stands in
// it: it may hold secrets.
func Parse(text string) ([]Object, error) {
	var objects []Object
	n := 0
	for doc := range documents(strings.TrimPrefix(text, "\ufeff")) {
		head, from := comments(doc)
		if head == len(doc) {
			continue
		}
		n++
		values, err := decode(doc, head)
		for _, v := range values {
			if err == nil {
				objects, err = flatten(objects, v, from)
			}
		}
		if err != nil {
			if from != "" {
				return nil, fmt.Errorf("document %d (%s): %w", n, from, err)
			}
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
	}
	return objects, nil
}

// documents cuts a stream at its markers, --- and ..., which YAML knows only at
// the beginning of a line and before white space; what follows on that line is
// the next document's.
func documents(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start := 0
		for at := 0; at >= 0 && at < len(text); {
			if marker(text[at:]) {
				if !yield(text[start:at]) {
					return
				}
				start = at + len("---")
			}
			next := strings.IndexByte(text[at:], '\n')
			if next < 0 {
				break
			}
			at += next + 1
		}
		yield(text[start:])
	}
}

func marker(line string) bool {
	if !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "...") {
		return false
	}
	return len(line) == 3 || strings.IndexByte(" \t\r\n", line[3]) >= 0
}

// comments gives where a document's content begins, and the source that the
// comments above it name. Directives stand before a marker and have no content.
func comments(doc string) (head int, from string) {
	for head < len(doc) {
		line := doc[head:]
		if end := strings.IndexByte(line, '\n'); end >= 0 {
			line = line[:end+1]
		}
		text := strings.TrimLeft(line, " \t\r\n")
		if text != "" && text[0] != '#' && text[0] != '%' {
			return head + len(line) - len(text), from
		}
		if name, ok := strings.CutPrefix(text, "# Source: "); ok && from == "" {
			from = strings.TrimSpace(name)
		}
		head += len(line)
	}
	return head, from
}

// decode reads one document: one value, or several of JSON, one behind the other.
// Its content begins at head. What looks like JSON is read as JSON first, since
// YAML does not take tabs where JSON does.
func decode(doc string, head int) ([]any, error) {
	if values := decodeJSON(doc[head:]); values != nil {
		return natives(values)
	}
	d := yaml.NewDecoder(strings.NewReader(doc))
	var v, more any
	if err := d.Decode(&v); err != nil {
		return nil, wordYAML(err)
	}
	// The library would leave what stands behind a value unread.
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("a second document")
		}
		return nil, wordYAML(err)
	}
	return natives([]any{v})
}

// decodeJSON gives the values of a stream, or nil where it is not JSON alone.
func decodeJSON(doc string) []any {
	if !strings.HasPrefix(doc, "{") {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(doc))
	d.UseNumber()
	var values []any
	for {
		var v any
		switch err := d.Decode(&v); {
		case errors.Is(err, io.EOF):
			return values
		case err != nil:
			return nil
		}
		values = append(values, v)
	}
}

func natives(values []any) ([]any, error) {
	for i, v := range values {
		v, err := native(v)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

// syntaxLine is an error of the YAML scanner or parser, whose words are fixed.
// The line is the document's.
var syntaxLine = regexp.MustCompile(`^yaml: line \d+: `)

// wordYAML words an error of the YAML library. Those of its decoder repeat what
// stands in the document.
func wordYAML(err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "unknown anchor"):
		return errors.New("an alias (*NAME) has no anchor (&NAME): quote text that begins with *")
	case strings.Contains(text, "value contains itself"):
		return errors.New("an anchor (&NAME) contains itself")
	case strings.Contains(text, "excessive aliasing"):
		return errors.New("its aliases (*NAME) expand to too much")
	case strings.Contains(text, "invalid map key"):
		return errors.New("a key is a map or a list: write the key as text, and quote text that begins with { or [")
	case strings.Contains(text, "map merge requires"):
		return errors.New("a value that << merges is no map")
	case strings.Contains(text, "cannot decode"), strings.Contains(text, "!!binary"):
		return errors.New("a value does not fit its tag (!!TYPE): quote text that begins with !, or remove the tag")
	case syntaxLine.MatchString(text):
		return errors.New(strings.TrimPrefix(text, "yaml: "))
	}
	return errors.New("it is not YAML, or something stands behind its end")
}

// native gives what JSON would hold, as Kubernetes' unstructured objects do:
// text keys, int64 for whole numbers, float64 for others.
func native(v any) (any, error) {
	switch v := v.(type) {
	case string:
		if !utf8.ValidString(v) {
			return toJSON(v)
		}
		return v, nil
	case nil, bool, int64:
		return v, nil
	case int:
		return int64(v), nil
	case uint64:
		return finite(float64(v))
	case float64:
		return finite(v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		f, err := v.Float64()
		if err != nil {
			return nil, errors.New("a number is too large")
		}
		return finite(f)
	case []any:
		for i := range v {
			item, err := native(v[i])
			if err != nil {
				return nil, err
			}
			v[i] = item
		}
		return v, nil
	case map[string]any:
		for k := range v {
			item, err := native(v[k])
			if err != nil {
				return nil, err
			}
			v[k] = item
		}
		return v, nil
	case map[any]any:
		m := make(map[string]any, len(v))
		for k, item := range v {
			key, err := keyText(k)
			if err != nil {
				return nil, err
			}
			if m[key], err = native(item); err != nil {
				return nil, err
			}
		}
		return m, nil
	}
	return toJSON(v)
}

// finite gives a float as it comes back from JSON, where a whole one has no
// fraction.
func finite(f float64) (any, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, errors.New("a number is not finite: quote it, if it is text")
	}
	if f == math.Trunc(f) && math.Abs(f) < 1e21 {
		if n, err := strconv.ParseInt(strconv.FormatFloat(f, 'f', -1, 64), 10, 64); err == nil {
			return n, nil
		}
	}
	return f, nil
}

// toJSON takes what is rare, dates and text that is not UTF-8, through JSON.
func toJSON(v any) (any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, errors.New("a value has no form in JSON")
	}
	var out any
	err = json.Unmarshal(data, &out)
	return out, err
}

// keyText gives a key as sigs.k8s.io/yaml would.
func keyText(k any) (string, error) {
	switch k := k.(type) {
	case string:
		if !utf8.ValidString(k) {
			return strings.ToValidUTF8(k, "\ufffd"), nil
		}
		return k, nil
	case int:
		return strconv.Itoa(k), nil
	case int64:
		return strconv.FormatInt(k, 10), nil
	case uint64:
		return strconv.FormatUint(k, 10), nil
	case float64:
		return strings.NewReplacer("+Inf", ".inf", "-Inf", "-.inf", "NaN", ".nan").Replace(strconv.FormatFloat(k, 'g', -1, 32)), nil
	case bool:
		return strconv.FormatBool(k), nil
	}
	return "", errors.New("a key is neither text nor a number: write it as text")
}

// flatten appends an object, or the items of a list.
func flatten(objects []Object, v any, from string) ([]Object, error) {
	fields, ok := v.(map[string]any)
	if !ok {
		if v == nil {
			return objects, nil
		}
		return nil, errors.New("it is no object: a map with apiVersion, kind and metadata is wanted")
	}
	kind, _ := fields["kind"].(string)
	apiVersion, _ := fields["apiVersion"].(string)
	if items, ok := fields["items"].([]any); ok && strings.HasSuffix(kind, "List") {
		var err error
		for i, item := range items {
			objects, err = flatten(objects, named(item, apiVersion, strings.TrimSuffix(kind, "List")), from)
			if err != nil {
				return nil, fmt.Errorf("items[%d]: %w", i, err)
			}
		}
		return objects, nil
	}
	if kind == "List" && fields["items"] == nil {
		return objects, nil
	}
	for _, key := range []string{"apiVersion", "kind"} {
		if s, _ := fields[key].(string); s == "" {
			return nil, fmt.Errorf("it has no %s, or it is not text", key)
		}
	}
	metadata, _ := fields["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	if generated, _ := metadata["generateName"].(string); name == "" && generated == "" {
		return nil, fmt.Errorf("the %s has no metadata.name, or it is not text", kind)
	}
	namespace, _ := metadata["namespace"].(string)
	return append(objects, Object{
		Ref:    Ref{APIVersion: apiVersion, Kind: kind, Namespace: namespace, Name: name},
		Fields: fields,
		Source: from,
		Hook:   hooks(metadata),
	}), nil
}

// named gives an item of a ConfigMapList its kind, which the list tells.
func named(item any, apiVersion, kind string) any {
	fields, ok := item.(map[string]any)
	if !ok || kind == "" {
		return item
	}
	if fields["kind"] == nil && fields["apiVersion"] == nil {
		fields["kind"], fields["apiVersion"] = kind, apiVersion
	}
	return fields
}

// hooks gives the events of a hook in the words that Helm uses now.
func hooks(metadata map[string]any) []string {
	annotations, _ := metadata["annotations"].(map[string]any)
	list, _ := annotations[hookAnnotation].(string)
	if list == "" {
		return nil
	}
	var events []string
	for event := range strings.SplitSeq(list, ",") {
		event = strings.ToLower(strings.TrimSpace(event))
		if event == "test-success" {
			event = "test"
		}
		if event != "" && !slices.Contains(events, event) {
			events = append(events, event)
		}
	}
	return events
}

// usual is the order in which an object's own fields are written; what is not
// in it stands before the status, sorted.
var usual = map[string]int{"apiVersion": -8, "kind": -7, "metadata": -6, "type": -5, "immutable": -4, "spec": -3, "data": -2, "binaryData": -1, "status": 1}

// YAML gives an object's fields as YAML, in an order that does not change: its
// own fields as people write them, those inside sorted, but for name, which
// comes first. Text of several lines is a block.
func YAML(fields map[string]any) string {
	if fields == nil {
		return ""
	}
	return string(source.AppendYAML(nil, written(fields, usual), nil))
}

var nameFirst = map[string]int{"name": -1}

// written gives a value for the YAML writer.
func written(v any, order map[string]int) *source.Value {
	switch v := v.(type) {
	case nil:
		return &source.Value{Kind: source.Null}
	case string:
		return &source.Value{Kind: source.String, Text: v}
	case bool:
		return &source.Value{Kind: source.Bool, Text: strconv.FormatBool(v)}
	case int64:
		return &source.Value{Kind: source.Number, Text: strconv.FormatInt(v, 10)}
	case float64:
		return &source.Value{Kind: source.Number, Text: plainText(v)}
	case map[string]any:
		out := &source.Value{Kind: source.Map, Fields: make([]source.Field, 0, len(v))}
		for _, k := range orderedKeys(v, order) {
			out.Fields = append(out.Fields, source.Field{Key: k, Value: written(v[k], nameFirst)})
		}
		return out
	case []any:
		out := &source.Value{Kind: source.List, Items: make([]*source.Value, len(v))}
		for i, item := range v {
			out.Items[i] = written(item, nameFirst)
		}
		return out
	}
	return &source.Value{Kind: source.String, Text: plainText(v)}
}

func orderedKeys(m map[string]any, order map[string]int) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if d := order[a] - order[b]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return keys
}

// plainText gives a leaf as YAML and JSON write it, without quotes.
func plainText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		if data, err := json.Marshal(v); err == nil {
			return string(data)
		}
	}
	return fmt.Sprint(v)
}
