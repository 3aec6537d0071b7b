package secrets

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Path is a place that a store reads, writes and versions as a whole: the keys
// of one app in one scope.
type Path struct {
	Deployment string
	App        string
	Scope      string
}

// String gives the path as DEPLOYMENT/APP/SCOPE.
func (p Path) String() string { return p.Deployment + "/" + p.App + "/" + p.Scope }

// Path gives the path that a key stands in.
func (k Key) Path() Path { return Path{k.Deployment, k.App, k.Scope} }

// Doc is what a path holds.
type Doc struct {
	Path   Path
	Values map[string]Value
	// Version is the store's own word for this state of the path; "" is that of a
	// path which holds nothing. It is compared, never interpreted.
	Version string
	// Time is when it was written, where the store knows.
	Time time.Time
}

// Store is a place that secrets are kept in. It is safe for concurrent use.
type Store interface {
	// Read gives those of the paths that hold something, each read at most once.
	Read(ctx context.Context, paths []Path) (map[Path]Doc, error)
	// List gives the paths of a deployment that hold something, sorted.
	List(ctx context.Context, deployment string) ([]Path, error)
	// Write replaces what a path holds, if that is still at doc.Version, and gives
	// the new version; without values the path holds nothing after. It fails with
	// a *ConflictError where somebody else has written meanwhile, and makes no new
	// version where nothing changes.
	Write(ctx context.Context, doc Doc) (version string, err error)
	// Can says what the store can do.
	Can() Abilities
	// Close ends connections. The store is not used after.
	Close() error
}

// Checker is a store that knows beforehand what Write would refuse, such as a scope
// that nothing encrypts there, a name or a size. Each doc is what its path is to
// hold, whatever its version. Nothing is written.
type Checker interface {
	Check(ctx context.Context, docs []Doc) error
}

// Check asks a store that is a Checker whether it can hold docs. Any other is taken
// to.
func Check(ctx context.Context, s Store, docs []Doc) error {
	if c, ok := s.(Checker); ok && len(docs) > 0 {
		return c.Check(ctx, docs)
	}
	return nil
}

// Historian is a store that keeps what was there before.
type Historian interface {
	// History gives the versions of a path, newest first, without their values.
	History(ctx context.Context, path Path) ([]Doc, error)
	// At gives a path as it was at a version.
	At(ctx context.Context, path Path, version string) (Doc, error)
}

// Abilities are what a store can do, and a command has to say where it cannot.
type Abilities struct {
	Name      string // of the kind of store: file, sql, vault, kubernetes
	Write     bool
	CAS       bool // two writers never lose an update
	History   bool
	Encrypted bool // by itself; else scope Secret is encrypted before it gets there
}

// ConflictError says that a path was written by somebody else meanwhile.
type ConflictError struct{ Path Path }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s was written by somebody else meanwhile", e.Path)
}

// CannotError says that a kind of store cannot do what was asked for.
type CannotError struct{ Store, What, Hint string }

func (e *CannotError) Error() string {
	text := fmt.Sprintf("the store %s cannot %s", e.Store, e.What)
	if e.Hint != "" {
		text += "\n  hint: " + e.Hint
	}
	return text
}

// retries bounds how often Edit begins anew: each time somebody else has come
// first, so that all of them together go on.
const retries = 1000

// Edit changes what a path holds: change gets its values, may alter the map, and
// is called anew with fresh ones where somebody else has written meanwhile, so
// that no update is lost. It gives the version after.
func Edit(ctx context.Context, s Store, path Path, change func(values map[string]Value) error) (string, error) {
	for range retries {
		docs, err := s.Read(ctx, []Path{path})
		if err != nil {
			return "", err
		}
		doc, ok := docs[path]
		if !ok {
			doc = Doc{Path: path}
		}
		values := make(map[string]Value, len(doc.Values)+1)
		for k, v := range doc.Values {
			values[k] = v
		}
		if err := change(values); err != nil {
			return "", err
		}
		doc.Values = values
		version, err := s.Write(ctx, doc)
		var conflict *ConflictError
		if !errors.As(err, &conflict) {
			return version, err
		}
		if err := ctx.Err(); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("%s: others keep writing it, %d times in a row", path, retries)
}

// Reader gives a store as a provider: the keys' paths are read together.
func Reader(s Store) Provider { return reader{s} }

type reader struct{ store Store }

// Get implements Provider.
func (r reader) Get(ctx context.Context, keys []Key) (map[Key]Value, error) {
	var paths []Path
	asked := map[Path]bool{}
	for _, k := range keys {
		if !asked[k.Path()] {
			asked[k.Path()] = true
			paths = append(paths, k.Path())
		}
	}
	docs, err := r.store.Read(ctx, paths)
	if err != nil {
		return nil, err
	}
	found := make(map[Key]Value, len(keys))
	for _, k := range keys {
		if v, ok := docs[k.Path()].Values[k.Name]; ok {
			found[k] = v
		}
	}
	return found, nil
}
