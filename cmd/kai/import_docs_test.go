package main

import (
	"os"
	"path/filepath"
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
