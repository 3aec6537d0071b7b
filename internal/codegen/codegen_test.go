package codegen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/source"
)

// contextOf gives a context whose container has variables and one file.
func contextOf(name string, env map[string]string, kinds map[string]source.Kind, fileName, data string) Context {
	var vars []any
	written := source.NewMap(source.Origin{})
	for k, v := range env {
		vars = append(vars, map[string]any{"name": k, "value": v})
		written.Set(k, &source.Value{Kind: kinds[k], Text: v})
		if kinds[k] == source.Null {
			written.Set(k, source.NewString(source.Origin{}, v))
		}
	}
	container := map[string]any{"name": "main", "env": vars, "volumeMounts": []any{map[string]any{"name": "settings", "mountPath": "/etc/it"}}}
	pod := map[string]any{
		"containers": []any{container},
		"volumes":    []any{map[string]any{"name": "settings", "configMap": map[string]any{"name": "it"}}},
	}
	return Context{Name: name, Env: written, Objects: []manifest.Object{
		{Ref: manifest.Ref{Kind: "ConfigMap", Name: "it"}, Fields: map[string]any{"data": map[string]any{fileName: data}}},
		{Ref: manifest.Ref{Kind: "Deployment", Name: "it"}, Fields: map[string]any{"spec": map[string]any{"template": map[string]any{"spec": pod}}}},
	}}
}

// TestTypesOfVariables: over all contexts, a type is the one that all values have.
func TestTypesOfVariables(t *testing.T) {
	t.Parallel()
	const number, text, boolean = source.Number, source.String, source.Bool
	for _, test := range []struct {
		kinds  []source.Kind
		values []string
		want   kind
	}{
		{[]source.Kind{number}, []string{"8080"}, "int"},
		{[]source.Kind{number}, []string{"-1"}, "int"},
		{[]source.Kind{text}, []string{"8080"}, "text"},
		{[]source.Kind{number, text}, []string{"8080", "none"}, "text"},
		{[]source.Kind{number, number}, []string{"2", "2.5"}, "float"},
		{[]source.Kind{number}, []string{"1.10"}, "text"},
		{[]source.Kind{number}, []string{"0777"}, "text"},
		{[]source.Kind{number}, []string{"08512"}, "text"},
		{[]source.Kind{number}, []string{"1e3"}, "text"},
		{[]source.Kind{number}, []string{"9007199254740991"}, "int"},
		{[]source.Kind{number}, []string{"9007199254740993"}, "text"},
		{[]source.Kind{boolean, boolean}, []string{"true", "false"}, "bool"},
		{[]source.Kind{boolean, number}, []string{"true", "1"}, "text"},
		{[]source.Kind{text}, []string{"true"}, "text"},
		{[]source.Kind{text, text}, []string{"30s", "1h1m0.5s"}, "duration"},
		{[]source.Kind{text, text}, []string{"30s", "none"}, "text"},
		{[]source.Kind{text}, []string{"5"}, "text"},
		{[]source.Kind{text, text}, []string{"http://a.example.com", "postgres://b/c?d"}, "url"},
		{[]source.Kind{text}, []string{"mongodb://a:1,b:2/"}, "text"},
		{[]source.Kind{text}, []string{"jdbc:mysql://a/b"}, "text"},
		{[]source.Kind{text}, []string{"http:///x"}, "text"},
		{[]source.Kind{text, text}, []string{"http://a.example.com", "30s"}, "text"},
	} {
		in := Input{Service: "it"}
		for i, v := range test.values {
			in.Contexts = append(in.Contexts, contextOf(fmt.Sprint("c", i), map[string]string{"X": v}, map[string]source.Kind{"X": test.kinds[i]}, "a.txt", ""))
		}
		m, err := newModel(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.vars[0].typ.kind; got != test.want {
			t.Errorf("%q: got %s, want %s", test.values, got, test.want)
		}
	}
}

// TestTypesOfFiles joins what stands in a file of several contexts.
func TestTypesOfFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		file, one, other, want string
	}{
		{"a.yaml", "a: 1", "a: 2", "{a int}"},
		{"a.yaml", "a: 1", "a: 2.5", "{a float}"},
		{"a.yaml", "a: 1", "b: x", "{a? int, b? text}"},
		{"a.yaml", "a: 1", "a: x", "{a any}"},
		{"a.yaml", "a: null", "a: x", "{a? text}"},
		{"a.yaml", "a: []", "a: [{b: 1}, {b: 2, c: true}]", "{a [{b int, c? bool}]}"},
		{"a.yaml", "a: {}", "a: {}", "{a any}"},
		{"a.yaml", "a: on", "a: 30s", "{a text}"},
		{"a.yaml", "a: MARK", "a: 5", "{a secret}"},
		{"a.yaml", "a: [b", "a: 1", "text"},
		{"a.yaml", "x", "y", "text"},
		{"a.yaml", "MARK", "y", "secret"},
		{"a.yaml", "MARK: 1", "y", "secret"},
		{"a.json", "{\n\t\"a\": 1}", "{}", "{a? int}"},
		{"a.json", "[1, 2]", "[]", "[int]"},
		{"a.json", "{} {}", "{}", "text"},
		{"a.toml", "a = 1\n[b]\nc = 2024-01-31", "a = 2\n[b]\nc = 2024-01-31", "{a int, b {c any}}"},
		{"a.properties", "a=1", "a=2", "text"},
	} {
		in := Input{Service: "it", Placeholder: "MARK"}
		for i, text := range []string{test.one, test.other} {
			in.Contexts = append(in.Contexts, contextOf(fmt.Sprint("c", i), nil, nil, test.file, text))
		}
		m, err := newModel(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := shown(m.files[0].typ); got != test.want {
			t.Errorf("%s %q and %q: got %s, want %s", test.file, test.one, test.other, got, test.want)
		}
	}
}

