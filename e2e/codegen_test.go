//go:build unix

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/helm-kai/helm-kai/e2e/node"
)

// codegenWorkspaces are those whose services all get code, which is compiled and linted.
var codegenWorkspaces = []string{"hello", "sock-shop", "jobs"}

// TestCodegen writes code in each language, compiles, formats and lints it, and runs it in what the rendered manifests give
// the container: the same values come out as went in, mistakes are said in the same words, and no secret is printed.
func TestCodegen(t *testing.T) {
	t.Parallel()
	ledger := filepath.Join(root(t), "e2e", "testdata", "codegen", "ledger")
	values := filepath.Join(root(t), "e2e", "testdata", "codegen", "values.yaml")
	manifests := command{}.run(t, kaiBinary(t), "template", "-c", "prod", "-w", ledger, "-f", values)
	pod := kubelet(t, manifests)
	for _, test := range []struct {
		name string
		make func(t *testing.T, ledger string) *generated
	}{
		{"go", goProgram}, {"typescript", typeScriptProgram}, {"python", pythonProgram},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := test.make(t, ledger)
			p.reads(t, pod)
			p.says(t, pod)
			p.onALaptop(t, ledger, pod)
			p.agrees(t)
		})
	}
}

// generated is a program that reads its configuration through generated code.
type generated struct {
	argv []string
	env  []string // that it needs beside its configuration
	json bool     // it parses all files as JSON

	language program // says of many configurations what it reads
	schema   program // says which of them are valid by the schema, if it is one
}

// program is a process that reads cases of the language of variables.
type program struct {
	command
	argv []string
}

// podFiles is what a container finds.
type podFiles struct {
	env   map[string]string
	files map[string][]byte
}

// kubelet gives what Kubernetes would give the ledger's container.
func kubelet(t *testing.T, manifests string) *podFiles {
	t.Helper()
	type object struct {
		Kind     string
		Metadata struct{ Name string }
		Data     map[string]string
		Binary   map[string]string `yaml:"binaryData"`
		Spec     struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Env []struct {
							Name, Value string
							ValueFrom   struct {
								SecretKeyRef     struct{ Name, Key string } `yaml:"secretKeyRef"`
								FieldRef         map[string]string          `yaml:"fieldRef"`
								ResourceFieldRef map[string]string          `yaml:"resourceFieldRef"`
							} `yaml:"valueFrom"`
						}
						VolumeMounts []struct {
							Name      string
							MountPath string `yaml:"mountPath"`
							SubPath   string `yaml:"subPath"`
						} `yaml:"volumeMounts"`
					}
					Volumes []struct {
						Name      string
						ConfigMap struct{ Name string } `yaml:"configMap"`
						Secret    struct {
							Name string `yaml:"secretName"`
						}
					}
				}
			}
		}
	}
	var deployment object
	data := map[string]map[string][]byte{"ledger-certs": {"tls.key": []byte("S3CRET-key\n")}}
	dec := yaml.NewDecoder(strings.NewReader(manifests))
	for {
		var o object
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else {
			must(t, err)
		}
		switch o.Kind {
		case "Deployment":
			if o.Metadata.Name == "ledger" {
				deployment = o
			}
		case "ConfigMap", "Secret":
			data[o.Metadata.Name] = map[string][]byte{}
			for _, encoded := range []map[string]string{o.Data, o.Binary} {
				for key, text := range encoded {
					data[o.Metadata.Name][key] = []byte(text)
					if _, binary := o.Binary[key]; binary || o.Kind == "Secret" {
						decoded, err := base64.StdEncoding.DecodeString(text)
						must(t, err)
						data[o.Metadata.Name][key] = decoded
					}
				}
			}
		}
	}
	p := &podFiles{env: map[string]string{}, files: map[string][]byte{}}
	main := deployment.Spec.Template.Spec.Containers[0]
	for _, e := range main.Env {
		value := e.Value
		for name, v := range p.env {
			value = strings.ReplaceAll(value, "$("+name+")", v)
		}
		switch {
		case e.ValueFrom.SecretKeyRef.Name != "":
			secret, ok := data[e.ValueFrom.SecretKeyRef.Name][e.ValueFrom.SecretKeyRef.Key]
			if !ok {
				t.Fatalf("%s: no Secret has it", e.Name)
			}
			value = string(secret)
		case e.ValueFrom.FieldRef != nil:
			value = "10.0.0.7"
		case e.ValueFrom.ResourceFieldRef != nil:
			value = "2"
		}
		p.env[e.Name] = value
	}
	for _, m := range main.VolumeMounts {
		for _, v := range deployment.Spec.Template.Spec.Volumes {
			for key, text := range data[v.ConfigMap.Name+v.Secret.Name] {
				switch {
				case v.Name != m.Name:
				case m.SubPath == "":
					p.files[m.MountPath+"/"+key] = text
				case m.SubPath == key:
					p.files[m.MountPath] = text
				}
			}
		}
	}
	return p
}

