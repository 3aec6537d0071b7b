package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/release"
	"github.com/helm-kai/helm-kai/internal/report"
)

type statusFlags struct {
	selection
	cluster  clusterFlags
	output   string
	exitCode bool
	watch    bool
}

func newStatus(a *app, w *workspaceFlags) *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status [SERVICE…]",
		Short: "Show how the releases of a context are",
		Long: `Shows how the releases of a context are: what their records say, and how their objects
are in the cluster. Below the table stands what is wrong, in the words of the cluster:
what pods wait for, how often they were started, and what it warns of.

The health of a release is that of the object that is worst off: Ready, Unknown,
Progressing (may come right by itself), Gone (should be there and is not) or Failed
(will not come right by itself). It is judged as install --wait does.

Exit codes: 0 done, 1 failed; with --exit-code 1 also where a release is not installed,
its last change has failed, or one of its objects is Gone or Failed.`,
		Example: a.example("status -c prod", "status -c dev,prod carts", "status -c prod --watch --exit-code",
			"status -c prod -o jsonpath='{range [*]}{.release}{\"\\t\"}{.health.reason}{\"\\n\"}{end}'"),
		ValidArgsFunction: w.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return status(cmd.Context(), a, w, &f, args)
		},
	}
	f.selection.addFlags(cmd, w)
	f.cluster.addFlags(cmd, a)
	objectsFlag(cmd, &f.output)
	cmd.Flags().BoolVar(&f.exitCode, "exit-code", false, "exit with 1 where something is missing or has failed")
	cmd.Flags().BoolVar(&f.watch, "watch", false, "go on until nothing is in progress any more, and show what changes")
	return cmd
}

// watchEvery is how often --watch asks.
const watchEvery = 2 * time.Second

func status(ctx context.Context, a *app, w *workspaceFlags, f *statusFlags, services []string) error {
	roads, err := roadsTo(ctx, a, w, f.selection, &f.cluster, services)
	if err != nil {
		return err
	}
	shown := ""
	for {
		all, err := statuses(ctx, roads)
		if err != nil {
			return err
		}
		var text bytes.Buffer
		if err := printObjects(&text, f.output, all, func() error { return printStatus(&text, all, len(roads) > 1) }); err != nil {
			return err
		}
		if text.String() != shown {
			if shown != "" && f.output == "text" {
				fmt.Fprintln(a.stdout)
			}
			shown = text.String()
			fmt.Fprint(a.stdout, shown)
		}
		if !f.watch || settled(all) {
			if f.exitCode && slices.ContainsFunc(all, func(s release.ReleaseStatus) bool { return s.Broken() }) {
				return &saidError{code: exitFailed}
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-clock{}.After(watchEvery):
		}
	}
}

// settled says that nothing is in progress any more.
func settled(all []release.ReleaseStatus) bool {
	return !slices.ContainsFunc(all, func(s release.ReleaseStatus) bool { return !s.Good() && !s.Broken() })
}

// roadsTo goes to the clusters of all contexts that a command looks at, and makes
// their charts, which tell what their releases are called.
func roadsTo(ctx context.Context, a *app, w *workspaceFlags, s selection, f *clusterFlags, services []string) ([]*road, error) {
	ws, dir, findings, err := w.open()
	if err != nil {
		return nil, err
	}
	names, err := s.choose(a, ws)
	if err != nil {
		if findings.Err() != nil {
			return nil, findings
		}
		return nil, err
	}
	roads := make([]*road, len(names))
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		target, more := ws.Target(name)
		if target == nil {
			return nil, append(findings, more...).Sorted()
		}
		r := &road{ws: ws, dir: dir, from: target, partial: s.selector != "" || len(services) > 0}
		roads[i] = r
		wg.Go(func() {
			r.cluster, r.target, errs[i] = f.connect(ctx, r.from)
			r.target.Workspace = ws.Name
		})
	}
	built, _, err := buildIn(ctx, a, ws, dir, findings, names, s, services, 0)
	wg.Wait()
	if err != nil {
		return nil, err
	}
	for i, err := range errs {
		if err != nil {
			return nil, inContext(names, i, err)
		}
		roads[i].releases = built[i].releases
	}
	return roads, nil
}

// inContext says which of several contexts an error is of.
func inContext(names []string, i int, err error) error {
	if len(names) < 2 {
		return err
	}
	return fmt.Errorf("the context %s: %w", names[i], err)
}

// statuses asks all clusters at the same time.
func statuses(ctx context.Context, roads []*road) ([]release.ReleaseStatus, error) {
	found := make([][]release.ReleaseStatus, len(roads))
	errs := make([]error, len(roads))
	var wg sync.WaitGroup
	for i, r := range roads {
		wg.Go(func() { found[i], errs[i] = r.cluster.Status(ctx, r.target, r.removals()) })
	}
	wg.Wait()
	names := make([]string, len(roads))
	for i, r := range roads {
		names[i] = r.from.Context
	}
	for i, err := range errs {
		if err != nil {
			return nil, inContext(names, i, err)
		}
	}
	return slices.Concat(append(found, []release.ReleaseStatus{})...), nil
}

func printStatus(out *bytes.Buffer, all []release.ReleaseStatus, contexts bool) error {
	columns := []string{"RELEASE", "NAMESPACE", "REVISION", "STATUS", "HEALTH", "UPDATED", "CHART"}
	rows := make([][]string, len(all))
	for i, s := range all {
		rows[i] = []string{s.Release, s.Namespace, revisionText(s.Revision.Revision), s.Status, healthText(s), timeText(s.Updated), s.Chart}
		if contexts {
			rows[i] = append([]string{s.Target.Context}, rows[i]...)
		}
	}
	if contexts {
		columns = append([]string{"CONTEXT"}, columns...)
	}
	if err := report.Table(out, columns, rows); err != nil {
		return err
	}
	for _, s := range all {
		for _, line := range wrong(s) {
			out.WriteString("\n" + line)
		}
	}
	if text := out.Bytes(); len(text) > 0 && text[len(text)-1] != '\n' {
		out.WriteByte('\n')
	}
	return nil
}

// wrong says what is not as it should be with a release.
func wrong(s release.ReleaseStatus) []string {
	if s.Status == release.NotInstalled {
		return nil // the table says it all
	}
	var lines []string
	if from := strings.TrimPrefix(s.Workspace+"/"+s.Context, "/"); s.Context != "" && from != strings.TrimPrefix(s.Target.Workspace+"/"+s.Target.Context, "/") {
		lines = append(lines, fmt.Sprintf("%s: it was installed from the context %s", s.Release, from))
	}
	if s.Status != "deployed" {
		lines = append(lines, strings.TrimSuffix(fmt.Sprintf("%s: revision %d is %s: %s", s.Release, s.Revision.Revision, s.Status, s.Description), ": "))
	}
	for _, o := range s.Objects {
		if o.State == manifest.Ready {
			continue
		}
		lines = append(lines, strings.TrimSuffix(fmt.Sprintf("%s: %s is %s (%s): %s", s.Release, o.Object, o.State, o.Reason, o.Message), ": "))
		for _, t := range o.Troubles {
			lines = append(lines, "  "+t.String())
		}
	}
	return lines
}

func healthText(s release.ReleaseStatus) string {
	if s.Status == release.NotInstalled {
		return ""
	}
	return string(s.Health.State)
}

func revisionText(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}
