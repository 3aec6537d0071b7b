package vault

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// TLS says whom to trust. Its zero value trusts whom the system trusts.
type TLS struct {
	CAFile     string // authorities in PEM, instead of the system's
	CA         []byte // such, beside those of CAFile
	ServerName string // that the certificate is for, where it is not the address's
	// The client's own certificate, in PEM: as files, or as texts.
	CertFile, KeyFile string
	Cert              []byte
	Key               secrets.Value
}

// config reads the files.
func (t TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	authorities := t.CA
	if t.CAFile != "" {
		more, err := readFile(t.CAFile)
		if err != nil {
			return nil, &Error{Text: fmt.Sprintf("the authorities for Vault: %v", err), Hint: "name a file in PEM"}
		}
		authorities = append(append(bytes.Clone(authorities), '\n'), more...)
	}
	if len(authorities) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, &Error{Text: "the authorities for Vault hold no certificate", Hint: "give certificates in PEM, which begin with -----BEGIN CERTIFICATE-----"}
		}
	}
	cert, key := t.Cert, []byte(t.Key.Reveal())
	if t.CertFile != "" || t.KeyFile != "" {
		var errs [2]error
		cert, errs[0] = readFile(t.CertFile)
		key, errs[1] = readFile(t.KeyFile)
		if err := errors.Join(errs[:]...); err != nil {
			return nil, &Error{Text: fmt.Sprintf("the client's certificate for Vault: %v", err), Hint: "name two files in PEM, of the certificate and of its key"}
		}
	}
	if len(cert) > 0 || len(key) > 0 {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, &Error{Text: "the client's certificate for Vault and its key are no pair in PEM", Hint: "give both, the certificate first with those that signed it after"}
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// maxFile bounds what is read of a file: a token, a certificate.
const maxFile = 1 << 20

func readFile(name string) ([]byte, error) { return secrets.ReadFile(name, maxFile) }

func newTransport(t TLS) (*http.Transport, error) {
	config, err := t.config()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config
	transport.MaxIdleConnsPerHost = width
	transport.MaxResponseHeaderBytes = 1 << 20
	return transport, nil
}

// maxAnswer bounds an answer: eight of them at once must fit into memory.
const maxAnswer = 16 << 20

var errTooBig = fmt.Errorf("the answer has more than %d MiB", maxAnswer>>20)

// limited refuses answers that are too big, and takes notes.
type limited struct{ next http.RoundTripper }

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if n, ok := r.Context().Value(noteKey{}).(*note); ok {
		n.retryAfter = 0
		if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16); err == nil {
			n.retryAfter = time.Duration(seconds) * time.Second
		}
	}
	if resp.ContentLength > maxAnswer {
		resp.Body.Close()
		return nil, errTooBig
	}
	resp.Body = &bounded{ReadCloser: resp.Body, left: maxAnswer}
	return resp, nil
}

// bounded fails where more comes than may.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooBig
	}
	return n, err
}

// note is what an answer says beside its body.
type note struct{ retryAfter time.Duration }

type noteKey struct{}

func withNote(ctx context.Context, n *note) context.Context {
	return context.WithValue(ctx, noteKey{}, n)
}

// jitter spreads those who wait, by a quarter.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2)
}

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
