package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/davecgh/go-spew/spew"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

const (
	exampleToken = "hvs.example-token-of-tests-0001"
	canary       = "example-canary-7f3a"
)

var carts = secrets.Path{Deployment: "dev", App: "carts", Scope: secrets.Secret}

// fake answers as a Vault does: for "GET /v1/…" by a function, else 404.
type fake struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
	on    map[string]http.HandlerFunc
}

func newFake(t *testing.T, on map[string]http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{on: on}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		what := r.Method + " " + r.URL.Path
		f.mu.Lock()
		f.asked = append(f.asked, what)
		answer := f.on[what]
		f.mu.Unlock()
		if answer == nil {
			reply(404, `{"errors":[]}`)(w, r)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// count says how often something was asked for.
func (f *fake) count(what string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, a := range f.asked {
		if a == what {
			n++
		}
	}
	return n
}

func reply(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// inTurn gives one answer after the other, the last for ever.
func inTurn(answers ...http.HandlerFunc) http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		answers[min(int(n.Add(1)), len(answers))-1](w, r)
	}
}

const entryJSON = `{"data":{"data":{"pass":"` + canary + `"},"metadata":{"version":3,"created_time":"2026-01-02T03:04:05.6Z","deletion_time":"","destroyed":false}}}`

const entryAt = "GET /v1/secret/data/dev/carts/secret"

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	if o.Auth == nil {
		o.Auth = Token{Credential{Value: secrets.New(exampleToken)}}
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func newStore(t *testing.T, o Options) secrets.Store {
	t.Helper()
	s, err := newClient(t, o).Store(t.Context(), KV{Version: 2})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func read(t *testing.T, s secrets.Store) error {
	t.Helper()
	docs, err := s.Read(t.Context(), []secrets.Path{carts})
	if err == nil && docs[carts].Values["pass"].Reveal() != canary {
		t.Errorf("read %d values", len(docs[carts].Values))
	}
	return err
}

// wantError checks the parts of an error, and that it tells nothing.
func wantError(t *testing.T, err error, kind Kind, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if got := kindOf(err); got != kind {
		t.Errorf("kind %d, want %d: %v", got, kind, err)
	}
	storetest.WantError(t, err, []string{exampleToken, "hvs.", canary}, parts...)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	sealStatus := func(body string) map[string]http.HandlerFunc {
		return map[string]http.HandlerFunc{
			entryAt:                   reply(503, `{"errors":["Vault is sealed"]}`),
			"GET /v1/sys/seal-status": reply(200, body),
		}
	}
	only := func(answer http.HandlerFunc) map[string]http.HandlerFunc {
		return map[string]http.HandlerFunc{entryAt: answer}
	}
	chunked := func(w http.ResponseWriter, _ *http.Request) {
		block := []byte(strings.Repeat("x", 1<<20))
		for range 200 {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}
	for name, test := range map[string]struct {
		on    map[string]http.HandlerFunc
		kind  Kind
		parts []string
	}{
		"sealed":          {sealStatus(`{"initialized":true,"sealed":true}`), Sealed, []string{"Vault at http://127.0.0.1:", " is sealed\n  hint: unseal it: vault operator unseal"}},
		"not initialized": {sealStatus(`{"initialized":false,"sealed":true}`), Sealed, []string{"is not initialized", "vault operator init"}},
		"standby": {only(reply(503, `{"errors":["local node not active but active cluster node not found"]}`)), Away,
			[]string{"standby node and knows no active one"}},
		"denied": {only(reply(403, `{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`)), Denied,
			[]string{"read secret/data/dev/carts/secret in Vault at http://", "permission denied", `hint: no policy of the token has: path "secret/data/dev/carts/secret" { capabilities = ["read"] }`}},
		"expired": {only(reply(403, `{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}`)), Expired,
			[]string{"the token has expired, was revoked or is used up", "get a new one"}},
		"too many":    {only(reply(429, `{"errors":["request path \"secret/data\": rate limit quota exceeded"]}`)), Away, []string{"too many requests"}},
		"fails":       {only(reply(500, `{"errors":["1 error occurred:\n\t* out of order\n\n"]}`)), Away, []string{": out of order"}},
		"tells":       {only(reply(400, `{"errors":["what is `+exampleToken+`, and hvs.another-one-that-is-long-enough?"]}`)), Refused, []string{"what is [masked], and [masked]?"}},
		"is long":     {only(reply(400, `{"errors":["`+strings.Repeat("long ", 1000)+`"]}`)), Refused, []string{"long long …"}},
		"page":        {only(reply(200, "<html>"+canary+"</html>")), Refused, []string{"none of Vault"}},
		"other JSON":  {only(reply(200, `{"data":"`+canary+`"}`)), Refused, []string{"none of Vault"}},
		"page of 502": {only(reply(502, "<html>"+canary+"</html>")), Away, []string{"it answers 502 Bad Gateway"}},
		"page of 404": {only(reply(404, "<html>"+canary+"</html>")), Refused, []string{"none of Vault"}},
		"large":       {only(reply(200, strings.Repeat(" ", maxAnswer+1))), Refused, []string{"more than 16 MiB"}},
		"huge":        {only(chunked), Refused, []string{"more than 16 MiB"}},
		"huge error": {only(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			chunked(w, r)
		}), Refused, []string{"more than 16 MiB"}},
		"announced": {only(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "200000000") }), Refused, []string{"more than 16 MiB"}},
		"cut":       {only(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), Away, []string{"the connection was cut"}},
		"cut within": {only(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, entryJSON[:50])
			panic(http.ErrAbortHandler)
		}), Away, []string{"the connection was cut"}},
		"slow": {only(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), Away, []string{"no answer within 1s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, test.on)
			options := Options{Address: f.URL, Patience: 300 * time.Millisecond}
			if name == "slow" {
				options.Timeout = time.Second
			}
			wantError(t, read(t, newStore(t, options)), test.kind, test.parts...)
		})
	}
}

