package build_test

import (
	"context"
	"os"
	"slices"
	"testing"

	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/release"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// TestMemory renders a release once where all is the same that it is made of, and anew where anything differs.
func TestMemory(t *testing.T) {
	t.Parallel()
	w, findings := workspace.Open(os.DirFS("../../testdata/hello"))
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	charts, findings := build.Charts(context.Background(), w, "dev", build.Options{})
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	changed := slices.Clone(charts)
	changed[0].Chart.Files = append(slices.Clone(changed[0].Chart.Files), generator.File{Path: "zz.txt", Data: []byte("more")})
	renamed := slices.Clone(charts)
	renamed[0].Name = "other"
	moved := slices.Clone(charts)
	moved[0].Namespace = "elsewhere"

	var memory build.Memory
	desire := func(releases []build.Release, o build.DesireOptions) *release.Desired {
		t.Helper()
		o.Memory = &memory
		out, findings, err := build.Desire(context.Background(), releases, o)
		if err != nil || findings.Err() != nil || len(out) != 1 {
			t.Fatal(out, findings, err)
		}
		return out[0]
	}
	first := desire(charts, build.DesireOptions{Namespace: "a"})
	if len(first.Objects) == 0 {
		t.Fatal("nothing was rendered")
	}
	if again := desire(charts, build.DesireOptions{Namespace: "a"}); again == first || again.Rendered != first.Rendered || &again.Objects[0] != &first.Objects[0] {
		t.Error("it was rendered again")
	}
	for name, other := range map[string]*release.Desired{
		"a changed chart":   desire(changed, build.DesireOptions{Namespace: "a"}),
		"another name":      desire(renamed, build.DesireOptions{Namespace: "a"}),
		"its own namespace": desire(moved, build.DesireOptions{Namespace: "a"}),
		"another namespace": desire(charts, build.DesireOptions{Namespace: "b"}),
		"another revision":  desire(charts, build.DesireOptions{Namespace: "a", Revision: func(string, string) int { return 3 }}),
		"other values":      desire(charts, build.DesireOptions{Namespace: "a", Render: render.Options{Values: map[string]any{"replicas": 4}}}),
	} {
		if other.Rendered == first.Rendered {
			t.Errorf("%s was not rendered", name)
		}
	}
}
