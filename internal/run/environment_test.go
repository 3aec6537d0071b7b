package run

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// built makes the environment of a store with flags, host's variables apart.
func built(t *testing.T, values map[string]any, host []string, flags ...string) (*Environment, error) {
	t.Helper()
	c, err := Parse(append(append([]string{"kai-run", "--deployment=dev"}, flags...), "--", "cmd"), host)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := stored(t, values).Read(t.Context(), c.Paths())
	if err != nil {
		t.Fatal(err)
	}
	return Build(c, docs)
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	values := map[string]any{
		"dev/global/public/a":  "global-public",
		"dev/global/private/a": "global-private",
		"dev/one/public/A":     "one-public",
		"dev/one/secret/a":     "one-secret",
		"dev/two/public/a":     "two-public",
		"dev/two/private/b":    "two-b",
		"dev/global/public/h":  "global-h",
		"prod/one/secret/a":    "prod",
	}
	host := []string{"A=host", "H=host", "X=host"}
	for name, c := range map[string]struct {
		flags []string
		want  string
	}{
		"last app":        {[]string{"--app=one,two"}, "A=two-public B=two-b H=global-h X=host"},
		"apps turned":     {[]string{"--app=two,one"}, "A=one-secret B=two-b H=global-h X=host"},
		"scopes turned":   {[]string{"--app=one", "--scope=secret,public"}, "A=one-public H=global-h X=host"},
		"one scope":       {[]string{"--app=one", "--scope=private"}, "A=global-private H=host X=host"},
		"global alone":    {nil, "A=global-private H=global-h X=host"},
		"host wins":       {[]string{"--app=one,two", "--host-wins"}, "A=host B=two-b H=host X=host"},
		"pristine":        {[]string{"--app=one,two", "--pristine"}, "A=two-public B=two-b H=global-h"},
		"without global":  {[]string{"--app=two", "--no-global"}, "A=two-public B=two-b H=host X=host"},
		"global by name":  {[]string{"--app=global,two"}, "A=two-public B=two-b H=global-h X=host"},
		"other than that": {[]string{"--app=one", "--deployment=prod"}, "A=prod H=host X=host"},
	} {
		env, err := built(t, values, host, c.flags...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := strings.Join(env.Environ(), " "); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	values := map[string]any{
		"dev/a/public/text": `say "it" $HOME`, "dev/a/public/yes": true, "dev/a/public/n": json.Number("12345678901234567890"),
		"dev/a/public/f": json.Number("0.10"), "dev/a/public/list": []any{"x", json.Number("1")}, "dev/a/public/map": map[string]any{"b": "<", "a": true},
		"dev/a/public/empty": "", "dev/a/public/lines": "a\nb",
	}
	env, err := built(t, values, nil, "--app=a")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"EMPTY=", "F=0.10", "LINES=a\nb", "LIST=WyJ4IiwxXQ==", "MAP=eyJhIjp0cnVlLCJiIjoiPCJ9", "N=12345678901234567890", `TEXT=say "it" $HOME`, "YES=true"}
	if got := env.Environ(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if env, err = built(t, values, nil, "--app=a", "--json=raw"); err != nil || !slices.Contains(env.Environ(), `LIST=["x",1]`) || !slices.Contains(env.Environ(), `MAP={"a":true,"b":"<"}`) {
		t.Errorf("got %q, %v", env.Environ(), err)
	}
}

func TestNamesThatAreNone(t *testing.T) {
	t.Parallel()
	env, err := built(t, map[string]any{
		"dev/a/public/ok": "example-1", "dev/a/secret/db-url": "example-2", "dev/a/secret/1st": "example-3", "dev/a/secret/a.b": "example-4", "dev/a/secret/": "example-5",
		"dev/a/secret/ſtrange": "example-6", "dev/global/private/a b\n": "example-7", "dev/a/secret/a=b": "example-9", "dev/a/public/shop_tls.crt": "example-10", "dev/a/public/shop_tls.key": "example-11",
	}, nil, "--app=a")
	if err != nil {
		t.Fatal(err)
	}
	if got := env.Environ(); !slices.Equal(got, []string{"OK=example-1"}) {
		t.Errorf("got %q", got)
	}
	want := []string{
		`dev/global/private: left out, for they cannot be names of variables: "a b\n"` + "\n  hint: --var gives one a name: --var A_B_=global.private.a b\n",
		"dev/a/public: left out, for they cannot be names of variables: shop_tls.crt, shop_tls.key\n  hint: --var gives one a name: --var SHOP_TLS_CRT=a.public.shop_tls.crt",
		`dev/a/secret: left out, for they cannot be names of variables: "", 1st, a.b, a=b, db-url, ſtrange` + "\n  hint: --var gives one a name: --var _=a.secret.all",
	}
	if !slices.Equal(env.Warnings, want) {
		t.Errorf("got  %q\nwant %q", env.Warnings, want)
	}
	// What --var names is not missed.
	env, err = built(t, map[string]any{"dev/a/public/tls.crt": "x"}, nil, "--app=a", "--var=CRT=a.public.tls.crt")
	if err != nil || len(env.Warnings) > 0 || len(env.Vars) != 1 {
		t.Errorf("got %q, %q, %v", env.Environ(), env.Warnings, err)
	}
}

func TestZeroBytes(t *testing.T) {
	t.Parallel()
	_, err := built(t, map[string]any{"dev/a/secret/zero": "example-8\x00"}, nil, "--app=a")
	const want = "dev/a/secret/zero: a variable cannot hold a zero byte\n  hint: keep it in base64, or make it a file: KFILE_ZERO_PATH and KFILE_ZERO_CONTENT in base64; with --var NAME=APP.SCOPE.KEY only the keys that it names are read"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestNamesThatDifferByCase(t *testing.T) {
	t.Parallel()
	values := map[string]any{"dev/a/secret/url": "low", "dev/a/secret/URL": "UP", "dev/a/secret/Url": "mixed", "dev/a/private/url": "other path", "dev/a/public/pOrt": "1", "dev/a/public/port": "2"}
	for range 20 {
		env, err := built(t, values, nil, "--app=a")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(env.Environ(), " "); got != "PORT=2 URL=UP" {
			t.Fatalf("got %s", got)
		}
		if len(env.Warnings) != 3 || !strings.Contains(env.Warnings[0], "dev/a/public/pOrt and dev/a/public/port differ by case alone") {
			t.Fatalf("warned of %q", env.Warnings)
		}
	}
}

func TestAppsThatHoldNothing(t *testing.T) {
	t.Parallel()
	env, err := built(t, map[string]any{"dev/a/public/x": "1"}, nil, "--app=a,typo")
	if err != nil || len(env.Warnings) != 1 || env.Warnings[0] != "dev/typo holds nothing in public, private, secret" {
		t.Errorf("got %q, %v", env.Warnings, err)
	}
}

func TestOlderVersionKey(t *testing.T) {
	t.Parallel()
	values := map[string]any{"dev/a/public/version": json.Number("4"), "dev/a/public/x": "1"}
	if env, err := built(t, values, []string{"KAIGARA_APP_NAME=a"}); err != nil || strings.Join(env.Environ(), " ") != "X=1" {
		t.Errorf("got %v, %v", env.Environ(), err)
	}
	if env, err := built(t, values, nil, "--app=a"); err != nil || strings.Join(env.Environ(), " ") != "VERSION=4 X=1" {
		t.Errorf("got %v, %v", env.Environ(), err)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	env, err := built(t, map[string]any{
		"dev/global/public/db_url": "example-1", "dev/a/secret/db_url": "example-2", "dev/a/secret/only": "example-3",
		"dev/a/public/kfile_tls_path": "example-4", "dev/a/secret/KFILE_TLS_CONTENT": "ZXhhbXBsZS01", "dev/global/secret/KFILE_TLS_CONTENT": "ZXhhbXBsZS02",
	}, []string{"DB_URL=example-6", "HOME=/home/example-7", "KAI_VAULT_TOKEN=example-8", "a b\x1b=example-9"}, "--app=a")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := env.Explain(&out); err != nil {
		t.Fatal(err)
	}
	want := `DB_URL     dev/a/secret/db_url  over dev/global/public/db_url, host
HOME       host
ONLY       dev/a/secret/only
"a b\x1b"  host
file TLS   dev/a/secret/KFILE_TLS_CONTENT  over dev/global/secret/KFILE_TLS_CONTENT
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
	if strings.Contains(out.String(), "example") || strings.Contains(out.String(), "ZXhh") {
		t.Error("a value is shown")
	}
}

func TestFilesOfKeys(t *testing.T) {
	t.Parallel()
	env, err := built(t, map[string]any{
		"dev/a/public/KFILE_CA_PATH": "tls/ca.pem", "dev/a/public/KFILE_CA_CONTENT": "Y2E=\n", "dev/a/private/kfile_Key_Path": "./tls/../tls/key.pem",
		"dev/a/secret/kfile_key_content": "a2V5", "dev/a/public/KFILE_RUN_PATH": "/srv/app/run.sh", "dev/a/public/KFILE_RUN_CONTENT": "cnVu",
		"dev/a/public/KFILE_RUN_MODE": "0750", "dev/a/public/KFILE_N_MODE": json.Number("600"), "dev/a/public/KFILE_N_PATH": "n", "dev/a/public/KFILE_N_CONTENT": "",
		"dev/a/public/KFILE_PATH": "a variable", "dev/a/public/MY_KFILE_X_PATH": "another",
	}, nil, "--app=a", "--file-root=/srv/app")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(env.Environ(), " "); got != "KFILE_PATH=a variable MY_KFILE_X_PATH=another" {
		t.Errorf("got %s", got)
	}
	type file struct {
		name, path, content string
		mode                fs.FileMode
	}
	var got []file
	for _, f := range env.Files {
		got = append(got, file{f.Name, f.Path, f.Content.Reveal(), f.Mode})
	}
	want := []file{{"CA", "tls/ca.pem", "ca", 0o640}, {"KEY", "tls/key.pem", "key", 0o600}, {"N", "n", "", 0o600}, {"RUN", "run.sh", "run", 0o750}}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestFilesThatAreWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		values map[string]any
		want   string
	}{
		"path alone":       {map[string]any{"PATH": "x"}, "there is no KFILE_X_CONTENT beside it"},
		"content alone":    {map[string]any{"CONTENT": "eA=="}, "there is no KFILE_X_PATH beside it"},
		"out of the root":  {map[string]any{"PATH": "../example-x", "CONTENT": "eA=="}, "no path of a file below /srv"},
		"another root":     {map[string]any{"PATH": "/etc/example-x", "CONTENT": "eA=="}, "no path of a file below /srv"},
		"a like root":      {map[string]any{"PATH": "/srvexample-x", "CONTENT": "eA=="}, "no path of a file below /srv"},
		"the root itself":  {map[string]any{"PATH": "/srv/", "CONTENT": "eA=="}, "no path of a file below /srv"},
		"nothing as path":  {map[string]any{"PATH": "", "CONTENT": "eA=="}, "no path of a file below /srv"},
		"no base64":        {map[string]any{"PATH": "x", "CONTENT": "example-!"}, "this is no text in base64"},
		"a map as content": {map[string]any{"PATH": "x", "CONTENT": map[string]any{}}, "this is no text in base64"},
		"no mode":          {map[string]any{"PATH": "x", "CONTENT": "eA==", "MODE": "rw-"}, "this is no mode"},
		"set-uid":          {map[string]any{"PATH": "x", "CONTENT": "eA==", "MODE": "4755"}, "this is no mode"},
		"decimal":          {map[string]any{"PATH": "x", "CONTENT": "eA==", "MODE": json.Number("384")}, "this is no mode"},
	} {
		values := map[string]any{}
		for part, v := range c.values {
			values["dev/a/secret/KFILE_X_"+part] = v
		}
		_, err := built(t, values, nil, "--app=a", "--file-root=/srv")
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "example") {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	_, err := built(t, map[string]any{"dev/a/public/KFILE_X_PATH": "one", "dev/a/public/KFILE_X_CONTENT": "", "dev/a/public/KFILE_Y_PATH": "./one", "dev/a/public/KFILE_Y_CONTENT": ""}, nil, "--app=a")
	if err == nil || !strings.Contains(err.Error(), "dev/a/public/KFILE_Y_PATH: this is the path of dev/a/public/KFILE_X_PATH too") {
		t.Errorf("got %v", err)
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	base := map[string]any{"dev/a/public/x": "1", "dev/global/public/g": "1", "dev/a/public/KFILE_F_PATH": "f", "dev/a/public/KFILE_F_CONTENT": "eA=="}
	digest := func(change map[string]any, noGlobal bool, host ...string) [32]byte {
		values := map[string]any{}
		for _, m := range []map[string]any{base, change} {
			for k, v := range m {
				values[k] = v
			}
		}
		env, err := built(t, values, host, "--app=a")
		if err != nil {
			t.Fatal(err)
		}
		return env.digest(noGlobal)
	}
	was, without := digest(nil, false), digest(nil, true)
	if was != digest(nil, false, "HOME=/x") {
		t.Error("the host's variables count")
	}
	for name, change := range map[string]map[string]any{
		"a value": {"dev/a/public/x": "2"}, "a key": {"dev/a/public/y": ""}, "another app's": {"dev/a/secret/g": "2"},
		"a file's content": {"dev/a/public/KFILE_F_CONTENT": "eQ=="}, "its path": {"dev/a/public/KFILE_F_PATH": "g"}, "its mode": {"dev/a/public/KFILE_F_MODE": "0600"},
	} {
		if was == digest(change, false) || without == digest(change, true) {
			t.Errorf("%s does not count", name)
		}
	}
	if change := map[string]any{"dev/global/public/g": "2"}; was == digest(change, false) || without != digest(change, true) {
		t.Error("global counts where it must not, or the other way round")
	}
}

func FuzzBuild(f *testing.F) {
	f.Add("KFILE_A_PATH", "x", "KFILE_A_CONTENT", "eA==")
	f.Add("a", "1", "A", "2")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string) {
		c := Config{Deployment: "d", Apps: []string{"a"}, Scopes: []string{"secret"}, FileRoot: "/srv", FileBase: "/srv"}
		path := secrets.Path{Deployment: "d", App: "a", Scope: "secret"}
		doc := secrets.Doc{Path: path, Values: map[string]secrets.Value{k1: secrets.New(v1), k2: secrets.New(v2)}}
		env, err := Build(c, map[secrets.Path]secrets.Doc{path: doc})
		if err != nil {
			return
		}
		for _, entry := range env.Environ() {
			name, _, _ := strings.Cut(entry, "=")
			if !valid(name) || strings.ContainsRune(entry, 0) {
				t.Errorf("%q", entry)
			}
		}
		for _, file := range env.Files {
			if !fs.ValidPath(file.Path) && !strings.Contains(file.Path, "\\") && strings.ToValidUTF8(file.Path, "") == file.Path {
				t.Errorf("%q", file.Path)
			}
		}
	})
}
