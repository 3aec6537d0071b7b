package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// The headers of a webhook's request.
const (
	// TimestampHeader holds the seconds since 1970 when the message was sent.
	TimestampHeader = "X-Kai-Timestamp"
	// SignatureHeader holds sha256=HEX, see Sign.
	SignatureHeader = "X-Kai-Signature"
	// DeliveryHeader holds an id of the message, the same in every attempt.
	DeliveryHeader = "X-Kai-Delivery"
)

// Sign gives the signature of a request: sha256= and the hexadecimal HMAC-SHA256
// of the timestamp, a full stop and the body. Who receives it makes the same and
// compares, and refuses a timestamp that is minutes old, so that a request that
// was caught is of no use later.
func Sign(secret secrets.Value, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// webhook posts messages as JSON to an address.
type webhook struct {
	url       secrets.Value // what stands in its path and query may be a token
	who       string
	secret    secrets.Value
	hidden    []secrets.Value
	transport *transport
}

func newWebhook(address string, credential func(string) (secrets.Value, bool), t *transport) (Notifier, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, errors.New("the webhook's address is no URL\n  hint: webhook:https://HOST/PATH")
	case u.User != nil:
		return nil, fmt.Errorf("the address of the webhook at %s holds a user or a password\n  hint: requests are signed with %s instead", u.Host, WebhookSecret)
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return nil, fmt.Errorf("the webhook at %s is not https\n  hint: webhook:https://…; http is for this machine alone", u.Host)
	}
	w := webhook{url: secrets.New(address), who: "webhook " + u.Host, transport: t}
	if w.secret, err = need(w.who, WebhookSecret, credential); err != nil {
		return nil, err
	}
	w.hidden = append(partsOf(u), w.secret)
	return w, nil
}

// loopback says whether a host is this machine.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Notify implements Notifier.
func (w webhook) Notify(ctx context.Context, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url.Reveal(), bytes.NewReader(body))
	if err != nil {
		return discreet(w.who, withoutURL(err), w.hidden...)
	}
	timestamp := strconv.FormatInt(w.transport.now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "kai")
	req.Header.Set(TimestampHeader, timestamp)
	req.Header.Set(SignatureHeader, Sign(w.secret, timestamp, body))
	req.Header.Set(DeliveryHeader, rand.Text())
	resp, err := w.transport.Do(req)
	if err != nil {
		return discreet(w.who, err, w.hidden...)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return nil
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return fmt.Errorf("%s: answers %s, which kai does not follow\n  hint: give the address that it leads to", w.who, resp.Status)
	}
	return discreet(w.who, errors.New("answers "+word(resp)), w.hidden...)
}
