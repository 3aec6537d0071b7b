package source

import (
	"reflect"
	"testing"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
	sigsyaml "sigs.k8s.io/yaml"
)

func FuzzWriteReadsBack(f *testing.F) {
	for _, s := range []string{"", "on", "0777", "2024-01-01", "1_000", "12:30:45", "=", "<<", "a: b", "a\nb", "a\n\n", " a\nb", "a\tb", "- x", "x #y", "\u0085", "\x7f", "~", ".5", "0x1", "1e3", "{{ .x }}", "a\r\nb", "yes", "%a", "a \nb", "\n", "!x", "&a", "é", "x:"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, key, text string) {
		if !utf8.ValidString(key) || !utf8.ValidString(text) || len(key) > 900 {
			t.Skip("YAML is text, and a key has at most 1024 characters")
		}
		v := NewMap(Origin{}, Field{Key: key, Value: NewList(Origin{}, NewString(Origin{}, text), NewMap(Origin{}, Field{Key: key, Value: NewString(Origin{}, text)}))})
		data := AppendYAML(nil, v, nil)
		want := any(map[string]any{key: []any{text, map[string]any{key: text}}})
		var helm any
		if err := sigsyaml.Unmarshal(data, &helm); err != nil || !reflect.DeepEqual(helm, want) {
			t.Fatalf("a YAML 1.1 reader has %#v, %v\n%s", helm, err, data)
		}
		var v3 any
		if err := yaml.Unmarshal(data, &v3); err != nil || !reflect.DeepEqual(v3, want) {
			t.Fatalf("yaml.v3 has %#v, %v\n%s", v3, err, data)
		}
		back, findings := ParseYAML("x", data)
		if len(findings) > 0 || !Equal(back, v) {
			t.Fatalf("%v\n%s", findings, data)
		}
	})
}
