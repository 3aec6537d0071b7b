package build_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// closed is a store that nobody may ask.
type closed struct{ t *testing.T }

func (c closed) Get(_ context.Context, keys []secrets.Key) (map[secrets.Key]secrets.Value, error) {
	c.t.Errorf("the store was asked for %v", keys)
	return nil, nil
}

// TestExternalSecretsNeedNoStore: a plan of what an operator makes has no value in
// it, and still everybody who asks sees what the charts want.
func TestExternalSecretsNeedNoStore(t *testing.T) {
	t.Parallel()
	w, findings := workspace.Open(os.DirFS("testdata/external"))
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	for _, contextName := range w.ContextNames() {
		t.Run(contextName, func(t *testing.T) {
			t.Parallel()
			releases, findings := build.Charts(t.Context(), w, contextName, build.Options{})
			if findings.Err() != nil {
				t.Fatal(findings)
			}
			o := build.DesireOptions{Store: closed{t}, Strict: true, Deployment: contextName, Memory: &build.Memory{}}
			for range 2 { // the second time it is remembered
				desired, findings, err := build.Desire(t.Context(), releases, o)
				if err != nil || findings.Err() != nil {
					t.Fatal(findings, err)
				}
				for _, d := range desired {
					if len(d.Secrets) > 0 || strings.Contains(d.Rendered.Text(), build.Placeholder) {
						t.Errorf("%s is given secrets", d.Name)
					}
				}
			}
			values, findings, err := build.Values(t.Context(), releases, o, secrets.Value.Reveal)
			if err != nil || findings.Err() != nil {
				t.Fatal(findings, err)
			}
			for i, v := range values {
				if len(v) > 0 {
					t.Errorf("%s has values: %v", releases[i].Name, v)
				}
			}
			var wanted []string
			for _, want := range build.Wants(releases, contextName) {
				if want.Other != "" {
					wanted = append(wanted, want.Other[:strings.IndexByte(want.Other, ':')])
				} else {
					wanted = append(wanted, want.Key.String())
				}
			}
			scheme := map[string]string{"vault": "ref+vault", "kubernetes": "ref+k8s"}[contextName]
			if got, want := strings.Join(wanted, " "), "cache.secret.redis_password carts.secret.api_token tokend.secret.redis_password tokend.secret.signing_key "+scheme+" global.public.region tokend.secret.shop_tls.crt tokend.secret.shop_tls.key"; got != want {
				t.Errorf("wanted are\n%s, not\n%s", got, want)
			}
		})
	}
}

// TestExternalSecretsByHand: what is given by hand, the chart makes by itself.
func TestExternalSecretsByHand(t *testing.T) {
	t.Parallel()
	releases, findings := charts(t, "", "{secret: KEY}", "")
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	for name, test := range map[string]struct {
		values map[string]any
		kind   string
	}{
		"nothing":         {nil, "kind: ExternalSecret\n"},
		"values":          {map[string]any{"values": map[string]any{"KEY": "example"}}, "kind: Secret\n"},
		"an existing one": {map[string]any{"existingSecret": "mine"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := build.DesireOptions{Store: closed{t}, Strict: true}
			if test.values != nil {
				o.Render = render.Options{Values: map[string]any{"secrets": test.values}}
			}
			desired, findings, err := build.Desire(t.Context(), releases, o)
			if err != nil || findings.Err() != nil {
				t.Fatal(findings, err)
			}
			text := desired[0].Rendered.Text()
			for _, kind := range []string{"kind: ExternalSecret\n", "kind: Secret\n"} {
				if strings.Contains(text, kind) != (kind == test.kind) {
					t.Errorf("%q: %s", kind, text)
				}
			}
		})
	}
}

// charts makes the chart of a service with one secret, in a context whose secrets
// an operator makes.
func charts(t *testing.T, store, reference, more string) ([]build.Release, source.Findings) {
	t.Helper()
	if store == "" {
		store = "provider: vault"
	}
	w, findings := workspace.Open(fstest.MapFS{
		workspace.FileName: {Data: []byte(`apiVersion: kai/v1
name: shop
services: [carts]
contexts:
  - {name: dev, namespace: shop, secrets: {` + store + `, delivery: external-secrets, externalSecrets: {store: main}}}
`)},
		"carts/config.yaml": {Data: []byte("password: ${friends.db.credentials.password}\n")},
		"carts/kai.yaml": {Data: []byte(`apiVersion: kai/v1
name: carts
images: [{name: release, repository: example/carts, tag: 1.0.0}]
contexts:
  - name: base
    flavor: webservice
    image: release
    env:
      KEY: ` + reference + "\n" + more)},
	})
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	return build.Charts(t.Context(), w, "dev", build.Options{})
}

