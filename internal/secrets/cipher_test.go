package secrets_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/davecgh/go-spew/spew"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

const canary = "example-canary"

var where = secrets.Key{Deployment: "dev", App: "carts", Scope: secrets.Secret, Name: "DB"}

// rawKey gives a key that cannot be a real one.
func rawKey(letter string) []byte { return bytes.Repeat([]byte(letter), 32) }

func ring(t testing.TB, current string, ids ...string) *secrets.Keyring {
	t.Helper()
	keys := map[string][]byte{current: rawKey(current[:1])}
	for _, id := range ids {
		keys[id] = rawKey(id[:1])
	}
	r, err := secrets.NewKeyring(keys, current)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sealed is what a keyring has made of the canary once. It opens for ever.
const sealed = "kai:v1:aes256gcm:a1:OiTZZAOt8ebCbkRhyyNSO5fv0qts05UUIQcMCgLYwVkFwW01FBSJPFhP"

func TestKeyring(t *testing.T) {
	t.Parallel()
	old, both, other := ring(t, "a1"), ring(t, "b2", "a1"), ring(t, "c3")
	for _, plain := range []string{"", canary, "\x00\xff", strings.Repeat("x", 1<<20)} {
		sealed, err := old.Seal(t.Context(), where, []byte(plain))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(sealed, "kai:v1:aes256gcm:a1:") || strings.ContainsAny(sealed, "\n =+/") || old.KeyID(sealed) != "a1" || plain == canary && strings.Contains(sealed, canary) {
			t.Errorf("sealed as %.60s", sealed)
		}
		for _, r := range []*secrets.Keyring{old, both} {
			if got, err := r.Open(t.Context(), where, sealed); err != nil || string(got) != plain {
				t.Errorf("opened as %d bytes, %v", len(got), err)
			}
		}
		if again, err := old.Seal(t.Context(), where, []byte(plain)); err != nil || again == sealed {
			t.Error("two ciphertexts are the same")
		}
		if _, err := other.Open(t.Context(), where, sealed); err == nil || !strings.Contains(err.Error(), "the key a1, which is not given") {
			t.Errorf("without the key: %v", err)
		}
	}
	if id, err := both.Current(t.Context(), where); err != nil || id != "b2" {
		t.Errorf("the current key is %s, %v", id, err)
	}
}

// TestKeyringBinds opens a ciphertext at other places, and altered.
func TestKeyringBinds(t *testing.T) {
	t.Parallel()
	r := ring(t, "a1", "a2") // two ids of one key
	if plain, err := r.Open(t.Context(), where, sealed); err != nil || string(plain) != canary {
		t.Fatalf("at its place: %v", err)
	}
	for _, k := range []secrets.Key{
		{Deployment: "prod", App: "carts", Scope: "secret", Name: "DB"},
		{Deployment: "dev", App: "orders", Scope: "secret", Name: "DB"},
		{Deployment: "dev", App: "carts", Scope: "private", Name: "DB"},
		{Deployment: "dev", App: "carts", Scope: "secret", Name: "MAIL"},
		{Deployment: "devc", App: "arts", Scope: "secret", Name: "DB"},
		{Deployment: "dev", App: "carts", Scope: "secretD", Name: "B"},
		{Deployment: "", App: "", Scope: "", Name: "devcartssecretDB"},
	} {
		if _, err := r.Open(t.Context(), k, sealed); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("at %v: %v", k, err)
		}
	}
	altered := []string{strings.Replace(sealed, ":a1:", ":a2:", 1), sealed[:len(sealed)-1], sealed + "A", sealed[:30], "kai:v1:aes256gcm:a1:", "kai:v1:aes256gcm::", "kai:v1:transit:a1:x", "", canary, " " + sealed, sealed + "\n"}
	for i := len("kai:v1:aes256gcm:a1:"); i < len(sealed); i++ {
		flipped := []byte(sealed)
		if flipped[i]++; strings.IndexByte("[`{:.", flipped[i]) >= 0 {
			flipped[i] = 'A'
		}
		altered = append(altered, string(flipped))
	}
	for _, text := range altered {
		if _, err := r.Open(t.Context(), where, text); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%q opens: %v", text, err)
		}
	}
}

func TestNewKeyringRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		keys    map[string][]byte
		current string
	}{
		"none":          {nil, "a"},
		"no current":    {map[string][]byte{"a": rawKey("a")}, ""},
		"other current": {map[string][]byte{"a": rawKey("a")}, "b"},
		"short":         {map[string][]byte{"a": []byte(canary)}, "a"},
		"odd id":        {map[string][]byte{"a:b": rawKey("a")}, "a:b"},
		"odd start":     {map[string][]byte{".a": rawKey("a")}, ".a"},
		"foreign id":    {map[string][]byte{"ä": rawKey("a")}, "ä"},
		"long id":       {map[string][]byte{strings.Repeat("a", 65): rawKey("a")}, strings.Repeat("a", 65)},
		"no id":         {map[string][]byte{"": rawKey("a")}, ""},
	} {
		if r, err := secrets.NewKeyring(tt.keys, tt.current); err == nil || r != nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
}

func TestKeyIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"a", "Z9", "0", "a.b_c-", strings.Repeat("a", 64)} {
		r := ring(t, id)
		sealed, err := r.Seal(t.Context(), where, []byte(canary))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.KeyID(sealed); got != id {
			t.Errorf("the id %q comes back as %q", id, got)
		}
	}
}

func TestParseKeyring(t *testing.T) {
	t.Parallel()
	std := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xfb, 0xff}, 16))
	sealed, err := ring(t, "a1").Seal(t.Context(), where, []byte(canary))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"new:" + std + ",a1:" + hex.EncodeToString(rawKey("a")),
		"# keys\n\n  new:" + strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(std) + "\r\na1:" + base64.StdEncoding.EncodeToString(rawKey("a")) + "\n",
	} {
		r, err := secrets.ParseKeyring(text)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if id, _ := r.Current(t.Context(), where); id != "new" {
			t.Errorf("the current key is %s", id)
		}
		if plain, err := r.Open(t.Context(), where, sealed); err != nil || string(plain) != canary {
			t.Errorf("%v", err)
		}
	}
	for _, text := range []string{"", "# only", canary, "a1:" + canary, "a1:" + base64.StdEncoding.EncodeToString([]byte(canary)), "a1:" + std + ",a1:" + std, ":" + std, "a b:" + std, "x:é" + canary} {
		if r, err := secrets.ParseKeyring(text); err == nil || r != nil || strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), std) {
			t.Errorf("%q: %v, %v", text, r, err)
		}
	}
}

func TestKeyringIsNotPrinted(t *testing.T) {
	t.Parallel()
	r := ring(t, "a1")
	c := spew.ConfigState{DisableMethods: true, Indent: " "}
	out := c.Sdump(r, secrets.Encrypted(&storetest.Memory{}, r))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		out += fmt.Sprintf(verb, r) + fmt.Sprintf(verb, *r)
	}
	for _, form := range []string{"aaaa", "61616161", "61 61 61", "97 97 97", "0x61, 0x61"} {
		if strings.Contains(out, form) {
			t.Errorf("a printed keyring shows its key: %s", out)
		}
	}
}

// older seals as the older system does.
func older(t testing.TB, key []byte, plain string) string {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := []byte("twelve bytes")
	return base64.URLEncoding.EncodeToString(aead.Seal(nonce, nonce, []byte(plain), nil))
}

