// Package remake writes the charts of contexts to disk, and makes only those
// that are not there yet. It remembers, in a file of the user's cache for each
// context and folder, what the charts were made from and that they are there.
//
// Its rules:
//
//   - Inputs are known by their content. All that is asked of the workspace's
//     files while its charts are made, what is not there included, is recorded,
//     apart for each service; if all answers are the same the next time, the
//     charts are the same. No time of an input counts for anything.
//   - Outputs are known by their seals (chartdir.Seal), and where a seal does not
//     hold, by their content. What was edited is found and reported as ever.
//   - Where only what single services read has changed, only their charts and
//     those of the services that talk to them are made. If a service then says
//     something else to the context as a whole (build.Ties), if anything is wrong
//     anywhere, or is not as it was expected, all charts are made.
//   - What is remembered is of one kai alone, and is dropped when anything about
//     it is odd. Without it all is made, and nothing else is different.
//   - Charts are written as they are made, and take their places when all of all
//     contexts are made and nothing is wrong: a bad input changes nothing.
package remake

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/chartdir"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// Job is what is to be written.
type Job struct {
	// FS is the workspace's tree. Open reads a workspace from it, or says why there
	// is none.
	FS   fs.FS
	Open func(fs.FS) (*workspace.Workspace, source.Findings, error)
	// Contexts are those whose charts are wanted, each in a folder of its name
	// in Out.
	Contexts []string
	Out      string
	// Select leaves releases out, as in build.Options. Then no chart is removed, and
	// Approve is asked about the names of the services and friends that are left,
	// before anything is done.
	Select  func(labels map[string]string) bool
	Approve func(ws *workspace.Workspace, names map[string]bool) error
	Jobs    int
	Force   bool // as in chartdir.Options
	Check   bool // write nothing, and say what would be

	// Memory is the folder of what is remembered; "" remembers nothing. Maker is
	// the kai that runs, Workspace the place of FS.
	Memory    string
	Maker     string
	Workspace string
}

// Outcome is what became of a context's charts: of those that are wanted, by
// name, and then of those that are not any more.
type Outcome struct {
	Context string
	Results []chartdir.Result
}

// Run does a job. The findings are warnings, or else the reasons for which
// nothing was written. An error may come with outcomes: of what was done
// nevertheless.
func Run(ctx context.Context, j Job) ([]Outcome, source.Findings, error) {
	r := &run{Job: j, tree: newTree(j.FS), kit: build.NewKit()}
	if j.Select == nil && j.Memory != "" {
		r.store.dir = j.Memory
	}
	err := r.hold(ctx)
	var outcomes []Outcome
	var findings source.Findings
	if err == nil {
		outcomes, findings, err = r.do(ctx)
	}
	return outcomes, findings, errors.Join(err, r.release())
}

type run struct {
	Job
	tree   *tree
	store  store
	kit    *build.Kit
	record record

	ws      *workspace.Workspace // once it was opened
	opened  source.Findings
	targets []*target
	held    []*target // in the order in which their folders were opened
}

// target is a context and its folder.
type target struct {
	context string
	path    string
	folder  *chartdir.Folder
	missing string // the first folder on the way that was not there before
	file    string // of its state
	before  *state // nil where nothing is remembered

	plan     plan
	findings source.Findings

	mu     sync.Mutex
	made   map[string]*product // by name
	failed []error
}

// product is a chart that was made in this run.
type product struct {
	made
	label  string // of the service or the friend
	staged *chartdir.Staged
	result chartdir.Result
}

// hold opens the folders of all contexts, in one order whoever asks, so that no
// two runs wait for each other.
func (r *run) hold(ctx context.Context) error {
	for _, name := range r.Contexts {
		t := &target{context: name, path: filepath.Join(r.Out, name)}
		if full, err := filepath.Abs(t.path); err == nil && r.store.dir != "" {
			t.file = r.store.file(r.Workspace, full)
		}
		r.targets = append(r.targets, t)
	}
	for _, t := range slices.SortedFunc(slices.Values(r.targets), func(a, b *target) int { return strings.Compare(a.path, b.path) }) {
		var err error
		if r.Check {
			t.folder, err = chartdir.View(ctx, t.path)
		} else {
			t.missing = firstMissing(t.path)
			t.folder, err = chartdir.Open(ctx, t.path)
		}
		if err != nil {
			return err
		}
		r.held = append(r.held, t)
	}
	return nil
}

// release lets others in, and removes folders that have been made for nothing.
func (r *run) release() error {
	var errs []error
	for _, t := range slices.Backward(r.held) { // the first may have made what the others are in
		errs = append(errs, t.folder.Close())
		for p := t.path; t.missing != "" && os.Remove(p) == nil && p != t.missing; {
			p = filepath.Dir(p)
		}
	}
	return errors.Join(errs...)
}

// firstMissing gives the outermost folder of a path that is not there, or "".
func firstMissing(path string) string {
	missing := ""
	for p := filepath.Clean(path); ; p = filepath.Dir(p) {
		if _, err := os.Lstat(p); !errors.Is(err, fs.ErrNotExist) || p == filepath.Dir(p) {
			return missing
		}
		missing = p
	}
}

