//go:build unix

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/helm-kai/helm-kai/e2e/kubeschema"
	"github.com/helm-kai/helm-kai/e2e/tools"
)

// TestCharts takes the charts of the examples, in every context, to those who will judge them: Helm itself, the schemas of
// Kubernetes, and a tool of the field that has an opinion.
func TestCharts(t *testing.T) {
	t.Parallel()
	for _, workspace := range []string{"hello", "podinfo", "sock-shop", "friends", "jobs", "routes"} {
		t.Run(workspace, func(t *testing.T) {
			t.Parallel()
			w := generate(t, workspace)
			for _, context := range w.contexts(t) {
				t.Run(context, func(t *testing.T) {
					t.Parallel()
					w.testContext(t, context)
				})
			}
		})
	}
}

// workspace is a folder with descriptors, and where its charts are.
type workspace struct {
	command
	out string
}

func generate(t *testing.T, name string) workspace {
	t.Helper()
	w := workspace{command{dir: filepath.Join(root(t), "testdata", name)}, t.TempDir()}
	w.run(t, kaiBinary(t), "generate", "--all-contexts", "-o", w.out)
	return w
}

func (w workspace) contexts(t *testing.T) []string {
	t.Helper()
	folders := names(t, filepath.Join(w.out, "*"))
	if len(folders) == 0 {
		t.Fatalf("kai generate --all-contexts made nothing for %s", w.dir)
	}
	return folders
}

// names gives the last elements of the paths that a pattern matches, without hidden ones.
func names(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	must(t, err)
	var names []string
	for _, path := range paths {
		if name := filepath.Base(path); !strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	return names
}

func (w workspace) testContext(t *testing.T, context string) {
	namespace := w.namespace(t, context)
	var manifests bytes.Buffer
	for _, service := range names(t, filepath.Join(w.out, context, "*")) {
		c := chart{w.command, context, service, filepath.Join(w.out, context, service), namespace}
		c.lint(t)
		for _, values := range c.valueFiles(t) {
			manifests.WriteString(c.render(t, values))
		}
	}
	conforms(t, manifests.Bytes())
	scores(t, manifests.Bytes())
}

// namespace is what the workspace file says about a context, or one that it extends; Helm's own default without it.
func (w workspace) namespace(t *testing.T, context string) string {
	t.Helper()
	var file struct {
		Contexts []struct{ Name, Namespace, Extends string }
	}
	data, err := os.ReadFile(filepath.Join(w.dir, "kai-workspace.yaml"))
	if os.IsNotExist(err) {
		return "default"
	}
	must(t, err)
	must(t, yaml.Unmarshal(data, &file))
	for name := context; name != ""; {
		next := ""
		for _, c := range file.Contexts {
			if c.Name == name && c.Namespace != "" {
				return c.Namespace
			}
			if c.Name == name {
				next = c.Extends
			}
		}
		name = next
	}
	return "default"
}

// chart is one generated chart.
type chart struct {
	command
	context, service, dir, namespace string
}

// lint is helm lint --strict with both Helms.
func (c chart) lint(t *testing.T) {
	t.Helper()
	for _, helm := range []tools.Tool{helm322, helm43} {
		got := c.try(t, tool(t, helm), "lint", "--strict", "-n", c.namespace, c.dir)
		if got.code != 0 {
			t.Errorf("helm lint --strict, %s, %s in %s:\n%s%s", helm.Version, c.service, c.context, got.stdout, got.stderr)
		}
	}
}

// valueFiles are the values the chart brings for its own tests. None at all is one case too.
func (c chart) valueFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(c.dir, "ci", "*-values.yaml"))
	must(t, err)
	if len(files) == 0 {
		return []string{""}
	}
	return files
}

// render holds that kai's manifests are, byte for byte, those of both Helms, and gives them.
func (c chart) render(t *testing.T, values string) string {
	t.Helper()
	var with []string
	if values != "" {
		with = []string{"--values", values}
	}
	kai := c.try(t, kaiBinary(t), append([]string{"template", c.service, "-c", c.context}, with...)...)
	if kai.code != 0 {
		t.Errorf("kai template %s -c %s %v: exit code %d\n%s", c.service, c.context, with, kai.code, kai.stderr)
	}
	for _, helm := range []tools.Tool{helm322, helm43} {
		got := c.try(t, tool(t, helm), append([]string{"template", c.service, c.dir, "-n", c.namespace}, with...)...)
		if got.code != 0 {
			t.Errorf("helm template, %s, %s in %s %v:\n%s", helm.Version, c.service, c.context, with, got.stderr)
			continue
		}
		if helm == helm43 {
			// Helm 4 writes an empty line between objects of one template; Helm 3 and kai do not.
			got.stdout = bytes.ReplaceAll(got.stdout, []byte("\n\n---\n# Source: "), []byte("\n---\n# Source: "))
		}
		if !bytes.Equal(got.stdout, kai.stdout) {
			t.Errorf("%s in %s %v: kai and Helm %s render different manifests, first at %s", c.service, c.context, with, helm.Version, difference(kai.stdout, got.stdout))
		}
	}
	return string(kai.stdout)
}

