// Package runstore opens the store that a run is configured for: one of kai's, or
// the older system's, which is read as it is.
package runstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"github.com/helm-kai/helm-kai/internal/run"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/store"
)

// Cluster gives a client of a cluster, its address and the namespace.
type Cluster func(ctx context.Context) (client *http.Client, base, namespace string, err error)

// Open opens the store that c names; kubernetes is how a cluster is reached, nil
// for not at all.
func Open(ctx context.Context, c run.Config, kubernetes Cluster) (secrets.Store, error) {
	if c.Store.Driver == "" {
		return nil, store.Setting(errors.New("no store is named\n  hint: --store or KAI_STORE: file, sql, vault, kubernetes"))
	}
	o, err := options(c)
	if err != nil {
		return nil, store.Setting(err)
	}
	o.Kubernetes = kubernetes
	if c.Older {
		return openOlder(ctx, c, o)
	}
	return store.Open(ctx, o)
}

// options gives what c says in the words of package store.
func options(c run.Config) (store.Options, error) {
	s := c.Store
	o := store.Options{
		Provider: s.Driver, Path: s.Path, Mount: s.Vault.Mount, Prefix: s.Vault.Prefix, Namespace: s.Namespace,
		Deployment: c.Deployment, Table: s.Database.Table, Schema: s.Database.Schema, Conns: s.Database.Pool, Long: c.Watch,
	}
	if s.Driver == store.Vault {
		o.Namespace = s.Vault.Namespace
	}
	known := credentials(s)
	if s.Driver == store.SQL {
		address, err := address(s)
		if err != nil {
			return store.Options{}, err
		}
		known["SQL_URL"] = address
	}
	o.Credential = func(name string) (secrets.Value, bool) {
		v := known[name]
		return v, !v.IsZero()
	}
	return o, nil
}

// credentials gives them by the names of package store.
func credentials(s run.Store) map[string]secrets.Value {
	known := map[string]secrets.Value{
		"AGE_KEY": s.Identity, "ENCRYPTION_KEYS": s.Key, "SQL_PASSWORD": s.Database.Pass,
		"VAULT_TOKEN": s.Vault.Token, "VAULT_SECRET_ID": s.Vault.SecretID,
	}
	for name, text := range map[string]string{
		"AGE_KEY_FILE": s.IdentityFile, "ENCRYPTION_KEYS_FILE": s.KeyFile, "ENCRYPTOR": s.Encryptor,
		"TRANSIT_MOUNT": s.TransitMount, "TRANSIT_KEY": s.TransitKey,
		"SQL_USER": s.Database.User, "SQL_PASSWORD_FILE": s.Database.PassFile, "SQL_CACERT": s.Database.CACert, "SQL_TLS": s.Database.TLS,
		"VAULT_ADDR": s.Vault.Addr, "VAULT_NAMESPACE": s.Vault.Namespace, "VAULT_CACERT": s.Vault.CACert,
		"VAULT_TLS_SERVER_NAME": s.Vault.TLSServerName, "VAULT_CLIENT_CERT": s.Vault.ClientCert, "VAULT_CLIENT_KEY": s.Vault.ClientKey,
		"VAULT_AUTH": s.Vault.Auth, "VAULT_AUTH_MOUNT": s.Vault.AuthMount, "VAULT_TOKEN_FILE": s.Vault.TokenFile,
		"VAULT_ROLE": s.Vault.Role, "VAULT_ROLE_ID": s.Vault.RoleID, "VAULT_SECRET_ID_FILE": s.Vault.SecretIDFile,
		"VAULT_JWT_FILE": s.Vault.JWTFile, "VAULT_WRAPPED": s.Vault.Wrapped,
	} {
		known[name] = secrets.New(text)
	}
	return known
}

// address gives that of a database; it is empty for SQLite's file, which has a
// path.
func address(s run.Store) (secrets.Value, error) {
	d := s.Database
	host := d.Host != "" || d.Port != 0 || d.Name != ""
	switch {
	case s.Path != "" && (!d.URL.IsZero() || host && d.Driver != "sqlite"):
		return secrets.Value{}, errors.New("KAI_STORE_PATH is of SQLite's file, and a server is named too\n  hint: remove one of the two")
	case !d.URL.IsZero():
		return d.URL, nil
	case d.Driver == "sqlite" || d.Driver == "" && !host:
		return secrets.Value{}, nil
	case d.Driver == "":
		return secrets.Value{}, errors.New("the kind of the database is not named\n  hint: KAI_SQL_DRIVER: postgres or mysql; or KAI_SQL_URL")
	case d.Host == "" || d.Name == "":
		return secrets.Value{}, fmt.Errorf("the database %s needs a host and a name\n  hint: KAI_SQL_HOST and KAI_SQL_NAME, or KAI_SQL_URL", d.Driver)
	}
	u := url.URL{Scheme: d.Driver, Host: d.Host, Path: "/" + d.Name}
	switch {
	case d.Port != 0:
		u.Host = net.JoinHostPort(d.Host, strconv.Itoa(d.Port))
	case net.ParseIP(d.Host) != nil && net.ParseIP(d.Host).To4() == nil:
		u.Host = "[" + d.Host + "]"
	}
	return secrets.New(u.String()), nil
}
