// Package release plans and carries out what has to be done so that a cluster
// has the releases of a context: Helm's releases, in Helm's own records, so that
// Helm and kai take over from one another.
//
// A Plan is a value. It is computed first, from what is wanted and from what it
// is compared with, and then printed, saved or applied. What Helm's SDK gives
// stays in this package.
package release

import (
	"github.com/helm-kai/helm-kai/internal/manifest"
)

// Target is where the releases of a context go.
type Target struct {
	Workspace string `json:"workspace,omitempty"`
	Context   string `json:"context"`
	Namespace string `json:"namespace,omitempty"`
	// Cluster is the uid of the namespace kube-system, the server's address for
	// those who may not read that, and "" where no cluster is asked.
	Cluster string `json:"cluster,omitempty"`
}

// Action is what happens to a release.
type Action string

// The actions of a step.
const (
	Create    Action = "create"
	Upgrade   Action = "upgrade"
	Unchanged Action = "unchanged"
	Remove    Action = "remove"
)

// Plan is what has to be done so that a target has the releases it should have.
type Plan struct {
	Target Target `json:"target"`
	// Against says what the plan compares with: live, stored, a context, a git
	// revision, a folder.
	Against string `json:"against"`
	// Steps are in the order of installation. Those that need none of one another
	// are carried out side by side.
	Steps []Step `json:"steps"`
	// Notes are what a reader of the plan should know beside its steps.
	Notes []string `json:"notes,omitempty"`

	work []work // of the steps, where the plan can be applied
}

// Step is what happens to one release.
type Step struct {
	Release   string `json:"release"`
	Kind      string `json:"kind"` // service or dependency
	Namespace string `json:"namespace,omitempty"`
	Action    Action `json:"action"`
	// Reason is a sentence on why, where the objects alone do not say.
	Reason string   `json:"reason,omitempty"`
	Needs  []string `json:"needs,omitempty"` // releases that come first
	// Revision is the one that the step starts from, 0 for none.
	Revision int `json:"revision"`
	// Chart and AppVersion are what will be there, or was where it is removed.
	Chart      string            `json:"chart,omitempty"` // NAME-VERSION
	AppVersion string            `json:"appVersion,omitempty"`
	Objects    []manifest.Change `json:"objects"`
	Hooks      []manifest.Change `json:"hooks,omitempty"`
}

// Changed says whether the step changes anything.
func (s Step) Changed() bool { return s.Action != Unchanged }

// Changed says whether any step changes anything.
func (p *Plan) Changed() bool {
	for _, s := range p.Steps {
		if s.Changed() {
			return true
		}
	}
	return false
}
