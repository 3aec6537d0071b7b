//go:build unix

package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/helm-kai/helm-kai/e2e/controlplane"
)

// TestSecretsKubernetes runs the tests of the store of secrets in a cluster, which belong to kai's module, against a real one
// whose API server they may kill.
func TestSecretsKubernetes(t *testing.T) {
	c := controlplane.ForTest(t, cache(t), root(t))
	restarts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := c.Halt(controlplane.APIServer, syscall.SIGKILL)
		if err == nil {
			err = c.Resume(r.Context(), controlplane.APIServer)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	defer restarts.Close()
	// The restarts come last: they would end what others do.
	for _, tests := range []struct{ run, first, last string }{
		{"^TestServer$|^TestServer[^R]|^TestServerRole$", "TestServer/contract/concurrent_edits", "TestServerRole"},
		{"^TestServerRestarted$", "TestServerRestarted", "TestServerRestarted"},
	} {
		cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-timeout=10m", "-run="+tests.run, "./internal/secrets/kubernetes")
		cmd.Dir = root(t)
		cmd.Env = append(os.Environ(), "KAI_TEST_KUBECONFIG="+c.Kubeconfig, "KAI_TEST_KUBE_RESTART="+restarts.URL)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: "+tests.first) || !strings.Contains(string(out), "--- PASS: "+tests.last) {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Logf("%s", out)
	}
}
