//go:build unix

package editor_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/e2e/editor"
	"github.com/helm-kai/helm-kai/e2e/node"
	"github.com/helm-kai/helm-kai/e2e/tools"
)

// workspace is what is edited: a flavor, a type and a friend of its own beside the library's.
var workspace = map[string]string{
	"kai-workspace.yaml": `apiVersion: kai/v1
name: post
services: [services/*]
flavors: [flavors]
friends: [friends]
contexts:
  - {name: prod, namespace: post}
`,
	"types/queue.yaml": `queue:
  durable: {type: bool, default: true, description: "whether the queue survives a restart of the broker"}
  overflow: {type: string, enum: [drop-head, reject-publish], description: "what happens to a message too many"}
`,
	"flavors/queueworker/flavor.yaml": `apiVersion: kai/v1
name: queueworker
version: 1.0.0
description: a worker that also declares its queues
extends: worker
types: [../../types/queue.yaml]
context:
  queues: {type: mapped queue, description: "queues that the service reads from"}
`,
	"friends/broker.yaml": `apiVersion: kai/v1
name: broker
description: the broker of all posts
type: dependency
chart: null
`,
	"services/mailer/kai.yaml": `apiVersion: kai/v1
name: mailer
images: [{name: release, repository: mailer, tag: 1.0.0}]
queues: [{name: letters}]
contexts: [{name: prod, flavor: queueworker, image: release, queues: [letters]}]
`,
}

// cases are places in a file, marked by |, and what an editor shows there.
var cases = []struct {
	name, file, text string
	offers, not      []string // by completion
	says             string   // by completion about the first of offers, or by hover
	inserts          string   // by completion for the first of offers
	hover            bool
}{
	{name: "top level", file: "kai.yaml", text: "apiVersion: kai/v1\nname: app\n|\n",
		offers: []string{"contexts", "images", "routes", "queues", "offers", "version"}, not: []string{"name", "flavor", "command"},
		says: "what the service is in each environment"},
	{name: "the first key", file: "kai.yaml", text: "api|\n", offers: []string{"apiVersion"}, inserts: "kai/v1"},
	{name: "fields of the flavor", file: "kai.yaml", text: "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    flavor: webservice\n    |\n",
		offers: []string{"replicas", "routes", "friends", "egress", "extends", "scaling"}, not: []string{"schedule", "perNode", "queues", "job"},
		says: "replicas: 1"},
	{name: "fields of another flavor", file: "kai.yaml", text: "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    flavor: cronjob\n    |\n",
		offers: []string{"schedule", "timeZone", "job"}, not: []string{"replicas", "expose", "queues"}},
	{name: "fields of the workspace's flavor", file: "kai.yaml", text: "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    flavor: queueworker\n    |\n",
		offers: []string{"queues", "perNode", "replicas"}, not: []string{"schedule"}, says: "queues that the service reads from"},
	{name: "fields where no flavor is named", file: "kai.yaml", text: "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    extends: base\n    |\n",
		offers: []string{"queues", "schedule", "replicas"}},
	{name: "flavors", file: "kai.yaml", text: "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    flavor: |\n",
		offers: []string{"queueworker", "webservice", "stateful", "worker", "cronjob", "job"}, not: []string{"pod", "workload", "batch"},
		says: "a worker that also declares its queues"},
	{name: "friends", file: "kai.yaml", text: "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    friends:\n      - |\n",
		offers: []string{"broker", "redis", "postgresql", "service", "from"}, says: "the broker of all posts"},
	{name: "services", file: "kai.yaml", text: "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    friends:\n      - service: |\n", offers: []string{"mailer"}},
	{name: "fields of a route", file: "kai.yaml", text: "apiVersion: kai/v1\nname: app\nroutes:\n  - name: http\n    |\n",
		offers: []string{"port", "containerPort", "hostname", "paths", "tls"}, not: []string{"image", "name"},
		says: "without it the route opens the container only"},
	{name: "values of an enumeration", file: "kai.yaml", text: "apiVersion: kai/v1\nname: app\nroutes:\n  - name: http\n    protocol: |\n",
		offers: []string{"TCP", "UDP", "SCTP"}},
	{name: "values of a type's own enumeration", file: "kai.yaml", text: "apiVersion: kai/v1\nname: app\nqueues:\n  - name: letters\n    overflow: |\n",
		offers: []string{"drop-head", "reject-publish"}},
	{name: "ways to be exposed", file: "kai.yaml", text: "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    flavor: webservice\n    expose: |\n",
		offers: []string{"ingress", "gateway", "istio", "none"}},
	{name: "in Kubernetes' words", file: "kai.yaml", text: "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    flavor: webservice\n    security:\n      |\n",
		offers: []string{"runAsUser", "readOnlyRootFilesystem", "capabilities"}, says: "number of the user that processes run as"},
	{name: "a probe's handler", file: "kai.yaml", text: "apiVersion: kai/v1\nname: app\nprobes:\n  - name: ready\n    httpGet:\n      |\n",
		offers: []string{"path", "port", "scheme"}},
	{name: "a variable's source", file: "kai.yaml", text: "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    env:\n      KEY:\n        |\n",
		offers: []string{"secret", "valueFrom"}},
	{name: "workspace", file: "kai-workspace.yaml", text: "apiVersion: kai/v1\nname: post\ncontexts:\n  - name: prod\n    |\n",
		offers: []string{"namespace", "cluster", "secrets", "values"}, says: "namespace that the services are installed into"},
	{name: "fields for all services", file: "kai-workspace.yaml", text: "apiVersion: kai/v1\nname: post\ndefaults:\n  f|\n", offers: []string{"flavor", "resources", "queues"}},
	{name: "friend", file: "friends/cache.yaml", text: "apiVersion: kai/v1\nname: cache\ntype: |\n", offers: []string{"requirement", "dependency"}},
	{name: "flavor.yaml", file: "flavors/mine/flavor.yaml", text: "apiVersion: kai/v1\nname: mine\n|\n", offers: []string{"extends", "context", "defaults"}},

	{name: "a field", file: "kai.yaml", hover: true, text: "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    flavor: webservice\n    repl|icas: 2\n",
		says: "number of pods; without effect while scaling is set"},
	{name: "an example", file: "kai.yaml", hover: true, text: "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    flavor: webservice\n    frie|nds: [redis]\n",
		says: "{service: identd, needs: true}"},
	{name: "a default", file: "kai.yaml", hover: true, text: "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    flavor: webservice\n    resou|rces: {}\n",
		says: "Default of webservice"},
	{name: "a field of an instance", file: "kai.yaml", hover: true, text: "apiVersion: kai/v1\nname: app\nroutes:\n  - {name: http, contai|nerPort: 8080}\n",
		says: "port the process listens on"},
	{name: "a field of Kubernetes", file: "kai.yaml", hover: true, text: "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    flavor: webservice\n    security: {fsGr|oup: 1000}\n",
		says: "group that owns the volumes' files"},
}

