package kubernetes

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

// answering gives a store on a server that always answers the same.
func answering(t *testing.T, answer http.HandlerFunc) *Store {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return New(server.Client(), server.URL, "shop", Options{Patience: 300 * time.Millisecond})
}

func says(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

// cannotDo is how an API server words that somebody may not do something.
func cannotDo(verb string) string {
	return fmt.Sprintf(`{"kind":"Status","reason":"Forbidden","message":"secrets is forbidden: User \"example\" cannot %s resource \"secrets\" in API group \"\" in the namespace \"shop\""}`, verb)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	forbidden := cannotDo("get")
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		kind   Kind
		texts  []string
	}{
		"who":          {says(401, `{"kind":"Status","reason":"Unauthorized","message":"Unauthorized"}`), Denied, []string{"log in again"}},
		"forbidden":    {says(403, forbidden), Denied, []string{"get the Secret kai-dev-carts-secret", "the verb get on secrets", "kind: Role", "- kai-dev-carts-secret", "verbs: [get]"}},
		"away":         {says(503, `{"kind":"Status","reason":"ServiceUnavailable","message":"not yet"}`), Away, []string{"not yet"}},
		"overloaded":   {says(429, `{"kind":"Status","message":"too many"}`), Away, []string{"too many"}},
		"a page":       {says(200, "<html>"+canary), Refused, []string{"no JSON of Kubernetes", "is it the address of a cluster"}},
		"another page": {says(404, "<html>"+canary), Refused, []string{"404 Not Found", "is it the address of a cluster"}},
		"other JSON":   {says(200, `{"secret":"`+canary+`"}`), Refused, []string{"no object of Kubernetes"}},
		"not base64":   {says(200, `{"kind":"Secret","metadata":{"name":"x"},"data":{"A":"`+canary+`!"}}`), Refused, []string{"A is not base64"}},
		"redirect":     {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, Refused, []string{"302 Found"}},
		"large": {func(w http.ResponseWriter, _ *http.Request) {
			chunk := []byte(strings.Repeat("0", 1<<20))
			for range 200 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, Refused, []string{"larger than 16 MiB"}},
		"cut": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, Away, []string{"the connection was lost"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := answering(t, test.answer)
			_, err := s.Read(t.Context(), []secrets.Path{place})
			wantError(t, err, test.texts...)
			if kindOf(err) != test.kind {
				t.Errorf("the kind is %d, and should be %d", kindOf(err), test.kind)
			}
			_, err = s.List(t.Context(), "dev")
			wantError(t, err)
			_, err = s.Write(t.Context(), secrets.Doc{Path: place, Values: map[string]secrets.Value{"A": secrets.New(canary)}})
			wantError(t, err)
		})
	}
}

func TestDeniedAtOnce(t *testing.T) {
	t.Parallel()
	f, server := newFake(t, "shop")
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "open") {
			return false
		}
		says(403, cannotDo("get"))(w, r)
		return true
	}
	path := func(app string) secrets.Path { return secrets.Path{Deployment: "dev", App: app, Scope: "secret"} }
	_, err := open(server).Read(t.Context(), []secrets.Path{path("one"), path("open"), path("two")})
	wantError(t, err, "kai-dev-one-secret", "kai-dev-two-secret")
	if strings.Contains(err.Error(), "kai-dev-open") {
		t.Errorf("the error names what is allowed: %v", err)
	}
}

func TestWriteRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		texts  []string
	}{
		"forbidden": {says(403, cannotDo("create")), []string{"the verb create on secrets", "verbs: [create]", "verbs: [get, update, delete]"}},
		"ending":    {says(403, `{"kind":"Status","reason":"Forbidden","message":"no","details":{"causes":[{"reason":"NamespaceTerminating"}]}}`), []string{"is being deleted"}},
		"echo":      {says(422, `{"kind":"Status","reason":"Invalid","message":"webhook: `+canary+` and `+b64(canary)+` are weak"}`), []string{"[masked] and [masked] are weak"}},
		"etcd":      {says(500, `{"kind":"Status","message":"etcdserver: request is too large"}`), []string{"cannot keep all of dev/carts/secret"}},
		"quota":     {says(403, `{"kind":"Status","reason":"Forbidden","message":"exceeded quota: objects"}`), []string{"exceeded quota"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, server := newFake(t, "shop")
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodGet {
					return false
				}
				test.answer(w, r)
				return true
			}
			_, err := open(server).Write(t.Context(), secrets.Doc{Path: place, Values: map[string]secrets.Value{"A": secrets.New(canary)}})
			wantError(t, err, test.texts...)
			if name == "quota" && strings.Contains(err.Error(), "Role") {
				t.Errorf("no Role allows more than a quota does: %v", err)
			}
		})
	}
	_, server := newFake(t)
	_, err := open(server).Write(t.Context(), secrets.Doc{Path: place, Values: map[string]secrets.Value{"A": secrets.New(canary)}})
	wantError(t, err, `namespaces "shop" not found`, "kubectl create namespace shop")
}

// TestPasses has an API server that comes back.
func TestPasses(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"429":  says(429, `{"kind":"Status","message":"slow"}`),
		"503":  says(503, "starting"),
		"lost": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, server := newFake(t, "shop")
			var n atomic.Int32
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if n.Add(1)%3 != 1 {
					return false
				}
				answer(w, r)
				return true
			}
			s := open(server)
			storetest.Put(t, s, place, map[string]any{"A": "1"})
			storetest.Put(t, s, place, map[string]any{"A": "2"})
			storetest.Want(t, s, place, map[string]any{"A": "2"})
			storetest.Put(t, s, place, nil)
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	f, server := newFake(t, "shop")
	var first atomic.Int64
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !first.CompareAndSwap(0, time.Now().UnixNano()) {
			return false
		}
		w.Header().Set("Retry-After", "1")
		says(429, `{"kind":"Status"}`)(w, r)
		return true
	}
	storetest.Want(t, open(server), place, nil)
	if waited := time.Duration(time.Now().UnixNano() - first.Load()); waited < time.Second {
		t.Errorf("it was asked to wait a second, and waited %v", waited)
	}
}

