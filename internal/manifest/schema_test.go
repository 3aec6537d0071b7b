package manifest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// excerpts gives parts of a real server's documents, cut down to what the tests
// need.
func excerpts(_ context.Context, group, version string) ([]byte, error) {
	data, err := os.ReadFile("testdata/openapi/" + group + "_" + version + ".json")
	if errors.Is(err, os.ErrNotExist) {
		return nil, &apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound}}
	}
	return data, err
}

const goodDeployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}, creationTimestamp: null}
spec:
  replicas: 2
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 25%}}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector:
      volumes: [{name: tmp, emptyDir: {sizeLimit: 1Gi}}]
      containers:
      - name: web
        image: registry.example.com/web:1
        ports: [{containerPort: 80, protocol: TCP}]
        env: [{name: A, value: "1"}]
        resources: {limits: {cpu: 1, memory: 64Mi}}
        livenessProbe: {httpGet: {port: http}}
        readinessProbe: {httpGet: {port: 80}}
status: {whatever: 1}
`

func TestSchemas(t *testing.T) {
	t.Parallel()
	widget := "apiVersion: zoo.example.com/v1\nkind: Widget\nmetadata: {name: a}\nspec: "
	tests := []struct {
		name, old, new string   // in goodDeployment
		object         string   // instead
		want           []string // path: message, hint
	}{
		{name: "good"},
		{name: "a field that is misspelt", old: "image:", new: "imag:", want: []string{
			`spec.template.spec.containers[name=web].imag: unknown field "imag"; did you mean "image"?`,
		}},
		{name: "text for a number", old: "replicas: 2", new: "replicas: '2'", want: []string{`spec.replicas: must be an integer, and is a string; write it without quotes`}},
		{name: "a number for a text", old: `value: "1"`, new: "value: 1", want: []string{`spec.template.spec.containers[name=web].env[name=A].value: must be a string, and is an integer; write it in quotes`}},
		{name: "a bool in labels", old: "labels: {app: web}}\n    spec", new: "labels: {app: true}}\n    spec", want: []string{`spec.template.metadata.labels.app: must be a string, and is a boolean; write it in quotes`}},
		{name: "no selector", old: "selector: {matchLabels: {app: web}}", new: "paused: true", want: []string{`spec.selector: the field is required; `}},
		{name: "a map for a list", old: "env: [{name: A, value: \"1\"}]", new: "env: {A: b}", want: []string{`spec.template.spec.containers[name=web].env: must be an array, and is an object; `}},
		{name: "a value outside the enum", old: "protocol: TCP", new: "protocol: tcp", want: []string{`spec.template.spec.containers[name=web].ports[0].protocol: "tcp" is not among the values that the field takes; did you mean "TCP"? (SCTP, TCP, UDP)`}},
		{name: "no quantity", old: "memory: 64Mi", new: "memory: 64MB", want: []string{`spec.template.spec.containers[name=web].resources.limits.memory: "64MB" is not a quantity; such as 100m, 1, 64Mi or 1Gi`}},
		{name: "a map for an int-or-string", old: "maxSurge: 1", new: "maxSurge: {}", want: []string{`spec.strategy.rollingUpdate.maxSurge: must be an integer or string, and is an object; `}},
		{name: "a field beside the spec", old: "status: {whatever: 1}", new: "specs: {}", want: []string{`specs: unknown field "specs"; did you mean "spec"? (apiVersion, kind, metadata, spec)`}},
		{name: "all at once", old: "  replicas: 2", new: "  replica: 2\n  paused: 1", want: []string{
			`spec.paused: must be a boolean, and is an integer; `,
			`spec.replica: unknown field "replica"; did you mean "replicas"? (minReadySeconds, paused, progressDeadlineSeconds, replicas, revisionHistoryLimit, selector, strategy, template)`,
		}},
		{name: "a kind that is misspelt", old: "kind: Deployment", new: "kind: Deploymnet", want: []string{`: no matches for kind "Deploymnet" in version "apps/v1"; did you mean "Deployment"? (Deployment)`}},
		{name: "a version that is not there", old: "apps/v1", new: "apps/v1beta1", want: []string{`: no matches for kind "Deployment" in version "apps/v1beta1"; the cluster does not have this version of the API; is the CustomResourceDefinition missing?`}},
		{name: "no kind", object: "metadata: {name: a}", want: []string{`: the object needs an apiVersion and a kind; it has "" and ""; `}},

		{name: "custom", object: widget + "{size: 1, ratio: 1, port: http, note: null, free: {any: [thing]}, parts: [{name: a}], labels: {a: b}}"},
		{name: "custom, wrong", object: widget + "{size: 1.5, port: [], parts: [{name: a, wieght: 1}], labels: {a: 1}, extra: 1}", want: []string{
			`spec.extra: unknown field "extra"; known: free, labels, note, parts, port, ratio, size`,
			`spec.labels.a: must be a string, and is an integer; write it in quotes`,
			`spec.parts[name=a].wieght: unknown field "wieght"; did you mean "weight"? (kind, name, weight)`,
			`spec.port: must be an integer or string, and is an array; `,
			`spec.size: must be an integer, and is a number; `,
		}},
		{name: "a policy", object: "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec: {podSelector: {}, ingress: [{ports: [{port: 80}, {port: http}]}, {}]}"},
	}
	s := NewSchemas(excerpts)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			text := test.object
			if text == "" {
				if test.old != "" && !strings.Contains(goodDeployment, test.old) {
					t.Fatalf("%q is not in the object", test.old)
				}
				text = strings.Replace(goodDeployment, test.old, test.new, 1)
			}
			data, err := yaml.YAMLToJSON([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			findings, err := s.Check(t.Context(), Object{Fields: object(t, string(data)), Source: "web/templates/a.yaml"})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range findings {
				got = append(got, fmt.Sprintf("%s: %s; %s", f.Path, f.Message, f.Hint))
				if f.Code != "schema" || f.Origin.File != "web/templates/a.yaml" {
					t.Errorf("code %q at %q", f.Code, f.Origin.File)
				}
			}
			if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// A document is asked for once, whoever checks at the same time, and once more
// after a failure.
func TestSchemasAskOnce(t *testing.T) {
	t.Parallel()
	data, err := yaml.YAMLToJSON([]byte(goodDeployment))
	if err != nil {
		t.Fatal(err)
	}
	o := Object{Fields: object(t, string(data))}
	var asked atomic.Int32
	s := NewSchemas(func(ctx context.Context, group, version string) ([]byte, error) {
		if asked.Add(1) == 1 {
			return nil, errors.New("the server is away")
		}
		return excerpts(ctx, group, version)
	})
	if _, err := s.Check(t.Context(), o); err == nil || !strings.Contains(err.Error(), "schema of apps/v1: the server is away") {
		t.Errorf("error %v", err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if findings, err := s.Check(t.Context(), o); err != nil || len(findings) > 0 {
				t.Error(err, findings)
			}
		})
	}
	group.Wait()
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

func TestSchemasOfABadDocument(t *testing.T) {
	t.Parallel()
	const kind = `"x-kubernetes-group-version-kind":[{"group":"a","version":"v1","kind":"K"}]`
	tests := map[string]string{
		"no JSON":            `<html>`,
		"cut off":            `{"openapi":"3.0.0","components":{"schemas":{"K":{"type":"object"`,
		"a schema's type":    `{"components":{"schemas":{"K":{"type":1,` + kind + `}}}}`,
		"a missing schema":   `{"components":{"schemas":{"K":{"$ref":"#/components/schemas/L",` + kind + `}}}}`,
		"another document":   `{"components":{"schemas":{"K":{"$ref":"other.json",` + kind + `}}}}`,
		"a circle":           `{"components":{"schemas":{"K":{"$ref":"#/components/schemas/K",` + kind + `}}}}`,
		"text in the middle": `{"components":{"schemas":{"K":{"type":"object"} x}}}`,
	}
	for name, doc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := NewSchemas(func(context.Context, string, string) ([]byte, error) { return []byte(doc), nil })
			_, err := s.Check(t.Context(), Object{Fields: map[string]any{"apiVersion": "a/v1", "kind": "K"}})
			if err == nil || !strings.Contains(err.Error(), "schema of a/v1") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// FuzzMembers: what it takes for an object is one whose members it all finds,
// wherever encoding/json agrees that it is JSON.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1}`, ` { "a\"\\" : [1,{"b":"}"}] , "c":null}`, `{"a":`, `{"a" 1}`, `[1]`, `{"a":1,}`, `{"a":"\\"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := map[string]string{}
		err := members(data, func(key string, value []byte) error {
			got[key] = string(value)
			return nil
		})
		var want map[string]json.RawMessage
		if json.Unmarshal(data, &want) != nil || want == nil {
			return
		}
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: error %v, %v", data, err, got)
		}
	})
}

func BenchmarkSchemas(b *testing.B) {
	data, err := yaml.YAMLToJSON([]byte(goodDeployment))
	if err != nil {
		b.Fatal(err)
	}
	o := Object{Fields: object(b, string(data))}
	doc, err := excerpts(b.Context(), "apps", "v1")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("first object", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		for b.Loop() {
			s := NewSchemas(func(context.Context, string, string) ([]byte, error) { return doc, nil })
			if findings, err := s.Check(b.Context(), o); err != nil || len(findings) > 0 {
				b.Fatal(err, findings)
			}
		}
	})
	b.Run("next object", func(b *testing.B) {
		s := NewSchemas(func(context.Context, string, string) ([]byte, error) { return doc, nil })
		for b.Loop() {
			if findings, err := s.Check(b.Context(), o); err != nil || len(findings) > 0 {
				b.Fatal(err, findings)
			}
		}
	})
}
