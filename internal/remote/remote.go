// Package remote gets trees of files that stand elsewhere: in git repositories,
// in OCI registries, in chart repositories over HTTP.
//
// A source says where, in words that may come to mean something else: a branch, a
// tag, a range of versions. Resolve makes a pin of it, which cannot: a commit, or
// the digest of a manifest or of an archive, and the digest of the files. Tree
// gives exactly the files of a pin, from the cache or from the source, and else
// an error.
//
// What comes is not trusted. Every size has a bound. A tree has folders and
// regular files, and nothing else: a link is refused, also one that stays inside,
// because what it means depends on where it is unpacked. Names are such that
// every system can have them, and that no two of them are one on some system.
// Nothing is ever unpacked to disk: a tree is read into memory, checked as a
// whole, and kept as one file under its digest.
//
// Nothing here reads the environment, but the programs that are run: git, with
// Options.Environ, and the helpers that registry configurations name.
package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/helm-kai/helm-kai/internal/git"
)

// Limits bound what is accepted. Zero stands for the default.
type Limits struct {
	Download  int64 // bytes of an archive, or of what git fetches: 64 MiB
	Index     int64 // bytes of a chart repository's index: 32 MiB
	Tree      int64 // bytes of all files of a tree: 64 MiB
	File      int64 // bytes of a file: 4 MiB, which is also git.MaxFile
	Files     int   // files and folders of a tree: 10,000
	Depth     int   // folders above a file: 32
	Ratio     int64 // bytes that a byte of an archive may become, beyond a first MiB: 100
	Redirects int   // 5
}

func (l Limits) orDefault() Limits {
	for _, b := range []struct {
		value *int64
		is    int64
	}{{&l.Download, 64 << 20}, {&l.Index, 32 << 20}, {&l.Tree, 64 << 20}, {&l.File, git.MaxFile}, {&l.Ratio, 100}} {
		if *b.value <= 0 {
			*b.value = b.is
		}
	}
	for _, b := range []struct {
		value *int
		is    int
	}{{&l.Files, 10_000}, {&l.Depth, 32}, {&l.Redirects, 5}} {
		if *b.value <= 0 {
			*b.value = b.is
		}
	}
	return l
}

// Options say how trees are got.
type Options struct {
	// Cache is the folder of trees. Several processes may share it.
	Cache string
	// Offline is to take from the cache alone.
	Offline bool
	Limits  Limits
	// Transport carries HTTP; nil is one without a proxy that trusts the system's
	// authorities.
	Transport http.RoundTripper
	// PlainHTTP are the hosts, HOST or HOST:PORT, that are spoken to without TLS.
	// Loopback needs none.
	PlainHTTP []string
	// Registries are files with logins of registries, as docker login and helm
	// registry login write them. The first that knows a registry decides.
	Registries []string
	// Repositories is the file of Helm's with the logins of chart repositories, as
	// helm repo add writes it.
	Repositories string
	// Environ is what git runs with, os.Environ() in a command.
	Environ []string
	// Timeout bounds an attempt to get something: 2 minutes.
	Timeout time.Duration
	// Attempts is how often something is tried that fails in a way that may pass: 4.
	Attempts int
	// Backoff is the time before the second attempt, doubled for each more: 500 ms.
	Backoff time.Duration
}

// Fetcher gets trees. It is safe for concurrent use.
type Fetcher struct {
	options Options
	cache   cache
	client  *http.Client
	busy    busy
}

// New gives a fetcher. It touches neither disk nor network.
func New(o Options) (*Fetcher, error) {
	if !filepath.IsAbs(o.Cache) {
		return nil, &Error{Reason: Local, Message: fmt.Sprintf("the cache's folder %q is not an absolute path", o.Cache)}
	}
	o.Limits = o.Limits.orDefault()
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Minute
	}
	if o.Attempts <= 0 {
		o.Attempts = 4
	}
	if o.Backoff <= 0 {
		o.Backoff = 500 * time.Millisecond
	}
	f := &Fetcher{options: o, cache: cache{dir: o.Cache, limits: o.Limits}}
	f.client = f.newClient()
	return f, nil
}

// Pin is a source as it was once resolved: an entry of kai.lock. It holds no
// secret.
type Pin struct {
	// Source is the source's text, as Source.String gives it.
	Source string `json:"source" yaml:"source"`
	// Resolved is what the source stood for: a commit, the digest of a manifest, or
	// for a range of versions VERSION@DIGEST.
	Resolved string `json:"resolved" yaml:"resolved"`
	// Digest is that of the tree, as Digest gives it.
	Digest string `json:"digest" yaml:"digest"`
}

// origin is where one source comes from, for one use.
type origin interface {
	// resolve asks what the source stands for now.
	resolve(ctx context.Context) (string, error)
	// fetch gets the tree that resolve named.
	fetch(ctx context.Context, resolved string) (*tree, error)
}

func (f *Fetcher) origin(s Source) (origin, error) {
	switch s.Kind {
	case Git:
		return &gitOrigin{fetcher: f, source: s}, nil
	case OCI:
		return newRegistryOrigin(f, s)
	case Repository:
		return newRepositoryOrigin(f, s)
	}
	return nil, &Error{Reason: Invalid, Message: fmt.Sprintf("%q is no kind of source", s.Kind)}
}

// Resolve asks a source what it stands for now, gets the tree, and pins both.
// locked is the pin that there is so far, or none: where the source still stands
// for the same, it is given back, and the tree is not got again.
func (f *Fetcher) Resolve(ctx context.Context, s Source, locked Pin) (Pin, error) {
	pin, err := f.resolve(ctx, s, locked)
	if err != nil {
		return Pin{}, explain(ctx, s, err)
	}
	return pin, nil
}

