package release

import (
	"fmt"
	"strings"
	"time"
)

// Phase says how far a release has come.
type Phase string

// The phases of a release in a run.
const (
	PhaseStarted Phase = "started"
	PhaseSending Phase = "sending"
	PhaseHook    Phase = "hook"
	PhaseWaiting Phase = "waiting"
	PhaseWarning Phase = "warning"
	PhaseDone    Phase = "done"
	PhaseFailed  Phase = "failed"
	PhaseSkipped Phase = "skipped"
)

// Event is something that happened in a run. It holds no secret.
type Event struct {
	Time    time.Time
	Release string // "" for the run as a whole
	Phase   Phase
	Message string
}

// Status is what became of a release in a run.
type Status string

// What can become of a release.
const (
	StatusDone      Status = "done"
	StatusUnchanged Status = "unchanged"
	// StatusAccepted was checked by the cluster in a dry run, StatusNotChecked
	// could not be.
	StatusAccepted   Status = "accepted"
	StatusNotChecked Status = "not-checked"
	StatusFailed     Status = "failed"
	StatusRolledBack Status = "rolled-back"
	// StatusInterrupted was under way when the run was stopped.
	StatusInterrupted Status = "interrupted"
	// StatusNotStarted was not reached, or needs what has failed.
	StatusNotStarted Status = "not-started"
)

// Outcome is what became of one release.
type Outcome struct {
	Release   string  `json:"release"`
	Namespace string  `json:"namespace,omitempty"`
	Action    Action  `json:"action"`
	Status    Status  `json:"status"`
	Revision  int     `json:"revision,omitempty"`
	Seconds   float64 `json:"seconds"`
	Message   string  `json:"message,omitempty"`
}

// Result is what became of a run, in the plan's order.
type Result struct {
	Outcomes []Outcome `json:"releases"`
}

// Count gives how many releases came to a status.
func (r *Result) Count(s Status) int {
	n := 0
	for _, o := range r.Outcomes {
		if o.Status == s {
			n++
		}
	}
	return n
}

// Summary words the result in one line.
func (r *Result) Summary() string {
	var parts []string
	for _, s := range []Status{StatusDone, StatusAccepted, StatusNotChecked, StatusUnchanged, StatusFailed, StatusRolledBack, StatusInterrupted, StatusNotStarted} {
		if n := r.Count(s); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ReplaceAll(string(s), "-", " ")))
		}
	}
	if len(parts) == 0 {
		return "nothing to do"
	}
	return strings.Join(parts, ", ")
}

// MovedError says that what a plan was made for has changed since.
type MovedError struct{ What []string }

func (e *MovedError) Error() string {
	return "the plan does not hold any more:\n  " + strings.Join(e.What, "\n  ") + "\n  hint: a plan is installed with the services, values and flags of the diff that made it; else look at the new plan with diff, and install that"
}
