package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/notify"
	"github.com/helm-kai/helm-kai/internal/release"
	"github.com/helm-kai/helm-kai/internal/report"
)

// applyFlags are those of all commands that change releases.
type applyFlags struct {
	wait        bool
	waitForJobs bool
	timeout     time.Duration
	noHooks     bool
	dryRun      string
	keepGoing   bool
	history     int
	description string
	yes         bool
	noLock      bool
	lockTimeout time.Duration
	pending     bool
	noProgress  bool
	output      string
	notify      []string
}

func (f *applyFlags) addFlags(cmd *cobra.Command, a *app) {
	flags := cmd.Flags()
	flags.BoolVar(&f.wait, "wait", false, "wait until everything is ready (uninstall: gone), and say what is waited for")
	flags.BoolVar(&f.waitForJobs, "wait-for-jobs", false, "with --wait: wait for the releases' Jobs too")
	flags.DurationVar(&f.timeout, "timeout", release.DefaultTimeout, "bound for each release, its hooks and its waiting included")
	flags.BoolVar(&f.noHooks, "no-hooks", false, "run no hooks")
	flags.StringVar(&f.dryRun, "dry-run", "none", "change nothing: client prints the plan, server has the cluster check each object as well")
	flags.Lookup("dry-run").NoOptDefVal = "client"
	flags.BoolVar(&f.keepGoing, "keep-going", false, "go on with the releases that do not need one that has failed")
	flags.IntVar(&f.history, "history-max", historyMax(a), "revisions to keep of each release; 0 keeps all")
	flags.StringVar(&f.description, "description", "", "description of the new revisions, for history")
	flags.BoolVarP(&f.yes, "yes", "y", false, "yes, this is meant: a context with confirm: true demands it")
	flags.BoolVar(&f.noLock, "no-lock", false, "do not keep other runs of kai out of the context, nor care for theirs")
	flags.DurationVar(&f.lockTimeout, "lock-timeout", 0, "how long to wait for another run of kai to let go of the context")
	flags.BoolVar(&f.pending, "force-pending", false, "take over a release that Helm has left pending, though it may still be at work")
	flags.BoolVar(&f.noProgress, "no-progress", false, "print lines, on a terminal too")
	outputFlag(cmd, &f.output)
	addNotify(cmd, &f.notify)
	_ = cmd.RegisterFlagCompletionFunc("dry-run", cobra.FixedCompletions([]string{"none", "client", "server"}, cobra.ShellCompDirectiveNoFileComp))
}

// historyMax is Helm's bound on the revisions of a release.
func historyMax(a *app) int {
	if n, err := strconv.Atoi(a.getenv("HELM_MAX_HISTORY")); err == nil {
		return n
	}
	return 10
}

func (f *applyFlags) check() error {
	switch f.dryRun {
	case "none", "client", "server":
		return nil
	}
	return fmt.Errorf("--dry-run %q: there is no such run\n  hint: none, client or server", f.dryRun)
}

type installFlags struct {
	planFlags
	applyFlags
	atomic          bool
	createNamespace bool
	plan            string
}

func newInstall(a *app, w *workspaceFlags) *cobra.Command {
	var f installFlags
	cmd := &cobra.Command{
		Use:        "install [SERVICE…]",
		SuggestFor: []string{"apply", "deploy", "sync", "upgrade"},
		Short:      "Install or upgrade the releases of a context",
		Long: `Installs the releases of a context, or upgrades those that are there: friends first,
then the services, each after those that it needs, and the others side by side. What
does not change is left alone.

It sends the plan that diff shows. With --plan it sends one that diff has saved, and
refuses if anything has moved since: the files, the cluster or a secret. --dry-run
prints the plan; --dry-run=server has the cluster check it as well.

A context that is bound to a cluster or a namespace is installed there or nowhere, and
one with confirm: true asks for --yes.

Releases are Helm's: helm list shows them, and Helm 3, Helm 4 and kai take over from
one another. A release that a killed run has left pending is brought to its end. Two
runs of kai on one context keep out of each other's way by a Lease in its namespace.

Ctrl-C stops: what is under way is written down as failed, and what was done and what
not is said. Running again goes on from there.`,
		Example: a.example("install -c dev --create-namespace", "install -c prod --wait --atomic --yes", "install -c prod carts orders --dry-run=server",
			"install -c prod --plan prod.plan"),
		ValidArgsFunction: w.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return install(cmd.Context(), a, w, &f, args)
		},
	}
	f.planFlags.addFlags(cmd, a, w)
	f.applyFlags.addFlags(cmd, a)
	cmd.Flags().BoolVar(&f.atomic, "atomic", false, "take a release that fails back to the revision before, or away; implies --wait")
	cmd.Flags().BoolVar(&f.createNamespace, "create-namespace", false, "make the namespaces that are missing")
	cmd.Flags().StringVar(&f.plan, "plan", "", "file of a plan that diff --save-plan has written")
	return cmd
}

