package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/helm-kai/helm-kai/internal/git"
)

// newClient gives the client for registries and chart repositories.
func (f *Fetcher) newClient() *http.Client {
	transport := f.options.Transport
	if transport == nil {
		transport = &http.Transport{
			ForceAttemptHTTP2:     true,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: time.Minute,
			IdleConnTimeout:       10 * time.Second,
		}
	}
	return &http.Client{Transport: &guard{transport, f.allowsPlain}, CheckRedirect: f.checkRedirect}
}

// guard lets no request go out in the clear that may not, and makes an error of
// answers that may be others the next time.
type guard struct {
	transport   http.RoundTripper
	allowsPlain func(host string) bool
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme != "https" && !g.allowsPlain(request.URL.Host) {
		return nil, inTheClear(request.URL.Host)
	}
	response, err := g.transport.RoundTrip(request)
	if err != nil || !temporaryStatus(response.StatusCode) {
		return response, err
	}
	err = &statusError{response.StatusCode, retryAfter(response.Header)}
	return nil, errors.Join(err, response.Body.Close())
}

func inTheClear(host string) error {
	return &Error{Reason: Refused, Message: fmt.Sprintf("%s is to be spoken to without TLS", host), Hint: "write https; or allow plain HTTP for this host, if nobody else can listen"}
}

// allowsPlain says whether a host may be spoken to without TLS.
func (f *Fetcher) allowsPlain(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	return isLoopback(name) || slices.Contains(f.options.PlainHTTP, host) || slices.Contains(f.options.PlainHTTP, name)
}

func isLoopback(host string) bool {
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkRedirect follows some redirects, never out of TLS, and takes no
// credentials along to another server.
func (f *Fetcher) checkRedirect(request *http.Request, via []*http.Request) error {
	last := via[len(via)-1].URL
	switch {
	case len(via) > f.options.Limits.Redirects:
		return &Error{Reason: Refused, Message: fmt.Sprintf("redirects more often than the bound of %d times", f.options.Limits.Redirects)}
	case last.Scheme == "https" && request.URL.Scheme != "https":
		return &Error{Reason: Refused, Message: fmt.Sprintf("redirects from TLS to %s in the clear", request.URL.Host)}
	}
	if !sameServer(via[0].URL, request.URL) {
		for _, name := range []string{"Authorization", "Cookie", "Referer"} {
			request.Header.Del(name)
		}
	}
	return nil
}

// sameServer says whether two addresses are of one server.
func sameServer(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		if u.Port() == "" {
			return map[string]string{"https": "443", "http": "80"}[u.Scheme]
		}
		return u.Port()
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// login is who asks.
type login struct{ user, password string }

// get downloads a file of a bounded size.
func (f *Fetcher) get(ctx context.Context, address string, who *login, what string, limit int64) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if who != nil {
		request.SetBasicAuth(who.user, who.password)
	}
	response, err := f.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, &statusError{code: response.StatusCode}
	}
	large := tooLarge("%s is larger than the bound of %s", what, bytesText(limit))
	if response.ContentLength > limit {
		return nil, large
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, large
	}
	return data, err
}

// statusError is an answer that is not what was asked for.
type statusError struct {
	code  int
	after time.Duration // when to ask again, 0 if the server does not say
}

func (e *statusError) Error() string { return fmt.Sprintf("%d %s", e.code, http.StatusText(e.code)) }

func temporaryStatus(code int) bool {
	switch code {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryAfter reads the header of that name, seconds or a date.
func retryAfter(header http.Header) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 3600)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// maxWait is the longest time between two attempts.
const maxWait = 30 * time.Second

// attempt does something again that failed in a way that may pass.
func (f *Fetcher) attempt(ctx context.Context, do func(ctx context.Context) error) error {
	for n := 1; ; n++ {
		within, cancel := context.WithTimeout(ctx, f.options.Timeout)
		err := do(within)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil || n == f.options.Attempts || !temporary(err) {
			return err
		}
		wait := f.options.Backoff << (n - 1)
		if status := (*statusError)(nil); errors.As(err, &status) && status.after > wait {
			if status.after > maxWait {
				return err
			}
			wait = status.after
		}
		timer := time.NewTimer(min(wait, maxWait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// temporary says whether what went wrong may go well the next time.
func temporary(err error) bool {
	var ours *Error
	var ofGit *git.Error
	var status *statusError
	var name *net.DNSError
	var network net.Error
	switch {
	case errors.As(err, &ours):
		return ours.Reason == Unreachable
	case errors.As(err, &ofGit):
		return ofGit.Reason == git.Unreachable
	case errors.As(err, &status):
		return temporaryStatus(status.code)
	case errors.As(err, &name):
		return name.IsTemporary || name.IsTimeout
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EPIPE):
		return true
	}
	return errors.As(err, &network) && network.Timeout()
}
