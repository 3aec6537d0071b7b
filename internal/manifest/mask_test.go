package manifest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// canary is a text with all that an encoding escapes.
const canary = "canary-p4ss+/ \"<&'%é\\w"

func TestMaskText(t *testing.T) {
	t.Parallel()
	lines := "-----BEGIN CANARY-----\nY2FuYXJ5\nYWFhYWFh\n\n-----END CANARY-----\n"
	m := NewMask([]string{canary, "abc", "    ", "", "plain-canary", lines, "1234567"})
	quoted, _ := json.Marshal(canary)
	twice, _ := json.Marshal(string(quoted))
	std, raw := base64.StdEncoding, base64.RawURLEncoding
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "abc    and so on", "abc    and so on"},
		{"raw", "a" + canary + "b", "a[masked]b"},
		{"twice", canary + canary, "[masked][masked]"},
		{"JSON", string(quoted), `"[masked]"`},
		{"JSON in JSON", string(twice), `"\"[masked]\""`},
		{"Go", fmt.Sprintf("%q", canary), `"[masked]"`},
		{"query", "p=" + url.QueryEscape(canary), "p=[masked]"},
		{"query, lower case", "p=" + lowerHex.ReplaceAllStringFunc(url.QueryEscape(canary), strings.ToLower), "p=[masked]"},
		{"user", "amqp://" + url.UserPassword("u", canary).String() + "@h", "amqp://u:[masked]@h"},
		{"path", "/" + url.PathEscape(canary) + "/", "/[masked]/"},
		{"YAML", "p: '" + strings.ReplaceAll(canary, "'", "''") + "'", "p: '[masked]'"},
		{"base64", std.EncodeToString([]byte(canary)), "[masked]"},
		{"base64 for URLs", raw.EncodeToString([]byte(canary)) + ".x", "[masked].x"},
		{"base64 at 1", std.EncodeToString([]byte("u" + canary)), "d[masked]"},
		{"base64 at 2", std.EncodeToString([]byte("u:" + canary)), "dT[masked]"},
		{"base64 of a URL", std.EncodeToString([]byte("abc" + url.QueryEscape(canary))), "YWJj[masked]"},
		{"base64 twice", std.EncodeToString([]byte(std.EncodeToString([]byte("plain-canary")))), "[masked]"},
		{"hex", "706c61696e2d63616e617279", "[masked]"},
		{"block", "a: |\n  " + strings.ReplaceAll(lines, "\n", "\r\n  ") + "b", "a: |\n  [masked]\r\n  b"},
		{"block without its end", "x\n  -----BEGIN CANARY-----\n  Y2FuYXJ5\n  YWFhYWFh\n", "x\n  -----BEGIN CANARY-----\n  Y2FuYXJ5\n  YWFhYWFh\n"},
		{"number", "port 1234567", "port [masked]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := m.Text(test.text); got != test.want {
				t.Errorf("Text(%q) = %q, want %q", test.text, got, test.want)
			}
		})
	}
	var none *Mask
	if none.Text(canary) != canary || Unmasked().Text(canary) != canary {
		t.Error("a mask that knows nothing masks")
	}
}

var secretRef = Ref{"v1", "Secret", "shop", "carts"}

