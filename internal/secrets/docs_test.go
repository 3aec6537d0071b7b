package secrets

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// shown are the tables that say which test shows what: a page, and the heading
// below which the table stands.
var shown = map[string]string{
	"docs/secrets.md":             "## What was wrong before, and what shows that it is gone",
	"docs/design/0005-secrets.md": "## Faults",
}

var (
	// ofPackage is what a cell says of where the tests behind it are.
	ofPackage  = regexp.MustCompile("`([a-z0-9]+)` Test")
	testName   = regexp.MustCompile(`\bTest\w+`)
	scriptName = regexp.MustCompile("`(\\w+\\.txtar)`")
)

// TestShownTestsAreThere holds the tables of faults to the tests that they name.
func TestShownTestsAreThere(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	for page, heading := range shown {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(page)))
		if err != nil {
			t.Fatal(err)
		}
		_, section, ok := strings.Cut(string(text), heading+"\n")
		if !ok {
			t.Fatalf("%s has no %q", page, heading)
		}
		section, _, _ = strings.Cut(section, "\n## ")
		rows := 0
		for line := range strings.Lines(section) {
			if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| fault |") {
				continue
			}
			rows++
			cells := strings.Split(strings.Trim(line, "| \n"), " | ")
			shows := cells[len(cells)-1]
			scripts := scriptName.FindAllStringSubmatch(shows, -1)
			if len(scripts) == 0 && !testName.MatchString(shows) {
				t.Errorf("%s: nothing shows %q", page, cells[0])
			}
			for _, m := range scripts {
				here, err := filepath.Glob(filepath.Join(root, "*", "testdata", "script", m[1]))
				there, _ := filepath.Glob(filepath.Join(root, "cmd", "*", "testdata", "script", m[1]))
				if err != nil || len(here)+len(there) == 0 {
					t.Errorf("%s: there is no script %s, %v", page, m[1], err)
				}
			}
			holdTests(t, root, page, shows)
		}
		if rows < 10 {
			t.Errorf("%s: the table below %q has %d rows", page, heading, rows)
		}
	}
}

// holdTests holds that the tests which a cell names are in their packages. A name
// is of the package that stands before it, or of the command's.
func holdTests(t *testing.T, root, page, cell string) {
	t.Helper()
	pkg := ""
	for _, part := range strings.FieldsFunc(cell, func(r rune) bool { return r == ',' || r == ';' }) {
		if m := ofPackage.FindStringSubmatch(part); m != nil {
			pkg = m[1]
		}
		for _, name := range testName.FindAllString(part, -1) {
			if !hasTest(t, root, pkg, name) && !hasTest(t, root, "", name) {
				t.Errorf("%s: there is no test %s of %q", page, name, pkg)
			}
		}
	}
}

func hasTest(t *testing.T, root, pkg, name string) bool {
	t.Helper()
	folders := []string{filepath.Join("cmd", "kai")}
	if pkg != "" {
		folders = []string{pkg, filepath.Join("internal", pkg), filepath.Join("internal", "secrets", pkg)}
	}
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(source), "\nfunc "+name+"(") {
				return true
			}
		}
	}
	return false
}
