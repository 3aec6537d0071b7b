package sql

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

func TestURL(t *testing.T) {
	t.Parallel()
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		url, where, deployment string
		tls                    bool
	}{
		{"sqlite:secrets.db", "SQLite " + filepath.Join(here, "secrets.db"), "secrets", false},
		{"sqlite:///var/lib/kaigara_shop_test.db", "SQLite /var/lib/kaigara_shop_test.db", "shop_test", false},
		{"postgres://u@localhost/kaigara_shop", "PostgreSQL localhost:5432/kaigara_shop", "shop", false},
		{"postgresql://u@127.0.0.9:99/kai", "PostgreSQL 127.0.0.9:99/kai", "kai", false},
		{"postgres://u@[::1]/kai", "PostgreSQL [::1]:5432/kai", "kai", false},
		{"postgres://u@db.example.com/kai", "PostgreSQL db.example.com:5432/kai", "kai", true},
		{"postgres://u@db.example.com/kai?sslmode=disable", "PostgreSQL db.example.com:5432/kai", "kai", false},
		{"postgres://u@localhost/kai?sslmode=verify-full", "PostgreSQL localhost:5432/kai", "kai", true},
		{"postgres://u@/kai?host=/run/postgresql", "PostgreSQL /run/postgresql kai", "kai", false},
		{"mysql://u@10.0.0.1/kai", "MySQL 10.0.0.1:3306/kai", "kai", true},
		{"mariadb://u@localhost/kai", "MySQL localhost:3306/kai", "kai", false},
		{"mysql://u@/kai?socket=/run/mysqld/mysqld.sock", "MySQL /run/mysqld/mysqld.sock kai", "kai", false},
	} {
		got, err := parse(Options{URL: test.url})
		if err != nil || got.where() != test.where || got.deployment() != test.deployment || (got.tls.config != nil) != test.tls {
			t.Errorf("%s: %s, %s, TLS %v, %v", test.url, got.where(), got.deployment(), got.tls.config != nil, err)
		}
		if got.tls.config != nil && (got.tls.config.InsecureSkipVerify || got.tls.config.ServerName != got.host) {
			t.Errorf("%s: the server is not verified", test.url)
		}
	}
}

func TestURLFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		want string
		o    Options
	}{
		{"none that kai knows", Options{URL: ""}},
		{"none that kai knows", Options{URL: canary}},
		{"none that kai knows", Options{URL: "redis://" + canary + "@host/kai"}},
		{"none that kai knows", Options{URL: "postgres:" + canary}},
		{"cannot be read", Options{URL: "postgres://u:" + canary + "%zz@host/kai"}},
		{"cannot be read", Options{URL: "postgres://u@host:" + canary + "/kai"}},
		{"holds a password", Options{URL: "postgres://u:" + canary + "@host/kai"}},
		{"a port that is none", Options{URL: "mysql://u@host:99999/kai"}},
		{"names no host", Options{URL: "mysql://u@/kai"}},
		{"names no database", Options{URL: "mysql://u@host"}},
		{"names no database", Options{URL: "mysql://u@host/a/b"}},
		{"no user", Options{URL: "mysql://host/kai"}},
		{"the parameter password,", Options{URL: "postgres://u@host/kai?password=" + canary}},
		{"the parameter socket,", Options{URL: "mysql://u@host/kai?socket=/x"}},
		{"absolute path", Options{URL: "postgres://u@/kai?host=host"}},
		{"names no file", Options{URL: "sqlite:"}},
		{"names no file", Options{URL: "sqlite::memory:"}},
		{"neither users nor TLS", Options{URL: "sqlite:x", Password: secrets.New(canary)}},
		{"no mode \"require\"", Options{URL: "postgres://u@host/kai?sslmode=require"}},
		{"needs a CA", Options{URL: "postgres://u@host/kai", TLS: TLS{Mode: VerifyCA}}},
		{"disabled, yet", Options{URL: "postgres://u@host/kai", TLS: TLS{Mode: NoTLS, CA: "x"}}},
		{"the CA for TLS", Options{URL: "postgres://u@host/kai", TLS: TLS{CA: "not-there.pem"}}},
		{"holds no certificate", Options{URL: "postgres://u@localhost/kai", TLS: TLS{CA: "url_test.go"}}},
		{"client's certificate", Options{URL: "postgres://u@host/kai", TLS: TLS{Cert: "not-there.pem"}}},
		{"no TLS over a socket", Options{URL: "postgres://u@/kai?host=/run", TLS: TLS{Mode: VerifyFull}}},
		{"the prefix of the tables", Options{URL: "sqlite:x", Table: `a"; DROP`}},
		{"only be given for PostgreSQL", Options{URL: "sqlite:x", Schema: "a"}},
		{"the schema must be", Options{URL: "postgres://u@localhost/kai", Schema: "A"}},
	} {
		_, err := Open(t.Context(), test.o)
		wantError(t, err, test.want)
	}
}

// TestNoServer: Open does not wait for a server, and says what is missing.
func TestNoServer(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"postgres", "mysql"} {
		_, err := Open(t.Context(), Options{URL: scheme + "://u@127.0.0.1:1/kai", Password: secrets.New(canary)})
		wantError(t, err, "127.0.0.1:1/kai: open: ", "refused")
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("the error is %q", err)
		}
	}
}
