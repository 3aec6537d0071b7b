package workspace_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/helm-kai/helm-kai/internal/lock"
	"github.com/helm-kai/helm-kai/internal/remote"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// elsewhere gives trees by their source, and makes up what it does not have.
type elsewhere struct {
	trees map[string]fstest.MapFS
	made  func(s remote.Source) fstest.MapFS
}

func (e elsewhere) Tree(u lock.Use, s remote.Source) (lock.Tree, source.Findings) {
	tree, ok := e.trees[s.String()]
	if !ok && e.made != nil {
		tree, ok = e.made(s), true
	}
	if !ok {
		return lock.Tree{}, source.Findings{{Origin: u.Origin, Path: u.Path, Message: "not there"}}
	}
	digest, err := remote.Digest(tree)
	if err != nil {
		return lock.Tree{}, source.Findings{{Message: err.Error()}}
	}
	// The same address for all refs, as two may be one commit.
	s.Ref = ""
	return lock.Tree{Address: s.String() + "@1", Digest: digest, Files: tree}, nil
}

func (elsewhere) Own(lock.Use, func() (string, error)) source.Findings { return nil }

func flavorFile(name, more string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("apiVersion: kai/v1\nname: " + name + "\nversion: 1.0.0\n" + more)}
}

func open(t *testing.T, e workspace.Sources, more fstest.MapFS) *workspace.Workspace {
	t.Helper()
	files := fstest.MapFS{workspace.FileName: {Data: []byte("apiVersion: kai/v1\nname: shop\n")}}
	for name, file := range more {
		files[name] = file
	}
	w, findings := workspace.OpenWith(files, e)
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	return w
}

func named(text string) *source.Value {
	return source.NewString(source.Origin{Position: source.Position{File: "services/a/kai.yaml", Line: 5, Column: 9}}, text)
}

// TestTreesApart: what one tree has, no other reads, whatever it names.
func TestTreesApart(t *testing.T) {
	t.Parallel()
	const base = "git+https://example.com/x.git"
	e := elsewhere{trees: map[string]fstest.MapFS{
		base + "//one":        {"flavor.yaml": flavorFile("one", "extends: ./two\n"), "two/flavor.yaml": flavorFile("two", "types: [../types.yaml]\n"), "types.yaml": {Data: []byte("{}\n")}},
		base + "//up":         {"flavor.yaml": flavorFile("up", "extends: ../flavors/own\n")},
		base + "//types":      {"flavor.yaml": flavorFile("types", "types: [../flavors/own/flavor.yaml]\n")},
		base + "//file":       {"flavor.yaml": flavorFile("file", "extends: git+file:///srv/x.git\n")},
		base + "//same?ref=a": {"flavor.yaml": flavorFile("same", "extends: webservice\n")},
		base + "//same?ref=b": {"flavor.yaml": flavorFile("other", "extends: webservice\n")},
		base + "//folder":     {"in/flavor.yaml": flavorFile("in", "")},
		base + "//none":       {"README": {}},
	}}
	w := open(t, e, fstest.MapFS{"flavors/own/flavor.yaml": flavorFile("own", "")})
	const at = "git+https://example.com/x.git//"
	for text, want := range map[string]string{
		base + "//one":                "",
		base + "//up":                 at + "up@1/flavor.yaml:4:10: extends: the path \"../flavors/own\" leads out of the tree that it stands in",
		base + "//types":              at + "types@1/flavor.yaml:4:9: types[0]: the path \"../flavors/own/flavor.yaml\" leads out of the tree that it stands in",
		base + "//file":               at + "file@1/flavor.yaml:4:10: extends: what comes from elsewhere cannot name a repository of this machine, git+file:///srv/x.git",
		base + "//none":               "services/a/kai.yaml:5:9: flavor: there is no flavor at \"" + base + "//none\"",
		base + "//missing":            "services/a/kai.yaml:5:9: flavor: not there",
		"https://example.com/x":       "services/a/kai.yaml:5:9: flavor: an address of HTTP alone does not say what it is",
		"git+https://a:b@example.com": "services/a/kai.yaml:5:9: flavor: the source has a user or a password in it",
		"../../" + source.TreeName(at+"one@1") + "/two": "services/a/kai.yaml:5:9: flavor: the path \"../../" + source.TreeName(at+"one@1") + "/two\" leads out of the tree that it stands in",
	} {
		_, findings := w.Flavor(named(text))
		got := ""
		if findings != nil {
			got, _, _ = strings.Cut(findings.Error(), "\n")
		}
		if got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", text, got, want)
		}
	}
	// One address, and yet two trees.
	for ref, want := range map[string]string{"a": "same", "b": "other"} {
		if f, findings := w.Flavor(named(base + "//same?ref=" + ref)); f == nil || f.Name != want {
			t.Errorf("%s: got %+v, %v", ref, f, findings)
		}
	}
	if _, err := fs.Stat(w.FS, source.TreeName(at+"one@1")+"/two/flavor.yaml"); err != nil {
		t.Error(err)
	}
	if entries, err := fs.ReadDir(w.FS, "."); err != nil || len(entries) != 2 {
		t.Errorf("the workspace's own files: %v, %v", entries, err)
	}
}

