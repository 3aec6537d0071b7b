package release

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	helm "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

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

func TestSetOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, of string
		want     bool
	}{
		{"carts-5ccbc45cd8", "carts", true},
		{"carts-db-5ccbc45cd8", "carts", false},
		{"carts-db-5ccbc45cd8", "carts-db", true},
		{"carts-redis", "carts", false},
		{"carts-", "carts", false},
		{"carts", "carts", false},
		{"cartsx-5ccbc45cd8", "carts", false},
	} {
		if got := setOf(test.name, test.of); got != test.want {
			t.Errorf("setOf(%q, %q) = %v", test.name, test.of, got)
		}
	}
}

func TestWarningsOf(t *testing.T) {
	t.Parallel()
	event := func(kind, name, uid, reason, message string) corev1.Event {
		return corev1.Event{InvolvedObject: corev1.ObjectReference{Kind: kind, Name: name, UID: types.UID(uid)}, Reason: reason, Message: message}
	}
	events := []corev1.Event{
		event("Pod", "carts-5ccbc45cd8-gsp8p", "pod", "BackOff", "newest "),
		event("Pod", "carts-5ccbc45cd8-gsp8p", "pod", "BackOff", "older"),
		event("Pod", "carts-5ccbc45cd8-x2v4b", "gone", "Unhealthy", "of one that is gone"),
		event("Deployment", "carts", "own", "FailedCreate", "own"),
		event("ReplicaSet", "carts-5ccbc45cd8", "set", "FailedMount", "of its set"),
		event("ReplicaSet", "carts-db-5ccbc45cd8", "other", "Other", "of another"),
	}
	ids := map[types.UID]bool{"own": true, "pod": true}
	got := warningsOf(events, manifest.Ref{Kind: "Deployment", Name: "carts"}, ids)
	want := []Trouble{
		{Of: "Pod/carts-5ccbc45cd8-gsp8p", Reason: "BackOff", Message: "newest"},
		{Of: "Deployment/carts", Reason: "FailedCreate", Message: "own"},
		{Of: "ReplicaSet/carts-5ccbc45cd8", Reason: "FailedMount", Message: "of its set"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := warningsOf(events, manifest.Ref{Kind: "StatefulSet", Name: "carts"}, nil); got != nil {
		t.Errorf("got %+v, want nothing", got)
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
		Target:   Target{Workspace: "sock-shop", Context: "dev"},
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
		`"target":{"workspace":"sock-shop","context":"dev"},"health":{"state":"Failed","reason":"ProgressDeadlineExceeded"},` +
		`"objects":[{"object":{"apiVersion":"apps/v1","kind":"Deployment","namespace":"shop","name":"carts"},"state":"Failed","reason":"ProgressDeadlineExceeded","message":"it has [masked]",` +
		`"troubles":[{"of":"Pod/carts-0","reason":"BackOff","message":"[masked]","restarts":2}]}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := s.Objects[0].Troubles[0].String(); got != "Pod/carts-0: BackOff, 2 restarts: [masked]" {
		t.Errorf("got %q", got)
	}
}
