package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/vault"
)

// keyID gives the id of the key by which a cipher of kai has sealed a value, "" for
// none.
func keyID(v secrets.Value) string {
	if v.Kind() != secrets.Text {
		return ""
	}
	return cmp.Or((*secrets.Keyring)(nil).KeyID(v.Reveal()), (*vault.Transit)(nil).KeyID(v.Reveal()))
}

// guarded is a store in which nothing encrypts scope secret, or not always. It
// does not write that scope where it would stand plain, unless that is wanted, and
// does not give out as a value what is encrypted.
type guarded struct {
	secrets.Store
	plain bool   // it may stand plain
	hint  string // where it may not
}

// guardedHistorian is one that has a history.
type guardedHistorian struct {
	*guarded
	history secrets.Historian
}

// guard gives a store that refuses scope secret, saying the way out, unless it may
// stand plain there.
func guard(store secrets.Store, plain bool, hint string) secrets.Store {
	g := &guarded{store, plain, hint}
	if h, ok := store.(secrets.Historian); ok {
		return &guardedHistorian{g, h}
	}
	return g
}

// Inner gives the store itself, below whatever Open has put around it.
func Inner(s secrets.Store) secrets.Store {
	for {
		next := secrets.Raw(s)
		if g, ok := s.(interface{ inner() secrets.Store }); ok {
			next = g.inner()
		}
		if next == s {
			return s
		}
		s = next
	}
}

func (g *guarded) inner() secrets.Store { return g.Store }

// Read implements secrets.Store.
func (g *guarded) Read(ctx context.Context, paths []secrets.Path) (map[secrets.Path]secrets.Doc, error) {
	docs, err := g.Store.Read(ctx, paths)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		if err := g.open(docs[path]); err != nil {
			return nil, err
		}
	}
	return docs, nil
}

// open says where a doc holds what would have to be decrypted.
func (g *guarded) open(doc secrets.Doc) error {
	if doc.Path.Scope != secrets.Secret {
		return nil
	}
	var names []string
	for name, v := range doc.Values {
		if keyID(v) != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return &secrets.SealedError{
		Key: secrets.Key{Deployment: doc.Path.Deployment, App: doc.Path.App, Scope: doc.Path.Scope, Name: names[0]},
		Err: errors.New("it is encrypted, and no keys are given\n  hint: set KAI_ENCRYPTION_KEYS_FILE to the file of the keys, or KAI_ENCRYPTION_KEYS to their text"),
	}
}

// Write implements secrets.Store.
func (g *guarded) Write(ctx context.Context, doc secrets.Doc) (string, error) {
	if err := g.refuse(doc); err != nil {
		return "", err
	}
	return g.Store.Write(ctx, doc)
}

// Check implements secrets.Checker.
func (g *guarded) Check(ctx context.Context, docs []secrets.Doc) error {
	for _, doc := range docs {
		if err := g.refuse(doc); err != nil {
			return err
		}
	}
	return secrets.Check(ctx, g.Store, docs)
}

// refuse says that a path would stand plain.
func (g *guarded) refuse(doc secrets.Doc) error {
	if doc.Path.Scope == secrets.Secret && len(doc.Values) > 0 && !g.plain && !g.Can().Encrypted {
		return &secrets.CannotError{
			Store: g.Can().Name,
			What:  fmt.Sprintf("hold %s: nothing encrypts it there", doc.Path),
			Hint:  g.hint,
		}
	}
	return nil
}

// History implements secrets.Historian.
func (g *guardedHistorian) History(ctx context.Context, path secrets.Path) ([]secrets.Doc, error) {
	return g.history.History(ctx, path)
}

// At implements secrets.Historian.
func (g *guardedHistorian) At(ctx context.Context, path secrets.Path, version string) (secrets.Doc, error) {
	doc, err := g.history.At(ctx, path, version)
	if err != nil {
		return secrets.Doc{}, err
	}
	if err := g.open(doc); err != nil {
		return secrets.Doc{}, err
	}
	return doc, nil
}
