//go:build unix

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/e2e/controlplane"
)

// canary is a secret that tests look for wherever it should not be.
type canary struct {
	key, text string
	// parts are texts of its own, as letters and digits, that no other text has: before, between and after the characters
	// that are written differently in one place and another.
	parts []string
}

// newCanaries makes secrets of many forms. In each, "*" stands for a text of its own.
func newCanaries(t *testing.T) []canary {
	t.Helper()
	var out []canary
	for key, form := range map[string]string{
		"short":     "*",
		"quotes":    `*"*'*`,
		"lines":     "*\n*\n  *\n\n*\n",
		"crlf":      "*\r\n*\t*",
		"percent":   "*%*%20*%s*",
		"url":       "https://*:*@*.example.com/?q=*&r=*#*",
		"unicode":   "*ü*€*𝄞*",
		"markup":    "<*>&*</*>",
		"backslash": `*\*\n*\\*`,
		"json":      `{"a": "*", "b": ["*"]}`,
		"yaml":      "- *: *\n# *\n",
		"spaces":    "  *  *  ",
		"template":  "{{ * }}${*}$(*)",
		"base64":    base64.StdEncoding.EncodeToString([]byte("not a key at all, ")) + "*==",
		"long":      strings.Repeat("*-", 200) + "*",
	} {
		c := canary{key: key}
		for i, fixed := range strings.Split(form, "*") {
			if i > 0 {
				random := make([]byte, 9)
				_, err := rand.Read(random)
				must(t, err)
				part := "cn" + hex.EncodeToString(random)
				c.parts = append(c.parts, part)
				c.text += part
			}
			c.text += fixed
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b canary) int { return strings.Compare(a.key, b.key) })
	return out
}

// forms are all that a canary's parts may look like. Letters and digits stay what they are in URLs and in JSON.
func (c canary) forms() []string {
	var out []string
	for _, part := range c.parts {
		out = append(out, part, hex.EncodeToString([]byte(part)), strings.ToUpper(hex.EncodeToString([]byte(part))))
		for shift := range 3 {
			// What stands before shifts the text's bits; the first and the last characters depend on the neighbours.
			for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				text := e.EncodeToString([]byte(strings.Repeat("\x00", shift) + part))
				out = append(out, text[4:len(text)-3])
			}
		}
	}
	return out
}

// watch looks for canaries.
type watch struct {
	forms map[string]string // the canary's key by form
}

func newWatch(all ...[]canary) *watch {
	w := &watch{forms: map[string]string{}}
	for _, canaries := range all {
		for _, c := range canaries {
			for _, form := range c.forms() {
				w.forms[form] = c.key
			}
		}
	}
	return w
}

// clean holds that a text has no canary.
func (w *watch) clean(t *testing.T, what, text string) {
	t.Helper()
	for form, key := range w.forms {
		if i := strings.Index(text, form); i >= 0 {
			t.Errorf("%s shows the canary %q:\n…%s…", what, key, text[max(0, i-200):min(len(text), i+len(form)+100)])
			return
		}
	}
}

