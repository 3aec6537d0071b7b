package importer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/importer"
)

// composed imports a Compose project of the files that are given.
func composed(files map[string]string, names ...string) (*importer.Result, error) {
	var all []importer.File
	for name, data := range files {
		all = append(all, importer.File{Path: name, Data: []byte(data)})
	}
	if len(names) == 0 {
		names = []string{"."}
	}
	o := importer.Options{Folder: "folder"}
	for _, name := range names {
		o.Trees = append(o.Trees, importer.Tree{FS: importer.FS(all), Path: name})
	}
	result, findings := importer.Compose(o)
	return result, findings.Err()
}

// TestComposeReads reads what Compose reads in many forms.
func TestComposeReads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []string // in what is written
		not   []string
		says  []string // in the report
	}{
		{
			name: "an anchor, a merge key and an extension",
			files: map[string]string{"compose.yaml": "x-all: &all {image: 'x:1.0.0', environment: &env {A: one, B: two}}\n" +
				"services:\n  a: {<<: *all, environment: {<<: *env, B: three}}\n"},
			want: []string{"env: {A: one, B: three}"},
		},
		{
			name: "variables and their defaults",
			files: map[string]string{
				".env":         "SET=set\nEMPTY=\nexport OTHER=\"$SET/${NONE:-none}\"\n",
				"compose.yaml": "services: {a: {image: 'x:1.0.0', environment: {A: '${SET}', B: '${EMPTY:-default}', C: '${EMPTY-kept}', D: '${SET:+there}', E: '$$SET', F: '$OTHER', G: '${UNSET:-${SET}}', H: '${MUST:?say it}'}}}\n",
			},
			want: []string{"A: set", "B: default", `C: ""`, "D: there", "E: $SET", "F: set/none", "G: set", `H: ""`},
			says: []string{"the variable MUST is set nowhere"},
		},
		{
			name:  "a number that is called like a secret",
			files: map[string]string{".env": "TOKEN_LIMIT=3\n", "compose.yaml": "services: {a: {image: 'x:1.0.0', deploy: {replicas: '${TOKEN_LIMIT}'}}}\n"},
			want:  []string{"replicas: 3"},
		},
		{
			name: "include with variables of its own, and a file laid over it",
			files: map[string]string{
				"compose.yaml":    "include:\n  - path: [part/a.yaml, part/b.yaml]\n    env_file: part/vars.env\n",
				"part/a.yaml":     "services: {a: {image: 'x:${TAG}', env_file: a.env, command: '--key ${API_TOKEN}'}}\n",
				"part/b.yaml":     "services: {a: {environment: {B: laid-over}}}\n",
				"part/vars.env":   "TAG=4.5.6\nAPI_TOKEN=swordfish9\n",
				"part/a.env":      "FROM=part\n",
				"part/.env":       "TAG=7.8.9\n",
				"compose.unused":  "nothing",
				"other/a.env":     "FROM=other\n",
				"part/notes.yaml": "not: read\n",
			},
			want: []string{"tag: 4.5.6", "FROM: part", "B: laid-over", "$(API_TOKEN)", "API_TOKEN: {secret: api_token}"},
			not:  []string{"swordfish9"},
		},
		{
			name: "a service that is extended from a file that extends another",
			files: map[string]string{
				"compose.yaml": "services: {a: {extends: {file: b/b.yaml, service: b}, image: 'x:1.0.0'}}\n",
				"b/b.yaml":     "services: {b: {extends: {file: ../c/c.yaml, service: c}, environment: {B: b}, env_file: b.env}}\n",
				"b/b.env":      "OF_B=yes-b\n",
				"c/c.yaml":     "services: {c: {environment: {C: c, B: c}, env_file: c.env, shm_size: 9m}}\n",
				"c/c.env":      "OF_C=yes-c\n",
			},
			want: []string{"OF_B: yes-b", "OF_C: yes-c", "B: b", "C: c"},
			says: []string{"services.a.shm_size, c/c.yaml:1:"},
		},
		{
			name:  "a name of the project",
			files: map[string]string{"compose.yaml": "name: ${NAME:-my_shop}\nservices: {a: {image: 'x:1.0.0'}}\n"},
			want:  []string{"name: my-shop"},
		},
		{
			name:  "no name",
			files: map[string]string{"compose.yaml": "services: {a: {image: 'x:1.0.0'}}\n"},
			want:  []string{"name: folder"},
		},
		{
			name:  "a provider",
			files: map[string]string{"compose.yaml": "services: {a: {image: 'x:1.0.0'}, b: {provider: {type: some-command}}}\n"},
			says:  []string{"the provider some-command makes it, and an import starts no commands"},
			not:   []string{"services/b"},
		},
		{
			name:  "a password in a file",
			files: map[string]string{"compose.yaml": "services:\n  a: {image: 'x:1.0.0', environment: {DB: db:5432}}\n  db: {image: 'postgres:16', environment: {POSTGRES_PASSWORD_FILE: /run/secrets/pw}, secrets: [pw]}\nsecrets: {pw: {file: pw.txt}}\n", "pw.txt": "swordfish9"},
			not:   []string{"swordfish9", "the source has no password"},
		},
		{
			name:  "text that Kubernetes would expand",
			files: map[string]string{"compose.yaml": "services: {a: {image: 'x:1.0.0', command: [sh, -c, 'echo $$(date)'], environment: {A: '$$(B)', B: b}}}\n"},
			want:  []string{"echo $$(date)", "A: $$(B)"},
		},
	} {
		result, err := composed(c.files)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var written, report strings.Builder
		for _, f := range result.Files {
			written.WriteString(f.Path + "\n" + string(f.Data))
		}
		if err := result.Report.WriteWhole(&report); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(written.String(), want) {
				t.Errorf("%s: there is no %q in\n%s", c.name, want, &written)
			}
		}
		for _, want := range c.says {
			if !strings.Contains(report.String(), want) {
				t.Errorf("%s: the report has no %q:\n%s", c.name, want, &report)
			}
		}
		for _, not := range append(c.not, "kaisecretmark") {
			if strings.Contains(written.String()+report.String(), not) {
				t.Errorf("%s: %q stands in\n%s\n%s", c.name, not, &written, &report)
			}
		}
	}
}

