package workspace_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/helm-kai/helm-kai/flavors"
	"github.com/helm-kai/helm-kai/friends"
	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/lock"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

func compiled(t *testing.T, kind string) *jsonschema.Schema {
	t.Helper()
	w, err := workspace.Library()
	if err != nil {
		t.Fatal(err)
	}
	return compile(t, w, kind)
}

func compile(t *testing.T, w *workspace.Workspace, kind string) *jsonschema.Schema {
	t.Helper()
	schema, err := w.Schema(kind)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, name string, data []byte) error {
	t.Helper()
	v, findings := source.ParseYAML(name, data)
	if findings != nil {
		t.Fatal(findings)
	}
	return s.Validate(v.Native())
}

// TestSchemasAcceptExamples holds the schemas that editors use to the files that
// kai itself takes.
func TestSchemasAcceptExamples(t *testing.T) {
	t.Parallel()
	schemas := map[string]*jsonschema.Schema{}
	for kind := range workspace.SchemaKinds {
		schemas[kind] = compiled(t, kind)
	}
	checked := map[string]int{}
	check := func(fsys fs.FS, root string) {
		err := fs.WalkDir(fsys, root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path.Ext(name) != ".yaml" {
				return err
			}
			kind := ""
			switch {
			case path.Base(name) == descriptor.FileName:
				kind = "descriptor"
			case path.Base(name) == workspace.FileName:
				kind = "workspace"
			case path.Base(name) == descriptor.FlavorFile:
				kind = "flavor"
			case fsys == fs.FS(friends.FS), path.Base(path.Dir(name)) == "friends":
				kind = "friend"
			default:
				return nil
			}
			data, err := fs.ReadFile(fsys, name)
			if err != nil {
				return err
			}
			checked[kind]++
			if err := validate(t, schemas[kind], name, data); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.DirFS("../../testdata"), ".")
	check(flavors.FS, ".")
	check(friends.FS, ".")
	checked["lock"]++ // an example would go stale with the library
	pins := (&lock.File{Entries: []lock.Entry{
		{Kind: lock.Flavor, Name: "own", Source: "flavors/own"},
		{Kind: lock.Friend, Name: "redis", Source: lock.Library, Resolved: "0.4.0", Digest: "sha256:" + strings.Repeat("a", 64)},
	}}).Bytes()
	if err := validate(t, schemas["lock"], lock.FileName, pins); err != nil {
		t.Errorf("%s: %v", lock.FileName, err)
	}
	for kind := range workspace.SchemaKinds {
		if checked[kind] == 0 {
			t.Errorf("no example of a %s was checked", kind)
		}
	}
}

func TestSchemasRefuse(t *testing.T) {
	t.Parallel()
	good := "apiVersion: kai/v1\nname: app\ncontexts:\n- name: dev\n  flavor: webservice\n  replicas: 2\n  routes: [http]\n"
	s := compiled(t, "descriptor")
	if err := validate(t, s, "good", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{"replicas: 2", "replcas: 2"},
		{"replicas: 2", "replicas: {}"},
		{"routes: [http]", "routes: {http: {}}"},
		{"kai/v1", "kai/v9"},
		{"- name: dev\n  flavor", "- flavor"},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if validate(t, s, "bad", []byte(bad)) == nil {
			t.Errorf("accepted after %q became %q", change[0], change[1])
		}
	}
}
