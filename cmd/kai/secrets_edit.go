package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
)

func newSecretsEdit(a *app, s *storeFlags) *cobra.Command {
	var f writing
	var output string
	cmd := &cobra.Command{
		Use:   "edit APP[.SCOPE]",
		Short: "Change an app's secrets in an editor",
		Long: `Opens what an app has, or one scope of it, in $VISUAL or $EDITOR (else vi), as YAML, and
writes what was changed when the editor ends. A key that is removed there is deleted. Only
what was changed is written, key by key: what others write meanwhile stays, and where it
is the same key, nothing is written there. What was a text stays one, also where it looks
like a number; set --type json changes that.

The file is in a folder that only you can open, in memory where the system has such a
place, and both are removed after, also where the run is interrupted. They stay, and it
is said where, if what was written there could not be kept in the store.`,
		Example:           a.example("secrets edit -c dev carts", "secrets edit -c prod carts.secret --dry-run"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.completePlaces(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return secretsEdit(cmd.Context(), a, s, &f, output, args[0])
		},
	}
	f.addFlags(cmd)
	objectsFlag(cmd, &output)
	return cmd
}

func secretsEdit(ctx context.Context, a *app, s *storeFlags, f *writing, output, arg string) error {
	pattern, err := secrets.ParsePattern(arg)
	if err != nil {
		return err
	}
	if pattern.App == "" || pattern.Name != "" {
		return errors.New("an app is edited, or one scope of it\n  hint: write APP or APP.SCOPE; set writes one key")
	}
	p, err := s.resolve()
	if err != nil {
		return err
	}
	if err := f.check(p); err != nil {
		return err
	}
	if p, err = a.openWriting(ctx, p, f.dry); err != nil {
		return err
	}
	defer p.close()
	paths := pathsOf(pattern, p.deployment)
	before, err := p.store.Read(ctx, paths)
	if err != nil {
		return err
	}
	text, err := editText(paths, before)
	if err != nil {
		return err
	}
	work, err := a.newDraft()
	if err != nil {
		return err
	}
	defer work.remove()
	after, err := a.edited(ctx, work, paths, text)
	if err != nil {
		return err
	}
	var all []secrets.Change
	var failed []error
	for _, path := range paths {
		values := keepTexts(before[path].Values, after[path])
		changes := secrets.Diff(path, before[path].Values, values)
		if !f.dry {
			changes, err = secrets.Amend(ctx, p.store, path, before[path].Values, values)
			failed = append(failed, err)
		}
		all = append(all, changes...)
	}
	err = errors.Join(failed...)
	if err != nil {
		work.keep = true
		fmt.Fprintf(a.stderr, "what you wrote is kept in %s, with the values as they are: remove it when it is done with\n", work.name)
	}
	return finish(a, output, all, f.dry, err)
}

// keepTexts gives values in which what was a text before is one, whatever it looks
// like in YAML.
func keepTexts(before, after map[string]secrets.Value) map[string]secrets.Value {
	out := maps.Clone(after)
	for name, v := range after {
		old, was := before[name]
		if was && old.Kind() == secrets.Text && (v.Kind() == secrets.Number || v.Kind() == secrets.Bool) {
			out[name] = secrets.New(v.Reveal())
		}
	}
	return out
}

// draft is the file that is edited, in a folder of its own.
type draft struct {
	folder, name string
	keep         bool
}

// newDraft makes the folder, for its owner alone: where the system keeps what is the
// user's own in memory, or where files are in memory, or among the temporary ones.
func (a *app) newDraft() (*draft, error) {
	var failed error
	for _, parent := range []string{a.getenv("XDG_RUNTIME_DIR"), memoryFolder(), os.TempDir()} {
		if info, err := os.Stat(parent); err != nil || !info.IsDir() {
			continue
		}
		folder, err := os.MkdirTemp(parent, "kai-edit-*")
		if err == nil {
			return &draft{folder: folder, name: filepath.Join(folder, "secrets.yaml")}, nil
		}
		failed = err
	}
	return nil, errors.Join(errors.New("there is no folder for the file that is edited\n  hint: TMPDIR names one"), failed)
}

func (d *draft) remove() {
	if !d.keep {
		os.RemoveAll(d.folder)
	}
}

// pathsOf gives the paths that a pattern of an app names.
func pathsOf(p secrets.Pattern, deployment string) []secrets.Path {
	scopes := secrets.Scopes()
	if p.Scope != "" {
		scopes = []string{p.Scope}
	}
	paths := make([]secrets.Path, len(scopes))
	for i, scope := range scopes {
		paths[i] = secrets.Path{Deployment: deployment, App: p.App, Scope: scope}
	}
	return paths
}

// editText gives what is edited.
func editText(paths []secrets.Path, docs map[secrets.Path]secrets.Doc) ([]byte, error) {
	var list []secrets.Doc
	for _, path := range paths {
		if len(docs[path].Values) > 0 {
			list = append(list, docs[path])
		}
	}
	head := fmt.Sprintf("# The secrets of %s in the deployment %s. What is changed here is written when\n# the editor ends; a key that is removed is deleted.\n", paths[0].App, paths[0].Deployment)
	if len(list) == 0 {
		scopes := source.NewMap(source.Origin{})
		for _, path := range paths {
			scopes.Set(path.Scope, source.NewMap(source.Origin{}))
		}
		root := source.NewMap(source.Origin{},
			source.Field{Key: "apiVersion", Value: source.NewString(source.Origin{}, secrets.APIVersion)},
			source.Field{Key: "apps", Value: source.NewMap(source.Origin{}, source.Field{Key: paths[0].App, Value: scopes})})
		return source.AppendYAML([]byte(head), root, nil), nil
	}
	body, err := secrets.Export(list)
	return append([]byte(head), body...), err
}

// edited gives a text to the user's editor and reads what comes back. On a
// terminal a mistake can be mended in the editor.
func (a *app) edited(ctx context.Context, work *draft, paths []secrets.Path, text []byte) (map[secrets.Path]map[string]secrets.Value, error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP) // a terminal that was closed
	defer stop()
	name := work.name
	if err := os.WriteFile(name, text, 0o600); err != nil {
		return nil, err
	}
	for {
		if err := a.editor(ctx, name); err != nil {
			return nil, err
		}
		data, err := a.readInput(name, maxImport)
		if err != nil {
			return nil, err
		}
		values, err := parseEdited(paths, data)
		if err == nil {
			return values, nil
		}
		if _, asked := interactive(a.stdin); !asked || bytes.Equal(data, text) {
			fmt.Fprintln(a.stderr, "nothing was written, for the text has a mistake:")
			return nil, err
		}
		text = data
		fmt.Fprintf(a.stderr, "%s\nEnter goes back to the editor, Ctrl-C gives up.\n", a.word(err))
		if err := a.enter(ctx); err != nil {
			return nil, err
		}
	}
}

