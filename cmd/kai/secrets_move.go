package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/store"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// merging are the flags of what comes beside what is there.
type merging struct {
	writing
	merge, replace bool
	output         string
}

func (f *merging) addFlags(cmd *cobra.Command) {
	f.writing.addFlags(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.merge, "merge", false, "keep the keys that are there beside the new ones (the default)")
	flags.BoolVar(&f.replace, "replace", false, "of each app and scope that is written, delete the keys that do not come with it")
	cmd.MarkFlagsMutuallyExclusive("merge", "replace")
	objectsFlag(cmd, &f.output)
}

type importFlags struct {
	merging
	database, namespace, encryptor string
}

func newSecretsImport(a *app, s *storeFlags) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Write what a file holds",
		Long: `Writes what a YAML file holds (- is stdin), in kai's shape or in one of the two of the
older system, kaigara, which are told apart by their keys:

  apiVersion: kai/v1 and apps: {APP: {SCOPE: {KEY: value}}}
  APP: {SCOPE: {KEY: value}}
  secrets: {APP: {scopes: {SCOPE: {KEY: value}}}}

Anything else is an error, and nothing is written. So is a file that mixes them.

--older-database reads the older system's table instead, from postgres://… or mysql://…
with KAI_SQL_USER and KAI_SQL_PASSWORD, over TLS unless the server is on this machine or
KAI_SQL_TLS is disable, and --older-namespace its Secrets in a namespace,
those named kaigara-APP as scope secret. Where they are encrypted, name how by
--older-encryptor aes, with the key in KAIGARA_ENCRYPTOR_AES_KEY, or transit, with the
access to Vault as for the store vault.`,
		Example: a.example("secrets import -c dev secrets.yaml --dry-run", "secrets import -c dev - < secrets.yaml",
			"secrets import -c prod --older-database postgres://db.example.com/kaigara_prod --older-encryptor aes"),
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return secretsImport(cmd.Context(), a, s, &f, args)
		},
	}
	f.merging.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.database, "older-database", "", "read the older system's table in this database instead")
	flags.StringVar(&f.namespace, "older-namespace", "", "read the older system's Secrets in this namespace instead")
	flags.StringVar(&f.encryptor, "older-encryptor", "plaintext", "how the older system has encrypted there: plaintext, aes, transit")
	cmd.MarkFlagsMutuallyExclusive("older-database", "older-namespace")
	return cmd
}

func secretsImport(ctx context.Context, a *app, s *storeFlags, f *importFlags, args []string) error {
	fromOlder := f.database != "" || f.namespace != ""
	if (len(args) == 1) == fromOlder {
		return errors.New("either a file is imported, or --older-database or --older-namespace\n  hint: import FILE, where - is stdin")
	}
	p, err := s.resolve()
	if err != nil {
		return err
	}
	if err := f.check(p); err != nil {
		return err
	}
	var docs []secrets.Doc
	if fromOlder {
		docs, err = f.older(ctx, a, p)
	} else {
		docs, err = a.importFile(args[0])
	}
	if err != nil {
		return err
	}
	if p, err = a.openWriting(ctx, p, f.dry); err != nil {
		return err
	}
	defer p.close()
	changes, err := secrets.Put(ctx, p.store, moved(docs, p.deployment), f.replace, f.dry)
	return finish(a, f.output, changes, f.dry, err)
}

// importFile reads a file, and says what it leaves out.
func (a *app) importFile(name string) ([]secrets.Doc, error) {
	data, err := a.readInput(name, maxImport)
	if err != nil {
		return nil, err
	}
	docs, shape, findings := secrets.ParseImport(name, data)
	if findings.Err() != nil {
		return nil, findings
	}
	if len(findings) > 0 {
		fmt.Fprintln(a.stderr, findings.Error())
	}
	if shape != secrets.ShapeKai {
		fmt.Fprintf(a.stderr, "%s has the older system's shape %s\n", name, map[string]string{
			secrets.ShapeOlder: "APP: {SCOPE: {KEY: value}}", secrets.ShapeOldest: "secrets: {APP: {scopes: {SCOPE: {KEY: value}}}}",
		}[shape])
	}
	return docs, nil
}

// moved gives docs as those of a deployment.
func moved(docs []secrets.Doc, deployment string) []secrets.Doc {
	out := slices.Clone(docs)
	for i := range out {
		out[i].Path.Deployment, out[i].Version = deployment, ""
	}
	return out
}