func (r *run) do(ctx context.Context) ([]Outcome, source.Findings, error) {
	for _, t := range r.targets {
		r.compare(ctx, t)
	}
	for _, t := range r.targets {
		if err := r.make(ctx, t); err != nil {
			return nil, nil, errors.Join(err, r.discard())
		}
	}
	var findings source.Findings
	for _, t := range r.targets {
		findings = append(findings, t.findings...)
	}
	findings = findings.Sorted()
	if err := ctx.Err(); err != nil || findings.Err() != nil {
		return nil, findings, errors.Join(err, r.discard())
	}
	if err := r.approve(); err != nil {
		return nil, findings, errors.Join(err, r.discard())
	}
	outcomes, err := r.finish(ctx)
	return outcomes, findings, err
}

func (r *run) approve() error {
	if r.Select == nil || r.Approve == nil {
		return nil
	}
	names := map[string]bool{}
	for _, t := range r.targets {
		for _, p := range t.made {
			names[p.label] = true
		}
	}
	return r.Approve(r.ws, names)
}

// plan is what has to be made of a context.
type plan struct {
	all   bool
	files []string        // descriptors of services that read something else now
	among map[string]bool // the files of the services whose charts are made
}

// compare finds out what has to be made.
func (r *run) compare(ctx context.Context, t *target) {
	t.before = r.store.load(t.file, r.Maker)
	t.plan.all = t.before == nil
	if t.plan.all {
		return
	}
	same := make([]bool, len(t.before.inputs))
	build.Each(ctx, r.Jobs, len(same), func(i int) { same[i] = r.same(t.before.inputs[i].asks) })
	sealed := make([]bool, len(t.before.charts))
	build.Each(ctx, r.Jobs, len(sealed), func(i int) {
		c := t.before.charts[i]
		sealed[i] = c.seal != nil && t.folder.Sealed(c.name, c.seal)
	})
	changed := map[string]bool{} // by the services' names
	t.plan.among = map[string]bool{}
	for i, in := range t.before.inputs {
		if same[i] {
			continue
		}
		if in.file == "" {
			t.plan.all = true
			return
		}
		t.plan.files = append(t.plan.files, in.file)
		t.plan.among[in.file] = true
		changed[in.name] = true
	}
	has := map[string]bool{}
	for i, c := range t.before.charts {
		has[c.file] = true
		if !sealed[i] || slices.ContainsFunc(c.services, func(name string) bool { return changed[name] }) {
			t.plan.among[c.file] = true
		}
	}
	for file := range t.plan.among {
		// A shared friend's chart is made from what many say; a service without a
		// chart may matter to the context as a whole.
		if file == "" || !has[file] {
			t.plan.all = true
		}
	}
}

func (r *run) same(before map[question]sum) bool {
	for q, sum := range before {
		if a := r.tree.ask(q); !a.sound || a.sum != sum {
			return false
		}
	}
	return true
}

// make makes the charts of a context that have to be.
func (r *run) make(ctx context.Context, t *target) error {
	if !t.plan.all && len(t.plan.among) == 0 {
		t.findings = t.before.warnings
		return nil
	}
	if r.ws == nil {
		var err error
		if r.ws, r.opened, err = r.Open(&reader{tree: r.tree, record: &r.record}); err != nil {
			return err
		}
	}
	if r.opened.Err() != nil && !slices.Contains(r.ws.ContextNames(), t.context) {
		t.findings = r.opened // which say why
		return nil
	}
	if !t.plan.all {
		if r.makeSome(ctx, t) || ctx.Err() != nil {
			return ctx.Err()
		}
		if err := t.discard(); err != nil {
			return err
		}
		t.plan.all = true
	}
	t.made = map[string]*product{}
	found := build.Stream(ctx, r.ws, t.context, build.Options{Select: r.Select, Jobs: r.Jobs, Kit: r.kit, Ties: true}, func(release build.Release) {
		r.take(ctx, t, release)
	})
	t.findings = append(slices.Clone(r.opened), found...)
	return ctx.Err()
}

// makeSome makes single charts. It says whether that was enough.
func (r *run) makeSome(ctx context.Context, t *target) bool {
	if len(r.opened) > 0 || len(t.before.warnings) > 0 {
		return false
	}
	names := map[string]string{} // of services, by their files
	for _, s := range r.ws.Services {
		names[s.File] = s.Name
	}
	among := map[string]bool{}
	for _, in := range t.before.inputs {
		if t.plan.among[in.file] {
			if names[in.file] != in.name {
				return false
			}
			among[in.name] = true
		}
	}
	t.made = map[string]*product{}
	found := build.Stream(ctx, r.ws, t.context, build.Options{Among: among, Jobs: r.Jobs, Kit: r.kit, Ties: true}, func(release build.Release) {
		if release.Ties != nil {
			r.take(ctx, t, release)
		}
	})
	if len(found) > 0 || len(t.made) != len(among) {
		return false
	}
	for _, c := range t.before.charts {
		now := t.made[c.name]
		if t.plan.among[c.file] != (now != nil) {
			return false
		}
		if now != nil && (now.ties != c.ties || now.file != c.file || !slices.Equal(now.services, c.services)) {
			return false
		}
	}
	return true
}

