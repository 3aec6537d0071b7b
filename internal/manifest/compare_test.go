package manifest

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// readFields reads an object's fields; the first three need not be written.
func readFields(t testing.TB, text string) map[string]any {
	t.Helper()
	values, err := decode(text, 0)
	if err != nil {
		t.Fatal(err)
	}
	fields, _ := values[0].(map[string]any)
	return fields
}

func linesOf(lines []Line) string {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%c%s\n", l.Op, l.Text)
	}
	return b.String()
}

func fieldsText(c Change) string {
	var b strings.Builder
	for _, f := range c.Fields {
		fmt.Fprintf(&b, "%s: %v → %v\n", f.Path, f.Before, f.After)
	}
	return b.String()
}

var deployment = Ref{"apps/v1", "Deployment", "shop", "carts"}

func TestCompare(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, before, after, fields, diff string }{
		{"a leaf", "spec: {a: 1, b: x}", "spec: {a: 2, b: x}", "spec.a: 1 → 2\n", " spec:\n-  a: 1\n+  a: 2\n   b: x\n"},
		{"numbers of two types", "a: 1", "a: 1.0", "", ""},
		{"quoted keys", "metadata: {annotations: {checksum/config: a, '': b, a.b: c, plain-1_x: d}}", "metadata: {annotations: {}}",
			"metadata.annotations[\"\"]: b → <nil>\nmetadata.annotations[\"a.b\"]: c → <nil>\nmetadata.annotations[\"checksum/config\"]: a → <nil>\nmetadata.annotations.plain-1_x: d → <nil>\n",
			" metadata:\n-  annotations:\n-    \"\": b\n-    a.b: c\n-    checksum/config: a\n-    plain-1_x: d\n+  annotations: {}\n"},
		{"containers by name", "containers: [{name: a, image: x}, {name: b, image: z}]", "containers: [{name: b, image: z}, {name: a, image: v}]",
			"containers[name=a].image: x → v\n", " containers:\n   - name: b\n     image: z\n   - name: a\n-    image: x\n+    image: v\n"},
		{"order of env", "env: [{name: A, value: a}, {name: B, value: b}]", "env: [{name: B, value: b}, {name: A, value: a}]", "", ""},
		{"a new one, one gone", "env: [{name: A, value: a}, {name: B, value: b}]", "env: [{name: C, value: c}, {name: B, value: b}]",
			"env[name=A].name: A → <nil>\nenv[name=A].value: a → <nil>\nenv[name=C].name: <nil> → C\nenv[name=C].value: <nil> → c\n",
			" env:\n-  - name: A\n-    value: a\n+  - name: C\n+    value: c\n   - name: B\n     value: b\n"},
		{"names twice", "env: [{name: A, value: a}, {name: A, value: b}]", "env: [{name: A, value: a}, {name: A, value: c}]", "env[1].value: b → c\n",
			" env:\n   - name: A\n     value: a\n   - name: A\n-    value: b\n+    value: c\n"},
		{"init containers in order", "initContainers: [{name: a}, {name: b}]", "initContainers: [{name: b}, {name: a}]",
			"initContainers: [name=a name=b] → [name=b name=a]\n", " initContainers:\n-  - name: a\n   - name: b\n+  - name: a\n"},
		{"ports", "ports: [{containerPort: 80}, {containerPort: 53, protocol: UDP}, {containerPort: 53}]", "ports: [{containerPort: 53, protocol: TCP}, {containerPort: 80, name: http}, {containerPort: 53, protocol: UDP}]",
			"ports[containerPort=53,protocol=TCP].protocol: <nil> → TCP\nports[containerPort=80,protocol=TCP].name: <nil> → http\n",
			" ports:\n   - containerPort: 53\n-  - containerPort: 80\n+    protocol: TCP\n+  - name: http\n+    containerPort: 80\n   - containerPort: 53\n     protocol: UDP\n"},
		{"mounts by path", "volumeMounts: [{name: a, mountPath: /a}, {name: a, mountPath: /b}]", "volumeMounts: [{name: a, mountPath: /b}, {name: c, mountPath: /a}]",
			"volumeMounts[mountPath=/a].name: a → c\n", ""},
		{"sets", "tolerations: [{key: a}, {key: b}]\ncapabilities: {drop: [A, B]}", "tolerations: [{key: b}, {key: a}]\ncapabilities: {drop: [B, A]}", "", ""},
		{"an item of a set", "tolerations: [{key: a}, {key: b}, {key: d}]", "tolerations: [{key: b}, {key: c}]",
			"tolerations[2].key: d → <nil>\ntolerations[1].key: a → c\n", " tolerations:\n   - key: b\n-  - key: d\n-  - key: a\n+  - key: c\n"},
		{"arguments in order", "args: [a, b, c]", "args: [a, c, b]", "args[1]: b → c\nargs[2]: c → b\n", ""},
		{"an argument more", "args: [a, b, c]", "args: [a, x, b, c]", "args[1]: <nil> → x\n", " args:\n   - a\n+  - x\n   - b\n   - c\n"},
		{"null and none", "{a: null}", "{}", "a: <nil> → <nil>\n", ""},
		{"shapes", "a: [1]\nb: {c: 1}", "a: {x: 1}\nb: 2", "a[0]: 1 → <nil>\na.x: <nil> → 1\nb.c: 1 → <nil>\nb: <nil> → 2\n", ""},
		{"empty map comes", "a: {}", "a: {b: {}}", "a.b: <nil> → map[]\n", ""},
		{"a block of text", "data: {f: \"a: 1\\nb: 2\\nc: 3\\n\"}", "data: {f: \"a: 1\\nb: 4\\nc: 3\\n\"}",
			"data.f: a: 1\nb: 2\nc: 3\n → a: 1\nb: 4\nc: 3\n\n", " data:\n   f: |\n     a: 1\n-    b: 2\n+    b: 4\n     c: 3\n"},
		{"kubectl's annotation", "metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: a}}\na: 1", "metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: b}}\na: 2",
			"a: 1 → 2\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := Compare(deployment, readFields(t, test.before), readFields(t, test.after), nil)
			if got := fieldsText(c); got != test.fields {
				t.Errorf("fields:\n%swant:\n%s", got, test.fields)
			}
			if want := map[bool]Action{true: Unchanged, false: Update}[test.fields == ""]; c.Action != want {
				t.Errorf("action %s, want %s", c.Action, want)
			}
			if got := linesOf(c.Diff(-1)); test.diff != "" && got != test.diff {
				t.Errorf("diff:\n%swant:\n%s", got, test.diff)
			}
		})
	}
}

