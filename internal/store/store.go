// Package store opens stores of secrets: it knows every kind there is, and what
// each of them is opened with.
//
// # Credentials
//
// What must not stand in a file of a workspace comes by Options.Credential, by
// the names of this table. The programs take them from the environment: kai has
// KAI_ before each name, and kai-run has the same variables, among more (see
// kai-run --help). Where the table names another variable, that is read where the
// first is not set. A variable that is empty is not set. A name that ends in _FILE
// is a file with what the name without it would have; only one of both is given.
//
//	name                     of        what it is                                     else
//	AGE_KEY, _FILE           file      age identities, or an SSH key
//	ENCRYPTION_KEYS, _FILE   sql       ID:KEY, one a line or with commas between;
//	                                   the first seals, all of them open
//	ENCRYPTOR                sql       aes, transit or plaintext; by default aes
//	                                   where there are keys
//	SQL_URL                  sql       the address, where the workspace gives none;
//	                                   it may hold user and password. Where the
//	                                   workspace gives one, it is of the same server
//	SQL_USER                 sql       before the address's
//	SQL_PASSWORD, _FILE      sql
//	SQL_CACERT               sql       file of authorities for TLS
//	SQL_TLS                  sql       verify-full, verify-ca or disable; by default
//	                                   verify-full, but for servers on this machine
//	VAULT_ADDR               vault     the address, where the workspace gives none    VAULT_ADDR
//	VAULT_NAMESPACE          vault     likewise                                       VAULT_NAMESPACE
//	VAULT_CACERT             vault     file of authorities for TLS                    VAULT_CACERT
//	VAULT_CLIENT_CERT, _KEY  vault     files of the client's own certificate          VAULT_CLIENT_CERT, _KEY
//	VAULT_TLS_SERVER_NAME    vault     name that the certificate is for               VAULT_TLS_SERVER_NAME
//	VAULT_AUTH               vault     token, approle, kubernetes or jwt; by default
//	                                   approle where there is a role id, jwt where
//	                                   there is a JWT, kubernetes where there is a
//	                                   role alone, else token
//	VAULT_AUTH_MOUNT         vault     mount of that method
//	VAULT_TOKEN, _FILE       vault                                                    VAULT_TOKEN, ~/.vault-token
//	VAULT_ROLE_ID            vault     of approle
//	VAULT_SECRET_ID, _FILE   vault     of approle
//	VAULT_ROLE               vault     of kubernetes and jwt
//	VAULT_JWT_FILE           vault     of jwt, and of kubernetes: by default the
//	                                   service account's
//	VAULT_WRAPPED            vault     true: the token, the secret id or the JWT is
//	                                   a wrapping token, which is opened once
//	TRANSIT_MOUNT            transit   mount of the engine; transit by default
//	TRANSIT_KEY              transit   name of the keys, with {deployment} and {app}
//
// # Encryption
//
// Scope secret never stands plain in a store because of kai. Vault and Kubernetes
// count as stores that encrypt by themselves; a file does where it has recipients,
// and a database where keys are given. Where nothing encrypts, what stands there
// is read, and writing scope secret is refused, unless ENCRYPTOR is plaintext.
package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/file"
)

// Options say which store is opened, and how.
type Options struct {
	Provider   string // one of Providers
	Dir        string // folder that Path is relative to; "" is the current one
	Path       string // of the file; of SQLite's, DefaultPath where there is no URL either
	URL        string // of a database, without a password
	Address    string // of Vault
	Mount      string // of Vault's engine; "" is secret
	Namespace  string // of Vault Enterprise, or of Kubernetes
	Prefix     string // folders in Vault between the mount and the deployments
	Deployment string
	// FS is the tree that a Pool reads the file in, instead of Dir; nil is none.
	FS fs.FS
	// Cluster tells clusters apart, by a name of the caller's.
	Cluster string
	// Table and Schema of a database, and how many connections to it; their zero
	// values are the defaults of package sql.
	Table, Schema string
	Conns         int
	// Long is for who stays, and asks again and again: tokens are renewed.
	Long bool
	// Credential gives what must not stand in a file, by the names in this package's
	// comment; nil gives nothing.
	Credential func(name string) (secrets.Value, bool)
	// Kubernetes gives a client of a cluster that has the credentials, the address,
	// and the namespace where Namespace is "". Nil is not to be had.
	Kubernetes func(ctx context.Context) (client *http.Client, base, namespace string, err error)
}

// DefaultPath is SQLite's file, below Options.Dir.
const DefaultPath = ".kai/secrets.db"

// The kinds of stores.
const (
	File       = "file"
	SQL        = "sql"
	Vault      = "vault"
	Kubernetes = "kubernetes"
)

// openers open each kind of store.
var openers = []struct {
	name string
	open func(context.Context, Options) (secrets.Store, error)
}{
	{File, openFile},
	{SQL, openSQL},
	{Vault, openVault},
	{Kubernetes, openKubernetes},
}

