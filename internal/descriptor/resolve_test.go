package descriptor

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/helm-kai/helm-kai/internal/source"
)

// resolve folds and resolves contexts of a descriptor with a flavor that takes
// every built-in field, and gives one of the fields.
func resolve(t *testing.T, file, defaults string, variables *source.Value, contexts ...string) (*source.Value, source.Findings) {
	t.Helper()
	types := builtInTypes(t)
	fsys := fstest.MapFS{FileName: {Data: []byte("apiVersion: kai/v1\nname: x\n" + file)}}
	s, findings := ReadService(fsys, FileName, types)
	if findings.Err() != nil {
		return nil, findings
	}
	flavor := &Flavor{Name: "f", Types: types, Fields: types.Get("context").Fields}
	flavor.readDefaults(read(t, "flavor.yaml", "image: {repository: default, tag: \"1\"}\n"+defaults), &findings)
	vars, more := NewVariables(variables)
	findings = append(findings, more...)
	folded, more := s.Fold(Layers{Contexts: contexts, Vars: vars, Flavor: func(*source.Value) (*Flavor, source.Findings) { return flavor, nil }})
	if findings = append(findings, more...); folded == nil {
		return nil, findings
	}
	resolved, more := folded.Resolve(Names{"service": {Name: "x"}}, nil)
	return resolved.Fields, append(findings, more...)
}

func TestMerge(t *testing.T) {
	t.Parallel()
	const head = `
images:
- {name: one, registry: r, repository: one, tag: "1"}
- {name: two, repository: two, tag: "2"}
routes: [{name: http, port: 80, hostname: a.b}, {name: grpc, port: 90}]
probes: [{name: get, httpGet: {port: http}, periodSeconds: 5}]
`
	for name, test := range map[string]struct {
		defaults, base, top string
		field, want         string
		findings            []string
	}{
		"a name replaces":              {"", "image: one", "image: two", "image", "{repository: two, tag: '2'}", nil},
		"from merges":                  {"", "image: one", "image: {from: two, registry: s}", "image", "{registry: s, repository: two, tag: '2'}", nil},
		"a plain map merges":           {"", "image: one", "image: {tag: '3'}", "image", "{registry: r, repository: one, tag: '3'}", nil},
		"over a default":               {"", "image: {tag: '3'}", "{}", "image", "{repository: default, tag: '3'}", nil},
		"a map of nobody's merges":     {"labels: {a: 1, b: 1}", "labels: {b: 2, c: 2}", "labels: {c: 3}", "labels", "{a: 1, b: 2, c: 3}", nil},
		"deeply":                       {"resources: {limits: {cpu: 1, memory: 1}}", "resources: {limits: {cpu: 2}}", "resources: {requests: {cpu: 1}}", "resources", "{limits: {cpu: 2, memory: 1}, requests: {cpu: 1}}", nil},
		"a list replaces":              {"args: [a]", "args: [b, c]", "args: [d]", "args", "[d]", nil},
		"a list appends":               {"args: [a]", "args: [b]", "args+: [c, d]", "args", "[b, c, d]", nil},
		"appended to nothing":          {"", "{}", "args+: [c]", "args", "[c]", nil},
		"named things are replaced":    {"", "routes: [http]", "routes: [grpc]", "routes", "{grpc: {port: 90}}", nil},
		"named things are appended":    {"", "routes: [http]", "routes+: [grpc, {from: http, port: 81}]", "routes", "{http: {port: 81, hostname: a.b}, grpc: {port: 90}}", nil},
		"a list in a free map appends": {"security: {capabilities: {add: [a]}}", "security: {capabilities: {add+: [b]}}", "{}", "security", "{capabilities: {add: [a, b]}}", nil},
		"null removes":                 {"gracePeriod: 5", "gracePeriod: 6", "gracePeriod: null", "gracePeriod", "null", nil},
		"null removes a default":       {"gracePeriod: 5", "gracePeriod: null", "{}", "gracePeriod", "null", nil},
		"null removes inside":          {"labels: {a: 1, b: 2}", "labels: {a: null}", "{}", "labels", "{b: 2}", nil},
		"what null removed comes back": {"gracePeriod: 5", "gracePeriod: null", "gracePeriod: 7", "gracePeriod", "7", nil},
		"null and appended":            {"args: [a]", "args: null", "args+: [b]", "args", "[b]", nil},
		"null and a map":               {"labels: {a: 1}", "labels: null", "labels: {b: 2}", "labels", "{b: 2}", nil},
		"a form replaces a form":       {"", "env: {A: {secret: x, scope: y}}", "env: {A: {secret: z}}", "env", "{A: {secret: z}}", nil},
		"a form replaces text":         {"", "env: {A: b}", "env: {A: {valueFrom: {fieldRef: {fieldPath: x}}}}", "env", "{A: {valueFrom: {fieldRef: {fieldPath: x}}}}", nil},
		"text replaces a form":         {"", "env: {A: {secret: x}, B: c}", "env: {A: b}", "env", "{A: b, B: c}", nil},
		"one-of: the higher choice": {"", "probes: {liveness: get}", "probes: {liveness: {exec: {command: [x]}}}", "probes",
			"{liveness: {exec: {command: [x]}, periodSeconds: 5}}", nil},
		"one-of: a name": {"", "probes: {liveness: {exec: {command: [x]}, timeoutSeconds: 3}}", "probes: {liveness: get}", "probes",
			"{liveness: {httpGet: {port: http}, periodSeconds: 5}}", nil},
		"one-of: kind of command": {"", "command: {command: [a]}", "command: {interpreter: [sh], fileName: x}", "command", "{interpreter: [sh], fileName: x}", nil},
		"one-of: kind of volume": {"", "mounts: [{name: m, path: /m, volume: {emptyDir: {}}}]", "mounts+: [{name: m, path: /m, volume: {secret: {secretName: s}}}]", "mounts",
			"{m: {path: /m, volume: {secret: {secretName: s}}}}", nil},
		"one-of in one layer": {"", "probes: {liveness: {exec: {command: [x]}, tcpSocket: {port: 1}}}", "{}", "replicas", "null",
			[]string{"kai.yaml:12:45: contexts.base.probes.liveness.tcpSocket: exec and tcpSocket exclude one another"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := head + "contexts:\n- name: base\n  flavor: f\n" + indented(test.base) + "- name: top\n  extends: base\n" + indented(test.top)
			fields, findings := resolve(t, file, test.defaults, nil, "top")
			same(t, findings, test.findings)
			if got, want := fields.Get(test.field), read(t, "want.yaml", test.want); test.findings == nil && !source.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", write(got), write(want))
			}
		})
	}
}

