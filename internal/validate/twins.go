package validate

import "slices"

// saidBetter are rules that say more of a value than what the API server's validation
// has against it, and saidWorse are those that say less: the value is wrong in itself.
var (
	saidBetter = []string{"cronjob-restartpolicy", "mismatching-selector", "label-values"}
	saidWorse  = []string{"invalid-target-ports", "liveness-port", "readiness-port", "startup-port", "pdb-min-available", "pdb-max-unavailable"}
)

// place is where a finding stands.
type place struct {
	order int
	path  string
}

// withoutTwins leaves one finding of a value that the schema refuses and another rule
// as well. What is ignored, or no error, takes nothing's place.
func withoutTwins(found []Finding) []Finding {
	better, refused := map[place]bool{}, map[place]bool{}
	for _, f := range found {
		here := place{f.order, f.Path}
		switch {
		case f.Severity != Error || f.Ignored != "":
		case f.Rule == schemaRule:
			refused[here] = true
		case f.Rule == "mismatching-selector": // the schema has it at the other end
			better[place{f.order, "spec.template.metadata.labels"}] = true
		case slices.Contains(saidBetter, f.Rule):
			better[here] = true
		}
	}
	return slices.DeleteFunc(found, func(f Finding) bool {
		here := place{f.order, f.Path}
		return f.Rule == schemaRule && better[here] || slices.Contains(saidWorse, f.Rule) && refused[here]
	})
}

// schemaRule is the rule of what the API server's validation refuses.
const schemaRule = "kubernetes-schema"
