package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// slackWebhook posts to Slack's incoming webhook, which has a channel of its
// own and takes no files.
type slackWebhook struct {
	url       secrets.Value
	hidden    []secrets.Value
	transport *transport
}

func newSlackWebhook(credential func(string) (secrets.Value, bool), t *transport) (Notifier, error) {
	address, err := need("slack", SlackWebhookURL, credential)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(strings.TrimSpace(address.Reveal()))
	if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return nil, errors.New("slack: " + SlackWebhookURL + " is no https URL\n  hint: it is shown under Incoming Webhooks of the Slack app; for a bot token, write slack:#CHANNEL")
	}
	return slackWebhook{secrets.New(u.String()), partsOf(u), t}, nil
}

// Notify implements Notifier.
func (s slackWebhook) Notify(ctx context.Context, m Message) error {
	p := compose(m)
	p.addDiff(m.Diff, false)
	body, err := json.Marshal(slack.WebhookMessage{Text: p.text, Blocks: &slack.Blocks{BlockSet: p.blocks}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url.Reveal(), bytes.NewReader(body))
	if err != nil {
		return discreet("slack", withoutURL(err), s.hidden...)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.transport.Do(req)
	if err != nil {
		return discreet("slack", err, s.hidden...)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return discreet("slack", errors.New("the webhook answers "+word(resp)), s.hidden...)
	}
	return nil
}

// slackBot posts to a channel with a bot's token.
type slackBot struct {
	channel   string
	token     secrets.Value
	transport *transport
}

func newSlackBot(channel string, credential func(string) (secrets.Value, bool), t *transport) (Notifier, error) {
	if strings.Trim(channel, "# ") == "" || strings.ContainsAny(channel, " \n/") {
		return nil, fmt.Errorf("%q is no channel of Slack\n  hint: slack:#CHANNEL, or its id: slack:C0123456789", channel)
	}
	token, err := need("slack", SlackToken, credential)
	if err != nil {
		return nil, err
	}
	return slackBot{channel, token, t}, nil
}

// Notify implements Notifier. A diff that is too long for the message follows in
// its thread: as a file, or else, where the token allows no files, its beginning.
func (s slackBot) Notify(ctx context.Context, m Message) error {
	api := slack.New(s.token.Reveal(), slack.OptionHTTPClient(s.transport))
	p := compose(m)
	whole := p.addDiff(m.Diff, true)
	channel, thread, err := api.PostMessageContext(ctx, s.channel, p.options()...)
	if err != nil {
		return s.explain(err)
	}
	if whole {
		return nil
	}
	_, err = api.UploadFileContext(ctx, slack.UploadFileParameters{
		Channel: channel, ThreadTimestamp: thread,
		Filename: "kai.diff", Title: cut(orElse(m.Title, "diff"), 150), SnippetType: "diff",
		Content: m.Diff, FileSize: len(m.Diff),
	})
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return s.explain(ctx.Err())
	}
	rest := &page{text: "diff"}
	rest.addDiff(m.Diff, false)
	rest.note("The whole diff could not be uploaded: " + s.reason(err) + ".")
	if _, _, err := api.PostMessageContext(ctx, channel, append(rest.options(), slack.MsgOptionTS(thread))...); err != nil {
		return s.explain(err)
	}
	return nil
}

// hints are the ways out of the errors of Slack that people meet.
var hints = map[string]string{
	"channel_not_found": "is the channel's name right? In a private channel the bot must be a member: /invite @BOT",
	"not_in_channel":    "invite the bot into the channel: /invite @BOT",
	"is_archived":       "choose a channel that is not archived",
	"invalid_auth":      SlackToken + " is not a valid token: a bot's begins with xoxb-",
	"not_authed":        SlackToken + " is not a valid token: a bot's begins with xoxb-",
	"token_revoked":     "make a new token, and set it as " + SlackToken,
	"token_expired":     "make a new token, and set it as " + SlackToken,
	"account_inactive":  "make a new token, and set it as " + SlackToken,
}

func (s slackBot) explain(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return discreet("slack "+s.channel, err)
	}
	text := s.reason(err)
	var said slack.SlackErrorResponse
	if errors.As(err, &said) {
		hint := hints[said.Err]
		if said.Err == "missing_scope" {
			hint = "give the bot the scope " + orElse(said.Needed, "chat:write")
		}
		if hint != "" {
			text += "\n  hint: " + hint
		}
	}
	return discreet("slack "+s.channel, errors.New(text), s.token)
}

// reason is the service's own word for an error.
func (s slackBot) reason(err error) string {
	var said slack.SlackErrorResponse
	var limit *slack.RateLimitedError
	var status slack.StatusCodeError
	switch {
	case errors.As(err, &said):
		return said.Err
	case errors.As(err, &limit):
		return fmt.Sprintf("Slack asks to wait for %s, which is longer than kai does", limit.RetryAfter.Round(time.Second))
	case errors.As(err, &status):
		return "Slack answers " + status.Status
	}
	return addresses.ReplaceAllString(withoutURL(err).Error(), "$1/…")
}