func shown(t *typ) string {
	switch t.kind {
	case list:
		return "[" + shown(t.item) + "]"
	case object:
		var fields []string
		for _, f := range t.fields {
			mark := ""
			if f.optional {
				mark = "?"
			}
			fields = append(fields, f.key+mark+" "+shown(f.typ))
		}
		return "{" + strings.Join(fields, ", ") + "}"
	}
	return string(t.kind)
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, goName, ts, py string }{
		{"LOG_LEVEL", "LogLevel", "logLevel", "log_level"},
		{"DB_URL", "DBURL", "dbUrl", "db_url"},
		{"userId", "UserID", "userId", "user_id"},
		{"HTTPServer", "Httpserver", "httpserver", "httpserver"},
		{"x-2y", "X2y", "x2y", "x_2y"},
		{"2fast", "X2fast", "x2fast", "x2fast"},
		{"class", "Class", "class", "class_"},
		{"größe", "Größe", "größe", "größe"},
		{"漢字", "X漢字", "x漢字", "漢字"},
		{"***", "X", "x", "x"},
		{"__proto__", "Proto", "proto", "proto"},
	} {
		if got := pascal(test.name, true); got != test.goName {
			t.Errorf("Go: %s: got %s, want %s", test.name, got, test.goName)
		}
		if got := camel(test.name); got != test.ts {
			t.Errorf("TypeScript: %s: got %s, want %s", test.name, got, test.ts)
		}
		if got := newScope(pyWords...).name(snake(test.name)); got != test.py {
			t.Errorf("Python: %s: got %s, want %s", test.name, got, test.py)
		}
	}
	s := newScope("if")
	for i, want := range []string{"a", "a2", "a3", "a2_2", "if_", "if_2"} {
		if got := s.name([]string{"a", "a", "a", "a2", "if", "if"}[i]); got != want {
			t.Errorf("name %d: got %s, want %s", i, got, want)
		}
	}
}

