package e2e

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestExplain runs the tests that make thousands of charts without the race detector, under which they take ten times as
// long, and has every value of an example edited on disk. With KAI_EXPLAIN_ALL=1 it is every value of all examples, which
// takes half an hour.
func TestExplain(t *testing.T) {
	t.Parallel()
	runTests(t.Context(), t, nil, "./cmd/kai", "^(TestExplainPage|TestScripts)$/^(explain)?$")
	runTests(t.Context(), t, nil, "./internal/explain", ".")
	which := "^TestEveryLeaf$/^hello$/^dev$"
	if os.Getenv("KAI_EXPLAIN_ALL") != "" {
		which = "^TestEveryLeaf$"
	}
	runTests(t.Context(), t, []string{"KAI_EXPLAIN_ALL=1"}, "./internal/explain", which)
}

// runTests runs tests of a package of the module.
func runTests(ctx context.Context, t *testing.T, env []string, pkg, which string) {
	t.Helper()
	cmd := exec.CommandContext(ctx, "go", "test", pkg, "-run", which, "-count=1", "-timeout=50m", "-v")
	cmd.Dir = root(t)
	cmd.Env = append(append(os.Environ(), "GOGC=300"), env...)
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, ".go:") {
			t.Log(strings.TrimSpace(line))
		}
	}
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%s: %v\n%s", pkg, err, out)
	}
}
