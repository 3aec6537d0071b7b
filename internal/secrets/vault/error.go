package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// Kind says what a caller may do about an error.
type Kind uint8

// The kinds of errors.
const (
	Refused Kind = iota // it will be so again
	Away                // Vault does not answer, is overloaded or fails: later, perhaps
	Sealed              // sealed, or not initialized: somebody has to do something
	Denied              // a policy lacks something
	Expired             // the token, or what it was got with, has ended
	Unsure              // a write was cut off: it may have been done, or not
)

// Error is what Vault, or the way there, did not do. Its text holds no secret.
type Error struct {
	Kind Kind
	Text string
	Hint string
	// lasting says that it was found here, before anything was asked.
	lasting bool
}

// Lasting says whether asking again cannot help, whatever Vault does meanwhile:
// what is to log in cannot be read.
func (e *Error) Lasting() bool { return e.lasting }

// Denied says whether Vault has answered, and refuses who asks.
func (e *Error) Denied() bool { return e.Kind == Denied || e.Kind == Expired }

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Text
	}
	return e.Text + "\n  hint: " + e.Hint
}

// failure is an error, and what to do next.
type failure struct {
	Error
	again  bool // asking again may help
	undone bool // what was asked for was certainly not done
	nobody bool // nothing is there that could answer
	status int
	said   string // by Vault
	asked  call
}

// judge says what an error of the library means. The library's texts hold the
// body of what is no JSON, and JSON's hold parts of it: both are not shown.
func (c *Client) judge(asked call, err error) failure {
	doing := fmt.Sprintf("%s %s in Vault at %s", asked.doing, asked.path, c.options.Address)
	f := failure{asked: asked}
	var answer *api.ResponseError
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &answer):
		f.status = answer.StatusCode
		if !answer.RawError {
			f.said = c.clean(strings.Join(answer.Errors, "; "), asked.hidden)
		}
		c.judgeStatus(&f, doing, answer)
	case errors.Is(err, errTooBig):
		f.Text, f.Hint = doing+": "+errTooBig.Error(), "nothing that large belongs there; is it the address of Vault?"
	case errors.As(err, &syntax), errors.As(err, &wrong):
		f.Text, f.Hint = doing+": the answer is none of Vault", "is it the address of Vault, and not of something before it?"
	default:
		c.judgeNetwork(&f, doing, err)
	}
	return f
}

func (c *Client) judgeStatus(f *failure, doing string, answer *api.ResponseError) {
	f.Text = fmt.Sprintf("%s: it answers %d %s", doing, f.status, http.StatusText(f.status))
	if f.said != "" {
		f.Text = doing + ": " + f.said
	}
	switch f.status {
	case http.StatusForbidden:
		f.undone = true
		if has(f.said, "invalid token", "bad token", "token expired") {
			f.Kind, f.Text = Expired, doing+": the token has expired, was revoked or is used up"
			f.Hint = "get a new one, or log in by AppRole, Kubernetes or JWT, which kai repeats by itself"
			return
		}
		f.Kind, f.Text = Denied, doing+": permission denied"
		f.Hint = "no policy of the token has: " + rule(f.asked.path, f.asked.needs)
	case http.StatusPreconditionFailed:
		// A node that has not seen yet what another did.
		f.Kind, f.again, f.undone = Away, true, true
	case http.StatusTooManyRequests:
		f.Kind, f.again, f.undone = Away, true, true
		f.Text = doing + ": it has too many requests"
		f.Hint = "ask again later, or raise the rate limit of the path (vault read sys/quotas/rate-limit/NAME)"
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if has(f.said, "malformed json") || tooLarge(f.said) {
			f.undone = true // it would say so again
			return
		}
		f.Kind, f.again = Away, true
		if has(f.said, "vault is sealed") {
			f.Kind = Sealed
		}
		if has(f.said, "active cluster node not found") {
			f.Text = fmt.Sprintf("Vault at %s is a standby node and knows no active one", c.options.Address)
			f.Hint = "look at the other nodes: vault operator members"
		}
	case http.StatusBadRequest:
		f.undone = true
		switch {
		case has(f.said, "upgrading from non-versioned to versioned"):
			f.Kind, f.again = Away, true
		case answer.RawError && strings.HasPrefix(c.options.Address, "http://") && has(strings.Join(answer.Errors, ""), "http request to an https server"):
			f.Text, f.Hint = fmt.Sprintf("Vault at %s speaks TLS", c.options.Address), "write the address with https://"
		}
	default:
		f.undone = f.status < 500
	}
}

