package descriptor

import (
	"regexp"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Layers is what a service's context is resolved from, besides the descriptor.
type Layers struct {
	Contexts []string        // of the descriptor, in the order in which they apply
	Below    []*source.Value // context fields under the descriptor's, lowest first; what the flavor does not take is left out
	Above    []*source.Value // context fields over the descriptor's
	Versions *source.Value   // the service's version file, or nil
	Vars     *Variables
	Flavor   func(name *source.Value) (*Flavor, source.Findings)
}

// Folded is a context whose layers are merged and whose references are
// resolved, but which does not yet know its friends.
type Folded struct {
	Service *Service
	Flavor  *Flavor
	Friends []FriendUse
	Vars    *Variables

	types  *Types
	fields []Field
	below  *source.Value // flavor's and workspace's defaults
	above  *source.Value // contexts and the workspace context's values
}

// Fold merges the layers of a context. The result is nil where a finding does
// not let it go on.
func (s *Service) Fold(in Layers) (*Folded, source.Findings) { return s.fold(in, false) }

// fold merges the layers of a context. strict says that the layers above are
// held to the flavor's fields, too.
func (s *Service) fold(in Layers, strict bool) (*Folded, source.Findings) {
	chain, findings := s.Contexts.Chain(in.Contexts...)
	if findings != nil {
		return nil, findings
	}
	f := &Folded{Service: s, Vars: in.Vars}
	name, where := s.flavorName(chain, in)
	switch {
	case name == nil:
		findings.Add("required", s.origin(chain), where, "write flavor: webservice", "no flavor is given")
		for _, c := range chain {
			misspelled(c.Fields, "contexts."+c.Name, "flavor", commonFields(s.Types), &findings)
			misspelled(c.Fields, "contexts."+c.Name, "extends", commonFields(s.Types), &findings)
		}
		return nil, findings
	case !name.IsScalar():
		findings.Add("wrong-type", name.Origin, where, "write flavor: webservice", "expected the name of a flavor, got %s", name.Kind)
		return nil, findings
	}
	if strict {
		where = "chart.flavor"
	}
	named := in.Vars.apply(name, where, &findings)
	if named.Broken {
		return nil, findings
	}
	flavor, more := in.Flavor(named)
	for i := range more {
		// What is wrong with the name itself, and not inside the flavor.
		if more[i].Origin == named.Origin {
			more[i].Path = where
		}
	}
	if findings = append(findings, more...); flavor == nil {
		return nil, findings
	}
	if flavor.Abstract {
		findings.Add("unknown-flavor", name.Origin, where, "name a flavor that extends it", "the flavor %q is only there to be extended", flavor.Name)
		return nil, findings
	}
	f.Flavor = flavor
	f.types = s.Types.over(flavor.Types)
	f.fields = flavor.AllFields()

	f.below = flavor.Defaults
	if f.below == nil {
		f.below = source.NewMap(source.Origin{})
	}
	instances := s.instances(f.types, in.Versions, &findings)
	sc := &scope{types: f.types, instances: instances, vars: in.Vars, findings: &findings, versioned: versioned(f.types, in.Versions)}
	for _, layer := range in.Below {
		if v := sc.expand(f.fields, taken(f.fields, layer), "defaults"); v != nil {
			f.below = merge(f.types, f.fields, f.below, v)
		}
	}
	f.above = source.NewMap(s.origin(chain))
	for _, c := range chain {
		if v := sc.expand(f.fields, c.Fields, "contexts."+c.Name); v != nil {
			f.above = merge(f.types, f.fields, f.above, v)
		}
	}
	for _, layer := range in.Above {
		if !strict {
			layer = taken(f.fields, layer)
		}
		if v := sc.expand(f.fields, layer, "values"); v != nil {
			if !strict {
				f.otherWay(v, &findings)
			}
			f.above = merge(f.types, f.fields, f.above, v)
		}
	}
	f.Friends = readFriendUses(merge(f.types, f.fields, f.below, f.above).Get("friends"), &findings)
	return f, findings
}

// commonFields names the fields that a context of every flavor has.
func commonFields(types *Types) []string {
	if common := types.Get("common"); common != nil {
		return fieldNames(common.Fields)
	}
	return nil
}

// otherWay finds fields of the workspace's context, which are for many services, that
// would take away what the service itself has chosen instead: a number of replicas, say,
// where it says perNode.
func (f *Folded) otherWay(v *source.Value, findings *source.Findings) {
	for _, own := range v.FieldsOrNone() {
		field := find(f.fields, own.Key)
		if field.group == "" || own.Value.IsNull() {
			continue
		}
		for _, other := range f.fields {
			if chosen := f.above.Get(other.Name); other.group == field.group && other.alternative != field.alternative && !chosen.IsNull() && !v.Has(other.Name) {
				findings.Add("one-of", own.Origin, "values."+own.Key, "write it in the contexts of those services that it is meant for",
					"%s and %s exclude one another, and %s says %s at %s", other.Name, own.Key, f.Service.Name, other.Name, chosen.Origin)
			}
		}
	}
}

// FoldValues folds the context that a friend's values are. values are its
// layers, lowest first; chart is where the friend names its flavor.
func FoldValues(name string, values []*source.Value, in Layers, chart *source.Value, origin *Friend) (*Folded, source.Findings) {
	root := source.NewMap(chart.Origin, source.Field{Key: "name", Value: source.NewString(chart.Origin, name)})
	base := &Context{Name: "values", Fields: source.NewMap(chart.Origin, source.Field{Key: "flavor", Value: chart.Get("flavor")}), Origin: chart.Origin, order: []string{"values"}}
	s := &Service{
		Name: name, File: origin.File, FS: origin.FS, root: root,
		Contexts: &Contexts{list: []*Context{base}, byName: map[string]*Context{"values": base}},
	}
	in.Contexts = []string{"values"}
	in.Above = values
	return s.fold(in, true)
}

// flavorName finds the highest layer that names a flavor, and the path under
// which it does.
func (s *Service) flavorName(chain []*Context, in Layers) (*source.Value, string) {
	for i := len(in.Above) - 1; i >= 0; i-- {
		if v := in.Above[i].Get("flavor"); !v.IsNull() {
			return v, "values.flavor"
		}
	}
	for i := len(chain) - 1; i >= 0; i-- {
		if v := chain[i].Fields.Get("flavor"); !v.IsNull() {
			return v, "contexts." + chain[i].Name + ".flavor"
		}
	}
	for i := len(in.Below) - 1; i >= 0; i-- {
		if v := in.Below[i].Get("flavor"); !v.IsNull() {
			return v, "defaults.flavor"
		}
	}
	return nil, s.where(chain) + ".flavor"
}

func (s *Service) origin(chain []*Context) source.Origin {
	if len(chain) > 0 {
		return chain[len(chain)-1].Origin
	}
	return s.root.Origin
}

func (s *Service) where(chain []*Context) string {
	if len(chain) > 0 {
		return "contexts." + chain[len(chain)-1].Name
	}
	return "contexts"
}

// over gives types with a flavor's own laid over them: a flavor knows best what
// its templates read.
func (ts *Types) over(flavor *Types) *Types {
	if ts.within(flavor) {
		return flavor
	}
	out := ts.with()
	if flavor == nil {
		return out
	}
	for name, t := range flavor.byName {
		if out.byName[name] == nil || !t.BuiltIn {
			out.byName[name] = t
		}
	}
	return out
}

// within says whether a flavor's types laid over these are the flavor's alone.
func (ts *Types) within(flavor *Types) bool {
	if flavor == nil || ts == nil {
		return flavor != nil
	}
	for name, t := range ts.byName {
		if other := flavor.byName[name]; other == nil || other != t && other.BuiltIn {
			return false
		}
	}
	return true
}

// taken leaves out what a flavor does not take.
func taken(fields []Field, v *source.Value) *source.Value {
	if v == nil || v.Kind != source.Map {
		return v
	}
	out := v.Shallow()
	out.Fields = slices.DeleteFunc(out.Fields, func(f source.Field) bool {
		return find(fields, strings.TrimSuffix(f.Key, "+")) == nil
	})
	return out
}

// versioned notes the fields that a version file gives, by type/name/field.
func versioned(types *Types, versions *source.Value) map[string]*source.Value {
	out := map[string]*source.Value{}
	for _, typ := range types.Names() {
		for name, change := range readInstances(versions.Get(Plural(typ)), typ, &source.Findings{}) {
			for _, f := range change.Fields {
				if f.Key != "name" {
					out[typ+"/"+name+"/"+f.Key] = f.Value
				}
			}
		}
	}
	return out
}

// Merged gives the context with what its friends give laid between defaults and
// contexts, its outputs substituted and every value held to its type.
func (f *Folded) merged(friends *source.Value) *source.Value {
	v := f.below
	mounts := friends.Get("mounts")
	if friends != nil {
		friends = friends.Shallow()
		friends.Delete("mounts")
		v = merge(f.types, f.fields, v, friends)
	}
	v = merge(f.types, f.fields, v, f.above)
	if mounts == nil {
		return v
	}
	// A context's list of mounts replaces the defaults', not what friends need.
	all := mounts.Shallow()
	all.Whole = true
	for _, own := range v.Get("mounts").FieldsOrNone() {
		all.Set(own.Key, own.Value)
	}
	v = v.Shallow()
	v.Set("mounts", all)
	return v
}

// Outputs gives what the service offers to those who call it. names are what
// its routes may refer to.
func (f *Folded) Outputs(name, namespace string, names Names) (*Outputs, source.Findings) {
	var findings source.Findings
	o := &Outputs{Name: name, Namespace: namespace, Credentials: map[string]Credential{}}
	merged := f.merged(nil)
	// What is wrong with a route is said when the service itself is resolved.
	c := checker{types: f.types, findings: &source.Findings{}}
	add := func(fields []Field, v *source.Value, path string) {
		field := find(fields, "routes")
		routes := v.Get("routes")
		if field == nil || field.Expr.String() != "mapped route" || routes.IsNull() {
			return
		}
		checked := c.value(field.Expr, names.Apply(portsOnly(routes), path, &findings), path)
		o.Partly = o.Partly || c.findings.Err() != nil
		for _, r := range checked.FieldsOrNone() {
			if p := routePorts(r.Key, r.Value); isPort(p.Port) && isPort(p.ContainerPort) {
				o.Routes = append(o.Routes, p)
			}
		}
	}
	add(f.fields, merged, "routes")
	if sidecars := find(f.fields, "sidecars"); sidecars != nil && merged.Has("sidecars") {
		fields, _ := f.types.fieldsOf(sidecars.Expr)
		for i, sidecar := range merged.Get("sidecars").Items {
			add(fields, sidecar, index("sidecars", i)+".routes")
		}
	}
	return o, findings
}

// portsOnly leaves of routes what others know of them, so that the rest may
// refer to friends.
func portsOnly(routes *source.Value) *source.Value {
	out := routes.Shallow()
	for i, f := range routes.Fields {
		if f.Value == nil || f.Value.Kind != source.Map {
			continue
		}
		route := source.NewMap(f.Value.Origin)
		for _, key := range []string{"port", "containerPort", "protocol"} {
			if v := f.Value.Get(key); v != nil {
				route.Set(key, v)
			}
		}
		out.Fields[i].Value = route
	}
	return out
}

// isPort says whether a port can be opened; zero is none.
func isPort(n int) bool { return n >= 0 && n <= 65535 }

func routePorts(name string, route *source.Value) RoutePorts {
	ports := RoutePorts{Name: name, Protocol: "TCP"}
	if p := route.Get("protocol").Str(); p != "" {
		ports.Protocol = p
	}
	ports.Port, _ = route.Get("port").Int()
	ports.ContainerPort, _ = route.Get("containerPort").Int()
	if ports.ContainerPort == 0 {
		ports.ContainerPort = ports.Port
	}
	return ports
}

// Resolved is a context that is complete: every value is held to its type, and
// only credentials and secrets are still references.
type Resolved struct {
	Service *Service
	Flavor  *Flavor
	Fields  *source.Value // the context's fields, in the order of the types
	Types   *Types
	// Mixed holds the pieces of the strings in env, args and command that mix
	// credentials with text.
	Mixed map[*source.Value][]Part
	Names Names
	Vars  *Variables
}

// Resolve completes a folded context. names are the outputs that its strings
// may refer to; friends is what the friends give: env and mounts.
func (f *Folded) Resolve(names Names, friends *source.Value) (*Resolved, source.Findings) {
	var findings source.Findings
	r := &Resolved{Service: f.Service, Flavor: f.Flavor, Types: f.types, Mixed: map[*source.Value][]Part{}, Names: names, Vars: f.Vars}
	merged := f.merged(friends).Shallow()
	for i, field := range merged.Fields {
		merged.Fields[i].Value = r.substitute(field.Key, field.Value, field.Key, &findings)
	}
	c := checker{types: f.types, findings: &findings}
	r.Fields = c.fields(f.fields, merged, "")
	return r, findings
}

// BuiltIn says whether a field is one of kai's own, of kai's own type, so that
// the generator knows what it means.
func (r *Resolved) BuiltIn(name string) bool {
	field := find(r.Flavor.Fields, name)
	if field == nil || !field.builtIn {
		return false
	}
	t := r.Types.Get(field.Expr.base)
	return t == nil || t.BuiltIn
}

// Takes says whether the flavor takes a field.
func (r *Resolved) Takes(name string) bool { return find(r.Flavor.Fields, name) != nil }

// mixable are the fields whose strings may hold credentials.
var mixable = map[string]bool{"env": true, "args": true, "command": true}

// substitute replaces what refers to outputs, in one field of a context or of a
// container.
func (r *Resolved) substitute(key string, v *source.Value, path string, fs *source.Findings) *source.Value {
	switch {
	case key == "friends":
		return v
	case (key == "initContainers" || key == "sidecars") && v != nil && v.Kind == source.List:
		out := v.Shallow()
		for i, item := range out.Items {
			container := item.Shallow()
			for j, f := range container.Fields {
				container.Fields[j].Value = r.substitute(f.Key, f.Value, join(index(path, i), f.Key), fs)
			}
			out.Items[i] = container
		}
		return out
	case !mixable[key]:
		return r.Names.Apply(v, path, fs)
	}
	return mapStrings(v, path, bounded(fs, func(v *source.Value, path string) *source.Value {
		parts, out := r.Names.Parts(v, path, fs)
		if parts != nil {
			out = source.NewString(v.Origin, v.Text)
			r.Mixed[out] = parts
		}
		return out
	}))
}

// EnvName says whether every Kubernetes takes a name for an environment
// variable: letters, digits, _, - and ., no digit first, and nothing that could
// be mistaken for a folder.
func EnvName(name string) bool {
	return envName.MatchString(name) && name != "." && !strings.HasPrefix(name, "..")
}

var envName = regexp.MustCompile(`^[-._a-zA-Z][-._a-zA-Z0-9]*$`)

// Layer resolves the references of what friends give, so that it can be laid
// among a context's layers.
func (f *Folded) Layer(v *source.Value, path string) (*source.Value, source.Findings) {
	var findings source.Findings
	s := scope{types: f.types, instances: instances{}, vars: f.Vars, findings: &findings}
	return s.expand(f.fields, taken(f.fields, v), path), findings
}

// Sets says whether the contexts themselves give a variable of the environment.
func (f *Folded) Sets(variable string) bool { return f.above.At("env", variable) != nil }

// Field gives a field of the merged context before outputs are substituted.
func (f *Folded) Field(name string) *source.Value { return f.merged(nil).Get(name) }

// Types gives the types that the context was folded with.
func (f *Folded) Types() *Types { return f.types }
