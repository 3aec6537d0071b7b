//go:build unix

// Package e2e tests kai from outside, as its users meet it: with real releases of Helm, real checkers of manifests and the
// binary that the plugin's install hook builds. It is a module of its own so that nothing it needs reaches kai's go.mod.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/e2e/tools"
)

// The releases of Helm that kai supports: the oldest, the newest Helm 3 and the newest Helm 4.
var (
	helm314 = tools.Helm("v3.14.4", "29")
	helm322 = tools.Helm("v3.22.0", "37")
	helm43  = tools.Helm("v4.3.1", "37")
)

// The APIs that manifests are checked against. The Gateway API is an older release on purpose: what it knows, clusters have.
const (
	kubernetesModule, kubernetesVersion = "k8s.io/kubernetes", "v1.36.3"
	gatewayModule, gatewayVersion       = "sigs.k8s.io/gateway-api", "v1.4.1"
	// The first releases whose standard channel has TLSRoute and TCPRoute are newer.
	gatewayNewest             = "v1.6.3"
	istioModule, istioVersion = "istio.io/api", "v1.31.1"
)

// root is the checkout these tests belong to.
func root(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("..")
	must(t, err)
	return path
}

func cache(t *testing.T) tools.Cache {
	t.Helper()
	return tools.CheckoutCache(root(t))
}

// tool gives the path of a tool's binary.
func tool(t *testing.T, tool tools.Tool) string {
	t.Helper()
	path, err := cache(t).Get(t.Context(), tool)
	must(t, err)
	return path
}

// kaiBinary is this checkout's kai.
func kaiBinary(t *testing.T) string {
	t.Helper()
	path, err := cache(t).Kai(t.Context(), root(t))
	must(t, err)
	return path
}

// kaiRunBinary is this checkout's kai-run.
func kaiRunBinary(t *testing.T) string {
	t.Helper()
	path, err := cache(t).KaiRun(t.Context(), root(t))
	must(t, err)
	return path
}

// command is a process to be: where it runs, with which environment, and what it reads.
type command struct {
	dir   string
	env   []string
	stdin []byte
}

// result is what a process left.
type result struct {
	stdout, stderr []byte
	code           int
}

// try runs a process to its end, whatever its exit code.
func (c command) try(t *testing.T, name string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.dir, c.env, bytes.NewReader(c.stdin), &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", cmd, err)
	}
	return result{stdout.Bytes(), stderr.Bytes(), cmd.ProcessState.ExitCode()}
}

// run runs a process that must succeed and gives what it wrote to stdout.
func (c command) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	got := c.try(t, name, args...)
	if got.code != 0 {
		t.Fatalf("%s %s: exit code %d\n%s%s", name, strings.Join(args, " "), got.code, got.stdout, got.stderr)
	}
	return string(got.stdout)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

func contains(t *testing.T, what, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%s does not contain %q:\n%s", what, part, text)
	}
}
