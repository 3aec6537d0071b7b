package file

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"filippo.io/age"
	"github.com/davecgh/go-spew/spew"
	"golang.org/x/crypto/ssh"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
	"github.com/helm-kai/helm-kai/internal/source"
)

const canary = "example-canary"

// identity makes a private key and gives its recipient.
func identity(t testing.TB) (*Identities, string) {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	ids, err := ParseIdentities("KAI_AGE_KEY", "# a comment\n\n  "+key.String()+"\r\n")
	if err != nil {
		t.Fatal(err)
	}
	return ids, key.Recipient().String()
}

func newStore(t testing.TB, path string, o Options) *Store {
	t.Helper()
	s, err := NewStore(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContractOfAPlainFile(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) secrets.Store {
		return newStore(t, filepath.Join(t.TempDir(), "secrets", "dev.yaml"), Options{Deployment: storetest.Deployment})
	})
}

func TestContractOfAnEncryptedFile(t *testing.T) {
	t.Parallel()
	ids, to := identity(t)
	storetest.Run(t, func(t *testing.T) secrets.Store {
		s := newStore(t, filepath.Join(t.TempDir(), "dev.yaml"), Options{Deployment: storetest.Deployment, Identities: ids})
		if err := s.AddRecipient(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// TestContractOfAFileThatOthersEncrypt has a keyring for a file without
// recipients.
func TestContractOfAFileThatOthersEncrypt(t *testing.T) {
	t.Parallel()
	ring, err := secrets.NewKeyring(map[string][]byte{"k": bytes.Repeat([]byte("k"), 32)}, "k")
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, func(t *testing.T) secrets.Store {
		return secrets.Encrypted(newStore(t, filepath.Join(t.TempDir(), "dev.yaml"), Options{Deployment: storetest.Deployment}), ring)
	})
}

func path(app, scope string) secrets.Path {
	return secrets.Path{Deployment: "dev", App: app, Scope: scope}
}

func set(t testing.TB, s secrets.Store, p secrets.Path, values map[string]any) {
	t.Helper()
	if _, err := secrets.Edit(t.Context(), s, p, func(now map[string]secrets.Value) error {
		for name, x := range values {
			v, err := secrets.Of(x)
			if err != nil {
				return err
			}
			now[name] = v
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, s secrets.Store, p secrets.Path) map[string]string {
	t.Helper()
	docs, err := s.Read(t.Context(), []secrets.Path{p})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for name, v := range docs[p].Values {
		out[name] = v.Kind().String() + " " + v.Reveal()
	}
	return out
}

func read(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEncrypts(t *testing.T) {
	t.Parallel()
	ids, to := identity(t)
	name := filepath.Join(t.TempDir(), "dev.yaml")
	write(t, name, "# the shop\napiVersion: kai/v1\nrecipients: ["+to+"] # ops\napps:\n  carts:\n    secret:\n      PLAIN: example-by-hand # later\n    private: {A: "+canary+"}\n")
	s := newStore(t, name, Options{Deployment: "dev", Identities: ids})
	if !s.Can().Encrypted {
		t.Error("the store does not say that it encrypts")
	}
	set(t, s, path("carts", "secret"), map[string]any{"DB": canary, "MAP": map[string]any{"a": canary}, "COUNT": 12, "EMPTY": ""})
	text := read(t, name)
	if strings.Count(text, canary) != 1 || strings.Count(text, " age:") != 4 || !strings.Contains(text, "PLAIN: example-by-hand # later\n") {
		t.Errorf("the file is\n%s", text)
	}
	want := map[string]string{"DB": "text " + canary, "MAP": `map {"a":"` + canary + `"}`, "COUNT": "number 12", "EMPTY": "text ", "PLAIN": "text example-by-hand"}
	if got := get(t, s, path("carts", "secret")); !maps.Equal(got, want) {
		t.Errorf("it holds %v", got)
	}

	// Another key does not touch the ciphertexts that are there.
	set(t, s, path("carts", "secret"), map[string]any{"COUNT": 13})
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "COUNT: ") && !strings.Contains(read(t, name), line) {
			t.Errorf("the line %q changed", line)
		}
	}
	// A write of the same values writes nothing.
	before, text := stat(t, name), read(t, name)
	set(t, s, path("carts", "secret"), map[string]any{"COUNT": 13, "DB": canary})
	if after := stat(t, name); read(t, name) != text || !os.SameFile(before, after) {
		t.Error("a write that changes nothing wrote the file")
	}

	// What is plain is found, and encrypted on demand.
	plain, err := s.Plain(t.Context())
	if err != nil || len(plain) != 1 || plain[0].Key != (secrets.Key{Deployment: "dev", App: "carts", Scope: "secret", Name: "PLAIN"}) || plain[0].At.Line != 7 {
		t.Errorf("plain are %v, %v", plain, err)
	}
	if n, err := s.Reencrypt(t.Context()); err != nil || n != 5 {
		t.Errorf("%d were encrypted, %v", n, err)
	}
	text = read(t, name)
	if strings.Contains(text, "by-hand") || !strings.Contains(text, " # later\n") || !strings.Contains(text, canary) {
		t.Errorf("the file is\n%s", text)
	}
	want["COUNT"] = "number 13"
	if got := get(t, s, path("carts", "secret")); !maps.Equal(got, want) {
		t.Errorf("it holds %v", got)
	}
	if plain, err := s.Plain(t.Context()); err != nil || len(plain) != 0 {
		t.Errorf("plain are %v, %v", plain, err)
	}

	// A provider warns of what is plain.
	write(t, name+".plain", "apiVersion: kai/v1\nrecipients: ["+to+"]\napps:\n  carts:\n    secret:\n      PLAIN: example-by-hand\n      EMPTY: \"\"\n    public: {A: x}\n")
	other, findings := OpenWith(os.DirFS(filepath.Dir(name)), "dev.yaml.plain", ids)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	if got := other.Warnings(); got.Err() != nil || len(got) != 2 || !strings.HasPrefix(got[1].String(), "dev.yaml.plain:6:14: ") || !strings.Contains(got[1].String(), "apps.carts.secret.PLAIN: stands there plain, though the file has recipients") || strings.Contains(got[1].String(), "by-hand") {
		t.Errorf("it warns of %v", got)
	}

	// As a provider, by the file system.
	p, findings := OpenWith(os.DirFS(filepath.Dir(name)), "dev.yaml", ids)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	key := secrets.Key{Deployment: "dev", App: "carts", Scope: "secret", Name: "DB"}
	if got, err := p.Get(t.Context(), []secrets.Key{key}); err != nil || got[key].Reveal() != canary {
		t.Errorf("the provider gives %v", err)
	}
}

func stat(t testing.TB, name string) fs.FileInfo {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// TestDoesNotOpen has every reason why a value does not open: the message names
// the file and the key.
func TestDoesNotOpen(t *testing.T) {
	t.Parallel()
	ids, to := identity(t)
	other, _ := identity(t)
	name := filepath.Join(t.TempDir(), "dev.yaml")
	write(t, name, "apiVersion: kai/v1\nrecipients: ["+to+"]\napps: {}\n")
	s := newStore(t, name, Options{Identities: ids})
	set(t, s, path("carts", "secret"), map[string]any{"A": canary, "B": "example-b"})
	set(t, s, path("carts", "public"), map[string]any{"URL": "example"})
	text := read(t, name)
	lines := strings.Split(text, "\n")
	var a, b string
	for _, line := range lines {
		if rest, ok := strings.CutPrefix(line, "      A: "); ok {
			a = rest
		} else if rest, ok := strings.CutPrefix(line, "      B: "); ok {
			b = rest
		}
	}
	foreign := func() string {
		var out bytes.Buffer
		key, err := age.ParseX25519Recipient(to)
		if err != nil {
			t.Fatal(err)
		}
		w, err := age.Encrypt(&out, key)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, canary)
		w.Close()
		return sealedPrefix + base64.RawStdEncoding.EncodeToString(out.Bytes())
	}()
	for _, tt := range []struct {
		name, text string
		with       *Identities
		want       string
	}{
		{"missing", text, nil, "is encrypted, and no age identity is given\n  hint: set KAI_AGE_KEY_FILE to the file of the identity, or KAI_AGE_KEY to its text"},
		{"other", text, other, "is encrypted for others: no age identity that is given opens it\n  hint: ask one of the file's recipients to add yours, or give another identity in KAI_AGE_KEY_FILE or KAI_AGE_KEY"},
		{"moved", strings.Replace(text, a, b, 1), ids, "is encrypted as carts.secret.B, and was moved here"},
		{"damaged", strings.Replace(text, a, a[:len(a)-8]+"AAAAAAAA", 1), ids, "is encrypted, and was damaged\n  hint: take the value from an earlier revision of the file, or set it anew"},
		{"cut", strings.Replace(text, a, a[:100], 1), ids, "is encrypted, and was damaged\n  hint: take the value from an earlier revision of the file, or set it anew"},
		{"no base64", strings.Replace(text, a, a[:100]+"%", 1), ids, "is encrypted, and was damaged\n  hint: take the value from an earlier revision of the file, or set it anew"},
		{"not kai's", strings.Replace(text, a, foreign, 1), ids, "is encrypted, and not by kai: what it holds does not say where it belongs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(t.TempDir(), "dev.yaml")
			write(t, name, tt.text)
			s := newStore(t, name, Options{Identities: tt.with})
			want := name + ":6:10: apps.carts.secret.A: " + tt.want
			_, err := s.Read(t.Context(), []secrets.Path{path("carts", "secret")})
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "example") {
				t.Errorf("got %v, want %s", err, want)
			}
			if _, err := s.Reencrypt(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Reencrypt: %v", err)
			}
			if read(t, name) != tt.text {
				t.Error("the file changed")
			}
			// What is not encrypted is read without a key.
			if got := get(t, s, path("carts", "public")); got["URL"] != "text example" {
				t.Errorf("scope public gives %v", got)
			}
			p, findings := OpenWith(fstest.MapFS{"dev.yaml": {Data: []byte(tt.text)}}, "dev.yaml", tt.with)
			if len(findings) > 0 {
				t.Fatal(findings)
			}
			key := secrets.Key{App: "carts", Scope: "secret", Name: "A"}
			if got, err := p.Get(t.Context(), []secrets.Key{key}); got != nil || err == nil || err.Error() != "dev.yaml:6:10: apps.carts.secret.A: "+tt.want {
				t.Errorf("the provider: %v, %v", got, err)
			}
			// It is deleted without a key, and what stands beside it stays as it is.
			changes, err := secrets.Remove(t.Context(), s.Closed(), "dev", secrets.Pattern{App: "carts", Scope: "secret", Name: "A"}, false)
			if err != nil || len(changes) != 1 || read(t, name) != text[:strings.Index(text, "      A: ")]+text[strings.Index(text, "      B: "):] {
				t.Errorf("deleted: %v, %v\n%s", changes, err, read(t, name))
			}
		})
	}
}

func TestRecipients(t *testing.T) {
	t.Parallel()
	alice, toAlice := identity(t)
	bob, toBob := identity(t)
	name := filepath.Join(t.TempDir(), "dev.yaml")
	write(t, name, "# kept\napiVersion: kai/v1\napps:\n  carts:\n    secret:\n      A: "+canary+" # of A\n      B: {c: [1]}\n    public: {URL: x}\n")
	s := newStore(t, name, Options{Identities: alice})
	if s.Can().Encrypted {
		t.Error("a plain file says that it encrypts")
	}
	if _, err := s.Reencrypt(t.Context()); !cannot(err) {
		t.Errorf("without recipients: %v", err)
	}
	want := map[string]string{"A": "text " + canary, "B": `map {"c":[1]}`}
	for _, to := range []string{toAlice, toBob, " " + toBob + " "} {
		if err := s.AddRecipient(t.Context(), to); err != nil {
			t.Fatal(err)
		}
	}
	text := read(t, name)
	if strings.Contains(text, canary) || !strings.HasPrefix(text, "# kept\napiVersion: kai/v1\nrecipients:\n  - "+toAlice+"\n  - "+toBob+"\napps:\n") || !strings.Contains(text, " # of A\n") || !strings.HasSuffix(text, "    public: {URL: x}\n") {
		t.Errorf("the file is\n%s", text)
	}
	for who, ids := range map[string]*Identities{"alice": alice, "bob": bob} {
		if got := get(t, newStore(t, name, Options{Identities: ids}), path("carts", "secret")); !maps.Equal(got, want) {
			t.Errorf("%s reads %v", who, got)
		}
	}
	if list, err := s.Recipients(t.Context()); err != nil || len(list) != 2 {
		t.Errorf("the recipients are %v, %v", list, err)
	}

	if err := s.RemoveRecipient(t.Context(), toBob); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, path("carts", "secret")); !maps.Equal(got, want) {
		t.Errorf("alice reads %v", got)
	}
	if _, err := newStore(t, name, Options{Identities: bob}).Read(t.Context(), []secrets.Path{path("carts", "secret")}); err == nil {
		t.Error("bob still reads")
	}
	text = read(t, name)
	for what, err := range map[string]error{
		"the last":              s.RemoveRecipient(t.Context(), toAlice),
		"one who is not":        s.RemoveRecipient(t.Context(), toBob),
		"no recipient":          s.AddRecipient(t.Context(), canary),
		"a broken one":          s.AddRecipient(t.Context(), "age1"+canary),
		"a private key":         s.AddRecipient(t.Context(), "AGE-SECRET-KEY-1"+canary),
		"by who cannot read":    newStore(t, name, Options{Identities: bob}).AddRecipient(t.Context(), toBob),
		"by who has no key":     newStore(t, name, Options{}).AddRecipient(t.Context(), toBob),
		"removed by who cannot": newStore(t, name, Options{}).RemoveRecipient(t.Context(), toAlice),
	} {
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if read(t, name) != text {
		t.Error("a refusal changed the file")
	}

	// What two kinds of keys cannot do together is told, and changes nothing.
	pq, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddRecipient(t.Context(), pq.Recipient().String()); err == nil || !strings.Contains(err.Error(), "cannot be encrypted") || read(t, name) != text {
		t.Errorf("got %v", err)
	}
}

func cannot(err error) bool {
	var c *secrets.CannotError
	return errors.As(err, &c)
}

func TestHybridAndSSH(t *testing.T) {
	t.Parallel()
	pq, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "example")
	if err != nil {
		t.Fatal(err)
	}
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(private, "example", []byte(canary))
	if err != nil {
		t.Fatal(err)
	}
	sshKey, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	for to, key := range map[string]string{
		pq.Recipient().String(): pq.String(),
		strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshKey))) + " someone@example.com": string(pem.EncodeToMemory(block)),
	} {
		ids, err := ParseIdentities("KAI_AGE_KEY_FILE", key)
		if err != nil {
			t.Error(err)
			continue
		}
		s := newStore(t, filepath.Join(t.TempDir(), "dev.yaml"), Options{Identities: ids})
		if err := s.AddRecipient(t.Context(), to); err != nil {
			t.Error(err)
			continue
		}
		set(t, s, path("carts", "secret"), map[string]any{"A": canary})
		if got := get(t, s, path("carts", "secret")); got["A"] != "text "+canary || strings.Contains(read(t, s.path), canary) {
			t.Errorf("%s gives %v", to, got)
		}
		if err := s.AddRecipient(t.Context(), strings.Join(strings.Fields(to)[:min(2, len(strings.Fields(to)))], "  ")); err != nil {
			t.Errorf("once more: %v", err)
		}
		if list, err := s.Recipients(t.Context()); err != nil || len(list) != 1 {
			t.Errorf("the recipients are %v, %v", list, err)
		}
	}
	if ids, err := ParseIdentities("KAI_AGE_KEY_FILE", string(pem.EncodeToMemory(locked))); err == nil || ids != nil || !strings.Contains(err.Error(), "KAI_AGE_KEY_FILE: the SSH key has a passphrase") {
		t.Errorf("got %v", err)
	}
}

func TestParseIdentitiesRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{canary, "# only", "AGE-SECRET-KEY-1" + canary, "\n\nAGE-SECRET-KEY-PQ-1" + canary, "-----BEGIN OPENSSH PRIVATE KEY-----\n" + canary, "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", canary + "\xff"} {
		if ids, err := ParseIdentities("KAI_AGE_KEY", text); err == nil || ids != nil || strings.Contains(err.Error(), "canary") || !strings.HasPrefix(err.Error(), "KAI_AGE_KEY: ") {
			t.Errorf("%q: %v, %v", text, ids, err)
		}
	}
	if ids, err := ParseIdentities("KAI_AGE_KEY", " \n"); err != nil || ids != nil {
		t.Errorf("nothing gives %v, %v", ids, err)
	}
}

func TestRecipientsInTheFile(t *testing.T) {
	t.Parallel()
	_, to := identity(t)
	for text, want := range map[string]string{
		"recipients: x":                        "x.yaml:2:13: recipients: must be a list, and is text\n  hint: write recipients: [age1…]",
		"recipients: [AGE-SECRET-KEY-1XYZ]":    "x.yaml:2:14: recipients[0]: is no recipient of age\n  hint: it is the public key age1…, as age-keygen prints it, or that of an SSH key (ssh-ed25519 …, ssh-rsa …)",
		"recipients: [{a: b}]":                 "x.yaml:2:14: recipients[0]: is no recipient of age\n  hint: it is the public key age1…, as age-keygen prints it, or that of an SSH key (ssh-ed25519 …, ssh-rsa …)",
		"recipients: [" + to + ", " + to + "]": "x.yaml:2:78: recipients[1]: the recipient stands here twice\n  hint: keep one of the two",
	} {
		if _, findings := parse("x.yaml", []byte("apiVersion: kai/v1\n"+text+"\napps: {}\n")); findings.Error() != want {
			t.Errorf("%s\ngives %s\nwant  %s", text, findings.Error(), want)
		}
	}
}

