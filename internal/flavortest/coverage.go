package flavortest

import (
	"path"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Coverage is what of a flavor's own files its cases reach. What it has of the
// flavor that it extends is for the cases of that.
type Coverage struct {
	// Blocks counts the files of templates, what they define and the branches in
	// them, and Fields the fields of a context that the flavor declares.
	Blocks int `json:"blocks"`
	Fields int `json:"fields"`
	// Never are the blocks that no case runs, and Unset the fields that none sets.
	Never []Place  `json:"never"`
	Unset []string `json:"unset"`
}

// Place is the beginning of a block.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Text string `json:"text"`
}

// coverage gives what the cases reach.
func (r *runner) coverage(ran *render.Coverage, cases []Case) (*Coverage, error) {
	flavor, findings := r.w.Flavor(source.NewString(source.Origin{}, "./"+r.flavor))
	if flavor == nil {
		return nil, findings
	}
	out := &Coverage{Never: []Place{}, Unset: []string{}}
	reached := map[string]map[block]bool{} // by file
	for _, c := range cases {
		for _, release := range c.releases {
			for _, f := range release.Chart.Files {
				if !isTemplate(f.Path) || release.Trace == nil {
					continue
				}
				file, _, _ := release.Trace.Template(release.Name + "/" + f.Path)
				if reached[file] == nil {
					reached[file] = map[block]bool{}
				}
				for b := range ran.Ran(string(f.Data)) {
					reached[file][blockOf(b)] = true
				}
			}
		}
	}
	for _, f := range flavor.Files {
		if path.Join(r.flavor, f.Path) != f.Source || !isTemplate(f.Path) {
			continue
		}
		blocks, err := render.Blocks(string(f.Data))
		if err != nil {
			continue // the cases have failed with it
		}
		lines := strings.Split(string(f.Data), "\n")
		slices.SortStableFunc(blocks, func(a, b render.Block) int { return a.Line - b.Line })
		out.Blocks += len(blocks)
		for _, b := range blocks {
			if !reached[f.Source][blockOf(b)] {
				out.Never = append(out.Never, Place{File: f.Source, Line: b.Line, Text: strings.TrimSpace(lines[b.Line-1])})
			}
		}
	}
	var contexts []*source.Value
	for _, c := range cases {
		contexts = append(contexts, c.fields...)
	}
	for _, field := range flavor.Own {
		r.field(out, flavor.Types, field, "", contexts)
	}
	return out, nil
}

// block names a block whatever the templates of the chart are called: kai gives
// helpers a name with a digest.
type block struct {
	template string
	index    int
}

func blockOf(b render.Block) block {
	_, name, ok := strings.Cut(b.Template, ".")
	if !ok {
		name = b.Template
	}
	return block{name, b.Index}
}

// isTemplate says whether Helm executes or parses a file of a chart.
func isTemplate(file string) bool {
	for rest, ok := strings.CutPrefix(file, "charts/"); ok; rest, ok = strings.CutPrefix(file, "charts/") {
		_, file, _ = strings.Cut(rest, "/")
	}
	return strings.HasPrefix(file, "templates/")
}

// field counts a field and those below it that the author has declared. around are
// the maps that it stands in.
func (r *runner) field(out *Coverage, types *descriptor.Types, field descriptor.Field, prefix string, around []*source.Value) {
	values, name := around, prefix
	if !field.Expr.Embedded { // its fields take their places beside it
		values, name = nil, strings.TrimPrefix(prefix+"."+field.Name, ".")
		for _, v := range around {
			if got := v.Get(field.Name); got != nil {
				values = append(values, got)
			}
		}
	}
	fields, several := types.FieldsBelow(field.Expr)
	if len(fields) == 0 || strings.Count(name, ".") >= maxFields {
		out.Fields++
		if !slices.ContainsFunc(values, r.given) {
			out.Unset = append(out.Unset, name)
		}
		return
	}
	if several {
		var items []*source.Value
		for _, v := range values {
			items = append(items, v.ItemsOrNone()...)
			for _, f := range v.FieldsOrNone() {
				items = append(items, f.Value)
			}
		}
		values, name = items, name+"[]"
	}
	for _, inner := range fields {
		r.field(out, types, inner, name, values)
	}
}

// maxFields bounds how deep fields are counted: types may refer to themselves.
const maxFields = 6

// given says whether a case says a value, or a part of it.
func (r *runner) given(v *source.Value) bool {
	if v == nil {
		return false
	}
	if strings.HasPrefix(v.Origin.File, path.Join(r.flavor, descriptor.FlavorTests)+"/") && !v.IsNull() {
		return true
	}
	return slices.ContainsFunc(v.ItemsOrNone(), r.given) ||
		slices.ContainsFunc(v.FieldsOrNone(), func(f source.Field) bool { return r.given(f.Value) })
}
