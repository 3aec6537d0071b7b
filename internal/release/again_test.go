package release

import (
	"testing"

	helm "helm.sh/helm/v3/pkg/release"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/render"
)

// TestDecodeAgain reads a record once, and again after it was written.
func TestDecodeAgain(t *testing.T) {
	t.Parallel()
	data, err := encode(revision("carts", 1, helm.StatusDeployed))
	if err != nil {
		t.Fatal(err)
	}
	next, err := encode(revision("carts", 1, helm.StatusSuperseded))
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{}
	read := func(version, data string) *Record {
		t.Helper()
		r, err := c.decode(recordObject{metav1.ObjectMeta{Namespace: "shop", Name: "x", ResourceVersion: version, Labels: map[string]string{"owner": "helm", "team": "a"}}, data})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := read("7", data)
	if again := read("7", data); again != first {
		t.Error("the same version was read again")
	}
	if r := read("8", next); r == first || r.Status != helm.StatusSuperseded || len(r.Labels) != 1 {
		t.Errorf("another version: %+v", r)
	}
	if unknown := read("", data); read("", data) == unknown {
		t.Error("without a version nothing can be the same")
	}
}

// TestPreviousAgain takes the objects of a record from what is wanted where both are one text, and parses them elsewhere.
func TestPreviousAgain(t *testing.T) {
	t.Parallel()
	want := &Desired{Name: "carts", Rendered: &render.Result{Manifests: []render.Manifest{{Source: "carts/x.yaml", Content: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n", Kind: "ConfigMap", Name: "x"}}}}
	if err := want.Parse(); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{want.manifest(), want.manifest() + "# changed by hand\n"} {
		plan := &Plan{work: []work{{want: want, state: &state{deployed: &Record{Name: "carts", Manifest: text}}}}}
		previous, err := (&planner{}).previous(plan)
		if err != nil {
			t.Fatal(err)
		}
		got := previous[0][0]
		if len(got) != 1 || got[0].Ref != want.Objects[0].Ref || identical(got[0].Fields, want.Objects[0].Fields) != (text == want.manifest()) {
			t.Errorf("%q gives %+v", text, got)
		}
		for _, c := range pairs(got, want.Objects, nil) {
			if c.Action != manifest.Unchanged || c.Source != "carts/x.yaml" {
				t.Errorf("%q: %+v", text, c)
			}
		}
	}
}