// mistakes are files in which a line is wrong, "" for none, and what is said of it.
var mistakes = []struct{ name, text, line, says string }{
	{"nothing", "apiVersion: kai/v1\nname: app\nimages:\n  - {name: release, repository: app, tag: 1.10}\ncontexts:\n  - {name: dev, flavor: queueworker, image: release, queues: [letters], replicas: \"${N}\", friends: [broker]}\n", "", ""},
	{"a key", "apiVersion: kai/v1\nname: app\nimagse: []\n", "imagse", "imagse is not allowed"},
	{"a field", "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    flavor: webservice\n    replcas: 2\n", "replcas", "replcas is not allowed"},
	{"a field of another flavor", "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    flavor: webservice\n    schedule: '@daily'\n", "schedule", "schedule is not allowed"},
	{"a flavor", "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    flavor: websrvice\n", "websrvice", "webservice"},
	{"a friend", "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    friends:\n      - brokre\n", "brokre", "broker"},
	{"a value", "apiVersion: kai/v1\nname: app\nroutes:\n  - name: http\n    protocol: HTTP\n", "protocol", "SCTP"},
	{"a number", "apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n    flavor: webservice\n    replicas: two\n", "replicas", "expected a whole number"},
	{"a version of the format", "apiVersion: kai/v2\nname: app\n", "apiVersion", "kai/v1"},
	{"a name", "apiVersion: kai/v1\nname: My App\n", "name", "lower case letters, digits and dashes"},
}