// indented writes one field as a line of a context; {} is none.
func indented(line string) string {
	if line == "{}" {
		return ""
	}
	return "  " + line + "\n"
}

func TestChain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		contexts string
		of       []string
		want     string
		findings []string
	}{
		"alone":      {"[{name: a}]", []string{"a"}, "a", nil},
		"line":       {"[{name: c, extends: b}, {name: b, extends: a}, {name: a}]", []string{"c"}, "a b c", nil},
		"diamond":    {"[{name: a}, {name: b, extends: a}, {name: c, extends: a}, {name: d, extends: [b, c]}]", []string{"d"}, "a b c d", nil},
		"kept order": {"[{name: a}, {name: b}, {name: c, extends: [b, a]}]", []string{"c"}, "b a c", nil},
		"deep": {"[{name: o}, {name: a, extends: o}, {name: b, extends: o}, {name: c, extends: o}, {name: d, extends: [a, b]}, {name: e, extends: [b, c]}, {name: f, extends: [d, e]}]",
			[]string{"f"}, "o a b d c e f", nil},
		"several":      {"[{name: a}, {name: b, extends: a}, {name: c}]", []string{"c", "b"}, "c a b", nil},
		"what extends": {"[{name: a}, {name: b, extends: a}]", []string{"a", "b"}, "a b", nil},
		"against it":   {"[{name: a}, {name: b, extends: a}]", []string{"b", "a"}, "", []string{"contexts: no order of b, a keeps what each of them extends"}},
		"against one another": {"[{name: a}, {name: b}, {name: c, extends: [a, b]}, {name: d, extends: [b, a]}, {name: e, extends: [c, d]}]", []string{"e"}, "",
			[]string{"x:1:99: contexts.e.extends: no order of c, d keeps what each of them extends"}},
		"itself": {"[{name: a, extends: a}]", []string{"a"}, "", []string{"x:1:21: contexts.a.extends: the context a extends itself: a → a"}},
		"circle": {"[{name: a, extends: [b]}, {name: b, extends: [c]}, {name: c, extends: [a]}]", []string{"b"}, "",
			[]string{"x:1:72: contexts.c.extends: the context a extends itself: a → b → c → a"}},
		"unknown": {"[{name: a, extends: [b]}]", []string{"a"}, "", []string{`x:1:22: contexts.a.extends: there is no context "b"`}},
		"twice":   {"[{name: b}, {name: a, extends: [b, b]}]", []string{"a"}, "a", []string{`x:1:36: contexts.a.extends: the context "b" stands here twice`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var findings source.Findings
			cs := ReadContexts(read(t, "x", test.contexts), "contexts", &findings)
			chain, more := cs.Chain(test.of...)
			same(t, append(findings, more...), test.findings)
			var got []string
			for _, c := range chain {
				got = append(got, c.Name)
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("the order is %v, want %s", got, test.want)
			}
		})
	}
}

