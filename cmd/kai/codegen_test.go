package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// codegenComment says what made the block below it.
var codegenComment = regexp.MustCompile(`^<!-- kai (codegen .*) \| the type -->$`)

// configType is the type of the whole in generated code.
var configType = regexp.MustCompile(`(?ms)^(?:type|export interface) Config .*?^\}\n`)

// TestCodegenPage holds the types on docs/codegen.md to what the program writes for
// the example there.
func TestCodegenPage(t *testing.T) {
	t.Parallel()
	const page = "../../docs/codegen.md"
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, e := range docExamples(t, page) {
		for name, text := range e.files {
			writeExampleFile(t, filepath.Join(dir, filepath.FromSlash(name)), text)
		}
	}
	var out strings.Builder
	var made string // by the comment above a block
	skip, count := false, 0
	for line := range strings.Lines(string(data)) {
		m := codegenComment.FindStringSubmatch(strings.TrimSpace(line))
		fence := strings.HasPrefix(line, "```")
		switch {
		case fence && skip:
			skip = false
		case skip:
			continue
		case fence && made != "":
			line, made, skip = line+made, "", true
			count++
		case m != nil:
			made = configType.FindString(kaiSays(t, append(strings.Fields(m[1]), "-w", dir)...))
		}
		out.WriteString(line)
	}
	if count != 2 {
		t.Errorf("the page has %d types", count)
	}
	sameFile(t, page, out.String())

	local := filepath.Join(t.TempDir(), ".local")
	said := kaiSays(t, "codegen", "tokend", "-c", "dev", "--local", local, "-w", dir)
	if _, said, _ = strings.Cut(said, "\n"); !strings.Contains(string(data), said) {
		t.Errorf("the page has not what --local says:\n%s", said)
	}
}

// kaiSays gives what a command that has to succeed prints.
func kaiSays(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, getwd: os.Getwd, as: "kai"}
	if code := a.execute(t.Context(), args); code != exitDone {
		t.Fatalf("kai %s: exit code %d\n%s", strings.Join(args, " "), code, errs.String())
	}
	return out.String()
}
