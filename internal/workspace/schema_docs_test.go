package workspace_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/helm-kai/helm-kai/internal/workspace"
)

// TestSchemasDescribeEveryKey goes over every key that the schemas name: there is a
// description, here or where the schema leads, that is more than the key itself.
func TestSchemasDescribeEveryKey(t *testing.T) {
	t.Parallel()
	library, err := workspace.Library()
	if err != nil {
		t.Fatal(err)
	}
	shop, findings := workspace.Open(os.DirFS(filepath.Join("..", "..", "testdata", "sock-shop")))
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	for name, w := range map[string]*workspace.Workspace{"library": library, "sock-shop": shop} {
		for kind := range workspace.SchemaKinds {
			schema, err := w.Schema(kind)
			if err != nil {
				t.Fatal(err)
			}
			d := keyDocs{t: t, where: name + " " + kind, schema: schema}
			d.walk(schema, nil)
			if d.keys < 5 {
				t.Errorf("%s: only %d keys", d.where, d.keys)
			}
		}
	}
}

type keyDocs struct {
	t      *testing.T
	where  string
	schema map[string]any
	keys   int
}

func (d *keyDocs) walk(v any, path []string) {
	switch v := v.(type) {
	case map[string]any:
		for key, part := range v {
			here := append(slices.Clone(path), key)
			if key == "default" || key == "examples" || key == "enum" || key == "const" {
				continue
			}
			if properties, ok := part.(map[string]any); ok && key == "properties" && (len(path) == 0 || path[len(path)-1] != "if") {
				for name, p := range properties {
					d.keys++
					text := d.description(p)
					if text == "" || strings.EqualFold(strings.TrimSuffix(text, "s"), strings.TrimSuffix(name, "s")) {
						d.t.Errorf("%s: %s.%s: the description is %q", d.where, strings.Join(here, "."), name, text)
					}
					d.walk(p, append(slices.Clone(here), name))
				}
				continue
			}
			d.walk(part, here)
		}
	case []any:
		for _, part := range v {
			d.walk(part, path)
		}
	}
}

func (d *keyDocs) description(v any) string {
	s, ok := v.(map[string]any)
	if !ok {
		return ""
	}
	if text, ok := s["description"].(string); ok {
		return text
	}
	if ref, ok := s["$ref"].(string); ok {
		defs, _ := d.schema["$defs"].(map[string]any)
		return d.description(defs[strings.TrimPrefix(ref, "#/$defs/")])
	}
	for _, key := range []string{"allOf", "anyOf"} {
		parts, _ := s[key].([]any)
		for _, part := range parts {
			if text := d.description(part); text != "" {
				return text
			}
		}
	}
	return ""
}

// TestExamplesOfKeys holds the examples that editors show to the schema.
func TestExamplesOfKeys(t *testing.T) {
	t.Parallel()
	s := compiled(t, "descriptor")
	tried := 0
	try := func(head, indent, example string) {
		for i, one := range strings.Split(example, "# or") {
			if i > 0 {
				_, one, _ = strings.Cut(one, "\n") // what stands beside # or
			}
			tried++
			text := head + indent + strings.ReplaceAll(strings.TrimSpace(one), "\n", "\n"+indent) + "\n"
			if err := validate(t, s, "example", []byte(text)); err != nil {
				t.Errorf("%s%v", text, err)
			}
		}
	}
	for _, example := range workspace.Examples {
		try("apiVersion: kai/v1\nname: app\n", "", example)
	}
	for key, example := range workspace.ContextExamples {
		flavor := ""
		if key == "schedule" {
			flavor = "    flavor: cronjob\n"
		}
		try("apiVersion: kai/v1\nname: app\ncontexts:\n  - name: dev\n"+flavor, "    ", example)
	}
	if tried < 25 {
		t.Errorf("only %d examples", tried)
	}
}

