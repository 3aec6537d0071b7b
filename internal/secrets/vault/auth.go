package vault

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// Credential is what somebody proves who he is with: a value, or a file that
// holds it. A file is read each time anew, for others write it: Kubernetes its
// tokens, Vault's agent its own.
type Credential struct {
	Value secrets.Value
	File  string
	// Wrapped says that it is a wrapping token, which is opened once.
	Wrapped bool
}

// Auth is a way to log in: Token, AppRole, Kubernetes or JWT.
type Auth interface {
	// method names it in errors.
	method() string
	// request gives where to log in, and with what. A token is no request: it is
	// the second result.
	request(ctx context.Context, c *Client) (login, secrets.Value, error)
}

// login is a request to log in.
type login struct {
	mount  string
	body   map[string]any
	hidden []secrets.Value
}

// Token uses a token as it is. Without the means to get another, its end is the
// end, but a file may hold a newer one then.
type Token struct{ Token Credential }

// AppRole logs in by a role and, mostly, a secret.
type AppRole struct {
	Mount    string // "" is approle
	RoleID   string
	SecretID Credential // may be none, where the role says so
}

// Kubernetes logs in by the token of a service account.
type Kubernetes struct {
	Mount string // "" is kubernetes
	Role  string
	// Token is, by default, the file that Kubernetes mounts into every pod.
	Token Credential
}

// JWT logs in by a token that another signed, such as that of a CI job.
type JWT struct {
	Mount string // "" is jwt
	Role  string // "" is the mount's default
	Token Credential
}

// ServiceAccountToken is where a pod finds the token of its service account.
const ServiceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

func (Token) method() string      { return "token" }
func (AppRole) method() string    { return "AppRole" }
func (Kubernetes) method() string { return "Kubernetes" }
func (JWT) method() string        { return "JWT" }

func (t Token) request(ctx context.Context, c *Client) (login, secrets.Value, error) {
	token, err := c.credential(ctx, "the token", t.Token, func(s *api.Secret) any {
		if s.Auth != nil {
			return s.Auth.ClientToken
		}
		return s.Data["token"]
	})
	if err == nil && token.IsZero() {
		err = &Error{Kind: Expired, Text: "no token for Vault is configured", Hint: "log in: vault login, or give another way, such as AppRole", lasting: true}
	}
	return login{}, token, err
}

func (a AppRole) request(ctx context.Context, c *Client) (login, secrets.Value, error) {
	body := map[string]any{"role_id": a.RoleID}
	secret, err := c.credential(ctx, "the secret ID", a.SecretID, func(s *api.Secret) any { return s.Data["secret_id"] })
	if !secret.IsZero() {
		body["secret_id"] = secret.Reveal()
	}
	return login{mount: cmp.Or(a.Mount, "approle"), body: body, hidden: []secrets.Value{secret}}, secrets.Value{}, err
}

func (k Kubernetes) request(ctx context.Context, c *Client) (login, secrets.Value, error) {
	if k.Token.File == "" && k.Token.Value.IsZero() {
		k.Token.File = ServiceAccountToken
	}
	return byJWT(ctx, c, cmp.Or(k.Mount, "kubernetes"), k.Role, "the service account's token", k.Token)
}

func (j JWT) request(ctx context.Context, c *Client) (login, secrets.Value, error) {
	return byJWT(ctx, c, cmp.Or(j.Mount, "jwt"), j.Role, "the JWT", j.Token)
}

func byJWT(ctx context.Context, c *Client, mount, role, what string, credential Credential) (login, secrets.Value, error) {
	token, err := c.credential(ctx, what, credential, func(s *api.Secret) any { return s.Data["jwt"] })
	if err == nil && token.IsZero() {
		err = &Error{Kind: Expired, Text: what + " for Vault is empty", Hint: "name a file that holds it", lasting: true}
	}
	body := map[string]any{"jwt": token.Reveal()}
	if role != "" {
		body["role"] = role
	}
	return login{mount: mount, body: body, hidden: []secrets.Value{token}}, secrets.Value{}, err
}

// credential gives a credential's text. A wrapping token is used up by opening
// it, so what comes out is kept. Who logs in alone calls it.
func (c *Client) credential(ctx context.Context, what string, from Credential, find func(*api.Secret) any) (secrets.Value, error) {
	value := from.Value
	if from.File != "" {
		data, err := readFile(from.File)
		if err != nil {
			return value, &Error{Kind: Expired, Text: fmt.Sprintf("%s for Vault: %v", what, err), Hint: "name a file that holds it", lasting: true}
		}
		value = secrets.New(string(bytes.TrimSpace(data)))
	}
	if strings.ContainsFunc(value.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return value, &Error{Kind: Expired, Text: what + " for Vault has characters that none has", Hint: "is there more than it where it is taken from?", lasting: true}
	}
	if !from.Wrapped || value.IsZero() {
		return value, nil
	}
	wrapper := sha256.Sum256([]byte(value.Reveal()))
	other := &Error{Kind: Expired, Text: fmt.Sprintf("Vault at %s: what was wrapped is not %s", c.options.Address, what), Hint: "wrap the answer of Vault that holds it, as vault … -wrap-ttl=5m does"}
	if opened, ok := c.unwraps[wrapper]; ok {
		if opened.IsZero() {
			return value, other
		}
		return opened, nil
	}
	secret, err := c.send(ctx, c.as(value), call{doing: "unwrap", path: "sys/wrapping/unwrap", once: true, run: func(ctx context.Context, client *api.Client) (*api.Secret, error) {
		return client.Logical().WriteWithContext(ctx, "sys/wrapping/unwrap", map[string]any{})
	}}, value)
	if err != nil {
		var failed *Error
		if errors.As(err, &failed) && failed.Kind == Unsure || ctx.Err() != nil {
			c.lost[wrapper] = true
			c.begun.Store(true)
			return value, err
		}
		if errors.As(err, &failed) && failed.Kind != Away && failed.Kind != Sealed && c.lost[wrapper] {
			return value, &Error{
				Kind: Expired,
				Text: fmt.Sprintf("Vault at %s: the wrapping token of %s was opened from here, and the answer was lost on the way", c.options.Address, what),
				Hint: "revoke what was in it, and wrap a new one",
			}
		}
		if errors.As(err, &failed) && failed.Kind != Away && failed.Kind != Sealed {
			return value, &Error{
				Kind: Expired,
				Text: fmt.Sprintf("Vault at %s: the wrapping token of %s has expired, or was opened before", c.options.Address, what),
				Hint: "if nobody of you opened it, somebody else has: revoke what was in it, and wrap a new one",
			}
		}
		return value, err
	}
	c.begun.Store(true)
	var text string
	if secret != nil {
		text, _ = find(secret).(string)
	}
	c.unwraps[wrapper] = secrets.New(text)
	if text == "" {
		return value, other
	}
	return c.unwraps[wrapper], nil
}

