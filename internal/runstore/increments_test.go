package runstore

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/helm-kai/helm-kai/internal/run"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/kubernetes"
)

// TestTwoProcesses has two processes increment one number at once, and none of
// the increments is lost. make bench does the same with servers, 10,000 times.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	const count = 20
	for name, environ := range map[string][]string{
		"file":   {"KAI_STORE=file", "KAI_STORE_PATH=" + filepath.Join(t.TempDir(), "secrets.yaml")},
		"sqlite": {"KAI_STORE=sql", "KAI_STORE_PATH=" + filepath.Join(t.TempDir(), "secrets.db")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environ := append(environ, "KAI_DEPLOYMENT=d", "KAI_APP=carts", "KAI_SCOPE=private")
			var writers [2]*exec.Cmd
			for i := range writers {
				cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWriter$", "-test.v")
				cmd.Env = append(os.Environ(), append(environ, "KAI_TEST_WRITER="+strconv.Itoa(count))...)
				cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				writers[i] = cmd
			}
			for _, cmd := range writers {
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
			}
			c := config(t, environ...)
			s, err := Open(t.Context(), c, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			docs, err := s.Read(t.Context(), []secrets.Path{pathOf(c)})
			if n, _ := number(docs[pathOf(c)].Values); err != nil || n != len(writers)*count {
				t.Errorf("there are %d of %d increments, %v", n, len(writers)*count, err)
			}
		})
	}
}

// TestWriter is one of the processes: it increments KAI_TEST_WRITER times, in the
// store that kai-run would read by the same environment.
func TestWriter(t *testing.T) {
	count, err := strconv.Atoi(os.Getenv("KAI_TEST_WRITER"))
	if err != nil {
		t.Skip("TestTwoProcesses and make bench start it")
	}
	c := config(t, os.Environ()...)
	s, err := Open(t.Context(), c, func(context.Context) (*http.Client, string, string, error) { return kubernetes.InCluster() })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tries := 0
	for range count {
		_, err := secrets.Edit(t.Context(), s, pathOf(c), func(values map[string]secrets.Value) error {
			tries++
			n, err := number(values)
			if err != nil {
				return err
			}
			values["n"], err = secrets.Of(n + 1)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	fmt.Printf("%d conflicts\n", tries-count) // make bench reads it
}

// pathOf is where the number stands: in the first app and scope of a run.
func pathOf(c run.Config) secrets.Path {
	return secrets.Path{Deployment: c.Deployment, App: c.Apps[0], Scope: c.Scopes[0]}
}

// number gives n, 0 where it is not there.
func number(values map[string]secrets.Value) (int, error) {
	v, ok := values["n"]
	if !ok {
		return 0, nil
	}
	return strconv.Atoi(v.Reveal())
}
