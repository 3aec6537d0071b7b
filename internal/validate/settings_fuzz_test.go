package validate_test

import (
	"testing"

	"github.com/helm-kai/helm-kai/internal/kubeschema"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/validate"
)

// FuzzReadSettings: whatever stands in the file of settings, or in the annotation
// of an object, it ends in settings or in findings with a place.
func FuzzReadSettings(f *testing.F) {
	schemas, err := kubeschema.Load("")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("rules: {latest-tag: error, pod-networkpolicy: off}\nignore:\n  - {rule: no-anti-affinity, object: Deployment/web, reason: one replica is enough}\n"), "latest-tag: built on every commit")
	f.Add([]byte("rules: [a]\nignore: {b: c}\nmore: 1\n"), ":\n::\n")
	f.Add([]byte("ignore:\n  - {rule: latest-tag, object: '"+"*a*a*a*a*a*a*a*b"+"', reason: x}\n"), "x")
	f.Fuzz(func(t *testing.T, data []byte, annotation string) {
		settings, findings := validate.ReadSettings("validate.yaml", data)
		for _, one := range findings {
			if one.Origin.File == "" || one.Message == "" {
				t.Errorf("a finding without a place or a message: %+v", one)
			}
		}
		object := manifest.Object{
			Ref: manifest.Ref{APIVersion: "apps/v1", Kind: "Deployment", Name: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
			Fields: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{
				"name": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "annotations": map[string]any{validate.Annotation: annotation},
			}},
		}
		in := validate.Input{Releases: []validate.Release{{Name: "a", Namespace: "b", Objects: []manifest.Object{object}}}, Schemas: schemas, Settings: settings}
		validate.Check(in)
	})
}
