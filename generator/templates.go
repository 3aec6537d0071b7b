package generator

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Templates keeps the files that a flavor puts into every chart, and the schemas
// of charts' values, so that they are made once and all charts share their bytes.
// Several goroutines may use it at once.
type Templates struct {
	schemas  sync.Map // of schemaOf
	mu       sync.Mutex
	byFlavor map[*descriptor.Flavor]*flavorFiles
}

type flavorFiles struct {
	once     sync.Once
	files    []File
	findings source.Findings
}

// NewTemplates gives one that keeps nothing yet.
func NewTemplates() *Templates {
	return &Templates{byFlavor: map[*descriptor.Flavor]*flavorFiles{}}
}

// of gives the files of a flavor, with those of the generator itself.
func (t *Templates) of(flavor *descriptor.Flavor) ([]File, source.Findings) {
	t.mu.Lock()
	f := t.byFlavor[flavor]
	if f == nil {
		f = &flavorFiles{}
		t.byFlavor[flavor] = f
	}
	t.mu.Unlock()
	f.once.Do(func() { f.files, f.findings = filesOf(flavor) })
	return f.files, f.findings
}

func filesOf(flavor *descriptor.Flavor) (files []File, findings source.Findings) {
	digest, own, err := ownTemplates()
	if err != nil {
		findings.Add("internal", source.Origin{}, "", "", "%s", err)
		return nil, findings
	}
	rename := ownNames(digest, `"flavor.`, fmt.Sprintf(`"%s-%s.`, flavor.Name, flavor.Digest[:8]))
	for _, f := range own {
		if f.Path == "templates/helmignore" {
			files = append(files, File{Path: ".helmignore", Data: f.Data})
			continue
		}
		files = append(files, File{Path: f.Path, Data: []byte(rename.Replace(string(f.Data)))})
	}
	for _, f := range flavor.Files {
		data := f.Data
		if strings.HasPrefix(f.Path, "templates/") {
			data = []byte(rename.Replace(string(data)))
		}
		if reserved[f.Path] {
			findings.Add("flavor", source.Origin{Position: source.Position{File: f.Source}}, "", "remove it: kai writes this file", "a flavor cannot bring %s", f.Path)
			continue
		}
		files = append(files, File{Path: f.Path, Data: data})
	}
	return files, findings
}

// ownNames renames the generator's own templates, and others.
func ownNames(digest string, others ...string) *strings.Replacer {
	return strings.NewReplacer(append(others, `"kai.`, `"kai-`+digest[:8]+`.`)...)
}

// ownTemplates are the digest and the files of the generator's own templates.
func ownTemplates() (digest string, files []File, err error) {
	h := sha256.New()
	err = fs.WalkDir(templates, "templates", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := templates.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%s %d\n", name, len(data))
		h.Write(data)
		files = append(files, File{Path: name, Data: data})
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), files, err
}

type schemaOf struct {
	types *descriptor.Types
	key   string
}

// schema gives the function that the first who asks for a schema has given,
// which runs once.
func (t *Templates) schema(types *descriptor.Types, key string, write func() (*schemaText, error)) func() (*schemaText, error) {
	first, _ := t.schemas.LoadOrStore(schemaOf{types, key}, sync.OnceValues(write))
	return first.(func() (*schemaText, error))
}