func TestOpenOlder(t *testing.T) {
	t.Parallel()
	for _, size := range []int{16, 24, 32} {
		key := bytes.Repeat([]byte("k"), size)
		for _, plain := range []string{"a", canary, "ключ", strings.Repeat("x", 1000)} {
			sealed := older(t, key, plain)
			for _, text := range []string{sealed, strings.TrimRight(sealed, "=")} {
				if got, err := secrets.OpenOlder(key, text); err != nil || string(got) != plain {
					t.Errorf("%d bytes: %v", size, err)
				}
			}
			for _, key := range [][]byte{bytes.Repeat([]byte("l"), size), nil, []byte("short")} {
				if _, err := secrets.OpenOlder(key, sealed); err == nil || strings.Contains(err.Error(), plain) && len(plain) > 1 {
					t.Errorf("another key gives %v", err)
				}
			}
		}
		for _, text := range []string{"", canary, "AAAA", "é"} {
			if _, err := secrets.OpenOlder(key, text); err == nil || strings.Contains(err.Error(), canary) {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
}

func TestPack(t *testing.T) {
	t.Parallel()
	for _, x := range []any{"", "text", "\x00\xff", "t", true, false, 12, 1.5, []any{}, []any{"a", nil}, map[string]any{}, map[string]any{"a": "b"}} {
		v, err := secrets.Of(x)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := secrets.Unpack(secrets.Pack(v)); err != nil || !got.Equal(v) {
			t.Errorf("%v: %v", x, err)
		}
	}
	for _, data := range []string{"", "x", "n", "nx", "n 1", "n1 2", "n\"1\"", "bTrue", "b", "l{}", "m[]", "l[", "mnull", "z" + canary} {
		if _, err := secrets.Unpack([]byte(data)); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%q: %v", data, err)
		}
	}
}

func write(t *testing.T, s secrets.Store, path secrets.Path, values map[string]secrets.Value) {
	t.Helper()
	if _, err := secrets.Edit(t.Context(), s, path, func(now map[string]secrets.Value) error {
		clear(now)
		for k, v := range values {
			now[k] = v
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s secrets.Store, path secrets.Path) map[string]secrets.Value {
	t.Helper()
	docs, err := s.Read(t.Context(), []secrets.Path{path})
	if err != nil {
		t.Fatal(err)
	}
	return docs[path].Values
}

func TestEncryptedAtRest(t *testing.T) {
	t.Parallel()
	inner := &storetest.Memory{}
	s := secrets.Encrypted(inner, ring(t, "a1"))
	if !s.Can().Encrypted || s.Can().Name != "memory" || secrets.Raw(s) != secrets.Store(inner) || secrets.Raw(inner) != secrets.Store(inner) {
		t.Error("the store is not what it says")
	}
	private := where.Path()
	private.Scope = secrets.Private
	write(t, s, where.Path(), map[string]secrets.Value{"DB": secrets.New(canary), "MAIL": secrets.New(canary)})
	write(t, s, private, map[string]secrets.Value{"DB": secrets.New(canary)})
	if text := get(t, inner, private)["DB"].Reveal(); text != canary {
		t.Errorf("scope private holds %s", text)
	}
	raw := get(t, inner, where.Path())
	for name, v := range raw {
		if !strings.HasPrefix(v.Reveal(), "kai:v1:aes256gcm:a1:") {
			t.Errorf("%s stands there as %s", name, v.Reveal())
		}
	}

	// What is not changed keeps its ciphertext.
	write(t, s, where.Path(), map[string]secrets.Value{"DB": secrets.New(canary), "MAIL": secrets.New("example-other"), "NEW": secrets.New("x")})
	if now := get(t, inner, where.Path()); now["DB"].Reveal() != raw["DB"].Reveal() || now["MAIL"].Reveal() == raw["MAIL"].Reveal() {
		t.Error("what did not change was sealed anew, or what did was not")
	}

	// What was swapped, damaged or never sealed is told by its place.
	for name, bad := range map[string]secrets.Value{
		"swapped":    raw["MAIL"],
		"damaged":    secrets.New(raw["DB"].Reveal()[:60]),
		"plain":      secrets.New(canary),
		"another's":  secrets.New("kai:v1:transit:" + canary),
		"other kind": must(t, map[string]any{"a": canary}),
	} {
		write(t, inner, where.Path(), map[string]secrets.Value{"DB": bad})
		_, err := s.Read(t.Context(), []secrets.Path{where.Path()})
		var sealed *secrets.SealedError
		if !errors.As(err, &sealed) || sealed.Key != where || !strings.Contains(err.Error(), "dev/carts/secret: DB") || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
		// It can be replaced without being read.
		docs, err := inner.Read(t.Context(), []secrets.Path{where.Path()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(t.Context(), secrets.Doc{Path: where.Path(), Version: docs[where.Path()].Version, Values: map[string]secrets.Value{"DB": secrets.New("example-new")}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := get(t, s, where.Path())["DB"].Reveal(); got != "example-new" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func must(t *testing.T, x any) secrets.Value {
	t.Helper()
	v, err := secrets.Of(x)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRotate(t *testing.T) {
	t.Parallel()
	inner := &storetest.Memory{}
	old := secrets.Encrypted(inner, ring(t, "a1"))
	want := map[string]secrets.Value{"DB": secrets.New(canary), "MAP": must(t, map[string]any{"a": 1}), "EMPTY": secrets.New("")}
	apps := []string{"carts", "orders", "global"}
	for _, app := range apps {
		for _, scope := range secrets.Scopes() {
			write(t, old, secrets.Path{Deployment: "dev", App: app, Scope: scope}, want)
		}
	}
	// One that was never sealed.
	write(t, inner, secrets.Path{Deployment: "dev", App: "plain", Scope: secrets.Secret}, want)
	prod := secrets.Path{Deployment: "prod", App: "carts", Scope: secrets.Secret}
	write(t, old, prod, want)

	rotated := secrets.Encrypted(inner, ring(t, "b2", "a1"))
	if n, err := secrets.Rotate(t.Context(), rotated, "dev"); err != nil || n != 12 {
		t.Fatalf("rotated %d, %v", n, err)
	}
	after := secrets.Encrypted(inner, ring(t, "b2"))
	for _, app := range append(apps, "plain") {
		got := get(t, after, secrets.Path{Deployment: "dev", App: app, Scope: secrets.Secret})
		for name, v := range want {
			if !got[name].Equal(v) {
				t.Errorf("%s of %s is another", name, app)
			}
		}
	}
	if text := get(t, inner, secrets.Path{Deployment: "dev", App: "carts", Scope: secrets.Private})["DB"].Reveal(); text != canary {
		t.Error("scope private was sealed")
	}
	if n, err := secrets.Rotate(t.Context(), rotated, "dev"); err != nil || n != 0 {
		t.Errorf("a second time rotated %d, %v", n, err)
	}
	history, err := inner.History(t.Context(), secrets.Path{Deployment: "dev", App: "carts", Scope: secrets.Secret})
	if err != nil || len(history) != 2 {
		t.Errorf("%d versions, %v", len(history), err)
	}
	// The other deployment has the old key, which is not there any more.
	var sealed *secrets.SealedError
	if _, err := secrets.Rotate(t.Context(), after, "prod"); !errors.As(err, &sealed) || sealed.Key.Deployment != "prod" || strings.Contains(err.Error(), canary) {
		t.Errorf("without the old key: %v", err)
	}
	if n, err := secrets.Rotate(t.Context(), rotated, "dev", "prod"); err != nil || n != 3 {
		t.Errorf("the other deployment: %d, %v", n, err)
	}
	var cannot *secrets.CannotError
	if _, err := secrets.Rotate(t.Context(), inner, "dev"); !errors.As(err, &cannot) {
		t.Errorf("a store that is not encrypted: %v", err)
	}
}

// TestRotateBesideWriters loses no update.
func TestRotateBesideWriters(t *testing.T) {
	t.Parallel()
	inner := &storetest.Memory{}
	path := where.Path()
	write(t, secrets.Encrypted(inner, ring(t, "a1")), path, map[string]secrets.Value{"N": secrets.New("x")})
	s := secrets.Encrypted(inner, ring(t, "b2", "a1"))
	done := make(chan error)
	go func() {
		for range 200 {
			if _, err := secrets.Edit(context.Background(), s, path, func(values map[string]secrets.Value) error {
				values["N"] = secrets.New(values["N"].Reveal() + "x")
				return nil
			}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for range 50 {
		if _, err := secrets.Rotate(t.Context(), s, "dev"); err != nil {
			t.Error(err)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, path)["N"].Reveal(); len(got) != 201 {
		t.Errorf("%d of 200 updates are there", len(got)-1)
	}
}

// batch is a cipher that only takes many at once.
type batch struct {
	*secrets.Keyring
	calls int
	err   error
}

func (b *batch) SealAll(ctx context.Context, where []secrets.Key, plain [][]byte) ([]string, error) {
	b.calls++
	out := make([]string, len(where))
	for i, k := range where {
		out[i], _ = b.Seal(ctx, k, plain[i])
	}
	return out, b.err
}

func (b *batch) OpenAll(ctx context.Context, where []secrets.Key, sealed []string) (out [][]byte, err error) {
	b.calls++
	for i, k := range where {
		plain, err := b.Open(ctx, k, sealed[i])
		if err != nil {
			return nil, err
		}
		out = append(out, plain)
	}
	return out, b.err
}

func TestBatchCipher(t *testing.T) {
	t.Parallel()
	b := &batch{Keyring: ring(t, "a1")}
	s := secrets.Encrypted(&storetest.Memory{}, b)
	values := map[string]secrets.Value{}
	for i := range 50 {
		values[fmt.Sprint("K", i)] = secrets.New(fmt.Sprint(canary, i))
	}
	path := where.Path()
	if _, err := s.Write(t.Context(), secrets.Doc{Path: path, Values: values}); err != nil || b.calls != 1 {
		t.Fatalf("%d calls, %v", b.calls, err)
	}
	for name, v := range get(t, s, path) {
		if !v.Equal(values[name]) {
			t.Errorf("%s is another", name)
		}
	}
	if b.calls != 2 {
		t.Errorf("%d calls", b.calls)
	}
	b.err = errors.New("away")
	if _, err := s.Read(t.Context(), []secrets.Path{path}); !errors.Is(err, b.err) {
		t.Errorf("got %v", err)
	}
}

// FuzzOpen wants no panic, no value in an error, and nothing opened that was not
// sealed.
func FuzzOpen(f *testing.F) {
	r := ring(f, "a1")
	for _, text := range []string{sealed, "", "kai:v1:aes256gcm:a1:", "kai:v1:aes256gcm:a1:AAAA", older(f, rawKey("a"), canary), strings.Replace(sealed, "a1", "zz", 1)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		plain, err := r.Open(t.Context(), where, text)
		if err == nil && (text != sealed || string(plain) != canary) {
			t.Errorf("%q opens", text)
		}
		if plain, err := secrets.OpenOlder(rawKey("a"), text); err == nil && string(plain) != canary {
			t.Errorf("%q opens as the older system's", text)
		}
		_, _ = secrets.Unpack([]byte(text))
	})
}
