package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/release"
)

type uninstallFlags struct {
	selection
	applyFlags
	cluster     clusterFlags
	jobs        int
	all         bool
	keepHistory bool
}

func newUninstall(a *app, w *workspaceFlags) *cobra.Command {
	var f uninstallFlags
	cmd := &cobra.Command{
		Use:     "uninstall [SERVICE…]",
		Aliases: []string{"delete"},
		Short:   "Remove releases of a context",
		Long: `Removes releases in the reverse of the order in which they were installed: services
before the friends that they need. --all removes all releases of the context, also
those whose service is gone from the workspace.

A shared friend stays as long as releases beyond these use it. Volume claims of a
StatefulSet stay, as in Helm, and so do namespaces and what a chart marks with
helm.sh/resource-policy: keep. --dry-run shows what would go.`,
		Example:           a.example("uninstall -c dev carts", "uninstall -c dev --all", "uninstall -c dev --all --dry-run"),
		ValidArgsFunction: w.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return uninstall(cmd.Context(), a, w, &f, args)
		},
	}
	f.selection.addOneFlags(cmd, w)
	f.cluster.addFlags(cmd, a)
	f.applyFlags.addFlags(cmd, a)
	cmd.Flags().IntVarP(&f.jobs, "concurrency", "j", 0, "releases at the same time (default: 8)")
	cmd.Flags().BoolVar(&f.all, "all", false, "all releases of the context")
	cmd.Flags().BoolVar(&f.keepHistory, "keep-history", false, "keep the releases' records, for history")
	return cmd
}

func uninstall(ctx context.Context, a *app, w *workspaceFlags, f *uninstallFlags, services []string) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.all == (len(services) > 0 || f.selector != "") {
		return errors.New("say which releases: services or a selector, or else --all")
	}
	r, err := walk(ctx, a, w, f.selection, &f.cluster, nil, 0)
	if err != nil {
		return err
	}
	releases := r.removals()
	if !f.all {
		if len(services) > 0 {
			if releases, err = r.named(services); err != nil {
				return err
			}
		}
	} else {
		more, err := r.cluster.Others(ctx, r.target, releases)
		if err != nil {
			return err
		}
		// What the workspace does not know any more was installed after what it
		// needed, as far as anybody can tell, and goes first.
		releases = append(releases, more...)
	}
	o := release.ApplyOptions{Jobs: f.jobs, Wait: f.wait, KeepHistory: f.keepHistory}
	return f.carry(ctx, a, r, "uninstall", o, func(ctx context.Context) (*release.Plan, error) {
		plan, err := r.cluster.Uninstall(ctx, r.target, releases)
		if err == nil {
			plan.Notes = append(plan.Notes, r.bereft(plan)...)
		}
		return plan, err
	})
}

// bereft says which releases stay and need one that goes.
func (r *road) bereft(plan *release.Plan) []string {
	going := map[string]bool{}
	for _, s := range plan.Steps {
		going[s.Release] = true
	}
	var notes []string
	for _, stays := range r.removals() {
		if going[stays.Name] || r.there.Revision(stays.Name, stays.Namespace) == 0 {
			continue
		}
		for _, need := range stays.Needs {
			if going[need] {
				notes = append(notes, fmt.Sprintf("%s stays, and needs %s", stays.Name, need))
			}
		}
	}
	return notes
}