// TestPlainFileRefuses what would be taken for an encrypted value, and what YAML
// does not hold.
func TestPlainFileRefuses(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "dev.yaml")
	s := newStore(t, name, Options{Deployment: "dev"})
	for what, doc := range map[string]secrets.Doc{
		"sealed":     {Path: path("carts", "secret"), Values: map[string]secrets.Value{"A": secrets.New("age:YWdlLWVuY3J5cHRpb24ub3JnL3YxCg")}},
		"bytes":      {Path: path("carts", "secret"), Values: map[string]secrets.Value{"A": secrets.New(canary + "\xff")}},
		"scope":      {Path: path("carts", "other"), Values: map[string]secrets.Value{"A": secrets.New(canary)}},
		"app":        {Path: path("", "secret"), Values: map[string]secrets.Value{"A": secrets.New(canary)}},
		"name":       {Path: path("carts", "secret"), Values: map[string]secrets.Value{" ": secrets.New(canary)}},
		"too large":  {Path: path("carts", "secret"), Values: map[string]secrets.Value{"A": secrets.New(strings.Repeat(canary, source.MaxFile/len(canary)))}},
		"deployment": {Path: secrets.Path{Deployment: "prod", App: "carts", Scope: "secret"}, Values: map[string]secrets.Value{"A": secrets.New(canary)}},
	} {
		if _, err := s.Write(t.Context(), doc); !cannot(err) || strings.Contains(err.Error(), canary) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a refusal made the file: %v", err)
	}
	// Encrypted, bytes are as good as text.
	ids, to := identity(t)
	s = newStore(t, name, Options{Identities: ids})
	if err := s.AddRecipient(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	set(t, s, path("carts", "secret"), map[string]any{"A": "\x00\xff"})
	if got := get(t, s, path("carts", "secret")); got["A"] != "text \x00\xff" {
		t.Errorf("bytes come back as %q", got["A"])
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "new.yaml")
	s := newStore(t, name, Options{})
	set(t, s, path("carts", "secret"), map[string]any{"A": "x"})
	if mode := stat(t, name).Mode(); mode.Perm() != 0o600 {
		t.Errorf("a new file has the mode %v", mode)
	}
	if err := os.Chmod(name, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.yaml")
	if err := os.Symlink("new.yaml", link); err != nil {
		t.Skip(err)
	}
	set(t, newStore(t, link, Options{}), path("carts", "secret"), map[string]any{"A": "y"})
	if mode := stat(t, name).Mode(); mode.Perm() != 0o640 {
		t.Errorf("an old file got the mode %v", mode)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 || !strings.Contains(read(t, name), "A: \"y\"") {
		t.Errorf("the link is %v, %v", info, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
}

// TestLeftovers has what a writer that died leaves.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "dev.yaml")
	write(t, filepath.Join(dir, ".dev.yaml.new"), canary)
	write(t, filepath.Join(dir, ".dev.yaml.lock"), "")
	s := newStore(t, name, Options{})
	set(t, s, path("carts", "secret"), map[string]any{"A": "x"})
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
}

// TestWriteFails leaves the file as it was.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "dev.yaml")
	write(t, name, empty)
	if err := os.MkdirAll(filepath.Join(dir, ".dev.yaml.new", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := newStore(t, name, Options{})
	_, err := s.Write(t.Context(), secrets.Doc{Path: path("carts", "secret"), Values: map[string]secrets.Value{"A": secrets.New(canary)}})
	if err == nil || !strings.Contains(err.Error(), name+" was not written") || strings.Contains(err.Error(), canary) || read(t, name) != empty {
		t.Errorf("got %v", err)
	}
	// A file that became something else is not overwritten.
	write(t, name, "carts: ["+canary)
	_, err = s.Write(t.Context(), secrets.Doc{Path: path("carts", "secret"), Values: map[string]secrets.Value{"A": secrets.New("x")}})
	if err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("got %v", err)
	}
	if _, err := NewStore(name, Options{}); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("got %v", err)
	}
}

// TestHuge has a file of 200 MB, which is a hole, in the place of the store's.
func TestHuge(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "dev.yaml")
	write(t, name, empty)
	s := newStore(t, name, Options{})
	if err := os.Truncate(name, 200_000_000); err != nil {
		t.Fatal(err)
	}
	_, read := s.Read(t.Context(), []secrets.Path{path("carts", "secret")})
	_, written := s.Write(t.Context(), secrets.Doc{Path: path("carts", "secret"), Values: map[string]secrets.Value{"A": secrets.New(canary)}})
	_, opened := NewStore(name, Options{})
	for what, err := range map[string]error{"read": read, "written": written, "opened": opened} {
		if err == nil || !strings.Contains(err.Error(), "the bound of 4096 KiB") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestWaitsForTheLock(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "dev.yaml")
	write(t, name, empty)
	unlock, err := lock(t.Context(), lockName(name))
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t, name, Options{})
	doc := secrets.Doc{Path: path("carts", "secret"), Values: map[string]secrets.Value{"A": secrets.New("x")}}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := s.Write(ctx, doc); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := s.Write(t.Context(), doc)
		done <- err
	}()
	unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestNothingIsPrinted(t *testing.T) {
	t.Parallel()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	ids, err := ParseIdentities("KAI_AGE_KEY", key.String())
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t, filepath.Join(t.TempDir(), "dev.yaml"), Options{Identities: ids})
	c := spew.ConfigState{DisableMethods: true, Indent: " "}
	out := fmt.Sprintf("%v %+v %#v %v %#v", s, s, s, ids, *ids) + c.Sdump(s, ids)
	if strings.Contains(out, key.String()) || strings.Contains(out, "secretKey") {
		t.Errorf("a printed store shows its identity: %s", out)
	}
}

