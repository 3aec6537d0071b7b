// Package vault keeps secrets in HashiCorp Vault, or in what speaks its
// protocol: a store on the key/value engine, and a cipher on the engine transit.
//
// A path is one entry, at MOUNT/data/PREFIX/DEPLOYMENT/APP/SCOPE, and its
// version is the engine's own number. The first version of the engine keeps no
// versions: it is read, and never written.
//
// Its rules:
//   - The first request logs in, and nothing is looked up before but a mount's
//     version, which costs no use: a given token that may be used once reads one
//     thing. For who stays (Options.Long), such a token is none.
//   - What logging in has used, a wrapping token or a secret id that is good once, is
//     not used again while the client lives: it outlives a question that failed.
//   - Who is refused because a token has ended logs in again and repeats.
//   - What is only away (429, 5xx, no connection) is asked again for a while;
//     a write only where it was certainly not done. Where nobody has answered yet,
//     and nothing is there that could, it is asked again once: the address may be
//     wrong. Who stays (Options.Long) is patient there, too.
//   - No error holds a token, a credential or a value. What Vault says is shown
//     without them, and what is no answer of Vault is not shown at all.
//   - An answer has at most 16 MiB.
package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// Options say where Vault is and who asks. The environment is not read, but for
// that of proxies.
type Options struct {
	Address   string // such as https://vault.example.com:8200
	Namespace string // "" is the root
	TLS       TLS
	Auth      Auth
	// Patience is how long a request is repeated while Vault is away; 0 is ten
	// seconds.
	Patience time.Duration
	// Timeout bounds each request; 0 is twenty seconds.
	Timeout time.Duration
	// Long is for who stays: a token that was given, and not logged in for, is
	// looked up once it has worked, and renewed too.
	Long bool
}

// Client is a connection to Vault. It is safe for concurrent use.
type Client struct {
	options Options
	base    *api.Client // without a token
	http    *http.Transport

	gate     chan struct{} // holds one: who logs in
	session  atomic.Pointer[session]
	answered atomic.Bool                         // something came from Vault
	unwraps  map[[sha256.Size]byte]secrets.Value // what wrapping tokens held; who logs in has it
	lost     map[[sha256.Size]byte]bool          // wrapping tokens whose answer was cut off; likewise
	begun    atomic.Bool                         // logging in has used something that may be good once
	mountsMu sync.Mutex
	mounts   []mount

	life    context.Context // ends with Close
	end     context.CancelFunc
	keepers sync.WaitGroup
}

// session is a token in use.
type session struct {
	token  secrets.Value
	client *api.Client
	worked atomic.Bool // something was answered
	ending atomic.Bool // it will not be there for long

	limited bool // it may be used so often:
	left    atomic.Int64
}

// take says whether the token may be used now for a call, and counts it.
func (s *session) take(call call) bool {
	return !s.ending.Load() && (!s.limited || call.free || s.left.Add(-1) >= 0)
}

// New gives a client, and connects to nothing yet.
func New(options Options) (*Client, error) {
	if options.Patience == 0 {
		options.Patience = 10 * time.Second
	}
	if options.Timeout == 0 {
		options.Timeout = 20 * time.Second
	}
	address, err := checkAddress(options.Address)
	if err != nil {
		return nil, err
	}
	options.Address = address
	if options.Auth == nil {
		return nil, &Error{Text: "Vault at " + address + ": no way to log in is configured", Hint: "give a token, or one of AppRole, Kubernetes and JWT"}
	}
	transport, err := newTransport(options.TLS)
	if err != nil {
		return nil, err
	}
	base, err := newAPI(options, transport)
	if err != nil {
		return nil, err
	}
	c := &Client{
		options: options, base: base, http: transport,
		gate: make(chan struct{}, 1), unwraps: map[[sha256.Size]byte]secrets.Value{}, lost: map[[sha256.Size]byte]bool{},
	}
	c.life, c.end = context.WithCancel(context.Background())
	return c, nil
}

// checkAddress gives an address without a slash at its end.
func checkAddress(address string) (string, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		// What url.Parse says quotes the address, and that may hold a password.
		return "", &Error{Text: "the address of Vault is no URL", Hint: "write it as https://vault.example.com:8200"}
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", &Error{Text: "the address of Vault begins neither with https:// nor with http://", Hint: "write it as https://vault.example.com:8200"}
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", &Error{Text: fmt.Sprintf("the address of Vault at %s has more than a host and a path", u.Host), Hint: "write it as https://vault.example.com:8200"}
	}
	return strings.TrimRight(address, "/"), nil
}

