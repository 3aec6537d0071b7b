package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/helm-kai/helm-kai/internal/report"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/file"
	"github.com/helm-kai/helm-kai/internal/source"
)

type getFlags struct {
	key, version, output string
	reveal               bool
}

func newSecretsGet(a *app, s *storeFlags) *cobra.Command {
	var f getFlags
	cmd := &cobra.Command{
		Use:   "get APP.SCOPE.KEY",
		Short: "Print one value",
		Long: `Prints one value. On a terminal it is masked, unless --reveal asks for it. Elsewhere it is
printed byte by byte as it is kept, without a line's end: a text as it is, a number in
its digits, a list or a map as JSON. -o json and -o yaml keep the kind.`,
		Example:           a.example("secrets get -c dev carts.secret.db_password --reveal", "secrets get -c dev carts.secret.limits -o json | jq .", `secrets get -c dev 'carts.secret.shop_tls.key' > shop.key`),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.completePlaces(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return secretsGet(cmd.Context(), a, s, &f, args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.key, "key", "", "the key, where the argument is APP.SCOPE alone")
	flags.BoolVar(&f.reveal, "reveal", false, "print the value on a terminal too, instead of [masked]")
	flags.StringVar(&f.version, "at", "", "as it was at this version, which history shows")
	flags.StringVarP(&f.output, "output", "o", "text", "format: text, json, yaml")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func secretsGet(ctx context.Context, a *app, s *storeFlags, f *getFlags, arg string) error {
	write := map[string]func(secrets.Value) ([]byte, error){
		"text": func(v secrets.Value) ([]byte, error) { return []byte(v.Reveal()), nil },
		"json": asJSON,
		"yaml": func(v secrets.Value) ([]byte, error) {
			data, err := asJSON(v)
			if err != nil {
				return nil, err
			}
			return yaml.JSONToYAML(data)
		},
	}[f.output]
	if write == nil {
		return fmt.Errorf("--output %q: there is no such format\n  hint: %s", f.output, source.Nearest(f.output, []string{"text", "json", "yaml"}))
	}
	p, err := s.open(ctx, false)
	if err != nil {
		return err
	}
	defer p.close()
	k, err := keyArg(arg, f.key, p.deployment)
	if err != nil {
		return err
	}
	v, err := valueOf(ctx, p.store, k, f.version)
	if err != nil {
		return err
	}
	_, shown := terminal(a.stdout)
	if shown && !f.reveal {
		fmt.Fprintln(a.stderr, "--reveal shows the value")
		_, err = fmt.Fprintln(a.stdout, secrets.Masked)
		return err
	}
	data, err := write(v)
	if err != nil {
		return err
	}
	if shown && !bytes.HasSuffix(data, []byte("\n")) {
		data = append(data, '\n')
	}
	_, err = a.stdout.Write(data)
	return err
}

// valueOf reads one key, at a version or as it is now.
func valueOf(ctx context.Context, s secrets.Store, k secrets.Key, version string) (secrets.Value, error) {
	var doc secrets.Doc
	if version != "" {
		past, err := secrets.Past(s)
		if err != nil {
			return secrets.Value{}, err
		}
		if doc, err = past.At(ctx, k.Path(), version); err != nil {
			return secrets.Value{}, err
		}
		if v, ok := doc.Values[k.Name]; ok {
			return v, nil
		}
		return secrets.Value{}, fmt.Errorf("the version %s of %s has no key %s", version, k.Path(), k.Name)
	}
	docs, err := s.Read(ctx, []secrets.Path{k.Path()})
	if err != nil {
		return secrets.Value{}, err
	}
	if v, ok := docs[k.Path()].Values[k.Name]; ok {
		return v, nil
	}
	return secrets.Value{}, absent(ctx, s, k.Deployment, secrets.Pattern{App: k.App, Scope: k.Scope, Name: k.Name})
}

// asJSON gives a value as a line of JSON.
func asJSON(v secrets.Value) ([]byte, error) {
	if !utf8.ValidString(v.Reveal()) {
		return nil, errors.New("the value is no text in UTF-8, and JSON and YAML have no other\n  hint: -o text gives its bytes")
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v.Any())
	return b.Bytes(), err
}

type setFlags struct {
	writing
	key, file, kind, value string
}

func newSecretsSet(a *app, s *storeFlags) *cobra.Command {
	var f setFlags
	cmd := &cobra.Command{
		Use:   "set APP.SCOPE.KEY",
		Short: "Write one value",
		Long: `Writes one value. On a terminal it is asked for, without showing it. Otherwise it is read
from stdin, where one line's end at its end is left out; --from-file reads a file (- is
stdin) with every byte of it. There is no way to give it in the arguments: everybody on
the machine sees those, and the shell remembers them.

A value is a text. With --type json it is a number, true or false, a list or a map. What
stands there already is not written again, and makes no version.`,
		Example: a.example("secrets set -c dev carts.secret.db_password", "secrets set -c prod carts.secret.shop_tls.key --from-file shop.key",
			"secrets set -c dev carts.public.limits --type json < limits.json"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && strings.Contains(args[0], "=") {
				return inArguments(a)
			}
			return cobra.ExactArgs(1)(nil, args)
		},
		ValidArgsFunction: s.completePlaces(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("value") {
				return inArguments(a)
			}
			return secretsSet(cmd.Context(), a, s, &f, args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.key, "key", "", "the key, where the argument is APP.SCOPE alone")
	flags.StringVarP(&f.file, "from-file", "f", "", "read the value from this file, every byte of it; - is stdin")
	flags.StringVar(&f.kind, "type", "text", "what the value is: text, json")
	flags.StringVar(&f.value, "value", "", "")
	_ = flags.MarkHidden("value") // it is there to say why it is not
	f.writing.addFlags(cmd)
	_ = cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// inArguments says why a value is not taken from the arguments, and quotes none of
// them.
func inArguments(a *app) error {
	return fmt.Errorf("a value is never taken from the arguments: others on this machine see them, and the shell remembers them\n"+
		"  hint: %s secrets set APP.SCOPE.KEY asks for it, or reads it from stdin or --from-file", a.as)
}

func secretsSet(ctx context.Context, a *app, s *storeFlags, f *setFlags, arg string) error {
	if f.kind != "text" && f.kind != "json" {
		return fmt.Errorf("--type %q: there is no such type\n  hint: text, or json for numbers, true, false, lists and maps", f.kind)
	}
	p, err := s.resolve()
	if err != nil {
		return err
	}
	k, err := keyArg(arg, f.key, p.deployment)
	if err != nil {
		return err
	}
	if err := secrets.CheckNames(k.Path(), k.Name); err != nil {
		return fmt.Errorf("%s %w", placeOf(k), err)
	}
	if err := f.writing.check(p); err != nil {
		return err
	}
	v, err := f.read(ctx, a, k)
	if err != nil {
		return err
	}
	if p, err = a.openWriting(ctx, p, f.dry); err != nil {
		return err
	}
	defer p.close()
	changes, version, err := secrets.Update(ctx, p.store, k.Path(), f.dry, func(values map[string]secrets.Value) error {
		values[k.Name] = v
		return nil
	})
	if err != nil {
		return err
	}
	what := "is the same already"
	if len(changes) > 0 {
		what = changes[0].What
	}
	if p.store.Can().History && !f.dry {
		what += ", version " + version
	}
	fmt.Fprintf(a.stdout, "%s %s\n", placeOf(k), what)
	if f.dry {
		fmt.Fprintln(a.stderr, "dry run: nothing was written")
	}
	return nil
}

// read gives the value that is to be written.
func (f *setFlags) read(ctx context.Context, a *app, k secrets.Key) (secrets.Value, error) {
	var data []byte
	var err error
	switch file, asked := interactive(a.stdin); {
	case f.file != "":
		data, err = a.readInput(f.file, maxInput)
	case asked:
		var line, again string
		if line, err = a.ask(ctx, file, placeOf(k)+": "); err == nil && line != "" {
			again, err = a.ask(ctx, file, "once more: ")
		}
		if err == nil && line == "" {
			err = errors.New("nothing was typed\n  hint: --from-file /dev/null writes an empty value")
		}
		if err == nil && line != again {
			err = errors.New("the two are not the same\n  hint: run it again; --from-file reads the value from a file")
		}
		data = []byte(line)
	default:
		data, err = a.readInput("-", maxInput)
		data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
		if err == nil && len(data) == 0 {
			err = errors.New("nothing came from stdin\n  hint: --from-file /dev/null writes an empty value")
		}
	}
	if err != nil {
		return secrets.Value{}, err
	}
	if f.kind == "text" {
		v := secrets.New(string(data))
		if err := secrets.CheckText(v); err != nil {
			return secrets.Value{}, fmt.Errorf("%s %w", placeOf(k), err)
		}
		return v, nil
	}
	return fromJSON(data)
}

// fromJSON reads a value of JSON. Its errors do not quote it.
func fromJSON(data []byte) (secrets.Value, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var x any
	if err := decoder.Decode(&x); err != nil {
		at, what := int64(len(data)), "the value ends before its JSON does"
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) && !errors.Is(err, io.ErrUnexpectedEOF) && syntax.Offset > 0 {
			at, what = syntax.Offset-1, "the value is no JSON"
		}
		line, column := lineAt(data, at)
		return secrets.Value{}, fmt.Errorf("%s: line %d, column %d\n  hint: --type text takes it as it is", what, line, column)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return secrets.Value{}, errors.New("the value is more than one of JSON")
	}
	return secrets.Of(x)
}

// lineAt gives the place of a byte, in characters from 1.
func lineAt(data []byte, at int64) (line, column int) {
	before := data[:min(int(at), len(data))]
	begin := bytes.LastIndexByte(before, '\n') + 1
	return 1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[begin:])
}

// keyJSON is a key for programs.
type keyJSON struct {
	Name    string `json:"name"` // APP.SCOPE.KEY
	App     string `json:"app"`
	Scope   string `json:"scope"`
	Key     string `json:"key"`
	Kind    string `json:"kind"`
	Version string `json:"version,omitempty"`
	Plain   bool   `json:"plain,omitempty"` // not encrypted, in a file that encrypts others
}

func newSecretsList(a *app, s *storeFlags) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "list [APP[.SCOPE]]",
		Aliases: []string{"ls"},
		Short:   "List apps, scopes and keys, never values",
		Long: `Lists what a deployment holds: the apps, scopes and keys, what kind each value is, and the
version of its path, where the store keeps versions. No value is shown.`,
		Example:           a.example("secrets list -c dev", "secrets list -c prod carts.secret", "secrets list -c prod -o json"),
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completePlaces(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return secretsList(cmd.Context(), a, s, output, args)
		},
	}
	objectsFlag(cmd, &output)
	return cmd
}

func secretsList(ctx context.Context, a *app, s *storeFlags, output string, args []string) error {
	p, err := s.open(ctx, false)
	if err != nil {
		return err
	}
	defer p.close()
	pattern, err := patternOf(args)
	if err != nil {
		return err
	}
	docs, sealed, err := readNames(ctx, p, pattern)
	if err != nil {
		return err
	}
	if len(docs) == 0 && pattern != (secrets.Pattern{}) {
		return absent(ctx, p.closed(), p.deployment, pattern)
	}
	plain, err := p.plainKeys(ctx)
	if err != nil {
		return err
	}
	versions := p.store.Can().History
	all := []keyJSON{}
	for _, doc := range docs {
		for _, name := range namesOf(doc.Values) {
			k := keyJSON{Name: placeOf(secrets.Key{App: doc.Path.App, Scope: doc.Path.Scope, Name: name}), App: doc.Path.App, Scope: doc.Path.Scope, Key: name, Kind: doc.Values[name].Kind().String()}
			if sealed && doc.Path.Scope == secrets.Secret {
				k.Kind = "encrypted"
			}
			if plain[secrets.Key{Deployment: doc.Path.Deployment, App: doc.Path.App, Scope: doc.Path.Scope, Name: name}] {
				k.Kind, k.Plain = doc.Values[name].Kind().String(), true
			}
			// Elsewhere a version may be made of the values.
			if versions {
				k.Version = doc.Version
			}
			all = append(all, k)
		}
	}
	if len(all) == 0 {
		fmt.Fprintln(a.stderr, p.isEmpty(a))
	}
	return printObjects(a.stdout, output, all, func() error {
		columns := []string{"APP", "SCOPE", "KEY", "KIND"}
		if versions {
			columns = append(columns, "VERSION")
		}
		rows := make([][]string, len(all))
		for i, k := range all {
			kind := k.Kind
			if k.Plain {
				kind += ", plain"
			}
			rows[i] = []string{k.App, k.Scope, k.Key, kind}
			if versions {
				rows[i] = append(rows[i], k.Version)
			}
		}
		return report.Table(a.stdout, columns, rows)
	})
}

// isEmpty says that the deployment holds nothing.
func (p *place) isEmpty(a *app) string {
	return fmt.Sprintf("the deployment %s holds nothing (%s)", p.deployment, p.name(a))
}

// readNames reads docs for their names. Where values cannot be decrypted, the names
// are there all the same.
func readNames(ctx context.Context, p *place, pattern secrets.Pattern) (docs []secrets.Doc, sealed bool, err error) {
	docs, err = secrets.Select(ctx, p.store, p.deployment, pattern)
	if err == nil || ctx.Err() != nil {
		return docs, false, err
	}
	var closed *secrets.SealedError
	_, inFile := p.inner().(*file.Store)
	if inFile || errors.As(err, &closed) {
		if docs, below := secrets.Select(ctx, p.closed(), p.deployment, pattern); below == nil {
			return docs, true, nil
		}
	}
	return nil, false, err
}

// patternOf reads an argument that may be left out.
func patternOf(args []string) (secrets.Pattern, error) {
	if len(args) == 0 {
		return secrets.Pattern{}, nil
	}
	return secrets.ParsePattern(args[0])
}

type deleteFlags struct {
	writing
	key, output string
}

func newSecretsDelete(a *app, s *storeFlags) *cobra.Command {
	var f deleteFlags
	cmd := &cobra.Command{
		Use:     "delete APP.SCOPE.KEY",
		Aliases: []string{"rm"},
		Short:   "Delete keys",
		Long: `Deletes a key, or all that a place with all in it names: carts.secret.all is every key of
one scope, all.all.all is the whole deployment. Parts are never left out. Where the store
keeps versions, rollback brings back what was deleted.`,
		Example:           a.example("secrets delete -c dev carts.secret.db_password", "secrets delete -c dev carts.all.all --dry-run", `secrets delete -c dev carts.secret --key all`),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.completePlaces(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return secretsDelete(cmd.Context(), a, s, &f, args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.key, "key", "", "the key, taken as it is, where the argument is APP.SCOPE alone")
	f.writing.addFlags(cmd)
	objectsFlag(cmd, &f.output)
	return cmd
}

func secretsDelete(ctx context.Context, a *app, s *storeFlags, f *deleteFlags, arg string) error {
	pattern, err := secrets.ParsePattern(arg)
	if err != nil {
		return err
	}
	given := secrets.Parts(arg)
	if f.key != "" {
		if given == 3 {
			return errors.New("the key is named twice: in the place and by --key\n  hint: write APP.SCOPE --key KEY")
		}
		pattern.Name, given = f.key, given+1
	}
	if given != 3 {
		return errors.New("a place to delete has three parts\n  hint: write APP.SCOPE.KEY; all stands for every one, as in carts.secret.all")
	}
	p, err := s.resolve()
	if err != nil {
		return err
	}
	if err := f.writing.check(p); err != nil {
		return err
	}
	if p, err = a.openPlace(ctx, p, false); err != nil {
		return err
	}
	defer p.close()
	changes, err := secrets.Remove(ctx, p.closed(), p.deployment, pattern, f.dry)
	if err == nil && len(changes) == 0 && pattern != (secrets.Pattern{}) {
		return absent(ctx, p.closed(), p.deployment, pattern)
	}
	return finish(a, f.output, changes, f.dry, err)
}
