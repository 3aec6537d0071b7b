package build

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/store"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// Access is what stores are opened with.
type Access struct {
	// Dir is the workspace's folder; "" where the workspace is a tree without one.
	Dir string
	// Credential and Kubernetes are those of store.Options.
	Credential func(name string) (secrets.Value, bool)
	Kubernetes func(context.Context) (client *http.Client, base, namespace string, err error)
	// Getenv gives variables to references; nil gives none.
	Getenv func(string) string
	// Environ is what the programs of references have for environment; nil is all
	// that this process has.
	Environ []string
	// Pool holds what the run opens.
	Pool *store.Pool
}

// StoreOptions say how the store of a context's secrets is opened. Where the
// workspace names none, it is the database that SQL_URL names, or else SQLite's
// file of kai's own.
func StoreOptions(target *workspace.Target, access Access) store.Options {
	s := target.Secrets
	o := store.Options{
		Provider: s.Provider, Dir: access.Dir, Path: s.Path, URL: s.URL,
		Address: s.Address, Mount: s.Mount, Namespace: s.Namespace, Prefix: s.Prefix,
		Deployment: s.Deployment, Credential: access.Credential, Kubernetes: access.Kubernetes,
	}
	if s.Provider == "" {
		o.Provider = store.SQL
	}
	if s.Provider == store.Kubernetes {
		o.Cluster = target.Context
	}
	return o
}

// Store gives the store that a context's secrets are kept in, for reading; nil
// where the workspace names none and nothing is kept in its own. A file is read at once, in the workspace's tree;
// any other store is opened when something is first asked of it, and what is wrong
// then is a finding too. Findings without an error are warnings.
func Store(fsys fs.FS, target *workspace.Target, access Access) (secrets.Provider, source.Findings) {
	if target.Secrets.Provider == "" && !kept(access) {
		return nil, nil
	}
	o := StoreOptions(target, access)
	if o.FS = fsys; access.Dir == "" && o.Provider == store.SQL && o.URL == "" {
		return nil, located(target, errors.New("a file of SQLite is read in a folder, and this workspace is none"))
	}
	p, err := access.Pool.Provider(o)
	if err != nil {
		return nil, located(target, err)
	}
	var warnings source.Findings
	if f, ok := p.(interface{ Warnings() source.Findings }); ok {
		warnings = f.Warnings()
	}
	return placed{p, target}, warnings
}

// kept says whether there is a store though the workspace names none: a folder has
// SQLite's file of kai's own, or the environment names a database.
func kept(access Access) bool {
	if access.Dir == "" {
		return false
	}
	if access.Credential != nil {
		if _, given := access.Credential("SQL_URL"); given {
			return true
		}
	}
	_, err := os.Lstat(filepath.Join(access.Dir, filepath.FromSlash(store.DefaultPath)))
	return err == nil
}

// placed is a provider whose errors say which context they are of.
type placed struct {
	secrets.Provider
	target *workspace.Target
}

// Get implements secrets.Provider.
func (p placed) Get(ctx context.Context, keys []secrets.Key) (map[secrets.Key]secrets.Value, error) {
	values, err := p.Provider.Get(ctx, keys)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, located(p.target, err)
	}
	return values, nil
}

// located makes a finding of an error, unless it is some already.
func located(target *workspace.Target, err error) source.Findings {
	var findings source.Findings
	if errors.As(err, &findings) {
		return findings
	}
	message, hint, _ := strings.Cut(err.Error(), "\n  hint: ")
	findings.Add("secrets", target.Secrets.Origin, "contexts."+target.Context+".secrets", hint, "%s", message)
	return findings
}