func TestCompareActions(t *testing.T) {
	t.Parallel()
	o := map[string]any{"a": int64(1)}
	for _, test := range []struct {
		before, after map[string]any
		want          Action
		lines         string
	}{
		{nil, nil, Unchanged, ""},
		{nil, o, Create, "+a: 1\n"},
		{o, nil, Remove, "-a: 1\n"},
		{o, map[string]any{"a": int64(1)}, Unchanged, ""},
		{map[string]any{}, o, Update, "-{}\n+a: 1\n"},
	} {
		c := Compare(deployment, test.before, test.after, nil)
		if c.Action != test.want || c.Ref != deployment {
			t.Errorf("%v → %v: %+v", test.before, test.after, c)
		}
		if got := linesOf(c.Diff(-1)); got != test.lines {
			t.Errorf("%v → %v: lines\n%s", test.before, test.after, got)
		}
	}
}

func TestDiffHunks(t *testing.T) {
	t.Parallel()
	text := "apiVersion: apps/v1\nspec:\n  template:\n    spec:\n      containers:\n        - name: carts\n          a: 1\n          b: 2\n          c: 3\n          d: 4\n          e: 5\n          f: 6\n          g: 7\n"
	c := Compare(deployment, readFields(t, text), readFields(t, strings.NewReplacer("a: 1", "a: 0", "g: 7", "g: 0").Replace(text)), nil)
	for n, want := range map[int]string{
		0: "@@@ -7,1 +7,1 @@ spec.template.spec.containers\n-          a: 1\n+          a: 0\n@@@ -13,1 +13,1 @@ spec.template.spec.containers\n-          g: 7\n+          g: 0\n",
		1: "@@@ -6,3 +6,3 @@ spec.template.spec.containers\n         - name: carts\n-          a: 1\n+          a: 0\n           b: 2\n@@@ -12,2 +12,2 @@ spec.template.spec.containers\n           f: 6\n-          g: 7\n+          g: 0\n",
		3: "@@@ -4,10 +4,10 @@ spec.template\n     spec:\n       containers:\n         - name: carts\n-          a: 1\n+          a: 0\n           b: 2\n           c: 3\n           d: 4\n           e: 5\n           f: 6\n-          g: 7\n+          g: 0\n",
	} {
		if got := linesOf(c.Diff(n)); got != want {
			t.Errorf("-U %d:\n%swant:\n%s", n, got, want)
		}
	}
	if got := linesOf(Compare(deployment, nil, map[string]any{"a": int64(1)}, nil).Diff(3)); got != "@@@ -0,0 +1,1 @@\n+a: 1\n" {
		t.Errorf("a new object:\n%s", got)
	}
}

