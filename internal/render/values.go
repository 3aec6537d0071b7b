package render

import (
	"fmt"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/strvals"
	"sigs.k8s.io/yaml"

	"github.com/helm-kai/helm-kai/internal/source"
)

// UserValues are a user's own values in the forms that Helm knows.
type UserValues struct {
	Files     []ValuesFile // -f, later ones over earlier ones
	Set       []string     // --set
	SetString []string     // --set-string
	SetFile   []string     // --set-file KEY=PATH
	// ReadFile reads what --set-file names.
	ReadFile func(path string) ([]byte, error)
}

// ValuesFile is a file of values.
type ValuesFile struct {
	Name string
	Data []byte
}

// setForm is how a value is written on a command line.
const setForm = "write KEY=VALUE, such as image.tag=1.4.2 or list[0]=a; put \\ before a comma or a dot that is part of the text"

// Merge lays the values over one another in Helm's order: files, --set,
// --set-string, --set-file.
func (u UserValues) Merge() (map[string]any, error) {
	out := map[string]any{}
	for _, f := range u.Files {
		var m map[string]any
		if err := yaml.Unmarshal(f.Data, &m); err != nil {
			if _, findings := source.ParseYAML(f.Name, f.Data); findings != nil {
				return nil, findings
			}
			return nil, fmt.Errorf("%s: the values are not a map\n  hint: write KEY: VALUE, as in values.yaml", f.Name)
		}
		out = chartutil.MergeTables(m, out)
		if out == nil {
			out = map[string]any{}
		}
	}
	for _, s := range u.Set {
		if err := strvals.ParseInto(s, out); err != nil {
			return nil, fmt.Errorf("--set %s: %w\n  hint: %s", s, err, setForm)
		}
	}
	for _, s := range u.SetString {
		if err := strvals.ParseIntoString(s, out); err != nil {
			return nil, fmt.Errorf("--set-string %s: %w\n  hint: %s", s, err, setForm)
		}
	}
	for _, s := range u.SetFile {
		err := strvals.ParseIntoFile(s, out, func(path []rune) (any, error) {
			data, err := u.ReadFile(string(path))
			return string(data), err
		})
		if err != nil {
			return nil, fmt.Errorf("--set-file %s: %w\n  hint: write KEY=PATH, the path of a file", s, err)
		}
	}
	return out, nil
}
