package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/helm-kai/helm-kai/internal/report"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
)

func newSecrets(a *app, w *workspaceFlags) *cobra.Command {
	f := &storeFlags{app: a, workspace: w}
	cmd := &cobra.Command{
		Use:   "secrets",
		Short: "Keep secrets in a store, and see what stands there",
		Long: `Works on the store of a context: a file, a database, Vault or Kubernetes, as the workspace
says under secrets. Where it says nothing, that is a database in a file of this workspace,
.kai/secrets.db. --provider and the flags beside it name a store where there is no
workspace, or another one than the context's.

A store holds deployments (a context's name, unless the workspace says another), each
with apps, each with the scopes public, private and secret, each with keys. The app
global is read by every app. A place is written APP.SCOPE.KEY. all stands for every app,
scope or key; an app with dots, or one that is called all, stands in double quotes.

Values are never shown where they were not asked for: not by list, history, check or
scan, and by get and export on a terminal only with --reveal. What stands in scope
secret is encrypted wherever it is kept.`,
		Example: a.example("secrets set -c dev carts.secret.db_password", "secrets list -c dev", "secrets get -c dev carts.secret.db_password --reveal",
			"secrets generate -c dev", "secrets check -c prod", "secrets copy -c dev --to-context staging --dry-run"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("there is no command %q of secrets\n  hint: %s secrets --help", args[0], a.as)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f.addFlags(cmd)
	cmd.AddCommand(
		newSecretsGet(a, f),
		newSecretsSet(a, f),
		newSecretsList(a, f),
		newSecretsEdit(a, f),
		newSecretsDelete(a, f),
		newSecretsImport(a, f),
		newSecretsExport(a, f),
		newSecretsCopy(a, f),
		newSecretsHistory(a, f),
		newSecretsRollback(a, f),
		newSecretsRotate(a, f),
		newSecretsGenerate(a, f),
		newSecretsCheck(a, f),
		newSecretsPolicy(a, f),
		newSecretsScan(a, f),
	)
	return cmd
}

// writing are the flags of commands that write.
type writing struct {
	dry bool
	yes bool
}

func (f *writing) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.dry, "dry-run", false, "only say what would change")
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "yes, this is meant: a context with confirm: true demands it")
}

// check makes sure that a context which demands it was meant.
func (f *writing) check(p *place) error {
	if f.dry {
		return nil
	}
	return meant(p, f.yes, "--yes; --dry-run shows what would change")
}

// meant makes sure that a context which demands it was meant.
func meant(p *place, yes bool, hint string) error {
	if p.target == nil || !p.target.Confirm || yes {
		return nil
	}
	return fmt.Errorf("the context %s wants it said that it is meant\n  hint: %s", p.target.Context, hint)
}

// openWriting opens a store to write to it. A dry run makes nothing there: where the
// run itself would make a key, it has one that ends with it.
func (a *app) openWriting(ctx context.Context, p *place, dry bool) (*place, error) {
	if dry && p.embedded() {
		given, key := p.options.Credential, make([]byte, 32)
		if _, err := rand.Read(key); err != nil {
			return nil, err
		}
		p.options.Credential = func(name string) (secrets.Value, bool) {
			v, ok := given(name)
			if ok || name != "ENCRYPTION_KEYS" {
				return v, ok
			}
			if _, ok := given("ENCRYPTION_KEYS_FILE"); ok {
				return v, false
			}
			return secrets.New("dry-run:" + hex.EncodeToString(key)), true
		}
	}
	return a.openPlace(ctx, p, !dry)
}

// changeJSON is a change for programs.
type changeJSON struct {
	Key    string `json:"name"`   // APP.SCOPE.KEY
	Change string `json:"change"` // added, changed or removed
}

// printChanges says what was written, or would be.
func printChanges(a *app, format string, changes []secrets.Change, dry bool) error {
	all := make([]changeJSON, len(changes))
	for i, c := range changes {
		all[i] = changeJSON{Key: placeOf(c.Key), Change: c.What}
	}
	err := printObjects(a.stdout, format, all, func() error {
		rows := make([][]string, len(all))
		for i, c := range all {
			rows[i] = []string{c.Key, c.Change}
		}
		return report.Table(a.stdout, []string{"KEY", "CHANGE"}, rows)
	})
	switch {
	case len(changes) == 0:
		fmt.Fprintln(a.stderr, "nothing changes")
	case dry:
		fmt.Fprintln(a.stderr, "dry run: nothing was written")
	}
	return err
}

