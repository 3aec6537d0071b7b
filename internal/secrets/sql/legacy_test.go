package sql

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

func TestLegacy(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "kaigara_shop_test.db")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{URL: "sqlite:" + file}
	_, err := Legacy(t.Context(), o)
	wantError(t, err, file, `there is no table "data"`, "hint:")
	checkLegacy(t, o, "id INTEGER PRIMARY KEY, created_at DATETIME, updated_at DATETIME, deleted_at DATETIME, app_name TEXT, scope TEXT, value JSON, version BIGINT", "shop_test")

	_, err = Legacy(t.Context(), Options{URL: "sqlite:" + file + ".away"})
	wantError(t, err, "no such file")
	if _, err := os.Stat(file + ".away"); !os.IsNotExist(err) {
		t.Error("the file was made")
	}
}

// checkLegacy makes the older system's table and reads it.
func checkLegacy(t *testing.T, o Options, columns, deployment string) {
	t.Helper()
	s := mustOpen(t, o)
	run := func(statement string) {
		t.Helper()
		if _, err := s.db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	table := "data"
	if o.Table != "" {
		table = o.Table
	}
	run("CREATE TABLE " + table + " (" + columns + ")")
	t.Cleanup(func() {
		_, _ = s.db.Exec("DROP TABLE " + table)
	})
	for _, row := range []string{
		`1, NULL, 'carts', 'secret', '{"pass":"AAECAw==","version":3}', 3`,
		`2, NULL, 'carts', 'public', '{"URL":"http://carts.example.com","n":1.50,"on":true,"none":null,"list":[1,{"a":"ä"}],"version":0}', 0`,
		`3, '2023-01-02 03:04:05', 'gone', 'public', '{"a":"b","version":1}', 1`,
		`4, NULL, 'global', 'private', '{"a":"old","version":1}', 1`,
		`5, NULL, 'global', 'private', '{"a":"new","version":2}', 2`,
		`6, NULL, 'empty', 'private', '{"version":2}', 2`,
	} {
		run("INSERT INTO " + table + " (id, deleted_at, app_name, scope, value, version) VALUES (" + row + ")")
	}
	docs, err := Legacy(t.Context(), o)
	if err != nil || len(docs) != 3 {
		t.Fatalf("%d paths, %v", len(docs), err)
	}
	got := map[secrets.Path]secrets.Doc{}
	for _, doc := range docs {
		got[doc.Path] = doc
	}
	for path, fields := range map[secrets.Path]map[string]any{
		{Deployment: deployment, App: "carts", Scope: "secret"}:   {"pass": "AAECAw=="},
		{Deployment: deployment, App: "carts", Scope: "public"}:   {"URL": "http://carts.example.com", "n": json.Number("1.50"), "on": true, "list": []any{json.Number("1"), map[string]any{"a": "ä"}}},
		{Deployment: deployment, App: "global", Scope: "private"}: {"a": "new"},
	} {
		if !same(got[path].Values, storetest.Hide(t, fields)) {
			t.Errorf("%s has %d of %d values, or others", path, len(got[path].Values), len(fields))
		}
	}
	if s.dialect == sqlite {
		run("UPDATE " + table + ` SET value = '{"a":"` + canary + `' WHERE id = 1`)
		_, err = Legacy(t.Context(), o)
		wantError(t, err, deployment+"/carts/secret", "no JSON object")
	}
}
