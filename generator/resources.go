package generator

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/helm-kai/helm-kai/internal/source"
)

// standardResources are those without a domain that a container may ask for.
var standardResources = []string{"cpu", "memory", "ephemeral-storage"}

// checkResources holds quantities to Kubernetes' notation, and requests to
// their limits: the API server refuses a pod that requests more than its limit,
// which happens where one comes from a context and the other from a default.
func (g *generation) checkResources(resources *source.Value, path string) {
	limits := map[string]resource.Quantity{}
	read := func(kind string, each func(f source.Field, q resource.Quantity)) {
		v := resources.Get(kind)
		if v == nil || v.Kind != source.Map {
			return
		}
		for _, f := range v.Fields {
			if !strings.Contains(f.Key, "/") && !strings.HasPrefix(f.Key, "hugepages-") && !slices.Contains(standardResources, f.Key) {
				g.fail("unknown-key", f.Origin, path+"."+kind+"."+f.Key, source.Nearest(f.Key, standardResources), "there is no resource %q", f.Key)
				continue
			}
			q, err := resource.ParseQuantity(f.Value.Str())
			if err != nil {
				g.fail("constraint", f.Value.OriginOrNone(), path+"."+kind+"."+f.Key, "write 500m, 2, 128Mi or 1Gi", "%q is no quantity", f.Value.Str())
				continue
			}
			each(f, q)
		}
	}
	read("limits", func(f source.Field, q resource.Quantity) { limits[f.Key] = q })
	read("requests", func(f source.Field, q resource.Quantity) {
		limit, ok := limits[f.Key]
		if !ok || q.Cmp(limit) <= 0 {
			return
		}
		at := resources.Get("limits").Get(f.Key)
		g.fail("constraint", f.Value.Origin, path+".requests."+f.Key, "raise limits."+f.Key+" as well, or take it away with null",
			"the request %s is more than the limit %s of %s", f.Value.Str(), at.Str(), at.Origin)
	})
}
