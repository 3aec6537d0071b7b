package store

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/file"
)

// Pool holds the stores of one run: each is opened once, when something is first
// asked of it, and each path is read once, by the first who asks for it; others of the
// same store wait meanwhile. What could not be opened or read is asked for again by the
// next one. Stores are told apart by where they are, and not by credentials or
// deployments. Its zero value is empty. It is safe for concurrent use.
type Pool struct {
	mu    sync.Mutex
	known map[identity]*entry
	kept  []io.Closer
}

// identity tells stores apart.
type identity struct {
	provider, dir, path, url, address, mount, namespace, prefix, cluster string
}

// Provider gives a store for reading. Where there is a tree for the store file
// (Options.FS), that is read at once, and its mistakes have places; else nothing
// is asked yet.
func (p *Pool) Provider(o Options) (secrets.Provider, error) {
	if o.Provider == File && o.FS != nil {
		keys, err := o.identities()
		if err != nil {
			return nil, err
		}
		provider, findings := file.OpenWith(o.FS, o.Path, keys)
		if findings.Err() != nil {
			return nil, findings
		}
		return provider, nil
	}
	id := identity{o.Provider, o.Dir, o.Path, o.URL, o.Address, o.Mount, o.Namespace, o.Prefix, o.Cluster}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[identity]*entry{}
	}
	if p.known[id] == nil {
		p.known[id] = &entry{options: o, docs: map[secrets.Path]secrets.Doc{}}
	}
	return p.known[id], nil
}

// Keep has Close close something else too.
func (p *Pool) Keep(c io.Closer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = append(p.kept, c)
}

// Close closes what was opened.
func (p *Pool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []error
	for _, e := range p.known {
		all = append(all, e.close())
	}
	for _, c := range p.kept {
		all = append(all, c.Close())
	}
	p.known, p.kept = nil, nil
	return errors.Join(all...)
}

// entry is a store of a pool.
type entry struct {
	options Options

	mu    sync.Mutex // who reads has it, so that nobody asks for the same meanwhile
	store secrets.Store
	docs  map[secrets.Path]secrets.Doc // also those that hold nothing
}

// Get implements secrets.Provider.
func (e *entry) Get(ctx context.Context, keys []secrets.Key) (map[secrets.Key]secrets.Value, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var wanted []secrets.Path
	asked := map[secrets.Path]bool{}
	for _, k := range keys {
		if _, known := e.docs[k.Path()]; !known && !asked[k.Path()] {
			asked[k.Path()] = true
			wanted = append(wanted, k.Path())
		}
	}
	if len(wanted) > 0 {
		if err := e.fetch(ctx, wanted); err != nil {
			return nil, err
		}
	}
	found := make(map[secrets.Key]secrets.Value, len(keys))
	for _, k := range keys {
		if v, ok := e.docs[k.Path()].Values[k.Name]; ok {
			found[k] = v
		}
	}
	return found, nil
}

func (e *entry) fetch(ctx context.Context, paths []secrets.Path) error {
	if e.store == nil {
		store, err := Open(ctx, e.options)
		if err != nil {
			return err
		}
		e.store = store
	}
	docs, err := e.store.Read(ctx, paths)
	if err != nil {
		return err
	}
	for _, path := range paths {
		e.docs[path] = docs[path]
	}
	return nil
}

func (e *entry) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.store == nil {
		return nil
	}
	return e.store.Close()
}
