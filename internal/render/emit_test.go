package render

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/releaseutil"
	"sigs.k8s.io/yaml"
)

// scalars are texts of all kinds that YAML may take for something else.
var scalars = []string{
	"", " ", "a", "A b", "a ", " a", "-", "--", "---", "--- a", "...", "- a", "-a", "-1", "-x", "--port=80", "-n", "-id=5", "?", "? a", "?a", ":", ":a",
	"a:", "a: b", "a:b", "a #b", "a#b", "#a", "#", "y", "Y", "yes", "no", "N", "on", "off", "On", "true", "True", "TRUE", "tRue", "false", "null", "Null",
	"~", "~a", "nil", "0", "00", "08", "0o7", "0x1f", "0b1", "1", "-0", "+1", "1_000", "_1", "1e3", "1.5", "1.", ".5", ".", "..", "1e+3", "1E5", ".inf", "-.inf",
	"+.INF", ".nan", ".NaN", "inf", "nan", "Infinity", "1.2.3", "1.2.3.4", "10.0.0.0/8", "12:30", "12:30:45", "1:2", "190:20:30", "10.0.0.1:80",
	"2001-01-01", "2001-1-1", "2001-01-01T00:00:00Z", "2001-01-01 00:00:00", "100m", "128Mi", "1Gi", "5s", "1h30m", "0755", "123456789012345",
	"1234567890123456789", "99999999999999999999", "<<", "<", "=", ">", "|", "%", "@", "`", "&a", "*a", "!a", "'", "''", "it's", `"`, `a"b`, `"a"`, `\`, "[", "]", "{",
	"}", "{}", "[]", "{a", "[a]", ",", ",a", "a,b", "$(A)", "$", "(", ")", "/", "/a/b", "http://a.b/c?d=e#f", "a\tb", "\t", "a\n", "a\nb", "a\nb\n", "a\nb\n\n",
	"\n", "\na", " a\nb", "a \nb", "a\n b", "a\nb ", "a\n\n\nb\n", "a\r\nb", "é", "— a", "日本", "😀", "\u00a0", "\u0085", "\u2028", "\ufeff", "\x7f", "\x00", "\x1b", "\xff",
	strings.Repeat("a", 90), strings.Repeat("a ", 60), strings.Repeat("- ", 60), strings.Repeat("a: ", 40), strings.Repeat("long word ", 8) + "end",
	strings.Repeat("k", 120), strings.Repeat("k", 140), "a\n" + strings.Repeat("word ", 40) + "\nb", "key: value\nother: [1, 2]\n", "<a>&</a>", "a\u2028b",
}

// values are those of which the tests make maps and lists.
func valuesOf(s string) []any {
	return []any{
		s, map[string]any{"k": s}, map[string]any{s: "v"}, []any{s}, []any{[]any{s}}, map[string]any{"a": []any{map[string]any{"b": s, "c": []any{s, s}}}},
		map[string]any{"a": map[string]any{"b": map[string]any{"c": s}}, "d": 1.0}, []any{map[string]any{s: []any{}}, map[string]any{}}, []any{[]any{s, []any{s}}, s},
	}
}

func libraryYAML(v any) string {
	data, err := yaml.Marshal(v)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(data), "\n")
}

// TestEmitYAML holds what is written here to what the library writes.
func TestEmitYAML(t *testing.T) {
	t.Parallel()
	others := []any{
		nil, true, false, 0, 1, -1, int64(5), 1.0, -0.5, 0.1, 1e6, 1e15, 1e21, 1e-7, 123456789.0, map[string]any(nil), []any(nil), map[string]any{}, []any{},
		map[string]any{"a": nil, "b": true, "c": map[string]any{}, "d": []any{}, "e": []any{nil, map[string]any(nil), []any(nil)}},
		map[string]any{"a1": 1, "a10": 1, "a2": 1, "a02": 1, "A": 1, "b": 1, "a-b": 1, "a.b": 1, "a_b": 1, "ab": 1, "1": 1, "10": 1, "9": 1, "01": 1, "": 1},
		map[string]string{"b": "1", "a": "x"}, []string{"a", "1"}, struct{ A int }{1},
	}
	for _, s := range scalars {
		others = append(others, valuesOf(s)...)
	}
	for _, v := range others {
		if got, want := toYAML(v), libraryYAML(v); got != want {
			t.Errorf("%#v\ngives %q\nwant  %q", v, got, want)
		}
		data, _ := json.Marshal(v)
		if got := toJSON(v); got != string(data) {
			t.Errorf("%#v\ngives %q\nwant  %q", v, got, data)
		}
	}
}

// TestEmitYAMLItself holds that most of what charts print is written here.
func TestEmitYAMLItself(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"a", "100m", "128Mi", "80", "true", "it's", "a: b", "http://a/b", "10.0.0.1", "--port=80", "- a", "a\nb\n", "a\n\n", "日本", "*"} {
		if _, ok := emitYAML(map[string]any{"a": []any{s}}); !ok {
			t.Errorf("%q is left to the library", s)
		}
	}
}

// FuzzEmitYAML makes values of JSON.
func FuzzEmitYAML(f *testing.F) {
	for _, s := range scalars {
		data, _ := json.Marshal(valuesOf(s))
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, text string) {
		var v any
		if json.Unmarshal([]byte(text), &v) != nil {
			return
		}
		if got, want := toYAML(v), libraryYAML(v); got != want {
			t.Errorf("%#v\ngives %q\nwant  %q", v, got, want)
		}
		data, _ := json.Marshal(v)
		if got := toJSON(v); got != string(data) {
			t.Errorf("%#v\ngives %q\nwant  %q", v, got, data)
		}
		if got, want := fromJSON(text), libraryFromJSON(text); libraryYAML(got) != libraryYAML(want) {
			t.Errorf("%s\ngives %v\nwant  %v", text, got, want)
		}
	})
}

func libraryFromJSON(text string) map[string]any {
	m := map[string]any{}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		m["Error"] = err.Error()
	}
	return m
}

// FuzzBlock holds that nothing is accepted that Helm's parser refuses, and that
// heads and values are those which it reads.
func FuzzBlock(f *testing.F) {
	for _, s := range blocks() {
		f.Add(s)
	}
	f.Fuzz(checkBlock)
}

// TestBlock does the same for texts that are known to be hard.
func TestBlock(t *testing.T) {
	t.Parallel()
	for _, s := range blocks() {
		checkBlock(t, s)
	}
}

func blocks() []string {
	out := []string{
		"apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  annotations:\n    helm.sh/hook: test\n    b: 1\nspec:\n- a\n- b: c\n  d: e\n",
		"kind: A\nkind: B", "kind: 1", "kind: y", "Kind: A", "kind: {}", "metadata: a", "metadata:\n- a", "metadata:\n  name: 1", "metadata:\n  annotations:\n    a: {}",
		"metadata:\n  annotations:\n    a:\n      b: c", "metadata:\n  annotations:\n    a:", "metadata:\n  annotations:\n    helm.sh/hook: 1", "metadata:\n  Name: a",
		"metadata:\n  name: a\nmetadata:\n  labels: {}", "a:\n  b: c\n d: e", "a:\n   b: c\n  d: e", "a: b\n  c: d", "a: b\n- c", "a:\n- b\nc: d", "a:\n- b\n - c", "a:\n  - b\n- c",
		"a:\n  - b\n  c: d", "- a", "- a: b\n  c: d", "a: |\n  b\n c: d", "a: |\n  b\nc: d", "a: |\n\n   \n  b", "a: |\n \tb", "a: |-\nb: c", "a: |\n  b\n\n  c\n# d\ne: f", "a: >\n  b\n  c\n", "a: |2\n   b",
		"a: |\n  b\n \n", "a: |+\n  b\n\n\nc: d", "a: |\n    b\n   c\nd: e", "a: b: c", "a: 'b", "a: 'b''c'", "a: 'b' c", "a: \"b\\x\"", "a: \"b\\n\"", "a: \"\\ud800\"", "\"a\": b", "'a': b", "? a", "a : b", "a:b",
		"a: &b c", "a: *b", "a: !b c", "a: @", "a: `", "a: %", "a: [", "a: {", "a: ]", "a: - b", "a: -", "a: ?", "a: ? b", "a: ,", "a: .inf", "a: -.inf", "a: .nan", ".inf: a", "~: a", "null: a", "<<: a", "<<: {}", "1: a",
		"a: b #c", "a: b#c", "a: #c", "a:\n  #c\n  b", "a:\n\tb: c", "\ta: b", "a:\tb", "a: b\t", "a: \tb", "# a", "", "a:", "a:\n\n\n", "---\na: b", "a: b\n---\nc: d", "a: b\n...", "%YAML 1.1", "a: b\r\n", "a: \x00", "a: \u0085", "a: \ufeff",
		"a:\n- - b\n  - c\n- d", "a:\n- - b\n - c", "a:\n-\n  b: c\n-\n- d", "a:\n- b: |\n    c\n  d: e", "a:\n- |\n  b\n- c", "a:\n- b:\n  - c\n  d: e", "a:\n- b:\n    c\n", "a: b\n\n c: d", "a: 0755", "a: 1_000", "a: 12:30", "a: 0.5", "a: 2001-01-01",
		"a: {}\nb: []\nc: ''\nd: \"\"", "a: {} \nb: [ ]", "a: b\na: c", strings.Repeat("a:\n ", 20) + "b: c", strings.Repeat("k", 1100) + ": a", "-a: b", "--- a: b", "a: ---", "a: |\n  ---\n  b", "a: |\n---",
	}
	for _, s := range scalars {
		out = append(out, "a: "+s, "a:\n- "+s, "a:\n- b: "+s+"\n  c: d", s+": a", "metadata:\n  annotations:\n    helm.sh/hook: "+s+"\n", "kind: "+s, libraryYAML(map[string]any{"a": s}), libraryYAML(map[string]any{s: []any{s}}))
	}
	return out
}

