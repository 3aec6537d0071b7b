//go:build unix

package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/e2e/registryserver"
)

// TestRemote runs the tests of sources, which belong to kai's module, against real registries, and with charts that a real
// Helm has packaged, indexed and pushed.
func TestRemote(t *testing.T) {
	t.Parallel()
	plain := registryserver.ForTest(t, cache(t), registryserver.Options{})
	login := registryserver.ForTest(t, cache(t), registryserver.Options{Login: true})
	secure := registryserver.ForTest(t, cache(t), registryserver.Options{Login: true, TLS: true})
	env := append(os.Environ(),
		"KAI_TEST_REGISTRY_PLAIN="+plain.Host, "KAI_TEST_REGISTRY_AUTH="+login.Host, "KAI_TEST_REGISTRY_TLS="+secure.Host,
		"KAI_TEST_REGISTRY_CA="+secure.Authority, "KAI_TEST_REGISTRY_USER="+registryserver.User, "KAI_TEST_REGISTRY_PASSWORD="+registryserver.Password)

	for _, release := range []string{"helm3", "helm4"} {
		dir, logins := t.TempDir(), filepath.Join(t.TempDir(), "logins.json")
		binary := map[string]string{"helm3": tool(t, helm322), "helm4": tool(t, helm43)}[release]
		c := command{dir: dir, env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "HELM_REGISTRY_CONFIG=" + logins}}
		var charts []string
		for _, version := range []string{"1.2.3+b", "1.3.0"} {
			write(t, filepath.Join(dir, "web", "Chart.yaml"), "apiVersion: v2\nname: web\nversion: "+version+"\n")
			write(t, filepath.Join(dir, "web", "templates", "a.yaml"), "a: "+version+"\n")
			c.run(t, binary, "package", "web", "-d", "packages")
			charts = append(charts, filepath.Join("packages", "web-"+version+".tgz"))
		}
		c.run(t, binary, "repo", "index", "packages")
		c.run(t, binary, "registry", "login", secure.Host, "-u", registryserver.User, "-p", registryserver.Password, "--ca-file", secure.Authority)
		for _, chart := range charts {
			c.run(t, binary, "push", chart, "oci://"+plain.Host+"/"+release, "--plain-http")
			c.run(t, binary, "push", chart, "oci://"+secure.Host+"/"+release, "--ca-file", secure.Authority)
		}
		repository := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(dir, "packages"))))
		t.Cleanup(repository.Close)
		env := append(env, "KAI_TEST_HELM_LOGINS="+logins,
			"KAI_TEST_HELM_CHARTS="+strings.Join([]string{repository.URL, "oci://" + plain.Host + "/" + release, "oci://" + secure.Host + "/" + release}, " "))
		cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-timeout=10m", "-run=^Test(Registry|HelmsCharts)$", "./internal/remote")
		cmd.Dir, cmd.Env = root(t), env
		out, err := cmd.CombinedOutput()
		for _, test := range []string{"TestHelmsCharts", "TestRegistry/real_PLAIN/folder", "TestRegistry/real_AUTH/errors", "TestRegistry/real_TLS/chart"} {
			if err != nil || !strings.Contains(string(out), "--- PASS: "+test+" ") {
				t.Fatalf("%s, %s: %v\n%s", release, test, err, out)
			}
		}
	}
}
