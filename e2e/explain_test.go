package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestExplainEveryLeaf has the package's own test edit every value of an example workspace on disk, where the ordinary
// tests edit a few of each. With KAI_EXPLAIN_ALL=1 it is all of them, which takes half an hour.
func TestExplainEveryLeaf(t *testing.T) {
	t.Parallel()
	which := "^TestEveryLeaf$/^hello"
	if os.Getenv("KAI_EXPLAIN_ALL") != "" {
		which = "^TestEveryLeaf$"
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "./internal/explain", "-run", which, "-count=1", "-timeout=50m", "-v")
	cmd.Dir = root(t)
	cmd.Env = append(os.Environ(), "KAI_EXPLAIN_ALL=1", "GOGC=300")
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, ".go:") {
			t.Log(strings.TrimSpace(line))
		}
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