// lay writes the pod's files below a folder.
func (p *podFiles) lay(t *testing.T, asJSON bool) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range p.files {
		text := string(text)
		if asJSON {
			text = inJSON(t, name, text)
		}
		write(t, filepath.Join(dir, name), text)
	}
	return dir
}

// inJSON gives a file as JSON, which is YAML as well.
func inJSON(t *testing.T, name, text string) string {
	t.Helper()
	var v any
	switch filepath.Ext(name) {
	case ".yaml":
		must(t, yaml.Unmarshal([]byte(text), &v))
	case ".toml":
		v = map[string]any{"title": "t", "day": "2024-01-31", "owner": map[string]any{"name": "x", "age": 3}, "rule": []any{map[string]any{"name": "r"}}}
	default:
		return text
	}
	data, err := json.Marshal(v)
	must(t, err)
	return string(data)
}

func environ(env map[string]string, more ...string) []string {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		more = append(more, name+"="+env[name])
	}
	return more
}

// reads holds what the program has read against what was put in.
func (p *generated) reads(t *testing.T, in *podFiles) {
	t.Helper()
	dir := in.lay(t, p.json)
	got := command{env: environ(in.env, append(p.env, "CONFIG_ROOT="+dir)...)}.run(t, p.argv[0], p.argv[1:]...)
	want := map[string]string{
		"DEBUG_DIR": "true", "TIMEOUT": "90000",
		"app.server.port": "8081", "app.server.timeout": "30000", "app.name": "it's \"*/\" `x`", "app.switch": "true", "app.weird": "3",
		"app.class": "b", "app.homes": "2", "app.home": "b.example.com", "app.weight": "0.5", "app.note": "true", "app.tag": "b",
		"limits.burst": "2.5", "limits.day": "9007199254740991", "motd": string(in.files["/etc/ledger/motd.txt"]),
		"tool.owner.age": "3", "tool.rule": "r", "logo": "7", "broker.retries": "3", "folder": dir + "/var/cache", "port": "17080",
		"reveal tls.key": "S3CRET-key\n", "reveal broker.password": "S3CRET-queue",
	}
	for name, text := range in.env {
		switch {
		case slices.Contains([]string{"LICENSE", "SIGNING_KEY", "POSTGRESQL_URL", "RABBITMQ_URL"}, name):
			want["reveal "+name] = text
		case want[name] == "" && !strings.HasPrefix(name, "KAI_"):
			want[name] = text
		}
	}
	read := map[string]string{}
	for line := range strings.Lines(got) {
		name, quoted, ok := strings.Cut(strings.TrimSpace(line), "=")
		var text string
		if ok && json.Unmarshal([]byte(quoted), &text) == nil {
			read[name] = text
		}
		if strings.Contains(line, "S3CRET") && !strings.HasPrefix(line, "reveal ") {
			t.Errorf("a secret is printed: %s", line)
		}
	}
	if name := "HOME_URL"; p.json && read[name] == strings.Replace(want[name], ":80/", "/", 1) {
		read[name] = want[name] // JavaScript leaves a scheme's own port out
	}
	read["METRICS_URL"] = strings.TrimSuffix(read["METRICS_URL"], "/")
	for name, text := range want {
		if read[name] != text {
			t.Errorf("%s: put in %q, read %q", name, text, read[name])
		}
	}
	if !strings.Contains(got, "[masked]") || len(read) != len(want) {
		t.Errorf("read %d values of %d:\n%s", len(read), len(want), got)
	}
}

