package report

import (
	_ "embed"
	"fmt"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/release"
)

// PlanSchema is the JSON Schema (2020-12) of the format json.
//
//go:embed plan.schema.json
var PlanSchema []byte

// planJSON is the shape of the format json: plan.schema.json describes it, and it
// grows by new fields only. Lists that are always there are never null.
type planJSON struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Target     release.Target `json:"target"`
	Against    string         `json:"against"`
	Steps      []stepJSON     `json:"steps"`
	Notes      []string       `json:"notes,omitempty"`
	Summary    summaryJSON    `json:"summary"`
}

type stepJSON struct {
	Release   string         `json:"release"`
	Kind      string         `json:"kind"`
	Namespace string         `json:"namespace,omitempty"`
	Action    release.Action `json:"action"`
	Reason    string         `json:"reason,omitempty"`
	Needs     []string       `json:"needs,omitempty"`
	Revision  int            `json:"revision"`
	// Next is the revision that the step makes, and absent where it makes none.
	Next       int          `json:"next,omitempty"`
	Chart      string       `json:"chart,omitempty"`
	AppVersion string       `json:"appVersion,omitempty"`
	Objects    []objectJSON `json:"objects"`
	Hooks      []objectJSON `json:"hooks,omitempty"`
}

type objectJSON struct {
	Object    manifest.Ref     `json:"object"`
	Action    manifest.Action  `json:"action"`
	From      *manifest.Ref    `json:"from,omitempty"`
	Source    string           `json:"source,omitempty"`
	Hook      []string         `json:"hook,omitempty"`
	Fields    []manifest.Field `json:"fields"`
	Immutable []string         `json:"immutable,omitempty"`
}

type summaryJSON struct {
	counts
	Objects objectCounts `json:"objects"`
}

// objectCounts is how many objects change in which way, hooks left out.
type objectCounts struct {
	Create    int `json:"create"`
	Update    int `json:"update"`
	Replace   int `json:"replace"`
	Unchanged int `json:"unchanged"`
	Remove    int `json:"remove"`
}

func writeJSON(w *printer, p *release.Plan, _ Options) error {
	out := planJSON{
		APIVersion: "kai/v1",
		Kind:       "Plan",
		Target:     p.Target,
		Against:    p.Against,
		Steps:      make([]stepJSON, len(p.Steps)),
		Notes:      p.Notes,
		Summary:    summaryJSON{counts: count(p)},
	}
	for i, s := range p.Steps {
		out.Steps[i] = stepOf(s)
		for _, c := range s.Objects {
			out.Summary.Objects.add(c.Action)
		}
	}
	if err := encodeJSON(w, out, "  "); err != nil {
		return fmt.Errorf("print the plan as JSON: %w", err)
	}
	return nil
}

func stepOf(s release.Step) stepJSON {
	out := stepJSON{
		Release: s.Release, Kind: s.Kind, Namespace: s.Namespace, Action: s.Action, Reason: s.Reason, Needs: s.Needs,
		Revision: s.Revision, Chart: s.Chart, AppVersion: s.AppVersion, Objects: objectsOf(s.Objects), Hooks: objectsOf(s.Hooks),
	}
	if s.Changed() && s.Action != release.Remove {
		out.Next = s.Revision + 1
	}
	return out
}

func objectsOf(changes []manifest.Change) []objectJSON {
	out := make([]objectJSON, len(changes))
	for i, c := range changes {
		out[i] = objectJSON{Object: c.Ref, Action: c.Action, From: c.From, Source: c.Source, Hook: c.Hook, Fields: c.Fields, Immutable: c.Immutable}
		if c.Fields == nil {
			out[i].Fields = []manifest.Field{}
		}
	}
	return out
}

func (c *objectCounts) add(a manifest.Action) {
	switch a {
	case manifest.Create:
		c.Create++
	case manifest.Update:
		c.Update++
	case manifest.Replace:
		c.Replace++
	case manifest.Remove:
		c.Remove++
	default:
		c.Unchanged++
	}
}
