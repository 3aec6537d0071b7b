package release

import (
	"testing"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/source"
)

func TestPermissionFinding(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		p    permission
		want string
	}{
		{
			permission{place: place{resource: "secrets", namespace: "shop"}, releases: []string{"orders", "carts"}, denied: []string{"delete", "get", "create", "list"}},
			"alice may not get, list, create, delete secrets in shop; needed for carts, orders\n  hint: ask for a Role that allows it",
		},
		{
			permission{place: place{group: "rbac.authorization.k8s.io", resource: "clusterroles"}, releases: []string{"carts"}, denied: []string{"patch"}, reason: "no authorizer"},
			"alice may not patch clusterroles.rbac.authorization.k8s.io in the cluster (no authorizer); needed for carts\n  hint: ask for a ClusterRole that allows it",
		},
		{
			permission{place: place{group: "coordination.k8s.io", resource: "leases", namespace: "shop"}, denied: []string{"get"}},
			"alice may not get leases.coordination.k8s.io in shop\n  hint: ask for a Role that allows it",
		},
		{
			permission{place: place{resource: "events", namespace: "shop", spare: true}, releases: []string{"a", "b", "c", "d", "e", "f", "g", "h"}, denied: []string{"list"}},
			"warning: alice may not list events in shop; needed for a, b, c, d, e, f and 2 more\n  hint: kai gets along without, and cannot say why something is not ready",
		},
		{
			permission{place: place{resource: "services", namespace: "shop", spare: true}, denied: []string{"list"}},
			"warning: alice may not list services in shop\n  hint: kai gets along without, and reads the objects one by one",
		},
	} {
		if got := test.p.finding("alice").String(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestNeedsAreAskedOnce(t *testing.T) {
	t.Parallel()
	v := &verifier{places: map[place]*permission{}}
	secrets := place{resource: "secrets", namespace: "shop"}
	v.need(secrets, "carts", "get", "create")
	v.need(secrets, "carts", "get", "delete")
	v.need(secrets, "orders", "get")
	v.need(place{resource: "secrets", namespace: "shop", spare: true}, "orders", "list")
	if len(v.order) != 2 || len(v.order[0].verbs) != 3 || len(v.order[0].releases) != 2 {
		t.Errorf("got %+v", v.order)
	}
	if v.twin(v.order[1]) != v.order[0] || v.twin(v.order[0]) != nil {
		t.Error("what can be spared belongs to what is needed of the same place")
	}
}

func TestIsTest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		events []string
		want   bool
	}{
		{[]string{"test"}, true}, {[]string{"test-success"}, true}, {[]string{"test", "post-install"}, false}, {[]string{"pre-upgrade"}, false},
	} {
		if got := isTest(manifest.Object{Hook: test.events}); got != test.want {
			t.Errorf("%v: %v", test.events, got)
		}
	}
}

func TestImmutables(t *testing.T) {
	t.Parallel()
	change := manifest.Change{
		Ref: manifest.Ref{Kind: "Deployment", Name: "carts"}, Action: manifest.Update, Source: "carts/templates/deployment.yaml", Immutable: []string{"spec.selector"},
	}
	again := change
	again.Action = manifest.Replace
	p := &Plan{Steps: []Step{{Release: "carts", Objects: []manifest.Change{change, again, {Action: manifest.Create}}}}}
	got := p.Immutables()
	want := "carts/templates/deployment.yaml: carts: Deployment/carts: the cluster does not change spec.selector in place\n  hint: --recreate deletes it and makes it anew"
	if len(got) != 1 || got[0].String() != want || got[0].Severity != source.Error {
		t.Errorf("got %v", got)
	}
}
