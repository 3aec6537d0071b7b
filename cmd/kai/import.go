package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/importer"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/validate"
)

type moveInFlags struct {
	output   string
	dryRun   bool
	report   string
	name     string
	contexts []string
}

func newImport(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Write descriptors from what describes services elsewhere",
		Long: `Writes a workspace with a descriptor for each service from what describes them elsewhere:
manifests of Kubernetes, a Compose file, Score's workloads, or Pligos' configurations.

No secret is copied. The report says what was carried over, what kai makes otherwise, what
has no place in kai, with file and line, what needs a decision, and which secrets have to
be stored, with the commands that do it.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newImportOf(a, "manifests", "Import manifests of Kubernetes", `Reads manifests: plain files, what kustomize build wrote, or a chart that helm template
rendered; - is stdin. A folder is read with all that lies below it.

Several environments are compared: what they have in common becomes the context base, and
the rest a context of each. Name them with --context, once for each file or folder. The
servers of kai's library (postgres, redis, rabbitmq, …) are known by their image, and
become friends of the services that name their address.

Then the charts are generated, and compared with the manifests, field by field: each
difference is in the report.`, importer.Manifests,
			"import manifests deploy/ -o shop", "import manifests --context dev=dev.yaml --context prod=prod.yaml -o shop --report report.json",
			"import manifests --dry-run -"),
		newImportOf(a, "compose", "Import a Compose file", `Reads Compose files. A service becomes a descriptor, its published ports become routes, its
files ConfigMaps, and servers of kai's library friends. Files are laid over one another in
their order, as docker compose -f A -f B does it; a folder stands for its compose.yaml with
the override beside it. What they include and extend in the folder is read too. Each
--context is a project of its own, and may be given several files; so is each profile.`, importer.Compose,
			"import compose compose.yaml -o shop", "import compose compose.yaml compose.ci.yaml --dry-run",
			"import compose --context dev=. --context prod=compose.yaml --context prod=compose.prod.yaml -o shop"),
		newImportOf(a, "score", "Import workloads of Score", `Reads workload files of Score (score.dev/v1b1). Resources become friends, and the
placeholders that name their outputs become references to them.`, importer.Score,
			"import score score.yaml -o shop"),
		newImportOf(a, "pligos", "Import configurations of Pligos", `Reads the configurations of Pligos, in the forms of all its three generations: folders with
a pligos.yaml, and beside it a values.yaml in the older two. Its contexts, instances and
friends become kai's.`, importer.Pligos,
			"import pligos configs/ -o shop"),
	)
	return cmd
}

