package vault

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

func TestExactValues(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value any
		as    string // "" is as it is
	}{
		{json.Number("0"), ""}, {json.Number("-1"), ""}, {json.Number("1.5"), ""}, {json.Number("9007199254740992"), ""}, {true, ""}, {"text", ""}, {"", ""}, {"kai:", ""},
		{[]any{json.Number("1"), nil, "1.50"}, ""}, {map[string]any{"a": json.Number("2")}, ""},
		{json.Number("1.50"), "kai:json:1.50"}, {json.Number("1e400"), "kai:json:1e400"}, {json.Number("9007199254740993"), "kai:json:9007199254740993"},
		{[]any{"<", json.Number("1e3")}, `kai:json:["<",1e3]`}, {map[string]any{"b": []any{json.Number("1.0")}, "a": "x"}, `kai:json:{"a":"x","b":[1.0]}`},
		{"kai:json:1", `kai:json:"kai:json:1"`}, {"kai:json:", `kai:json:"kai:json:"`},
	} {
		v, err := secrets.Of(test.value)
		if err != nil {
			t.Fatal(err)
		}
		kept := encode(v)
		if test.as != "" && kept != test.as {
			t.Errorf("%v is kept as %v", test.value, kept)
		}
		if _, isText := kept.(string); test.as == "" && isText != (v.Kind() == secrets.Text) {
			t.Errorf("%v is kept as %T", test.value, kept)
		}
		if back, err := decode(kept); err != nil || !back.Equal(v) {
			t.Errorf("%v comes back as %q, %v", test.value, back.Reveal(), err)
		}
	}
	// What somebody else has written with such a beginning.
	for _, text := range []string{"kai:json:", "kai:json:{", "kai:json:1 2", "kai:json:null"} {
		if v, err := decode(text); err != nil || v.Reveal() != text {
			t.Errorf("%q comes back as %q, %v", text, v.Reveal(), err)
		}
	}
}

func FuzzExactValues(f *testing.F) {
	for _, text := range []string{"1.50", `"kai:json:1"`, `{"a":[1e400,null]}`, `[]`, `true`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			t.Skip("JSON has none, and Write refuses it")
		}
		x, err := decode(exactForm + text)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decode(encode(x)); err != nil || !back.Equal(x) {
			t.Errorf("%q comes back as %q, %v", x.Reveal(), back.Reveal(), err)
		}
	})
}
