package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// heading begins a section; the files below it make one example.
	heading = regexp.MustCompile(`^#{1,6} (.+)$`)
	// fileLine is the first line of a block that is a file of an example:
	// `# kai.yaml` stands for `# FILE: kai.yaml`.
	fileLine = regexp.MustCompile(`^# (?:FILE: (\S+)|(kai\.yaml))$`)
	// pageLink is a link to another page or file of the repository.
	pageLink = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
)

// docExample is a section's tree of files.
type docExample struct {
	page, section string
	files         map[string]string
}

// TestDocExamples generates and renders every example of the pages: the blocks
// of a section whose first line is `# kai.yaml` or `# FILE: PATH`.
func TestDocExamples(t *testing.T) {
	t.Parallel()
	for _, page := range docPages(t) {
		examples := docExamples(t, page)
		for _, e := range examples {
			t.Run(filepath.Base(e.page)+"/"+e.section, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				for name, text := range e.files {
					writeExampleFile(t, filepath.Join(dir, filepath.FromSlash(name)), text)
				}
				kaiDone(t, "generate", "--all-contexts", "-w", dir, "-o", filepath.Join(dir, "charts"))
				kaiDone(t, "template", "--all-contexts", "-w", dir)
			})
		}
	}
}

// TestDocLinks finds links of the pages that lead nowhere.
func TestDocLinks(t *testing.T) {
	t.Parallel()
	for _, page := range docPages(t) {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pageLink.FindAllSubmatch(data, -1) {
			target := filepath.Join(filepath.Dir(page), filepath.FromSlash(string(m[1])))
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", page, m[1])
			}
		}
	}
}

func docPages(t *testing.T) []string {
	t.Helper()
	pages := []string{"../../README.md"}
	for _, pattern := range []string{"../../docs/*.md", "../../docs/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	return pages
}

// docExamples cuts a page into its examples.
func docExamples(t *testing.T, page string) []docExample {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var examples []docExample
	section, fenced := "", false
	var block []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "```") && fenced:
			fenced = false
			examples = addBlock(t, examples, page, section, block)
		case strings.HasPrefix(line, "```"):
			fenced, block = true, nil
		case fenced:
			block = append(block, line)
		default:
			if m := heading.FindStringSubmatch(line); m != nil {
				section = m[1]
			}
		}
	}
	if fenced {
		t.Fatalf("%s: the last block is not closed", page)
	}
	return examples
}

func addBlock(t *testing.T, examples []docExample, page, section string, block []string) []docExample {
	t.Helper()
	if len(block) == 0 {
		return examples
	}
	m := fileLine.FindStringSubmatch(block[0])
	if m == nil {
		return examples
	}
	name := m[1] + m[2]
	if n := len(examples); n == 0 || examples[n-1].section != section {
		examples = append(examples, docExample{page: page, section: section, files: map[string]string{}})
	}
	files := examples[len(examples)-1].files
	if _, ok := files[name]; ok {
		t.Fatalf("%s: the section %q has two files %s", page, section, name)
	}
	files[name] = strings.Join(block[1:], "\n") + "\n"
	return examples
}

func writeExampleFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// kaiDone runs a command that has to succeed.
func kaiDone(t *testing.T, args ...string) {
	t.Helper()
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, getwd: os.Getwd, as: "kai"}
	if code := a.execute(t.Context(), args); code != exitDone {
		t.Fatalf("kai %s: exit code %d\n%s", strings.Join(args, " "), code, errs.String())
	}
}