func TestEntries(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"deleted":   `{"data":{"data":null,"metadata":{"version":3,"deletion_time":"2026-01-02T03:04:05.6Z","destroyed":false}}}`,
		"destroyed": `{"data":{"data":null,"metadata":{"version":3,"deletion_time":"","destroyed":true}}}`,
		"none":      `{"errors":[]}`,
		"nothing":   ``,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, map[string]http.HandlerFunc{entryAt: reply(404, body)})
			s := newStore(t, Options{Address: f.URL})
			if docs, err := s.Read(t.Context(), []secrets.Path{carts}); err != nil || len(docs) != 0 {
				t.Errorf("%d docs, %v", len(docs), err)
			}
			if _, err := s.(secrets.Historian).At(t.Context(), carts, "3"); err == nil {
				t.Error("it is there")
			}
		})
	}
}

func TestAgain(t *testing.T) {
	t.Parallel()
	ok := reply(200, entryJSON)
	for name, first := range map[string]http.HandlerFunc{
		"429":       reply(429, `{"errors":["slow down"]}`),
		"500":       reply(500, `{"errors":["no"]}`),
		"503":       reply(503, `<html>`),
		"sealed":    reply(503, `{"errors":["Vault is sealed"]}`),
		"412":       reply(412, `{"errors":["required index state not present"]}`),
		"upgrading": reply(400, `{"errors":["Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly."]}`),
		"cut":       func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, map[string]http.HandlerFunc{entryAt: inTurn(first, first, ok)})
			if err := read(t, newStore(t, Options{Address: f.URL})); err != nil {
				t.Error(err)
			}
			if n := f.count(entryAt); n < 3 {
				t.Errorf("asked %d times", n)
			}
		})
	}
	t.Run("when it says", func(t *testing.T) {
		t.Parallel()
		f := newFake(t, map[string]http.HandlerFunc{entryAt: inTurn(reply(429, `{}`, "Retry-After", "2"), ok)})
		begin := time.Now()
		if err := read(t, newStore(t, Options{Address: f.URL, Patience: time.Second})); err != nil || time.Since(begin) < 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
	t.Run("not when it says too late", func(t *testing.T) {
		t.Parallel()
		f := newFake(t, map[string]http.HandlerFunc{entryAt: reply(429, `{}`, "Retry-After", "3600")})
		begin := time.Now()
		wantError(t, read(t, newStore(t, Options{Address: f.URL, Patience: time.Minute})), Away)
		if time.Since(begin) > 30*time.Second {
			t.Error("it waited")
		}
	})
	t.Run("within the context", func(t *testing.T) {
		t.Parallel()
		f := newFake(t, map[string]http.HandlerFunc{entryAt: reply(500, `{}`)})
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		defer cancel()
		begin := time.Now()
		_, err := newStore(t, Options{Address: f.URL, Patience: time.Hour}).Read(ctx, []secrets.Path{carts})
		if err == nil || time.Since(begin) > 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
	t.Run("refused connections", func(t *testing.T) {
		t.Parallel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := listener.Addr().String()
		listener.Close()
		wantError(t, read(t, newStore(t, Options{Address: "http://" + address, Patience: time.Millisecond})), Away, "http://"+address+" refuses the connection", "is it running")

		// Without patience for what has never answered: the address may be wrong.
		begin := time.Now()
		wantError(t, read(t, newStore(t, Options{Address: "http://" + address, Patience: time.Minute})), Away, "refuses the connection")
		wantError(t, read(t, newStore(t, Options{Address: "http://no-such-host.invalid:8200", Patience: time.Minute})), Away)
		if time.Since(begin) > 30*time.Second {
			t.Errorf("it waited %v", time.Since(begin))
		}

		// It comes up while it is asked by one who stays, and again for one whom it has
		// answered before.
		answered := newStore(t, Options{Address: "http://" + address})
		answered.(*second).client.answered.Store(true)
		for _, s := range []secrets.Store{newStore(t, Options{Address: "http://" + address, Long: true}), answered} {
			late := make(chan error, 1)
			go func() { _, err := s.Read(t.Context(), []secrets.Path{carts}); late <- err }()
			time.Sleep(300 * time.Millisecond)
			if listener, err = net.Listen("tcp", address); err != nil {
				t.Skip(err) // somebody else has the port now
			}
			server := &http.Server{Handler: ok, ReadHeaderTimeout: time.Second}
			go func() { _ = server.Serve(listener) }()
			err := <-late
			server.Close()
			if err != nil {
				t.Error(err)
			}
		}
	})
}

// tlsServer answers with an entry, and keeps to itself who does not trust it.
func tlsServer(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(reply(200, entryJSON))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := tlsServer(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pemOf(server.Certificate().Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, trust := range map[string]TLS{
		"file": {CAFile: ca}, "text": {CA: pemOf(server.Certificate().Raw)}, "name": {CAFile: ca, ServerName: "example.com"},
	} {
		if err := read(t, newStore(t, Options{Address: server.URL, TLS: trust})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantError(t, read(t, newStore(t, Options{Address: server.URL})), Refused, "is not trusted", "give the authority")
	wantError(t, read(t, newStore(t, Options{Address: server.URL, TLS: TLS{CAFile: ca, ServerName: "vault.example.org"}})), Refused, "is not trusted")
	wantError(t, read(t, newStore(t, Options{Address: strings.Replace(server.URL, "https", "http", 1), Patience: time.Millisecond})), Refused)
	plain := newFake(t, nil)
	wantError(t, read(t, newStore(t, Options{Address: strings.Replace(plain.URL, "http", "https", 1)})), Refused, "does not speak TLS")
	for name, trust := range map[string]TLS{
		"no file": {CAFile: ca + "x"}, "no PEM": {CA: []byte(canary)}, "no pair": {Cert: pemOf(server.Certificate().Raw), Key: secrets.New(canary)}, "no key": {CertFile: ca},
	} {
		_, err := New(Options{Address: server.URL, TLS: trust, Auth: Token{}})
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "vault.example.com:8200", "unix:///x", "https://", "https://user:" + canary + "@vault.example.com", "https://user:" + canary + "@[::1", "https://vault.example.com?token=" + canary, "https://vault.example.com/#" + canary} {
		_, err := New(Options{Address: address, Auth: Token{}})
		if err == nil {
			t.Errorf("%q is taken", address)
			continue
		}
		wantError(t, err, Refused, "address")
	}
	if _, err := New(Options{Address: "https://vault.example.com"}); err == nil {
		t.Error("nobody logs in")
	}
	// A Vault behind a path.
	f := newFake(t, map[string]http.HandlerFunc{"GET /vault/v1/secret/data/dev/carts/secret": reply(200, entryJSON)})
	if err := read(t, newStore(t, Options{Address: f.URL + "/vault/"})); err != nil {
		t.Error(err)
	}
}

// TestEnvironment: what the library takes from it is put back.
func TestEnvironment(t *testing.T) {
	for key, value := range map[string]string{
		"VAULT_TOKEN": "hvs.another", "VAULT_NAMESPACE": "other", "VAULT_WRAP_TTL": "5m", "VAULT_HEADERS": `{"Other":"x"}`,
		"VAULT_SKIP_VERIFY": "true", "VAULT_ADDR": "http://127.0.0.1:1", "VAULT_AGENT_ADDR": "http://127.0.0.1:1", "VAULT_MAX_RETRIES": "9",
	} {
		t.Setenv(key, value)
	}
	f := newFake(t, map[string]http.HandlerFunc{entryAt: func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vault-Token") != exampleToken || r.Header.Get("X-Vault-Namespace") != "" || r.Header.Get("X-Vault-Wrap-Ttl") != "" || r.Header.Get("Other") != "" || r.Header.Get("X-Vault-Request") != "true" {
			t.Errorf("the headers are %q", reflect.ValueOf(r.Header).MapKeys())
		}
		reply(200, entryJSON)(w, r)
	}})
	if err := read(t, newStore(t, Options{Address: f.URL})); err != nil {
		t.Error(err)
	}
	server := tlsServer(t)
	wantError(t, read(t, newStore(t, Options{Address: server.URL})), Refused, "is not trusted")
}

func TestNamespaceAndPrefix(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]http.HandlerFunc{
		"GET /v1/sys/internal/ui/mounts/team/kv/below": reply(200, `{"data":{"type":"kv","path":"team/kv/","options":{"version":"2"}}}`),
		"GET /v1/team/kv/data/below/shop/dev/carts/secret": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Vault-Namespace") != "ns/one" {
				t.Error("it is in another namespace")
			}
			reply(200, entryJSON)(w, r)
		},
	})
	s, err := newClient(t, Options{Address: f.URL, Namespace: "ns/one"}).Store(t.Context(), KV{Mount: "/team/kv/below/", Prefix: "shop/"})
	if err != nil {
		t.Fatal(err)
	}
	if err := read(t, s); err != nil {
		t.Error(err)
	}
}

func TestPlacesThatLeadElsewhere(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	s := newStore(t, Options{Address: f.URL})
	for _, part := range []string{"", ".", "..", "a/b", "../x", "a\nb", "a\x00", "\xff", "a\u202e"} {
		for _, path := range []secrets.Path{{Deployment: part, App: "a", Scope: "b"}, {Deployment: "a", App: part, Scope: "b"}, {Deployment: "a", App: "b", Scope: part}} {
			if _, err := s.Read(t.Context(), []secrets.Path{path}); err == nil {
				t.Errorf("%q is read", path)
			}
			if _, err := s.Write(t.Context(), secrets.Doc{Path: path, Values: map[string]secrets.Value{"a": secrets.New("b")}}); err == nil {
				t.Errorf("%q is written", path)
			}
			if _, err := s.(secrets.Historian).At(t.Context(), path, "1"); err == nil {
				t.Errorf("%q has a history", path)
			}
		}
		if _, err := s.List(t.Context(), part); err == nil {
			t.Errorf("%q is listed", part)
		}
	}
	if len(f.asked) != 0 {
		t.Errorf("asked for %q", f.asked)
	}
}

func TestMounts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		parts  []string
	}{
		"denied": {reply(403, `{"errors":["preflight capability check returned 403, please ensure client's policies grant access to path \"secret/\""]}`), []string{"permission denied to all of secret, or nothing is mounted there", "configure the version of kv"}},
		"other":  {reply(200, `{"data":{"type":"transit","path":"secret/"}}`), []string{"at secret is the engine transit, and no kv"}},
		"token":  {reply(403, `{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}`), []string{"the token has expired"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, map[string]http.HandlerFunc{"GET /v1/sys/internal/ui/mounts/secret": test.answer})
			_, err := newClient(t, Options{Address: f.URL}).Store(t.Context(), KV{})
			if err == nil {
				t.Fatal("no error")
			}
			wantError(t, err, kindOf(err), test.parts...)
		})
	}
	for _, kv := range []KV{{Version: 3}, {Mount: "a/../b"}, {Prefix: ".."}, {Mount: "a//b"}} {
		if _, err := newClient(t, Options{Address: "http://127.0.0.1:1"}).Store(t.Context(), kv); err == nil {
			t.Errorf("%v is taken", kv)
		}
	}
}

