//go:build unix

package vaultserver

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

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
	var last int
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
		// The plugin runs, and ends with the server that started it.
		call(http.MethodGet, "auth/kubernetes/config", nil)
		if all := members(t, s.process.PID()); runtime.GOOS == "linux" && len(all) < 2 {
			t.Errorf("the plugin does not run beside %v", all)
		}
		group := s.process.PID()
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		gone(t, group)
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
		call(http.MethodGet, "auth/kubernetes/config", nil)
		last = s.process.PID()
	})
	gone(t, last)
	if conn, err := net.Dial("tcp", address); err == nil {
		_ = conn.Close()
		t.Error("it is still there")
	}
}

// members gives the processes of a group that run, where the system has a folder of them.
func members(t *testing.T, group int) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		// PID (NAME) STATE PARENT GROUP …
		_, rest, _ := strings.Cut(string(data), ") ")
		if fields := strings.Fields(rest); len(fields) > 2 && fields[0] != "Z" && fields[2] == strconv.Itoa(group) {
			out = append(out, string(data[:len(data)-len(rest)]))
		}
	}
	return out
}

// gone holds that nobody of a group runs any more.
func gone(t *testing.T, group int) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		left := members(t, group)
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Errorf("left are %v", left)
			return
		}
	}
}
