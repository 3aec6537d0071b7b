package build

import (
	"sync"

	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
)

// flavorChecks holds the templates of flavors to what kai asks of them, each
// flavor once, by its digest.
type flavorChecks struct {
	mu       sync.Mutex
	byDigest map[string]*flavorCheck
}

type flavorCheck struct {
	once     sync.Once
	findings source.Findings
}

// CheckFlavor finds what is wrong with the templates of a flavor, whether a chart is made
// of it or not.
func CheckFlavor(f *descriptor.Flavor) source.Findings { return new(flavorChecks).check(f) }

// check finds templates that do not parse and functions whose result the
// chart's files do not decide, with their places in the flavor's own files. The
// built-in flavors are held to it by tests.
func (c *flavorChecks) check(f *descriptor.Flavor) source.Findings {
	if f.BuiltIn {
		return nil
	}
	c.mu.Lock()
	if c.byDigest == nil {
		c.byDigest = map[string]*flavorCheck{}
	}
	entry := c.byDigest[f.Digest]
	if entry == nil {
		entry = &flavorCheck{}
		c.byDigest[f.Digest] = entry
	}
	c.mu.Unlock()
	entry.once.Do(func() { entry.findings = checkFlavor(f) })
	return entry.findings
}

func checkFlavor(f *descriptor.Flavor) source.Findings {
	chart := generator.Chart{Name: f.Name, Version: f.Version, Files: []generator.File{
		{Path: "Chart.yaml", Data: source.AppendYAML(nil, source.NewMap(source.Origin{},
			source.Field{Key: "apiVersion", Value: source.NewString(source.Origin{}, "v2")},
			source.Field{Key: "name", Value: source.NewString(source.Origin{}, f.Name)},
			source.Field{Key: "version", Value: source.NewString(source.Origin{}, f.Version)}), nil)},
	}}
	lies := map[string]string{}
	for _, file := range f.Files {
		if generator.Reserved(file.Path) {
			continue // the generator says so
		}
		chart.Files = append(chart.Files, generator.File{Path: file.Path, Data: file.Data})
		lies[file.Path] = file.Source
	}
	loaded, err := render.Load(chart)
	if err != nil {
		return source.Findings{{Origin: source.Origin{Position: source.Position{File: f.File()}}, Message: err.Error(), Code: "flavor"}}
	}
	findings := loaded.Forbidden()
	for i, finding := range findings {
		if file, ok := lies[finding.Origin.File]; ok {
			findings[i].Origin.File = file
		}
	}
	return findings
}
