package main

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// TestDocValidate holds that what docs/validate.md shows is what a script sees kai
// validate print.
func TestDocValidate(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/validate.md")
	if err != nil {
		t.Fatal(err)
	}
	archive, err := txtar.ParseFile("testdata/script/validate_stages.txtar")
	if err != nil {
		t.Fatal(err)
	}
	printed := ""
	for _, file := range archive.Files {
		if file.Name == "want/all.txt" {
			printed = string(file.Data)
		}
	}
	_, shown, _ := strings.Cut(string(page), "```\n$ kai validate\n")
	shown, _, found := strings.Cut(shown, "```")
	if !found {
		t.Fatal("the page shows nothing")
	}
	for line := range strings.Lines(shown) {
		if !strings.Contains(printed, line) {
			t.Errorf("this is not printed: %s", line)
		}
	}
}
