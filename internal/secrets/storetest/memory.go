// Package storetest holds what every store of secrets is tested by: the contract
// as a suite, and a store in memory for the tests of those who use one.
package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// Memory is a store in memory, with a history. Its zero value is empty and ready.
type Memory struct {
	// Before, where it is set, is called before each operation: read, list,
	// write, history or at. Its error is the operation's.
	Before func(ctx context.Context, op string) error

	mu    sync.Mutex
	paths map[secrets.Path][]secrets.Doc // versions, oldest first
}

var (
	_ secrets.Store     = (*Memory)(nil)
	_ secrets.Historian = (*Memory)(nil)
)

// start begins an operation; who calls it ends it by s.mu.Unlock.
func (s *Memory) start(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.Before != nil {
		if err := s.Before(ctx, op); err != nil {
			return err
		}
	}
	s.mu.Lock()
	return nil
}

// now gives what a path holds.
func (s *Memory) now(path secrets.Path) (secrets.Doc, bool) {
	versions := s.paths[path]
	if len(versions) == 0 || len(versions[len(versions)-1].Values) == 0 {
		return secrets.Doc{Path: path}, false
	}
	return own(versions[len(versions)-1]), true
}

func own(doc secrets.Doc) secrets.Doc {
	doc.Values = maps.Clone(doc.Values)
	return doc
}

// Read implements secrets.Store.
func (s *Memory) Read(ctx context.Context, paths []secrets.Path) (map[secrets.Path]secrets.Doc, error) {
	if err := s.start(ctx, "read"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	docs := make(map[secrets.Path]secrets.Doc, len(paths))
	for _, path := range paths {
		if doc, ok := s.now(path); ok {
			docs[path] = doc
		}
	}
	return docs, nil
}

// List implements secrets.Store.
func (s *Memory) List(ctx context.Context, deployment string) ([]secrets.Path, error) {
	if err := s.start(ctx, "list"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var out []secrets.Path
	for path := range s.paths {
		if _, ok := s.now(path); ok && path.Deployment == deployment {
			out = append(out, path)
		}
	}
	slices.SortFunc(out, ComparePaths)
	return out, nil
}

// Write implements secrets.Store.
func (s *Memory) Write(ctx context.Context, doc secrets.Doc) (string, error) {
	if err := s.start(ctx, "write"); err != nil {
		return "", err
	}
	defer s.mu.Unlock()
	now, _ := s.now(doc.Path)
	if now.Version != doc.Version {
		return "", &secrets.ConflictError{Path: doc.Path}
	}
	if maps.EqualFunc(now.Values, doc.Values, secrets.Value.Equal) {
		return now.Version, nil
	}
	if s.paths == nil {
		s.paths = map[secrets.Path][]secrets.Doc{}
	}
	doc = own(doc)
	doc.Version, doc.Time = strconv.Itoa(len(s.paths[doc.Path])+1), time.Now()
	s.paths[doc.Path] = append(s.paths[doc.Path], doc)
	if len(doc.Values) == 0 {
		return "", nil
	}
	return doc.Version, nil
}

// History implements secrets.Historian.
func (s *Memory) History(ctx context.Context, path secrets.Path) ([]secrets.Doc, error) {
	if err := s.start(ctx, "history"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	out := slices.Clone(s.paths[path])
	slices.Reverse(out)
	for i := range out {
		out[i].Values = nil
	}
	return out, nil
}

// At implements secrets.Historian.
func (s *Memory) At(ctx context.Context, path secrets.Path, version string) (secrets.Doc, error) {
	if err := s.start(ctx, "at"); err != nil {
		return secrets.Doc{}, err
	}
	defer s.mu.Unlock()
	for _, doc := range s.paths[path] {
		if doc.Version == version {
			return own(doc), nil
		}
	}
	return secrets.Doc{}, fmt.Errorf("%s has no version %s", path, version)
}

// Can implements secrets.Store.
func (s *Memory) Can() secrets.Abilities {
	return secrets.Abilities{Name: "memory", Write: true, CAS: true, History: true}
}

// Close implements secrets.Store.
func (s *Memory) Close() error { return nil }
