package build

import (
	"context"
	"maps"

	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Placeholder stands in a manifest for a secret that is not known.
const Placeholder = "kai-placeholder"

// Render gives a release's manifests as `helm template` prints them. The values
// of secrets that nobody has given become placeholders.
func Render(ctx context.Context, r Release, o render.Options) (*render.Result, error) {
	loaded, err := Load(r)
	if err != nil {
		return nil, err
	}
	return loaded.Render(ctx, o)
}

// Loaded is a release whose chart is read once, however often it is rendered.
type Loaded struct {
	release Release
	chart   *render.Chart
}

// Load reads a release's chart.
func Load(r Release) (*Loaded, error) {
	library := r.library
	if library == nil {
		library = render.NewLibrary()
	}
	chart, err := library.Load(r.Chart)
	if err != nil {
		return nil, err
	}
	return &Loaded{r, chart}, nil
}

// Render is what the function of this name does.
func (l *Loaded) Render(ctx context.Context, o render.Options) (*render.Result, error) {
	return l.chart.Render(ctx, l.options(o))
}

// Printed gives what the templates print, by the names that a manifest's source has for
// them, be it YAML or not.
func (l *Loaded) Printed(ctx context.Context, o render.Options) (map[string]string, error) {
	return l.chart.Printed(ctx, l.options(o))
}

// Lint gives what `helm lint --strict` says about the chart.
func (l *Loaded) Lint(ctx context.Context, o render.Options) (source.Findings, error) {
	return l.chart.Lint(ctx, l.options(o))
}

// options gives those for this release.
func (l *Loaded) options(o render.Options) render.Options {
	o.ReleaseName = l.release.Name
	if l.release.Namespace != "" {
		o.Namespace = l.release.Namespace
	}
	o.Values = withPlaceholders(l.release, o.Values)
	return o
}

// withPlaceholders adds a placeholder for every key of the Secrets that the
// chart makes, but where the user names an existing Secret or gives the value. A
// Secret that an operator makes gets none.
func withPlaceholders(r Release, values map[string]any) map[string]any {
	if len(r.Secrets) == 0 {
		return values
	}
	out := maps.Clone(values)
	if out == nil {
		out = map[string]any{}
	}
	for _, s := range r.Secrets {
		if s.External || !s.Created && !s.Written {
			continue
		}
		place := out
		for _, key := range placeOf(s) {
			place = child(place, key)
		}
		if existing, _ := place["existingSecret"].(string); existing != "" && !s.Written {
			continue
		}
		given := child(place, "values")
		for _, k := range s.Keys {
			for _, key := range generator.Names(s.Role, k) {
				if _, ok := given[key]; !ok {
					given[key] = Placeholder
				}
			}
		}
	}
	return out
}

// placeOf gives where a chart's values speak of one of its Secrets.
func placeOf(s generator.Secret) []string {
	switch s.Role {
	case generator.RoleFriend:
		return []string{"secrets", "friends", s.Of}
	case generator.RoleTLS:
		return []string{"secrets", "tls", s.Of}
	}
	return []string{"secrets"}
}

// child gives the map under a key as one that may be changed, and makes it where
// there is none.
func child(m map[string]any, key string) map[string]any {
	c, _ := m[key].(map[string]any)
	c = maps.Clone(c)
	if c == nil {
		c = map[string]any{}
	}
	m[key] = c
	return c
}
