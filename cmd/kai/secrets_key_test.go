package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// TestKeysAtOnce makes keys from several sides: none is lost, and of first ones there
// is one.
func TestKeysAtOnce(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		dir := filepath.Join(t.TempDir(), "config")
		var wg sync.WaitGroup
		var mu sync.Mutex
		n := 0
		for range 16 {
			wg.Go(func() {
				a := &app{getenv: func(name string) string { return map[string]string{"XDG_CONFIG_HOME": dir}[name] }}
				_, made, err := a.newKey(t.Context(), first)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if made {
					n++
				}
			})
		}
		wg.Wait()
		folder := filepath.Join(dir, "kai")
		text, err := os.ReadFile(filepath.Join(folder, "encryption-keys"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := secrets.ParseKeyring(string(text)); err != nil {
			t.Error(err)
		}
		want := 16
		if first {
			want = 1
		}
		if lines := strings.Count(string(text), "\n"); lines != want || n != want {
			t.Errorf("first %v: %d keys were made, and %d are in the file", first, n, lines)
		}
		left, err := os.ReadDir(folder)
		if info, _ := os.Stat(filepath.Join(folder, "encryption-keys")); err != nil || info.Mode().Perm() != 0o600 || len(left) > 2 {
			t.Errorf("%v, %v, %v", left, info.Mode(), err)
		}
	}
}

// TestKeyThatIsNotMade leaves a file of keys as it is where a new one would not be
// read, or not used.
func TestKeyThatIsNotMade(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before, encryptor, says string
	}{
		"too large": {strings.Repeat("# comment\n", 200_000), "", "larger than 1024 KiB"},
		"broken":    {"canary-no-key\n", "", "line 1 of the encryption keys is not ID:KEY"},
		"transit":   {"# mine\n", "transit", "vault write -f transit/keys/NAME/rotate"},
		"plaintext": {"# mine\n", "plaintext", "KAI_ENCRYPTOR is plaintext"},
		"unknown":   {"# mine\n", "rot13", "KAI_ENCRYPTOR is none of"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			keys := filepath.Join(dir, "keys")
			if err := os.WriteFile(keys, []byte(test.before), 0o600); err != nil {
				t.Fatal(err)
			}
			kai := secretsIn(t, dir, map[string]string{"KAI_ENCRYPTION_KEYS_FILE": keys, "KAI_ENCRYPTOR": test.encryptor})
			code, out, errs := kai("", "rotate-key", "--provider", "sql", "--path", filepath.Join(dir, "shop.db"), "-d", "prod", "--new")
			if code != exitFailed || !strings.Contains(errs, test.says) || strings.Contains(out+errs, "canary") {
				t.Errorf("%d, %s%s", code, out, errs)
			}
			if after, err := os.ReadFile(keys); err != nil || string(after) != test.before {
				t.Errorf("the file is another one: %v", err)
			}
		})
	}
}
