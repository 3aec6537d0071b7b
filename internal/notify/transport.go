package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// The bounds on sending. A notification is not worth more of a command's time.
const (
	maxAttempts = 5
	maxWait     = time.Minute     // between two attempts
	maxTime     = 2 * time.Minute // from the first attempt to the beginning of the last
	maxAnswer   = 1 << 20
	firstWait   = 500 * time.Millisecond
	timeout     = 30 * time.Second
)

// transport sends requests, and again where the other side asks for patience or
// has a fault that may pass.
type transport struct {
	client *http.Client
	sleep  func(context.Context, time.Duration) error
	now    func() time.Time
}

// newTransport takes a client, or the default one. It follows no redirect: a
// message would go to an address that nobody has named.
func newTransport(client *http.Client) *transport {
	c := http.Client{Timeout: timeout}
	if client != nil {
		c = *client
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &transport{client: &c, sleep: sleep, now: time.Now}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Do sends a request, several times if need be. The answer's body is bounded.
// The answer is the last one where attempts or patience are used up. An error
// does not hold the URL.
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		_ = req.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	start, backoff := t.now(), firstWait
	for attempt := 1; ; attempt++ {
		again := req.Clone(ctx)
		if req.Body != nil {
			again.Body, again.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		resp, err := t.client.Do(again)
		if resp != nil {
			resp.Body = limited{io.LimitReader(resp.Body, maxAnswer), resp.Body}
		}
		if ctx.Err() != nil {
			if resp != nil {
				resp.Body.Close()
			}
			return nil, ctx.Err()
		}
		wait, retry := t.patience(resp, err, backoff)
		if !retry || attempt == maxAttempts || wait > maxWait || t.now().Sub(start)+wait > maxTime {
			return resp, withoutURL(err)
		}
		if resp != nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if err := t.sleep(ctx, wait); err != nil {
			return nil, err
		}
		backoff *= 2
	}
}

// patience says whether it is worth to try again, and after what time: what the
// other side asks for, or else backoff.
func (t *transport) patience(resp *http.Response, err error, backoff time.Duration) (time.Duration, bool) {
	switch {
	case err != nil:
		// A connection that did not come about or broke. What the name or the
		// certificate says does not pass.
		return backoff, temporary(err)
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusServiceUnavailable:
		return t.retryAfter(resp.Header.Get("Retry-After"), backoff), true
	case resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented:
		return backoff, true
	}
	return 0, false
}

// retryAfter reads the header of RFC 9110, 10.2.3: seconds or a date.
func (t *transport) retryAfter(header string, otherwise time.Duration) time.Duration {
	header = strings.TrimSpace(header)
	if n, err := strconv.ParseUint(header, 10, 31); err == nil {
		return max(time.Duration(n)*time.Second, firstWait)
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(t.now()), firstWait)
	}
	return otherwise
}

func temporary(err error) bool {
	var slow interface{ Timeout() bool }
	if errors.As(err, &slow) && slow.Timeout() {
		return true
	}
	for _, passing := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// withoutURL takes an address out of an error of the client.
func withoutURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// limited is an answer's body of which no more than a bound is read.
type limited struct {
	io.Reader
	io.Closer
}

// addresses finds URLs that say more than a host.
var addresses = regexp.MustCompile(`(https?://[^/\s"'?#@]+)[/?#@][^\s"']*`)

// discreet words an error of sending without the secrets that took part, and
// without addresses. What ended the context stays what it is.
func discreet(who string, err error, hidden ...secrets.Value) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", who, err)
	}
	text := addresses.ReplaceAllString(err.Error(), "$1/…")
	for _, v := range hidden {
		for _, form := range []string{v.Reveal(), url.QueryEscape(v.Reveal()), url.PathEscape(v.Reveal())} {
			if form != "" {
				text = strings.ReplaceAll(text, form, secrets.Masked)
			}
		}
	}
	return fmt.Errorf("%s: %s", who, text)
}

// partsOf gives what may be secret of an address: all behind the host, whole and
// in pieces that are long enough to be a token.
func partsOf(u *url.URL) []secrets.Value {
	const shortest = 8
	texts := []string{u.String(), u.RequestURI(), u.Path, u.RawQuery, u.Fragment}
	texts = append(texts, strings.Split(u.Path, "/")...)
	for _, values := range u.Query() {
		texts = append(texts, values...)
	}
	var out []secrets.Value
	slices.SortFunc(texts, func(a, b string) int { return len(b) - len(a) })
	for _, text := range texts {
		if len(text) >= shortest {
			out = append(out, secrets.New(text))
		}
	}
	return out
}

// word gives what the other side says of a request that it does not take: the
// status, and its text's first line.
func word(resp *http.Response) string {
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	text, _, _ := strings.Cut(strings.TrimSpace(string(data)), "\n")
	if text == "" || strings.HasPrefix(text, "<") {
		return resp.Status
	}
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return resp.Status + ": " + text
}
