package build_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

//go:generate go test . -run TestGolden -update

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden holds the manifests of the examples to those that were reviewed:
// a change of a flavor shows its effect as a diff of these files, and of those of its
// own cases in flavors/*/tests.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"../../testdata/hello", "../../testdata/podinfo", "../../testdata/sock-shop", "../../testdata/friends", "../../testdata/routes", "testdata/external"} {
		example := filepath.Base(dir)
		w, findings := workspace.Open(os.DirFS(filepath.FromSlash(dir)))
		if findings.Err() != nil {
			t.Fatal(findings)
		}
		for _, name := range w.ContextNames() {
			t.Run(example+"-"+name, func(t *testing.T) {
				t.Parallel()
				got := manifests(t, w, name)
				golden := filepath.Join("testdata", "golden", example+"-"+name+".yaml")
				if *update {
					if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("the manifests differ from %s, first at line %d: run go test ./internal/build -run TestGolden -update and look at the diff", golden, firstDifference(got, string(want)))
				}
			})
		}
	}
}

func manifests(t *testing.T, w *workspace.Workspace, contextName string) string {
	t.Helper()
	releases, findings := build.Charts(context.Background(), w, contextName, build.Options{})
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	var b strings.Builder
	for _, r := range releases {
		result, err := build.Render(context.Background(), r, render.Options{})
		if err != nil {
			t.Fatalf("%s: %v", r.Name, err)
		}
		b.WriteString(result.Text())
	}
	return b.String()
}

func firstDifference(a, b string) int {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return i + 1
		}
	}
	return min(len(x), len(y)) + 1
}
