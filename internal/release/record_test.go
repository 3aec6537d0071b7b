package release

import (
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	helm "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	helmtime "helm.sh/helm/v3/pkg/time"
	"k8s.io/client-go/kubernetes/fake"
)

// stopped is a clock that stands still, and whose waits are over at once.
type stopped struct{ now time.Time }

func (c stopped) Now() time.Time { return c.now }
func (c stopped) After(d time.Duration) <-chan time.Time {
	done := make(chan time.Time, 1)
	done <- c.now.Add(d)
	return done
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func revision(name string, version int, status helm.Status) *helm.Release {
	at := helmtime.Time{Time: noon.Add(time.Duration(version) * time.Hour)}
	return &helm.Release{
		Name: name, Namespace: "shop", Version: version,
		Info:     &helm.Info{Status: status, FirstDeployed: at, LastDeployed: at, Description: "Install complete", Notes: "hello"},
		Chart:    &chart.Chart{Metadata: &chart.Metadata{APIVersion: "v2", Name: name, Version: "1.2.3", AppVersion: "4.5"}, Templates: []*chart.File{{Name: "templates/x.yaml", Data: []byte("x: 1\n")}}, Values: map[string]any{"a": "b"}},
		Config:   map[string]any{"replicas": float64(2)},
		Manifest: "---\n# Source: " + name + "/templates/x.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
		Hooks:    []*helm.Hook{{Name: "h", Kind: "Job", Events: []helm.HookEvent{helm.HookPreInstall}, Manifest: "kind: Job\n"}},
		Labels:   map[string]string{LabelContext: "dev", "team": "a"},
	}
}

// TestRecordsAreHelms has Helm's own storage read what is written here, and the
// other way round.
func TestRecordsAreHelms(t *testing.T) {
	t.Parallel()
	for _, kind := range []recordKind{recordSecrets, recordConfigMaps} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			client := fake.NewClientset()
			c := &Cluster{core: client, records: kind, clock: stopped{noon}}
			var d driver.Driver = driver.NewSecrets(client.CoreV1().Secrets("shop"))
			if kind == recordConfigMaps {
				d = driver.NewConfigMaps(client.CoreV1().ConfigMaps("shop"))
			}
			helms := storage.Init(d)
			ours, theirs := revision("carts", 1, helm.StatusPendingInstall), revision("carts", 2, helm.StatusDeployed)
			if err := c.createRecord(ctx, ours); err != nil {
				t.Fatal(err)
			}
			ours.Info.Status = helm.StatusFailed
			if err := c.updateRecord(ctx, ours); err != nil {
				t.Fatal(err)
			}
			if err := helms.Create(theirs); err != nil {
				t.Fatal(err)
			}
			history, err := helms.History("carts")
			if err != nil || len(history) != 2 {
				t.Fatalf("Helm sees %d revisions, %v", len(history), err)
			}
			got, err := helms.Get("carts", 1)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, ours)
			records, err := c.listRecords(ctx, "shop", "name=carts")
			if err != nil || len(records) != 2 {
				t.Fatalf("%d records, %v", len(records), err)
			}
			full, err := records[1].full()
			if err != nil {
				t.Fatal(err)
			}
			same(t, full, theirs)
			r := records[1]
			if r.Chart != "carts-1.2.3" || r.AppVersion != "4.5" || r.Status != helm.StatusDeployed || r.Revision != 2 || !maps.Equal(r.Labels, theirs.Labels) {
				t.Errorf("read %+v", r)
			}
			if err := c.createRecord(ctx, theirs); err == nil || !strings.Contains(err.Error(), "somebody else") {
				t.Errorf("a second revision 2: %v", err)
			}
		})
	}
}

func same(t *testing.T, got, want *helm.Release) {
	t.Helper()
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if string(a) != string(b) {
		t.Errorf("got  %s\nwant %s", a, b)
	}
}

func TestStateOf(t *testing.T) {
	t.Parallel()
	record := func(revision int, status helm.Status) *Record { return &Record{Revision: revision, Status: status} }
	for name, test := range map[string]struct {
		records               []*Record
		last, deployed, since int
		others                int
		installed             bool
	}{
		"deployed":                  {[]*Record{record(1, helm.StatusDeployed)}, 1, 1, 0, 0, true},
		"failed upgrade":            {[]*Record{record(1, helm.StatusDeployed), record(2, helm.StatusFailed)}, 2, 1, 1, 0, true},
		"killed first install":      {[]*Record{record(1, helm.StatusPendingInstall)}, 1, 0, 1, 0, true},
		"killed between two writes": {[]*Record{record(1, helm.StatusDeployed), record(2, helm.StatusDeployed)}, 2, 2, 0, 1, true},
		"uninstalled, history kept": {[]*Record{record(1, helm.StatusDeployed), record(2, helm.StatusUninstalled)}, 2, 0, 0, 0, false},
		"installed after that":      {[]*Record{record(2, helm.StatusUninstalled), record(3, helm.StatusDeployed)}, 3, 3, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stateOf(test.records)
			deployed := 0
			if s.deployed != nil {
				deployed = s.deployed.Revision
			}
			if s.last.Revision != test.last || deployed != test.deployed || len(s.since) != test.since || len(s.others) != test.others || s.installed() != test.installed {
				t.Errorf("last %d, deployed %d, since %d, others %d, installed %v", s.last.Revision, deployed, len(s.since), len(s.others), s.installed())
			}
		})
	}
}

// TestLargeRecords holds that a record is refused before Kubernetes does it.
func TestLargeRecords(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 2<<20)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(noise)
	r := revision("big", 1, helm.StatusDeployed)
	r.Chart.Files = []*chart.File{{Name: "files/noise", Data: noise}}
	if _, err := encode(r); err == nil || !strings.Contains(err.Error(), "KiB") || !strings.Contains(err.Error(), "hint:") {
		t.Errorf("2 MiB of noise: %v", err)
	}
	r.Chart.Files[0].Data = slices.Repeat([]byte("well packed "), 1<<18)
	if _, err := encode(r); err != nil {
		t.Errorf("3 MiB of text: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	data, err := encode(revision("carts", 1, helm.StatusDeployed))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add("")
	f.Add("eyJuYW1lIjoieCJ9")
	f.Fuzz(func(t *testing.T, data string) {
		r, err := decode(data)
		if err == nil && r == nil {
			t.Error("neither a record nor an error")
		}
		if err == nil {
			_, _ = r.full()
		}
	})
}
