package release

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	helm "helm.sh/helm/v3/pkg/release"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/secrets"
)

func TestOrdered(t *testing.T) {
	t.Parallel()
	all := []*Desired{
		{Name: "web", Kind: "service", Needs: []string{"api", "cache"}},
		{Name: "api", Kind: "service", Needs: []string{"db", "elsewhere"}},
		{Name: "batch", Kind: "service"},
		{Name: "db", Kind: "dependency"},
		{Name: "cache", Kind: "dependency", Needs: []string{"db"}},
	}
	var got []string
	for _, d := range ordered(all) {
		got = append(got, d.Name)
	}
	if want := []string{"db", "cache", "api", "batch", "web"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRevisionOf(t *testing.T) {
	t.Parallel()
	record := func(revision int, status helm.Status) *Record { return &Record{Revision: revision, Status: status} }
	for name, test := range map[string]struct {
		records  []*Record
		revision int
		want     int
		err      string
	}{
		"the one before":             {[]*Record{record(1, helm.StatusSuperseded), record(2, helm.StatusDeployed)}, 0, 1, ""},
		"before it came a failure":   {[]*Record{record(1, helm.StatusSuperseded), record(2, helm.StatusFailed), record(3, helm.StatusDeployed)}, 0, 1, ""},
		"after a failure":            {[]*Record{record(1, helm.StatusSuperseded), record(2, helm.StatusDeployed), record(3, helm.StatusFailed)}, 0, 2, ""},
		"a named one":                {[]*Record{record(1, helm.StatusSuperseded), record(2, helm.StatusSuperseded), record(3, helm.StatusDeployed)}, 1, 1, ""},
		"one that is not there":      {[]*Record{record(2, helm.StatusDeployed)}, 1, 0, "has no revision 1"},
		"only one":                   {[]*Record{record(1, helm.StatusDeployed)}, 0, 0, "no revision to go back to"},
		"none":                       {nil, 0, 0, "there is no release"},
		"only a failure before it":   {[]*Record{record(1, helm.StatusFailed), record(2, helm.StatusDeployed)}, 0, 0, "no revision to go back to"},
		"a killed run stands before": {[]*Record{record(1, helm.StatusDeployed), record(2, helm.StatusPendingUpgrade)}, 0, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := revisionOf("carts", test.records, test.revision)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("got %v, want %q", err, test.err)
				}
				return
			}
			if err != nil || got.Revision != test.want {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// TestSavedPlans holds that a saved plan notices all that can move, and that it
// keeps no secret.
func TestSavedPlans(t *testing.T) {
	t.Parallel()
	fresh := func() *Plan {
		return &Plan{
			Target: Target{Workspace: "shop", Context: "dev", Namespace: "shop", Cluster: "c1"},
			Steps: []Step{{Release: "carts", Namespace: "shop", Action: Upgrade, Revision: 2, Objects: []manifest.Change{
				manifest.Compare(manifest.Ref{APIVersion: "v1", Kind: "ConfigMap", Name: "a"}, map[string]any{"data": map[string]any{"x": "1"}}, map[string]any{"data": map[string]any{"x": "2"}}, nil),
			}}},
			work: []work{{want: &Desired{Name: "carts", Secrets: map[string]secrets.Value{"secrets.values.password": secrets.New("example-secret")}}}},
		}
	}
	saved, err := fresh().Save(noon)
	if err != nil {
		t.Fatal(err)
	}
	data, err := jsonOf(saved)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(data, "example-secret") {
		t.Errorf("the saved plan holds a secret:\n%s", data)
	}
	if saved, err = ReadSaved([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if err := saved.Holds(fresh()); err != nil {
		t.Errorf("nothing has moved, but %v", err)
	}
	for name, test := range map[string]struct {
		move func(p *Plan)
		says string
	}{
		"the cluster":        {func(p *Plan) { p.Target.Cluster = "c2" }, "cluster c2"},
		"the revision":       {func(p *Plan) { p.Steps[0].Revision = 3 }, "at revision 3"},
		"what happens":       {func(p *Plan) { p.Steps[0].Action = Create }, "would be create"},
		"an object":          {func(p *Plan) { p.Steps[0].Objects[0].After = map[string]any{"data": map[string]any{"x": "3"}} }, "different now"},
		"a secret":           {func(p *Plan) { p.work[0].want.Secrets["secrets.values.password"] = secrets.New("another") }, "a secret has another value"},
		"a release too many": {func(p *Plan) { p.Steps = append(p.Steps, Step{Release: "new", Namespace: "shop"}) }, "was not in the plan"},
		"a release too few":  {func(p *Plan) { p.Steps = nil }, "not part of this run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := fresh()
			test.move(now)
			err := saved.Holds(now)
			var moved *MovedError
			if !errors.As(err, &moved) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
	for _, text := range []string{"", "{}", `{"apiVersion":"kai/v1","kind":"Chart"}`, "[1]"} {
		if _, err := ReadSaved([]byte(text)); err == nil {
			t.Errorf("%q is taken for a plan", text)
		}
	}
}

func jsonOf(v any) (string, error) {
	data, err := json.Marshal(v)
	return string(data), err
}
