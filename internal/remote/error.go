package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/helm-kai/helm-kai/internal/git"
)

// Reason says what kind of trouble there is.
type Reason string

// The reasons.
const (
	Invalid     Reason = "invalid"     // the source's text, or its pin
	Offline     Reason = "offline"     // the network is needed, and not allowed
	Unreachable Reason = "unreachable" // for now: another run may help
	Denied      Reason = "denied"      // credentials are missing or not taken
	NotFound    Reason = "not-found"
	Mismatch    Reason = "mismatch" // other bytes than a digest says
	TooLarge    Reason = "too-large"
	Refused     Reason = "refused" // not safe, or of a form that is not taken
	Local       Reason = "local"   // the cache cannot be used
)

// Error says why a tree cannot be had, and the way out. It never holds a
// credential.
type Error struct {
	Reason  Reason
	Source  string // the source's text, "" while it is not known
	Message string
	Hint    string
	// Cause is what a server, git or the system said, or nil.
	Cause error
}

// Error gives the source, the message and, on a line of its own, the hint.
func (e *Error) Error() string {
	text := e.Message
	if e.Source != "" {
		text = e.Source + ": " + text
	}
	if e.Cause != nil {
		text += ": " + clean(e.Cause.Error())
	}
	if e.Hint != "" {
		text += "\n  hint: " + e.Hint
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

var (
	userinfo = regexp.MustCompile(`://[^/@\s]+@`)
	// query is what addresses carry keys in that somebody has signed.
	query = regexp.MustCompile(`(://[^\s"'?]*)\?[^\s"']*`)
)

// clean gives what others said as one bounded line, without credentials and
// without what a terminal would obey.
func clean(text string) string {
	const most = 500
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return -1
	}, text)
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return query.ReplaceAllString(userinfo.ReplaceAllString(text, "://"), "$1")
}

// explain makes an *Error of what went wrong with a source. That the caller
// gave up stays as it is.
func explain(ctx context.Context, s Source, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e := word(err)
	if e.Source == "" {
		e.Source = s.String()
	}
	return e
}

func word(err error) *Error {
	var ours *Error
	var ofGit *git.Error
	var status *statusError
	var answer *errcode.ErrorResponse
	var certificate *tls.CertificateVerificationError
	var ofURL *url.Error
	var path *fs.PathError
	switch {
	case errors.As(err, &ours):
		copied := *ours
		return &copied
	case errors.As(err, &ofGit):
		return &Error{Reason: Reason(ofGit.Reason), Message: ofGit.Message, Hint: ofGit.Hint, Cause: ofGit.Cause}
	case errors.As(err, &status):
		return wordStatus(status.code, nil)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return wordStatus(http.StatusUnauthorized, nil)
	case errors.As(err, &answer):
		var said error
		if len(answer.Errors) > 0 {
			said = answer.Errors[0]
		}
		return wordStatus(answer.StatusCode, said)
	case errors.Is(err, content.ErrMismatchedDigest), errors.Is(err, content.ErrTrailingData):
		return &Error{Reason: Mismatch, Message: "sends other bytes than their digest says", Hint: "something on the way changes them, or the registry is damaged"}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Reason: Unreachable, Message: "does not answer in time", Hint: "try again later"}
	case errors.As(err, &certificate):
		return &Error{Reason: Denied, Message: "the server's certificate is not trusted", Hint: "add its authority to those that the system trusts", Cause: certificate.Err}
	case errors.As(err, &path):
		return &Error{Reason: Refused, Message: "cannot be read", Cause: err}
	case errors.As(err, &ofURL):
		err = ofURL.Err
	}
	return &Error{Reason: Unreachable, Message: "cannot be fetched", Cause: err}
}

// wordStatus words an answer that is not what was asked for.
func wordStatus(code int, said error) *Error {
	e := &Error{Reason: Unreachable, Message: fmt.Sprintf("the server answers %d %s", code, http.StatusText(code)), Cause: said}
	switch {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		e.Reason, e.Hint = Denied, "log in: helm registry login or docker login for a registry, helm repo add for a chart repository; a misspelt address may look the same"
	case code == http.StatusNotFound || code == http.StatusGone:
		e.Reason, e.Hint = NotFound, "is the address right, and is it still there? without credentials, private ones look the same"
	case temporaryStatus(code):
		e.Hint = "try again later"
	default:
		e.Reason = Refused
	}
	return e
}