// hostile is text that tries to become code, wherever it is written.
var hostile = []string{
	`*/ INJECTED /*`, "\n INJECTED \n", "\r INJECTED", `" + INJECTED + "`, "` + INJECTED + `", `"""` + "\nINJECTED\n" + `"""`,
	`'''INJECTED'''`, `\" + INJECTED //`, `\`, "${INJECTED}", "\u2028INJECTED", "\u202eINJECTED", "\x00\x1b[31mINJECTED", "INJECTED\\", "#{INJECTED}", "-- INJECTED --",
}

// TestComments: no text ends the comment that it stands in.
func TestComments(t *testing.T) {
	t.Parallel()
	for _, text := range append([]string{"/*/ x", "*/*/", "**//", "/*/*/", `*\/`, "A\nB"}, hostile...) {
		if said := printable(text); strings.Contains(said, "*/") || strings.Contains(said, "/*") || strings.ContainsAny(said, "\n\r\u2028") {
			t.Errorf("%q: %s", text, said)
		}
		// Patches write what they like.
		in := Input{Service: "it", Package: "config", Contexts: []Context{contextOf("dev", map[string]string{text: "a"}, nil, "a.txt", "")}}
		for _, language := range Languages()[:3] {
			code, err := Generate(in, language)
			if err != nil {
				t.Fatalf("%s: %q: %v", language, text, err)
			}
			for line := range strings.Lines(string(code)) {
				if comment, ok := strings.CutPrefix(strings.TrimSpace(line), "/** "); ok && strings.Index(comment, "*/") != len(comment)-2 {
					t.Errorf("%s: %q: %s", language, text, line)
				}
			}
			if text == "A\nB" && strings.Contains(string(code), text) {
				t.Errorf("%s: %q:\n%s", language, text, code)
			}
		}
	}
}

// TestTypesOfTypeScript: a file's type is not called as what reads it.
func TestTypesOfTypeScript(t *testing.T) {
	t.Parallel()
	code, err := Generate(Input{Service: "it", Contexts: []Context{contextOf("dev", nil, nil, "read.json", `{"a": 1}`)}}, "typescript")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(?:export )?(?:type|interface|class) (\w+)`).FindAllStringSubmatch(string(code), -1) {
		if names[m[1]] {
			t.Errorf("%s is declared twice:\n%s", m[1], code)
		}
		names[m[1]] = true
	}
	if !names["ReadFile"] || !names["ReadFile2"] {
		t.Errorf("got %v", names)
	}
}

// FuzzHostile: no text of a descriptor becomes code.
func FuzzHostile(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { harmless(t, text) })
}

// harmless writes code with a text wherever a descriptor's text can come, and holds
// what is neither literal nor comment against code without it.
func harmless(t *testing.T, text string) {
	t.Helper()
	data, err := json.Marshal(map[string]any{text + "k": map[string]any{text: 1}, "plain": text})
	if err != nil {
		t.Skip()
	}
	c := contextOf(text, map[string]string{"X": text, "CHOICE": "a"}, nil, "a.json", string(data))
	in := Input{Service: text, Contexts: []Context{c}, Package: "config", Command: text, Types: map[string]string{"CHOICE": "a|" + strings.ReplaceAll(text, "|", "") + "z"}}
	code, err := Generate(in, "go")
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), "", code, parser.ParseComments)
	if err != nil {
		t.Fatalf("%q: %v\n%s", text, err, code)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && strings.Contains(id.Name, "INJECTED") {
			t.Errorf("%q became Go:\n%s", text, code)
		}
		return true
	})
	for _, language := range Languages()[1:] {
		code, err := Generate(in, language)
		if err != nil {
			t.Fatalf("%s: %q: %v", language, text, err)
		}
		again, _ := Generate(in, language)
		if string(again) != string(code) {
			t.Errorf("%s: %q: not the same bytes", language, text)
		}
		if language == "jsonschema" {
			if !json.Valid(code) {
				t.Errorf("%q: no JSON", text)
			}
			continue
		}
		for line := range strings.Lines(string(code)) {
			if left := literal.ReplaceAllString(line, ""); strings.Contains(left, "INJECTED") && !strings.HasPrefix(left, `"""`) {
				t.Errorf("%s: %q became code: %s", language, text, line)
			}
		}
		if strings.ContainsAny(string(code), "\x00\r\x1b\u2028\u202e") {
			t.Errorf("%s: %q stands in the code as it is", language, text)
		}
	}
}

