package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Reason says what kind of trouble a repository elsewhere gives.
type Reason string

// The reasons.
const (
	Unreachable Reason = "unreachable" // for now: asking again may help
	Denied      Reason = "denied"      // it asks who we are, or does not let us in
	NotFound    Reason = "not-found"   // there is no such repository, revision or folder
	TooLarge    Reason = "too-large"
	Refused     Reason = "refused" // by git or by us, for good
)

// RemoteOptions say where a repository is.
type RemoteOptions struct {
	// URL is what git takes: https://…, ssh://…, file:///…, USER@HOST:PATH. Who
	// passes it on has checked it: it is no option, and its host is one.
	URL string
	// Dir is an empty folder for what is fetched. It is the caller's to remove.
	Dir string
	// Environ is what git runs with, as os.Environ() gives it, for its
	// configuration, credential helpers and ssh. What points git to a repository
	// is left out.
	Environ []string
	// Protocols are the transports that may be used, such as https and ssh. What
	// else a configuration or a server leads to is refused.
	Protocols []string
	// MaxBytes bounds what is fetched.
	MaxBytes int64
}

// Remote is a repository elsewhere. Of it comes one revision, without history,
// checkout, submodules or hooks; nobody is asked for a password.
type Remote struct {
	options    RemoteOptions
	repository repository
}

// kept are those of the local variables that carry configuration, which is how
// CI hands over credentials.
var kept = []string{"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"}

// remoteEnvironment gives what git runs with, below a folder and never beside it.
func remoteEnvironment(o RemoteOptions) []string {
	environ := slices.DeleteFunc(slices.Clone(o.Environ), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		traces := strings.HasPrefix(name, "GIT_TRACE") || name == "GIT_CURL_VERBOSE" // on stderr, which we read
		return traces || slices.Contains(local, name) && !slices.Contains(kept, name)
	})
	return environment(append(environ,
		"GIT_DIR="+o.Dir,
		"GIT_ALLOW_PROTOCOL="+strings.Join(o.Protocols, ":"),
		"GCM_INTERACTIVE=never", "SSH_ASKPASS_REQUIRE=never",
	))
}

// settings hold against the user's configuration: no hook runs, nothing is kept
// beside the pack that is counted, and a server that says nothing is given up.
var settings = []string{
	"-c", "core.hooksPath=" + os.DevNull,
	"-c", "core.fsmonitor=false",
	"-c", "fetch.recurseSubmodules=false",
	"-c", "fetch.unpackLimit=1",
	"-c", "transfer.unpackLimit=1",
	"-c", "gc.auto=0",
	"-c", "maintenance.auto=false",
	"-c", "protocol.version=2",
	"-c", "http.lowSpeedLimit=1000",
	"-c", "http.lowSpeedTime=60",
}

// OpenRemote prepares a folder for a repository elsewhere. It asks nothing of it yet.
func OpenRemote(ctx context.Context, o RemoteOptions) (*Remote, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	r := &Remote{options: o, repository: repository{dir: dir, environ: remoteEnvironment(o)}}
	return r, r.init(ctx, "sha1")
}

// init makes the repository, with objects of a format. The variable and not the
// option says which, since git of old knows neither, and has one format only.
func (r *Remote) init(ctx context.Context, format string) error {
	in := r.repository
	in.environ = append(slices.Clone(in.environ), "GIT_DEFAULT_HASH="+format)
	if _, err := in.run(ctx, "init", "-q", "--bare", "--template="); err != nil {
		if known := passOn(err); known != nil {
			return known
		}
		return &Error{Message: "git cannot make a repository in " + r.options.Dir, Cause: err, Reason: Refused}
	}
	return nil
}

// IsCommit says whether a text is a commit's full name.
func IsCommit(text string) bool { return fullName.MatchString(text) }

var (
	fullName  = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	shortName = regexp.MustCompile(`^[0-9a-f]{7,63}$`)
)

// Resolve gives the commit that a branch, a tag or a full name of a reference
// stands for, and for "" that of the default branch.
func (r *Remote) Resolve(ctx context.Context, ref string) (string, error) {
	wanted := []string{"refs/tags/" + ref, "refs/heads/" + ref}
	switch {
	case ref == "":
		wanted = []string{"HEAD"}
	case IsCommit(ref):
		return ref, nil
	case strings.HasPrefix(ref, "refs/"):
		wanted = []string{ref}
	}
	args := []string{"ls-remote", "--", r.options.URL}
	for _, name := range wanted {
		args = append(args, name, name+"^{}")
	}
	listed, err := r.list(ctx, args...)
	if err != nil {
		return "", err
	}
	var found []string
	commit := ""
	for _, name := range wanted {
		// What a tag of its own object stands for is listed under its name and ^{}.
		if object := cmp.Or(listed[name+"^{}"], listed[name]); object != "" {
			found, commit = append(found, name), object
		}
	}
	switch {
	case len(found) > 1:
		return "", &Error{Reason: NotFound, Message: fmt.Sprintf("%q is a branch and a tag", ref), Hint: "write " + strings.Join(found, " or ")}
	case commit == "":
		return "", r.unknown(ctx, ref)
	}
	return commit, nil
}

