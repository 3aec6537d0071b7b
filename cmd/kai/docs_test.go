package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

//go:generate go test . -run TestGeneratedFiles -update

var update = flag.Bool("update", false, "write the generated documents and schemas anew")

// TestGeneratedFiles holds the command reference and the schemas to the program
// that they describe.
func TestGeneratedFiles(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{"../../docs/commands.md": commandReference(t)}
	library, err := workspace.Library()
	if err != nil {
		t.Fatal(err)
	}
	for kind := range workspace.SchemaKinds {
		schema, err := library.Schema(kind)
		if err != nil {
			t.Fatal(err)
		}
		data, err := source.AppendJSON(nil, schema)
		if err != nil {
			t.Fatal(err)
		}
		files["../../schemas/"+kind+".schema.json"] = data
	}
	files["../../docs/library.md"] = libraryPage(t)
	for name, want := range files {
		if *update {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale (%v): run make docs", name, err)
		}
	}
}

// libraryPage writes the page about the library's flavors, from their folders, which
// have their test cases.
func libraryPage(t *testing.T) []byte {
	t.Helper()
	w := &workspaceFlags{app: &app{as: "kai", stderr: io.Discard, getenv: func(string) string { return "" }, getwd: os.Getwd}, ctx: t.Context()}
	all, err := w.documented([]string{"../../flavors"})
	if err != nil {
		t.Fatal(err)
	}
	return flavorPage(all)
}

// commandReference writes one page about all commands.
func commandReference(t *testing.T) []byte {
	a := &app{as: "helm kai", getenv: func(string) string { return "" }, getwd: os.Getwd}
	var b bytes.Buffer
	b.WriteString("# Commands\n\nWritten by `make docs` from the program itself.\n\n")
	var write func(cmd *cobra.Command)
	write = func(cmd *cobra.Command) {
		if !cmd.IsAvailableCommand() && cmd.HasParent() {
			return
		}
		var page bytes.Buffer
		if err := doc.GenMarkdownCustom(cmd, &page, func(link string) string {
			return "#" + strings.ReplaceAll(strings.TrimSuffix(link, ".md"), "_", "-")
		}); err != nil {
			t.Fatal(err)
		}
		b.Write(bytes.TrimSpace(page.Bytes()))
		b.WriteString("\n\n")
		for _, sub := range cmd.Commands() {
			write(sub)
		}
	}
	root := newRoot(a)
	root.InitDefaultHelpCmd()
	write(root)
	return append(bytes.TrimSpace(b.Bytes()), '\n')
}