// TestLanguage holds what kai takes for a value of a type, and the schema, to the table
// of cases that the programs of e2e read through code in every language.
func TestLanguage(t *testing.T) {
	t.Parallel()
	var cases []struct {
		Name        string
		Text, Value *string
	}
	data, err := os.ReadFile("testdata/language.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	compiled := map[string]*jsonschema.Schema{}
	for _, c := range cases {
		of := &typ{kind: kind(strings.ToLower(c.Name))}
		switch {
		case c.Text == nil:
			continue
		case c.Name == "CHOICE":
			of.choices = []string{"a", "b", "c d"}
		case c.Name == "BLANK":
			of = &typ{kind: secret, blank: true}
		}
		if got := of.accepts(*c.Text); got != (c.Value != nil) {
			t.Errorf("%s=%q: accepted: %t", c.Name, *c.Text, got)
		}
		if compiled[c.Name] == nil {
			text, err := json.Marshal(variableSchema(of))
			if err != nil {
				t.Fatal(err)
			}
			compiled[c.Name] = schemaOfText(t, text)
		}
		if err := compiled[c.Name].Validate(*c.Text); (err == nil) != (c.Value != nil) {
			t.Errorf("%s=%q: by the schema: %v", c.Name, *c.Text, err)
		}
	}
}

// TestSyntax: what an expression takes, the parser of Go does as well.
func TestSyntax(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"999999.99999999h9999999.9999999m999999999.999999s999999999999.999ms999999999999999us", "1.00000001h", "0.3ms"} {
		if d, err := time.ParseDuration(text); err != nil || !(&typ{kind: duration}).accepts(text) || d%time.Microsecond != 0 {
			t.Errorf("%s: %v %v", text, d, err)
		}
	}
	for _, n := range []int64{maxSafe, maxSafe - 1, maxSafe - 990, maxSafe + 1, maxSafe + 9, maxSafe + 1e6, maxSafe * 9 / 10, 1e15, 1e15 - 1} {
		text := strconv.FormatInt(n, 10)
		if got := regexp.MustCompile(safeSyntax()).MatchString(text); got != (n <= maxSafe) {
			t.Errorf("%s: by the schema: %t", text, got)
		}
	}
}

// TestExpand does as Kubernetes does.
func TestExpand(t *testing.T) {
	t.Parallel()
	vars := map[string]value{"A": {text: "a", known: true}, "S": {secret: true, known: false}}
	for text, want := range map[string]string{
		"$(A)": "a", "x$(A)y$(A)": "xaya", "$$(A)": "$(A)", "$(NONE)": "$(NONE)", "$(A": "$(A", "$": "$", "$$": "$", "$x$(A)": "$xa", "$$$(A)": "$a",
	} {
		if got := expand(text, vars, map[string]bool{}); got.text != want || !got.known || got.secret {
			t.Errorf("%q: got %+v, want %q", text, got, want)
		}
	}
	if got := expand("x$(S)", vars, map[string]bool{}); !got.secret || got.known {
		t.Errorf("a text with a secret: got %+v", got)
	}
}

// TestSchema holds good and bad instances to the schema.
func TestSchema(t *testing.T) {
	t.Parallel()
	c := contextOf("c", map[string]string{"PORT": "8080", "ON": "true", "WAIT": "30s", "LEVEL": "info"},
		map[string]source.Kind{"PORT": source.Number, "ON": source.Bool}, "a.json", `{"pin": "MARK", "list": [{"n": 1.5}], "text": "x"}`)
	data, err := Generate(Input{Service: "it", Contexts: []Context{c}, Placeholder: "MARK", Types: map[string]string{"LEVEL": "info|warn"}}, "jsonschema")
	if err != nil {
		t.Fatal(err)
	}
	schema := schemaOfText(t, data)
	const good = `{"environment": {"PORT": "1", "ON": "false", "WAIT": "1m2.5s", "LEVEL": "warn"}, "files": {"/etc/it/a.json": {"pin": 1234, "list": [], "text": ""}}}`
	for _, test := range []struct{ from, to string }{
		{"", ""}, {`"1"`, `"x"`}, {`"1"`, `1`}, {`"false"`, `"yes"`}, {`1m2.5s`, `1 m`}, {`"warn"`, `"loud"`}, {`"PORT": "1", `, ``},
		{`1234`, `{}`}, {`[]`, `{}`}, {`[]`, `[{"n": "x"}]`}, {`[]`, `[{}]`}, {`"text": ""`, `"text": null`}, {`/etc/it/a.json`, `/etc/it/b.json`},
	} {
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(strings.Replace(good, test.from, test.to, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance); (err == nil) != (test.from == "") {
			t.Errorf("%s for %s: %v", test.to, test.from, err)
		}
	}
}

func schemaOfText(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("it.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("it.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}