// list asks for references, by name.
func (r *Remote) list(ctx context.Context, args ...string) (map[string]string, error) {
	out, err := r.run(ctx, args...)
	if err != nil {
		return nil, err
	}
	listed := map[string]string{}
	for _, line := range lines(out) {
		object, name, ok := strings.Cut(line, "\t")
		if ok && IsCommit(object) {
			listed[name] = object
		}
	}
	return listed, nil
}

// unknown words that there is no such reference, with those that may be meant.
func (r *Remote) unknown(ctx context.Context, ref string) error {
	if ref == "" {
		return &Error{Reason: NotFound, Message: "the repository has no default branch", Hint: "name a branch, a tag or a commit: ?ref=REF"}
	}
	e := &Error{Reason: NotFound, Message: fmt.Sprintf("there is no branch or tag %q", ref)}
	if shortName.MatchString(ref) {
		e.Hint = "if it is a commit, write its full name: servers know no short ones"
		return e
	}
	listed, err := r.list(ctx, "ls-remote", "--heads", "--tags", "--refs", "--", r.options.URL)
	if err != nil {
		return e
	}
	var names []string
	for name := range listed {
		names = append(names, strings.TrimPrefix(strings.TrimPrefix(name, "refs/heads/"), "refs/tags/"))
	}
	slices.Sort(names)
	switch meant := near(ref, names); {
	case len(meant) > 0:
		e.Hint = "did you mean " + quoted(meant) + "?"
	case len(names) > 0:
		e.Hint = "there are " + quoted(names[:min(len(names), 8)])
	}
	return e
}

// Tree fetches a commit and gives a folder of it, "" for all. ctx holds for as
// long as the tree is used; Close ends it.
func (r *Remote) Tree(ctx context.Context, commit, folder string) (*Tree, error) {
	if !IsCommit(commit) {
		return nil, &Error{Reason: Refused, Message: fmt.Sprintf("%q is not a commit's full name", commit)}
	}
	if len(commit) == 64 {
		if err := os.RemoveAll(r.options.Dir); err != nil {
			return nil, err
		}
		if err := os.Mkdir(r.options.Dir, 0o700); err != nil {
			return nil, err
		}
		if err := r.init(ctx, "sha256"); err != nil {
			return nil, err
		}
	}
	if err := r.fetch(ctx, commit); err != nil {
		return nil, err
	}
	root, err := r.repository.list(ctx, commit+":"+folder)
	if err != nil {
		if known := passOn(err); known != nil && ctx.Err() != nil {
			return nil, known
		}
		return nil, r.noFolder(ctx, commit, folder, err)
	}
	t := &Tree{Commit: commit, Revision: commit, Prefix: folder, Ignored: root.ignored, root: root}
	t.blobs.ctx, t.blobs.repository = ctx, r.repository
	return t, nil
}

// noFolder words why a folder of a commit cannot be listed.
func (r *Remote) noFolder(ctx context.Context, commit, folder string, err error) error {
	kind, typeErr := r.repository.run(ctx, "cat-file", "-t", commit+":"+folder)
	switch {
	case typeErr != nil && folder != "":
		return &Error{Reason: NotFound, Message: fmt.Sprintf("there is no folder %q at the commit %.10s", folder, commit), Hint: "what follows // is the path from the repository's root"}
	case typeErr == nil && kind != "tree":
		return &Error{Reason: NotFound, Message: fmt.Sprintf("%q is no folder at the commit %.10s", folder, commit), Hint: "name the folder itself: files, links and submodules are not taken"}
	}
	return err
}

// fetch brings a commit. A server of old gives only what a branch or a tag points
// to; then all of them come, and the commit with them or not.
func (r *Remote) fetch(ctx context.Context, commit string) error {
	err := r.bounded(ctx, "fetch", "-q", "--depth=1", "--no-tags", "--", r.options.URL, commit)
	if err == nil {
		return nil
	}
	if e := (*Error)(nil); !errors.As(err, &e) || e.Cause == nil || !strings.Contains(e.Cause.Error(), "unadvertised object") {
		return err
	}
	if err := r.bounded(ctx, "fetch", "-q", "--no-tags", "--", r.options.URL, "+refs/heads/*:refs/kai/heads/*", "+refs/tags/*:refs/kai/tags/*"); err != nil {
		return err
	}
	if _, err := r.repository.run(ctx, "cat-file", "-e", commit+"^{commit}"); err != nil {
		if known := passOn(err); known != nil {
			return known
		}
		return gone(nil)
	}
	return nil
}

