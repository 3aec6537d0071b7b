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
