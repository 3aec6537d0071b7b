//go:build unix

package refs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// script writes a command.
func script(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCommand(t *testing.T) {
	dir := t.TempDir()
	file := script(t, `printf '%s|' "$@"; printf '%s' "$X|"; pwd; cat`)
	got, errs := Resolve(t.Context(), []string{"ref+exec://" + file + ` "$X" '*' a%2Bb`}, Openers{Exec: Command(dir, []string{"X=example", "PATH=" + os.Getenv("PATH")})})
	for _, v := range got {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil || v.Reveal() != "$X|*|a+b|example|"+real {
			t.Errorf("it printed %q", v.Reveal())
		}
	}
	if len(got) != 1 || len(errs) > 0 {
		t.Fatal(errs)
	}
}

func TestCommandFails(t *testing.T) {
	for name, test := range map[string]struct{ text, says string }{
		"fails":  {"echo " + canary + "; echo " + canary + " >&2; exit 3", "failed: exit status 3"},
		"killed": {"echo " + canary + "; kill -9 $$", "failed: signal: killed"},
		"late":   {"echo " + canary + "; exec sleep 60", "did not end within 300ms"},
		"prints": {"echo " + canary + "; exec cat /dev/zero", "prints more than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			file := script(t, test.text)
			bound := 5 * time.Second
			if name == "late" {
				bound = 300 * time.Millisecond
			}
			begin := time.Now()
			v, err := command(t.TempDir(), os.Environ(), bound)(t.Context(), []string{file, canary})
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), file) {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), canary) || !v.IsZero() {
				t.Errorf("the error shows a value: %v", err)
			}
			if time.Since(begin) > 20*time.Second {
				t.Errorf("it took %v", time.Since(begin))
			}
		})
	}
	_, err := Command(t.TempDir(), nil)(t.Context(), []string{"no-such-command-of-kai"})
	if err == nil || !strings.Contains(err.Error(), "cannot be started: executable file not found") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Command(t.TempDir(), nil)(ctx, []string{script(t, "echo x")})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	// A child that holds the output is not waited for.
	begin := time.Now()
	v, err := Command(t.TempDir(), os.Environ())(t.Context(), []string{script(t, "sleep 60 & echo x")})
	if err != nil || !v.Equal(secrets.New("x")) || time.Since(begin) > 30*time.Second {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
}

// TestCommandEndsWithItsChildren: what a command has started does not outlive it.
func TestCommandEndsWithItsChildren(t *testing.T) {
	for name, text := range map[string]string{
		"late":           "sleep 60 & echo $! > pid; wait",
		"leaves a child": "sleep 60 & echo $! > pid",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var data []byte
			// A busy machine may not have come to the child when the time is over.
			for limit := 300 * time.Millisecond; ; limit *= 2 {
				_, _ = command(dir, os.Environ(), limit)(t.Context(), []string{script(t, text)})
				var err error
				if data, err = os.ReadFile(filepath.Join(dir, "pid")); err == nil {
					break
				}
				if limit > time.Minute {
					t.Fatal(err)
				}
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
			if err != nil {
				t.Fatal(err)
			}
			for range 1000 {
				state, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
				if syscall.Kill(pid, 0) != nil || strings.Contains(string(state), ") Z ") {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Error("a child runs on")
		})
	}
}