// TestProcesses lets several processes count in one file, of which some are
// killed at any time: no count is lost, and none of a killed one is half done.
func TestProcesses(t *testing.T) {
	if name := os.Getenv("FILE_TEST_COUNT"); name != "" {
		s := newStore(t, name, Options{})
		n, err := strconv.Atoi(os.Getenv("FILE_TEST_TIMES"))
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			if _, err := secrets.Edit(t.Context(), s, path("carts", "private"), func(values map[string]secrets.Value) error {
				n, _ := strconv.Atoi(values["N"].Reveal())
				values["N"] = secrets.New(strconv.Itoa(n + 1))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			fmt.Println("counted")
		}
		return
	}
	t.Parallel()
	name := filepath.Join(t.TempDir(), "dev.yaml")
	write(t, name, "apiVersion: kai/v1\napps:\n  carts:\n    private:\n      # counts\n      N: \"0\"\n")
	start := func(times int) (*exec.Cmd, *bytes.Buffer) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcesses$")
		cmd.Env = append(os.Environ(), "FILE_TEST_COUNT="+name, "FILE_TEST_TIMES="+strconv.Itoa(times), "GOCOVERDIR="+t.TempDir())
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, &out
	}
	const times = 40
	a, outA := start(times)
	b, outB := start(times)
	counted, killed := 2*times, 0
	for range 8 {
		c, out := start(1_000_000)
		time.Sleep(50 * time.Millisecond)
		if err := c.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = c.Wait()
		counted += strings.Count(out.String(), "counted")
		killed++
	}
	for i, cmd := range []*exec.Cmd{a, b} {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, []*bytes.Buffer{outA, outB}[i])
		}
	}
	n, err := strconv.Atoi(strings.TrimPrefix(get(t, newStore(t, name, Options{}), path("carts", "private"))["N"], "text "))
	if err != nil || n < counted || n > counted+killed {
		t.Errorf("%d were counted, and %d stands there, %v", counted, n, err)
	}
	if !strings.Contains(read(t, name), "      # counts\n") {
		t.Errorf("the file is\n%s", read(t, name))
	}
}

