// Package faultproxy stands between a client and an API server, and lets requests go wrong on command: answers of errors,
// delays, connections that end before a request is carried out or after. Clients come by the proxy's own kubeconfig.
package faultproxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// Rule says which requests go wrong, and how: with a delay, a status or a cut, or with a delay and one of the others.
type Rule struct {
	// Method is that of the requests, "" for any.
	Method string
	// Path matches the path and query of the requests; nil matches any.
	Path *regexp.Regexp
	// Times is how many requests the rule takes, 0 for all.
	Times int
	// For is how long the rule lasts from when it is added, 0 for ever.
	For time.Duration

	// Delay passes before all else.
	Delay time.Duration
	// Hold keeps the request back until it is closed; nil keeps nothing back.
	Hold <-chan struct{}
	// Status is answered in place of the API server, as it would answer itself.
	Status int
	// RetryAfter is the header of that name, in whole seconds; 0 for none.
	RetryAfter time.Duration
	// Cut ends the connection that the request came on, with all that it shares it with.
	Cut Cut
}

// Cut is when a connection ends.
type Cut int

// Before a request is carried out, and after it, so that only its answer is lost. A watch is never carried out, and After
// waits for it.
const (
	Never Cut = iota
	Before
	After
)

// Request is one that has come to the proxy.
type Request struct {
	Method, Path string
	// Fault is whether a rule took it.
	Fault bool
}

// Proxy is a running proxy. Its methods may be called at once.
type Proxy struct {
	// Kubeconfig is the text of one like that of the API server, but for the address.
	Kubeconfig []byte
	// URL is the address.
	URL string

	server *http.Server
	// withUser brings the user of the kubeconfig, plain only what a request brings itself.
	withUser, plain *httputil.ReverseProxy

	mu          sync.Mutex
	rules       []*rule
	requests    []Request
	connections map[net.Conn]bool
}

// rule is a Rule in use.
type rule struct {
	Rule
	taken int
	until time.Time // zero for ever
}

// Start starts a proxy on loopback for the API server of a kubeconfig, which must hold its keys itself. A request with a
// token of its own keeps it; any other is sent on as the kubeconfig's user.
func Start(kubeconfig []byte) (*Proxy, error) {
	config, err := parse(kubeconfig)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	certificate, authority, err := selfSigned()
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	p := &Proxy{URL: "https://" + listener.Addr().String(), connections: map[net.Conn]bool{}}
	p.Kubeconfig, err = config.at(p.URL, authority)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	p.withUser = reverse(config, config.certificates)
	p.plain = reverse(config, nil)
	p.server = &http.Server{
		Handler:     http.HandlerFunc(p.serve),
		TLSConfig:   &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connection{}, c) },
		ConnState:   p.keep,
		// Handshakes that clients give up, and what a cut does, are nobody's trouble.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { _ = p.server.ServeTLS(listener, "", "") }()
	return p, nil
}

func reverse(config config, certificates []tls.Certificate) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(config.server) },
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: config.roots, Certificates: certificates, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2: true,
		},
		FlushInterval: -1, // watches
		ErrorLog:      log.New(io.Discard, "", 0),
	}
}

// Add adds a rule. A request goes to the first rule that takes it, in the order in which they were added.
func (p *Proxy) Add(r Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	added := &rule{Rule: r}
	if r.For > 0 {
		added.until = time.Now().Add(r.For)
	}
	p.rules = append(p.rules, added)
}

// Clear drops all rules.
func (p *Proxy) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = nil
}

// CutAll ends all connections at once, also those of watches.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.connections {
		cut(c)
	}
}

// Requests gives those that have come so far.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Request(nil), p.requests...)
}

// Stop ends the proxy and all connections.
func (p *Proxy) Stop() error {
	err := p.server.Close()
	for _, proxy := range []*httputil.ReverseProxy{p.withUser, p.plain} {
		proxy.Transport.(*http.Transport).CloseIdleConnections()
	}
	return err
}

// connection is the key of a request's connection in its context.
type connection struct{}

func (p *Proxy) keep(c net.Conn, state http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch state {
	case http.StateNew:
		p.connections[c] = true
	case http.StateClosed, http.StateHijacked:
		delete(p.connections, c)
	}
}

// take finds the rule for a request and counts it.
func (p *Proxy) take(r *http.Request) (Rule, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, path := time.Now(), r.URL.RequestURI()
	for _, rule := range p.rules {
		if rule.Method != "" && rule.Method != r.Method || rule.Path != nil && !rule.Path.MatchString(path) ||
			rule.Times > 0 && rule.taken == rule.Times || !rule.until.IsZero() && now.After(rule.until) {
			continue
		}
		rule.taken++
		p.requests = append(p.requests, Request{r.Method, path, true})
		return rule.Rule, true
	}
	p.requests = append(p.requests, Request{r.Method, path, false})
	return Rule{}, false
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	rule, _ := p.take(r)
	select {
	case <-time.After(rule.Delay):
	case <-r.Context().Done():
		return
	}
	if rule.Hold != nil {
		select {
		case <-rule.Hold:
		case <-r.Context().Done():
			return
		}
	}
	switch {
	case rule.Cut == After:
		p.proxy(r).ServeHTTP(nowhere{http.Header{}}, r)
		fallthrough
	case rule.Cut == Before:
		cut(r.Context().Value(connection{}).(net.Conn))
		panic(http.ErrAbortHandler)
	case rule.Status != 0:
		answer(w, rule)
	default:
		p.proxy(r).ServeHTTP(w, r)
	}
}

func (p *Proxy) proxy(r *http.Request) *httputil.ReverseProxy {
	if r.Header.Get("Authorization") != "" {
		return p.plain
	}
	return p.withUser
}

// nowhere takes an answer that is lost.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n nowhere) WriteHeader(int)             {}

// cut ends a connection at once, as a machine that is gone.
func cut(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// reasons are the API server's words for its statuses.
var reasons = map[int]string{
	http.StatusForbidden:           "Forbidden",
	http.StatusConflict:            "Conflict",
	http.StatusTooManyRequests:     "TooManyRequests",
	http.StatusInternalServerError: "InternalError",
	http.StatusServiceUnavailable:  "ServiceUnavailable",
	http.StatusGatewayTimeout:      "Timeout",
}

// answer writes a Status of Kubernetes.
func answer(w http.ResponseWriter, rule Rule) {
	details := map[string]any{}
	w.Header().Set("Content-Type", "application/json")
	if rule.RetryAfter > 0 {
		seconds := int(rule.RetryAfter / time.Second)
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		details["retryAfterSeconds"] = seconds
	}
	w.WriteHeader(rule.Status)
	// A client that is gone by now needs no answer.
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": "Status", "apiVersion": "v1", "metadata": map[string]any{}, "status": "Failure", "details": details,
		"message": fmt.Sprintf("fault proxy: %s", http.StatusText(rule.Status)), "reason": reasons[rule.Status], "code": rule.Status,
	})
}

// selfSigned gives a certificate for loopback, which is its own authority, also in PEM.
func selfSigned() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, authority, nil
}