func (c *Client) judgeNetwork(f *failure, doing string, err error) {
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err
	}
	var dial *net.OpError
	var name *net.DNSError
	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var untrusted *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	f.Kind, f.again = Away, true
	at := "Vault at " + c.options.Address
	switch {
	case errors.As(err, &name):
		f.undone, f.nobody = true, name.IsNotFound
		f.Text, f.Hint = fmt.Sprintf("%s: there is no host %s", at, name.Name), "check the address"
	case errors.Is(err, syscall.ECONNREFUSED):
		f.undone, f.nobody = true, true
		f.Text, f.Hint = at+" refuses the connection", "is it running, and is this its address?"
	case errors.As(err, &dial) && dial.Op == "dial":
		f.undone = true
		f.Text, f.Hint = fmt.Sprintf("%s cannot be reached: %v", at, dial.Err), "check the address, and whether a firewall is between"
	case errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &untrusted):
		f.Kind, f.again, f.undone = Refused, false, true
		f.Text, f.Hint = fmt.Sprintf("%s is not trusted: %v", at, err), "give the authority that signed its certificate, or the server name that this is for"
	case errors.As(err, &header), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		f.Kind, f.again, f.undone = Refused, false, true
		f.Text, f.Hint = at+" does not speak TLS", "write the address with http:// if that is meant"
	case strings.Contains(err.Error(), "remote error: tls:"):
		f.Kind, f.again, f.undone = Refused, false, true
		f.Text, f.Hint = fmt.Sprintf("%s refuses the connection: %s", at, c.clean(err.Error(), f.asked.hidden)), "it may want a client's certificate"
	case errors.Is(err, context.DeadlineExceeded):
		f.Text, f.Hint = fmt.Sprintf("%s: no answer within %v", doing, c.options.Timeout), "is it overloaded?"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		f.Text = doing + ": the connection was cut"
	default:
		f.Text = doing + ": " + c.clean(err.Error(), f.asked.hidden)
	}
}

// explain gives what is said at the end.
func (c *Client) explain(ctx context.Context, f failure) error {
	if f.status == http.StatusServiceUnavailable || f.Kind == Sealed {
		c.explainSeal(ctx, &f)
	}
	if f.asked.once && !f.undone && f.Kind != Refused {
		f.Kind = Unsure
	}
	return &f.Error
}

// explainSeal asks, once and without a token, why nothing is served.
func (c *Client) explainSeal(ctx context.Context, f *failure) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	status, err := c.base.Sys().SealStatusWithContext(ctx)
	switch {
	case err == nil && !status.Initialized:
		f.Kind, f.Text = Sealed, fmt.Sprintf("Vault at %s is not initialized", c.options.Address)
		f.Hint = "initialize it: vault operator init"
	case f.Kind == Sealed, err == nil && status.Sealed:
		f.Kind, f.Text = Sealed, fmt.Sprintf("Vault at %s is sealed", c.options.Address)
		f.Hint = "unseal it: vault operator unseal"
	}
}

// tooLarge says whether Vault has refused something for its size.
func tooLarge(said string) bool {
	return has(said, "exceeds allowed", "request body too large", "value being too large")
}

// has says whether a text contains one of the parts, in whatever case.
func has(text string, parts ...string) bool {
	text = strings.ToLower(text)
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// tokens are what Vault's tokens look like, old and new.
var tokens = regexp.MustCompile(`\b(hv[sbr]|[sbr])\.[A-Za-z0-9_-]{20,}`)

// maxSaid bounds what is repeated of an answer.
const maxSaid = 300

// clean gives what Vault said in one line, without the frame that it puts around
// lists, and without secrets.
func (c *Client) clean(text string, hidden []secrets.Value) string {
	for _, v := range hidden {
		if secret := v.Reveal(); len(secret) >= 4 {
			text = strings.ReplaceAll(text, secret, secrets.Masked)
		}
	}
	text = tokens.ReplaceAllString(text, secrets.Masked)
	text = strings.Join(strings.Fields(strings.ToValidUTF8(strings.Map(printable, text), "")), " ")
	if _, rest, ok := strings.Cut(text, "occurred: * "); ok {
		text = strings.ReplaceAll(rest, " * ", "; ")
	}
	if runes := []rune(text); len(runes) > maxSaid {
		text = string(runes[:maxSaid]) + "…"
	}
	return text
}

// printable makes control characters blanks.
func printable(r rune) rune {
	if r < ' ' || r >= 0x7f && r < 0xa0 {
		return ' '
	}
	return r
}