func install(ctx context.Context, a *app, w *workspaceFlags, f *installFlags, services []string) error {
	if err := f.check(); err != nil {
		return err
	}
	saved, err := readPlan(f.plan)
	if err != nil {
		return err
	}
	values, err := f.chartValues.read(a)
	if err != nil {
		return err
	}
	r, err := walk(ctx, a, w, f.selection, &f.cluster, services, f.jobs)
	if err != nil {
		return err
	}
	dry := f.dryRun != "none"
	if !dry {
		if err := r.confirmed(f.yes, "diff -c "+r.from.Context); err != nil {
			return err
		}
	}
	wanted, err := r.desire(ctx, a, values, f.jobs)
	if err != nil {
		return err
	}
	ctx, unlock, err := f.lock(ctx, a, r, !dry, f.createNamespace)
	if err != nil {
		return err
	}
	defer unlock()
	o := f.options()
	o.Partial, o.Check, o.Self = r.partial, true, r.holder
	// Another run may have come first while this one waited for it.
	plan, err := r.cluster.Plan(ctx, r.target, wanted, nil, o)
	if err != nil {
		return err
	}
	if saved != nil {
		if err := saved.Holds(plan); err != nil {
			return errors.Join(err, f.refused(ctx, a, plan, "install", err))
		}
	}
	return f.apply(ctx, a, r, plan, "install", release.ApplyOptions{
		Jobs: f.jobs, Wait: f.wait || f.atomic, Atomic: f.atomic, CreateNamespace: f.createNamespace,
	})
}

// readPlan reads a saved plan; there is none without a name.
func readPlan(path string) (*release.Saved, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--plan %s: %w", path, reason(err))
	}
	saved, err := release.ReadSaved(data)
	if err != nil {
		return nil, fmt.Errorf("--plan %s: %w", path, err)
	}
	return saved, nil
}

// confirmed makes sure that a context which demands it was meant.
func (r *road) confirmed(yes bool, look string) error {
	if r.from.Confirm && !yes {
		return fmt.Errorf("the context %s wants it said that it is meant\n  hint: --yes; %s shows what would change", r.from.Context, look)
	}
	return nil
}

// lock keeps other runs out of the context until unlock is called.
func (f *applyFlags) lock(ctx context.Context, a *app, r *road, wanted, createNamespace bool) (locked context.Context, unlock func(), err error) {
	if !wanted || f.noLock {
		return ctx, func() {}, nil
	}
	if err := r.cluster.EnsureNamespace(ctx, r.target.Namespace, createNamespace); err != nil {
		return nil, nil, err
	}
	here := appear(os.TempDir())
	hold, err := r.cluster.Lock(ctx, r.target, release.Holder{Name: here.name, Gone: here.gone, Wait: func(name string) {
		fmt.Fprintf(a.stderr, "waiting for another run that holds the context %s: %s\n", r.from.Context, name)
	}}, f.lockTimeout)
	if err != nil {
		here.leave()
		return nil, nil, err
	}
	r.holder = here.name
	return hold.Context, func() { hold.Release(); here.leave() }, nil
}

