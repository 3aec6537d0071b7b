package kubeschema_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/kubeschema"
	"github.com/helm-kai/helm-kai/internal/manifest"
)

func load(t testing.TB, minor string) *kubeschema.Schemas {
	t.Helper()
	schemas, err := kubeschema.Load(minor)
	if err != nil {
		t.Fatal(err)
	}
	return schemas
}

func parse(t testing.TB, text string) map[string]any {
	t.Helper()
	objects, err := manifest.Parse(text)
	if err != nil || len(objects) != 1 {
		t.Fatalf("%d objects: %v\n%s", len(objects), err, text)
	}
	return objects[0].Fields
}

// words gives problems as code and text, in one line.
func words(problems []kubeschema.Problem) string {
	var lines []string
	for _, p := range problems {
		lines = append(lines, string(p.Code)+" "+p.String())
	}
	return strings.Join(lines, "\n")
}

const deployment = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: a}]}}}}`

// TestProblems is the hand-written half; the end-to-end tests hold the rest to a real
// API server.
func TestProblems(t *testing.T) {
	t.Parallel()
	schemas := load(t, "v1.36.3")
	tests := map[string]struct{ from, to, want string }{
		"right":             {"", "", ""},
		"unknown field":     {"selector", "selectors", "unknown-field spec.selectors: unknown field \"selectors\"; did you mean"},
		"wrong type":        {"containers: [", "hostNetwork: yes please, containers: [", "type spec.template.spec.hostNetwork: must be a bool, and is a text"},
		"number as text":    {"spec: {selector", `spec: {replicas: "2", selector`, "type spec.replicas: must be a whole number, and is a text; write it without quotes"},
		"text as number":    {"image: a}", "image: a, env: [{name: A, value: 1}]}", "type spec.template.spec.containers[name=a].env[name=A].value: must be a text, and is a whole number; write it in quotes"},
		"too large":         {"spec: {selector", "spec: {replicas: 3000000000, selector", "type spec.replicas: is too large"},
		"missing":           {"name: a, image: a", "image: a", "required spec.template.spec.containers[0].name"},
		"null is missing":   {"image: a", "image: null", "required spec.template.spec.containers[name=a].image"},
		"null is nothing":   {"spec: {selector", "spec: {replicas: null, selector", ""},
		"enum":              {"image: a}", "image: a, imagePullPolicy: Alway}", `enum spec.template.spec.containers[name=a].imagePullPolicy: "Alway" is not among the values that the field takes; did you mean "Always"?`},
		"int or string":     {"image: a}", "image: a, livenessProbe: {httpGet: {port: [80]}}}", "type spec.template.spec.containers[name=a].livenessProbe.httpGet.port: must be a number or a text"},
		"quantity":          {"image: a}", "image: a, resources: {limits: {memory: 1 Gi}}}", "type spec.template.spec.containers[name=a].resources.limits.memory: \"1 Gi\" is not a quantity"},
		"quantity, number":  {"image: a}", "image: a, resources: {limits: {cpu: 1.5}}}", ""},
		"request over":      {"image: a}", "image: a, resources: {limits: {cpu: 1}, requests: {cpu: 1100m}}}", "value spec.template.spec.containers[name=a].resources.requests.cpu"},
		"port":              {"image: a}", "image: a, ports: [{containerPort: 70000}]}", "value spec.template.spec.containers[name=a].ports[0].containerPort: must be between 1 and 65535"},
		"selector":          {"matchLabels: {app: a}", "matchLabels: {app: b}", "value spec.template.metadata.labels: the selector asks for the label app=b"},
		"name":              {"metadata: {name: a}", "metadata: {name: A_b}", "value metadata.name"},
		"no volume":         {"image: a}", "image: a, volumeMounts: [{name: v, mountPath: /v}]}", `value spec.template.spec.containers[name=a].volumeMounts[name=v].name: the pod has no volume "v"`},
		"two handlers":      {"image: a}", "image: a, livenessProbe: {exec: {command: [a]}, tcpSocket: {port: 1}}}", "value spec.template.spec.containers[name=a].livenessProbe: must have exactly one of"},
		"kind":              {"kind: Deployment", "kind: Deploiment", "unknown-kind there is no schema of apps/v1 Deploiment; did you mean \"Deployment\"?"},
		"removed version":   {"apps/v1", "extensions/v1beta1", "unknown-kind extensions/v1beta1 Deployment is not in Kubernetes 1.36; use apps/v1 Deployment"},
		"version elsewhere": {"apps/v1", "apps/v3", "unknown-kind there is no schema of apps/v3 Deployment; there is apps/v1 Deployment"},
		"status is free":    {"kind: Deployment", "kind: Deployment, status: {conditions: [{type: A}]}", ""},
		"but is decoded":    {"kind: Deployment", "kind: Deployment, status: {replicas: many}", "type status.replicas"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := words(schemas.Validate(parse(t, strings.Replace(deployment, test.from, test.to, 1))))
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}

// TestRefusals are what the server refuses beyond the schemas, and what stands next to
// it and is taken.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const pod = "metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: a}]}"
	const daemon = "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: a}, spec: {selector: {matchLabels: {app: a}}, updateStrategy: WHAT, template: {" + pod + "}}}"
	const stateful = "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a}, spec: {serviceName: a, selector: {matchLabels: {app: a}}, WHAT, template: {" + pod + "}}}"
	const claim = "volumeClaimTemplates: [{metadata: {name: a}, spec: {accessModes: [MODES], resources: {requests: {storage: 1Gi}}}}]"
	const job = "{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {completions: 2, completionMode: Indexed, WHAT, template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}"
	const cron = "{apiVersion: batch/v1, kind: CronJob, metadata: {name: a}, spec: {schedule: 0 3 * * *, timeZone: WHAT, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}}}"
	const sleeper = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {WHAT, containers: [{name: a, image: a, lifecycle: {preStop: {sleep: {seconds: 31}}}}]}}"
	const surge = "value spec.updateStrategy.rollingUpdate.maxSurge"
	const neither = "value spec.updateStrategy.rollingUpdate.maxUnavailable"
	const rule = "value spec.podFailurePolicy.rules[0]"
	onFailure := strings.Replace(job, "Never", "OnFailure", 1)
	for _, test := range []struct{ object, what, want string }{
		{daemon, "{rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}", neither},
		{daemon, "{rollingUpdate: {maxUnavailable: 0%}}", neither},
		{daemon, "{rollingUpdate: {maxSurge: 1, maxUnavailable: 1}}", surge},
		{daemon, "{rollingUpdate: {maxSurge: 10%}}", surge},
		{daemon, "{rollingUpdate: {maxSurge: 10%, maxUnavailable: 0%}}", ""},
		{daemon, "{rollingUpdate: {maxSurge: 0}}", ""},
		{daemon, "{rollingUpdate: {}}", ""},
		{daemon, "{rollingUpdate: {maxUnavailable: 200%}}", neither},
		{daemon, "{type: OnDelete, rollingUpdate: {maxSurge: 1, maxUnavailable: 200%}}", ""},
		{stateful, "updateStrategy: {rollingUpdate: {maxUnavailable: 0}}", ""}, // of 1.36
		{stateful, strings.Replace(claim, "MODES", "ReadWriteOnc", 1), "enum spec.volumeClaimTemplates[0].spec.accessModes[0]: \"ReadWriteOnc\""},
		{stateful, strings.Replace(claim, "MODES", "ReadWriteOncePod, ReadOnlyMany", 1), "beside other access modes"},
		{stateful, strings.Replace(claim, "MODES", "ReadWriteOnce, ReadOnlyMany, ReadWriteMany", 1), ""},
		{job, "backoffLimitPerIndex: 1, maxFailedIndexes: 1", ""},
		{onFailure, "backoffLimitPerIndex: 1", ""},
		{job, "maxFailedIndexes: 1", "required spec.backoffLimitPerIndex"},
		{job, "podFailurePolicy: {rules: [{action: FailIndex, onPodConditions: [{type: A}]}]}", rule + ".action"},
		{job, "podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: A, status: 'true'}]}]}", rule + ".onPodConditions[0].status: \"true\""},
		{job, "podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: A, status: 'Unknown'}]}]}", ""},
		{job, "podFailurePolicy: {rules: [{action: Ignore}]}", rule},
		{onFailure, "podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: A}]}]}", "value spec.template.spec.restartPolicy"},
		{cron, "Europe/Berlin", ""},
		{cron, "America/Argentina/ComodRivadavia", ""},
		{cron, "Etc/GMT+3", ""},
		{cron, "local", "value spec.timeZone"},
		{cron, "Europe/Berlin (CET)", "value spec.timeZone"},
		{cron, "''", "value spec.timeZone"},
		{sleeper, "terminationGracePeriodSeconds: 31", ""},
		{sleeper, "terminationGracePeriodSeconds: 20", "spec.containers[name=a].lifecycle.preStop.sleep.seconds: must be between 0 and terminationGracePeriodSeconds, which is 20"},
		{sleeper, "hostNetwork: false", "which is 30"},
	} {
		got := words(load(t, "1.36").Validate(parse(t, strings.Replace(test.object, "WHAT", test.what, 1))))
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.what, got, test.want)
		}
	}
	none := parse(t, strings.Replace(stateful, "WHAT", "updateStrategy: {rollingUpdate: {maxUnavailable: 0}}", 1))
	if got := words(load(t, "1.37").Validate(none)); !strings.Contains(got, neither+": may not be 0") {
		t.Errorf("1.37 takes a StatefulSet with maxUnavailable: 0: %q", got)
	}
}

func TestMinors(t *testing.T) {
	t.Parallel()
	if got := kubeschema.Minors(); len(got) < 4 || !slices.Contains(got, "1.33") || !slices.Contains(got, "1.36") {
		t.Errorf("minors: %v", got)
	}
	if _, err := kubeschema.Load("1.2"); err == nil || !strings.Contains(err.Error(), "hint: there are those of 1.33") {
		t.Errorf("an unknown minor: %v", err)
	}
	// A Service may begin with a digit since 1.36.
	service := parse(t, `{apiVersion: v1, kind: Service, metadata: {name: 1a}, spec: {ports: [{port: 80}]}}`)
	if got := words(load(t, "1.35").Validate(service)); got == "" {
		t.Error("1.35 takes a Service named 1a")
	}
	if got := words(load(t, "1.36").Validate(service)); got != "" {
		t.Errorf("1.36 does not take a Service named 1a: %s", got)
	}
}

func TestLives(t *testing.T) {
	t.Parallel()
	schemas := load(t, "1.36")
	tests := []struct {
		apiVersion, kind, replacement string
		removed, deprecated           bool
	}{
		{"extensions/v1beta1", "Ingress", "networking.k8s.io/v1 Ingress", true, true},
		{"networking.k8s.io/v1beta1", "IngressClass", "networking.k8s.io/v1 IngressClass", true, true},
		{"policy/v1beta1", "PodDisruptionBudget", "policy/v1 PodDisruptionBudget", true, true},
		{"policy/v1beta1", "PodSecurityPolicy", "", true, true},
		{"flowcontrol.apiserver.k8s.io/v1beta1", "FlowSchema", "flowcontrol.apiserver.k8s.io/v1 FlowSchema", true, true},
		{"apiextensions.k8s.io/v1beta1", "CustomResourceDefinition", "apiextensions.k8s.io/v1 CustomResourceDefinition", true, true},
		{"v1", "Endpoints", "discovery.k8s.io/v1 EndpointSlice", false, true},
	}
	for _, test := range tests {
		life, ok := schemas.Life(test.apiVersion, test.kind)
		if !ok || life.Replacement != test.replacement || schemas.Removed(life) != test.removed || schemas.Deprecated(life) != test.deprecated {
			t.Errorf("%s %s: %v %+v, removed %v, deprecated %v", test.apiVersion, test.kind, ok, life, schemas.Removed(life), schemas.Deprecated(life))
		}
	}
	if life, ok := schemas.Life("apps/v1", "Deployment"); ok {
		t.Errorf("apps/v1 Deployment has an end: %+v", life)
	}
}

const crd = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  names: {kind: Thing, plural: things}
  versions:
    - name: v1
      served: true
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              required: [size, colour]
              properties:
                size: {type: integer, minimum: 1, maximum: 9}
                colour: {type: string, enum: [red, green], default: red}
                port: {x-kubernetes-int-or-string: true}
                name: {type: string, pattern: "^[a-z]+$", maxLength: 5}
                note: {type: string, nullable: true}
                free: {type: object, x-kubernetes-preserve-unknown-fields: true}
                labels: {type: object, additionalProperties: {type: string}}
                list: {type: array, maxItems: 2, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [key], items: {type: object, properties: {key: {type: string}}}}
                one: {type: object, properties: {a: {type: string}, b: {type: string}}, oneOf: [{required: [a]}, {required: [b]}]}
    - {name: v2, served: false, schema: {openAPIV3Schema: {type: object}}}
`

func TestCRD(t *testing.T) {
	t.Parallel()
	schemas := load(t, "")
	if _, err := schemas.AddCRD(parse(t, crd)); err != nil {
		t.Fatal(err)
	}
	if schemas.Known("example.com/v2", "Thing") {
		t.Error("a version is known that is not served")
	}
	for spec, want := range map[string]string{
		"size: 3": "",
		"size: 3, port: http, name: abc, note: null, free: {a: 1}, labels: {a: b}": "",
		"size: 3, colour: null":                    "",
		"size: 0":                                  "value spec.size: must be at least 1",
		"size: 1.5":                                "type spec.size: must be a whole number",
		"colour: red":                              "required spec.size",
		"size: null":                               "required spec.size",
		"size: 3, colour: blue":                    "enum spec.colour",
		"size: 3, sise: 4":                         "unknown-field spec.sise",
		"size: 3, port: true":                      "type spec.port",
		"size: 3, name: abcdef":                    "value spec.name: may have at most 5 characters",
		"size: 3, name: A":                         "does not match",
		"size: 3, labels: {a: 1}":                  "type spec.labels.a",
		"size: 3, list: [{key: a}, {key: a}]":      "stands there twice",
		"size: 3, list: [{key: a}, {}, {key: b}]":  "may have at most 2 items",
		"size: 3, one: {a: x, b: y}":               "must be one of the 2 forms",
		"size: 3}, metadata: {name: a, lables: {}": "unknown-field metadata.lables",
	} {
		got := words(schemas.Validate(parse(t, "{apiVersion: example.com/v1, kind: Thing, metadata: {name: a}, spec: {"+spec+"}}")))
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", spec, got, want)
		}
	}
	if _, err := schemas.AddCRD(map[string]any{"kind": "Deployment"}); err == nil || !strings.Contains(err.Error(), "hint:") {
		t.Errorf("what is no definition: %v", err)
	}
}