// TestComposeBounds gives the importer what would never end, and what leads out of
// the folder.
func TestComposeBounds(t *testing.T) {
	t.Parallel()
	many, tall := map[string]string{}, "services:\n  a0: {image: 'x:1.0.0'}\n"
	for i := range 300 {
		many[fmt.Sprintf("f%d.yaml", i)] = fmt.Sprintf("include: [f%d.yaml]\nservices: {a%d: {image: 'x:1.0.0'}}\n", i+1, i)
		tall += fmt.Sprintf("  a%d: {extends: a%d}\n", i+1, i)
	}
	many["compose.yaml"] = many["f0.yaml"]
	wide := map[string]string{"compose.yaml": "include:\n"}
	for i := range 300 {
		wide["compose.yaml"] += fmt.Sprintf("  - w%d.yaml\n", i)
		wide[fmt.Sprintf("w%d.yaml", i)] = fmt.Sprintf("services: {a%d: {image: 'x:1.0.0'}}\n", i)
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string // "" is none
	}{
		{"a chain of files", many, "deeper than the bound"},
		{"a fan of files", wide, "more files are included or extended than the bound"},
		{"a chain of services", map[string]string{"compose.yaml": tall}, ""},
		{"variables in variables", map[string]string{"compose.yaml": "services: {a: {image: 'x:" + strings.Repeat("${A:-", 5000) + strings.Repeat("}", 5000) + "'}}\n"}, "than the bound"},
		{"many variables", map[string]string{"compose.yaml": "services: {a: {image: 'x:" + strings.Repeat("${A:-b}", 50_000) + "'}}\n"}, "than the bound"},
		{"variables in .env", map[string]string{"compose.yaml": "services: {a: {image: x}}\n", ".env": "A=" + strings.Repeat("${A:-", 5000) + strings.Repeat("}", 5000) + "\n"}, "than the bound"},
		{"a line of .env", map[string]string{"compose.yaml": "services: {a: {image: x}}\n", ".env": "A=1\nDB_PASSWORD='swordfish9\n"}, "it cannot be read"},
		{"an include of itself", map[string]string{"compose.yaml": "include: [compose.yaml]\n"}, "includes itself"},
		{"services that extend one another over files", map[string]string{"compose.yaml": "services: {a: {image: x, extends: {file: b.yaml, service: b}}}\n", "b.yaml": "services: {b: {image: x, extends: {file: compose.yaml, service: a}}}\n"}, "extends itself"},
		{"a folder above", map[string]string{"compose.yaml": "include: [{path: a.yaml, project_directory: ../..}]\n", "a.yaml": "services: {}\n"}, "outside of the folder"},
		{"variables above", map[string]string{"compose.yaml": "include: [{path: a.yaml, env_file: /etc/passwd}]\n", "a.yaml": "services: {}\n"}, "outside of the folder"},
		{"a name that a variable gives", map[string]string{".env": "UP=../..\n", "compose.yaml": "include: ['${UP}/a.yaml']\n"}, "outside of the folder"},
		{"git by ssh", map[string]string{"compose.yaml": "services: {a: {image: x, extends: {file: 'git@example.com:a/b.git', service: a}}}\n"}, "stands elsewhere"},
	} {
		began := time.Now()
		_, err := composed(c.files)
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		case err != nil && strings.Contains(err.Error(), "swordfish9"):
			t.Errorf("%s: the error has a secret: %v", c.name, err)
		}
		if d := time.Since(began); d > time.Minute {
			t.Errorf("%s: it took %s", c.name, d)
		}
	}
}

// TestComposeLeavesNothing: the copies of files that compose-go reads are gone
// when the import is done, also when it fails.
func TestComposeLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir)
	for _, text := range []string{"include: [a.yaml]\n", "include: [a.yaml, b.yaml]\n"} {
		_, _ = composed(map[string]string{"compose.yaml": text, "a.yaml": "services: {a: {image: 'x:1.0.0'}}\n"})
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("%v is left: %v", left, err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
}
