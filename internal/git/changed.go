package git

import (
	"context"
	"slices"
	"strings"
)

// Changed gives the files below a folder of a repository that differ from a revision,
// with those that are staged, not tracked yet, or deleted, as paths from the folder
// with slashes, sorted. The revision "" is HEAD, and the commit of another is that at
// which HEAD went its own way: what a branch has changed. Errors are of the type
// *Error. environ is as for Open.
func Changed(ctx context.Context, dir, revision string, environ ...string) ([]string, error) {
	r := repository{dir: dir, environ: environment(environ)}
	if _, err := r.prefix(ctx); err != nil {
		return nil, err
	}
	base, err := r.base(ctx, revision)
	if err != nil {
		return nil, err
	}
	untracked := []string{"ls-files", "-z", "--others", "--exclude-standard"}
	if base == "" {
		untracked = append(untracked, "--cached") // there is no commit yet
	}
	names, err := r.run(ctx, untracked...)
	if err != nil {
		return nil, err
	}
	if base != "" {
		differing, err := r.run(ctx, "diff", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--relative", base)
		if err != nil {
			return nil, err
		}
		names += "\x00" + differing
	}
	files := slices.DeleteFunc(strings.Split(names, "\x00"), func(name string) bool { return name == "" })
	slices.Sort(files)
	return slices.Compact(files), nil
}

// base gives the commit that changes are counted from, "" where there is none yet.
func (r repository) base(ctx context.Context, revision string) (string, error) {
	if revision == "" || revision == "HEAD" {
		if _, err := r.run(ctx, "rev-parse", "--verify", "--quiet", "HEAD"); err != nil {
			return "", passOn(err)
		}
		return "HEAD", nil
	}
	if err := check(revision); err != nil {
		return "", err
	}
	commit, err := r.resolve(ctx, revision)
	if err != nil {
		return "", err
	}
	base, err := r.run(ctx, "merge-base", commit, "HEAD")
	if known := passOn(err); known != nil {
		return "", known
	}
	if err != nil {
		return "", &Error{Message: "the revision " + revision + " and HEAD have no commit in common", Hint: "fetch more of the history: git fetch --unshallow"}
	}
	return base, nil
}

// Knows says whether the index or the last commit of a repository has a file, or
// something in a folder, of that path below a folder of the repository; with ever also
// whether a commit before that had. Where there is no git, or no repository, nothing is
// known. environ is as for Open.
func Knows(ctx context.Context, dir, file string, ever bool, environ ...string) bool {
	r := repository{dir: dir, environ: environment(environ)}
	asked := [][]string{{"ls-files", "-z", "--cached"}, {"ls-tree", "-z", "HEAD"}}
	if ever {
		asked = append(asked, []string{"rev-list", "-1", "HEAD"})
	}
	return slices.ContainsFunc(asked, func(ask []string) bool {
		args := append([]string{"--literal-pathspecs"}, append(ask, "--", file)...)
		names, err := r.run(ctx, args...)
		return err == nil && names != ""
	})
}
