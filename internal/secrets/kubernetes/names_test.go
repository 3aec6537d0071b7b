package kubernetes

import (
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

func TestName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ deployment, app, scope, want string }{
		{"dev", "carts", "secret", "kai-dev-carts-secret"},
		{"dev", "front-end", "public", "kai-dev-front-end-public"},
		{"dev", "a.b", "private", "kai-dev-a.b-private"},
		{"dev-eu", "carts", "secret", "kai-dev-eu-carts-secret-"},
		{"opendax_uat", "peatio", "secret", "kai-opendax-uat-peatio-secret-"},
		{"dev", "Carts", "secret", "kai-dev-carts-secret-"},
		{"dev", "ключ", "secret", "kai-dev-secret-"},
		{"dev", strings.Repeat("a", 250), "secret", "kai-dev-aaa"},
	} {
		got := Name(secrets.Path{Deployment: test.deployment, App: test.app, Scope: test.scope})
		if hashed := strings.HasSuffix(test.want, "-") || len(test.app) > 200; hashed && !strings.HasPrefix(got, test.want) || !hashed && got != test.want {
			t.Errorf("%v gives %s", test, got)
		}
		if len(got) > maxName || !isDNS.MatchString(got) {
			t.Errorf("%s is no name", got)
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	levels := []string{"a", "b", "a-b", "b-a", "A", "a_b", "a.b", "a-", "-a", "a-b-a", "public", "a-public", strings.Repeat("a", 240), strings.Repeat("a", 241)}
	seen := map[string]secrets.Path{}
	for _, deployment := range levels {
		for _, app := range levels {
			for _, scope := range secrets.Scopes() {
				path := secrets.Path{Deployment: deployment, App: app, Scope: scope}
				if other, twice := seen[Name(path)]; twice {
					t.Errorf("%v and %v are both %s", path, other, Name(path))
				}
				seen[Name(path)] = path
			}
		}
	}
}

func TestDataKey(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"DB_PASSWORD": "DB_PASSWORD",
		"tls.crt":     "tls.crt",
		"with-dash":   "with-dash",
		"a b":         "kai--a-20b",
		"..":          "kai--..",
		"kai--x":      "kai--x",
		"kai--a-20b":  "kai--kai-2d-2da-2d20b",
		"kai--":       "kai--",
		"kai--a-2":    "kai--a-2",
		"kai--a-2Fb":  "kai--a-2Fb",
		"kai--a-zz":   "kai--a-zz",
		"ключ":        "kai---d0-ba-d0-bb-d1-8e-d1-87",
	} {
		got, err := dataKey(name)
		if err != nil || !isKey(got) || got != want || nameOf(got) != name {
			t.Errorf("%q gives %q, %v, which is %q", name, got, err, nameOf(got))
		}
	}
}

func FuzzDataKey(f *testing.F) {
	for _, seed := range []string{"A", "a b", "kai--", "kai--a-20b", "kai--kai-2d-2da-2d20b", "..", "\xff", "kai---2d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if key, err := dataKey(text); err == nil && (nameOf(key) != text || !isKey(key)) {
			t.Errorf("%q gives the key %q, which is %q", text, key, nameOf(key))
		}
		// And no two keys are one name.
		if !isKey(text) {
			return
		}
		if key, err := dataKey(nameOf(text)); err != nil || key != text {
			t.Errorf("the key %q is %q, and that gives %q, %v", text, nameOf(text), key, err)
		}
	})
}

func TestRole(t *testing.T) {
	t.Parallel()
	carts := secrets.Path{Deployment: "dev", App: "carts", Scope: secrets.Secret}
	global := secrets.Path{Deployment: "dev", App: secrets.Global, Scope: secrets.Secret}
	for _, test := range []struct{ got, want string }{
		{Role("shop", "dev", false, global, carts, carts), `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: kai-secrets-dev-reader
  namespace: shop
rules:
  - apiGroups: [""]
    resources: [secrets]
    resourceNames:
      - kai-dev-carts-secret
      - kai-dev-global-secret
    verbs: [get]
`},
		{Role("123", "Dev_EU", true), `# A Role cannot tell Secrets apart by their labels: this one holds for all of the
# namespace. Keep those of kai in a namespace of their own, or name paths.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: kai-secrets-dev-eu-writer
  namespace: "123"
rules:
  - apiGroups: [""]
    resources: [secrets]
    verbs: [get, list, create, update, delete]
`},
		{Role("shop", "dev", true, carts), `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: kai-secrets-dev-writer
  namespace: shop
rules:
  - apiGroups: [""]
    resources: [secrets]
    verbs: [create]
  - apiGroups: [""]
    resources: [secrets]
    resourceNames:
      - kai-dev-carts-secret
    verbs: [get, update, delete]
`},
	} {
		if test.got != test.want {
			t.Errorf("got\n%s\nwant\n%s", test.got, test.want)
		}
	}
}
