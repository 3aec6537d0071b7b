package workspace

import (
	"maps"
	"path"
	"slices"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Target is a context of the workspace, with all that it extends laid together:
// where its services are installed, and what they are resolved with.
type Target struct {
	Context   string
	Lineage   []string // the context and what it extends, nearest first
	Namespace string
	Uses      []string
	UsesAt    source.Origin
	Vars      *descriptor.Variables
	Values    []*source.Value // fields of every service's context, lowest first
	Versions  string          // folder of the version files, or ""

	// Cluster is the one that the context is bound to.
	Cluster Cluster
	// Confirm demands that whoever changes the context says so once more.
	Confirm bool
	Secrets Secrets

	Gateway      *source.Value
	Ingress      *source.Value
	Istio        *source.Value
	Monitoring   []string
	Callers      []string // namespaces whose pods may be friends of the services
	Dependencies map[string]Dependency

	Origin source.Origin
	uses   *source.Value // and where it stands
	usesIn string
	// versions is what names the folder Versions, and versionsIn where that stands.
	versions   *source.Value
	versionsIn string
	only       []string
	except     []string
}

// Cluster binds a context to a cluster. What is "" binds to nothing.
type Cluster struct {
	KubeContext string
	// UID is that of the namespace kube-system. It decides: names of kubeconfig's
	// contexts are everybody's own.
	UID    string
	Origin source.Origin
}

// Dependency says where a shared friend is installed.
type Dependency struct {
	Name      string // of the friend
	Release   string // and of its objects
	Context   string // of the friend
	Namespace string // "" is the context's own
}

// Target resolves a context by name.
func (w *Workspace) Target(name string) (*Target, source.Findings) {
	t := &Target{Context: name, Lineage: []string{name}, Dependencies: map[string]Dependency{}}
	var findings source.Findings
	if w.root == nil {
		if !slices.Contains(w.ContextNames(), name) {
			findings.Add("unknown-context", source.Origin{}, "", source.Nearest(name, w.ContextNames()), "there is no context %q", name)
			return nil, findings
		}
		t.Vars, findings = descriptor.NewVariables()
		return t, findings
	}
	if w.contexts.Get(name) == nil {
		findings.Add("unknown-context", source.Origin{Position: source.Position{File: path.Join(w.base, FileName)}}, "", source.Nearest(name, w.ContextNames()), "there is no context %q", name)
		return nil, findings
	}
	chain, findings := w.contexts.Chain(name)
	if findings != nil {
		return nil, findings
	}
	t.Lineage = t.Lineage[:0]
	for i := len(chain) - 1; i >= 0; i-- {
		t.Lineage = append(t.Lineage, chain[i].Name)
	}
	variables := []*source.Value{w.variables(w.root.Get("variables"), "variables", &findings)}
	var cluster *source.Value
	for _, c := range chain {
		t.apply(w, c, &variables, &findings)
		if v := c.Fields.Get("cluster"); v != nil {
			cluster = v
		}
	}
	w.checkUses(t, &findings)
	var more source.Findings
	t.Vars, more = descriptor.NewVariables(variables...)
	findings = append(findings, more...)
	t.Vars.Partly = slices.Contains(variables, unread)
	if t.Namespace != "" {
		t.Callers = []string{t.Namespace}
	}
	if t.Secrets.Deployment == "" {
		t.Secrets.Deployment = name
	}
	if !cluster.IsNull() {
		t.Cluster = Cluster{KubeContext: cluster.Get("kubeContext").Str(), UID: cluster.Get("uid").Str(), Origin: cluster.Origin}
		// Without a cluster nobody knows whether another context is beside this one.
		t.Callers = w.namespaces(cluster)
	}
	return t, findings
}

// apply lays one context over those before it.
func (t *Target) apply(w *Workspace, c *descriptor.Context, variables *[]*source.Value, findings *source.Findings) {
	here := "contexts." + c.Name
	t.Origin = c.Origin
	for _, f := range c.Fields.Fields {
		v := f.Value
		switch f.Key {
		case "namespace":
			if !v.IsNull() && !v.IsScalar() {
				findings.Add("wrong-type", v.Origin, here+".namespace", source.Instead("text", v.Kind), "expected text, got %s", v.Kind)
			} else if why, ok := descriptor.InvalidName(v.Str()); !ok {
				findings.Add("name", v.Origin, here+".namespace", "use a to z, 0 to 9 and -", "%q cannot be a namespace: %s", v.Str(), why)
			}
			t.Namespace = v.Str()
		case "variables":
			*variables = append(*variables, w.variables(v, here+".variables", findings))
		case "versions":
			if p, ok := inside(v, here+".versions", findings); ok {
				t.Versions, t.versions, t.versionsIn = p, v, here+".versions"
			}
		case "uses":
			t.Uses, t.UsesAt = texts(v, here+".uses", findings), v.Origin
			t.uses, t.usesIn = v, here+".uses"
		case "only":
			t.only = w.serviceNames(v, here+".only", findings)
		case "except":
			t.except = w.serviceNames(v, here+".except", findings)
		case "values":
			if v.Kind == source.Map {
				t.Values = append(t.Values, v)
			} else if !v.IsNull() {
				findings.Add("wrong-type", v.Origin, here+".values", "write fields of a context", "expected a map, got %s", v.Kind)
			}
		case "gateway":
			t.Gateway = known(v, here+".gateway", findings, "name", "namespace", "sectionName", "className", "annotations")
		case "ingress":
			t.Ingress = known(v, here+".ingress", findings, "className", "namespace", "annotations")
		case "istio":
			t.Istio = known(v, here+".istio", findings, "gateway", "selector", "namespace", "annotations")
		case "monitoring":
			if m := known(v, here+".monitoring", findings, "namespace"); m.Get("namespace").Str() != "" {
				t.Monitoring = []string{m.Get("namespace").Str()}
			}
		case "dependencies":
			for i, item := range descriptor.ListOf(v, here+".dependencies", findings) {
				at := descriptor.Item(here+".dependencies", i, item)
				known(item, at, findings, "name", "release", "context", "namespace")
				if release := item.Get("release"); release.IsScalar() {
					if why, ok := descriptor.InvalidName(release.Text); !ok {
						findings.Add("name", release.Origin, at+".release", "use a to z, 0 to 9 and -", "%q cannot be a release: %s", release.Text, why)
					} else if len(release.Text) > descriptor.MaxApp {
						findings.Add("name", release.Origin, at+".release", "choose a shorter one", "%q cannot be a release: it has more than %d characters", release.Text, descriptor.MaxApp)
					}
				}
				d := Dependency{Name: item.Get("name").Str(), Release: item.Get("release").Str(), Context: item.Get("context").Str(), Namespace: item.Get("namespace").Str()}
				t.Dependencies[d.Name] = d
			}
		case "confirm":
			if v.Kind != source.Bool && !v.IsNull() {
				findings.Add("wrong-type", v.Origin, here+".confirm", "write true or false", "expected true or false, got %s", v.Kind)
			}
			t.Confirm = v.True()
		case "cluster":
			known(v, here+".cluster", findings, "kubeContext", "uid")
		case "secrets":
			t.Secrets = readSecrets(v, here+".secrets", findings)
		}
	}
}

// checkUses reports names in uses that no service has a context of, where they leave one
// without any.
func (w *Workspace) checkUses(t *Target, findings *source.Findings) {
	known, without := map[string]bool{}, false
	for _, s := range w.Services {
		for _, name := range s.Contexts.Names() {
			known[name] = true
		}
		without = without || t.Selects(s.Name) && len(s.Contexts.Choose(t.Uses, t.Lineage)) == 0
	}
	if len(t.Uses) == 0 || !without || w.Incomplete {
		return
	}
	for i, item := range t.uses.ItemsOrNone() {
		if name := item.Str(); item.IsScalar() && !known[name] {
			findings.Add("unknown-context", item.Origin, descriptor.Index(t.usesIn, i), source.Nearest(name, sorted(known)), "no service has a context %q", name)
		}
	}
}

// variables reads a file of variables, or a map of them.
func (w *Workspace) variables(v *source.Value, where string, findings *source.Findings) *source.Value {
	if v.IsNull() || v.Kind == source.Map {
		return v
	}
	p, ok := inside(v, where, findings)
	if !ok {
		return unread
	}
	file, more := source.ReadYAML(w.FS, p)
	*findings = append(*findings, descriptor.Named(more, v.Origin, where)...)
	if more.Err() != nil {
		return unread
	}
	return file
}

// unread stands for variables that could not be read.
var unread = source.NewMap(source.Origin{})

// serviceNames reads a list of services.
func (w *Workspace) serviceNames(v *source.Value, where string, findings *source.Findings) []string {
	names := texts(v, where, findings)
	for _, item := range v.Items {
		if name := item.Str(); item.IsScalar() && w.Service(name) == nil && !w.Incomplete {
			findings.Add("unknown-service", item.Origin, where, source.Nearest(name, w.ServiceNames()), "there is no service %q", name)
		}
	}
	return names
}

func texts(v *source.Value, where string, findings *source.Findings) []string {
	var out []string
	for i, item := range descriptor.ListOf(v, where, findings) {
		if !item.IsScalar() {
			findings.Add("wrong-type", item.Origin, descriptor.Index(where, i), source.Instead("text", item.Kind), "expected text, got %s", item.Kind)
			continue
		}
		out = append(out, item.Str())
	}
	return out
}

func known(v *source.Value, where string, findings *source.Findings, keys ...string) *source.Value {
	if v.IsNull() {
		return nil
	}
	if v.Kind != source.Map {
		findings.Add("wrong-type", v.Origin, where, source.Instead("a map", v.Kind), "expected a map, got %s", v.Kind)
		return nil
	}
	descriptor.UnknownKeys(v, where, keys, findings)
	return v
}

// namespaces gives those of all contexts on one cluster.
func (w *Workspace) namespaces(cluster *source.Value) []string {
	seen := map[string]bool{}
	for _, name := range w.contexts.Names() {
		chain, findings := w.contexts.Chain(name)
		if findings != nil {
			continue
		}
		var namespace, where *source.Value
		for _, c := range chain {
			if v := c.Fields.Get("namespace"); v != nil {
				namespace = v
			}
			if v := c.Fields.Get("cluster"); v != nil {
				where = v
			}
		}
		if namespace.Str() != "" && source.Equal(where, cluster) {
			seen[namespace.Str()] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// Selects says whether a service belongs to the context.
func (t *Target) Selects(service string) bool {
	return (t.only == nil || slices.Contains(t.only, service)) && !slices.Contains(t.except, service)
}

// VersionFile reads what the context's version file says on a service: instances
// and variables, or nil.
func (w *Workspace) VersionFile(t *Target, s *descriptor.Service) (*source.Value, source.Findings) {
	file := path.Join(t.Versions, s.Name+".yaml")
	if t.Versions == "" || !exists(s.FS, file) {
		return nil, nil
	}
	v, findings := source.ReadYAML(s.FS, file)
	if v != nil && !v.IsNull() && v.Kind != source.Map {
		findings.Add("wrong-type", v.Origin, "", "write images: [{name: …, tag: …}]", "a version file is a map, and this is %s", v.Kind)
		return nil, findings
	}
	return v, findings
}
