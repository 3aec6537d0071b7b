package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	helm "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/source"
)

// What a plan can be compared with on a cluster.
const (
	// Live compares with the objects that the cluster has.
	Live = "live"
	// Stored compares with what the records of the releases say.
	Stored = "stored"
)

// PlanOptions say how a plan is made.
type PlanOptions struct {
	Against string // Live or Stored; "" is Live
	// Prune removes releases of the target that are not wanted any more.
	Prune bool
	// Partial says that only some of the target's releases were asked for, so
	// that others are not superfluous.
	Partial bool
	// TakeOwnership takes over objects that are there and not of the release.
	TakeOwnership bool
	// Recreate deletes and makes anew what the cluster cannot change in place.
	Recreate bool
	// Self is the name by which this run holds the context, "" where it does not.
	Self string
	// Check holds what will be sent to the cluster's schemas.
	Check bool
	Jobs  int
}

// work is what a step does, with the secrets in it. It stays in this process.
type work struct {
	want  *Desired // nil where the release is removed
	state *state
	crds  []manifest.Object
	// apply is in Helm's order of installation, remove in its order of removal.
	apply  []operation
	remove []operation
	// taken says what is taken over from others.
	taken []string
}

// operation is a request to come.
type operation struct {
	ref    manifest.Ref // with the namespace that it has in the cluster
	action manifest.Action
	object map[string]any // to create, or to make anew
	patch  manifest.Patch // to update
	live   map[string]any
}

// planner makes one plan.
type planner struct {
	c       *Cluster
	target  Target
	options PlanOptions
	live    *live
	// defined are the kinds that CRDs of the plan bring.
	defined map[string]bool
}

// Plan finds what has to be done so that the target has what is wanted. What is
// wrong is said all at once. there is what the records said just now; nil has
// them read.
func (c *Cluster) Plan(ctx context.Context, target Target, wanted []*Desired, there *Installed, o PlanOptions) (*Plan, error) {
	if o.Against == "" {
		o.Against = Live
	}
	p := &planner{c: c, target: target, options: o, defined: map[string]bool{}}
	wanted = ordered(wanted)
	namespaces := namespacesOf(target, wanted)
	if there == nil || slices.ContainsFunc(namespaces, func(ns string) bool { return !slices.Contains(there.namespaces, ns) }) {
		var err error
		if there, err = c.Installed(ctx, namespaces); err != nil {
			return nil, err
		}
	}
	states := there.states
	plan := &Plan{Target: target, Against: o.Against}
	var findings source.Findings
	for _, d := range wanted {
		if s := states[d.key()]; s.installed() && !o.TakeOwnership && target.foreign(s.last, d.Kind) {
			findings.Add("release", source.Origin{}, d.Name, "--take-ownership takes it over; or choose another namespace, or rename one of the two", "the release %s in %s is of %s", d.Name, d.Namespace, of(s.last))
		}
		plan.Steps = append(plan.Steps, Step{Release: d.Name, Kind: d.Kind, Namespace: d.Namespace, Needs: needsIn(d, wanted)})
		plan.work = append(plan.work, work{want: d, state: states[d.key()]})
	}
	if findings.Err() != nil {
		return nil, findings.Sorted()
	}
	if err := p.superfluous(ctx, plan, states); err != nil {
		return nil, err
	}
	if err := p.holder(ctx, plan); err != nil {
		return nil, err
	}
	plan.lacking(wanted, states)
	return plan, p.fill(ctx, plan)
}

// lacking notes the releases that others need and that are neither there nor
// coming, as when a part of a context is installed.
func (p *Plan) lacking(wanted []*Desired, states map[releaseKey]*state) {
	for _, d := range wanted {
		for _, need := range d.Needs {
			there := slices.ContainsFunc(wanted, func(w *Desired) bool { return w.Name == need })
			for key, s := range states {
				there = there || key.name == need && s.installed()
			}
			if !there {
				p.Notes = append(p.Notes, fmt.Sprintf("%s needs %s, which is not installed and not part of this plan", d.Name, need))
			}
		}
	}
}

