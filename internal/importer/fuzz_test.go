package importer_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/importer"
	"github.com/helm-kai/helm-kai/internal/source"
)

// hostile are inputs that have broken readers of YAML.
var hostile = []string{
	"a: &a [*a]\n", "a: &a {b: *a}\n", "&a a: *a\n", "x: [" + strings.Repeat("[", 120), "- - - - -\n", "? {a: b}\n: c\n", "<<: {a: 1}\n", "\xff\xfe", "a: !!binary x\n",
	"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d]\n",
	"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: ../../etc}\nspec: {template: {spec: {containers: [{name: ../x, image: ':@', env: [{name: 1, value: {a: b}}], volumeMounts: [{name: c, mountPath: /}]}], volumes: [{name: c, configMap: {name: m}}]}}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {../../x: y, .: z}\n",
	"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: 3\n", "apiVersion: v1\nkind: List\nitems: [1, null, {kind: List, apiVersion: v1, items: []}]\n",
	"services: {a: {extends: a, image: '${X:-${Y}}', ports: ['1-2:3', '::'], volumes: ['../..:/x', ':', 3], command: '\"', depends_on: a}}\n",
	"services: {a: {extends: b}, b: {extends: a}}\n",
	"pligos: {types: [../../../x]}\ncontexts: {a: {spec: {container: [a]}}}\nvalues: {container: [{name: a, container: a, command: {script: ../../../etc/passwd}}]}\n",
	"apiVersion: score.dev/v1b1\nmetadata: {name: a}\ncontainers: {a: {image: x, files: {/../x: {content: y}, y: 1}, volumes: [1], variables: {A: '${resources.}'}}}\nresources: {'': {type: route}, a: 1}\n",
}

func fuzz(f *testing.F, file string, run func(importer.Options) (*importer.Result, source.Findings)) {
	for _, text := range hostile {
		f.Add([]byte(text))
	}
	_ = filepath.WalkDir("testdata", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(name) == ".yaml" {
			if data, err := os.ReadFile(name); err == nil {
				f.Add(data)
			}
		}
		return err
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		began := time.Now()
		tree := importer.Tree{FS: importer.FS([]importer.File{{Path: file, Data: data}}), Path: "."}
		result, findings := run(importer.Options{Name: "x", Trees: []importer.Tree{tree}})
		if d := time.Since(began); d > time.Minute {
			t.Fatalf("it took %s", d)
		}
		if findings.Err() != nil {
			return
		}
		for _, f := range result.Files {
			if !fs.ValidPath(f.Path) || path.Clean(f.Path) != f.Path {
				t.Errorf("the import would write to %q", f.Path)
			}
			if path.Base(f.Path) != "kai.yaml" && f.Path != "kai-workspace.yaml" && path.Dir(f.Path) != "friends" {
				continue
			}
			if _, findings := source.ParseYAML(f.Path, f.Data); findings.Err() != nil {
				t.Errorf("the import is no YAML: %v\n%s", findings, f.Data)
			}
		}
	})
}

func FuzzManifests(f *testing.F) { fuzz(f, "in.yaml", importer.Manifests) }

func FuzzCompose(f *testing.F) { fuzz(f, "compose.yaml", importer.Compose) }

func FuzzScore(f *testing.F) { fuzz(f, "score.yaml", importer.Score) }

func FuzzPligos(f *testing.F) { fuzz(f, "pligos.yaml", importer.Pligos) }