// says holds what the program says about a bad environment: everything, and no value.
func (p *generated) says(t *testing.T, in *podFiles) {
	t.Helper()
	bad := &podFiles{env: maps.Clone(in.env), files: maps.Clone(in.files)}
	for _, name := range []string{"LOG_LEVEL", "SIGNING_KEY"} {
		delete(bad.env, name)
	}
	maps.Copy(bad.env, map[string]string{"PORT": "80S3CRET", "FEATURE_X": "yes", "TIMEOUT": "soon", "RATIO": "1,5", "HOME_URL": "S3CRET", "INT": "", "LICENSE": ""})
	delete(bad.files, "/etc/ledger/motd.txt")
	bad.files["/etc/ledger/app.yaml"] = []byte(`{"server": {"host": 1, "port": "S3CRET", "timeout": "x"}, "homes": [{"url": "S3CRET"}, 1], "tags": {}, "switch": "on",
  "name": "n", "ratio": 1.5, "weird-key": 1, "weird */ key\n": 1, "class": null, "mixed": [], "nothing": [], "empty": 1, "under": {"empty": {}}}`)
	bad.files["/etc/ledger/limits.json"] = []byte(`{"max": S3CRET}`)
	bad.files["/etc/ledger-keys/broker.json"] = []byte(`["S3CRET"]`)
	dir := bad.lay(t, p.json)
	got := command{env: environ(bad.env, append(p.env, "CONFIG_ROOT="+dir)...)}.try(t, p.argv[0], p.argv[1:]...)
	want := `FEATURE_X: expected true or false
HOME_URL: expected a URL
INT: is empty; expected a whole number
LICENSE: is empty; expected a secret
LOG_LEVEL: is not set; expected text
PORT: expected a whole number
RATIO: expected a number
SIGNING_KEY: is not set; expected a secret
TIMEOUT: expected a duration such as 1m30s
/etc/ledger-keys/broker.json: expected a map
/etc/ledger/app.yaml: class: is missing; expected text
/etc/ledger/app.yaml: homes[0].url: expected a URL
/etc/ledger/app.yaml: homes[0].weight: is missing; expected a number
/etc/ledger/app.yaml: homes[1]: expected a map
/etc/ledger/app.yaml: ratio: expected a whole number
/etc/ledger/app.yaml: server.host: expected text
/etc/ledger/app.yaml: server.port: expected a whole number
/etc/ledger/app.yaml: server.timeout: expected a duration such as 1m30s
/etc/ledger/app.yaml: switch: expected true or false
/etc/ledger/app.yaml: tags: expected a list
/etc/ledger/limits.json: cannot be parsed
/etc/ledger/motd.txt: is not there
`
	if got.code != 3 || string(got.stdout) != want {
		t.Errorf("exit code %d, and it says\n%s%s", got.code, got.stdout, got.stderr)
	}
	if strings.Contains(string(got.stdout)+string(got.stderr), "S3CRET") {
		t.Errorf("a value is printed:\n%s%s", got.stdout, got.stderr)
	}
}

// languageCase is what a variable, or a key of a file, is set to, and the value that every language reads there, nil where
// it is a mistake. The table of them is internal/codegen's.
type languageCase struct {
	Name       string
	Text, JSON *string
	Value      *string
}

