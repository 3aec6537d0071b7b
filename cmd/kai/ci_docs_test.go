package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// TestRecipes reads the YAML of the pages about CI and pre-commit, and runs the
// commands of kai that they have, in a workspace with its charts.
func TestRecipes(t *testing.T) {
	t.Parallel()
	var hooks []struct{ ID string }
	data, err := os.ReadFile("../../.pre-commit-hooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, &hooks); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../testdata/hello")); err != nil {
		t.Fatal(err)
	}
	kaiDone(t, "generate", "--all-contexts", "-w", dir)
	ran := 0
	for _, page := range []string{"../../docs/ci.md", "../../docs/pre-commit.md"} {
		for _, block := range yamlBlocks(t, page) {
			var recipe any
			if err := yaml.Unmarshal([]byte(block), &recipe); err != nil {
				t.Errorf("%s: %v\n%s", page, err, block)
				continue
			}
			for _, text := range textsOf(recipe, "") {
				if id, ok := strings.CutPrefix(text, "id: kai-"); ok && !slices.ContainsFunc(hooks, func(h struct{ ID string }) bool { return h.ID == "kai-"+id }) {
					t.Errorf("%s: there is no hook kai-%s", page, id)
				}
				if line, ok := strings.CutPrefix(text[strings.Index(text, " ")+1:], "kai "); ok {
					ran++
					kaiDone(t, append(inFolder(strings.Fields(line), dir), "-w", dir)...)
				}
			}
		}
	}
	if ran < 4 {
		t.Errorf("only %d commands were found", ran)
	}
	for _, name := range []string{"kai.sarif", "kai.xml", "kai-quality.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

// inFolder has a command write its files into a folder.
func inFolder(args []string, dir string) []string {
	for i, arg := range args {
		if format, file, ok := strings.Cut(arg, "="); ok && i > 0 && args[i-1] == "-o" {
			args[i] = format + "=" + filepath.Join(dir, file)
		}
	}
	return args
}

// yamlBlocks gives the blocks of YAML on a page.
func yamlBlocks(t *testing.T, page string) []string {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for i, part := range strings.Split(string(data), "```") {
		if text, ok := strings.CutPrefix(part, "yaml\n"); ok && i%2 == 1 {
			blocks = append(blocks, text)
		}
	}
	return blocks
}

// textsOf gives the texts below a value, each behind the key that it stands at.
func textsOf(v any, key string) []string {
	var out []string
	switch v := v.(type) {
	case string:
		out = append(out, key+": "+v)
	case []any:
		for _, item := range v {
			out = append(out, textsOf(item, key)...)
		}
	case map[string]any:
		for k, item := range v {
			out = append(out, textsOf(item, k)...)
		}
	}
	return out
}
