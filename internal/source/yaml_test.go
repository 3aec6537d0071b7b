package source

import (
	"bytes"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzParseYAML: whatever the bytes, reading them ends soon, with a value or
// with findings that have a place inside the file. What was read is written so
// that it reads the same again.
func FuzzParseYAML(f *testing.F) {
	for _, s := range []string{
		"", "# x", "a: b", "a: &x [*x]", "a: &x {<<: *x}", "a: &x {b: c}\nd: {<<: [*x, {e: f}]}", "- - - a", "a:\tb", "a:\n\tb: c", "{", "[", "? a\n: b",
		"? {a: b}\n: c", "a: 1\na: 2", "a: |+\n  b\n\n", "a: >-\n  b\n  c", "\ufeffa: b\r\nc: d\r\n", "%YAML 1.1\n---\na: b", "--- a\n--- b", "...", "a: !!binary x",
		"a: !x y", "*a", "&a", "a: 'b", "a: \"\\x", "a: 0o17\nb: 0x1F\nc: 08\nd: .5e3\ne: 1e400\nf: ~", "!!str 1", "'<<': a", "a: \x00", "\xff", "a: \u0085b", "<<: {a: b}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		v, findings := ParseYAML("x.yaml", data)
		if took := time.Since(start); took > 10*time.Second {
			t.Fatalf("reading took %s", took)
		}
		if (v == nil) != (len(findings) > 0) {
			t.Fatalf("a value and findings exclude one another: %v, %v", v, findings)
		}
		lines := 1 + bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + bytes.Count(data, []byte("\u0085")) + bytes.Count(data, []byte("\u2028")) + bytes.Count(data, []byte("\u2029"))
		for _, finding := range findings {
			if at := finding.Origin; at.File != "x.yaml" || at.Line < 0 || at.Line > lines+1 || finding.Message == "" || !utf8.ValidString(finding.String()) {
				t.Fatalf("%#v", finding)
			}
		}
		if v == nil || len(data) > 900 {
			return
		}
		again, findings := ParseYAML("x.yaml", AppendYAML(nil, v, nil))
		if findings != nil || !Equal(v, again) {
			t.Fatalf("%v\n%s", findings, AppendYAML(nil, v, nil))
		}
	})
}
