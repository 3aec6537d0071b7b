//go:build unix

package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/e2e/controlplane"
	"github.com/helm-kai/helm-kai/e2e/tools"
	"github.com/helm-kai/helm-kai/e2e/vaultserver"
)

// The release of External Secrets whose definitions manifests are held against.
const externalModule, externalVersion = "github.com/external-secrets/external-secrets", "v1.3.2"

const externalWorkspace = `apiVersion: kai/v1
name: shop
services: [services/*]
contexts:
  - name: base
    namespace: NS
  - name: vault
    extends: base
    secrets: {provider: vault, prefix: teams/shop, delivery: external-secrets, externalSecrets: {store: vault}}
  - name: kubernetes
    extends: base
    secrets: {provider: kubernetes, namespace: NS-safe, delivery: external-secrets, externalSecrets: {store: safe, kind: SecretStore, refreshInterval: 5m}}
`

const externalService = `apiVersion: kai/v1
name: tokend
images: [{name: release, registry: registry.example.com, repository: tokend, tag: 1.0.0}]
routes: [{name: http, port: 80, containerPort: 8080, hostname: tokend.example.com, tls: {secret: shop_tls}}]
contexts:
  - name: base
    flavor: webservice
    image: release
    routes: [http]
    friends: [redis, {from: redis, name: cache, type: dependency, env: {CACHE: "${self.credentials.password}"}}]
    env:
      SIGNING_KEY: {secret: signing_key}
      LICENSE: {secret: LICENSE, app: global, scope: private}
      LIMITS: {secret: limits}
`

// TestExternalSecrets installs a service whose Secrets an operator makes: the API server with the operator's own definitions
// takes the objects, kai needs no store for them, and waits for the operator. In the operator's place is a loop that reads
// where the operator does, from a real Vault and from the cluster.
func TestExternalSecrets(t *testing.T) {
	t.Parallel()
	e := newExternal(t)
	vault := vaultserver.ForTest(t, e.cache, root(t))
	login := append(e.env, "VAULT_ADDR="+vault.Addr, "VAULT_TOKEN="+vault.Token)
	readVault := func(ctx context.Context, key, property string) (any, error) {
		mount, rest, _ := strings.Cut(key, "/")
		var answer struct{ Data struct{ Data map[string]any } }
		err := vault.Call(ctx, http.MethodGet, mount+"/data/"+rest, nil, &answer)
		return answer.Data.Data[property], err
	}
	t.Run("the page's store", func(t *testing.T) {
		page, err := os.ReadFile(filepath.Join(root(t), "docs", "secrets.md"))
		must(t, err)
		_, text, _ := strings.Cut(string(page), "```yaml\n# store.yaml\n")
		text, _, _ = strings.Cut(text, "```")
		command{dir: e.dir, env: e.env, stdin: []byte(text)}.run(t, e.kubectlAt, "apply", "--server-side", "--dry-run=server", "-f", "-")
	})
	t.Run("vault", func(t *testing.T) { e.install(t, "vault", login, readVault) })
	e.kubectl(t, "create", "namespace", e.namespace+"-safe")
	t.Run("kubernetes", func(t *testing.T) {
		e.install(t, "kubernetes", e.env, func(ctx context.Context, key, property string) (any, error) {
			var secret struct{ Data map[string][]byte }
			if err := e.cluster.Get(ctx, "/api/v1/namespaces/"+e.namespace+"-safe/secrets/"+key, &secret); err != nil {
				return nil, err
			}
			if value, ok := secret.Data[property]; ok {
				return string(value), nil
			}
			return nil, nil
		})
	})
}

// external is where the test happens.
type external struct {
	cluster        *controlplane.Cluster
	cache          tools.Cache
	namespace, dir string
	kai, kubectlAt string
	env            []string
}