// TestExternalSecretsOfReferences: where the operator looks, or why it cannot.
func TestExternalSecretsOfReferences(t *testing.T) {
	t.Parallel()
	const kubernetes = "provider: kubernetes, namespace: safe"
	for name, test := range map[string]struct {
		store, reference string
		key, property    string
		wrong            string
	}{
		"a key":              {"provider: vault", "{secret: KEY}", "secret/dev/carts/secret", "KEY", ""},
		"of a mount":         {"provider: vault, mount: kv/team, prefix: /a/b/, deployment: live", "{secret: KEY, scope: public}", "kv/team/a/b/live/carts/public", "KEY", ""},
		"of global":          {"provider: vault", "{secret: KEY, app: global}", "secret/dev/global/secret", "KEY", ""},
		"a reference":        {"provider: vault", "{secret: 'ref+vault://other/a/b#/K%2BY'}", "other/a/b", "K+Y", ""},
		"of the same server": {"provider: vault, address: 'https://vault.example.com', namespace: team", "{secret: 'ref+vault://kv/a?address=https://vault.example.com/&namespace=team#/KEY'}", "kv/a", "KEY", ""},
		"in a cluster":       {kubernetes, "{secret: KEY}", "kai-dev-carts-secret", "KEY", ""},
		"with a dash":        {kubernetes + ", deployment: dev-1", "{secret: kai---2f}", "kai-dev-1-carts-secret-feac0f69fb", "kai--kai-2d-2d-2d2f", ""},
		"a Secret":           {kubernetes, "{secret: 'ref+k8s://v1/Secret/safe/db/pass.word'}", "db", "pass.word", ""},
		"the context's own":  {"provider: kubernetes", "{secret: 'ref+k8s://v1/Secret/shop/db/password'}", "db", "password", ""},

		"of the API":            {"provider: vault, deployment: data", "{secret: KEY}", "", "", "the Secret carts-secrets wants carts.secret.KEY: the operator External Secrets cannot read secret/data/carts/secret: it takes the first data for a part of Vault's API\n  hint: put a folder of another name before it: secrets: {prefix: FOLDER}"},
		"another server":        {"provider: vault", "{secret: 'ref+vault://kv/a?address=https://vault.example.com#/KEY'}", "", "", "it names the address of another Vault"},
		"another namespace":     {"provider: vault", "{secret: 'ref+vault://kv/a?namespace=team#/KEY'}", "", "", "it names another namespace of Vault"},
		"a token":               {"provider: vault", "{secret: 'ref+vault://kv/a?token_env=T#/KEY'}", "", "", "it names a token, and External Secrets logs in by itself"},
		"another mount":         {"provider: vault, mount: kv/team", "{secret: 'ref+vault://kv/a#/KEY'}", "", "", "it is not below the mount kv/team"},
		"no key":                {"provider: vault", "{secret: 'ref+vault://kv/a'}", "", "", "it names no key\n  hint: add #/KEY"},
		"in a value":            {"provider: vault", "{secret: 'ref+vault://kv/a#/KEY/b'}", "", "", "it goes into the value of KEY"},
		"no reference":          {"provider: vault", "{secret: 'ref+vault://kv'}", "", "", "the path names a mount, and nothing in it"},
		"a file":                {"provider: vault", "{secret: 'ref+file://a.txt'}", "", "", "carts/kai.yaml:9:21: carts: the Secret carts-secrets wants ref+file://a.txt: the operator External Secrets reads nothing but the context's store, by its provider vault\n  hint: keep it there: {secret: KEY}; or use delivery: chart"},
		"a Vault":               {kubernetes, "{secret: 'ref+vault://kv/a#/KEY'}", "", "", "reads nothing but the context's store, by its provider kubernetes"},
		"a ConfigMap":           {kubernetes, "{secret: 'ref+k8s://v1/ConfigMap/safe/db/password'}", "", "", "it is in a ConfigMap, and External Secrets reads Secrets alone"},
		"elsewhere":             {kubernetes, "{secret: 'ref+k8s://v1/Secret/other/db/password'}", "", "", "it is in the namespace other, and the store that External Secrets reads is in safe"},
		"a key that no one has": {"provider: vault, prefix: ..", "{secret: KEY}", "", "", "cannot be a path in Vault"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			releases, findings := charts(t, test.store, test.reference, "")
			if test.wrong != "" {
				if err := findings.Err(); err == nil || !strings.Contains(err.Error(), test.wrong) || len(findings) != 1 {
					t.Fatalf("it says %v", err)
				}
				return
			}
			if findings.Err() != nil {
				t.Fatal(findings)
			}
			result, err := build.Render(t.Context(), releases[0], render.Options{})
			if err != nil {
				t.Fatal(err)
			}
			want := "        key: " + test.key + "\n        property: " + test.property + "\n"
			if text := result.Text(); !strings.Contains(text, want) {
				t.Errorf("no\n%s in\n%s", want, text)
			}
		})
	}
}

// TestExternalSecretsInFiles: no operator fills a file of the chart.
func TestExternalSecretsInFiles(t *testing.T) {
	t.Parallel()
	more := "    mounts: [{name: config, path: /config, files: [config.yaml], template: true}]\n    friends: [{name: db, type: dependency, credentials: {password: {secret: PASSWORD}}, config: {host: db.example.com, port: 5432}, egress: [10.0.0.0/8]}]\n"
	_, findings := charts(t, "", "text", more)
	want := "carts/kai.yaml:10:52: mounts.config.files[0]: a credential stands in config.yaml, and External Secrets makes no file of the chart\n  hint: give it to the process as a variable (env), or use delivery: chart for the context"
	if err := findings.Err(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("it says %v", err)
	}
}
