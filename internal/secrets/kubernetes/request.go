package kubernetes

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// maxAnswer bounds an answer.
const maxAnswer = 16 << 20

// maxMessage bounds what is shown of an API server's words.
const maxMessage = 500

// Kind says what a caller may do about an Error.
type Kind uint8

// The kinds of errors.
const (
	Refused Kind = iota // it will be so again
	Away                // the API server does not answer, is overloaded or fails: later, perhaps
	Denied              // a role lacks something
	Unsure              // a write was cut off: it may have been done, or not
)

// Error is what a cluster, or the way there, did not do. Its text holds no value.
type Error struct {
	Kind   Kind
	Text   string
	Hint   string
	reason string // the API server's
	// lasting says that it was found here, before anything was asked.
	lasting bool
}

// Lasting says whether asking again cannot help: this is no pod.
func (e *Error) Lasting() bool { return e.lasting }

// Denied says whether the cluster has answered, and refuses who asks.
func (e *Error) Denied() bool { return e.Kind == Denied }

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Text
	}
	return e.Text + "\n  hint: " + e.Hint
}

// reasonOf gives the API server's reason for an error, "" where there is none.
func reasonOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.reason
	}
	return ""
}

func kindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Refused
}

// The reasons that this package acts on, as the API has them.
const (
	notFound      = "NotFound"
	alreadyExists = "AlreadyExists"
	conflict      = "Conflict"
	expired       = "Expired"
)

// call is a request, and how errors speak of it.
type call struct {
	verb, resource  string // as a Role has them
	namespace, name string
	query           url.Values
	accept          string
	body            []byte
	role            func() string            // the one that allows it
	hidden          map[string]secrets.Value // what no error may show
}

func (c call) method() string {
	switch c.verb {
	case "create":
		return http.MethodPost
	case "update":
		return http.MethodPut
	case "delete":
		return http.MethodDelete
	}
	return http.MethodGet
}

func (c call) writes() bool { return c.method() != http.MethodGet }

func (c call) path() string {
	path := "/api/v1/namespaces/" + url.PathEscape(c.namespace) + "/" + c.resource
	if c.name != "" && c.verb != "create" {
		path += "/" + url.PathEscape(c.name)
	}
	if len(c.query) > 0 {
		path += "?" + c.query.Encode()
	}
	return path
}

// String says what is done, for messages.
func (c call) String() string {
	if c.name == "" {
		return fmt.Sprintf("%s %s in the namespace %s", c.verb, c.resource, c.namespace)
	}
	return fmt.Sprintf("%s the %s %s in the namespace %s", c.verb, map[string]string{"secrets": "Secret", "configmaps": "ConfigMap"}[c.resource], c.name, c.namespace)
}

// failure is an error, and what to do next.
type failure struct {
	Error
	again  bool // asking again may help
	undone bool // what was asked for was certainly not done
	nobody bool // nothing is there that could answer
	after  time.Duration
}

// do sends a request until it is answered, refused, or the patience is at its
// end, which it soon is where nothing has ever answered. A write is repeated only
// where it was certainly not done; else the error is of the kind Unsure.
func (s *Store) do(ctx context.Context, c call) ([]byte, error) {
	begin := time.Now()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		body, f := s.once(ctx, c)
		if f == nil {
			return body, nil
		}
		if ctx.Err() != nil {
			doubt := ""
			if c.writes() && !f.undone {
				doubt = ", and whether it was done is not known"
			}
			return nil, fmt.Errorf("%s: %s: %w%s", s.where, c, context.Cause(ctx), doubt)
		}
		if f.again && c.writes() && !f.undone {
			f.Kind = Unsure
		}
		limit := s.patience
		if f.nobody && !s.answered.Load() {
			limit = min(limit, firstContact) // the address may be wrong
		}
		pause := max(wait*3/4+rand.N(wait/2), f.after)
		if !f.again || f.Kind == Unsure || time.Since(begin)+pause > limit || !sleep(ctx, pause) {
			return nil, &f.Error
		}
	}
}

// once sends a request once.
func (s *Store) once(ctx context.Context, c call) ([]byte, *failure) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, c.method(), s.base+c.path(), bytes.NewReader(c.body))
	if err != nil {
		return nil, &failure{Error: Error{Text: s.where + ": its address is no URL", lasting: true}, undone: true}
	}
	request.Header.Set("Accept", "application/json")
	if c.accept != "" {
		request.Header.Set("Accept", c.accept)
	}
	if c.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("User-Agent", "kai")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, s.judgeNetwork(c, err)
	}
	s.answered.Store(true)
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, s.judgeNetwork(c, err)
	case len(body) > maxAnswer:
		return nil, s.refuse(c, "the answer is larger than 16 MiB", "nothing that large belongs there; is it the address of a cluster?")
	case response.StatusCode < 200 || response.StatusCode > 299:
		return nil, s.judgeStatus(c, response, body)
	}
	return body, nil
}

// refuse is a failure that repeating does not help.
func (s *Store) refuse(c call, text, hint string) *failure {
	return &failure{Error: Error{Text: fmt.Sprintf("%s: %s: %s", s.where, c, text), Hint: hint}}
}

