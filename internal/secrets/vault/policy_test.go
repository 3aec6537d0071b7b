package vault

import (
	"encoding/pem"
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
	} {
		if got := Policy(test.access); got != test.want {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}
