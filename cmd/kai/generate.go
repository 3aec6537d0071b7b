package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/chartdir"
	"github.com/helm-kai/helm-kai/internal/remake"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

type generateFlags struct {
	selection
	out    string
	check  bool
	diff   bool
	stdout bool
	force  bool
	anew   bool
	jobs   int
}

func newGenerate(a *app, w *workspaceFlags) *cobra.Command {
	var f generateFlags
	cmd := &cobra.Command{
		Use:   "generate [SERVICE…]",
		Short: "Write the charts of a context",
		Long: `Writes a Helm chart for every service of a context, and for every friend that is
installed once for all, to DIR/CONTEXT/SERVICE.

A chart is replaced as a whole or not at all. Files that kai did not make stay as
they are; one that kai made and that was edited since is reported, and its chart is
left alone unless --force is given. Charts of services that are gone are removed.
The record of what kai made is .kai.sha256 in each chart, in the format of sha256sum.

Nothing is written before all charts are made and nothing is wrong. What is there
already is not made again: kai remembers, in its cache, the content of all that it has
read and the state of all that it has written. Where that is lost, all is made.`,
		Example:           a.example("generate -c dev", "generate --all-contexts --check --diff", "generate -c prod carts orders -o build/charts"),
		ValidArgsFunction: w.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return generate(cmd.Context(), a, w, f, args)
		},
	}
	f.addFlags(cmd, w)
	cmd.Flags().StringVarP(&f.out, "output-dir", "o", "", "folder to write to (default: charts, in the workspace)")
	cmd.Flags().BoolVar(&f.check, "check", false, "write nothing; exit with 1 and list what is stale")
	cmd.Flags().BoolVar(&f.diff, "diff", false, "with --check, print how stale files differ, 200 lines at most")
	cmd.Flags().BoolVar(&f.stdout, "stdout", false, "print the charts' files instead of writing them, in the txtar format")
	cmd.Flags().BoolVar(&f.force, "force", false, "overwrite generated files that were edited")
	cmd.Flags().BoolVar(&f.anew, "anew", false, "make all charts, whatever is remembered of the last run")
	cmd.Flags().IntVarP(&f.jobs, "concurrency", "j", 0, "charts made at the same time (default: one for each CPU)")
	cmd.MarkFlagsMutuallyExclusive("check", "stdout", "force")
	_ = cmd.MarkFlagDirname("output-dir")
	return cmd
}

func generate(ctx context.Context, a *app, w *workspaceFlags, f generateFlags, services []string) error {
	if f.stdout {
		built, _, err := buildContexts(ctx, a, w, f.selection, services, f.jobs)
		if err == nil {
			printCharts(a, built)
		}
		return err
	}
	if f.diff && !f.check {
		return fmt.Errorf("--diff is for --check\n  hint: %s generate --check --diff", a.as)
	}
	job, err := f.job(a, w, services)
	if err != nil {
		return err
	}
	outcomes, findings, err := remake.Run(ctx, job)
	if findings.Err() != nil {
		return findings
	}
	if len(findings) > 0 {
		fmt.Fprintln(a.stderr, findings.Error())
	}
	if f.check {
		stale := sayStale(a, outcomes, err)
		if err == nil && stale != nil && f.diff {
			err = sayStaleLines(ctx, a, w, f, outcomes)
		}
		return cmp.Or(err, stale)
	}
	return sayWritten(a, job.Out, outcomes, err)
}

// job says what is to be written. It reads no more than the names of contexts.
func (f *generateFlags) job(a *app, w *workspaceFlags, services []string) (remake.Job, error) {
	fsys, dir, err := w.tree()
	if err != nil {
		return remake.Job{}, err
	}
	contexts, err := f.contextsIn(a, w, fsys)
	if err != nil {
		return remake.Job{}, err
	}
	match, err := f.matcher(services)
	if err != nil {
		return remake.Job{}, err
	}
	j := remake.Job{
		FS: fsys, Contexts: contexts, Out: f.out, Select: match, Jobs: f.jobs, Force: f.force, Check: f.check,
		Open: func(fsys fs.FS) (*workspace.Workspace, source.Findings, error) {
			ws, findings, err := w.openIn(fsys, false)
			if ws != nil {
				if collectSeldomIf(len(ws.Services)); len(ws.Services) > few {
					debug.SetGCPercent(80) // what is made on the way is many times what is held
				}
			}
			return ws, findings, err
		},
		Approve: func(ws *workspace.Workspace, names map[string]bool) error {
			for _, name := range services {
				if !names[name] {
					return noService(name, strings.Join(contexts, ", "), ws.ServiceNames())
				}
			}
			return nil
		},
	}
	if j.Out == "" {
		j.Out = a.relative(filepath.Join(dir, "charts"))
	}
	if !f.anew {
		w.remember(&j, dir)
	}
	return j, nil
}

