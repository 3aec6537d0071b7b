package git

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// local are the variables that point git to a repository, as `git rev-parse
// --local-env-vars` names them. Git sets some of them for its hooks.
var local = []string{
	"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT", "GIT_OBJECT_DIRECTORY",
	"GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS",
	"GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_COMMON_DIR", "GIT_INTERNAL_SUPER_PREFIX", "GIT_NAMESPACE",
}

// environment gives what git runs with: what the caller says, or else the
// process's environment without the local variables; never a prompt, never a
// lock, and messages in English.
func environment(environ []string) []string {
	if len(environ) == 0 {
		environ = slices.DeleteFunc(os.Environ(), func(pair string) bool {
			name, _, _ := strings.Cut(pair, "=")
			return slices.Contains(local, name)
		})
	}
	return append(slices.Clone(environ), "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "GIT_PAGER=cat", "LC_ALL=C", "LANGUAGE=C")
}

// repository runs git in a folder.
type repository struct {
	dir      string
	environ  []string
	detached bool // without a terminal, and ended with all that it started
}

// apart gives the repository for commands that use the network.
func (r repository) apart() repository {
	r.detached = true
	return r
}

// command gives a git process that ends with ctx.
func (r repository) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = r.dir, r.environ
	if r.detached {
		setApart(cmd)
		cmd.WaitDelay = time.Second
	}
	return cmd
}

// run gives what a git command prints, without the line's end, and what it says
// on stderr as the error.
func (r repository) run(ctx context.Context, args ...string) (string, error) {
	cmd := r.command(ctx, args...)
	var stdout, stderr bounded
	stdout.max, stderr.max = 4<<20, 4<<10
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err == nil:
		return strings.TrimSuffix(string(stdout.data), "\n"), nil
	case errors.Is(err, exec.ErrNotFound):
		return "", &Error{Message: "git is not installed, or not on the PATH", Hint: "install git: kai reads revisions with it"}
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(stderr.data) > 0 {
		return "", errors.New(said(stderr.data))
	}
	return "", err
}

// bounded keeps the beginning of what is written to it.
type bounded struct {
	data []byte
	max  int
}

func (b *bounded) Write(p []byte) (int, error) {
	b.data = append(b.data, p[:min(len(p), b.max-len(b.data))]...)
	return len(p), nil
}

// lines cuts a listing.
func lines(text string) []string {
	return slices.Collect(func(yield func(string) bool) {
		for line := range bytes.Lines([]byte(text)) {
			if !yield(string(bytes.TrimSuffix(line, []byte("\n")))) {
				return
			}
		}
	})
}
