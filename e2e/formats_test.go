//go:build unix

package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/e2e/tools"
)

// TestSARIFIsValid holds what kai validate prints as SARIF against the schema of SARIF 2.1.0, which go-sarif brings along: of a
// workspace with findings of many rules, with and without a place, and ignored ones, and of one with none.
func TestSARIFIsValid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	schema, checker := filepath.Join(dir, "sarif.json"), filepath.Join(dir, "jsonschema")
	write(t, schema, sarifSchema(t))
	module := filepath.Join(root(t), "e2e", "jsonschema")
	command{dir: module, env: tools.Env(module)}.run(t, "go", "build", "-o", checker, ".")
	kai := kaiBinary(t)
	for _, c := range []struct {
		name, workspace, rules string
		findings               bool
	}{
		{"shop", filepath.Join(root(t), "testdata", "sock-shop"), "", true},
		{"ignored", filepath.Join(root(t), "testdata", "sock-shop"), ignoreAll, true},
		{"none", filepath.Join(root(t), "testdata", "hello"), "", false},
		{"wrong", wrongWorkspace(t), "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			report := filepath.Join(t.TempDir(), "report.sarif")
			args := []string{"validate", "-w", c.workspace, "-o", "sarif=" + report}
			if c.rules != "" {
				rules := filepath.Join(t.TempDir(), "rules.yaml")
				write(t, rules, c.rules)
				args = append(args, "--rules", rules)
			}
			got := command{env: []string{"HOME=" + t.TempDir()}}.try(t, kai, args...)
			text, err := os.ReadFile(report)
			if err != nil {
				t.Fatalf("%v\n%s%s", err, got.stdout, got.stderr)
			}
			if found := strings.Contains(string(text), `"ruleId"`); found != c.findings {
				t.Errorf("there are findings: %v\n%s", found, got.stdout)
			}
			if suppressed := strings.Contains(string(text), `"justification": "to be seen"`); suppressed != (c.rules != "") {
				t.Errorf("findings are suppressed: %v", suppressed)
			}
			command{stdin: text}.run(t, checker, schema)
			// The check is one: what the schema does not have is refused.
			wrong := command{stdin: []byte(strings.Replace(string(text), `"columnKind"`, `"columKind"`, 1))}
			if wrong.try(t, checker, schema).code == 0 {
				t.Error("a field that SARIF does not have passes")
			}
		})
	}
}

const ignoreAll = `ignore:
  - {rule: container-ephemeral-storage-request-and-limit, reason: to be seen}
  - {rule: container-security-context-user-group-id, reason: to be seen}
  - {rule: pod-networkpolicy, reason: to be seen}
  - {rule: run-as-non-root, reason: to be seen}
  - {rule: no-read-only-root-fs, reason: to be seen}
`

// wrongWorkspace is one with an error at a place.
func wrongWorkspace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "kai.yaml"), `apiVersion: kai/v1
name: web
images: [{name: release, registry: registry.example.com, repository: web, tag: latest}]
probes: [{name: alive, tcpSocket: {port: http}}]
routes: [{name: http, port: 80, containerPort: 8080}]
contexts:
  - {name: dev, flavor: webservice, image: release, probes: {liveness: alive, readiness: alive}, routes: [http], patches: {service: {spec: {selector: {app: other}}}}}
`)
	return dir
}

// sarifSchema gives the schema, which is a constant in Go.
func sarifSchema(t *testing.T) string {
	t.Helper()
	dir, err := tools.ModuleDir(t.Context(), "github.com/owenrumney/go-sarif/v3", "v3.3.1")
	must(t, err)
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, "pkg", "report", "v210", "sarif", "schema.go"), nil, 0)
	must(t, err)
	schema := ""
	ast.Inspect(file, func(n ast.Node) bool {
		if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING && len(text.Value) > len(schema) {
			schema, err = strconv.Unquote(text.Value)
		}
		return true
	})
	must(t, err)
	return schema
}