func TestCompareSecret(t *testing.T) {
	t.Parallel()
	const before = "type: Opaque\ndata: {same: c2FtZQ==, other: b2xk, gone: Z29uZQ==}"
	const after = "type: Opaque\ndata: {same: c2FtZQ==, other: bmV3bG9uZ2Vy, new: bmV3}"
	for _, mask := range []*Mask{nil, NewMask(nil)} {
		c := Compare(secretRef, readFields(t, before), readFields(t, after), mask)
		if got, want := fieldsText(c), "data.gone: [masked] → <nil>\ndata.new: <nil> → [masked]\ndata.other: [masked] → [masked, changed]\n"; got != want {
			t.Errorf("fields:\n%swant:\n%s", got, want)
		}
		want := " type: Opaque\n data:\n-  gone: [masked]\n-  other: [masked]\n+  new: [masked]\n+  other: [masked, changed]\n   same: [masked]\n"
		if got := linesOf(c.Diff(-1)); got != want {
			t.Errorf("diff:\n%swant:\n%s", got, want)
		}
	}
	c := Compare(secretRef, readFields(t, before), readFields(t, after), Unmasked())
	if got := linesOf(c.Diff(0)); !strings.Contains(got, "+  other: bmV3bG9uZ2Vy\n") {
		t.Errorf("revealed:\n%s", got)
	}
	for _, odd := range []string{"data: hidden", "data: [hidden]", "data: {a: {hidden: 7}, b: [hidden, 1], c: null, d: 1}", "stringData: {a: hidden, b: true}"} {
		c := Compare(secretRef, nil, readFields(t, odd), nil)
		for _, shown := range []string{": hidden", "- hidden", ": 7", ": 1", "true", "null"} {
			if strings.Contains(linesOf(c.Diff(-1)), shown) {
				t.Errorf("%s:\n%s", odd, linesOf(c.Diff(-1)))
			}
		}
	}
	// Another group's Secret is somebody else's.
	c = Compare(Ref{APIVersion: "example.com/v1", Kind: "Secret"}, nil, readFields(t, "data: {a: shown}"), nil)
	if got := linesOf(c.Diff(-1)); got != "+data:\n+  a: shown\n" {
		t.Errorf("a custom resource:\n%s", got)
	}
}

func TestCompareMasks(t *testing.T) {
	t.Parallel()
	m := NewMask([]string{"canary-new", "canary-old", "a: canary", "31337"})
	m.Learn(Object{Ref: secretRef, Fields: map[string]any{"data": map[string]any{"a": base64.StdEncoding.EncodeToString([]byte("learnt-1"))}, "stringData": map[string]any{"b": "learnt-2"}}})
	m.Learn(Object{Ref: Ref{APIVersion: "v1", Kind: "ConfigMap"}, Fields: map[string]any{"data": map[string]any{"a": "no secret"}}})
	for _, test := range []struct{ name, before, after, fields, diff string }{
		{"the same", "a: x canary-new\nb: 1", "a: x canary-new\nb: 2", "b: 1 → 2\n", "-b: 1\n+b: 2\n"},
		{"another", "a: x canary-old y", "a: x canary-new y", "a: x [masked] y → x [masked, changed] y\n", "-a: \"x [masked] y\"\n+a: \"x [masked, changed] y\"\n"},
		{"learnt", "a: learnt-1\nb: learnt-2", "a: no secret\nb: learnt-1", "a: [masked] → no secret\nb: [masked] → [masked, changed]\n", ""},
		{"a number", "a: 1", "a: 31337", "a: 1 → [masked]\n", "-a: 1\n+a: [masked]\n"},
		{"keys", "{}", "{canary-new: 1, canary-old: 2}", "[\"[masked]\"]: <nil> → 1\n[\"[masked] (2)\"]: <nil> → 2\n", ""},
		{"labels", "env: []", "env: [{name: canary-new}]", "env[name=[masked]].name: <nil> → [masked]\n", ""},
		{"a line of a file", "f: |\n  a: 1\n  p: canary-old\n  q: canary-new\n", "f: |\n  a: 2\n  p: canary-new\n  q: canary-new\n",
			"f: a: 1\np: [masked]\nq: [masked]\n → a: 2\np: [masked, changed]\nq: [masked]\n\n", "-  a: 1\n-  p: [masked]\n+  a: 2\n+  p: [masked, changed]\n"},
		{"JSON in an annotation", `metadata: {annotations: {x: '{"p":"canary-new","n":1}'}}`, `metadata: {annotations: {x: '{"p":"canary-new","n":2}'}}`,
			"metadata.annotations.x: {\"p\":\"[masked]\",\"n\":1} → {\"p\":\"[masked]\",\"n\":2}\n", ""},
		{"what leaves make together", "{}", "{a: canary}", "a: <nil> → [masked]\n", "-{}\n+a: [masked]\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := Compare(deployment, readFields(t, test.before), readFields(t, test.after), m)
			if got := fieldsText(c); c.Action != Update || got != test.fields {
				t.Errorf("%s, fields:\n%swant:\n%s", c.Action, got, test.fields)
			}
			if got := linesOf(c.Diff(0)); test.diff != "" && strings.Join(strings.SplitAfter(got, "\n")[1:], "") != test.diff {
				t.Errorf("diff:\n%swant:\n%s", got, test.diff)
			}
		})
	}
}

