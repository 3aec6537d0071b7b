//go:build unix

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/e2e/tools"
)

// TestPrinters runs the tests of the folder printers, a module of its own: what testify and go-cmp show of secrets.
func TestPrinters(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(root(t), "e2e", "printers")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", ".")
	cmd.Dir, cmd.Env = dir, tools.Env(dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestTestify") || !strings.Contains(string(out), "--- PASS: TestCmp") {
		t.Fatalf("%v\n%s", err, out)
	}
}
