package descriptor

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/schemas"
)

// read parses YAML that a test states.
func read(t *testing.T, file, text string) *source.Value {
	t.Helper()
	v, findings := source.ParseYAML(file, []byte(text))
	if findings != nil {
		t.Fatal(findings)
	}
	return v
}

// write gives a value as YAML, to compare and to print.
func write(v *source.Value) string { return string(source.AppendYAML(nil, v, nil)) }

func readTypes(t *testing.T, text string) *Types {
	t.Helper()
	types, findings := ParseTypes(nil, read(t, "types.yaml", text), false)
	if findings != nil {
		t.Fatal(findings)
	}
	return types
}

// listedInstances reads instances as a descriptor lists them.
func listedInstances(t *testing.T, types *Types, v *source.Value) map[string]map[string]*source.Value {
	t.Helper()
	var findings source.Findings
	out := map[string]map[string]*source.Value{}
	for _, typ := range types.Names() {
		if list := v.Get(Plural(typ)); list != nil {
			out[typ] = readInstances(list, typ, &findings)
		}
	}
	if findings != nil {
		t.Fatal(findings)
	}
	return out
}

// TestPligosCompilerCase: the case by which Pligos' compiler is tested, in kai's
// words, gives Pligos' result.
func TestPligosCompilerCase(t *testing.T) {
	t.Parallel()
	file := func(name string) string {
		data, err := fs.ReadFile(os.DirFS("testdata/compiler"), name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	types := readTypes(t, file("types.yaml"))
	instances := listedInstances(t, types, read(t, "instances.yaml", file("instances.yaml")))
	got, findings := Compile(types, "context", instances, read(t, "context.yaml", file("context.yaml")))
	if findings != nil {
		t.Fatal(findings)
	}
	want := read(t, "result.yaml", file("result.yaml"))
	if !source.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", write(got), write(want))
	}
}

func TestCompile(t *testing.T) {
	t.Parallel()
	const instances = "things:\n- {name: a, size: 1, more: {x: 1}}\n- {name: b, size: 2, more: {y: 2}}\n- {name: c, from: a, size: 3}\n"
	const thing = "thing: {size: numeric, more: object}\nbox: {values: embedded object}\n"
	for name, test := range map[string]struct {
		types, context, want string
		findings             []string
	}{
		"one by name":            {"c: {t: thing}", "t: a", "t: {size: 1, more: {x: 1}}", nil},
		"one inline":             {"c: {t: thing}", "t: {size: 5}", "t: {size: 5}", nil},
		"one changed":            {"c: {t: thing}", "t: {from: a, size: 5, more: {z: 3}}", "t: {size: 5, more: {x: 1, z: 3}}", nil},
		"one made from another":  {"c: {t: thing}", "t: c", "t: {size: 3, more: {x: 1}}", nil},
		"repeated":               {"c: {t: repeated thing}", "t: [b, {size: 7}, {from: a, more: null}]", "t: [{size: 2, more: {y: 2}}, {size: 7}, {size: 1}]", nil},
		"mapped":                 {"c: {t: mapped thing}", "t: [b, {name: own, size: 7}, {from: a, name: other}]", "t: {b: {size: 2, more: {y: 2}}, own: {size: 7}, other: {size: 1, more: {x: 1}}}", nil},
		"embedded":               {"c: {t: embedded thing, u: string}", "t: a\nu: v", "size: 1\nmore: {x: 1}\nu: v", nil},
		"embedded mapped":        {"c: {t: embedded mapped thing}", "t: [a, b]", "a: {size: 1, more: {x: 1}}\nb: {size: 2, more: {y: 2}}", nil},
		"embedded repeated":      {"c: {t: embedded repeated box}", "t: [{values: {x: 1}}, {values: {y: 2}}]", "x: 1\ny: 2", nil},
		"embedded map of fields": {"c: {t: {type: {a: string, b: string}}}", "t: {a: x}", "t: {a: x}", nil},
		"default":                {"c: {t: {type: string, default: x}, u: {type: numeric, default: 1}}", "u: 2", "t: x\nu: 2", nil},
		"number as text":         {"c: {t: string}", "t: 1.10", `t: "1.10"`, nil},

		"embedded collision": {"c: {t: embedded thing, size: string}", "t: a\nsize: big", "size: 1\nmore: {x: 1}",
			[]string{`context.yaml:2:7: c.size: the embedded key "size" stands here already, from instances.yaml:2:19`}},
		"embedded mapped collision": {"c: {t: embedded mapped thing, a: string}", "t: [a]\na: b", "a: {size: 1, more: {x: 1}}",
			[]string{`context.yaml:2:4: c.a: the embedded key "a" stands here already, from context.yaml:1:5`}},
		"embedded repeated collision": {"c: {t: embedded repeated thing}", "t: [{size: 1}, {size: 2}]", "size: 1",
			[]string{`context.yaml:1:23: c.t: the embedded key "size" stands here already, from context.yaml:1:12`}},
		"unknown key":      {"c: {t: thing}", "t: {sise: 1}", "t: {}", []string{`context.yaml:1:5: c.t.sise: the key "sise" is not known here`}},
		"unknown instance": {"c: {t: thing}", "t: d", "{}", []string{`context.yaml:1:4: c.t: there is no thing "d"`}},
		"wrong type": {"c: {t: thing, u: bool, v: repeated string}", "t: {size: big}\nu: yes\nv: w", "t: {}", []string{
			`context.yaml:1:11: c.t.size: expected a number, got text "big"`, `context.yaml:2:4: c.u: expected true or false, got text "yes"`,
			`context.yaml:3:4: c.v: expected a list, got text "w"`}},
		"required": {"c: {t: {type: string, required: true}}", "{}", "{}", []string{`context.yaml:1:1: c.t: t is missing`}},
		"constraints": {"c: {t: {type: string, enum: [a, b]}, u: {type: numeric, maximum: 3}}", "t: c\nu: 4", "t: c\nu: 4", []string{
			`context.yaml:1:4: c.t: expected a or b, got text "c"`, `context.yaml:2:4: c.u: expected at most 3, got 4`}},
		"alternatives": {"c: {t: {type: string, choice: kind}, u: {type: string, choice: kind}}", "t: a\nu: b", "t: a\nu: b",
			[]string{"context.yaml:2:1: c.u: t and u exclude one another"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			types := readTypes(t, thing+test.types)
			in := listedInstances(t, types, read(t, "instances.yaml", instances))
			got, findings := Compile(types, "c", in, read(t, "context.yaml", test.context))
			same(t, findings, test.findings)
			if want := read(t, "want.yaml", test.want); !source.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", write(got), write(want))
			}
		})
	}
}

// same holds findings, without their hints, to what a test wants.
func same(t *testing.T, findings source.Findings, want []string) {
	t.Helper()
	var got []string
	for _, f := range findings.Sorted() {
		first, _, _ := strings.Cut(f.String(), "\n")
		got = append(got, first)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("findings\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPlural(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"image": "images", "probe": "probes", "class": "classes", "box": "boxes", "buzz": "buzzes", "branch": "branches", "wish": "wishes",
		"policy": "policies", "key": "keys", "y": "ys", "values": "values", "rawValues": "rawValues", "address": "addresses", "": "s",
	} {
		if got := Plural(name); got != want {
			t.Errorf("the plural of %q is %q, want %q", name, got, want)
		}
	}
}

// builtInTypes gives the types that every descriptor has.
func builtInTypes(t *testing.T) *Types {
	t.Helper()
	v, findings := source.ReadYAML(schemas.FS, "types.yaml")
	if findings != nil {
		t.Fatal(findings)
	}
	types, findings := ParseTypes(nil, v, true)
	if findings != nil {
		t.Fatal(findings)
	}
	return types
}
