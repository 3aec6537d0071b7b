package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	helm "helm.sh/helm/v3/pkg/release"
	helmtime "helm.sh/helm/v3/pkg/time"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/source"
)

// ApplyOptions say how a plan is carried out.
type ApplyOptions struct {
	// Jobs is how many releases are sent at the same time; 0 is eight.
	Jobs int
	// Wait waits until what was sent is ready. Timeout bounds each release.
	Wait        bool
	WaitForJobs bool
	Timeout     time.Duration
	// Atomic takes a release back that fails: to the revision before, or away.
	Atomic bool
	// KeepGoing goes on with releases that do not need one that failed.
	KeepGoing       bool
	CreateNamespace bool
	NoHooks         bool
	// History is how many revisions stay; 0 keeps all.
	History int
	// KeepHistory leaves the records of a release that is removed.
	KeepHistory bool
	// DryRun sends everything for the cluster to check, and changes nothing.
	DryRun      bool
	Description string
	// Run names this run in the records that it has in its hands.
	Run string
	// Alone says that the run holds the context: what another such run has left
	// pending is dead then.
	Alone bool
	// ForcePending takes over what others have left pending, however young.
	ForcePending bool
	// Events is told what happens, by several goroutines.
	Events func(Event)
}

// DefaultTimeout is Helm's.
const DefaultTimeout = 5 * time.Minute

// pendingPatience is how old a pending record must be that may be of somebody at
// work, Helm above all: its default timeout.
const pendingPatience = DefaultTimeout

// apply is a run.
type apply struct {
	c       *Cluster
	plan    *Plan
	options ApplyOptions

	mu      sync.Mutex
	done    map[string]chan struct{} // closed when a release is over
	lost    map[string]bool          // have failed, or need what has
	away    map[string]bool          // namespaces that a dry run would make
	stopped bool
}

