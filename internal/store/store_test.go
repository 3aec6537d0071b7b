package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/file"
	"github.com/helm-kai/helm-kai/internal/secrets/sql"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
	"github.com/helm-kai/helm-kai/internal/secrets/vault"
)

// canary is in values and credentials that no error may show.
const canary = "example-canary"

// Keys of encryption, made of what is no key of anybody.
var (
	oneKey  = "k1:" + strings.Repeat("ab", 32)
	twoKeys = "k2:" + strings.Repeat("cd", 32) + "," + oneKey
)

var at = secrets.Path{Deployment: "shop", App: "carts", Scope: secrets.Secret}

// with gives credentials: NAME, value, ….
func with(pairs ...string) func(string) (secrets.Value, bool) {
	return func(name string) (secrets.Value, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return secrets.New(pairs[i+1]), true
			}
		}
		return secrets.Value{}, false
	}
}

func open(t *testing.T, o Options) secrets.Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// put writes a key and gives the error.
func put(t *testing.T, s secrets.Store, path secrets.Path, name, text string) error {
	t.Helper()
	_, err := secrets.Edit(t.Context(), s, path, func(values map[string]secrets.Value) error {
		values[name] = secrets.New(text)
		return nil
	})
	return err
}

func get(t *testing.T, s secrets.Store, path secrets.Path, name string) string {
	t.Helper()
	docs, err := s.Read(t.Context(), []secrets.Path{path})
	if err != nil {
		t.Fatal(err)
	}
	return docs[path].Values[name].Reveal()
}

// TestContract holds what Open gives to the contract of stores.
func TestContract(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"sql with keys":  {Provider: SQL, Credential: with("ENCRYPTION_KEYS", oneKey)},
		"sql plain":      {Provider: SQL, Credential: with("ENCRYPTOR", "plaintext")},
		"sql, by a path": {Provider: SQL, Path: "a/b.db", Credential: with("ENCRYPTION_KEYS", oneKey)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) secrets.Store {
				o := o
				o.Dir = t.TempDir()
				s, err := Open(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				return s
			})
		})
	}
}

func TestEncryption(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := Options{Provider: SQL, Dir: dir, Credential: with("ENCRYPTION_KEYS", oneKey)}
	s := open(t, o)
	if err := put(t, s, at, "KEY", canary); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, ".kai", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(canary)) {
			t.Errorf("%s holds the value", name)
		}
	}

	o.Credential = with("ENCRYPTION_KEYS", twoKeys)
	if got := get(t, open(t, o), at, "KEY"); got != canary {
		t.Errorf("with two keys it is %q", got)
	}
	o.Credential = with("ENCRYPTOR", "plaintext")
	if docs, err := open(t, o).Read(t.Context(), []secrets.Path{at}); err == nil {
		t.Errorf("what is sealed is given as a value: %v", docs)
	}
	o.Credential = nil
	s = open(t, o)
	_, err = s.Read(t.Context(), []secrets.Path{at})
	var sealed *secrets.SealedError
	if !errors.As(err, &sealed) || !strings.Contains(err.Error(), "shop/carts/secret: KEY cannot be decrypted: it is encrypted, and no keys are given") {
		t.Errorf("without keys the error is %v", err)
	}
	history, ok := s.(secrets.Historian)
	if !ok {
		t.Fatal("the history is lost")
	}
	versions, err := history.History(t.Context(), at)
	if err != nil || len(versions) != 1 {
		t.Fatal(versions, err)
	}
	if _, err := history.At(t.Context(), at, versions[0].Version); !errors.As(err, &sealed) {
		t.Errorf("the history gives what is sealed: %v", err)
	}
}

