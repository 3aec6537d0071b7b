package generator

import (
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/helm-kai/helm-kai/internal/source"
)

// checkLabels holds labels to what Kubernetes takes for keys and values.
func (g *generation) checkLabels(labels *source.Value, path string) {
	if labels == nil || labels.Kind != source.Map {
		return
	}
	for _, f := range labels.Fields {
		here := path + "." + f.Key
		if errs := validation.IsQualifiedName(f.Key); len(errs) > 0 {
			g.fail("constraint", f.Origin, here, errs[0], "%q cannot be the key of a label", f.Key)
		}
		if !f.Value.IsScalar() {
			g.fail("wrong-type", f.Value.OriginOrNone(), here, "", "expected text, got %s", f.Value.Kind)
			continue
		}
		if errs := validation.IsValidLabelValue(f.Value.Text); len(errs) > 0 {
			g.fail("constraint", f.Value.Origin, here, errs[0], "%q cannot be the value of a label", f.Value.Text)
		}
	}
}

// checkScaling finds bounds that exclude one another.
func (g *generation) checkScaling(scaling *source.Value) {
	least, ok := scaling.Get("minReplicas").Int()
	most, both := scaling.Get("maxReplicas").Int()
	if ok && both && least > most {
		g.fail("constraint", scaling.Get("minReplicas").Origin, "scaling.minReplicas", "raise maxReplicas", "the fewest pods, %d, are more than the most, %d", least, most)
	}
}
