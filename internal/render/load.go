package render

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/ignore"

	"github.com/helm-kai/helm-kai/generator"
)

// Chart is a chart that was read and can be rendered any number of times, by
// several goroutines at once.
type Chart struct {
	chart   *chart.Chart
	files   []generator.File // those that .helmignore leaves
	library *Library
	schemas *schemas
	slow    atomic.Bool // the quick executor does not know its templates

	mu       sync.Mutex
	programs map[string]*program // by the names of the templates
}

// Load reads a chart as Helm reads a chart's folder: without the files that
// .helmignore names, and with its subcharts.
func Load(c generator.Chart) (*Chart, error) { return NewLibrary().Load(c) }

// Load reads a chart that shares with others what the library keeps.
func (l *Library) Load(c generator.Chart) (*Chart, error) {
	files, err := kept(c.Files)
	if err != nil {
		return nil, &Error{Code: CodeChart, chart: c.Name, At: position(".helmignore"), Message: err.Error()}
	}
	loaded, ok := readChart(files)
	if !ok {
		if loaded, err = loadChart(files); err != nil {
			return nil, &Error{Code: CodeChart, chart: c.Name, At: position("Chart.yaml"), Message: err.Error()}
		}
	}
	sortDependencies(loaded)
	return &Chart{chart: loaded, files: files, library: l, schemas: &l.schemas, programs: map[string]*program{}}, nil
}

// Name gives the name of Chart.yaml, with which the names of all templates
// begin.
func (c *Chart) Name() string { return c.chart.Name() }

// byteOrderMark is what Helm takes off the files of a folder.
const byteOrderMark = "\xEF\xBB\xBF"

// kept gives the files that Helm would find in the chart's folder, in the order
// of its walk.
func kept(files []generator.File) ([]generator.File, error) {
	rules := ignore.Empty()
	for _, f := range files {
		if f.Path == ignore.HelmIgnore {
			parsed, err := ignore.Parse(bytes.NewReader(f.Data))
			if err != nil {
				return nil, err
			}
			rules = parsed
		}
	}
	rules.AddDefaults()

	ignoredFolders := map[string]bool{}
	var out []generator.File
	for _, f := range files {
		if !fs.ValidPath(f.Path) {
			return nil, fmt.Errorf("%q is no path below a chart's folder", f.Path)
		}
		if ignored(rules, ignoredFolders, path.Dir(f.Path)) || rules.Ignore(f.Path, entry{name: path.Base(f.Path)}) {
			continue
		}
		out = append(out, generator.File{Path: f.Path, Data: bytes.TrimPrefix(f.Data, []byte(byteOrderMark))})
	}
	sort.SliceStable(out, func(i, j int) bool { return walkedBefore(out[i].Path, out[j].Path) })
	return out, nil
}

// ignored says whether a folder or one above it is left out.
func ignored(rules *ignore.Rules, known map[string]bool, folder string) bool {
	if folder == "." {
		return false
	}
	if known, ok := known[folder]; ok {
		return known
	}
	known[folder] = ignored(rules, known, path.Dir(folder)) || rules.Ignore(folder, entry{name: path.Base(folder), dir: true})
	return known[folder]
}

// walkedBefore orders paths as a walk of the folders does, in which a/b comes
// before a-b.
func walkedBefore(a, b string) bool {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	for i := 0; i < len(as) && i < len(bs); i++ {
		if as[i] != bs[i] {
			return as[i] < bs[i]
		}
	}
	return len(as) < len(bs)
}

// entry is the little that .helmignore's rules ask of a file.
type entry struct {
	name string
	dir  bool
}

func (e entry) Name() string       { return e.name }
func (e entry) IsDir() bool        { return e.dir }
func (e entry) Size() int64        { return 0 }
func (e entry) ModTime() time.Time { return time.Time{} }
func (e entry) Sys() any           { return nil }
func (e entry) Mode() fs.FileMode {
	if e.dir {
		return fs.ModeDir
	}
	return 0
}

// sortDependencies puts subcharts in the order of their names; Helm's loader
// leaves them in the random order of a map.
func sortDependencies(c *chart.Chart) {
	dependencies := append([]*chart.Chart(nil), c.Dependencies()...)
	sort.SliceStable(dependencies, func(i, j int) bool {
		a, b := dependencies[i].Metadata, dependencies[j].Metadata
		if a.Name != b.Name {
			return a.Name < b.Name
		}
		return a.Version < b.Version
	})
	c.SetDependencies(dependencies...)
	for _, d := range dependencies {
		sortDependencies(d)
	}
}

// copyChart gives a chart whose metadata, values and dependencies Helm may
// change, as it does when it chooses dependencies, without touching c.
func copyChart(c *chart.Chart) *chart.Chart {
	md := *c.Metadata
	// sortAlpha sorts in place what is a list of texts already.
	md.Sources, md.Keywords = slices.Clone(md.Sources), slices.Clone(md.Keywords)
	md.Annotations = maps.Clone(md.Annotations)
	md.Dependencies = nil
	for _, d := range c.Metadata.Dependencies {
		dependency := *d
		dependency.Tags = slices.Clone(d.Tags)
		md.Dependencies = append(md.Dependencies, &dependency)
	}
	out := &chart.Chart{
		Raw: c.Raw, Metadata: &md, Lock: c.Lock, Templates: c.Templates,
		Values: c.Values, Schema: c.Schema, Files: c.Files,
	}
	for _, d := range c.Dependencies() {
		out.AddDependency(copyChart(d))
	}
	return out
}
