// Package rendertest holds renderings against those of a helm binary. It is for
// tests alone.
package rendertest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/render"
)

// CompareWithHelm fails the test where the binary's `helm template` prints
// other bytes for a chart than render does. Helm 4 leaves white space at the
// end of documents, which Helm 3 takes off; that alone may differ.
func CompareWithHelm(t testing.TB, helm string, c generator.Chart, opts render.Options) {
	t.Helper()
	loaded, err := render.Load(c)
	if err != nil {
		t.Fatal(err)
	}
	result, err := loaded.Render(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	want, got := Template(t, helm, c, opts), result.Text()
	if Major(t, helm) > 3 {
		want, got = trimmed(want), trimmed(got)
	}
	Same(t, want, got)
}

// Major gives the first number of the binary's version.
func Major(t testing.TB, helm string) int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), helm, "version", "--template", "{{.Version}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	number, _, _ := strings.Cut(strings.TrimPrefix(string(out), "v"), ".")
	major, err := strconv.Atoi(number)
	if err != nil {
		t.Fatalf("%s is no version of Helm", out)
	}
	return major
}

// trimmed takes the white space off the end of every document.
func trimmed(text string) string {
	documents := strings.Split(text, "---\n# Source: ")
	for i, d := range documents {
		documents[i] = strings.TrimSpace(d)
	}
	return strings.Join(documents, "\n---\n# Source: ")
}

// Template gives what the binary's `helm template` prints for a chart.
func Template(t testing.TB, helm string, c generator.Chart, opts render.Options) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "chart")
	Write(t, dir, c)
	values := filepath.Join(t.TempDir(), "values.json")
	data, err := json.Marshal(opts.Values)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(values, data, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"template", or(opts.ReleaseName, render.DefaultReleaseName), dir, "--values", values,
		"--namespace", or(opts.Namespace, render.DefaultNamespace),
		"--kube-version", or(opts.KubeVersion, render.DefaultKubeVersion),
	}
	for _, v := range opts.APIVersions {
		args = append(args, "--api-versions", v)
	}
	for flag, on := range map[string]bool{
		"--is-upgrade": opts.IsUpgrade, "--include-crds": opts.IncludeCRDs, "--no-hooks": opts.NoHooks,
	} {
		if on {
			args = append(args, flag)
		}
	}
	command := exec.CommandContext(t.Context(), helm, args...)
	home := t.TempDir()
	command.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var out, messages bytes.Buffer
	command.Stdout, command.Stderr = &out, &messages
	if err := command.Run(); err != nil {
		t.Fatalf("helm template: %v\n%s", err, messages.String())
	}
	return out.String()
}

// Write writes a chart's files into a folder.
func Write(t testing.TB, dir string, c generator.Chart) {
	t.Helper()
	for _, f := range c.Files {
		name := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Same fails the test where two texts differ, and shows the first line that
// does.
func Same(t testing.TB, want, got string) {
	t.Helper()
	if want == got {
		return
	}
	wanted, given := strings.SplitAfter(want, "\n"), strings.SplitAfter(got, "\n")
	for i := range max(len(wanted), len(given)) {
		w, g := lineOf(wanted, i), lineOf(given, i)
		if w != g {
			at := max(0, common(w, g)-40)
			t.Fatalf("line %d differs from byte %d on\nwant %.200q\ngot  %.200q", i+1, common(w, g), w[at:], g[at:])
		}
	}
}

// common is how many bytes two texts begin with alike.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func lineOf(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