// TestPlainIsRefused: nothing writes scope secret where it would stand plain.
func TestPlainIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const recipient = "apiVersion: kai/v1\nrecipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]\napps: {}\n"
	if err := os.WriteFile(filepath.Join(dir, "sealed.yaml"), []byte(recipient), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		o    Options
		want string
	}{
		"sql":      {Options{Provider: SQL}, "the store sql cannot hold shop/carts/secret: nothing encrypts it there\n  hint: give keys in KAI_ENCRYPTION_KEYS_FILE"},
		"file":     {Options{Provider: File, Path: "plain.yaml"}, "nothing encrypts it there\n  hint: add a recipient"},
		"sealed":   {Options{Provider: File, Path: "sealed.yaml"}, ""},
		"by keys":  {Options{Provider: SQL, Path: "keys.db", Credential: with("ENCRYPTION_KEYS", oneKey)}, ""},
		"on order": {Options{Provider: File, Path: "wanted.yaml", Credential: with("ENCRYPTOR", "plaintext")}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.o.Dir = dir
			s := open(t, test.o)
			err := put(t, s, at, "KEY", canary)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("the error is %v", err)
			case err != nil && strings.Contains(err.Error(), canary):
				t.Errorf("the error shows the value: %v", err)
			}
			private := secrets.Path{Deployment: "shop", App: "carts", Scope: secrets.Private}
			if err := put(t, s, private, "KEY", "x"); err != nil {
				t.Errorf("another scope is refused, too: %v", err)
			}
			if got := get(t, s, private, "KEY"); got != "x" {
				t.Errorf("it is %q", got)
			}
			switch Inner(s).(type) {
			case *file.Store, *sql.Store:
			default:
				t.Errorf("below is %T", Inner(s))
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "ws"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"link.yaml": "../out.yaml", "folder": "..", "dangling.db": "../no.db"} {
		if err := os.Symlink(to, filepath.Join(dir, "ws", name)); err != nil {
			t.Skip(err)
		}
	}
	for name, text := range map[string]string{"out.yaml": "apiVersion: kai/v1\n", "empty": " \n", "large": strings.Repeat("x", maxText+1), "keys": canary} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	tests := map[string]struct {
		o    Options
		want string
	}{
		"nothing":            {Options{}, "no store of secrets is named\n  hint: file, sql, vault, kubernetes"},
		"no such store":      {Options{Provider: "etcd"}, "there is no store of secrets \"etcd\"\n  hint: file, sql, vault, kubernetes"},
		"no path":            {Options{Provider: File}, "the store file needs a path"},
		"a link out":         {Options{Provider: File, Dir: path("ws"), Path: "link.yaml"}, "without links that lead out"},
		"a folder out":       {Options{Provider: File, Dir: path("ws"), Path: "folder/new.yaml"}, "without links that lead out"},
		"a dangling link":    {Options{Provider: SQL, Dir: path("ws"), Path: "dangling.db"}, "without links that lead out"},
		"no such encryptor":  {Options{Provider: SQL, Dir: dir, Credential: with("ENCRYPTOR", canary)}, "KAI_ENCRYPTOR is none of aes, transit, plaintext"},
		"aes without keys":   {Options{Provider: SQL, Dir: dir, Credential: with("ENCRYPTOR", "aes")}, "KAI_ENCRYPTOR is aes, and no keys are given"},
		"wrong keys":         {Options{Provider: SQL, Dir: dir, Credential: with("ENCRYPTION_KEYS", canary)}, "KAI_ENCRYPTION_KEYS: line 1 of the encryption keys is not ID:KEY"},
		"wrong keys in file": {Options{Provider: SQL, Dir: dir, Credential: with("ENCRYPTION_KEYS_FILE", path("keys"))}, path("keys") + ": line 1 of the encryption keys is not ID:KEY"},
		"both":               {Options{Provider: SQL, Dir: dir, Credential: with("ENCRYPTION_KEYS_FILE", path("keys"), "ENCRYPTION_KEYS", canary)}, "KAI_ENCRYPTION_KEYS and KAI_ENCRYPTION_KEYS_FILE exclude one another"},
		"no file":            {Options{Provider: SQL, Dir: dir, Credential: with("ENCRYPTION_KEYS_FILE", path("none"))}, "KAI_ENCRYPTION_KEYS_FILE: open "},
		"an empty file":      {Options{Provider: SQL, Dir: dir, Credential: with("ENCRYPTION_KEYS_FILE", path("empty"))}, "KAI_ENCRYPTION_KEYS_FILE: " + path("empty") + " is empty"},
		"no identity":        {Options{Provider: File, Path: path("a.yaml"), Credential: with("AGE_KEY_FILE", path("none"))}, "KAI_AGE_KEY_FILE: open "},
		"a large file":       {Options{Provider: SQL, Dir: dir, Credential: with("ENCRYPTION_KEYS_FILE", path("large"))}, "is larger than 1024 KiB"},
		"transit, no Vault":  {Options{Provider: SQL, Dir: dir, Credential: with("ENCRYPTOR", "transit")}, "no address of Vault is given\n  hint: set VAULT_ADDR"},
		"a URL with a word":  {Options{Provider: SQL, URL: "postgres://kai:" + canary + "@db.example.com/kai"}, "holds a password"},
		"no URL":             {Options{Provider: SQL, Credential: with("SQL_URL", "postgres://kai:"+canary+"%zz@db.example.com/kai")}, "KAI_SQL_URL is no URL"},
		"no token":           {Options{Provider: Vault, Address: "https://vault.example.com"}, "no token for Vault is given\n  hint: log in with vault login"},
		"another Vault": {Options{Provider: Vault, Address: "https://vault.example.com", Credential: with("VAULT_ADDR", "https://other.example.com", "VAULT_TOKEN", canary)},
			"the address of Vault is another in VAULT_ADDR than in the workspace"},
		"Vault in the open": {Options{Provider: Vault, Address: "http://vault.example.com:8200", Credential: with("VAULT_TOKEN", canary)}, "is no https://, and a token sent there could be read on the way"},
		"another server":    {Options{Provider: SQL, URL: "postgres://kai@other.example.com/kai", Credential: with("SQL_URL", "postgres://u:"+canary+"@db.example.com/kai")}, "the server of the database is another in KAI_SQL_URL than in the workspace"},
		"another port":      {Options{Provider: SQL, URL: "postgres://kai@db.example.com:5433/kai", Credential: with("SQL_URL", "postgres://u:"+canary+"@db.example.com/kai")}, "the server of the database is another in KAI_SQL_URL than in the workspace"},
		"no TLS over there": {Options{Provider: SQL, URL: "postgres://kai@db.example.com/kai?sslmode=disable", Credential: with("SQL_PASSWORD", canary)}, "the workspace's address of the database switches TLS off"},
		"no such mode":      {Options{Provider: SQL, URL: "postgres://kai@db.example.com/kai", Credential: with("SQL_TLS", "off")}, "KAI_SQL_TLS is none of verify-full, verify-ca, disable"},
		"wrapped how":       {Options{Provider: Vault, Address: "https://vault.example.com", Credential: with("VAULT_WRAPPED", canary)}, "KAI_VAULT_WRAPPED is neither true nor false"},
		"no such method":    {Options{Provider: Vault, Address: "https://vault.example.com", Credential: with("VAULT_AUTH", canary)}, "VAULT_AUTH is none of token, approle, kubernetes, jwt"},
		"no role id":        {Options{Provider: Vault, Address: "https://vault.example.com", Credential: with("VAULT_AUTH", "approle")}, "AppRole of Vault needs a role id"},
		"no role":           {Options{Provider: Vault, Address: "https://vault.example.com", Credential: with("VAULT_AUTH", "kubernetes")}, "needs a role"},
		"no JWT":            {Options{Provider: Vault, Address: "https://vault.example.com", Credential: with("VAULT_AUTH", "jwt")}, "needs the file of one"},
		"no cluster":        {Options{Provider: Kubernetes}, "no cluster can be reached from here"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Open(t.Context(), test.o)
			if err == nil {
				_ = s.Close()
				t.Fatal("it opens")
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), canary) {
				t.Errorf("the error is %v", err)
			}
			var lasting *SettingError
			if !errors.As(err, &lasting) && !strings.HasPrefix(name, "a URL") {
				t.Errorf("it would be tried again: %v", err)
			}
		})
	}
}

