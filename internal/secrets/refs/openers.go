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
	"slices"
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

// FileIn gives an opener of files of a folder, and of others that are named: by
// absolute paths, or relative to the folder. A path that does not begin with a slash
// is relative to the folder, and one that does is in a folder that is named. Nothing else is opened, nor what a link leads to
// elsewhere: who writes a reference must not read what only who reads it may. A file
// has at most 4 MiB.
func FileIn(dir string, also []string) func(context.Context, string) (secrets.Value, error) {
	return func(_ context.Context, path string) (secrets.Value, error) {
		folder, inside, ok := within(dir, also, path)
		if !ok {
			return secrets.Value{}, elsewhere(path)
		}
		root, err := os.OpenRoot(folder)
		if err == nil {
			defer root.Close()
			var data []byte
			if data, err = source.ReadFile(root.FS(), filepath.ToSlash(inside), maxFile); err == nil {
				return secrets.New(string(data)), nil
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return secrets.Value{}, fmt.Errorf("the file %s is not there", path)
		}
		reason := err
		if in := (*fs.PathError)(nil); errors.As(err, &in) {
			if reason = in.Err; leaves(inside, folder) {
				return secrets.Value{}, elsewhere(path)
			}
		}
		return secrets.Value{}, fmt.Errorf("the file %s cannot be read: %w", path, reason)
	}
}

// within gives the folder that a path may be read in, and the path in it.
func within(dir string, also []string, path string) (folder, inside string, ok bool) {
	full := absolute(dir, path)
	folders := also
	if !filepath.IsAbs(filepath.FromSlash(path)) {
		folders = append([]string{dir}, also...)
	}
	for _, folder := range folders {
		folder = absolute(dir, folder)
		if inside, err := filepath.Rel(folder, full); err == nil && filepath.IsLocal(inside) {
			return folder, inside, true
		}
	}
	return "", "", false
}

func absolute(dir, path string) string {
	if path = filepath.FromSlash(path); filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// leaves says whether a path is there, but outside of its folder, by a link.
func leaves(path, folder string) bool {
	real, err := filepath.EvalSymlinks(filepath.Join(folder, path))
	if err != nil {
		return false
	}
	if folder, err = filepath.EvalSymlinks(folder); err != nil {
		return false
	}
	inside, err := filepath.Rel(folder, real)
	return err != nil || !filepath.IsLocal(inside)
}

func elsewhere(path string) error {
	return fmt.Errorf("the file %s is not read: it is not named by a relative path in the workspace's folder, or a link leads out of that\n  hint: keep it there, or list its folder in the workspace's context: secrets: {files: [/run/secrets]}", path)
}

// Private says whether a variable is one that kai itself, or a program that it works
// with, logs in with: references do not read it, and programs that they run do not
// have it.
func Private(name string) bool {
	name = strings.ToUpper(name) // as Windows has them
	return name == "KUBECONFIG" || slices.ContainsFunc([]string{"KAI_", "KAIGARA_", "VAULT_", "HELM_", "KUBE_"}, func(prefix string) bool {
		return strings.HasPrefix(name, prefix)
	})
}

// Command gives an opener that executes commands, without a shell, in a folder and
// with an environment. A command has no input, ends within ten seconds and prints at
// most 1 MiB. One line's end at the end of that is left out. What it has started ends
// with it, where it is in its group of processes and the system is no Windows. What it
// prints, also to stderr, is in no error.
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
		end := ownGroup(cmd)
		err := cmd.Run()
		end()
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
