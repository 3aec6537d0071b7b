package kubernetes

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// serviceAccount is where a pod finds who it is.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// InCluster gives what New needs in a pod: who its service account is, where the
// API server is by the variables that every pod has, and the pod's namespace. The
// token's file is read for every request, since the kubelet renews it.
func InCluster() (client *http.Client, base, namespace string, err error) {
	return inCluster(serviceAccount, os.Getenv)
}

func inCluster(dir string, getenv func(string) string) (*http.Client, string, string, error) {
	fail := func(text string) (*http.Client, string, string, error) {
		return nil, "", "", &Error{Text: "this is no pod with a service account: " + text, Hint: "outside of a cluster name a kubeconfig; in a pod set automountServiceAccountToken", lasting: true}
	}
	host, port := getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return fail("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not both set")
	}
	token := filepath.Join(dir, "token")
	if _, err := readToken(token); err != nil {
		return fail(err.Error())
	}
	authorities, err := readSmall(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return fail(err.Error())
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authorities) {
		return fail(filepath.Join(dir, "ca.crt") + " holds no certificate")
	}
	namespace, err := readSmall(filepath.Join(dir, "namespace"))
	if err != nil {
		return fail(err.Error())
	}
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		MaxIdleConnsPerHost: width,
		ForceAttemptHTTP2:   true,
	}
	return &http.Client{Transport: &bearer{transport, token}}, "https://" + net.JoinHostPort(host, port), strings.TrimSpace(string(namespace)), nil
}

// bearer says who asks by the token of a file.
type bearer struct {
	next *http.Transport
	file string
}

// RoundTrip implements http.RoundTripper.
func (b *bearer) RoundTrip(request *http.Request) (*http.Response, error) {
	token, err := readToken(b.file)
	if err != nil {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return nil, err
	}
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+token)
	return b.next.RoundTrip(request)
}

// CloseIdleConnections is what http.Client asks for.
func (b *bearer) CloseIdleConnections() { b.next.CloseIdleConnections() }

// tokenError says that the token cannot be read.
type tokenError struct{ text string }

func (e *tokenError) Error() string { return e.text }

func readToken(file string) (string, error) {
	data, err := readSmall(file)
	if err != nil {
		return "", &tokenError{err.Error()}
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsAny(token, " \r\n\t") {
		return "", &tokenError{file + " holds no token"}
	}
	return token, nil
}

// maxSmall bounds the files of a service account.
const maxSmall = 1 << 20

func readSmall(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", file, reason(err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSmall+1))
	if err == nil && len(data) > maxSmall {
		err = fmt.Errorf("it is larger than %d bytes", maxSmall)
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", file, reason(err))
	}
	return data, nil
}

// reason gives an error without the file's name.
func reason(err error) error {
	if in := (*os.PathError)(nil); errors.As(err, &in) {
		return in.Err
	}
	return err
}
