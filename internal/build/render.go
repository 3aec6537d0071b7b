package build

import (
	"context"
	"maps"

	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/render"
)

// Placeholder stands in a manifest for a secret that is not known.
const Placeholder = "kai-placeholder"

// Render gives a release's manifests as `helm template` prints them. The values
// of secrets that nobody has given become placeholders.
func Render(ctx context.Context, r Release, o render.Options) (*render.Result, error) {
	library := r.library
	if library == nil {
		library = render.NewLibrary()
	}
	chart, err := library.Load(r.Chart)
	if err != nil {
		return nil, err
	}
	o.ReleaseName = r.Name
	if r.Namespace != "" {
		o.Namespace = r.Namespace
	}
	o.Values = withPlaceholders(r, o.Values)
	return chart.Render(ctx, o)
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
