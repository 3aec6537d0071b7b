package main

import (
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// TestFoundInGlobal: what only the app global has, an operator does not find, and so
// a credential is made for the app though global has one of its name.
func TestFoundInGlobal(t *testing.T) {
	t.Parallel()
	own := secrets.Key{Deployment: "dev", App: "carts", Scope: secrets.Secret, Name: "OWN"}
	common := secrets.Key{Deployment: "dev", App: "carts", Scope: secrets.Secret, Name: "COMMON"}
	nowhere := secrets.Key{Deployment: "dev", App: "carts", Scope: secrets.Secret, Name: "NOWHERE"}
	for delivery, test := range map[string]struct{ common, made string }{
		"":                        {"found", "there"},
		workspace.DeliverChart:    {"found", "there"},
		workspace.DeliverExternal: {"global", "made"},
	} {
		t.Run(delivery, func(t *testing.T) {
			t.Parallel()
			s := &storetest.Memory{}
			for key, path := range map[string]secrets.Path{"OWN": own.Path(), "COMMON": globalOf(common).Path()} {
				if _, err := s.Write(t.Context(), secrets.Doc{Path: path, Values: map[string]secrets.Value{key: secrets.New("example")}}); err != nil {
					t.Fatal(err)
				}
			}
			docs, err := s.Read(t.Context(), []secrets.Path{own.Path(), globalOf(own).Path()})
			if err != nil {
				t.Fatal(err)
			}
			p := &place{store: s, target: &workspace.Target{Secrets: workspace.Secrets{Delivery: delivery}}}
			for key, want := range map[secrets.Key]string{own: "found", common: test.common, globalOf(common): "found", nowhere: "missing"} {
				c := checkedJSON{State: "missing"}
				if c.find(p, key, docs, nil); c.State != want {
					t.Errorf("%s is %s, not %s", key, c.State, want)
				}
			}
			made, err := makeMissing(t.Context(), s, map[secrets.Path]map[string]int{own.Path(): {"COMMON": 8}}, delivery != workspace.DeliverExternal, false)
			if err != nil || len(made) != 1 || made[0].State != test.made {
				t.Errorf("%v, %v", made, err)
			}
		})
	}
}
