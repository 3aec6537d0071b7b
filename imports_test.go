package kai_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/helm-kai/helm-kai"

// mayImport is the table of docs/design/0001-layout.md: which of our packages a
// package may import. A name that ends in /* stands for all below it.
var mayImport = map[string][]string{
	"schemas":             {},
	"flavors":             {},
	"friends":             {},
	"internal/source":     {},
	"internal/descriptor": {"internal/source", "schemas"},
	"internal/workspace": {
		"internal/descriptor", "internal/lock", "internal/remote", "internal/source", "schemas", "flavors", "friends",
	},
	"internal/lock":         {"internal/remote", "internal/source"},
	"generator":             {"internal/descriptor", "internal/source", "schemas"},
	"internal/format":       {"internal/source", "schemas"},
	"internal/chartdir":     {"generator", "internal/source"},
	"internal/render":       {"generator", "internal/source"},
	"internal/render/*":     {"generator", "internal/render"},
	"internal/git":          {},
	"internal/remote":       {"internal/git"},
	"internal/run":          {"internal/secrets"},
	"internal/secrets":      {"internal/source"},
	"internal/secrets/*":    {"internal/secrets", "internal/source"},
	"internal/notify":       {"internal/secrets", "internal/source"},
	"internal/manifest":     {"internal/source"},
	"internal/graph":        {"internal/manifest"},
	"internal/kubeschema":   {"internal/source"},
	"internal/kubeschema/*": {"internal/kubeschema", "internal/manifest"},
	"internal/validate":     {"internal/kubeschema", "internal/manifest", "internal/source"},
	"internal/release":      {"internal/manifest", "internal/render", "internal/secrets", "internal/source"},
	"internal/report":       {"internal/manifest", "internal/release", "internal/source", "internal/validate"},
	"internal/build/*":      {},
	"internal/build": {
		"generator", "internal/workspace", "internal/descriptor", "internal/render", "internal/source",
		"internal/manifest", "internal/release", "internal/secrets", "internal/secrets/refs", "internal/store",
	},
	"internal/remake": {"internal/build", "internal/chartdir", "internal/source", "internal/workspace"},
	"internal/explain": {
		"internal/build", "internal/workspace", "internal/descriptor", "internal/render", "internal/manifest", "internal/source",
		"schemas", "flavors", "friends",
	},
	"internal/codegen": {"internal/manifest", "internal/source"},
	"internal/importer": {
		"internal/build", "internal/descriptor", "internal/manifest", "internal/render", "internal/source", "internal/workspace",
	},
	"internal/flavortest": {
		"internal/build", "internal/descriptor", "internal/kubeschema", "internal/manifest", "internal/render", "internal/source",
		"internal/validate", "internal/workspace",
	},
	"internal/store": {
		"internal/secrets", "internal/secrets/file", "internal/secrets/kubernetes", "internal/secrets/sql", "internal/secrets/vault",
	},
	"internal/runstore": {
		"internal/run", "internal/secrets", "internal/secrets/kubernetes", "internal/secrets/sql", "internal/secrets/vault", "internal/store",
	},
	"cmd/*": {"*"},
}

// helm says where Helm's SDK may be used: replacing it must touch these alone.
var helm = []string{"internal/render", "internal/render/rendertest", "internal/release"}

// TestImports reads the files, and does not ask `go list`, whose answer the test
// cache keeps after a forbidden import has come in.
func TestImports(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(file)
		if d.IsDir() && (name == "e2e" || strings.HasPrefix(d.Name(), ".") && name != "." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Dir(name)
		row := rowOf(pkg)
		if row == "" {
			t.Errorf("%s: the package %s is not in the table", name, pkg)
			return nil
		}
		seen[row] = true
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if strings.HasPrefix(imported, "helm.sh/helm/") && !slices.Contains(helm, pkg) {
				t.Errorf("%s imports %s, which only %s may", name, imported, strings.Join(helm, ", "))
			}
			ours, ok := strings.CutPrefix(imported, module+"/")
			if ok && !slices.Contains(mayImport[row], ours) && !slices.Contains(mayImport[row], "*") {
				t.Errorf("%s imports %s; %s may import %v", name, ours, pkg, mayImport[row])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for row := range mayImport {
		if !seen[row] {
			t.Errorf("the table names %s, which has no files", row)
		}
	}
}

func rowOf(pkg string) string {
	if _, ok := mayImport[pkg]; ok {
		return pkg
	}
	for row := range mayImport {
		if parent, ok := strings.CutSuffix(row, "/*"); ok && strings.HasPrefix(pkg, parent+"/") {
			return row
		}
	}
	return ""
}

// TestRunnerIsSmall: kai-run stands in every container that uses it, so nothing
// that it is made of may bring Helm or a client of Kubernetes along.
func TestRunnerIsSmall(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	var visit func(pkg string)
	visit = func(pkg string) {
		if seen[pkg] {
			return
		}
		seen[pkg] = true
		files, err := filepath.Glob(filepath.Join(filepath.FromSlash(pkg), "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no files: %v", pkg, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range parsed.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				for _, large := range []string{"helm.sh/", "k8s.io/", "sigs.k8s.io/", "github.com/spf13/cobra"} {
					if strings.HasPrefix(imported, large) {
						t.Errorf("%s imports %s, and is part of kai-run", file, imported)
					}
				}
				if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
					visit(ours)
				}
			}
		}
	}
	visit("cmd/kai-run")
	for _, wanted := range []string{"internal/run", "internal/store", "internal/secrets/vault"} {
		if !seen[wanted] {
			t.Errorf("%s is not found", wanted)
		}
	}
}
