//go:build linux

package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/e2e/controlplane"
	"github.com/helm-kai/helm-kai/e2e/vaultserver"
)

const runtimeWorkspace = `apiVersion: kai/v1
name: shop
services: [services/*]
contexts:
  - name: prod
    namespace: NAMESPACE
    secrets:
      provider: vault
      address: ADDRESS
      prefix: teams/shop
      delivery: runtime
      runtime:
        image: {registry: registry.example.com, repository: tools/kai-run, tag: 0.5.0}
        env: {KAI_VAULT_AUTH: kubernetes, KAI_VAULT_ROLE: shop, KAI_INTERVAL: 100ms, KAI_GRACE: 5s}
        audience: vault
        watch: true
        cidrs: [127.0.0.0/8]
`

const runtimeService = `apiVersion: kai/v1
name: tokend
images: [{name: release, registry: registry.example.com, repository: tokend, tag: 1.0.0}]
commands: [{name: run, type: script, interpreter: [sh, -c], fileName: run.sh}]
probes: [{name: alive, tcpSocket: {port: http}}, {name: ready, httpGet: {path: /, port: http}}]
routes: [{name: http, port: 80, containerPort: 8080}]
contexts:
  - name: base
    flavor: webservice
    image: release
    command: run
    probes: {liveness: alive, readiness: ready}
    args: [run.sh, "$(GREETING)", "$$(GREETING)", "$(NOBODY)"]
    routes: [http]
    friends:
      - name: db
        type: requirement
        chart: null
        config: {host: db.example.com, port: 5432}
        credentials: {password: {secret: db_password}}
        env: {DB_URL: "postgres://app:${credentials.password}@${config.host}:${config.port}/app"}
    env:
      OUT: FOLDER
      TOKEN: {secret: token}
      LICENSE: {secret: license, scope: private}
      GREETING: {secret: greeting, scope: public}
      AUTH: "Bearer $(TOKEN)"
`

// The program of the container writes what it got, the last file last, and stays.
const runtimeScript = `printf %s "$TOKEN" > "$OUT/TOKEN"
printf %s "$AUTH" > "$OUT/AUTH"
printf %s "$DB_URL" > "$OUT/DB_URL"
printf %s "$LICENSE" > "$OUT/LICENSE"
printf '%s\n' "$@" > "$OUT/args"
tr '\0' '\n' < /proc/self/environ | grep -c KAI_VA > "$OUT/settings"
echo $$ >> "$OUT/starts"
exec sleep 600
`

// runtimeCase is a service whose container reads a Vault.
type runtimeCase struct {
	*kaiRun
	vault   *vaultserver.Server
	kubectl string
	out     string // where the container's program writes
	watch   *watch
}

// pod is what is read of one.
type pod struct {
	Metadata struct{ Name, UID, Namespace string }
	Spec     struct {
		ServiceAccountName         string
		InitContainers, Containers []struct {
			Name          string
			Command, Args []string
			Env           []struct {
				Name, Value string
				ValueFrom   any
			}
			VolumeMounts []struct {
				Name, MountPath string
				ReadOnly        bool
			}
		}
		Volumes []struct {
			Name      string
			Projected struct {
				Sources []struct {
					ServiceAccountToken struct {
						Audience, Path    string
						ExpirationSeconds int
					}
				}
			}
		}
	}
}

