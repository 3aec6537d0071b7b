package build

import (
	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/render"
)

// Kit is what charts have in common that are made in several runs: the files of
// flavors, parsed templates, compiled schemas. Several runs may share one at the
// same time.
type Kit struct {
	templates *generator.Templates
	library   *render.Library
}

// NewKit gives a kit that keeps nothing yet.
func NewKit() *Kit { return &Kit{templates: generator.NewTemplates(), library: render.NewLibrary()} }

// NewCoveredKit gives the same; coverage is told what of the templates runs.
func NewCoveredKit(c *render.Coverage) *Kit {
	return &Kit{templates: generator.NewTemplates(), library: render.NewLibraryWith(c)}
}
