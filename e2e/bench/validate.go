//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"

	"gopkg.in/yaml.v3"

	"github.com/helm-kai/helm-kai/e2e/kubeschema"
	"github.com/helm-kai/helm-kai/e2e/tools"
)

// ofValidate begins the names of the benchmarks of kai validate.
const ofValidate = "Validate"

// validations runs the benchmarks of kai validate whose names match. Nothing is started for them.
func validations(ctx context.Context, root string, which *regexp.Regexp, times int, out io.Writer) error {
	dir, err := os.MkdirTemp("", "kai-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &validateBench{root: root, dir: dir, cache: tools.CheckoutCache(root)}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	if which.MatchString("ValidateChanged") {
		heading(w, "validate")
		rivals, err := b.changed(ctx, 1000)
		if err == nil {
			err = compete(ctx, w, "ValidateChanged/services=1000", rivals, times)
		}
		if err != nil {
			return fmt.Errorf("ValidateChanged: %w", err)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if which.MatchString("ValidateDocuments") {
		if err := b.documents(ctx, times, out); err != nil {
			return fmt.Errorf("ValidateDocuments: %w", err)
		}
	}
	return nil
}

type validateBench struct {
	root, dir string
	cache     tools.Cache
}

// changed sets a run over one descriptor of n, which git finds changed, against one over all.
func (b *validateBench) changed(ctx context.Context, n int) ([]rival, error) {
	path, err := b.cache.Kai(ctx, b.root)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, "workspace")
	if err := writeWorkspace(dir, n, "info"); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"-c", "user.name=Example", "-c", "user.email=example@example.com", "commit", "-qm", "all"}} {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("git %v: %w\n%s", args, err, out)
		}
	}
	if err := writeWorkspace(dir, n, "info", serviceName(n/2)); err != nil {
		return nil, err
	}
	kai := program{path, os.Environ()}
	validate := func(args ...string) func(ctx context.Context) (spent, error) {
		return func(ctx context.Context) (spent, error) {
			_, took, err := kai.run(ctx, append([]string{"validate", "-w", dir}, args...)...)
			return took, err
		}
	}
	return []rival{{"all", validate()}, {"--changed, 1 of them", validate("--changed")}}, nil
}

// kubernetesModule is the module that has the schemas which kubeconform is given.
const kubernetesModule, kubernetesVersion = "k8s.io/kubernetes", "v1.36.3"

// documents sets all rules against kubeconform -strict with local schemas, in turns, on the same manifests: documents for each
// second of CPU time, reading included.
func (b *validateBench) documents(ctx context.Context, times int, out io.Writer) error {
	file, documents, err := b.manifests()
	if err != nil {
		return err
	}
	conform, err := b.cache.Get(ctx, tools.Kubeconform())
	if err != nil {
		return err
	}
	schemas := filepath.Join(b.dir, "schemas")
	if err := writeSchemas(ctx, schemas); err != nil {
		return err
	}
	binary := filepath.Join(b.dir, "validate.test")
	if err := build(ctx, b.root, "test", "./internal/validate", binary); err != nil {
		return err
	}
	ours := program{binary, append(os.Environ(), "MANIFESTS="+file)}
	theirs := program{conform, os.Environ()}
	var rules, conformed, ratio []float64
	for range times {
		text, _, err := ours.run(ctx, "-test.run", "^$", "-test.bench", "BenchmarkCheck", "-test.benchtime", "2s")
		if err != nil {
			return err
		}
		n, err := documentsOf(text)
		if err != nil {
			return err
		}
		_, took, err := theirs.run(ctx, "-strict", "-n", "1", "-schema-location", filepath.Join(schemas, kubeschema.Location), file)
		if err != nil {
			return err
		}
		other := float64(documents) / took.cpu.Seconds()
		rules, conformed, ratio = append(rules, n), append(conformed, other), append(ratio, n/other)
	}
	_, err = fmt.Fprintf(out, "ValidateDocuments, %d documents, for each second of CPU: all rules %.0f, kubeconform -strict %.0f, ratio %.1f; medians of %d\n",
		documents, median(rules), median(conformed), median(ratio), times)
	return err
}

var docsForSecond = regexp.MustCompile(`([0-9.e+]+) docs/cpu-s`)

func documentsOf(text []byte) (float64, error) {
	found := docsForSecond.FindSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("the benchmark has no result:\n%s", text)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// manifests writes what the examples render to, ten times, without custom resources, into a file.
func (b *validateBench) manifests() (file string, documents int, err error) {
	goldens, err := filepath.Glob(filepath.Join(b.root, "internal", "build", "testdata", "golden", "*.yaml"))
	if err != nil || len(goldens) == 0 {
		return "", 0, fmt.Errorf("there are no manifests of the examples: %w", err)
	}
	var text bytes.Buffer
	for _, golden := range goldens {
		data, err := os.ReadFile(golden)
		if err != nil {
			return "", 0, err
		}
		for _, document := range strings.Split("\n"+string(data), "\n---\n") {
			var object struct {
				APIVersion string `yaml:"apiVersion"`
			}
			if err := yaml.Unmarshal([]byte(document), &object); err != nil {
				return "", 0, err
			}
			group, _, _ := strings.Cut(object.APIVersion, "/")
			if group == "" || strings.Contains(group, "gateway.") || strings.Contains(group, "istio.") || strings.Contains(group, "external-secrets.") {
				continue
			}
			text.WriteString("---\n" + document + "\n")
			documents++
		}
	}
	const repeated = 10
	file = filepath.Join(b.dir, "manifests.yaml")
	return file, repeated * documents, os.WriteFile(file, bytes.Repeat(text.Bytes(), repeated), 0o644)
}

// writeSchemas writes Kubernetes' schemas as kubeconform reads them.
func writeSchemas(ctx context.Context, dir string) error {
	module, err := tools.ModuleDir(ctx, kubernetesModule, kubernetesVersion)
	if err != nil {
		return err
	}
	document, err := os.ReadFile(filepath.Join(module, "api", "openapi-spec", "swagger.json"))
	if err != nil {
		return err
	}
	schemas, err := kubeschema.FromOpenAPI(document)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return schemas.Write(dir)
}
