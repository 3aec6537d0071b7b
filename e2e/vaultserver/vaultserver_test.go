//go:build unix

package vaultserver

import (
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/e2e/tools"
)

// TestServer goes through what tests count on.
func TestServer(t *testing.T) {
	t.Parallel()
	checkout, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var address string
	t.Run("up", func(t *testing.T) {
		s := ForTest(t, tools.CheckoutCache(checkout), checkout)
		address = strings.TrimPrefix(s.Addr, "http://")
		call := func(method, path string, body any) {
			t.Helper()
			if err := s.Call(t.Context(), method, path, body, nil); err != nil {
				t.Fatal(err)
			}
		}
		call(http.MethodPut, "secret/data/a", map[string]any{"data": map[string]any{"b": "c"}})
		call(http.MethodPut, "sys/auth/kubernetes", map[string]any{"type": "kubernetes"})
		call(http.MethodPut, "auth/kubernetes/config", map[string]any{"kubernetes_host": "https://127.0.0.1:1", "disable_local_ca_jwt": true})

		if err := s.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Call(t.Context(), http.MethodGet, "secret/data/a", nil, nil); err == nil || !strings.Contains(err.Error(), "sealed") {
			t.Errorf("sealed, it says %v", err)
		}
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := s.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Data struct{ Data map[string]string }
		}
		if err := s.Call(t.Context(), http.MethodGet, "secret/data/a", nil, &answer); err != nil || answer.Data.Data["b"] != "c" {
			t.Errorf("after it was killed: %v, %v", answer, err)
		}
	})
	if conn, err := net.Dial("tcp", address); err == nil {
		_ = conn.Close()
		t.Error("it is still there")
	}
}
