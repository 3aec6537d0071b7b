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
		// Each value is one finding, however many stand in a line, or ways find it.
		{"kai.yaml", "env: {DB_PASSWORD: " + hidden + ", API_TOKEN: '" + hidden + "', A: b}", "1:20 1:41"},
		{"kai.yaml", "env: {GITHUB_TOKEN: ghp_" + strings.Repeat("a1", 18) + "}", "1:21"},
		{"kai.yaml", "a: &x {PASSWORD: " + hidden + "}\nb: *x", "1:18"},
		{"app.env", "A_URL=http://a:" + hidden + "@b B_URL=http://a:" + hidden + "@c", "1:7 1:33"},
		{"kai.yaml", "ä: {DB_PASSWORD: !!str \"" + hidden + "\"}", "1:18"},
		// JSON in a text.
		{"kai.yaml", `env: {CONFIG: '{"db":{"user":"a","password":"` + hidden + `"},"token":"` + hidden + `"}'}`, "1:46 1:66"},
		{"kai.yaml", `env: {CONFIG: "{\"password\": \"` + hidden + `\"}"}`, "1:33"},
		{"app.json", `{"user":"a","auth":{"password":"` + hidden + `"}}`, "1:33"},
		{"kai.yaml", `env: {CONFIG: '{"password":"${DB_PASSWORD}","passwordFile":"/run/p","token":""}'}`, ""},
		// Blocks.
		{"kai.yaml", "a:\n  b: |\n    # PASSWORD=" + hidden + "\n    export DB_PASSWORD=" + hidden + "\n    password: ${PASSWORD}\n    token: " + hidden + "\n  c: d", "4:24 6:12"},
		{"kai.yaml", "a: >\n  mysql --password " + hidden + "\n  --user root", "2:20"},
		{"objects.yaml", "apiVersion: v1\nkind: Secret\nstringData:\n  a.ini: |\n    password=" + hidden + "\n    token=" + hidden + "\n  b: change-me\n  c: ${D}\n  tls.crt: abc", "4:10"},
		// Arguments.
		{"kai.yaml", "args: [--db-password=" + hidden + ", \"--token=" + hidden + "\", --password, " + hidden + "]", "1:22 1:41 1:64"},
		{"kai.yaml", "args: [--password, --verbose, --password-file, /run/p, --token, \"$(TOKEN)\", --token, \"${TOKEN}\"]", ""},
		{"kai.yaml", "command: [sh, -c, \"PGPASSWORD=" + hidden + " psql 'host=db password=" + hidden + "'\"]", "1:31 1:63"},
		{"kai.yaml", "command: [sh, -c, \"mysql --password=\\\"$PASSWORD\\\" --token $TOKEN\"]", ""},
		{"kai.yaml", "description: use --password or --token instead; a token is required", ""},
		{"run.sh", "TOKEN=$(cat /run/token)\nif [ -z \"$TOKEN\" ]; then echo \"--token must be set\"; fi\ncurl --token " + hidden, "3:14"},
		{"Dockerfile", `CMD ["serve", "--password", "` + hidden + `"]`, "1:30"},
		// Addresses.
		{"kai.yaml", "env: {A: \"postgres://a:p@" + hidden + "@db/x\", B: \"root:" + hidden + "@tcp(db:3306)/x\", C: \"http://a/?token=" + hidden + "\"}", "1:11 1:46 1:97"},
		{"kai.yaml", "# postgres://user:password@host/db\nA: b # http://a:pass@host", ""},
		// What is no secret.
		{"kai.yaml", "env: {DB_PASSWORD: \"\", A_TOKEN: ~, B_TOKEN: your-token-here, C_TOKEN: \"<token>\", D_SECRET: secrets/d.txt, E_TOKEN: \"https://a.example.com/token\", MAX_TOKENS: \"4096\"}", ""},
		{"kai.yaml", "imagePullSecret: regcred\ntlsSecret: wildcard\ntokenizer: standard\nkai.example.com/secret-name: a\nsecrets.example.com/component: control", ""},
		{"types.yaml", "types: {db: {password: string, token_ttl: 5m}}", ""},
		{"objects.yaml", "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nspec: {data: [{secretKey: db-password, remoteRef: {key: a}}]}", ""},
		{"package.json", `{"dependencies": {"js-tokens": "^4.0.0"}}`, ""},
		{"kai.yaml", "env: {DB_PASSWORD: 20261122, A_TOKEN: 20261122}", "1:20"},
		{"kai.yaml", "env: {TOKEN_ALG: RS256, CSRF_TOKEN_COOKIE: csrftoken, API_TOKEN_SOURCE: keychain, PASSWORDLESS_LOGIN: allowed-here, LOGIN_PASSWORD_AUTH: disabled, A_TOKEN: enabled}", ""},
		{"kai.yaml", "env: {TOKEN_HEADER: X-Token, SECRET_PATH: a, TOKEN_URL: a.example.com, TOKEN_TTL: 5m, BYPASS: a1b2c3d4, MAP_W: a1b2c3d4}", ""},
		{"objects.yaml", "apiVersion: v1\nkind: Secret\nstringData: {user: bob, dbHost: db, password: " + hidden + "}\n", "3:47"},
		// Short names, headers, and forms of well-known services.
		{"kai.yaml", "env: {ADMIN_PW: " + hidden + ", PGPASS: " + hidden + ", dbPass: " + hidden + "}", "1:17 1:35 1:53"},
		{"kai.yaml", "env: {AUTHORIZATION: Basic dXNlcjpwYXNzd29yZDE=, HDR: \"Bearer " + hidden + "\"}", "1:28 1:63"},
		{"kai.yaml", "env: {A: Basic authentication, B: \"Bearer ${TOKEN}\", C: Bearer tokens are taken, D: Bearer <token-1>}", ""},
		{".npmrc", "//registry.example.com/:_authToken=npm_" + strings.Repeat("a1", 18), "1:36"},
		{"kai.yaml", "env: {HOOK: \"https://hooks.slack.com/" + "services/T0AA/B0BB/" + hidden + "\", DOC: \"https://hooks.slack.com/" + "services/T000/B000/XXXX\"}", "1:22"},
		// What is offered.
		{"friends/a.yaml", "offers: {credentials: {token: " + hidden + ", user: bob, key: {secret: k}, pin: \"${P}\"}}", "1:31"},
		{"app.py", "connect(password=password)\ntoken = os.environ['TOKEN']\npassword = \"" + hidden + "\"\nenv = \"TOKEN=\" + token", "3:13"},
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
