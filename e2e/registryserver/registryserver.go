//go:build unix

// Package registryserver runs a real OCI registry on loopback, as a process of its own in a folder that is its own: that of
// the distribution project.
package registryserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/e2e/child"
	"github.com/helm-kai/helm-kai/e2e/tools"
)

// The bounds of time, for a slow machine that does much else.
const (
	startWithin = time.Minute
	endWithin   = 20 * time.Second
)

// Who a registry with Login lets in.
const (
	User     = "example"
	Password = "example"
	// passwords is Password in the form of htpasswd -B.
	passwords = "example:$2a$04$P6hY/E1Xu3VpUTnGipAksOwzZT36ovHW.wIh88RZILov5gw.6qqKK\n"
)

// Options say what a registry is to be like.
type Options struct {
	Login bool // asks for User and Password
	TLS   bool
}

// Server is a registry that runs.
type Server struct {
	Host      string // 127.0.0.1:PORT
	Authority string // with TLS, the file of the certificate to trust

	dir     string
	client  *http.Client
	scheme  string
	process *child.Process
}

// Start starts a registry in a folder that holds no other. The context bounds the start alone; Stop ends it.
func Start(ctx context.Context, binary, dir string, o Options) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	s := &Server{dir: dir, scheme: "http", client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	if err := s.prepare(o); err != nil {
		return nil, fmt.Errorf("prepare a registry in %s: %w", dir, err)
	}
	var err error
	s.process, err = child.Start(child.Command{
		Args: []string{binary, "serve", filepath.Join(dir, "config.yaml")}, Dir: dir, Env: []string{"HOME=" + dir, "TMPDIR=" + dir, "OTEL_TRACES_EXPORTER=none"}, Log: filepath.Join(dir, "log"),
	})
	if err != nil {
		return nil, err
	}
	if err := s.wait(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// ForTest is a registry of a test's own, which ends with it. One that has ended earlier fails the test.
func ForTest(t testing.TB, cache tools.Cache, o Options) *Server {
	t.Helper()
	binary, err := cache.Get(t.Context(), tools.Registry())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(t.Context(), binary, t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// prepare writes the registry's files.
func (s *Server) prepare(o Options) error {
	// Nobody listens there just now.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Host = listener.Addr().String()
	if err := listener.Close(); err != nil {
		return err
	}
	text := fmt.Sprintf("version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp:\n  addr: %q\n  secret: example\n", filepath.Join(s.dir, "data"), s.Host)
	if o.TLS {
		if err := s.certificate(); err != nil {
			return err
		}
		text += fmt.Sprintf("  tls: {certificate: %q, key: %q}\n", s.Authority, filepath.Join(s.dir, "key.pem"))
	}
	if o.Login {
		path := filepath.Join(s.dir, "passwords")
		if err := os.WriteFile(path, []byte(passwords), 0o600); err != nil {
			return err
		}
		text += fmt.Sprintf("auth: {htpasswd: {realm: example, path: %q}}\n", path)
	}
	return os.WriteFile(filepath.Join(s.dir, "config.yaml"), []byte(text), 0o600)
}

// certificate writes the certificate and the key that the standard library has for servers of tests on loopback.
func (s *Server) certificate() error {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	s.scheme, s.client.Transport = "https", &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	s.Authority = filepath.Join(s.dir, "certificate.pem")
	return errors.Join(
		os.WriteFile(s.Authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600),
		os.WriteFile(filepath.Join(s.dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600),
	)
}

// Stop ends the process. It is an error if that had ended by itself.
func (s *Server) Stop() error { return s.process.End(syscall.SIGTERM, endWithin) }

// wait asks until there is an answer.
func (s *Server) wait(ctx context.Context) error {
	for {
		err := s.ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("wait for the registry: %w\n%s", err, s.tail())
		case <-s.process.Done():
			return fmt.Errorf("wait for the registry: it has ended: %w\n%s", s.process.Exit(), s.tail())
		}
	}
}

func (s *Server) ask(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.scheme+"://"+s.Host+"/v2/", nil)
	if err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// tail gives the end of the log.
func (s *Server) tail() string {
	data, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
