package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	helm "helm.sh/helm/v3/pkg/release"
	helmtime "helm.sh/helm/v3/pkg/time"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/render"
)

// Uninstall plans to remove releases, each before those that it needs. A shared
// friend that releases beyond these use stays, and the plan says so. Names that
// are not installed are left out.
func (c *Cluster) Uninstall(ctx context.Context, target Target, releases []Removal) (*Plan, error) {
	namespaces := map[string]bool{}
	for _, r := range releases {
		namespaces[r.Namespace] = true
	}
	var names []string
	for ns := range namespaces {
		names = append(names, ns)
	}
	slices.Sort(names)
	states, err := c.states(ctx, names)
	if err != nil {
		return nil, err
	}
	plan := &Plan{Target: target, Against: Live}
	going := map[string]bool{}
	for _, r := range releases {
		if s := states[releaseKey{r.Namespace, r.Name}]; s.installed() && !target.foreign(s.last, s.last.Labels[LabelKind]) {
			going[r.Namespace+"/"+r.Name] = true
		}
	}
	neededBy := map[string][]string{}
	for _, r := range releases {
		for _, need := range r.Needs {
			neededBy[need] = append(neededBy[need], r.Name)
		}
	}
	for _, r := range slices.Backward(releases) {
		s := states[releaseKey{r.Namespace, r.Name}]
		if !s.installed() {
			continue
		}
		if target.foreign(s.last, s.last.Labels[LabelKind]) {
			plan.Notes = append(plan.Notes, fmt.Sprintf("the release %s in %s stays: it is of %s", r.Name, r.Namespace, of(s.last)))
			continue
		}
		if s.last.Labels[LabelKind] == kindDependency {
			stays, err := c.inUse(ctx, releaseKey{r.Namespace, r.Name}, going)
			if err != nil {
				return nil, err
			}
			if stays != "" {
				plan.Notes = append(plan.Notes, stays)
				continue
			}
		}
		var after []string
		for _, name := range neededBy[r.Name] {
			if going[r.Namespace+"/"+name] || slices.ContainsFunc(plan.Steps, func(s Step) bool { return s.Release == name }) {
				after = append(after, name)
			}
		}
		plan.Steps = append(plan.Steps, Step{Release: r.Name, Kind: s.last.Labels[LabelKind], Namespace: r.Namespace, Needs: after})
		plan.work = append(plan.work, work{state: s})
	}
	p := &planner{c: c, target: target, options: PlanOptions{Against: Live}, defined: map[string]bool{}}
	return plan, p.fill(ctx, plan)
}

// Removal names a release that is to go, and those that it needs. Removals are
// in the order of installation.
type Removal struct {
	Name      string
	Namespace string
	Needs     []string
}

