package main

import (
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/release"
)

type rollbackFlags struct {
	selection
	applyFlags
	cluster  clusterFlags
	jobs     int
	recreate bool
}

func newRollback(a *app, w *workspaceFlags) *cobra.Command {
	var f rollbackFlags
	cmd := &cobra.Command{
		Use:   "rollback SERVICE… [REVISION]",
		Short: "Bring releases back to a revision before",
		Long: `Brings releases back to the revision that was deployed before the current one, or one
release to REVISION, which history shows. What is sent is what was sent then, secrets
included, taken from the release's record; it becomes a new revision, as in Helm.

The files stay as they are: the next install brings the newer state back, unless it is
taken back there too.`,
		Example:           a.example("rollback -c prod carts", "rollback -c prod carts 3 --wait", "rollback -c prod carts orders --dry-run"),
		Args:              servicesArg(1, 0, "rollback -c CONTEXT SERVICE [REVISION]; history shows the revisions"),
		ValidArgsFunction: w.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return rollback(cmd.Context(), a, w, &f, args)
		},
	}
	f.selection.addOneFlags(cmd, w)
	f.cluster.addFlags(cmd, a)
	f.applyFlags.addFlags(cmd, a)
	cmd.Flags().IntVarP(&f.jobs, "concurrency", "j", 0, "releases at the same time (default: 8)")
	cmd.Flags().BoolVar(&f.recreate, "recreate", false, "delete and make anew what cannot be changed in place")
	return cmd
}

func rollback(ctx context.Context, a *app, w *workspaceFlags, f *rollbackFlags, args []string) error {
	if err := f.check(); err != nil {
		return err
	}
	revision := 0
	if n, err := strconv.Atoi(args[len(args)-1]); err == nil {
		if len(args) != 2 || n < 1 {
			return errors.New("a revision is one release's, and 1 or more\n  hint: rollback -c CONTEXT SERVICE REVISION")
		}
		args, revision = args[:1], n
	}
	r, err := walk(ctx, a, w, f.selection, &f.cluster, nil, 0)
	if err != nil {
		return err
	}
	releases, err := r.named(args)
	if err != nil {
		return err
	}
	return f.carry(ctx, a, r, "rollback", release.ApplyOptions{Jobs: f.jobs, Wait: f.wait}, func(ctx context.Context) (*release.Plan, error) {
		return r.cluster.Rollback(ctx, r.target, releases, revision, f.recreate)
	})
}

// carry locks the context, makes a plan, and prints or applies it.
func (f *applyFlags) carry(ctx context.Context, a *app, r *road, command string, o release.ApplyOptions, planned func(context.Context) (*release.Plan, error)) error {
	dry := f.dryRun != "none"
	if !dry {
		if err := r.confirmed(f.yes, command+" --dry-run"); err != nil {
			return err
		}
	}
	ctx, unlock, err := f.lock(ctx, a, r, !dry, false)
	if err != nil {
		return err
	}
	defer unlock()
	plan, err := planned(ctx)
	if err != nil {
		return err
	}
	return f.apply(ctx, a, r, plan, command, o)
}