// configuration has the case in it, and valid values elsewhere.
func (c languageCase) configuration(t *testing.T) map[string]any {
	t.Helper()
	env := map[string]string{
		"TEXT": "a", "INT": "1", "FLOAT": "1.5", "BOOL": "true", "DURATION": "1s", "URL": "http://a.example.com/", "CHOICE": "a",
		"SECRET": "a", "BLANK": "a", "POSTGRESQL_URL": "a",
	}
	file := map[string]string{
		"text": `"a"`, "int": "1", "float": "1.5", "bool": "true", "duration": `"1s"`, "url": `"http://a.example.com/"`, "secret": `"a"`,
	}
	if c.Text != nil {
		env[c.Name] = *c.Text
	} else {
		file[c.Name] = *c.JSON
	}
	var fields []string
	for name, value := range file {
		fields = append(fields, fmt.Sprintf("%q: %s", name, value))
	}
	return map[string]any{"env": env, "file": "{" + strings.Join(fields, ", ") + "}"}
}

func (c languageCase) String() string {
	if c.Text != nil {
		return fmt.Sprintf("%s=%.80q", c.Name, *c.Text)
	}
	return fmt.Sprintf("%s: %.80s", c.Name, *c.JSON)
}

// agrees holds the program to the table of cases that all languages share, and the schema as well.
func (p *generated) agrees(t *testing.T) {
	t.Helper()
	var cases []languageCase
	data, err := os.ReadFile(filepath.Join(root(t), "internal", "codegen", "testdata", "language.json"))
	must(t, err)
	must(t, json.Unmarshal(data, &cases))
	var configurations []any
	for _, c := range cases {
		configurations = append(configurations, c.configuration(t))
	}
	stdin, err := json.Marshal(configurations)
	must(t, err)
	ask := func(p program, answers any) {
		p.stdin = stdin
		must(t, json.Unmarshal([]byte(p.run(t, p.argv[0], p.argv[1:]...)), answers))
	}
	var said []json.RawMessage
	ask(p.language, &said)
	for i, c := range cases {
		var problems []string
		values := map[string]string{}
		bad := json.Unmarshal(said[i], &problems) == nil
		switch {
		case c.Value == nil && (!bad || len(problems) != 1 || problems[0] != c.problem()):
			t.Errorf("%s: want %s, got %s", c, c.problem(), said[i])
		case c.Value == nil:
		case json.Unmarshal(said[i], &values) != nil || !sameValue(values[c.Name], *c.Value):
			t.Errorf("%s: want %s, got %s", c, *c.Value, said[i])
		}
	}
	if p.schema.argv == nil {
		return
	}
	var valid []bool
	ask(p.schema, &valid)
	for i, c := range cases {
		if valid[i] != (c.Value != nil) {
			t.Errorf("by the schema %s is valid: %t", c, valid[i])
		}
	}
}

// problem is what all languages say of a case that is a mistake.
func (c languageCase) problem() string {
	expected := map[string]string{
		"text": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "duration": "a duration such as 1m30s", "url": "a URL",
		"choice": "one of a, b, c d", "secret": "a secret in quotes",
	}[strings.ToLower(c.Name)]
	const file = "/etc/language/all.json: "
	switch {
	case c.Text != nil && *c.Text == "":
		return c.Name + ": is empty; expected " + strings.TrimSuffix(expected, " in quotes")
	case c.Text != nil:
		return c.Name + ": expected " + expected
	case *c.JSON == "null":
		return file + c.Name + ": is missing; expected " + strings.TrimSuffix(expected, " in quotes")
	case !json.Valid([]byte(*c.JSON)):
		return file + "cannot be parsed"
	}
	return file + c.Name + ": expected " + expected
}

// sameValue compares what languages print, of which numbers look differently.
func sameValue(a, b string) bool {
	x, err := strconv.ParseFloat(a, 64)
	y, other := strconv.ParseFloat(b, 64)
	return a == b || err == nil && other == nil && x == y
}

