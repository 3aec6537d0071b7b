package build

import (
	"cmp"

	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/refs"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Want is a secret that a release is to be given, or that is read for it in the
// cluster.
type Want struct {
	Release string
	// Key is where the context's store is asked for it first.
	Key secrets.Key
	// Other is the reference to another store, such as ref+vault://PATH#/KEY, where
	// it is one; then Key says nothing.
	Other string
	// Reference is what was written.
	Reference *source.Value
}

// Wants lists what releases want of a deployment, whoever reads it for them, each
// place once a release, in the order of the charts. No store is asked.
func Wants(releases []Release, deployment string) []Want {
	var out []Want
	for _, r := range releases {
		seen := map[secrets.Key]bool{}
		for _, s := range slotsOf(r, nil, func(s generator.Secret) bool { return s.Created || s.Written || s.Elsewhere }) {
			w := Want{Release: r.Name, Reference: s.reference}
			w.Key = secrets.Key{Deployment: deployment, App: cmp.Or(s.ref.App, secrets.Global), Scope: cmp.Or(s.ref.Scope, secrets.Secret), Name: s.ref.Name}
			if seen[w.Key] {
				continue
			}
			seen[w.Key] = true
			if refs.Is(w.Key.Name) {
				w.Other = w.Key.Name
			}
			out = append(out, w)
		}
	}
	return out
}