// finish prints what was done, also where not all could be.
func finish(a *app, format string, changes []secrets.Change, dry bool, err error) error {
	if err != nil && len(changes) == 0 {
		return err
	}
	return errors.Join(printChanges(a, format, changes, dry), err)
}

// placeOf gives a key as it is written in arguments.
func placeOf(k secrets.Key) string {
	return secrets.Pattern{App: k.App, Scope: k.Scope, Name: k.Name}.String()
}

// pathArg reads an argument that names a path: APP.SCOPE.
func pathArg(text, deployment string) (secrets.Path, error) {
	p, err := secrets.ParsePattern(text)
	if err != nil {
		return secrets.Path{}, err
	}
	if p.App == "" || p.Scope == "" || p.Name != "" {
		return secrets.Path{}, errors.New("one app and one scope have to be named\n  hint: write APP.SCOPE, such as carts.secret")
	}
	return secrets.Path{Deployment: deployment, App: p.App, Scope: p.Scope}, nil
}

// keyArg reads an argument that names a key: APP.SCOPE.KEY, or APP.SCOPE where the
// key is given apart.
func keyArg(text, name, deployment string) (secrets.Key, error) {
	p, err := patternArg(text, name)
	if err != nil {
		return secrets.Key{}, err
	}
	k, ok := p.Key(deployment)
	if !ok {
		return k, errors.New("one key has to be named\n  hint: write APP.SCOPE.KEY, such as carts.secret.db_password")
	}
	return k, nil
}

func patternArg(text, name string) (secrets.Pattern, error) {
	p, err := secrets.ParsePattern(text)
	if err != nil || name == "" {
		return p, err
	}
	if p.Name != "" {
		return p, errors.New("the key is named twice: in the place and by --key\n  hint: write APP.SCOPE --key KEY")
	}
	p.Name = name
	return p, nil
}

// absent says that a deployment has nothing of what a pattern names, and what may
// have been meant. Who may not list the deployment is told less.
func absent(ctx context.Context, s secrets.Store, deployment string, p secrets.Pattern) error {
	text := "the deployment " + deployment + " has no " + shortPlace(p)
	paths, err := s.List(ctx, deployment)
	if err != nil {
		paths = nil
	}
	var apps, scopes []string
	var held []secrets.Path
	for _, path := range paths {
		if !slices.Contains(apps, path.App) {
			apps = append(apps, path.App)
		}
		if p.App == "" || p.App == path.App {
			scopes = append(scopes, path.Scope)
		}
		if p.Holds(path) {
			held = append(held, path)
		}
	}
	if k, one := p.Key(deployment); one && len(held) == 0 {
		held = []secrets.Path{k.Path()}
	}
	global := secrets.Path{Deployment: deployment, App: secrets.Global, Scope: p.Scope}
	docs, err := s.Read(ctx, append(held, global))
	if ctx.Err() != nil {
		return err
	}
	var names []string
	for _, path := range held {
		names = append(names, namesOf(docs[path].Values)...)
	}
	hint := ""
	switch _, common := docs[global].Values[p.Name]; {
	case common && p.App != secrets.Global:
		hint = placeOf(secrets.Key{App: secrets.Global, Scope: p.Scope, Name: p.Name}) + " is there"
	case p.App != "" && len(apps) > 0 && !slices.Contains(apps, p.App):
		hint = source.Nearest(p.App, apps)
	case len(names) > 0 && p.Name != "":
		hint = source.Nearest(p.Name, slices.Compact(slices.Sorted(slices.Values(names))))
	case len(scopes) > 0:
		hint = "what is there has the scopes " + strings.Join(slices.Compact(slices.Sorted(slices.Values(scopes))), ", ")
	}
	if hint != "" {
		hint = "\n  hint: " + hint
	}
	return errors.New(text + hint)
}

// shortPlace gives a pattern without what it does not say at its end.
func shortPlace(p secrets.Pattern) string {
	return strings.TrimSuffix(strings.TrimSuffix(p.String(), "."+secrets.All), "."+secrets.All)
}

