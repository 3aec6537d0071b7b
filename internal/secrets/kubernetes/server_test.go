package kubernetes

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

// The tests of this file are against a cluster that somebody else starts, and
// names its administrator's kubeconfig in KAI_TEST_KUBECONFIG: the end-to-end
// tests do.
type cluster struct {
	*testing.T
	client          *http.Client
	base, namespace string
}

// newCluster makes a namespace of the test's own.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	file := os.Getenv("KAI_TEST_KUBECONFIG")
	if file == "" {
		t.Skip("there is no cluster: set KAI_TEST_KUBECONFIG, or run the end-to-end tests")
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	var random [4]byte
	_, _ = rand.Read(random[:])
	c := &cluster{t, client, config.Host, "kai-store-" + hex.EncodeToString(random[:])}
	c.send(t.Context(), http.MethodPost, "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": c.namespace}})
	t.Cleanup(func() {
		c.send(context.Background(), http.MethodDelete, "/api/v1/namespaces/"+c.namespace, nil)
		client.CloseIdleConnections()
	})
	return c
}

// send asks the cluster as its administrator.
func (c *cluster) send(ctx context.Context, method, path string, o map[string]any) []byte {
	c.Helper()
	body, err := json.Marshal(o)
	if err != nil {
		c.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	response, err := c.client.Do(request)
	if err != nil {
		c.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode > 299 {
		c.Fatalf("%s %s: %s %s, %v", method, path, response.Status, answer, err)
	}
	return answer
}

// secret is the path of a Secret in the API, or with "" of all.
func (c *cluster) secret(name string) string {
	return strings.TrimSuffix("/api/v1/namespaces/"+c.namespace+"/secrets/"+name, "/")
}

func (c *cluster) store() *Store { return New(c.client, c.base, c.namespace, Options{}) }

// as gives a store that somebody else asks.
func (c *cluster) as(user string) *Store {
	return New(&http.Client{Transport: impersonating{c.client.Transport, user}}, c.base, c.namespace, Options{})
}

type impersonating struct {
	next http.RoundTripper
	user string
}

func (i impersonating) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Impersonate-User", i.user)
	return i.next.RoundTrip(r)
}

func TestServer(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	t.Run("contract", func(t *testing.T) {
		storetest.Run(t, func(*testing.T) secrets.Store { return c.store() })
	})
}

func TestServerEditedByHand(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	s := c.store()
	storetest.Put(t, s, place, map[string]any{"n": json.Number("1"), "a b": "x", "gone": "x"})
	before := storetest.Get(t, s, place)
	c.send(t.Context(), http.MethodPatch, c.secret(Name(place)), map[string]any{
		"stringData": map[string]any{"n": "two", "hand": "made"},
		"data":       map[string]any{"gone": nil},
		"metadata":   map[string]any{"labels": map[string]any{"team": "shop"}, "annotations": map[string]any{"example.com/note": "x"}, "finalizers": []any{"example.com/hold"}},
	})
	after := storetest.Get(t, s, place)
	if after.Version == before.Version || after.Time.IsZero() || time.Since(after.Time) > time.Hour {
		t.Errorf("the version is %s after %s, of %v", after.Version, before.Version, after.Time)
	}
	hand := map[string]any{"n": "two", "hand": "made", "a b": "x"}
	storetest.Want(t, s, place, hand)
	hand["new"] = true
	storetest.Put(t, s, place, hand)
	storetest.Want(t, s, place, hand)
	var o struct {
		Metadata struct {
			Labels, Annotations map[string]string
			Finalizers          []string
		}
	}
	if err := json.Unmarshal(c.send(t.Context(), http.MethodGet, c.secret(Name(place)), nil), &o); err != nil {
		t.Fatal(err)
	}
	if o.Metadata.Labels["team"] != "shop" || o.Metadata.Annotations["example.com/note"] != "x" || len(o.Metadata.Finalizers) != 1 {
		t.Errorf("a write took away what others had put there: %+v", o)
	}
	c.send(t.Context(), http.MethodPatch, c.secret(Name(place)), map[string]any{"metadata": map[string]any{"finalizers": nil}})

	// Emptied by hand, it is begun anew.
	c.send(t.Context(), http.MethodPatch, c.secret(Name(place)), map[string]any{"data": nil})
	if paths, err := s.List(t.Context(), place.Deployment); err != nil || len(paths) != 0 {
		t.Errorf("a Secret that was emptied: %v, %v", paths, err)
	}
	if _, err := s.Write(t.Context(), secrets.Doc{Path: place, Values: storetest.Hide(t, map[string]any{"A": "1"})}); err != nil {
		t.Error(err)
	}
	c.send(t.Context(), http.MethodPatch, c.secret(Name(place)), map[string]any{"immutable": true})
	doc := storetest.Get(t, s, place)
	doc.Values = storetest.Hide(t, map[string]any{"A": canary})
	_, err := s.Write(t.Context(), doc)
	wantError(t, err, "immutable", "delete the Secret "+Name(place))
}

func TestServerPages(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	s := c.store()
	const n = 520 // more than a page
	var running sync.WaitGroup
	places := make(chan struct{}, width)
	for i := range n {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			path := secrets.Path{Deployment: "my_Deployment", App: fmt.Sprintf("App %d", i), Scope: secrets.Public}
			if _, err := s.Write(t.Context(), secrets.Doc{Path: path, Values: map[string]secrets.Value{"A": secrets.New("1")}}); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if paths, err := s.List(t.Context(), "my_Deployment"); err != nil || len(paths) != n {
		t.Errorf("%d paths, %v", len(paths), err)
	}
}

func TestServerBounds(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	s := c.store()
	exact := map[string]any{"A": strings.Repeat("x", 1<<20)}
	storetest.Put(t, s, place, exact)
	storetest.Want(t, s, place, exact)
	// More in names than a Secret takes, though not in values.
	names := map[string]any{}
	for i := range 9000 {
		names[fmt.Sprintf("%s-%d", strings.Repeat("name", 60), i)] = "x"
	}
	_, err := s.Write(t.Context(), secrets.Doc{Path: secrets.Path{Deployment: "dev", App: "names", Scope: "public"}, Values: storetest.Hide(t, names)})
	wantError(t, err, "cannot keep all of dev/names/public")
}

// TestServerRole holds Role to what it allows, and an error to the Role that it
// names.
func TestServerRole(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	other := secrets.Path{Deployment: "dev", App: "orders", Scope: secrets.Secret}
	storetest.Put(t, c.store(), other, map[string]any{"A": "1"})
	for user, role := range map[string]string{
		"reader-of-one": Role(c.namespace, "dev", false, place),
		"writer-of-one": Role(c.namespace, "dev", true, place),
		"reader":        Role(c.namespace, "dev", false),
		"writer":        Role(c.namespace, "dev", true),
	} {
		c.grant(user, role)
	}
	_, err := c.as("nobody").Read(t.Context(), []secrets.Path{place})
	wantError(t, err, `User "nobody"`, "the verb get on secrets", "kind: Role")
	_, err = c.as("nobody").List(t.Context(), "dev")
	wantError(t, err, "the verb list on secrets", "verbs: [get, list]")
	_, err = c.as("reader").Write(t.Context(), secrets.Doc{Path: place, Values: storetest.Hide(t, map[string]any{"A": canary})})
	wantError(t, err, "the verb create on secrets", "verbs: [create]")

	storetest.Put(t, c.as("writer-of-one"), place, map[string]any{"A": "1"})
	storetest.Put(t, c.as("writer-of-one"), place, map[string]any{"A": "2"})
	storetest.Want(t, c.as("reader-of-one"), place, map[string]any{"A": "2"})
	storetest.Want(t, c.as("reader"), place, map[string]any{"A": "2"})
	for _, user := range []string{"reader-of-one", "writer-of-one"} {
		_, err = c.as(user).Read(t.Context(), []secrets.Path{place, other})
		wantError(t, err, Name(other))
		_, err = c.as(user).List(t.Context(), "dev")
		wantError(t, err, "the verb list")
	}
	if paths, err := c.as("reader").List(t.Context(), "dev"); err != nil || len(paths) != 2 {
		t.Errorf("%v, %v", paths, err)
	}
	_, err = c.as("reader").Write(t.Context(), secrets.Doc{Path: place, Version: storetest.Get(t, c.store(), place).Version})
	wantError(t, err, "the verb delete on secrets")
	storetest.Put(t, c.as("writer-of-one"), place, nil)
	storetest.Put(t, c.as("writer"), other, nil)
	if paths, err := c.as("writer").List(t.Context(), "dev"); err != nil || len(paths) != 0 {
		t.Errorf("%v, %v", paths, err)
	}
}

// grant makes a Role, under a name of its own, and gives it to a user.
func (c *cluster) grant(user, role string) {
	c.Helper()
	var o map[string]any
	if err := yaml.Unmarshal([]byte(role), &o); err != nil {
		c.Fatal(err)
	}
	o["metadata"].(map[string]any)["name"] = user
	rbac := "/apis/rbac.authorization.k8s.io/v1/namespaces/" + c.namespace
	c.send(c.Context(), http.MethodPost, rbac+"/roles", o)
	c.send(c.Context(), http.MethodPost, rbac+"/rolebindings", map[string]any{
		"metadata": map[string]any{"name": user},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user},
		"subjects": []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}},
	})
	// The authorizer learns of it by a watch.
	for range 100 {
		review := c.send(c.Context(), http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews", map[string]any{"spec": map[string]any{
			"user": user, "resourceAttributes": map[string]any{"namespace": c.namespace, "verb": "get", "resource": "secrets", "name": Name(place)},
		}})
		if bytes.Contains(review, []byte(`"allowed":true`)) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	c.Fatalf("the Role of %s does not come to be", user)
}

