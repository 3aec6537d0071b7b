package sql

import (
	"context"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// said is an error of ours, with the way out.
type said struct{ text, hint string }

func (e *said) Error() string { return e.text }

// noTLSHint is the way out where a server has no TLS.
const noTLSHint = "let the server have it; only where the network is trusted switch it off: KAI_SQL_TLS=" + NoTLS

// hintMark stands between an error and its way out.
const hintMark = "\n  hint: "

// failure is what the store hands out. Of its cause it only gives the end of a
// context, never the error of a driver, in whose fields more may stand than in
// its text.
type failure struct {
	text   string
	cause  error
	denied bool
}

func (e *failure) Error() string { return e.text }
func (e *failure) Unwrap() error { return e.cause }

// Denied says whether the server has answered, and refuses who asks.
func (e *failure) Denied() bool { return e.denied }

// settingError is about Options, before anything is asked of a database: it will
// be so however often it is tried.
type settingError struct{ err error }

func (e *settingError) Error() string { return e.err.Error() }

// Unwrap gives what is wrong.
func (e *settingError) Unwrap() error { return e.err }

// Lasting says true.
func (e *settingError) Lasting() bool { return true }

// judge says what an error means in every dialect.
func (s *Store) judge(err error) judgment {
	j := s.dialect.judge(err)
	if j != (judgment{}) {
		return j
	}
	var (
		ours    *said
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		name    *net.DNSError
		op      *net.OpError
		call    *os.SyscallError
	)
	switch {
	case errors.As(err, &ours):
		return judgment{text: ours.text, hint: ours.hint}
	case errors.Is(err, sql.ErrConnDone), errors.Is(err, driver.ErrBadConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return judgment{kind: lost, text: "the connection was lost"}
	case errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid):
		return judgment{hint: "give the CA of the server's certificate in KAI_SQL_CACERT, and address the server by the name that this has"}
	case errors.As(err, &name) && name.IsNotFound:
		return judgment{hint: "check the host"}
	case errors.As(err, &call), errors.As(err, &op), errors.Is(err, net.ErrClosed):
		return judgment{kind: lost}
	case strings.Contains(err.Error(), "server refused TLS connection"):
		return judgment{text: "the server has no TLS", hint: noTLSHint}
	}
	return judgment{}
}

// failed says an error: what failed, with what, and the way out.
func (s *Store) failed(ctx context.Context, what string, err error) error {
	var conflict *secrets.ConflictError
	var before *failure
	if err == nil || errors.As(err, &conflict) || errors.As(err, &before) {
		return err
	}
	j := s.judge(err)
	text := j.text
	if text == "" {
		text = err.Error()
	}
	var cause error
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		if ctx.Err() == end || errors.Is(err, end) {
			cause, text, j.hint = end, end.Error(), ""
		}
	}
	text = s.where + ": " + what + ": " + strings.Join(strings.Fields(text), " ")
	if j.hint != "" {
		text += hintMark + j.hint
	}
	if password := s.password.Reveal(); len(password) > 3 {
		text = strings.ReplaceAll(text, password, secrets.Masked)
	}
	return &failure{text, cause, j.kind == denied}
}

// The pauses between two tries.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// try does something until it works, as long as it fails for what passes: a lock
// of somebody else, a connection that has ended, a server that starts.
func (s *Store) try(ctx context.Context, what string, do func() error) error {
	begin := time.Now()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := do()
		if err == nil {
			return nil
		}
		if kind := s.judge(err).kind; kind != lost && kind != busy || ctx.Err() != nil || time.Since(begin)+pause > s.patience {
			return s.failed(ctx, what, err)
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return s.failed(ctx, what, ctx.Err())
		}
	}
}
