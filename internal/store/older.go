package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/sql"
	"github.com/helm-kai/helm-kai/internal/secrets/vault"
)

// OlderDocs reads all that the older system keeps in its table in a database, "" being
// the table's name by default, or in its Secrets in a namespace, as it stands there.
func (o Options) OlderDocs(ctx context.Context) ([]secrets.Doc, error) {
	if o.Provider == Kubernetes {
		s, err := o.KubernetesStore(ctx)
		if err != nil {
			return nil, err
		}
		return s.Legacy(ctx)
	}
	database, err := o.Database()
	if err != nil {
		return nil, Setting(err)
	}
	return sql.Legacy(ctx, database)
}

// OlderOpener decrypts what the older system has encrypted.
type OlderOpener struct {
	open  func(ctx context.Context, where secrets.Key, sealed string) ([]byte, error) // nil where all is plain
	all   bool                                                                        // every scope is encrypted, as in its Secrets, and not secret alone
	close func() error
}

// OlderOpener gives what decrypts the values of the older system in the place that o
// names. The encryptor is aes, by a key that is the very text it was given as, transit,
// by o's access to Vault, or plaintext, which "" is too.
func (o Options) OlderOpener(encryptor string, key secrets.Value) (*OlderOpener, error) {
	out := &OlderOpener{all: o.Provider == Kubernetes, close: func() error { return nil }}
	switch encryptor {
	case "", "plaintext":
	case "aes":
		if key.IsZero() {
			return nil, Setting(errors.New("the older system's key is not given\n  hint: set KAIGARA_ENCRYPTOR_AES_KEY, as it was for that system"))
		}
		out.open = func(_ context.Context, where secrets.Key, sealed string) ([]byte, error) {
			plain, err := secrets.OpenOlder([]byte(key.Reveal()), sealed)
			if err != nil {
				return nil, &secrets.SealedError{Key: where, Err: err}
			}
			return plain, nil
		}
	case "transit":
		client, err := o.VaultClient()
		if err != nil {
			return nil, Setting(err)
		}
		out.open, out.close = client.Transit(o.transitKeys()).OpenOlder, client.Close
	default:
		return nil, Setting(fmt.Errorf("the older system has no encryptor %.40q\n  hint: plaintext, aes, transit", encryptor))
	}
	return out, nil
}

// transitKeys gives the keys that transit is configured with.
func (o Options) transitKeys() vault.TransitKeys {
	return vault.TransitKeys{Mount: o.plain("TRANSIT_MOUNT"), Name: o.plain("TRANSIT_KEY")}
}

// Open gives a doc with its values decrypted. Errors name the place, and no value.
func (x *OlderOpener) Open(ctx context.Context, doc secrets.Doc) (secrets.Doc, error) {
	if x.open == nil || doc.Path.Scope != secrets.Secret && !x.all {
		return doc, nil
	}
	values := make(map[string]secrets.Value, len(doc.Values))
	for _, name := range slices.Sorted(maps.Keys(doc.Values)) {
		v := doc.Values[name]
		at := secrets.Key{Deployment: doc.Path.Deployment, App: doc.Path.App, Scope: doc.Path.Scope, Name: name}
		plain, err := x.open(ctx, at, v.Reveal())
		if sealed := (*secrets.SealedError)(nil); err != nil && !errors.As(err, &sealed) {
			err = fmt.Errorf("%s: %s cannot be decrypted: %w", doc.Path, name, err)
		}
		if err != nil {
			return secrets.Doc{}, err
		}
		values[name] = secrets.New(string(plain))
	}
	doc.Values = values
	return doc, nil
}

// Close ends connections.
func (x *OlderOpener) Close() error { return x.close() }
