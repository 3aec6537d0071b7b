//go:build unix

// Package node gives tests what they run on Node: packages of npm's registry, by a lock that is committed.
package node

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/helm-kai/helm-kai/e2e/tools"
)

// Required names the variable that makes tests fail, and not be left out, where Node or npm is missing.
const Required = "KAI_E2E_NODE"

// Find gives the path of node. Where it is missing the test is skipped, if it is not required.
func Find(t testing.TB) string { return find(t, "node") }

func find(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case errors.Is(err, exec.ErrNotFound) && os.Getenv(Required) == "":
		t.Skipf("%v (Debian: nodejs, npm); %s=required makes this a failure", err, Required)
	}
	t.Fatal(err)
	return ""
}

// Packages gives the path of a folder that has in node_modules what package-lock.json in the folder lock says, each held
// to its sha512 there. The cache keeps it by the lock's digest. No script of a package is run, and the lock names no host:
// where packages come from is npm's configuration.
func Packages(t testing.TB, cache tools.Cache, lock string) string {
	t.Helper()
	npm := find(t, "npm")
	h := sha256.New()
	files := map[string][]byte{}
	for _, name := range []string{"package.json", "package-lock.json"} {
		data, err := os.ReadFile(filepath.Join(lock, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = data
		h.Write(data)
	}
	dir, err := cache.Folder("npm-"+hex.EncodeToString(h.Sum(nil)[:8]), func(dir string) error {
		for name, data := range files {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				return err
			}
		}
		cmd := exec.CommandContext(t.Context(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("npm ci: %w\n%s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
