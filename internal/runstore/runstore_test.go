package runstore

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/helm-kai/helm-kai/internal/run"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/kubernetes"
	"github.com/helm-kai/helm-kai/internal/store"
)

// canary is in values and credentials that no error may show.
const canary = "example-canary"

// config makes a configuration as kai-run does.
func config(t *testing.T, environ ...string) run.Config {
	t.Helper()
	c, err := run.New(nil, environ, []string{"true"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain.yaml")
	if err := os.WriteFile(plain, []byte("apiVersion: kai/v1\napps: {carts: {secret: {KEY: "+canary+"}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := secrets.Path{Deployment: "d", App: "carts", Scope: secrets.Secret}
	c := config(t, "KAI_DEPLOYMENT=d", "KAI_STORE=file", "KAI_STORE_PATH="+plain)
	s, err := Open(t.Context(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := s.Read(t.Context(), []secrets.Path{at})
	if err != nil || docs[at].Values["KEY"].Reveal() != canary {
		t.Error(docs, err)
	}

	keys := "k:" + strings.Repeat("ab", 32)
	for _, environ := range [][]string{
		{"KAI_STORE_PATH=" + filepath.Join(dir, "a.db")},
		{"KAI_SQL_URL=sqlite:" + filepath.Join(dir, "b.db")},
		{"KAI_SQL_URL=sqlite:" + filepath.Join(dir, "c.db"), "KAIGARA_APP_NAME=carts"}, // one of kai's, though it is an older image
	} {
		c := config(t, append(environ, "KAI_DEPLOYMENT=d", "KAI_STORE=sql", "KAI_ENCRYPTION_KEYS="+keys)...)
		s, err := Open(t.Context(), c, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(t.Context(), secrets.Doc{Path: at, Values: map[string]secrets.Value{"KEY": secrets.New("x")}}); err != nil {
			t.Errorf("%s: %v", environ, err)
		}
		if !s.Can().Encrypted {
			t.Errorf("%s: nothing encrypts", environ)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		environ []string
		want    string
	}{
		"no store":       {nil, "no store is named\n  hint: --store or KAI_STORE"},
		"no path":        {[]string{"KAI_STORE=file"}, "the store file needs a path"},
		"two databases":  {[]string{"KAI_STORE=sql", "KAI_STORE_PATH=a.db", "KAI_SQL_URL=postgres://u:" + canary + "@db.example.com/kai"}, "KAI_STORE_PATH is of SQLite's file, and a server is named too"},
		"a path, a host": {[]string{"KAI_STORE=sql", "KAI_STORE_PATH=a.db", "KAI_SQL_HOST=db.example.com"}, "a server is named too"},
		"which database": {[]string{"KAI_STORE=sql", "KAI_SQL_HOST=db.example.com"}, "the kind of the database is not named\n  hint: KAI_SQL_DRIVER"},
		"no host":        {[]string{"KAI_STORE=sql", "KAI_SQL_DRIVER=mysql", "KAI_SQL_NAME=kai"}, "the database mysql needs a host and a name"},
		"no address":     {[]string{"KAI_STORE=vault", "KAI_VAULT_TOKEN=" + canary}, "no address of Vault is given"},
		"no cluster":     {[]string{"KAI_STORE=kubernetes"}, "no cluster can be reached from here"},
		"no older key":   {[]string{"KAIGARA_ENCRYPTOR=aes"}, "the older system's key is not given\n  hint: set KAIGARA_ENCRYPTOR_AES_KEY"},
		"older transit":  {[]string{"KAIGARA_ENCRYPTOR=transit", "KAIGARA_STORAGE_DRIVER=k8s", "KAIGARA_VAULT_ADDR=vault.example.com", "KAI_VAULT_TOKEN=" + canary}, "the address of Vault begins neither with https:// nor with http://"},
		"no identity":    {[]string{"KAI_STORE=file", "KAI_STORE_PATH=a.yaml", "KAI_AGE_KEY=" + canary}, "AGE_KEY"},
		"no URL":         {[]string{"KAI_STORE=sql", "KAI_SQL_URL=postgres://u:" + canary + "@[db"}, "KAI_SQL_URL is no URL"},
		"which server":   {[]string{"KAI_STORE=sql", "KAI_SQL_URL=oracle://db.example.com/kai"}, "the URL of the database is none that kai knows"},
		"no authority":   {[]string{"KAI_STORE=sql", "KAI_SQL_URL=postgres://u@db.example.com/kai", "KAI_SQL_CACERT=none.pem"}, "the CA for TLS: open none.pem"},
		"no password":    {[]string{"KAI_STORE=sql", "KAI_SQL_URL=postgres://db.example.com/kai", "KAI_SQL_PASSWORD_FILE=none"}, "SQL_PASSWORD_FILE: open none"},
		"no key ring":    {[]string{"KAI_STORE=sql", "KAI_STORE_PATH=a.db", "KAI_ENCRYPTION_KEYS=" + canary}, "line 1 of the encryption keys is not ID:KEY"},
		"older URL":      {[]string{"KAIGARA_DEPLOYMENT_ID=x", "KAIGARA_DATABASE_HOST=db example"}, "KAI_SQL_URL is no URL"},
		"no Vault":       {[]string{"KAI_STORE=vault", "KAI_VAULT_ADDR=vault.example.com", "KAI_VAULT_TOKEN=" + canary}, "begins neither with https:// nor with http://"},
		"no CA":          {[]string{"KAI_STORE=vault", "KAI_VAULT_ADDR=https://vault.example.com", "KAI_VAULT_TOKEN=" + canary, "KAI_VAULT_CACERT=none.pem"}, "the authorities for Vault: open none.pem"},
		"no token":       {[]string{"KAI_STORE=vault", "KAI_VAULT_ADDR=https://vault.example.com", "KAI_VAULT_TOKEN_FILE=none"}, "the token for Vault: open none"},
		"two tokens":     {[]string{"KAI_STORE=vault", "KAI_VAULT_ADDR=https://vault.example.com", "KAI_VAULT_TOKEN=two " + canary}, "has characters that none has"},
		"no JWT":         {[]string{"KAI_STORE=vault", "KAI_VAULT_ADDR=https://vault.example.com", "KAI_VAULT_ROLE=r", "KAI_VAULT_JWT_FILE=none"}, "the JWT for Vault: open none"},
		"no pod":         {[]string{"KAI_STORE=vault", "KAI_VAULT_ADDR=https://vault.example.com", "KAI_VAULT_AUTH=kubernetes", "KAI_VAULT_ROLE=r"}, "the service account's token for Vault: open /var/run/secrets"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Open(t.Context(), config(t, append(test.environ, "KAI_DEPLOYMENT=d")...), nil)
			if err == nil { // who logs in does so when something is read
				_, err = s.Read(t.Context(), []secrets.Path{{Deployment: "d", App: "a", Scope: secrets.Secret}})
				_ = s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), canary) {
				t.Fatalf("the error is %v", err)
			}
			var lasting interface{ Lasting() bool }
			if !errors.As(err, &lasting) || !lasting.Lasting() {
				t.Errorf("it would be tried again: %v", err)
			}
		})
	}
}

// TestInAPod: where there is no service account, asking again finds none.
func TestInAPod(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), config(t, "KAI_DEPLOYMENT=d", "KAI_STORE=kubernetes"), func(context.Context) (*http.Client, string, string, error) {
		return kubernetes.InCluster()
	})
	var lasting interface{ Lasting() bool }
	if err == nil || !errors.As(err, &lasting) || !lasting.Lasting() {
		t.Errorf("it would be tried again: %v", err)
	}
}

// TestWrongIdentity: who has not the key has not got it later either.
func TestWrongIdentity(t *testing.T) {
	t.Parallel()
	var identities [2]*age.X25519Identity
	for i := range identities {
		var err error
		if identities[i], err = age.GenerateX25519Identity(); err != nil {
			t.Fatal(err)
		}
	}
	at := secrets.Path{Deployment: "d", App: "carts", Scope: secrets.Secret}
	name := filepath.Join(t.TempDir(), "sealed.yaml")
	if err := os.WriteFile(name, []byte("apiVersion: kai/v1\nrecipients: ["+identities[0].Recipient().String()+"]\napps: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, identity := range identities {
		stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = stderr.Close() })
		c := config(t, "KAI_DEPLOYMENT=d", "KAI_STORE=file", "KAI_STORE_PATH="+name, "KAI_AGE_KEY="+identity.String(), "KAI_APP=carts")
		if i == 0 {
			s, err := Open(t.Context(), c, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Write(t.Context(), secrets.Doc{Path: at, Values: map[string]secrets.Value{"KEY": secrets.New(canary)}}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		begin := time.Now()
		exit, err := run.Main(t.Context(), c, run.World{Stderr: stderr, Open: func(ctx context.Context, c run.Config) (secrets.Store, error) { return Open(ctx, c, nil) }})
		if exit != run.ExitFailed || err == nil || time.Since(begin) > 15*time.Second || strings.Contains(err.Error(), canary) {
			t.Errorf("after %v it gives %d: %v", time.Since(begin), exit, err)
		}
	}
}

// TestOptions says what variables become.
func TestOptions(t *testing.T) {
	t.Parallel()
	c := config(t, "KAI_DEPLOYMENT=d", "KAI_STORE=vault", "KAI_WATCH=true", "VAULT_ADDR=https://vault.example.com", "VAULT_TOKEN=example-token",
		"VAULT_NAMESPACE=team", "KAI_VAULT_MOUNT=kv", "KAI_VAULT_PREFIX=a/b", "KAI_VAULT_ROLE=r", "KAI_VAULT_WRAPPED=true", "KAI_NAMESPACE=other", "KAI_TRANSIT_KEY=k")
	o, err := options(c)
	if err != nil {
		t.Fatal(err)
	}
	if o.Provider != store.Vault || o.Mount != "kv" || o.Prefix != "a/b" || o.Namespace != "team" || !o.Long || o.Deployment != "d" {
		t.Errorf("%+v", o)
	}
	for name, want := range map[string]string{"VAULT_ADDR": "https://vault.example.com", "VAULT_TOKEN": "example-token", "VAULT_ROLE": "r", "VAULT_WRAPPED": "true", "TRANSIT_KEY": "k", "VAULT_ROLE_ID": "", "NO_SUCH": ""} {
		if got, ok := o.Credential(name); got.Reveal() != want || ok != (want != "") {
			t.Errorf("%s is %q", name, got.Reveal())
		}
	}

	for name, test := range map[string]struct {
		environ []string
		want    string
	}{
		"a server":        {[]string{"KAI_SQL_DRIVER=postgres", "KAI_SQL_HOST=db.example.com", "KAI_SQL_NAME=kai"}, "postgres://db.example.com/kai"},
		"its port":        {[]string{"KAI_SQL_DRIVER=mysql", "KAI_SQL_HOST=::1", "KAI_SQL_NAME=kai", "KAI_SQL_PORT=3307"}, "mysql://[::1]:3307/kai"},
		"no port":         {[]string{"KAI_SQL_DRIVER=mysql", "KAI_SQL_HOST=::1", "KAI_SQL_NAME=kai"}, "mysql://[::1]/kai"},
		"an older image":  {[]string{"KAIGARA_DEPLOYMENT_ID=shop_uat"}, "postgres://127.0.0.1:5432/kaigara_shop_uat"},
		"an older server": {[]string{"KAIGARA_DATABASE_DRIVER=mysql", "KAIGARA_DATABASE_HOST=db.example.com", "KAIGARA_DATABASE_NAME=x"}, "mysql://db.example.com:3306/x"},
		"SQLite":          {[]string{"KAI_STORE_PATH=a.db"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := address(config(t, append(test.environ, "KAI_DEPLOYMENT=shop_uat", "KAI_STORE=sql")...).Store)
			if err != nil || got.Reveal() != test.want {
				t.Errorf("it is %q, %v", got.Reveal(), err)
			}
		})
	}
}

// sealOlder encrypts as the older system does.
func sealOlder(t *testing.T, key, text string) string {
	t.Helper()
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return base64.URLEncoding.EncodeToString(aead.Seal(nil, nil, []byte(text), nil))
}

func TestOlderCiphertexts(t *testing.T) {
	t.Parallel()
	const key = "example-key-0123"
	c := config(t, "KAI_DEPLOYMENT=d", "KAI_STORE=sql", "KAIGARA_ENCRYPTOR=aes", "KAIGARA_ENCRYPTOR_AES_KEY="+key)
	o, err := options(c)
	if err != nil {
		t.Fatal(err)
	}
	opener, err := o.OlderOpener(c.Store.Encryptor, c.Store.OlderKey)
	if err != nil {
		t.Fatal(err)
	}
	secret, public := secrets.Path{Deployment: "other", App: "carts", Scope: secrets.Secret}, secrets.Path{Deployment: "other", App: "carts", Scope: secrets.Public}
	all := []secrets.Doc{
		{Path: secret, Values: map[string]secrets.Value{"KEY": secrets.New(sealOlder(t, key, canary))}, Version: "1"},
		{Path: public, Values: map[string]secrets.Value{"KEY": secrets.New("plain")}, Version: "1"},
	}
	s := &older{Store: &legacy{name: store.SQL, all: func(context.Context) ([]secrets.Doc, error) { return all, nil }}, opener: opener}
	secret.Deployment, public.Deployment = "d", "d" // whatever it is called there
	docs, err := s.Read(t.Context(), []secrets.Path{secret, public, {Deployment: "d", App: "none", Scope: secrets.Secret}})
	if err != nil || len(docs) != 2 || docs[secret].Values["KEY"].Reveal() != canary || docs[public].Values["KEY"].Reveal() != "plain" {
		t.Error(docs, err)
	}
	var cannot *secrets.CannotError
	if _, err := s.Write(t.Context(), docs[public]); !errors.As(err, &cannot) {
		t.Errorf("it writes: %v", err)
	}
	all[0].Values = map[string]secrets.Value{"KEY": secrets.New(canary)}
	var sealed *secrets.SealedError
	if _, err := s.Read(t.Context(), []secrets.Path{secret}); !errors.As(err, &sealed) || strings.Contains(err.Error(), canary) {
		t.Errorf("the error is %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestOlderSecrets: an app's one Secret is all of its scopes, unless there is one
// for each.
func TestOlderSecrets(t *testing.T) {
	t.Parallel()
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	objects := map[string]string{
		"kaigara-carts":         `{"metadata":{"name":"kaigara-carts"},"data":{"KEY":"` + encode("all") + `","version":"` + encode("3") + `"}}`,
		"kaigara-orders-secret": `{"metadata":{"name":"kaigara-orders-secret"},"data":{"KEY":"` + encode("own") + `"}}`,
		"kaigara-orders-public": `{"metadata":{"name":"kaigara-orders-public"},"data":{"KEY":"` + encode("open") + `"}}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const folder = "/api/v1/namespaces/shop-uat/secrets"
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == folder {
			var rows []string
			for name := range objects {
				rows = append(rows, `{"cells":["`+name+`","Opaque",1,"1d"],"object":{"kind":"PartialObjectMetadata","metadata":{"name":"`+name+`"}}}`)
			}
			_, _ = w.Write([]byte(`{"kind":"Table","apiVersion":"meta.k8s.io/v1","columnDefinitions":[{"name":"Name"},{"name":"Type"},{"name":"Data"},{"name":"Age"}],"rows":[` + strings.Join(rows, ",") + `]}`))
			return
		}
		if o, ok := objects[strings.TrimPrefix(r.URL.Path, folder+"/")]; ok {
			_, _ = w.Write([]byte(strings.Replace(o, "{", `{"kind":"Secret","apiVersion":"v1",`, 1)))
			return
		}
		http.Error(w, "{}", http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	c := config(t, "KAIGARA_DEPLOYMENT_ID=shop_uat", "KAIGARA_STORAGE_DRIVER=k8s")
	s, err := Open(t.Context(), c, func(context.Context) (*http.Client, string, string, error) {
		return server.Client(), server.URL, "elsewhere", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var paths []secrets.Path
	for _, app := range []string{"carts", "orders"} {
		for _, scope := range secrets.Scopes() {
			paths = append(paths, secrets.Path{Deployment: "shop_uat", App: app, Scope: scope})
		}
	}
	docs, err := s.Read(t.Context(), paths)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"all", "all", "all", "open", "", "own"}
	for i, path := range paths {
		if got := docs[path].Values["KEY"].Reveal(); got != want[i] || len(docs[path].Values) > 1 {
			t.Errorf("%s is %q and not %q", path, got, want[i])
		}
	}
}

// TestOlderTLS holds that what the older system keeps is not read in the open from
// another machine, unless the environment says so.
func TestOlderTLS(t *testing.T) {
	t.Parallel()
	for host, plain := range map[string]bool{"127.0.0.1": true, "localhost": true, "db.example.com": false} {
		for mode, off := range map[string]bool{"": plain, "disable": true, "verify-full": false} {
			c := config(t, "KAIGARA_DEPLOYMENT_ID=shop_uat", "KAIGARA_DATABASE_HOST="+host, "KAI_SQL_TLS="+mode)
			o, err := options(c)
			if err != nil {
				t.Fatal(err)
			}
			database, err := o.Database()
			if err != nil || database.PlainText() != off {
				t.Errorf("%s, %q: plain %v, %v", host, mode, database.PlainText(), err)
			}
		}
	}
}
