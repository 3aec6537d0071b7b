package importer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/importer"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

//go:generate go test . -run TestGolden -update

var update = flag.Bool("update", false, "write the golden files anew")

// importCase is a source of testdata.
type importCase struct {
	name  string
	run   func(importer.Options) (*importer.Result, source.Findings)
	trees []importer.Tree
	// unfinished says that something has to be decided before kai takes it.
	unfinished bool
}

func tree(contextName, dir string) importer.Tree {
	return importer.Tree{Context: contextName, Name: dir, FS: os.DirFS(filepath.Join("testdata", dir)), Path: "."}
}

func cases() []importCase {
	return []importCase{
		{name: "shop", run: importer.Manifests, trees: []importer.Tree{tree("dev", "shop/dev"), tree("prod", "shop/prod")}},
		{name: "reviews", run: importer.Manifests, trees: []importer.Tree{tree("", "reviews")}},
		{name: "compose", run: importer.Compose, trees: []importer.Tree{tree("", "compose")}},
		{name: "score", run: importer.Score, trees: []importer.Tree{tree("", "score")}},
		{name: "pligos", run: importer.Pligos, trees: []importer.Tree{tree("", "pligos")}, unfinished: true},
	}
}

func run(t *testing.T, c importCase) *importer.Result {
	t.Helper()
	result, err := c.result()
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// result imports a source and compares, which has charts made and rendered.
func (c importCase) result() (*importer.Result, error) {
	result, findings := c.run(importer.Options{Trees: c.trees, Name: "imported"})
	if err := findings.Err(); err != nil {
		return nil, err
	}
	return result, result.Compare(context.Background())
}

// imports are what the cases came to, by name.
var imports sync.Map

// imported gives what a case comes to, which all tests share and none changes.
func imported(t *testing.T, c importCase) *importer.Result {
	t.Helper()
	once, _ := imports.LoadOrStore(c.name, sync.OnceValues(c.result))
	result, err := once.(func() (*importer.Result, error))()
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// TestGolden holds what is imported, and its report, to what was reviewed.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			result := imported(t, c)
			var b bytes.Buffer
			for _, f := range result.Files {
				fmt.Fprintf(&b, "-- %s --\n%s", f.Path, f.Data)
			}
			b.WriteString("-- report --\n")
			if err := result.Report.WriteText(&b); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "golden", c.name+".txt")
			if *update {
				if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("the import differs from %s: run go test ./internal/importer -run TestGolden -update and look at the diff", golden)
			}
		})
	}
}

// secrets are all those that stand in testdata.
var secrets = []string{"swordfish9", "hunter2hunter2", "hunter3hunter3", "aHVudGVyM2h1bnRlcjM=", "not-a-secret", "not-a-real-token"}

// TestNoSecretIsCopied looks for the sources' secrets in everything that an
// import gives.
func TestNoSecretIsCopied(t *testing.T) {
	t.Parallel()
	for _, c := range cases() {
		result := imported(t, c)
		var b bytes.Buffer
		if err := result.Report.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		if err := result.Report.WriteText(&b); err != nil {
			t.Fatal(err)
		}
		for _, f := range result.Files {
			b.Write(f.Data)
		}
		for _, secret := range secrets {
			if strings.Contains(b.String(), secret) {
				t.Errorf("%s: the import repeats the secret %s", c.name, secret)
			}
		}
	}
}

// TestGenerates makes charts of what is imported, in all contexts.
func TestGenerates(t *testing.T) {
	t.Parallel()
	for _, c := range cases() {
		if c.unfinished {
			continue
		}
		w, findings := workspace.Open(importer.FS(imported(t, c).Files))
		if findings.Err() != nil {
			t.Fatalf("%s: %v", c.name, findings)
		}
		for _, name := range w.ContextNames() {
			if objects := rendered(t, w, name); len(objects) == 0 {
				t.Errorf("%s: the context %s has no objects", c.name, name)
			}
		}
	}
}