func TestServerMissing(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	missing := New(c.client, c.base, c.namespace+"-none", Options{})
	storetest.Want(t, missing, place, nil)
	_, err := missing.Write(t.Context(), secrets.Doc{Path: place, Values: storetest.Hide(t, map[string]any{"A": canary})})
	wantError(t, err, "not found", "kubectl create namespace "+c.namespace+"-none")
	if got, err := c.store().Object(t.Context(), "ConfigMap", "", "kube-root-ca.crt"); err != nil || got != nil && got["ca.crt"].IsZero() {
		t.Errorf("%v, %v", got, err)
	}
}

func TestServerLegacy(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	for name, data := range map[string]map[string]any{
		"kaigara-hd-wallet":    {"A": "1", "version": "40000"},
		"kaigara-carts-public": {"B": "2", "version": "1"},
		"other":                {"C": "3"},
	} {
		c.send(t.Context(), http.MethodPost, c.secret(""), map[string]any{"metadata": map[string]any{"name": name}, "stringData": data})
	}
	docs, err := c.store().Legacy(t.Context())
	if err != nil || len(docs) != 2 || docs[0].Path.App != "carts" || docs[1].Values["A"].Reveal() != "1" || docs[1].Version != "40000" {
		t.Errorf("%v, %v", docs, err)
	}
}

