package build_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/store"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// TestProviders: a workspace may name the stores that there are.
func TestProviders(t *testing.T) {
	t.Parallel()
	if !slices.Equal(workspace.Providers(), store.Providers()) {
		t.Errorf("a workspace may name %v, and there are %v", workspace.Providers(), store.Providers())
	}
}

// targetOf resolves the context dev of a workspace.
func targetOf(t *testing.T, stored string) *workspace.Target {
	t.Helper()
	w, findings := workspace.Open(fstest.MapFS{workspace.FileName: {Data: []byte("apiVersion: kai/v1\nname: shop\ncontexts:\n  - {name: dev" + stored + "}\n")}})
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	target, findings := w.Target("dev")
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	return target
}

func TestStore(t *testing.T) {
	t.Parallel()
	key := secrets.Key{Deployment: "dev", App: "carts", Scope: secrets.Secret, Name: "KEY"}
	tree := fstest.MapFS{"dev.yaml": {Data: []byte("apiVersion: kai/v1\napps: {carts: {secret: {KEY: example}}}\n")}}
	file := ", secrets: {provider: file, path: dev.yaml}"

	var pool store.Pool
	for _, dir := range []string{"", t.TempDir()} { // a folder is read in the tree, too
		p, findings := build.Store(tree, targetOf(t, file), build.Access{Dir: dir, Pool: &pool})
		if findings.Err() != nil {
			t.Fatal(findings)
		}
		found, err := p.Get(t.Context(), []secrets.Key{key})
		if err != nil || found[key].Reveal() != "example" {
			t.Error(found, err)
		}
	}
	if p, findings := build.Store(tree, targetOf(t, ""), build.Access{Dir: t.TempDir(), Pool: &pool}); p != nil || findings != nil {
		t.Errorf("without a store there is %v, %v", p, findings)
	}
	if _, findings := build.Store(tree, targetOf(t, ", secrets: {provider: sql}"), build.Access{Pool: &pool}); findings.Err() == nil {
		t.Error("a tree has a file of SQLite")
	}

	// What is kept without a word in the workspace is found.
	dir := t.TempDir()
	credential := func(name string) (secrets.Value, bool) {
		return secrets.New("k:" + strings.Repeat("ab", 32)), name == "ENCRYPTION_KEYS"
	}
	s, err := store.Open(t.Context(), store.Options{Provider: store.SQL, Dir: dir, Credential: credential})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(t.Context(), secrets.Doc{Path: key.Path(), Values: map[string]secrets.Value{"KEY": secrets.New("kept")}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	target := targetOf(t, "")
	p, findings := build.Store(tree, target, build.Access{Dir: dir, Pool: &pool, Credential: credential})
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	found, err := p.Get(t.Context(), []secrets.Key{key})
	if err != nil || found[key].Reveal() != "kept" {
		t.Error(found, err)
	}
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(store.DefaultPath))); err != nil {
		t.Error(err)
	}
}

// TestStoreIsAskedLate: what is wrong with a store that nothing is wanted of is
// nobody's trouble, and else it is said where the store is named.
func TestStoreIsAskedLate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ stored, want string }{
		"vault":      {", secrets: {provider: vault}", "kai-workspace.yaml:4:26: contexts.dev.secrets: no address of Vault is given\n  hint: set VAULT_ADDR"},
		"kubernetes": {", secrets: {provider: kubernetes}", "kai-workspace.yaml:4:26: contexts.dev.secrets: example of a cluster that is away\n  hint: wait"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var pool store.Pool
			access := build.Access{Pool: &pool, Kubernetes: func(context.Context) (*http.Client, string, string, error) {
				return nil, "", "", errors.New("example of a cluster that is away\n  hint: wait")
			}}
			p, findings := build.Store(fstest.MapFS{}, targetOf(t, test.stored), access)
			if findings.Err() != nil {
				t.Fatal(findings)
			}
			_, err := p.Get(t.Context(), []secrets.Key{{Deployment: "dev", App: "carts", Scope: secrets.Secret, Name: "KEY"}})
			var said source.Findings
			if !errors.As(err, &said) || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// TestReferencesToOtherVaults: what is configured for one Vault is not sent to
// another.
func TestReferencesToOtherVaults(t *testing.T) {
	t.Parallel()
	const canary = "example-canary"
	var pool store.Pool
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("bad token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	access := build.Access{
		Pool: &pool,
		Dir:  dir,
		Getenv: func(name string) string {
			return map[string]string{"OTHER_TOKEN": "bad token", "VAULT_TOKEN": canary}[name]
		},
		Credential: func(name string) (secrets.Value, bool) {
			v, ok := map[string]string{"VAULT_ADDR": "https://vault.example.com", "VAULT_TOKEN": canary}[name]
			return secrets.New(v), ok
		},
	}
	for ref, want := range map[string]string{
		"ref+vault://kv/a?address=https://other.example.com#/key":                       "the context does not list the Vault https://other.example.com",
		"ref+vault://kv/a?address=https://other.example.com&token_env=OTHER_TOKEN#/key": "hint: secrets: {vaults: [\"https://other.example.com\"]}",
		"ref+vault://kv/a?token_env=OTHER_TOKEN#/key":                                   "the context does not list the Vault https://vault.example.com",
		"ref+vault://kv/a?token_file=token#/key":                                        "the context does not list the Vault https://vault.example.com",
	} {
		_, wrong := build.References(targetOf(t, ", secrets: {vaults: [https://third.example.com]}"), access).Resolve(t.Context(), []string{ref})
		if len(wrong) != 1 || !strings.Contains(wrong[0].Error(), want) || strings.Contains(wrong[0].Error(), canary) {
			t.Errorf("%s is not listed: %v", ref, wrong)
		}
	}
	r := build.References(targetOf(t, ", secrets: {vaults: [https://other.example.com/, https://vault.example.com]}"), access)
	for ref, want := range map[string]string{
		"ref+vault://kv/a?address=https://other.example.com#/key":                       "the reference names another Vault than the configured one",
		"ref+vault://kv/a?address=https://other.example.com&token_env=OTHER_TOKEN#/key": "has characters that none has",
		"ref+vault://kv/a?token_env=NO_TOKEN#/key":                                      "no token for Vault is given",
		"ref+vault://kv/a?token_file=/no/such/file#/key":                                "the file /no/such/file is not read",
		"ref+vault://kv/a?token_file=../token#/key":                                     "the file ../token is not read",
		"ref+vault://kv/a?token_file=token#/key":                                        "has characters that none has",
		"ref+vault://kv/a?address=https://other.example.com&token_env=VAULT_TOKEN#/key": "the variable VAULT_TOKEN is one that kai itself, or what it works with, logs in with",
		"ref+env://VAULT_TOKEN":                                                         "the variable VAULT_TOKEN is one that kai itself",
		"ref+file:///etc/hostname":                                                      "the file /etc/hostname is not read",
		"ref+env://NO_SUCH":                                                             "NO_SUCH",
		"ref+k8s://v1/Secret/shop/a/key":                                                "no cluster can be reached",
	} {
		_, wrong := r.Resolve(t.Context(), []string{ref})
		if len(wrong) != 1 || !strings.Contains(wrong[0].Error(), want) || strings.Contains(wrong[0].Error(), canary) {
			t.Errorf("%s: %v", ref, wrong)
		}
	}
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
}