// older reads what the older system holds, decrypted.
func (f *importFlags) older(ctx context.Context, a *app, p *place) (docs []secrets.Doc, err error) {
	o := store.Options{Provider: store.SQL, URL: f.database}
	if f.namespace != "" {
		o = store.Options{Provider: store.Kubernetes, Namespace: f.namespace, Kubernetes: p.options.Kubernetes}
	}
	o.Credential = func(name string) (secrets.Value, bool) {
		if name == "SQL_URL" { // of where it goes
			return secrets.Value{}, false
		}
		return p.options.Credential(name)
	}
	opener, err := o.OlderOpener(f.encryptor, secrets.New(a.getenv("KAIGARA_ENCRYPTOR_AES_KEY")))
	if err != nil {
		return nil, err
	}
	defer opener.Close()
	if docs, err = o.OlderDocs(ctx); err != nil {
		return nil, err
	}
	for i, doc := range docs {
		if docs[i], err = opener.Open(ctx, doc); err != nil {
			return nil, err
		}
	}
	return docs, nil
}

type exportFlags struct {
	file   string
	reveal bool
}

func newSecretsExport(a *app, s *storeFlags) *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export [APP[.SCOPE[.KEY]]…]",
		Short: "Write what a store holds as YAML, decrypted",
		Long: `Writes what a deployment holds, or only some apps, scopes or keys of it, in the shape that
import reads. The values are plain. On a terminal they are masked, unless --reveal asks
for them. A file of -o is for its owner alone.`,
		Example:           a.example("secrets export -c dev", "secrets export -c dev -o backup.yaml", "secrets export -c dev carts.secret | age -r age1… > carts.age"),
		ValidArgsFunction: s.completePlaces(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return secretsExport(cmd.Context(), a, s, &f, args)
		},
	}
	cmd.Flags().StringVarP(&f.file, "output-file", "o", "", "write to this file, which only you can read")
	cmd.Flags().BoolVar(&f.reveal, "reveal", false, "print the values on a terminal too, instead of [masked]")
	_ = cmd.MarkFlagFilename("output-file")
	return cmd
}

func secretsExport(ctx context.Context, a *app, s *storeFlags, f *exportFlags, args []string) error {
	if err := isFormat(f.file); err != nil {
		return err
	}
	p, err := s.open(ctx, false)
	if err != nil {
		return err
	}
	defer p.close()
	docs, err := selected(ctx, p, args)
	if err != nil {
		return err
	}
	if len(docs) == 0 {
		fmt.Fprintln(a.stderr, p.isEmpty(a))
	}
	_, shown := terminal(a.stdout)
	masked := shown && !f.reveal && f.file == ""
	if masked {
		docs = slices.Clone(docs)
		for i := range docs {
			docs[i].Values = maps.Clone(docs[i].Values)
			for name := range docs[i].Values {
				docs[i].Values[name] = secrets.New(secrets.Masked)
			}
		}
	}
	text, err := secrets.Export(docs)
	if err != nil {
		return err
	}
	if f.file != "" {
		if err := writePrivate(f.file, text); err != nil {
			return err
		}
		fmt.Fprintf(a.stderr, "wrote %s, with the values as they are\n", f.file)
		return nil
	}
	if masked {
		fmt.Fprintln(a.stderr, "--reveal shows the values, -o FILE writes them to a file")
	}
	_, err = a.stdout.Write(text)
	return err
}

// selected reads what arguments name, without any all.
func selected(ctx context.Context, p *place, args []string) ([]secrets.Doc, error) {
	if len(args) == 0 {
		args = []string{secrets.All}
	}
	found := map[secrets.Path]secrets.Doc{}
	for _, arg := range args {
		pattern, err := secrets.ParsePattern(arg)
		if err != nil {
			return nil, err
		}
		docs, err := secrets.Select(ctx, p.store, p.deployment, pattern)
		if err != nil {
			return nil, err
		}
		if len(docs) == 0 && pattern != (secrets.Pattern{}) {
			return nil, absent(ctx, p.closed(), p.deployment, pattern)
		}
		for _, doc := range docs {
			if have, ok := found[doc.Path]; ok {
				maps.Copy(doc.Values, have.Values)
			}
			found[doc.Path] = doc
		}
	}
	docs := slices.SortedFunc(maps.Values(found), func(a, b secrets.Doc) int { return strings.Compare(a.Path.String(), b.Path.String()) })
	return docs, nil
}

type copyFlags struct {
	merging
	toContext, to, toDeployment string
}

