package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/release"
)

func sampleStatuses() []release.ReleaseStatus {
	when := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	deployment := manifest.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "carts"}
	return []release.ReleaseStatus{
		{
			Revision: release.Revision{Release: "carts", Namespace: "shop", Context: "dev", Revision: 2, Status: "failed", Description: "Upgrade failed", Updated: when, Chart: "carts-1.0.0"},
			Target:   release.Target{Context: "prod"},
			Health:   manifest.Health{State: manifest.Progressing, Reason: "NotAvailable"},
			Objects: []release.ObjectStatus{
				{Object: manifest.Ref{Kind: "Service", Name: "carts"}, Health: manifest.Health{State: manifest.Ready}},
				{
					Object: deployment, Health: manifest.Health{State: manifest.Progressing, Reason: "NotAvailable", Message: "0 of 1 replicas are available"},
					Troubles: []release.Trouble{{Of: "Pod/carts-0", Reason: "ImagePullBackOff", Message: "container carts"}},
				},
			},
		},
		{
			Revision: release.Revision{Release: "orders", Namespace: "shop", Status: release.NotInstalled},
			Target:   release.Target{Context: "dev"},
			Health:   manifest.Health{State: manifest.Gone, Reason: "NotInstalled"},
		},
	}
}

func TestPrintStatus(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := printStatus(&out, sampleStatuses(), false); err != nil {
		t.Fatal(err)
	}
	want := `RELEASE   NAMESPACE   REVISION   STATUS          HEALTH        UPDATED                CHART
carts     shop        2          failed          Progressing   2026-05-04T03:02:01Z   carts-1.0.0
orders    shop                   not-installed                                        

carts: it was installed from the context dev
carts: revision 2 is failed: Upgrade failed
carts: Deployment/carts is Progressing (NotAvailable): 0 of 1 replicas are available
  Pod/carts-0: ImagePullBackOff: container carts
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
	out.Reset()
	if err := printStatus(&out, sampleStatuses()[1:], true); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "CONTEXT   RELEASE") || !strings.Contains(out.String(), "\ndev       orders") {
		t.Errorf("got:\n%s", out.String())
	}
}

func TestSettled(t *testing.T) {
	t.Parallel()
	is := func(status string, state manifest.State) release.ReleaseStatus {
		return release.ReleaseStatus{Revision: release.Revision{Status: status}, Health: manifest.Health{State: state}}
	}
	for _, test := range []struct {
		all  []release.ReleaseStatus
		want bool
	}{
		{nil, true},
		{[]release.ReleaseStatus{is("deployed", manifest.Ready), is("failed", manifest.Ready)}, true},
		{[]release.ReleaseStatus{is("deployed", manifest.Ready), is("deployed", manifest.Progressing)}, false},
		{[]release.ReleaseStatus{is("pending-install", manifest.Ready)}, false},
	} {
		if got := settled(test.all); got != test.want {
			t.Errorf("%+v: %v", test.all, got)
		}
	}
}

func TestPrintObjectsNamesFormats(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := printObjects(&out, "jason", nil, nil)
	if err == nil || !strings.Contains(err.Error(), `did you mean "json"?`) {
		t.Errorf("got %v", err)
	}
	if err := printObjects(&out, "name", sampleStatuses(), nil); err != nil || out.String() != "carts\norders\n" {
		t.Errorf("got %q, %v", out.String(), err)
	}
}
