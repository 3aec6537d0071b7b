package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/helm-kai/helm-kai/internal/notify"
	"github.com/helm-kai/helm-kai/internal/release"
	"github.com/helm-kai/helm-kai/internal/report"
	"github.com/helm-kai/helm-kai/internal/secrets"
)

func addNotify(cmd *cobra.Command, to *[]string) {
	cmd.Flags().StringArrayVar(to, "notify", nil, "tell somebody of it (several times if need be): slack, slack:#CHANNEL, webhook:URL or file:PATH; credentials come from KAI_SLACK_WEBHOOK_URL, KAI_SLACK_TOKEN and KAI_WEBHOOK_SECRET")
}

// notifiers makes what --notify asks for.
func notifiers(a *app, specs []string) (notify.All, error) {
	var all notify.All
	for _, spec := range specs {
		n, err := notify.New(spec, func(name string) (secrets.Value, bool) {
			text := a.getenv("KAI_" + name)
			return secrets.New(text), text != ""
		}, nil)
		var missing *notify.MissingError
		if errors.As(err, &missing) {
			return nil, fmt.Errorf("--notify: %s needs a credential\n  hint: set KAI_%s where kai runs", missing.Notifier, missing.Credential)
		}
		if err != nil {
			return nil, fmt.Errorf("--notify: %w", err)
		}
		all = append(all, n)
	}
	return all, nil
}

// message words a plan for those who are told of it.
func message(p *release.Plan, command, status string) (notify.Message, error) {
	m := notify.Message{
		Workspace: p.Target.Workspace, Context: p.Target.Context, Cluster: p.Target.Cluster, Command: command, Status: status,
		Time:  clock{}.Now(),
		Title: fmt.Sprintf("kai %s: %s: %s", command, strings.TrimPrefix(p.Target.Workspace+"/"+p.Target.Context, "/"), status),
	}
	var text bytes.Buffer
	if err := report.Write(&text, p, report.Options{Format: "summary"}); err != nil {
		return m, err
	}
	m.Markdown = text.String()
	text.Reset()
	if err := report.Write(&text, p, report.Options{Format: "diff", Context: 3}); err != nil {
		return m, err
	}
	m.Diff = text.String()
	for _, s := range p.Steps {
		if s.Changed() {
			m.Releases = append(m.Releases, notify.Release{Name: s.Release, Action: string(s.Action)})
		}
	}
	return m, nil
}

// notifyPlan tells of a plan that changes something.
func notifyPlan(ctx context.Context, n notify.All, p *release.Plan) error {
	if len(n) == 0 || !p.Changed() {
		return nil
	}
	m, err := message(p, "diff", "planned")
	if err != nil {
		return err
	}
	return n.Notify(ctx, m)
}

// notifyResult tells what became of a plan.
func notifyResult(ctx context.Context, n notify.All, p *release.Plan, command string, result *release.Result, failed error) error {
	if len(n) == 0 || !p.Changed() {
		return nil
	}
	status := "succeeded"
	switch {
	case result == nil:
		status = "refused"
	case errors.Is(failed, context.Canceled) || result.Count(release.StatusInterrupted) > 0:
		status = "interrupted"
	case failed != nil:
		status = "failed"
	}
	m, err := message(p, command, status)
	if err != nil {
		return err
	}
	if result == nil && failed != nil {
		m.Markdown = failed.Error() + "\n\n" + m.Markdown
	}
	if result != nil {
		m.Releases = nil
		for _, o := range result.Outcomes {
			if o.Status != release.StatusUnchanged {
				r := notify.Release{Name: o.Release, Action: string(o.Action), Status: string(o.Status)}
				if o.Status != release.StatusDone {
					r.Error = o.Message
				}
				m.Releases = append(m.Releases, r)
			}
		}
	}
	return n.Notify(ctx, m)
}

// terminal gives the file behind a writer if that is a terminal.
func terminal(w io.Writer) (*os.File, bool) {
	f, ok := w.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// colors says whether a writer is to be painted.
func (a *app) colors(w io.Writer) bool {
	_, is := terminal(w)
	return is && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
}

// progress shows a run: on a terminal as it goes on, else as lines.
func (a *app) progress(off bool) report.Progress {
	f, is := terminal(a.stderr)
	if is && !off && a.getenv("TERM") != "dumb" {
		return report.NewTerminal(a.stderr, clock{}.Now, func() (int, int) {
			width, height, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 0, 0
			}
			return width, height
		})
	}
	return report.NewLines(a.stderr, clock{}.Now)
}
