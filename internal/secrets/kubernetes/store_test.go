package kubernetes

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

// canary is in values that no error may show.
const canary = "example-canary"

var place = secrets.Path{Deployment: "dev", App: "carts", Scope: secrets.Secret}

func open(server *httptest.Server) *Store {
	return New(server.Client(), server.URL, "shop", Options{Patience: 2 * time.Second})
}

func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	storetest.WantError(t, err, []string{canary}, texts...)
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func TestFake(t *testing.T) {
	t.Parallel()
	_, server := newFake(t, "shop")
	storetest.Run(t, func(*testing.T) secrets.Store { return open(server) })
}

func TestFakeEncrypted(t *testing.T) {
	t.Parallel()
	ring, err := secrets.NewKeyring(map[string][]byte{"k1": []byte(strings.Repeat("1", 32))}, "k1")
	if err != nil {
		t.Fatal(err)
	}
	_, server := newFake(t, "shop")
	storetest.Run(t, func(*testing.T) secrets.Store { return secrets.Encrypted(open(server), ring) })
}

func TestSecretAsPodsSeeIt(t *testing.T) {
	t.Parallel()
	f, server := newFake(t, "shop")
	storetest.Put(t, open(server), place, map[string]any{"DB_PASSWORD": "example", "port": json.Number("5432"), "a b": "x"})
	o := f.get("shop", "secrets", "kai-dev-carts-secret")
	if o["type"] != "Opaque" {
		t.Errorf("the type is %v", o["type"])
	}
	wanted := map[string]any{"DB_PASSWORD": b64("example"), "port": b64("5432"), "kai--a-20b": b64("x")}
	if fmt.Sprint(o["data"]) != fmt.Sprint(wanted) {
		t.Errorf("the data is %v", o["data"])
	}
	metadata := o["metadata"].(map[string]any)
	labels := map[string]any{keyDeployment: "dev", keyApp: "carts", keyScope: "secret"}
	if fmt.Sprint(metadata["labels"]) != fmt.Sprint(labels) {
		t.Errorf("the labels are %v", metadata["labels"])
	}
	annotations := metadata["annotations"].(map[string]any)
	if annotations["helm.sh/resource-policy"] != "keep" || annotations[keyKinds] != `{"port":"n"}` || annotations[keyDeployment] != nil {
		t.Errorf("the annotations are %v", annotations)
	}
}

func TestEditedByHand(t *testing.T) {
	t.Parallel()
	f, server := newFake(t, "shop")
	s := open(server)
	first := storetest.Put(t, s, place, map[string]any{"n": json.Number("1"), "list": []any{"a"}, "gone": "x"})
	f.edit("shop", Name(place), func(o map[string]any) {
		o["data"] = map[string]any{"n": b64("not a number"), "list": b64(`[ "a", "b" ]`), "kai--x": b64("own"), "kai--a-2fb": b64("ours"), "binary": b64("\xff\x00")}
		metadata := o["metadata"].(map[string]any)
		metadata["labels"].(map[string]any)["team"] = "shop"
		metadata["ownerReferences"] = []any{map[string]any{"name": "owner"}}
		metadata["generation"] = json.Number("12345678901234567890")
		o["type"] = "example.com/own"
	})
	doc := storetest.Get(t, s, place)
	if doc.Version == first {
		t.Error("an edit by hand made no version")
	}
	hand := map[string]any{"n": "not a number", "list": []any{"a", "b"}, "kai--x": "own", "a/b": "ours", "binary": "\xff\x00"}
	storetest.Want(t, s, place, hand)

	hand["new"] = "x"
	storetest.Put(t, s, place, hand)
	storetest.Want(t, s, place, hand)
	o := f.get("shop", "secrets", Name(place))
	metadata := o["metadata"].(map[string]any)
	if o["type"] != "example.com/own" || metadata["labels"].(map[string]any)["team"] != "shop" || metadata["ownerReferences"] == nil {
		t.Errorf("a write changed what others had put there: %v", o)
	}
	if data := o["data"].(map[string]any); data["kai--x"] != b64("own") || data["kai--a-2fb"] != b64("ours") {
		t.Errorf("a write renamed keys: %v", slices.Sorted(maps.Keys(data)))
	}
}