func TestJSONSchema(t *testing.T) {
	t.Parallel()
	schemas := load(t, "")
	schema := `{"type": "object", "properties": {"spec": {"type": "object", "additionalProperties": false, "properties": {"size": {"type": "integer"}}}}}`
	if err := schemas.AddJSONSchema("example.com/v1", "Thing", []byte(schema)); err != nil {
		t.Fatal(err)
	}
	thing := "{apiVersion: example.com/v1, kind: Thing, metadata: {name: a}, spec: {size: 1}}"
	if got := words(schemas.Validate(parse(t, thing))); got != "" {
		t.Error(got)
	}
	if got := words(schemas.Validate(parse(t, strings.Replace(thing, "size", "sise", 1)))); !strings.Contains(got, "value spec: additional properties 'sise' not allowed") {
		t.Error(got)
	}
	if err := schemas.AddJSONSchema("example.com/v1", "Thing", []byte("{")); err == nil {
		t.Error("no JSON is taken")
	}
	got := kubeschema.JSONSchemaFile("{{ .Group }}/{{.ResourceKind}}{{.KindSuffix}}.json", "example.com/v1", "Thing")
	if want := "example.com/thing-example-v1.json"; got != want {
		t.Errorf("the file is %s, want %s", got, want)
	}
}

// TestSize holds what the schemas add to the binary.
func TestSize(t *testing.T) {
	t.Parallel()
	const most = 4 << 20
	info, err := os.Stat("schemas.gz")
	if err != nil || info.Size() > most {
		t.Errorf("the schemas have %d bytes, at most %d are allowed: %v", info.Size(), most, err)
	}
}

