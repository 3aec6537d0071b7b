//go:build unix

package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/e2e/vaultserver"
)

// TestSecretsVault runs the tests of the store of secrets in Vault, which belong to kai's module, against a real one.
func TestSecretsVault(t *testing.T) {
	s := vaultserver.ForTest(t, cache(t), root(t))
	// It is killed, comes up sealed, and is unsealed.
	restarts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := s.Kill()
		if err == nil {
			err = s.Resume(r.Context())
		}
		if err == nil {
			err = s.Open(r.Context())
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	defer restarts.Close()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-timeout=15m", "./internal/secrets/vault")
	cmd.Dir = root(t)
	cmd.Env = append(os.Environ(), "KAI_TEST_VAULT_ADDR="+s.Addr, "KAI_TEST_VAULT_TOKEN="+s.Token, "KAI_TEST_VAULT_UNSEAL="+s.Unseal, "KAI_TEST_VAULT_RESTART="+restarts.URL)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestContract/") || !strings.Contains(string(out), "--- PASS: TestRestarted") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
