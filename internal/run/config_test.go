package run

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Parallel()
	c, err := Parse([]string{"/bin/kai-run", "--app", "a, b", "--app=c", "-scope=secret,public", "--deployment=d", "--watch", "--interval=1s",
		"--on-change=signal:sighup", "--grace", "2s", "--", "cmd", "-x", "--", "y"},
		[]string{"HOME=/x", "KAI_APP=other", "KAIGARA_SCOPES=private", "KAI_RETRY=7s", "KAI_HOST_WINS=1", "KAIGARA_VAULT_TOKEN=example-older", "KAI_VAULT_TOKEN=example-ours", "KAI_UNKNOWN=1"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Command, []string{"cmd", "-x", "--", "y"}) || !slices.Equal(c.Apps, []string{"a", "b", "c"}) || !slices.Equal(c.Scopes, []string{"secret", "public"}) {
		t.Errorf("got %v %v %v", c.Command, c.Apps, c.Scopes)
	}
	if c.Deployment != "d" || !c.Watch || c.Interval != time.Second || c.Grace != 2*time.Second || c.Retry != 7*time.Second || !c.HostWins || c.Pristine {
		t.Errorf("got %+v", c)
	}
	if !reflect.DeepEqual(c.OnChange, OnChange{Action: Signal, Signal: syscall.Signal(1)}) {
		t.Errorf("got %v", c.OnChange)
	}
	if c.Store.Vault.Token.Reveal() != "example-ours" || !slices.Equal(c.Host, []string{"HOME=/x"}) {
		t.Errorf("got %s, %v", c.Store.Vault.Token.Reveal(), c.Host)
	}
}

// TestLoginIsNotPassedOn holds that the command does not get what we log in with.
func TestLoginIsNotPassedOn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ environ, want string }{
		{"KAI_STORE=vault VAULT_TOKEN=x VAULT_ADDR=y VAULT_CLIENT_KEY=z", "VAULT_ADDR=y"},
		{"KAI_STORE=vault VAULT_TOKEN=x KAI_VAULT_TOKEN=y", "VAULT_TOKEN=x"}, // it is the command's own
		{"KAI_STORE=sql KAI_ENCRYPTOR=transit VAULT_TOKEN=x", ""},
		{"KAI_STORE=sql VAULT_TOKEN=x", "VAULT_TOKEN=x"},
	} {
		c, err := Parse([]string{"kai-run", "--deployment=d", "cmd"}, strings.Fields(test.environ))
		if err != nil || strings.Join(c.Host, " ") != test.want {
			t.Errorf("%s: got %v, %v", test.environ, c.Host, err)
		}
	}
}

func TestParseWithoutDashes(t *testing.T) {
	t.Parallel()
	c, err := Parse([]string{"kai-run", "--deployment", "d", "cmd", "--app", "x"}, nil)
	if err != nil || !slices.Equal(c.Command, []string{"cmd", "--app", "x"}) || len(c.Apps) != 0 {
		t.Errorf("got %v, %v", c.Command, err)
	}
	if c.Interval != 5*time.Second || c.Grace != 10*time.Second || c.Retry != 30*time.Second || c.Watch || c.Older || c.FileRoot != "." || c.Store.Driver != "" {
		t.Errorf("the defaults are %+v", c)
	}
	if _, err := Parse([]string{"kai-run", "--help", "--nonsense"}, nil); !errors.Is(err, ErrHelp) {
		t.Errorf("got %v", err)
	}
}