func TestMadeByHand(t *testing.T) {
	t.Parallel()
	f, server := newFake(t, "shop")
	s := open(server)
	f.put("shop", "secrets", Name(place), map[string]any{"kind": "Secret", "data": map[string]any{"A": b64("1")}})
	storetest.Want(t, s, place, map[string]any{"A": "1"})
	if paths, err := s.List(t.Context(), "dev"); err != nil || len(paths) != 0 {
		t.Errorf("without labels: %v, %v", paths, err)
	}
	storetest.Put(t, s, place, map[string]any{"A": "2"})
	// A copy keeps the labels, and is not the path's.
	f.put("shop", "secrets", "copy", f.get("shop", "secrets", Name(place)))
	if paths, err := s.List(t.Context(), "dev"); err != nil || !slices.Equal(paths, []secrets.Path{place}) {
		t.Errorf("after a write: %v, %v", paths, err)
	}

	f.edit("shop", Name(place), func(o map[string]any) { delete(o, "data") })
	if paths, err := s.List(t.Context(), "dev"); err != nil || len(paths) != 0 {
		t.Errorf("a Secret that was emptied: %v, %v", paths, err)
	}
	if doc := storetest.Get(t, s, place); doc.Version != "" {
		t.Errorf("a Secret that was emptied has the version %q", doc.Version)
	}
	storetest.Put(t, s, place, map[string]any{"A": "3"})
	storetest.Want(t, s, place, map[string]any{"A": "3"})

	f.edit("shop", Name(place), func(o map[string]any) { o["immutable"] = true })
	doc := storetest.Get(t, s, place)
	doc.Values = storetest.Hide(t, map[string]any{"A": canary})
	_, err := s.Write(t.Context(), doc)
	var cannot *secrets.CannotError
	if !errors.As(err, &cannot) {
		t.Errorf("an immutable Secret gives %v", err)
	}
	wantError(t, err, "immutable")
}

func TestListPages(t *testing.T) {
	t.Parallel()
	f, server := newFake(t, "shop")
	f.page = 2
	s := open(server)
	for _, app := range []string{"a", "b", "c", "d", "e", "Not DNS", strings.Repeat("long", 30)} {
		storetest.Put(t, s, secrets.Path{Deployment: "dev", App: app, Scope: secrets.Public}, map[string]any{"A": "1"})
	}
	f.reset()
	paths, err := s.List(t.Context(), "dev")
	if err != nil || len(paths) != 7 || paths[0].App != "Not DNS" || len(f.seen()) != 4 {
		t.Errorf("%v, %v by %v", paths, err, f.seen())
	}
	// Once a page is too late, all is asked for again.
	late := true
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("continue") == "" || !late {
			return false
		}
		late = false
		w.WriteHeader(http.StatusGone)
		fmt.Fprint(w, `{"kind":"Status","reason":"Expired","message":"too old"}`)
		return true
	}
	if again, err := s.List(t.Context(), "dev"); err != nil || !slices.Equal(again, paths) {
		t.Errorf("%v, %v", again, err)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	_, server := newFake(t, "shop")
	s := open(server)
	many := map[string]any{}
	for i := range 20_000 {
		many[fmt.Sprintf("a-rather-long-name-%d", i)] = true
	}
	for name, doc := range map[string]secrets.Doc{
		"a value": {Path: place, Values: storetest.Hide(t, map[string]any{"A": strings.Repeat(canary, 1<<17)})},
		"kinds":   {Path: place, Values: storetest.Hide(t, many)},
		"a key":   {Path: place, Values: storetest.Hide(t, map[string]any{strings.Repeat("k", 254): "x"})},
		"no key":  {Path: place, Values: storetest.Hide(t, map[string]any{"": "x"})},
		"a scope": {Path: secrets.Path{Deployment: "dev", App: "a", Scope: "elsewhere"}, Values: storetest.Hide(t, map[string]any{"A": "1"})},
		"no app":  {Path: secrets.Path{Deployment: "dev", App: " ", Scope: "secret"}, Values: storetest.Hide(t, map[string]any{"A": "1"})},
	} {
		_, err := s.Write(t.Context(), doc)
		var cannot *secrets.CannotError
		if !errors.As(err, &cannot) {
			t.Errorf("%s: %v", name, err)
		}
		wantError(t, err, "cannot keep")
	}
	exact := map[string]any{"A": strings.Repeat("x", 1<<20)}
	storetest.Put(t, s, place, exact)
	storetest.Want(t, s, place, exact)
}

