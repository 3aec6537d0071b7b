//go:build unix

package validate_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/kubeschema"
	"github.com/helm-kai/helm-kai/internal/validate"
)

// BenchmarkCheck reads manifests and checks them with all rules, as a process does
// that starts with nothing: $MANIFESTS, or those of the examples. The end-to-end
// tests set it against kubeconform on the same file.
func BenchmarkCheck(b *testing.B) {
	text := manifests(b)
	n := 0
	before := cpu(b)
	for b.Loop() {
		schemas, err := kubeschema.Load("1.36")
		if err != nil {
			b.Fatal(err)
		}
		objects := parse(b, text)
		n += len(objects)
		validate.Check(validate.Input{Releases: []validate.Release{{Name: "a", Namespace: "default", Objects: objects}}, Schemas: schemas})
	}
	b.ReportMetric(float64(n)/(cpu(b)-before).Seconds(), "docs/cpu-s")
}

func manifests(b *testing.B) string {
	b.Helper()
	if file := os.Getenv("MANIFESTS"); file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		return string(data)
	}
	data, err := os.ReadFile("../build/testdata/golden/sock-shop-prod.yaml")
	if err != nil {
		b.Fatal(err)
	}
	return strings.Repeat(string(data)+"\n", 10)
}

// cpu is the time that this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
