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
	kinds    []string // that can be patched
	allKinds bool     // no others can
}

// NewTemplates gives one that keeps nothing yet.
func NewTemplates() *Templates {
	return &Templates{byFlavor: map[*descriptor.Flavor]*flavorFiles{}}
}

// of gives the files of a flavor, with those of the generator itself.
func (t *Templates) of(flavor *descriptor.Flavor) ([]File, source.Findings) {
	f := t.read(flavor)
	return f.files, f.findings
}

// patched gives the kinds of objects for which the flavor's templates, and the
// generator's, take patches, and whether these are all.
func (t *Templates) patched(flavor *descriptor.Flavor) (kinds []string, all bool) {
	f := t.read(flavor)
	return f.kinds, f.allKinds
}

func (t *Templates) read(flavor *descriptor.Flavor) *flavorFiles {
	t.mu.Lock()
	f := t.byFlavor[flavor]
	if f == nil {
		f = &flavorFiles{}
		t.byFlavor[flavor] = f
	}
	t.mu.Unlock()
	f.once.Do(func() { f.readFiles(flavor) })
	return f
}

func (t *flavorFiles) readFiles(flavor *descriptor.Flavor) {
	digest, own, err := ownTemplates()
	if err != nil {
		t.findings.Add("internal", source.Origin{}, "", "", "%s", err)
		return
	}
	t.kinds, t.allKinds = patchedKinds(own, flavor)
	rename := ownNames(digest, `"flavor.`, fmt.Sprintf(`"%s-%s.`, flavor.Name, flavor.Digest[:8]))
	for _, f := range own {
		if f.Path == "templates/helmignore" {
			t.files = append(t.files, File{Path: ".helmignore", Data: f.Data})
			continue
		}
		t.files = append(t.files, File{Path: f.Path, Data: []byte(rename.Replace(string(f.Data)))})
	}
	for _, f := range flavor.Files {
		data := f.Data
		if strings.HasPrefix(f.Path, "templates/") {
			data = []byte(rename.Replace(string(data)))
		}
		if reserved[f.Path] {
			t.findings.Add("flavor", source.Origin{Position: source.Position{File: f.Source}}, "", "remove it: kai writes this file", "a flavor cannot bring %s", f.Path)
			continue
		}
		t.files = append(t.files, File{Path: f.Path, Data: data})
	}
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