// Apply carries a plan out: each release after those that it needs, and the
// others side by side. A release that fails stops the run, unless KeepGoing is
// set. When ctx ends, what is under way is written down as failed and the rest is
// left alone. The result tells of every release; the error is that of the first
// that failed.
func (c *Cluster) Apply(ctx context.Context, plan *Plan, o ApplyOptions) (*Result, error) {
	if plan.work == nil && len(plan.Steps) > 0 {
		return nil, errors.New("a plan that was made without a cluster cannot be applied")
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Jobs <= 0 {
		o.Jobs = defaultJobs
	}
	if o.Events == nil {
		o.Events = func(Event) {}
	}
	a := &apply{c: c, plan: plan, options: o, done: map[string]chan struct{}{}, lost: map[string]bool{}, away: map[string]bool{}}
	if err := a.refuse(); err != nil {
		return nil, err
	}
	if err := a.namespaces(ctx); err != nil {
		return nil, err
	}
	result := &Result{Outcomes: make([]Outcome, len(plan.Steps))}
	errs := make([]error, len(plan.Steps))
	for _, s := range plan.Steps {
		a.done[s.Release] = make(chan struct{})
	}
	slots := make(chan struct{}, o.Jobs)
	var wg sync.WaitGroup
	for i := range plan.Steps {
		wg.Go(func() {
			defer close(a.done[plan.Steps[i].Release])
			result.Outcomes[i], errs[i] = a.turn(ctx, i, slots)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return result, err
		}
	}
	return result, ctx.Err()
}

// refuse says what stands against sending the plan, before anything is sent.
func (a *apply) refuse() error {
	var what []string
	for _, s := range a.plan.Steps {
		for _, c := range s.Objects {
			if len(c.Immutable) > 0 && c.Action != manifest.Replace {
				what = append(what, fmt.Sprintf("%s: %s: the cluster does not change %s in place", s.Release, c.Ref, strings.Join(c.Immutable, ", ")))
			}
		}
	}
	if err := a.large(); err != nil {
		return err
	}
	if busy := a.busy(); len(busy) > 0 {
		return fmt.Errorf("%s\n  hint: wait for it to end; after %s it counts as dead; --force-pending takes it over now", strings.Join(busy, "\n"), pendingPatience)
	}
	if len(what) > 0 {
		return fmt.Errorf("%s\n  hint: --recreate deletes these objects and makes them anew (a StatefulSet's pods and claims stay)", strings.Join(what, "\n"))
	}
	return nil
}

// large finds the releases whose records no cluster takes. Only what may be that
// large is packed to find out.
func (a *apply) large() error {
	var errs []error
	for i := range a.plan.Steps {
		s, w := &a.plan.Steps[i], &a.plan.work[i]
		if s.Action == Unchanged || w.want == nil {
			continue
		}
		r := a.record(s, w)
		size := len(r.Manifest)
		for _, f := range slices.Concat(r.Chart.Raw, r.Chart.Templates, r.Chart.Files) {
			size += len(f.Data)
		}
		if size > maxRecord/2 {
			_, err := encode(r)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// busy words which releases somebody else may have in hand at this moment.
func (a *apply) busy() []string {
	if a.options.DryRun || a.options.ForcePending {
		return nil
	}
	return a.plan.busy(a.c.clock.Now(), a.options.Alone)
}

// busy words which releases are in somebody's hands, or may be: a record is
// pending while Helm works, and also after it was killed. alone says that this
// run holds the context.
func (p *Plan) busy(now time.Time, alone bool) []string {
	var out []string
	for i, w := range p.work {
		if w.want == nil || w.state == nil || w.state.last == nil || !w.state.last.pending() {
			continue
		}
		r := w.state.last
		// One of kai's runs under the Lease that this run has now.
		dead := alone && p.Target.has(r) && strings.HasPrefix(r.Labels[labelRun], runAlone) && r.Labels[labelRevision] == strconv.Itoa(r.Revision)
		if dead || now.Sub(r.Info.LastDeployed.Time) >= pendingPatience {
			continue
		}
		out = append(out, fmt.Sprintf("%s: revision %d is %s since %s, and not by a run of kai that is known to be over: Helm may be at work on it",
			p.Steps[i].Release, r.Revision, r.Status, r.Info.LastDeployed.UTC().Format(time.RFC3339)))
	}
	return out
}

// Busy finds what install would not touch at this time, though it held the
// context: releases that Helm may be at work on.
func (p *Plan) Busy(now time.Time) source.Findings {
	var findings source.Findings
	for _, text := range p.busy(now, true) {
		findings.Add("pending", source.Origin{}, "", fmt.Sprintf("wait for it to end; after %s it counts as dead; install --force-pending takes it over now", pendingPatience), "%s", text)
	}
	return findings
}

// namespaces makes the namespaces that the plan's releases go into. A dry run
// notes those that would be made.
func (a *apply) namespaces(ctx context.Context) error {
	seen := map[string]bool{}
	for _, s := range a.plan.Steps {
		if s.Action == Create && !seen[s.Namespace] {
			seen[s.Namespace] = true
			if a.options.DryRun && a.options.CreateNamespace {
				phase, err := a.c.namespace(ctx, s.Namespace)
				if err != nil {
					return err
				}
				a.away[s.Namespace] = phase == ""
				continue
			}
			if err := a.c.EnsureNamespace(ctx, s.Namespace, a.options.CreateNamespace); err != nil {
				return err
			}
		}
	}
	return nil
}

// turn waits until a release may start and carries its step out.
func (a *apply) turn(ctx context.Context, i int, slots chan struct{}) (Outcome, error) {
	s := &a.plan.Steps[i]
	out := Outcome{Release: s.Release, Namespace: s.Namespace, Action: s.Action, Revision: s.Revision}
	for _, need := range a.plan.Steps[i].Needs {
		select {
		case <-a.done[need]:
		case <-ctx.Done():
		}
	}
	if s.Action == Unchanged {
		out.Status = StatusUnchanged
		if err := a.settle(ctx, i); err != nil && ctx.Err() == nil {
			return a.failed(ctx, i, out, err)
		}
		return out, nil
	}
	slots <- struct{}{}
	defer func() { <-slots }()
	if why := a.skip(ctx, i); why != "" {
		out.Status, out.Message = StatusNotStarted, why
		a.event(s.Release, PhaseSkipped, "%s", why)
		return out, nil
	}
	w := &a.plan.work[i]
	start := a.c.clock.Now()
	err := a.carry(ctx, i, &out)
	out.Seconds = a.c.clock.Now().Sub(start).Seconds()
	if err == nil {
		out.Status = StatusDone
		switch {
		case a.options.DryRun && a.away[s.Namespace]:
			out.Status = StatusNotChecked
		case a.options.DryRun:
			out.Status = StatusAccepted
		}
		a.event(s.Release, PhaseDone, "%s", a.word(w, out))
		return out, nil
	}
	return a.failed(ctx, i, out, err)
}

// settle sees to a release that does not change: what a killed run should have
// written, and what it waits for.
func (a *apply) settle(ctx context.Context, i int) error {
	s, w := &a.plan.Steps[i], &a.plan.work[i]
	if err := a.mend(ctx, w); err != nil || !a.options.Wait || a.options.DryRun || w.want == nil {
		return err
	}
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	return a.wait(ctx, s, w.want.Objects)
}

// bounded gives a release its time.
func (a *apply) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, a.options.Timeout, fmt.Errorf("it took longer than --timeout %s", a.options.Timeout))
}

// failed notes that a release has failed, and words it without its secrets.
func (a *apply) failed(ctx context.Context, i int, out Outcome, err error) (Outcome, error) {
	s := &a.plan.Steps[i]
	err = &maskedError{err: err, text: a.maskOf(&a.plan.work[i]).Text(err.Error())}
	a.mu.Lock()
	a.lost[s.Release] = true
	a.stopped = a.stopped || !a.options.KeepGoing
	a.mu.Unlock()
	switch {
	case out.Status == StatusRolledBack:
	case ctx.Err() != nil:
		out.Status = StatusInterrupted
	default:
		out.Status = StatusFailed
	}
	out.Message = err.Error()
	a.event(s.Release, PhaseFailed, "%s", err)
	return out, fmt.Errorf("%s: %w", s.Release, err)
}

// verb words what happens to a release that is installed.
func verb(s *Step, w *work) string {
	switch {
	case w.want.from != nil:
		return fmt.Sprintf("going back to revision %d", w.want.from.Version)
	case s.Action == Create:
		return "installing"
	}
	return "upgrading"
}

func (a *apply) word(w *work, o Outcome) string {
	switch {
	case a.options.DryRun && a.away[o.Namespace]:
		return "not checked by the cluster"
	case a.options.DryRun:
		return "the cluster accepts it"
	case o.Action == Remove:
		return "removed"
	case w.want.from != nil:
		return fmt.Sprintf("as in revision %d again, revision %d", w.want.from.Version, o.Revision)
	case o.Action == Create:
		return fmt.Sprintf("installed, revision %d", o.Revision)
	}
	return fmt.Sprintf("upgraded, revision %d", o.Revision)
}

// maskedError says an error without the secrets that a server may have quoted.
type maskedError struct {
	err  error
	text string
}

func (e *maskedError) Error() string { return e.text }
func (e *maskedError) Unwrap() error { return e.err }

// skip says why a step is not carried out.
func (a *apply) skip(ctx context.Context, i int) string {
	if ctx.Err() != nil {
		return "the run was interrupted"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, need := range a.plan.Steps[i].Needs {
		if a.lost[need] {
			// Those that need this one are not started either.
			a.lost[a.plan.Steps[i].Release] = true
			return need + " has failed"
		}
	}
	if a.stopped {
		return "another release has failed"
	}
	return ""
}

func (a *apply) event(release string, phase Phase, format string, args ...any) {
	a.options.Events(Event{Time: a.c.clock.Now(), Release: release, Phase: phase, Message: fmt.Sprintf(format, args...)})
}

// carry carries one step out.
func (a *apply) carry(ctx context.Context, i int, out *Outcome) error {
	s, w := &a.plan.Steps[i], &a.plan.work[i]
	if a.options.DryRun && a.away[s.Namespace] {
		a.event(s.Release, PhaseWarning, "the namespace %s would be made, and until then the cluster cannot check what goes into it", s.Namespace)
		return nil
	}
	if a.options.DryRun {
		a.event(s.Release, PhaseStarted, "asking the cluster")
		return a.dryRun(ctx, s, w)
	}
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	if s.Action == Remove {
		a.event(s.Release, PhaseStarted, "removing")
		return a.uninstall(ctx, s, w)
	}
	return a.install(ctx, i, out)
}

// install sends one release, and writes down before and after that it does.
func (a *apply) install(ctx context.Context, i int, out *Outcome) error {
	s, w := &a.plan.Steps[i], &a.plan.work[i]
	record := a.record(s, w)
	a.event(s.Release, PhaseStarted, "%s", verb(s, w))
	if err := a.bury(ctx, w); err != nil {
		return err
	}
	if err := a.c.createRecord(ctx, record); err != nil {
		return err
	}
	out.Revision = record.Version
	err := a.send(ctx, s, w, record)
	// What was done has to be written down even where the run was interrupted.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return a.fail(last, s, w, record, out, err)
	}
	record.SetStatus(helm.StatusDeployed, a.description(s, w))
	delete(record.Labels, labelRun)
	if err := a.c.updateRecord(last, record); err != nil {
		return err
	}
	if err := a.supersede(last, w); err != nil {
		return err
	}
	return a.c.prune(last, s.Namespace, s.Release, a.options.History)
}

func (a *apply) description(s *Step, w *work) string {
	switch {
	case a.options.Description != "":
		return a.options.Description
	case w.want.from != nil:
		return fmt.Sprintf("Rollback to %d", w.want.from.Version)
	case s.Action == Create:
		return "Install complete"
	}
	return "Upgrade complete"
}

// record makes the record of a new revision.
func (a *apply) record(s *Step, w *work) *helm.Release {
	now := helmtime.Time{Time: a.c.clock.Now()}
	r := w.want.release()
	r.Name, r.Namespace, r.Version = s.Release, s.Namespace, s.Revision+1
	r.Info.FirstDeployed, r.Info.LastDeployed = now, now
	r.Info.Status, r.Info.Description = helm.StatusPendingInstall, "Initial install underway"
	labels := map[string]string{}
	if w.state != nil && w.state.last != nil {
		// The labels that others have put on the release stay.
		for key, value := range w.state.last.Labels {
			if !strings.Contains(key, "release.kai/") {
				labels[key] = value
			}
		}
	}
	if s.Action == Upgrade {
		r.Info.FirstDeployed = w.state.last.Info.FirstDeployed
		r.Info.Status, r.Info.Description = helm.StatusPendingUpgrade, "Preparing upgrade"
	}
	if w.want.from != nil {
		r.Info.Status, r.Info.Description = helm.StatusPendingRollback, fmt.Sprintf("Rollback to %d", w.want.from.Version)
	}
	maps.Copy(labels, w.want.labels(a.plan.Target))
	labels[labelRevision] = strconv.Itoa(r.Version)
	if a.options.Run != "" {
		labels[labelRun] = a.options.Run
		if a.options.Alone {
			labels[labelRun] = runAlone + a.options.Run
		}
	}
	r.Labels = labels
	return r
}

// bury marks the revisions that killed runs have left pending.
func (a *apply) bury(ctx context.Context, w *work) error {
	if w.state == nil {
		return nil
	}
	for _, r := range w.state.since {
		if r.pending() {
			if err := a.c.setStatus(ctx, r, helm.StatusFailed, "The run that made it was killed"); err != nil {
				return err
			}
		}
	}
	return nil
}

// supersede marks the revision that was deployed before.
func (a *apply) supersede(ctx context.Context, w *work) error {
	if w.state == nil {
		return nil
	}
	if d := w.state.deployed; d != nil && d.Status == helm.StatusDeployed {
		if err := a.c.setStatus(ctx, d, helm.StatusSuperseded, ""); err != nil {
			return err
		}
	}
	return a.mend(ctx, w)
}

// mend marks revisions that a run should have marked and was killed before.
func (a *apply) mend(ctx context.Context, w *work) error {
	if w.state == nil || a.options.DryRun {
		return nil
	}
	for _, r := range w.state.others {
		if err := a.c.setStatus(ctx, r, helm.StatusSuperseded, ""); err != nil {
			return err
		}
	}
	return nil
}

// setStatus writes another status into a record.
func (c *Cluster) setStatus(ctx context.Context, r *Record, status helm.Status, description string) error {
	full, err := r.full()
	if err != nil {
		return err
	}
	full.Info.Status = status
	if description != "" {
		full.Info.Description = description
	}
	full.Labels = maps.Clone(full.Labels)
	delete(full.Labels, labelRun)
	return c.updateRecord(ctx, full)
}

// send brings a release into the cluster: definitions, hooks, objects, and what
// is not wanted any more goes.
func (a *apply) send(ctx context.Context, s *Step, w *work, record *helm.Release) error {
	pre, post := helm.HookPreInstall, helm.HookPostInstall
	switch {
	case w.want.from != nil:
		pre, post = helm.HookPreRollback, helm.HookPostRollback
	case s.Action == Upgrade:
		pre, post = helm.HookPreUpgrade, helm.HookPostUpgrade
	}
	if err := a.definitions(ctx, s, w); err != nil {
		return err
	}
	if err := a.hooks(ctx, s, record, pre); err != nil {
		return err
	}
	if n := len(w.apply) + len(w.remove); n > 0 {
		a.event(s.Release, PhaseSending, "sending %s", objectCount(n))
	}
	if err := a.operations(ctx, s, w.apply); err != nil {
		return err
	}
	for _, op := range w.remove {
		if err := a.c.remove(ctx, op, metav1.DeletePropagationBackground); err != nil {
			return err
		}
	}
	if a.options.Wait {
		if err := a.wait(ctx, s, w.want.Objects); err != nil {
			return err
		}
	}
	return a.hooks(ctx, s, record, post)
}

func objectCount(n int) string {
	if n == 1 {
		return "1 object"
	}
	return fmt.Sprintf("%d objects", n)
}

// definitions sends the custom resource definitions that are missing and waits
// until the cluster knows their kinds.
func (a *apply) definitions(ctx context.Context, s *Step, w *work) error {
	for _, o := range w.crds {
		client, err := a.c.resource(o.Ref, "")
		if err != nil {
			return err
		}
		_, err = client.Create(ctx, &unstructured.Unstructured{Object: o.Fields}, metav1.CreateOptions{FieldManager: FieldManager})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return refused("create", o.Ref, err)
		}
	}
	if len(w.crds) == 0 {
		return nil
	}
	err := a.wait(ctx, s, w.crds)
	a.c.forgetKinds()
	return err
}

// operations sends objects in Helm's order: those of one kind side by side.
func (a *apply) operations(ctx context.Context, s *Step, ops []operation) error {
	for len(ops) > 0 {
		n := 1
		for n < len(ops) && ops[n].ref.Kind == ops[0].ref.Kind {
			n++
		}
		errs := make([]error, n)
		group := ops[:n]
		each(ctx, 0, n, func(i int) { errs[i] = a.c.perform(ctx, group[i], s.Release, s.Namespace) })
		if err := errors.Join(append(errs, ctx.Err())...); err != nil {
			return err
		}
		if group[0].ref.Kind == "CustomResourceDefinition" {
			if err := a.wait(ctx, s, objectsOf(group)); err != nil {
				return err
			}
			a.c.forgetKinds()
		}
		ops = ops[n:]
	}
	return nil
}

func objectsOf(ops []operation) []manifest.Object {
	out := make([]manifest.Object, len(ops))
	for i, op := range ops {
		out[i] = manifest.Object{Ref: op.ref, Fields: op.object}
	}
	return out
}

// perform sends one object.
func (c *Cluster) perform(ctx context.Context, op operation, release, namespace string) error {
	client, err := c.resource(op.ref, namespace)
	if err != nil {
		return err
	}
	switch op.action {
	case manifest.Create:
		_, err = client.Create(ctx, &unstructured.Unstructured{Object: op.object}, metav1.CreateOptions{FieldManager: FieldManager})
		if apierrors.IsAlreadyExists(err) {
			return c.adopt(ctx, op, release, namespace)
		}
		return refused("create", op.ref, err)
	case manifest.Update:
		_, err = client.Patch(ctx, op.ref.Name, op.patch.Type, op.patch.Data, metav1.PatchOptions{FieldManager: FieldManager})
		if apierrors.IsNotFound(err) {
			return &MovedError{What: []string{fmt.Sprintf("%s: %s was deleted meanwhile", release, op.ref)}}
		}
		return refused("change", op.ref, err)
	case manifest.Replace:
		policy := metav1.DeletePropagationBackground
		if op.ref.Kind == "StatefulSet" {
			policy = metav1.DeletePropagationOrphan // its pods are taken over
		}
		if err := c.remove(ctx, op, policy); err != nil {
			return err
		}
		if err := c.gone(ctx, op.ref, namespace); err != nil {
			return err
		}
		_, err = client.Create(ctx, &unstructured.Unstructured{Object: op.object}, metav1.CreateOptions{FieldManager: FieldManager})
		return refused("create", op.ref, err)
	}
	return fmt.Errorf("%s: there is no way to %s it", op.ref, op.action)
}

// adopt takes an object that came into being after the plan was made, as a
// killed run leaves it; one of somebody else is left alone.
func (c *Cluster) adopt(ctx context.Context, op operation, release, namespace string) error {
	live, err := c.get(ctx, op.ref, namespace)
	if err != nil {
		return err
	}
	name, ns, managed := owner(live)
	if live == nil || !managed || name != release || ns != namespace {
		return &MovedError{What: []string{fmt.Sprintf("%s: %s is there meanwhile, and not of this release", release, op.ref)}}
	}
	patch, err := manifest.Merge(nil, op.object, live)
	if err != nil || patch.Data == nil {
		return err
	}
	client, err := c.resource(op.ref, namespace)
	if err != nil {
		return err
	}
	_, err = client.Patch(ctx, op.ref.Name, patch.Type, patch.Data, metav1.PatchOptions{FieldManager: FieldManager})
	return refused("change", op.ref, err)
}

// remove deletes an object. One that is gone already is as wanted.
func (c *Cluster) remove(ctx context.Context, op operation, policy metav1.DeletionPropagation) error {
	client, err := c.resource(op.ref, op.ref.Namespace)
	if errors.Is(err, errNoKind) {
		return nil
	}
	if err != nil {
		return err
	}
	options := metav1.DeleteOptions{PropagationPolicy: &policy}
	if uid, _, _ := unstructured.NestedString(op.live, "metadata", "uid"); uid != "" {
		// Whatever has taken its name since is another object.
		u := types.UID(uid)
		options.Preconditions = &metav1.Preconditions{UID: &u}
	}
	err = client.Delete(ctx, op.ref.Name, options)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return refused("delete", op.ref, err)
}

// gone waits until an object is no more.
func (c *Cluster) gone(ctx context.Context, r manifest.Ref, namespace string) error {
	for {
		live, err := c.get(ctx, r, namespace)
		if err != nil || live == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not go away: %w", r, context.Cause(ctx))
		case <-c.clock.After(200 * time.Millisecond):
		}
	}
}

// fail writes down that a revision has failed, and takes it back where the run
// is atomic.
func (a *apply) fail(ctx context.Context, s *Step, w *work, record *helm.Release, out *Outcome, cause error) error {
	text := a.maskOf(w).Text(cause.Error())
	record.SetStatus(helm.StatusFailed, fmt.Sprintf("%s failed: %s", map[Action]string{Create: "Install", Upgrade: "Upgrade"}[s.Action], text))
	delete(record.Labels, labelRun)
	if err := a.c.updateRecord(ctx, record); err != nil {
		return errors.Join(cause, err)
	}
	if !a.options.Atomic {
		return cause
	}
	a.event(s.Release, PhaseWarning, "taking it back: %s", text)
	back, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.options.Timeout)
	defer cancel()
	if err := a.takeBack(back, s); err != nil {
		return errors.Join(cause, fmt.Errorf("taking it back: %w", err))
	}
	out.Status = StatusRolledBack
	return fmt.Errorf("%w\n  it was taken back (--atomic)", cause)
}