// fill compares all steps of a plan with what is there.
func (p *planner) fill(ctx context.Context, plan *Plan) error {
	previous, err := p.previous(plan)
	if err != nil {
		return err
	}
	if p.options.Against == Live {
		if p.live, err = p.c.read(ctx, p.refs(plan, previous), p.options.Jobs); err != nil {
			return err
		}
	}
	results := make([]stepResult, len(plan.Steps))
	each(ctx, p.options.Jobs, len(plan.Steps), func(i int) {
		results[i] = p.step(ctx, &plan.Steps[i], &plan.work[i], previous[i])
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	var errs []error
	var findings source.Findings
	for i, r := range results {
		errs = append(errs, r.err)
		findings = append(findings, r.findings...)
		plan.note(&plan.Steps[i], &plan.work[i])
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if findings.Err() != nil {
		return findings.Sorted()
	}
	return nil
}

// namespacesOf lists the namespaces that releases are looked for in.
func namespacesOf(target Target, wanted []*Desired) []string {
	names := map[string]bool{}
	if target.Namespace != "" {
		names[target.Namespace] = true
	}
	for _, d := range wanted {
		names[d.Namespace] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func needsIn(d *Desired, wanted []*Desired) []string {
	var out []string
	for _, need := range d.Needs {
		if slices.ContainsFunc(wanted, func(w *Desired) bool { return w.Name == need }) {
			out = append(out, need)
		}
	}
	return out
}

// superfluous finds the releases of the target that nobody wants any more.
func (p *planner) superfluous(ctx context.Context, plan *Plan, states map[releaseKey]*state) error {
	if p.options.Partial {
		return nil
	}
	wanted := map[releaseKey]bool{}
	for _, w := range plan.work {
		wanted[w.want.key()] = true
	}
	var keys []releaseKey
	for key, s := range states {
		if !wanted[key] && s.installed() && p.target.has(s.last) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b releaseKey) int {
		return strings.Compare(states[a].last.Labels[LabelKind], states[b].last.Labels[LabelKind])*-2 + strings.Compare(a.name, b.name)
	})
	for _, key := range keys {
		last := states[key].last
		if !p.options.Prune {
			plan.Notes = append(plan.Notes, fmt.Sprintf("the release %s in %s is no longer in the workspace; --prune removes it", key.name, key.namespace))
			continue
		}
		if last.Labels[LabelKind] == kindDependency {
			stays, err := p.c.inUse(ctx, key, nil)
			if err != nil {
				return err
			}
			if stays != "" {
				plan.Notes = append(plan.Notes, stays)
				continue
			}
		}
		var all []string
		for _, s := range plan.Steps {
			all = append(all, s.Release)
		}
		plan.Steps = append(plan.Steps, Step{Release: key.name, Kind: last.Labels[LabelKind], Namespace: key.namespace, Needs: all})
		plan.work = append(plan.work, work{state: states[key]})
	}
	return nil
}

// has says whether a record is one of the target's releases.
func (t Target) has(r *Record) bool {
	return r.Labels[LabelContext] == t.Context && r.Labels[LabelWorkspace] == t.Workspace
}

// foreign says whether a record is of another context or workspace. What Helm has
// made is nobody's; a shared friend is there for several contexts.
func (t Target) foreign(r *Record, kind string) bool {
	_, marked := r.Labels[LabelContext]
	shared := kind == kindDependency && r.Labels[LabelKind] == kindDependency && r.Labels[LabelWorkspace] == t.Workspace
	return marked && !t.has(r) && !shared
}

// of words whose a release is.
func of(r *Record) string {
	text := "the context " + r.Labels[LabelContext]
	if ws := r.Labels[LabelWorkspace]; ws != "" {
		text += " of the workspace " + ws
	}
	return text
}

// holder notes whether another run has the context in its hands, where a release
// looks as if one had.
func (p *planner) holder(ctx context.Context, plan *Plan) error {
	if !slices.ContainsFunc(plan.work, func(w work) bool { return w.state.installed() && w.state.last.pending() }) {
		return nil
	}
	name, err := p.c.Holder(ctx, p.target)
	if err != nil || name == "" || name == p.options.Self {
		return err
	}
	plan.Notes = append(plan.Notes, fmt.Sprintf("a run of kai holds the context %s, or was killed while it did: %s", p.target.Context, name))
	return nil
}

// previous parses what releases have sent before: for each step the objects of
// the deployed revision and of those since, oldest first.
func (p *planner) previous(plan *Plan) ([][][]manifest.Object, error) {
	out := make([][][]manifest.Object, len(plan.work))
	for i, w := range plan.work {
		if w.state == nil {
			continue
		}
		// What is to be sent again need not be read twice.
		again := w.want != nil && w.want.Rendered != nil
		text := ""
		if again {
			text = w.want.manifest()
		}
		records := w.state.since
		if w.state.deployed != nil {
			records = append([]*Record{w.state.deployed}, records...)
		}
		for _, r := range records {
			if again && r.Manifest == text {
				out[i] = append(out[i], w.want.Objects)
				continue
			}
			objects, err := manifest.Parse(r.Manifest)
			if err != nil {
				return nil, fmt.Errorf("the record of %s, revision %d: %w", r.Name, r.Revision, err)
			}
			out[i] = append(out[i], objects)
		}
	}
	return out, nil
}

// refs lists the objects that the cluster is asked for, and notes the kinds that
// the plan itself defines.
func (p *planner) refs(plan *Plan, previous [][][]manifest.Object) []manifest.Ref {
	var out []manifest.Ref
	seen := map[string]bool{}
	add := func(o manifest.Object, namespace string) {
		r := p.place(o.Ref, namespace)
		if !seen[r.Key()] {
			seen[r.Key()] = true
			out = append(out, r)
		}
	}
	for i, w := range plan.work {
		namespace := plan.Steps[i].Namespace
		if w.want != nil {
			for _, o := range slices.Concat(w.want.CRDs, w.want.Objects) {
				if o.Ref.Kind == "CustomResourceDefinition" {
					p.defined[definedKind(o)] = true
				}
				add(o, namespace)
			}
		}
		for _, objects := range previous[i] {
			for _, o := range objects {
				add(o, namespace)
			}
		}
	}
	return out
}

func definedKind(crd manifest.Object) string {
	spec, _ := crd.Fields["spec"].(map[string]any)
	names, _ := spec["names"].(map[string]any)
	group, _ := spec["group"].(string)
	kind, _ := names["kind"].(string)
	return group + "/" + kind
}

// place gives the name of an object in the cluster. What the cluster does not
// know is taken to be in the release's namespace.
func (p *planner) place(r manifest.Ref, namespace string) manifest.Ref {
	m, err := p.c.mappingFor(r)
	if err != nil {
		if r.Namespace == "" {
			r.Namespace = namespace
		}
		return r
	}
	return placed(r, m, namespace)
}

type stepResult struct {
	findings source.Findings
	err      error
}

// step compares one release with what is there.
func (p *planner) step(ctx context.Context, s *Step, w *work, previous [][]manifest.Object) stepResult {
	var r stepResult
	if w.state != nil && w.state.last != nil {
		s.Revision = w.state.last.Revision
	}
	mask := manifest.NewMask(nil)
	if w.want != nil && w.want.Mask != nil {
		mask = w.want.Mask
	}
	for _, objects := range previous {
		for _, o := range objects {
			mask.Learn(o)
		}
	}
	if w.want == nil {
		s.Action, s.Chart, s.AppVersion = Remove, w.state.last.Chart, w.state.last.AppVersion
	} else {
		md := w.want.Rendered.Chart.Metadata
		s.Chart, s.AppVersion = md.Name+"-"+md.Version, md.AppVersion
		s.Action = Unchanged
	}
	if p.options.Against == Stored {
		p.stored(s, w, previous, mask)
	} else {
		p.compareLive(ctx, s, w, previous, mask, &r)
	}
	for i := range r.findings {
		r.findings[i].Message = mask.Text(r.findings[i].Message)
	}
	p.hooks(s, w, mask)
	p.decide(s, w)
	return r
}

// decide says what happens to the release as a whole.
func (p *planner) decide(s *Step, w *work) {
	if w.want == nil {
		return
	}
	switch {
	case !w.state.installed():
		s.Action = Create
	case slices.ContainsFunc(s.Objects, changed):
		s.Action = Upgrade
	case slices.ContainsFunc(s.Hooks, changed):
		s.Action, s.Reason = Upgrade, "only hooks differ"
	case w.state.last.pending():
		s.Action, s.Reason = Upgrade, pendingReason(w.state.last)
	case w.state.last.Status != helm.StatusDeployed:
		s.Action, s.Reason = Upgrade, fmt.Sprintf("revision %d is %s", w.state.last.Revision, w.state.last.Status)
	}
	if s.Action == Upgrade && s.Reason == "" && w.state.last.pending() {
		s.Reason = pendingReason(w.state.last)
	}
}

// pendingReason says that whoever made a revision has not come to an end with it.
func pendingReason(r *Record) string {
	return fmt.Sprintf("revision %d is %s since %s: its run was killed, or is still at work", r.Revision, r.Status, r.Info.LastDeployed.UTC().Format(time.RFC3339))
}

// stored compares what is wanted with what the release's record says was sent.
func (p *planner) stored(s *Step, w *work, previous [][]manifest.Object, mask *manifest.Mask) {
	var before, after []manifest.Object
	if w.state != nil && w.state.deployed != nil && len(previous) > 0 {
		before = previous[0]
	}
	if w.want != nil {
		after = w.want.Objects
	}
	s.Objects = pairs(in(before, "", s.Namespace), in(after, "", s.Namespace), mask)
}

// in gives rendered objects the namespace that they have in the cluster, as far
// as that is known without asking: those that say none, or that of the release
// they were rendered for, are in the namespace of the release.
func in(objects []manifest.Object, was, is string) []manifest.Object {
	out := slices.Clone(objects)
	for i := range out {
		if ns := out[i].Ref.Namespace; ns == "" || ns == was {
			out[i].Ref.Namespace = is
		}
	}
	return out
}

// pairs compares two lists of rendered objects, one by one by their names.
func pairs(before, after []manifest.Object, mask *manifest.Mask) []manifest.Change {
	old := make(map[string]manifest.Object, len(before))
	for _, o := range before {
		old[o.Ref.Key()] = o
	}
	var out []manifest.Change
	for _, o := range after {
		var was map[string]any
		if b, ok := old[o.Ref.Key()]; ok {
			delete(old, o.Ref.Key())
			if identical(b.Fields, o.Fields) {
				out = append(out, manifest.Change{Ref: o.Ref, Action: manifest.Unchanged, Source: o.Source, Hook: o.Hook})
				continue
			}
			was = normal(b)
		}
		c := manifest.Compare(o.Ref, was, normal(o), mask)
		c.Source, c.Hook = o.Source, o.Hook
		out = append(out, c)
	}
	for _, o := range before {
		if _, ok := old[o.Ref.Key()]; ok {
			c := manifest.Compare(o.Ref, normal(o), nil, mask)
			c.Source, c.Hook = o.Source, o.Hook
			out = append(out, c)
		}
	}
	return out
}

// identical says that two objects are one in memory, as where both sides of a
// comparison were rendered at once.
func identical(a, b map[string]any) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// normal makes rendered objects comparable with one another.
func normal(o manifest.Object) map[string]any {
	return manifest.Normalize(manifest.WithDefaults(o.Fields))
}

// compareLive compares what is wanted with what the cluster has, by three-way
// merge, and notes what has to be sent.
func (p *planner) compareLive(ctx context.Context, s *Step, w *work, previous [][]manifest.Object, mask *manifest.Mask, r *stepResult) {
	sent := map[string][]map[string]any{} // by key, oldest first
	var sentOrder []manifest.Object
	for _, objects := range previous {
		for _, o := range objects {
			ref := p.place(o.Ref, s.Namespace)
			if sent[ref.Key()] == nil {
				o.Ref = ref
				sentOrder = append(sentOrder, o)
			}
			sent[ref.Key()] = append(sent[ref.Key()], o.Fields)
		}
	}
	wanted := map[string]bool{}
	if w.want != nil {
		for _, o := range w.want.CRDs {
			// A definition is made once and never changed after, as Helm does: the
			// objects of all who use it hang on it.
			if p.live.get(p.place(o.Ref, s.Namespace)) == nil {
				w.crds = append(w.crds, o)
				c := manifest.Compare(o.Ref, nil, manifest.Normalize(o.Fields), mask)
				c.Source = o.Source
				s.Objects = append(s.Objects, c)
			}
		}
		for _, o := range w.want.Objects {
			ref := p.place(o.Ref, s.Namespace)
			wanted[ref.Key()] = true
			change, op, err := p.object(s, w, o, ref, sent[ref.Key()], mask)
			if err != nil {
				r.findings.Add("release", source.Origin{}, s.Release, "the cluster has refused it: see what it says", "%s", err)
				continue
			}
			if p.options.Check && op != nil {
				more, err := p.check(ctx, s, o, ref)
				r.findings = append(r.findings, more...)
				r.err = errors.Join(r.err, err)
			}
			s.Objects = append(s.Objects, change)
			if op != nil {
				w.apply = append(w.apply, *op)
			}
		}
	}
	for _, o := range slices.Backward(sentOrder) {
		live := p.live.get(o.Ref)
		if wanted[o.Ref.Key()] || live == nil || keep(live) {
			continue
		}
		if name, namespace, _ := owner(live); name != "" && (name != s.Release || namespace != s.Namespace) {
			continue // another release has taken it over
		}
		s.Objects = append(s.Objects, manifest.Compare(o.Ref, manifest.Normalize(live), nil, mask))
		w.remove = append(w.remove, operation{ref: o.Ref, action: manifest.Remove, live: live})
	}
}

// keep says that an object stays when its release lets go of it.
func keep(o map[string]any) bool {
	return slices.Contains(words(manifest.Object{Fields: o}, annotationPolicy), "keep")
}

// object plans one object that is wanted.
func (p *planner) object(s *Step, w *work, o manifest.Object, ref manifest.Ref, sent []map[string]any, mask *manifest.Mask) (manifest.Change, *operation, error) {
	live := p.live.get(ref)
	marked := marked(o.Fields, s.Release, s.Namespace)
	if live == nil {
		c := manifest.Compare(ref, nil, manifest.Normalize(o.Fields), mask)
		c.Source = o.Source
		return c, &operation{ref: ref, action: manifest.Create, object: marked}, nil
	}
	mask.Learn(manifest.Object{Ref: ref, Fields: live})
	name, namespace, managed := owner(live)
	mine := managed && name == s.Release && namespace == s.Namespace
	if !mine && (sent == nil || name != "" && (name != s.Release || namespace != s.Namespace)) {
		whose := "it is not of a release"
		if name != "" {
			whose = fmt.Sprintf("it is of the release %s in %s", name, namespace)
		}
		if p.options.TakeOwnership {
			w.taken = append(w.taken, fmt.Sprintf("%s: %s is taken over: %s", s.Release, ref, whose))
		} else {
			return manifest.Change{}, nil, fmt.Errorf("%s is there already, and %s\n  hint: --take-ownership takes it over; or delete it, or rename one of the two", ref, whose)
		}
	}
	patch, err := merge(sent, marked, live)
	if err != nil {
		return manifest.Change{}, nil, fmt.Errorf("%s: %w", ref, err)
	}
	if patch.Data == nil {
		return manifest.Change{Ref: ref, Action: manifest.Unchanged, Source: o.Source}, nil, nil
	}
	c := manifest.Compare(ref, manifest.Normalize(live), manifest.Normalize(patch.After), mask)
	c.Source = o.Source
	op := &operation{ref: ref, action: manifest.Update, patch: patch, live: live, object: marked}
	if c.Action == manifest.Unchanged {
		// What the patch says is all noise to people, and still the cluster's to
		// decide on: it is not sent, or every run would send it again.
		return c, nil, nil
	}
	c.Immutable = manifest.ImmutableIn(live, ref, c.Fields)
	if len(c.Immutable) > 0 && p.options.Recreate {
		c.Action, op.action = manifest.Replace, manifest.Replace
	}
	return c, op, nil
}

// merge is the three-way merge with all that was sent before. Where revisions
// came since the deployed one, each may have reached the object or not, so the
// fields that any of them brought go if they are not wanted.
func merge(sent []map[string]any, wanted, live map[string]any) (manifest.Patch, error) {
	switch len(sent) {
	case 0:
		return manifest.Merge(nil, wanted, live)
	case 1:
		return manifest.Merge(sent[0], wanted, live)
	}
	after := live
	for _, original := range sent {
		patch, err := manifest.Merge(original, wanted, after)
		if err != nil {
			return patch, err
		}
		if patch.Data != nil {
			after = patch.After
		}
	}
	return manifest.Merge(live, after, live)
}

// marked gives an object with the marks of its release, as Helm sets them.
func marked(o map[string]any, release, namespace string) map[string]any {
	out := maps.Clone(o)
	meta, _ := o["metadata"].(map[string]any)
	meta = maps.Clone(meta)
	if meta == nil {
		meta = map[string]any{}
	}
	out["metadata"] = meta
	for key, marks := range map[string]map[string]any{
		"labels":      {labelManagedBy: "Helm"},
		"annotations": {annotationName: release, annotationNamespace: namespace},
	} {
		have, _ := meta[key].(map[string]any)
		have = maps.Clone(have)
		if have == nil {
			have = map[string]any{}
		}
		maps.Copy(have, marks)
		meta[key] = have
	}
	return out
}

// check holds an object that will be sent to the cluster's schemas.
func (p *planner) check(ctx context.Context, s *Step, o manifest.Object, ref manifest.Ref) (source.Findings, error) {
	if p.defined[ref.Group()+"/"+ref.Kind] {
		return nil, nil // its definition comes with the plan
	}
	findings, err := p.c.schemas.Check(ctx, o)
	for i := range findings {
		findings[i].Path = strings.TrimSuffix(s.Release+": "+ref.String()+": "+findings[i].Path, ": ")
		findings[i].Origin.File = o.Source
	}
	return findings, err
}

// hooks compares the hooks apart: they are no objects that stay.
func (p *planner) hooks(s *Step, w *work, mask *manifest.Mask) {
	var before, after []manifest.Object
	if w.state.installed() {
		last := w.state.deployed
		if last == nil {
			last = w.state.last
		}
		for _, h := range last.Hooks {
			// A hook that cannot be read could not be run either.
			objects, _ := manifest.Parse(h.Manifest)
			before = append(before, objects...)
		}
	}
	if w.want != nil {
		after = w.want.Hooks
	}
	s.Hooks = pairs(in(before, "", s.Namespace), in(after, "", s.Namespace), mask)
}

// note says what a reader of the plan should know beside its steps.
func (p *Plan) note(s *Step, w *work) {
	if w.state == nil || w.state.last == nil {
		return
	}
	if w.state.last.ApplyMethod == "ssa" && s.Changed() {
		p.Notes = append(p.Notes, fmt.Sprintf("%s was last applied on the server, by Helm 4; kai merges on the client as Helm 3 does, and Helm 4 goes on that way unless it is told --server-side=true", s.Release))
	}
	p.Notes = append(p.Notes, w.taken...)
	for _, c := range s.Objects {
		if c.Action == manifest.Replace && c.From == nil {
			p.Notes = append(p.Notes, fmt.Sprintf("%s: %s is deleted and made anew, for %s", s.Release, c.Ref, strings.Join(c.Immutable, ", ")))
		}
		if len(c.Immutable) > 0 && c.Action != manifest.Replace {
			p.Notes = append(p.Notes, fmt.Sprintf("%s: %s cannot change %s in place; --recreate deletes it and makes it anew", s.Release, c.Ref, strings.Join(c.Immutable, ", ")))
		}
	}
}

// inUse says that a shared friend stays, as releases use it beyond those that are
// going; "" where none does.
func (c *Cluster) inUse(ctx context.Context, friend releaseKey, going map[string]bool) (string, error) {
	users, err := c.users(ctx, friend.name, friend.namespace)
	users = slices.DeleteFunc(users, func(u string) bool { return going[u] })
	if err != nil || len(users) == 0 {
		return "", err
	}
	return fmt.Sprintf("the shared friend %s in %s stays: %s use it", friend.name, friend.namespace, strings.Join(users, ", ")), nil
}

// users lists the releases of a cluster that talk to a shared friend. Who may
// not look into all namespaces is told of those in the friend's own.
func (c *Cluster) users(ctx context.Context, name, namespace string) ([]string, error) {
	selector := "status=deployed," + labelUses + name + "=" + namespace
	records, err := c.listRecords(ctx, corev1.NamespaceAll, selector)
	if isForbidden(err) {
		records, err = c.listRecords(ctx, namespace, selector)
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range records {
		out = append(out, r.Namespace+"/"+r.Name)
	}
	return out, nil
}

// Offline compares what is wanted with what another context, revision or folder
// wants. No cluster is asked.
func Offline(target Target, against string, before, wanted []*Desired) *Plan {
	plan := &Plan{Target: target, Against: against}
	old := map[string]*Desired{}
	for _, d := range before {
		old[d.Name] = d
	}
	for _, d := range ordered(wanted) {
		plan.Steps = append(plan.Steps, offlineStep(old[d.Name], d, needsIn(d, wanted)))
		delete(old, d.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		plan.Steps = append(plan.Steps, offlineStep(old[name], nil, nil))
	}
	return plan
}

func offlineStep(was, is *Desired, needs []string) Step {
	d := is
	if d == nil {
		d = was
	}
	md := d.Rendered.Chart.Metadata
	s := Step{Release: d.Name, Kind: d.Kind, Namespace: d.Namespace, Needs: needs, Chart: md.Name + "-" + md.Version, AppVersion: md.AppVersion}
	var before, after, beforeHooks, afterHooks []manifest.Object
	if was != nil {
		before = in(slices.Concat(was.CRDs, was.Objects), was.Namespace, s.Namespace)
		beforeHooks = in(was.Hooks, was.Namespace, s.Namespace)
	}
	if is != nil {
		after = in(slices.Concat(is.CRDs, is.Objects), "", s.Namespace)
		afterHooks = in(is.Hooks, "", s.Namespace)
	}
	mask := d.Mask
	if mask == nil {
		mask = manifest.NewMask(nil)
	}
	s.Objects, s.Hooks = pairs(before, after, mask), pairs(beforeHooks, afterHooks, mask)
	switch {
	case was == nil:
		s.Action = Create
	case is == nil:
		s.Action = Remove
	case slices.ContainsFunc(s.Objects, changed), slices.ContainsFunc(s.Hooks, changed):
		s.Action = Upgrade
	default:
		s.Action = Unchanged
	}
	return s
}

func changed(c manifest.Change) bool { return c.Action != manifest.Unchanged }
