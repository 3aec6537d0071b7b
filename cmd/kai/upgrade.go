package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/lock"
	"github.com/helm-kai/helm-kai/internal/release"
	"github.com/helm-kai/helm-kai/internal/report"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

type upgradeFlags struct {
	dryRun  bool
	check   bool
	yes     bool
	output  string
	unified int
	charts  string
	jobs    int
}

func newUpgrade(a *app, w *workspaceFlags) *cobra.Command {
	var f upgradeFlags
	cmd := &cobra.Command{
		Use:   "upgrade [NAME…]",
		Short: "Pin flavors, friends and charts anew, with the effect shown first",
		Long: `Asks what the sources of the workspace's flavors, friends and charts stand for now,
shows what moves and the effect on every manifest of every context, and writes it to
kai.lock. From then on all commands use exactly these bytes, until the next upgrade.

With names, of flavors, friends or charts as kai.lock has them, only these move. What
is used and not pinned is pinned in any case, and what is no longer used is removed.

Both sides of the effect are made from files: the former one from the former pins.
Where those cannot be had, because this kai's library has other bytes by now or because
nothing was pinned, the charts that were generated to --charts stand for it; where there
are none, that is said.

On a terminal, upgrade asks before it writes; --yes answers. --dry-run writes nothing,
and --check only says what would move: it exits with 2 then.`,
		Example: a.example("upgrade", "upgrade web nats --dry-run", "upgrade -o summary --yes", "upgrade --check"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return w.pinnedNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return upgrade(cmd.Context(), a, w, &f, args)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.dryRun, "dry-run", false, "write nothing")
	flags.BoolVar(&f.check, "check", false, "write nothing and render nothing; exit with 2 if something would move")
	flags.BoolVarP(&f.yes, "yes", "y", false, "write without asking")
	flags.StringVarP(&f.output, "output", "o", report.Formats()[0], "format: "+strings.Join(report.Formats(), ", "))
	flags.IntVarP(&f.unified, "unified", "U", 3, "lines of context around a change; -1 shows whole objects")
	flags.StringVar(&f.charts, "charts", "", "folder of generated charts (default: charts, in the workspace)")
	flags.IntVarP(&f.jobs, "concurrency", "j", 0, "charts made at the same time (default: one for each CPU)")
	cmd.MarkFlagsMutuallyExclusive("check", "dry-run")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(report.Formats(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.MarkFlagDirname("charts")
	return cmd
}

// pinnedNames completes what upgrade takes.
func (w *workspaceFlags) pinnedNames() []string {
	dir, err := w.root()
	if err != nil {
		return nil
	}
	file, _ := lock.Read(os.DirFS(dir))
	if file == nil {
		return nil
	}
	var names []string
	for _, e := range file.Entries {
		names = append(names, e.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// upgraded is a workspace with what its sources stand for now.
type upgraded struct {
	dir    string
	root   fs.FS
	ws     *workspace.Workspace
	before *lock.File // nil where there is no kai.lock
	was    []byte     // its bytes
	after  *lock.File
	moves  []lock.Move
	built  []generation
	getter lock.Resolver
}

func upgrade(ctx context.Context, a *app, w *workspaceFlags, f *upgradeFlags, names []string) error {
	if !slices.Contains(report.Formats(), f.output) {
		return fmt.Errorf("--output %q: there is no such format\n  hint: %s", f.output, source.Nearest(f.output, report.Formats()))
	}
	u, err := resolveAnew(ctx, a, w, f, names)
	if err != nil {
		return err
	}
	if len(u.moves) == 0 && u.before != nil {
		fmt.Fprintf(a.stderr, "nothing moves: %s stays as it is\n", lock.FileName)
		return nil
	}
	if f.check {
		if err := u.print(a, f, nil); err != nil {
			return err
		}
		return &saidError{code: exitChanges}
	}
	effects, err := u.effects(ctx, a, w, f)
	if err != nil {
		return err
	}
	if err := u.print(a, f, effects); err != nil {
		return err
	}
	if f.dryRun {
		return nil
	}
	if err := a.agreed(ctx, f.yes, "write "+lock.FileName+"?"); err != nil {
		return err
	}
	if err := u.write(); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "written: %s\n", a.relative(filepath.Join(u.dir, lock.FileName)))
	return nil
}

// resolveAnew asks all sources that may move, and makes the charts of every
// context with what they give.
func resolveAnew(ctx context.Context, a *app, w *workspaceFlags, f *upgradeFlags, names []string) (*upgraded, error) {
	dir, err := w.root()
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	u := &upgraded{dir: dir, root: root.FS()}
	var findings source.Findings
	if u.before, findings = lock.Read(u.root); findings != nil {
		return nil, findings
	}
	if u.before != nil {
		if u.was, err = fs.ReadFile(u.root, lock.FileName); err != nil {
			return nil, err
		}
	}
	if u.getter, err = w.watch(false); err != nil {
		return nil, err
	}
	resolving := lock.NewResolving(ctx, u.before, u.getter, a.version, names)
	resolving.Ahead()
	if u.ws, findings = workspace.OpenWith(u.root, resolving); u.ws == nil {
		return nil, findings.Sorted()
	}
	if u.built, _, err = buildIn(ctx, a, u.ws, dir, findings, u.ws.ContextNames(), selection{}, nil, f.jobs); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if unknown, known := resolving.Unknown(); len(unknown) > 0 {
		return nil, fmt.Errorf("the workspace uses no flavor, friend or chart %q\n  hint: %s", unknown[0], source.Nearest(unknown[0], known))
	}
	u.after = resolving.File()
	u.moves = lock.Compare(u.before, u.after)
	return u, nil
}

// elapsed gives the entries of the library that this kai has otherwise.
func elapsed(file *lock.File) []lock.Entry {
	var out []lock.Entry
	for _, e := range file.Entries {
		if e.Source != lock.Library {
			continue
		}
		if is, err := workspace.LibraryDigest(e.Kind, e.Name); err != nil || is != e.Digest {
			out = append(out, e)
		}
	}
	return out
}

// effect is what an upgrade changes in a context.
type effect struct {
	context string
	plan    *release.Plan // nil where there is nothing to compare with
	note    string        // what stands for the former side, or why nothing does
}

// effects compares every context as it was with as it will be.
func (u *upgraded) effects(ctx context.Context, a *app, w *workspaceFlags, f *upgradeFlags) ([]effect, error) {
	former, why := u.former(ctx)
	if f.charts == "" {
		f.charts = filepath.Join(u.dir, "charts")
	}
	var out []effect
	memory := &build.Memory{}
	for _, g := range u.built {
		e := effect{context: g.context}
		target, findings := u.ws.Target(g.context)
		if target == nil {
			return nil, findings
		}
		now := &road{ws: u.ws, dir: u.dir, from: target, releases: g.releases, memory: memory, target: release.Target{Workspace: u.ws.Name, Context: g.context, Namespace: target.Namespace}}
		wanted, err := now.desire(ctx, a, nil, f.jobs)
		if err != nil {
			return nil, err
		}
		before, against := &road{ws: former, dir: u.dir, from: target, target: now.target, memory: memory}, lock.FileName
		if u.before == nil {
			against = "the same without " + lock.FileName
		}
		problem := why
		if problem == "" {
			if err := before.build(ctx, g.context, selection{}, nil, f.jobs); err != nil {
				first, _, _ := strings.Cut(err.Error(), "\n")
				problem = "the former pins give no charts: " + first
			}
		}
		if problem != "" {
			folder := filepath.Join(f.charts, g.context)
			found, err := onDisk(folder, g.releases)
			if err != nil {
				return nil, err
			}
			shown := a.relative(folder)
			if len(found) == 0 {
				e.note = fmt.Sprintf("%s; there are no charts in %s either, so the effect cannot be shown", problem, shown)
				out = append(out, e)
				continue
			}
			e.note = fmt.Sprintf("%s; compared with the charts in %s, as they were generated", problem, shown)
			before.ws, before.releases, against = u.ws, found, "folder:"+shown
		}
		was, err := before.desire(ctx, a, nil, f.jobs)
		if err != nil {
			return nil, fmt.Errorf("%s:\n%w", against, err)
		}
		e.plan = release.Offline(now.target, against, was, wanted)
		out = append(out, e)
	}
	return out, ctx.Err()
}

// former gives the workspace with the former pins, or why it cannot.
func (u *upgraded) former(ctx context.Context) (*workspace.Workspace, string) {
	if u.before == nil {
		if slices.ContainsFunc(u.after.Entries, lock.Entry.IsRemote) {
			return nil, "nothing was pinned"
		}
		return u.ws, ""
	}
	gone := elapsed(u.before)
	moved := slices.DeleteFunc(gone, func(e lock.Entry) bool {
		return !slices.ContainsFunc(u.moves, func(m lock.Move) bool { return m.Before != nil && m.Before.Kind == e.Kind && m.Before.Name == e.Name })
	})
	if len(moved) > 0 {
		return nil, fmt.Sprintf("this kai does not have the former %s %s (%s)", moved[0].Kind, moved[0].Name, moved[0].Version())
	}
	ws, findings := workspace.OpenWith(u.root, lock.NewPinned(ctx, u.before, u.getter).Lenient())
	if findings.Err() != nil {
		return nil, "the former pins give no charts"
	}
	return ws, ""
}

// onDisk gives those of the releases whose charts stand in a folder, with these.
func onDisk(folder string, releases []build.Release) ([]build.Release, error) {
	root, err := os.OpenRoot(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var out []build.Release
	for _, r := range releases {
		chart := generator.Chart{Name: r.Chart.Name, Version: r.Chart.Version}
		err := fs.WalkDir(root.FS(), r.Name, func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := source.ReadFile(root.FS(), name, source.MaxFile)
			chart.Files = append(chart.Files, generator.File{Path: strings.TrimPrefix(name, r.Name+"/"), Data: data})
			return err
		})
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", folder, err)
		}
		if !slices.ContainsFunc(chart.Files, func(f generator.File) bool { return f.Path == "Chart.yaml" }) {
			continue
		}
		r.Chart = chart
		out = append(out, r)
	}
	return out, nil
}

// print shows what moves and its effect.
func (u *upgraded) print(a *app, f *upgradeFlags, effects []effect) error {
	o := report.Options{Format: f.output, Context: f.unified, Color: a.colors(a.stdout)}
	if f.output == "json" {
		return u.printJSON(a, o, effects)
	}
	rows := make([][]string, len(u.moves))
	for i, m := range u.moves {
		rows[i] = []string{string(m.Kind), m.Name, m.Word(), sideOf(m.Before, m.After), sideOf(m.After, m.Before)}
	}
	if f.output == "markdown" {
		fmt.Fprintln(a.stdout, "| kind | name | | before | after |\n|---|---|---|---|---|")
		for _, row := range rows {
			fmt.Fprintf(a.stdout, "| %s |\n", strings.Join(row, " | "))
		}
	} else if err := report.Table(a.stdout, []string{"KIND", "NAME", "CHANGE", "BEFORE", "AFTER"}, rows); err != nil {
		return err
	}
	for _, e := range effects {
		if e.note != "" {
			fmt.Fprintf(a.stderr, "%s: %s\n", e.context, e.note)
		}
		if e.plan == nil {
			continue
		}
		fmt.Fprintln(a.stdout)
		if err := report.Write(a.stdout, e.plan, o); err != nil {
			return err
		}
	}
	return nil
}

// sideOf words one side of a move, with its source where that is not the other's.
func sideOf(e, other *lock.Entry) string {
	switch {
	case e == nil:
		return "-"
	case e.Source == lock.Library || !e.IsRemote():
		return e.Version()
	case other == nil || other.Source != e.Source:
		return e.Source + ", " + e.Version()
	case other.Resolved == e.Resolved:
		return e.Version() + ", files " + e.Digest[:min(len(e.Digest), 19)]
	}
	return e.Version()
}

func (u *upgraded) printJSON(a *app, o report.Options, effects []effect) error {
	type effectJSON struct {
		Context string          `json:"context"`
		Note    string          `json:"note,omitempty"`
		Plan    json.RawMessage `json:"plan,omitempty"`
	}
	out := struct {
		Moves   []lock.Move  `json:"moves"`
		Effects []effectJSON `json:"effects"`
	}{append([]lock.Move{}, u.moves...), []effectJSON{}}
	for _, e := range effects {
		one := effectJSON{Context: e.context, Note: e.note}
		if e.plan != nil {
			var b bytes.Buffer
			if err := report.Write(&b, e.plan, o); err != nil {
				return err
			}
			one.Plan = b.Bytes()
		}
		out.Effects = append(out.Effects, one)
	}
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

// agreed asks on a terminal whether something is to be done.
func (a *app) agreed(ctx context.Context, yes bool, question string) error {
	f, is := interactive(a.stdin)
	if yes || !is {
		return nil
	}
	fmt.Fprint(a.stderr, question+" [y/N] ")
	answers := make(chan string, 1)
	go func() {
		var line string
		_, _ = fmt.Fscanln(f, &line)
		answers <- line
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case line := <-answers:
		if answer := strings.ToLower(line); answer == "y" || answer == "yes" {
			return nil
		}
	}
	return errors.New("nothing is written\n  hint: --yes")
}

// write puts the new kai.lock in place, whole or not at all.
func (u *upgraded) write() error {
	path := filepath.Join(u.dir, lock.FileName)
	switch now, err := os.ReadFile(path); {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case !bytes.Equal(now, u.was):
		return fmt.Errorf("%s has changed meanwhile\n  hint: run the command again", lock.FileName)
	}
	file, err := os.CreateTemp(u.dir, ".kai-*")
	if err != nil {
		return fmt.Errorf("%s: %w", path, reason(err))
	}
	defer os.Remove(file.Name())
	_, err = file.Write(u.after.Bytes())
	if err = errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.Rename(file.Name(), path)
}
