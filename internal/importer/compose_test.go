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

// holds looks at what an import gives: want stands in its files, says in its report, and
// not in neither.
func holds(t *testing.T, name string, result *importer.Result, err error, want, says, not []string) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	var written, report strings.Builder
	for _, f := range result.Files {
		written.WriteString(f.Path + "\n" + string(f.Data))
	}
	if err := result.Report.WriteWhole(&report); err != nil {
		t.Fatal(err)
	}
	for _, text := range want {
		if !strings.Contains(written.String(), text) {
			t.Errorf("%s: there is no %q in\n%s", name, text, &written)
		}
	}
	for _, text := range says {
		if !strings.Contains(report.String(), text) {
			t.Errorf("%s: the report has no %q:\n%s", name, text, &report)
		}
	}
	for _, text := range not {
		if strings.Contains(written.String()+report.String(), text) {
			t.Errorf("%s: %q stands in\n%s\n%s", name, text, &written, &report)
		}
	}
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
			name: "variables that repeat a secret one",
			files: map[string]string{
				".env":         "API_TOKEN=swordfish9\nCOPY=${API_TOKEN}\nPART=x-$API_TOKEN\n",
				"a.env":        "FILE_TOKEN=cuttle9\nFILE_COPY=${FILE_TOKEN}\nFILE_PART=x-$FILE_TOKEN\nFROM=${COPY}\n",
				"compose.yaml": "services:\n  a: {image: 'x:1.0.0', env_file: a.env, environment: {A: '${COPY}', B: 'y-${PART}'}, command: [run, '${COPY}']}\n",
			},
			want: []string{"FILE_COPY: {secret: file_token}", "FILE_PART: x-$(FILE_TOKEN)", "FROM: {secret: api_token}", "A: {secret: api_token}", "B: y-x-$(API_TOKEN)", "args: [run, $(API_TOKEN)]"},
			not:  []string{"swordfish9", "cuttle9", "kaisecretmark"},
		},
		{
			name: "a secret in a URL of a friend, beside its password",
			files: map[string]string{
				".env": "API_TOKEN=swordfish9\n",
				"compose.yaml": "services:\n  a: {image: 'x:1.0.0', environment: {DB: 'postgres://u:cuttle9@db:5432/d?key=${API_TOKEN}'}}\n" +
					"  db: {image: 'postgres:16', environment: {POSTGRES_USER: u, POSTGRES_PASSWORD: cuttle9, POSTGRES_DB: d}}\n",
			},
			want: []string{"?key=$(API_TOKEN)"},
			not:  []string{"swordfish9", "cuttle9"},
		},
		{
			name: "secrets in names",
			files: map[string]string{
				".env":         "API_TOKEN=swordfish9\n",
				"compose.yaml": "name: '${API_TOKEN}'\nservices: {a: {image: 'x:1.0.0', profiles: ['${API_TOKEN}'], configs: [{source: c, target: '/etc/${API_TOKEN}'}]}}\nconfigs: {c: {content: text}}\n",
			},
			want: []string{"name: api-token", "path: /etc/API_TOKEN", "services/a/config/API_TOKEN"},
			not:  []string{"swordfish9", "kaisecretmark"},
		},
		{
			name: "a number that is called like a secret, beside a secret that is a number",
			files: map[string]string{
				".env":         "TOKEN_LIMIT=3\nTOKEN_SIZE=9m\nLIMIT=${TOKEN_LIMIT}\nAPI_TOKEN=87654321\n",
				"compose.yaml": "services: {a: {image: 'x:1.0.0', deploy: {replicas: '${LIMIT}'}, mem_limit: '${TOKEN_SIZE}', command: [run, '${API_TOKEN}']}}\n",
			},
			want: []string{"replicas: 3", "memory: 9Mi", "args: [run, $(API_TOKEN)]"},
			not:  []string{"87654321"},
		},
		{
			name: "a file that is extended, and included later",
			files: map[string]string{
				"compose.yaml": "include: [b.yaml, c.yaml]\n",
				"b.yaml":       "services: {b: {extends: {file: c.yaml, service: c}}}\n",
				"c.yaml":       "include: [d.yaml]\nservices: {c: {image: 'x:1.0.0'}}\n",
				"d.yaml":       "services: {d: {image: 'y:2.0.0'}}\n",
			},
			want: []string{"services/b/kai.yaml", "services/c/kai.yaml", "services/d/kai.yaml"},
		},
		{
			name:  "text that Kubernetes would expand",
			files: map[string]string{"compose.yaml": "services: {a: {image: 'x:1.0.0', command: [sh, -c, 'echo $$(date)'], environment: {A: '$$(B)', B: b}}}\n"},
			want:  []string{"echo $$(date)", "A: $$(B)"},
		},
	} {
		result, err := composed(c.files)
		holds(t, c.name, result, err, c.want, c.says, append(c.not, "kaisecretmark"))
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

// TestComposeMeans has what Compose means by a file, and not only what it says.
func TestComposeMeans(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		compose string
		files   map[string]string
		want    []string // in what is written
		says    []string // in the report
		not     []string // in either
	}{
		{
			name:    "the network default, which need not be said",
			compose: "services: {a: {image: 'x:1.0.0', networks: [default, back]}}\nnetworks: {back: {}}\n",
			want:    []string{"name: a"},
		},
		{
			name:    "a volume of two services",
			compose: "services: {api: {image: 'x:1.0.0', ports: ['80'], volumes: ['up:/d']}, bg: {image: 'y:1.0.0', volumes: ['up:/d:ro']}}\nvolumes: {up: {}}\n",
			want:    []string{"services/api/manifests/persistentvolumeclaim-up.yaml", "persistentVolumeClaim: {claimName: up}", "flavor: webservice", "readOnly: true"},
			says:    []string{"api, bg share it: it is one claim of 1Gi, ReadWriteOnce"},
			not:     []string{"stateful"},
		},
		{
			name:    "a volume of a server that is a friend",
			compose: "services:\n  app: {image: 'x:1.0.0', volumes: ['pg:/b'], secrets: [pw], environment: {DB_HOST: pg}}\n  pg: {image: 'postgres:16', volumes: ['pg:/d'], secrets: [pw], environment: {POSTGRES_PASSWORD_FILE: /run/secrets/pw}}\nvolumes: {pg: {}}\nsecrets: {pw: {file: pw.txt}}\n",
			want:    []string{"services/app/manifests/persistentvolumeclaim-pg.yaml"},
			says:    []string{"pg has it as well, which is the friend postgresql now, with a password of its own"},
		},
		{
			name:    "an alias of a network",
			compose: "services: {a: {image: 'x:1.0.0', expose: ['80'], networks: {n: {aliases: [gateway]}}}, b: {image: 'y:1.0.0', networks: [n], environment: {U: 'http://gateway:80', V: 'gateway:81'}}}\nnetworks: {n: {}}\n",
			want:    []string{"http://${friends.a.address}:${friends.a.port}", "port: 81"},
			says:    []string{"services.a.networks.n.aliases"},
		},
		{
			name: "probes that are more than a GET",
			compose: "services:\n" +
				"  a: {image: 'x:1.0.0', expose: ['80'], healthcheck: {test: 'curl -fu u:p -X POST http://localhost:80/x'}}\n" +
				"  b: {image: 'x:1.0.0', expose: ['80'], healthcheck: {test: 'wget -q http://localhost/a && curl -f http://localhost/b', interval: 500ms}}\n",
			want: []string{"curl -fu u:p -X POST", "http://localhost/a && curl", "periodSeconds: 1\n", "periodSeconds: 30\n", "timeoutSeconds: 30\n"},
			says: []string{"500ms is 1", "Compose's own of 30s"},
			not:  []string{"httpGet"},
		},
		{
			name: "probes that are a GET",
			compose: "services:\n" +
				"  a: {image: 'x:1.0.0', expose: ['80'], healthcheck: {test: [CMD, curl, -f, 'http://localhost/a'], interval: 5s, timeout: 2s}}\n" +
				"  b: {image: 'x:1.0.0', expose: ['80'], healthcheck: {test: 'wget -q --spider --tries=1 http://127.0.0.1:8080/b > /dev/null 2>&1 || exit 1'}}\n" +
				"  c: {image: 'x:1.0.0', expose: ['80'], healthcheck: {test: 'curl -sf -o /dev/null http://localhost:80 || false'}}\n",
			want: []string{"httpGet: {path: /a, port: http}, periodSeconds: 5, timeoutSeconds: 2", "containerPort: 8080", "path: /b", "path: /, port: http"},
			not:  []string{"exec:"},
		},
		{
			name:    "variables of a file that nothing sets",
			compose: "services: {a: {image: 'x:1.0.0', env_file: [a.env, gone.env]}}\n",
			files:   map[string]string{"a.env": "A=${NOPE}\nB=${DEFAULT:-x}\nC=1\nD=$C\nE='${QUOTED}'\n"},
			says:    []string{"the variable NOPE is set nowhere", "services.a.env_file, a.env:1", "the file gone.env is not there", "the file is not read, as is to be decided above"},
			not:     []string{"variable DEFAULT", "variable C ", "variable QUOTED"},
		},
		{
			name:    "where a secret's file stands",
			compose: "services: {web: {image: 'x:1.0.0', secrets: [key]}}\nsecrets: {key: {file: './some keys/session.key'}}\n",
			files:   map[string]string{"some keys/session.key": "swordfish9"},
			says:    []string{"--from-file=key='some keys/session.key'"},
			not:     []string{"swordfish9"},
		},
		{
			name:    "settings of Compose's own",
			compose: "services: {web: {image: 'x:1.0.0'}}\n",
			files:   map[string]string{".env": "COMPOSE_PROFILES=tools\nCOMPOSE_FILE=a.yaml:b.yaml\n"},
			says:    []string{"COMPOSE_PROFILES in .env, .env:1", "COMPOSE_FILE in .env, .env:2"},
		},
		{
			name:    "jobs",
			compose: "services:\n  m: {image: 'x:1.0.0', restart: 'no', volumes: ['data:/d']}\n  s: {image: 'x:1.0.0'}\n  web: {image: 'x:1.0.0', ports: ['80'], depends_on: {s: {condition: service_completed_successfully}}}\nvolumes: {data: {}}\n",
			want:    []string{"flavor: job", "claimName: data"},
			says:    []string{"say {service: s, needs: true} under friends"},
			not:     []string{"flavor: worker", "flavor: stateful"},
		},
		{
			name:    "a vhost, and the port of a server that has two",
			compose: "services: {a: {image: 'x:1.0.0', environment: {U: 'amqp://shop:cuttle9@mq:5672/%2fshop'}}, mq: {image: 'rabbitmq:3-management', ports: ['15672:15672', '5672:5672'], environment: {RABBITMQ_DEFAULT_USER: shop, RABBITMQ_DEFAULT_PASS: cuttle9, RABBITMQ_DEFAULT_VHOST: /shop}}}\n",
			want:    []string{"@${friends.mq.address}:${friends.mq.port}/%2fshop"},
			says:    []string{"vhost %2fshop"},
		},
		{
			name:    "no limits",
			compose: "services: {a: {image: 'x:1.0.0'}, b: {image: 'x:1.0.0', mem_limit: 1g}}\n",
			says:    []string{"the flavor does: cpu 1, memory 256Mi;", "the flavor does: cpu 1;"},
		},
	} {
		files := map[string]string{"compose.yaml": c.compose}
		for name, data := range c.files {
			files[name] = data
		}
		result, err := composed(files)
		holds(t, c.name, result, err, c.want, c.says, c.not)
	}
}

