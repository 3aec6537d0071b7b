package render

import (
	"encoding/base64"
	"path"
	"strings"

	"github.com/gobwas/glob"
	"helm.sh/helm/v3/pkg/chart"
)

// files are what a template sees as .Files; its methods are Helm's.
type files map[string][]byte

func newFiles(from []*chart.File) files {
	fs := make(files, len(from))
	for _, f := range from {
		fs[f.Name] = f.Data
	}
	return fs
}

// GetBytes gives a file's content, and nothing where there is no such file.
func (fs files) GetBytes(name string) []byte {
	if data, ok := fs[name]; ok {
		return data
	}
	return []byte{}
}

// Get gives a file's content as text.
func (fs files) Get(name string) string { return string(fs.GetBytes(name)) }

// Glob gives the files whose path matches a pattern, in which * stays within a
// folder and ** does not. A pattern that is none matches everything.
func (fs files) Glob(pattern string) files {
	g, err := glob.Compile(pattern, '/')
	if err != nil {
		g = glob.MustCompile("**")
	}
	matched := files{}
	for name, data := range fs {
		if g.Match(name) {
			matched[name] = data
		}
	}
	return matched
}

// AsConfig gives the files as the YAML of a ConfigMap's data, keyed by their
// names without folders.
func (fs files) AsConfig() string {
	if fs == nil {
		return ""
	}
	data := make(map[string]string, len(fs))
	for _, name := range sortedKeys(fs) {
		data[path.Base(name)] = string(fs[name])
	}
	return toYAML(data)
}

// AsSecrets gives the files as the YAML of a Secret's data.
func (fs files) AsSecrets() string {
	if fs == nil {
		return ""
	}
	data := make(map[string]string, len(fs))
	for _, name := range sortedKeys(fs) {
		data[path.Base(name)] = base64.StdEncoding.EncodeToString(fs[name])
	}
	return toYAML(data)
}

// Lines gives the lines of a file.
func (fs files) Lines(name string) []string {
	if len(fs[name]) == 0 {
		return []string{}
	}
	return strings.Split(strings.TrimSuffix(string(fs[name]), "\n"), "\n")
}
