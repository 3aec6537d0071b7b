package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/release"
	"github.com/helm-kai/helm-kai/internal/report"
)

type historyFlags struct {
	selection
	cluster clusterFlags
	output  string
	max     int
}

func newHistory(a *app, w *workspaceFlags) *cobra.Command {
	var f historyFlags
	cmd := &cobra.Command{
		Use:     "history SERVICE",
		Aliases: []string{"hist"},
		Short:   "Show the revisions of a release",
		Long: `Shows the revisions of a service's release, oldest first: when each was made, what
became of it, and whether kai or Helm made it. rollback goes back to one.

SERVICE may also be the name of a release that the workspace does not know, such as
one whose service is gone.`,
		Example:           a.example("history -c prod carts", "history -c dev,prod carts --max 3", "history -c prod carts -o json"),
		Args:              servicesArg(1, 1, "history -c CONTEXT SERVICE"),
		ValidArgsFunction: w.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return history(cmd.Context(), a, w, &f, args[0])
		},
	}
	f.selection.addFlags(cmd, w)
	f.cluster.addFlags(cmd, a)
	objectsFlag(cmd, &f.output)
	cmd.Flags().IntVar(&f.max, "max", 256, "the newest revisions to show; 0 shows all")
	return cmd
}

func history(ctx context.Context, a *app, w *workspaceFlags, f *historyFlags, service string) error {
	roads, err := roadsTo(ctx, a, w, f.selection, &f.cluster, nil)
	if err != nil {
		return err
	}
	all := []release.Revision{}
	for _, r := range roads {
		is := release.Removal{Name: service, Namespace: r.target.Namespace}
		if named, err := r.named([]string{service}); err == nil {
			is = named[0]
		}
		revisions, err := r.cluster.History(ctx, is.Namespace, is.Name)
		if err != nil {
			return err
		}
		if len(revisions) == 0 && len(roads) == 1 {
			return fmt.Errorf("there is no release %s in %s\n  hint: list shows those that are there", is.Name, is.Namespace)
		}
		if f.max > 0 {
			revisions = revisions[max(0, len(revisions)-f.max):]
		}
		for i := range revisions {
			revisions[i].Cluster = r.target.Cluster
		}
		all = append(all, revisions...)
	}
	if len(all) == 0 {
		return fmt.Errorf("there is no release %s in any of the contexts\n  hint: list shows those that are there", service)
	}
	return printObjects(a.stdout, f.output, all, func() error {
		columns := []string{"REVISION", "UPDATED", "STATUS", "CHART", "APPVERSION", "BY", "DESCRIPTION"}
		if len(roads) > 1 {
			columns = slices.Concat([]string{"CONTEXT", "NAMESPACE"}, columns)
		}
		rows := make([][]string, len(all))
		for i, r := range all {
			rows[i] = []string{strconv.Itoa(r.Revision), timeText(r.Updated), r.Status, r.Chart, r.AppVersion, r.By, brief(r.Description)}
			if len(roads) > 1 {
				rows[i] = slices.Concat([]string{r.Context, r.Namespace}, rows[i])
			}
		}
		return report.Table(a.stdout, columns, rows)
	})
}

// widest is how much of a description a table shows; -o json has all of it.
const widest = 80

func brief(text string) string {
	if r := []rune(text); len(r) > widest {
		return string(r[:widest-1]) + "…"
	}
	return text
}
