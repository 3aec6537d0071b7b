package remote

import (
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/helm-kai/helm-kai/internal/git"
)

// gitOrigin is a folder of a git repository.
type gitOrigin struct {
	fetcher *Fetcher
	source  Source
}

// with gives a repository in a folder that is gone afterwards.
func (o *gitOrigin) with(ctx context.Context, do func(*git.Remote) error) error {
	scheme, _, ok := strings.Cut(o.source.URL, "://")
	if !ok {
		scheme = "ssh"
	}
	// A configuration may replace https by ssh, or the other way round.
	protocols := []string{"https", "ssh"}
	switch scheme {
	case "file":
		protocols = []string{"file"}
	case "http":
		address, err := url.Parse(o.source.URL)
		if err != nil {
			return err
		}
		if !o.fetcher.allowsPlain(address.Host) {
			return inTheClear(address.Host)
		}
		protocols = append(protocols, "http")
	}
	work, err := o.fetcher.cache.temporary()
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	dir := filepath.Join(work, "git")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return cacheError(err)
	}
	remote, err := git.OpenRemote(ctx, git.RemoteOptions{
		URL: o.source.URL, Dir: dir, Environ: o.fetcher.options.Environ, Protocols: protocols, MaxBytes: o.fetcher.options.Limits.Download,
	})
	if err != nil {
		return err
	}
	return do(remote)
}

func (o *gitOrigin) resolve(ctx context.Context) (commit string, err error) {
	err = o.with(ctx, func(r *git.Remote) error {
		commit, err = r.Resolve(ctx, o.source.Ref)
		return err
	})
	return commit, err
}

func (o *gitOrigin) fetch(ctx context.Context, commit string) (t *tree, err error) {
	err = o.with(ctx, func(r *git.Remote) error {
		files, err := r.Tree(ctx, commit, o.source.Dir)
		if err != nil {
			return err
		}
		defer files.Close()
		t, err = readGit(files, o.fetcher.options.Limits)
		return err
	})
	return t, err
}

// readGit reads a revision's files.
func readGit(files *git.Tree, limits Limits) (*tree, error) {
	if len(files.Ignored) > 0 {
		return nil, refused("%q is not a path inside of a tree, or is there twice", files.Ignored[0])
	}
	b := newBuilder(limits)
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return refused("%s", err)
		case name == ".":
			return nil
		case d.IsDir():
			return b.folder(name)
		case !d.Type().IsRegular():
			return refused("%q is %s, and a tree has only files and folders", name, kindOf(d.Type()))
		}
		info, err := d.Info()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := b.room(name, info.Size()); err != nil {
			return err
		}
		data, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		return b.file(name, data)
	})
	if err != nil {
		return nil, err
	}
	return b.tree()
}