// TestDeniedPaths: all that are denied are named at once.
func TestDeniedPaths(t *testing.T) {
	t.Parallel()
	denied := reply(403, `{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`)
	f := newFake(t, map[string]http.HandlerFunc{entryAt: reply(200, entryJSON), "GET /v1/secret/data/dev/a/secret": denied, "GET /v1/secret/data/dev/b/secret": denied})
	paths := []secrets.Path{{Deployment: "dev", App: "a", Scope: "secret"}, carts, {Deployment: "dev", App: "b", Scope: "secret"}}
	_, err := newStore(t, Options{Address: f.URL}).Read(t.Context(), paths)
	wantError(t, err, Denied, "dev/a/secret", "dev/b/secret")
}

func loginAnswer(token string, lease, uses int, renewable bool) http.HandlerFunc {
	return reply(200, fmt.Sprintf(`{"auth":{"client_token":%q,"lease_duration":%d,"renewable":%v,"num_uses":%d}}`, token, lease, renewable, uses))
}

// forTokens answers to each of the tokens a number of times.
func forTokens(uses map[string]int, answer http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		token := r.Header.Get("X-Vault-Token")
		uses[token]--
		ended := uses[token] < 0
		mu.Unlock()
		if ended {
			reply(403, `{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}`)(w, r)
			return
		}
		answer(w, r)
	}
}