// TestDeliveryRuntime installs a service whose container starts through kai-run, and runs on this machine what the kubelet
// would: the init container's command, and the container's with its environment, arguments and token, over a real Vault that
// asks the cluster whose token it is.
func TestDeliveryRuntime(t *testing.T) {
	t.Parallel()
	canaries := newCanaries(t)
	byKey := map[string]string{}
	for _, c := range canaries {
		byKey[c.key] = c.text
	}
	c := newRuntimeCase(t, canaries)
	for name, value := range map[string]string{
		"tokend.secret.token": byKey["short"], "tokend.secret.db_password": byKey["base64"], "global.private.license": byKey["quotes"],
		"tokend.public.greeting": "hello",
	} {
		c.kaiWith(t, c.vault.Token, value, "secrets", "set", "-c", "prod", name)
	}
	if check := c.kaiWith(t, c.vault.Token, "", "secrets", "check", "-c", "prod"); strings.Contains(check, "missing") || strings.Count(check, "found") != 4 {
		t.Errorf("check says:\n%s", check)
	}

	// Whoever installs needs nothing of Vault, and kai sends nothing of it.
	c.kaiWith(t, "", "", "generate", "-c", "prod", "-o", filepath.Join(c.dir, "out"))
	manifests := c.kaiWith(t, "", "", "template", "-c", "prod")
	conforms(t, []byte(manifests))
	scores(t, []byte(manifests))
	c.kaiWith(t, "", "", "install", "-c", "prod", "--create-namespace", "--wait")
	if out := c.kaiWith(t, "", "", "diff", "-c", "prod"); !strings.Contains(out, "1 unchanged") {
		t.Errorf("diff says:\n%s", out)
	}
	c.nowhereInTheCluster(t)

	// The pod, as the kubelet would start it.
	p := c.pod(t)
	c.trust(t, p.Spec.ServiceAccountName)
	root := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(root, "kai"), 0o755))
	c.token(t, p, root)
	init := p.Spec.InitContainers[0]
	if init.Name != "kai-run" || len(init.Env) != 0 {
		t.Fatalf("the first init container is %+v", init)
	}
	installer := exec.Command(kaiRunBinary(t), inRoot(root, init.Command[1:])...)
	installer.Env = []string{} // no store is needed
	if out, err := installer.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", init.Command, err, out)
	}
	main := c.start(t, p, root)

	holds := func(starts int, want map[string]string) {
		t.Helper()
		c.started(t, main, starts)
		for name, text := range want {
			if data, err := os.ReadFile(filepath.Join(c.out, name)); err != nil || string(data) != text {
				t.Errorf("%s has %d bytes, and not the %d that it should: %v", name, len(data), len(text), err)
			}
		}
		c.nowhereOnTheNode(t, main)
	}
	holds(1, map[string]string{
		"TOKEN": byKey["short"], "AUTH": "Bearer " + byKey["short"], "DB_URL": "postgres://app:" + byKey["base64"] + "@db.example.com:5432/app",
		"LICENSE": byKey["quotes"], "args": "hello\n$(GREETING)\n$(NOBODY)\n", "settings": "0\n",
	})

	// What changes in Vault starts the program anew, by itself.
	c.kaiWith(t, c.vault.Token, byKey["json"], "secrets", "set", "-c", "prod", "tokend.secret.token")
	holds(2, map[string]string{"TOKEN": byKey["json"], "AUTH": "Bearer " + byKey["json"], "args": "hello\n$(GREETING)\n$(NOBODY)\n"})
	c.kaiWith(t, c.vault.Token, "goodbye", "secrets", "set", "-c", "prod", "tokend.public.greeting")
	holds(3, map[string]string{"args": "goodbye\n$(GREETING)\n$(NOBODY)\n"})

	must(t, main.cmd.Process.Signal(syscall.SIGTERM))
	got := main.wait(t)
	if got.code != 143 {
		t.Errorf("it ends with %d", got.code)
	}
	c.watch.clean(t, "what kai-run says", string(got.stdout)+string(got.stderr))
	contains(t, "what kai-run says", string(got.stderr), "a value has changed: restarting")
}

func newRuntimeCase(t *testing.T, canaries []canary) *runtimeCase {
	t.Helper()
	c := &runtimeCase{kaiRun: newKaiRun(t, newNamespace("delivery-runtime")), vault: vaultserver.ForTest(t, cache(t), root(t)), out: t.TempDir(), watch: newWatch(canaries)}
	binaries, err := controlplane.Build(t.Context(), cache(t), filepath.Join(root(t), "e2e", "controlplane", "build"))
	must(t, err)
	c.kubectl = filepath.Join(binaries, "kubectl")
	write(t, filepath.Join(c.dir, "kai-workspace.yaml"), strings.NewReplacer("NAMESPACE", c.namespace, "ADDRESS", c.vault.Addr).Replace(runtimeWorkspace))
	write(t, filepath.Join(c.dir, "services", "tokend", "kai.yaml"), strings.ReplaceAll(runtimeService, "FOLDER", c.out))
	write(t, filepath.Join(c.dir, "services", "tokend", "run.sh"), runtimeScript)
	return c
}

