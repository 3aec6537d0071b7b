package main

import (
	"bytes"
	"cmp"
	"context"
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
	"github.com/helm-kai/helm-kai/internal/codegen"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

type codegenFlags struct {
	selection
	language string
	local    string
	out      string
	pkg      string
	types    []string
	part     string
	check    bool
	force    bool
}

func newCodegen(a *app, w *workspaceFlags) *cobra.Command {
	var f codegenFlags
	cmd := &cobra.Command{
		Use:   "codegen [SERVICE]",
		Short: "Write code that reads a service's configuration, typed and checked",
		Long: `Writes one file of code for a service: a type that has all that its contexts give it
(variables, files with their structure, folders, ports), and one constructor that reads it,
says all that is wrong at once, and hands secrets over in a type that cannot be printed.
The code needs nothing but its language's standard library, and is the same in the
container and on a laptop.

It is read from the manifests of all contexts, or of those that -c names. What only some
of them give is optional. No value of a context stands in the code, and no secret is read.
A number in the descriptor is a number, true and false a bool, 1m30s a duration, and
http://… a URL, if they are so in all contexts; --type says it otherwise.

--lang says in what: go, typescript, python, or jsonschema (of {environment, files}).
Without SERVICE it is the one whose folder this is, or the only one.

--local DIR writes instead what one context gives, but its secrets, for a laptop:
CONFIG_ROOT=DIR has the code read it. DIR is a folder of its own, new or empty; kai
remembers there what it wrote, and refuses to write over what was edited since,
unless --force is given.`,
		Example: a.example("codegen carts --lang go -o internal/config/config_gen.go", "codegen --lang typescript -o src/config.ts",
			"codegen --lang go --type 'LOG_LEVEL=debug|info|warn' --type TIMEOUT=text", "codegen --lang python -o config.py --check",
			"codegen -c dev --local .local"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("one service at a time, and there are %d: %s\n  hint: run once for each", len(args), strings.Join(args, ", "))
			}
			return nil
		},
		ValidArgsFunction: w.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return generateCode(cmd.Context(), a, w, f, args)
		},
	}
	f.selection.addFlags(cmd, w)
	_ = cmd.Flags().MarkHidden("selector")
	flags := cmd.Flags()
	flags.StringVar(&f.language, "lang", "", "language: "+strings.Join(codegen.Languages(), ", "))
	flags.StringVar(&f.local, "local", "", "folder to write what one context gives, for a laptop")
	flags.StringVarP(&f.out, "output", "o", "-", "file to write, - is standard output")
	flags.StringVar(&f.pkg, "package", "", "name of Go's package (default: that of the file's folder, or else config)")
	flags.StringArrayVar(&f.types, "type", nil, "type of a variable: NAME=text, int, float, bool, duration, url, secret, or choices: NAME=a|b (repeatable)")
	flags.StringVar(&f.part, "container", "", "container of the pod (default: the main one)")
	flags.BoolVar(&f.check, "check", false, "write nothing; exit with 1 and a diff if the file is not as it should be")
	flags.BoolVar(&f.force, "force", false, "with --local: write anew what was edited there")
	cmd.MarkFlagsMutuallyExclusive("lang", "local")
	cmd.MarkFlagsMutuallyExclusive("lang", "force")
	cmd.MarkFlagsMutuallyExclusive("local", "output")
	cmd.MarkFlagsMutuallyExclusive("local", "package")
	cmd.MarkFlagsOneRequired("lang", "local")
	_ = cmd.MarkFlagFilename("output")
	_ = cmd.MarkFlagDirname("local")
	_ = cmd.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions(codegen.Languages(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func generateCode(ctx context.Context, a *app, w *workspaceFlags, f codegenFlags, args []string) error {
	types, err := typesOf(f.types)
	if err != nil {
		return err
	}
	ws, dir, findings, err := w.open()
	if err != nil {
		return err
	}
	if findings.Err() != nil {
		return findings
	}
	service, err := theService(a, ws, dir, args)
	if err != nil {
		return err
	}
	narrowed := len(f.contexts) > 0
	if !narrowed && f.local == "" {
		f.all = true
	}
	names, err := f.choose(a, ws)
	if err != nil {
		return err
	}
	in, err := f.input(ctx, ws, service, names)
	if err != nil {
		return err
	}
	in.Types = types
	if f.local != "" {
		return f.writeLocal(a, in)
	}
	in.Package = f.packageName()
	in.Command = f.command(service, dir, narrowed)
	code, err := codegen.Generate(in, f.language)
	if err != nil {
		return err
	}
	return f.write(a, code)
}

// typesOf reads what --type says.
func typesOf(args []string) (map[string]string, error) {
	types := map[string]string{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--type %q: is no NAME=TYPE\n  hint: --type TIMEOUT=duration", arg)
		}
		types[name] = value
	}
	return types, nil
}

// theService gives the service that is named, or in whose folder the command runs,
// or that is the only one.
func theService(a *app, ws *workspace.Workspace, dir string, args []string) (string, error) {
	known := ws.ServiceNames()
	if len(args) == 1 {
		if !slices.Contains(known, args[0]) {
			return "", fmt.Errorf("there is no service %q\n  hint: %s", args[0], source.Nearest(args[0], known))
		}
		return args[0], nil
	}
	if len(known) == 1 {
		return known[0], nil
	}
	here, err := a.getwd()
	if err != nil {
		return "", err
	}
	inside, best := "", -1
	for _, s := range ws.Services {
		folder, err := filepath.Abs(filepath.Join(dir, filepath.FromSlash(s.Dir())))
		if err != nil {
			return "", err
		}
		rel, err := filepath.Rel(folder, here)
		if err == nil && filepath.IsLocal(rel) && len(folder) > best {
			inside, best = s.Name, len(folder)
		}
	}
	if inside == "" {
		return "", fmt.Errorf("say which service is meant\n  hint: %s codegen SERVICE; known: %s", a.as, strings.Join(known, ", "))
	}
	return inside, nil
}

// input renders the service in its contexts.
func (f *codegenFlags) input(ctx context.Context, ws *workspace.Workspace, service string, contexts []string) (codegen.Input, error) {
	in := codegen.Input{Service: service, Container: f.part, Placeholder: build.Placeholder}
	kit := build.NewKit()
	for _, name := range contexts {
		releases, findings := build.Charts(ctx, ws, name, build.Options{Only: service, Kit: kit, Trace: true})
		if findings.Err() != nil {
			return in, findings
		}
		for _, r := range releases {
			if r.App != service {
				continue
			}
			result, err := build.Render(ctx, r, render.Options{})
			if err != nil {
				return in, source.Findings{build.Finding(r, err)}
			}
			objects, err := manifest.Parse(result.Text())
			if err != nil {
				return in, err
			}
			c := codegen.Context{Name: name, Objects: objects, App: r.App, Friends: r.Trace.Friends, Asked: r.Trace.Fields.Get("friends")}
			if f.part == "" {
				c.Env = r.Trace.Fields.Get("env")
			}
			in.Contexts = append(in.Contexts, c)
		}
	}
	if len(in.Contexts) == 0 {
		return in, noService(service, strings.Join(contexts, ", "), ws.ServiceNames())
	}
	return in, nil
}

// command gives what makes the file anew in the workspace's folder, in one form
// however and wherever it was called.
func (f *codegenFlags) command(service, dir string, narrowed bool) string {
	words := []string{"kai", "codegen", service, "--lang", f.language}
	if narrowed {
		words = append(words, "-c", strings.Join(f.contexts, ","))
	}
	if f.part != "" {
		words = append(words, "--container", f.part)
	}
	for _, t := range slices.Sorted(slices.Values(f.types)) {
		words = append(words, "--type", t)
	}
	there := codegenFlags{out: "-"} // as the command will be, which may find the package's name by itself
	var output []string
	if f.out != "-" {
		file := f.place(dir)
		there.out, output = filepath.Join(dir, file), []string{"-o", file}
	}
	if f.language == "go" && f.packageName() != there.packageName() {
		words = append(words, "--package", f.packageName())
	}
	words = append(words, output...)
	for i, w := range words {
		if !plainWord.MatchString(w) {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// plainWord is one that no shell takes for anything else.
var plainWord = regexp.MustCompile(`^[-A-Za-z0-9_./,:=+@]+$`)

// place gives the file as it is found from the workspace's folder. Of one that does
// not lie in the same repository only the name is said, since the rest of its path is
// this machine's.
func (f *codegenFlags) place(dir string) string {
	file, err := filepath.Abs(f.out)
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return filepath.Base(f.out)
	}
	file = throughLinks(file)
	within, err := filepath.Rel(repository(dir), file)
	if err != nil || !filepath.IsLocal(within) {
		return filepath.Base(f.out)
	}
	rel, err := filepath.Rel(dir, file)
	if err != nil {
		return filepath.Base(f.out)
	}
	return filepath.ToSlash(rel)
}

// packageName gives the name of Go's package.
func (f *codegenFlags) packageName() string {
	if f.out == "-" {
		return cmp.Or(f.pkg, "config")
	}
	return cmp.Or(f.pkg, folderPackage(f.out))
}

// folderPackage is the name of the package that a file's folder is called after.
func folderPackage(file string) string {
	if abs, err := filepath.Abs(file); err == nil {
		name := strings.ToLower(filepath.Base(filepath.Dir(abs)))
		if codegen.IsPackage(name) {
			return name
		}
	}
	return "config"
}

// write puts the code where it belongs, or says how what is there differs.
func (f *codegenFlags) write(a *app, code []byte) error {
	if f.out == "-" {
		if f.check {
			return errors.New("--check compares with a file\n  hint: -o FILE")
		}
		_, err := a.stdout.Write(code)
		return err
	}
	there, err := os.ReadFile(f.out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	missing := err != nil
	switch {
	case !missing && bytes.Equal(there, code):
		return nil
	case f.check:
		for _, l := range manifest.DiffText(string(there), string(code), 3) {
			if l.Op == '@' { // code is no YAML, so without the place that follows
				fmt.Fprintln(a.stdout, l.Text[:strings.LastIndex(l.Text, "@@")+2])
			} else {
				fmt.Fprintf(a.stdout, "%c%s\n", l.Op, l.Text)
			}
		}
		word := "is stale"
		if missing {
			word = "is missing"
		}
		fmt.Fprintf(a.stderr, "kai: %s %s\n  hint: the same command without --check writes it\n", f.out, word)
		return &saidError{code: exitFailed}
	case !missing && !codegen.IsOurs(there):
		return fmt.Errorf("%s is there already, and kai did not write it\n  hint: give another file, or remove it", f.out)
	}
	return replaceFile(f.out, code)
}

// replaceFile writes a file as a whole or not at all, and makes its folder.
func replaceFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return overwrite(name, 0o644, data)
}

// writeLocal writes what a context gives into a folder.
func (f *codegenFlags) writeLocal(a *app, in codegen.Input) error {
	if len(in.Contexts) != 1 {
		return fmt.Errorf("--local is about one context, and there are %d\n  hint: run once for each, with a folder each", len(in.Contexts))
	}
	if f.check {
		return errors.New("--local and --check exclude one another")
	}
	local, err := codegen.Local(in)
	if err != nil {
		return err
	}
	if err := local.Write(f.local, f.force); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s has %s of the context %s\n", f.local, count(len(local.Files), "file", "files"), in.Contexts[0].Name)
	if len(local.Left) > 0 {
		fmt.Fprintln(a.stdout, "left out, being secret or known in the cluster alone:")
		for _, line := range local.Left {
			fmt.Fprintf(a.stdout, "  %s\n", line)
		}
	}
	return nil
}
