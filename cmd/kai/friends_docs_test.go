package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocFriends holds docs/friends.md to the library: its list is what kai prints, its table has every friend with its image,
// and its example is the one that is tried with real servers.
func TestDocFriends(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/friends.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	list := kaiPrints(t, "friends", "list")
	if !strings.Contains(page, "$ kai friends list\n"+list) {
		t.Errorf("docs/friends.md does not show what kai friends list prints:\n%s", list)
	}
	files, err := filepath.Glob("../../friends/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 10 {
		t.Errorf("the library has %d friends, and the page speaks of ten", len(files))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		text := kaiPrints(t, "friends", "show", name)
		_, image, _ := strings.Cut(text, "repository: ")
		image, _, _ = strings.Cut(image, ",")
		row := "\n| `" + name + "` | `" + image + "` | "
		_, gives, found := strings.Cut(page, row)
		if !found {
			t.Errorf("docs/friends.md has no row %q", row)
			continue
		}
		gives, _, _ = strings.Cut(gives, "\n")
		_, env, _ := strings.Cut(text, "\nenv:\n")
		for line := range strings.Lines(env) {
			if variable, _, found := strings.Cut(strings.TrimSpace(line), ":"); found && !strings.Contains(gives, "`"+variable+"`") {
				t.Errorf("docs/friends.md: the row of %s lacks %s", name, variable)
			}
		}
	}
	for _, file := range []string{"kai.yaml", "db/users.sh", "db/archive.sql"} {
		want, err := os.ReadFile(filepath.Join("../../testdata/friends/services/ledger", file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(page, "\n"+string(want)+"```") {
			t.Errorf("docs/friends.md does not show testdata/friends/services/ledger/%s as it is", file)
		}
	}
}

// kaiPrints gives what a command that has to succeed prints.
func kaiPrints(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, getwd: os.Getwd, as: "kai"}
	if code := a.execute(t.Context(), args); code != exitDone {
		t.Fatalf("kai %s: exit code %d\n%s", strings.Join(args, " "), code, errs.String())
	}
	return out.String()
}
