package validate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/helm-kai/helm-kai/internal/kubeschema"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/validate"
)

// goldens gives the manifests that the examples render to, by context.
func goldens(t testing.TB) map[string][]manifest.Object {
	t.Helper()
	files, err := filepath.Glob("../build/testdata/golden/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	all := map[string][]manifest.Object{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := manifest.Parse(string(data))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".yaml")] = objects
	}
	return all
}

// known are the errors in what the examples render to, each with why it is there.
var known = map[string]string{
	"StatefulSet/nats liveness-port":  "the friend's monitoring port is probed, and not listed",
	"StatefulSet/nats readiness-port": "likewise",
	"StatefulSet/nats startup-port":   "likewise",
}

// TestGoldens holds that what kai makes is free of errors.
func TestGoldens(t *testing.T) {
	t.Parallel()
	schemas, err := kubeschema.Load("")
	if err != nil {
		t.Fatal(err)
	}
	for name, objects := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := validate.Input{Releases: []validate.Release{{Name: name, Namespace: "default", Objects: objects}}, Schemas: schemas}
			for _, f := range validate.Check(in) {
				if f.Severity == validate.Error && known[f.Object.String()+" "+f.Rule] == "" {
					t.Errorf("%s: %s", f.Source, f)
				}
			}
		})
	}
}

// FuzzCheck: no object makes a rule fall over, whatever its shape.
func FuzzCheck(f *testing.F) {
	schemas, err := kubeschema.Load("")
	if err != nil {
		f.Fatal(err)
	}
	archive, err := txtar.ParseFile("testdata/rules.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		f.Add(string(file.Data))
	}
	f.Fuzz(func(_ *testing.T, text string) {
		if objects, err := manifest.Parse(text); err == nil {
			validate.Check(validate.Input{Releases: []validate.Release{{Name: "a", Namespace: "b", Objects: objects}}, Schemas: schemas})
		}
	})
}