func checkBlock(t *testing.T, s string) {
	if h, ok := readHead(s); ok {
		var want releaseutil.SimpleHead
		if err := yaml.Unmarshal([]byte(s), &want); err != nil {
			t.Errorf("%q is accepted, but %v", s, err)
			return
		}
		name, annotations := "", map[string]string(nil)
		if want.Metadata != nil {
			name, annotations = want.Metadata.Name, want.Metadata.Annotations
		}
		if h.apiVersion != want.Version || h.kind != want.Kind || h.name != name {
			t.Errorf("%q gives %+v, want %+v", s, h, want)
		}
		for key, value := range annotations {
			if strings.HasPrefix(key, "helm.sh/") && h.annotations[key] != value {
				t.Errorf("%q gives %+v, want %+v", s, h, annotations)
			}
		}
		for key := range h.annotations {
			if _, ok := annotations[key]; !ok {
				t.Errorf("%q gives %+v, want %+v", s, h, annotations)
			}
		}
	}
	if v, ok := readMap(s); ok {
		var want map[string]any
		if err := yaml.Unmarshal([]byte(s), &want); err != nil {
			t.Errorf("%q is accepted, but %v", s, err)
			return
		}
		a, _ := json.Marshal(v)
		b, _ := json.Marshal(want)
		if string(a) != string(b) {
			t.Errorf("%q gives %s, want %s", s, a, b)
		}
	}
}

// FuzzDocuments holds that output is split as Helm splits it.
func FuzzDocuments(f *testing.F) {
	for _, s := range []string{"", "---", "a", "---\na", "a\n---\nb", "a\n---\n---\nb", "a \n\n---  \n\n\tb\n----\n", "---\n---\n", "a\n--- b\n---c", "\n\n---\n#c\n---\n", "a\u00a0\n---\nb\v\n---\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, want := documents(text), releaseutil.SplitManifests(text)
		if len(got) != len(want) {
			t.Fatalf("%q gives %q, want %q", text, got, want)
		}
		for i, d := range got {
			if d != want["manifest-"+strconv.Itoa(i)] {
				t.Fatalf("%q gives %q, want %q", text, got, want)
			}
		}
	})
}
