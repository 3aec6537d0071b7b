package vault

import (
	"context"
	"sync"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// late is a store on an engine that could not be asked about when the store was
// opened. The client has logged in by then, perhaps with what is good once, and must
// not be thrown away for that: the engine is asked about again with each operation,
// until it answers.
type late struct {
	client *Client
	kv     KV

	mu    sync.Mutex
	store secrets.Store // nil until the engine is known
}

var (
	_ secrets.Store     = (*late)(nil)
	_ secrets.Historian = (*late)(nil)
	_ secrets.Checker   = (*late)(nil)
)

// opened gives the store, once the engine is known.
func (s *late) opened(ctx context.Context) (secrets.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		store, err := s.client.store(ctx, s.kv)
		if err != nil {
			return nil, err
		}
		s.store = store
	}
	return s.store, nil
}

// Read implements secrets.Store.
func (s *late) Read(ctx context.Context, paths []secrets.Path) (map[secrets.Path]secrets.Doc, error) {
	store, err := s.opened(ctx)
	if err != nil {
		return nil, err
	}
	return store.Read(ctx, paths)
}

// List implements secrets.Store.
func (s *late) List(ctx context.Context, deployment string) ([]secrets.Path, error) {
	store, err := s.opened(ctx)
	if err != nil {
		return nil, err
	}
	return store.List(ctx, deployment)
}

// Write implements secrets.Store.
func (s *late) Write(ctx context.Context, doc secrets.Doc) (string, error) {
	store, err := s.opened(ctx)
	if err != nil {
		return "", err
	}
	return store.Write(ctx, doc)
}

// Check implements secrets.Checker.
func (s *late) Check(ctx context.Context, docs []secrets.Doc) error {
	store, err := s.opened(ctx)
	if err != nil {
		return err
	}
	return secrets.Check(ctx, store, docs)
}

// History implements secrets.Historian.
func (s *late) History(ctx context.Context, path secrets.Path) ([]secrets.Doc, error) {
	past, err := s.past(ctx)
	if err != nil {
		return nil, err
	}
	return past.History(ctx, path)
}

// At implements secrets.Historian.
func (s *late) At(ctx context.Context, path secrets.Path, version string) (secrets.Doc, error) {
	past, err := s.past(ctx)
	if err != nil {
		return secrets.Doc{}, err
	}
	return past.At(ctx, path, version)
}

func (s *late) past(ctx context.Context) (secrets.Historian, error) {
	store, err := s.opened(ctx)
	if err != nil {
		return nil, err
	}
	return secrets.Past(store)
}

// Can implements secrets.Store. An engine that is not known yet is taken for kv's
// second version.
func (s *late) Can() secrets.Abilities {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return (*second)(nil).Can()
	}
	return s.store.Can()
}

// Close implements secrets.Store.
func (s *late) Close() error { return s.client.Close() }
