package generator

import "github.com/helm-kai/helm-kai/internal/source"

// Delivery is how a chart's secrets reach its pods. Its zero value is by Secrets
// that the chart makes of values given at install.
type Delivery struct {
	External *External
	Runtime  *Runtime
	// Place says where what a Secret has under a name is kept. Reference is what was
	// written for it, of the role's friend or certificate.
	Place func(role Role, of string, reference *source.Value, name string) Place
}

// Place is where a secret is kept: in the context's store, or where a reference
// such as ref+vault://PATH#/KEY says.
type Place struct {
	App, Scope, Key string
	Other           string // the reference; then the rest is empty
}

// String gives the place as APP.SCOPE.KEY, or the reference.
func (p Place) String() string {
	if p.Other != "" {
		return p.Other
	}
	return p.App + "." + p.Scope + "." + p.Key
}

// External has the chart make objects ExternalSecret, from which an operator in the
// cluster makes the Secrets.
type External struct {
	Store, Kind     string // SecretStore or ClusterSecretStore, and its name
	RefreshInterval string
	// Remote says how that store calls a place; an error says why it has none.
	Remote func(Place) (key, property string, err error)
}

// Runtime has containers start through kai-run, which reads the store.
type Runtime struct {
	Image *source.Value // which has /kai-run
	Store *source.Value // variables that name the store
	Env   *source.Value // more variables for kai-run, over those; nil for none
	Watch bool
	// Audience is that of a token of the pod's service account, "" for none.
	Audience string
	// Ports are those of the store, CIDRs where it is; none is anywhere. Kubernetes
	// says that it is the cluster's own API.
	Ports      []Port
	CIDRs      []string
	Kubernetes bool
}