func TestLegacy(t *testing.T) {
	t.Parallel()
	f, server := newFake(t, "shop")
	s := open(server)
	for name, data := range map[string]map[string]any{
		"kaigara-hd-wallet":      {"A": b64("1"), "version": b64("3")},
		"kaigara-carts-private":  {"B": b64("2"), "version": b64("4")},
		"kaigara-empty":          {"version": b64("5")},
		"other":                  {"C": b64("x")},
		"kai-shop-carts-private": {"C": b64("x")},
		"kaigara-secret":         {"D": b64("4")},
	} {
		f.put("shop", "secrets", name, map[string]any{"kind": "Secret", "data": data})
	}
	docs, err := s.Legacy(t.Context())
	if err != nil || len(docs) != 3 {
		t.Fatalf("%v, %v", docs, err)
	}
	for i, want := range []struct{ path, key, value, version string }{
		{"shop/carts/private", "B", "2", "4"}, {"shop/hd-wallet/secret", "A", "1", "3"}, {"shop/secret/secret", "D", "4", ""},
	} {
		if got := docs[i]; got.Path.String() != want.path || len(got.Values) != 1 || got.Values[want.key].Reveal() != want.value || got.Version != want.version {
			t.Errorf("got %v", got)
		}
	}
	f.put("shop", "secrets", "kaigara-carts-secret", map[string]any{"data": map[string]any{"A": b64(canary)}})
	f.put("shop", "secrets", "kaigara-carts", map[string]any{"data": map[string]any{"A": b64(canary)}})
	_, err = s.Legacy(t.Context())
	wantError(t, err, "kaigara-carts", "kaigara-carts-secret", "hint: ")
}

func TestObject(t *testing.T) {
	t.Parallel()
	f, server := newFake(t, "shop", "other")
	s := open(server)
	f.put("other", "secrets", "tls", map[string]any{"kind": "Secret", "data": map[string]any{"kai--a-20b": b64("1")}})
	f.put("shop", "configmaps", "map", map[string]any{"kind": "ConfigMap", "data": map[string]any{"A": "plain"}, "binaryData": map[string]any{"B": b64("\xff")}})
	got, err := s.Object(t.Context(), "Secret", "other", "tls")
	if err != nil || len(got) != 1 || got["kai--a-20b"].Reveal() != "1" {
		t.Errorf("%v, %v", got, err)
	}
	got, err = s.Object(t.Context(), "ConfigMap", "", "map")
	if err != nil || len(got) != 2 || got["A"].Reveal() != "plain" || got["B"].Reveal() != "\xff" {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := s.Object(t.Context(), "Secret", "", "missing"); got != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	_, err = s.Object(t.Context(), "Pod", "", "x")
	wantError(t, err, "kai reads no Pod")
	_, err = s.Object(t.Context(), "Secret", "", "../../x")
	wantError(t, err, "no name of Kubernetes")
}