func body(t *testing.T, r *http.Request) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.NewDecoder(r.Body).Decode(&fields); err != nil {
		t.Error(err)
	}
	return fields
}

func TestLogins(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "jwt")
	if err := os.WriteFile(file, []byte("example.jwt.text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		auth Auth
		path string
		want map[string]any
	}{
		"AppRole":                {AppRole{RoleID: "example-role", SecretID: Credential{Value: secrets.New("example-secret-id")}}, "approle", map[string]any{"role_id": "example-role", "secret_id": "example-secret-id"}},
		"AppRole without secret": {AppRole{Mount: "apps/", RoleID: "example-role"}, "apps", map[string]any{"role_id": "example-role"}},
		"Kubernetes":             {Kubernetes{Role: "kai", Token: Credential{File: file}}, "kubernetes", map[string]any{"role": "kai", "jwt": "example.jwt.text"}},
		"JWT":                    {JWT{Mount: "ci", Role: "kai", Token: Credential{File: file}}, "ci", map[string]any{"role": "kai", "jwt": "example.jwt.text"}},
		"JWT without role":       {JWT{Token: Credential{Value: secrets.New("example.jwt.text")}}, "jwt", map[string]any{"jwt": "example.jwt.text"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, map[string]http.HandlerFunc{
				entryAt: forTokens(map[string]int{exampleToken: 1}, reply(200, entryJSON)),
				"PUT /v1/auth/" + test.path + "/login": func(w http.ResponseWriter, r *http.Request) {
					if got := body(t, r); !reflect.DeepEqual(got, test.want) {
						t.Errorf("it logs in with %v", got)
					}
					if r.Header.Get("X-Vault-Token") != "" {
						t.Error("it logs in with a token")
					}
					loginAnswer(exampleToken, 3600, 0, true)(w, r)
				},
			})
			if err := read(t, newStore(t, Options{Address: f.URL, Auth: test.auth})); err != nil {
				t.Error(err)
			}
			// Neither renewal nor lookup: it is over before.
			if len(f.asked) != 2 {
				t.Errorf("asked for %q", f.asked)
			}
		})
	}
}

