// Package build is the road from a workspace to charts: it joins the workspace,
// a context and a selection, and every command walks it here.
package build

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// Kinds of a release.
const (
	KindService    = "service"
	KindDependency = "dependency"
)

// Release is a chart to install, for a service or for a shared friend.
type Release struct {
	Name      string // of the release, its chart and its objects
	Kind      string
	File      string // the descriptor that it is of, "" for a shared friend
	Context   string
	Namespace string // "" where the workspace gives none
	Labels    map[string]string
	Chart     generator.Chart
	Secrets   []generator.Secret
	Needs     []string // releases of the context that are installed before
	// App is what the release's own secrets are kept under, Apps the same for its
	// friends' credentials.
	App  string
	Apps map[string]string
	// Uses are the shared friends that it talks to.
	Uses []Use

	// Trace tells where values come from, Ties what binds the chart to others, if they
	// were asked for.
	Trace *Trace
	Ties  *Ties // nil for a shared friend

	library *render.Library    // shared with the other releases of the run
	flavor  *descriptor.Flavor // that the chart was made with, or nil
}

// Use is a shared friend: its release and the namespace of that.
type Use struct{ Release, Namespace string }

// Source gives the file of the workspace that a file of the chart is a copy of,
// or else the chart's own path.
func (r Release) Source(file string) string {
	if r.flavor != nil {
		for _, f := range r.flavor.Files {
			if f.Path == file && !f.Library {
				return f.Source
			}
		}
	}
	return file
}

// Options choose what is built.
type Options struct {
	// Select says which releases are wanted, by their labels: name, kind,
	// flavor, context, and the labels of the service's pods. Nil wants all.
	Select func(labels map[string]string) bool
	// Jobs is how many charts are made at the same time; 0 is one per CPU.
	Jobs int
	// Kit is shared with other runs; nil is one of the run's own.
	Kit *Kit
	// Only leaves all services out but one of this name, and what is wrong with them
	// or with the context as a whole unsaid. "" is all.
	Only string
	// Among leaves all services out but those of these names, and what is wrong with
	// the context as a whole unsaid. Nil is all.
	Among map[string]bool
	// Partial gives the charts that could be made where findings hold errors.
	Partial bool
	// Trace has releases tell where their values come from, Ties what binds them to
	// one another.
	Trace, Ties bool
}

// Charts makes the charts of one context, sorted by name. Where findings hold
// errors, there are no charts, unless part of them is asked for.
func Charts(ctx context.Context, w *workspace.Workspace, contextName string, o Options) ([]Release, source.Findings) {
	var mu sync.Mutex
	var out []Release
	findings := Stream(ctx, w, contextName, o, func(r Release) {
		mu.Lock()
		defer mu.Unlock()
		out = append(out, r)
	})
	if ctx.Err() != nil || findings.Err() != nil && !o.Partial {
		return nil, findings
	}
	slices.SortFunc(out, func(a, b Release) int { return strings.Compare(a.Name, b.Name) })
	return out, findings
}

// Stream makes the charts of one context and hands over each as soon as it is
// made, several at the same time and in no order, so that nobody has to hold all
// of them. They are good for something only if the findings, which come last,
// hold no errors.
func Stream(ctx context.Context, w *workspace.Workspace, contextName string, o Options, take func(Release)) source.Findings {
	target, findings := w.Target(contextName)
	if target == nil {
		return findings
	}
	if o.Kit == nil {
		o.Kit = NewKit()
	}
	r := &run{
		w: w, target: target, services: map[string]*service{}, dependencies: map[string][]*dependency{},
		templates: o.Kit.templates, library: o.Kit.library,
		makes: func(s string) bool {
			return target.Selects(s) && (o.Only == "" || o.Only == s) && (o.Among == nil || o.Among[s])
		},
	}
	for _, s := range w.Services {
		r.services[s.Name] = &service{Service: s}
	}
	var chosen []*service
	for _, s := range w.Services {
		if r.makes(s.Name) {
			chosen = append(chosen, r.services[s.Name])
		}
	}
	names := make([]string, len(chosen))
	more := make([]source.Findings, len(chosen))
	Each(ctx, o.Jobs, len(chosen), func(i int) {
		var made *Release
		if made, more[i] = r.service(chosen[i], o); made != nil {
			names[i] = made.Name
			take(*made)
		}
	})
	for _, f := range more {
		findings = append(findings, f...)
	}
	if err := ctx.Err(); err != nil {
		findings.Add("cancelled", source.Origin{}, "", "", "%s", err)
		return findings
	}
	if o.Only == "" {
		shared, more := r.shared(o)
		findings = append(findings, more...)
		for _, made := range shared {
			if len(made.Chart.Files) > 0 {
				made.library = r.library
				names = append(names, made.Name)
				take(*made)
			}
		}
		findings = append(findings, r.cycles(chosen)...)
		if o.Among == nil {
			findings = append(findings, r.unusedDefaults(chosen)...)
		}
	}
	slices.Sort(names)
	for i := 1; i < len(names); i++ {
		if names[i] != "" && names[i] == names[i-1] {
			findings.Add("duplicate-name", source.Origin{}, "", "rename the service or the friend", "two releases of the context %s are called %s", contextName, names[i])
		}
	}
	return findings.Sorted()
}

