//go:build linux

package e2e

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/e2e/child"
	"github.com/helm-kai/helm-kai/e2e/databases"
	"github.com/helm-kai/helm-kai/e2e/vaultserver"
)

// mayKnow is an argument of the commands that are meant to have the canaries, and of nobody else. What they start has them too.
const mayKnow = "this-one-may-know"

// canaryStore is a store that has canaries in it: a context of the workspace.
type canaryStore struct {
	name   string
	fields string            // of the context's secrets
	env    map[string]string // what opens it, also for kai-run
	// wrong are environments in which it does not open, by why; what they name replaces what env has.
	wrong map[string]map[string]string
	// runs says that kai-run reads it from here: a cluster's Secrets it reads in a pod alone.
	runs bool
}

// secretsCanary runs programs and looks at all that they show.
type secretsCanary struct {
	*kaiRun
	*watch          // of values and of credentials
	values   *watch // of values alone: who is to log in has the credentials
	runner   string
	canaries []canary
	inputs   string // a folder of files that do hold canaries
	mu       sync.Mutex
	// processes counts the looks at processes, knowing those at such that may know and do; seen are arguments and environments.
	processes, knowing int
	seen               map[string]bool
}

// TestCanariesOfSecrets puts canaries into every store, runs every command on it, as it should go and as it should not, and
// looks for them in what is said, in what is left on the disk, and, while they run, in the arguments and the environment of
// every process.
func TestCanariesOfSecrets(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/thread-self/children"); err != nil {
		t.Skipf("this kernel does not say who has started whom: %v", err)
	}
	c := &secretsCanary{kaiRun: newKaiRun(t, newNamespace("canary-secrets")), runner: kaiRunBinary(t), canaries: newCanaries(t), inputs: t.TempDir(), seen: map[string]bool{}}
	c.watch, c.values = newWatch(c.canaries), newWatch(c.canaries)
	must(t, cluster(t).Create(t.Context(), "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": c.namespace}}))
	stores := c.stores(t)
	c.workspace(t, stores)
	for i, s := range stores {
		begin, before := time.Now(), c.processes
		c.goesRight(t, s)
		if i == 0 {
			c.mistakes(t, s)
		}
		for _, why := range slices.Sorted(maps.Keys(s.wrong)) {
			c.goesWrong(t, s, why)
		}
		c.left(t)
		t.Logf("%s: %d looks at processes in %v", s.name, c.processes-before, time.Since(begin).Round(time.Millisecond))
	}
	if c.processes < 100*len(stores) || c.knowing < 2*len(stores) {
		t.Errorf("there were %d looks at processes, and %d at those that may know and do", c.processes, c.knowing)
	}
}