func TestLoginsThatFail(t *testing.T) {
	t.Parallel()
	login := "PUT /v1/auth/approle/login"
	role := AppRole{RoleID: "example-role", SecretID: Credential{Value: secrets.New(canary)}}
	for name, test := range map[string]struct {
		on    http.HandlerFunc
		auth  Auth
		kind  Kind
		parts []string
	}{
		"refused":   {reply(400, `{"errors":["invalid role or secret ID `+canary+`"]}`), role, Expired, []string{"log in by AppRole at auth/approle/login in Vault at http://", "invalid role or secret ID [masked]"}},
		"denied":    {reply(403, `{"errors":["permission denied"]}`), role, Expired, []string{"permission denied", "is AppRole mounted at auth/approle?"}},
		"factor":    {reply(200, `{"auth":{"client_token":"","mfa_requirement":{}}}`), role, Expired, []string{"second factor"}},
		"nothing":   {reply(204, ``), role, Expired, []string{"no token came back"}},
		"away":      {reply(502, ``), role, Away, nil},
		"huge":      {reply(200, strings.Repeat(" ", maxAnswer+1)), role, Expired, []string{"16 MiB"}},
		"no file":   {nil, Token{Credential{File: "/no/such/file"}}, Expired, []string{"/no/such/file"}},
		"no token":  {nil, Token{}, Expired, []string{"vault login"}},
		"bad token": {nil, Token{Credential{Value: secrets.New(canary + "\n" + canary)}}, Expired, []string{"characters that none has"}},
		"no JWT":    {nil, JWT{}, Expired, []string{"is empty"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, map[string]http.HandlerFunc{login: test.on})
			wantError(t, read(t, newStore(t, Options{Address: f.URL, Auth: test.auth, Patience: 200 * time.Millisecond})), test.kind, test.parts...)
		})
	}
}

