//go:build unix

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/e2e/console"
	"github.com/helm-kai/helm-kai/e2e/controlplane"
)

// TestPages types the sessions of pages into a shell, in a copy of the workspace that a page is about, and holds what is
// printed against the page. Every command has to succeed. The cluster is the test's own, because pages name namespaces and
// ports as users do. Each page is run with Helm 3 and with Helm 4, which print the same.
func TestPages(t *testing.T) {
	t.Parallel()
	pages := []struct{ page, workspace string }{
		{"docs/tutorial.md", "testdata/sock-shop"},
		{"docs/gitops.md", "testdata/sock-shop"},
	}
	cluster := controlplane.ForTest(t, cache(t), root(t))
	binaries, err := controlplane.Build(t.Context(), cache(t), filepath.Join(root(t), "e2e", "controlplane", "build"))
	must(t, err)
	kubeconfig := filepath.Join(t.TempDir(), "config")
	config, err := cluster.KubeconfigFor("default")
	must(t, err)
	must(t, os.WriteFile(kubeconfig, config, 0o600))
	for _, helm := range []struct{ name, path string }{{"helm3", tool(t, helm322)}, {"helm4", tool(t, helm43)}} {
		programs := t.TempDir()
		for name, path := range map[string]string{"kai": kaiBinary(t), "helm": helm.path, "kubectl": filepath.Join(binaries, "kubectl")} {
			must(t, os.Symlink(path, filepath.Join(programs, name)))
		}
		home := t.TempDir()
		env := append(os.Environ(), "PATH="+programs+string(filepath.ListSeparator)+os.Getenv("PATH"), "KUBECONFIG="+kubeconfig,
			"HOME="+home, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home, "NO_COLOR=1")
		for _, p := range pages {
			// One after the other: they use the same names.
			done := t.Run(filepath.Base(p.page)+"/"+helm.name, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "workspace")
				must(t, os.CopyFS(dir, os.DirFS(filepath.Join(root(t), filepath.FromSlash(p.workspace)))))
				runPage(t, filepath.Join(root(t), filepath.FromSlash(p.page)), dir, env)
			})
			if !done {
				return // and with what it has left, nobody goes on
			}
		}
	}
}

func runPage(t *testing.T, page, dir string, env []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	must(t, err)
	commands, err := console.Read(string(text))
	must(t, err)
	if len(commands) == 0 {
		t.Fatalf("%s has no session", page)
	}
	for _, c := range commands {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", c.Text)
		cmd.Dir, cmd.Env = dir, env
		out, err := cmd.CombinedOutput()
		if err == nil {
			err = c.Check(string(out))
		}
		if err != nil {
			t.Fatalf("%s:%d: $ %s: %v\n%s", page, c.Line, c.Text, err, strings.TrimSpace(string(out)))
		}
	}
}