// stores starts what keeps secrets.
func (c *secretsCanary) stores(t *testing.T) []canaryStore {
	t.Helper()
	v := vaultserver.ForTest(t, cache(t), root(t))
	var token struct {
		Auth struct {
			ClientToken string `json:"client_token"`
		}
	}
	must(t, v.Call(t.Context(), http.MethodPost, "auth/token/create", map[string]any{"policies": []string{"default"}}, &token))
	identity, recipient := c.sshKey(t, "identity")
	other, _ := c.sshKey(t, "other")
	write(t, filepath.Join(c.dir, "stores", "file.yaml"), "apiVersion: kai/v1\nrecipients: ["+recipient+"]\napps: {}\n")
	keys := filepath.Join(c.inputs, "keys")
	write(t, keys, "one:"+c.key(t)+"\n")
	write(t, filepath.Join(c.inputs, "offline-key"), c.key(t))
	otherKeys := map[string]string{"KAI_ENCRYPTION_KEYS_FILE": "", "KAI_ENCRYPTION_KEYS": "other:" + c.key(t)}
	denied := regexp.MustCompile(`(?m)^( *)client-certificate-data:`)
	all := []canaryStore{
		{name: "embedded", runs: true,
			env:   map[string]string{"KAI_STORE": "sql", "KAI_STORE_PATH": filepath.Join(c.dir, ".kai", "secrets.db"), "KAI_ENCRYPTION_KEYS_FILE": keys},
			wrong: map[string]map[string]string{"other key": otherKeys, "no key": {"KAI_ENCRYPTION_KEYS_FILE": "/dev/null"}}},
		{name: "file", fields: "provider: file, path: stores/file.yaml", runs: true,
			env:   map[string]string{"KAI_STORE": "file", "KAI_STORE_PATH": filepath.Join(c.dir, "stores", "file.yaml"), "KAI_AGE_KEY_FILE": identity, "KAI_ENCRYPTION_KEYS_FILE": keys},
			wrong: map[string]map[string]string{"other key": {"KAI_AGE_KEY_FILE": other}, "no key": {"KAI_AGE_KEY_FILE": ""}, "not a key": {"KAI_AGE_KEY_FILE": keys}}},
		{name: "vault", fields: "provider: vault", runs: true,
			env:   map[string]string{"KAI_STORE": "vault", "VAULT_ADDR": v.Addr, "VAULT_TOKEN": c.known(v.Token), "KAI_ENCRYPTION_KEYS_FILE": keys},
			wrong: map[string]map[string]string{"away": {"VAULT_ADDR": "http://127.0.0.1:1"}, "denied": {"VAULT_TOKEN": c.known(token.Auth.ClientToken)}, "odd address": {"VAULT_ADDR": "http://me:" + c.known(rand.Text()) + "@127.0.0.1:1"}, "no such token": {"VAULT_TOKEN": c.known("hvs." + rand.Text())}}},
		{name: "kubernetes", fields: "provider: kubernetes",
			env: map[string]string{"KAI_ENCRYPTION_KEYS_FILE": keys},
			wrong: map[string]map[string]string{
				"away":   c.kubeconfig(t, "away", func(text string) string { return strings.ReplaceAll(text, cluster(t).Server, "https://127.0.0.1:1") }),
				"denied": c.kubeconfig(t, "denied", func(text string) string { return denied.ReplaceAllString(text, "${1}as: nobody\n${0}") })}},
	}
	for _, server := range []struct {
		name  string
		start func(context.Context) (*databases.Server, error)
	}{{"postgres", databases.Postgres}, {"mariadb", databases.MariaDB}} {
		d, err := server.start(t.Context())
		if missing := (*child.MissingError)(nil); errors.As(err, &missing) && os.Getenv(child.Required) == "" {
			t.Logf("without %s: %v", server.name, err)
			continue
		}
		must(t, err)
		t.Cleanup(func() { must(t, d.Stop()) })
		all = append(all, canaryStore{name: server.name, fields: "provider: sql", runs: true,
			env: map[string]string{"KAI_STORE": "sql", "KAI_SQL_URL": d.URL(), "KAI_SQL_PASSWORD": c.known(d.Password), "KAI_SQL_CACERT": d.CA, "KAI_ENCRYPTION_KEYS_FILE": keys},
			wrong: map[string]map[string]string{
				"away":   {"KAI_SQL_URL": strings.Replace(d.URL(), d.Addr, "127.0.0.1:1", 1)},
				"denied": {"KAI_SQL_PASSWORD": c.known(rand.Text())},
				// An address with a password, and with a mistake behind it.
				"odd address": {"KAI_SQL_URL": strings.Replace(d.URL(), "@", ":"+c.known(rand.Text())+"@", 1) + "?x=%zz"},
				"other key":   otherKeys}})
	}
	return all
}

// known makes a credential one that is looked for, but not in environments.
func (c *secretsCanary) known(text string) string {
	for _, form := range (canary{key: "a credential", parts: []string{text}}).forms() {
		c.forms[form] = "a credential"
	}
	return text
}

// key makes a key of AES.
func (c *secretsCanary) key(t *testing.T) string {
	t.Helper()
	key := make([]byte, 32)
	_, err := rand.Read(key)
	must(t, err)
	return c.known(base64.StdEncoding.EncodeToString(key))
}

// sshKey makes a key that age takes, and gives its file and the recipient.
func (c *secretsCanary) sshKey(t *testing.T, name string) (path, recipient string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	c.known(strings.Split(string(text), "\n")[1])
	path = filepath.Join(c.inputs, name)
	write(t, path, string(text))
	var wire []byte
	for _, part := range [][]byte{[]byte("ssh-ed25519"), public} {
		wire = append(binary.BigEndian.AppendUint32(wire, uint32(len(part))), part...)
	}
	return path, "ssh-ed25519 " + base64.StdEncoding.EncodeToString(wire)
}