// logIn gives a new session, in place of a spent one. Who calls it holds the
// gate.
func (c *Client) logIn(ctx context.Context, spent *session) (*session, error) {
	auth := c.options.Auth
	request, token, err := auth.request(ctx, c)
	if err != nil {
		return nil, err
	}
	if request.mount == "" {
		if spent != nil && spent.token.Equal(token) {
			return nil, &Error{
				Kind: Expired,
				Text: fmt.Sprintf("Vault at %s: the token has expired, was revoked or is used up", c.options.Address),
				Hint: "get a new one, or log in by AppRole, Kubernetes or JWT, which kai repeats by itself",
			}
		}
		return &session{token: token, client: c.as(token)}, nil
	}
	uses := 0
	client := c.base.WithResponseCallbacks(func(r *api.Response) { uses = countUses(r) })
	path := "auth/" + strings.Trim(request.mount, "/") + "/login"
	secret, err := c.send(ctx, client, call{doing: "log in by " + auth.method() + " at", path: path, run: func(ctx context.Context, client *api.Client) (*api.Secret, error) {
		return client.Logical().WriteWithContext(ctx, path, request.body)
	}}, request.hidden...)
	var failed *Error
	switch {
	case errors.As(err, &failed) && (failed.Kind == Refused || failed.Kind == Denied):
		failed.Kind = Expired
		failed.Hint = "check the role, and whether what proves it has expired; is " + auth.method() + " mounted at auth/" + request.mount + "?"
		return nil, err
	case err != nil:
		return nil, err
	case secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "":
		return nil, &Error{Kind: Expired, Text: fmt.Sprintf("log in by %s at %s in Vault at %s: no token came back", auth.method(), path, c.options.Address), Hint: "does it want a second factor? A login of kai has none"}
	}
	c.begun.Store(true)
	s := &session{token: secrets.New(secret.Auth.ClientToken), limited: uses > 0}
	s.client = c.as(s.token)
	s.left.Store(int64(uses))
	// Each renewal is a use of a token, and costs one that has few.
	if !s.limited && secret.Auth.LeaseDuration > 0 {
		c.keep(s, secret.Auth)
	}
	return s, nil
}

// countUses reads how often a token may be used, which the library leaves out;
// 0 is without limit.
func countUses(r *api.Response) int {
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	var answer struct {
		Auth struct {
			NumUses int `json:"num_uses"`
		} `json:"auth"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return 0
	}
	return answer.Auth.NumUses
}

// failing gives an error, or the end.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

// keep renews a token as long as that works, and has the next request log in
// again after.
func (c *Client) keep(s *session, auth *api.SecretAuth) {
	granted := *auth
	// The watcher renews at once when it starts. Who is through before half of the
	// time sends no such request.
	lease := time.Duration(granted.LeaseDuration) * time.Second
	c.background(func() {
		if !c.pause(lease / 2) {
			return
		}
		granted.LeaseDuration -= granted.LeaseDuration / 2
		watcher, err := c.as(s.token).NewLifetimeWatcher(&api.LifetimeWatcherInput{
			Secret:    &api.Secret{Auth: &granted},
			Increment: auth.LeaseDuration,
		})
		if err != nil {
			s.ending.Store(true)
			return
		}
		// It does not end before its request does, which is bounded.
		go watcher.Start()
		defer watcher.Stop()
		for {
			select {
			case <-c.life.Done():
				return
			case <-watcher.RenewCh():
			case <-watcher.DoneCh():
				s.ending.Store(true)
				return
			}
		}
	})
}

// keepGiven looks a token up that was given, and renews it if it can be.
func (c *Client) keepGiven(s *session) {
	c.background(func() {
		secret, err := c.send(c.life, s.client, get("auth/token/lookup-self"), s.token)
		if err != nil || secret == nil {
			return // it works without, as long as it does
		}
		uses, _ := secret.Data["num_uses"].(json.Number)
		ttl, _ := secret.TokenTTL()
		renewable, _ := secret.TokenIsRenewable()
		if n, _ := uses.Int64(); n == 0 && renewable && ttl > 0 {
			c.keep(s, &api.SecretAuth{ClientToken: s.token.Reveal(), Renewable: true, LeaseDuration: int(ttl / time.Second)})
		}
	})
}

// background runs what Close waits for.
func (c *Client) background(run func()) {
	if c.life.Err() == nil {
		c.keepers.Go(run)
	}
}

// pause says false where the client is closed before.
func (c *Client) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.life.Done():
		return false
	}
}
