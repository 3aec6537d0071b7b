// Package notify tells people and programs what a command has planned or done: a
// Slack channel, a webhook, a file.
//
// A message is masked by who makes it. What this package adds of its own, the
// tokens and the addresses that are secret, is in no error.
package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
)

// The credentials that notifiers ask for.
const (
	SlackToken      = "SLACK_TOKEN"
	SlackWebhookURL = "SLACK_WEBHOOK_URL"
	WebhookSecret   = "WEBHOOK_SECRET"
)

// Message is what there is to tell. Nothing in it is secret.
type Message struct {
	Workspace string    `json:"workspace,omitempty"`
	Context   string    `json:"context,omitempty"`
	Cluster   string    `json:"cluster,omitempty"`
	Command   string    `json:"command,omitempty"` // diff, install, rollback, …
	Status    string    `json:"status,omitempty"`  // planned, succeeded, failed or refused
	Time      time.Time `json:"time,omitzero"`
	Title     string    `json:"title,omitempty"`
	Markdown  string    `json:"markdown,omitempty"`
	Diff      string    `json:"diff,omitempty"`
	Releases  []Release `json:"releases,omitempty"`
}

// Release is what happened to one release.
type Release struct {
	Name   string `json:"name"`
	Action string `json:"action,omitempty"`
	Status string `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`
}

// Notifier sends messages. It is safe for concurrent use.
type Notifier interface {
	Notify(ctx context.Context, m Message) error
}

// All sends to each of several notifiers, whether or not another fails.
type All []Notifier

// Notify implements Notifier. Its error holds those of all that failed.
func (all All) Notify(ctx context.Context, m Message) error {
	errs := make([]error, len(all))
	for i, n := range all {
		errs[i] = n.Notify(ctx, m)
	}
	return errors.Join(errs...)
}

// kinds are the forms of a specification.
var kinds = []string{"slack", "slack:#CHANNEL", "webhook:https://…", "file:PATH"}

// New makes a notifier:
//
//	slack            Slack's incoming webhook, whose URL is the credential SLACK_WEBHOOK_URL
//	slack:#CHANNEL   a bot in a channel, with the credential SLACK_TOKEN; an id such as C0123456789 will do
//	webhook:URL      a POST of the message as JSON, signed with the credential WEBHOOK_SECRET, see Webhook
//	file:PATH        a line of JSON at the end of a file
//
// credential gives the text of a credential, and whether there is one. client
// may be nil. No error shows an address or a credential, nor is spec itself fit
// to be printed: a webhook's path may be a token.
func New(spec string, credential func(name string) (secrets.Value, bool), client *http.Client) (Notifier, error) {
	kind, rest, given := strings.Cut(spec, ":")
	t := newTransport(client)
	switch {
	case kind == "slack" && !given:
		return newSlackWebhook(credential, t)
	case kind == "slack":
		return newSlackBot(rest, credential, t)
	case kind == "webhook":
		return newWebhook(rest, credential, t)
	case kind == "file" && rest != "":
		return File{Path: rest}, nil
	case kind == "file":
		return nil, errors.New("the notifier names no file\n  hint: file:PATH")
	}
	// The address of a webhook may be secret, and is often given alone.
	if kind == "http" || kind == "https" {
		return nil, errors.New("an address alone says not what is there\n  hint: webhook:https://…, or slack with the address in " + SlackWebhookURL)
	}
	hint := "known: " + strings.Join(kinds, ", ")
	if len(kind) < 20 {
		if meant := source.Nearest(kind, []string{"slack", "webhook", "file"}); strings.HasPrefix(meant, "did") {
			meant, _, _ = strings.Cut(meant, " (")
			hint = meant + " (" + strings.Join(kinds, ", ") + ")"
		}
	}
	return nil, fmt.Errorf("there is no notifier %q\n  hint: %s", kind, hint)
}

// MissingError says that a credential is not there. Where it comes from is known
// to who calls New.
type MissingError struct {
	Notifier   string
	Credential string // SlackToken, SlackWebhookURL or WebhookSecret
}

func (e *MissingError) Error() string {
	return e.Notifier + " needs the credential " + e.Credential + "\n  hint: give it where kai runs, never in a file of the workspace"
}

// need gives a credential or says that it is missing.
func need(who, name string, credential func(string) (secrets.Value, bool)) (secrets.Value, error) {
	if credential != nil {
		if v, ok := credential(name); ok && !v.IsZero() {
			return v, nil
		}
	}
	return secrets.Value{}, &MissingError{who, name}
}
