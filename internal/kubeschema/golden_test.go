package kubeschema_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/helm-kai/helm-kai/internal/kubeschema"
	"github.com/helm-kai/helm-kai/internal/manifest"
)

// TestGoldens holds that nothing is said of the manifests that the examples render
// to, which API servers take, in any minor.
func TestGoldens(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../build/testdata/golden/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	for _, minor := range kubeschema.Minors() {
		t.Run(minor, func(t *testing.T) {
			t.Parallel()
			schemas, err := kubeschema.Load(minor)
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				objects, err := manifest.Parse(string(text))
				if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				for _, o := range objects {
					if _, builtIn := schemas.Kind(o.Ref.APIVersion, o.Ref.Kind); !builtIn {
						continue
					}
					for _, problem := range schemas.Validate(o.Fields) {
						t.Errorf("%s: %s: %s: %s", file, o.Ref, problem.Code, problem)
					}
				}
			}
		})
	}
}
