package main

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// readTree gives what a folder holds: the modes of folders, and the modes and
// contents of all else, by path.
func readTree(root string) (map[string]string, error) {
	tree := map[string]string{}
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		text := info.Mode().String()
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			text += "\n" + string(data)
		}
		tree[filepath.ToSlash(rel)] = text
		return nil
	})
	return tree, err
}

// difference says in which paths two trees differ, or nothing.
func difference(a, b map[string]string) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if text, ok := b[name]; !ok {
			lines = append(lines, "only in the first: "+name)
		} else if text != a[name] {
			lines = append(lines, "differs: "+name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if _, ok := a[name]; !ok {
			lines = append(lines, "only in the second: "+name)
		}
	}
	return strings.Join(lines, "\n")
}

// sameTree compares folders byte by byte: sametree FOLDER FOLDER….
func sameTree(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: sametree FOLDER FOLDER…")
	}
	first, err := readTree(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, name := range args[1:] {
		other, err := readTree(ts.MkAbs(name))
		ts.Check(err)
		switch d := difference(first, other); {
		case neg && d == "":
			ts.Fatalf("%s and %s are the same", args[0], name)
		case !neg && d != "":
			ts.Fatalf("%s and %s are not the same:\n%s", args[0], name, d)
		}
	}
}

// edit adds a line to a file, as a user's hand would: edit FILE.
func edit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: edit FILE")
	}
	text := ts.ReadFile(args[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), fmt.Append(nil, text, "# edited by hand\n"), 0o644))
}

// copyTree copies a folder: copytree FROM TO.
func copyTree(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: copytree FROM TO")
	}
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(ts.MkAbs(args[0]))))
}
