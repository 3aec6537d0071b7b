package kai_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestHints: whoever adds an error says the way out of it. It looks at every call that
// makes a finding: Add and fail, whose arguments are the code, the place, the path, the
// hint and the message.
func TestHints(t *testing.T) {
	t.Parallel()
	// Nobody but us can do something about these.
	without := map[string]bool{`"internal"`: true, `"cancelled"`: true}
	calls := 0
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (file != "." && strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "e2e" || file == filepath.Join("internal", "importer")):
			return fs.SkipDir
		case !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 5 {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			code, isText := call.Args[0].(*ast.BasicLit)
			if !ok || !isText || method.Sel.Name != "Add" && method.Sel.Name != "fail" {
				return true
			}
			calls++
			if hint, ok := call.Args[3].(*ast.BasicLit); ok && hint.Value == `""` && !without[code.Value] {
				t.Errorf("%s: the finding %s has no hint", set.Position(call.Pos()), code.Value)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if calls < 300 {
		t.Errorf("there are findings at %d places only: does the test still find them?", calls)
	}
}