// kaiWith runs kai with a token of Vault, or none, and looks for canaries in what it says.
func (c *runtimeCase) kaiWith(t *testing.T, token, stdin string, args ...string) string {
	t.Helper()
	env := slices.Clone(c.env)
	if token != "" {
		env = append(env, "VAULT_TOKEN="+token)
	}
	got := command{dir: c.dir, env: env, stdin: []byte(stdin)}.try(t, c.kai, args...)
	if got.code != 0 {
		t.Fatalf("kai %v: exit code %d\n%s%s", args, got.code, got.stdout, got.stderr)
	}
	c.watch.clean(t, fmt.Sprintf("kai %v", args), string(got.stdout)+string(got.stderr))
	return string(got.stdout)
}

// nowhereInTheCluster holds that no chart, no object and no record of Helm's has a canary, and that there is no Secret but
// the record.
func (c *runtimeCase) nowhereInTheCluster(t *testing.T) {
	t.Helper()
	for _, dir := range []string{c.dir, c.tmp} {
		must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			c.watch.clean(t, path, string(data))
			return err
		}))
	}
	for _, kind := range []string{"api/v1/%s/pods", "api/v1/%s/configmaps", "apis/apps/v1/%s/deployments", "apis/apps/v1/%s/replicasets", "api/v1/%s/events"} {
		var all json.RawMessage
		must(t, cluster(t).Get(t.Context(), "/"+fmt.Sprintf(kind, "namespaces/"+c.namespace), &all))
		c.watch.clean(t, kind, string(all))
	}
	var secrets struct {
		Items []struct {
			Metadata struct{ Name string }
			Data     map[string][]byte
		}
	}
	must(t, cluster(t).Get(t.Context(), "/api/v1/namespaces/"+c.namespace+"/secrets", &secrets))
	if len(secrets.Items) != 1 || secrets.Items[0].Metadata.Name != "sh.helm.release.v1.tokend.v1" {
		t.Fatalf("there are %d Secrets", len(secrets.Items))
	}
	packed, err := base64.StdEncoding.DecodeString(string(secrets.Items[0].Data["release"]))
	must(t, err)
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	must(t, err)
	record, err := io.ReadAll(unpacked)
	must(t, err)
	contains(t, "Helm's record", string(record), "KAI_VARS")
	c.watch.clean(t, "Helm's record", string(record))
}

// pod gives the service's pod.
func (c *runtimeCase) pod(t *testing.T) pod {
	t.Helper()
	var pods struct{ Items []pod }
	must(t, cluster(t).Get(t.Context(), "/api/v1/namespaces/"+c.namespace+"/pods?labelSelector=app.kubernetes.io%2Fname%3Dtokend", &pods))
	if len(pods.Items) != 1 || len(pods.Items[0].Spec.Containers) != 1 {
		t.Fatalf("there are %d pods", len(pods.Items))
	}
	return pods.Items[0]
}

func (c *runtimeCase) kube(t *testing.T, args ...string) string {
	t.Helper()
	return strings.TrimSpace(command{dir: c.dir, env: c.env}.run(t, c.kubectl, args...))
}

// trust has Vault ask the cluster who logs in, and lets the pod's service account read what kai says that it needs.
func (c *runtimeCase) trust(t *testing.T, account string) {
	t.Helper()
	policy := c.kaiWith(t, c.vault.Token, "", "secrets", "policy", "-c", "prod")
	c.kube(t, "create", "serviceaccount", "vault")
	c.kube(t, "create", "clusterrolebinding", c.namespace, "--clusterrole=system:auth-delegator", "--serviceaccount="+c.namespace+":vault")
	t.Cleanup(func() { c.kube(t, "delete", "clusterrolebinding", c.namespace) })
	authority, err := os.ReadFile(cluster(t).CA())
	must(t, err)
	for _, call := range []struct {
		path string
		body map[string]any
	}{
		{"sys/policies/acl/shop", map[string]any{"policy": policy}},
		{"sys/auth/kubernetes", map[string]any{"type": "kubernetes"}},
		{"auth/kubernetes/config", map[string]any{
			"kubernetes_host": cluster(t).Server, "kubernetes_ca_cert": string(authority), "disable_local_ca_jwt": true,
			"token_reviewer_jwt": c.kube(t, "create", "token", "vault"),
		}},
		{"auth/kubernetes/role/shop", map[string]any{
			"bound_service_account_names": account, "bound_service_account_namespaces": c.namespace, "audience": "vault",
			"token_policies": "shop", "token_no_default_policy": true,
		}},
	} {
		must(t, c.vault.Call(t.Context(), http.MethodPut, call.path, call.body, nil))
	}
}

