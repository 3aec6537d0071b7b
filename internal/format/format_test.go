package format_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/flavors"
	"github.com/helm-kai/helm-kai/friends"
	"github.com/helm-kai/helm-kai/internal/format"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

func TestFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, in, want string }{
		{"order of keys", "kai.yaml",
			"name: a\ncontexts:\n  - name: dev\nimages: []\napiVersion: kai/v1\n",
			"apiVersion: kai/v1\nname: a\nimages: []\ncontexts:\n  - name: dev\n"},
		{"order in a context", "kai.yaml",
			"apiVersion: kai/v1\nname: a\ncontexts:\n- env:\n    B: 1\n    A: 2\n  # how it is reached\n  routes: [http]\n  flavor: webservice\n  # what we call it\n  name: dev\n",
			"apiVersion: kai/v1\nname: a\ncontexts:\n  # what we call it\n  - name: dev\n    flavor: webservice\n    # how it is reached\n    routes: [http]\n    env:\n      B: 1\n      A: 2\n"},
		{"order in an instance", "kai.yaml",
			"apiVersion: kai/v1\nname: a\nroutes:\n  - containerPort: 8080 # of the process\n    port: 80\n    name: http\n",
			"apiVersion: kai/v1\nname: a\nroutes:\n  - name: http\n    port: 80\n    containerPort: 8080 # of the process\n"},
		{"appended keys", "kai.yaml",
			"apiVersion: kai/v1\nname: a\ncontexts:\n  - args+: [x]\n    name: dev\n    queues: [q]\n    env: {}\n    patches: {}\n",
			"apiVersion: kai/v1\nname: a\ncontexts:\n  - name: dev\n    args+: [x]\n    queues: [q]\n    env: {}\n    patches: {}\n"},
		{"indentation", "kai.yaml",
			"apiVersion: kai/v1\nname: a\ncontexts:\n-   name: dev\n    resources:\n        requests:\n            cpu: 1\n    args:\n    - a\n    -   - b\n        - c\n",
			"apiVersion: kai/v1\nname: a\ncontexts:\n  - name: dev\n    args:\n      - a\n      -   - b\n          - c\n    resources:\n      requests:\n        cpu: 1\n"},
		{"blank lines", "kai.yaml",
			"\n\n# about the file\n\n\n\napiVersion: kai/v1\nname: a  \n\n\n\nimages:\n\n  - {name: b}\n\n\n  - {name: c}\n\n\n",
			"# about the file\n\napiVersion: kai/v1\nname: a\n\nimages:\n  - {name: b}\n\n  - {name: c}\n"},
		{"line ends and a byte order mark", "kai.yaml", "\xef\xbb\xbfapiVersion: kai/v1\r\nname: a\r\n", "apiVersion: kai/v1\nname: a\n"},
		{"line ends within text", "kai.yaml", "description: |\r\n  one\r\n\r\n  two\r\nversion: \"1.\r\n  0\"\r\nname: a\r\napiVersion: kai/v1\r\n",
			"apiVersion: kai/v1\nname: a\nversion: \"1.\n  0\"\ndescription: |\n  one\n\n  two\n"},
		{"no line end below text", "kai.yaml", "name: a\napiVersion: kai/v1\ndescription: >-\n  x", "apiVersion: kai/v1\nname: a\ndescription: >-\n  x\n"},
		{"merged maps", "kai.yaml", "name: a\ncontexts:\n- &dev\n  env: {A: 1}\n  name: dev\n- <<: *dev\n  name: prod\napiVersion: kai/v1\n",
			"name: a\ncontexts:\n  - &dev\n    env: {A: 1}\n    name: dev\n  - <<: *dev\n    name: prod\napiVersion: kai/v1\n"},
		{"long text", "kai.yaml", "name: a\napiVersion: kai/v1\ndescription: \"" + strings.Repeat("long ", 2000) + "\"\n", "apiVersion: kai/v1\nname: a\ndescription: \"" + strings.Repeat("long ", 2000) + "\"\n"},
		{"folded text", "kai.yaml", "name: a\ndescription: >2-\n    one\n  two\n\n      more\n\n# c\napiVersion: kai/v1\n",
			"# c\napiVersion: kai/v1\nname: a\ndescription: >2-\n    one\n  two\n\n      more\n"},
		{"text below its key", "kai.yaml", "name: a\ndescription:\n    |2\n   x\n# c\napiVersion: kai/v1\n", "# c\napiVersion: kai/v1\nname: a\ndescription:\n    |2\n   x\n"},
		{"comments everywhere", "kai.yaml", "name: a # 1\n# 2\ncontexts: # 3\n# 4\n- # 5\n  name: dev # 6\n  # 7\n  env: # 8\n    # 9\n    A: 1 # 10\n    # 11\n  # 12\n# 13\napiVersion: kai/v1 # 14\n# 15\n",
			"# 13\napiVersion: kai/v1 # 14\nname: a # 1\n# 2\ncontexts: # 3\n  # 4\n  - # 5\n    name: dev # 6\n    # 7\n    env: # 8\n      # 9\n      A: 1 # 10\n      # 11\n    # 12\n# 15\n"},
		{"separators within text", "kai.yaml", "name: a\ndescription: |\n  x\n  ---\n  y\napiVersion: kai/v1\n", "apiVersion: kai/v1\nname: a\ndescription: |\n  x\n  ---\n  y\n"},
		{"no line end", "kai.yaml", "apiVersion: kai/v1\nname: a", "apiVersion: kai/v1\nname: a\n"},
		{"block scalars", "kai.yaml",
			"apiVersion: kai/v1\nname: a\ncontexts:\n- patches:\n    configmap:\n      data:\n        x: |-\n            one\n\n\n              two  \n            # no comment\n        y: >\n          z\n  # a comment\n  name: dev\n",
			"apiVersion: kai/v1\nname: a\ncontexts:\n  # a comment\n  - name: dev\n    patches:\n      configmap:\n        data:\n          x: |-\n              one\n\n\n                two  \n              # no comment\n          y: >\n            z\n"},
		{"kept line ends", "values.yaml", "a: |+\n  x\n\n\nb: |+\n  y\n\n\n", "a: |+\n  x\n\n\nb: |+\n  y\n\n\n"},
		{"text over lines", "kai.yaml",
			"name: a\ndescription: one\n  two\n\n\n  three\nversion: \"1.\n\n  0\"\napiVersion: kai/v1\n",
			"apiVersion: kai/v1\nname: a\nversion: \"1.\n\n  0\"\ndescription: one\n  two\n\n\n  three\n"},
		{"maps over lines", "kai.yaml",
			"contexts: [\n  {name: dev,\n\n\n   # inside\n   flavor: job},\n]\nname: a\napiVersion: kai/v1\n",
			"apiVersion: kai/v1\nname: a\ncontexts: [\n  {name: dev,\n\n\n   # inside\n   flavor: job},\n]\n"},
		{"anchors", "kai.yaml",
			"apiVersion: kai/v1\nname: a\ncontexts:\n- env: &e\n    A: 1\n  name: dev\n- env:\n    <<: *e\n  name: prod\n",
			"apiVersion: kai/v1\nname: a\ncontexts:\n  - env: &e\n      A: 1\n    name: dev\n  - env:\n      <<: *e\n    name: prod\n"},
		{"a modeline", "kai.yaml",
			"# yaml-language-server: $schema=x.json\n# the name\nname: a\napiVersion: kai/v1\n",
			"# yaml-language-server: $schema=x.json\napiVersion: kai/v1\n# the name\nname: a\n"},
		{"the file's header", "kai.yaml",
			"# Copyright 2026 ACME\n# SPDX-License-Identifier: MIT\nname: a\n# the format\napiVersion: kai/v1\n",
			"# Copyright 2026 ACME\n# SPDX-License-Identifier: MIT\n# the format\napiVersion: kai/v1\nname: a\n"},
		{"a header above the first key's comment", "kai.yaml",
			"# about the file\n\n# about the contexts\ncontexts: [{name: dev}]\nname: a\napiVersion: kai/v1\n",
			"# about the file\n\napiVersion: kai/v1\nname: a\n# about the contexts\ncontexts: [{name: dev}]\n"},
		{"comments at the end", "kai.yaml",
			"apiVersion: kai/v1\ncontexts:\n  - name: dev\n      # deep\n   # odd\n# the end\nname: a\n# footer\n\n\n# last\n",
			"apiVersion: kai/v1\n# the end\nname: a\ncontexts:\n  - name: dev\n      # deep\n   # odd\n# footer\n\n# last\n"},
		{"comments behind the last item", "kai.yaml",
			"apiVersion: kai/v1\nname: a\nroutes:\n  - port: 1\n    name: c\n  # admin is off\n  # - port: 9000\n  #   name: admin\ncontexts:\n  - image: x\n    name: dev\n  # prod comes later\n",
			"apiVersion: kai/v1\nname: a\nroutes:\n  - name: c\n    port: 1\n  # admin is off\n  # - port: 9000\n  #   name: admin\ncontexts:\n  - name: dev\n    image: x\n  # prod comes later\n"},
		{"comments behind an item's last key", "kai.yaml",
			"apiVersion: kai/v1\nname: a\ncontexts:\n  - env:\n      A: 1\n      # B: 2\n    name: dev\n      # of the name\n    # flavor: job\n\n  # above\n  - name: prod\n    tag: x\n  # after\n",
			"apiVersion: kai/v1\nname: a\ncontexts:\n  - name: dev\n      # of the name\n    env:\n      A: 1\n      # B: 2\n    # flavor: job\n\n  # above\n  - name: prod\n    tag: x\n  # after\n"},
		{"comments behind a list at its key's level", "kai.yaml",
			"name: a\nroutes:\n- port: 1\n  name: c\n  # path: /\n# admin is off\n# - port: 9000\n#   name: admin\n# the version\napiVersion: kai/v1\ncontexts:\n- name: dev\n# the end\n",
			"# the version\napiVersion: kai/v1\nname: a\nroutes:\n  - name: c\n    port: 1\n    # path: /\n  # admin is off\n  # - port: 9000\n  #   name: admin\ncontexts:\n  - name: dev\n# the end\n"},
		{"comments at the beginning of the line", "kai.yaml",
			"apiVersion: kai/v1\nname: a\ncontexts:\n  - name: dev\n#    flavor: job\n    image: x\n    # y\n",
			"apiVersion: kai/v1\nname: a\ncontexts:\n  - name: dev\n#    flavor: job\n    image: x\n    # y\n"},
		{"comments within comments", "kai.yaml",
			"apiVersion: kai/v1\nname: a\ncontexts:\n    - name: dev\n    # - name: prod\n        # image: x\n",
			"apiVersion: kai/v1\nname: a\ncontexts:\n  - name: dev\n  # - name: prod\n      # image: x\n"},
		{"several documents", "all.yaml",
			"---  # first\nname: a\napiVersion: kai/v1\n---\nb:\n- c\n...\n",
			"---  # first\napiVersion: kai/v1\nname: a\n---\nb:\n  - c\n...\n"},
		{"a workspace", "kai-workspace.yaml",
			"name: shop\napiVersion: kai/v1\ncontexts:\n- values: {replicas: 2}\n  namespace: shop\n  name: prod\nservices: [a]\n",
			"apiVersion: kai/v1\nname: shop\nservices: [a]\ncontexts:\n  - name: prod\n    namespace: shop\n    values: {replicas: 2}\n"},
		{"a flavor", "flavor.yaml",
			"apiVersion: kai/v1\nname: f\ndefaults:\n  env: {}\n  image: a\ncontext:\n  z: string\n  a: string\nextends: job\n",
			"apiVersion: kai/v1\nname: f\nextends: job\ncontext:\n  z: string\n  a: string\ndefaults:\n  image: a\n  env: {}\n"},
		{"a friend", "friends/db.yaml",
			"config: {}\nchart: null\ntype: dependency\nname: db\napiVersion: kai/v1\n",
			"apiVersion: kai/v1\nname: db\ntype: dependency\nchart: null\nconfig: {}\n"},
		{"a friend by its keys", "-", "type: dependency\nname: db\napiVersion: kai/v1\n", "apiVersion: kai/v1\nname: db\ntype: dependency\n"},
		{"another file", "values.yaml", "b:\n- x\na: 1\n", "b:\n  - x\na: 1\n"},
		{"only comments", "kai.yaml", "\n# nothing\n\n\n# here\n", "# nothing\n\n# here\n"},
		{"nothing", "kai.yaml", "", ""},
		{"a dash on its own line", "values.yaml", "a:\n-\n  b: 1\n- # why\n  c: 1\n", "a:\n  -\n    b: 1\n  - # why\n    c: 1\n"},
		{"keys with question marks", "values.yaml", "a:\n    ? b\n    : 1\n", "a:\n  ? b\n  : 1\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := format.File(c.file, []byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
			again, err := format.File(c.file, got)
			if err != nil || !bytes.Equal(again, got) {
				t.Errorf("again (%v):\n%s", err, again)
			}
		})
	}
}

