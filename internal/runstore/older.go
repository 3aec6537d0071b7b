package runstore

import (
	"context"
	"errors"
	"strings"

	"github.com/helm-kai/helm-kai/internal/run"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/store"
)

// openOlder opens what an image of the older system means. Its Vault has the
// paths of kai's own; its database has a table of its own, unless KAI_SQL_URL or
// KAI_STORE_PATH names one of kai's, and so have its Secrets. What its encryptor
// has made is decrypted.
func openOlder(ctx context.Context, c run.Config, o store.Options) (secrets.Store, error) {
	table := c.Store.Driver == store.SQL && c.Store.Path == "" && c.Store.Database.URL.IsZero()
	if !table && (c.Store.Driver == store.SQL || c.Store.Driver == store.File) {
		// What the older system has by default is not meant for one of kai's.
		if o.Table == "data" {
			o.Table = ""
		}
		if c.Store.Encryptor == "plaintext" && (!c.Store.Key.IsZero() || c.Store.KeyFile != "") {
			given := o.Credential
			o.Credential = func(name string) (secrets.Value, bool) {
				if name == "ENCRYPTOR" {
					return secrets.Value{}, false
				}
				return given(name)
			}
		}
		return store.Open(ctx, o)
	}
	opener, err := o.OlderOpener(c.Store.Encryptor, c.Store.OlderKey)
	if err != nil {
		return nil, err
	}
	s := &older{opener: opener}
	switch {
	case table:
		s.Store, err = legacyTable(c, o)
	case c.Store.Driver == store.Kubernetes:
		s.Store, err = legacySecrets(ctx, c, o)
	default: // Vault, where kai has the same paths
		s.Store, err = store.Open(ctx, o)
	}
	if err != nil {
		s.Store = nil
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// older is a store of the older system, for reading.
type older struct {
	secrets.Store
	opener *store.OlderOpener
}

// Read implements secrets.Store.
func (s *older) Read(ctx context.Context, paths []secrets.Path) (map[secrets.Path]secrets.Doc, error) {
	docs, err := s.Store.Read(ctx, paths)
	if err != nil {
		return nil, err
	}
	for path, doc := range docs {
		if docs[path], err = s.opener.Open(ctx, doc); err != nil {
			return nil, err
		}
	}
	return docs, nil
}

// Write implements secrets.Store.
func (s *older) Write(context.Context, secrets.Doc) (string, error) { return "", readOnly() }

// Can implements secrets.Store.
func (s *older) Can() secrets.Abilities { return secrets.Abilities{Name: s.Store.Can().Name} }

// Close implements secrets.Store.
func (s *older) Close() error {
	if s.Store == nil {
		return s.opener.Close()
	}
	return errors.Join(s.Store.Close(), s.opener.Close())
}

func readOnly() error {
	return &secrets.CannotError{Store: "the older system's store", What: "be written by kai", Hint: "import it: helm kai secrets import"}
}

// legacy is a place of the older system that is read as a whole, and holds one
// deployment, whatever that is called.
type legacy struct {
	name string
	all  func(context.Context) ([]secrets.Doc, error)
	// shared says that an app without scopes of its own has one place for all of
	// them, which is given as scope secret.
	shared bool
}

// legacyTable gives the older system's table in a database, over TLS where kai's own
// would be.
func legacyTable(c run.Config, o store.Options) (secrets.Store, error) {
	o.Table = c.Store.Database.Table
	if _, err := o.Database(); err != nil {
		return nil, store.Setting(err)
	}
	return &legacy{name: store.SQL, all: o.OlderDocs}, nil
}

// legacySecrets gives the older system's Secrets. Its namespace is called as the
// deployment.
func legacySecrets(ctx context.Context, c run.Config, o store.Options) (secrets.Store, error) {
	if o.Namespace == "" {
		o.Namespace = strings.ReplaceAll(c.Deployment, "_", "-")
	}
	s, err := o.KubernetesStore(ctx)
	if err != nil {
		return nil, err
	}
	return &legacy{name: store.Kubernetes, all: s.Legacy, shared: true}, nil
}

// Read implements secrets.Store.
func (s *legacy) Read(ctx context.Context, paths []secrets.Path) (map[secrets.Path]secrets.Doc, error) {
	all, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	byApp := map[string]map[string]secrets.Doc{}
	for _, doc := range all {
		if byApp[doc.Path.App] == nil {
			byApp[doc.Path.App] = map[string]secrets.Doc{}
		}
		byApp[doc.Path.App][doc.Path.Scope] = doc
	}
	docs := make(map[secrets.Path]secrets.Doc, len(paths))
	for _, path := range paths {
		scopes := byApp[path.App]
		doc, ok := scopes[path.Scope]
		if !ok && s.shared && len(scopes) == 1 {
			doc, ok = scopes[secrets.Secret]
		}
		if ok {
			doc.Path = path
			docs[path] = doc
		}
	}
	return docs, nil
}

// List implements secrets.Store.
func (s *legacy) List(ctx context.Context, deployment string) ([]secrets.Path, error) {
	all, err := s.all(ctx)
	var paths []secrets.Path
	for _, doc := range all {
		doc.Path.Deployment = deployment
		paths = append(paths, doc.Path)
	}
	return paths, err
}

// Write implements secrets.Store.
func (s *legacy) Write(context.Context, secrets.Doc) (string, error) { return "", readOnly() }

// Can implements secrets.Store.
func (s *legacy) Can() secrets.Abilities { return secrets.Abilities{Name: s.name} }

// Close implements secrets.Store.
func (s *legacy) Close() error { return nil }