// TestYAMLLanguageServer asks the server that most editors use for YAML, as docs/editor.md tells them to.
func TestYAMLLanguageServer(t *testing.T) {
	checkout, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	cache := tools.CheckoutCache(checkout)
	program := node.Find(t)
	modules := node.Packages(t, cache, filepath.Join("testdata", "npm"))
	kai, err := cache.Kai(t.Context(), checkout)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range workspace {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	schemas := map[string]any{}
	for kind, pattern := range map[string]string{"descriptor": "kai.yaml", "workspace": "kai-workspace.yaml", "flavor": "flavor.yaml", "friend": "friends/*.yaml"} {
		file := filepath.Join(".kai", kind+".schema.json")
		cmd := exec.CommandContext(t.Context(), kai, "schema", kind, "-o", file)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		schemas[filepath.ToSlash(file)] = pattern
	}
	server, err := editor.Start(t.Context(), dir, map[string]any{"yaml": map[string]any{
		"schemas": schemas, "schemaStore": map[string]any{"enable": false}, "completion": true, "hover": true, "validate": true,
	}}, program, filepath.Join(modules, "node_modules", "yaml-language-server", "bin", "yaml-language-server"), "--stdio")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	open := func(t *testing.T, file, text string) []editor.Diagnostic {
		t.Helper()
		found, err := server.Open(t.Context(), file, text)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := server.Close(context.Background(), file); err != nil {
				t.Error(err)
			}
		})
		return found
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			at := strings.Index(c.text, "|")
			line, character := strings.Count(c.text[:at], "\n"), at-strings.LastIndex(c.text[:at], "\n")-1
			file := filepath.Join(dir, filepath.FromSlash(c.file))
			if c.file == "kai.yaml" {
				file = filepath.Join(dir, "services", "case"+string(rune('a'+i)), c.file)
			}
			open(t, file, strings.Replace(c.text, "|", "", 1))
			if c.hover {
				got, err := server.Hover(t.Context(), file, line, character)
				if err != nil || !strings.Contains(got, c.says) {
					t.Errorf("it says %q, %v", got, err)
				}
				return
			}
			items, err := server.Complete(t.Context(), file, line, character)
			if err != nil {
				t.Fatal(err)
			}
			var labels []string
			for _, item := range items {
				labels = append(labels, item.Label)
			}
			for _, label := range c.offers {
				if !slices.Contains(labels, label) {
					t.Errorf("%s is not offered: %v", label, labels)
				}
			}
			for _, label := range c.not {
				if slices.Contains(labels, label) {
					t.Errorf("%s is offered: %v", label, labels)
				}
			}
			first := slices.IndexFunc(items, func(item editor.Item) bool { return item.Label == c.offers[0] })
			if first >= 0 && !strings.Contains(items[first].Words(), c.says) {
				t.Errorf("of %s it says %q", c.offers[0], items[first].Words())
			}
			if first >= 0 && c.inserts != "" && !strings.Contains(items[first].InsertText, c.inserts) {
				t.Errorf("for %s it inserts %q", c.offers[0], items[first].InsertText)
			}
		})
	}
	for i, m := range mistakes {
		t.Run("mistake in "+m.name, func(t *testing.T) {
			file := filepath.Join(dir, "services", "mistake"+string(rune('a'+i)), "kai.yaml")
			found := open(t, file, m.text)
			if m.line == "" {
				if len(found) > 0 {
					t.Errorf("it finds %v", found)
				}
				return
			}
			line := slices.IndexFunc(strings.Split(m.text, "\n"), func(l string) bool { return strings.Contains(l, m.line) })
			if !slices.ContainsFunc(found, func(d editor.Diagnostic) bool {
				return d.Range.Start.Line == line && strings.Contains(d.Message, m.says)
			}) {
				t.Errorf("it finds %v, and not %q in line %d", found, m.says, line)
			}
		})
	}
	t.Run("modeline", func(t *testing.T) {
		text := "# yaml-language-server: $schema=../../.kai/descriptor.schema.json\napiVersion: kai/v1\nname: app\nimagse: []\n"
		found := open(t, filepath.Join(dir, "services", "other", "service.yaml"), text)
		if len(found) != 1 || !strings.Contains(found[0].Message, "imagse is not allowed") {
			t.Errorf("it finds %v", found)
		}
	})
	t.Run("values of a chart", func(t *testing.T) {
		cmd := exec.CommandContext(t.Context(), kai, "generate", "-c", "prod")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		file := filepath.Join(dir, "charts", "prod", "mailer", "values.yaml")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if found := open(t, file, string(data)); len(found) > 0 {
			t.Errorf("it finds %v", found)
		}
		line := slices.IndexFunc(strings.Split(string(data), "\n"), func(l string) bool { return strings.HasPrefix(l, "    cpu:") })
		got, err := server.Hover(t.Context(), file, line, 5)
		if err != nil || !strings.Contains(got, "1 is one core") {
			t.Errorf("it says %q, %v", got, err)
		}
	})
}
