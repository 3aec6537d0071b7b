package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// RunProvider holds a provider to its contract. open gives one that holds just
// these keys, beside those of others.
func RunProvider(t *testing.T, open func(t *testing.T, held map[secrets.Key]secrets.Value) secrets.Provider) {
	t.Helper()
	app := start(t, func(*testing.T) secrets.Store { return &Memory{} }).app
	key := func(app, scope, name string) secrets.Key {
		return secrets.Key{Deployment: Deployment, App: app, Scope: scope, Name: name}
	}
	held := map[secrets.Key]secrets.Value{}
	for name, v := range everyKind(t) {
		held[key(app, secrets.Secret, name)] = v
		held[key(app+"-other", secrets.Public, name)] = text(name)
	}
	shared := "shared_by_" + strings.TrimPrefix(app, "app-")
	held[key(secrets.Global, secrets.Secret, shared)] = text("shared")
	p := open(t, held)
	away := []secrets.Key{key(app, secrets.Secret, "none"), key(app, secrets.Private, "text"), key(app+"-none", secrets.Secret, "text")}
	all := slices.Collect(maps.Keys(held))

	t.Run("keys", func(t *testing.T) {
		got, err := p.Get(t.Context(), slices.Concat(all, away, all[:3]))
		if err != nil || !maps.EqualFunc(got, held, secrets.Value.Equal) {
			t.Errorf("%d of %d keys, or other values, %v", len(got), len(held), err)
		}
		if out := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(out, marker) {
			t.Errorf("what is found shows a value: %s", out)
		}
	})
	t.Run("keys that are away", func(t *testing.T) {
		for _, ask := range [][]secrets.Key{nil, {}, away} {
			if got, err := p.Get(t.Context(), ask); err != nil || len(got) != 0 {
				t.Errorf("%v gives %v, %v", ask, got, err)
			}
		}
	})
	t.Run("references", func(t *testing.T) {
		refs := []secrets.Ref{{App: app, Name: "map"}, {App: app, Name: shared}, {App: app, Name: "none"}}
		found, missing, err := secrets.Lookup(t.Context(), p, Deployment, refs)
		if err != nil || len(found) != 2 || !found[refs[1]].Equal(text("shared")) || !slices.Equal(missing, refs[2:]) {
			t.Errorf("%v, %v, %v", found, missing, err)
		}
	})
	t.Run("ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got, err := p.Get(ctx, all); !errors.Is(err, context.Canceled) || len(got) != 0 {
			t.Errorf("in a context that has ended it gives %d values, %v", len(got), err)
		}
	})
}

// byPath puts the keys of a path together.
func byPath(held map[secrets.Key]secrets.Value) map[secrets.Path]map[string]secrets.Value {
	paths := map[secrets.Path]map[string]secrets.Value{}
	for k, v := range held {
		if paths[k.Path()] == nil {
			paths[k.Path()] = map[string]secrets.Value{}
		}
		paths[k.Path()][k.Name] = v
	}
	return paths
}
