package vault

import (
	"net/http"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// TestLoginOutlivesMount holds that what is good once is used once, though the
// question about the mount after it fails.
func TestLoginOutlivesMount(t *testing.T) {
	t.Parallel()
	const (
		mount  = "GET /v1/sys/internal/ui/mounts/secret"
		login  = "PUT /v1/auth/approle/login"
		unwrap = "PUT /v1/sys/wrapping/unwrap"
	)
	away, denied := reply(503, `{"errors":["no active node"]}`), reply(403, `{"errors":["permission denied"]}`)
	kv2 := reply(200, `{"data":{"path":"secret/","type":"kv","options":{"version":"2"}}}`)
	spent := reply(400, `{"errors":["wrapping token is not valid or does not exist"]}`)
	given := secrets.New(exampleToken)
	for name, test := range map[string]struct {
		auth  Auth
		mount http.HandlerFunc
		once  string // what must not be asked for again
	}{
		"a secret id for one login":     {AppRole{RoleID: "r", SecretID: Credential{Value: given}}, inTurn(away, away, kv2), login},
		"and a policy that comes later": {AppRole{RoleID: "r", SecretID: Credential{Value: given}}, inTurn(denied, denied, kv2), login},
		"a wrapped secret id":           {AppRole{RoleID: "r", SecretID: Credential{Value: given, Wrapped: true}}, inTurn(away, away, kv2), unwrap},
		"a wrapped token":               {Token{Credential{Value: given, Wrapped: true}}, inTurn(away, away, kv2), unwrap},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, map[string]http.HandlerFunc{
				mount: test.mount, entryAt: reply(200, entryJSON),
				login:  inTurn(loginAnswer("t", 0, 0, false), reply(400, `{"errors":["invalid role or secret ID"]}`)),
				unwrap: inTurn(reply(200, `{"data":{"secret_id":"example-secret-id"},"auth":{"client_token":"inner"}}`), spent),
			})
			c := newClient(t, Options{Address: f.URL, Auth: test.auth, Patience: time.Nanosecond})
			s, err := c.Store(t.Context(), KV{})
			if err != nil {
				t.Fatalf("the login is thrown away: %v", err)
			}
			if can := s.Can(); !can.Write || !can.History {
				t.Errorf("it can %+v", can)
			}
			if err := read(t, s); err == nil {
				t.Error("it reads what it does not know")
			}
			if err := read(t, s); err != nil {
				t.Error(err)
			}
			if f.count(test.once) != 1 {
				t.Errorf("asked for %q", f.asked)
			}
		})
	}
	t.Run("a token that nobody wrapped", func(t *testing.T) {
		t.Parallel()
		f := newFake(t, map[string]http.HandlerFunc{mount: denied})
		_, err := newClient(t, Options{Address: f.URL}).Store(t.Context(), KV{})
		wantError(t, err, Denied, "permission denied to all of secret")
	})
	t.Run("an answer that is lost", func(t *testing.T) {
		t.Parallel()
		f := newFake(t, map[string]http.HandlerFunc{unwrap: inTurn(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			_ = conn.Close()
		}, spent)})
		s, err := newClient(t, Options{Address: f.URL, Auth: Token{Credential{Value: given, Wrapped: true}}, Patience: time.Nanosecond}).Store(t.Context(), KV{})
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, read(t, s), Expired, "was opened from here, and the answer was lost")
	})
	t.Run("what is wrapped is another thing", func(t *testing.T) {
		t.Parallel()
		f := newFake(t, map[string]http.HandlerFunc{unwrap: inTurn(reply(200, `{"data":{"pass":"`+canary+`"}}`), spent)})
		s, err := newClient(t, Options{Address: f.URL, Auth: Token{Credential{Value: given, Wrapped: true}}}).Store(t.Context(), KV{})
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, read(t, s), Expired, "is not the token")
	})
}
