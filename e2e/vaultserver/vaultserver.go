//go:build unix

// Package vaultserver runs a real Vault on loopback, as a process of its own in a folder that is its own. It keeps its data
// when it is restarted or killed, and it is sealed then as any other: what vault server -dev leaves out. kv's second
// version is mounted at secret, as there, and transit at transit; the plugin for logins by Kubernetes is known.
package vaultserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/e2e/child"
	"github.com/helm-kai/helm-kai/e2e/tools"
)

// The bounds of time, for a slow machine that does much else.
const (
	startWithin = 2 * time.Minute
	endWithin   = 20 * time.Second
)

// Server is a Vault that runs, or is stopped.
type Server struct {
	Dir    string
	Addr   string // http://127.0.0.1:PORT
	Token  string // that may do all
	Unseal string // the key that unseals it

	binaries string
	process  *child.Process
}

// config is a server of one node, whose votes need no haste.
const config = `disable_mlock = true
plugin_directory = %q
api_addr = "http://%[2]s"
cluster_addr = "http://%[3]s"
listener "tcp" {
  address = %[2]q
  cluster_address = %[3]q
  tls_disable = true
}
storage "raft" {
  path = %[4]q
  node_id = "e2e"
  performance_multiplier = 1
}
`

// Start starts a Vault in a folder that holds no other. The context bounds the start alone; Stop ends it.
func Start(ctx context.Context, binaries, dir string) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	s, err := prepare(binaries, dir)
	if err != nil {
		return nil, fmt.Errorf("prepare a Vault in %s: %w", dir, err)
	}
	if err := s.first(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// Launch builds what a Vault needs, if the cache lacks it, and starts one in a folder.
func Launch(ctx context.Context, cache tools.Cache, checkout, dir string) (*Server, error) {
	binaries, err := Build(ctx, cache, filepath.Join(checkout, "e2e", "vaultserver", "build"))
	if err != nil {
		return nil, err
	}
	return Start(ctx, binaries, dir)
}

// ForTest is a Vault of a test's own, which ends with it. One that has ended earlier fails the test.
func ForTest(t testing.TB, cache tools.Cache, checkout string) *Server {
	t.Helper()
	s, err := Launch(t.Context(), cache, checkout, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func prepare(binaries, dir string) (*Server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	// Vault wants the very folder of its plugins, and no way around to it.
	if binaries, err = filepath.EvalSymlinks(binaries); err != nil {
		return nil, err
	}
	addresses, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(config, filepath.Join(binaries, plugins), addresses[0], addresses[1], data)
	return &Server{Dir: dir, Addr: "http://" + addresses[0], binaries: binaries}, os.WriteFile(filepath.Join(dir, "config.hcl"), []byte(text), 0o600)
}

// first is the order in which a new one comes up.
func (s *Server) first(ctx context.Context) error {
	if err := s.run(ctx); err != nil {
		return err
	}
	var keys struct {
		Keys  []string
		Token string `json:"root_token"`
	}
	if err := s.Call(ctx, http.MethodPut, "sys/init", map[string]any{"secret_shares": 1, "secret_threshold": 1}, &keys); err != nil {
		return err
	}
	if len(keys.Keys) != 1 {
		return fmt.Errorf("vault gives %d keys", len(keys.Keys))
	}
	s.Token, s.Unseal = keys.Token, keys.Keys[0]
	if err := s.Open(ctx); err != nil {
		return err
	}
	plugin, err := os.ReadFile(filepath.Join(s.binaries, plugins, "kubernetes"))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(plugin)
	for path, body := range map[string]map[string]any{
		"sys/mounts/secret":                   {"type": "kv", "options": map[string]any{"version": "2"}},
		"sys/mounts/transit":                  {"type": "transit"},
		"sys/plugins/catalog/auth/kubernetes": {"sha256": hex.EncodeToString(sum[:]), "command": "kubernetes"},
	} {
		if err := s.Call(ctx, http.MethodPut, path, body, nil); err != nil {
			return err
		}
	}
	// A mount becomes one with versions in the background.
	return s.wait(ctx, "kv", func() error { return s.Call(ctx, http.MethodGet, "secret/config", nil, nil) })
}

// run starts the process and waits until it answers at all.
func (s *Server) run(ctx context.Context) error {
	// HOME is where Vault's command looks for settings, and where it leaves a token.
	// Its database would map 100 GiB of memory at once, which a limit on that refuses.
	// Its plugins are processes too, which do not see that it was killed.
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.Dir, "TMPDIR=" + s.Dir, "VAULT_RAFT_INITIAL_MMAP_SIZE=67108864"}
	process, err := child.Start(child.Command{Args: []string{filepath.Join(s.binaries, "vault"), "server", "-config=" + filepath.Join(s.Dir, "config.hcl")}, Dir: s.Dir, Env: env, Log: s.log(), Group: true})
	if err != nil {
		return err
	}
	s.process = process
	return s.wait(ctx, "an answer", func() error { return s.Call(ctx, http.MethodGet, "sys/seal-status", nil, nil) })
}

func (s *Server) log() string { return filepath.Join(s.Dir, "log") }

// Open unseals it, and waits until it serves.
func (s *Server) Open(ctx context.Context) error {
	if err := s.Call(ctx, http.MethodPut, "sys/unseal", map[string]any{"key": s.Unseal}, nil); err != nil {
		return err
	}
	return s.wait(ctx, "the active node", func() error { return s.Call(ctx, http.MethodGet, "sys/health", nil, nil) })
}

// Seal seals it.
func (s *Server) Seal(ctx context.Context) error {
	return s.Call(ctx, http.MethodPut, "sys/seal", nil, nil)
}

// Kill ends the process as a failure of the machine would. Resume starts it again.
func (s *Server) Kill() error { return s.process.End(syscall.SIGKILL, endWithin) }

// Resume starts a process that has ended, with the same data and address. It is sealed: see Open.
func (s *Server) Resume(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	return s.run(ctx)
}

// Stop ends the process. It is an error if that had ended by itself.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	return s.process.End(syscall.SIGTERM, endWithin)
}

// Call sends a request as who may do all, and decodes the answer where out is not nil.
func (s *Server) Call(ctx context.Context, method, path string, body, out any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, s.Addr+"/v1/"+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	if method == http.MethodGet {
		request.Body, request.ContentLength = http.NoBody, 0
	}
	request.Header.Set("X-Vault-Token", s.Token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("vault: %s %s: %s: %s", method, path, response.Status, bytes.TrimSpace(answer))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// wait asks until there is no error.
func (s *Server) wait(ctx context.Context, what string, ask func() error) error {
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("wait for %s of vault: %w\n%s", what, err, s.tail())
		case <-s.process.Done():
			err := s.process.Exit()
			s.process = nil
			return fmt.Errorf("wait for %s of vault: it has ended: %w\n%s", what, err, s.tail())
		}
	}
}

// tail gives the end of the log.
func (s *Server) tail() string {
	data, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// freeAddresses gives addresses that nobody listens on just now.
func freeAddresses(n int) ([]string, error) {
	addresses := make([]string, n)
	for i := range addresses {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		addresses[i] = listener.Addr().String()
	}
	return addresses, nil
}