// TestOlder starts an image of the older system.
func TestOlder(t *testing.T) {
	t.Parallel()
	environ := []string{
		"KAIGARA_DEPLOYMENT_ID=odax", "KAIGARA_APP_NAME=peatio,barong", "KAIGARA_STORAGE_DRIVER=sql", "KAIGARA_DATABASE_DRIVER=mysql",
		"KAIGARA_DATABASE_PASS=example-pass", "KAIGARA_ENCRYPTOR=aes", "KAIGARA_ENCRYPTOR_AES_KEY=example-key-0123", "KAIGARA_LOG_LEVEL=1",
		"KAIGARA_REDIS_URL=redis://redis.example.com", "KAIGARA_IGNORE_GLOBAL=true", "PATH=/bin",
	}
	c, err := Parse([]string{"/usr/local/bin/kaigara", "bundle", "exec"}, environ)
	if err != nil {
		t.Fatal(err)
	}
	if c.Deployment != "odax" || !slices.Equal(c.Apps, []string{"peatio", "barong"}) || !slices.Equal(c.Scopes, []string{"public", "private", "secret"}) {
		t.Errorf("got %+v", c)
	}
	if !c.Older || !c.Watch || !c.NoWatchGlobal || c.NoGlobal || c.FileRoot != "/" || c.FileBase != "." || !slices.Equal(c.Host, []string{"PATH=/bin"}) {
		t.Errorf("got %+v", c)
	}
	d := c.Store.Database
	if d.Host != "127.0.0.1" || d.Port != 3306 || d.User != "root" || d.Name != "kaigara_odax" || d.Table != "data" || d.Pass.Reveal() != "example-pass" {
		t.Errorf("got %+v", d)
	}
	if c.Store.Encryptor != "aes" || c.Store.OlderKey.Reveal() != "example-key-0123" {
		t.Errorf("got %+v", c.Store)
	}
	// By another name it does not watch, and the least is filled in.
	c, err = Parse([]string{"kai-run", "cmd"}, []string{"KAIGARA_APP_NAME=a", "KAIGARA_STORAGE_DRIVER=k8s", "KAI_ENCRYPTOR=transit"})
	if err != nil || c.Watch || c.Deployment != "opendax_uat" || c.Store.Driver != "kubernetes" || c.Store.Encryptor != "transit" || c.FileRoot != "." {
		t.Errorf("got %+v, %v", c, err)
	}
	if c, err = Parse([]string{"kai-run", "cmd"}, []string{"KAIGARA_APP_NAME=a"}); err != nil || c.Store.Driver != "sql" || c.Store.Database.Port != 5432 || c.Store.Database.User != "postgres" {
		t.Errorf("got %+v, %v", c, err)
	}
	if c, err = Parse([]string{"kaigara", "--watch=false", "--file-root=/x", "cmd"}, nil); err != nil || c.Watch || c.FileRoot != "/x" || c.FileBase != "/x" {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestParseSaysAllMistakes(t *testing.T) {
	t.Parallel()
	_, err := Parse([]string{"kai-run", "--nonsense", "--scope=public,publik,public", "--interval=soon", "--watch=perhaps", "--json=xml", "--on-change=signal:NOPE", "--store=etcd", "--host-wins", "--pristine", "--offline-ok=/x", "--grace"},
		[]string{"KAI_SQL_PORT=tcp://10.0.0.1:5432", "KAI_VAULT_AUTH=magic", "KAI_VAULT_TOKEN=example-token", "KAI_VAULT_TOKEN_FILE=/t", "KAI_RETRY=-1s"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"there is no flag --nonsense", "--grace has no value", `--scope: there is no scope "publik"`, `--scope names "public" twice`,
		`--interval is no time: "soon"`, `--watch is true or false, not "perhaps"`, `--json: there is no "xml"`, `--on-change: there is no signal "NOPE"`,
		`--store: there is no driver "etcd"`, "--host-wins and --pristine exclude one another", "--offline-ok has no key",
		"KAI_SQL_PORT is no number from 1 to 65535", "enableServiceLinks", `KAI_VAULT_AUTH: there is no "magic"`,
		"KAI_VAULT_TOKEN and KAI_VAULT_TOKEN_FILE exclude one another", "KAI_RETRY is no time", "there is no command", "no deployment is named",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing says %q", want)
		}
	}
	if strings.Contains(err.Error(), "example-token") {
		t.Errorf("the error has a credential: %v", err)
	}
	if t.Failed() {
		t.Log(err)
	}
}

func TestOneMistake(t *testing.T) {
	t.Parallel()
	if _, err := New(map[string]string{"deployment": "d"}, []string{"KAI_PORT=tcp://10.0.0.1:80", "KAI_SERVICE_HOST=10.0.0.1", "KAI_SLACK_TOKEN=example"}, []string{"x"}); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		args, env []string
		want      string
	}{
		"no app at all":       {[]string{"--no-global", "x"}, nil, "no app is named"},
		"a path as app":       {[]string{"--app", "a/b", "x"}, nil, `"a/b" is no app`},
		"interval of nothing": {[]string{"--watch", "--interval=0s", "x"}, nil, "--interval has to be more than 0"},
		"interval, no watch":  {[]string{"--interval=1s", "x"}, nil, "--interval needs --watch"},
		"no scope":            {[]string{"--scope=,", "x"}, nil, "--scope names no scope"},
		"empty command":       {[]string{"--", ""}, nil, "the command is empty"},
		"a short key":         {[]string{"--offline-ok=/x", "x"}, []string{"KAI_OFFLINE_KEY=YWJj"}, "KAI_OFFLINE_KEY: it is no key of 32 bytes"},
		"an older name":       {[]string{"x"}, []string{"KAI_SCOPES=public"}, "KAI_SCOPES is no setting\n  hint: KAI_SCOPE"},
		"an older driver":     {[]string{"x"}, []string{"KAI_STORAGE_DRIVER=sql"}, "hint: KAI_STORE"},
		"a plural":            {[]string{"x"}, []string{"KAI_APPS=a"}, "KAI_APPS is no setting\n  hint: KAI_APP"},
		"two keys":            {[]string{"--offline-ok=/x", "--offline-key-file=/y", "x"}, []string{"KAI_OFFLINE_KEY=YWJj"}, "exclude one another"},
		"nothing to run":      {[]string{"--watch", "--on-change=exec: ", "x"}, nil, "is nothing to do"},
		"nothing to do":       {[]string{"--watch", "--on-change=reload", "x"}, nil, `"reload" is nothing to do`},
	} {
		_, err := Parse(append([]string{"kai-run", "--deployment=d"}, c.args...), c.env)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
		if err != nil && strings.Contains(strings.ReplaceAll(err.Error(), "\n  hint", ""), "\n") {
			t.Errorf("%s: more than one mistake: %v", name, err)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	usage := Usage()
	seen := map[string]bool{}
	for _, o := range Options() {
		if seen[o.name()] || o.Usage == "" {
			t.Errorf("%s is there twice, or has no usage", o.name())
		}
		seen[o.name()] = true
		if !strings.Contains(usage, o.Usage) {
			t.Errorf("--help does not have %s", o.name())
		}
	}
	for line := range strings.Lines(usage) {
		if len(line) > 140 {
			t.Errorf("a long line: %s", line)
		}
	}
}

func TestConfigDoesNotShowCredentials(t *testing.T) {
	t.Parallel()
	c, err := New(map[string]string{"deployment": "d"}, []string{"KAI_VAULT_TOKEN=example-1", "KAI_ENCRYPTION_KEYS=example-2", "KAI_SQL_URL=example-3", "KAI_SQL_PASSWORD=example-4",
		"KAI_OFFLINE_KEY=" + strings.Repeat("ab", 32), "KAI_AGE_KEY=example-5", "KAI_VAULT_SECRET_ID=example-6", "KAIGARA_ENCRYPTOR_AES_KEY=example-7"}, []string{"x"})
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if text := fmt.Sprintf(verb, c); strings.Contains(text, "example-") || strings.Contains(text, "abab") {
			t.Errorf("%s shows %s", verb, text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("--app\x00a\x00--\x00cmd", "KAI_RETRY=1s\x00HOME=/")
	f.Add("--on-change=exec:x\x00--watch", "KAIGARA_DATABASE_PORT=0\x00=C:=x\x00=")
	f.Fuzz(func(t *testing.T, args, environ string) {
		c, err := Parse(append([]string{"kai-run"}, strings.Split(args, "\x00")...), strings.Split(environ, "\x00"))
		if err == nil && len(c.Command) == 0 && !c.Explain {
			t.Errorf("nothing to start, and no error")
		}
		for _, entry := range c.Host {
			if strings.HasPrefix(entry, "KAI_") || strings.HasPrefix(entry, "KAIGARA_") {
				t.Errorf("passed on: %s", entry)
			}
		}
	})
}