// FuzzStore writes texts into an encrypted and a plain scope, and reads them.
func FuzzStore(f *testing.F) {
	f.Add("carts", "A", "x", "B", "a\nb")
	f.Add("a.b", "with space", "age:x", "{", "\x00\xff")
	ids, to := identity(f)
	f.Fuzz(func(t *testing.T, app, one, first, two, second string) {
		s := newStore(t, filepath.Join(t.TempDir(), "dev.yaml"), Options{Identities: ids})
		if err := s.AddRecipient(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		want := map[string]secrets.Value{one: secrets.New(first), two: secrets.New(second)}
		for _, scope := range []string{secrets.Secret, secrets.Public} {
			doc := secrets.Doc{Path: path(app, scope), Values: want}
			if _, err := s.Write(t.Context(), doc); err != nil {
				if !cannot(err) {
					t.Fatal(err)
				}
				continue
			}
			docs, err := s.Read(t.Context(), []secrets.Path{doc.Path})
			if err != nil || !maps.EqualFunc(docs[doc.Path].Values, want, secrets.Value.Equal) {
				t.Fatalf("%v in\n%s", err, read(t, s.path))
			}
		}
	})
}

// TestDamagedIsNoValue: what begins as a ciphertext in scope secret, where the file
// encrypts, is one.
func TestDamagedIsNoValue(t *testing.T) {
	t.Parallel()
	ids, to := identity(t)
	for _, text := range []string{"age:", "age:%%%", "age:example", "age:YWdl", "age:YWdlLWVuY3J5cHRpb24ub3JnL3Yx", "age:YWdlLWVuY3J5cHRpb24ub3JnL3YxCg"} {
		name := filepath.Join(t.TempDir(), "dev.yaml")
		write(t, name, "apiVersion: kai/v1\nrecipients: ["+to+"]\napps: {carts: {secret: {KEY: \""+text+"\"}, private: {KEY: \"age:30\"}}}\n")
		s := newStore(t, name, Options{Identities: ids})
		_, err := s.Read(t.Context(), []secrets.Path{path("carts", "secret")})
		if err == nil || !strings.Contains(err.Error(), "apps.carts.secret.KEY: is encrypted, and was damaged") {
			t.Errorf("%s: %v", text, err)
		}
		if got := get(t, s, path("carts", "private")); got["KEY"] != "text age:30" {
			t.Errorf("%s: beside it is %v", text, got)
		}
	}
}
