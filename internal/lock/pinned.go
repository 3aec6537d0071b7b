package lock

import (
	"context"
	"fmt"
	"io/fs"
	"sync"

	"github.com/helm-kai/helm-kai/internal/remote"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Tree is a tree of files from elsewhere.
type Tree struct {
	Address string // where it stands, as messages show it
	Digest  string
	Files   fs.FS
}

// Getter gives the files that a source is pinned to: a *remote.Fetcher.
type Getter interface {
	Tree(ctx context.Context, s remote.Source, pin remote.Pin) (fs.FS, error)
}

// atOnce is how many sources are got at the same time.
const atOnce = 8

// Pinned gives a workspace what its kai.lock says, and nothing else. It is safe
// for concurrent use.
type Pinned struct {
	ctx     context.Context // of the run: who asks is in the middle of pure work and has none
	file    *File
	getter  Getter
	lenient bool

	fetch   sync.Once
	trees   map[string]fetched
	mu      sync.Mutex
	digests map[string]string
}

type fetched struct {
	tree Tree
	err  error
}

// NewPinned gives the sources of a workspace with this lock, nil for none. ctx
// bounds the run.
func NewPinned(ctx context.Context, file *File, getter Getter) *Pinned {
	return &Pinned{ctx: ctx, file: file, getter: getter, trees: map[string]fetched{}, digests: map[string]string{}}
}

// Lenient gives the same without holding the library to the lock: for those who
// look around, and for how things were before an upgrade.
func (p *Pinned) Lenient() *Pinned {
	out := NewPinned(p.ctx, p.file, p.getter)
	out.lenient = true
	return out
}

// Tree gives the files of a pinned source. The first one that is asked for has all
// of them got, several at a time.
func (p *Pinned) Tree(u Use, s remote.Source) (Tree, source.Findings) {
	u.Source = s.String()
	var findings source.Findings
	if p.file.pin(s) == (remote.Pin{}) {
		findings.Add("unpinned", u.Origin, u.Path, "helm kai upgrade pins it", "%s is not in %s", s, FileName)
		return Tree{}, findings
	}
	p.fetch.Do(p.fetchAll)
	got := p.trees[s.String()]
	if got.err != nil {
		return Tree{}, source.Findings{Finding(u, got.err)}
	}
	return got.tree, nil
}

func (p *Pinned) fetchAll() {
	var mu sync.Mutex
	var wg sync.WaitGroup
	free := make(chan struct{}, atOnce)
	seen := map[string]bool{}
	for _, e := range p.file.Entries {
		if !e.IsRemote() || seen[e.Source] {
			continue
		}
		seen[e.Source] = true
		wg.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			got := get(p.ctx, p.getter, e.Pin())
			mu.Lock()
			defer mu.Unlock()
			p.trees[e.Source] = got
		})
	}
	wg.Wait()
}

func get(ctx context.Context, getter Getter, pin remote.Pin) fetched {
	s, err := remote.Parse(pin.Source)
	if err != nil {
		return fetched{err: err}
	}
	files, err := getter.Tree(ctx, s, pin)
	return fetched{Tree{address(s, pin), pin.Digest, files}, err}
}

// Own holds a use of the library, or of the workspace itself, to the lock. digest
// gives that of the library's files.
func (p *Pinned) Own(u Use, digest func() (string, error)) source.Findings {
	if p.file == nil || p.lenient {
		return nil
	}
	var findings source.Findings
	e, known := p.file.find(u)
	hint := "helm kai upgrade " + u.Name + " shows the effect, and pins it"
	switch {
	case !known && u.Source != Library:
	case !known:
		findings.Add("unpinned", u.Origin, u.Path, hint, "the %s %s of the library is not in %s", u.Kind, u.Name, FileName)
	case e.Source != u.Source:
		findings.Add("lock", u.Origin, u.Path, hint, "the %s %s is pinned as %s, and found %s", u.Kind, u.Name, e.Source, where(u.Source))
	case u.Source == Library:
		is, err := p.digest(u, digest)
		if err != nil {
			return source.Findings{Finding(u, err)}
		}
		if is != e.Digest {
			findings.Add("lock", e.Origin, "", hint, "the %s %s of this kai's library is %s, and pinned is %s, that of kai %s", u.Kind, u.Name, short(is), short(e.Digest), e.Resolved)
		}
	}
	return findings
}

func where(text string) string {
	if text == Library {
		return "in the library"
	}
	return "at " + text
}

// digest asks for a digest once.
func (p *Pinned) digest(u Use, digest func() (string, error)) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := fmt.Sprint(u.Kind, " ", u.Name)
	if known, ok := p.digests[key]; ok {
		return known, nil
	}
	is, err := digest()
	if err == nil {
		p.digests[key] = is
	}
	return is, err
}