// FuzzEdit: the lines of either side are those of the texts.
func FuzzEdit(f *testing.F) {
	f.Add("a\nb\nc", "a\nc\nd")
	f.Add("", "x\nx\nx")
	f.Fuzz(func(t *testing.T, b, a string) {
		before, after := strings.Split(b, "\n"), strings.Split(a, "\n")
		var was, is []string
		for _, l := range edit(before, after) {
			if l.Op != '+' {
				was = append(was, l.Text)
			}
			if l.Op != '-' {
				is = append(is, l.Text)
			}
		}
		if !reflect.DeepEqual(was, before) || !reflect.DeepEqual(is, after) {
			t.Errorf("%q → %q: %q, %q", before, after, was, is)
		}
	})
}

func TestEditIsShort(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		before, after string
		want          int
	}{
		{"abcabba", "cbabac", 5}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"axbxc", "abc", 2}, {"xxxx", "yyyy", 8},
	} {
		n := 0
		for _, l := range edit(strings.Split(test.before, ""), strings.Split(test.after, "")) {
			if l.Op != ' ' {
				n++
			}
		}
		if n != test.want {
			t.Errorf("%s → %s: %d lines, want %d", test.before, test.after, n, test.want)
		}
	}
	// Beyond patience, a diff is long, but it comes.
	b, a := make([]string, 5000), make([]string, 5000)
	for i := range b {
		b[i], a[i] = fmt.Sprint("b", i), fmt.Sprint("a", i)
	}
	if n := len(edit(b, a)); n != 10000 {
		t.Errorf("%d lines", n)
	}
}

func TestRenames(t *testing.T) {
	t.Parallel()
	object := func(name, text string) map[string]any {
		return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name}, "data": map[string]any{"f": text, "g": "1"}}
	}
	ref := func(kind, name string) Ref { return Ref{"v1", kind, "", name} }
	long := "a\nb\nc\nd\ne\nf\n"
	changes := []Change{
		Compare(ref("ConfigMap", "old"), object("old", long), nil, nil),
		Compare(ref("ConfigMap", "same"), object("same", long), object("same", "x"), nil),
		Compare(ref("Other", "new"), nil, object("new", long), nil),
		Compare(ref("ConfigMap", "far"), nil, object("far", "q\nr\ns\nt\nu"), nil),
		Compare(ref("ConfigMap", "near"), nil, object("near", long+"g\nh"), nil),
		Compare(ref("ConfigMap", "new"), nil, object("new", strings.Replace(long, "c", "C", 1)), nil),
	}
	got := Renames(changes, 0.7)
	var names []string
	for _, c := range got {
		name := string(c.Action) + " " + c.Ref.String()
		if c.From != nil {
			name += " from " + c.From.Name + " " + fmt.Sprint(len(c.Fields))
		}
		names = append(names, name)
	}
	want := []string{"update ConfigMap/same", "create Other/new", "create ConfigMap/far", "create ConfigMap/near", "replace ConfigMap/new from old 2"}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("got  %q\nwant %q", names, want)
	}
	if got := linesOf(got[4].Diff(0)); !strings.Contains(got, "-    c\n+    C\n") || !strings.Contains(got, "-  name: old\n+  name: new\n") {
		t.Errorf("diff:\n%s", got)
	}
	if n := len(Renames(changes, 1)); n != len(changes) {
		t.Errorf("at a threshold of 1, %d changes", n)
	}
}