func TestConnectionRefused(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	s := New(http.DefaultClient, "http://"+address, "shop", Options{Patience: 200 * time.Millisecond})
	_, err = s.Read(t.Context(), []secrets.Path{place})
	wantError(t, err, "the connection is refused", "is the cluster up")

	// The address may be wrong: one that has never answered is not waited for.
	begin := time.Now()
	_, err = New(http.DefaultClient, "http://"+address, "shop", Options{Patience: time.Minute}).List(t.Context(), "dev")
	wantError(t, err, "the connection is refused")
	if time.Since(begin) > 30*time.Second {
		t.Errorf("it waited %v", time.Since(begin))
	}
	if kindOf(err) != Away {
		t.Errorf("the kind is %d", kindOf(err))
	}
	s = New(http.DefaultClient, "http://"+address, "shop", Options{Patience: time.Hour})
	s.answered.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin = time.Now()
	if _, err = s.Read(ctx, []secrets.Path{place}); err == nil || time.Since(begin) > 30*time.Second {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
}

// TestCut loses answers to writes that were done.
func TestCut(t *testing.T) {
	t.Parallel()
	lose := func(f *fake, method string, also func()) {
		var once atomic.Bool
		f.cut = func(r *http.Request) bool {
			if r.Method != method || once.Swap(true) {
				return false
			}
			if also != nil {
				also()
			}
			return true
		}
	}
	one, two := map[string]any{"A": "1"}, map[string]any{"A": "2"}
	t.Run("create", func(t *testing.T) {
		t.Parallel()
		f, server := newFake(t, "shop")
		lose(f, http.MethodPost, nil)
		version := storetest.Put(t, open(server), place, one)
		if doc := storetest.Get(t, open(server), place); doc.Version != version || f.version != 1 {
			t.Errorf("the version is %s, was given as %s, of %d writes", doc.Version, version, f.version)
		}
	})
	t.Run("update", func(t *testing.T) {
		t.Parallel()
		f, server := newFake(t, "shop")
		s := open(server)
		storetest.Put(t, s, place, one)
		lose(f, http.MethodPut, nil)
		version := storetest.Put(t, s, place, two)
		if doc := storetest.Get(t, s, place); doc.Version != version || f.version != 2 {
			t.Errorf("the version is %s, was given as %s, of %d writes", doc.Version, version, f.version)
		}
	})
	t.Run("delete", func(t *testing.T) {
		t.Parallel()
		f, server := newFake(t, "shop")
		s := open(server)
		storetest.Put(t, s, place, one)
		lose(f, http.MethodDelete, nil)
		storetest.Put(t, s, place, nil)
		if f.version != 2 {
			t.Errorf("%d writes", f.version)
		}
	})
	t.Run("update, then an edit by hand", func(t *testing.T) {
		t.Parallel()
		f, server := newFake(t, "shop")
		s := open(server)
		storetest.Put(t, s, place, one)
		lose(f, http.MethodPut, func() {
			f.edit("shop", Name(place), func(o map[string]any) { o["data"].(map[string]any)["B"] = b64("hand") })
		})
		version := storetest.Put(t, s, place, two)
		doc := storetest.Get(t, s, place)
		if doc.Version == version || version == "" {
			t.Error("the version is that of somebody else's edit")
		}
		storetest.Want(t, s, place, map[string]any{"A": "2", "B": "hand"})
	})
	t.Run("update, then another's write", func(t *testing.T) {
		t.Parallel()
		f, server := newFake(t, "shop")
		s := open(server)
		storetest.Put(t, s, place, one)
		lose(f, http.MethodPut, func() {
			f.edit("shop", Name(place), func(o map[string]any) {
				o["metadata"].(map[string]any)["annotations"].(map[string]any)[keyWrite] = "another"
			})
		})
		doc := storetest.Get(t, s, place)
		doc.Values = storetest.Hide(t, map[string]any{"A": canary})
		_, err := s.Write(t.Context(), doc)
		wantError(t, err, "whether it was done is not known", "read the path again")
		if kindOf(err) != Unsure {
			t.Errorf("the kind is %d", kindOf(err))
		}
	})
	t.Run("ended", func(t *testing.T) {
		t.Parallel()
		f, server := newFake(t, "shop")
		ctx, cancel := context.WithCancel(t.Context())
		lose(f, http.MethodPost, cancel)
		_, err := open(server).Write(ctx, secrets.Doc{Path: place, Values: storetest.Hide(t, map[string]any{"A": canary})})
		wantError(t, err, "not known")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestInCluster(t *testing.T) {
	t.Parallel()
	var token atomic.Value
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token.Store(r.Header.Get("Authorization"))
		says(404, `{"kind":"Status","reason":"NotFound"}`)(w, r)
	}))
	t.Cleanup(server.Close)
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
	getenv := func(name string) string { return env[name] }
	dir := t.TempDir()
	_, _, _, err = inCluster(dir, func(string) string { return "" })
	wantError(t, err, "no pod", "KUBERNETES_SERVICE_HOST", "hint: ")
	_, _, _, err = inCluster(dir, getenv)
	wantError(t, err, "token cannot be read")
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("token", "first\n")
	write("namespace", "shop")
	write("ca.crt", canary)
	_, _, _, err = inCluster(dir, getenv)
	wantError(t, err, "holds no certificate")
	write("ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))

	client, base, namespace, err := inCluster(dir, getenv)
	if err != nil || namespace != "shop" {
		t.Fatal(namespace, err)
	}
	s := New(client, base, namespace, Options{Patience: 100 * time.Millisecond})
	t.Cleanup(func() { _ = s.Close() })
	for _, wanted := range []string{"first", "second"} {
		write("token", wanted)
		storetest.Want(t, s, place, nil)
		if token.Load() != "Bearer "+wanted {
			t.Errorf("the token was not read again")
		}
	}
	write("token", "")
	_, err = s.Read(t.Context(), []secrets.Path{place})
	wantError(t, err, "holds no token", "automountServiceAccountToken")

	// Another's certificate is not trusted, and nothing is repeated.
	s = New(&http.Client{Transport: &http.Transport{}}, base, namespace, Options{Patience: time.Minute})
	begin := time.Now()
	_, err = s.Read(t.Context(), []secrets.Path{place})
	wantError(t, err, "certificate", "give the CA")
	if time.Since(begin) > 30*time.Second {
		t.Error("it was tried again")
	}
}
