package workspace_test

import (
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/helm-kai/helm-kai/internal/workspace"
)

// target resolves the context prod, which extends dev, of a workspace.
func target(t *testing.T, dev, prod string) (*workspace.Target, string) {
	t.Helper()
	file := "apiVersion: kai/v1\nname: shop\ncontexts:\n  - {name: dev, secrets: " + dev + "}\n  - {name: prod, extends: dev" + prod + "}\n"
	w, findings := workspace.Open(fstest.MapFS{workspace.FileName: {Data: []byte(file)}})
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	to, findings := w.Target("prod")
	text := ""
	if len(findings) > 0 {
		text = findings.Error()
	}
	return to, text
}

func TestSecretsOfContexts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		dev, prod string
		want      workspace.Secrets
	}{
		"none":       {"", "", workspace.Secrets{}},
		"file":       {"{provider: file, path: a/b.yaml}", "", workspace.Secrets{Provider: "file", Path: "a/b.yaml"}},
		"sqlite":     {"{provider: sql}", "", workspace.Secrets{Provider: "sql"}},
		"a server":   {"{provider: sql, url: \"postgres://kai@db.example.com/kai?sslmode=verify-ca\"}", "", workspace.Secrets{Provider: "sql", URL: "postgres://kai@db.example.com/kai?sslmode=verify-ca"}},
		"a socket":   {"{provider: sql, url: \"mysql://kai@/kai?socket=/run/mysqld.sock\"}", "", workspace.Secrets{Provider: "sql", URL: "mysql://kai@/kai?socket=/run/mysqld.sock"}},
		"vault":      {"{provider: vault, address: \"https://vault.example.com:8200\", mount: kv, namespace: team, prefix: a/b}", "", workspace.Secrets{Provider: "vault", Address: "https://vault.example.com:8200", Mount: "kv", Namespace: "team", Prefix: "a/b"}},
		"kubernetes": {"{provider: kubernetes, namespace: shop, delivery: chart}", "", workspace.Secrets{Provider: "kubernetes", Namespace: "shop", Delivery: "chart"}},
		"said anew":  {"{provider: vault, mount: kv, deployment: old}", ", secrets: {provider: sql}", workspace.Secrets{Provider: "sql"}},
		"taken back": {"{provider: vault, mount: kv}", ", secrets: ~", workspace.Secrets{}},
		"an operator": {"{provider: vault, delivery: external-secrets, externalSecrets: {store: vault}}", "", workspace.Secrets{
			Provider: "vault", Delivery: workspace.DeliverExternal,
			ExternalSecrets: workspace.ExternalSecrets{Store: "vault", Kind: "ClusterSecretStore", RefreshInterval: "1h"},
		}},
		"an operator's all": {"{provider: kubernetes, delivery: external-secrets, externalSecrets: {store: safe.shop, kind: SecretStore, refreshInterval: 0s}}", "", workspace.Secrets{
			Provider: "kubernetes", Delivery: workspace.DeliverExternal,
			ExternalSecrets: workspace.ExternalSecrets{Store: "safe.shop", Kind: "SecretStore", RefreshInterval: "0s"},
		}},
		"deployment": {"{deployment: shop_live}", "", workspace.Secrets{Deployment: "shop_live"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, findings := target(t, test.dev, test.prod)
			if findings != "" {
				t.Fatal(findings)
			}
			if test.want.Deployment == "" {
				test.want.Deployment = "prod"
			}
			got.Secrets.Origin = test.want.Origin
			if !reflect.DeepEqual(got.Secrets, test.want) {
				t.Errorf("got  %+v\nwant %+v", got.Secrets, test.want)
			}
		})
	}
}

