package vault

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

// The variables that name a Vault for the tests of this file, with a token that
// may do all. Without them the tests are skipped: e2e gives them. What they make
// there they remove, but for transit's keys.
const (
	testAddr    = "KAI_TEST_VAULT_ADDR"
	testToken   = "KAI_TEST_VAULT_TOKEN"
	testUnseal  = "KAI_TEST_VAULT_UNSEAL"  // the key to unseal it: it is sealed for a moment
	testRestart = "KAI_TEST_VAULT_RESTART" // where to ask that it is killed, and comes up again
)

// admin is who prepares a Vault.
type admin struct {
	*testing.T
	addr, token string
	api         *api.Client
}

func server(t *testing.T) *admin {
	t.Helper()
	a := &admin{T: t, addr: os.Getenv(testAddr), token: os.Getenv(testToken)}
	if a.addr == "" {
		t.Skip(testAddr + " names no Vault")
	}
	client, err := api.NewClient(&api.Config{Address: a.addr})
	if err != nil {
		t.Fatal(err)
	}
	a.api = client
	a.api.SetToken(a.token)
	return a
}

func (a *admin) put(path string, body map[string]any) *api.Secret {
	a.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		secret, err := a.api.Logical().WriteWithContext(context.Background(), path, body)
		if err == nil {
			return secret
		}
		// A new mount is made one with versions in the background.
		if !strings.Contains(err.Error(), "Upgrading from non-versioned") || time.Now().After(end) {
			a.Fatalf("%s: %v", path, err)
		}
	}
}

// unique is a name that no other test has.
func (a *admin) unique(prefix string) string {
	random := make([]byte, 5)
	_, _ = rand.Read(random)
	return prefix + "-" + hex.EncodeToString(random)
}

// mount mounts an engine until the test is over.
func (a *admin) mount(where, engine string, options map[string]any) string {
	a.Helper()
	path := a.unique("kai-" + engine)
	a.put(where+path, map[string]any{"type": engine, "options": options})
	a.Cleanup(func() { _, _ = a.api.Logical().DeleteWithContext(context.Background(), where+path) })
	return path
}

func (a *admin) kv(version string) string {
	a.Helper()
	return a.mount("sys/mounts/", "kv", map[string]any{"version": version})
}

// policy makes one until the test is over.
func (a *admin) policy(text string) string {
	a.Helper()
	name := a.unique("kai")
	a.put("sys/policies/acl/"+name, map[string]any{"policy": text})
	a.Cleanup(func() { _, _ = a.api.Logical().DeleteWithContext(context.Background(), "sys/policies/acl/"+name) })
	return name
}

// grant makes a token.
func (a *admin) grant(body map[string]any) Token {
	a.Helper()
	return Token{Credential{Value: secrets.New(a.put("auth/token/create", body).Auth.ClientToken)}}
}

