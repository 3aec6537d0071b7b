package workspace

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Validate is what the workspace's file says of validating.
type Validate struct {
	// Section is the whole of it, in which the rules and what is ignored stand; nil
	// where there is none.
	Section *source.Value
	// KubeVersion is the minor of Kubernetes to validate for, or nil.
	KubeVersion *source.Value
	// CRDs are files with CustomResourceDefinitions, from the workspace's root.
	CRDs []*source.Value
}

// validateKeys are the keys of the section validate. Those that rules are named in
// are read by who knows the rules.
var validateKeys = []string{"rules", "ignore", "kubeVersion", "crds"}

// Validate gives what the workspace's file says of validating, and what of it cannot
// be meant. Patterns of files are resolved.
func (w *Workspace) Validate() (Validate, source.Findings) {
	var findings source.Findings
	v := w.root.Get("validate")
	if v.IsNull() {
		return Validate{}, nil
	}
	if v.Kind != source.Map {
		findings.Add("wrong-type", v.Origin, "validate", "write validate: {kubeVersion: \"1.36\", ignore: […]}", "expected a map, got %s", v.Kind)
		return Validate{}, findings
	}
	descriptor.UnknownKeys(v, "validate", validateKeys, &findings)
	out := Validate{Section: v}
	if k := v.Get("kubeVersion"); !k.IsNull() {
		if !k.IsScalar() {
			findings.Add("wrong-type", k.Origin, "validate.kubeVersion", "write it as \"1.36\"", "expected text, got %s", k.Kind)
		} else {
			out.KubeVersion = k
		}
	}
	seen := map[string]bool{}
	for i, item := range descriptor.ListOf(v.Get("crds"), "validate.crds", &findings) {
		here := descriptor.Index("validate.crds", i)
		pattern, ok := inside(item, here, &findings)
		if !ok {
			continue
		}
		files, err := fs.Glob(w.FS, pattern)
		if err != nil {
			findings.Add("file", item.Origin, here, "close the [, or put \\ before a character that is meant as it is", "%q is no pattern: %s", item.Str(), err)
			continue
		}
		files = slices.DeleteFunc(files, func(file string) bool {
			info, err := fs.Stat(w.FS, file)
			return errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir()
		})
		if len(files) == 0 {
			findings.Add("file", item.Origin, here, "name files, from the folder of "+FileName, "no file matches %q", item.Str())
		}
		for _, file := range files {
			if !seen[file] {
				seen[file] = true
				out.CRDs = append(out.CRDs, source.NewString(item.Origin, file))
			}
		}
	}
	return out, findings
}

// validateSchema is the schema of the section.
func validateSchema() object {
	severity := object{"anyOf": []any{object{"enum": []any{"error", "warning", "info", "off"}}, object{"const": false}}}
	ignored := closed(object{
		"rule":    text("name of a rule"),
		"object":  text("Kind/name of objects, where * stands for any text (default: all)"),
		"release": text("name of a release (default: all)"),
		"file":    text("file that caused it, where * stands for any text (default: all)"),
		"reason":  text("why"),
	}, "rule", "reason")
	return explained(closed(object{
		"rules":       object{"type": "object", "additionalProperties": severity, "description": "severities of rules: error, warning, info, off"},
		"ignore":      object{"type": "array", "items": ignored, "description": "findings that are passed over, and why"},
		"kubeVersion": object{"type": []any{"string", "number"}, "description": "minor of Kubernetes to validate for, such as \"1.36\" (default: the newest that kai knows)"},
		"crds":        textList("files with CustomResourceDefinitions, as patterns"),
	}), "how kai validate judges")
}