// TestSchemaKnowsWorkspace: names of flavors, friends and services are the
// workspace's, and a context takes what its flavor does.
func TestSchemaKnowsWorkspace(t *testing.T) {
	t.Parallel()
	w, findings := workspace.Open(fstest.MapFS{
		"kai-workspace.yaml":        {Data: []byte("apiVersion: kai/v1\nname: shop\nservices: [services/*]\nflavors: [flavors]\nfriends: [friends]\n")},
		"flavors/queue/flavor.yaml": {Data: []byte("apiVersion: kai/v1\nname: queue\nversion: 1.0.0\ndescription: reads a queue\nextends: worker\ntypes: {queue: {durable: {type: bool, description: survives a restart}}}\ncontext: {queues: {type: mapped queue, description: queues to read from}}\n")},
		"friends/broker.yaml":       {Data: []byte("apiVersion: kai/v1\nname: broker\ntype: dependency\nchart: null\n")},
		"services/a/kai.yaml":       {Data: []byte("apiVersion: kai/v1\nname: a\ncontexts: [{name: dev, flavor: queue}]\n")},
	})
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	s := compile(t, w, "descriptor")
	for text, ok := range map[string]bool{
		"{name: dev, flavor: queue, queues: [{name: q, durable: true}]}":                                                true,
		"{name: dev, flavor: queue, queues: [{name: q, durable: maybe}]}":                                               false,
		"{name: dev, flavor: queue, schedule: '@daily'}":                                                                false,
		"{name: dev, flavor: webservice, queues: [q]}":                                                                  false,
		"{name: dev, flavor: cronjob, schedule: '@daily'}":                                                              true,
		"{name: dev, schedule: '@daily', queues: [q]}":                                                                  true, // extends another
		"{name: dev, schedul: '@daily'}":                                                                                false,
		"{name: dev, flavor: ques}":                                                                                     false,
		"{name: dev, flavor: ./flavors/queue}":                                                                          true,
		"{name: dev, flavor: pod}":                                                                                      false, // abstract
		"{name: dev, flavor: '${FLAVOR}', replicas: '${N}'}":                                                            true,
		"{name: dev, replicas: '3'}":                                                                                    false,
		"{name: dev, replicas: null}":                                                                                   true,
		"{name: dev, friends: [broker, redis, {service: a, needs: true}]}":                                              true,
		"{name: dev, friends: [brokre]}":                                                                                false,
		"{name: dev, friends: [{service: b}]}":                                                                          false,
		"{name: dev, friends+: [{from: broker, env: {A: '${config.host}'}}]}":                                           true,
		"{name: dev, expose: [ingress, gateway]}":                                                                       true,
		"{name: dev, expose: ingres}":                                                                                   false,
		"{name: dev, egress: [kubernetes, 10.0.0.0/8, {to: internet, ports: [443]}]}":                                   true,
		"{name: dev, egress: [intranet]}":                                                                               false,
		"{name: dev, env: {A: 1, B: {secret: b}, C: {valueFrom: {fieldRef: {fieldPath: x}}}, D: null}}":                 true,
		"{name: dev, env: {A: [1]}}":                                                                                    false,
		"{name: dev, env: {A: {secrt: b}}}":                                                                             false,
		"{name: dev, resources: {requests: {cpu: 1}}, security: {runAsUser: '${UID}', capabilities: {add+: [A]}}}":      true,
		"{name: dev, resources: {requsts: {cpu: 1}}}":                                                                   false,
		"{name: dev, security: {runAsUser: root}}":                                                                      false,
		"{name: dev, security: {seccompProfile: {type: Runtime}}}":                                                      false,
		"{name: dev, probes: {liveness: {httpGet: {port: http, pth: /}}}}":                                              false,
		"{name: dev, routes: [{name: r, port: 80, paths: [/, {path: /a, pathType: Exact, headers: {x: {regex: a}}}]}]}": true,
		"{name: dev, routes: [{name: r, port: 80, paths: [{path: /a, pathType: Exactly}]}]}":                            false,
	} {
		err := validate(t, s, "context", []byte("apiVersion: kai/v1\nname: a\ncontexts: ["+text+"]\n"))
		if (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}
