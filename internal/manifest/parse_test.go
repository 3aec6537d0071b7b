package manifest

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// golden gives the manifests of the example workspaces.
func golden(t testing.TB) string {
	t.Helper()
	files, err := filepath.Glob("../build/testdata/golden/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden manifests: %v", err)
	}
	var b strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(strings.TrimSuffix(string(data), "\n") + "\n")
	}
	return b.String()
}

func TestParse(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	object := func(more map[string]any) Object {
		fields := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a"}}
		for k, v := range more {
			fields[k] = v
		}
		return Object{Ref: Ref{APIVersion: "v1", Kind: "ConfigMap", Name: "a"}, Fields: fields}
	}
	plain := object(nil)
	sourced := object(nil)
	sourced.Source = "carts/templates/a b.yaml"
	for _, test := range []struct {
		name, text string
		want       []Object
	}{
		{"nothing", "", nil},
		{"empty documents", "---\n\n--- # nothing\n---\n# Source: x\n# said\n---\nnull\n...\n", nil},
		{"one", head, []Object{plain}},
		{"byte order mark, CRLF", "\ufeff---\r\n" + strings.ReplaceAll(head, "\n", "\r\n") + "---\r\n", []Object{plain}},
		{"a directive", "%YAML 1.1\n---\n" + head, []Object{plain}},
		{"behind the marker", "--- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}", []Object{plain}},
		{"an end marker", head + "...\n" + head, []Object{plain, plain}},
		{"source", "---\n# Source: carts/templates/a b.yaml\n" + head, []Object{sourced}},
		{"JSON with tabs", "{\n\t\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\",\n\t\"metadata\": {\"name\": \"a\"}, \"n\": 7, \"f\": 0.5}", []Object{object(map[string]any{"n": int64(7), "f": 0.5})}},
		{"JSON behind JSON", strings.Repeat("{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"a\"}}\n", 2), []Object{plain, plain}},
		{"numbers", head + "i: 1\nbig: 9007199254740993\noctal: 0777\nwhole: 1.0\nf: 1.5\ne: 1e3\nhuge: 1e30\ntext: \"1\"\n", []Object{object(map[string]any{
			"i": int64(1), "big": int64(9007199254740993), "octal": int64(511), "whole": int64(1), "f": 1.5, "e": int64(1000), "huge": 1e30, "text": "1"})}},
		{"YAML 1.1", head + "b: yes\nd: 2024-01-01\n1: x\ntrue: z\n", []Object{object(map[string]any{"b": true, "d": "2024-01-01", "1": "x", "true": "z"})}},
		{"markers inside text", head + "t: |\n  a\n  ---\n  ...\n  b\nu: ---x\nv: |-\n\n   --- \n", []Object{object(map[string]any{"t": "a\n---\n...\nb\n", "u": "---x", "v": "\n--- "})}},
		{"a word that begins like a marker", "---\nmetadata: {name: a}\nkind: ConfigMap\napiVersion: v1\n---x: z\n", []Object{object(map[string]any{"---x": "z"})}},
		{"anchors", head + "x: &x {k: [1]}\nw: *x\nz: {<<: *x, l: 2}\n", []Object{object(map[string]any{
			"x": map[string]any{"k": []any{int64(1)}}, "w": map[string]any{"k": []any{int64(1)}}, "z": map[string]any{"k": []any{int64(1)}, "l": int64(2)}})}},
		{"a list", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- apiVersion: v1\n  kind: ConfigMapList\n  items: [{metadata: {name: a}}]\n", []Object{plain, plain}},
		{"an empty list", "apiVersion: v1\nkind: List\n", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := Parse(test.text)
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("Parse:\n%#v, %v\nwant:\n%#v", got, err, test.want)
			}
		})
	}
}

