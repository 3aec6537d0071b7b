package secrets_test

import (
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

func TestParsePattern(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]secrets.Pattern{
		"carts":                    {App: "carts"},
		"carts.secret":             {App: "carts", Scope: "secret"},
		"carts.secret.a":           {App: "carts", Scope: "secret", Name: "a"},
		"carts.secret.tls.key":     {App: "carts", Scope: "secret", Name: "tls.key"},
		"hd-wallet.public.a b":     {App: "hd-wallet", Scope: "public", Name: "a b"},
		"all.all.all":              {},
		"all.secret.all":           {Scope: "secret"},
		`"a.b".secret."c.d"`:       {App: "a.b", Scope: "secret", Name: "c.d"},
		`"all".secret."all"`:       {App: "all", Scope: "secret", Name: "all"},
		`carts."private".x`:        {App: "carts", Scope: "private", Name: "x"},
		"carts.secret.all.of.them": {App: "carts", Scope: "secret", Name: "all.of.them"},
	} {
		got, err := secrets.ParsePattern(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
			continue
		}
		if again, err := secrets.ParsePattern(got.String()); err != nil || again != got {
			t.Errorf("%s as %s: %+v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", ".", "carts.", "carts..a", ".secret.a", "carts.secret.", "carts.hunter2.a", `"carts`, `"".secret.a`, `"carts"x.secret.a`, `carts.secret."a"hunter2`, `carts.secret."a".hunter2`, " .secret.a"} {
		_, err := secrets.ParsePattern(text)
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "\n  hint: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParsePattern(f *testing.F) {
	f.Add(`"a.b".secret.c.d`)
	f.Add("all.all.all")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := secrets.ParsePattern(text)
		n := secrets.Parts(text)
		if err != nil {
			return
		}
		if n < 1 || n > 3 {
			t.Fatalf("%q has %d parts", text, n)
		}
		if strings.Contains(p.App+p.Name, `"`) {
			return // cannot be written
		}
		if again, err := secrets.ParsePattern(p.String()); err != nil || again != p {
			t.Fatalf("%q: %+v is written %s, which is %+v (%v)", text, p, p, again, err)
		}
	})
}
