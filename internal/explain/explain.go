// Package explain says where a value comes from, and which values decide a field
// of a manifest.
//
// The second is found out and not followed: every value of every file that a
// release is made of is changed alone, the charts are made and rendered anew, and
// what differs is seen. So an answer is right by construction, whatever a
// template does, and of what two changes do only together nothing is said. The
// files are changed in memory.
package explain

import (
	"bytes"
	"context"
	"path"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// Options say what is explained, and how.
type Options struct {
	Context string // of the workspace
	// Service is the name of a service or of a shared friend; "" is all of them.
	Service string
	// Render holds what manifests are rendered for. Its Values come from Given.
	Render render.Options
	Given  Given
	Jobs   int // edits tried at the same time; 0 is one per CPU
}

// Explainer explains the releases of one context.
type Explainer struct {
	o        Options
	base     *workspace.Workspace
	forest   *forest
	kit      *build.Kit
	releases []*release
	flavors  []string // their folders
	mask     *manifest.Mask
	wanted   Match   // the field that is asked for; the zero Match is all
	fixed    []*unit // that no change fits alone
}

// release is one of the releases that are explained.
type release struct {
	build.Release
	objects *objects
	files   map[string][]byte
	causes  [][]cause // of a leaf
}

// cause is a change of a unit that has altered a leaf.
type cause struct {
	unit   *unit
	change change
	gone   bool // the leaf, and not only its value
}

// New reads the workspace anew and renders what is to be explained. Where
// findings hold errors, there is no explainer.
func New(ctx context.Context, w *workspace.Workspace, o Options) (*Explainer, source.Findings, error) {
	x := &Explainer{o: o, forest: &forest{}, kit: build.NewKit(), mask: manifest.NewMask(o.Given.secrets())}
	values, err := o.Given.merge(-1, nil)
	if err != nil {
		return nil, nil, err
	}
	x.o.Render.Values = values
	base, findings := w.Again(x.forest.form, false)
	if base == nil {
		return nil, findings.Sorted(), nil
	}
	x.base = base
	releases, more := build.Charts(ctx, base, o.Context, build.Options{Kit: x.kit, Jobs: o.Jobs, Select: x.selects(""), Trace: true})
	if findings = append(findings, more...).Sorted(); findings.Err() != nil {
		return nil, findings, nil
	}
	for _, r := range releases {
		list, err := x.render(ctx, r, x.o.Render)
		if err != nil {
			return nil, append(findings, build.Finding(r, err)), nil
		}
		own := &release{Release: r, objects: newObjects(list), files: filesOf(r)}
		own.causes = make([][]cause, len(own.objects.leaves))
		x.releases = append(x.releases, own)
	}
	return x, findings, nil
}

// selects chooses the releases that are explained, by their labels. other is a
// name that a change may have given them.
func (x *Explainer) selects(other string) func(labels map[string]string) bool {
	if x.o.Service == "" {
		return nil
	}
	return func(labels map[string]string) bool {
		return labels["name"] == x.o.Service || other != "" && labels["name"] == other && !slices.Contains(x.base.ServiceNames(), other)
	}
}

// Found says whether there is anything to explain.
func (x *Explainer) Found() bool { return len(x.releases) > 0 }

func (x *Explainer) render(ctx context.Context, r build.Release, o render.Options) ([]manifest.Object, error) {
	result, err := build.Render(ctx, r, o)
	if err != nil {
		return nil, err
	}
	return manifest.Parse(result.Text())
}

func filesOf(r build.Release) map[string][]byte {
	out := make(map[string][]byte, len(r.Chart.Files))
	for _, f := range r.Chart.Files {
		out[f.Path] = f.Data
	}
	return out
}

// units lists what is changed.
func (x *Explainer) units() []unit {
	target, _ := x.base.Target(x.o.Context) // the charts are made of it
	in := &inputs{texts: map[string]bool{}, seen: map[spot]bool{}, lineage: target.Lineage}
	related := map[string]bool{}
	for _, r := range x.releases {
		for _, l := range r.objects.leaves {
			if text, ok := l.Value.(string); ok {
				in.texts[text] = true
			}
		}
		related[r.Labels["name"]] = true
		for _, s := range slices.Concat(r.Trace.Services, r.Trace.Friends) {
			related[s] = true
		}
	}
	shared := func(r *release) bool { return r.Kind != build.KindService }
	// A shared friend is what all services say of it together, and nothing else that
	// they say.
	if in.shared = !slices.ContainsFunc(x.releases, func(r *release) bool { return !shared(r) }); !in.shared {
		all := slices.ContainsFunc(x.releases, shared)
		in.related = func(name string) bool { return all || related[name] }
	}
	in.friends = func(file string) bool {
		base := path.Base(file)
		return related[file] || base == workspace.FileName || base == descriptor.FlavorFile
	}
	x.forest.mu.Lock()
	trees := slices.Clone(x.forest.trees)
	x.forest.mu.Unlock()
	for _, t := range trees {
		in.collect(t)
	}
	x.flavors = in.flavors
	return append(in.units, x.o.Given.units()...)
}

// Trace changes every value alone and notes what that does to one field, or with
// the zero Match to all of them.
func (x *Explainer) Trace(ctx context.Context, of Match) error {
	x.wanted = of
	_, err := x.trace(ctx, x.units())
	return err
}

// trace changes some values, and gives the changes of each that make charts.
func (x *Explainer) trace(ctx context.Context, units []unit) ([][]outcome, error) {
	known := learn(x.base, x.forest.trees)
	found := make([][]outcome, len(units))
	build.Each(ctx, x.o.Jobs, len(units), func(i int) { found[i] = x.vary(ctx, known, &units[i]) })
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for i := range units {
		if len(found[i]) == 0 {
			x.fixed = append(x.fixed, &units[i])
		}
		for _, o := range found[i] {
			x.note(&units[i], o)
		}
	}
	return found, nil
}

// outcome is what one change does to the releases, by their number.
type outcome struct {
	change  change
	effects []effect
}

// note adds what a change does to the causes of leaves; the first change of a
// unit that alters a leaf stands for all of them.
func (x *Explainer) note(u *unit, o outcome) {
	for i, e := range o.effects {
		r := x.releases[i]
		add := func(leaf int, gone bool) {
			list := r.causes[leaf]
			if n := len(list); n > 0 && list[n-1].unit == u {
				if list[n-1].gone && !gone {
					list[n-1] = cause{u, o.change, false}
				}
				return
			}
			r.causes[leaf] = append(list, cause{u, o.change, gone})
		}
		for _, leaf := range e.altered {
			add(leaf, false)
		}
		for _, leaf := range e.gone {
			add(leaf, true)
		}
	}
}

// vary tries the changes of one unit.
func (x *Explainer) vary(ctx context.Context, known *known, u *unit) []outcome {
	var out []outcome
	done := false
	idle := true // no change so far makes another chart
	try := func(c change) (ok bool) {
		if done {
			return true
		}
		o, ok, same := x.try(ctx, u, c)
		if ok {
			out = append(out, o)
			idle, done = idle && same, x.answered(o)
		}
		return ok
	}
	each, one, last := known.changes(u)
	for _, c := range each {
		if try(c) && idle && u.value != nil && u.value.Kind == source.Number {
			return out // no chart knows the number
		}
	}
	any := func(list []change) {
		for _, c := range list {
			if try(c) {
				return
			}
		}
	}
	any(one)
	if len(out) == 0 || !idle {
		any(last) // what no chart knows is not missed either
	}
	return out
}

// answered says whether a change alters the field that is asked for, so that no
// other of its unit has to be tried.
func (x *Explainer) answered(o outcome) bool {
	return x.wanted.node != nil && slices.ContainsFunc(o.effects, func(e effect) bool { return len(e.altered) > 0 })
}

// try makes one change. ok says that a chart can be made and rendered with it,
// same that all charts are the same as without it.
func (x *Explainer) try(ctx context.Context, u *unit, c change) (o outcome, ok, same bool) {
	if ctx.Err() != nil {
		return o, false, false
	}
	if u.tree == nil {
		return x.tryGiven(ctx, u, c)
	}
	var value *source.Value
	var data []byte
	if u.docs == nil && u.value != nil {
		value = u.applied(c)
	} else {
		data = u.stream(c)
	}
	w, findings := x.base.Again(x.forest.with(u.tree, u.file, value, data), !x.ofFlavor(u))
	if w == nil || findings.Err() != nil {
		return o, false, false
	}
	charts := func(only string) ([]build.Release, bool) {
		releases, findings := build.Charts(ctx, w, x.o.Context, build.Options{Kit: x.kit, Jobs: 1, Select: x.selects(renamed(u, c)), Only: only})
		return releases, findings.Err() == nil
	}
	only := x.only()
	if only != "" && u.value.Str() == only && u.place.Path == "name" {
		only = renamed(u, c)
	}
	releases, ok := charts(only)
	if !ok {
		return o, false, false
	}
	o, ok, same = x.compare(ctx, releases, c)
	if ok && o.any() {
		// The other services and templates have to bear the change as well.
		if only != "" {
			_, ok = charts("")
		}
		ok = ok && x.renders(ctx, releases, x.o.Render)
	}
	return o, ok, same
}

// any says whether a change alters anything.
func (o outcome) any() bool {
	return slices.ContainsFunc(o.effects, func(e effect) bool { return len(e.altered)+len(e.gone) > 0 })
}

// renders says whether all templates of the releases can be rendered, where so far
// only the one was that is asked for.
func (x *Explainer) renders(ctx context.Context, releases []build.Release, o render.Options) bool {
	if x.wanted.node == nil {
		return true
	}
	for _, r := range releases {
		if _, err := build.Render(ctx, r, o); err != nil {
			return false
		}
	}
	return true
}

// effect renders a release and says what differs.
func (x *Explainer) effect(ctx context.Context, r *release, other build.Release, o render.Options) (effect, error) {
	if x.wanted.node != nil {
		o.Only = r.objects.list[x.wanted.object].Source
	}
	list, err := x.render(ctx, other, o)
	if err != nil {
		return effect{}, err
	}
	e := r.objects.against(list)
	if n := x.wanted.node; n != nil {
		other := func(leaf int) bool { return leaf < n.first || leaf >= n.last }
		e.altered, e.gone = slices.DeleteFunc(e.altered, other), slices.DeleteFunc(e.gone, other)
	}
	return e, nil
}

// renamed gives the text that a change puts in the place of another.
func renamed(u *unit, c change) string {
	if u.value == nil || c.value == nil {
		return ""
	}
	return c.value.Str()
}

// only gives the service that can be made alone, if one is explained: a shared
// friend takes all that share it.
func (x *Explainer) only() string {
	if len(x.releases) != 1 || x.releases[0].Kind != build.KindService {
		return ""
	}
	return x.o.Service
}

// ofFlavor says whether a unit stands in a flavor's folder.
func (x *Explainer) ofFlavor(u *unit) bool {
	full := u.tree.full(u.file)
	return slices.ContainsFunc(x.flavors, func(dir string) bool { return dir == "." || strings.HasPrefix(full, dir+"/") })
}

// compare renders the charts that differ, and says in which leaves they do.
func (x *Explainer) compare(ctx context.Context, releases []build.Release, c change) (o outcome, ok, same bool) {
	o = outcome{change: c, effects: make([]effect, len(x.releases))}
	partner := pair(len(x.releases), len(releases), func(i, j int) bool { return x.releases[i].Name == releases[j].Name },
		func(i, j int) bool { return x.releases[i].Kind == releases[j].Kind })
	same = true
	for i, r := range x.releases {
		if partner[i] < 0 {
			return o, false, false // without the release there are no fields
		}
		other := releases[partner[i]]
		if sameChart(r, other) {
			continue
		}
		same = false
		var err error
		if o.effects[i], err = x.effect(ctx, r, other, x.o.Render); err != nil {
			return o, false, false
		}
	}
	return o, true, same
}

// sameChart says whether a chart renders to the same whatever its templates do.
func sameChart(r *release, other build.Release) bool {
	if r.Name != other.Name || r.Namespace != other.Namespace || len(r.files) != len(other.Chart.Files) || len(r.Secrets) != len(other.Secrets) {
		return false
	}
	for _, f := range other.Chart.Files {
		if data, ok := r.files[f.Path]; !ok || !bytes.Equal(data, f.Data) {
			return false
		}
	}
	return true
}

// tryGiven changes what the user has given on the command line.
func (x *Explainer) tryGiven(ctx context.Context, u *unit, c change) (o outcome, ok, same bool) {
	values, err := x.o.Given.merge(u.given, func(v *source.Value) *source.Value {
		if u.root == nil {
			return source.NewString(source.Origin{}, u.arg[0]+c.value.Str()+u.arg[1])
		}
		out, _ := replaced(v, u, c)
		return out
	})
	if err != nil {
		return o, false, false
	}
	options := x.o.Render
	options.Values = values
	o = outcome{change: c, effects: make([]effect, len(x.releases))}
	for i, r := range x.releases {
		if o.effects[i], err = x.effect(ctx, r, r.Release, options); err != nil || !x.renders(ctx, []build.Release{r.Release}, options) {
			return o, false, false
		}
	}
	return o, true, false
}