// kubeconfig writes one of another kind, and gives the environment that names it.
func (c *secretsCanary) kubeconfig(t *testing.T, name string, change func(string) string) map[string]string {
	t.Helper()
	text, err := cluster(t).KubeconfigFor(c.namespace)
	must(t, err)
	path := filepath.Join(c.inputs, name+".kubeconfig")
	write(t, path, change(string(text)))
	return map[string]string{"KUBECONFIG": path}
}

// workspace writes one with a context for each store, and the files that commands read, which hold canaries.
func (c *secretsCanary) workspace(t *testing.T, stores []canaryStore) {
	t.Helper()
	contexts, env, keys := "", "", ""
	for _, s := range stores {
		contexts += fmt.Sprintf("  - {name: %s, namespace: %s, secrets: {exec: [%s], files: [%s], %s}}\n", s.name, c.namespace, filepath.Join(c.inputs, "tell"), filepath.Join(c.inputs, "values"), s.fields)
	}
	for _, one := range c.canaries {
		quoted, err := json.Marshal(one.text)
		must(t, err)
		keys += fmt.Sprintf("      %s: %s\n", one.key, quoted)
		env += fmt.Sprintf("      CANARY_%s: {secret: %s}\n", strings.ToUpper(one.key), one.key)
		write(t, filepath.Join(c.inputs, "values", one.key), one.text)
	}
	write(t, filepath.Join(c.dir, "kai-workspace.yaml"), "apiVersion: kai/v1\nname: canaries\nversion: 1.0.0\nservices: [services/*]\ncontexts:\n"+contexts)
	write(t, filepath.Join(c.dir, "services", "web", "kai.yaml"), fmt.Sprintf(`apiVersion: kai/v1
name: web
images: [{name: release, repository: example/web, tag: 1.0.0}]
contexts:
  - name: base
    flavor: webservice
    image: release
    routes: [{name: http, port: 80}]
    friends: [redis]
    env:
      TOLD: {secret: "ref+exec://%s"}
      FILED: {secret: "ref+file://%s"}
%s`, filepath.Join(c.inputs, "tell"), filepath.Join(c.inputs, "values", "short"), env))
	files := "      KFILE_KEY_PATH: made/key\n      KFILE_KEY_CONTENT: " + base64.StdEncoding.EncodeToString([]byte(c.canaries[0].text)) + "\n"
	all := "apiVersion: kai/v1\napps:\n  web:\n    secret:\n" + keys + "  files:\n    secret:\n" + files + "  out:\n    secret:\n" + strings.Replace(files, "made/key", "../out", 1) + "  edited:\n    secret:\n" + keys
	write(t, filepath.Join(c.inputs, "all.yaml"), all)
	// Files with mistakes, each where a canary stands near.
	for name, text := range map[string]string{
		"indent": strings.Replace(all, "      url:", "    url:", 1), "tab": strings.Replace(all, "      url:", "\turl:", 1), "shape": "web:\n  secret:\n" + keys,
		"scope": strings.Replace(all, "secret:", "hidden:", 1), "twice": all + keys, "json": strings.Replace(all, "apps:", "apps: [", 1), "name": strings.Replace(all, "      url:", `      "a b":`, 1),
		"list": "apiVersion: kai/v1\napps:\n  web:\n    secret: [" + quote(c.canaries[0].text) + "]\n", "recipient": "apiVersion: kai/v1\nrecipients: [" + quote(c.canaries[0].text) + "]\n" + strings.TrimPrefix(all, "apiVersion: kai/v1\n"),
	} {
		write(t, filepath.Join(c.inputs, "bad", name+".yaml"), text)
	}
	write(t, filepath.Join(c.inputs, "leaks", "plain.txt"), keys)
	for name, text := range map[string]string{
		"tell": "echo " + c.canaries[len(c.canaries)-1].parts[0] + "; echo " + c.canaries[0].parts[0] + " >&2", "change.sh": "sleep 0.02; sed -i 's/short: .*/short: by-the-editor/' \"$1\"",
		"break.sh": "sed -i 's/short: /short: [/' \"$1\"", "fail.sh": "exit 3",
	} {
		write(t, filepath.Join(c.inputs, name), "#!/bin/sh\n"+text+"\n")
		must(t, os.Chmod(filepath.Join(c.inputs, name), 0o755))
	}
}