// TestLineageIsBounded: a server that makes up ever new flavors is left.
func TestLineageIsBounded(t *testing.T) {
	t.Parallel()
	n := 0
	e := elsewhere{made: func(s remote.Source) fstest.MapFS {
		n++
		return fstest.MapFS{"flavor.yaml": flavorFile("x", fmt.Sprintf("extends: oci://example.com/x%d:1\n", n))}
	}}
	_, findings := open(t, e, nil).Flavor(named("oci://example.com/x0:1"))
	if findings == nil || !strings.Contains(findings.Error(), "more flavors extend one another than the bound of 32") || n > 40 {
		t.Errorf("after %d: %v", n, findings)
	}
}

func TestChart(t *testing.T) {
	t.Parallel()
	chart := fstest.MapFS{"Chart.yaml": {Data: []byte("name: nats\n")}}
	e := elsewhere{trees: map[string]fstest.MapFS{
		"chart+https://charts.example.com//nats?version=^1": chart, "oci://charts.example.com/x/nats:1.2.0": chart,
		"oci://charts.example.com/x/nats?version=^1": chart, "git+https://example.com/c.git//nats": chart,
	}}
	w := open(t, e, nil)
	for text, want := range map[string]string{
		"{repository: https://charts.example.com, name: nats, version: ^1}": "chart+https://charts.example.com//nats?version=^1@1",
		"{oci: oci://charts.example.com/x/nats, version: ^1}":               "oci://charts.example.com/x/nats?version=^1@1",
		"{oci: oci://charts.example.com/x/nats, version: 1.2.0}":            "oci://charts.example.com/x/nats@1",
		"{oci: \"oci://charts.example.com/x/nats:1.2.0\"}":                  "oci://charts.example.com/x/nats@1",
		"{git: git+https://example.com/c.git//nats}":                        "git+https://example.com/c.git//nats@1",
		"{path: ./nats}": "friends/nats",
		"{}":             "friends/f.yaml:1:1: chart: the chart has no source",
		"{repository: https://charts.example.com, oci: oci://x.example.com/y}": "friends/f.yaml:1:47: chart.oci: repository and oci exclude one another",
		"{repository: https://charts.example.com}":                             "friends/f.yaml:1:14: chart.repository: \"\" is no name of a chart",
		"{path: ./nats, version: 1.0.0}":                                       "friends/f.yaml:1:16: chart.version: version says nothing beside path",
		"{oci: \"oci://charts.example.com/x/nats:1.2.0\", version: ^1}":        "friends/f.yaml:1:57: chart.version: version says nothing beside a tag, a digest or a folder",
		"{oci: https://charts.example.com/x.git}":                              "friends/f.yaml:1:7: chart.oci: a registry's address begins with oci://",
		"{oci: \"oci://anna:hunter2@charts.example.com/nats\"}":                "friends/f.yaml:1:7: chart.oci: the source has a user or a password in it",
		"{git: oci://charts.example.com/x}":                                    "friends/f.yaml:1:7: chart.git: this is no git repository",
		"{path: ../../nats}":                                                   "friends/f.yaml:1:8: chart.path: the path \"../../nats\" leads out of the workspace",
	} {
		v, findings := source.ParseYAML("friends/f.yaml", []byte(text))
		if findings != nil {
			t.Fatal(findings)
		}
		dir, findings := w.Chart(v)
		got := source.Readable(dir)
		if findings != nil {
			got, _, _ = strings.Cut(findings.Error(), "\n")
		}
		if got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", text, got, want)
		}
	}
}
