package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/flavors"
	"github.com/helm-kai/helm-kai/internal/descriptor"
)

// TestLibraryFlavors runs the cases of the library's own flavors, as their authors do
// with kai flavors test; -update writes what comes out.
func TestLibraryFlavors(t *testing.T) {
	t.Parallel()
	args := []string{"flavors", "test", "../../flavors"}
	if *update {
		args = append(args, "--update")
	}
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, getwd: os.Getwd, as: "kai"}
	if code := a.execute(t.Context(), args); code != exitDone {
		t.Fatalf("exit code %d: run go test ./cmd/kai -run TestLibraryFlavors -update and look at the diff\n%s%s", code, errs.String(), out.String())
	}
}

// TestLibraryIsWhole: the binary has every file of the library's flavors but their
// tests, and each flavor has tests.
func TestLibraryIsWhole(t *testing.T) {
	t.Parallel()
	disk := os.DirFS("../../flavors")
	err := fs.WalkDir(disk, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == "embed.go" {
			return err
		}
		_, rest, _ := strings.Cut(name, "/")
		_, missing := fs.Stat(flavors.FS, name)
		if test := strings.HasPrefix(rest, descriptor.FlavorTests+"/"); test != errors.Is(missing, fs.ErrNotExist) {
			t.Errorf("%s: a test: %v; in the binary: %v", name, test, missing)
		}
		if rest == descriptor.FlavorFile {
			if tests, _ := fs.Glob(disk, path.Join(path.Dir(name), descriptor.FlavorTests, "*")); len(tests) == 0 {
				t.Errorf("%s has no test cases", path.Dir(name))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