// take writes a chart beside the place that it is to have, or looks at what is
// there.
func (r *run) take(ctx context.Context, t *target, release build.Release) {
	p := &product{made: made{name: release.Name}, label: release.Labels["name"]}
	if release.Ties != nil {
		p.ties, p.services = release.Ties.Sum, release.Ties.Services
		p.file = release.File
	}
	t.mu.Lock()
	twice := t.made[p.name] != nil
	if !twice {
		t.made[p.name] = p
	}
	t.mu.Unlock()
	if twice {
		return // which is a mistake that is found in the end
	}
	var err error
	if r.Check {
		p.result, err = t.folder.Check(release.Chart)
	} else {
		p.staged, err = t.folder.Stage(ctx, release.Chart, chartdir.Options{Force: r.Force, Seal: r.store.dir != ""})
	}
	if err != nil {
		t.mu.Lock()
		t.failed = append(t.failed, err)
		t.mu.Unlock()
	}
}

func (r *run) discard() error {
	var errs []error
	for _, t := range r.targets {
		errs = append(errs, t.discard())
	}
	return errors.Join(errs...)
}

// discard removes what was written and has not taken its place.
func (t *target) discard() error {
	var errs []error
	for _, p := range t.made {
		if p.staged != nil {
			errs = append(errs, p.staged.Discard())
		}
	}
	t.made, t.failed = nil, nil
	return errors.Join(errs...)
}

// many is how many charts are worth a short wait, for which they can be sealed.
const many = 20

// finish puts all charts in their places, removes those that nobody wants, and
// remembers.
func (r *run) finish(ctx context.Context) ([]Outcome, error) {
	var rest time.Duration
	staged := 0
	for _, t := range r.targets {
		for _, p := range t.made {
			if p.staged != nil {
				rest = max(rest, p.staged.Rest())
				staged++
			}
		}
	}
	if staged > many {
		time.Sleep(rest)
	}
	var outcomes []Outcome
	var errs []error
	for _, t := range r.targets {
		o, err := r.finishOne(ctx, t)
		outcomes = append(outcomes, o)
		errs = append(errs, err)
	}
	return outcomes, errors.Join(errs...)
}

func (r *run) finishOne(ctx context.Context, t *target) (Outcome, error) {
	out := Outcome{Context: t.context}
	products := slices.SortedFunc(maps.Values(t.made), func(a, b *product) int { return strings.Compare(a.name, b.name) })
	errs := make([]error, len(products))
	build.Each(context.WithoutCancel(ctx), r.Jobs, len(products), func(i int) {
		if p := products[i]; p.staged != nil {
			p.result, errs[i] = p.staged.Commit(ctx)
			p.seal = p.result.Seal
		}
	})
	err := errors.Join(append(append(t.failed, errs...), ctx.Err())...)
	kept := t.after(products, r)
	var names []string
	for _, c := range kept.charts {
		names = append(names, c.name)
		p := t.made[c.name]
		switch {
		case p == nil:
			out.Results = append(out.Results, chartdir.Result{Chart: c.name, Folder: filepath.Join(t.path, c.name), State: chartdir.Unchanged})
		case p.result.State != "":
			out.Results = append(out.Results, p.result)
		}
	}
	if err != nil || r.Select != nil {
		return out, err
	}
	var gone []chartdir.Result
	if r.Check {
		gone, err = t.folder.Obsolete(names)
	} else {
		gone, err = t.folder.Prune(ctx, names, chartdir.Options{Force: r.Force})
	}
	out.Results = append(out.Results, gone...)
	if err == nil && !r.Check && r.store.dir != "" && len(products) > 0 && !r.record.unsound {
		// What cannot be remembered is made again.
		_ = r.store.save(t.file, kept)
		r.store.sweep()
	}
	return out, err
}

// after gives what is to be remembered: of what was made now, and of the rest as
// before.
func (t *target) after(products []*product, r *run) *state {
	out := &state{maker: r.Maker, warnings: t.findings}
	if t.plan.all {
		out.inputs = append(out.inputs, inputs{asks: with(nil, r.record.asked[""])})
		for _, s := range r.ws.Services {
			out.inputs = append(out.inputs, inputs{s.File, s.Name, r.record.asked[s.File]})
		}
		for _, p := range products {
			out.charts = append(out.charts, p.made)
		}
		return out
	}
	for _, in := range t.before.inputs {
		switch {
		case in.file == "":
			in.asks = with(in.asks, r.record.asked[""])
		case t.plan.among[in.file]:
			in.asks = r.record.asked[in.file]
		}
		out.inputs = append(out.inputs, in)
	}
	for _, c := range t.before.charts {
		if p := t.made[c.name]; p != nil {
			c = p.made
		}
		out.charts = append(out.charts, c)
	}
	return out
}
