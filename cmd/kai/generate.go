package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/chartdir"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

type generateFlags struct {
	selection
	out    string
	check  bool
	stdout bool
	force  bool
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
The record of what kai made is .kai.sha256 in each chart, in the format of sha256sum.`,
		Example:           a.example("generate -c dev", "generate --all-contexts --check", "generate -c prod carts orders -o build/charts"),
		ValidArgsFunction: w.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return generate(cmd.Context(), a, w, f, args)
		},
	}
	f.addFlags(cmd, w)
	cmd.Flags().StringVarP(&f.out, "output-dir", "o", "", "folder to write to (default: charts, in the workspace)")
	cmd.Flags().BoolVar(&f.check, "check", false, "write nothing; exit with 1 and list what is stale")
	cmd.Flags().BoolVar(&f.stdout, "stdout", false, "print the charts' files instead of writing them, in the txtar format")
	cmd.Flags().BoolVar(&f.force, "force", false, "overwrite generated files that were edited")
	cmd.Flags().IntVarP(&f.jobs, "concurrency", "j", 0, "charts made at the same time (default: one for each CPU)")
	cmd.MarkFlagsMutuallyExclusive("check", "stdout", "force")
	_ = cmd.MarkFlagDirname("output-dir")
	return cmd
}

// generation is one context's charts.
type generation struct {
	context  string
	releases []build.Release
}

func generate(ctx context.Context, a *app, w *workspaceFlags, f generateFlags, services []string) error {
	built, dir, err := buildContexts(ctx, a, w, f.selection, services, f.jobs)
	if err != nil {
		return err
	}
	if f.out == "" {
		f.out = a.relative(filepath.Join(dir, "charts"))
	}
	partial := f.selector != "" || len(services) > 0
	switch {
	case f.stdout:
		printCharts(a, built)
		return nil
	case f.check:
		return checkCharts(ctx, a, f, built, partial)
	}
	return writeCharts(ctx, a, f, built, partial)
}

// buildContexts makes the charts of all contexts that are asked for. It gives
// all that is wrong at once.
func buildContexts(ctx context.Context, a *app, w *workspaceFlags, s selection, services []string, jobs int) ([]generation, string, error) {
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
	return buildIn(ctx, a, ws, dir, findings, contexts, s, services, jobs)
}

// buildIn makes the charts of some contexts of a workspace that is open.
func buildIn(ctx context.Context, a *app, ws *workspace.Workspace, dir string, findings source.Findings, contexts []string, s selection, services []string, jobs int) ([]generation, string, error) {
	match, err := s.matcher(services)
	if err != nil {
		return nil, "", err
	}
	var built []generation
	found := map[string]bool{}
	for _, name := range contexts {
		releases, more := build.Charts(ctx, ws, name, build.Options{Select: match, Jobs: jobs})
		findings = append(findings, more...)
		for _, r := range releases {
			found[r.Labels["name"]] = true
		}
		built = append(built, generation{context: name, releases: releases})
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

func (g generation) names() []string {
	names := make([]string, len(g.releases))
	for i, r := range g.releases {
		names[i] = r.Name
	}
	return names
}

// checkCharts lists what generate would change.
func checkCharts(ctx context.Context, a *app, f generateFlags, built []generation, partial bool) error {
	stale := 0
	for _, g := range built {
		results, err := checkContext(ctx, filepath.Join(f.out, g.context), g, partial)
		if err != nil {
			return err
		}
		for _, r := range results {
			if r.State == chartdir.Unchanged {
				continue
			}
			stale++
			if _, err := os.Lstat(r.Folder); errors.Is(err, fs.ErrNotExist) {
				fmt.Fprintf(a.stdout, "%s\t%s\n", checkWords[chartdir.KindAdded], r.Folder)
				continue
			}
			for _, c := range r.Changes {
				fmt.Fprintf(a.stdout, "%s\t%s\n", checkWords[c.Kind], filepath.Join(r.Folder, filepath.FromSlash(c.Path)))
			}
		}
	}
	if stale == 0 {
		fmt.Fprintln(a.stderr, "all charts are fresh")
		return nil
	}
	var contexts []string
	for _, g := range built {
		contexts = append(contexts, g.context)
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

func checkContext(ctx context.Context, path string, g generation, partial bool) ([]chartdir.Result, error) {
	folder, err := chartdir.View(ctx, path)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	var results []chartdir.Result
	for _, r := range g.releases {
		result, err := folder.Check(r.Chart)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	if partial {
		return results, nil
	}
	obsolete, err := folder.Obsolete(g.names())
	return append(results, obsolete...), err
}

// writeCharts writes the charts, each as a whole, and removes those that are no
// longer made.
func writeCharts(ctx context.Context, a *app, f generateFlags, built []generation, partial bool) error {
	var refused source.Findings
	counts := map[chartdir.State]int{}
	var failed error
	for _, g := range built {
		results, err := writeContext(ctx, filepath.Join(f.out, g.context), g, f, partial)
		for _, r := range results {
			counts[r.State]++
			refused = append(refused, r.Findings()...)
			if r.State != chartdir.Unchanged && r.State != "" {
				fmt.Fprintf(a.stdout, "%s\t%s\n", r.State, r.Folder)
			}
		}
		failed = errors.Join(failed, err)
		if ctx.Err() != nil {
			break
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
		fmt.Fprintf(a.stderr, "charts in %s: %s\n", f.out, strings.Join(words, ", "))
	}
	if failed != nil {
		return failed
	}
	return refused.Err()
}

func writeContext(ctx context.Context, path string, g generation, f generateFlags, partial bool) (results []chartdir.Result, err error) {
	folder, err := chartdir.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	options := chartdir.Options{Force: f.force}
	results = make([]chartdir.Result, len(g.releases))
	errs := make([]error, len(g.releases))
	build.Each(ctx, f.jobs, len(g.releases), func(i int) {
		results[i], errs[i] = folder.Write(ctx, g.releases[i].Chart, options)
	})
	err = errors.Join(append(errs, ctx.Err())...)
	if err != nil || partial {
		return results, err
	}
	pruned, err := folder.Prune(ctx, g.names(), options)
	return append(results, pruned...), err
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