func (f *Fetcher) resolve(ctx context.Context, s Source, locked Pin) (Pin, error) {
	o, err := f.open(s)
	if err != nil {
		return Pin{}, err
	}
	if f.options.Offline {
		return Pin{}, &Error{Reason: Offline, Message: "cannot be looked up offline", Hint: "run the command once with a network, without the offline mode"}
	}
	unlock, err := f.busy.lock(ctx, s.String())
	if err != nil {
		return Pin{}, err
	}
	defer unlock()
	var resolved string
	if err := f.attempt(ctx, func(ctx context.Context) (err error) {
		resolved, err = o.resolve(ctx)
		return err
	}); err != nil {
		return Pin{}, err
	}
	if locked.Resolved == resolved && locked.check(s) == nil {
		return locked, nil
	}
	t, digest, err := f.fetch(ctx, o, resolved)
	if err != nil {
		return Pin{}, err
	}
	return Pin{Source: s.String(), Resolved: resolved, Digest: digest}, f.cache.store(t, digest)
}

// Tree gives the files that a source was pinned to, from the cache if it has them
// whole. It is a file system in memory: fs.ReadDirFS, fs.ReadFileFS and fs.StatFS,
// safe for concurrent use, and not touched by what becomes of the cache.
func (f *Fetcher) Tree(ctx context.Context, s Source, pin Pin) (fs.FS, error) {
	t, err := f.pinned(ctx, s, pin)
	if err != nil {
		return nil, explain(ctx, s, err)
	}
	return t, nil
}

func (f *Fetcher) pinned(ctx context.Context, s Source, pin Pin) (*tree, error) {
	o, err := f.open(s)
	if err != nil {
		return nil, err
	}
	if err := pin.check(s); err != nil {
		return nil, err
	}
	if t, err := f.cache.load(pin.Digest); err == nil {
		return t, nil
	} else if f.options.Offline {
		return nil, f.missing(err)
	}
	unlock, err := f.busy.lock(ctx, s.String())
	if err != nil {
		return nil, err
	}
	defer unlock()
	if t, err := f.cache.load(pin.Digest); err == nil {
		return t, nil
	}
	t, digest, err := f.fetch(ctx, o, pin.Resolved)
	if err != nil {
		return nil, err
	}
	if digest != pin.Digest {
		return nil, &Error{
			Reason:  Mismatch,
			Message: fmt.Sprintf("gives other files than are pinned: %s, and not %s", digest, pin.Digest),
			Hint:    "find out who changed the source or the lock; if it may be so, helm kai upgrade pins what it is now, and shows the effect",
		}
	}
	return t, f.cache.store(t, digest)
}

// missing words why the cache does not give a tree.
func (f *Fetcher) missing(err error) error {
	e := &Error{
		Reason:  Offline,
		Message: "is not in the cache",
		Hint:    fmt.Sprintf("run the command once with a network, without the offline mode, or bring the folder %s of a machine that has it", f.options.Cache),
	}
	if !errors.Is(err, fs.ErrNotExist) {
		e.Message, e.Cause = "is damaged in the cache", err
	}
	return e
}

// open checks a source that need not have come from Parse.
func (f *Fetcher) open(s Source) (origin, error) {
	if again, err := Parse(s.String()); err != nil {
		return nil, err
	} else if again != s {
		return nil, &Error{Reason: Invalid, Message: "is not what Parse makes of its text"}
	}
	return f.origin(s)
}

func (f *Fetcher) fetch(ctx context.Context, o origin, resolved string) (*tree, string, error) {
	var t *tree
	if err := f.attempt(ctx, func(ctx context.Context) (err error) {
		t, err = o.fetch(ctx, resolved)
		return err
	}); err != nil {
		return nil, "", err
	}
	digest, err := Digest(t)
	return t, digest, err
}

// check refuses a pin that is not one of the source.
func (p Pin) check(s Source) error {
	const upgrade = "helm kai upgrade writes it anew"
	resolved, digest := p.Resolved, p.Digest
	if s.Kind != Git {
		resolved = resolved[strings.LastIndex(resolved, "@")+1:]
	}
	switch {
	case p == Pin{}:
		return &Error{Reason: Invalid, Message: "is not pinned", Hint: "helm kai upgrade pins it"}
	case p.Source != s.String():
		return &Error{Reason: Invalid, Message: "is pinned as another source", Hint: upgrade}
	case !isDigest(digest), s.Kind == Git && !git.IsCommit(resolved), s.Kind != Git && !isDigest(resolved):
		return &Error{Reason: Invalid, Message: "has a pin that is damaged", Hint: upgrade}
	}
	return nil
}

// isDigest says whether a text is sha256: with 64 hexadecimal digits.
func isDigest(text string) bool {
	digits, ok := strings.CutPrefix(text, "sha256:")
	data, err := hex.DecodeString(digits)
	return ok && err == nil && len(data) == sha256.Size && strings.ToLower(digits) == digits
}

// digestOf gives the digest of bytes.
func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// busy holds which sources are being got.
type busy struct {
	mu   sync.Mutex
	keys map[string]chan struct{}
}

// lock waits until nobody else has the key.
func (b *busy) lock(ctx context.Context, key string) (unlock func(), err error) {
	for {
		b.mu.Lock()
		held, ok := b.keys[key]
		if !ok {
			if b.keys == nil {
				b.keys = map[string]chan struct{}{}
			}
			done := make(chan struct{})
			b.keys[key] = done
			b.mu.Unlock()
			return func() {
				b.mu.Lock()
				delete(b.keys, key)
				b.mu.Unlock()
				close(done)
			}, nil
		}
		b.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
