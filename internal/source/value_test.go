package source

import "testing"

func TestFromNative(t *testing.T) {
	t.Parallel()
	want, findings := ParseYAML("values.yaml", []byte(`
text: "1"
whole: 12345678
fraction: 1.25
negative: -3
yes: true
nothing: null
list: [1, {b: 2, a: []}, text]
empty: {}
`))
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	if got := FromNative(want.Native()); !Equal(got, want) {
		t.Errorf("got %s\nwant %s", AppendYAML(nil, got, nil), AppendYAML(nil, want, nil))
	}
}
