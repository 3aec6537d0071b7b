package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestImportPage imports the manifests of docs/import.md, and finds what the page
// says comes out.
func TestImportPage(t *testing.T) {
	t.Parallel()
	page := "../../docs/import.md"
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	dev := blockOf(t, string(data), "# SOURCE: dev.yaml\n")
	writeExampleFile(t, filepath.Join(dir, "dev.yaml"), dev)
	prod := dev
	for line := range strings.Lines(blockOf(t, string(data), "# CHANGED: prod.yaml\n")) {
		from, to, ok := strings.Cut(strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "⏎", "\n"), " → ")
		if !ok || !strings.Contains(prod, from) {
			t.Fatalf("the page changes %q, which is not there", from)
		}
		prod = strings.ReplaceAll(prod, from, to)
	}
	writeExampleFile(t, filepath.Join(dir, "prod.yaml"), prod)
	out := filepath.Join(dir, "shop")
	kaiDone(t, "import", "manifests", "--context", "dev="+filepath.Join(dir, "dev.yaml"), "--context", "prod="+filepath.Join(dir, "prod.yaml"), "-o", out)
	seen := 0
	for _, example := range docExamples(t, page) {
		for name, want := range example.files {
			seen++
			got, err := os.ReadFile(filepath.Join(out, filepath.FromSlash(name)))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != want {
				t.Errorf("%s is\n%s\nand the page says\n%s", name, got, want)
			}
		}
	}
	if seen != 3 {
		t.Errorf("the page has %d files, and not 3", seen)
	}
}

// blockOf gives the block of a page that begins with a line, without it.
func blockOf(t *testing.T, page, first string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, first)
	block, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatalf("the page has no block %q", first)
	}
	return block
}

// TestImportPageExamples types the sessions of the page in, and finds what the page
// prints. The number of fields that kai renders otherwise is the flavors' matter.
func TestImportPageExamples(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/import.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../e2e/testdata/import")); err != nil {
		t.Fatal(err)
	}
	changed := regexp.MustCompile(`\d+ changed`)
	sessions := 0
	for _, block := range strings.Split(string(data), "```\n$ ")[1:] {
		block, _, _ = strings.Cut(block, "```")
		sessions++
		for _, step := range strings.Split(block, "\n$ ") {
			line, want, _ := strings.Cut(step, "\n")
			got := strings.ReplaceAll(typeLine(t, dir, strings.Fields(line)), dir+string(filepath.Separator), "")
			if got, want := strings.TrimSuffix(changed.ReplaceAllString(got, "N changed"), "\n"), strings.TrimSuffix(changed.ReplaceAllString(want, "N changed"), "\n"); got != want {
				t.Errorf("$ %s\nprints\n%s\nand the page says\n%s", line, got, want)
			}
		}
	}
	if sessions != 3 {
		t.Errorf("the page has %d sessions, and not 3", sessions)
	}
}

// typeLine runs a line of a session in a folder: kai, cat or head.
func typeLine(t *testing.T, dir string, words []string) string {
	t.Helper()
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	var b strings.Builder
	switch words[0] {
	case "cat":
		for _, name := range words[1:] {
			b.WriteString(read(name))
		}
	case "head":
		n, err := strconv.Atoi(strings.TrimPrefix(words[1], "-"))
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(strings.Join(strings.SplitAfterN(read(words[2]), "\n", n+1)[:n], ""))
	case "kai":
		args := words[1:]
		for i, word := range args[2:] {
			name, file, ok := strings.Cut(word, "=")
			switch {
			case ok:
				args[2+i] = name + "=" + filepath.Join(dir, file)
			case !strings.HasPrefix(word, "-"):
				args[2+i] = filepath.Join(dir, word)
			}
		}
		a := &app{stdin: strings.NewReader(""), stdout: &b, stderr: &b, getenv: func(string) string { return "" }, getwd: os.Getwd, as: "kai"}
		if code := a.execute(t.Context(), args); code != exitDone {
			t.Fatalf("%s: exit code %d\n%s", strings.Join(words, " "), code, b.String())
		}
	default:
		t.Fatalf("the page types %q, which the test does not know", words[0])
	}
	return b.String()
}