// everyKind are objects of all the kinds that charts make, and of kinds that kai
// does not know. TEXT is where a text goes in that a secret was put into.
var everyKind = map[string]string{
	"v1 ConfigMap":                                     "data: {TEXT: x, a: TEXT, b: TEXT}\nbinaryData: {c: TEXT}",
	"v1 Secret":                                        "type: Opaque\nmetadata: {annotations: {a: TEXT}, labels: {TEXT: a}}\ndata: {a: TEXT}\nstringData: {b: TEXT}",
	"v1 Pod":                                           "spec: {containers: [{name: a, image: TEXT, args: [a, TEXT], command: [sh, -c, TEXT], env: [{name: TEXT, value: TEXT}]}]}",
	"v1 Service":                                       "metadata: {annotations: {a: TEXT}}\nspec: {externalName: TEXT, selector: {a: TEXT}, ports: [{name: TEXT, port: 80}]}",
	"v1 ServiceAccount":                                "metadata: {annotations: {a: TEXT}}\nimagePullSecrets: [{name: TEXT}]",
	"v1 PersistentVolumeClaim":                         "spec: {storageClassName: TEXT, resources: {requests: {storage: TEXT}}}",
	"apps/v1 Deployment":                               "spec: {template: {metadata: {annotations: {checksum/a: TEXT}}, spec: {containers: [{name: a, env: [{name: A, value: TEXT}], livenessProbe: {httpGet: {path: TEXT, httpHeaders: [{name: Authorization, value: TEXT}]}}, lifecycle: {preStop: {exec: {command: [TEXT]}}}}]}}}",
	"apps/v1 StatefulSet":                              "spec: {serviceName: TEXT, volumeClaimTemplates: [{metadata: {name: TEXT}}], template: {spec: {initContainers: [{name: TEXT, args: [TEXT]}]}}}",
	"apps/v1 DaemonSet":                                "spec: {template: {spec: {volumes: [{name: a, csi: {driver: a, volumeAttributes: {a: TEXT}}}]}}}",
	"batch/v1 Job":                                     "metadata: {annotations: {helm.sh/hook: TEXT}}\nspec: {template: {spec: {containers: [{name: a, args: [TEXT]}]}}}",
	"batch/v1 CronJob":                                 "spec: {schedule: TEXT, jobTemplate: {spec: {template: {spec: {containers: [{name: a, env: [{name: A, value: TEXT}]}]}}}}}",
	"autoscaling/v2 HorizontalPodAutoscaler":           "spec: {metrics: [{type: External, external: {metric: {name: TEXT, selector: {matchLabels: {a: TEXT}}}}}]}",
	"policy/v1 PodDisruptionBudget":                    "spec: {selector: {matchLabels: {a: TEXT}}, minAvailable: TEXT}",
	"networking.k8s.io/v1 NetworkPolicy":               "spec: {podSelector: {matchLabels: {TEXT: a}}, egress: [{to: [{ipBlock: {cidr: TEXT}}]}]}",
	"networking.k8s.io/v1 Ingress":                     "metadata: {annotations: {nginx.ingress.kubernetes.io/configuration-snippet: TEXT}}\nspec: {rules: [{host: TEXT, http: {paths: [{path: TEXT}]}}], tls: [{hosts: [TEXT], secretName: TEXT}]}",
	"gateway.networking.k8s.io/v1 HTTPRoute":           "spec: {rules: [{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: TEXT}]}}]}]}",
	"rbac.authorization.k8s.io/v1 Role":                "rules: [{resources: [TEXT], resourceNames: [TEXT], verbs: [TEXT]}]",
	"apiextensions.k8s.io/v1 CustomResourceDefinition": "spec: {versions: [{name: v1, schema: {openAPIV3Schema: {description: TEXT, default: TEXT}}}]}",
	"admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration": "webhooks: [{name: a, clientConfig: {url: TEXT, caBundle: TEXT}}]",
	"external-secrets.io/v1 ExternalSecret":                          "spec: {target: {template: {data: {a: TEXT}}}, data: [{secretKey: TEXT, remoteRef: {key: TEXT}}]}",
	"example.com/v1 Secret":                                          "data: {a: TEXT}\nspec: [[TEXT], {TEXT: [TEXT]}]",
	"example.com/v1 Anything":                                        "a: {b: {c: {d: [{e: [TEXT, 1, null, true]}]}}}",
}

