package manifest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// recorded is an object as it was sent to an API server, and as that stored it.
type recorded struct {
	Wanted, Live map[string]any
}

// recordings reads testdata/merge: objects that were created with kubectl and
// read back, without their status. The zoo has the spellings, empty fields and
// server defaults that are most likely to be taken for changes.
func recordings(t testing.TB) []recorded {
	files, err := filepath.Glob("testdata/merge/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	var out []recorded
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var line map[string]any
			if err := utiljson.Unmarshal(lines.Bytes(), &line); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			out = append(out, recorded{line["wanted"].(map[string]any), line["live"].(map[string]any)})
		}
	}
	return out
}

// namedRecording finds a recording.
func namedRecording(t testing.TB, kind, name string) recorded {
	for _, r := range recordings(t) {
		if r.Live["kind"] == kind && at(r.Live, "metadata", "name") == name {
			return r
		}
	}
	t.Fatalf("there is no recording of %s/%s", kind, name)
	return recorded{}
}

func object(t testing.TB, text string) map[string]any {
	var out map[string]any
	if err := utiljson.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

// What was created is settled: by the quick look, and by the full computation.
func TestMergeOfWhatIsThere(t *testing.T) {
	t.Parallel()
	for _, r := range recordings(t) {
		name := text(r.Wanted["kind"]) + "/" + text(at(r.Wanted, "metadata", "name"))
		p, err := Merge(r.Wanted, r.Wanted, r.Live)
		if err != nil || p.Data != nil {
			t.Errorf("%s: error %v, patch %s", name, err, p.Data)
		}
		full, err := merge(known.of(r.Wanted), decided(r.Wanted), decided(r.Wanted), decided(r.Live), r.Live)
		if err != nil || full.Data != nil {
			t.Errorf("%s, in full: error %v, patch %s", name, err, full.Data)
		}
		// What is taken over and is as wanted already needs no patch either, but for
		// kinds whose defaults are not known.
		over, err := Merge(nil, r.Wanted, r.Live)
		if err != nil {
			t.Errorf("%s, taken over: %v", name, err)
		}
		if over.Data != nil && !slices.Contains(unknownDefaults, text(r.Wanted["kind"])) {
			t.Errorf("%s, taken over: patch %s", name, over.Data)
		}
	}
}

var unknownDefaults = []string{"Widget", "HTTPRoute", "IngressClass", "PriorityClass", "HorizontalPodAutoscaler"}

func TestMerge(t *testing.T) {
	t.Parallel()
	deployment := func(template string) string {
		return `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":` + template + `}`
	}
	tests := []struct {
		name                   string
		original, wanted, live string
		patch                  string // "" for none
		kind                   types.PatchType
	}{
		{
			name:     "replicas that nobody wants stay",
			original: deployment(`{"paused":true}`), wanted: deployment(`{}`), live: deployment(`{"replicas":5,"paused":true}`),
			patch: `{"spec":{"paused":null}}`,
		}, {
			name:     "drift is undone",
			original: deployment(`{"replicas":2}`), wanted: deployment(`{"replicas":2}`), live: deployment(`{"replicas":5}`),
			patch: `{"spec":{"replicas":2}}`,
		}, {
			name:     "a variable that is gone is deleted, one that somebody added stays",
			original: deployment(`{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"1"},{"name":"B","value":"2"}]}]}}}`),
			wanted:   deployment(`{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"1"}]}]}}}`),
			live:     deployment(`{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"1"},{"name":"B","value":"2"},{"name":"C","value":"3"}]}]}}}`),
			patch:    `{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"web"}],"containers":[{"$setElementOrder/env":[{"name":"A"}],"env":[{"$patch":"delete","name":"B"}],"name":"web"}]}}}}`,
		}, {
			name:     "a sidecar that was injected stays",
			original: deployment(`{"template":{"spec":{"containers":[{"name":"web","image":"a:1"}]}}}`),
			wanted:   deployment(`{"template":{"spec":{"containers":[{"name":"web","image":"a:1"}]}}}`),
			live:     deployment(`{"template":{"spec":{"containers":[{"name":"web","image":"a:1"},{"name":"proxy","image":"p:1"}]}}}`),
		}, {
			name:     "quantities",
			original: deployment(`{"template":{"spec":{"containers":[{"name":"web","resources":{"limits":{"cpu":"1000m","memory":"1024Mi"}}}]}}}`),
			wanted:   deployment(`{"template":{"spec":{"containers":[{"name":"web","resources":{"limits":{"cpu":1,"memory":1073741824}}}]}}}`),
			live:     deployment(`{"template":{"spec":{"containers":[{"name":"web","resources":{"limits":{"cpu":"1","memory":"1Gi"}}}]}}}`),
		}, {
			name:     "a number that is written as a text",
			original: deployment(`{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":"1"}}}`),
			wanted:   deployment(`{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":"1"}}}`),
			live:     deployment(`{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1,"maxUnavailable":"25%"}}}`),
		}, {
			name:     "nulls and what is empty",
			original: deployment(`{}`),
			wanted:   deployment(`{"replicas":null,"paused":false,"template":{"metadata":{"annotations":{},"creationTimestamp":null},"spec":{"nodeSelector":{},"tolerations":[],"hostNetwork":false,"containers":null}}}`),
			live:     deployment(`{"replicas":3,"template":{"metadata":{},"spec":{}}}`),
		}, {
			name:     "empty is a value where something else is live",
			original: deployment(`{"template":{"spec":{"tolerations":[]}}}`),
			wanted:   deployment(`{"template":{"spec":{"tolerations":[]}}}`),
			live:     deployment(`{"template":{"spec":{"tolerations":[{"operator":"Exists"}]}}}`),
			patch:    `{"spec":{"template":{"spec":{"tolerations":[]}}}}`,
		}, {
			name:     "the strategy's defaults",
			original: deployment(`{"strategy":{"type":"RollingUpdate"}}`), wanted: deployment(`{"strategy":{"type":"RollingUpdate"}}`),
			live: deployment(`{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":"25%","maxUnavailable":"25%"}}}`),
		}, {
			name:     "another strategy clears the first one's settings",
			original: deployment(`{"strategy":{"type":"RollingUpdate"}}`), wanted: deployment(`{"strategy":{"type":"Recreate"}}`),
			live:  deployment(`{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":"25%","maxUnavailable":"25%"}}}`),
			patch: `{"spec":{"strategy":{"$retainKeys":["type"],"rollingUpdate":null,"type":"Recreate"}}}`,
		}, {
			name:     "a service account's old name follows",
			original: deployment(`{"template":{"spec":{"serviceAccountName":"a"}}}`), wanted: deployment(`{"template":{"spec":{}}}`),
			live:  deployment(`{"template":{"spec":{"serviceAccountName":"a","serviceAccount":"a"}}}`),
			patch: `{"spec":{"template":{"spec":{"serviceAccount":null,"serviceAccountName":null}}}}`,
		}, {
			name:     "one port over two protocols, of which one goes: merging by port would keep or lose both",
			original: `{"apiVersion":"v1","kind":"Service","spec":{"ports":[{"port":53,"protocol":"TCP","name":"t"},{"port":53,"protocol":"UDP","name":"u"}]}}`,
			wanted:   `{"apiVersion":"v1","kind":"Service","spec":{"ports":[{"port":53,"protocol":"UDP","name":"u"}]}}`,
			live:     `{"apiVersion":"v1","kind":"Service","spec":{"clusterIP":"10.96.0.9","ports":[{"port":53,"protocol":"TCP","name":"t","targetPort":53},{"port":53,"protocol":"UDP","name":"u","targetPort":53}]}}`,
			patch:    `{"spec":{"ports":[{"name":"u","port":53,"protocol":"UDP"}]}}`, kind: types.MergePatchType,
		}, {
			name:     "defaults in a list that is replaced",
			original: `{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","spec":{"ingress":[{"ports":[{"port":80}]}]}}`,
			wanted:   `{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","spec":{"ingress":[{"ports":[{"port":80}]}]}}`,
			live:     `{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","spec":{"ingress":[{"ports":[{"port":80,"protocol":"TCP"}]}]}}`,
		}, {
			name:     "a rule that somebody widened is undone",
			original: `{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","spec":{"ingress":[{"ports":[{"port":80}]}]}}`,
			wanted:   `{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","spec":{"ingress":[{"ports":[{"port":80}]}]}}`,
			live:     `{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","spec":{"ingress":[{"ports":[{"port":80,"protocol":"TCP","endPort":90}]}]}}`,
			patch:    `{"spec":{"ingress":[{"ports":[{"port":80,"protocol":"TCP"}]}]}}`,
		}, {
			name:     "stringData is data, and wins",
			original: `{"apiVersion":"v1","kind":"Secret","stringData":{"a":"1","b":"2"}}`,
			wanted:   `{"apiVersion":"v1","kind":"Secret","data":{"a":"eA=="},"stringData":{"a":"1"}}`,
			live:     `{"apiVersion":"v1","kind":"Secret","type":"Opaque","data":{"a":"MQ==","b":"Mg=="}}`,
			patch:    `{"data":{"b":null}}`,
		}, {
			name:     "base64 with line breaks",
			original: `{"apiVersion":"v1","kind":"Secret"}`,
			wanted:   `{"apiVersion":"v1","kind":"Secret","data":{"a":"MQ=\n=\n"}}`,
			live:     `{"apiVersion":"v1","kind":"Secret","data":{"a":"MQ=="}}`,
		}, {
			name:     "what the server keeps is not sent",
			original: `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`,
			wanted:   `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","uid":"1","resourceVersion":"2","creationTimestamp":null},"status":{"a":"b"}}`,
			live:     `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","uid":"3","resourceVersion":"4"}}`,
		}, {
			name:     "a custom resource: three ways",
			original: `{"apiVersion":"example.com/v1","kind":"Widget","spec":{"a":1,"gone":{"b":1}}}`,
			wanted:   `{"apiVersion":"example.com/v1","kind":"Widget","spec":{"a":2,"none":null}}`,
			live:     `{"apiVersion":"example.com/v1","kind":"Widget","spec":{"a":1,"gone":{"b":1,"c":2},"set":true},"status":{"x":1}}`,
			patch:    `{"spec":{"a":2,"gone":null}}`, kind: types.MergePatchType,
		}, {
			name:     "a custom resource: what was added to the items of a list stays",
			original: `{"apiVersion":"example.com/v1","kind":"Widget","spec":{"parts":[{"name":"a"},{"name":"b","weight":1}]}}`,
			wanted:   `{"apiVersion":"example.com/v1","kind":"Widget","spec":{"parts":[{"name":"a"},{"name":"b","weight":2}]}}`,
			live:     `{"apiVersion":"example.com/v1","kind":"Widget","spec":{"parts":[{"name":"a","kind":"Part","weight":1},{"name":"b","kind":"Part","weight":1}]}}`,
			patch:    `{"spec":{"parts":[{"kind":"Part","name":"a","weight":1},{"kind":"Part","name":"b","weight":2}]}}`, kind: types.MergePatchType,
		}, {
			name:     "a custom resource: an item that is another one does not get what stood in its place",
			original: `{"apiVersion":"example.com/v1","kind":"Widget","spec":{"parts":[{"name":"b"}]}}`,
			wanted:   `{"apiVersion":"example.com/v1","kind":"Widget","spec":{"parts":[{"name":"a"},{"name":"b"}]}}`,
			live:     `{"apiVersion":"example.com/v1","kind":"Widget","spec":{"parts":[{"name":"b","size":7}]}}`,
			patch:    `{"spec":{"parts":[{"name":"a"},{"name":"b"}]}}`, kind: types.MergePatchType,
		}, {
			name:     "a definition is patched by JSON, as by Helm",
			original: `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","spec":{"versions":[{"name":"v1"}]}}`,
			wanted:   `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","spec":{"preserveUnknownFields":false,"versions":[{"name":"v1","served":true}]},"status":{"conditions":[]}}`,
			live:     `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","spec":{"conversion":{"strategy":"None"},"versions":[{"name":"v1","served":false,"storage":true}]}}`,
			patch:    `{"spec":{"preserveUnknownFields":false,"versions":[{"name":"v1","served":true}]}}`, kind: types.MergePatchType,
		}, {
			name:     "a field that the types here do not know",
			original: deployment(`{"newer":{"a":1,"b":2}}`), wanted: deployment(`{"newer":{"a":2}}`), live: deployment(`{"replicas":1,"newer":{"a":1,"b":2}}`),
			patch: `{"spec":{"newer":{"a":2,"b":null}}}`, kind: types.MergePatchType,
		}, {
			name:   "taken over: what is not wanted goes, what is default or the cluster's stays",
			wanted: `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":80}]}}`,
			live:   `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","uid":"1","finalizers":["example.com/f"],"labels":{"old":"1"},"annotations":{"x.kubernetes.io/y":"1"}},"spec":{"type":"ClusterIP","clusterIP":"10.96.0.9","selector":{"a":"b"},"ports":[{"port":80,"protocol":"TCP","targetPort":80}]}}`,
			patch:  `{"metadata":{"labels":null},"spec":{"selector":null}}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var o map[string]any
			if test.original != "" {
				o = object(t, test.original)
			}
			w, l := object(t, test.wanted), object(t, test.live)
			p, err := Merge(o, w, l)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(p.Data); got != test.patch {
				t.Fatalf("patch\n%s, want\n%s", got, test.patch)
			}
			if test.patch == "" {
				return
			}
			kind := test.kind
			if kind == "" {
				kind = types.StrategicMergePatchType
			}
			if p.Type != kind {
				t.Errorf("type %s, want %s", p.Type, kind)
			}
			again, err := Merge(w, w, p.After)
			if err != nil || again.Data != nil {
				t.Errorf("once more: error %v, patch %s, of %v", err, again.Data, p.After)
			}
		})
	}
}

func TestMergeAfter(t *testing.T) {
	t.Parallel()
	r := namedRecording(t, "Deployment", "web")
	w := clone(r.Wanted).(map[string]any)
	spec := w["spec"].(map[string]any)
	spec["replicas"] = int64(4)
	pod := at(w, "spec", "template", "spec").(map[string]any)
	pod["containers"] = pod["containers"].([]any)[:1]
	live := maps.Clone(r.Live)
	live["status"] = map[string]any{"replicas": int64(2)}
	p, err := Merge(r.Wanted, w, live)
	if err != nil {
		t.Fatal(err)
	}
	want := clone(live).(map[string]any)
	want["spec"].(map[string]any)["replicas"] = int64(4)
	pod = at(want, "spec", "template", "spec").(map[string]any)
	pod["containers"] = pod["containers"].([]any)[:1]
	if got, want := asJSON(t, p.After), asJSON(t, want); got != want {
		t.Errorf("after\n%s, want\n%s", got, want)
	}
}

func TestMergeOfAnotherObject(t *testing.T) {
	t.Parallel()
	w := object(t, `{"apiVersion":"policy/v1","kind":"PodDisruptionBudget"}`)
	l := object(t, `{"apiVersion":"policy/v1beta1","kind":"PodDisruptionBudget"}`)
	if _, err := Merge(w, w, l); err == nil || !strings.Contains(err.Error(), "policy/v1beta1") {
		t.Errorf("error %v", err)
	}
}

func asJSON(t testing.TB, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// FuzzMerge changes what was sent, what is wanted and what is live at random.
func FuzzMerge(f *testing.F) {
	pairs := recordings(f)
	for i := range pairs {
		f.Add(int64(i), uint8(i), uint8(0b111))
	}
	f.Fuzz(func(t *testing.T, seed int64, which, what uint8) {
		r := rand.New(rand.NewSource(seed))
		pair := pairs[int(which)%len(pairs)]
		o, w, l := clone(pair.Wanted).(map[string]any), clone(pair.Wanted).(map[string]any), clone(pair.Live).(map[string]any)
		for i, m := range []map[string]any{o, w, l} {
			if what&(1<<i) != 0 {
				for range 1 + r.Intn(3) {
					shake(r, m, true)
				}
			}
		}
		mergeHolds(t, o, w, l)
	})
}

// mergeHolds checks what is always so.
func mergeHolds(t *testing.T, o, w, l map[string]any) {
	before := asJSON(t, []any{o, w, l})
	p, err := Merge(o, w, l)
	if err != nil {
		t.Fatalf("%v of %s", err, before)
	}
	if after := asJSON(t, []any{o, w, l}); after != before {
		t.Fatalf("the objects were changed: %s, before %s", after, before)
	}
	s := known.of(w)
	full, err := merge(s, decided(o), decided(w), decided(l), l)
	if err != nil || string(full.Data) != string(p.Data) {
		t.Fatalf("in full: error %v, patch %s; else %s; of %s", err, full.Data, p.Data, before)
	}
	if p.Data == nil {
		return
	}
	again, err := Merge(w, w, p.After)
	if err != nil || again.Data != nil {
		t.Fatalf("once more: error %v, patch %s, after %s, of %s", err, again.Data, p.Data, before)
	}
}

// shake changes one place of a value at random and gives the value.
func shake(r *rand.Rand, v any, root bool) any {
	switch v := v.(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		keys = slices.DeleteFunc(keys, func(k string) bool { return root && (k == "apiVersion" || k == "kind") })
		if len(keys) == 0 {
			return v
		}
		k := keys[r.Intn(len(keys))]
		switch r.Intn(16) {
		case 0:
			delete(v, k)
		case 1:
			v[k] = nil
		case 2:
			v[k] = empty(v[k])
		case 3:
			v["another"] = clone(v[k])
		default:
			v[k] = shake(r, v[k], false)
		}
		return v
	case []any:
		if len(v) == 0 {
			return v
		}
		i := r.Intn(len(v))
		switch r.Intn(8) {
		case 0:
			return slices.Delete(v, i, i+1)
		case 1:
			return append([]any{shake(r, clone(v[i]), false)}, v...)
		case 2:
			return append(v, shake(r, clone(v[i]), false))
		case 3:
			r.Shuffle(len(v), func(a, b int) { v[a], v[b] = v[b], v[a] })
			return v
		}
		v[i] = shake(r, v[i], false)
		return v
	case string:
		return [...]any{v + "x", "", v, "x", "1", int64(1)}[r.Intn(6)]
	case bool:
		return !v
	case int64:
		return [...]any{v + 1, int64(0), float64(v), "1"}[r.Intn(4)]
	}
	return v
}

func empty(v any) any {
	switch v.(type) {
	case map[string]any:
		return map[string]any{}
	case []any:
		return []any{}
	case string:
		return ""
	case bool:
		return false
	}
	return int64(0)
}

// The same without the fuzzing engine, so that every run of the tests does it.
func TestMergeHolds(t *testing.T) {
	t.Parallel()
	pairs := recordings(t)
	r := rand.New(rand.NewSource(1))
	for range 2000 {
		pair := pairs[r.Intn(len(pairs))]
		o, w, l := clone(pair.Wanted).(map[string]any), clone(pair.Wanted).(map[string]any), clone(pair.Live).(map[string]any)
		for _, m := range []map[string]any{o, w, l} {
			for range r.Intn(3) {
				shake(r, m, true)
			}
		}
		mergeHolds(t, o, w, l)
		if t.Failed() {
			return
		}
	}
}

func BenchmarkMerge(b *testing.B) {
	all := recordings(b)
	for len(all) < 300 {
		all = append(all, all...)
	}
	all = all[:300]
	b.Run("300 objects, nothing changed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, r := range all {
				if p, err := Merge(r.Wanted, r.Wanted, r.Live); err != nil || p.Data != nil {
					b.Fatal(err, p.Data)
				}
			}
		}
	})
	changed := make([]map[string]any, len(all))
	for i, r := range all {
		changed[i] = clone(r.Wanted).(map[string]any)
		metadata := changed[i]["metadata"].(map[string]any)
		labels, _ := metadata["labels"].(map[string]any)
		labels = maps.Clone(labels)
		if labels == nil {
			labels = map[string]any{}
		}
		labels["changed"] = "yes"
		metadata["labels"] = labels
	}
	b.Run("300 objects, all changed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for i, r := range all {
				if p, err := Merge(r.Wanted, changed[i], r.Live); err != nil || p.Data == nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// TestRenumberedPort undoes that somebody has given a Service's port another
// number under its own name.
func TestRenumberedPort(t *testing.T) {
	t.Parallel()
	service := func(port int64) map[string]any {
		return map[string]any{
			"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "web"},
			"spec": map[string]any{"ports": []any{map[string]any{"name": "http", "port": port, "targetPort": "http", "protocol": "TCP"}}},
		}
	}
	for name, original := range map[string]map[string]any{"applied before": service(80), "taken over": nil} {
		patch, err := Merge(original, service(80), service(8081))
		if err != nil {
			t.Fatal(err)
		}
		ports := portsOf(patch.After)
		if patch.Data == nil || len(ports) != 1 || ports[0]["port"] != int64(80) {
			t.Errorf("%s: %s gives %v", name, patch.Data, ports)
		}
	}
}
