package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/flavortest"
	"github.com/helm-kai/helm-kai/internal/kubeschema"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// flavorPlace is a flavor in a folder of a tree.
type flavorPlace struct {
	ws   *workspace.Workspace
	root string // the tree's folder on the disk
	dir  string // the flavor's, in the tree
}

// file gives where a file of the tree lies, for people and for the disk.
func (p flavorPlace) file(name string) string {
	return filepath.Join(p.root, filepath.FromSlash(name))
}

// flavorPlaces finds flavors: by name in the workspace, by path anywhere, also without
// a workspace. A path may be that of a folder of flavors. No name is all of the
// workspace, or else of the folder that one is in.
func (w *workspaceFlags) flavorPlaces(names []string) ([]flavorPlace, error) {
	var out []flavorPlace
	_, none := w.root()
	if none != nil && w.dir != "" {
		return nil, none
	}
	if len(names) == 0 && none != nil {
		names = []string{"."}
	}
	if len(names) == 0 {
		return w.ownFlavors()
	}
	for _, name := range names {
		if byPath := none != nil || strings.ContainsAny(name, `/\`) || name == "." || name == ".."; byPath {
			found, err := w.flavorsAt(name)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
			continue
		}
		ws, root, findings, err := w.openAs(true)
		if err != nil || findings.Err() != nil {
			return nil, errors.Join(err, findings.Err())
		}
		f, findings := ws.Flavor(named(name))
		if f == nil {
			return nil, findings
		}
		if f.BuiltIn {
			return nil, fmt.Errorf("%s is a flavor of the library, which is tested where kai is built\n  hint: kai flavors new NAME --parent %s makes one of your own", name, name)
		}
		out = append(out, flavorPlace{ws, w.shown(root), f.Dir})
	}
	return out, nil
}

// shown gives the folder of the workspace as people would write it from where they
// are.
func (w *workspaceFlags) shown(root string) string {
	here, err := w.app.getwd()
	if err != nil || w.dir != "" {
		return root
	}
	return shortest(here, root)
}

// ownFlavors gives the flavors of the workspace's own folders.
func (w *workspaceFlags) ownFlavors() ([]flavorPlace, error) {
	ws, root, findings, err := w.openAs(true)
	if err != nil || findings.Err() != nil {
		return nil, errors.Join(err, findings.Err())
	}
	var out []flavorPlace
	for _, name := range ws.FlavorNames() {
		f, findings := ws.Flavor(named(name))
		if f == nil {
			return nil, findings
		}
		if !f.BuiltIn && source.TreeOf(f.Dir) == "" {
			out = append(out, flavorPlace{ws, w.shown(root), f.Dir})
		}
	}
	return out, nil
}

// flavorsAt gives the flavor in a folder, or those in its folders.
func (w *workspaceFlags) flavorsAt(name string) ([]flavorPlace, error) {
	here, err := w.app.getwd()
	if err != nil {
		return nil, err
	}
	dir := name
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(here, dir)
	}
	var dirs []string
	for _, pattern := range []string{".", "*", "flavors/*"} {
		found, _ := filepath.Glob(filepath.Join(dir, pattern, descriptor.FlavorFile))
		if found != nil {
			dirs = found
			break
		}
	}
	if dirs == nil {
		return nil, fmt.Errorf("%s: there is no flavor: a folder with a %s\n  hint: %s flavors new NAME makes one", name, descriptor.FlavorFile, w.app.as)
	}
	var out []flavorPlace
	for _, file := range dirs {
		dir := filepath.Dir(file)
		root := w.treeAround(here, dir)
		rel, err := filepath.Rel(root, dir)
		if err != nil {
			return nil, err
		}
		rel = filepath.ToSlash(rel)
		ws, err := w.openTreeAt(root, path.Dir(rel))
		if err != nil {
			return nil, err
		}
		out = append(out, flavorPlace{ws, shortest(here, root), rel})
	}
	return out, nil
}

// treeAround gives the workspace that a flavor stands in; or else the folder that
// kai is run in, or the one that the flavor stands in.
func (w *workspaceFlags) treeAround(here, flavor string) string {
	if w.dir != "" {
		if root, err := filepath.Abs(w.dir); err == nil && below(root, flavor) {
			return root
		}
	}
	for _, file := range []string{workspace.FileName, descriptor.FileName} {
		for dir := filepath.Dir(flavor); ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
				return dir
			}
			if filepath.Dir(dir) == dir {
				break
			}
		}
	}
	if below(here, flavor) {
		return here
	}
	return filepath.Dir(flavor)
}

// below says whether a folder stands in another.
func below(dir, inner string) bool {
	rel, err := filepath.Rel(dir, inner)
	return err == nil && rel != "." && filepath.IsLocal(rel)
}

// shortest gives a folder as people would write it from here.
func shortest(here, dir string) string {
	if rel, err := filepath.Rel(here, dir); err == nil && !strings.HasPrefix(rel, filepath.Join("..", "..", "..")) {
		return rel
	}
	return dir
}

// openTreeAt opens the workspace in a folder, or the folder as one without services
// that has these flavors.
func (w *workspaceFlags) openTreeAt(dir, flavors string) (*workspace.Workspace, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	for _, file := range []string{workspace.FileName, descriptor.FileName} {
		if _, err := root.Stat(file); err != nil {
			continue
		}
		ws, findings, err := w.openPinned(root.FS(), true)
		return ws, errors.Join(err, findings.Err())
	}
	return workspace.Bare(root.FS(), flavors)
}

type flavorTestFlags struct {
	output      string
	update      bool
	run         string
	kubeVersion string
	crds        []string
	rules       string
	jobs        int
}

// flavorTestFormats are those of kai flavors test.
var flavorTestFormats = []string{"text", "json"}

func newFlavorsTest(a *app, w *workspaceFlags) *cobra.Command {
	var f flavorTestFlags
	cmd := &cobra.Command{
		Use:   "test [NAME|PATH…]",
		Short: "Run the test cases of flavors",
		Long: `Runs the cases of flavors, those in FLAVOR/tests/CASE: of the flavors that are named,
of those in a folder, or of all flavors of the workspace. A case is a kai.yaml, or a
workspace. Each of its contexts is rendered and held to manifests/CONTEXT.yaml in its
folder; its objects are held to Kubernetes' schemas, the rules of kai validate whose
findings are errors, and helm lint. A case with an error.txt must be refused in those
words. --update writes what comes out to these files, and removes those of contexts
that are gone; look at the difference before you commit it.

It ends with what of the flavor's templates never ran, and which of its fields no
case sets.

Exit codes: 0 all cases pass, 1 some fail, or there is none.`,
		Example: a.example("flavors test", "flavors test queueworker --run 'queueworker/.*-tls'", "flavors test ./flavors/queueworker --update", "flavors test -o json --kube-version 1.34"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			places, _ := w.flavorPlaces(nil)
			for _, p := range places {
				names = append(names, path.Base(p.dir))
			}
			return names, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return testFlavors(cmd.Context(), a, w, f, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", flavorTestFormats[0], "format: "+strings.Join(flavorTestFormats, ", "))
	flags.BoolVar(&f.update, "update", false, "write what comes out to the golden files")
	flags.StringVar(&f.run, "run", "", "only cases whose FLAVOR/CASE matches this regular expression")
	flags.StringVar(&f.kubeVersion, "kube-version", "", "minor of Kubernetes: "+strings.Join(kubeschema.Minors(), ", ")+" (default: the newest)")
	flags.StringSliceVar(&f.crds, "crds", nil, "files with CustomResourceDefinitions")
	flags.StringVar(&f.rules, "rules", "", "file of settings for the rules")
	flags.IntVarP(&f.jobs, "concurrency", "j", 0, "cases at the same time (default: one for each CPU)")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(flavorTestFormats, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("kube-version", cobra.FixedCompletions(kubeschema.Minors(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// options gives what the flags ask for.
func (f flavorTestFlags) options() (flavortest.Options, error) {
	o := flavortest.Options{KubeVersion: f.kubeVersion, Jobs: f.jobs}
	if !slices.Contains(flavorTestFormats, f.output) {
		return o, fmt.Errorf("--output %q: there is no such format\n  hint: %s", f.output, source.Nearest(f.output, flavorTestFormats))
	}
	var err error
	if f.run != "" {
		if o.Run, err = regexp.Compile(f.run); err != nil {
			return o, fmt.Errorf("--run: %w", err)
		}
	}
	rules := validateFlags{kubeVersion: f.kubeVersion, crds: f.crds, rules: f.rules}
	o.Schemas, o.Settings, err = rules.read()
	return o, err
}

func testFlavors(ctx context.Context, a *app, w *workspaceFlags, f flavorTestFlags, names []string) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	places, err := w.flavorPlaces(names)
	if err != nil {
		return err
	}
	if len(places) == 0 {
		return w.noFlavors()
	}
	reports := []*flavortest.Report{}
	failed, ran := false, 0
	for _, p := range places {
		report, err := flavortest.Run(ctx, p.ws, p.dir, o)
		if err != nil {
			return err
		}
		if f.update {
			if err := p.update(a, report); err != nil {
				return err
			}
		}
		reports = append(reports, report)
		failed, ran = failed || report.Failed(), ran+len(report.Cases)
	}
	if o.Run != nil && ran == 0 {
		return fmt.Errorf("--run %q: there is no such case", f.run)
	}
	err = a.print(f.output, reports, func() {
		for i, report := range reports {
			a.printFlavorTests(places[i], report)
		}
		a.printFlavorCounts(reports)
	})
	switch {
	case err != nil:
		return err
	case ran == 0:
		return noCases(places)
	case failed:
		return &saidError{code: exitFailed}
	}
	return nil
}

// noFlavors says that the workspace has no flavor to test.
func (w *workspaceFlags) noFlavors() error {
	ws, _, findings, err := w.openAs(true)
	if err != nil || ws == nil {
		return errors.Join(err, findings.Err())
	}
	looked := "it names no folders of flavors"
	if folders := ws.FlavorFolders(); len(folders) > 0 {
		looked = "looked for FLAVOR/" + descriptor.FlavorFile + " in " + strings.Join(folders, ", ")
	}
	return fmt.Errorf("the workspace has no flavor of its own: %s\n  hint: %s flavors new NAME makes one; one elsewhere is tested by its path", looked, w.app.as)
}

// noCases says that none of these flavors has a case.
func noCases(places []flavorPlace) error {
	var looked []string
	for _, p := range places {
		looked = append(looked, p.file(path.Join(p.dir, descriptor.FlavorTests)))
	}
	return fmt.Errorf("there is no case: looked for folders in %s\n  hint: a case is %s", strings.Join(looked, ", "), filepath.Join(looked[0], "CASE", descriptor.FileName))
}

// update writes the golden files of a report, and takes what is mended out of it.
func (p flavorPlace) update(a *app, report *flavortest.Report) error {
	if source.TreeOf(p.dir) != "" {
		return fmt.Errorf("--update: %s comes from elsewhere\n  hint: update it where it is written", source.Readable(p.dir))
	}
	root, err := os.OpenRoot(p.root)
	if err != nil {
		return err
	}
	defer root.Close()
	for i := range report.Cases {
		c := &report.Cases[i]
		for _, g := range c.Goldens {
			what := "wrote"
			if g.Data == nil {
				what, err = "removed", root.Remove(g.File)
			} else {
				err = writeGolden(root, g.File, g.Data)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", p.file(g.File), reason(err))
			}
			fmt.Fprintf(a.stderr, "%s %s\n", what, p.file(g.File))
		}
		c.Goldens = nil
		c.Problems = slices.DeleteFunc(c.Problems, func(p flavortest.Problem) bool { return p.Kind == flavortest.KindGolden })
	}
	return nil
}

// writeGolden writes a file whole or not at all.
func writeGolden(root *os.Root, name string, data []byte) error {
	name = filepath.FromSlash(name)
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	part := filepath.Join(filepath.Dir(name), ".kai-"+filepath.Base(name))
	if err := root.WriteFile(part, data, 0o644); err != nil {
		return errors.Join(err, root.Remove(part))
	}
	return root.Rename(part, name)
}

// printFlavorTests writes what the cases of a flavor came to.
func (a *app) printFlavorTests(p flavorPlace, report *flavortest.Report) {
	out := a.stdout
	fmt.Fprintln(out, p.file(report.Dir))
	if len(report.Cases) == 0 {
		fmt.Fprintln(out, "  no cases")
	}
	for _, c := range report.Cases {
		verdict, style := "ok  ", "32"
		if len(c.Problems) > 0 {
			verdict, style = "FAIL", "31"
		}
		fmt.Fprintf(out, "  %s %s", a.painted(style, verdict), c.Name)
		if len(c.Contexts) > 0 {
			fmt.Fprintf(out, " (%s)", strings.Join(c.Contexts, ", "))
		}
		fmt.Fprintln(out)
		for _, problem := range c.Problems {
			a.printFlavorProblem(p, problem)
		}
	}
	c := report.Coverage
	if c == nil {
		return
	}
	fmt.Fprintf(out, "  reached: %d of %s, %d of %s\n", c.Blocks-len(c.Never), count(c.Blocks, "block of templates", "blocks of templates"),
		c.Fields-len(c.Unset), count(c.Fields, "field", "fields"))
	for _, place := range c.Never {
		fmt.Fprintf(out, "    never ran: %s:%d: %s\n", p.file(place.File), place.Line, place.Text)
	}
	if len(c.Unset) > 0 {
		fmt.Fprintf(out, "    never set: %s\n", strings.Join(c.Unset, ", "))
	}
}

func (a *app) printFlavorProblem(p flavorPlace, problem flavortest.Problem) {
	where := problem.Context
	if problem.File != "" {
		where = p.file(problem.File)
	}
	text := strings.ReplaceAll(strings.TrimSpace(problem.Message), "\n", "\n      ")
	fmt.Fprintf(a.stdout, "    %s\n", strings.TrimPrefix(where+": "+text, ": "))
	for _, line := range problem.Diff {
		fmt.Fprintf(a.stdout, "      %s\n", a.paintedLine(line))
	}
	if problem.Hint != "" {
		fmt.Fprintf(a.stdout, "      hint: %s\n", problem.Hint)
	}
}

// paintedLine gives a line of a diff, in git's colours on a terminal.
func (a *app) paintedLine(line manifest.Line) string {
	if line.Op == '@' {
		return a.painted("36", line.Text)
	}
	return a.painted(map[byte]string{'+': "32", '-': "31"}[line.Op], string(rune(line.Op))+line.Text)
}

// painted gives a text in a colour on a terminal.
func (a *app) painted(style, text string) string {
	if style == "" || !a.colors(a.stdout) {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[m"
}

func (a *app) printFlavorCounts(reports []*flavortest.Report) {
	cases, failed := 0, 0
	for _, r := range reports {
		cases += len(r.Cases)
		for _, c := range r.Cases {
			failed += min(1, len(c.Problems))
		}
	}
	fmt.Fprintf(a.stdout, "%s, %s: %d passed, %d failed\n", count(len(reports), "flavor", "flavors"), count(cases, "case", "cases"), cases-failed, failed)
}
