package explain

import (
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Complete gives the paths that begin with what was typed, one step further.
func (x *Explainer) Complete(typed string) []string {
	var out []string
	add := func(path string, more bool) {
		if more {
			path += "."
		}
		if strings.HasPrefix(path, typed) && path != typed {
			out = append(out, path)
		}
	}
	for _, r := range x.releases {
		for _, root := range []*source.Value{r.Trace.Fields, r.Trace.Values} {
			completeValues(root, "", typed, add)
		}
		for i, object := range r.objects.list {
			name := object.Ref.String() + ":"
			if !strings.HasPrefix(typed, name) {
				add(name, false)
				continue
			}
			completeFields(r.objects.roots[i], name, typed, add)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// leads says whether what was typed goes on below a path.
func leads(path, typed string) bool {
	rest, ok := strings.CutPrefix(typed, path)
	return ok && rest != "" && (rest[0] == '.' || rest[0] == '[')
}

func completeValues(v *source.Value, at, typed string, add func(path string, more bool)) {
	for _, f := range v.FieldsOrNone() {
		here := joined(at, f.Key)
		if leads(here, typed) {
			completeValues(f.Value, here, typed, add)
		} else {
			add(here, f.Value != nil && len(f.Value.Fields) > 0)
		}
	}
	for i, item := range v.ItemsOrNone() {
		here := at + segment(item.Get("name").Str(), i)
		if leads(here, typed) {
			completeValues(item, here, typed, add)
		} else {
			add(here, len(item.FieldsOrNone()) > 0)
		}
	}
}

func completeFields(n *node, object, typed string, add func(path string, more bool)) {
	below := slices.Clone(n.items)
	for _, f := range n.fields {
		below = append(below, f.node)
	}
	for _, next := range below {
		if here := object + next.path; leads(here, typed) {
			completeFields(next, object, typed, add)
		} else {
			add(here, len(next.fields) > 0)
		}
	}
}
