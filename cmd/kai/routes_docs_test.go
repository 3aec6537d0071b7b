package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocRoutes holds the sessions of docs/routes.md to what kai prints in the workspace that the page shows. With -update the
// page is written anew.
func TestDocRoutes(t *testing.T) {
	t.Parallel()
	const name = "../../docs/routes.md"
	dir := t.TempDir()
	for file, text := range docExamples(t, name)[0].files {
		writeExampleFile(t, filepath.Join(dir, filepath.FromSlash(file)), text)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	page, sessions := string(data), 0
	var is strings.Builder
	for {
		before, block, found := strings.Cut(page, "```\n$ kai ")
		is.WriteString(before)
		if !found {
			break
		}
		block, page, _ = strings.Cut(block, "\n```")
		command, _, _ := strings.Cut(block, "\n")
		out := kaiPrints(t, append(strings.Fields(command), "-w", dir)...)
		is.WriteString("```\n$ kai " + command + "\n" + strings.TrimRight(out, "\n") + "\n```")
		sessions++
	}
	if sessions != 3 {
		t.Errorf("the page has %d sessions, and the test knows of three", sessions)
	}
	if is.String() == string(data) {
		return
	}
	if !*update {
		t.Fatalf("docs/routes.md does not show what kai prints: run go test ./cmd/kai -run TestDocRoutes -update and look at the diff")
	}
	if err := os.WriteFile(name, []byte(is.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