// few is how many services make a run that is over soon.
const few = 100

// collectSeldomIf has memory collected less often where the services are few.
func collectSeldomIf(services int) {
	if services <= few {
		debug.SetGCPercent(400)
	}
}

// contextsIn gives the contexts that are asked for. Where they cannot be had, it
// says first what is wrong with the workspace.
func (f *generateFlags) contextsIn(a *app, w *workspaceFlags, fsys fs.FS) ([]string, error) {
	if known := workspace.ContextNames(fsys); known != nil {
		if contexts, err := f.chooseFrom(a, known); err == nil {
			return contexts, nil
		}
	}
	ws, findings, err := w.openIn(fsys, false)
	if err != nil {
		return nil, err
	}
	contexts, err := f.choose(a, ws)
	if err != nil && findings.Err() != nil {
		return nil, findings
	}
	return contexts, err
}

// remember has a job remember what it does, where there is a place for that and
// this kai can be told from others.
func (w *workspaceFlags) remember(j *remake.Job, dir string) {
	cache, err := w.cacheDir()
	if err != nil {
		return
	}
	program, err := os.Executable()
	if err == nil {
		program, err = filepath.EvalSymlinks(program) // on macOS it is the name that was called
	}
	if err != nil {
		return
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return
	}
	if identity, ok := chartdir.Identity(program); ok {
		j.Memory, j.Maker, j.Workspace = filepath.Join(cache, "generated"), w.app.version+" "+program+" "+identity, full
	}
}

// gathered is what is kept of one context's charts, in the order of their names.
type gathered[T any] struct {
	context  string
	releases []T
}

// generation is one context's charts.
type generation = gathered[build.Release]

func whole(r build.Release) build.Release { return r }

// buildContexts makes the charts of all contexts that are asked for. It gives
// all that is wrong at once.
func buildContexts(ctx context.Context, a *app, w *workspaceFlags, s selection, services []string, jobs int) ([]generation, string, error) {
	return gatherContexts(ctx, a, w, s, services, jobs, whole)
}

// gatherContexts is buildContexts for those who need not hold the charts: keep is
// called for several at the same time, as soon as they are made, also where
// something turns out to be wrong with others.
func gatherContexts[T any](ctx context.Context, a *app, w *workspaceFlags, s selection, services []string, jobs int, keep func(build.Release) T) ([]gathered[T], string, error) {
	ws, dir, findings, err := w.open()
	if err != nil {
		return nil, "", err
	}
	contexts, err := s.choose(a, ws)
	if err != nil {
		if findings.Err() != nil {
			return nil, "", findings
		}
		return nil, "", err
	}
	return gatherIn(ctx, a, ws, dir, findings, contexts, s, services, jobs, keep)
}

// buildIn makes the charts of some contexts of a workspace that is open.
func buildIn(ctx context.Context, a *app, ws *workspace.Workspace, dir string, findings source.Findings, contexts []string, s selection, services []string, jobs int) ([]generation, string, error) {
	return gatherIn(ctx, a, ws, dir, findings, contexts, s, services, jobs, whole)
}