// onALaptop runs the program with what kai writes for one, and the secrets beside it.
func (p *generated) onALaptop(t *testing.T, ledger string, in *podFiles) {
	t.Helper()
	dir := t.TempDir()
	command{}.run(t, kaiBinary(t), "codegen", "-c", "prod", "-w", ledger, "--local", dir)
	secrets := map[string]string{"POD_IP": "127.0.0.1", "CPUS": "1", "LISTEN": "127.0.0.1:1", "LOG_LEVEL": "loud"}
	for _, name := range []string{"LICENSE", "SIGNING_KEY", "POSTGRESQL_URL", "RABBITMQ_URL"} {
		secrets[name] = in.env[name]
	}
	for _, name := range []string{"/certs/tls.key", "/etc/ledger-keys/broker.json"} {
		write(t, filepath.Join(dir, name), string(in.files[name]))
	}
	for name, text := range in.files {
		if p.json && (strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".toml")) {
			write(t, filepath.Join(dir, name), inJSON(t, name, string(text)))
		}
	}
	got := command{env: environ(secrets, append(p.env, "CONFIG_ROOT="+dir)...)}.run(t, p.argv[0], p.argv[1:]...)
	contains(t, "the program", got, `LOG_LEVEL="loud"`) // the environment wins
	contains(t, "the program", got, `VERSION="1.10"`)
	contains(t, "the program", got, `app.tag="b"`)
}

// everyService writes the code of all services of the examples, and of the ledger, one file each.
func everyService(t *testing.T, ledger, language string, path func(name string) string) {
	t.Helper()
	command{}.run(t, kaiBinary(t), "codegen", "-w", ledger, "-c", "dev,prod", "--lang", language, "-o", path("config"))
	command{}.run(t, kaiBinary(t), "codegen", "-w", filepath.Join(root(t), "e2e", "testdata", "codegen", "language"), "-c", "dev,prod",
		"--type", "CHOICE=a|b|c d", "--lang", language, "-o", path("language"))
	for _, w := range codegenWorkspaces {
		dir := filepath.Join(root(t), "testdata", w)
		must(t, filepath.WalkDir(dir, func(file string, _ os.DirEntry, err error) error {
			if err != nil || filepath.Base(file) != "kai.yaml" {
				return err
			}
			var d struct{ Name string }
			data, err := os.ReadFile(file)
			must(t, err)
			must(t, yaml.Unmarshal(data, &d))
			name := strings.ReplaceAll(w+"_"+d.Name, "-", "_")
			command{}.run(t, kaiBinary(t), "codegen", d.Name, "-w", dir, "--lang", language, "-o", path(name))
			return nil
		}))
	}
}

// goProgram is a module with the versions of this checkout, which are there.
func goProgram(t *testing.T, ledger string) *generated {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(root(t), name))
		must(t, err)
		write(t, filepath.Join(dir, name), string(data))
	}
	for from, to := range map[string]string{"go/main.go": "main.go", "language/main.go": "agrees/main.go"} {
		data, err := os.ReadFile(filepath.Join(root(t), "e2e", "testdata", "codegen", from))
		must(t, err)
		write(t, filepath.Join(dir, to), string(data))
	}
	everyService(t, ledger, "go", func(name string) string { return filepath.Join(dir, name, "config.go") })
	c := command{dir: dir, env: append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")}
	if out := c.run(t, "gofmt", "-l", dir); out != "" {
		t.Errorf("not formatted: %s", out)
	}
	c.run(t, "go", "vet", "./...")
	staticcheck := strings.TrimSpace(command{dir: root(t), env: os.Environ()}.run(t, "go", "tool", "-n", "staticcheck"))
	c.run(t, staticcheck, "./...")
	binaries := t.TempDir() + "/"
	c.run(t, "go", "build", "-o", binaries, ".", "./agrees")
	return &generated{argv: []string{binaries + "helm-kai"}, language: program{argv: []string{binaries + "agrees"}}}
}