func (a *apply) maskOf(w *work) *manifest.Mask {
	if w.want != nil && w.want.Mask != nil {
		return w.want.Mask
	}
	return manifest.NewMask(nil)
}

// dryRun has the cluster check all that would be sent, and gives all that it
// refuses.
func (a *apply) dryRun(ctx context.Context, s *Step, w *work) error {
	dry := []string{metav1.DryRunAll}
	errs := make([]error, len(w.apply)+len(w.remove))
	each(ctx, 0, len(w.apply), func(i int) {
		op := w.apply[i]
		client, err := a.c.resource(op.ref, s.Namespace)
		if err != nil {
			errs[i] = err
			return
		}
		switch op.action {
		case manifest.Update:
			_, err = client.Patch(ctx, op.ref.Name, op.patch.Type, op.patch.Data, metav1.PatchOptions{FieldManager: FieldManager, DryRun: dry, FieldValidation: metav1.FieldValidationStrict})
			errs[i] = refused("change", op.ref, err)
		default:
			o := &unstructured.Unstructured{Object: op.object}
			_, err = client.Create(ctx, o, metav1.CreateOptions{FieldManager: FieldManager, DryRun: dry, FieldValidation: metav1.FieldValidationStrict})
			if op.action == manifest.Replace && apierrors.IsAlreadyExists(err) {
				err = nil
			}
			errs[i] = refused("create", op.ref, err)
		}
	})
	for i, op := range w.remove {
		client, err := a.c.resource(op.ref, s.Namespace)
		if err == nil {
			err = client.Delete(ctx, op.ref.Name, metav1.DeleteOptions{DryRun: dry})
		}
		if !apierrors.IsNotFound(err) {
			errs[len(w.apply)+i] = refused("delete", op.ref, err)
		}
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// refused words what a cluster says against a request, with the way out where
// there is one.
func refused(verb string, r manifest.Ref, err error) error {
	if err == nil {
		return nil
	}
	text := short(err)
	hint := ""
	switch {
	case apierrors.IsInvalid(err) && strings.Contains(text, "immutable"), strings.Contains(text, "updates to statefulset spec for fields other than"):
		hint = "it cannot be changed in place: --recreate deletes it and makes it anew"
	case apierrors.IsForbidden(err) && strings.Contains(text, "exceeded quota"):
		hint = "the namespace's ResourceQuota is used up: raise it, or ask for less (resources, replicas)"
	case apierrors.IsForbidden(err) && strings.Contains(text, "PodSecurity"):
		hint = "the namespace enforces a Pod Security level that the pods do not keep"
	case apierrors.IsForbidden(err) && strings.Contains(text, "being terminated"):
		hint = "wait until the namespace is gone, then run again with --create-namespace"
	case strings.Contains(text, "admission webhook"), strings.Contains(text, "ValidatingAdmissionPolicy"):
		hint = "a policy of the cluster refuses it"
	case apierrors.IsForbidden(err):
		hint = "verify lists all that is missing"
	case apierrors.IsTooManyRequests(err):
		hint = "the cluster is overloaded: run again, with a smaller --concurrency"
	case apierrors.IsNotFound(err) && strings.Contains(text, "namespaces"):
		hint = "--create-namespace makes it"
	}
	if hint != "" {
		return &refusedError{err: err, text: fmt.Sprintf("%s %s: %s\n  hint: %s", verb, r, text, hint)}
	}
	return &refusedError{err: err, text: fmt.Sprintf("%s %s: %s", verb, r, text)}
}

// refusedError is a server's refusal, worded.
type refusedError struct {
	err  error
	text string
}

func (e *refusedError) Error() string { return e.text }
func (e *refusedError) Unwrap() error { return e.err }

func isForbidden(err error) bool { return err != nil && apierrors.IsForbidden(unwrapAll(err)) }

// unwrapAll gives the server's own answer inside of an error.
func unwrapAll(err error) error {
	var status *apierrors.StatusError
	if errors.As(err, &status) {
		return status
	}
	return err
}
