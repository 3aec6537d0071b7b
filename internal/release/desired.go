package release

import (
	"slices"
	"strings"

	helm "helm.sh/helm/v3/pkg/release"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/secrets"
)

// Desired is a release as it should be: rendered, with the secrets in it.
type Desired struct {
	Name      string
	Namespace string
	Kind      string // service or dependency
	Service   string // that it is the release of
	// Needs are the releases of the plan that come before.
	Needs []string
	// Uses are the shared friends that it talks to.
	Uses []Use
	// Inputs is a digest of the chart's files.
	Inputs string
	// Values are what the chart is given beyond its own, secrets among them. They
	// are written into the release's record, as Helm does.
	Values map[string]any
	// Rendered is what the chart gives.
	Rendered *render.Result
	// Objects, Hooks and CRDs are its manifests, parsed.
	Objects, Hooks, CRDs []manifest.Object
	// Mask knows what is secret in them.
	Mask *manifest.Mask
	// Secrets are the values that reached the chart, by where they stand in
	// Values.
	Secrets map[string]secrets.Value

	// from is the revision that the release goes back to, where it does.
	from *helm.Release
}

// release gives what a record of the release holds, but for when and how.
func (d *Desired) release() *helm.Release {
	if d.from != nil {
		return &helm.Release{Chart: d.from.Chart, Config: d.from.Config, Manifest: d.from.Manifest, Hooks: d.from.Hooks, Info: &helm.Info{Notes: d.from.Info.Notes}}
	}
	return &helm.Release{
		Chart: d.Rendered.Chart, Config: d.Values, Manifest: d.manifest(), Hooks: d.hooks(),
		Info: &helm.Info{Notes: d.Rendered.Notes},
	}
}

// Use is a shared friend that a release talks to.
type Use struct{ Release, Namespace string }

// key tells releases apart on a cluster.
func (d *Desired) key() releaseKey { return releaseKey{d.Namespace, d.Name} }

// labels are those of the release's record.
func (d *Desired) labels(target Target) map[string]string {
	out := map[string]string{LabelContext: target.Context, LabelKind: d.Kind, LabelInputs: d.Inputs}
	if target.Workspace != "" {
		out[LabelWorkspace] = target.Workspace
	}
	if d.Service != "" {
		out[LabelService] = d.Service
	}
	for _, u := range d.Uses {
		out[labelUses+u.Release] = u.Namespace
	}
	return out
}

// manifest gives the text of all objects as Helm's records hold it.
func (d *Desired) manifest() string {
	var out strings.Builder
	for _, m := range d.Rendered.Manifests {
		if !m.Hook && !m.CRD {
			out.WriteString(m.String())
		}
	}
	return out.String()
}

// hooks gives the hooks as Helm's records hold them.
func (d *Desired) hooks() []*helm.Hook {
	var out []*helm.Hook
	for _, m := range d.Rendered.Manifests {
		if !m.Hook {
			continue
		}
		h := &helm.Hook{Name: m.Name, Kind: m.Kind, Path: m.Source, Manifest: m.Content, Weight: m.Weight}
		for _, e := range m.Events {
			h.Events = append(h.Events, helm.HookEvent(e))
		}
		for _, o := range d.Hooks {
			if o.Ref.Kind != m.Kind || o.Ref.Name != m.Name || o.Source != "" && o.Source != m.Source {
				continue
			}
			for _, p := range words(o, helm.HookDeleteAnnotation) {
				h.DeletePolicies = append(h.DeletePolicies, helm.HookDeletePolicy(p))
			}
			for _, p := range words(o, helm.HookOutputLogAnnotation) {
				h.OutputLogPolicies = append(h.OutputLogPolicies, helm.HookOutputLogPolicy(p))
			}
		}
		out = append(out, h)
	}
	return out
}

// words reads an annotation that is a list.
func words(o manifest.Object, annotation string) []string {
	meta, _ := o.Fields["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	text, _ := annotations[annotation].(string)
	var out []string
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.ToLower(strings.TrimSpace(word)); word != "" {
			out = append(out, word)
		}
	}
	return out
}

// ordered gives the releases so that each comes after what it needs, and by name
// where nothing else decides. A need that is not in the plan orders nothing.
func ordered(all []*Desired) []*Desired {
	byName := map[string]*Desired{}
	for _, d := range all {
		byName[d.Name] = d
	}
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b *Desired) int {
		if a.Kind != b.Kind {
			return strings.Compare(a.Kind, b.Kind) // dependencies before services
		}
		return strings.Compare(a.Name, b.Name)
	})
	var out []*Desired
	done := map[*Desired]bool{}
	var visit func(d *Desired)
	visit = func(d *Desired) {
		if done[d] {
			return
		}
		done[d] = true
		for _, need := range d.Needs {
			if n := byName[need]; n != nil {
				visit(n)
			}
		}
		out = append(out, d)
	}
	for _, d := range all {
		visit(d)
	}
	return out
}

// Parse reads the objects, hooks and definitions out of what was rendered.
func (d *Desired) Parse() error {
	var texts [3]strings.Builder
	for _, m := range d.Rendered.Manifests {
		switch {
		case m.CRD:
			texts[2].WriteString(m.String())
		case m.Hook:
			texts[1].WriteString(m.String())
		default:
			texts[0].WriteString(m.String())
		}
	}
	for i, to := range []*[]manifest.Object{&d.Objects, &d.Hooks, &d.CRDs} {
		objects, err := manifest.Parse(texts[i].String())
		if err != nil {
			return err
		}
		*to = objects
	}
	return nil
}