func rendered(t *testing.T, w *workspace.Workspace, name string) []manifest.Object {
	t.Helper()
	releases, findings := build.Charts(t.Context(), w, name, build.Options{})
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	var out []manifest.Object
	for _, r := range releases {
		if r.Kind != build.KindService {
			continue
		}
		result, err := build.Render(t.Context(), r, render.Options{})
		if err != nil {
			t.Fatal(err)
		}
		objects, err := manifest.Parse(result.Text())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			if !strings.Contains(o.Source, "/charts/") { // a friend's
				out = append(out, o)
			}
		}
	}
	return out
}

// TestDifferencesAreReported compares the manifests with what kai renders of the
// import, as they are: what differs is exactly what the report names, and each
// object is told about.
func TestDifferencesAreReported(t *testing.T) {
	t.Parallel()
	for _, c := range cases()[:2] {
		result := imported(t, c)
		w, findings := workspace.Open(importer.FS(result.Files))
		if findings.Err() != nil {
			t.Fatal(findings)
		}
		for _, source := range c.trees {
			name := source.Context
			if name == "" {
				name = importer.DefaultContext
			}
			after := map[string]manifest.Object{}
			for _, o := range rendered(t, w, name) {
				after[o.Ref.String()] = o
			}
			for _, o := range objects(t, source) {
				told := func(e importer.Entry) bool {
					return e.Context == name && strings.HasPrefix(e.What, o.Ref.String())
				}
				if o.Ref.Kind != "Secret" && !slices.ContainsFunc(result.Report.Entries, told) && o.Ref.Kind != "ClusterRole" && o.Ref.Kind != "ClusterRoleBinding" && o.Ref.Name != "orders-db" && o.Ref.Name != "sessions" {
					t.Errorf("%s: nothing is said about %s", c.name, o.Ref)
				}
				other, ok := after[o.Ref.String()]
				if !ok || o.Ref.Kind == "Secret" {
					continue
				}
				if o.Ref.Kind == "Deployment" {
					// The report has this name by itself.
					containers := o.Fields["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)["containers"].([]any)
					containers[0].(map[string]any)["name"] = o.Ref.Name
				}
				change := manifest.Compare(o.Ref, manifest.Normalize(manifest.WithDefaults(o.Fields)), manifest.Normalize(manifest.WithDefaults(other.Fields)), nil)
				var want, got []string
				for _, f := range change.Fields {
					want = append(want, o.Ref.Kind+" "+f.Path)
				}
				for _, e := range result.Report.Entries {
					if e.Path != "" && e.What == o.Ref.String() && e.Context == name {
						got = append(got, e.Path)
						if e.Why == "" || e.Place == "" {
							t.Errorf("%s: %s: no reason, or no place", c.name, e.Path)
						}
					}
				}
				slices.Sort(want)
				slices.Sort(got)
				if !slices.Equal(want, got) {
					t.Errorf("%s: %s in %s: the report names\n%s\nand these differ\n%s", c.name, o.Ref, name, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			}
		}
	}
}

func objects(t *testing.T, tree importer.Tree) []manifest.Object {
	t.Helper()
	var all []manifest.Object
	err := fs.WalkDir(tree.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(tree.FS, name)
		if err != nil {
			return err
		}
		objects, err := manifest.Parse(string(data))
		all = append(all, objects...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestNothingIsADefault takes each field of the contexts away, one at a time: if
// nothing that is rendered changes, it need not have been written.
func TestNothingIsADefault(t *testing.T) {
	t.Parallel()
	kit := build.NewKit()
	for _, c := range cases()[:2] {
		result := imported(t, c)
		for i, f := range result.Files {
			if filepath.Base(f.Path) != "kai.yaml" {
				continue
			}
			root, findings := source.ParseYAML(f.Path, f.Data)
			if findings.Err() != nil {
				t.Fatal(findings)
			}
			service := root.Get("name").Str()
			want := slices.Collect(manifestsOf(kit, result.Files, service))
			for n := range root.Get("contexts").Items {
				for _, path := range leaves(root.Get("contexts").Items[n], nil) {
					if slices.Contains([]string{"name", "extends", "flavor"}, path[0]) || path[0] == "job" {
						continue
					}
					files := slices.Clone(result.Files)
					changed := without(root, append([]string{"contexts", fmt.Sprint(n)}, path...))
					files[i].Data = source.AppendYAML(nil, changed, nil)
					same := 0
					for text := range manifestsOf(kit, files, service) {
						if same == len(want) || text != want[same] {
							same = -1
							break // the first context that differs decides
						}
						same++
					}
					if same == len(want) {
						t.Errorf("%s: %s: contexts[%d].%s changes nothing", c.name, service, n, strings.Join(path, "."))
					}
				}
			}
		}
	}
}

// manifestsOf renders a service in one context after the other, or gives what kai
// has against it.
func manifestsOf(kit *build.Kit, files []importer.File, service string) iter.Seq[string] {
	return func(yield func(string) bool) {
		w, findings := workspace.Open(importer.FS(files))
		if findings.Err() != nil {
			yield(findings.Error())
			return
		}
		for _, name := range w.ContextNames() {
			if !yield(manifestsIn(kit, w, name, service)) {
				return
			}
		}
	}
}

func manifestsIn(kit *build.Kit, w *workspace.Workspace, name, service string) string {
	releases, findings := build.Charts(context.Background(), w, name, build.Options{Only: service, Kit: kit})
	if findings.Err() != nil {
		return findings.Error()
	}
	var b strings.Builder
	for _, r := range releases {
		result, err := build.Render(context.Background(), r, render.Options{})
		if err != nil {
			return err.Error()
		}
		b.WriteString(result.Text())
	}
	return b.String()
}

// leaves gives the paths of what stands in maps.
func leaves(v *source.Value, at []string) [][]string {
	if v.Kind != source.Map || len(v.Fields) == 0 {
		return [][]string{at}
	}
	var out [][]string
	for _, f := range v.Fields {
		out = append(out, leaves(f.Value, append(at[:len(at):len(at)], f.Key))...)
	}
	return out
}

// without gives a copy of v that has no value at a path.
func without(v *source.Value, path []string) *source.Value {
	out := v.Shallow()
	if v.Kind == source.List {
		var n int
		_, _ = fmt.Sscan(path[0], &n)
		out.Items[n] = without(v.Items[n], path[1:])
		return out
	}
	if len(path) == 1 {
		out.Delete(path[0])
		return out
	}
	out.Set(path[0], without(v.Get(path[0]), path[1:]))
	return out
}

// TestReportJSON reads a report as a program does.
func TestReportJSON(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := imported(t, cases()[0]).Report.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var report struct {
		Entries []struct{ Outcome, Place, Service, Context, What, Why string }
		Store   []struct {
			Context, Path, Command string
			Places                 []string
		}
	}
	if err := json.Unmarshal(b.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Store) != 4 || report.Store[1].Command != "kai secrets set -c dev orders.secret.signing-key" {
		t.Errorf("to store: %+v", report.Store)
	}
	for _, e := range report.Entries {
		if e.What == "ServiceMonitor/orders" && e.Outcome == "left out" && strings.HasPrefix(e.Place, "shop/prod/all.yaml:") {
			return
		}
	}
	t.Error("the report does not say where the ServiceMonitor stands")
}

// TestMistakes reads sources that nobody can import.
func TestMistakes(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	laughs := "services: {}\na: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		laughs += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 10), ","))
	}
	for _, test := range []struct {
		name, text, want string
		run              func(importer.Options) (*importer.Result, source.Findings)
	}{
		{"nothing", "", "there is no workload", importer.Manifests},
		{"no object", "a: 1\n", "it has no kind", importer.Manifests},
		{"a list", "- 1\n", "this is no object of Kubernetes, but a list", importer.Manifests},
		{"template", "kind: {{ .Values.kind }}\n", "render it first", importer.Manifests},
		{"twice", "{apiVersion: v1, kind: Service, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Service, metadata: {name: a}}\n", "--context NAME=PATH", importer.Manifests},
		{"deep", "a: " + deep, "bound of 100", importer.Manifests},
		{"namespaces", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: x}}\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: y}}\n", "stands at in.yaml:1:1 as well, in another namespace", importer.Manifests},
		{"no name", "{apiVersion: v1, kind: Pod, metadata: {generateName: a-}}\n", "it has no metadata.name", importer.Manifests},
		{"no version in a list", "apiVersion: v1\nkind: List\nitems:\n- {kind: Pod, metadata: {name: a}}\n", "in.yaml:4:3: this is no object of Kubernetes: it has no apiVersion", importer.Manifests},
		{"a list of nothing", "apiVersion: v1\nkind: List\nitems: [1, null]\n", "this is no object of Kubernetes, but a number", importer.Manifests},
		{"broken", "kind: [\n", "in.yaml:", importer.Manifests},
		{"broken compose", "services: {a: {image: b}\n", "in.yaml:", importer.Compose},
		{"alias of itself", "a: &a [*a]\n", "in.yaml:", importer.Compose},
		{"laughs", laughs, "bound", importer.Compose},
		{"laughs in manifests", laughs, "bound", importer.Manifests},
		{"laughs in score", laughs, "bound", importer.Score},
		{"extends itself", "services:\n  a: {image: x, extends: b}\n  b: {image: x, extends: {service: a}}\n", "in.yaml:3:26: services.b.extends: the service a extends itself: a → b → a", importer.Compose},
		{"huge", "a: " + strings.Repeat("x", source.MaxFile), "in.yaml", importer.Compose},
		{"no compose", "a: 1\n", "it has no services", importer.Compose},
		{"compose name", "services: {'!': {image: a}}\n", "cannot be named so", importer.Compose},
		{"score version", "apiVersion: score.dev/v9\ncontainers: {}\n", "is none that kai reads", importer.Score},
		{"score name", "apiVersion: score.dev/v1b1\ncontainers: {}\n", "has no name", importer.Score},
		{"no pligos", "a: 1\n", "no shape that Pligos had", importer.Pligos},
	} {
		_, findings := test.run(importer.Options{Name: "x", Trees: []importer.Tree{{FS: importer.FS([]importer.File{{Path: "in.yaml", Data: []byte(test.text)}}), Path: "in.yaml"}}})
		if findings.Err() == nil || !strings.Contains(findings.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, findings, test.want)
		}
	}
}

// TestOutside: no importer reads a file outside of the folder that it is given,
// however it is named, and each says so.
func TestOutside(t *testing.T) {
	t.Parallel()
	const secret = "text-from-outside"
	top := t.TempDir()
	dir := filepath.Join(top, "in")
	for name, data := range map[string]string{
		"out.txt": secret + "=1\n",
		"in/compose.yaml": "services:\n  a:\n    image: x:1.0.0\n    env_file: [../out.txt, link.txt, " + filepath.ToSlash(filepath.Join(top, "out.txt")) + "]\n" +
			"    volumes: ['../out.txt:/a.txt', './link.txt:/b.txt', '~/out.txt:/d.txt']\n    configs: [{source: c, target: /c.txt}]\nconfigs: {c: {file: link.txt}}\n",
		"in/score.yaml":  "apiVersion: score.dev/v1b1\nmetadata: {name: a}\ncontainers: {a: {image: 'x:1.0.0', files: {/a.txt: {source: ../out.txt}, /b.txt: {source: link.txt}}}}\n",
		"in/pligos.yaml": "pligos: {types: [../out.txt, link.txt]}\ncontexts: {a: {spec: {container: [a]}}}\nvalues: {container: [{name: a, image: 'x:1.0.0', command: {script: link.txt}}]}\n",
	} {
		file := filepath.Join(top, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../out.txt", filepath.Join(dir, "link.txt")); err != nil {
		t.Skip(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, c := range []struct {
		file  string
		run   func(importer.Options) (*importer.Result, source.Findings)
		named int
	}{
		{"compose.yaml", importer.Compose, 7}, {"score.yaml", importer.Score, 2}, {"pligos.yaml", importer.Pligos, 3},
	} {
		result := run(t, importCase{run: c.run, trees: []importer.Tree{{FS: root.FS(), Path: c.file}}})
		n := 0
		for _, e := range result.Report.Entries {
			if strings.Contains(e.Why, "outside of the folder") || strings.Contains(e.Why, "not there") || strings.Contains(e.Why, "cannot be read") {
				n++
			}
			if e.Outcome != importer.Carried && e.Place == "" {
				t.Errorf("%s: %s has no place: %s", c.file, e.What, e.Why)
			}
		}
		if n < c.named {
			t.Errorf("%s: %d files are reported, want %d: %+v", c.file, n, c.named, result.Report.Entries)
		}
		for _, f := range result.Files {
			if strings.Contains(string(f.Data), secret) {
				t.Errorf("%s: %s has what stands outside:\n%s", c.file, f.Path, f.Data)
			}
		}
	}
}

// TestLineEnds: files as Windows has them, with a mark of their bytes' order, are
// read as others are.
func TestLineEnds(t *testing.T) {
	t.Parallel()
	const text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    spec:\n      containers:\n        - name: a\n          image: x:1.0.0\n          args:\n            - |\n              one\n              two\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n"
	var files [2]string
	for i, data := range []string{text, "\ufeff" + strings.ReplaceAll(text, "\n", "\r\n")} {
		result := run(t, importCase{run: importer.Manifests, trees: []importer.Tree{{FS: importer.FS([]importer.File{{Path: "in.yaml", Data: []byte(data)}}), Path: "in.yaml"}}})
		for _, f := range result.Files {
			files[i] += f.Path + string(f.Data)
		}
	}
	if files[0] != files[1] || files[0] == "" {
		t.Errorf("got\n%s\nwant\n%s", files[1], files[0])
	}
}

// TestManifestsTell: what is said of manifests that are mistaken, or not whole.
func TestManifestsTell(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"containers that are no list", map[string]string{"a.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: 5}}}\n"}, []string{"a.yaml:4:38", "Deployment/a has containers that are no list"}},
		{"nothing that runs", map[string]string{"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"}, []string{"a.yaml:1:1", "there is no workload"}},
		{"a folder of kustomize's", map[string]string{
			"base/l.yaml": "apiVersion: builtin\nkind: LabelTransformer\nmetadata: {name: labels}\n", "over/l.yaml": "apiVersion: builtin\nkind: LabelTransformer\nmetadata: {name: labels}\n",
			"over/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n",
		}, []string{"over/kustomization.yaml:1:1", "a folder of kustomize's", "kustomize build DIR | kai import manifests -"}},
	} {
		var all []importer.File
		for name, data := range c.files {
			all = append(all, importer.File{Path: name, Data: []byte(data)})
		}
		_, findings := importer.Manifests(importer.Options{Folder: "folder", Trees: []importer.Tree{{FS: importer.FS(all), Path: "."}}})
		var told strings.Builder
		for _, f := range findings {
			fmt.Fprintf(&told, "%s %s %s\n", f.Origin, f.Message, f.Hint)
		}
		for _, want := range c.want {
			if len(findings) != 1 || !strings.Contains(told.String(), want) {
				t.Errorf("%s: %q, want %q alone", c.name, told.String(), want)
			}
		}
	}
}

// TestSidecars: a port of a Service that a sidecar opens is that route's, and the
// report asks about the variables that a sidecar sees.
func TestSidecars(t *testing.T) {
	t.Parallel()
	deployment := func(name, containers string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name + "}\nspec: {selector: {matchLabels: {app: " + name + "}}, template: {metadata: {labels: {app: " + name + "}}, spec: {containers: [" + containers + "]}}}\n---\n"
	}
	data := deployment("side", "{name: side, image: 'x:1.0.0', ports: [{containerPort: 9102}], env: [{name: ONLY, value: its}]}, {name: nginx, image: 'nginx:1.25.0', ports: [{containerPort: 80}]}") +
		deployment("b", "{name: b, image: 'y:1.0.0', env: [{name: B, value: 'http://side:80/x'}, {name: M, value: 'http://side:9102/m'}]}") +
		"apiVersion: v1\nkind: Service\nmetadata: {name: side}\nspec: {selector: {app: side}, ports: [{name: http, port: 80}, {name: metrics, port: 9102}]}\n"
	result, findings := importer.Manifests(importer.Options{Folder: "folder", Trees: []importer.Tree{{FS: importer.FS([]importer.File{{Path: "a.yaml", Data: []byte(data)}}), Path: "."}}})
	if err := findings.Err(); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range result.Files {
		all.Write(f.Data)
	}
	if err := result.Report.WriteWhole(&all); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"B: http://${friends.side.address}:${friends.side.ports.http}/x", "M: http://${friends.side.address}:${friends.side.port}/m", "container nginx env ONLY"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("there is no %q in\n%s", want, &all)
		}
	}
}