// TestServerRestarted has an API server that dies in the midst of writes, at a
// POST to KAI_TEST_KUBE_RESTART, after whose answer it is another process.
func TestServerRestarted(t *testing.T) {
	restart := os.Getenv("KAI_TEST_KUBE_RESTART")
	if restart == "" {
		t.Skip("nobody restarts the cluster: set KAI_TEST_KUBE_RESTART, or run the end-to-end tests")
	}
	c := newCluster(t)
	s := New(c.client, c.base, c.namespace, Options{Patience: time.Minute})
	const writers = 3
	var done, doubtful atomic.Int64
	stop := make(chan struct{})
	var running sync.WaitGroup
	for i := range writers {
		running.Go(func() {
			path := place
			if i == 0 {
				path.App = "alone" // nobody else writes it: nothing is in doubt
			}
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				_, err := secrets.Edit(t.Context(), s, path, func(values map[string]secrets.Value) error {
					before, _ := strconv.Atoi(values["N"].Reveal())
					if i == 0 && before != n-1 {
						return fmt.Errorf("after %d increments it is %d", n-1, before)
					}
					values["N"] = secrets.New(strconv.Itoa(before + 1))
					return nil
				})
				switch {
				case i == 0 && err != nil:
					t.Error(err)
					return
				case i == 0:
				case err == nil:
					done.Add(1)
				case kindOf(err) == Unsure:
					doubtful.Add(1)
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	for range 2 {
		time.Sleep(500 * time.Millisecond)
		response, err := http.Post(restart, "", nil)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response, err)
		}
		_ = response.Body.Close()
	}
	time.Sleep(500 * time.Millisecond)
	close(stop)
	running.Wait()
	n, _ := strconv.ParseInt(storetest.Get(t, s, place).Values["N"].Reveal(), 10, 64)
	if n < done.Load() || n > done.Load()+doubtful.Load() {
		t.Errorf("%d increments were done and %d are in doubt, and the number is %d", done.Load(), doubtful.Load(), n)
	}
	t.Logf("%d increments, %d in doubt", done.Load(), doubtful.Load())
}
