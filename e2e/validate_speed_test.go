//go:build unix

package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/helm-kai/helm-kai/e2e/kubeschema"
	"github.com/helm-kai/helm-kai/e2e/tools"
)

// TestValidateSpeed sets all rules of internal/validate against kubeconform -strict with local schemas, in turns, on the same
// manifests: documents for each second of CPU time, reading included.
func TestValidateSpeed(t *testing.T) {
	file, documents := builtInManifests(t)
	location := filepath.Join(schemas(t), kubeschema.Location)
	conform := tool(t, tools.Kubeconform())
	var ours, theirs []float64
	for range 3 {
		ours = append(ours, checkSpeed(t, file))
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), conform, "-strict", "-n", "1", "-schema-location", location, file)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("kubeconform: %v\n%s", err, out)
		}
		theirs = append(theirs, float64(documents)/(cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()).Seconds())
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	t.Logf("%d documents; documents for each second of CPU: validate, all rules %.0f; kubeconform -strict %.0f; median of 3", documents, ours[1], theirs[1])
	if ours[1] < theirs[1] {
		t.Error("validate is slower")
	}
}

// builtInManifests writes what the examples render to, ten times, without custom resources, into a file.
func builtInManifests(t *testing.T) (file string, documents int) {
	t.Helper()
	goldens, err := filepath.Glob(filepath.Join(root(t), "internal", "build", "testdata", "golden", "*.yaml"))
	must(t, err)
	var text bytes.Buffer
	for _, golden := range goldens {
		data, err := os.ReadFile(golden)
		must(t, err)
		for _, document := range strings.Split("\n"+string(data), "\n---\n") {
			var object struct {
				APIVersion string `yaml:"apiVersion"`
			}
			if err := yaml.NewDecoder(strings.NewReader(document)).Decode(&object); errors.Is(err, io.EOF) {
				continue
			} else {
				must(t, err)
			}
			if group, _, _ := strings.Cut(object.APIVersion, "/"); strings.Contains(group, "gateway.") || strings.Contains(group, "istio.") || strings.Contains(group, "external-secrets.") {
				continue
			}
			text.WriteString("---\n" + document + "\n")
			documents++
		}
	}
	const times = 10
	file = filepath.Join(t.TempDir(), "manifests.yaml")
	must(t, os.WriteFile(file, bytes.Repeat(text.Bytes(), times), 0o644))
	return file, times * documents
}

var speed = regexp.MustCompile(`([0-9.e+]+) docs/cpu-s`)

func checkSpeed(t *testing.T, file string) float64 {
	t.Helper()
	begin := time.Now()
	c := command{dir: root(t), env: append(os.Environ(), "MANIFESTS="+file)}
	out := c.run(t, "go", "test", "-run", "^$", "-bench", "BenchmarkCheck", "-benchtime", "2s", "./internal/validate")
	found := speed.FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("no result after %v:\n%s", time.Since(begin), out)
	}
	n, err := strconv.ParseFloat(found[1], 64)
	must(t, err)
	return n
}
