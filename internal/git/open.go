// Package git reads revisions of a git repository as file systems, without a
// checkout, through the git binary: it knows the user's configuration, and every
// format that repositories have.
//
// A revision is listed once. Files are read when they are asked for, all through
// one process. Nothing is written, and nothing is asked of the user. Of a
// repository elsewhere, Remote fetches one revision into a folder of the caller's.
package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The bounds on a revision.
const (
	MaxFile    = 4 << 20 // bytes of a file that is read
	MaxEntries = 200_000 // files below the folder
	maxListing = 64 << 20
)

// Open gives the folder dir of a repository as it was at a revision: a branch, a
// tag, a commit, or what else git takes for one, such as HEAD~2. The folder is
// the root of the tree, and need not be the repository's. ctx holds for as long
// as the tree is used; Close ends it.
//
// Without environ, git runs with the process's environment, except for what
// would point it to another repository than dir's, such as GIT_DIR. With it, git
// runs with that and nothing else, so that a caller who wants such a variable
// obeyed says so.
//
// Errors are of the type *Error, and say the way out.
func Open(ctx context.Context, dir, revision string, environ ...string) (*Tree, error) {
	if err := check(revision); err != nil {
		return nil, err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, &Error{Message: fmt.Sprintf("there is no folder %s", dir), Hint: "is the workspace's path right?"}
	}
	r := repository{dir: dir, environ: environment(environ)}
	prefix, err := r.prefix(ctx)
	if err != nil {
		return nil, err
	}
	commit, err := r.resolve(ctx, revision)
	if err != nil {
		return nil, err
	}
	if prefix != "" {
		kind, err := r.run(ctx, "cat-file", "-t", commit+":"+prefix)
		if known := passOn(err); known != nil {
			return nil, known
		}
		if err != nil || kind != "tree" {
			return nil, &Error{Message: fmt.Sprintf("there is no folder %s at the revision %q", prefix, revision), Hint: "choose a revision that has the workspace, or the folder where it was then"}
		}
	}
	root, err := r.list(ctx, commit+":"+prefix)
	if err != nil {
		return nil, err
	}
	t := &Tree{Commit: commit, Revision: revision, Prefix: prefix, Ignored: root.ignored, root: root}
	t.blobs.ctx, t.blobs.repository = ctx, r
	return t, nil
}

// check refuses what git would not take for the name of a revision but for an
// option, or not at all.
func check(revision string) error {
	switch {
	case revision == "":
		return &Error{Message: "the revision has no name", Hint: "name a branch, a tag or a commit, such as main"}
	case strings.HasPrefix(revision, "-"):
		return &Error{Message: fmt.Sprintf("%q is an option, and not a revision", revision), Hint: "name a branch, a tag or a commit, such as main"}
	case strings.ContainsFunc(revision, func(r rune) bool { return r < ' ' || r == 0x7f }), len(revision) > 1000:
		return &Error{Message: "the revision's name has control characters in it, or is too long", Hint: "name a branch, a tag or a commit, such as main"}
	case strings.Contains(revision, ".."), strings.HasPrefix(revision, "^"):
		return &Error{Message: fmt.Sprintf("%q is a range, and not a revision", revision), Hint: "name one branch, tag or commit"}
	}
	return nil
}