func newExternal(t *testing.T) *external {
	t.Helper()
	e := &external{cluster: cluster(t), cache: cache(t), namespace: newNamespace("external"), dir: t.TempDir(), kai: kaiBinary(t)}
	binaries, err := controlplane.Build(t.Context(), e.cache, filepath.Join(root(t), "e2e", "controlplane", "build"))
	must(t, err)
	e.kubectlAt = filepath.Join(binaries, "kubectl")
	home := t.TempDir()
	config, err := e.cluster.KubeconfigFor(e.namespace)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(home, "kubeconfig"), config, 0o600))
	e.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "KUBECONFIG=" + filepath.Join(home, "kubeconfig"), "NO_COLOR=1"}
	write(t, filepath.Join(e.dir, "kai-workspace.yaml"), strings.ReplaceAll(externalWorkspace, "NS", e.namespace))
	write(t, filepath.Join(e.dir, "services", "tokend", "kai.yaml"), externalService)
	t.Cleanup(func() {
		for _, name := range []string{e.namespace, e.namespace + "-safe"} {
			must(t, deleteNamespace(context.WithoutCancel(t.Context()), e.cluster, name))
		}
	})
	module, err := tools.ModuleDir(t.Context(), externalModule, externalVersion)
	must(t, err)
	for _, kind := range []string{"externalsecrets", "clustersecretstores"} {
		e.kubectl(t, "apply", "--server-side", "-f", filepath.Join(module, "config", "crds", "bases", "external-secrets.io_"+kind+".yaml"))
	}
	for _, kind := range []string{"externalsecrets", "clustersecretstores"} {
		var list struct{}
		for end := time.Now().Add(time.Minute); e.cluster.Get(t.Context(), "/apis/external-secrets.io/v1/"+kind, &list) != nil; time.Sleep(100 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the API server does not serve %s", kind)
			}
		}
	}
	return e
}

func (e *external) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return command{dir: e.dir, env: e.env}.run(t, e.kubectlAt, args...)
}

// install keeps secrets in a store, and installs a context without it.
func (e *external) install(t *testing.T, name string, login []string, read func(ctx context.Context, key, property string) (any, error)) {
	store := func(input string, args ...string) result {
		t.Helper()
		return command{dir: e.dir, env: login, stdin: []byte(input)}.try(t, e.kai, args...)
	}
	set := func(key, value string, more ...string) {
		t.Helper()
		if got := store(value, append([]string{"secrets", "set", "-c", name, key}, more...)...); got.code != 0 {
			t.Fatalf("set %s: %s", key, got.stderr)
		}
	}
	// Only kai can fall back to global: the operator cannot, and check says so.
	set("global.private.LICENSE", "example-license")
	set("global.secret.signing_key", "example-of-all")
	set("tokend.secret.limits", `{"requests":[1,2]}`, "--type", "json")
	set("tokend.secret.shop_tls.crt", "example-certificate")
	set("tokend.secret.shop_tls.key", "example-private-key")
	if got := store("", "secrets", "generate", "-c", name); got.code != 0 {
		t.Fatalf("%s", got.stderr)
	}
	got := store("", "secrets", "check", "-c", name)
	if got.code != 1 {
		t.Errorf("check ends with %d", got.code)
	}
	contains(t, "check", strings.Join(strings.Fields(string(got.stdout)), " "), "tokend tokend.secret.signing_key global global.secret.signing_key")
	contains(t, "check", string(got.stderr), "only the app global has a value, where External Secrets does not look")
	set("tokend.secret.signing_key", "example-own")
	if got := store("", "secrets", "check", "-c", name); got.code != 0 {
		t.Errorf("check: %s%s", got.stdout, got.stderr)
	}

	// Nothing here knows the store.
	without := command{dir: e.dir, env: e.env}
	without.run(t, e.kai, "install", "-c", name, "--create-namespace")
	empty := func() {
		t.Helper()
		if got := without.try(t, e.kai, "diff", "-c", name, "--detailed-exitcode"); got.code != 0 {
			t.Errorf("diff ends with %d: %s%s", got.code, got.stdout, got.stderr)
		}
	}
	empty()
	if got := without.try(t, e.kai, "verify", "-c", name); got.code != 0 {
		t.Errorf("verify ends with %d: %s%s", got.code, got.stdout, got.stderr)
	}
	if got := without.try(t, e.kai, "install", "-c", name, "--wait", "--timeout", "3s"); got.code != 1 || !strings.Contains(string(got.stderr), "ExternalSecret/") {
		t.Errorf("without an operator, install ends with %d: %s", got.code, got.stderr)
	}

	stop := e.operate(t, read)
	without.run(t, e.kai, "install", "-c", name, "--wait", "--timeout", "60s")
	empty()
	values := map[string]string{}
	for _, secret := range []string{"tokend-secrets", "tokend-shop-tls", "tokend-redis-credentials", "cache-credentials"} {
		var object struct {
			Type string
			Data map[string][]byte
		}
		must(t, e.cluster.Get(t.Context(), "/api/v1/namespaces/"+e.namespace+"/secrets/"+secret, &object))
		for key, value := range object.Data {
			values[key] = string(value)
		}
		if secret == "tokend-shop-tls" && object.Type != "kubernetes.io/tls" {
			t.Errorf("the certificate's Secret is of the type %s", object.Type)
		}
	}
	for key, want := range map[string]string{"signing_key": "example-own", "LICENSE": "example-license", "limits": `{"requests":[1,2]}`, "tls.crt": "example-certificate", "tls.key": "example-private-key"} {
		if values[key] != want {
			t.Errorf("%s is %q, not %q", key, values[key], want)
		}
	}
	if len(values["password"]) != 32 {
		t.Errorf("the generated password has %d characters", len(values["password"]))
	}
	// A change is waited for, too.
	set("tokend.secret.other", "example-other")
	without.run(t, e.kai, "install", "-c", name, "--wait", "--timeout", "60s", "--set", "secrets.remote.signing_key.property=other", "tokend")
	var object struct{ Data map[string][]byte }
	must(t, e.cluster.Get(t.Context(), "/api/v1/namespaces/"+e.namespace+"/secrets/tokend-secrets", &object))
	if string(object.Data["signing_key"]) != "example-other" {
		t.Errorf("the changed key is %q", object.Data["signing_key"])
	}
	stop()
	without.run(t, e.kai, "uninstall", "-c", name, "--all", "--yes", "--wait")
	if left := e.kubectl(t, "get", "externalsecrets", "-o", "name"); left != "" {
		t.Errorf("uninstall leaves %s", left)
	}
}

