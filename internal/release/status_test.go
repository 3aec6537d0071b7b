package release

import (
	"encoding/json"
	"testing"
	"time"

	helm "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/helm-kai/helm-kai/internal/manifest"
)

func TestWorst(t *testing.T) {
	t.Parallel()
	object := func(name string, state manifest.State) ObjectStatus {
		return ObjectStatus{Object: manifest.Ref{Kind: "Deployment", Name: name}, Health: manifest.Health{State: state, Reason: "R" + name, Message: name + " says so"}}
	}
	for _, test := range []struct {
		objects []ObjectStatus
		want    manifest.Health
	}{
		{nil, manifest.Health{State: manifest.Ready, Reason: "Ready"}},
		{[]ObjectStatus{object("a", manifest.Ready)}, manifest.Health{State: manifest.Ready, Reason: "Ready"}},
		{[]ObjectStatus{object("a", manifest.Progressing), object("b", manifest.Failed), object("c", manifest.Failed)}, manifest.Health{State: manifest.Failed, Reason: "Rb", Message: "Deployment/b: b says so"}},
		{[]ObjectStatus{object("a", manifest.Gone), object("b", manifest.Progressing)}, manifest.Health{State: manifest.Gone, Reason: "Ra", Message: "Deployment/a: a says so"}},
		{[]ObjectStatus{object("a", manifest.Unknown), object("b", manifest.Progressing)}, manifest.Health{State: manifest.Progressing, Reason: "Rb", Message: "Deployment/b: b says so"}},
	} {
		if got := worst(test.objects); got != test.want {
			t.Errorf("got %+v, want %+v", got, test.want)
		}
	}
}

func TestGoodAndBroken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status       string
		state        manifest.State
		good, broken bool
	}{
		{"deployed", manifest.Ready, true, false},
		{"deployed", manifest.Progressing, false, false},
		{"deployed", manifest.Gone, false, true},
		{"deployed", manifest.Failed, false, true},
		{helm.StatusPendingUpgrade.String(), manifest.Ready, false, false},
		{"failed", manifest.Ready, false, true},
		{NotInstalled, manifest.Gone, false, true},
	} {
		s := ReleaseStatus{Revision: Revision{Status: test.status}, Health: manifest.Health{State: test.state}}
		if s.Good() != test.good || s.Broken() != test.broken {
			t.Errorf("%s, %s: good %v, broken %v", test.status, test.state, s.Good(), s.Broken())
		}
	}
}

func TestGenerated(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, of string
		want     bool
	}{
		{"carts-5ccbc45cd8", "carts", true},
		{"carts-5ccbc45cd8-gsp8p", "carts", true},
		{"carts-0", "carts", true},
		{"nightly-29384756-x2v4b", "nightly", true},
		{"carts-db-0", "carts", false},
		{"carts-db", "carts", false},
		{"carts-redis-5ccbc45cd8", "carts", false},
		{"carts-", "carts", false},
		{"carts", "carts", false},
		{"cartsx-0", "carts", false},
	} {
		if got := generated(test.name, test.of); got != test.want {
			t.Errorf("generated(%q, %q) = %v", test.name, test.of, got)
		}
	}
}

func TestWarningsOf(t *testing.T) {
	t.Parallel()
	event := func(kind, name, reason, message string) corev1.Event {
		return corev1.Event{InvolvedObject: corev1.ObjectReference{Kind: kind, Name: name}, Reason: reason, Message: message}
	}
	events := []corev1.Event{
		event("Pod", "carts-5ccbc45cd8-gsp8p", "BackOff", "newest "),
		event("Pod", "carts-5ccbc45cd8-gsp8p", "BackOff", "older"),
		event("Pod", "carts-db-0", "BackOff", "of another"),
		event("Deployment", "carts", "FailedCreate", "own"),
		event("Service", "carts", "FailedToUpdateEndpoint", "of another kind"),
	}
	got := warningsOf(events, manifest.Ref{Kind: "Deployment", Name: "carts"})
	want := []Trouble{{Of: "Pod/carts-5ccbc45cd8-gsp8p", Reason: "BackOff", Message: "newest"}, {Of: "Deployment/carts", Reason: "FailedCreate", Message: "own"}}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := warningsOf(events, manifest.Ref{Kind: "PersistentVolumeClaim", Name: "carts"}); got != nil {
		t.Errorf("a claim makes no pods: %+v", got)
	}
}

func TestHappened(t *testing.T) {
	t.Parallel()
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, e := range []corev1.Event{{LastTimestamp: metav1.NewTime(when)}, {EventTime: metav1.NewMicroTime(when)}} {
		if got := happened(e); !got.Equal(when) {
			t.Errorf("got %v", got)
		}
	}
}

func TestStatusMasksAndIsStable(t *testing.T) {
	t.Parallel()
	s := ReleaseStatus{
		Revision: Revision{Release: "carts", Namespace: "shop", Revision: 3, Status: "failed", Description: "Upgrade failed: example-hidden-text is wrong", By: "kai", Context: "dev"},
		Health:   manifest.Health{State: manifest.Failed, Reason: "ProgressDeadlineExceeded"},
		Objects: []ObjectStatus{{
			Object:   manifest.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "carts"},
			Health:   manifest.Health{State: manifest.Failed, Reason: "ProgressDeadlineExceeded", Message: "it has example-hidden-text"},
			Troubles: []Trouble{{Of: "Pod/carts-0", Reason: "BackOff", Message: "example-hidden-text", Restarts: 2}},
		}},
	}
	s.mask(manifest.NewMask([]string{"example-hidden-text"}))
	got, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"release":"carts","namespace":"shop","revision":3,"status":"failed","description":"Upgrade failed: [masked] is wrong","by":"kai","context":"dev",` +
		`"health":{"state":"Failed","reason":"ProgressDeadlineExceeded"},` +
		`"objects":[{"object":{"apiVersion":"apps/v1","kind":"Deployment","namespace":"shop","name":"carts"},"state":"Failed","reason":"ProgressDeadlineExceeded","message":"it has [masked]",` +
		`"troubles":[{"of":"Pod/carts-0","reason":"BackOff","message":"[masked]","restarts":2}]}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := s.Objects[0].Troubles[0].String(); got != "Pod/carts-0: BackOff, 2 restarts: [masked]" {
		t.Errorf("got %q", got)
	}
}