// TestTokensThatEnd: with 20 paths, eight at a time.
func TestTokensThatEnd(t *testing.T) {
	t.Parallel()
	paths := make([]secrets.Path, 20)
	for i := range paths {
		paths[i] = secrets.Path{Deployment: "dev", App: fmt.Sprint("app", i), Scope: "secret"}
	}
	entries := func(answer http.HandlerFunc) map[string]http.HandlerFunc {
		on := map[string]http.HandlerFunc{}
		for _, p := range paths {
			on["GET /v1/secret/data/"+p.String()] = answer
		}
		return on
	}
	login := "PUT /v1/auth/approle/login"
	role := AppRole{RoleID: "example-role"}
	for name, test := range map[string]struct {
		uses   map[string]int
		said   int // uses that a login tells
		logins int
	}{
		"once":    {map[string]int{"t1": 7, "t2": 100}, 0, 2},
		"two":     {map[string]int{"t1": 7, "t2": 9, "t3": 100}, 0, 3},
		"limited": {map[string]int{"t1": 6, "t2": 6, "t3": 6, "t4": 6}, 6, 4},
		"one use each": {func() map[string]int {
			m := map[string]int{}
			for i := range 20 {
				m[fmt.Sprint("t", i+1)] = 1
			}
			return m
		}(), 1, 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on := entries(forTokens(test.uses, reply(200, entryJSON)))
			var mu sync.Mutex
			logins := 0
			on[login] = func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				logins++
				n := logins
				mu.Unlock()
				loginAnswer(fmt.Sprint("t", n), 3600, test.said, true)(w, r)
			}
			f := newFake(t, on)
			docs, err := newStore(t, Options{Address: f.URL, Auth: role}).Read(t.Context(), paths)
			if err != nil || len(docs) != len(paths) {
				t.Errorf("%d docs, %v", len(docs), err)
			}
			if logins != test.logins {
				t.Errorf("%d logins, want %d", logins, test.logins)
			}
		})
	}
	t.Run("a token that never works", func(t *testing.T) {
		t.Parallel()
		on := entries(reply(403, `{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}`))
		on[login] = loginAnswer("t1", 3600, 0, true)
		f := newFake(t, on)
		_, err := newStore(t, Options{Address: f.URL, Auth: role}).Read(t.Context(), paths)
		wantError(t, err, Expired)
		if n := f.count(login); n != 1 {
			t.Errorf("%d logins", n)
		}
	})
	t.Run("a file with a new token", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte("t1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		f := newFake(t, map[string]http.HandlerFunc{entryAt: forTokens(map[string]int{"t1": 1, "t2": 1}, reply(200, entryJSON))})
		s := newStore(t, Options{Address: f.URL, Auth: Token{Credential{File: file}}})
		if err := read(t, s); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("t2"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := read(t, s); err != nil {
			t.Fatal(err)
		}
		wantError(t, read(t, s), Expired, "the token has expired, was revoked or is used up")
	})
}