// FuzzValidate: no object makes it fall over, whatever its shape.
func FuzzValidate(f *testing.F) {
	schemas := load(f, "")
	if _, err := schemas.AddCRD(parse(f, crd)); err != nil {
		f.Fatal(err)
	}
	f.Add(deployment)
	f.Add("{apiVersion: example.com/v1, kind: Thing, metadata: {name: a}, spec: {size: 1}}")
	f.Add(`{"apiVersion": "v1", "kind": "Service", "spec": {"ports": [null, 1, {"port": {}}], "selector": [], "type": 3}}`)
	f.Fuzz(func(_ *testing.T, text string) {
		objects, err := manifest.Parse(text)
		if err != nil {
			return
		}
		for _, o := range objects {
			schemas.Validate(o.Fields)
		}
	})
}

// TestBlocks: the addresses that a NetworkPolicy names are refused as the server does.
func TestBlocks(t *testing.T) {
	t.Parallel()
	schemas := load(t, "v1.36.3")
	for block, want := range map[string]string{
		"{cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.3.4/32]}": "",
		"{cidr: 10.1.2.3/8, except: [10.1.0.0/16]}":              "",
		"{cidr: 010.0.0.0/08}":                                   "",
		"{cidr: \"fd00::/8\", except: [\"fd00:1::/32\"]}":        "",
		"{cidr: \"::ffff:10.0.0.0/104\"}":                        "",
		"{cidr: 10.0.0.0/33}":                                    "cidr: must be a CIDR, such as 10.0.0.0/8",
		"{cidr: 10.0.0/8}":                                       "cidr: must be a CIDR, such as 10.0.0.0/8",
		"{cidr: 10.0.0.0}":                                       "cidr: must be a CIDR, such as 10.0.0.0/8",
		"{cidr: 10.0.0.0/8, except: [10.0.0.0/99]}":              "except[0]: must be a CIDR, such as 10.0.0.0/8",
		"{cidr: 10.0.0.0/8, except: [192.168.0.0/16]}":           "except[0]: must lie within 10.0.0.0/8, and be smaller",
		"{cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.0.0.0/8]}":  "except[1]: must lie within 10.0.0.0/8, and be smaller",
		"{cidr: 10.0.0.0/8, except: [\"\"]}":                     "except[0]: must not be empty",
	} {
		problems := schemas.Validate(parse(t, "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, spec: {podSelector: {}, ingress: [{from: [{ipBlock: "+block+"}]}]}}"))
		if want != "" {
			want = "value spec.ingress[0].from[0].ipBlock." + want
		}
		if got := words(problems); got != want {
			t.Errorf("%s: %q, want %q", block, got, want)
		}
	}
}

// TestUnknownType: a type that no definition may name is a flaw, and checks nothing.
func TestUnknownType(t *testing.T) {
	t.Parallel()
	schemas := load(t, "v1.36.3")
	flaws, err := schemas.AddCRD(parse(t, `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: as.example.com}, spec: {group: example.com, names: {kind: A},
		versions: [{name: v1, served: true, schema: {openAPIV3Schema: {type: object, properties: {size: {type: intger, minimum: 1}, name: {type: string}}}}}]}}`))
	const want = ".spec.versions[0].schema.openAPIV3Schema.properties.size.type: there is no type \"intger\", and values of it are not checked\n  hint: did you mean \"integer\"? (array, boolean, integer, number, object, string)"
	if err != nil || len(flaws) != 1 || flaws[0].String() != want {
		t.Fatalf("%v %v, want %s", flaws, err, want)
	}
	for _, size := range []string{"x", "{a: b}", "5"} {
		problems := schemas.Validate(parse(t, "{apiVersion: example.com/v1, kind: A, metadata: {name: a}, size: "+size+", name: b}"))
		if len(problems) > 0 {
			t.Errorf("%s: %s", size, words(problems))
		}
	}
}
