package explain

import (
	"os"
	"testing"

	"github.com/helm-kai/helm-kai/internal/workspace"
)

// BenchmarkField asks for one field of one service.
func BenchmarkField(b *testing.B) {
	w, findings := workspace.Open(os.DirFS("../../testdata/sock-shop"))
	if findings.Err() != nil {
		b.Fatal(findings)
	}
	for b.Loop() {
		x, findings, err := New(b.Context(), w, Options{Context: "prod", Service: "carts"})
		if err != nil || findings.Err() != nil {
			b.Fatal(err, findings)
		}
		matches, findings := x.Find("Deployment/carts:spec.replicas")
		if findings.Err() != nil {
			b.Fatal(findings)
		}
		if err := x.Trace(b.Context(), matches[0]); err != nil {
			b.Fatal(err)
		}
	}
}