func (w *watch) shows(text string) bool {
	for form := range w.forms {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

// TestCanaryForms holds that the watch finds what it looks for.
func TestCanaryForms(t *testing.T) {
	t.Parallel()
	canaries := newCanaries(t)
	for _, c := range canaries {
		w := newWatch([]canary{c})
		quoted, err := json.Marshal(c.text)
		must(t, err)
		for what, text := range map[string]string{
			"raw": c.text, "json": string(quoted), "base64": base64.StdEncoding.EncodeToString([]byte(c.text)),
			"base64, 1": base64.StdEncoding.EncodeToString([]byte("x" + c.text)), "base64, 2": base64.StdEncoding.EncodeToString([]byte("xy" + c.text + "z")),
		} {
			if !w.shows(text) {
				t.Errorf("%s: %s is not found in %q", c.key, what, text)
			}
		}
		if w.shows("[masked]" + hex.EncodeToString(make([]byte, 50))) {
			t.Errorf("%s is found everywhere", c.key)
		}
	}
}

// canaryWorkspace writes a workspace in which secrets reach everything that they can: variables, a friend's variables, files,
// and by a flavor of the user's own also a ConfigMap, a Deployment's annotations and a hook, raw, encoded and hashed.
func canaryWorkspace(t *testing.T, r *kaiRun, canaries []canary, tag string) {
	t.Helper()
	var env, keys, lines strings.Builder
	for _, c := range canaries {
		quoted, err := json.Marshal(c.text)
		must(t, err)
		fmt.Fprintf(&keys, "      %s: %s\n", c.key, quoted)
		fmt.Fprintf(&env, "      CANARY_%s: {secret: %s}\n", strings.ToUpper(c.key), c.key)
	}
	write(t, filepath.Join(r.dir, "kai-workspace.yaml"), fmt.Sprintf(`apiVersion: kai/v1
name: canaries
version: 1.0.0
services: [services/*]
flavors: [flavors]
contexts:
  - {name: dev, namespace: %s, secrets: {provider: file, path: secrets.yaml}}
`, r.namespace))
	var password string
	for _, c := range canaries {
		if c.key == "quotes" {
			quoted, err := json.Marshal(c.text)
			must(t, err)
			password = string(quoted)
		}
		fmt.Fprintf(&lines, "  %s-raw: {{ index $v %q | quote }}\n  %s-base64: {{ printf \"x%%s\" (index $v %q) | b64enc | quote }}\n  %s-json: {{ dict \"a\" (index $v %q) | toJson | quote }}\n  %s-url: {{ index $v %q | urlquery | quote }}\n  %s-part: {{ printf \"before %%s after\" (index $v %q) | quote }}\n",
			c.key, c.key, c.key, c.key, c.key, c.key, c.key, c.key, c.key, c.key)
	}
	write(t, filepath.Join(r.dir, "secrets.yaml"), "apiVersion: kai/v1\napps:\n  web:\n    secret:\n"+keys.String()+"      redis_password: "+password+"\n  leaky:\n    secret:\n"+keys.String())
	write(t, filepath.Join(r.dir, "services", "web", "kai.yaml"), fmt.Sprintf(`apiVersion: kai/v1
name: web
images: [{name: release, repository: example/web, tag: %s}]
contexts:
  - name: base
    flavor: webservice
    image: release
    routes: [{name: http, port: 80}]
    friends: [redis]
    mounts: [{name: settings, path: /etc/web, files: [app.conf], template: true}]
    env:
      CONNECTION: "store://user:$(CANARY_SHORT)@store.example.com"
%s`, tag, env.String()))
	write(t, filepath.Join(r.dir, "services", "web", "app.conf"), "url = redis://:${friends.redis.credentials.password}@${friends.redis.config.host}\n")
	write(t, filepath.Join(r.dir, "services", "leaky", "kai.yaml"), fmt.Sprintf(`apiVersion: kai/v1
name: leaky
images: [{name: release, repository: example/leaky, tag: %s}]
contexts:
  - name: base
    flavor: leaky
    image: release
    routes: [{name: http, port: 80}]
    env:
%s`, tag, env.String()))
	write(t, filepath.Join(r.dir, "flavors", "leaky", "flavor.yaml"), "apiVersion: kai/v1\nname: leaky\nversion: 1.0.0\ndescription: puts secrets where they do not belong\nextends: webservice\n")
	write(t, filepath.Join(r.dir, "flavors", "leaky", "templates", "leak.yaml"), `{{- $v := .Values.secrets.values }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "kai.name" . }}-leak
  annotations:
    example.com/digest: {{ $v | toJson | sha256sum }}
    example.com/short: {{ $v.short | quote }}
data:
`+lines.String())
	write(t, filepath.Join(r.dir, "flavors", "leaky", "templates", "hook.yaml"), `apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "kai.name" . }}-hook
  annotations: {helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-delete-policy: "before-hook-creation,hook-succeeded"}
data: {value: {{ .Values.secrets.values.percent | quote }}}
`)
}

// TestCanaries brings canaries to a cluster in every way, lets it fail in many, and looks for them in all that kai says and
// writes. They may be in Secrets, in what a flavor makes of them, and in the release's record.
func TestCanaries(t *testing.T) {
	t.Parallel()
	r := newKaiRun(t, newNamespace("canary"))
	first, second := newCanaries(t), newCanaries(t)
	w := newWatch(first, second)
	notify := filepath.Join(t.TempDir(), "notify.jsonl")
	plan := filepath.Join(t.TempDir(), "saved.plan")
	// kai runs it and looks at what it says; code -1 takes any exit code.
	kai := func(code int, args ...string) result {
		t.Helper()
		got := r.try(t, r.kai, args...)
		if code >= 0 && got.code != code {
			t.Fatalf("kai %v: exit code %d, want %d\n%s%s", args, got.code, code, got.stdout, got.stderr)
		}
		w.clean(t, fmt.Sprintf("stdout of kai %v", args), string(got.stdout))
		w.clean(t, fmt.Sprintf("stderr of kai %v", args), string(got.stderr))
		return got
	}
	looks := func() {
		t.Helper()
		for _, format := range []string{"diff", "summary", "json", "markdown", "paths"} {
			kai(0, "diff", "-c", "dev", "-o", format, "-U", "-1", "--hooks", "--tests", "--show-unchanged")
		}
		kai(0, "diff", "-c", "dev", "--against", "stored", "-o", "json", "-U", "-1", "--hooks")
		kai(0, "diff", "-c", "dev", "--notify", "file:"+notify, "--save-plan", plan)
	}
	canaryWorkspace(t, r, first, "1.0.0")

	// Before there is anything; what is refused; and then all of it.
	looks()
	kai(0, "values", "-c", "dev", "web")
	kai(0, "generate", "-c", "dev")
	kai(0, "template", "-c", "dev", "web", "leaky")
	namespace := "/api/v1/namespaces/" + r.namespace
	must(t, cluster(t).Create(t.Context(), "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": r.namespace}}))
	must(t, cluster(t).Create(t.Context(), namespace+"/resourcequotas", map[string]any{"metadata": map[string]any{"name": "none"}, "spec": map[string]any{"hard": map[string]any{"configmaps": "1"}}}))
	r.denies(t)
	kai(0, "install", "-c", "dev", "--dry-run")
	kai(1, "install", "-c", "dev", "--dry-run=server", "--notify", "file:"+notify)
	kai(1, "install", "-c", "dev", "--keep-going", "-o", "json", "--notify", "file:"+notify)
	kai(1, "install", "-c", "dev", "leaky", "--atomic", "--timeout", "20s")
	must(t, cluster(t).Delete(t.Context(), namespace+"/resourcequotas/none"))
	denied := kai(1, "install", "-c", "dev", "leaky", "--notify", "file:"+notify)
	contains(t, "stderr", string(denied.stderr), "no: ")
	contains(t, "stderr", string(denied.stderr), "[masked]")
	r.history(t, w)
	r.allows(t)
	kai(0, "install", "-c", "dev", "--wait", "--notify", "file:"+notify)
	looks()

	// Other secrets: that they change is seen, and nothing of them.
	canaryWorkspace(t, r, second, "1.1.0")
	looks()
	changed := kai(2, "diff", "-c", "dev", "--detailed-exitcode", "-U", "-1")
	contains(t, "diff", string(changed.stdout), "[masked, changed]")
	kai(0, "install", "-c", "dev", "--dry-run=server")
	r.denies(t)
	kai(1, "install", "-c", "dev", "--keep-going", "-o", "yaml", "--notify", "file:"+notify)
	r.history(t, w)
	r.allows(t)
	kai(0, "diff", "-c", "dev", "--save-plan", plan)
	kai(0, "install", "-c", "dev", "--plan", plan, "--wait", "--notify", "file:"+notify)
	kai(1, "install", "-c", "dev", "--plan", plan)
	kai(0, "diff", "-c", "dev", "--detailed-exitcode")
	for _, format := range []string{"text", "json", "yaml"} {
		kai(0, "status", "-c", "dev", "-o", format)
		kai(0, "list", "-c", "dev", "-o", format)
		kai(0, "history", "-c", "dev", "leaky", "-o", format)
	}
	kai(0, "verify", "-c", "dev")
	kai(0, "rollback", "-c", "dev", "web", "--dry-run")
	kai(0, "rollback", "-c", "dev", "web", "leaky", "--notify", "file:"+notify)
	looks()
	r.history(t, w)

	// A secret that a template does not like, in a place where the cluster does not want it.
	for _, c := range second {
		write(t, filepath.Join(r.dir, "flavors", "leaky", "templates", "bad.yaml"), fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata: {name: bad, labels: {example.com/bad: {{ printf "not %%s!" .Values.secrets.values.%s | quote }}}, annotations: {"bad {{ .Values.secrets.values.short }}": ""}}
`, c.key))
		kai(1, "install", "-c", "dev", "leaky", "--dry-run=server")
	}
	kai(1, "install", "-c", "dev", "leaky", "--notify", "file:"+notify)
	for _, template := range []string{
		`{{ fail (printf "not %s" .Values.secrets.values.lines) }}`, `{{ .Values.secrets.values.unicode }}`, `{{ .Values.secrets.values.json | atoi | fromYaml }}`,
		`{{ index .Values.secrets.values.long "x" }}`, `{{ toDate "2006" .Values.secrets.values.quotes | mustToJson }}{{ required .Values.secrets.values.quotes nil }}`,
	} {
		write(t, filepath.Join(r.dir, "flavors", "leaky", "templates", "bad.yaml"), template+"\n")
		kai(1, "install", "-c", "dev", "leaky", "--notify", "file:"+notify)
		kai(1, "diff", "-c", "dev", "leaky")
	}

	// What was written: the notes to others, the plan, the charts, whatever else.
	for _, path := range []string{notify, plan} {
		data, err := os.ReadFile(path)
		must(t, err)
		w.clean(t, path, string(data))
	}
	for _, dir := range []string{r.dir, r.tmp, r.home()} {
		must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || path == filepath.Join(r.dir, "secrets.yaml") {
				return err
			}
			data, err := os.ReadFile(path)
			w.clean(t, path, string(data))
			return err
		}))
	}
	// What the cluster has, beside the Secrets and what the flavor has asked for.
	for name, text := range r.objects(t) {
		if !strings.HasPrefix(name, "secrets/") && name != "configmaps/leaky-leak" {
			w.clean(t, name, text)
		}
	}
	for _, path := range []string{namespace + "/events", namespace + "/pods", "/apis/coordination.k8s.io/v1/namespaces/" + r.namespace + "/leases"} {
		var list json.RawMessage
		must(t, cluster(t).Get(t.Context(), path, &list))
		w.clean(t, path, string(list))
	}
	// And there they are.
	if text := fmt.Sprint(r.objects(t)); !w.shows(text) {
		t.Errorf("no object has a canary: %s", text)
	}
	if values := r.run(t, r.helm, "get", "values", "web", "-n", r.namespace); !w.shows(values) {
		t.Error("the record has no canary, so that Helm cannot go on from it")
	}
}

func (r *kaiRun) home() string {
	for _, v := range r.env {
		if path, ok := strings.CutPrefix(v, "HOME="); ok {
			return path
		}
	}
	return ""
}

// history holds that no description of a revision, nor a label of its record, has a canary.
func (r *kaiRun) history(t *testing.T, w *watch) {
	t.Helper()
	for _, name := range []string{"web", "leaky"} {
		w.clean(t, "helm history "+name, string(r.try(t, r.helm, "history", name, "-n", r.namespace, "-o", "json").stdout))
		w.clean(t, "helm status "+name, string(r.try(t, r.helm, "status", name, "-n", r.namespace).stdout))
	}
	var list struct{ Items []struct{ Metadata any } }
	must(t, cluster(t).Get(t.Context(), "/api/v1/namespaces/"+r.namespace+"/secrets?labelSelector=owner%3Dhelm", &list))
	for _, item := range list.Items {
		w.clean(t, "a record's labels", fmt.Sprint(item.Metadata))
	}
}

const policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"

// denies has the cluster refuse the flavor's ConfigMap, with the secrets in its message, as a careless policy may.
func (r *kaiRun) denies(t *testing.T) {
	t.Helper()
	must(t, cluster(t).Create(t.Context(), policies+"ies", map[string]any{
		"metadata": map[string]any{"name": r.namespace},
		"spec": map[string]any{
			"matchConstraints": map[string]any{"resourceRules": []any{map[string]any{"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE", "UPDATE"}, "resources": []any{"configmaps"}}}},
			"validations": []any{map[string]any{
				"expression":        "!object.metadata.name.endsWith('-leak')",
				"messageExpression": "'no: ' + object.data['quotes-raw'] + ' ' + object.data['percent-base64'] + ' ' + object.data['json-json'] + ' ' + object.data['unicode-url'] + ' ' + object.data['markup-part'] + ' ' + object.data['backslash-raw'] + ' ' + object.data['template-json']",
			}},
		},
	}))
	t.Cleanup(func() { r.allows(t) })
	must(t, cluster(t).Create(t.Context(), policies+"ybindings", map[string]any{
		"metadata": map[string]any{"name": r.namespace},
		"spec": map[string]any{
			"policyName": r.namespace, "validationActions": []any{"Deny"},
			"matchResources": map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": r.namespace}}},
		},
	}))
	r.await(t, true)
}

// allows ends what denies has begun.
func (r *kaiRun) allows(t *testing.T) {
	t.Helper()
	for _, kind := range []string{"ybindings", "ies"} {
		must(t, gone(cluster(t).Delete(context.WithoutCancel(t.Context()), policies+kind+"/"+r.namespace)))
	}
	if t.Context().Err() == nil {
		r.await(t, false)
	}
}

// await waits until the cluster goes by its policies.
func (r *kaiRun) await(t *testing.T, denied bool) {
	t.Helper()
	probe := map[string]any{"metadata": map[string]any{"name": "probe-leak"}}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		err := cluster(t).Create(t.Context(), "/api/v1/namespaces/"+r.namespace+"/configmaps?dryRun=All", probe)
		if err != nil && strings.Contains(err.Error(), "exceeded quota") {
			err = nil
		}
		if err != nil == denied {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the policy is not obeyed: %v", err)
		}
	}
}

// gone leaves out that something is not there.
func gone(err error) error {
	if status := (*controlplane.StatusError)(nil); errors.As(err, &status) && status.Code == http.StatusNotFound {
		return nil
	}
	return err
}