func gatherIn[T any](ctx context.Context, a *app, ws *workspace.Workspace, dir string, findings source.Findings, contexts []string, s selection, services []string, jobs int, keep func(build.Release) T) ([]gathered[T], string, error) {
	match, err := s.matcher(services)
	if err != nil {
		return nil, "", err
	}
	collectSeldomIf(len(ws.Services))
	type named struct {
		name string
		kept T
	}
	var built []gathered[T]
	found := map[string]bool{}
	for _, name := range contexts {
		var mu sync.Mutex
		var all []named
		findings = append(findings, build.Stream(ctx, ws, name, build.Options{Select: match, Jobs: jobs}, func(r build.Release) {
			kept := keep(r)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, named{r.Name, kept})
			found[r.Labels["name"]] = true
		})...)
		slices.SortFunc(all, func(a, b named) int { return strings.Compare(a.name, b.name) })
		g := gathered[T]{context: name}
		for _, n := range all {
			g.releases = append(g.releases, n.kept)
		}
		built = append(built, g)
	}
	findings = findings.Sorted()
	if findings.Err() != nil {
		return nil, "", findings
	}
	if len(findings) > 0 {
		fmt.Fprintln(a.stderr, findings.Error())
	}
	for _, name := range services {
		if !found[name] {
			return nil, "", noService(name, strings.Join(contexts, ", "), ws.ServiceNames())
		}
	}
	return built, dir, nil
}

func noService(name, contexts string, known []string) error {
	return fmt.Errorf("there is no service %q in the context %s\n  hint: %s", name, contexts, source.Nearest(name, known))
}

func printCharts(a *app, built []generation) {
	for _, g := range built {
		for _, r := range g.releases {
			for _, file := range r.Chart.Files {
				fmt.Fprintf(a.stdout, "-- %s/%s/%s --\n%s", g.context, r.Name, file.Path, file.Data)
				if n := len(file.Data); n > 0 && file.Data[n-1] != '\n' {
					fmt.Fprintln(a.stdout)
				}
			}
		}
	}
}

// sayStale lists what generate would change.
func sayStale(a *app, outcomes []remake.Outcome, failed error) error {
	stale := 0
	var contexts []string
	for _, o := range outcomes {
		contexts = append(contexts, o.Context)
		for _, r := range o.Results {
			if r.State == chartdir.Unchanged {
				continue
			}
			stale++
			if _, err := os.Lstat(r.Folder); errors.Is(err, fs.ErrNotExist) {
				fmt.Fprintf(a.stdout, "%s\t%s\n", checkWords[chartdir.KindAdded], r.Folder)
				continue
			}
			if len(r.Changes) == 0 {
				// All files are as they should be, but none is recorded as kai's.
				fmt.Fprintf(a.stdout, "%s\t%s\n", checkWords[chartdir.KindAdded], filepath.Join(r.Folder, chartdir.RecordName))
			}
			for _, c := range r.Changes {
				fmt.Fprintf(a.stdout, "%s\t%s\n", checkWords[c.Kind], filepath.Join(r.Folder, filepath.FromSlash(c.Path)))
			}
		}
	}
	switch {
	case failed != nil:
		return nil
	case stale == 0:
		fmt.Fprintln(a.stderr, "all charts are fresh")
		return nil
	}
	fmt.Fprintf(a.stderr, "kai: %s stale\n  hint: %s generate -c %s\n", count(stale, "chart is", "charts are"), a.as, strings.Join(contexts, ","))
	return &saidError{code: exitFailed}
}

// checkWords say how a file on disk differs from what kai would write.
var checkWords = map[chartdir.Kind]string{
	chartdir.KindAdded: "missing", chartdir.KindChanged: "stale", chartdir.KindRemoved: "obsolete",
	chartdir.KindEdited: "edited", chartdir.KindForeign: "foreign",
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// sayWritten tells what became of the charts.
func sayWritten(a *app, out string, outcomes []remake.Outcome, failed error) error {
	var refused source.Findings
	counts := map[chartdir.State]int{}
	for _, o := range outcomes {
		for _, r := range o.Results {
			counts[r.State]++
			refused = append(refused, r.Findings()...)
			if r.State != chartdir.Unchanged && r.State != "" {
				fmt.Fprintf(a.stdout, "%s\t%s\n", r.State, r.Folder)
			}
		}
	}
	var words []string
	for _, s := range []chartdir.State{chartdir.Created, chartdir.Updated, chartdir.Removed, chartdir.Unchanged, chartdir.Refused} {
		if n := counts[s]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, s))
		}
	}
	if words == nil && failed == nil {
		words = []string{"none"}
	}
	if words != nil {
		fmt.Fprintf(a.stderr, "charts in %s: %s\n", out, strings.Join(words, ", "))
	}
	if failed != nil {
		return failed
	}
	return refused.Err()
}

// relative gives a path as seen from the working directory, where that is
// shorter to read.
func (a *app) relative(path string) string {
	here, err := a.getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
