package render

import (
	"fmt"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/strvals"
	"sigs.k8s.io/yaml"
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

// Merge lays the values over one another in Helm's order: files, --set,
// --set-string, --set-file.
func (u UserValues) Merge() (map[string]any, error) {
	out := map[string]any{}
	for _, f := range u.Files {
		var m map[string]any
		if err := yaml.Unmarshal(f.Data, &m); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		out = chartutil.MergeTables(m, out)
		if out == nil {
			out = map[string]any{}
		}
	}
	for _, s := range u.Set {
		if err := strvals.ParseInto(s, out); err != nil {
			return nil, fmt.Errorf("--set %s: %w", s, err)
		}
	}
	for _, s := range u.SetString {
		if err := strvals.ParseIntoString(s, out); err != nil {
			return nil, fmt.Errorf("--set-string %s: %w", s, err)
		}
	}
	for _, s := range u.SetFile {
		err := strvals.ParseIntoFile(s, out, func(path []rune) (any, error) {
			data, err := u.ReadFile(string(path))
			return string(data), err
		})
		if err != nil {
			return nil, fmt.Errorf("--set-file %s: %w", s, err)
		}
	}
	return out, nil
}