// Others lists the releases of a target beside those that are known: their
// services have gone from the workspace.
func (c *Cluster) Others(ctx context.Context, target Target, known []Removal) ([]Removal, error) {
	states, err := c.states(ctx, []string{target.Namespace})
	if err != nil {
		return nil, err
	}
	var out []Removal
	for key, s := range states {
		if !s.installed() || !target.has(s.last) {
			continue
		}
		if !slices.ContainsFunc(known, func(r Removal) bool { return r.Name == key.name && r.Namespace == key.namespace }) {
			out = append(out, Removal{Name: key.name, Namespace: key.namespace})
		}
	}
	slices.SortFunc(out, func(a, b Removal) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Rollback plans to bring releases back to a revision each; 0 is the one that
// was deployed before the current one. recreate says that what the cluster cannot
// change in place is made anew.
func (c *Cluster) Rollback(ctx context.Context, target Target, releases []Removal, revision int, recreate bool) (*Plan, error) {
	plan := &Plan{Target: target, Against: Live}
	var errs []error
	for _, r := range releases {
		records, err := c.listRecords(ctx, r.Namespace, "name="+r.Name)
		if err != nil {
			return nil, err
		}
		if n := len(records); n > 0 && target.foreign(records[n-1], records[n-1].Labels[LabelKind]) {
			errs = append(errs, fmt.Errorf("the release %s in %s is of %s\n  hint: -c chooses that context", r.Name, r.Namespace, of(records[n-1])))
			continue
		}
		to, err := revisionOf(r.Name, records, revision)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		full, err := to.full()
		if err != nil {
			return nil, err
		}
		d, err := desiredFrom(r.Name, full)
		if err != nil {
			return nil, err
		}
		plan.Steps = append(plan.Steps, Step{Release: r.Name, Kind: d.Kind, Namespace: r.Namespace, Reason: fmt.Sprintf("back to revision %d", to.Revision)})
		plan.work = append(plan.work, work{want: d, state: stateOf(current(records))})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p := &planner{c: c, target: target, options: PlanOptions{Against: Live, Recreate: recreate}, defined: map[string]bool{}}
	return plan, p.fill(ctx, plan)
}

// current leaves out what is superseded, as states does.
func current(records []*Record) []*Record {
	return slices.DeleteFunc(slices.Clone(records), func(r *Record) bool { return r.Status == helm.StatusSuperseded })
}

// revisionOf finds the revision to go back to.
func revisionOf(name string, records []*Record, revision int) (*Record, error) {
	if len(records) == 0 {
		return nil, fmt.Errorf("there is no release %s\n  hint: list shows those that are there", name)
	}
	var was []string
	for _, r := range slices.Backward(records) {
		was = append(was, fmt.Sprint(r.Revision))
		if revision > 0 && r.Revision == revision {
			return r, nil
		}
	}
	if revision > 0 {
		return nil, fmt.Errorf("%s has no revision %d\n  hint: it has %s", name, revision, strings.Join(was, ", "))
	}
	s := stateOf(current(records))
	for _, r := range slices.Backward(records) {
		switch {
		case r == s.last:
		case r.Status == helm.StatusSuperseded, r.Status == helm.StatusDeployed:
			return r, nil
		}
	}
	return nil, fmt.Errorf("%s has no revision to go back to\n  hint: history shows what there was; uninstall removes the release", name)
}

// desiredFrom makes of a record what was wanted then.
func desiredFrom(name string, r *helm.Release) (*Desired, error) {
	objects, err := manifest.Parse(r.Manifest)
	if err != nil {
		return nil, fmt.Errorf("the record of %s, revision %d: %w", name, r.Version, err)
	}
	d := &Desired{
		Name: name, Namespace: r.Namespace, Objects: objects, Mask: manifest.NewMask(nil), from: r,
		Kind: r.Labels[LabelKind], Service: r.Labels[LabelService], Inputs: r.Labels[LabelInputs],
		Rendered: &render.Result{Chart: r.Chart, Notes: r.Info.Notes},
	}
	for key, namespace := range r.Labels {
		if friend, ok := strings.CutPrefix(key, labelUses); ok {
			d.Uses = append(d.Uses, Use{friend, namespace})
		}
	}
	for _, h := range r.Hooks {
		hooks, err := manifest.Parse(h.Manifest)
		if err != nil {
			return nil, fmt.Errorf("the record of %s, revision %d: hook %s: %w", name, r.Version, h.Name, err)
		}
		d.Hooks = append(d.Hooks, hooks...)
	}
	for _, o := range objects {
		d.Mask.Learn(o)
	}
	return d, nil
}

// takeBack undoes a release that has just failed: to the revision that was
// deployed before, or away where there was none.
func (a *apply) takeBack(ctx context.Context, s *Step) error {
	records, err := a.c.listRecords(ctx, s.Namespace, "name="+s.Release)
	if err != nil {
		return err
	}
	one := []Removal{{Name: s.Release, Namespace: s.Namespace}}
	options := a.options
	options.Atomic, options.KeepGoing, options.Description = false, false, ""
	var plan *Plan
	if st := stateOf(current(records)); st.deployed == nil {
		plan, err = a.c.Uninstall(ctx, a.plan.Target, one)
		options.NoHooks = true
	} else {
		plan, err = a.c.Rollback(ctx, a.plan.Target, one, st.deployed.Revision, false)
	}
	if err != nil {
		return err
	}
	events := a.options.Events
	options.Events = func(e Event) {
		if e.Phase == PhaseWaiting || e.Phase == PhaseHook {
			events(e)
		}
	}
	_, err = a.c.Apply(ctx, plan, options)
	return err
}

// uninstall removes one release: its objects in the reverse of Helm's order of
// installation, then its records. What its chart wants kept stays.
func (a *apply) uninstall(ctx context.Context, s *Step, w *work) error {
	last, err := w.state.last.full()
	if err != nil {
		return err
	}
	last.Info.Status, last.Info.Description = helm.StatusUninstalling, "Deletion in progress (or silently failed)"
	last.Info.Deleted = helmtime.Time{Time: a.c.clock.Now()}
	if err := a.c.updateRecord(ctx, last); err != nil {
		return err
	}
	if err := a.hooks(ctx, s, last, helm.HookPreDelete); err != nil {
		return err
	}
	errs := make([]error, len(w.remove))
	for i, op := range w.remove {
		errs[i] = a.c.remove(ctx, op, metav1.DeletePropagationBackground)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if a.options.Wait {
		for _, op := range w.remove {
			if err := a.c.gone(ctx, op.ref, s.Namespace); err != nil {
				return err
			}
		}
	}
	if err := a.hooks(ctx, s, last, helm.HookPostDelete); err != nil {
		return err
	}
	if a.options.KeepHistory {
		last.SetStatus(helm.StatusUninstalled, "Uninstallation complete")
		return a.c.updateRecord(ctx, last)
	}
	records, err := a.c.listRecords(ctx, s.Namespace, "name="+s.Release)
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := a.c.deleteRecord(ctx, s.Namespace, s.Release, r.Revision); err != nil {
			return err
		}
	}
	return nil
}