// token puts what the pod's projected volume asks for where the container mounts it.
func (c *runtimeCase) token(t *testing.T, p pod, root string) {
	t.Helper()
	for _, v := range p.Spec.Volumes {
		for _, s := range v.Projected.Sources {
			from := s.ServiceAccountToken
			for _, m := range p.Spec.Containers[0].VolumeMounts {
				if m.Name != v.Name {
					continue
				}
				if from.Audience != "vault" || from.ExpirationSeconds != 3600 || !m.ReadOnly {
					t.Errorf("the token is %+v at %+v", from, m)
				}
				text := c.kube(t, "create", "token", p.Spec.ServiceAccountName, "--audience="+from.Audience,
					"--bound-object-kind=Pod", "--bound-object-name="+p.Metadata.Name, "--bound-object-uid="+p.Metadata.UID)
				write(t, filepath.Join(root, m.MountPath, from.Path), text)
				return
			}
		}
	}
	t.Fatal("the pod has no token")
}

// inRoot maps the paths of what delivery: runtime mounts into a folder.
func inRoot(root string, words []string) []string {
	out := slices.Clone(words)
	for i, word := range out {
		if strings.HasPrefix(word, "/kai/") || strings.HasPrefix(word, "/var/run/secrets/") {
			out[i] = root + word
		}
	}
	return out
}

// start starts the container: Kubernetes expands what it knows, in the order of the variables, and leaves the rest.
func (c *runtimeCase) start(t *testing.T, p pod, root string) *background {
	t.Helper()
	container := p.Spec.Containers[0]
	known := map[string]string{}
	var env []string
	for _, v := range container.Env {
		if v.ValueFrom != nil {
			t.Fatalf("%s is from %v", v.Name, v.ValueFrom)
		}
		known[v.Name] = inRoot(root, []string{kubernetesExpands(v.Value, known)})[0]
		env = append(env, v.Name+"="+known[v.Name])
	}
	words := inRoot(root, append(slices.Clone(container.Command), container.Args...))
	for i, word := range words {
		words[i] = kubernetesExpands(word, known)
	}
	b := &background{cmd: exec.Command(words[0], words[1:]...)}
	b.cmd.Dir, b.cmd.Env, b.cmd.Stdout, b.cmd.Stderr = root, append(env, "PATH="+os.Getenv("PATH")), &b.stdout, &b.stderr
	must(t, b.cmd.Start())
	t.Cleanup(func() { _ = b.cmd.Process.Signal(syscall.SIGTERM) })
	return b
}

// kubernetesExpands is what the kubelet does to variables and arguments.
func kubernetesExpands(text string, known map[string]string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '$' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		switch end := strings.IndexByte(text[i:], ')'); {
		case text[i] == '$':
			b.WriteByte('$')
		case text[i] == '(' && end > 0:
			name := text[i+1 : i+end]
			if value, ok := known[name]; ok {
				b.WriteString(value)
			} else {
				b.WriteString("$(" + name + ")")
			}
			i += end
		default:
			b.WriteString(text[i-1 : i+1])
		}
	}
	return b.String()
}

// started waits until the program has been started so often.
func (c *runtimeCase) started(t *testing.T, b *background, times int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		data, _ := os.ReadFile(filepath.Join(c.out, "starts"))
		switch lines := bytes.Count(data, []byte("\n")); {
		case lines == times:
			return
		case lines > times, time.Now().After(end):
			t.Fatalf("it was started %d times, and not %d\n%s", lines, times, b.stderr.Bytes())
		}
	}
}

// nowhereOnTheNode holds that no process has a canary in its arguments, nor kai-run in its environment; the program has.
func (c *runtimeCase) nowhereOnTheNode(t *testing.T, b *background) {
	t.Helper()
	lists, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	for _, list := range lists {
		data, err := os.ReadFile(list)
		if err == nil { // else it has ended meanwhile
			c.watch.clean(t, list, string(data))
		}
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", b.cmd.Process.Pid))
	must(t, err)
	contains(t, "kai-run's environment", string(environ), "KAI_VARS=")
	c.watch.clean(t, "kai-run's environment", string(environ))
	starts, err := os.ReadFile(filepath.Join(c.out, "starts"))
	must(t, err)
	pids := strings.Fields(string(starts))
	environ, err = os.ReadFile("/proc/" + pids[len(pids)-1] + "/environ")
	must(t, err)
	if !c.watch.shows(string(environ)) {
		t.Error("the program's environment has no canary")
	}
}
