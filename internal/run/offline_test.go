package run

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

func TestOffline(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "copy")
	config := func(key string, flags ...string) Config {
		c, err := Parse(append(append([]string{"kai-run", "--deployment=dev", "--app=a", "--offline-ok", name}, flags...), "cmd"), []string{"KAI_OFFLINE_KEY=" + key})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	c := config(key)
	values := map[string]any{
		"dev/a/secret/text": "example-canary", "dev/a/public/n": json.Number("1.50"), "dev/a/public/yes": false,
		"dev/global/secret/map": map[string]any{"k": []any{json.Number("12345678901234567890")}}, "dev/b/secret/x": "not asked for",
	}
	docs, _ := stored(t, values).Read(t.Context(), c.Paths())
	file, err := openOffline(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := file.load(); err == nil || !strings.Contains(err.Error(), "there is no copy") {
		t.Errorf("got %v", err)
	}
	if err := file.save(c, docs); err != nil {
		t.Fatal(err)
	}
	raw, _ := os.ReadFile(name)
	if info, _ := os.Stat(name); runtime.GOOS != "windows" && info.Mode() != 0o600 || bytes.Contains(raw, []byte("canary")) || bytes.Contains(raw, []byte("text")) {
		t.Errorf("the copy is %v %q", info.Mode(), raw)
	}
	again, err := openOffline(c)
	if err != nil {
		t.Fatal(err)
	}
	got, when, err := again.load()
	if err != nil || when == "" {
		t.Fatal(err)
	}
	want, _ := Build(c, docs)
	have, err := Build(c, got)
	if err != nil || have.digest(false) != want.digest(false) || len(have.Vars) != 4 {
		t.Errorf("got %v, %v", have.Environ(), err)
	}

	// What did not change is not written.
	before, _ := os.Stat(name)
	if err := file.save(c, docs); err != nil {
		t.Error(err)
	}
	if after, _ := os.Stat(name); !os.SameFile(before, after) || !after.ModTime().Equal(before.ModTime()) {
		t.Error("the copy was written again")
	}

	// Another key, another selection, a damaged file, none of ours.
	other := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{8}, 32))
	for what, c := range map[string]Config{"another key": config(other), "another app": config(key, "--app=b"), "another deployment": config(key, "--deployment=prod"), "another scope": config(key, "--scope=secret")} {
		f, err := openOffline(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.load(); err == nil || !strings.Contains(err.Error(), "another key") {
			t.Errorf("%s: got %v", what, err)
		}
	}
	for _, damaged := range [][]byte{raw[:len(raw)-1], append(bytes.Clone(raw), 0), []byte("x"), nil, []byte(magic), raw[:len(magic)+12]} {
		if err := os.WriteFile(name, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := again.load(); err == nil {
			t.Errorf("%d bytes are a copy", len(damaged))
		}
	}
}

func TestOfflineKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "key")
	c := Config{OfflineOK: filepath.Join(dir, "copy"), OfflineKeyFile: name}
	if _, err := openOffline(c); err == nil {
		t.Error("a key that is not there is none")
	}
	for content, ok := range map[string]bool{
		strings.Repeat("ab", 32):                                     true,
		strings.Repeat("ab", 32) + "\n":                              true,
		strings.Repeat("\xff", 32):                                   true,
		base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\r\n": true,
		base64.RawStdEncoding.EncodeToString(make([]byte, 32)):       true,
		"": false, "example": false, strings.Repeat("ab", 16): true, // 32 bytes as they are
		strings.Repeat("ab", 31): false,
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openOffline(c); (err == nil) != ok {
			t.Errorf("%q: %v", content, err)
		} else if err != nil && content != "" && strings.Contains(err.Error(), content) {
			t.Errorf("the error has the key: %v", err)
		}
	}
	if _, err := openOffline(Config{OfflineOK: "x", OfflineKey: secrets.New(strings.Repeat("k", 32))}); err == nil {
		t.Error("a variable of 32 bytes as they are is a key")
	}
	if f, err := openOffline(Config{}); f != nil || err != nil {
		t.Errorf("got %v, %v", f, err)
	}
}
