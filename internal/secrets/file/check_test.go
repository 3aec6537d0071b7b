package file

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
)

// TestCheck says beforehand what a write would refuse: a file that would become too
// large with all paths together, and what cannot stand in YAML. It writes nothing.
func TestCheck(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dev.yaml")
	s, err := NewStore(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	doc := func(app, text string) secrets.Doc {
		return secrets.Doc{Path: secrets.Path{Deployment: "dev", App: app, Scope: secrets.Private}, Values: map[string]secrets.Value{"a": secrets.New(text)}}
	}
	half := strings.Repeat("x", source.MaxFile*2/3)
	for name, c := range map[string]struct {
		docs []secrets.Doc
		want string
	}{
		"fits":      {[]secrets.Doc{doc("a", half), doc("b", "b")}, ""},
		"too large": {[]secrets.Doc{doc("a", half), doc("b", half)}, "hold more than 4096 KiB"},
		"bytes":     {[]secrets.Doc{doc("a", "a"), doc("b", "\xff")}, "hold b.private.a: it is not a text in UTF-8"},
		"no scope":  {[]secrets.Doc{{Path: secrets.Path{Deployment: "dev", App: "a", Scope: "hidden"}, Values: doc("a", "a").Values}}, "a scope that files have not"},
	} {
		err := s.Check(t.Context(), c.docs)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
}
