//go:build unix

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestExplain runs the tests that make thousands of charts without the race detector, under which they take ten times as
// long, and has every value of an example edited on disk. With KAI_EXPLAIN_ALL=1 it is every value of all examples, which
// takes half an hour. Along with them go those of kai's command that take as long for another reason: a template that does
// not end, and a generate that is killed hundreds of times.
func TestExplain(t *testing.T) {
	t.Parallel()
	runTests(t, nil, "cmd/kai", "^(TestExplainPage|TestGenerateKilled|TestScripts)$/^(explain|bad_template_loop|workers)?$",
		"TestExplainPage", "TestGenerateKilled", "TestScripts/explain", "TestScripts/bad_template_loop")
	runTests(t, nil, "internal/explain", ".", "TestEveryLeaf/sock-shop/dev")
	which := "^TestEveryLeaf$/^hello$/^dev$"
	if os.Getenv("KAI_EXPLAIN_ALL") != "" {
		which = "^TestEveryLeaf$"
	}
	runTests(t, []string{"KAI_EXPLAIN_ALL=1"}, "internal/explain", which, "TestEveryLeaf/hello/dev")
}

// runTests runs tests of a package of the module; those that are named must have passed.
func runTests(t *testing.T, env []string, pkg, which string, passed ...string) {
	t.Helper()
	binary, err := cache(t).Tests(t.Context(), root(t), pkg)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), binary, "-test.run="+which, "-test.timeout=50m", "-test.v")
	cmd.Dir = filepath.Join(root(t), filepath.FromSlash(pkg))
	cmd.Env = append(append(os.Environ(), "GOGC=300"), env...)
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, ".go:") {
			t.Log(strings.TrimSpace(line))
		}
	}
	if err != nil {
		t.Errorf("%s: %v\n%s", pkg, err, out)
	}
	for _, test := range passed {
		if !strings.Contains(string(out), "--- PASS: "+test+" ") {
			t.Errorf("%s: %s has not passed", pkg, test)
		}
	}
}