// quote gives a text as JSON, which is YAML too.
func quote(text string) string {
	data, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// asked is what a program was asked to show, and how it must end.
type asked struct {
	stdin  string // a file
	shows  bool   // stdout may have values
	fails  bool
	anyway bool // it may fail or not
}

// goesRight runs every command on a store that can be read and written.
func (c *secretsCanary) goesRight(t *testing.T, s canaryStore) {
	t.Helper()
	program, kai, in := c.programs(t, s)
	kai(asked{}, "import", in("all.yaml"), "--dry-run", "-o", "json")
	kai(asked{stdin: in("all.yaml")}, "import", "-")
	kai(asked{}, "import", in("all.yaml"), "--replace")
	for _, key := range []string{"crlf", "json", "short"} {
		kai(asked{stdin: in("values/" + key)}, "set", "set.secret."+key)
		kai(asked{}, "set", "set.secret."+key, "--from-file", in("values/"+key))
		kai(asked{shows: true}, "get", "set.secret."+key)
	}
	kai(asked{stdin: in("values/json")}, "set", "set.secret.map", "--type", "json", "--dry-run")
	for _, format := range []string{"text", "json", "yaml", "name"} {
		kai(asked{}, "list", "-o", format)
	}
	c.env = append(c.env, "EDITOR="+in("change.sh"))
	kai(asked{}, "edit", "edited", "--dry-run")
	kai(asked{}, "edit", "edited.secret", "-o", "json")
	kai(asked{}, "generate", "-o", "yaml")
	kai(asked{}, "check", "-o", "json")
	kai(asked{}, "check")
	kai(asked{shows: true}, "export")
	exported := filepath.Join(c.inputs, s.name+".yaml")
	kai(asked{}, "export", "-o", exported)
	kai(asked{}, "copy", "web", "--to", "sqlite:"+filepath.Join(c.tmp, s.name+".db"))
	// A file holds one deployment, to which what is encrypted there is bound.
	kai(asked{fails: s.name == "file"}, "copy", "web", "--to-deployment", "copied", "--dry-run", "-o", "yaml")
	kai(asked{}, "scan", c.dir)
	kai(asked{fails: true}, "scan", in("leaks"), "-o", "json")
	kai(asked{anyway: true}, "history", "edited.secret", "-o", "json")
	kai(asked{anyway: true}, "rollback", "edited.secret", "1")
	kai(asked{anyway: true}, "get", "edited.secret.json", "--at", "99")
	kai(asked{anyway: true}, "rotate-key")
	kai(asked{anyway: true}, "policy")
	kai(asked{}, "delete", "set.all.all", "-o", "json")

	// Values, charts and runs.
	program(asked{shows: true}, c.kai, "values", "-c", s.name, "web", "--reveal")
	program(asked{}, c.kai, "values", "-c", s.name, "web")
	program(asked{}, c.kai, "values", "-c", s.name, "web", "-o", filepath.Join(c.inputs, s.name+".values.yaml"))
	program(asked{}, c.kai, "template", "-c", s.name)
	program(asked{}, c.kai, "generate", "-c", s.name)
	program(asked{}, c.kai, "diff", "-c", s.name, "-U", "-1")
	for _, run := range c.runs(s) {
		program(asked{}, append(slices.Clone(run), "--app", "web", "--explain")...)
		program(asked{}, append(slices.Clone(run), "--app", "web", "--", "sh", "-c", "sleep 0.1; :", mayKnow)...)
		program(asked{fails: true}, append(slices.Clone(run), "--app", "web", "--", filepath.Join(c.inputs, "none"))...)
		program(asked{fails: true}, append(slices.Clone(run), "--app", "out", "--", "true")...)
		program(asked{}, append(slices.Clone(run), "--app", "web,files", "--watch", "--cleanup", "--file-root", c.inputs, "--offline-ok", filepath.Join(c.tmp, "offline"),
			"--offline-key-file", filepath.Join(c.inputs, "offline-key"), "--", "sh", "-c", "sleep 0.2; test -s '"+c.inputs+"/made/key'", mayKnow)...)
	}
}

// mistakes are the user's own: in places, in files, in an editor.
func (c *secretsCanary) mistakes(t *testing.T, s canaryStore) {
	t.Helper()
	program, kai, in := c.programs(t, s)
	for _, args := range [][]string{{"get", "web.secret.none"}, {"get", "web.hidden.short"}, {"delete", "web"}, {"rollback", "web.secret", "x"}, {"copy", "--to", "nowhere"}, {"list", "-d", "none", "-o", "odd"}} {
		kai(asked{fails: true, stdin: in("all.yaml")}, args...)
	}
	kai(asked{fails: true, stdin: in("values/long")}, "set", "web.hidden.short")
	kai(asked{fails: true, stdin: in("values/long")}, "set", "web.secret")
	for _, one := range c.canaries {
		kai(asked{anyway: true, stdin: in("values/" + one.key)}, "set", "set.secret.x", "--type", "json", "--dry-run")
	}
	bad, err := filepath.Glob(in("bad/*.yaml"))
	must(t, err)
	for _, file := range bad {
		kai(asked{anyway: true}, "import", file, "--dry-run")
		for _, args := range [][]string{{"list"}, {"delete", "all.all.all", "--dry-run"}, {"rotate-key"}} {
			program(asked{anyway: true}, append([]string{c.kai, "secrets", "--provider", "file", "-d", "x", "--path", file}, args...)...)
		}
	}
	for _, editor := range []string{"break.sh", "fail.sh", "none"} {
		c.env = append(c.env, "EDITOR="+in(editor))
		kai(asked{fails: true}, "edit", "edited.secret")
	}
}

// programs gives what runs a program with a store, a command of kai secrets on it, and what names an input.
func (c *secretsCanary) programs(t *testing.T, s canaryStore) (program, kai func(a asked, args ...string), in func(name string) string) {
	program = func(a asked, args ...string) { t.Helper(); c.program(t, s, nil, a, args[0], args[1:]...) }
	kai = func(a asked, args ...string) {
		t.Helper()
		program(a, append([]string{c.kai, "secrets", args[0], "-c", s.name}, args[1:]...)...)
	}
	return program, kai, func(name string) string { return filepath.Join(c.inputs, name) }
}

// runs are the ways to start a command with a store's secrets.
func (c *secretsCanary) runs(s canaryStore) [][]string {
	runs := [][]string{{c.kai, "run", "-c", s.name, "--retry", "100ms"}}
	if s.runs {
		runs = append(runs, []string{c.runner, "--deployment", s.name, "--retry", "100ms"})
	}
	return runs
}

// goesWrong runs commands where the store does not open, several at once: where it is away, they ask again for a while.
func (c *secretsCanary) goesWrong(t *testing.T, s canaryStore, why string) {
	t.Helper()
	in := func(name string) string { return filepath.Join(c.inputs, name) }
	c.env = append(c.env, "EDITOR="+in("change.sh"))
	var all sync.WaitGroup
	slots := make(chan struct{}, 8)
	program := func(a asked, args ...string) {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			c.program(t, s, s.wrong[why], a, args[0], args[1:]...)
		})
	}
	kai := func(a asked, args ...string) {
		program(a, append([]string{c.kai, "secrets", args[0], "-c", s.name}, args[1:]...)...)
	}
	kai(asked{fails: true}, "get", "web.secret.short")
	kai(asked{fails: true}, "export")
	kai(asked{fails: true}, "edit", "web.secret")
	kai(asked{fails: true}, "check")
	kai(asked{fails: true}, "scan", in("leaks"))
	kai(asked{fails: true}, "copy", "web", "--to", "sqlite:"+filepath.Join(c.tmp, "never.db"))
	// Names are no secret, and need no key.
	kai(asked{anyway: true}, "list")
	kai(asked{anyway: true, stdin: in("values/long")}, "set", "wrong.secret.short")
	kai(asked{anyway: true}, "import", in("all.yaml"), "--dry-run")
	kai(asked{anyway: true}, "generate", "--dry-run")
	kai(asked{anyway: true}, "history", "web.secret")
	kai(asked{anyway: true}, "rollback", "web.secret", "1", "--dry-run")
	kai(asked{anyway: true}, "delete", "web.secret.all", "--dry-run")
	kai(asked{anyway: true}, "rotate-key")
	program(asked{fails: true}, c.kai, "values", "-c", s.name, "web", "--reveal")
	program(asked{fails: true}, c.kai, "diff", "-c", s.name)
	for _, run := range c.runs(s) {
		program(asked{fails: true}, append(slices.Clone(run), "--app", "web", "--", "true")...)
		program(asked{anyway: true}, append(slices.Clone(run), "--app", "web", "--explain")...)
	}
	all.Wait()
}