func newSecretsCopy(a *app, s *storeFlags) *cobra.Command {
	var f copyFlags
	cmd := &cobra.Command{
		Use:   "copy [APP[.SCOPE[.KEY]]…]",
		Short: "Copy from one store to another",
		Long: `Copies what a deployment holds, or only some apps, scopes or keys of it, to the store of
another context or to one that --to names:

  file:PATH                      sqlite:PATH
  postgres://USER@HOST/DATABASE  mysql://USER@HOST/DATABASE
  vault:ADDRESS[#MOUNT[/PREFIX]] kubernetes:NAMESPACE

Values are decrypted on the way and encrypted anew by where they go; none is shown. Where
the two need other credentials, those of the target are variables that begin with KAI_TO_
instead of KAI_, such as KAI_TO_VAULT_TOKEN. Keys that are there and do not come along
stay, unless --replace is given.`,
		Example: a.example("secrets copy -c dev --to-context staging --dry-run", "secrets copy -c prod carts.secret --to vault:https://vault.example.com:8200#secret/shop",
			"secrets copy --provider file --path old.yaml -d prod --to sqlite:new.db"),
		ValidArgsFunction: s.completePlaces(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return secretsCopy(cmd.Context(), a, s, &f, args)
		},
	}
	f.merging.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.toContext, "to-context", "", "context whose store is written")
	flags.StringVar(&f.to, "to", "", "store that is written, such as file:PATH or vault:ADDRESS")
	flags.StringVar(&f.toDeployment, "to-deployment", "", "deployment that is written (default: that of --to-context, or the same)")
	cmd.MarkFlagsMutuallyExclusive("to-context", "to")
	cmd.MarkFlagsOneRequired("to-context", "to", "to-deployment")
	_ = cmd.RegisterFlagCompletionFunc("to-context", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return s.workspace.names((*workspace.Workspace).ContextNames), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

func secretsCopy(ctx context.Context, a *app, s *storeFlags, f *copyFlags, args []string) error {
	from, err := s.resolve()
	if err != nil {
		return err
	}
	to, err := f.target(a, s, from)
	if err != nil {
		return err
	}
	if err := f.check(to); err != nil {
		return err
	}
	if from, err = a.openPlace(ctx, from, false); err != nil {
		return err
	}
	defer from.close()
	docs, err := selected(ctx, from, args)
	if err != nil {
		return err
	}
	if len(docs) == 0 {
		fmt.Fprintln(a.stderr, from.isEmpty(a))
	}
	if to, err = a.openWriting(ctx, to, f.dry); err != nil {
		return err
	}
	defer to.close()
	changes, err := secrets.Put(ctx, to.store, moved(docs, to.deployment), f.replace, f.dry)
	return finish(a, f.output, changes, f.dry, err)
}

// target says where is copied to.
func (f *copyFlags) target(a *app, s *storeFlags, from *place) (*place, error) {
	to := *from
	switch {
	case f.toContext != "":
		other := *s
		other.context, other.given = f.toContext, store.Options{Deployment: f.toDeployment}
		p, err := other.resolve()
		if err != nil {
			return nil, err
		}
		to = *p
	case f.to != "":
		o, err := parseStore(f.to)
		if err != nil {
			return nil, err
		}
		o.Kubernetes, o.Deployment = from.options.Kubernetes, from.deployment
		to.options, to.target = o, nil
	}
	if f.toDeployment != "" {
		to.deployment, to.options.Deployment = f.toDeployment, f.toDeployment
	}
	if f.to != "" || f.toContext != "" {
		to.options.Credential = a.targetCredential
	}
	return &to, nil
}

// targetCredential gives the target's own credentials before the common ones.
func (a *app) targetCredential(name string) (secrets.Value, bool) {
	if v := a.getenv("KAI_TO_" + name); v != "" {
		return secrets.New(v), true
	}
	// What is given in one form for the target is not given in another for both.
	if base, isFile := strings.CutSuffix(name, "_FILE"); isFile && a.getenv("KAI_TO_"+base) != "" || !isFile && a.getenv("KAI_TO_"+name+"_FILE") != "" {
		return secrets.Value{}, false
	}
	return a.credential(name)
}

// parseStore reads a store as --to names it. Its errors do not quote it, since a
// password may stand in one with a mistake.
func parseStore(text string) (store.Options, error) {
	scheme, rest, ok := strings.Cut(text, ":")
	switch {
	case !ok || rest == "":
	case scheme == store.File:
		return store.Options{Provider: store.File, Path: rest}, nil
	case scheme == "sqlite":
		return store.Options{Provider: store.SQL, Path: rest}, nil
	case slices.Contains([]string{"postgres", "postgresql", "mysql", "mariadb"}, scheme):
		return store.Options{Provider: store.SQL, URL: text}, nil
	case scheme == store.Kubernetes:
		return store.Options{Provider: store.Kubernetes, Namespace: rest}, nil
	case scheme == store.Vault:
		address, at, _ := strings.Cut(rest, "#")
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.User != nil {
			return store.Options{}, errors.New("--to names no address of Vault\n  hint: vault:https://vault.example.com:8200#MOUNT/PREFIX, without a token")
		}
		mount, prefix, _ := strings.Cut(at, "/")
		return store.Options{Provider: store.Vault, Address: address, Mount: mount, Prefix: prefix}, nil
	}
	return store.Options{}, errors.New("--to names no store that kai knows\n  hint: file:PATH, sqlite:PATH, postgres://USER@HOST/DATABASE, mysql://…, vault:ADDRESS#MOUNT/PREFIX or kubernetes:NAMESPACE")
}
