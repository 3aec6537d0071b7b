package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/git"
	"github.com/helm-kai/helm-kai/internal/lock"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/release"
	"github.com/helm-kai/helm-kai/internal/report"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// planFlags are what diff and install, which share one plan, have in common.
type planFlags struct {
	selection
	chartValues
	cluster       clusterFlags
	prune         bool
	takeOwnership bool
	recreate      bool
	jobs          int
}

func (f *planFlags) addFlags(cmd *cobra.Command, a *app, w *workspaceFlags) {
	f.selection.addOneFlags(cmd, w)
	f.chartValues.addFlags(cmd)
	f.cluster.addFlags(cmd, a)
	flags := cmd.Flags()
	flags.BoolVar(&f.prune, "prune", false, "remove releases that the context has no more")
	flags.BoolVar(&f.takeOwnership, "take-ownership", false, "take over objects that are there and belong to no release, or to another one")
	flags.BoolVar(&f.recreate, "recreate", false, "delete and make anew what Kubernetes does not change in place")
	flags.IntVarP(&f.jobs, "concurrency", "j", 0, "releases at the same time (default: 8)")
}

func (f *planFlags) options() release.PlanOptions {
	return release.PlanOptions{Prune: f.prune, TakeOwnership: f.takeOwnership, Recreate: f.recreate, Jobs: f.jobs}
}

type diffFlags struct {
	planFlags
	against          string
	output           string
	unified          int
	detailedExitCode bool
	hooks            bool
	tests            bool
	suppress         []string
	suppressPattern  string
	renames          float64
	savePlan         string
	showUnchanged    bool
	noColor          bool
	notify           []string
}

// defaultRenames is how alike two objects are that are one, renamed.
const defaultRenames = 0.7