func TestParseRefAndHook(t *testing.T) {
	t.Parallel()
	got, err := Parse("apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: j\n  namespace: shop\n  annotations: {helm.sh/hook: 'pre-install, Pre-Upgrade,test-success,test'}\n")
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if want := (Ref{"batch/v1", "Job", "shop", "j"}); got[0].Ref != want {
		t.Errorf("ref %+v, want %+v", got[0].Ref, want)
	}
	if want := []string{"pre-install", "pre-upgrade", "test"}; !reflect.DeepEqual(got[0].Hook, want) {
		t.Errorf("hook %q, want %q", got[0].Hook, want)
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, text, want string }{
		{"syntax", "---\n# Source: carts/templates/a.yaml\na: 'b\n", "document 1 (carts/templates/a.yaml): line 4: found unexpected end of stream"},
		{"the second", "apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\nx: [hidden\n", "document 2: line 2: did not find expected ',' or ']'"},
		{"more behind it", "{a: b}\nhidden: c", "document 1: line 1: did not find expected <document start>"},
		{"text", "hidden", "document 1: it is no object: a map with apiVersion, kind and metadata is wanted"},
		{"alias", "a: *hidden", "document 1: an alias (*NAME) has no anchor (&NAME): quote text that begins with *"},
		{"tag", "a: !!int hidden", "document 1: a value does not fit its tag (!!TYPE): quote text that begins with !, or remove the tag"},
		{"key", "{a: b}: hidden", "document 1: a key is a map or a list: write the key as text, and quote text that begins with { or ["},
		{"not finite", "a: .nan", "document 1: a number is not finite: quote it, if it is text"},
		{"kind", "apiVersion: v1\nmetadata: {name: a}", "document 1: it has no kind, or it is not text"},
		{"apiVersion", "apiVersion: 1\nkind: A", "document 1: it has no apiVersion, or it is not text"},
		{"name", "apiVersion: v1\nkind: A\nmetadata: {name: 1}", "document 1: the A has no metadata.name, or it is not text"},
		{"item", "apiVersion: v1\nkind: List\nitems: [hidden]", "document 1: items[0]: it is no object: a map with apiVersion, kind and metadata is wanted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(test.text)
			if err == nil || err.Error() != test.want {
				t.Errorf("Parse: %v\nwant: %s", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "hidden") {
				t.Errorf("the error repeats the document: %v", err)
			}
		})
	}
}

// TestYAMLReadsBack takes every object of the examples through YAML.
func TestYAMLReadsBack(t *testing.T) {
	t.Parallel()
	objects, err := Parse(golden(t))
	if err != nil || len(objects) < 250 {
		t.Fatal(len(objects), err)
	}
	for _, o := range objects {
		back, err := Parse(YAML(o.Fields))
		if err != nil || len(back) != 1 || !reflect.DeepEqual(back[0].Fields, o.Fields) {
			t.Errorf("%s of %s: %v", o.Ref, o.Source, err)
		}
		if o.Source == "" {
			t.Errorf("%s has no source", o.Ref)
		}
	}
}

func TestYAMLOrder(t *testing.T) {
	t.Parallel()
	got := YAML(map[string]any{
		"status": map[string]any{}, "zoo": int64(1), "spec": map[string]any{"list": []any{map[string]any{"b": 0.5, "a": nil, "name": "x"}}},
		"metadata": map[string]any{"labels": map[string]any{"a": "true"}, "name": "carts"}, "kind": "K", "apiVersion": "v1", "data": map[string]any{"f": "a\nb\n"},
	})
	want := `apiVersion: v1
kind: K
metadata:
  name: carts
  labels:
    a: "true"
spec:
  list:
    - name: x
      a: null
      b: 0.5
data:
  f: |
    a
    b
zoo: 1
status: {}
`
	if got != want {
		t.Errorf("YAML:\n%s\nwant:\n%s", got, want)
	}
}

// FuzzParse holds Parse against sigs.k8s.io/yaml, which Helm and kubectl use.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "a: 1", "---\na: b\n---\n", "{\"a\": 1.0}", "a: &x [*x]", "a: |\n  ---\n", "? [a]\n: b", "a: !!binary aGk=", "- 1", "a: 0x1F\nb: 1_000\nc: -0.0\nd: 1e400", "1.5: x\n.inf: y", "a: 2024-01-01T00:00:00Z", "a: !!timestamp 2024-01-01", "%YAML 1.1\n---\na: b", "\"\\xff\": \"\\xff\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		doc := "apiVersion: v1\nkind: X\nmetadata: {name: x}\nextra:\n  - " + strings.ReplaceAll(s, "\n", "\n    ") + "\n"
		for _, text := range []string{s, doc} {
			objects, err := Parse(text)
			if err != nil {
				continue
			}
			for _, o := range objects {
				_ = YAML(o.Fields)
				_ = YAML(Normalize(o.Fields))
				_ = YAML(WithDefaults(o.Fields))
			}
		}
		objects, err := Parse(doc)
		if err != nil || len(objects) != 1 {
			return
		}
		var want any
		if err := yaml.Unmarshal([]byte(doc), &want); err != nil {
			t.Fatalf("Parse takes what sigs.k8s.io/yaml does not: %v\n%s", err, doc)
		}
		if !sameValue(want, any(objects[0].Fields)) {
			t.Fatalf("Parse: %#v\nwant: %#v\n%s", objects[0].Fields, want, doc)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	text := golden(b)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
