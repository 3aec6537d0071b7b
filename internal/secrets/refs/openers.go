package refs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
)

// The bounds of what is read.
const (
	maxFile    = source.MaxFile
	maxOutput  = 1 << 20
	maxRuntime = 10 * time.Second
)

// FileIn gives an opener of files: a path that does not begin with a slash is
// relative to dir. A file has at most 4 MiB.
func FileIn(dir string) func(context.Context, string) (secrets.Value, error) {
	return func(_ context.Context, path string) (secrets.Value, error) {
		full := filepath.FromSlash(path)
		if !filepath.IsAbs(full) {
			full = filepath.Join(dir, full)
		}
		data, err := source.ReadFile(os.DirFS(filepath.Dir(full)), filepath.Base(full), maxFile)
		if err != nil {
			reason := err
			if in := (*fs.PathError)(nil); errors.As(err, &in) {
				reason = in.Err
			}
			if errors.Is(err, fs.ErrNotExist) {
				return secrets.Value{}, fmt.Errorf("the file %s is not there", path)
			}
			return secrets.Value{}, fmt.Errorf("the file %s cannot be read: %w", path, reason)
		}
		return secrets.New(string(data)), nil
	}
}

// Command gives an opener that executes commands, without a shell, in a folder and
// with an environment. A command reads nothing, ends within ten seconds and prints
// at most 1 MiB, of which a line's end at the end does not count. What it prints,
// also to stderr, is in no error.
func Command(dir string, environ []string) func(context.Context, []string) (secrets.Value, error) {
	return command(dir, environ, maxRuntime)
}

func command(dir string, environ []string, bound time.Duration) func(context.Context, []string) (secrets.Value, error) {
	return func(ctx context.Context, argv []string) (secrets.Value, error) {
		ended, cancel := context.WithTimeout(ctx, bound)
		defer cancel()
		full := &limited{full: cancel}
		cmd := exec.CommandContext(ended, argv[0], argv[1:]...)
		cmd.Dir, cmd.Env, cmd.Stdout = dir, environ, full
		// Children that keep the output open are not waited for.
		cmd.WaitDelay = time.Second
		err := cmd.Run()
		var exit *exec.ExitError
		var missing *exec.Error
		name := "the command " + argv[0]
		switch {
		case ctx.Err() != nil:
			return secrets.Value{}, fmt.Errorf("%s: %w", name, context.Cause(ctx))
		case full.over:
			return secrets.Value{}, fmt.Errorf("%s prints more than %d MiB", name, maxOutput>>20)
		case ended.Err() != nil:
			return secrets.Value{}, fmt.Errorf("%s did not end within %v", name, bound)
		case errors.As(err, &exit):
			return secrets.Value{}, fmt.Errorf("%s failed: %s\n  hint: run it by hand to see why; kai shows nothing of what it prints", name, exit.ProcessState)
		case errors.As(err, &missing):
			return secrets.Value{}, fmt.Errorf("%s cannot be started: %w", name, missing.Err)
		case errors.Is(err, exec.ErrWaitDelay):
		case err != nil:
			return secrets.Value{}, fmt.Errorf("%s cannot be started", name)
		}
		text := full.buffer.String()
		text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
		return secrets.New(text), nil
	}
}

// limited keeps what is written, up to a bound, after which it ends the writer.
type limited struct {
	buffer bytes.Buffer
	over   bool
	full   func()
}

func (l *limited) Write(p []byte) (int, error) {
	if l.buffer.Len()+len(p) > maxOutput {
		l.over = true
		l.full()
		return 0, errors.New("too much")
	}
	return l.buffer.Write(p)
}