func TestWrapped(t *testing.T) {
	t.Parallel()
	unwrap := "PUT /v1/sys/wrapping/unwrap"
	opened := func(body string) http.HandlerFunc {
		return inTurn(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Vault-Token") != exampleToken {
				t.Error("it unwraps with another token")
			}
			reply(200, body)(w, r)
		}, reply(400, `{"errors":["wrapping token is not valid or does not exist"]}`))
	}
	wrapped := Credential{Value: secrets.New(exampleToken), Wrapped: true}
	t.Run("secret ID", func(t *testing.T) {
		t.Parallel()
		uses := atomic.Int64{}
		f := newFake(t, map[string]http.HandlerFunc{
			unwrap: opened(`{"data":{"secret_id":"example-secret-id","secret_id_accessor":"a"}}`),
			"PUT /v1/auth/approle/login": inTurn(reply(503, `{"errors":["local node not active but active cluster node not found"]}`), func(w http.ResponseWriter, r *http.Request) {
				if body(t, r)["secret_id"] != "example-secret-id" {
					t.Error("it logs in with another")
				}
				loginAnswer("t", 0, 0, false)(w, r)
			}),
			entryAt: func(w http.ResponseWriter, r *http.Request) {
				if uses.Add(1) == 2 {
					reply(403, `{"errors":["invalid token"]}`)(w, r)
					return
				}
				reply(200, entryJSON)(w, r)
			},
		})
		s := newStore(t, Options{Address: f.URL, Auth: AppRole{RoleID: "r", SecretID: wrapped}})
		for range 2 {
			if err := read(t, s); err != nil {
				t.Fatal(err)
			}
		}
		if f.count(unwrap) != 1 || f.count("PUT /v1/auth/approle/login") != 3 {
			t.Errorf("asked for %q", f.asked)
		}
	})
	t.Run("token", func(t *testing.T) {
		t.Parallel()
		f := newFake(t, map[string]http.HandlerFunc{unwrap: opened(`{"auth":{"client_token":"inner"}}`), entryAt: func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Vault-Token") != "inner" {
				t.Error("it reads with another token")
			}
			reply(200, entryJSON)(w, r)
		}})
		if err := read(t, newStore(t, Options{Address: f.URL, Auth: Token{wrapped}})); err != nil {
			t.Error(err)
		}
	})
	t.Run("opened before", func(t *testing.T) {
		t.Parallel()
		f := newFake(t, map[string]http.HandlerFunc{unwrap: reply(400, `{"errors":["wrapping token is not valid or does not exist"]}`)})
		wantError(t, read(t, newStore(t, Options{Address: f.URL, Auth: Token{wrapped}})), Expired, "was opened before", "somebody else has")
	})
	t.Run("another thing", func(t *testing.T) {
		t.Parallel()
		f := newFake(t, map[string]http.HandlerFunc{unwrap: opened(`{"data":{"pass":"` + canary + `"}}`)})
		wantError(t, read(t, newStore(t, Options{Address: f.URL, Auth: Token{wrapped}})), Expired, "is not the token")
	})
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	renew := "PUT /v1/auth/token/renew-self"
	eventually := func(t *testing.T, what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	t.Run("logged in", func(t *testing.T) {
		t.Parallel()
		f := newFake(t, map[string]http.HandlerFunc{
			"PUT /v1/auth/approle/login": loginAnswer(exampleToken, 2, 0, true), entryAt: reply(200, entryJSON),
			renew: inTurn(loginAnswer(exampleToken, 2, 0, true), reply(403, `{"errors":["permission denied"]}`)),
		})
		s := newStore(t, Options{Address: f.URL, Auth: AppRole{RoleID: "r"}})
		if err := read(t, s); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is not renewed", func() bool { return f.count(renew) > 0 })
		// Where renewal ends, the next request logs in, before it is refused.
		eventually(t, "it does not log in again", func() bool {
			return read(t, s) == nil && f.count("PUT /v1/auth/approle/login") > 1
		})
	})
	t.Run("given", func(t *testing.T) {
		t.Parallel()
		f := newFake(t, map[string]http.HandlerFunc{
			entryAt:                          reply(200, entryJSON),
			"GET /v1/auth/token/lookup-self": reply(200, `{"data":{"ttl":2,"renewable":true,"num_uses":0}}`),
			renew:                            loginAnswer(exampleToken, 3600, 0, true),
		})
		if err := read(t, newStore(t, Options{Address: f.URL, Long: true})); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is not renewed", func() bool { return f.count(renew) > 0 })
		// Who is not there for long asks for nothing.
		if err := read(t, newStore(t, Options{Address: f.URL})); err != nil {
			t.Fatal(err)
		}
		if f.asked[0] != entryAt || f.count("GET /v1/auth/token/lookup-self") != 1 {
			t.Errorf("asked for %q", f.asked)
		}
	})
}

