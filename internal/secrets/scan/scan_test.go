package scan_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

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

// TestLinesAndEncodings finds values in what is wrapped or folded over lines, and in
// UTF-16.
func TestLinesAndEncodings(t *testing.T) {
	t.Parallel()
	long := ""
	for i := range 60 {
		long += fmt.Sprintf("%x-", i*7919)
	}
	s := scanner(t, map[string]any{"plain": "the-value-1", "long": long, "words": "correct horse battery staple", "digits": "100200"})
	wrap := func(text string, width int, between string) string {
		out := ""
		for ; len(text) > width; text = text[width:] {
			out += text[:width] + between
		}
		return out + text
	}
	wide := func(order binary.ByteOrder, mark, text string) string {
		var out []byte
		for _, unit := range utf16.Encode([]rune(mark + text)) {
			var two [2]byte
			order.PutUint16(two[:], unit)
			out = append(out, two[:]...)
		}
		return string(out)
	}
	inBase64 := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 50) + "the-value-1" + strings.Repeat("y", 90)))
	for name, test := range map[string]struct{ text, want string }{
		"base64 in 76 columns":      {"a\n" + wrap(inBase64, 76, "\n") + "\n", "2 plain base64"},
		"and indented":              {"a: |\n  " + wrap(inBase64, 76, "\n  ") + "\n", "2 plain base64"},
		"and with CRLF":             {wrap(inBase64, 72, "\r\n"), "1 plain base64"},
		"a long one":                {wrap(base64.StdEncoding.EncodeToString([]byte(long)), 64, "\n"), "1 long base64"},
		"upper hex":                 {strings.ToUpper(hex.EncodeToString([]byte("the-value-1"))), "1 plain hex"},
		"wrapped hex":               {wrap(hex.EncodeToString([]byte("the-value-1")), 7, "\n"), "1 plain hex"},
		"wrapped upper hex":         {"\n" + strings.ToUpper(wrap(hex.EncodeToString([]byte("the-value-1")), 10, "\n    ")), "2 plain hex"},
		"YAML's folding":            {"a:\n  correct horse\n  battery staple\n", "2 words raw"},
		"its > and CRLF":            {"a: >-\r\n    correct\r\n    horse battery\r\n    staple\r\n", "2 words raw"},
		"its double quotes":         {"a: \"correct horse\\\n    \\ battery staple\"\n", "1 words raw"},
		"a shell's lines":           {"x the-va\\\nlue-1", "1 plain raw"},
		"two lines are no value":    {"100\n200\nthe-va\nlue-1\n", ""},
		"UTF-16, little":            {wide(binary.LittleEndian, "\ufeff", "a\nthe-value-1"), "2 plain raw"},
		"UTF-16, big":               {wide(binary.BigEndian, "\ufeff", "a\nthe-value-1"), "2 plain raw"},
		"UTF-16, without the mark":  {wide(binary.LittleEndian, "", "password: the-value-1 é"), "1 plain raw"},
		"UTF-16, with a face in it": {wide(binary.BigEndian, "\ufeff", "\U0001f600 the-value-1"), "1 plain raw"},
		"binary":                    {"\x00\x01\x02the-value-1", ""},
	} {
		if got := found(t, s, test.text); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		// Wherever it stands in a long text, too.
		if strings.Contains(name, "base64") && found(t, s, strings.Repeat("z\n", 1<<17-20)+test.text) == "" {
			t.Errorf("%s: it is not found between two pieces", name)
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