func newImportOf(a *app, kind, short, long string, run func(importer.Options) (*importer.Result, source.Findings), examples ...string) *cobra.Command {
	var f moveInFlags
	cmd := &cobra.Command{
		Use:     kind + " PATH…",
		Short:   short,
		Long:    long,
		Example: a.example(examples...),
		RunE: func(cmd *cobra.Command, args []string) error {
			return importFrom(cmd.Context(), a, f, run, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output-dir", "o", ".", "folder that the workspace is written to")
	flags.BoolVar(&f.dryRun, "dry-run", false, "write nothing but the report, and print the files")
	flags.StringVar(&f.report, "report", "", "file that the whole report is written to: JSON if it ends in .json, text else (default: text, on stderr, with long lists cut)")
	flags.StringVar(&f.name, "name", "", "name of the workspace (default: what a Compose file says, or the output folder's)")
	flags.StringArrayVar(&f.contexts, "context", nil, "NAME=PATH: what is read for an environment")
	_ = cmd.MarkFlagDirname("output-dir")
	_ = cmd.MarkFlagFilename("report")
	return cmd
}

func importFrom(ctx context.Context, a *app, f moveInFlags, run func(importer.Options) (*importer.Result, source.Findings), args []string) error {
	o := importer.Options{Name: f.name, Kai: a.as, Clear: validate.ClearSpans}
	if o.Name == "" { // what is imported may have a name
		dir, err := filepath.Abs(f.output)
		if err != nil {
			return err
		}
		o.Folder = strings.Trim(notName.ReplaceAllString(strings.ToLower(filepath.Base(dir)), "-"), "-")
	}
	if f.report != "" {
		if err := writable(f.report, importer.IsReport, "report of an import"); err != nil {
			return fmt.Errorf("--report %s: %w", f.report, err)
		}
	}
	trees, err := f.trees(a, args)
	if err != nil {
		return err
	}
	o.Trees = trees
	result, findings := run(o)
	if findings.Err() != nil {
		return findings
	}
	if err := result.Compare(ctx); err != nil {
		return err
	}
	if f.dryRun {
		if err := f.print(a, result); err != nil {
			return err
		}
	} else if err := f.write(a, result.Files); err != nil {
		return err
	}
	if err := f.writeReport(a, result.Report); err != nil {
		return err
	}
	r := result.Report
	services := "services"
	if result.Services() == 1 {
		services = "service"
	}
	fmt.Fprintf(a.stderr, "%d %s; %d to decide, %d secrets to store, %d left out, %d changed\n", result.Services(), services, r.Count(importer.Decide), len(r.Store), r.Count(importer.LeftOut), r.Count(importer.Changed))
	return nil
}

// trees opens what is read.
func (f *moveInFlags) trees(a *app, args []string) ([]importer.Tree, error) {
	if len(args) == 0 && len(f.contexts) == 0 {
		return nil, errors.New("nothing is named that could be imported\n  hint: name files or folders, or - for stdin")
	}
	if len(args) > 0 && len(f.contexts) > 0 {
		return nil, errors.New("paths stand beside --context, and it is not said which environment they are\n  hint: --context NAME=PATH for each of them")
	}
	var out []importer.Tree
	stdin := false
	add := func(name, path string) error {
		if path == "-" {
			if stdin {
				return errors.New("stdin is read twice\n  hint: write one of the two to a file")
			}
			stdin = true
			data, err := io.ReadAll(io.LimitReader(a.stdin, source.MaxFile+1))
			if err != nil {
				return err
			}
			out = append(out, importer.Tree{Context: name, FS: importer.FS([]importer.File{{Path: "stdin", Data: data}}), Path: "stdin"})
			return nil
		}
		tree, err := openTree(path)
		tree.Context = name
		out = append(out, tree)
		return err
	}
	for _, path := range args {
		if err := add("", path); err != nil {
			return nil, err
		}
	}
	for _, c := range f.contexts {
		name, path, ok := strings.Cut(c, "=")
		if !ok || name == "" || path == "" {
			return nil, fmt.Errorf("--context %q: write NAME=PATH", c)
		}
		if clean := strings.Trim(notName.ReplaceAllString(strings.ToLower(name), "-"), "-"); clean != name || name == "base" {
			return nil, fmt.Errorf("--context %q: a context has lower case letters, digits and dashes, and base is what all have in common", name)
		}
		if err := add(name, path); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// openTree opens a file or a folder. What lies beside a file can be read too, as
// files that it names.
func openTree(path string) (importer.Tree, error) {
	info, err := os.Stat(path)
	if err != nil {
		return importer.Tree{}, err
	}
	dir, name := path, "."
	if !info.IsDir() {
		dir, name = filepath.Dir(path), filepath.Base(path)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return importer.Tree{}, err
	}
	shown := filepath.ToSlash(filepath.Clean(dir))
	if shown == "." {
		shown = ""
	}
	return importer.Tree{Name: shown, FS: root.FS(), Path: name}, nil
}

// print writes the files to stdout, each under its name.
func (f *moveInFlags) print(a *app, result *importer.Result) error {
	var b bytes.Buffer
	for _, file := range result.Files {
		fmt.Fprintf(&b, "# FILE: %s\n%s", file.Path, file.Data)
		if !bytes.HasSuffix(file.Data, []byte("\n")) {
			b.WriteByte('\n')
		}
		b.WriteByte('\n')
	}
	_, err := a.stdout.Write(b.Bytes())
	return err
}

// write writes the files; one that is there already is never overwritten, and
// then nothing is written.
func (f *moveInFlags) write(a *app, files []importer.File) error {
	for _, file := range files {
		full := filepath.Join(f.output, filepath.FromSlash(file.Path))
		if _, err := os.Lstat(full); err == nil {
			return fmt.Errorf("%s is there already\n  hint: import into an empty folder, with -o DIR", full)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.MkdirAll(f.output, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(f.output)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, file := range files {
		name := filepath.FromSlash(file.Path)
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		out, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		_, err = out.Write(file.Data)
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "wrote %s\n", filepath.Join(f.output, name))
	}
	return nil
}

// writeReport writes the report to its file, or to stderr.
func (f *moveInFlags) writeReport(a *app, r *importer.Report) error {
	if f.report == "" {
		return r.WriteText(a.stderr)
	}
	var b bytes.Buffer
	write := r.WriteWhole
	if slices.Contains([]string{".json", ".JSON"}, filepath.Ext(f.report)) {
		write = r.WriteJSON
	}
	if err := write(&b); err != nil {
		return err
	}
	return writeReport(f.report, b.Bytes())
}