// status is an answer that is no success.
type status struct {
	Kind    string `json:"kind"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Details struct {
		Kind   string `json:"kind"`
		Causes []struct {
			Reason string `json:"reason"`
		} `json:"causes"`
		RetryAfterSeconds int `json:"retryAfterSeconds"`
	} `json:"details"`
}

// judgeStatus says what an answer means. The text of what is no answer of an API
// server is not shown.
func (s *Store) judgeStatus(c call, response *http.Response, body []byte) *failure {
	var said status
	if json.Unmarshal(body, &said) != nil || said.Kind != "Status" {
		said = status{}
	}
	code := response.StatusCode
	f := s.refuse(c, fmt.Sprintf("it answers %d %s", code, http.StatusText(code)), "")
	if said.Message != "" {
		f = s.refuse(c, clean(said.Message, c.hidden), "")
	}
	f.reason = said.Reason
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	f.after = time.Duration(max(seconds, said.Details.RetryAfterSeconds, 0)) * time.Second
	switch {
	case code == http.StatusUnauthorized:
		f.undone, f.Kind = true, Denied
		f.Hint = "the cluster does not know who asks: log in again, or name another kubeconfig context"
	case code == http.StatusForbidden:
		s.forbidden(c, said, f)
	case code == http.StatusNotFound && said.Details.Kind == "namespaces":
		f.reason, f.undone = "", true
		f.Hint = "make the namespace: kubectl create namespace " + c.namespace
	case tooLarge(code, said.Message):
		f.undone, f.again = true, false
		f.reason = "TooLarge"
	case code == http.StatusTooManyRequests:
		f.Kind, f.again, f.undone = Away, true, true
	case code >= 500:
		f.Kind, f.again = Away, true
	case said.Kind == "":
		f.Hint = "is it the address of a cluster, and not of something before it?"
	}
	return f
}

// tooLarge says whether an object is more than the API server, or what stores
// its objects, takes.
func tooLarge(code int, message string) bool {
	return code == http.StatusRequestEntityTooLarge || code >= 500 && (strings.Contains(message, "request is too large") || strings.Contains(message, "message larger than max"))
}

func (s *Store) forbidden(c call, said status, f *failure) {
	f.Kind, f.undone = Denied, true
	for _, cause := range said.Details.Causes {
		if cause.Reason == "NamespaceTerminating" {
			f.Text = fmt.Sprintf("%s: %s: the namespace is being deleted", s.where, c)
			f.Hint = "wait for its end, and make it anew"
			return
		}
	}
	// These are the API server's words for every authorizer, and name the user. What
	// else is forbidden, by a quota or an admission plugin, no Role allows.
	if !strings.Contains(said.Message, fmt.Sprintf("cannot %s resource", c.verb)) {
		return
	}
	f.Hint = fmt.Sprintf("the verb %s on %s is missing; this Role has it, which a RoleBinding gives to who asks:\n%s", c.verb, c.resource, indent(c.role()))
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
}

// clean gives what an API server says as one line, without values.
func clean(message string, hidden map[string]secrets.Value) string {
	for _, v := range hidden {
		if text := v.Reveal(); len(text) > 3 {
			message = strings.ReplaceAll(message, text, secrets.Masked)
			message = strings.ReplaceAll(message, base64.StdEncoding.EncodeToString([]byte(text)), secrets.Masked)
		}
	}
	message = strings.Join(strings.Fields(message), " ")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	return message
}

// judgeNetwork says what an error before, or in the midst of, an answer means.
func (s *Store) judgeNetwork(c call, err error) *failure {
	// What url.Error says quotes the address.
	if inURL := (*url.Error)(nil); errors.As(err, &inURL) {
		err = inURL.Err
	}
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		plain   tls.RecordHeaderError
		name    *net.DNSError
		dial    *net.OpError
		file    *tokenError
	)
	switch {
	case errors.As(err, &file):
		f := s.refuse(c, file.Error(), "is the pod's service account mounted (automountServiceAccountToken)?")
		f.undone = true
		return f
	case errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid):
		return s.refuse(c, err.Error(), "give the CA of the cluster's certificate, and the name that this has")
	case errors.As(err, &plain):
		return s.refuse(c, "it does not speak TLS", "check the address")
	case errors.As(err, &name) && name.IsNotFound:
		return s.refuse(c, fmt.Sprintf("there is no host %s", name.Name), "check the address")
	}
	f := s.refuse(c, "", "is the cluster up, and its address right?")
	f.Kind, f.again = Away, true
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		f.nobody = true
		f.Text += "the connection is refused"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, http.ErrHandlerTimeout):
		f.Text += "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		f.Text += "the connection was lost"
	default:
		f.Text += clean(err.Error(), c.hidden)
	}
	f.undone = errors.As(err, &dial) && dial.Op == "dial"
	return f
}

// firstContact is enough for another question or two.
const firstContact = 200 * time.Millisecond

// sleep says false where the context ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