func (a *admin) store(auth Auth, kv KV) secrets.Store {
	a.Helper()
	if auth == nil {
		auth = Token{Credential{Value: secrets.New(a.token)}}
	}
	s, err := newClient(a.T, Options{Address: a.addr, Auth: auth}).Store(a.Context(), kv)
	if err != nil {
		a.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) {
	t.Parallel()
	a := server(t)
	kv := KV{Mount: a.kv("2"), Prefix: "of/tests"}
	storetest.Run(t, func(t *testing.T) secrets.Store {
		t.Helper()
		c, err := New(Options{Address: a.addr, Auth: Token{Credential{Value: secrets.New(a.token)}}})
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Store(t.Context(), kv)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// TestContractOfTheFirstVersion holds kv's first version, which kai only reads, to
// what is about reading. An administrator writes what is read, numbers as the
// second version has them.
func TestContractOfTheFirstVersion(t *testing.T) {
	t.Parallel()
	a := server(t)
	mount := a.kv("1")
	open := func(t *testing.T) secrets.Store {
		t.Helper()
		s, err := newClient(t, Options{Address: a.addr, Auth: Token{Credential{Value: secrets.New(a.token)}}}).Store(t.Context(), KV{Mount: mount})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	storetest.RunFilled(t, open, func(t *testing.T, doc secrets.Doc) {
		t.Helper()
		body := map[string]any{}
		for name, v := range doc.Values {
			body[name] = encode(v)
		}
		here := *a
		here.T = t
		here.put(mount+"/"+doc.Path.String(), body)
	})
}

func fields(text string) map[string]any { return map[string]any{"pass": text} }

func TestFirstVersion(t *testing.T) {
	t.Parallel()
	a := server(t)
	mount := a.kv("1")
	a.put(mount+"/dev/carts/secret", map[string]any{"pass": "one", "n": 1, "none": nil, "list": []any{"a"}})
	a.put(mount+"/dev/global/public", fields("two"))
	a.put(mount+"/dev/other", fields("three"))
	s := a.store(nil, KV{Mount: mount})
	if can := s.Can(); can.Write || can.CAS || can.History {
		t.Errorf("it can %+v", can)
	}
	if _, ok := s.(secrets.Historian); ok {
		t.Error("it has a history")
	}
	storetest.Want(t, s, carts, map[string]any{"pass": "one", "n": json.Number("1"), "list": []any{"a"}})
	first := storetest.Get(t, s, carts).Version
	if again := storetest.Get(t, s, carts).Version; again != first {
		t.Errorf("version %q is %q", first, again)
	}
	a.put(mount+"/dev/carts/secret", fields("two"))
	if next := storetest.Get(t, s, carts).Version; next == first {
		t.Error("another state has the same version")
	}
	list, err := s.List(t.Context(), "dev")
	if want := []secrets.Path{carts, {Deployment: "dev", App: "global", Scope: "public"}}; err != nil || !slices.Equal(list, want) {
		t.Errorf("it lists %v, %v", list, err)
	}
	_, err = s.Write(t.Context(), secrets.Doc{Path: carts, Values: storetest.Hide(t, fields("three"))})
	if cannot := new(secrets.CannotError); err == nil || !asCannot(err, &cannot) || !strings.Contains(err.Error(), "vault kv enable-versioning "+mount) {
		t.Errorf("a write gives %v", err)
	}
	// Where the versions are configured the wrong way around, it is said.
	if _, err := a.store(nil, KV{Mount: a.kv("2"), Version: 1}).Read(t.Context(), []secrets.Path{carts}); err == nil || !strings.Contains(err.Error(), "second version") {
		t.Errorf("got %v", err)
	}
}

func asCannot(err error, target **secrets.CannotError) bool {
	cannot, ok := err.(*secrets.CannotError)
	*target = cannot
	return ok
}

// TestOlderData: what the older system has written, and what others have done.
func TestOlderData(t *testing.T) {
	t.Parallel()
	a := server(t)
	mount := a.kv("2")
	s := a.store(nil, KV{Mount: mount})
	h := s.(secrets.Historian)
	write := func(body map[string]any) {
		a.put(mount+"/data/dev/carts/secret", map[string]any{"data": body})
	}
	write(map[string]any{"finex_pass": "one", "empty": nil})
	storetest.Want(t, s, carts, map[string]any{"finex_pass": "one"})
	// Its deletion: the newest version first, the rest anew after.
	if _, err := a.api.Logical().DeleteWithContext(t.Context(), mount+"/data/dev/carts/secret"); err != nil {
		t.Fatal(err)
	}
	if doc := storetest.Get(t, s, carts); doc.Version != "" {
		t.Error("what is deleted is there")
	}
	if list, err := s.List(t.Context(), "dev"); err != nil || len(list) != 0 {
		t.Errorf("it lists %v, %v", list, err)
	}
	if _, err := h.At(t.Context(), carts, "1"); err == nil || !strings.Contains(err.Error(), "vault kv undelete -versions=1") {
		t.Errorf("got %v", err)
	}
	storetest.Put(t, s, carts, fields("two")) // upon what is deleted
	if doc := storetest.Get(t, s, carts); doc.Version != "2" {
		t.Errorf("it is at version %q", doc.Version)
	}
	write(map[string]any{})
	if doc := storetest.Get(t, s, carts); doc.Version != "" {
		t.Error("what is empty is there")
	}
	storetest.Put(t, s, carts, fields("three"))
	a.put(mount+"/destroy/dev/carts/secret", map[string]any{"versions": []int{2}})
	if _, err := h.At(t.Context(), carts, "2"); err == nil || !strings.Contains(err.Error(), "destroyed") {
		t.Errorf("got %v", err)
	}
	docs, err := h.History(t.Context(), carts)
	var versions []string
	for _, doc := range docs {
		versions = append(versions, doc.Version)
	}
	if err != nil || !slices.Equal(versions, []string{"4", "3"}) {
		t.Errorf("the history is %q, %v", versions, err)
	}
	// A version that will be deleted later is there until then.
	a.put(mount+"/metadata/dev/carts/secret", map[string]any{"delete_version_after": "1h"})
	storetest.Put(t, s, carts, fields("four"))
	if list, err := s.List(t.Context(), "dev"); err != nil || len(list) != 1 {
		t.Errorf("it lists %v, %v", list, err)
	}
}

// TestPolicies: what Policy gives is enough, and nothing beside.
func policyOf(t *testing.T, access Access) string {
	t.Helper()
	text, err := Policy(access)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	a := server(t)
	mount := a.kv("2")
	transit := a.mount("sys/mounts/", "transit", nil)
	root := a.store(nil, KV{Mount: mount, Prefix: "shop"})
	orders := secrets.Path{Deployment: "dev", App: "orders", Scope: secrets.Secret}
	global := secrets.Path{Deployment: "dev", App: secrets.Global, Scope: secrets.Secret}
	for _, path := range []secrets.Path{carts, orders, global} {
		storetest.Put(t, root, path, fields(path.App))
	}
	access := Access{KV: KV{Mount: mount, Prefix: "shop"}, Deployment: "dev", Apps: []string{"carts"}, Scopes: []string{"secret"}}
	as := func(access Access) secrets.Store {
		return a.store(a.grant(map[string]any{"policies": []string{a.policy(policyOf(t, access))}}), access.KV)
	}

	s := as(access)
	if docs, err := s.Read(t.Context(), []secrets.Path{carts, global}); err != nil || len(docs) != 2 {
		t.Errorf("%d docs, %v", len(docs), err)
	}
	_, err := s.Read(t.Context(), []secrets.Path{carts, orders, {Deployment: "dev", App: "carts", Scope: "public"}})
	wantError(t, err, Denied, `path "`+mount+`/data/shop/dev/orders/secret" { capabilities = ["read"] }`, "/dev/carts/public")
	_, err = s.Write(t.Context(), secrets.Doc{Path: carts, Version: "1", Values: storetest.Hide(t, fields(canary))})
	wantError(t, err, Denied, `capabilities = ["create", "update"]`)
	_, err = s.List(t.Context(), "dev")
	wantError(t, err, Denied, `path "`+mount+`/metadata/shop/dev/" { capabilities = ["list"] }`)
	_, err = s.(secrets.Historian).History(t.Context(), carts)
	wantError(t, err, Denied, `path "`+mount+`/metadata/shop/dev/carts/secret" { capabilities = ["read"] }`)

	access.Write, access.List, access.Transit = true, true, &TransitKeys{Mount: transit}
	s = as(access)
	storetest.Put(t, s, carts, fields("two"))
	storetest.Put(t, s, carts, nil)
	if doc, err := s.(secrets.Historian).At(t.Context(), carts, "2"); err != nil || doc.Values["pass"].Reveal() != "two" {
		t.Errorf("version 2: %v", err)
	}
	storetest.Put(t, s, carts, fields("four"))
	if docs, err := s.(secrets.Historian).History(t.Context(), carts); err != nil || len(docs) != 3 {
		t.Errorf("the history has %d, %v", len(docs), err)
	}
	_, err = s.Write(t.Context(), secrets.Doc{Path: global, Version: "1", Values: storetest.Hide(t, fields(canary))})
	wantError(t, err, Denied)
	cipher := s.(*second).client.Transit(*access.Transit)
	where := secrets.Key{Deployment: "dev", App: "carts", Scope: "secret", Name: "pass"}
	sealed, err := cipher.Seal(t.Context(), where, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cipher.Open(t.Context(), where, sealed); err != nil {
		t.Error(err)
	}
	if id, err := cipher.Current(t.Context(), where); err != nil || id != cipher.KeyID(sealed) {
		t.Errorf("the key is %q, %v", id, err)
	}
	_, err = cipher.Seal(t.Context(), secrets.Key{Deployment: "dev", App: "orders", Scope: "secret", Name: "pass"}, []byte(canary))
	wantError(t, err, Denied)

	// All apps at once.
	s = as(Access{KV: access.KV, Deployment: "dev", Write: true, List: true})
	if list, err := s.List(t.Context(), "dev"); err != nil || len(list) != 3 {
		t.Errorf("it lists %v, %v", list, err)
	}
	storetest.Put(t, s, secrets.Path{Deployment: "dev", App: "new", Scope: "public"}, fields("one"))
	if _, err := s.Read(t.Context(), []secrets.Path{{Deployment: "prod", App: "carts", Scope: "secret"}}); kindOf(err) != Denied {
		t.Errorf("another deployment: %v", err)
	}
}

func TestAuthMethods(t *testing.T) {
	t.Parallel()
	a := server(t)
	mount := a.kv("2")
	storetest.Put(t, a.store(nil, KV{Mount: mount}), carts, fields("one"))
	policy := a.policy(policyOf(t, Access{KV: KV{Mount: mount}, Deployment: "dev", Apps: []string{"carts"}}))
	want := func(t *testing.T, auth Auth) {
		t.Helper()
		s, err := newClient(t, Options{Address: a.addr, Auth: auth}).Store(t.Context(), KV{Mount: mount})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			storetest.Want(t, s, carts, fields("one"))
		}
	}
	roles := a.mount("sys/auth/", "approle", nil)
	role := func(body map[string]any) (AppRole, string) {
		a.Helper()
		name := a.unique("role")
		body["token_policies"] = []string{policy}
		a.put("auth/"+roles+"/role/"+name, body)
		secret, err := a.api.Logical().ReadWithContext(t.Context(), "auth/"+roles+"/role/"+name+"/role-id")
		if err != nil {
			t.Fatal(err)
		}
		id, _ := secret.Data["role_id"].(string)
		return AppRole{Mount: roles, RoleID: id}, "auth/" + roles + "/role/" + name + "/secret-id"
	}
	secretID := func(path string) Credential {
		text, _ := a.put(path, nil).Data["secret_id"].(string)
		return Credential{Value: secrets.New(text)}
	}
	t.Run("AppRole", func(t *testing.T) {
		auth, path := role(map[string]any{"token_ttl": "1h"})
		auth.SecretID = secretID(path)
		want(t, auth)
		auth.SecretID = Credential{Value: secrets.New(canary)}
		_, err := newClient(t, Options{Address: a.addr, Auth: auth}).Store(t.Context(), KV{Mount: mount})
		wantError(t, err, Expired, "invalid role or secret ID")
	})
	t.Run("AppRole wrapped", func(t *testing.T) {
		auth, path := role(map[string]any{"token_num_uses": 1})
		wrapping, err := a.api.Clone()
		if err != nil {
			t.Fatal(err)
		}
		wrapping.SetToken(a.token)
		wrapping.SetWrappingLookupFunc(func(string, string) string { return "5m" })
		secret, err := wrapping.Logical().WriteWithContext(t.Context(), path, nil)
		if err != nil {
			t.Fatal(err)
		}
		auth.SecretID = Credential{Value: secrets.New(secret.WrapInfo.Token), Wrapped: true}
		want(t, auth) // each reading logs in anew
		_, err = newClient(t, Options{Address: a.addr, Auth: auth}).Store(t.Context(), KV{Mount: mount})
		wantError(t, err, Expired, "was opened before")
	})
	t.Run("AppRole of one use", func(t *testing.T) {
		auth, path := role(map[string]any{"token_num_uses": 1, "secret_id_num_uses": 1})
		auth.SecretID = secretID(path)
		s := a.store(auth, KV{Mount: mount})
		storetest.Want(t, s, carts, fields("one"))
		_, err := s.Read(t.Context(), []secrets.Path{carts})
		wantError(t, err, Expired, "invalid role or secret ID")
	})
	t.Run("AppRole of few uses", func(t *testing.T) {
		auth, path := role(map[string]any{"token_num_uses": 3})
		auth.SecretID = secretID(path)
		s := a.store(auth, KV{Mount: mount})
		var paths []secrets.Path
		for i := range 20 {
			paths = append(paths, secrets.Path{Deployment: "dev", App: "carts", Scope: secrets.Scopes()[i%3]})
		}
		for range 3 {
			if docs, err := s.Read(t.Context(), paths); err != nil || len(docs) != 1 {
				t.Fatalf("%d docs, %v", len(docs), err)
			}
		}
	})
	t.Run("expired within", func(t *testing.T) {
		auth, path := role(map[string]any{"token_ttl": "1h"})
		auth.SecretID = secretID(path)
		s := a.store(auth, KV{Mount: mount})
		storetest.Want(t, s, carts, fields("one"))
		a.put("auth/token/revoke", map[string]any{"token": s.(*second).client.session.Load().token.Reveal()})
		storetest.Want(t, s, carts, fields("one"))
	})
	t.Run("renewed", func(t *testing.T) {
		auth, path := role(map[string]any{"token_ttl": "2s", "token_max_ttl": "5s"})
		auth.SecretID = secretID(path)
		s := a.store(auth, KV{Mount: mount})
		for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
			storetest.Want(t, s, carts, fields("one"))
		}
	})
	t.Run("given and renewed", func(t *testing.T) {
		s, err := newClient(t, Options{Address: a.addr, Long: true, Auth: a.grant(map[string]any{"policies": []string{policy}, "ttl": "8s"})}).Store(t.Context(), KV{Mount: mount})
		if err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(11 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
			storetest.Want(t, s, carts, fields("one"))
		}
	})
	t.Run("token of one use", func(t *testing.T) {
		s := a.store(a.grant(map[string]any{"policies": []string{policy}, "num_uses": 1}), KV{Mount: mount})
		storetest.Want(t, s, carts, fields("one"))
		_, err := s.Read(t.Context(), []secrets.Path{carts})
		wantError(t, err, Expired, "used up")
	})
	t.Run("Kubernetes", func(t *testing.T) {
		plugin, err := a.api.Logical().ReadWithContext(t.Context(), "sys/plugins/catalog/auth/kubernetes")
		if err != nil || plugin == nil {
			t.Skip("this Vault has not the plugin")
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		// What an API server says of a token, which Vault asks.
		reviews := newFake(t, map[string]http.HandlerFunc{
			"POST /apis/authentication.k8s.io/v1/tokenreviews": reply(201, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":true,"audiences":["vault"],
				"user":{"username":"system:serviceaccount:shop:kai","uid":"u1","groups":["system:serviceaccounts"]}}}`, "Content-Type", "application/json"),
		})
		clusters := a.mount("sys/auth/", "kubernetes", nil)
		a.put("auth/"+clusters+"/config", map[string]any{"kubernetes_host": reviews.URL, "disable_local_ca_jwt": true, "token_reviewer_jwt": sign(t, key, "vault")})
		a.put("auth/"+clusters+"/role/kai", map[string]any{"bound_service_account_names": "kai", "bound_service_account_namespaces": "shop", "token_policies": []string{policy}})
		token := sign(t, key, "vault", map[string]any{"sub": "system:serviceaccount:shop:kai", "kubernetes.io": map[string]any{"namespace": "shop", "serviceaccount": map[string]any{"name": "kai", "uid": "u1"}}})
		want(t, Kubernetes{Mount: clusters, Role: "kai", Token: Credential{Value: secrets.New(token)}})
		_, err = newClient(t, Options{Address: a.addr, Auth: Kubernetes{Mount: clusters, Role: "others", Token: Credential{Value: secrets.New(token)}}}).Store(t.Context(), KV{Mount: mount})
		wantError(t, err, Expired, "log in by Kubernetes", "others")
	})
	t.Run("JWT", func(t *testing.T) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		jwts := a.mount("sys/auth/", "jwt", nil)
		a.put("auth/"+jwts+"/config", map[string]any{"jwt_validation_pubkeys": []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))}})
		a.put("auth/"+jwts+"/role/kai", map[string]any{"role_type": "jwt", "bound_audiences": []string{"kai"}, "user_claim": "sub", "token_policies": []string{policy}})
		want(t, JWT{Mount: jwts, Role: "kai", Token: Credential{Value: secrets.New(sign(t, key, "kai"))}})
		_, err = newClient(t, Options{Address: a.addr, Auth: JWT{Mount: jwts, Role: "kai", Token: Credential{Value: secrets.New(sign(t, key, "others"))}}}).Store(t.Context(), KV{Mount: mount})
		wantError(t, err, Expired, "log in by JWT", "audience")
	})
}

// sign makes a JWT.
func sign(t *testing.T, key *ecdsa.PrivateKey, audience string, more ...map[string]any) string {
	t.Helper()
	fields := map[string]any{"sub": "ci", "aud": []string{audience}, "iss": "https://ci.example.com", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	for _, m := range more {
		maps.Copy(fields, m)
	}
	claims, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// TestCutWrites: the connection ends when a write is done, and before the answer.
func TestCutWrites(t *testing.T) {
	t.Parallel()
	a := server(t)
	mount := a.kv("2")
	target, err := url.Parse(a.addr)
	if err != nil {
		t.Fatal(err)
	}
	root := a.store(nil, KV{Mount: mount})
	open := func(t *testing.T, serve func(next http.Handler, w http.ResponseWriter, r *http.Request)) secrets.Store {
		next := httputil.NewSingleHostReverseProxy(target)
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/data/") {
				serve(next, w, r)
				return
			}
			next.ServeHTTP(w, r)
		}))
		t.Cleanup(proxy.Close)
		s, err := newClient(t, Options{Address: proxy.URL, Auth: Token{Credential{Value: secrets.New(a.token)}}}).Store(t.Context(), KV{Mount: mount})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	increment := func(values map[string]secrets.Value) error {
		n, _ := json.Number(values["n"].Reveal()).Int64()
		value, err := secrets.Of(int(n) + 1)
		values["n"] = value
		return err
	}
	var n atomic.Int64
	for name, serve := range map[string]func(next http.Handler, w http.ResponseWriter, r *http.Request){
		"after": func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		},
		"after, now and then": func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			if n.Add(1)%2 == 0 {
				next.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		},
		"before": func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			if n.Add(1)%2 == 0 {
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		},
		"a gateway": func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			if n.Add(1)%2 == 0 {
				next.ServeHTTP(httptest.NewRecorder(), r)
			}
			w.WriteHeader(http.StatusGatewayTimeout)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, serve)
			path := secrets.Path{Deployment: "dev", App: strings.ReplaceAll(name, " ", "-"), Scope: "private"}
			for range 6 {
				if _, err := secrets.Edit(t.Context(), s, path, increment); err != nil {
					t.Fatal(err)
				}
			}
			storetest.Want(t, root, path, map[string]any{"n": json.Number("6")})
			if doc := storetest.Get(t, root, path); doc.Version != "6" {
				t.Errorf("it is at version %s", doc.Version)
			}
		})
	}
}

func TestTransit(t *testing.T) {
	t.Parallel()
	a := server(t)
	c := newClient(t, Options{Address: a.addr, Auth: Token{Credential{Value: secrets.New(a.token)}}})
	mount := a.mount("sys/mounts/", "transit", nil)
	cipher := c.Transit(TransitKeys{Mount: mount})
	where := secrets.Key{Deployment: "dev", App: "carts", Scope: "secret", Name: "pass"}
	sealed, err := cipher.Seal(t.Context(), where, []byte(canary))
	if err != nil || !strings.HasPrefix(sealed, "kai:v1:transit:dev_kaigara_carts:vault:v1:") {
		t.Fatalf("%q, %v", sealed, err)
	}
	if plain, err := cipher.Open(t.Context(), where, sealed); err != nil || string(plain) != canary {
		t.Errorf("it opens as %d bytes, %v", len(plain), err)
	}
	for _, other := range []secrets.Key{
		{Deployment: "dev", App: "carts", Scope: "secret", Name: "user"}, {Deployment: "dev", App: "carts", Scope: "private", Name: "pass"},
		{Deployment: "dev", App: "orders", Scope: "secret", Name: "pass"}, {Deployment: "prod", App: "carts", Scope: "secret", Name: "pass"},
	} {
		if _, err := cipher.Open(t.Context(), other, sealed); err == nil {
			t.Errorf("it opens at %v", other)
		}
	}
	for _, bad := range []string{"", canary, "vault:v1:AAAA", sealed[:len(sealed)-6] + "AAAAA=", transitForm + "dev_kaigara_carts:vault:v9:AAAA", strings.Replace(sealed, ":v1:", ":v2:", 1)} {
		_, err := cipher.Open(t.Context(), where, bad)
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%q opens: %v", bad, err)
		}
	}
	// Many, of several apps, more than one request takes.
	var places []secrets.Key
	var plain [][]byte
	for i := range maxItems + 20 {
		places = append(places, secrets.Key{Deployment: "dev", App: []string{"carts", "orders"}[min(i%20, 1)], Scope: "secret", Name: fmt.Sprint("key", i)})
		plain = append(plain, []byte(strings.Repeat("x", i)))
	}
	many, err := cipher.SealAll(t.Context(), places, plain)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := cipher.OpenAll(t.Context(), places, many)
	if err != nil || !slices.EqualFunc(opened, plain, slices.Equal) {
		t.Errorf("%d open, %v", len(opened), err)
	}
	many[7], many[8] = many[8], many[7]
	_, err = cipher.OpenAll(t.Context(), places, many)
	if err == nil || !strings.Contains(err.Error(), "dev/orders/secret: key7 cannot be decrypted: it does not open") {
		t.Errorf("got %v", err)
	}
	if _, err = cipher.OpenAll(t.Context(), places[7:9], many[7:9]); err == nil || !strings.Contains(err.Error(), "key7 cannot be decrypted: it does not open") {
		t.Errorf("all fail: %v", err)
	}
	// The older system's.
	for _, text := range []string{"changeme", "", "pässwörd", "a", "ab", "???>>>"} {
		older := a.put(mount+"/encrypt/dev_kaigara_carts", map[string]any{"plaintext": base64.StdEncoding.EncodeToString([]byte(text))}).Data["ciphertext"].(string)
		if got, err := cipher.OpenOlder(t.Context(), where, older); err != nil || string(got) != text {
			t.Errorf("%q opens as %q, %v", text, got, err)
		}
	}
	// A new version of the key, under a store that encrypts by it.
	store := secrets.Encrypted(a.store(nil, KV{Mount: a.kv("2")}), cipher)
	storetest.Put(t, store, carts, map[string]any{"pass": "one", "n": json.Number("1"), "list": []any{"a"}})
	if err := cipher.Renew(t.Context(), where); err != nil {
		t.Fatal(err)
	}
	if n, err := secrets.Rotate(t.Context(), store, "dev"); n != 3 || err != nil {
		t.Errorf("%d are sealed anew, %v", n, err)
	}
	storetest.Want(t, store, carts, map[string]any{"pass": "one", "n": json.Number("1"), "list": []any{"a"}})
	for key, v := range storetest.Get(t, secrets.Raw(store), carts).Values {
		if cipher.KeyID(v.Reveal()) != "dev_kaigara_carts:v2" {
			t.Errorf("%s is sealed by %s", key, cipher.KeyID(v.Reveal()))
		}
	}
	// No key is made by opening.
	away := secrets.Key{Deployment: "dev", App: "away", Scope: "secret", Name: "pass"}
	if _, err := cipher.Open(t.Context(), away, transitForm+"dev_kaigara_away:vault:v1:"+strings.Repeat("A", 40)); err == nil || !strings.Contains(err.Error(), "there is no key dev_kaigara_away") {
		t.Errorf("got %v", err)
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	a := server(t)
	one, two := a.kv("1"), a.kv("2")
	a.put(one+"/a/b", fields("one"))
	a.put(two+"/data/a/b", map[string]any{"data": fields("two")})
	c := newClient(t, Options{Address: a.addr, Auth: Token{Credential{Value: secrets.New(a.token)}}})
	paths := []string{one + "/a/b", two + "/a/b", two + "/data/a/b", "/" + two + "/a/b/", one + "/away", two + "/away"}
	found, err := c.Read(t.Context(), paths)
	if err != nil || len(found) != 4 || found[paths[0]]["pass"].Reveal() != "one" {
		t.Errorf("%d found, %v", len(found), err)
	}
	for _, path := range paths[1:4] {
		if found[path]["pass"].Reveal() != "two" {
			t.Errorf("%s is not there", path)
		}
	}
	for _, path := range []string{"", "a/../b", "nowhere-at-all/x"} {
		if _, err := c.Read(t.Context(), []string{path}); err == nil {
			t.Errorf("%q is read", path)
		}
	}
}

// TestSealed is not parallel: all others would find it sealed.
func TestSealed(t *testing.T) {
	a := server(t)
	key := os.Getenv(testUnseal)
	if key == "" {
		t.Skip(testUnseal + " has no key")
	}
	mount := a.kv("2")
	s := a.store(nil, KV{Mount: mount})
	storetest.Put(t, s, carts, fields("one"))
	if err := a.api.Sys().SealWithContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	unseal := func() {
		if _, err := a.api.Sys().UnsealWithContext(context.Background(), key); err != nil {
			t.Error(err)
		}
	}
	_, err := s.Read(t.Context(), []secrets.Path{carts})
	wantError(t, err, Sealed, "Vault at "+a.addr+" is sealed", "unseal it")
	_, err = s.Write(t.Context(), secrets.Doc{Path: carts, Version: "1", Values: storetest.Hide(t, fields(canary))})
	wantError(t, err, Sealed, "is sealed")
	// Who asks just then waits a moment.
	time.AfterFunc(500*time.Millisecond, unseal)
	storetest.Want(t, s, carts, fields("one"))
}

// TestRestarted is not parallel either. Vault is killed while it is read and written, comes back sealed, and is unsealed.
func TestRestarted(t *testing.T) {
	a := server(t)
	restart := os.Getenv(testRestart)
	if restart == "" {
		t.Skip(testRestart + " names nobody who restarts it")
	}
	c := newClient(t, Options{Address: a.addr, Auth: Token{Credential{Value: secrets.New(a.token)}}, Patience: time.Minute})
	s, err := c.Store(t.Context(), KV{Mount: a.kv("2")})
	if err != nil {
		t.Fatal(err)
	}
	up := make(chan error, 1)
	go func() {
		resp, err := http.Post(restart, "", nil)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("restart: %s", resp.Status)
			}
		}
		up <- err
	}()
	done := 0
	for begin, back := time.Now(), false; !back || time.Since(begin) < 3*time.Second; done++ {
		_, err := secrets.Edit(t.Context(), s, carts, func(values map[string]secrets.Value) error {
			if storetest.Get(t, s, carts).Version != "" && values["n"].Reveal() != fmt.Sprint(done) {
				t.Errorf("after %d it is %s", done, values["n"].Reveal())
			}
			value, err := secrets.Of(done + 1)
			values["n"] = value
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-up:
			if err != nil {
				t.Fatal(err)
			}
			back = true
		default:
		}
	}
	storetest.Want(t, s, carts, map[string]any{"n": json.Number(fmt.Sprint(done))})
}
