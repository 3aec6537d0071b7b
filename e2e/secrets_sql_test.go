//go:build unix

package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/e2e/databases"
)

// TestSecretsSQL runs the tests of the store of secrets in databases, which belong to kai's module, against real servers.
func TestSecretsSQL(t *testing.T) {
	for _, server := range []struct {
		name, prefix string
		start        func(t *testing.T) *databases.Server
	}{
		{"PostgreSQL", "KAI_TEST_POSTGRES", func(t *testing.T) *databases.Server { return databases.ForTest(t, databases.Postgres) }},
		{"MariaDB", "KAI_TEST_MYSQL", func(t *testing.T) *databases.Server { return databases.ForTest(t, databases.MariaDB) }},
	} {
		t.Run(server.name, func(t *testing.T) {
			s := server.start(t)
			restarts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := s.Kill(r.Context()); err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
				}
			}))
			defer restarts.Close()
			cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-timeout=15m", "-run=^TestServer", "./internal/secrets/sql")
			cmd.Dir = root(t)
			cmd.Env = append(os.Environ(), server.prefix+"_URL="+s.URL(), server.prefix+"_PASSWORD="+s.Password, server.prefix+"_CA="+s.CA, server.prefix+"_RESTART="+restarts.URL)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS: TestServer/") {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}

// TestSecretsSQLiteSmallDisk does the same on a disk that is full, which only this process and its children see.
func TestSecretsSQLiteSmallDisk(t *testing.T) {
	onSmallDisk(t, "./internal/secrets/sql", "TestSQLiteSmallDisk")
}