// typeScriptProgram is compiled, as its checker, its linter and its formatter want it.
func typeScriptProgram(t *testing.T, ledger string) *generated {
	t.Helper()
	here := filepath.Join(root(t), "e2e", "testdata", "codegen")
	dir := node.Packages(t, cache(t), filepath.Join(here, "node"))
	src := t.TempDir()
	must(t, os.Symlink(filepath.Join(dir, "node_modules"), filepath.Join(src, "node_modules")))
	for from, to := range map[string]string{"typescript/main.ts": "main.ts", "node/package.json": "package.json", "node/tsconfig.json": "tsconfig.json", "node/eslint.config.js": "eslint.config.js",
		"language/main.ts": "agrees.ts", "language/schema.cjs": "schema.cjs"} {
		data, err := os.ReadFile(filepath.Join(here, from))
		must(t, err)
		write(t, filepath.Join(src, to), string(data))
	}
	var names []string
	everyService(t, ledger, "typescript", func(name string) string {
		names = append(names, name+".ts")
		return filepath.Join(src, name+".ts")
	})
	c := command{dir: src, env: os.Environ()}
	for _, argv := range [][]string{
		{"typescript/bin/tsc", "-p", "tsconfig.json"},
		append([]string{"prettier/bin/prettier.cjs", "--check"}, names...),
		append([]string{"eslint/bin/eslint.js", "--max-warnings=0"}, names...),
	} {
		c.run(t, node.Find(t), append([]string{filepath.Join(dir, "node_modules", argv[0])}, argv[1:]...)...)
	}
	c.run(t, kaiBinary(t), "codegen", "-w", filepath.Join(here, "language"), "-c", "dev,prod", "--type", "CHOICE=a|b|c d", "--lang", "jsonschema", "-o", "language.schema.json")
	return &generated{argv: []string{node.Find(t), filepath.Join(src, "out", "main.js")}, env: []string{"PATH=" + os.Getenv("PATH")}, json: true,
		language: program{c, []string{node.Find(t), filepath.Join("out", "agrees.js")}}, schema: program{c, []string{node.Find(t), "schema.cjs"}}}
}

// pythonProgram is compiled, and held to the checkers that the machine has.
func pythonProgram(t *testing.T, ledger string) *generated {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	dir := t.TempDir()
	for from, to := range map[string]string{"python/main.py": "main.py", "language/main.py": "agrees.py"} {
		data, err := os.ReadFile(filepath.Join(root(t), "e2e", "testdata", "codegen", from))
		must(t, err)
		write(t, filepath.Join(dir, to), string(data))
	}
	var names []string
	everyService(t, ledger, "python", func(name string) string {
		names = append(names, name+".py")
		return filepath.Join(dir, name+".py")
	})
	c := command{dir: dir, env: os.Environ()}
	c.run(t, python, append([]string{"-W", "error", "-m", "py_compile"}, names...)...)
	for _, checker := range [][]string{{"pyflakes3"}, {"ruff", "check", "--no-cache"}, {"mypy", "--strict", "--cache-dir=/dev/null"}, {"black", "--check", "-q"}} {
		if _, err := exec.LookPath(checker[0]); err != nil {
			t.Logf("%s is not there", checker[0])
			continue
		}
		c.run(t, checker[0], append(checker[1:], names...)...)
	}
	env := []string{"PYTHONDONTWRITEBYTECODE=1", "PATH=" + os.Getenv("PATH"), "PYTHONIOENCODING=utf-8", fmt.Sprint("HOME=", dir)}
	return &generated{argv: []string{python, filepath.Join(dir, "main.py")}, env: env, json: true,
		language: program{command{env: env}, []string{python, filepath.Join(dir, "agrees.py")}}}
}