// program runs one to its end, looks at every process while it runs, and at what it has said after.
func (c *secretsCanary) program(t *testing.T, s canaryStore, wrong map[string]string, a asked, name string, args ...string) {
	t.Helper()
	var stdout, stderr lockedBuffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, &stdout, &stderr
	cmd.Env = slices.Clone(c.env)
	for _, more := range []map[string]string{s.env, wrong} {
		for name, value := range more {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	if a.stdin != "" {
		file, err := os.Open(a.stdin)
		must(t, err)
		defer file.Close()
		cmd.Stdin = file
	}
	what := fmt.Sprintf("%s %v", filepath.Base(name), args)
	must(t, cmd.Start())
	done := make(chan struct{})
	go func() {
		// It is in the state of the process.
		_ = cmd.Wait()
		close(done)
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(10 * time.Millisecond):
			c.look(t, what, cmd.Process.Pid)
		}
	}
	if failed := cmd.ProcessState.ExitCode() != 0; failed != a.fails && !a.anyway {
		t.Errorf("%s (%s %v): %v\n%s", what, s.name, wrong != nil, cmd.ProcessState, stderr.Bytes())
	}
	if !a.shows || a.fails {
		c.clean(t, "stdout of "+what, string(stdout.Bytes()))
	}
	c.clean(t, "stderr of "+what, string(stderr.Bytes()))
}

// look looks at a process and all that it has started, but not at those that may know.
func (c *secretsCanary) look(t *testing.T, what string, pid int) {
	t.Helper()
	for todo := []string{strconv.Itoa(pid)}; len(todo) > 0; todo = todo[1:] {
		process := filepath.Join("/proc", todo[0])
		// The arguments come last: who turns into one that may know in between counts as such.
		environ, err := os.ReadFile(filepath.Join(process, "environ"))
		args, err2 := os.ReadFile(filepath.Join(process, "cmdline"))
		if err != nil || err2 != nil {
			continue // it has ended
		}
		may := bytes.Contains(args, []byte(mayKnow)) && !bytes.HasPrefix(args, []byte(c.kai)) && !bytes.HasPrefix(args, []byte(c.runner))
		c.looked(t, fmt.Sprintf("process %s of %s", todo[0], what), string(args), string(environ), may)
		if may {
			continue
		}
		children, err := filepath.Glob(filepath.Join(process, "task", "*", "children"))
		must(t, err)
		for _, file := range children {
			if list, err := os.ReadFile(file); err == nil {
				todo = append(todo, strings.Fields(string(list))...)
			}
		}
	}
}

func (c *secretsCanary) looked(t *testing.T, what, args, environ string, may bool) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	id := args + "\x00" + environ
	switch {
	case may && c.values.shows(environ):
		c.knowing++
	case may:
	case c.seen[id]:
		c.processes++
	default:
		c.processes++
		c.seen[id] = true
		c.clean(t, "the arguments of "+what, args)
		c.values.clean(t, "the environment of "+what, environ)
	}
}

// left looks at all files that are there.
func (c *secretsCanary) left(t *testing.T) {
	t.Helper()
	for _, dir := range []string{c.dir, c.tmp, c.home()} {
		must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			c.clean(t, path, string(data))
			return err
		}))
	}
	for _, path := range []string{filepath.Join(c.inputs, "made", "key"), filepath.Join(c.dir, "..", "out"), filepath.Join(c.tmp, "never.db")} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
}
