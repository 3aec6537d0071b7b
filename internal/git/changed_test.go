package git

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestChanged: what is staged, not staged, untracked and deleted, below the folder
// alone; and what a branch has changed since it went its own way.
func TestChanged(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	shop := filepath.Join(r.dir, "shop")
	r.write(map[string]string{"shop/a/kai.yaml": "1", "shop/b.yaml": "1", "shop/gone.yaml": "1", "other.yaml": "1", ".gitignore": "*.log"})
	changed := func(revision string, want ...string) {
		t.Helper()
		got, err := Changed(t.Context(), shop, revision, testEnvironment()...)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("since %q: %v %v, want %v", revision, got, err, want)
		}
	}
	changed("", "a/kai.yaml", "b.yaml", "gone.yaml") // there is no commit yet
	r.git("add", "-A")
	r.git("commit", "-qm", "one")
	changed("")
	r.git("checkout", "-qb", "feature")
	r.write(map[string]string{"shop/b.yaml": "2", "other.yaml": "2"})
	r.git("commit", "-qam", "two")
	r.git("checkout", "-q", "main")
	r.write(map[string]string{"shop/a/kai.yaml": "of main"})
	r.git("commit", "-qam", "three")
	r.git("checkout", "-q", "feature")
	changed("")
	changed("main", "b.yaml")
	r.write(map[string]string{"shop/new file.yaml": "1", "shop/x.log": "1", "shop/ä.yaml": "1", "shop/a/kai.yaml": "staged"})
	r.git("add", "shop/a")
	if err := os.Remove(filepath.Join(shop, "gone.yaml")); err != nil {
		t.Fatal(err)
	}
	changed("", "a/kai.yaml", "gone.yaml", "new file.yaml", "ä.yaml")
	changed("HEAD", "a/kai.yaml", "gone.yaml", "new file.yaml", "ä.yaml")
	changed("main", "a/kai.yaml", "b.yaml", "gone.yaml", "new file.yaml", "ä.yaml")
	for _, revision := range []string{"mian", "--output=x"} {
		if _, err := Changed(t.Context(), shop, revision, testEnvironment()...); err == nil {
			t.Errorf("%s is no revision", revision)
		}
	}
	if _, err := Changed(t.Context(), t.TempDir(), "", testEnvironment()...); err == nil {
		t.Error("there is no repository")
	}
}

// TestKnows: what is staged, committed or was once, and what never was.
func TestKnows(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	shop := filepath.Join(r.dir, "shop")
	knows := func(file string, ever, want bool) {
		t.Helper()
		if got := Knows(t.Context(), shop, file, ever, testEnvironment()...); got != want {
			t.Errorf("Knows(%s, %v) = %v", file, ever, got)
		}
	}
	r.write(map[string]string{"shop/a/kai.yaml": "1", "shop/b.yaml": "1", "other.yaml": "1"})
	knows("b.yaml", true, false)
	r.git("add", "-A")
	knows("b.yaml", false, true)
	r.git("commit", "-qm", "one")
	r.git("rm", "-q", "shop/b.yaml")
	knows("b.yaml", false, true)
	r.git("commit", "-qm", "two")
	knows("b.yaml", false, false)
	knows("b.yaml", true, true)
	knows("a", false, true)
	knows("*.yaml", true, false)
	knows("other.yaml", true, false)
	if Knows(t.Context(), t.TempDir(), "b.yaml", true, testEnvironment()...) {
		t.Error("a folder without a repository knows a file")
	}
}
