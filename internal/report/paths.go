package report

import (
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/release"
)

// writePaths prints a line for each leaf that changes: release, object, path and
// BEFORE → AFTER, parted by tabs. An object that is created or removed is one
// line, with the path "."; one in another namespace than its release has that in
// front.
func writePaths(w *printer, p *release.Plan, _ Options) error {
	for _, s := range p.Steps {
		for _, objects := range [][]manifest.Change{s.Objects, s.Hooks} {
			for _, c := range objects {
				object := c.Ref.String()
				if c.Ref.Namespace != "" && c.Ref.Namespace != s.Namespace {
					object = c.Ref.Namespace + "/" + object
				}
				start := s.Release + "\t" + object + "\t"
				for _, f := range leaves(c) {
					w.line("", start+f.path+"\t"+f.text)
				}
			}
		}
	}
	return nil
}

// leaf is a line of paths.
type leaf struct{ path, text string }

func leaves(c manifest.Change) []leaf {
	switch c.Action {
	case manifest.Unchanged:
		return nil
	case manifest.Create:
		return []leaf{{".", none + " → " + whole}}
	case manifest.Remove:
		return []leaf{{".", whole + " → " + none}}
	}
	var out []leaf
	named := c.From == nil || c.From.Name == c.Ref.Name
	for _, f := range c.Fields {
		named = named || f.Path == "metadata.name"
		out = append(out, leaf{f.Path, change(f)})
	}
	if !named {
		renamed := manifest.Field{Path: "metadata.name", Before: c.From.Name, After: c.Ref.Name}
		out = append([]leaf{{renamed.Path, change(renamed)}}, out...)
	}
	return out
}