// difference shows the first line in which two texts differ.
func difference(kai, helm []byte) string {
	ours, theirs := strings.Split(string(kai), "\n"), strings.Split(string(helm), "\n")
	for i := 0; i < len(ours) || i < len(theirs); i++ {
		if a, b := line(ours, i), line(theirs, i); a != b {
			return fmt.Sprintf("line %d:\n  kai:  %s\n  Helm: %s", i+1, a, b)
		}
	}
	return "no line"
}

func line(lines []string, i int) string {
	if i < len(lines) {
		return fmt.Sprintf("%q", lines[i])
	}
	return "(end)"
}

// schemas writes the JSON Schemas of all APIs the charts use into a folder.
func schemas(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	kubernetes, err := tools.ModuleDir(t.Context(), kubernetesModule, kubernetesVersion)
	must(t, err)
	document, err := os.ReadFile(filepath.Join(kubernetes, "api", "openapi-spec", "swagger.json"))
	must(t, err)
	builtIn, err := kubeschema.FromOpenAPI(document)
	must(t, err)
	must(t, builtIn.Write(dir))

	for _, path := range routeDefinitions(t, gatewayVersion) {
		data, err := os.ReadFile(path)
		must(t, err)
		custom, err := kubeschema.FromCRD(data)
		must(t, err)
		must(t, custom.Write(dir))
	}
	return dir
}

// routeDefinitions are the files with the definitions of Gateway API and Istio. What an older Gateway API does not have comes
// from the newest.
func routeDefinitions(t *testing.T, gatewayVersion string) []string {
	t.Helper()
	gateway, err := tools.ModuleDir(t.Context(), gatewayModule, gatewayVersion)
	must(t, err)
	const standard = "config/crd/standard"
	files, err := filepath.Glob(filepath.Join(gateway, filepath.FromSlash(standard), "gateway.networking.k8s.io_*s.yaml"))
	must(t, err)
	if gatewayVersion != gatewayNewest {
		newest, err := tools.ModuleDir(t.Context(), gatewayModule, gatewayNewest)
		must(t, err)
		for _, kind := range []string{"tcproutes", "tlsroutes"} {
			files = append(files, filepath.Join(newest, filepath.FromSlash(standard), "gateway.networking.k8s.io_"+kind+".yaml"))
		}
	}
	istio, err := tools.ModuleDir(t.Context(), istioModule, istioVersion)
	must(t, err)
	return append(files, filepath.Join(istio, "kubernetes", "customresourcedefinitions.gen.yaml"))
}

func kubeconform(t *testing.T, manifests []byte) result {
	t.Helper()
	c := command{stdin: manifests}
	return c.try(t, tool(t, tools.Kubeconform()), "-strict", "-summary", "-schema-location", filepath.Join(schemas(t), kubeschema.Location), "-")
}

func conforms(t *testing.T, manifests []byte) {
	t.Helper()
	got := kubeconform(t, manifests)
	if got.code != 0 {
		t.Errorf("kubeconform -strict:\n%s%s", got.stdout, got.stderr)
	}
	t.Logf("kubeconform: %s", bytes.TrimSpace(got.stdout))
}

// TestSchemasRefuse is the other half of conforms: the schemas that charts are clean against do refuse what is wrong.
func TestSchemasRefuse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ manifest, because string }{
		"unknown field": {`{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {selector: {}, replica: 1,
			template: {spec: {containers: [{name: a}]}}}}`, "replica"},
		"wrong type":    {`{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: "80"}]}}`, "port"},
		"missing field": {`{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{image: a}]}}`, "name"},
		"unknown field of a custom resource": {`{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: a},
			spec: {hosts: [a.example.com]}}`, "hosts"},
		"unknown version": {`{apiVersion: networking.k8s.io/v1beta1, kind: Ingress, metadata: {name: a}}`, "could not find schema"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := kubeconform(t, []byte(strings.ReplaceAll(test.manifest, "\t", "")))
			if got.code == 0 {
				t.Errorf("accepted: %s", test.manifest)
			}
			contains(t, "kubeconform's reason", string(got.stdout), test.because)
		})
	}
}

// scores holds that kube-score finds nothing critical.
func scores(t *testing.T, manifests []byte) {
	t.Helper()
	const critical = 1
	c := command{stdin: manifests}
	got := c.try(t, tool(t, tools.KubeScore()), "score", "--output-format", "json", "--kubernetes-version", "v1.36", "-")
	var objects []struct {
		Name   string `json:"object_name"`
		Checks []struct {
			Check    struct{ ID string }
			Grade    int
			Skipped  bool
			Comments []struct{ Path, Summary string }
		}
	}
	if err := json.Unmarshal(got.stdout, &objects); err != nil {
		t.Fatalf("kube-score: %v\n%s%s", err, got.stdout, got.stderr)
	}
	for _, object := range objects {
		for _, check := range object.Checks {
			if check.Grade == critical && !check.Skipped {
				t.Errorf("kube-score: %s: %s: %v", object.Name, check.Check.ID, check.Comments)
			}
		}
	}
	t.Logf("kube-score: %d objects", len(objects))
}