func TestSuppress(t *testing.T) {
	t.Parallel()
	before := readFields(t, "metadata: {labels: {v: '1', gone: x}}\nspec: {a: 1, list: [1, 2]}")
	after := readFields(t, "metadata: {labels: {v: '2', new: z}}\nspec: {a: 2, list: [1]}")
	for _, test := range []struct {
		name, pattern, fields, diff string
		kinds                       []string
		action                      Action
	}{
		{name: "nothing", action: Update, fields: "metadata.labels.gone: x → <nil>\nmetadata.labels.new: <nil> → z\nmetadata.labels.v: 1 → 2\nspec.a: 1 → 2\nspec.list[1]: 2 → <nil>\n"},
		{name: "a kind", kinds: []string{"secret", "deployment"}},
		{name: "labels", pattern: `^metadata\.labels`, action: Update, fields: "spec.a: 1 → 2\nspec.list[1]: 2 → <nil>\n", diff: "-  a: 1\n+  a: 2\n-    - 2\n"},
		{name: "the spec", pattern: `^spec`, action: Update, fields: "metadata.labels.gone: x → <nil>\nmetadata.labels.new: <nil> → z\nmetadata.labels.v: 1 → 2\n", diff: "-    gone: x\n-    v: \"1\"\n+    new: z\n+    v: \"2\"\n"},
		{name: "all", pattern: ".", action: Unchanged},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var pattern *regexp.Regexp
			if test.pattern != "" {
				pattern = regexp.MustCompile(test.pattern)
			}
			changes := []Change{Compare(deployment, before, after, nil)}
			untouched := fieldsText(changes[0])
			got := Suppress(changes, test.kinds, pattern)
			if fieldsText(changes[0]) != untouched {
				t.Error("its argument was changed")
			}
			if test.kinds != nil {
				if len(got) != 0 {
					t.Errorf("%+v", got)
				}
				return
			}
			if len(got) != 1 || got[0].Action != test.action || fieldsText(got[0]) != test.fields {
				t.Fatalf("%+v", got)
			}
			var b strings.Builder
			for _, l := range got[0].Diff(0) {
				if l.Op != '@' {
					fmt.Fprintf(&b, "%c%s\n", l.Op, l.Text)
				}
			}
			if test.diff != "" && b.String() != test.diff {
				t.Errorf("diff:\n%swant:\n%s", b.String(), test.diff)
			}
		})
	}
}

// twice gives the normalized objects of the examples, two of each.
func twice(b testing.TB) (before, after []Object) {
	b.Helper()
	for _, list := range []*[]Object{&before, &after} {
		objects, err := Parse(golden(b))
		if err != nil {
			b.Fatal(err)
		}
		for i := range objects {
			objects[i].Fields = Normalize(objects[i].Fields)
		}
		*list = objects
	}
	return before, after
}

func BenchmarkCompareEqual(b *testing.B) {
	before, after := twice(b)
	m := NewMask([]string{"canary-one", "canary-two"})
	for b.Loop() {
		for i := range before {
			Compare(before[i].Ref, before[i].Fields, after[i].Fields, m)
		}
	}
}

func BenchmarkCompareChanged(b *testing.B) {
	before, after := twice(b)
	texts := make([]string, 100)
	for i := range texts {
		texts[i] = fmt.Sprintf("canary-%d-%d", i, i*i)
	}
	m := NewMask(texts)
	for i := range after {
		after[i].Fields["metadata"].(map[string]any)["labels"] = map[string]any{"a": "b"}
	}
	for b.Loop() {
		for i := range before {
			c := Compare(before[i].Ref, before[i].Fields, after[i].Fields, m)
			c.Diff(3)
		}
	}
}

func BenchmarkNormalize(b *testing.B) {
	before, _ := twice(b)
	for b.Loop() {
		for i := range before {
			Normalize(before[i].Fields)
		}
	}
}

func BenchmarkDiffLong(b *testing.B) {
	var was, is []string
	for i := range 4000 {
		line := "  },"
		if i%5 != 0 {
			line = fmt.Sprint(`  "k": `, i%700)
		}
		was = append(was, line)
		if i%97 == 0 {
			line = "new"
		}
		is = append(is, line)
	}
	for b.Loop() {
		edit(was, is)
	}
}

func BenchmarkNewMask(b *testing.B) {
	texts := make([]string, 100)
	for i := range texts {
		texts[i] = fmt.Sprintf("canary/%d &%d", i, i*i)
	}
	for b.Loop() {
		NewMask(texts)
	}
}
