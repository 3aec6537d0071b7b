//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// watched is how long kai-run has watched a store before its memory is measured: six looks at it.
const watched = 30 * time.Second

// memory is what kai-run takes while it watches a store, each beside the others, and the size of the binaries.
func (b *secretsBench) memory(ctx context.Context, which *regexp.Regexp, _ int, out io.Writer) error {
	if which.MatchString("SecretsSize") {
		fmt.Fprintln(out, "secrets\tbinary\tMiB\t")
		for _, path := range []string{b.run, b.kai} {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "SecretsSize\t%s\t%.1f\t\n", filepath.Base(path), float64(info.Size())/(1<<20))
		}
	}
	var watchers []*watcher
	defer func() {
		for _, w := range watchers {
			w.end()
		}
	}()
	err := b.each(ctx, "SecretsMemory/", which, func(s store) error {
		w, err := b.watch(s)
		if err == nil {
			watchers = append(watchers, w)
		}
		return err
	})
	if err != nil || len(watchers) == 0 {
		return err
	}
	select {
	case <-time.After(watched):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	fmt.Fprintln(out, "secrets\tVmRSS MiB\tVmHWM MiB\tanonymous MiB\t")
	for _, w := range watchers {
		sizes, err := w.sizes()
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "SecretsMemory/%s\t%.1f\t%.1f\t%.1f\t\n", w.store, sizes["VmRSS"], sizes["VmHWM"], sizes["RssAnon"])
	}
	return nil
}

// watcher is a kai-run that watches.
type watcher struct {
	store  string
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	done   chan error
}

func (b *secretsBench) watch(s store) (*watcher, error) {
	argv := s.inside(b.run, "--deployment", deployment, "--app", app, "--watch", "--", "sleep", "600")
	w := &watcher{store: s.name, stderr: &bytes.Buffer{}, done: make(chan error, 1)}
	w.cmd = exec.Command(argv[0], argv[1:]...)
	w.cmd.Env, w.cmd.Stderr = b.command("", s.env...).env, w.stderr
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { w.done <- w.cmd.Wait() }()
	return w, nil
}

// sizes gives what the kernel says of the process, in MiB. It must be kai-run's, and nothing may have gone wrong.
func (w *watcher) sizes() (map[string]float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid))
	if err != nil {
		return nil, errors.Join(err, fmt.Errorf("kai-run and %s: %s", w.store, w.stderr.Bytes()))
	}
	sizes := map[string]float64{}
	for line := range strings.Lines(string(data)) {
		name, rest, _ := strings.Cut(line, ":")
		if n, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64); err == nil {
			sizes[name] = n / 1024
		}
	}
	if !bytes.HasPrefix(data, []byte("Name:\tkai-run\n")) || w.stderr.Len() > 0 {
		return nil, fmt.Errorf("kai-run does not watch %s as it should: %s", w.store, w.stderr.Bytes())
	}
	return sizes, nil
}

func (w *watcher) end() {
	_ = w.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-w.done:
	case <-time.After(20 * time.Second):
		_ = w.cmd.Process.Kill()
		<-w.done
	}
}
