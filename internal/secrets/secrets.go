// Package secrets holds what every store of secrets has in common: a text that
// cannot be printed, the place of a secret in a store, the interface of a
// provider, and the rule by which a reference is looked up.
//
// A store is a tree of four levels: deployment, app, scope and name. The app
// global is read by every app, after its own.
package secrets

import (
	"context"
	"maps"
)

// Global is the app that every app reads after its own.
const Global = "global"

// The scopes of a store. What stands in Secret is also encrypted at rest where
// a store does not do it by itself.
const (
	Public  = "public"
	Private = "private"
	Secret  = "secret"
)

// Scopes lists all scopes.
func Scopes() []string { return []string{Public, Private, Secret} }

// Key is a place in a store.
type Key struct {
	Deployment string
	App        string
	Scope      string
	Name       string
}

// String gives the place below its deployment, APP.SCOPE.NAME.
func (k Key) String() string { return k.App + "." + k.Scope + "." + k.Name }

// Provider reads a store. It is safe for concurrent use.
type Provider interface {
	// Get gives the values of those keys that the store has. A key that it does
	// not have is absent from the result, and no error. An error names no value.
	Get(ctx context.Context, keys []Key) (map[Key]Value, error)
}

// Chain asks several providers, one after the other, each for what those before
// it do not have. A failing provider ends the search: what stands behind it is
// not a substitute for what it may have.
type Chain []Provider

// Get implements Provider.
func (c Chain) Get(ctx context.Context, keys []Key) (map[Key]Value, error) {
	found := make(map[Key]Value, len(keys))
	for _, p := range c {
		if len(keys) == 0 {
			break
		}
		values, err := p.Get(ctx, keys)
		if err != nil {
			return nil, err
		}
		var rest []Key
		for _, k := range keys {
			if v, ok := values[k]; ok {
				found[k] = v
			} else {
				rest = append(rest, k)
			}
		}
		keys = rest
	}
	return found, nil
}

// Ref is a reference of an app to a secret. Without a scope it is Secret's,
// without an app Global's.
type Ref struct {
	App   string
	Scope string
	Name  string
}

// String gives the reference as APP.SCOPE.NAME.
func (r Ref) String() string { return r.key("").String() }

// key gives the place where the reference is looked for first.
func (r Ref) key(deployment string) Key {
	k := Key{Deployment: deployment, App: r.App, Scope: r.Scope, Name: r.Name}
	if k.App == "" {
		k.App = Global
	}
	if k.Scope == "" {
		k.Scope = Secret
	}
	return k
}

// Lookup reads references from a deployment: each in its app and, where that has
// no such key, in the app Global. Every key is asked for once, those of Global
// only where they are needed, so that a store reads no path in vain. What is
// nowhere comes back as missing, in the order of refs, each said once.
func Lookup(ctx context.Context, p Provider, deployment string, refs []Ref) (found map[Ref]Value, missing []Ref, err error) {
	values := map[Key]Value{}
	asked := map[Key]bool{}
	ask := func(keys []Key) error {
		var fresh []Key
		for _, k := range keys {
			if !asked[k] {
				asked[k] = true
				fresh = append(fresh, k)
			}
		}
		if len(fresh) == 0 {
			return nil
		}
		got, err := p.Get(ctx, fresh)
		maps.Copy(values, got)
		return err
	}
	shared := func(k Key) Key {
		k.App = Global
		return k
	}
	var own, others []Key
	for _, r := range refs {
		own = append(own, r.key(deployment))
	}
	if err := ask(own); err != nil {
		return nil, nil, err
	}
	for _, k := range own {
		if _, ok := values[k]; !ok {
			others = append(others, shared(k))
		}
	}
	if err := ask(others); err != nil {
		return nil, nil, err
	}
	found = make(map[Ref]Value, len(refs))
	away := map[Ref]bool{}
	for _, r := range refs {
		k := r.key(deployment)
		v, ok := values[k]
		if !ok {
			v, ok = values[shared(k)]
		}
		switch {
		case ok:
			found[r] = v
		case !away[r]:
			away[r] = true
			missing = append(missing, r)
		}
	}
	return found, missing, nil
}
