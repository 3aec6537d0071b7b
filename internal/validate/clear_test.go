package validate_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/validate"
)

// hidden is what stands for a secret in these tests.
const hidden = "q8Zr4tYw"

// TestClear: what is found, where, and that the value is not said.
func TestClear(t *testing.T) {
	t.Parallel()
	for _, one := range []struct{ file, text, want string }{
		{"kai.yaml", "env: {DB_PASSWORD: " + hidden + "}", "1:20"},
		{"kai.yaml", "env:\n  A: b\n  API_TOKEN: \"" + hidden + "\"", "3:14"},
		{"kai.yaml", "env: {DB_PASSWORD: {secret: db-password}}", ""},
		{"kai.yaml", "env: {DB_PASSWORD: \"${friends.db.credentials.password}\", TOKEN_FILE: /run/token, TOKEN_TTL: 5m}", ""},
		{"kai.yaml", "env: {ALLOW_EMPTY_PASSWORD: \"yes\", PASSWORD: change-me, SECRET_NAME: the-name}", ""},
		{"kai.yaml", "routes: [{tls: {secretName: wildcard}}]\nserviceAccount: {token: false}\nsecrets: {provider: file}", ""},
		{"kai.yaml", "args: [\"--url=postgres://app:" + hidden + "@db:5432/app\"]", "1:15"},
		{"kai.yaml", "args: [\"--url=postgres://app:${PASSWORD}@db/app\", \"http://db:80/@\"]", ""},
		{"friends/db.yaml", "values: {auth: {rootPassword: " + hidden + "}}", "1:31"},
		{"objects.yaml", "apiVersion: v1\nkind: ConfigMap\n---\napiVersion: v1\nkind: Secret\nstringData:\n  any: " + hidden + "\n", "7:8"},
		{"deployment.yaml", "env: [{name: DB_PASSWORD, value: " + hidden + "}]", "1:34"},
		{"app.env", "# DB_PASSWORD=x\nDB_PASSWORD=" + hidden + "\n", "2:13"},
		{"app.properties", "spring.datasource.password = " + hidden, "1:30"},
		{"app.json", "{\n \"clientSecret\": \"" + hidden + "\"\n}", "2:19"},
		{"app.js", "const password = process.env.PASSWORD\nlet token = read(file)", ""},
		{"id", "-----BEGIN " + "OPENSSH PRIVATE KEY-----\nabc", "1:1"},
		{"broken.yaml", "a: [\nDB_PASSWORD: " + hidden, "2:14"},
		{"a.bin", "DB_PASSWORD=" + hidden + "\x00", ""},
	} {
		var got []string
		for _, f := range validate.Clear(one.file, []byte(one.text)) {
			got = append(got, fmt.Sprintf("%d:%d", f.Origin.Line, f.Origin.Column))
			if strings.Contains(f.String(), hidden) {
				t.Errorf("%s: the value is shown: %s", one.file, f)
			}
		}
		if strings.Join(got, " ") != one.want {
			t.Errorf("%s %q: found at %v, want %q", one.file, one.text, got, one.want)
		}
	}
}

// TestClearInExamples: the examples and the library have no secrets in clear.
func TestClearInExamples(t *testing.T) {
	t.Parallel()
	for _, root := range []string{"../../testdata", "../../flavors", "../../friends"} {
		err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
			switch {
			case err != nil || strings.HasSuffix(file, ".go"):
				return err
			case d.IsDir() && (d.Name() == "secrets" || d.Name() == "manifests"):
				return filepath.SkipDir // stores, which are plain there, and what is rendered
			case d.IsDir():
				return nil
			}
			data, err := os.ReadFile(file)
			for _, f := range validate.Clear(file, data) {
				t.Error(f)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzClear: no file makes it fall over.
func FuzzClear(f *testing.F) {
	f.Add("kai.yaml", []byte("env: [{name: A_TOKEN, value: b}]"))
	f.Add("app.env", []byte("A_TOKEN=b"))
	f.Fuzz(func(_ *testing.T, file string, data []byte) { validate.Clear(file, data) })
}
