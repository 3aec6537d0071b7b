package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/util/jsonpath"
)

// ObjectFormats gives what Objects takes; those that end in = want an argument.
func ObjectFormats() []string {
	return []string{"json", "yaml", "name", "jsonpath=", "custom-columns=", "go-template="}
}

// Objects prints v, which encodes as JSON, in one of kubectl's formats: json,
// yaml, name, jsonpath=TEMPLATE, custom-columns=HEADER:PATH,… and
// go-template=TEMPLATE. The paths and templates see v as the format json prints
// it: what is a list there is one to them, {[*].name}; go-template sees it below
// .items. name and custom-columns print a line for each item of a list. It fails
// for an unknown format, a faulty template, and where w does.
func Objects(w io.Writer, format string, v any) error {
	name, argument, given := strings.Cut(format, "=")
	how, ok := objectPrinters()[name]
	if !ok {
		return unknown("this", format, ObjectFormats())
	}
	if want := how.argument; given != want || want && argument == "" {
		return fmt.Errorf("%q is no format: %s\n  hint: known: %s", format, argumentRule(want, name), strings.Join(ObjectFormats(), ", "))
	}
	var raw bytes.Buffer
	if err := encodeJSON(&raw, v, ""); err != nil {
		return fmt.Errorf("print as %s: %w", name, err)
	}
	if err := how.print(w, raw.Bytes(), argument); err != nil {
		return fmt.Errorf("print as %s: %w", name, err)
	}
	return nil
}

func argumentRule(want bool, name string) string {
	if want {
		return name + " wants a template after ="
	}
	return name + " takes nothing after it"
}

type objectPrinter struct {
	argument bool
	print    func(w io.Writer, raw []byte, argument string) error
}

func objectPrinters() map[string]objectPrinter {
	return map[string]objectPrinter{
		"json":           {false, printJSON},
		"yaml":           {false, printYAML},
		"name":           {false, printNames},
		"jsonpath":       {true, printJSONPath},
		"custom-columns": {true, printColumns},
		"go-template":    {true, printGoTemplate},
	}
}

func printJSON(w io.Writer, raw []byte, _ string) error {
	return (&printers.JSONPrinter{}).PrintObj(&runtime.Unknown{Raw: bytes.TrimSpace(raw)}, w)
}

func printYAML(w io.Writer, raw []byte, _ string) error {
	return (&printers.YAMLPrinter{}).PrintObj(&runtime.Unknown{Raw: raw}, w)
}

func printNames(w io.Writer, raw []byte, _ string) error {
	items, err := itemsOf(raw)
	if err != nil {
		return err
	}
	for _, item := range items {
		if err := printName(w, item); err != nil {
			return err
		}
	}
	return nil
}

// printName prints a Kubernetes object as kubectl does, deployment.apps/carts,
// and anything else by its field name or release.
func printName(w io.Writer, item any) error {
	fields, _ := item.(map[string]any)
	object := &unstructured.Unstructured{Object: fields}
	if object.GetKind() != "" && object.GetName() != "" {
		return (&printers.NamePrinter{}).PrintObj(object, w)
	}
	name, _ := fields["name"].(string)
	if name == "" {
		name, _ = fields["release"].(string)
	}
	if name == "" {
		return fmt.Errorf("there is an item without a name")
	}
	_, err := fmt.Fprintln(w, clean(name))
	return err
}

func printJSONPath(w io.Writer, raw []byte, template string) error {
	p, err := printers.NewJSONPathPrinter(template)
	if err != nil {
		return err
	}
	v, err := decode(raw)
	if err != nil {
		return err
	}
	return p.AllowMissingKeys(true).Execute(w, v)
}

func printGoTemplate(w io.Writer, raw []byte, template string) error {
	p, err := printers.NewGoTemplatePrinter([]byte(template))
	if err != nil {
		return err
	}
	p.AllowMissingKeys(true)
	v, err := decode(raw)
	if err != nil {
		return err
	}
	fields, ok := v.(map[string]any)
	if !ok {
		fields = map[string]any{"items": v}
	}
	return p.PrintObj(&unstructured.Unstructured{Object: fields}, w)
}

// printColumns prints HEADER:PATH,… as kubectl does; its printer for that lies
// in the command itself, not in cli-runtime.
func printColumns(w io.Writer, raw []byte, spec string) error {
	var header []string
	var paths []*jsonpath.JSONPath
	for column := range strings.SplitSeq(spec, ",") {
		name, expression, found := strings.Cut(column, ":")
		if !found {
			return fmt.Errorf("the column %q is not HEADER:PATH", column)
		}
		path, err := columnPath(expression)
		if err != nil {
			return fmt.Errorf("the column %q: %w", column, err)
		}
		header, paths = append(header, name), append(paths, path)
	}
	items, err := itemsOf(raw)
	if err != nil {
		return err
	}
	out := printers.GetNewTabWriter(w)
	// The table's printer would put headers in capitals.
	rows := [][]string{header}
	for _, item := range items {
		row := make([]string, len(paths))
		for i, p := range paths {
			if row[i], err = columnText(p, item); err != nil {
				return fmt.Errorf("the column %s: %w", header[i], err)
			}
		}
		rows = append(rows, row)
	}
	for _, row := range rows {
		_, _ = io.WriteString(out, strings.Join(row, "\t")+"\n") // Flush gives the error
	}
	return out.Flush()
}

// relaxed takes .metadata.name, metadata.name and both in braces.
var relaxed = regexp.MustCompile(`^\{\.?([^{}]+)\}$|^\.?([^{}]+)$`)

func columnPath(expression string) (*jsonpath.JSONPath, error) {
	match := relaxed.FindStringSubmatch(expression)
	if match == nil {
		return nil, fmt.Errorf("%q is not a path like .metadata.name", expression)
	}
	path := jsonpath.New("column").AllowMissingKeys(true)
	return path, path.Parse("{." + cmp.Or(match[1], match[2]) + "}")
}

func columnText(path *jsonpath.JSONPath, item any) (string, error) {
	results, err := path.FindResults(item)
	if err != nil {
		return "", err
	}
	var texts []string
	for _, values := range results {
		for _, v := range values {
			texts = append(texts, oneLine(fmt.Sprint(v.Interface())))
		}
	}
	return cmp.Or(strings.Join(texts, ","), "<none>"), nil
}

// decode reads JSON with integers as int64, so that large ones are printed
// without an exponent.
func decode(raw []byte) (any, error) {
	var v any
	err := json.Unmarshal(raw, &v)
	return v, err
}

// itemsOf gives the items of a list, or of Kubernetes' kind of one, or the one
// thing that it is.
func itemsOf(raw []byte) ([]any, error) {
	v, err := decode(raw)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []any:
		return v, nil
	case map[string]any:
		if items, ok := v["items"].([]any); ok {
			return items, nil
		}
	}
	return []any{v}, nil
}