// runID tells runs apart.
func runID() string {
	id := make([]byte, 4)
	_, _ = rand.Read(id)
	return hex.EncodeToString(id)
}

// apply carries a plan out and says what became of it.
func (f *applyFlags) apply(ctx context.Context, a *app, r *road, plan *release.Plan, command string, o release.ApplyOptions) error {
	notifier, err := notifiers(a, f.notify)
	if err != nil {
		return err
	}
	for _, note := range plan.Notes {
		fmt.Fprintln(a.stderr, "note: "+note)
	}
	if f.dryRun != "none" {
		if err := a.printPlan(f.output, withoutHooks(plan)); err != nil || f.dryRun == "client" {
			return err
		}
	}
	o.WaitForJobs, o.Timeout, o.NoHooks, o.KeepGoing = f.waitForJobs, f.timeout, f.noHooks, f.keepGoing
	o.History, o.Description, o.DryRun, o.Run = f.history, f.description, f.dryRun == "server", runID()
	o.Alone, o.ForcePending = !f.noLock, f.pending
	progress := a.progress(f.noProgress)
	o.Events = progress.Event
	result, failed := r.cluster.Apply(ctx, plan, o)
	progress.Close()
	var told error
	if !o.DryRun {
		told = f.tell(ctx, a, notifier, plan, command, result, failed)
	}
	if result == nil {
		return errors.Join(failed, told)
	}
	// A dry run has printed its plan already, and what programs read is that.
	if !o.DryRun || f.output == "text" {
		if err := a.printResult(f.output, result); err != nil {
			return err
		}
	}
	if told != nil {
		told = fmt.Errorf("what became of the releases stands above, and nobody was told: %w", told)
	}
	if failed != nil {
		if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil && !errors.Is(cause, context.Canceled) {
			return cause
		}
		// What failed and why was said as it happened, and stands in the result.
		if ctx.Err() == nil && !o.DryRun {
			fmt.Fprintf(a.stderr, "hint: %s status -c %s shows how things are now\n", a.as, r.from.Context)
		}
		return errors.Join(&saidError{code: exitFailed}, told)
	}
	return told
}

// withoutHooks leaves hooks out of a plan that is shown, as diff does.
func withoutHooks(p *release.Plan) *release.Plan {
	out := *p
	out.Steps = slices.Clone(p.Steps)
	for i := range out.Steps {
		out.Steps[i].Hooks = nil
	}
	return &out
}

// printPlan prints a plan as -o says.
func (a *app) printPlan(output string, plan *release.Plan) error {
	if output == "text" {
		return report.Write(a.stdout, plan, report.Options{Context: 3, Color: a.colors(a.stdout)})
	}
	var out bytes.Buffer
	if err := report.Write(&out, plan, report.Options{Format: "json"}); err != nil {
		return err
	}
	return a.print(output, json.RawMessage(out.Bytes()), nil)
}

// refused tells of a plan that is not sent.
func (f *applyFlags) refused(ctx context.Context, a *app, plan *release.Plan, command string, why error) error {
	notifier, err := notifiers(a, f.notify)
	if err != nil {
		return err
	}
	return f.tell(ctx, a, notifier, plan, command, nil, why)
}

// tell notifies also where the run was interrupted.
func (f *applyFlags) tell(ctx context.Context, a *app, n notify.All, plan *release.Plan, command string, result *release.Result, failed error) error {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return notifyResult(last, n, plan, command, result, failed)
}

// printResult prints what became of every release.
func (a *app) printResult(output string, result *release.Result) error {
	return a.print(output, result, func() {
		rows := make([][]string, 0, len(result.Outcomes))
		for _, o := range result.Outcomes {
			revision := ""
			if o.Revision > 0 {
				revision = strconv.Itoa(o.Revision)
			}
			rows = append(rows, []string{o.Release, o.Namespace, string(o.Action), string(o.Status), revision})
		}
		_ = report.Table(a.stdout, []string{"RELEASE", "NAMESPACE", "ACTION", "STATUS", "REVISION"}, rows)
		fmt.Fprintln(a.stdout, result.Summary())
	})
}