// isFormat says that the name of a file to write is one of a format, which -o is for
// in other commands.
func isFormat(name string) error {
	if !slices.Contains([]string{"text", "json", "yaml", "name", "table"}, name) {
		return nil
	}
	return fmt.Errorf("-o names a file here, and %s is a format\n  hint: without -o it is printed, as YAML; write ./%[1]s for a file of that name", name)
}

func namesOf(values map[string]secrets.Value) []string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// interactive gives the file behind a reader if that is a terminal.
func interactive(r io.Reader) (*os.File, bool) {
	f, ok := r.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// ask reads a line without showing it. Where the run is interrupted meanwhile, the
// terminal is left as it was.
func (a *app) ask(ctx context.Context, f *os.File, question string) (string, error) {
	fd := int(f.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	type answer struct {
		line []byte
		err  error
	}
	if _, err := term.MakeRaw(fd); err != nil {
		return "", err
	}
	fmt.Fprint(a.stderr, question)
	answers := make(chan answer, 1)
	go func() {
		line, err := typed(f)
		answers <- answer{line, err}
	}()
	defer fmt.Fprintln(a.stderr)
	select {
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(fd, state))
	case got := <-answers:
		err := errors.Join(got.err, term.Restore(fd, state))
		if errors.Is(err, errInterrupt) {
			fmt.Fprint(a.stderr, "\nkai: interrupted")
			err = &saidError{code: exitInterrupted}
		}
		return string(got.line), err
	}
}

// The keys that typed knows.
const (
	ctrlC         = 0x03
	ctrlD         = 0x04
	backspace     = 0x08
	ctrlU         = 0x15
	ctrlBackslash = 0x1c
	rubout        = 0x7f
)

// typed reads a line from a terminal that does nothing by itself. Ctrl-C, and Ctrl-D
// where nothing was typed, end it without one, and so does the terminal's own end.
func typed(r io.Reader) ([]byte, error) {
	var line []byte
	one := make([]byte, 1)
	for len(line) <= maxInput {
		n, err := r.Read(one)
		if n == 0 {
			return nil, errors.Join(errNotTyped, err)
		}
		c := one[0]
		if c == 0 {
			c = ctrlD // what was typed before we were asked to read
		}
		switch {
		case c == '\r' || c == '\n':
			return line, nil
		case c == ctrlC || c == ctrlBackslash:
			return nil, errInterrupt
		case c == ctrlD && len(line) == 0:
			return nil, errNotTyped
		case c == ctrlD:
		case c == ctrlU:
			line = line[:0]
		case c == backspace || c == rubout:
			_, size := utf8.DecodeLastRune(line)
			line = line[:len(line)-size]
		default:
			line = append(line, c)
		}
	}
	return nil, fmt.Errorf("more than %d MiB were typed", maxInput>>20)
}

// How a question is left without an answer.
var (
	errNotTyped  = errors.New("the input ended before a value was typed, and nothing was written")
	errInterrupt = errors.New("interrupted")
)

// maxInput bounds what is read as one value, and maxImport what as a file.
const (
	maxInput  = 1 << 20
	maxImport = 16 << 20
)

// readBounded reads all there is, up to a bound.
func readBounded(r io.Reader, limit int64, what string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", what, reason(err))
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("%s has more than %d MiB", what, limit>>20)
	}
	return data, nil
}

// readInput reads a file, or stdin where its name is -.
func (a *app) readInput(name string, limit int64) ([]byte, error) {
	if name == "-" {
		return readBounded(a.stdin, limit, "stdin")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, reason(err))
	}
	defer f.Close()
	return readBounded(f, limit, name)
}

// completePlaces completes apps, scopes and keys from the store, names alone.
func (f *storeFlags) completePlaces(depth int) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, stop := context.WithTimeout(cmd.Context(), 2*time.Second)
		defer stop()
		p, err := f.open(ctx, false)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer p.close()
		docs, err := secrets.Select(ctx, p.store, p.deployment, secrets.Pattern{})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var out []string
		for _, doc := range docs {
			for _, name := range namesOf(doc.Values) {
				full := placeOf(secrets.Key{App: doc.Path.App, Scope: doc.Path.Scope, Name: name})
				if depth == 2 {
					full = strings.TrimSuffix(placeOf(secrets.Key{App: doc.Path.App, Scope: doc.Path.Scope}), "."+secrets.All)
				}
				if !slices.Contains(out, full) {
					out = append(out, full)
				}
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}