// operate does what the operator does, until the function it gives is called: it reads the store, writes the Secrets, and
// says so in the status.
func (e *external) operate(t *testing.T, read func(ctx context.Context, key, property string) (any, error)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := e.reconcile(ctx, read); err != nil && ctx.Err() == nil {
				t.Logf("the operator: %v", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// externalSecret is what the operator reads of one.
type externalSecret struct {
	Metadata struct {
		Name, UID  string
		Generation int
	}
	Spec struct {
		Target struct {
			Name     string
			Template *struct{ Type string }
		}
		Data []struct {
			SecretKey string
			RemoteRef struct{ Key, Property string }
		}
	}
	Status struct{ SyncedResourceVersion string }
}

func (e *external) reconcile(ctx context.Context, read func(ctx context.Context, key, property string) (any, error)) error {
	var list struct{ Items []externalSecret }
	if err := e.cluster.Get(ctx, "/apis/external-secrets.io/v1/namespaces/"+e.namespace+"/externalsecrets", &list); err != nil {
		return err
	}
	for _, item := range list.Items {
		seen := fmt.Sprintf("%d-example", item.Metadata.Generation)
		if item.Status.SyncedResourceVersion == seen {
			continue
		}
		if err := e.makeSecret(ctx, item, read); err != nil {
			return fmt.Errorf("%s: %w", item.Metadata.Name, err)
		}
		status := map[string]any{"status": map[string]any{
			"syncedResourceVersion": seen,
			"conditions":            []any{map[string]any{"type": "Ready", "status": "True", "reason": "SecretSynced", "message": "secret synced"}},
		}}
		if err := e.apply(ctx, status, "patch", "externalsecret", item.Metadata.Name, "--subresource=status", "--type=merge", "--patch-file=/dev/stdin"); err != nil {
			return err
		}
	}
	return nil
}

func (e *external) makeSecret(ctx context.Context, item externalSecret, read func(ctx context.Context, key, property string) (any, error)) error {
	data := map[string]string{}
	for _, d := range item.Spec.Data {
		value, err := read(ctx, d.RemoteRef.Key, d.RemoteRef.Property)
		if err != nil {
			return err
		}
		text, ok := value.(string)
		if !ok {
			if value == nil {
				return fmt.Errorf("%s has no %s", d.RemoteRef.Key, d.RemoteRef.Property)
			}
			other, err := json.Marshal(value)
			if err != nil {
				return err
			}
			text = string(other)
		}
		data[d.SecretKey] = base64.StdEncoding.EncodeToString([]byte(text))
	}
	kind := "Opaque"
	if item.Spec.Target.Template != nil {
		kind = item.Spec.Target.Template.Type
	}
	return e.apply(ctx, map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": kind, "data": data,
		"metadata": map[string]any{"name": item.Spec.Target.Name, "ownerReferences": []any{map[string]any{
			"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": item.Metadata.Name, "uid": item.Metadata.UID, "controller": true,
		}}},
	}, "apply", "--server-side", "--field-manager=operator", "-f", "-")
}

// apply hands an object to kubectl.
func (e *external) apply(ctx context.Context, object map[string]any, args ...string) error {
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, e.kubectlAt, args...)
	cmd.Env, cmd.Stdin = e.env, strings.NewReader(string(text))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w: %s", args[0], err, out)
	}
	return nil
}