func TestDatabase(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		o    Options
		want string // URL, user, password, CA
	}{
		"by default":          {Options{Dir: "/w"}, "sqlite:/w/.kai/secrets.db   "},
		"a path":              {Options{Dir: "/w", Path: "a/b.db"}, "sqlite:/w/a/b.db   "},
		"an absolute one":     {Options{Dir: "/w", Path: "/b.db"}, "sqlite:/b.db   "},
		"of no server":        {Options{Dir: "/w", Credential: with("SQL_USER", "u", "SQL_PASSWORD", "p", "SQL_CACERT", "c")}, "sqlite:/w/.kai/secrets.db   "},
		"a server":            {Options{URL: "postgres://db.example.com/kai", Credential: with("SQL_USER", "u", "SQL_PASSWORD", "p", "SQL_CACERT", "c")}, "postgres://db.example.com/kai u p c"},
		"by a variable":       {Options{Credential: with("SQL_URL", "mysql://u:p%40@db.example.com/kai")}, "mysql://u@db.example.com/kai  p@ "},
		"its password":        {Options{Credential: with("SQL_URL", "mysql://u:p@db.example.com/kai", "SQL_PASSWORD", "q")}, "mysql://u@db.example.com/kai  q "},
		"a file in it":        {Options{Dir: "/w", Credential: with("SQL_URL", "sqlite:x.db")}, "sqlite:/w/x.db   "},
		"the workspace's":     {Options{URL: "postgres://db.example.com/kai", Credential: with("SQL_URL", "postgresql://u:p@DB.example.com:5432/other")}, "postgres://db.example.com/kai u p "},
		"TLS here":            {Options{URL: "postgres://db.example.com/kai?sslmode=disable", Credential: with("SQL_TLS", "disable")}, "postgres://db.example.com/kai   "},
		"no TLS on this one":  {Options{URL: "postgres://127.0.0.1/kai?sslmode=disable"}, "postgres://127.0.0.1/kai?sslmode=disable   "},
		"the workspace's own": {Options{Dir: "/w", Path: "b.db", Credential: with("SQL_URL", "mysql://u@other.example.com/kai")}, "sqlite:/w/b.db   "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.o.Provider = SQL
			if test.o.Dir == "/w" {
				test.o.Dir = t.TempDir()
			}
			d, err := test.o.Database()
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Replace(fmt.Sprintf("%s %s %s %s", d.URL, d.User, d.Password.Reveal(), d.TLS.CA), test.o.Dir+"/", "/w/", 1)
			if test.o.Dir == "" {
				got = fmt.Sprintf("%s %s %s %s", d.URL, d.User, d.Password.Reveal(), d.TLS.CA)
			}
			if got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestVaultAuth(t *testing.T) {
	t.Parallel()
	token := vault.Credential{Value: secrets.New("example-token")}
	tests := map[string]struct {
		credentials []string
		want        vault.Auth
	}{
		"a token":           {[]string{"VAULT_TOKEN", "example-token"}, vault.Token{Token: token}},
		"its file":          {[]string{"VAULT_TOKEN_FILE", "/t"}, vault.Token{Token: vault.Credential{File: "/t"}}},
		"AppRole":           {[]string{"VAULT_TOKEN_FILE", "/t", "VAULT_ROLE_ID", "r", "VAULT_SECRET_ID_FILE", "/s", "VAULT_WRAPPED", "true"}, vault.AppRole{RoleID: "r", SecretID: vault.Credential{File: "/s", Wrapped: true}}},
		"Kubernetes":        {[]string{"VAULT_ROLE", "r", "VAULT_AUTH_MOUNT", "m"}, vault.Kubernetes{Mount: "m", Role: "r"}},
		"JWT":               {[]string{"VAULT_ROLE", "r", "VAULT_JWT_FILE", "/j"}, vault.JWT{Role: "r", Token: vault.Credential{File: "/j"}}},
		"Kubernetes by JWT": {[]string{"VAULT_AUTH", "kubernetes", "VAULT_ROLE", "r", "VAULT_JWT_FILE", "/j"}, vault.Kubernetes{Role: "r", Token: vault.Credential{File: "/j"}}},
		"the token is said": {[]string{"VAULT_AUTH", "token", "VAULT_TOKEN", "example-token", "VAULT_ROLE_ID", "r"}, vault.Token{Token: token}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Options{Credential: with(test.credentials...)}.vaultAuth()
			if err != nil {
				t.Fatal(err)
			}
			if revealed(got) != revealed(test.want) {
				t.Errorf("got  %s\nwant %s", revealed(got), revealed(test.want))
			}
		})
	}
}

// revealed words a way to log in with the credentials in it.
func revealed(a vault.Auth) string {
	c := func(c vault.Credential) string { return fmt.Sprint(c.Value.Reveal(), c.File, c.Wrapped) }
	switch a := a.(type) {
	case vault.Token:
		return "token " + c(a.Token)
	case vault.AppRole:
		return "approle " + a.Mount + a.RoleID + c(a.SecretID)
	case vault.Kubernetes:
		return "kubernetes " + a.Mount + a.Role + c(a.Token)
	case vault.JWT:
		return "jwt " + a.Mount + a.Role + c(a.Token)
	}
	return ""
}

func TestKubernetesNamespace(t *testing.T) {
	t.Parallel()
	var asked sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.Path, true)
		http.Error(w, `{"kind":"Status","code":404,"reason":"NotFound"}`, http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	for given, want := range map[string]string{"": "own", "other": "other"} {
		s := open(t, Options{Provider: Kubernetes, Namespace: given, Kubernetes: func(context.Context) (*http.Client, string, string, error) {
			return server.Client(), server.URL, "own", nil
		}})
		if _, err := s.Read(t.Context(), []secrets.Path{at}); err != nil {
			t.Error(err)
		}
		if _, ok := asked.Load("/api/v1/namespaces/" + want + "/secrets/kai-shop-carts-secret"); !ok {
			t.Errorf("the namespace %q is not asked", want)
		}
	}
}

// counting counts what is read.
type counting struct {
	secrets.Store
	mu     sync.Mutex
	reads  map[secrets.Path]int
	calls  atomic.Int32
	closed atomic.Bool
}

func (c *counting) Read(ctx context.Context, paths []secrets.Path) (map[secrets.Path]secrets.Doc, error) {
	c.calls.Add(1)
	c.mu.Lock()
	for _, path := range paths {
		c.reads[path]++
	}
	c.mu.Unlock()
	return c.Store.Read(ctx, paths)
}

func (c *counting) Close() error {
	c.closed.Store(true)
	return nil
}

// TestPoolReadsOnce: whoever asks, and for whatever keys, each path is read once,
// also one that holds nothing.
func TestPoolReadsOnce(t *testing.T) {
	t.Parallel()
	var p Pool
	o := Options{Provider: SQL, Dir: t.TempDir()}
	first, err := p.Provider(o)
	if err != nil {
		t.Fatal(err)
	}
	o.Deployment = "another" // is no other store
	second, err := p.Provider(o)
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Fatal("one store is opened twice")
	}
	memory := &storetest.Memory{}
	for _, app := range []string{"a", "b"} {
		if err := put(t, memory, secrets.Path{Deployment: "d", App: app, Scope: secrets.Secret}, "KEY", app); err != nil {
			t.Fatal(err)
		}
	}
	c := &counting{Store: memory, reads: map[secrets.Path]int{}}
	first.(*entry).store = c
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			var keys []secrets.Key
			for _, app := range []string{"a", "b", "none"}[i%2:] {
				for _, name := range []string{"KEY", "OTHER"} {
					keys = append(keys, secrets.Key{Deployment: "d", App: app, Scope: secrets.Secret, Name: name})
				}
			}
			found, err := first.Get(context.Background(), keys)
			if err != nil {
				t.Error(err)
				return
			}
			for k, v := range found {
				if k.Name != "KEY" || v.Reveal() != k.App {
					t.Errorf("%s is %q", k, v.Reveal())
				}
			}
			if len(found) != 2-i%2 {
				t.Errorf("%d are found", len(found))
			}
		})
	}
	wg.Wait()
	if got := slices.Sorted(maps.Values(c.reads)); !slices.Equal(got, []int{1, 1, 1}) {
		t.Errorf("the paths are read %v times", got)
	}
	if calls := c.calls.Load(); calls > 2 {
		t.Errorf("the store is asked %d times", calls)
	}
	if err := p.Close(); err != nil || !c.closed.Load() {
		t.Errorf("it is not closed: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestPoolIsLazy: nothing is asked before something is wanted.
func TestPoolIsLazy(t *testing.T) {
	t.Parallel()
	var p Pool
	provider, err := p.Provider(Options{Provider: Vault, Address: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = provider.Get(t.Context(), []secrets.Key{{Deployment: "d", App: "a", Scope: secrets.Secret, Name: "KEY"}})
	if err == nil || !strings.Contains(err.Error(), "no token for Vault is given") {
		t.Errorf("the error is %v", err)
	}
}

// TestPoolReadsTrees: a file of a tree without a folder is read in the tree.
func TestPoolReadsTrees(t *testing.T) {
	t.Parallel()
	var p Pool
	tree := fstest.MapFS{
		"good.yaml": {Data: []byte("apiVersion: kai/v1\napps: {carts: {secret: {KEY: example}}}\n")},
		"bad.yaml":  {Data: []byte("apiVersion: kai/v1\napps: {carts: {secrets: {KEY: " + canary + "}}}\n")},
	}
	provider, err := p.Provider(Options{Provider: File, FS: tree, Path: "good.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	key := secrets.Key{Deployment: "any", App: "carts", Scope: secrets.Secret, Name: "KEY"}
	found, err := provider.Get(t.Context(), []secrets.Key{key})
	if err != nil || found[key].Reveal() != "example" {
		t.Error(found, err)
	}
	_, err = p.Provider(Options{Provider: File, FS: tree, Path: "bad.yaml"})
	if err == nil || !strings.HasPrefix(err.Error(), "bad.yaml:2:16: ") || strings.Contains(err.Error(), canary) {
		t.Errorf("the error is %v", err)
	}
}