func gone(cause error) *Error {
	return &Error{Reason: NotFound, Message: "the commit is not in the repository, or is no longer", Hint: "was its branch rewritten? name another branch, tag or commit", Cause: cause}
}

// bounded runs git until the folder has more than is allowed.
func (r *Remote) bounded(ctx context.Context, args ...string) error {
	within, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	tooLarge := &Error{
		Reason:  TooLarge,
		Message: fmt.Sprintf("the repository's commit is larger than the bound of %d MiB", r.options.MaxBytes>>20),
		Hint:    "put what is shared into a repository of its own",
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for ticks := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-within.Done():
				ticks.Stop()
				return
			case <-ticks.C:
				if size(r.options.Dir) > r.options.MaxBytes {
					stop(tooLarge)
				}
			}
		}
	}()
	_, err := r.run(within, args...)
	if err == nil && size(r.options.Dir) > r.options.MaxBytes || context.Cause(within) == error(tooLarge) {
		err = tooLarge
	}
	stop(nil)
	<-watched
	return err
}

// size adds up the files of a folder, as far as they are still there.
func size(dir string) int64 {
	var sum int64
	// A file that goes away while it is looked at counts nothing.
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}

// run runs git, with all that it starts ended at its end, and words what it says.
func (r *Remote) run(ctx context.Context, args ...string) (string, error) {
	out, err := r.repository.apart().run(ctx, append(slices.Clone(settings), args...)...)
	if err == nil {
		return out, nil
	}
	if known := passOn(err); known != nil {
		return "", known
	}
	return "", explain(err)
}

// answers are what git says, in the order in which it is asked: a server that
// denies has also hung up.
var answers = []struct {
	says *regexp.Regexp
	Error
}{
	{regexp.MustCompile(`not our ref|unadvertised object|bad object`), *gone(nil)},
	{regexp.MustCompile(`transport '[^']*' not allowed`), Error{Reason: Refused, Message: "git is led to a transport that is not allowed here",
		Hint: "is there a redirect, or an insteadOf in the configuration of git? kai uses https and ssh, and file where the source says so"}},
	{regexp.MustCompile(`dumb http transport`), Error{Reason: Refused, Message: "the server gives files only, and does not speak git's protocol", Hint: "serve the repository by git http-backend, or by ssh"}},
	{regexp.MustCompile(`dubious ownership`), Error{Reason: Denied, Message: "git does not trust the repository, which belongs to another user", Hint: "git config --global --add safe.directory FOLDER"}},
	{regexp.MustCompile(`Host key verification failed`), Error{Reason: Denied, Message: "ssh does not know the host's key", Hint: "connect once with ssh by hand, or put the key into known_hosts"}},
	{regexp.MustCompile(`Authentication failed|could not read (Username|Password)|terminal prompts disabled|Permission denied|Access denied|returned error: 40[13]`),
		Error{Reason: Denied, Message: "the repository asks for credentials, or does not take those that git has",
			Hint: "give git a credential helper or ssh a key: git ls-remote must work without a question; a misspelt address may look the same"}},
	{regexp.MustCompile(`returned error: (429|5\d\d)|Could not resolve|[Tt]imed? ?out|too slow|Connection (reset|refused|closed)|(Failed|Couldn't|Unable) to connect|early EOF|RPC failed|unexpected disconnect|Empty reply|transfer closed|invalid index-pack`),
		Error{Reason: Unreachable, Message: "the repository cannot be reached"}},
	{regexp.MustCompile(`[Nn]ot found|returned error: 404|does not appear to be a git repository|does not exist|not a git repository`),
		Error{Reason: NotFound, Message: "there is no repository", Hint: "is the address right? without credentials, private repositories look the same"}},
	{regexp.MustCompile(`hung up unexpectedly`), Error{Reason: Unreachable, Message: "the repository cannot be reached"}},
}

// explain words what git said.
func explain(err error) error {
	for _, a := range answers {
		if a.says.MatchString(err.Error()) {
			e := a.Error
			e.Cause = err
			return &e
		}
	}
	return &Error{Reason: Refused, Message: "git cannot read the repository", Cause: err}
}