// everyForm is how a template may write a secret into a text.
var everyForm = map[string]func(string) string{
	"raw":    func(s string) string { return s },
	"base64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 twice": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(s))))
	},
	"base64 of a URL": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte("https://u:" + url.QueryEscape(s) + "@h/"))
	},
	"quoted": func(s string) string { return fmt.Sprintf("%q", s) },
	"JSON":   func(s string) string { return string(must(json.Marshal(map[string]string{"p": s}))) },
	"JSON in base64": func(s string) string {
		return base64.StdEncoding.EncodeToString(must(json.Marshal(map[string]string{"p": s})))
	},
	"URL": func(s string) string {
		return (&url.URL{Scheme: "amqp", User: url.UserPassword("u", s), Host: "h:1", Path: "/v"}).String()
	},
	"query":  func(s string) string { return "https://h/?" + url.Values{"p": {s}}.Encode() },
	"within": func(s string) string { return "before " + s + " after" },
	"indent": func(s string) string { return "a:\n    p: |\n      " + strings.ReplaceAll(s, "\n", "\n      ") + "\n" },
	"shell":  func(s string) string { return "p='" + strings.ReplaceAll(s, "'", `'\''`) + "'" },
	"an INI": func(s string) string { return "[a]\r\np = " + strings.ReplaceAll(s, "\n", "\r\n") + "\r\n" },
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

// TestEveryKind puts secrets into all places of objects of every kind, in every
// form: no difference shows one, and that one has changed is seen.
func TestEveryKind(t *testing.T) {
	t.Parallel()
	texts := map[string][2]string{
		"a password": {canary, strings.ReplaceAll(canary, "canary", "before")},
		"lines":      {"-----BEGIN CANARY-----\nY2FuYXJ5\nYWFhYWFh\n-----END CANARY-----\n", "-----BEGIN BEFORE-----\nYmVmb3Jl\nYWFhYWFh\n-----END BEFORE-----\n"},
	}
	// Of each form only what no other text has is looked for.
	parts := []string{"canary", "CANARY", "Y2FuYXJ5", "before-p4", "BEFORE", "YmVmb3Jl", "p4ss"}
	for kind, body := range everyKind {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			version, name, _ := strings.Cut(kind, " ")
			ref := Ref{version, name, "shop", "carts"}
			for what, pair := range texts {
				m := NewMask(pair[:])
				for form, write := range everyForm {
					after := filled(readFields(t, body), write(pair[0])).(map[string]any)
					before := filled(readFields(t, body), write(pair[1])).(map[string]any)
					shown := ""
					for _, c := range []Change{Compare(ref, nil, after, m), Compare(ref, before, after, m), Compare(ref, after, nil, m), Compare(ref, after, after, m)} {
						shown += fieldsText(c) + linesOf(c.Diff(-1)) + linesOf(c.Diff(0))
					}
					for _, secret := range pair {
						for _, part := range append(parts, write(secret), secret) {
							if strings.Contains(shown, part) {
								t.Fatalf("%s, %s: it shows %q:\n%s", what, form, part, shown)
							}
						}
					}
					if !strings.Contains(shown, "[masked, changed]") {
						t.Errorf("%s, %s: it does not say what has changed:\n%s", what, form, shown)
					}
				}
			}
		})
	}
}

// filled gives a copy in which TEXT is another text, as a key too.
func filled(v any, text string) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[strings.ReplaceAll(k, "TEXT", text)] = filled(item, text)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = filled(v[i], text)
		}
		return out
	case string:
		return strings.ReplaceAll(v, "TEXT", text)
	}
	return v
}

