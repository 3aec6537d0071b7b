package file

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// TestDeploymentIsBound moves ciphertexts from the file of one deployment to that of
// another: they do not open there.
func TestDeploymentIsBound(t *testing.T) {
	t.Parallel()
	ids, recipient := identity(t)
	dir := t.TempDir()
	path := func(deployment string) secrets.Path {
		return secrets.Path{Deployment: deployment, App: "carts", Scope: secrets.Secret}
	}
	get := func(t *testing.T, file, deployment string) (string, error) {
		t.Helper()
		docs, err := newStore(t, file, Options{Identities: ids}).Read(t.Context(), []secrets.Path{path(deployment)})
		at := secrets.Key{Deployment: deployment, App: "carts", Scope: secrets.Secret, Name: "a"}
		provider, findings := OpenWith(os.DirFS(dir), filepath.Base(file), ids)
		if findings.Err() != nil {
			t.Fatal(findings)
		}
		if values, also := provider.Get(t.Context(), []secrets.Key{at}); (also == nil) != (err == nil) || !values[at].Equal(docs[path(deployment)].Values["a"]) {
			t.Errorf("the store says %v, the provider %v", err, also)
		}
		return docs[path(deployment)].Values["a"].Reveal(), err
	}
	bound := filepath.Join(dir, "bound.yaml")
	s := newStore(t, bound, Options{Identities: ids})
	if err := s.AddRecipient(t.Context(), recipient); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(t.Context(), secrets.Doc{Path: path("prod"), Values: map[string]secrets.Value{"a": secrets.New(canary)}}); err != nil {
		t.Fatal(err)
	}
	if text, err := get(t, bound, "prod"); err != nil || text != canary {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := get(t, bound, "dev"); err == nil || !strings.Contains(err.Error(), "is encrypted for the deployment prod, and is asked for by dev") || strings.Contains(err.Error(), canary) {
		t.Errorf("in dev: %v", err)
	}

	// What an older kai has written names no deployment. It opens for any, until it is
	// encrypted anew.
	key, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, key)
	if err != nil {
		t.Fatal(err)
	}
	head, _ := json.Marshal([]string{format, "carts", secrets.Secret, "a"})
	_, _ = w.Write(append(append(head, '\n'), secrets.Pack(secrets.New(canary))...))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	older := filepath.Join(dir, "older.yaml")
	text := "apiVersion: kai/v1\nrecipients: [" + recipient + "]\napps:\n  carts:\n    secret: {a: \"age:" + base64.RawStdEncoding.EncodeToString(sealed.Bytes()) + "\"}\n"
	if err := os.WriteFile(older, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, deployment := range []string{"prod", "dev"} {
		if text, err := get(t, older, deployment); err != nil || text != canary {
			t.Errorf("%s: %q, %v", deployment, text, err)
		}
	}
	for range 2 { // what is bound stays so, whoever encrypts it anew
		if n, err := newStore(t, older, Options{Identities: ids, Bind: "prod"}).Reencrypt(t.Context()); err != nil || n != 1 {
			t.Fatalf("%d, %v", n, err)
		}
		if _, err := get(t, older, "prod"); err != nil {
			t.Error(err)
		}
		if _, err := get(t, older, "dev"); err == nil {
			t.Error("it is bound to none")
		}
	}
}

// TestEncryptUnderTheLock writes to a file whose recipients are removed while the
// store has it open: nothing of scope secret stands there plain.
func TestEncryptUnderTheLock(t *testing.T) {
	t.Parallel()
	ids, recipient := identity(t)
	file := filepath.Join(t.TempDir(), "dev.yaml")
	s := newStore(t, file, Options{Identities: ids, Encrypt: true})
	if err := s.AddRecipient(t.Context(), recipient); err != nil {
		t.Fatal(err)
	}
	if !s.Can().Encrypted {
		t.Fatal("it does not encrypt")
	}
	if err := os.WriteFile(file, []byte("apiVersion: kai/v1\napps: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	doc := secrets.Doc{Path: secrets.Path{Deployment: "dev", App: "carts", Scope: secrets.Secret}, Values: map[string]secrets.Value{"a": secrets.New(canary)}}
	var cannot *secrets.CannotError
	if _, err := s.Write(t.Context(), doc); !errors.As(err, &cannot) || !strings.Contains(err.Error(), "nothing encrypts it there\n  hint: add a recipient") {
		t.Errorf("it is written: %v", err)
	}
	if err := s.Check(t.Context(), []secrets.Doc{doc}); !errors.As(err, &cannot) {
		t.Errorf("it can be written: %v", err)
	}
	if data, err := os.ReadFile(file); err != nil || bytes.Contains(data, []byte(canary)) {
		t.Errorf("%v, %s", err, data)
	}
	doc.Path.Scope = secrets.Private
	if _, err := s.Write(t.Context(), doc); err != nil {
		t.Error(err)
	}
}
