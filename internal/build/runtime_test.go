package build_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// runtimeTree is a service whose containers start through kai-run: its own secrets
// and those of a database elsewhere are read at run time, those of a queue with
// pods of its own and of a certificate are Secrets.
func runtimeTree(t *testing.T) *workspace.Workspace {
	t.Helper()
	w, findings := workspace.Open(fstest.MapFS{
		"kai-workspace.yaml": {Data: []byte(`apiVersion: kai/v1
name: shop
services: [carts]
contexts:
  - name: vault
    namespace: shop
    secrets:
      provider: vault
      address: https://vault.example.com
      mount: kv
      namespace: team
      prefix: shops
      deployment: prod
      delivery: runtime
      runtime:
        image: {repository: tools/kai-run, tag: 0.5.0, pullSecrets: [registry]}
        env: {KAI_VAULT_AUTH: kubernetes, KAI_VAULT_ROLE: shop, KAI_GRACE: 20s}
        audience: vault
        watch: true
        cidrs: [10.0.0.0/8]
  - name: kubernetes
    namespace: shop
    secrets:
      provider: kubernetes
      delivery: runtime
      runtime: {image: {repository: tools/kai-run, tag: 0.5.0}}
  - name: sql
    namespace: shop
    secrets:
      provider: sql
      url: mysql://kai@db.example.com/secrets
      delivery: runtime
      runtime:
        image: {repository: tools/kai-run, tag: 0.5.0}
        env:
          KAI_SQL_PASSWORD: {valueFrom: {secretKeyRef: {name: kai-sql, key: password}}}
          KAI_ENCRYPTOR: transit
          KAI_VAULT_ADDR: http://vault.example.com:8300
`)},
		"carts/kai.yaml": {Data: []byte(`apiVersion: kai/v1
name: carts
images:
  - {name: release, registry: registry.example.com, repository: carts, tag: 1.0.0}
routes:
  - {name: http, port: 80, containerPort: 8080, hostname: carts.example.com, tls: {secret: shop_tls}}
contexts:
  - name: base
    flavor: webservice
    image: release
    command: {command: [/carts, "--token=$(TOKEN)", "$$(TOKEN)", "$(POD)"]}
    args: ["--db=${friends.db.credentials.password}"]
    routes: [http]
    security: {runAsUser: 0, runAsNonRoot: false}
    friends:
      - redis
      - name: db
        type: requirement
        chart: null
        config: {host: db.example.com, port: 5432}
        egress: [192.0.2.0/24]
        credentials: {user: {secret: db_user}, password: {secret: db_password}, unused: {secret: db_unused}}
        env: {DB_USER: "${credentials.user}"}
    initContainers:
      - {name: migrate, image: release, command: {command: [/migrate]}, env: {TOKEN: none, DB_USER: none}}
    sidecars:
      - {name: proxy, image: release, command: {command: [/proxy]}, env: {TOKEN: {secret: proxy, scope: private}}}
    env:
      TOKEN: {secret: token}
      POD: {valueFrom: {fieldRef: {fieldPath: metadata.name}}}
      URL: "https://$(TOKEN)@$(POD)"
`)},
	})
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	return w
}

// TestRuntimeGolden holds the manifests of the delivery runtime to those that were
// reviewed.
func TestRuntimeGolden(t *testing.T) {
	t.Parallel()
	w := runtimeTree(t)
	for _, name := range w.ContextNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := manifests(t, w, name)
			golden := filepath.Join("testdata", "golden", "runtime-"+name+".yaml")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the manifests differ from %s, first at line %d: run go test ./internal/build -run Golden -update and look at the diff", golden, firstDifference(got, string(want)))
			}
		})
	}
}

// TestRuntimeWants: every reference is known, and none of what kai-run reads is
// asked for at install.
func TestRuntimeWants(t *testing.T) {
	t.Parallel()
	releases, findings := build.Charts(context.Background(), runtimeTree(t), "vault", build.Options{})
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	var wants []string
	for _, w := range build.Wants(releases, "prod") {
		wants = append(wants, w.Key.String())
	}
	slices.Sort(wants)
	if got := strings.Join(wants, " "); got != "carts.private.proxy carts.secret.db_password carts.secret.db_user carts.secret.redis_password carts.secret.shop_tls.crt carts.secret.shop_tls.key carts.secret.token" {
		t.Errorf("known are %s", got)
	}
	_, findings, err := build.Desire(t.Context(), releases, build.DesireOptions{Strict: true, Deployment: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	for _, f := range findings {
		asked = append(asked, strings.Fields(f.Message)[2])
	}
	slices.Sort(asked)
	if got := strings.Join(asked, " "); got != "carts.secret.redis_password carts.secret.shop_tls.crt carts.secret.shop_tls.key" {
		t.Errorf("asked for are %s", got)
	}
}