// Providers gives the kinds of stores.
func Providers() []string {
	var names []string
	for _, o := range openers {
		names = append(names, o.name)
	}
	return names
}

// Open opens a store. A file and SQLite's need not be there yet. Scope secret is
// encrypted in it, or refused when it is to be written: see the package's comment.
// Errors show no credential and no value.
func Open(ctx context.Context, o Options) (secrets.Store, error) {
	for _, opener := range openers {
		if opener.name == o.Provider {
			return opener.open(ctx, o)
		}
	}
	hint := "\n  hint: " + strings.Join(Providers(), ", ")
	if o.Provider == "" {
		return nil, Setting(errors.New("no store of secrets is named" + hint))
	}
	return nil, Setting(fmt.Errorf("there is no store of secrets %q%s", o.Provider, hint))
}

// SettingError says that what names a store, or opens it, is wrong: it will be so
// however often it is tried.
type SettingError struct{ err error }

func (e *SettingError) Error() string { return e.err.Error() }

// Unwrap gives what is wrong.
func (e *SettingError) Unwrap() error { return e.err }

// Lasting says true.
func (e *SettingError) Lasting() bool { return true }

// Setting makes a SettingError of an error; nil stays nil.
func Setting(err error) error {
	if err == nil {
		return nil
	}
	return &SettingError{err}
}

func openFile(_ context.Context, o Options) (secrets.Store, error) {
	if o.Path == "" {
		return nil, Setting(errors.New("the store file needs a path\n  hint: name the file"))
	}
	if err := o.inside(o.Path); err != nil {
		return nil, Setting(err)
	}
	keys, err := o.identities()
	if err != nil {
		return nil, Setting(err)
	}
	plain, err := o.plaintext()
	if err != nil {
		return nil, Setting(err)
	}
	// The deployment is not asked about: a file holds one, and answers to any name. It
	// says itself what would stand plain in it, under its lock.
	s, err := file.NewStore(o.within(o.Path), file.Options{Identities: keys, Bind: o.Deployment, Encrypt: !plain})
	if err != nil {
		return nil, Setting(err)
	}
	return guard(s, true, ""), nil
}

// identities gives what opens a file.
func (o Options) identities() (*file.Identities, error) {
	text, from, err := o.text("AGE_KEY")
	if err != nil || text.IsZero() {
		return nil, err
	}
	return file.ParseIdentities(from, text.Reveal())
}

// plaintext says whether scope secret may be written as it is.
func (o Options) plaintext() (bool, error) {
	encryptor, err := o.Encryptor()
	return encryptor == "plaintext", err
}

// within gives a path relative to the folder.
func (o Options) within(path string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(o.Dir, path)
}

// get gives a credential, and whether it is set.
func (o Options) get(name string) (secrets.Value, bool) {
	if o.Credential == nil {
		return secrets.Value{}, false
	}
	v, ok := o.Credential(name)
	if !ok || v.IsZero() {
		return secrets.Value{}, false
	}
	return v, true
}

// plain gives a setting that is no secret.
func (o Options) plain(name string) string {
	v, _ := o.get(name)
	return v.Reveal()
}

// oneOf gives a setting that is one of some words, or "".
func (o Options) oneOf(name string, words ...string) (string, error) {
	word := o.plain(name)
	if word != "" && !slices.Contains(words, word) {
		return "", fmt.Errorf("KAI_%s is none of %s", name, strings.Join(words, ", "))
	}
	return word, nil
}

// maxText bounds a file with a credential.
const maxText = 1 << 20

// text gives a credential that is given as it is, or in the file that NAME_FILE
// names, without blanks around it; and where it is from. It is the zero Value where
// neither is given.
func (o Options) text(name string) (v secrets.Value, from string, err error) {
	v, given := o.get(name)
	path, in := o.get(name + "_FILE")
	switch {
	case given && in:
		return secrets.Value{}, "", fmt.Errorf("KAI_%s and KAI_%s_FILE exclude one another", name, name)
	case !in:
		return v, "KAI_" + name, nil
	}
	data, err := secrets.ReadFile(path.Reveal(), maxText)
	if err != nil {
		return secrets.Value{}, "", fmt.Errorf("KAI_%s_FILE: %w", name, err)
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		return secrets.Value{}, "", fmt.Errorf("KAI_%s_FILE: %s is empty", name, path.Reveal())
	}
	return secrets.New(text), path.Reveal(), nil
}

// inside makes sure that a path relative to Dir does not leave it by a link.
func (o Options) inside(path string) error {
	path = filepath.FromSlash(path)
	if o.Dir == "" || filepath.IsAbs(path) {
		return nil
	}
	root, err := os.OpenRoot(o.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for ; path != "."; path = filepath.Dir(path) {
		_, err := root.Stat(path)
		if err == nil {
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the store of secrets: %w\n  hint: keep it in the folder of the workspace, without links that lead out", err)
		}
	}
	return nil
}