func TestMistakesInSecretsOfContexts(t *testing.T) {
	t.Parallel()
	const canary = "example-canary"
	tests := map[string]struct{ secrets, want string }{
		"no map":                    {"file", "4:26: contexts.dev.secrets: expected a map, got text\n  hint: write {provider: …}"},
		"no such provider":          {"{provider: valt}", "4:37: contexts.dev.secrets.provider: this version of kai has no secret provider \"valt\"\n  hint: did you mean \"vault\"? (file, sql, vault, kubernetes)"},
		"no provider":               {"{path: a.yaml}", "4:26: contexts.dev.secrets.provider: path is of a provider, and none is named\n  hint: file, sql, vault, kubernetes"},
		"misspelt":                  {"{provder: file}", "4:27: contexts.dev.secrets.provder: the key \"provder\" is not known here\n  hint: did you mean \"provider\"?"},
		"no path":                   {"{provider: file}", "4:26: contexts.dev.secrets.path: the provider file needs a path\n  hint: name the file, relative to the workspace"},
		"a path out":                {"{provider: sql, path: ../a}", "the path \"../a\" leads out"},
		"of another":                {"{provider: file, path: a, mount: kv}", "contexts.dev.secrets.mount: the key \"mount\" is not known here"},
		"a file's url":              {"{provider: sql, url: \"sqlite:a.db\"}", "a file of SQLite is named by its path\n  hint: write path: FILE"},
		"both":                      {"{provider: sql, path: a, url: \"mysql://a@b/c\"}", "path and url exclude one another"},
		"a password":                {"{provider: sql, url: \"postgres://kai:" + canary + "@db/kai\"}", "the address holds a password, for everybody who reads this file\n  hint: take it out, change it, and give it in KAI_SQL_PASSWORD_FILE or KAI_SQL_PASSWORD"},
		"no url":                    {"{provider: sql, url: \"" + canary + ":%%\"}", "this is no address of a database that kai knows\n  hint: write postgres://USER@HOST:PORT/DATABASE"},
		"no address":                {"{provider: vault, address: \"vault.example.com\"}", "this is no address of Vault\n  hint: write it as https://vault.example.com:8200"},
		"a user in it":              {"{provider: vault, address: \"https://a:" + canary + "@vault.example.com\"}", "this is no address of Vault"},
		"no namespace":              {"{provider: kubernetes, namespace: A_b}", "\"A_b\" cannot be a namespace"},
		"no text":                   {"{provider: vault, mount: [kv]}", "contexts.dev.secrets.mount: expected text, got a list"},
		"a deployment's way":        {"{provider: sql, deployment: a/b}", "\"a/b\" cannot be a deployment\n  hint: use letters, digits, - and _"},
		"no such delivery":          {"{provider: sql, delivery: mail}", "there is no delivery \"mail\""},
		"an operator of a file":     {"{provider: file, path: a, delivery: external-secrets, externalSecrets: {store: a}}", "4:62: contexts.dev.secrets.delivery: the provider file cannot be delivered by external-secrets\n  hint: External Secrets reads the providers vault, kubernetes; for any other use delivery: chart"},
		"an operator of a folder":   {"{delivery: external-secrets, externalSecrets: {store: a}}", "the store of this folder cannot be delivered by external-secrets"},
		"an operator without a say": {"{provider: vault, delivery: external-secrets}", "4:26: contexts.dev.secrets.externalSecrets: delivery: external-secrets needs externalSecrets\n  hint: write externalSecrets: {store: NAME}"},
		"an operator's list":        {"{provider: vault, delivery: external-secrets, externalSecrets: [a]}", "delivery: external-secrets needs externalSecrets"},
		"an operator without store": {"{provider: vault, delivery: external-secrets, externalSecrets: {kind: SecretStore}}", "4:89: contexts.dev.secrets.externalSecrets.store: delivery: external-secrets needs the name of a store"},
		"an operator's store":       {"{provider: vault, delivery: external-secrets, externalSecrets: {store: A_b}}", "\"A_b\" cannot be the name of a store"},
		"an operator's kind":        {"{provider: vault, delivery: external-secrets, externalSecrets: {store: a, kind: ClusterStore}}", "contexts.dev.secrets.externalSecrets.kind: a store is no \"ClusterStore\"\n  hint: "},
		"an operator's interval":    {"{provider: vault, delivery: external-secrets, externalSecrets: {store: a, refreshInterval: hourly}}", "\"hourly\" is no length of time\n  hint: write it as 30m or 1h; 0s reads once"},
		"an operator's time back":   {"{provider: vault, delivery: external-secrets, externalSecrets: {store: a, refreshInterval: -1h}}", "\"-1h\" is no length of time"},
		"an operator misspelt":      {"{provider: vault, delivery: external-secrets, externalSecrets: {stor: a}}", "contexts.dev.secrets.externalSecrets.stor: the key \"stor\" is not known here\n  hint: did you mean \"store\"?"},
		"an operator unused":        {"{provider: vault, externalSecrets: {store: a}}", "4:61: contexts.dev.secrets.externalSecrets: externalSecrets has no effect without delivery: external-secrets\n  hint: write delivery: external-secrets, or remove it"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, got := target(t, test.secrets, "")
			if !strings.Contains(got, test.want) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if strings.Contains(got, canary) {
				t.Errorf("it shows what may be a password: %s", got)
			}
		})
	}
}