// TestRequests: as few, and as little one after the other, as can be.
func TestRequests(t *testing.T) {
	t.Parallel()
	on := map[string]http.HandlerFunc{"GET /v1/sys/internal/ui/mounts/secret": reply(200, `{"data":{"type":"kv","path":"secret/","options":{"version":"2"}}}`)}
	var keys []secrets.Key
	var paths []string
	var running, most atomic.Int64
	for i := range 20 {
		app := fmt.Sprint("app", i)
		fields := map[string]string{}
		for j := range 10 {
			name := fmt.Sprint("key", j)
			fields[name] = "example"
			keys = append(keys, secrets.Key{Deployment: "dev", App: app, Scope: "secret", Name: name})
			paths = append(paths, "secret/dev/"+app+"/secret")
		}
		text, err := json.Marshal(map[string]any{"data": map[string]any{"data": fields, "metadata": map[string]any{"version": 1}}})
		if err != nil {
			t.Fatal(err)
		}
		on["GET /v1/secret/data/dev/"+app+"/secret"] = func(w http.ResponseWriter, r *http.Request) {
			n := running.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(100 * time.Millisecond)
			running.Add(-1)
			reply(200, string(text))(w, r)
		}
	}
	f := newFake(t, on)
	f.on["GET /v1/sys/internal/ui/mounts/secret/dev/app0/secret"] = f.on["GET /v1/sys/internal/ui/mounts/secret"]
	s, err := newClient(t, Options{Address: f.URL}).Store(t.Context(), KV{})
	if err != nil {
		t.Fatal(err)
	}
	found, err := secrets.Reader(s).Get(t.Context(), keys)
	if err != nil || len(found) != 200 || len(f.asked) > 21 {
		t.Errorf("%d found by %d requests, %v", len(found), len(f.asked), err)
	}
	// One round trip for the mount, and three for 20 paths.
	if most.Load() != 8 {
		t.Errorf("up to %d were read at once", most.Load())
	}
	f.asked = nil
	refs, err := newClient(t, Options{Address: f.URL}).Read(t.Context(), paths)
	if err != nil || len(refs) != 20 || refs[paths[0]]["key3"].Reveal() != "example" || len(f.asked) > 21 {
		t.Errorf("%d found by %d requests, %v", len(refs), len(f.asked), err)
	}
}

// TestPrinting: nothing that prints by reflection meets a token.
func TestPrinting(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]http.HandlerFunc{
		entryAt: reply(200, entryJSON), "PUT /v1/auth/approle/login": loginAnswer(exampleToken, 0, 0, false),
		"PUT /v1/sys/wrapping/unwrap": reply(200, `{"data":{"secret_id":"`+canary+`"}}`),
	})
	c := newClient(t, Options{Address: f.URL, Auth: AppRole{RoleID: "r", SecretID: Credential{Value: secrets.New("hvs.wrapping-token-of-an-example"), Wrapped: true}}})
	s, err := c.Store(t.Context(), KV{Version: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := read(t, s); err != nil {
		t.Fatal(err)
	}
	check := func(text string) {
		t.Helper()
		for _, secret := range []string{exampleToken, canary, "hvs.wrapping"} {
			if strings.Contains(text, secret) {
				t.Errorf("it shows %s", secret)
			}
		}
	}
	for _, x := range []any{c, s, c.session.Load(), c.session.Load().client, c.options, c.Transit(TransitKeys{})} {
		check(fmt.Sprintf("%v %+v %#v", x, x, x))
	}
	// Not as deep as to connections, which are in use.
	printer := spew.ConfigState{DisableMethods: true, DisablePointerMethods: true, MaxDepth: 4}
	check(printer.Sdump(c.session.Load(), c.options, c.unwraps))
}

func TestWriteChecks(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]http.HandlerFunc{
		entryAt:                                reply(200, entryJSON),
		"PUT /v1/secret/data/dev/carts/secret": reply(403, `{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`),
	})
	s := newStore(t, Options{Address: f.URL})
	doc := secrets.Doc{Path: carts, Version: "3", Values: map[string]secrets.Value{"pass": secrets.New(canary)}}
	if version, err := s.Write(t.Context(), doc); version != "3" || err != nil || len(f.asked) != 1 {
		t.Errorf("the same again: %q, %v, %q", version, err, f.asked)
	}
	doc.Values["pass"] = secrets.New(canary + "2")
	_, err := s.Write(t.Context(), doc)
	wantError(t, err, Denied, `path "secret/data/dev/carts/secret" { capabilities = ["create", "update"] }`)
	doc.Values["pass"] = secrets.New(canary + "\xff")
	_, err = s.Write(t.Context(), doc)
	wantError(t, err, Refused, "dev/carts/secret: \"pass\"", "base64") // a *secrets.CannotError
	doc.Version = "2"
	delete(doc.Values, "pass")
	var conflict *secrets.ConflictError
	if _, err = s.Write(t.Context(), doc); !errors.As(err, &conflict) {
		t.Errorf("got %v", err)
	}
}
