package build

import (
	"testing"

	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/source"
)

// TestRuntimePorts holds that pods may reach what kai-run asks, by whichever variable
// it is told.
func TestRuntimePorts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		store, env      string
		vault, database int
	}{
		{"{}", "{}", 0, 0},
		{"{KAI_VAULT_ADDR: 'https://a.test'}", "{}", 443, 0},
		{"{KAI_VAULT_ADDR: 'https://a.test'}", "{VAULT_ADDR: 'https://b.test:8200'}", 443, 0},
		{"{KAI_VAULT_ADDR: 'https://a.test'}", "{KAI_VAULT_ADDR: 'https://b.test:8201'}", 8201, 0},
		{"{}", "{VAULT_ADDR: 'https://b.test:8202'}", 8202, 0},
		{"{}", "{VAULT_ADDR: {valueFrom: {configMapKeyRef: {name: a, key: b}}}}", 8200, 0},
		{"{KAI_SQL_URL: 'mysql://u@a.test/kai'}", "{VAULT_ADDR: 'http://b.test'}", 80, 3306},
		{"{}", "{KAI_SQL_HOST: a.test}", 0, 5432},
		{"{}", "{KAI_SQL_HOST: a.test, KAI_SQL_DRIVER: mysql}", 0, 3306},
		{"{}", "{KAI_SQL_HOST: a.test, KAI_SQL_PORT: '6000'}", 0, 6000},
		{"{}", "{KAI_SQL_HOST: {valueFrom: {configMapKeyRef: {name: a, key: b}}}, KAI_SQL_PORT: 6000}", 0, 6000},
		{"{KAI_SQL_URL: 'mysql://u@a.test:7000/kai'}", "{KAI_SQL_HOST: b.test, KAI_SQL_PORT: '6000'}", 0, 7000},
		{"{KAI_SQL_URL: 'mysql://u@a.test:7000/kai'}", "{KAI_SQL_URL: '', KAI_SQL_HOST: b.test, KAI_SQL_PORT: '6000'}", 0, 6000},
	} {
		parse := func(text string) *source.Value {
			v, findings := source.ParseYAML("", []byte(text))
			if findings.Err() != nil {
				t.Fatal(findings)
			}
			return v
		}
		r := running{&generator.Runtime{Store: parse(test.store), Env: parse(test.env)}}
		if vault, database := r.vaultPort(), r.databasePort(); vault != test.vault || database != test.database {
			t.Errorf("%s, %s: %d, %d", test.store, test.env, vault, database)
		}
	}
}
