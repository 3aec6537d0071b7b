package build

import (
	"cmp"
	"strings"

	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/refs"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// refOf gives what is looked up for what a Secret has under a name. App is the
// chart's own, apps are those of its friends' credentials.
func refOf(app string, apps map[string]string, role generator.Role, of string, reference *source.Value, name string) secrets.Ref {
	if own := apps[of]; role == generator.RoleFriend && own != "" {
		app = own
	}
	ref := secrets.Ref{App: app, Scope: reference.Get("scope").Str(), Name: reference.Get("secret").Str()}
	if own := reference.Get("app").Str(); own != "" {
		ref.App = own
	}
	switch {
	case role != generator.RoleTLS:
	case refs.Is(ref.Name):
		ref.Name = tlsReference(ref.Name, name)
	default:
		ref.Name += "." + strings.TrimPrefix(name, "tls.")
	}
	return ref
}

// delivery says how the secrets of a chart reach its pods.
func (r *run) delivery(app string, apps map[string]string) generator.Delivery {
	s := r.target.Secrets
	d := generator.Delivery{Place: func(role generator.Role, of string, reference *source.Value, name string) generator.Place {
		ref := refOf(app, apps, role, of, reference, name)
		if refs.Is(ref.Name) {
			return generator.Place{Other: ref.Name}
		}
		return generator.Place{App: cmp.Or(ref.App, secrets.Global), Scope: cmp.Or(ref.Scope, secrets.Secret), Key: ref.Name}
	}}
	switch s.Delivery {
	case workspace.DeliverExternal:
		d.External = r.external()
	case workspace.DeliverRuntime:
		d.Runtime = r.runtime()
	}
	return d
}
