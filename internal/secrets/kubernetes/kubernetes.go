// Package kubernetes keeps secrets in Secrets of a cluster, one per path. It
// speaks the API's own JSON and needs no more than net/http.
//
// # Names
//
// A path's Secret is called kai-DEPLOYMENT-APP-SCOPE, so that pods can name it.
// Where that is no name of Kubernetes, is too long or could be that of another
// path, what remains of it ends in a digest of the path. The name alone says which
// path a Secret holds. Labels secrets.kai/deployment, /app and /scope are for
// listing; an annotation of the same name has what cannot stand in a label.
//
// # Values
//
// Each is a key of the Secret's data: a text as it is, another kind as Reveal
// gives it, and the annotation secrets.kai/kinds says which kind. A value that is
// no such kind any more, because somebody has edited the Secret, is read as the
// text that it is. A name that cannot be a key is escaped, see dataKey.
//
// # Writes
//
// The version of a path is its Secret's resourceVersion, and the API server is
// who compares it. A path without values has no Secret. What others have put on a
// Secret, such as labels, annotations and owners, stays there.
//
// A write carries a random id in an annotation. When an answer is cut off, the
// store looks whether the Secret has that id: it never takes its own write for
// somebody else's.
//
// Kubernetes keeps no history.
package kubernetes

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// storeName is this kind of store's, in Abilities and in messages.
const storeName = "kubernetes"

// The defaults of Options.
const (
	DefaultPatience = 10 * time.Second
	DefaultTimeout  = 20 * time.Second
)

// Options say how a cluster is asked.
type Options struct {
	// Patience is how long a request is repeated while the API server is away.
	// The context's end bounds it, too.
	Patience time.Duration
	// Timeout bounds each request.
	Timeout time.Duration
}

// Store keeps secrets in the Secrets of a namespace. It implements secrets.Store.
// Its methods for a history say that there is none.
type Store struct {
	client    *http.Client
	base      string
	where     string // for messages
	namespace string
	patience  time.Duration
	timeout   time.Duration
	newID     func() string
	answered  atomic.Bool // something came from the cluster
}

var (
	_ secrets.Store     = (*Store)(nil)
	_ secrets.Historian = (*Store)(nil)
)

// New gives the store of a namespace, and connects to nothing yet. The client
// says who asks, base where the API server is. No redirect is followed.
func New(client *http.Client, base, namespace string, o Options) *Store {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s := &Store{
		client: &own, base: strings.TrimRight(base, "/"), where: "the cluster", namespace: namespace,
		patience: o.Patience, timeout: o.Timeout, newID: rand.Text,
	}
	if u, err := url.Parse(base); err == nil && u.Host != "" {
		s.where = "the cluster at " + u.Host
	}
	if s.patience <= 0 {
		s.patience = DefaultPatience
	}
	if s.timeout <= 0 {
		s.timeout = DefaultTimeout
	}
	return s
}

// Can implements secrets.Store.
func (s *Store) Can() secrets.Abilities {
	return secrets.Abilities{Name: storeName, Write: true, CAS: true, Encrypted: true}
}

// Close implements secrets.Store. The client is the caller's.
func (s *Store) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

// History implements secrets.Historian: it cannot.
func (s *Store) History(context.Context, secrets.Path) ([]secrets.Doc, error) {
	return nil, errNoHistory()
}

// At implements secrets.Historian: it cannot.
func (s *Store) At(context.Context, secrets.Path, string) (secrets.Doc, error) {
	return secrets.Doc{}, errNoHistory()
}

func errNoHistory() error {
	return &secrets.CannotError{Store: storeName, What: "give what was there before: Kubernetes keeps no history", Hint: "the stores sql and vault keep one"}
}
