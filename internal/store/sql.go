package store

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
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
	mode, err := o.oneOf("SQL_TLS", sql.VerifyFull, sql.VerifyCA, sql.NoTLS)
	if err != nil {
		return sql.Options{}, err
	}
	out := sql.Options{
		URL: o.URL, User: o.plain("SQL_USER"), TLS: sql.TLS{Mode: mode, CA: o.plain("SQL_CACERT")},
		Schema: o.Schema, Table: o.Table, Conns: o.Conns,
	}
	if out.Password, _, err = o.text("SQL_PASSWORD"); err != nil {
		return sql.Options{}, err
	}
	given, ok := o.get("SQL_URL")
	switch {
	case o.URL != "":
		if err := o.server(given, mode, &out); err != nil {
			return sql.Options{}, err
		}
	case ok && o.Path == "":
		if out.URL, err = withoutPassword(given, &out); err != nil {
			return sql.Options{}, err
		}
		if mode != "" {
			out.URL = withoutMode(out.URL)
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

// server holds the server of o.URL, which may stand in a file of a workspace, against
// what is given here. A password is of the server that it was made for: where the
// environment speaks of one, no other is sent what it holds, and nobody but the
// environment says that it may be sent as it is.
func (o Options) server(given secrets.Value, mode string, to *sql.Options) error {
	server, local, plain := sql.Server(o.URL)
	switch {
	case server == "": // a file, or a mistake that is found later
		return nil
	case plain && !local && mode != sql.NoTLS:
		return errors.New("the workspace's address of the database switches TLS off, and the server is on another machine\n  hint: remove sslmode from it; only where the network is trusted set KAI_SQL_TLS=disable where kai runs")
	case mode != "":
		to.URL = withoutMode(o.URL)
	}
	if given.IsZero() {
		return nil
	}
	own, err := withoutPassword(given, to)
	if err != nil {
		return err
	}
	if other, _, _ := sql.Server(own); other != server {
		return errors.New("the server of the database is another in KAI_SQL_URL than in the workspace, so the credentials here may be for another server\n  hint: unset KAI_SQL_URL where they are for the workspace's, or set it to the same server; KAI_TO_SQL_URL is that of the target of copy")
	}
	if u, err := url.Parse(own); err == nil && to.User == "" {
		to.User = u.User.Username()
	}
	return nil
}

// withoutMode takes sslmode out of an address, which is given apart.
func withoutMode(address string) string {
	u, err := url.Parse(address)
	if err != nil || !u.Query().Has("sslmode") {
		return address
	}
	query := u.Query()
	query.Del("sslmode")
	u.RawQuery = query.Encode()
	return u.String()
}

// withoutPassword takes user and password out of an address.
func withoutPassword(given secrets.Value, to *sql.Options) (string, error) {
	u, err := url.Parse(given.Reveal())
	if err != nil {
		// What url.Parse says quotes the address.
		return "", errors.New("KAI_SQL_URL is no URL\n  hint: postgres://USER@HOST:PORT/DATABASE, with the password in KAI_SQL_PASSWORD, or with %XX for special characters")
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

// Encryptor gives what encrypts scope secret in a database, as it is configured: aes,
// transit or plaintext, "" where nothing says so.
func (o Options) Encryptor() (string, error) {
	return o.oneOf("ENCRYPTOR", "aes", "transit", "plaintext")
}

// cipher gives what encrypts scope secret, nil for nothing, with what has to be
// closed after, nil for nothing; and whether it is to stand plain.
func (o Options) cipher() (secrets.Cipher, *vault.Client, bool, error) {
	encryptor, err := o.Encryptor()
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
		return client.Transit(o.transitKeys()), client, false, nil
	}
	keys, from, err := o.text("ENCRYPTION_KEYS")
	switch {
	case err != nil:
		return nil, nil, false, err
	case keys.IsZero() && encryptor == "aes":
		return nil, nil, false, errors.New("KAI_ENCRYPTOR is aes, and no keys are given\n  hint: KAI_ENCRYPTION_KEYS_FILE or KAI_ENCRYPTION_KEYS: ID:KEY, where KEY is of openssl rand -base64 32")
	case keys.IsZero():
		return nil, nil, false, nil
	}
	ring, err := secrets.ParseKeyring(keys.Reveal())
	if err != nil {
		return nil, nil, false, &fromError{from, err}
	}
	ring.From(from)
	return ring, nil, false, nil
}

// KeyIDs gives the ids of the keys by which a database's values of scope secret are
// encrypted, of all deployments, sorted. It needs no key. A file of SQLite that is
// not there has none.
func KeyIDs(ctx context.Context, o Options) ([]string, error) {
	database, err := o.Database()
	if err != nil {
		return nil, err
	}
	s, err := sql.Open(ctx, database)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	deployments, err := s.Deployments(ctx)
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for _, deployment := range deployments {
		paths, err := s.List(ctx, deployment)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			if path.Scope != secrets.Secret {
				continue
			}
			docs, err := s.Read(ctx, []secrets.Path{path})
			if err != nil {
				return nil, err
			}
			for _, v := range docs[path].Values {
				if id := keyID(v); id != "" {
					ids[id] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(ids)), nil
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
