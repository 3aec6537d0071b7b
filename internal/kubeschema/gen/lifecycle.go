package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/kubeschema"
)

// lifecycles are the lives of APIs by group, version and kind.
type lifecycles map[string]kubeschema.Life

// read adds what the types below a folder say of themselves.
func (l lifecycles) read(dir string) error {
	return filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "zz_generated.prerelease-lifecycle.go" && d.Name() != "lifecycle.go" {
			return err
		}
		group, err := groupOf(filepath.Dir(file))
		if err != nil {
			return err
		}
		return l.readFile(file, group)
	})
}

// groupOf gives the API group that a package registers its types in.
func groupOf(dir string) (string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, "register.go"), nil, 0)
	if err != nil {
		return "", err
	}
	group, found := "", false
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && spec.Names[0].Name == "GroupName" && len(spec.Values) == 1 {
			group, found = unquote(spec.Values[0]), true
		}
		return true
	})
	if !found {
		return "", fmt.Errorf("%s: register.go names no group", dir)
	}
	return group, nil
}

func (l lifecycles) readFile(file, group string) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		return err
	}
	version := filepath.Base(filepath.Dir(file))
	lives := map[string]*kubeschema.Life{}
	for _, decl := range parsed.Decls {
		method, ok := decl.(*ast.FuncDecl)
		if !ok || method.Recv == nil {
			continue
		}
		kind := method.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name
		if strings.HasSuffix(kind, "List") {
			continue
		}
		if lives[kind] == nil {
			life := l[group+"/"+version+"/"+kind] // what the other file said
			life.Group, life.Version, life.Kind = group, version, kind
			lives[kind] = &life
		}
		results := method.Body.List[0].(*ast.ReturnStmt).Results
		switch strings.TrimPrefix(method.Name.Name, "APILifecycle") {
		case "Introduced":
			lives[kind].Introduced = minor(results)
		case "Deprecated":
			lives[kind].Deprecated = minor(results)
		case "Removed":
			lives[kind].Removed = minor(results)
		case "Replacement":
			lives[kind].Replacement = replacement(results[0])
		}
	}
	for kind, life := range lives {
		l[group+"/"+version+"/"+kind] = *life
	}
	return nil
}

// minor is what `return 1, 22` says, or "" for what has not come.
func minor(results []ast.Expr) string {
	major, minor := results[0].(*ast.BasicLit).Value, results[1].(*ast.BasicLit).Value
	if major == "0" {
		return ""
	}
	return fmt.Sprintf("%s.%s", major, minor)
}

// replacement is apiVersion and kind of a literal schema.GroupVersionKind.
func replacement(value ast.Expr) string {
	parts := map[string]string{}
	for _, element := range elements(value) {
		pair := element.(*ast.KeyValueExpr)
		parts[pair.Key.(*ast.Ident).Name] = unquote(pair.Value)
	}
	return strings.TrimPrefix(parts["Group"]+"/"+parts["Version"], "/") + " " + parts["Kind"]
}

// list gives the lives of what has an end, in order.
func (l lifecycles) list() []kubeschema.Life {
	var lives []kubeschema.Life
	for _, life := range l {
		if life.Deprecated != "" || life.Removed != "" {
			lives = append(lives, life)
		}
	}
	slices.SortFunc(lives, func(a, b kubeschema.Life) int {
		return strings.Compare(a.Group+"/"+a.Version+"/"+a.Kind, b.Group+"/"+b.Version+"/"+b.Kind)
	})
	return lives
}
