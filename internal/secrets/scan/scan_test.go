package scan_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/scan"
)

func scanner(t *testing.T, values map[string]any) *scan.Scanner {
	t.Helper()
	held := map[string]secrets.Value{}
	for name, x := range values {
		v, err := secrets.Of(x)
		if err != nil {
			t.Fatal(err)
		}
		held[name] = v
	}
	return scan.New([]secrets.Doc{{Path: secrets.Path{Deployment: "dev", App: "a", Scope: secrets.Secret}, Values: held}})
}

func found(t *testing.T, s *scan.Scanner, text string) string {
	t.Helper()
	var out []string
	if _, err := s.Reader(t.Context(), "f", strings.NewReader(text), func(m scan.Match) {
		out = append(out, fmt.Sprintf("%d %s %s", m.Line, m.Key.Name, m.Form))
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, ", ")
}

func TestReader(t *testing.T) {
	t.Parallel()
	s := scanner(t, map[string]any{
		"plain": `p@ss"w'rd/1`, "short": "12345", "flag": true, "nested": map[string]any{"list": []any{"inside-it"}}, "other": "other-value", "words": "two $words",
		"pem": "-----BEGIN-----\nQUJDREVGR0hJSktMTU5PUA\n-----END-----\n",
	})
	if len(s.Short) != 1 || s.Short[0].Name != "short" {
		t.Errorf("short: %v", s.Short)
	}
	for text, want := range map[string]string{
		"":                              "",
		"nothing 12345 true":            "",
		"x\n p@ss\"w'rd/1 p@ss\"w'rd/1": "2 plain raw",
		"p%40ss%22w%27rd%2F1":           "1 plain escaped",
		"?q=two%20%24words&":            "1 words escaped",
		"?q=two+%24words&":              "1 words escaped",
		`p@ss\"w'rd/1`:                  "1 plain escaped",
		`p@ss"w''rd/1`:                  "1 plain escaped",
		"70407373227727":                "",
		"7040737322772772642f31":        "1 plain hex",
		"\n\n- inside-it, other-value":  "3 nested raw, 3 other raw",
		"  -----BEGIN-----\n  QUJDREVGR0hJSktMTU5PUA\n": "2 pem raw",
	} {
		if got := found(t, s, text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for before := range 7 {
		for after := range 4 {
			inside := strings.Repeat("x", before) + `p@ss"w'rd/1` + strings.Repeat("y", after)
			for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
				if got := found(t, s, "data: "+e.EncodeToString([]byte(inside))); got != "1 plain base64" {
					t.Errorf("%d before, %d after: %q", before, after, got)
				}
			}
		}
	}
}

// TestPieces finds a value wherever it stands in a long file, once a line.
func TestPieces(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long", 100)
	s := scanner(t, map[string]any{"a": "the-value", "b": long})
	for _, before := range []int{1<<18 - 300, 1<<18 - 5, 1 << 18, 1<<18 + 251, 1<<19 - 1} {
		for _, value := range []string{"the-value", long} {
			text := strings.Repeat("z\n", before/2) + value + "\n" + strings.Repeat("z\n", 1<<18)
			name := map[bool]string{true: "a", false: "b"}[value == "the-value"]
			if got, want := found(t, s, text), fmt.Sprintf("%d %s raw", before/2+1, name); got != want {
				t.Errorf("%d before: %q, want %q", before, got, want)
			}
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a/one.txt": "the-value", "a/.git/config": "the-value", "a/binary": "\x00the-value", "a/large": strings.Repeat("the-value\n", 100), "b.txt": "the-value",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "b.txt"), filepath.Join(dir, "a", "link")); err != nil {
		t.Log(err)
	}
	s := scanner(t, map[string]any{"a": "the-value"})
	var files []string
	stats, err := s.Files(t.Context(), []string{filepath.Join(dir, "a"), filepath.Join(dir, "none")}, scan.Walk{MaxSize: 500}, func(m scan.Match) { files = append(files, filepath.Base(m.File)) })
	if err == nil || stats.Files != 1 || stats.Binary != 1 || len(stats.Large) != 1 || strings.Join(files, " ") != "one.txt" {
		t.Errorf("%+v, %v, %v", stats, files, err)
	}
}

func BenchmarkReader(b *testing.B) {
	var docs []secrets.Doc
	for i := range 200 {
		docs = append(docs, secrets.Doc{Path: secrets.Path{App: fmt.Sprint("a", i), Scope: secrets.Secret}, Values: map[string]secrets.Value{"k": secrets.New(fmt.Sprintf("value-%d-of-many-%x", i, i*7919))}})
	}
	s := scan.New(docs)
	text := strings.Repeat("func main() { fmt.Println(\"hello, world\", 42, some.Value(x, y)) }\n", 1<<14)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := s.Reader(b.Context(), "f", strings.NewReader(text), func(scan.Match) {}); err != nil {
			b.Fatal(err)
		}
	}
}
