package release

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	helm "helm.sh/helm/v3/pkg/release"
	helmtime "helm.sh/helm/v3/pkg/time"
	"k8s.io/apimachinery/pkg/labels"
)

func TestRevisionSaysWho(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		labels map[string]string
		want   string
	}{
		{nil, "helm"},
		{map[string]string{LabelContext: "dev"}, "helm"},
		{map[string]string{LabelContext: "dev", labelRevision: "4"}, "kai"},
		// Helm hands labels on.
		{map[string]string{LabelContext: "dev", labelRevision: "3"}, "helm"},
	} {
		r := &Record{Name: "carts", Revision: 4, Labels: test.labels}
		if got := r.revision().By; got != test.want {
			t.Errorf("%v: by %s, want %s", test.labels, got, test.want)
		}
	}
}

func TestRevisionOfRecord(t *testing.T) {
	t.Parallel()
	when := time.Date(2026, 5, 4, 3, 2, 1, 0, time.FixedZone("", 7200))
	r := &Record{
		Name: "carts", Namespace: "shop", Revision: 2, Status: helm.StatusDeployed, Chart: "carts-1.0.0", AppVersion: "0.4.8",
		Info:   helm.Info{LastDeployed: helmtime.Time{Time: when}, Description: "Upgrade complete"},
		Labels: map[string]string{LabelContext: "dev", LabelWorkspace: "sock-shop", LabelService: "carts", LabelKind: "service", labelRevision: "2"},
	}
	want := Revision{
		Release: "carts", Namespace: "shop", Revision: 2, Status: "deployed", Chart: "carts-1.0.0", AppVersion: "0.4.8", Updated: when.UTC(),
		Description: "Upgrade complete", By: "kai", Context: "dev", Workspace: "sock-shop", Service: "carts", Kind: "service",
	}
	if got := r.revision(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestListSelector(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		options ListOptions
		want    string
	}{
		{ListOptions{}, "status!=superseded,release.kai/context"},
		{ListOptions{Foreign: true}, "status!=superseded"},
		{ListOptions{Context: "dev", Workspace: "shop"}, "status!=superseded,release.kai/context=dev,release.kai/workspace=shop"},
		{ListOptions{Context: "dev", WithoutWorkspace: true}, "status!=superseded,release.kai/context=dev,!release.kai/workspace"},
	} {
		if got := test.options.selector(); got != test.want {
			t.Errorf("%+v: %s, want %s", test.options, got, test.want)
		}
		if _, err := labels.Parse(test.options.selector()); err != nil {
			t.Errorf("%+v: %v", test.options, err)
		}
	}
}

func TestNewest(t *testing.T) {
	t.Parallel()
	records := []*Record{
		{Name: "carts", Namespace: "b", Revision: 2, Status: helm.StatusDeployed},
		{Name: "carts", Namespace: "b", Revision: 3, Status: helm.StatusFailed, Labels: map[string]string{LabelService: "carts"}},
		{Name: "orders", Namespace: "a", Revision: 1, Status: helm.StatusDeployed},
		{Name: "carts", Namespace: "a", Revision: 10, Status: helm.StatusPendingUpgrade},
		{Name: "carts", Namespace: "a", Revision: 9, Status: helm.StatusDeployed},
	}
	for selector, want := range map[string][]string{
		"":                     {"a/carts 10", "a/orders 1", "b/carts 3"},
		"status=failed":        {"b/carts 3"},
		"status=deployed":      {"a/orders 1"}, // the newest revision alone counts
		"name=carts":           {"a/carts 10", "b/carts 3"},
		"name,namespace!=a":    {"b/carts 3"},
		"release in (orders)":  {"a/orders 1"},
		"by=kai":               nil,
		"context=dev,name=foo": nil,
	} {
		chosen, err := labels.Parse(selector)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range newest(records, chosen) {
			got = append(got, fmt.Sprintf("%s/%s %d", r.Namespace, r.Release, r.Revision))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, want %v", selector, got, want)
		}
	}
}