// enter waits for a line.
func (a *app) enter(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		one := make([]byte, 1)
		for {
			if _, err := a.stdin.Read(one); err != nil || one[0] == '\n' {
				done <- err
				return
			}
		}
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-done:
		return err
	}
}

// editor runs the user's editor on a file, to its end or ours.
func (a *app) editor(ctx context.Context, name string) error {
	words := strings.Fields(a.getenv("VISUAL"))
	if len(words) == 0 {
		words = strings.Fields(a.getenv("EDITOR"))
	}
	if len(words) == 0 {
		words = []string{"vi"}
	}
	cmd := exec.CommandContext(ctx, words[0], append(words[1:], name)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.stdin, a.stderr, a.stderr
	if _, shown := terminal(a.stdout); shown {
		cmd.Stdout = a.stdout
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted, and nothing was written")
		}
		return fmt.Errorf("the editor %s: %w; nothing was written\n  hint: EDITOR names another", words[0], err)
	}
	return nil
}

// parseEdited reads a text that was edited.
func parseEdited(paths []secrets.Path, data []byte) (map[secrets.Path]map[string]secrets.Value, error) {
	docs, shape, findings := secrets.ParseImport("secrets.yaml", data)
	if findings.Err() != nil {
		return nil, findings
	}
	if shape != secrets.ShapeKai {
		return nil, errors.New("the first lines, apiVersion and apps, are gone")
	}
	out := map[secrets.Path]map[string]secrets.Value{}
	for _, doc := range docs {
		doc.Path.Deployment = paths[0].Deployment
		if !slices.Contains(paths, doc.Path) {
			return nil, fmt.Errorf("%s.%s is not what is edited\n  hint: edit %s, or import", doc.Path.App, doc.Path.Scope, doc.Path.App)
		}
		out[doc.Path] = doc.Values
	}
	return out, nil
}
