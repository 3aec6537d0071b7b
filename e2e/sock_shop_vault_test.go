//go:build unix

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/e2e/vaultserver"
)

// What the shop of this test has in Vault beside the password of the catalogue's database: a secret of one service, and one
// that every service may read.
const (
	userEnv    = "\n    env: {SESSION_KEY: {secret: session_key}}\n"
	paymentEnv = "\n    env: {LICENSE: {secret: license, app: global, scope: private}}\n"
)

// vaultShop is Sock Shop, whose context live keeps its secrets in a Vault.
type vaultShop struct {
	*kaiRun
	vault *vaultserver.Server
	audit string
	watch *watch
}

// newVaultShop gives the shop before anything is in the Vault, or on the cluster.
func newVaultShop(t *testing.T, canaries []canary) *vaultShop {
	t.Helper()
	s := &vaultShop{kaiRun: newKaiRun(t, newNamespace("sock-shop-vault")), vault: vaultserver.ForTest(t, cache(t), root(t)), watch: newWatch(canaries)}
	s.dir = filepath.Join(t.TempDir(), "shop")
	must(t, os.CopyFS(s.dir, os.DirFS(filepath.Join(root(t), "testdata", "sock-shop"))))
	edit := func(name, from, to string) {
		t.Helper()
		path := filepath.Join(s.dir, filepath.FromSlash(name))
		data, err := os.ReadFile(path)
		must(t, err)
		if !strings.Contains(string(data), from) {
			t.Fatalf("%s has no %q", name, from)
		}
		write(t, path, strings.Replace(string(data), from, to, 1))
	}
	edit("kai-workspace.yaml", "namespace: sock-shop", "namespace: "+s.namespace)
	edit("kai-workspace.yaml", "  - name: prod", "  - {name: live, namespace: "+s.namespace+", monitoring: {namespace: monitoring}, secrets: {provider: vault, address: \""+s.vault.Addr+"\", prefix: teams/shop}}\n  - name: prod")
	// Ports of nodes are the cluster's, and others install the shop as well.
	edit("services/front-end/kai.yaml", "nodePort: 30001", "nodePort: 32301")
	edit("services/user/kai.yaml", "\n    image: release\n", "\n    image: release"+userEnv)
	edit("services/payment/kai.yaml", "\n    image: release\n", "\n    image: release"+paymentEnv)
	s.audit = filepath.Join(s.vault.Dir, "audit")
	must(t, s.vault.Call(t.Context(), http.MethodPut, "sys/audit/file", map[string]any{"type": "file", "options": map[string]any{"file_path": s.audit}}, nil))
	return s
}

// run runs kai with a token of Vault, and looks for canaries in what it says.
func (s *vaultShop) run(t *testing.T, token string, code int, stdin string, args ...string) string {
	t.Helper()
	c := command{dir: s.dir, env: append(slices.Clone(s.env), "VAULT_TOKEN="+token), stdin: []byte(stdin)}
	got := c.try(t, s.kai, args...)
	if got.code != code {
		t.Fatalf("kai %v: exit code %d, want %d\n%s%s", args, got.code, code, got.stdout, got.stderr)
	}
	s.watch.clean(t, fmt.Sprintf("kai %v", args), string(got.stdout)+string(got.stderr))
	return string(got.stdout)
}

// reads gives how often each path was asked for while f ran, by who is not root.
func (s *vaultShop) reads(t *testing.T, f func()) map[string]int {
	t.Helper()
	before, err := os.ReadFile(s.audit)
	must(t, err)
	f()
	after, err := os.ReadFile(s.audit)
	must(t, err)
	asked := map[string]int{}
	for line := range bytes.Lines(after[len(before):]) {
		var entry struct {
			Type string
			Auth struct {
				Policies []string
			}
			Request struct {
				Path, Operation string
			}
		}
		must(t, json.Unmarshal(line, &entry))
		if entry.Type == "request" && !slices.Contains(entry.Auth.Policies, "root") {
			asked[entry.Request.Operation+" "+entry.Request.Path]++
		}
	}
	return asked
}

// holds holds a key of a Secret on the cluster to a field in Vault.
func (s *vaultShop) holds(t *testing.T, secret, key, path, field string) {
	t.Helper()
	var object struct{ Data map[string]string }
	must(t, cluster(t).Get(t.Context(), "/api/v1/namespaces/"+s.namespace+"/secrets/"+secret, &object))
	there, err := base64.StdEncoding.DecodeString(object.Data[key])
	must(t, err)
	if want := s.fields(t, path)[field]; want == "" || want != string(there) {
		t.Errorf("the Secret %s has %d bytes in %s, and Vault another %d in %s of %s", secret, len(there), key, len(want), field, path)
	}
}

// fields gives what Vault holds at a path.
func (s *vaultShop) fields(t *testing.T, path string) map[string]string {
	t.Helper()
	var entry struct {
		Data struct{ Data map[string]string }
	}
	must(t, s.vault.Call(t.Context(), http.MethodGet, "secret/data/teams/shop/live/"+path, nil, &entry))
	return entry.Data.Data
}

