package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/flavortest"
	"github.com/helm-kai/helm-kai/internal/kubeschema"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

//go:embed flavor/*
var flavorFiles embed.FS

type flavorNewFlags struct {
	dir      string
	parent   string
	abstract bool
}

// newFlavor is what the templates of a new flavor are filled with.
type newFlavor struct {
	Name, Parent string
	Abstract     bool
	Flavor       string   // that the case names
	Fields       []string // lines of those that its context sets
}

func newFlavorsNew(a *app, w *workspaceFlags) *cobra.Command {
	var f flavorNewFlags
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Write a flavor of one's own, with a template and a test case",
		Long: `Writes the folder of a flavor that extends another: flavor.yaml with a field of its own,
a template that uses it, and a test case, explained by comments. The case passes. The
folder is written whole or not at all, into the workspace's first folder of flavors,
and nothing that is there is overwritten.`,
		Example: a.example("flavors new queueworker --parent worker", "flavors new ours --abstract", "flavors new edge -d platform/flavors"),
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return makeFlavor(cmd.Context(), a, w, f, args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.dir, "directory", "d", "", "folder of flavors to write to (default: the workspace's first, or flavors)")
	flags.StringVar(&f.parent, "parent", "webservice", "flavor that it extends, by name")
	flags.BoolVar(&f.abstract, "abstract", false, "make one that is only there to be extended")
	_ = cmd.MarkFlagDirname("directory")
	_ = cmd.RegisterFlagCompletionFunc("parent", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return w.libraryNames((*workspace.Workspace).FlavorNames), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

func makeFlavor(ctx context.Context, a *app, w *workspaceFlags, f flavorNewFlags, name string) error {
	if why, ok := descriptor.InvalidName(name); !ok {
		return fmt.Errorf("%q cannot be the name of a flavor: %s", name, why)
	}
	if !descriptor.BeginsWithLetter(name) {
		return fmt.Errorf("%q cannot be the name of a flavor: it does not begin with a letter", name)
	}
	if name == f.parent {
		return fmt.Errorf("the flavor %s cannot extend itself\n  hint: --parent names another", name)
	}
	if isFolder := strings.HasPrefix(f.parent, ".") || filepath.IsAbs(f.parent); isFolder {
		return fmt.Errorf("--parent %q is a path: --parent takes the name of a flavor\n  hint: %s flavors lists them", f.parent, a.as)
	}
	ws, err := w.libraryOpen()
	if err != nil {
		return err
	}
	parent, findings := ws.Flavor(named(f.parent))
	if parent == nil {
		return fmt.Errorf("--parent: %w", findings)
	}
	folder, next, err := w.flavorFolder(ws, f.dir, name)
	if err != nil {
		return err
	}
	target := filepath.Join(folder, name)
	if _, err := os.Lstat(target); err == nil {
		return fmt.Errorf("%s is there already\n  hint: change it, or choose another name", target)
	}
	files, err := f.files(name, parent)
	if err != nil {
		return err
	}
	report, err := writeFlavor(ctx, w, folder, name, files)
	if err != nil {
		return err
	}
	var made []string
	for file := range files {
		made = append(made, file)
	}
	slices.Sort(made)
	for _, file := range made {
		fmt.Fprintf(a.stdout, "wrote %s\n", filepath.Join(target, file))
	}
	for _, c := range report.Cases {
		for _, g := range c.Contexts {
			if len(c.Problems) == 0 {
				fmt.Fprintf(a.stdout, "wrote %s\n", filepath.Join(target, descriptor.FlavorTests, c.Name, flavortest.Manifests, g+".yaml"))
			}
		}
	}
	if report.Failed() {
		fmt.Fprintf(a.stderr, "its test case does not pass yet: %s\n", report.Cases[0].Problems[0].Message)
	}
	for _, line := range next {
		fmt.Fprintf(a.stderr, "next: %s\n", line)
	}
	fmt.Fprintf(a.stderr, "next: %s flavors test %s\n", a.as, filepath.ToSlash(target))
	return nil
}

// flavorFolder gives the folder that a new flavor goes into, and what else has to be
// done before a context can name it.
func (w *workspaceFlags) flavorFolder(ws *workspace.Workspace, given, name string) (folder string, next []string, err error) {
	root, none := w.root()
	if none != nil {
		if folder = given; folder == "" {
			folder = "flavors"
		}
		return folder, nil, nil
	}
	here, err := w.app.getwd()
	if err != nil {
		return "", nil, err
	}
	full := root
	if !filepath.IsAbs(full) {
		full = filepath.Join(here, full)
	}
	own := ws.FlavorFolders()
	switch {
	case given != "":
		folder = given
	case len(own) > 0:
		folder = filepath.Join(shortest(here, full), filepath.FromSlash(own[0]))
	default:
		folder = filepath.Join(shortest(here, full), "flavors")
	}
	inside := folder
	if !filepath.IsAbs(inside) {
		inside = filepath.Join(here, inside)
	}
	rel, err := filepath.Rel(full, inside)
	if err != nil || !filepath.IsLocal(rel) {
		return folder, []string{"the workspace does not see " + folder + ": put it in git or a registry"}, nil
	}
	rel = filepath.ToSlash(rel)
	switch _, err := os.Stat(filepath.Join(full, workspace.FileName)); {
	case slices.Contains(own, rel):
	case err == nil:
		next = []string{fmt.Sprintf("add %s to the flavors of %s", rel, workspace.FileName)}
	default:
		next = []string{fmt.Sprintf("write flavor: ./%s/%s in a context of %s", rel, name, descriptor.FileName)}
	}
	return folder, next, nil
}

// knownValues are for fields of the library, which a type alone does not explain.
var knownValues = map[string]string{"schedule": "30 3 * * *"}

// demands gives what a context of a flavor has to say: an image if it takes one, and
// values for all fields that have to be given, but for those that have a default.
func demands(flavor *descriptor.Flavor) *source.Value {
	out := source.NewMap(source.Origin{})
	s := sampler{types: flavor.Types}
	chosen := false
	for _, field := range flavor.AllFields() {
		known, ok := knownValues[field.Name]
		switch {
		case field.Name == "image" && field.Expr.String() == "image":
			out.Set("image", source.NewString(source.Origin{}, "release"))
		case !flavor.Defaults.Get(field.Name).IsNull():
		case field.Required && ok:
			out.Set(field.Name, source.NewString(source.Origin{}, known))
		default:
			// Of those that exclude one another one is enough.
			choice := s.isChoice(field)
			if v := s.demanded(field, 0); v != nil && !(choice && chosen) {
				out.Set(field.Name, v)
				chosen = chosen || choice
			}
		}
	}
	return out
}

// files gives those of a new flavor.
func (f flavorNewFlags) files(name string, parent *descriptor.Flavor) (map[string][]byte, error) {
	n := newFlavor{Name: name, Parent: f.parent, Abstract: f.abstract, Flavor: name}
	if fields := demands(parent); len(fields.Fields) > 0 {
		n.Fields = strings.Split(strings.TrimSuffix(string(source.AppendYAML(nil, fields, nil)), "\n"), "\n")
	}
	of := map[string]string{
		descriptor.FlavorFile:                         "flavor.yaml.tmpl",
		"templates/banner-configmap.yaml":             "banner.yaml.tmpl",
		"tests/plain/" + descriptor.FileName:          "case.yaml.tmpl",
		"tests/plain/flavor/" + descriptor.FlavorFile: "concrete.yaml.tmpl",
	}
	if n.Abstract {
		n.Flavor = "./flavor" // that of the case
	} else {
		delete(of, "tests/plain/flavor/"+descriptor.FlavorFile)
	}
	files := map[string][]byte{}
	for path, from := range of {
		data, err := flavorFiles.ReadFile("flavor/" + from)
		if err != nil {
			return nil, err
		}
		if path != "templates/banner-configmap.yaml" { // a template of Helm's
			t, err := template.New(from).Parse(string(data))
			if err != nil {
				return nil, err
			}
			var b bytes.Buffer
			if err := t.Execute(&b, n); err != nil {
				return nil, err
			}
			data = b.Bytes()
		}
		files[filepath.FromSlash(path)] = data
	}
	return files, nil
}

// writeFlavor writes a flavor beside its place, runs its case for the golden files,
// and moves it there.
func writeFlavor(ctx context.Context, w *workspaceFlags, folder, name string, files map[string][]byte) (report *flavortest.Report, err error) {
	made, err := makeFolders(folder)
	if err != nil {
		return nil, err
	}
	defer func() {
		for i := len(made) - 1; i >= 0 && err != nil; i-- {
			_ = os.Remove(made[i])
		}
	}()
	part, err := os.MkdirTemp(folder, ".kai-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(part)) }()
	dir := filepath.Join(part, name)
	for file, data := range files {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(file)), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o644); err != nil {
			return nil, err
		}
	}
	places, err := w.flavorsAt(dir)
	if err != nil {
		return nil, err
	}
	schemas, err := kubeschema.Load("")
	if err != nil {
		return nil, err
	}
	report, err = flavortest.Run(ctx, places[0].ws, places[0].dir, flavortest.Options{Schemas: schemas})
	if err != nil {
		return nil, err
	}
	quiet := &app{stderr: &strings.Builder{}}
	if err := places[0].update(quiet, report); err != nil {
		return nil, err
	}
	return report, os.Rename(dir, filepath.Join(folder, name))
}

// makeFolders makes a folder with those around it, and gives those that were not
// there, the outer ones first.
func makeFolders(dir string) ([]string, error) {
	var made []string
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || filepath.Dir(at) == at {
			break
		}
		made = append([]string{at}, made...)
	}
	return made, os.MkdirAll(dir, 0o755)
}
