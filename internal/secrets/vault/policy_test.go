package vault

import (
	"encoding/pem"
	"net/http"
	"testing"
)

func pemOf(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}) }

func TestPolicy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		access Access
		want   string
	}{
		"reads": {Access{Deployment: "dev", Apps: []string{"orders", "carts"}, Scopes: []string{"secret"}}, `# reads the secrets of the deployment dev
path "secret/data/dev/carts/secret" { capabilities = ["read"] }
path "secret/data/dev/orders/secret" { capabilities = ["read"] }
path "secret/data/dev/global/secret" { capabilities = ["read"] }
`},
		"writes all": {Access{KV: KV{Mount: "kv", Prefix: "shop"}, Deployment: "dev", Scopes: []string{"secret"}, Write: true, List: true}, `# reads and writes the secrets of the deployment dev
path "kv/data/shop/dev/+/secret" { capabilities = ["create", "read", "update"] }
path "kv/delete/shop/dev/+/secret" { capabilities = ["update"] }
path "kv/metadata/shop/dev/+/secret" { capabilities = ["read"] }
path "kv/metadata/shop/dev/" { capabilities = ["list"] }
path "kv/metadata/shop/dev/+/" { capabilities = ["list"] }
`},
		"first version": {Access{KV: KV{Version: 1}, Deployment: "dev", Apps: []string{"global"}, Scopes: []string{"public"}, List: true, Write: true}, `# reads the secrets of the deployment dev
path "secret/dev/global/public" { capabilities = ["read"] }
path "secret/dev/" { capabilities = ["list"] }
path "secret/dev/global/" { capabilities = ["list"] }
`},
		"transit": {Access{Deployment: "dev", Apps: []string{"carts"}, Scopes: []string{"secret"}, Write: true, Transit: &TransitKeys{}, Paths: []string{"kv/data/other"}}, `# reads and writes the secrets of the deployment dev
path "secret/data/dev/carts/secret" { capabilities = ["create", "read", "update"] }
path "secret/delete/dev/carts/secret" { capabilities = ["update"] }
path "secret/metadata/dev/carts/secret" { capabilities = ["read"] }
path "transit/decrypt/dev_kaigara_carts" { capabilities = ["update"] }
path "transit/encrypt/dev_kaigara_carts" { capabilities = ["create", "update"] }
path "transit/keys/dev_kaigara_carts" { capabilities = ["read"] }
path "secret/data/dev/global/secret" { capabilities = ["read"] }
path "transit/decrypt/dev_kaigara_global" { capabilities = ["update"] }
path "kv/data/other" { capabilities = ["read"] }
`},
		"all transit keys": {Access{Deployment: "dev", Scopes: []string{"secret"}, Transit: &TransitKeys{Mount: "keys"}}, `# reads the secrets of the deployment dev
path "secret/data/dev/+/secret" { capabilities = ["read"] }
path "keys/decrypt/dev_kaigara_*" { capabilities = ["update"] }
`},
		"what is referred to": {Access{Deployment: "dev", Apps: []string{"carts", "orders"}, Transit: &TransitKeys{}, Only: func(app, scope string) bool {
			return scope == "public" && app != "orders" || app+scope == "orderssecret"
		}}, `# reads the secrets of the deployment dev
path "secret/data/dev/carts/public" { capabilities = ["read"] }
path "secret/data/dev/orders/secret" { capabilities = ["read"] }
path "transit/decrypt/dev_kaigara_orders" { capabilities = ["update"] }
path "secret/data/dev/global/public" { capabilities = ["read"] }
`},
		"transit for a database": {Access{Deployment: "dev", Apps: []string{"carts"}, NoKV: true, Transit: &TransitKeys{Mount: "keys", Name: "{app}-{deployment}"}}, `# reads the secrets of the deployment dev
path "keys/decrypt/carts-dev" { capabilities = ["update"] }
path "keys/decrypt/global-dev" { capabilities = ["update"] }
`},
		"one key for all": {Access{Deployment: "dev", NoKV: true, Transit: &TransitKeys{Name: "k-{deployment}"}}, `# reads the secrets of the deployment dev
path "transit/decrypt/k-dev" { capabilities = ["update"] }
`},
	} {
		if got, err := Policy(test.access); err != nil || got != test.want {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
}

// TestPolicyPatterns holds that no name is a pattern in a policy.
func TestPolicyPatterns(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"+", "*", "a*", "a+", "{{identity.entity.id}}", "a\nb"} {
		for what, access := range map[string]Access{
			"app":        {Deployment: "dev", Apps: []string{"carts", bad}},
			"scope":      {Deployment: "dev", Scopes: []string{bad}},
			"deployment": {Deployment: bad},
			"mount":      {Deployment: "dev", KV: KV{Mount: bad}},
			"prefix":     {Deployment: "dev", KV: KV{Prefix: "a/" + bad}},
			"path":       {Deployment: "dev", Paths: []string{"kv/data/" + bad}},
			"key":        {Deployment: "dev", Apps: []string{"carts"}, Transit: &TransitKeys{Name: bad + "{app}"}},
		} {
			if got, err := Policy(access); err == nil || got != "" {
				t.Errorf("%s %q gives %s", what, bad, got)
			}
		}
	}
	if got, err := Policy(Access{Deployment: "dev", Transit: &TransitKeys{Name: "{app}_{deployment}"}}); err == nil {
		t.Errorf("all keys of all deployments: %s", got)
	}
}

// TestAPIPath asks where a path lies: engines other than kv, and mounts with a slash,
// have paths that do not say so.
func TestAPIPath(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]http.HandlerFunc{
		"GET /v1/sys/internal/ui/mounts/kv/team/a/b":       reply(200, `{"data":{"path":"kv/team/","type":"kv","options":{"version":"2"}}}`),
		"GET /v1/sys/internal/ui/mounts/database/creds/ro": reply(200, `{"data":{"path":"database/","type":"database"}}`),
		"GET /v1/sys/internal/ui/mounts/old/a":             reply(200, `{"data":{"path":"old/","type":"kv","options":{"version":"1"}}}`),
	})
	c := newClient(t, Options{Address: f.URL})
	for path, want := range map[string]string{"kv/team/a/b": "kv/team/data/a/b", "database/creds/ro": "database/creds/ro", "old/a": "old/a", "kv/team/data/c": "kv/team/data/c"} {
		if path == "kv/team/data/c" {
			_, _ = c.APIPath(t.Context(), "kv/team/a/b") // whichever comes first, the mount is known
		}
		if got, err := c.APIPath(t.Context(), path); err != nil || got != want {
			t.Errorf("%s: %s, %v", path, got, err)
		}
	}
}