func TestTaint(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, real, placeholder, before, fields string }{
		{"a checksum", "a: {checksum/config: 1a}\nb: 1", "a: {checksum/config: 2b}\nb: 1", "a: {checksum/config: 3c}\nb: 2",
			"a[\"checksum/config\"]: [masked] → [masked, changed]\nb: 2 → 1\n"},
		{"unchanged", "a: 1a\nb: 1", "a: 2b\nb: 1", "a: 1a\nb: 2", "b: 2 → 1\n"},
		{"only with the secret", "a: {k: 1}\nb: 1", "a: {}\nb: 1", "a: {l: 1}\nb: 1", "a[\"[masked]\"]: <nil> → [masked]\na.l: 1 → <nil>\n"},
		{"an item", "env: [{name: A, value: 1a}, {name: B, value: b}]", "env: [{name: A, value: 2b}, {name: B, value: b}]", "env: [{name: B, value: c}, {name: A, value: 3c}]",
			"env[name=A].value: [masked] → [masked, changed]\nenv[name=B].value: c → b\n"},
		{"an argument that moved", "args: [a, x1, b]", "args: [a, y2, b]", "args: [z3, a, b]", "args[0]: [masked] → [masked, changed]\nargs[1]: [masked] → [masked, changed]\n"},
		{"a known text accounts for it", "u: 'amqp://u:canary-new@h/v'", "u: 'amqp://u:canary-placeholder@h/v'", "u: 'amqp://u:forgotten@h/v'", "u: amqp://u:[masked]@h/v → amqp://u:[masked, changed]@h/v\n"},
		{"it does not", "u: 'canary-new 1a'", "u: 'other 2b'", "u: 'forgotten 3c'", "u: [masked] → [masked, changed]\n"},
		{"a file", "f: |\n  a: 1\n  p: canary-new\n  z: 1\n", "f: |\n  a: 1\n  p: other\n  z: 1\n", "f: |\n  a: 1\n  p: forgotten\n  q: forgotten too\n",
			"f: a: 1\np: [masked]\n[masked]\n → a: 1\np: [masked, changed]\nz: 1\n\n"},
		{"shapes", "a: {b: 1}\nc: 1", "a: 1\nc: [1]", "a: {b: 2}\nc: 2", "a.b: [masked] → [masked, changed]\nc: [masked] → [masked, changed]\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := NewMask([]string{"canary-new"})
			m.Taint(deployment, readFields(t, test.real), readFields(t, test.placeholder))
			c := Compare(deployment, readFields(t, test.before), readFields(t, test.real), m)
			if got := fieldsText(c); got != test.fields {
				t.Errorf("fields:\n%swant:\n%s", got, test.fields)
			}
			other := Compare(secretRef, readFields(t, "a: 1a"), readFields(t, "a: 2b"), m)
			if got := fieldsText(other); got != "a: 1a → 2b\n" {
				t.Errorf("another object: %s", got)
			}
		})
	}
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, fields, want string }{
		{"what the cluster adds", "apiVersion: v1\nkind: Pod\nmetadata: {name: a, uid: x, resourceVersion: '1', managedFields: [], generation: 1, creationTimestamp: null, selfLink: x, labels: {}, finalizers: [], annotations: {deployment.kubernetes.io/revision: '1', kubectl.kubernetes.io/last-applied-configuration: x}}\nstatus: {a: 1}",
			"apiVersion: v1\nkind: Pod\nmetadata: {name: a}"},
		{"null, empty", "apiVersion: v1\nkind: Pod\nspec: {a: null, resources: {}, securityContext: {}, tolerations: [], volumes: [{name: a, emptyDir: {}}], x: [null, {}, []]}",
			"apiVersion: v1\nkind: Pod\nspec: {volumes: [{name: a, emptyDir: {}}], x: [null, {}, []]}"},
		{"selectors that select all", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nspec: {podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}, {}]}",
			"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nspec: {podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}, {}]}"},
		{"a custom resource", "apiVersion: example.com/v1\nkind: X\nspec: {a: null, b: [], resources: {}}", "apiVersion: example.com/v1\nkind: X\nspec: {b: [], resources: {}}"},
		{"quantities", "apiVersion: v1\nkind: Pod\nspec: {containers: [{resources: {requests: {cpu: 1000m, memory: 1024Mi, x: 0.5}, limits: {cpu: 2, memory: what}}}], volumes: [{emptyDir: {sizeLimit: 2048Ki}}]}",
			"apiVersion: v1\nkind: Pod\nspec: {containers: [{resources: {requests: {cpu: '1', memory: 1Gi, x: 500m}, limits: {cpu: '2', memory: what}}}], volumes: [{emptyDir: {sizeLimit: 2Mi}}]}"},
		{"autoscaling", "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nspec: {metrics: [{resource: {target: {averageValue: 1000m, averageUtilization: 70}}}]}",
			"apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nspec: {metrics: [{resource: {target: {averageValue: '1', averageUtilization: 70}}}]}"},
		{"no quantities", "apiVersion: v1\nkind: ConfigMap\ndata: {requests: 1000m, limits: ''}", "apiVersion: v1\nkind: ConfigMap\ndata: {requests: 1000m, limits: ''}"},
		{"a Secret", "apiVersion: v1\nkind: Secret\ndata: {a: YQ==, b: \"Yg\\n==\\n\", d: '?'}\nstringData: {a: new, c: c}", "apiVersion: v1\nkind: Secret\ndata: {a: bmV3, b: Yg==, c: Yw==, d: '?'}"},
		{"a Secret without data", "apiVersion: v1\nkind: Secret\nstringData: {c: c}", "apiVersion: v1\nkind: Secret\ndata: {c: Yw==}"},
		{"an odd Secret", "apiVersion: v1\nkind: Secret\ndata: x\nstringData: [y]", "apiVersion: v1\nkind: Secret\ndata: x\nstringData: [y]"},
		{"claims", "apiVersion: apps/v1\nkind: StatefulSet\nspec: {volumeClaimTemplates: [{status: {phase: Pending}, metadata: {name: a, creationTimestamp: null}}]}", "apiVersion: apps/v1\nkind: StatefulSet\nspec: {volumeClaimTemplates: [{metadata: {name: a}}]}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			fields := readFields(t, test.fields)
			got := Normalize(fields)
			if want := readFields(t, test.want); !reflect.DeepEqual(got, want) {
				t.Errorf("Normalize:\n%s\nwant:\n%s", YAML(got), YAML(want))
			}
			if !reflect.DeepEqual(fields, readFields(t, test.fields)) {
				t.Error("its argument was changed")
			}
			if again := Normalize(got); !reflect.DeepEqual(again, got) {
				t.Errorf("once more:\n%s", YAML(again))
			}
		})
	}
	if Normalize(nil) != nil {
		t.Error("nothing became something")
	}
}

func TestWithDefaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, fields, want string }{
		{"a Service", "apiVersion: v1\nkind: Service\nspec: {ports: [{port: 80}]}",
			"apiVersion: v1\nkind: Service\nspec: {type: ClusterIP, sessionAffinity: None, internalTrafficPolicy: Cluster, ports: [{port: 80, targetPort: 80, protocol: TCP}]}"},
		{"a Deployment", "apiVersion: apps/v1\nkind: Deployment\nspec: {strategy: {rollingUpdate: {maxUnavailable: 0}}, template: {spec: {containers: [{name: a, image: 'h:1/a', resources: {limits: {cpu: 1, memory: 1}, requests: {cpu: 2}}}], volumes: [{name: v}]}}}",
			"apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600, strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 25%}}, template: {spec: {restartPolicy: Always, dnsPolicy: ClusterFirst, terminationGracePeriodSeconds: 30, schedulerName: default-scheduler, enableServiceLinks: true, containers: [{name: a, image: 'h:1/a', imagePullPolicy: Always, terminationMessagePath: /dev/termination-log, terminationMessagePolicy: File, resources: {limits: {cpu: 1, memory: 1}, requests: {cpu: 2, memory: 1}}}], volumes: [{name: v, emptyDir: {}}]}}}"},
		{"what is said stays", "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls", "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls"},
		{"another kind", "apiVersion: example.com/v1\nkind: Service\nspec: {}", "apiVersion: example.com/v1\nkind: Service\nspec: {}"},
		{"a policy", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nspec: {egress: [{ports: [{port: 53}]}]}", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nspec: {policyTypes: [Ingress, Egress], egress: [{ports: [{port: 53, protocol: TCP}]}]}"},
		{"a Job", "apiVersion: batch/v1\nkind: Job\nspec: {podFailurePolicy: {}, template: {spec: {restartPolicy: Never, serviceAccountName: s, containers: [{env: [{name: a}, {name: b, valueFrom: {fieldRef: {fieldPath: x}}}]}]}}}",
			"apiVersion: batch/v1\nkind: Job\nspec: {podFailurePolicy: {}, podReplacementPolicy: Failed, completions: 1, parallelism: 1, backoffLimit: 6, completionMode: NonIndexed, suspend: false, template: {spec: {restartPolicy: Never, serviceAccountName: s, serviceAccount: s, dnsPolicy: ClusterFirst, terminationGracePeriodSeconds: 30, schedulerName: default-scheduler, enableServiceLinks: true, containers: [{terminationMessagePath: /dev/termination-log, terminationMessagePolicy: File, env: [{name: a, value: ''}, {name: b, valueFrom: {fieldRef: {fieldPath: x, apiVersion: v1}}}]}]}}}"},
		{"a balanced Service", "apiVersion: v1\nkind: Service\nspec: {type: LoadBalancer}", "apiVersion: v1\nkind: Service\nspec: {type: LoadBalancer, sessionAffinity: None, internalTrafficPolicy: Cluster, externalTrafficPolicy: Cluster, allocateLoadBalancerNodePorts: true}"},
		{"a binding", "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nroleRef: {kind: Role}\nsubjects: [{kind: Group}, {kind: ServiceAccount}]", "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nroleRef: {kind: Role, apiGroup: rbac.authorization.k8s.io}\nsubjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io}, {kind: ServiceAccount}]"},
		{"a definition", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {names: {kind: Foo}}", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {conversion: {strategy: None}, names: {kind: Foo, listKind: FooList, singular: foo}}"},
		{"odd shapes", "apiVersion: apps/v1\nkind: Deployment\nspec: {strategy: x, template: [1]}", "apiVersion: apps/v1\nkind: Deployment\nspec: {strategy: x, template: [1], replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			fields := readFields(t, test.fields)
			got := WithDefaults(fields)
			if want := readFields(t, test.want); !reflect.DeepEqual(got, want) {
				t.Errorf("WithDefaults:\n%s\nwant:\n%s", YAML(got), YAML(want))
			}
			if !reflect.DeepEqual(fields, readFields(t, test.fields)) {
				t.Error("its argument was changed")
			}
			if again := WithDefaults(got); !reflect.DeepEqual(again, got) {
				t.Errorf("once more:\n%s", YAML(again))
			}
		})
	}
}

