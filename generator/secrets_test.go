package generator

import (
	"errors"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/source"
)

// TestRemote: values.yaml says where an operator finds what this chart's Secrets hold,
// and nothing of those that another chart makes.
func TestRemote(t *testing.T) {
	t.Parallel()
	reference := func(key string) *source.Value {
		v, findings := source.ParseYAML("kai.yaml", []byte("{secret: "+key+"}"))
		if findings != nil {
			t.Fatal(findings)
		}
		return v
	}
	in := Input{
		Name: "carts",
		Friends: []Friend{
			{Name: "redis", Secret: "carts-redis-credentials", Owned: true, Keys: []SecretKey{{"password", reference("redis_password")}}},
			{Name: "cache", Secret: "cache-credentials", Keys: []SecretKey{{"password", reference("redis_password")}}},
		},
		Delivery: Delivery{
			Place: func(role Role, of string, reference *source.Value, name string) Place {
				return Place{App: "carts", Scope: "secret", Key: reference.Get("secret").Str() + "/" + name}
			},
			External: &External{Store: "main", Kind: "SecretStore", RefreshInterval: "1h", Remote: func(p Place) (string, string, error) {
				if strings.HasPrefix(p.Key, "lost/") {
					return "", "", errors.New("nobody knows it\n  hint: find it")
				}
				return "kv/" + p.App, p.Key, nil
			}},
		},
	}
	var findings source.Findings
	s := newSecrets(in, &findings)
	s.key(reference("token"))
	s.credential("cache", "password")
	s.certificate(reference("shop_tls"))
	values := s.values()
	if findings != nil {
		t.Fatal(findings)
	}
	for _, test := range []struct {
		path []string
		want string
	}{
		{[]string{"external", "store"}, "main"},
		{[]string{"external", "kind"}, "SecretStore"},
		{[]string{"external", "refreshInterval"}, "1h"},
		{[]string{"remote", "token", "key"}, "kv/carts"},
		{[]string{"remote", "token", "property"}, "token/token"},
		{[]string{"friends", "redis", "remote", "password", "property"}, "redis_password/password"},
		{[]string{"friends", "cache", "name"}, "cache-credentials"},
		{[]string{"friends", "cache", "remote", "password", "key"}, ""},
		{[]string{"tls", "shop_tls", "remote", "tls.crt", "property"}, "shop_tls/tls.crt"},
		{[]string{"tls", "shop_tls", "remote", "tls.key", "property"}, "shop_tls/tls.key"},
	} {
		if got := values.At(test.path...).Str(); got != test.want {
			t.Errorf("%v is %q, not %q", test.path, got, test.want)
		}
	}
	for _, secret := range s.list() {
		if own := secret.Name != "cache-credentials"; secret.External != own || secret.Created != own {
			t.Errorf("%+v", secret)
		}
	}
	if got := s.example(); len(got.Fields) > 0 {
		t.Errorf("the example is %s", source.AppendYAML(nil, got, nil))
	}

	// What cannot be found is said where it is referred to, and of a certificate once.
	s.certificate(reference("lost"))
	s.values()
	if len(findings) != 1 || findings[0].Message != "the Secret carts-lost-tls wants carts.secret.lost/tls.crt: nobody knows it" || findings[0].Hint != "find it" || findings[0].Origin.Column != 10 {
		t.Errorf("the findings are %v", findings)
	}

	// A Secret that another chart makes is none of this one's.
	in.SecretGiven, in.Friends = true, nil
	s = newSecrets(in, &findings)
	s.key(reference("lost"))
	if v := s.values(); v.Has("remote") || v.Has("external") || s.external() || len(findings) != 1 {
		t.Errorf("it has %s", source.AppendYAML(nil, v, nil))
	}
}
