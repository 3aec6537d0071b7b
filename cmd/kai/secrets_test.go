package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"database/sql"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"filippo.io/age"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

// secretsIn gives a function that runs kai secrets in a folder.
func secretsIn(t *testing.T, dir string, env map[string]string) func(stdin string, args ...string) (code int, out, errs string) {
	return func(stdin string, args ...string) (code int, out, errs string) {
		var stdout, stderr bytes.Buffer
		a := &app{stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr, as: "kai", getenv: func(n string) string { return env[n] }, getwd: func() (string, error) { return dir, nil }}
		code = a.execute(t.Context(), append([]string{"secrets"}, args...))
		return code, stdout.String(), stderr.String()
	}
}

// TestRecipients encrypts a file for those who may read it.
func TestRecipients(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeExampleFile(t, filepath.Join(dir, "kai-workspace.yaml"), "apiVersion: kai/v1\nname: shop\nservices: []\ncontexts: [{name: dev, secrets: {provider: file, path: dev.yaml}}]\n")
	var who [2]*age.X25519Identity
	for i := range who {
		var err error
		if who[i], err = age.GenerateX25519Identity(); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{"KAI_AGE_KEY": who[0].String()}
	kai := secretsIn(t, dir, env)
	step := func(code int, stdin, says string, args ...string) {
		t.Helper()
		got, out, errs := kai(stdin, args...)
		if got != code || !strings.Contains(out+errs, says) || strings.Contains(errs, "canary") {
			t.Errorf("%v: %d, %s%s", args, got, out, errs)
		}
	}
	step(exitFailed, "canary-1\n", "recipients: [age1…]", "set", "carts.secret.a")
	step(exitDone, "", "0 values", "rotate-key", "--add-recipient", who[0].Recipient().String())
	step(exitDone, "canary-1\n", "added", "set", "carts.secret.a")
	env["KAI_AGE_KEY"] = who[1].String()
	step(exitFailed, "", "carts", "get", "carts.secret.a")
	env["KAI_AGE_KEY"] = who[0].String()
	step(exitDone, "", "1 values", "rotate-key", "--add-recipient", who[1].Recipient().String())
	env["KAI_AGE_KEY"] = who[1].String()
	step(exitDone, "", "canary-1", "get", "carts.secret.a")
	step(exitDone, "", "1 values", "rotate-key", "--remove-recipient", who[0].Recipient().String())
	env["KAI_AGE_KEY"] = who[0].String()
	step(exitFailed, "", "carts", "get", "carts.secret.a")
	step(exitDone, "", "carts.secret.a", "list", "-o", "name")
	step(exitFailed, "", "--new is for databases", "rotate-key", "--new")
	if data, err := os.ReadFile(filepath.Join(dir, "dev.yaml")); err != nil || bytes.Contains(data, []byte("canary")) {
		t.Errorf("%v, %s", err, data)
	}
}

// TestImportOlderDatabase reads a table of the older system, whose scope secret is
// encrypted as that system did it.
func TestImportOlderDatabase(t *testing.T) {
	t.Parallel()
	const key = "changemechangeme"
	dir := t.TempDir()
	older := filepath.Join(dir, "kaigara_shop.db")
	olderTable(t, older, key, map[string]string{"db_password": "canary-older", "empty_not": "x"})
	writeExampleFile(t, filepath.Join(dir, "kai-workspace.yaml"), "apiVersion: kai/v1\nname: shop\nservices: []\ncontexts: [{name: dev}]\n")
	env := map[string]string{"XDG_CONFIG_HOME": filepath.Join(dir, "config")}
	kai := secretsIn(t, dir, env)
	from := []string{"import", "--older-database", "sqlite:" + older, "--older-encryptor", "aes"}
	if code, _, errs := kai("", from...); code != exitFailed || !strings.Contains(errs, "set KAIGARA_ENCRYPTOR_AES_KEY") {
		t.Errorf("without a key: %d, %s", code, errs)
	}
	env["KAIGARA_ENCRYPTOR_AES_KEY"] = "anotherkey123456"
	if code, _, errs := kai("", from...); code != exitFailed || !strings.Contains(errs, "shop/carts/secret: db_password cannot be decrypted: it does not open with the older system's key") || strings.Contains(errs, "canary") {
		t.Errorf("with another key: %d, %s", code, errs)
	}
	env["KAIGARA_ENCRYPTOR_AES_KEY"] = key
	if code, out, errs := kai("", from...); code != exitDone || !strings.Contains(out, "carts.secret.db_password") || strings.Contains(out+errs, "canary") {
		t.Fatalf("%d, %s%s", code, out, errs)
	}
	if code, out, errs := kai("", "get", "carts.secret.db_password"); code != exitDone || out != "canary-older" {
		t.Errorf("%d, %q, %s", code, out, errs)
	}
	if code, out, _ := kai("", "list", "-o", "name"); code != exitDone || strings.Contains(out, "version") {
		t.Errorf("%d, %s", code, out)
	}
	if code, _, errs := kai("", "import", "--older-database", "sqlite:"+older, "--older-encryptor", "rot13"); code != exitFailed || !strings.Contains(errs, "plaintext, aes, transit") {
		t.Errorf("%d, %s", code, errs)
	}
}

// olderTable makes the older system's table with one row.
func olderTable(t *testing.T, file, key string, values map[string]string) {
	t.Helper()
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	row := `{"version":3`
	for name, text := range values {
		row += fmt.Sprintf(`,%q:%q`, name, base64.URLEncoding.EncodeToString(aead.Seal(nil, nil, []byte(text), nil)))
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{
		"CREATE TABLE data (id INTEGER PRIMARY KEY, created_at DATETIME, updated_at DATETIME, deleted_at DATETIME, app_name TEXT, scope TEXT, value JSON, version BIGINT)",
		"INSERT INTO data (app_name, scope, value, version) VALUES ('carts', 'secret', '" + row + "}', 3)",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGeneratedOnce generates from several sides: one value is made, and stays.
func TestGeneratedOnce(t *testing.T) {
	t.Parallel()
	s := &storetest.Memory{}
	path := secrets.Path{Deployment: "dev", App: "carts", Scope: secrets.Secret}
	wanted := map[secrets.Path]map[string]int{path: {"a": 32, "b": 16}}
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			states, err := makeMissing(t.Context(), s, wanted, true, false)
			if err != nil || len(states) != 2 {
				t.Errorf("%v, %v", states, err)
			}
			for _, state := range states {
				if state.State == "made" {
					made.Add(1)
				}
			}
		})
	}
	wg.Wait()
	docs, err := s.Read(t.Context(), []secrets.Path{path})
	if err != nil || made.Load() != 2 || len(docs[path].Values["a"].Reveal()) != 32 || len(docs[path].Values["b"].Reveal()) != 16 || docs[path].Version != "1" {
		t.Errorf("%d made, version %s, %v", made.Load(), docs[path].Version, err)
	}
}
