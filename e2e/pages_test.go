//go:build unix

package e2e

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/e2e/child"
	"github.com/helm-kai/helm-kai/e2e/console"
	"github.com/helm-kai/helm-kai/e2e/controlplane"
	"github.com/helm-kai/helm-kai/e2e/vaultserver"
)

// page is what of a page is typed, and where.
type page struct {
	name string
	// workspace is a folder of this checkout that is copied, or ownFiles.
	workspace string
	// sections are the headings whose sessions are typed; none are all.
	sections []string
}

// ownFiles is the workspace of the files that a page shows.
const ownFiles = "own"

// TestPages types the sessions of pages into a shell, in a copy of the workspace that a page is about, and holds what is
// printed against the page. Every command has to succeed. The cluster is the test's own, because pages name namespaces and
// ports as users do; so is the Vault, which is what "vault server -dev" starts. Each page is run with Helm 3 and with Helm 4,
// which print the same.
func TestPages(t *testing.T) {
	t.Parallel()
	pages := []page{
		{"docs/tutorial.md", "testdata/sock-shop", nil},
		{"docs/gitops.md", "testdata/sock-shop", nil},
		{"docs/secrets.md", ownFiles, []string{"## In two minutes", "## The same with Vault", "## A command with them"}},
		{"docs/secrets.md", "testdata/sock-shop", []string{"## Sock Shop from Vault"}},
	}
	cluster := controlplane.ForTest(t, cache(t), root(t))
	binaries, err := controlplane.Build(t.Context(), cache(t), filepath.Join(root(t), "e2e", "controlplane", "build"))
	must(t, err)
	kubeconfig := filepath.Join(t.TempDir(), "config")
	config, err := cluster.KubeconfigFor("default")
	must(t, err)
	must(t, os.WriteFile(kubeconfig, config, 0o600))
	vaults, err := vaultserver.Build(t.Context(), cache(t), filepath.Join(root(t), "e2e", "vaultserver", "build"))
	must(t, err)
	for _, helm := range []struct{ name, path string }{{"helm3", tool(t, helm322)}, {"helm4", tool(t, helm43)}} {
		programs, home := t.TempDir(), t.TempDir()
		link := func(path, name string) {
			must(t, os.MkdirAll(filepath.Dir(name), 0o755))
			must(t, os.Symlink(path, name))
		}
		vault := filepath.Join(vaults, "vault")
		for name, path := range map[string]string{"kai": kaiBinary(t), "helm": helm.path, "kubectl": filepath.Join(binaries, "kubectl"), "vault": vault} {
			link(path, filepath.Join(programs, name))
		}
		// The plugin, as its hook leaves it.
		link(filepath.Join(root(t), "plugin.yaml"), filepath.Join(home, "plugins", "kai", "plugin.yaml"))
		link(kaiBinary(t), filepath.Join(home, "plugins", "kai", "bin", "kai"))
		env := append(os.Environ(), "PATH="+programs+string(filepath.ListSeparator)+os.Getenv("PATH"), "KUBECONFIG="+kubeconfig,
			"HOME="+home, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home, "NO_COLOR=1")
		for _, p := range pages {
			// One after the other: they use the same names.
			done := t.Run(filepath.Base(p.name)+"/"+filepath.Base(p.workspace)+"/"+helm.name, func(t *testing.T) {
				text, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(p.name)))
				must(t, err)
				of := sections(t, string(text), p.sections)
				env := env
				if strings.Contains(of, "vault server -dev") {
					env = append(slices.Clip(env), "VAULT_ADDR="+devVault(t, vault, home))
				}
				runPage(t, p, of, p.checkout(t, of), home, env)
			})
			if !done {
				return // and with what it has left, nobody goes on
			}
		}
	}
}

// checkout makes the workspace in which a page is typed.
func (p page) checkout(t *testing.T, text string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "workspace")
	if p.workspace != ownFiles {
		must(t, os.CopyFS(dir, os.DirFS(filepath.Join(root(t), filepath.FromSlash(p.workspace)))))
	}
	for _, m := range pageFile.FindAllStringSubmatch(text, -1) {
		write(t, filepath.Join(dir, filepath.FromSlash(m[1])), m[2])
	}
	return dir
}

// pageFile is a block that shows a file of a page's workspace.
var pageFile = regexp.MustCompile("(?ms)^```yaml\n# FILE: (\\S+)\n(.*?)^```$")

// sections gives the text of sections, with empty lines for all else, so that lines keep their numbers.
func sections(t *testing.T, text string, headings []string) string {
	t.Helper()
	if len(headings) == 0 {
		return text
	}
	lines, within, found := strings.Split(text, "\n"), false, 0
	for i, line := range lines {
		if strings.HasPrefix(line, "## ") {
			if within = slices.Contains(headings, line); within {
				found++
			}
		}
		if !within {
			lines[i] = ""
		}
	}
	if found != len(headings) {
		t.Fatalf("%d of the sections %q are there", found, headings)
	}
	return strings.Join(lines, "\n")
}

// devVault starts what a page has started in another terminal: vault server -dev, which logs in who has this home. It gives
// its address, and ends with the test.
func devVault(t *testing.T, binary, home string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := listener.Addr().String()
	must(t, listener.Close())
	log := filepath.Join(t.TempDir(), "log")
	process, err := child.Start(child.Command{
		Args: []string{binary, "server", "-dev", "-dev-listen-address=" + address}, Dir: home, Log: log,
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home},
	})
	must(t, err)
	t.Cleanup(func() { must(t, process.End(syscall.SIGTERM, 2*time.Minute)) })
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if answer, err := http.Get("http://" + address + "/v1/sys/health"); err == nil {
			must(t, answer.Body.Close())
			_, loggedIn := os.Stat(filepath.Join(home, ".vault-token"))
			if answer.StatusCode == http.StatusOK && loggedIn == nil {
				return "http://" + address
			}
		}
		if time.Now().After(end) {
			out, _ := os.ReadFile(log)
			t.Fatalf("vault server -dev does not come up:\n%s", out)
		}
	}
}

// runPage types the sessions of a page. Pages write the home as ~.
func runPage(t *testing.T, p page, text, dir, home string, env []string) {
	t.Helper()
	commands, err := console.Read(text)
	must(t, err)
	if len(commands) == 0 {
		t.Fatalf("%s has no session", p.name)
	}
	for _, c := range commands {
		// Each command has a shell of its own. What the test has set, such as the address of a Vault, stays.
		if variable, ok := strings.CutPrefix(c.Text, "export "); ok {
			name, _, _ := strings.Cut(variable, "=")
			if !slices.ContainsFunc(env, func(set string) bool { return strings.HasPrefix(set, name+"=") }) {
				env = append(slices.Clip(env), variable)
			}
			continue
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", c.Text)
		cmd.Dir, cmd.Env = dir, env
		out, err := cmd.CombinedOutput()
		if err == nil {
			err = c.Check(strings.ReplaceAll(string(out), home, "~"))
		}
		if err != nil {
			t.Fatalf("%s:%d: $ %s: %v\n%s", p.name, c.Line, c.Text, err, strings.TrimSpace(string(out)))
		}
	}
}