// TestUncommented: an item, or the last key of a map, that is commented out before
// formatting says the same when its comment signs are taken away again.
func TestUncommented(t *testing.T) {
	t.Parallel()
	for _, list := range []string{"  ", ""} {
		text := "name: a\nroutes:\n" + in(list, "- port: 1\n  name: c\n- path: /\n  port: 2\n  name: d\n- name: e\n") +
			"contexts:\n" + in(list, "- env:\n    B: 1\n    A: 2\n  routes:\n"+in("  "+list, "- port: 1\n  name: f\n- port: 3\n")+"  name: dev\n- env:\n    A: 1\n  name: prod\n  image: x\n") +
			"images:\n" + in(list, "- tag: x\n  name: y\n- name: z\n") + "apiVersion: kai/v1\n"
		want, findings := source.ParseYAML("kai.yaml", []byte(text))
		if findings != nil {
			t.Fatal(findings)
		}
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		depth := func(line string) int { return len(line) - len(strings.TrimLeft(line, " -")) }
		column := func(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }
		for i, line := range lines {
			end := i + 1
			for end < len(lines) && (column(lines[end]) > column(line) || lines[end][column(line)] == '-' && line[column(line)] != '-' && column(lines[end]) == column(line)) {
				end++
			}
			item, last := line[column(line)] == '-', end < len(lines) && depth(lines[end]) <= depth(line) && (lines[end][column(lines[end])] == '-' || column(lines[end]) < column(line))
			if column(line) == 0 && !item || !item && !last {
				continue
			}
			commented := slices.Clone(lines)
			for j := i; j < end; j++ {
				commented[j] = lines[j][:column(line)] + "# " + lines[j][column(line):]
			}
			got, err := format.File("kai.yaml", []byte(strings.Join(commented, "\n")+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			after, findings := source.ParseYAML("kai.yaml", bytes.ReplaceAll(got, []byte("# "), nil))
			if findings != nil || !source.Equal(want, after) {
				t.Errorf("line %d (%v):\n%s\nbecame:\n%s", i+1, findings, strings.Join(commented, "\n"), got)
			}
		}
	}
}

// in gives lines at an indentation.
func in(indentation, lines string) string {
	return indentation + strings.TrimSuffix(strings.ReplaceAll(lines, "\n", "\n"+indentation), indentation)
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"no YAML":          {"a: [\n", "kai.yaml:1:4"},
		"a key twice":      {"a: 1\n---\nb: 1\nb: 2\n", "kai.yaml:4:1: the key \"b\" stands here twice"},
		"a directive":      {"%YAML 1.2\n---\na: 1\n", "kai.yaml:1"},
		"behind ---":       {"--- {a: 1}\n", "kai.yaml:1: a directive, or a document"},
		"carriage return":  {"a: 1\rb: 2\n", "kai.yaml:1: a line ends in another way"},
		"no last line end": {"a: |\n  b", "kai.yaml:2: the last line has no end, and with one the text"},
		"a late mark":      {"\xef\xbb\xbfa: 1\n---\n\xef\xbb\xbfb: 1\n", "kai.yaml:3:1: the control character U+FEFF"},
		"not UTF-8":        {"a: \xff\n", "kai.yaml:1:4: the file is not UTF-8"},
	} {
		if out, err := format.File("kai.yaml", []byte(c.in)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// TestOrderIsTheSchemas: whatever the order names is a key of the format.
func TestOrderIsTheSchemas(t *testing.T) {
	t.Parallel()
	w, err := workspace.Library()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{format.Descriptor, format.Workspace, format.Flavor, format.Friend} {
		schema, err := w.Schema(kind)
		if err != nil {
			t.Fatal(err)
		}
		known := map[string]bool{}
		var visit func(v any)
		visit = func(v any) {
			switch v := v.(type) {
			case map[string]any:
				for key, part := range v {
					known[key] = true
					visit(part)
				}
			case []any:
				for _, part := range v {
					visit(part)
				}
			}
		}
		visit(schema)
		for path, keys := range format.Known(kind) {
			for _, key := range keys {
				// A friend's version says nothing, but the head is one for all.
				if !known[key] && !(kind == format.Friend && key == "version") {
					t.Errorf("%s: %s: %s is no key", kind, path, key)
				}
			}
		}
		top := format.Known(kind)[""]
		for key := range schema["properties"].(map[string]any) {
			if !slices.Contains(top, key) {
				t.Errorf("%s: the order does not name %s", kind, key)
			}
		}
	}
}

// examples gives our own files.
func examples(t testing.TB) map[string][]byte {
	files := map[string][]byte{}
	err := filepath.WalkDir(filepath.Join("..", "..", "testdata"), func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".yaml" {
			return err
		}
		data, err := os.ReadFile(name)
		files[filepath.ToSlash(name)] = data
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"webservice", "worker", "stateful", "cronjob", "job", "pod", "workload", "batch"} {
		data, err := flavors.FS.ReadFile(dir + "/flavor.yaml")
		if err != nil {
			t.Fatal(err)
		}
		files["flavors/"+dir+"/flavor.yaml"] = data
	}
	entries, err := friends.FS.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".yaml" {
			data, err := friends.FS.ReadFile(e.Name())
			if err != nil {
				t.Fatal(err)
			}
			files["friends/"+e.Name()] = data
		}
	}
	return files
}

// TestExamplesAreFormatted: our own examples and the library are in our style.
func TestExamplesAreFormatted(t *testing.T) {
	t.Parallel()
	for name, data := range examples(t) {
		v, findings := source.ParseYAML(name, data)
		if findings != nil || !format.Ours(v) {
			continue
		}
		if got, err := format.File(name, data); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s is not formatted (%v): run kai fmt\n%s", name, err, got)
		}
	}
}

// FuzzFile: what is formatted says the same, stays as it is when formatted again,
// and has lost no comment.
func FuzzFile(f *testing.F) {
	for name, data := range examples(f) {
		f.Add(filepath.Base(name), data)
	}
	for _, text := range []string{
		"a: |2\n    x\n  y\nb: >-\n\n  z\n", "- - a\n  - b\n-\n  - c\n", "a: &x\n- 1\nb: *x\n", "? a\n: b\n", "{a: 1,\n b: 2}\n", "a: 'x\n\n  y'\n# z\n",
		"a:\n  # c\n\n  # d\n  b: 1\n # e\nf: 2\n", "a: \"x \\\n  y\"\n", "a: !!str\n  b\n", "a:\n- b: 1\n\n  # c\n\n  d: 2\n# e\n", "a: b # c\n\n# d\n",
		"a:\n- \n\n  # c\n", "routes:\n  - port: 1\n    name: c\n  # off\n  # - port: 9000\n", "routes:\n- port: 1\n  name: c\n  # x\n# - port: 2\n#   y: 1\n# z\n", "a:\n  b: 1\n # c\n# d\n    # e\n",
	} {
		f.Add("kai.yaml", []byte(text))
		f.Add("kai.yaml", []byte("name: n\n"+text+"apiVersion: kai/v1\n"))
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		got, err := format.File(name, data)
		if err != nil {
			return
		}
		before, findings := source.ParseYAML(name, data)
		if findings == nil { // one document
			after, findings := source.ParseYAML(name, got)
			if findings != nil || !source.Equal(before, after) {
				t.Errorf("it says something else: %v\n%q\n%q", findings, data, got)
			}
		}
		again, err := format.File(name, got)
		if err != nil || !bytes.Equal(got, again) {
			t.Errorf("again: %v\n%q\n%q\n%q", err, data, got, again)
		}
		if a, b := comments(data), comments(got); !slices.Equal(a, b) {
			t.Errorf("comments: %q\n%q", a, b)
		}
		text, columns := places(data)
		formatted, after := places(got)
		if !maps.EqualFunc(text, formatted, slices.Equal) {
			return // indented anew, and comments with it
		}
		for line, before := range columns {
			for i, column := range after[line] {
				if i < len(before) && column > before[i] {
					t.Errorf("a comment is indented: %q\n%q\n%q", line, data, got)
				}
			}
		}
	})
}

// places gives the columns, sorted, of what stands in the lines: of text behind its
// dashes, and of comments.
func places(data []byte) (text, comments map[string][]int) {
	text, comments = map[string][]int{}, map[string][]int{}
	for line := range strings.Lines(string(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))) {
		said := strings.TrimSpace(strings.TrimLeft(line, " -"))
		column := len(line) - len(strings.TrimLeft(line, " -"))
		if said == "" && strings.Contains(line, "-") { // an item without a value
			said, column = "-", strings.Index(line, "-")
		}
		into := text
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			into = comments
		}
		into[said] = append(into[said], column)
	}
	delete(text, "")
	for _, into := range []map[string][]int{text, comments} {
		for _, columns := range into {
			slices.Sort(columns)
		}
	}
	return text, comments
}

// comments gives the lines that are comments, sorted.
func comments(data []byte) []string {
	var out []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(strings.TrimPrefix(line, "\xef\xbb\xbf")); strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	slices.Sort(out)
	return out
}