var escaped = regexp.MustCompile(`\\u[0-9a-f]{4}`)

// survivors gives the forms of a text that are in what a change shows.
func survivors(c Change, text string) (found []string) {
	var shown []string
	for _, l := range c.Diff(-1) {
		// How YAML writes a control character is no secret: \u0000 has not 0000.
		shown = append(shown, escaped.ReplaceAllString(l.Text, "\x00"))
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, item := range v {
				shown = append(shown, k)
				walk(item)
			}
		case []any:
			for _, item := range v {
				walk(item)
			}
		default:
			shown = append(shown, plainText(v))
		}
	}
	walk(c.Before)
	walk(c.After)
	for _, f := range c.Fields {
		shown = append(shown, f.Path)
		walk(f.Before)
		walk(f.After)
	}
	quoted, _ := json.Marshal(text)
	for _, form := range []string{
		text, inJSON(text, false), string(quoted[1 : len(quoted)-1]), url.QueryEscape(text), url.PathEscape(text),
		base64.StdEncoding.EncodeToString([]byte(text)), base64.RawStdEncoding.EncodeToString([]byte(text)),
		base64.URLEncoding.EncodeToString([]byte(text)), base64.RawURLEncoding.EncodeToString([]byte(text)),
	} {
		for _, s := range shown {
			if strings.Contains(s, form) {
				found = append(found, fmt.Sprintf("%q in %q", form, s))
			}
		}
	}
	return found
}

// resembles says whether a text is white space, or shares so much with a mark
// that finding it tells nothing.
func resembles(text string) bool {
	mark := MaskedChanged + " (2)"
	for i := range mark {
		if strings.HasPrefix(text, mark[i:]) || strings.HasPrefix(mark[i:], text) {
			return true
		}
	}
	for _, mark := range []string{Masked, MaskedChanged, mark} {
		for i := 1; i <= len(mark); i++ {
			if strings.HasPrefix(text, mark[len(mark)-i:]) || strings.HasSuffix(text, mark[:i]) {
				return true
			}
		}
	}
	return strings.TrimSpace(text) == ""
}

