package store

import (
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/kubernetes"
	"github.com/helm-kai/helm-kai/internal/secrets/vault"
)

// Entry gives where a store keeps a value, for others who read it by themselves:
// what holds it, a path of Vault or the name of a Secret, and the field of that.
// Nothing is opened. Of other kinds of stores it is an error.
func (o Options) Entry(k secrets.Key) (holder, field string, err error) {
	switch o.Provider {
	case Vault:
		holder, err = vault.KV{Mount: o.Mount, Prefix: o.Prefix}.Entry(k.Path())
		return holder, k.Name, err
	case Kubernetes:
		return kubernetes.Entry(k.Path(), k.Name)
	}
	return "", "", &secrets.CannotError{Store: o.Provider, What: "be read by anybody but kai"}
}