// passOn gives the error where it says more than that git refused.
func passOn(err error) error {
	var ours *Error
	if err == nil {
		return nil
	}
	if errors.As(err, &ours) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// prefix gives the folder's path inside of the repository, "" for its root.
func (r repository) prefix(ctx context.Context) (string, error) {
	out, err := r.run(ctx, "rev-parse", "--show-prefix")
	if err == nil {
		return strings.TrimSuffix(out, "/"), nil
	}
	if known := passOn(err); known != nil {
		return "", known
	}
	dir := r.dir
	if full, absErr := filepath.Abs(dir); absErr == nil {
		dir = full
	}
	switch {
	case strings.Contains(err.Error(), "not a git repository"):
		return "", &Error{Message: fmt.Sprintf("%s is in no git repository", dir), Hint: "compare with a folder or another context instead, or run kai in a clone"}
	case strings.Contains(err.Error(), "dubious ownership"):
		return "", &Error{Message: fmt.Sprintf("git does not trust the repository of %s, which belongs to another user", dir), Hint: "git config --global --add safe.directory FOLDER", Cause: err}
	}
	return "", &Error{Message: "git cannot read the repository of " + dir, Cause: err}
}

// resolve gives the full name of the commit that a revision stands for.
func (r repository) resolve(ctx context.Context, revision string) (string, error) {
	commit, err := r.run(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}")
	if err == nil {
		return commit, nil
	}
	if known := passOn(err); known != nil {
		return "", known
	}
	e := &Error{Message: fmt.Sprintf("there is no revision %q", revision)}
	if shallow, err := r.run(ctx, "rev-parse", "--is-shallow-repository"); err == nil && shallow == "true" {
		e.Message += ", and the clone is shallow: it has only the newest commits"
		e.Hint = "git fetch --unshallow, or in CI fetch the whole history (fetch-depth: 0)"
		return "", e
	}
	if _, err := r.run(ctx, "rev-parse", "--verify", "--quiet", "HEAD"); err != nil && passOn(err) == nil {
		e.Message, e.Hint = e.Message+": the repository has no commit yet", "git commit makes one"
		return "", e
	}
	refs, err := r.run(ctx, "for-each-ref", "--count=2000", "--sort=-committerdate", "--format=%(refname:short)", "refs/heads", "refs/tags", "refs/remotes")
	if err != nil {
		return "", e
	}
	names := lines(refs)
	switch meant := near(revision, names); {
	case len(meant) > 0:
		e.Hint = "did you mean " + quoted(meant) + "?"
	case len(names) > 0:
		e.Hint = "there are " + quoted(names[:min(len(names), 8)])
	}
	return "", e
}

// list reads the names of all files of a tree.
func (r repository) list(ctx context.Context, tree string) (*node, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cmd := r.command(ctx, "ls-tree", "-r", "-z", "--full-tree", "--end-of-options", tree)
	stderr := bounded{max: 4 << 10}
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, &Error{Message: "git does not start", Cause: err}
	}
	root := newDir(".")
	err = root.fill(out)
	if err != nil {
		stop()
	}
	// What fill found counts for more than that git was ended for it.
	if waited := cmd.Wait(); err == nil && waited != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &Error{Message: "git cannot list the revision's files", Cause: errors.New(said(stderr.data))}
	}
	if err != nil {
		return nil, err
	}
	root.sort()
	return root, nil
}

// fill reads the entries that ls-tree prints: MODE TYPE OBJECT, a tab, the path
// and a zero.
func (n *node) fill(out io.Reader) error {
	limited := &io.LimitedReader{R: out, N: maxListing + 1}
	in := bufio.NewReaderSize(limited, 64<<10)
	for count := 0; ; count++ {
		line, err := in.ReadBytes(0)
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if count >= MaxEntries || limited.N <= 0 {
			return &Error{Message: fmt.Sprintf("the revision has more files than the bound of %d", MaxEntries), Hint: "name a smaller folder as the workspace"}
		}
		if err != nil {
			return &Error{Message: "git's list of the revision's files ends early", Cause: err}
		}
		head, name, ok := bytes.Cut(bytes.TrimSuffix(line, []byte{0}), []byte("\t"))
		words := strings.Fields(string(head))
		if !ok || len(words) != 3 {
			return &Error{Message: fmt.Sprintf("git lists a file as %q, which kai does not understand", head)}
		}
		// A tree may hold names that are none in a file system of Go: not UTF-8,
		// or made by hand to lead elsewhere. Nothing can ask for them.
		if !fs.ValidPath(string(name)) || string(name) == "." || !n.add(string(name), words[0], words[2]) {
			n.ignored = append(n.ignored, string(name))
		}
	}
}