func FuzzMask(f *testing.F) {
	f.Add("canary-1", "a: 1", "a: x", uint8(3))
	f.Add(canary, "a: {b: [1, x]}", "a: {b: [x, 1], c: 2}", uint8(0))
	f.Add("3133", "n: 3133", "n: 31337", uint8(1))
	f.Add("a\nb: c", "a: SECRET", "SECRET: {SECRET: [SECRET]}", uint8(5))
	f.Add("a: x", "a: x", "{}", uint8(4))
	f.Add("name=x", "env: [{name: x}]", "env: []", uint8(4))
	f.Add("abcd", "env: [{name: x, value: y}]", "env: [{name: x}, {name: abcd}]", uint8(2))
	f.Fuzz(func(t *testing.T, secret, b, a string, form uint8) {
		m := NewMask([]string{secret})
		before, after := embed(b, secret, form), embed(a, secret, form>>4)
		m.Taint(secretRef, before, after)
		for _, ref := range []Ref{deployment, secretRef} {
			for _, c := range []Change{Compare(ref, before, after, m), Compare(ref, nil, after, m), Compare(ref, before, nil, m)} {
				_ = c.Diff(3)
				if len(secret) < shortest || resembles(secret) {
					continue
				}
				if found := survivors(c, secret); found != nil {
					t.Errorf("%s %s: %q: %s", c.Action, ref, secret, strings.Join(found, "\n"))
				}
			}
		}
	})
}

// embed gives an object with a secret in one of its forms in several places.
func embed(text, secret string, form uint8) map[string]any {
	forms := []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)), inJSON(secret, true), url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte("u:" + secret + ":v"))}
	s := forms[int(form)%len(forms)]
	fields := map[string]any{"text": text}
	if values, err := decode(strings.ReplaceAll(text, "SECRET", s), 0); err == nil {
		if read, ok := values[0].(map[string]any); ok {
			fields = read
		} else {
			fields["v"] = values[0]
		}
	}
	fields["secret"] = "x" + s + "\ny"
	fields["data"] = map[string]any{s: []any{s + s, map[string]any{"name": s}}}
	fields["containers"] = []any{map[string]any{"name": s, "command": []any{"a", s}}}
	return fields
}

// FuzzCompare: the sides of a diff are the objects, and a change of nothing else
// than order in lists is the only one that has no fields.
func FuzzCompare(f *testing.F) {
	f.Add("a: {b: [1, x]}", "a: {b: [x, 1], c: 2}")
	f.Add("env: [{name: a}, {name: b}]\nports: [{port: 1}, {port: 1, protocol: UDP}]", "env: [{name: b}]\nports: [{port: 2}]")
	f.Add("initContainers: [{name: a}, {name: b}]", "initContainers: [{name: b}, {name: c}, {name: a}]")
	f.Add("tolerations: [a, b, a]", "tolerations: [b, a, {}]")
	f.Fuzz(func(t *testing.T, b, a string) {
		before, after := embed(b, "shown", 0), embed(a, "shown", 0)
		c := Compare(deployment, before, after, Unmasked())
		if c.Action == Unchanged {
			return
		}
		if !sameValue(any(c.After), any(without(after))) {
			t.Errorf("after: %v\nwant: %v", c.After, after)
		}
		if again := Compare(deployment, before, c.Before, Unmasked()); again.Action != Unchanged && !strings.Contains(b, lastApplied) {
			t.Errorf("before: %v\nwant: %v\n%s", c.Before, before, fieldsText(again))
		}
		for _, changes := range [][]Change{Suppress([]Change{c}, nil, regexp.MustCompile("[ac]")), Renames([]Change{Compare(deployment, before, nil, nil), Compare(deployment, nil, after, nil)}, 0)} {
			for _, c := range changes {
				_ = c.Diff(1)
			}
		}
	})
}

// without leaves out what Compare never shows.
func without(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = without(item)
			if annotations, ok := out[k].(map[string]any); ok && k == "annotations" {
				delete(annotations, lastApplied)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = without(v[i])
		}
		return out
	}
	return v
}