func newDiff(a *app, w *workspaceFlags) *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff [SERVICE…]",
		Short: "Show what install would change",
		Long: `Shows what install would change: the plan that both share. Nothing is changed.

--against says what is compared with:

  live            the cluster's objects, by three-way merge (the default)
  stored          what the records of the releases say was installed
  git:REVISION    the same workspace at a revision of git
  context:NAME    another context of the workspace
  folder:PATH     another copy of the workspace

The last three make both sides from files and ask no cluster; secrets are marks there.
Elsewhere secrets are read and compared, and shown as [masked]. Order, other ways to
write a quantity and what the cluster fills in by itself are no changes.

--output says how: diff (unified lines), summary (a line an object), paths (a line a
field), markdown (for a pull request) or json. --save-plan also writes the plan to a
file that holds no secret; install --plan carries out that plan or none.

Exit codes: 0 done, 1 failed; with --detailed-exitcode 2 where there are changes.`,
		Example: a.example("diff -c prod", "diff -c prod carts -U 10", "diff -c prod --against git:main -o markdown",
			"diff -c dev --against context:prod -o summary", "diff -c prod --save-plan prod.plan",
			"diff -c prod --detailed-exitcode --suppress Secret --notify slack:#releases"),
		ValidArgsFunction: w.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return diff(cmd.Context(), a, w, &f, args)
		},
	}
	f.planFlags.addFlags(cmd, a, w)
	flags := cmd.Flags()
	flags.StringVar(&f.against, "against", release.Live, "what to compare with: live, stored, git:REVISION, context:NAME or folder:PATH")
	flags.StringVarP(&f.output, "output", "o", report.Formats()[0], "format: "+strings.Join(report.Formats(), ", "))
	flags.IntVarP(&f.unified, "unified", "U", 3, "lines of context around a change; -1 shows whole objects")
	flags.BoolVar(&f.detailedExitCode, "detailed-exitcode", false, "exit with 2 where there are changes, 0 where there are none")
	flags.BoolVar(&f.hooks, "hooks", false, "show hooks too")
	flags.BoolVar(&f.tests, "tests", false, "show tests too")
	flags.StringSliceVar(&f.suppress, "suppress", nil, "kinds of objects that are not shown, such as Secret")
	flags.StringVar(&f.suppressPattern, "suppress-pattern", "", "regular expression of paths whose changes are not shown, such as 'metadata\\.labels.*chart'")
	flags.Float64Var(&f.renames, "find-renames", defaultRenames, "how alike a removed and a new object are that were renamed, 0 to 1; 0 looks for none")
	flags.StringVar(&f.savePlan, "save-plan", "", "write the plan to this file too, for install --plan")
	flags.BoolVar(&f.showUnchanged, "show-unchanged", false, "show releases and objects that do not change too")
	flags.BoolVar(&f.noColor, "no-color", false, "no colours, on a terminal either")
	addNotify(cmd, &f.notify)
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(report.Formats(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("against", cobra.FixedCompletions([]string{"live", "stored", "git:", "context:", "folder:"}, cobra.ShellCompDirectiveNoSpace|cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func diff(ctx context.Context, a *app, w *workspaceFlags, f *diffFlags, services []string) error {
	if !slices.Contains(report.Formats(), f.output) {
		return fmt.Errorf("--output %q: there is no such format\n  hint: %s", f.output, source.Nearest(f.output, report.Formats()))
	}
	pattern, err := f.pattern()
	if err != nil {
		return err
	}
	notifier, err := notifiers(a, f.notify)
	if err != nil {
		return err
	}
	contexts, err := f.selection.apart(a, w)
	if err != nil {
		return err
	}
	if f.savePlan != "" && len(contexts) > 1 {
		return errors.New("--save-plan: a plan is one context's\n  hint: run once for each")
	}
	differs := false
	for _, f.selection = range contexts {
		plan, err := f.plan(ctx, a, w, services)
		if err != nil {
			return err
		}
		if f.savePlan != "" {
			if err := savePlan(f.savePlan, plan); err != nil {
				return err
			}
		}
		shown := f.shown(plan, pattern)
		differs = differs || shown.Changed()
		err = report.Write(a.stdout, shown, report.Options{
			Format: f.output, Context: f.unified, ShowUnchanged: f.showUnchanged, Color: !f.noColor && a.colors(a.stdout),
		})
		if err != nil {
			return err
		}
		if f.savePlan != "" {
			fmt.Fprintf(a.stderr, "the plan is in %s; %s install -c %s --plan %s carries it out, with the same services, values and flags\n", f.savePlan, a.as, plan.Target.Context, f.savePlan)
		}
		if err := notifyPlan(ctx, notifier, shown); err != nil {
			return err
		}
	}
	if f.detailedExitCode && differs {
		return &saidError{code: exitChanges}
	}
	return nil
}

func (f *diffFlags) pattern() (*regexp.Regexp, error) {
	if f.suppressPattern == "" {
		return nil, nil
	}
	pattern, err := regexp.Compile(f.suppressPattern)
	if err != nil {
		return nil, fmt.Errorf("--suppress-pattern: %w", err)
	}
	return pattern, nil
}

// shown gives the plan without what the reader does not want to see.
func (f *diffFlags) shown(p *release.Plan, pattern *regexp.Regexp) *release.Plan {
	out := *p
	out.Steps = slices.Clone(p.Steps)
	for i := range out.Steps {
		s := &out.Steps[i]
		had := slices.ContainsFunc(s.Objects, changed)
		s.Objects = manifest.Suppress(s.Objects, f.suppress, pattern)
		if f.renames > 0 {
			s.Objects = manifest.Renames(s.Objects, f.renames)
		}
		s.Hooks = slices.DeleteFunc(slices.Clone(s.Hooks), func(c manifest.Change) bool {
			test := slices.Contains(c.Hook, "test") || slices.Contains(c.Hook, "test-success")
			return test && !f.tests || !test && !f.hooks
		})
		s.Hooks = manifest.Suppress(s.Hooks, f.suppress, pattern)
		if had && s.Action == release.Upgrade && s.Reason == "" && !slices.ContainsFunc(s.Objects, changed) && !slices.ContainsFunc(s.Hooks, changed) {
			s.Action = release.Unchanged
		}
	}
	return &out
}

func changed(c manifest.Change) bool { return c.Action != manifest.Unchanged }

// plan makes the plan that --against asks for.
func (f *diffFlags) plan(ctx context.Context, a *app, w *workspaceFlags, services []string) (*release.Plan, error) {
	values, err := f.chartValues.read(a)
	if err != nil {
		return nil, err
	}
	kind, argument, given := strings.Cut(f.against, ":")
	switch {
	case !given && (kind == release.Live || kind == release.Stored):
		r, err := walk(ctx, a, w, f.selection, &f.cluster, services, f.jobs)
		if err != nil {
			return nil, unreachable(err)
		}
		wanted, err := r.desire(ctx, a, values, f.jobs)
		if err != nil {
			return nil, err
		}
		o := f.options()
		o.Against, o.Partial = kind, r.partial
		return r.cluster.Plan(ctx, r.target, wanted, r.there, o)
	case given && argument != "" && slices.Contains([]string{"git", "context", "folder"}, kind):
		if f.savePlan != "" {
			return nil, fmt.Errorf("--save-plan: a plan against %s asks no cluster, and cannot be installed\n  hint: leave --against out", f.against)
		}
		return f.offline(ctx, a, w, kind, argument, values, services)
	}
	return nil, fmt.Errorf("--against %q: there is no such thing to compare with\n  hint: live, stored, git:REVISION, context:NAME or folder:PATH", f.against)
}

// offline makes both sides from files.
func (f *diffFlags) offline(ctx context.Context, a *app, w *workspaceFlags, kind, argument string, values map[string]any, services []string) (*release.Plan, error) {
	r, err := walk(ctx, a, w, f.selection, nil, services, f.jobs)
	if err != nil {
		return nil, err
	}
	r.target = release.Target{Workspace: r.ws.Name, Context: r.from.Context, Namespace: r.from.Namespace}
	// Most of the two sides is the same, and rendered once.
	r.memory = &build.Memory{}
	other := &road{ws: r.ws, dir: r.dir, from: r.from, target: r.target, memory: r.memory}
	against, name := f.against, r.from.Context
	switch kind {
	case "context":
		name = argument
	case "git":
		tree, err := git.Open(ctx, r.dir, argument)
		if err != nil {
			return nil, err
		}
		defer tree.Close()
		against = fmt.Sprintf("git:%s (%.10s)", argument, tree.Commit)
		if other.ws, err = w.openTree(tree, against); err != nil {
			return nil, err
		}
	case "folder":
		root, err := os.OpenRoot(argument)
		if err != nil {
			return nil, fmt.Errorf("--against folder:%s: %w", argument, reason(err))
		}
		defer root.Close()
		if other.ws, err = w.openTree(root.FS(), against); err != nil {
			return nil, err
		}
	}
	if !slices.Contains(other.ws.ContextNames(), name) {
		if kind == "context" {
			return nil, fmt.Errorf("--against %s: there is no such context\n  hint: %s", f.against, source.Nearest(name, other.ws.ContextNames()))
		}
		// The whole context is new.
	} else if err := other.build(ctx, name, f.selection, services, f.jobs); err != nil {
		return nil, fmt.Errorf("%s:\n%w", against, err)
	}
	var before []*release.Desired
	if len(other.releases) > 0 {
		if before, err = other.desire(ctx, a, values, f.jobs); err != nil {
			return nil, fmt.Errorf("%s:\n%w", against, err)
		}
	}
	wanted, err := r.desire(ctx, a, values, f.jobs)
	if err != nil {
		return nil, err
	}
	return release.Offline(r.target, against, before, wanted), nil
}

// openTree opens the workspace in another tree of files, with the kai.lock of that.
func (w *workspaceFlags) openTree(fsys fs.FS, what string) (*workspace.Workspace, error) {
	if _, err := fs.Stat(fsys, workspace.FileName); errors.Is(err, fs.ErrNotExist) {
		if _, err := fs.Stat(fsys, descriptor.FileName); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("--against %s: there is neither %s nor %s", what, workspace.FileName, descriptor.FileName)
		}
	}
	ws, findings, err := w.openPinned(fsys, true)
	if err != nil {
		return nil, err
	}
	if file, _ := lock.Read(fsys); file != nil {
		for _, e := range elapsed(file) {
			fmt.Fprintf(w.app.stderr, "%s: the %s %s is pinned to %s, and shown as this kai has it\n", what, e.Kind, e.Name, e.Version())
		}
	}
	if findings.Err() != nil {
		return nil, fmt.Errorf("%s:\n%w", what, findings.Sorted())
	}
	return ws, nil
}

// build makes the charts of a context. A service that was asked for and is not
// there is new or gone, and no mistake.
func (r *road) build(ctx context.Context, name string, s selection, services []string, jobs int) error {
	match, err := s.matcher(services)
	if err != nil {
		return err
	}
	target, findings := r.ws.Target(name)
	if target == nil {
		return findings
	}
	r.from = target
	releases, findings := build.Charts(ctx, r.ws, name, build.Options{Select: match, Jobs: jobs})
	if findings.Err() != nil {
		return findings
	}
	r.releases = releases
	return ctx.Err()
}

// savePlan writes a plan whole or not at all, for its owner alone.
func savePlan(path string, p *release.Plan) error {
	saved, err := p.Save(clock{}.Now())
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(saved, "", "  ")
	if err != nil {
		return err
	}
	return writePrivate(path, append(data, '\n'))
}

// writePrivate writes a file that only its owner can read, whole or not at all.
func writePrivate(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".kai-*")
	if err != nil {
		return fmt.Errorf("%s: %w", path, reason(err))
	}
	defer os.Remove(file.Name())
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.Rename(file.Name(), path)
}