// TestComposeProfilesOfProjects: a profile of one project among several is a context
// that is called after it.
func TestComposeProfilesOfProjects(t *testing.T) {
	t.Parallel()
	fsys := importer.FS([]importer.File{
		{Path: "c.yaml", Data: []byte("services: {api: {image: 'x:1.0.0'}, tool: {image: 'y:1.0.0', profiles: [tools]}, only: {image: 'z:1.0.0', profiles: [prod]}}\n")},
		{Path: "prod.yaml", Data: []byte("services: {api: {image: 'x:2.0.0'}}\n")},
	})
	result, findings := importer.Compose(importer.Options{Folder: "folder", Trees: []importer.Tree{
		{Context: "dev", FS: fsys, Path: "c.yaml"}, {Context: "prod", FS: fsys, Path: "c.yaml"}, {Context: "prod", FS: fsys, Path: "prod.yaml"},
	}})
	if err := findings.Err(); err != nil {
		t.Fatal(err)
	}
	var written strings.Builder
	for _, f := range result.Files {
		written.Write(f.Data)
	}
	for _, want := range []string{"{name: dev, except: [only, tool]}", "{name: prod, except: [tool]}", "{name: dev-tools", "{name: prod-tools"} {
		if !strings.Contains(written.String(), want) {
			t.Errorf("there is no %q in\n%s", want, &written)
		}
	}
}
