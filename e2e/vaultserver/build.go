//go:build unix

package vaultserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/helm-kai/helm-kai/e2e/tools"
)

// version is what the binary says of itself, as Vault's own build makes it say. A later one wants a release of its sdk
// that there is not.
const version = "1.21.2"

const (
	vaultPackage  = "github.com/hashicorp/vault"
	pluginPackage = "github.com/hashicorp/vault-plugin-auth-kubernetes/cmd/vault-plugin-auth-kubernetes"
	plugins       = "plugins" // the folder below that of the binary
)

// builds are the arguments for go that give each binary. The tag minimal, Vault's own, leaves out most engines: kv,
// transit, pki, and logins by token, AppRole, JWT, user and certificate stay.
func builds(dir string) [][]string {
	common := []string{"build", "-trimpath", "-buildvcs=false"}
	return [][]string{
		append(common[:3:3], "-tags=minimal", "-ldflags=-s -w -X github.com/hashicorp/vault/version.fullVersion="+version, "-o", filepath.Join(dir, "vault"), vaultPackage),
		append(common[:3:3], "-ldflags=-s -w", "-o", filepath.Join(dir, plugins, "kubernetes"), pluginPackage),
	}
}

// Build gives a folder with Vault and its plugin, which it makes first if the cache does not have it. The versions are
// those of the module in the folder list, which holds a go.mod and a go.sum.
func Build(ctx context.Context, cache tools.Cache, list string) (string, error) {
	compiler, err := run(ctx, list, "env", "GOVERSION", "GOOS", "GOARCH")
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintln(sum, compiler, builds(""))
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(list, name))
		if err != nil {
			return "", err
		}
		sum.Write(data)
	}
	return cache.Folder("vault-"+version+"-"+hex.EncodeToString(sum.Sum(nil)[:4]), func(dir string) error {
		for _, args := range builds(dir) {
			if _, err := run(ctx, list, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// run runs go in the folder of the build list and gives what it wrote, without white space around.
func run(ctx context.Context, list string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = list, tools.Env(list), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s in %s: %w\n%s", args[0], list, err, stderr.Bytes())
	}
	return strings.TrimSpace(stdout.String()), nil
}