// Each calls f for 0 to n-1, jobs at a time; 0 is one per CPU. It stops handing
// out work when ctx ends.
func Each(ctx context.Context, jobs, n int, f func(i int)) {
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(jobs, n) {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
}

// run is the work on one context.
type run struct {
	w        *workspace.Workspace
	target   *workspace.Target
	services map[string]*service
	// What the charts of a run share.
	templates *generator.Templates
	library   *render.Library

	makes        func(service string) bool // a chart of it
	mu           sync.Mutex
	dependencies map[string][]*dependency // by release, one for each use
	flavors      flavorChecks
}

// service is a descriptor in this context, folded once however many ask.
type service struct {
	*descriptor.Service
	once     sync.Once
	folded   *descriptor.Folded // until its chart is made
	flavor   *descriptor.Flavor // of folded
	friends  []descriptor.FriendUse
	outputs  *descriptor.Outputs
	findings source.Findings
}

// app is the name of the service's release and of its objects: the service's
// own, shortened where it is longer than they can be.
func (s *service) app() string { return generator.AppName(s.Name) }

// fold merges a service's layers and finds what it offers.
func (r *run) fold(s *service) {
	s.once.Do(func() {
		versions, findings := r.w.VersionFile(r.target, s.Service)
		vars, more := r.target.Vars.And(versions.Get("variables"))
		findings = append(findings, more...)
		contexts := s.Contexts.Choose(r.target.Uses, r.target.Lineage)
		if len(contexts) == 0 {
			findings.Add("unknown-context", s.Origin(), "contexts", source.Nearest(r.target.Context, s.Contexts.Names()), "%s has no context for %q", s.Name, r.target.Context)
			s.findings = findings
			return
		}
		layers := descriptor.Layers{Contexts: contexts, Above: r.target.Values, Versions: versions, Vars: vars, Flavor: r.w.Flavor}
		if d := r.w.Defaults(); d != nil {
			layers.Below = []*source.Value{d}
		}
		s.folded, more = s.Fold(layers)
		for i := range more {
			if more[i].Code == "extends-order" && more[i].Origin == (source.Origin{}) {
				more[i].Origin, more[i].Path = r.target.UsesAt, "contexts."+r.target.Context+".uses"
			}
		}
		findings = append(findings, more...)
		if s.folded != nil {
			s.flavor, s.friends = s.folded.Flavor, s.folded.Friends
			findings = append(findings, r.flavors.check(s.folded.Flavor)...)
			findings = append(findings, r.check(s)...)
			s.outputs, more = s.folded.Outputs(s.app(), r.target.Namespace, descriptor.Names{"service": {Name: s.app(), Namespace: r.target.Namespace}})
			findings = append(findings, more...)
			s.outputs.Partly = s.outputs.Partly || slices.ContainsFunc(findings, aboutRoutes)
			r.offers(s, &findings)
		}
		s.findings = findings
	})
}

// aboutRoutes says whether a finding is that something is wrong with the routes.
func aboutRoutes(f source.Finding) bool {
	return f.Severity == source.Error && slices.Contains(strings.FieldsFunc(f.Path, func(c rune) bool { return strings.ContainsRune(".[]+", c) }), "routes")
}

// check holds the descriptor as a whole to the types of all its flavors.
func (r *run) check(s *service) source.Findings {
	types := s.folded.Types()
	fields := s.folded.Flavor.AllFields()
	for _, name := range s.FlavorNames() {
		if flavor, _ := r.w.Flavor(name); flavor != nil {
			types = types.With(flavor.Types)
			fields = append(fields, flavor.AllFields()...)
		}
	}
	return s.Check(types, fields)
}

// offers adds what the descriptor offers beyond its ports.
func (r *run) offers(s *service, findings *source.Findings) {
	if s.Offers == nil {
		return
	}
	names := descriptor.Names{"service": s.outputs, "self": s.outputs}
	s.outputs.Config = configOf(r.target.Vars, s.Offers.Get("config"), "offers.config", s.outputs, names, findings)
	for _, f := range s.Offers.Get("credentials").FieldsOrNone() {
		s.outputs.Credentials[f.Key] = descriptor.Credential{Key: f.Key}
	}
}

// configOf substitutes in a friend's config, each entry seeing those before it.
func configOf(vars *descriptor.Variables, config *source.Value, path string, self *descriptor.Outputs, names descriptor.Names, findings *source.Findings) *source.Value {
	out := source.NewMap(config.OriginOrNone())
	self.Config = out
	for _, f := range config.FieldsOrNone() {
		if f.Value.IsNull() {
			continue
		}
		v := vars.Apply(f.Value, path+"."+f.Key, findings)
		out.Set(f.Key, names.Apply(v, path+"."+f.Key, findings))
	}
	return out
}

// service makes the chart of one service. Of what it is made from is kept what
// others want.
func (r *run) service(s *service, o Options) (*Release, source.Findings) {
	r.fold(s)
	findings := slices.Clone(s.findings)
	if s.folded == nil {
		return nil, findings
	}
	defer func() { s.folded = nil }()
	release := &Release{
		Name: s.app(), Kind: KindService, File: s.File, Context: r.target.Context, Namespace: r.target.Namespace, App: s.Name, Apps: map[string]string{s.Name: s.Name},
		Labels: map[string]string{"name": s.Name, "kind": KindService, "flavor": s.folded.Flavor.Name, "context": r.target.Context},

		library: r.library,
	}
	for _, f := range s.folded.Field("labels").FieldsOrNone() {
		release.Labels[f.Key] = f.Value.Str()
	}
	names := descriptor.Names{"service": s.outputs}
	in := r.input(s.app(), s.Version, s.Description)
	layer := newLayer(s)
	var parts []namedPart
	var files []string
	var ties tied
	for _, use := range s.folded.Friends {
		f, more := r.friend(s, use)
		findings = append(findings, more...)
		if f == nil {
			// What is wrong with the friend is said already, and what refers to it is
			// no mistake of its own.
			names["friends."+use.Name] = nil
			continue
		}
		names["friends."+use.Name] = f.outputs
		ties.add(use, f)
		in.Friends = append(in.Friends, f.peer)
		if f.subchart != nil {
			in.Subcharts = append(in.Subcharts, *f.subchart)
			parts = append(parts, namedPart{f.subchart.Chart.Name, f.made, use.Origin})
		}
		layer.add(use, f, &findings)
		files = append(files, f.files...)
		release.Apps[use.Name] = f.app
		if f.shared {
			release.Uses = append(release.Uses, Use{f.release, f.where})
		}
		if f.needs != "" {
			release.Needs = append(release.Needs, f.needs)
		}
	}
	slices.Sort(release.Needs)
	release.Needs = slices.Compact(release.Needs)
	if len(s.Offers.Get("credentials").FieldsOrNone()) > 0 {
		in.Friends = append(in.Friends, generator.Friend{
			Name: s.Name, Secret: generator.ObjectName(s.app(), "credentials"), Owned: true,
			Keys: secretKeys(s.Offers.Get("credentials")),
		})
	}
	given, more := s.folded.Layer(layer.value(), "friends")
	findings = append(findings, more...)
	var resolved *descriptor.Resolved
	resolved, more = s.folded.Resolve(names, given)
	findings = append(findings, more...)
	if o.Select != nil && !o.Select(release.Labels) {
		return nil, findings
	}
	if findings.Err() != nil {
		return nil, findings
	}
	in.Resolved = resolved
	in.Delivery = r.delivery(release.App, release.Apps)
	result, more := generator.Generate(in)
	findings = append(findings, more...)
	if result == nil {
		return nil, findings
	}
	release.Chart, release.Secrets, release.flavor = result.Chart, result.Secrets, s.folded.Flavor
	if o.Ties {
		release.Ties = ties.of(s)
	}
	if o.Trace {
		release.Trace = trace(s, resolved, part{flavor: s.folded.Flavor, values: result.Values}, parts)
		release.Trace.Friends = files
	}
	return release, findings
}

// input gives what the charts of a context have in common.
func (r *run) input(name, version, description string) generator.Input {
	if version == "" {
		version = r.w.Version()
	}
	callers := r.target.Callers
	return generator.Input{
		Name: name, Version: version, Description: description,
		Workspace: generator.ObjectName(r.w.Name), Context: r.target.Context, Namespace: r.target.Namespace,
		ValuesTypes: r.w.Values, Templates: r.templates, Callers: callers,
		Ingress: r.target.Ingress, Gateway: r.target.Gateway, Istio: r.target.Istio, Monitoring: r.target.Monitoring,
	}
}

// secretKeys lists the keys of a friend's credentials that are secrets.
func secretKeys(credentials *source.Value) []generator.SecretKey {
	var keys []generator.SecretKey
	for _, f := range credentials.FieldsOrNone() {
		if f.Value.Get("secret").IsScalar() {
			keys = append(keys, generator.SecretKey{Key: f.Key, Reference: f.Value})
		}
	}
	return keys
}

// layer collects what friends give to a service.
type layer struct {
	s      *service
	env    *source.Value
	mounts *source.Value
	giver  map[string]string // of a variable
}

func newLayer(s *service) *layer {
	return &layer{s: s, env: source.NewMap(source.Origin{}), mounts: source.NewList(source.Origin{}), giver: map[string]string{}}
}

// add takes over a friend's env and mounts. Two friends may not give one name,
// unless the context itself decides.
func (l *layer) add(use descriptor.FriendUse, f *friend, findings *source.Findings) {
	for _, v := range f.env.FieldsOrNone() {
		if other, ok := l.giver[v.Key]; ok && !l.s.folded.Sets(v.Key) {
			findings.Add("env-conflict", use.Origin, "friends."+use.Name+".env."+v.Key, "name it otherwise: {from: …, env: {…}}", "the friends %s and %s both give %s", other, use.Name, v.Key)
			continue
		}
		l.giver[v.Key] = use.Name
		l.env.Set(v.Key, v.Value)
	}
	if f.mounts != nil {
		l.mounts.Items = append(l.mounts.Items, f.mounts.Items...)
	}
}

func (l *layer) value() *source.Value {
	out := source.NewMap(source.Origin{Because: "what the friends give"})
	if len(l.env.Fields) > 0 {
		out.Set("env", l.env)
	}
	if len(l.mounts.Items) > 0 {
		out.Set("mounts", l.mounts)
	}
	return out
}

// cycles finds circles of services that need one another.
func (r *run) cycles(chosen []*service) source.Findings {
	var findings source.Findings
	state := map[string]int{}
	var visit func(s *service, trail []string)
	visit = func(s *service, trail []string) {
		state[s.Name] = 1
		trail = append(trail, s.Name)
		for _, use := range s.friends {
			next := r.services[use.Service]
			if !use.Needs || next == nil {
				continue
			}
			switch state[next.Name] {
			case 0:
				visit(next, trail)
			case 1:
				circle := append(trail[slices.Index(trail, next.Name):], next.Name)
				findings.Add("cycle", use.Origin, "friends."+use.Name+".needs", "remove needs from one of them: an address alone orders nothing", "%s need one another", strings.Join(circle, " → "))
			}
		}
		state[s.Name] = 2
	}
	for _, s := range chosen {
		if state[s.Name] == 0 {
			visit(s, nil)
		}
	}
	return findings
}

// unusedDefaults finds fields of the workspace's defaults that no flavor takes.
func (r *run) unusedDefaults(chosen []*service) source.Findings {
	var findings source.Findings
	known := map[string]bool{}
	any := false
	for _, s := range chosen {
		if s.flavor == nil {
			continue
		}
		any = true
		for _, f := range s.flavor.AllFields() {
			known[f.Name] = true
		}
	}
	if !any {
		return nil
	}
	layers := append([]*source.Value{r.w.Defaults()}, r.target.Values...)
	for i, layer := range layers {
		where := "values."
		if i == 0 {
			where = "defaults."
		}
		for _, f := range layer.FieldsOrNone() {
			key := strings.TrimSuffix(f.Key, "+")
			if !known[key] {
				names := make([]string, 0, len(known))
				for name := range known {
					names = append(names, name)
				}
				slices.Sort(names)
				findings.Add("unknown-key", f.Origin, where+key, source.Nearest(key, names), "no flavor takes the field %q", key)
			}
		}
	}
	return findings
}
