package workspace_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// opened gives the one context of a workspace, whose secrets are delivered at run
// time.
func opened(t *testing.T, store, runtime string) (*workspace.Target, source.Findings) {
	t.Helper()
	w, findings := workspace.Open(fstest.MapFS{"kai-workspace.yaml": {Data: []byte("apiVersion: kai/v1\nname: shop\nservices: []\ncontexts:\n  - name: dev\n    secrets: {" + store + ", delivery: runtime" + runtime + "}\n")}})
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	return w.Target("dev")
}

const vaultStore, runnerImage = "provider: vault, address: https://vault.example.com:8200", ", runtime: {image: {repository: tools/kai-run, tag: 0.5.0}"

func TestRuntime(t *testing.T) {
	t.Parallel()
	target, findings := opened(t, vaultStore, runnerImage+", watch: true, audience: vault, cidrs: [10.0.0.0/8, 'fd00::/8'], env: {KAI_VAULT_ROLE: shop, KAI_VAULT_TOKEN: {valueFrom: {secretKeyRef: {name: a, key: b}}}}}")
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	got := target.Secrets.Runtime
	if target.Secrets.Delivery != workspace.DeliverRuntime || !got.Watch || got.Audience != "vault" || strings.Join(got.CIDRs, " ") != "10.0.0.0/8 fd00::/8" ||
		got.Image.Get("repository").Str() != "tools/kai-run" || got.Env.Get("KAI_VAULT_ROLE").Str() != "shop" {
		t.Errorf("got %+v", got)
	}
	// One on a server, and the cluster's own, need no address of Vault; one may be
	// known in the cluster alone.
	for _, env := range []string{"KAI_SQL_URL: 'postgres://u@db.example.com/kai'", "KAI_SQL_HOST: db.example.com"} {
		if _, findings := opened(t, "provider: sql", runnerImage+", env: {"+env+"}}"); findings.Err() != nil {
			t.Errorf("%s: %v", env, findings)
		}
	}
	for _, store := range []string{"provider: sql, url: postgres://u@db.example.com/kai", "provider: kubernetes"} {
		if _, findings := opened(t, store, runnerImage+"}"); findings.Err() != nil {
			t.Errorf("%s: %v", store, findings)
		}
	}
	if _, findings := opened(t, "provider: vault", runnerImage+", env: {KAI_VAULT_ADDR: {valueFrom: {configMapKeyRef: {name: a, key: b}}}}}"); findings.Err() != nil {
		t.Error(findings)
	}
}

func TestMistakesInRuntime(t *testing.T) {
	t.Parallel()
	const here = "contexts.dev.secrets."
	for name, test := range map[string]struct{ store, runtime, want string }{
		"nothing":       {vaultStore, "", here + "runtime: delivery: runtime needs runtime\n  hint: write runtime: {image: {repository: …, tag: …}}"},
		"no map":        {vaultStore, ", runtime: true", here + "runtime: delivery: runtime needs runtime"},
		"no image":      {vaultStore, ", runtime: {watch: true}", here + "runtime.image: delivery: runtime needs the image that kai-run comes from"},
		"no tag":        {vaultStore, ", runtime: {image: {repository: tools/kai-run}}", here + "runtime.image: the image tools/kai-run has neither tag nor digest"},
		"image's key":   {vaultStore, ", runtime: {image: {repository: tools/kai-run, tag: 1, pull: x}}", here + `runtime.image.pull: the key "pull" is not known here`},
		"unknown":       {vaultStore, runnerImage + ", watching: true}", `the key "watching" is not known here` + "\n  hint: did you mean \"watch\"?"},
		"no address":    {"provider: vault", runnerImage + "}", here + "address: a pod does not know the VAULT_ADDR of this machine"},
		"SQLite":        {"provider: sql, path: a.db", runnerImage + "}", here + "url: a pod does not reach a file of SQLite on this machine"},
		"a file":        {"provider: file, path: a.yaml", runnerImage + "}", here + "delivery: the provider file cannot be delivered by runtime\n  hint: a pod reaches the providers vault, kubernetes, sql"},
		"no variable":   {vaultStore, runnerImage + ", env: {1A: x}}", here + `runtime.env.1A: "1A" cannot be the name of a variable`},
		"a list":        {vaultStore, runnerImage + ", env: {A: [x]}}", here + "runtime.env.A: a variable cannot be a list"},
		"a secret":      {vaultStore, runnerImage + ", env: {A: {secret: x}}}", here + "runtime.env.A: a variable cannot be a map"},
		"a token":       {vaultStore, runnerImage + ", env: {KAI_VAULT_TOKEN: canary}}", here + "runtime.env.KAI_VAULT_TOKEN: KAI_VAULT_TOKEN is a credential, and would stand as text in the chart and in the repository\n  hint: write {valueFrom: {secretKeyRef: {name: …, key: …}}}"},
		"Vault's own":   {vaultStore, runnerImage + ", env: {VAULT_TOKEN: canary}}", here + "runtime.env.VAULT_TOKEN: VAULT_TOKEN is a credential"},
		"a password":    {vaultStore, runnerImage + ", env: {KAI_SQL_PASSWORD: 12345}}", here + "runtime.env.KAI_SQL_PASSWORD: KAI_SQL_PASSWORD is a credential"},
		"in an address": {vaultStore, runnerImage + ", env: {KAI_SQL_URL: 'postgres://kai:canary@db.example.com/kai'}}", here + "runtime.env.KAI_SQL_URL: KAI_SQL_URL is a credential"},
		"no yes":        {vaultStore, runnerImage + ", watch: sometimes}", here + "runtime.watch: expected true or false, got"},
		"no range":      {vaultStore, runnerImage + ", cidrs: [10.0.0.0/8, example.com]}", here + `runtime.cidrs[1]: "example.com" is no range of addresses`},
		"no list":       {vaultStore, runnerImage + ", cidrs: 10.0.0.0/8}", here + "runtime.cidrs"},
		"other's field": {vaultStore, runnerImage + "}, externalSecrets: {store: a}", here + "externalSecrets: externalSecrets has no effect without delivery: external-secrets"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, findings := opened(t, test.store, test.runtime)
			if err := findings.Err(); err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "kai-workspace.yaml:6:") || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v", findings)
			}
		})
	}
}
