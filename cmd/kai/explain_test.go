package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

// explainLine is a command typed in a block, whose output follows it.
var explainLine = regexp.MustCompile(`^\$ kai (explain .*)$`)

// TestExplainPage holds the outputs on docs/explain.md to what the program prints
// for Sock Shop.
func TestExplainPage(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("thousands of charts: e2e runs it without the race detector")
	}
	const page = "../../docs/explain.md"
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	skip, count := false, 0
	for line := range strings.Lines(string(data)) {
		text := strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(text, "```") {
			skip = false
		}
		if skip {
			continue
		}
		out.WriteString(line)
		if m := explainLine.FindStringSubmatch(text); m != nil {
			out.WriteString(explainOf(t, m[1]))
			skip = true
			count++
		}
	}
	if count < 6 {
		t.Errorf("the page has %d outputs", count)
	}
	sameFile(t, page, out.String())
}

func explainOf(t *testing.T, command string) string {
	t.Helper()
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, getwd: os.Getwd, as: "kai"}
	// The page quotes what a shell would take for a pattern.
	args := strings.Fields(strings.ReplaceAll(command, "'", ""))
	if code := a.execute(t.Context(), append(args, "-w", "../../testdata/sock-shop")); code != exitDone {
		t.Fatalf("kai %s: exit code %d\n%s", command, code, errs.String())
	}
	return out.String()
}