// TestSockShopVault installs Sock Shop with its credentials from Vault, by a token that may do no more than what "kai secrets
// policy" prints: what is there comes to the Secrets, what changes there is seen without being shown, and no path is asked
// for twice.
func TestSockShopVault(t *testing.T) {
	t.Parallel()
	canaries := newCanaries(t)
	byKey := map[string]string{}
	for _, c := range canaries {
		byKey[c.key] = c.text
	}
	s := newVaultShop(t, canaries)

	// It is filled: from the file of the context dev, by hand, and with what friends ask for.
	missing := s.run(t, s.vault.Token, 1, "", "secrets", "check", "-c", "live")
	contains(t, "check", missing, "catalogue   catalogue.secret.mysql_root_password   missing")
	contains(t, "copy", s.run(t, s.vault.Token, 0, "", "secrets", "copy", "-c", "dev", "--to-context", "live"), "catalogue.secret.mysql_root_password   added")
	if there := s.fields(t, "catalogue/secret")["mysql_root_password"]; there != "example-catalogue-db-root" {
		t.Errorf("copy has brought %d bytes", len(there))
	}
	s.run(t, s.vault.Token, 0, "", "secrets", "delete", "-c", "live", "catalogue.secret.mysql_root_password")
	contains(t, "generate", s.run(t, s.vault.Token, 0, "", "secrets", "generate", "-c", "live"), "catalogue.secret.mysql_root_password   made")
	s.run(t, s.vault.Token, 0, byKey["url"], "secrets", "set", "-c", "live", "user.secret.session_key")
	s.run(t, s.vault.Token, 0, byKey["json"], "secrets", "set", "-c", "live", "global.private.license")

	// From here on, a token reads them that may do nothing else.
	var granted struct {
		Auth struct {
			Token string `json:"client_token"`
		}
	}
	policy := s.run(t, s.vault.Token, 0, "", "secrets", "policy", "-c", "live")
	must(t, s.vault.Call(t.Context(), http.MethodPut, "sys/policies/acl/shop-live", map[string]any{"policy": policy}, nil))
	must(t, s.vault.Call(t.Context(), http.MethodPut, "auth/token/create", map[string]any{"policies": []string{"shop-live"}, "no_default_policy": true}, &granted))
	token := granted.Auth.Token
	if check := s.run(t, token, 0, "", "secrets", "check", "-c", "live"); strings.Contains(check, "missing") || strings.Count(check, "found") != 3 {
		t.Errorf("check says:\n%s", check)
	}
	// run is a command as that token. It asks for three paths, and what the mount is, once each.
	run := func(code int, args ...string) string {
		t.Helper()
		var out string
		asked := s.reads(t, func() { out = s.run(t, token, code, "", args...) })
		const paths = "read secret/data/teams/shop/live/"
		want := map[string]int{paths + "catalogue/secret": 1, paths + "global/private": 1, paths + "user/secret": 1, "read sys/internal/ui/mounts/secret": 1}
		if !maps.Equal(asked, want) {
			t.Errorf("kai %v asks for %v, want %v", args, asked, want)
		}
		return out
	}
	run(0, "install", "-c", "live", "--create-namespace", "--wait")
	secrets := func() {
		t.Helper()
		s.holds(t, "catalogue-db-credentials", "rootPassword", "catalogue/secret", "mysql_root_password")
		s.holds(t, "user-secrets", "session_key", "user/secret", "session_key")
		s.holds(t, "payment-secrets", "license", "global/private", "license")
	}
	secrets()
	if out := run(0, "diff", "-c", "live", "--detailed-exitcode"); !strings.Contains(out, "10 unchanged") {
		t.Errorf("diff says:\n%s", out)
	}

	// Somebody changes one there, with no help of kai's.
	must(t, s.vault.Call(t.Context(), http.MethodPut, "secret/data/teams/shop/live/user/secret", map[string]any{"data": map[string]any{"session_key": byKey["quotes"]}}, nil))
	got := strings.Split(strings.TrimSpace(run(2, "diff", "-c", "live", "--detailed-exitcode", "-o", "paths")), "\n")
	want := []string{
		"user\tDeployment/user\tspec.template.metadata.annotations[\"checksum/secret\"]\t[masked] → [masked, changed]",
		"user\tSecret/user-secrets\tdata.session_key\t[masked] → [masked, changed]",
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("diff says:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if installed := run(0, "install", "-c", "live", "--wait"); !strings.Contains(installed, "1 done, 9 unchanged") {
		t.Errorf("install says:\n%s", installed)
	}
	secrets()
	contains(t, "verify", run(0, "verify", "-c", "live"), "10 releases, 0 findings")

	// A token that may read less is told what it lacks, and nothing is sent.
	less := strings.Join(slices.DeleteFunc(strings.SplitAfter(policy, "\n"), func(line string) bool { return strings.Contains(line, "live/user/secret") }), "")
	must(t, s.vault.Call(t.Context(), http.MethodPut, "sys/policies/acl/shop-live", map[string]any{"policy": less}, nil))
	c := command{dir: s.dir, env: append(slices.Clone(s.env), "VAULT_TOKEN="+token)}
	denied := c.try(t, s.kai, "install", "-c", "live")
	if denied.code != 1 {
		t.Errorf("install without a right: exit code %d", denied.code)
	}
	contains(t, "stderr", string(denied.stderr), `path "secret/data/teams/shop/live/user/secret" { capabilities = ["read"] }`)
	s.watch.clean(t, "stderr", string(denied.stderr))
	if history := s.command.run(t, s.helm, "history", "user", "-n", s.namespace, "-o", "yaml"); strings.Count(history, "revision:") != 2 {
		t.Errorf("after a right was missing:\n%s", history)
	}
}
