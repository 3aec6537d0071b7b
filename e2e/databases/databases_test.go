//go:build unix

package databases

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/e2e/child"
)

// TestServers starts each, lets it be killed and restarted, and looks that nothing is left.
func TestServers(t *testing.T) {
	for name, start := range map[string]func(context.Context) (*Server, error){"PostgreSQL": Postgres, "MariaDB": MariaDB} {
		t.Run(name, func(t *testing.T) {
			var s *Server
			t.Run("up", func(t *testing.T) {
				s = ForTest(t, start)
				for what, again := range map[string]func(context.Context) error{"restart": s.Restart, "kill": s.Kill} {
					if err := again(t.Context()); err != nil {
						t.Errorf("%s: %v", what, err)
					}
				}
				if !strings.HasPrefix(s.Addr, "127.0.0.1:") || strings.Contains(s.URL(), s.Password) || s.Name != name {
					t.Errorf("%s is at %s", s.Name, s.URL())
				}
			})
			if s == nil {
				return
			}
			if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
				t.Errorf("the folder is left: %v", err)
			}
			if conn, err := net.Dial("tcp", s.Addr); err == nil {
				_ = conn.Close()
				t.Error("the server is still there")
			}
		})
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	_, err := child.Find("example-package", []string{t.TempDir()}, "example-binary-that-is-not-there")
	var missing *child.MissingError
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "apt-get install example-package") {
		t.Error(err)
	}
}
