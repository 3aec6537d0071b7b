package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/file"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/store"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// storeFlags choose a store: that of a context, or one by its address.
type storeFlags struct {
	app       *app
	workspace *workspaceFlags
	context   string
	given     store.Options
	cluster   clusterFlags
}

func (f *storeFlags) addFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVarP(&f.context, "context", "c", "", "context of kai, such as dev or prod")
	flags.StringVar(&f.given.Provider, "provider", "", "kind of store, instead of the context's: "+strings.Join(store.Providers(), ", "))
	flags.StringVar(&f.given.Path, "path", "", "file of the store file, or of SQLite")
	flags.StringVar(&f.given.URL, "url", "", "address of a database: postgres://USER@HOST/DATABASE or mysql://…, without a password")
	flags.StringVar(&f.given.Address, "address", "", "address of Vault")
	flags.StringVar(&f.given.Mount, "mount", "", "mount of Vault's engine (default: secret)")
	flags.StringVar(&f.given.Prefix, "prefix", "", "folders in Vault between the mount and the deployments")
	flags.StringVar(&f.given.Namespace, "store-namespace", "", "namespace of Kubernetes or of Vault Enterprise")
	flags.StringVarP(&f.given.Deployment, "deployment", "d", "", "deployment in the store (default: the context's)")
	// The store kubernetes takes the cluster as other commands do.
	f.cluster.addFlags(&cobra.Command{}, f.app)
	flags.StringVar(f.cluster.config.Context, "kube-context", *f.cluster.config.Context, "context of kubeconfig, for the store kubernetes")
	flags.StringVar(f.cluster.config.KubeConfig, "kubeconfig", "", "kubeconfig, for the store kubernetes")
	_ = cmd.RegisterFlagCompletionFunc("context", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return f.workspace.names((*workspace.Workspace).ContextNames), cobra.ShellCompDirectiveNoFileComp
	})
	_ = cmd.RegisterFlagCompletionFunc("provider", cobra.FixedCompletions(store.Providers(), cobra.ShellCompDirectiveNoFileComp))
}

// place is an open store and a deployment in it.
type place struct {
	store      secrets.Store
	deployment string
	options    store.Options
	target     *workspace.Target // nil outside of a workspace
	dir        string            // of the workspace
}

// close closes the store, if it was opened.
func (p *place) close() {
	if p.store != nil {
		_ = p.store.Close()
	}
}

// name words the store for messages.
func (p *place) name(a *app) string {
	o := p.options
	if p.embedded() {
		return a.near(filepath.Join(o.Dir, filepath.FromSlash(store.DefaultPath)))
	}
	text := o.Provider
	for _, detail := range []string{o.Path, o.URL, o.Address} {
		if detail != "" {
			text += " " + detail
		}
	}
	return text
}

// near gives a path as it is from here, where it is below.
func (a *app) near(path string) string {
	here, err := a.getwd()
	if err != nil {
		return path
	}
	if short, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(short) {
		return short
	}
	return path
}

// open opens the store that the flags choose. Where it is to be written and kept in
// the workspace itself, what it needs there is made.
func (f *storeFlags) open(ctx context.Context, write bool) (*place, error) {
	p, err := f.resolve()
	if err != nil {
		return nil, err
	}
	return f.app.openPlace(ctx, p, write)
}

// resolve says which store and which deployment are meant, and opens nothing.
func (f *storeFlags) resolve() (*place, error) {
	p := &place{options: f.given, deployment: f.given.Deployment}
	switch {
	case f.given.Provider != "":
	case f.given.URL != "":
		p.options.Provider = store.SQL
	case f.given.Address != "":
		p.options.Provider = store.Vault
	}
	own := p.options.Provider == "" // the context's
	if own && cmp.Or(f.given.Path, f.given.Mount, f.given.Prefix, f.given.Namespace) != "" {
		return nil, errors.New("it is not said what kind of store that is\n  hint: --provider " + strings.Join(store.Providers(), ", --provider "))
	}
	if own || p.deployment == "" || f.context != "" {
		target, dir, err := f.targetOf(f.context)
		switch {
		case err != nil && !own && f.context == "":
			return nil, errors.New("no deployment is named\n  hint: --deployment, or -c for that of a context")
		case err != nil:
			return nil, err
		}
		p.target, p.dir = target, dir
		if p.deployment == "" {
			p.deployment = target.Secrets.Deployment
		}
	}
	access := f.app.access(p.dir, cmp.Or(p.target, &workspace.Target{}), &f.cluster)
	if own {
		p.options = build.StoreOptions(p.target, access)
		if err := holdsDeployment(p.target, f.given.Deployment); err != nil {
			return nil, err
		}
	}
	p.options.Credential, p.options.Kubernetes, p.options.Deployment = access.Credential, access.Kubernetes, p.deployment
	return p, nil
}

