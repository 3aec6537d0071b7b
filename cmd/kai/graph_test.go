package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// graphComment says what made the file that it names, or the block below it.
	graphComment = regexp.MustCompile(`^<!-- kai (graph .*?)(?: > (\S+))? -->$`)
	// graphLine is a command typed in a block, whose output follows it.
	graphLine = regexp.MustCompile(`^\$ kai (graph .*)$`)
)

// TestGraphPage holds the outputs on docs/graph.md, and its picture, to what the
// program prints for Sock Shop.
func TestGraphPage(t *testing.T) {
	t.Parallel()
	const page = "../../docs/graph.md"
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	var made string // by the comment above a block
	inBlock, skip, count := false, false, 0
	for line := range strings.Lines(string(data)) {
		text := strings.TrimSuffix(line, "\n")
		fence := strings.HasPrefix(text, "```")
		if fence {
			inBlock, skip = !inBlock, false
		}
		if skip {
			continue
		}
		out.WriteString(line)
		switch m, n := graphComment.FindStringSubmatch(text), graphLine.FindStringSubmatch(text); {
		case fence && inBlock && made != "":
			out.WriteString(made)
			made, skip = "", true
		case inBlock && n != nil:
			out.WriteString(graphOf(t, n[1]))
			skip = true
			count++
		case m != nil && m[2] != "":
			sameFile(t, filepath.Join(filepath.Dir(page), m[2]), graphOf(t, m[1]))
			count++
		case m != nil:
			made = graphOf(t, m[1])
			count++
		}
	}
	if count < 5 {
		t.Errorf("the page has %d outputs", count)
	}
	sameFile(t, page, out.String())
}

// sameFile fails where a file is not as it should be, or writes it with -update.
func sameFile(t *testing.T, name, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != want {
		t.Errorf("%s is stale (%v): go test ./cmd/kai -run Page -update", name, err)
	}
}

func graphOf(t *testing.T, command string) string {
	t.Helper()
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, getwd: os.Getwd, as: "kai"}
	if code := a.execute(t.Context(), append(strings.Fields(command), "-w", "../../testdata/sock-shop")); code != exitDone {
		t.Fatalf("kai %s: exit code %d\n%s", command, code, errs.String())
	}
	return out.String()
}