// TestChainGrowsSlowly: diamonds upon diamonds are not walked once for each way
// through them.
func TestChainGrowsSlowly(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("- {name: a0}\n")
	for i := 1; i < 33; i++ {
		n := strings.Repeat("x", i)
		b.WriteString("- {name: b" + n + ", extends: a" + n[1:] + last(i) + "}\n- {name: c" + n + ", extends: a" + n[1:] + last(i) + "}\n- {name: a" + n + ", extends: [b" + n + ", c" + n + "]}\n")
	}
	var findings source.Findings
	cs := ReadContexts(read(t, "x", b.String()), "contexts", &findings)
	chain, more := cs.Chain("a" + strings.Repeat("x", 32))
	if findings = append(findings, more...); findings != nil || len(chain) != 1+32*3 {
		t.Fatalf("%d contexts, %v", len(chain), findings)
	}
}

func last(i int) string {
	if i == 1 {
		return "0"
	}
	return ""
}

func TestChoose(t *testing.T) {
	t.Parallel()
	var findings source.Findings
	cs := ReadContexts(read(t, "x", "[{name: base}, {name: prod}, {name: memorystore}]"), "contexts", &findings)
	if findings != nil {
		t.Fatal(findings)
	}
	for _, test := range []struct{ uses, lineage, want []string }{
		{nil, []string{"prod"}, []string{"prod"}},
		{nil, []string{"prod-us", "prod"}, []string{"prod"}},
		{nil, []string{"dev"}, []string{"base"}},
		{[]string{"base", "none", "memorystore"}, []string{"prod"}, []string{"base", "memorystore"}},
		{[]string{"none"}, []string{"prod"}, nil},
	} {
		if got := cs.Choose(test.uses, test.lineage); !slices.Equal(got, test.want) {
			t.Errorf("uses %v, lineage %v: %v, want %v", test.uses, test.lineage, got, test.want)
		}
	}
	none := ReadContexts(nil, "contexts", &findings)
	if got := none.Choose(nil, []string{"a"}); got != nil {
		t.Errorf("of no contexts: %v", got)
	}
}

func TestSubstitution(t *testing.T) {
	t.Parallel()
	const variables = "{HOST: example.com, PORT: 8080, EMPTY: '', DOLLAR: '${x}', YES: true}"
	for name, test := range map[string]struct {
		text, want string
		findings   []string
	}{
		"variable":          {"${HOST}", "example.com", nil},
		"in text":           {"http://${HOST}:${PORT}/", "http://example.com:8080/", nil},
		"keeps its kind":    {"${PORT}", "8080", nil},
		"default":           {"${NONE:-x}", "x", nil},
		"default of a kind": {"${NONE:-12}", "12", nil},
		"empty default":     {"a${NONE:-}b", "ab", nil},
		"default not taken": {"${HOST:-x}", "example.com", nil},
		"empty":             {"a${EMPTY}b", "ab", nil},
		"literal":           {"$${HOST}", "'${HOST}'", nil},
		"literal in text":   {"a $${b} ${HOST}", "'a ${b} example.com'", nil},
		"not again":         {"${DOLLAR} ${DOLLAR}", "'${x} ${x}'", nil},
		"not again alone":   {"${DOLLAR}", "'${x}'", nil},
		"output":            {"${service.name}", "x", nil},
		"both":              {"${service.name}.${HOST}", "x.example.com", nil},
		"kubernetes":        {"$(HOST) $$(X) $X $$", "$(HOST) $$(X) $X $$", nil},
		"helm":              {"'{{ .Values.x }}'", "'{{ .Values.x }}'", nil},
		"unknown variable":  {"a ${HSOT} b", "null", []string{"kai.yaml:7:12: contexts.a.env.A: there is no variable HSOT"}},
		"unknown output":    {"${sevice.name}", "null", []string{"kai.yaml:7:12: env.A: ${sevice.name} is not defined"}},
		"unclosed":          {"a ${HOST", "null", []string{"kai.yaml:7:12: contexts.a.env.A: a ${ is not closed"}},
		"nothing":           {"${}", "null", []string{"kai.yaml:7:12: env.A: ${} is not defined"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := "contexts:\n- name: a\n  flavor: f\n  env:\n      A:   " + test.text + "\n"
			fields, findings := resolve(t, file, "", read(t, "vars.yaml", variables), "a")
			same(t, findings, test.findings)
			got, want := fields.At("env", "A"), read(t, "want.yaml", test.want)
			if test.findings == nil && !source.Equal(got, want) {
				t.Errorf("got %s, want %s", write(got), write(want))
			}
		})
	}
}