// holdsDeployment says whether the store of a context may hold a deployment that a
// flag names, "" for none.
func holdsDeployment(target *workspace.Target, named string) error {
	own := target.Secrets.Deployment
	if target.Secrets.Provider != store.File || named == "" || named == own {
		return nil
	}
	return fmt.Errorf("a file holds one deployment: %s holds %s, and not %s\n  hint: leave --deployment out; another context has another file, and --provider file --path FILE names one", target.Secrets.Path, own, named)
}

// targetOf gives a context of the workspace; "" is the only one.
func (f *storeFlags) targetOf(name string) (*workspace.Target, string, error) {
	ws, dir, _, err := f.workspace.open()
	if err != nil {
		var findings source.Findings
		if !errors.As(err, &findings) {
			err = fmt.Errorf("%w; --provider and --deployment name a store without a workspace", err)
		}
		return nil, "", err
	}
	var s selection
	if name != "" {
		s.contexts = []string{name}
	}
	if name, err = s.one(f.app, ws); err != nil {
		return nil, "", err
	}
	target, findings := ws.Target(name)
	if findings.Err() != nil {
		return nil, "", findings.Sorted()
	}
	return target, dir, nil
}

// openPlace opens a store that was resolved.
func (a *app) openPlace(ctx context.Context, p *place, write bool) (*place, error) {
	if write && p.embedded() {
		if err := a.prepare(ctx, p); err != nil {
			return nil, err
		}
	}
	var err error
	if p.store, err = store.Open(ctx, p.options); err != nil {
		return p, err
	}
	if write {
		err = a.sayPlain(ctx, p)
	}
	return p, err
}

// embedded says whether the secrets are kept in SQLite's file below the workspace.
func (p *place) embedded() bool {
	o := p.options
	if o.Provider != store.SQL || o.URL != "" || o.Path != "" {
		return false
	}
	_, elsewhere := o.Credential("SQL_URL")
	return !elsewhere
}

// prepare makes what the embedded store needs: a folder that git ignores, and a
// key by which scope secret is encrypted.
func (a *app) prepare(ctx context.Context, p *place) error {
	file := filepath.Join(p.options.Dir, filepath.FromSlash(store.DefaultPath))
	given := slices.ContainsFunc([]string{"ENCRYPTION_KEYS", "ENCRYPTION_KEYS_FILE", "ENCRYPTOR"}, func(name string) bool {
		_, ok := p.options.Credential(name)
		return ok
	})
	if !given {
		if err := a.mayMakeKey(ctx, p, nil); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	err := writeNew(filepath.Join(filepath.Dir(file), ".gitignore"), []byte("*\n"))
	switch {
	case err == nil:
		fmt.Fprintf(a.stderr, "the secrets are kept in %s, which git ignores\n", a.near(file))
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	if given {
		return nil
	}
	key, made, err := a.newKey(ctx, true)
	if err != nil {
		return fmt.Errorf("there is no key to encrypt with, and none could be made: %w\n  hint: KAI_ENCRYPTION_KEYS_FILE names a file of keys", err)
	}
	if !made {
		return nil
	}
	fmt.Fprintf(a.stderr, "made a key in %s: keep a copy, for without it nobody opens what is encrypted\n", key)
	return nil
}

// inner gives the store below what encrypts.
func (p *place) inner() secrets.Store { return store.Inner(p.store) }

// closed gives the store with what is encrypted as it stands there, which needs no
// key.
func (p *place) closed() secrets.Store {
	inner := p.inner()
	if kept, ok := inner.(*file.Store); ok {
		return kept.Closed()
	}
	return inner
}
