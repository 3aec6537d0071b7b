package generator

import (
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// standardResources are those without a domain that a container may ask for.
var standardResources = []string{"cpu", "memory", "ephemeral-storage"}

// checkResources holds quantities to Kubernetes' notation, and requests to
// their limits: the API server refuses a pod that requests more than its limit,
// which happens where one comes from a context and the other from a default.
func (g *generation) checkResources(resources *source.Value, here string) {
	limits := map[string]resource.Quantity{}
	read := func(kind string, each func(f source.Field, q resource.Quantity)) {
		v := resources.Get(kind)
		if v == nil || v.Kind != source.Map {
			return
		}
		for _, f := range v.Fields {
			if !strings.Contains(f.Key, "/") && !strings.HasPrefix(f.Key, "hugepages-") && !slices.Contains(standardResources, f.Key) {
				g.fail("unknown-key", f.Origin, here+"."+kind+"."+f.Key, source.Nearest(f.Key, standardResources), "there is no resource %q", f.Key)
				continue
			}
			q, err := resource.ParseQuantity(f.Value.Str())
			if err != nil {
				g.fail("constraint", f.Value.OriginOrNone(), here+"."+kind+"."+f.Key, "write 500m, 2, 128Mi or 1Gi", "%q is no quantity", f.Value.Str())
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
		if nearer(at, f.Value) {
			g.fail("constraint", at.Origin, here+".limits."+f.Key, "raise it, or lower requests."+f.Key+" as well",
				"the limit %s is less than the request %s of %s", at.Str(), f.Value.Str(), f.Value.Origin)
			return
		}
		g.fail("constraint", f.Value.Origin, here+".requests."+f.Key, "raise limits."+f.Key+" as well, or take it away with null",
			"the request %s is more than the limit %s of %s", f.Value.Str(), at.Str(), at.Origin)
	})
}

// nearer says whether a value is of a higher layer than another, and so the one that
// its author has in mind: of the descriptor, or else one that took the place of more.
func nearer(a, b *source.Value) bool {
	own := func(v *source.Value) bool { return path.Base(v.Origin.File) == descriptor.FileName }
	if own(a) != own(b) {
		return own(a)
	}
	over := func(v *source.Value) (n int) {
		for v = v.Over; v != nil; v = v.Over {
			n++
		}
		return n
	}
	return over(a) > over(b)
}

// What Kubernetes takes for the keys and the values of labels.
const (
	labelKey   = "use letters, digits, -, _ and ., at most 63 of them, with a letter or digit at both ends; a domain and / may stand before, as in example.com/tier"
	labelValue = "use letters, digits, -, _ and ., at most 63 of them, with a letter or digit at both ends"
)

// checkLabels holds labels to what Kubernetes takes for keys and values.
func (g *generation) checkLabels(labels *source.Value, path string) {
	if labels == nil || labels.Kind != source.Map {
		return
	}
	for _, f := range labels.Fields {
		here := path + "." + f.Key
		if errs := validation.IsQualifiedName(f.Key); len(errs) > 0 {
			g.fail("constraint", f.Origin, here, labelKey, "%q cannot be the key of a label", f.Key)
		}
		if !f.Value.IsScalar() {
			g.fail("wrong-type", f.Value.OriginOrNone(), here, source.Instead("text", f.Value.Kind), "expected text, got %s", f.Value.Kind)
			continue
		}
		if errs := validation.IsValidLabelValue(f.Value.Text); len(errs) > 0 {
			g.fail("constraint", f.Value.Origin, here, labelValue, "%q cannot be the value of a label", f.Value.Text)
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

// called says whether the flavor's pods may be called: jobs have no Service.
func (g *generation) called() bool { return g.in.Resolved.Takes("service") }

// checkReadiness finds probes that would tell nobody anything.
func (g *generation) checkReadiness(probes *source.Value, path string) {
	if v := probes.Get("readiness"); v != nil && !g.called() {
		g.fail("unsupported", v.Origin, path+".readiness", "use startup or liveness", "nobody calls what comes to an end, so nobody asks whether it is ready")
	}
}

// checkJob finds what a job's pods cannot do.
func (g *generation) checkJob() {
	if job := g.fields.Get("job"); g.in.Resolved.Takes("job") && !g.called() && job.Get("restartPolicy").Str() == "OnFailure" && !job.Get("podFailurePolicy").IsNull() {
		at := job.Get("podFailurePolicy")
		g.fail("constraint", at.Origin, "job.podFailurePolicy", "write restartPolicy: Never", "a pod that starts its container again has no podFailurePolicy")
	}
}

// checkUpdates finds ways of updating that the kind of workload does not have.
func (g *generation) checkUpdates() {
	kind, other := "Deployment", "OnDelete"
	if g.fields.Get("perNode").True() {
		kind, other = "DaemonSet", "Recreate"
	}
	v := g.fields.At("updates", "type")
	if g.in.Resolved.Takes("perNode") && v.Str() == other {
		g.fail("constraint", v.Origin, "updates.type", "write RollingUpdate", "a %s has no update of the type %s", kind, other)
	}
	if late := g.fields.At("updates", "progressDeadlineSeconds"); kind == "DaemonSet" && !late.IsNull() {
		g.fail("constraint", late.Origin, "updates.progressDeadlineSeconds", "remove it", "a DaemonSet has no deadline for an update")
	}
}