// newAPI gives the library's client. It takes settings from the environment by
// itself, which are put back here.
func newAPI(options Options, transport http.RoundTripper) (*api.Client, error) {
	config := &api.Config{
		Address: options.Address,
		Timeout: options.Timeout,
		HttpClient: &http.Client{
			Transport: limited{transport},
			// The library follows redirects by itself, as standby nodes give them.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		CheckRetry: func(context.Context, *http.Response, error) (bool, error) { return false, nil },
	}
	client, err := api.NewClient(config)
	if err != nil {
		return nil, &Error{Text: "Vault's library does not start with the variables VAULT_… of this environment", Hint: "unset those that are not needed, or correct them"}
	}
	client.ClearToken()
	client.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	if options.Namespace != "" {
		client.SetNamespace(options.Namespace)
	}
	client.SetWrappingLookupFunc(func(string, string) string { return "" })
	return client, nil
}

// as gives a client that sends a token. The library's own field for it would let
// printers by reflection find it.
func (c *Client) as(token secrets.Value) *api.Client {
	return c.base.WithRequestCallbacks(func(r *api.Request) { r.ClientToken = token.Reveal() })
}

// Close ends connections and the renewal of tokens.
func (c *Client) Close() error {
	c.end()
	c.keepers.Wait()
	c.http.CloseIdleConnections()
	return nil
}

// call is a request, and how errors speak of it.
type call struct {
	doing string   // read, write, list, …
	path  string   // of the API
	needs []string // capabilities in a policy
	// once is for what must not be done twice: it is repeated only where it was
	// certainly not done, and fails with doubt where that is not known.
	once   bool
	free   bool            // it is no use of a token
	hidden []secrets.Value // what no error may show
	run    func(context.Context, *api.Client) (*api.Secret, error)
}

func get(path string, query ...string) call {
	var values map[string][]string
	for i := 0; i < len(query); i += 2 {
		values = map[string][]string{query[i]: {query[i+1]}}
	}
	return call{doing: "read", path: path, needs: []string{"read"}, run: func(ctx context.Context, client *api.Client) (*api.Secret, error) {
		return client.Logical().ReadWithDataWithContext(ctx, path, values)
	}}
}

func list(path string) call {
	return call{doing: "list", path: path + "/", needs: []string{"list"}, run: func(ctx context.Context, client *api.Client) (*api.Secret, error) {
		return client.Logical().ListWithContext(ctx, path)
	}}
}

func put(path string, body map[string]any) call {
	return call{doing: "write", path: path, needs: []string{"create", "update"}, run: func(ctx context.Context, client *api.Client) (*api.Secret, error) {
		return client.Logical().WriteWithContext(ctx, path, body)
	}}
}

// relogins bounds how often one request is repeated because its token has ended:
// with tokens of few uses, others may have used up the new one, too.
const relogins = 5

// do sends a request as who is logged in, and logs in again where the token has
// ended after it had worked.
func (c *Client) do(ctx context.Context, call call) (*api.Secret, error) {
	var spent *session
	for again := 0; ; again++ {
		s, err := c.signedIn(ctx, spent, call)
		if err != nil {
			return nil, err
		}
		secret, err := c.send(ctx, s.client, call, s.token)
		var failed *Error
		if err == nil {
			c.hasWorked(s)
			return secret, nil
		}
		if !errors.As(err, &failed) || failed.Kind != Expired || again == relogins || !s.worked.Load() && !s.limited {
			return nil, err
		}
		spent = s
	}
}

func (c *Client) hasWorked(s *session) {
	if s.worked.Swap(true) || !c.options.Long {
		return
	}
	if _, given := c.options.Auth.(Token); given {
		c.keepGiven(s)
	}
}

// signedIn gives a session for a call that is not the spent one. One logs in for
// all.
func (c *Client) signedIn(ctx context.Context, spent *session, call call) (*session, error) {
	usable := func() *session {
		if s := c.session.Load(); s != nil && s != spent && s.take(call) {
			return s
		}
		return nil
	}
	if s := usable(); s != nil {
		return s, nil
	}
	select {
	case c.gate <- struct{}{}:
		defer func() { <-c.gate }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if s := usable(); s != nil {
		return s, nil
	}
	s, err := c.logIn(ctx, spent)
	if err != nil {
		return nil, err
	}
	s.take(call)
	c.session.Store(s)
	return s, nil
}

// send sends a request until it is answered, refused, or the patience is at its
// end.
func (c *Client) send(ctx context.Context, client *api.Client, call call, hidden ...secrets.Value) (*api.Secret, error) {
	call.hidden = append(hidden, call.hidden...)
	begin := time.Now()
	var sealed time.Time // since when
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 3*time.Second) {
		var note note
		attempt, cancel := context.WithTimeout(withNote(ctx, &note), c.options.Timeout)
		secret, err := call.run(attempt, client)
		cancel()
		if err == nil {
			c.answered.Store(true)
			return secret, nil
		}
		if ctx.Err() != nil {
			// Whether it was done, nobody waits to know.
			return nil, fmt.Errorf("%s %s in Vault: %w", call.doing, call.path, context.Cause(ctx))
		}
		f := c.judge(call, err)
		if !f.again || call.once && !f.undone {
			return nil, c.explain(ctx, f)
		}
		limit := c.options.Patience
		if f.status != 0 {
			c.answered.Store(true)
		}
		if f.nobody && !c.options.Long && !c.answered.Load() {
			limit = min(limit, firstContact)
		}
		pause := jitter(wait)
		if note.retryAfter > 0 {
			// Who is told when to come waits for it, also beyond the patience.
			pause, limit = max(pause, note.retryAfter), max(limit, longestRetryAfter)
		}
		switch {
		case f.Kind != Sealed:
			sealed = time.Time{}
		case sealed.IsZero():
			sealed = time.Now()
		case time.Since(sealed) > sealedPatience:
			limit = 0
		}
		if time.Since(begin)+pause > limit || !sleep(ctx, pause) {
			return nil, c.explain(ctx, f)
		}
	}
}

// How long is waited at most, where Vault says when to come again, and where it
// is sealed: one that unseals itself needs a moment, others need somebody.
const (
	longestRetryAfter = time.Minute
	sealedPatience    = 3 * time.Second
	// firstContact is enough for one more question.
	firstContact = 200 * time.Millisecond
)
