package store

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/sql"
	"github.com/helm-kai/helm-kai/internal/secrets/vault"
)

func openSQL(ctx context.Context, o Options) (secrets.Store, error) {
	database, err := o.Database()
	if err != nil {
		return nil, Setting(err)
	}
	cipher, client, plain, err := o.cipher()
	if err != nil {
		return nil, Setting(err)
	}
	closing := func() error { return nil }
	if client != nil {
		closing = client.Close
	}
	opened, err := sql.Open(ctx, database)
	if err != nil {
		return nil, errors.Join(err, closing())
	}
	var s secrets.Store = opened
	if client != nil {
		s = &closer{opened, closing}
	}
	if cipher != nil {
		return secrets.Encrypted(s, cipher), nil
	}
	return guard(s, plain, "give keys in KAI_ENCRYPTION_KEYS_FILE or KAI_ENCRYPTION_KEYS: ID:KEY, where KEY is of openssl rand -base64 32; or KAI_ENCRYPTOR=transit has Vault encrypt"), nil
}

// Database gives what a database is opened with, user and password included.
func (o Options) Database() (sql.Options, error) {
	out := sql.Options{
		URL: o.URL, User: o.plain("SQL_USER"), TLS: sql.TLS{CA: o.plain("SQL_CACERT")},
		Schema: o.Schema, Table: o.Table, Conns: o.Conns,
	}
	var err error
	if out.Password, _, err = o.text("SQL_PASSWORD"); err != nil {
		return sql.Options{}, err
	}
	if given, ok := o.get("SQL_URL"); ok && o.URL == "" && o.Path == "" {
		if out.URL, err = withoutPassword(given, &out); err != nil {
			return sql.Options{}, err
		}
	}
	if out.URL == "" {
		path := o.Path
		if path == "" {
			path = DefaultPath
		}
		if err := o.inside(path); err != nil {
			return sql.Options{}, err
		}
		out.URL = "sqlite:" + o.within(path)
	} else if path, ok := strings.CutPrefix(out.URL, "sqlite:"); ok && path != "" {
		out.URL = "sqlite:" + o.within(strings.TrimPrefix(path, "//"))
	}
	if strings.HasPrefix(out.URL, "sqlite:") {
		// Those are of a server, which another context may be about.
		out.User, out.Password, out.TLS = "", secrets.Value{}, sql.TLS{}
	}
	return out, nil
}

// withoutPassword takes user and password out of an address.
func withoutPassword(given secrets.Value, to *sql.Options) (string, error) {
	u, err := url.Parse(given.Reveal())
	if err != nil {
		// What url.Parse says quotes the address.
		return "", errors.New("SQL_URL is no URL\n  hint: postgres://USER@HOST:PORT/DATABASE, with the password in SQL_PASSWORD, or with %XX for special characters")
	}
	password, has := u.User.Password()
	if !has {
		return given.Reveal(), nil
	}
	if to.Password.IsZero() {
		to.Password = secrets.New(password)
	}
	u.User = url.User(u.User.Username())
	return u.String(), nil
}

// cipher gives what encrypts scope secret, nil for nothing, with what has to be
// closed after, nil for nothing; and whether it is to stand plain.
func (o Options) cipher() (secrets.Cipher, *vault.Client, bool, error) {
	encryptor, err := o.oneOf("ENCRYPTOR", "aes", "transit", "plaintext")
	if err != nil {
		return nil, nil, false, err
	}
	switch encryptor {
	case "plaintext":
		return nil, nil, true, nil
	case "transit":
		client, err := o.VaultClient()
		if err != nil {
			return nil, nil, false, err
		}
		return client.Transit(vault.TransitKeys{Mount: o.plain("TRANSIT_MOUNT"), Name: o.plain("TRANSIT_KEY")}), client, false, nil
	}
	keys, from, err := o.text("ENCRYPTION_KEYS")
	switch {
	case err != nil:
		return nil, nil, false, err
	case keys.IsZero() && encryptor == "aes":
		return nil, nil, false, errors.New("ENCRYPTOR is aes, and no keys are given\n  hint: ENCRYPTION_KEYS_FILE or ENCRYPTION_KEYS: ID:KEY, where KEY is of openssl rand -base64 32")
	case keys.IsZero():
		return nil, nil, false, nil
	}
	ring, err := secrets.ParseKeyring(keys.Reveal())
	if err != nil {
		return nil, nil, false, &fromError{from, err}
	}
	return ring, nil, false, nil
}

// fromError says where something that is wrong is from.
type fromError struct {
	from string
	err  error
}

func (e *fromError) Error() string { return e.from + ": " + e.err.Error() }
func (e *fromError) Unwrap() error { return e.err }

// closer is a store that closes more than itself.
type closer struct {
	*sql.Store
	also func() error
}

func (c *closer) inner() secrets.Store { return c.Store }

// Close implements secrets.Store.
func (c *closer) Close() error { return errors.Join(c.Store.Close(), c.also()) }
