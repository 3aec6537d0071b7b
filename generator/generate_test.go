package generator

import (
	"slices"
	"testing"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

func env(t *testing.T, text string) (*generation, *environment) {
	t.Helper()
	v, findings := source.ParseYAML("kai.yaml", []byte(text))
	if findings != nil {
		t.Fatal(findings)
	}
	g := &generation{in: Input{Name: "app", Resolved: &descriptor.Resolved{Mixed: map[*source.Value][]descriptor.Part{}}}}
	g.secrets = newSecrets(g.in, &g.findings)
	e := g.newEnvironment()
	e.add(v, "env")
	return g, e
}

func TestEnvironmentOrder(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, env string
		want      []string
		refers    bool
	}{
		{"as written", "{B: x, A: y}", []string{"B", "A"}, false},
		{"after what it names", "{URL: $(HOST):$(PORT), HOST: h, PORT: 1}", []string{"HOST", "PORT", "URL"}, true},
		{"through others", "{A: $(B), B: $(C), C: x}", []string{"C", "B", "A"}, true},
		{"a literal names nothing", "{A: $$(B), B: x}", []string{"A", "B"}, false},
		{"what is not there stays", "{A: $(HOSTNAME)}", []string{"A"}, false},
		{"itself", "{PATH: $(PATH):/x}", []string{"PATH"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g, e := env(t, test.env)
			order, refers := e.sorted("env")
			if !slices.Equal(order, test.want) || refers != test.refers || len(g.findings) > 0 {
				t.Errorf("%v, %v, %v; want %v, %v", order, refers, g.findings, test.want, test.refers)
			}
		})
	}
}

func TestEnvironmentCircle(t *testing.T) {
	t.Parallel()
	g, e := env(t, "{A: $(B), B: $(A)}")
	e.sorted("env")
	if len(g.findings) != 1 || g.findings[0].Code != "cycle" {
		t.Errorf("%v", g.findings)
	}
}

func TestSecretKeys(t *testing.T) {
	t.Parallel()
	reference := func(text string) *source.Value {
		v, findings := source.ParseYAML("kai.yaml", []byte(text))
		if findings != nil {
			t.Fatal(findings)
		}
		return v
	}
	var list []SecretKey
	plain := register(&list, reference("{secret: token}"))
	again := register(&list, reference("{secret: token}"))
	other := register(&list, reference("{secret: token, app: shop}"))
	foreign := register(&list, reference("{secret: 'ref+vault://kv/app#/token'}"))
	if plain != "token" || again != plain || other == plain || !secretKey.MatchString(foreign) || len(list) != 3 {
		t.Errorf("%q %q %q %q, %d keys", plain, again, other, foreign, len(list))
	}
}
