package build_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// FuzzReadService: whatever stands in a descriptor, the road to its charts ends
// soon, in bounded memory, with charts or with findings, and never in a panic.
func FuzzReadService(f *testing.F) {
	files := []string{"../../testdata/*/kai.yaml", "../../testdata/*/services/*/kai.yaml", "../../cmd/kai/testdata/script/*.txtar"}
	for _, pattern := range files {
		names, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			for _, seed := range descriptors(name, string(data)) {
				f.Add([]byte(seed))
			}
		}
	}
	around := fstest.MapFS{
		"app.conf":              {Data: []byte("host = ${HOST:-a} ${service.name}\n")},
		"run.sh":                {Data: []byte("echo $(date)\n")},
		"object.yaml":           {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")},
		"types.yaml":            {Data: []byte("node: {below: repeated node, values: embedded object, size: {type: numeric, default: 1}}\n")},
		"mine/flavor.yaml":      {Data: []byte("apiVersion: kai/v1\nname: mine\nversion: 1.0.0\nextends: webservice\ntypes: [../types.yaml]\ncontext: {tree: node, trees: mapped node, all: embedded repeated node}\n")},
		"mine/templates/a.yaml": {Data: []byte("{{ .Values.tree }}\n")},
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tree := fstest.MapFS{descriptor.FileName: {Data: data}}
		for name, file := range around {
			tree[name] = file
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := cpuTime()
		walk(t, tree)
		took := cpuTime() - start
		runtime.ReadMemStats(&after)
		if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 2048 || took > 20*time.Second {
			t.Fatalf("%d bytes took %s and %d MiB", len(data), took, made)
		}
	})
}

// walk makes the charts of every context, up to some.
func walk(t *testing.T, tree fs.FS) {
	ws, findings := workspace.Open(tree)
	sound(t, findings)
	if ws == nil {
		if findings.Err() == nil {
			t.Fatal("no workspace, and nobody says why")
		}
		return
	}
	names := ws.ContextNames()
	for _, name := range names[:min(len(names), 4)] {
		releases, more := build.Charts(context.Background(), ws, name, build.Options{Jobs: 1})
		sound(t, more)
		if more.Err() == nil && len(releases) == 0 {
			t.Fatalf("no chart of %s, and nobody says why", name)
		}
		for _, r := range releases {
			for _, file := range r.Chart.Files {
				if file.Path == "values.yaml" {
					if _, findings := source.ParseYAML(file.Path, file.Data); findings != nil {
						t.Fatalf("%v\n%s", findings, file.Data)
					}
				}
			}
		}
	}
}

// sound holds findings to their form.
func sound(t *testing.T, findings source.Findings) {
	for _, f := range findings {
		if f.Message == "" || f.Code == "" || !utf8.ValidString(f.String()) || f.Code == "internal" {
			t.Fatalf("%#v", f)
		}
	}
}

// descriptors gives the descriptors of a file: itself, or those of an archive.
func descriptors(name, text string) []string {
	if filepath.Ext(name) != ".txtar" {
		return []string{text}
	}
	var out []string
	for _, part := range strings.Split(text, "\n-- ")[1:] {
		head, body, _ := strings.Cut(part, " --\n")
		if filepath.Base(head) == descriptor.FileName {
			out = append(out, body+"\n")
		}
	}
	return out
}
