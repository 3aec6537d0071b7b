package importer

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// object is an object of Kubernetes.
type object struct {
	v                     *source.Value
	kind, name, namespace string
	group                 string
	used                  bool // it is told about in the report
	kept                  bool // it stays under its name
}

// ref gives the object as people name it.
func (o *object) ref() string { return o.kind + "/" + o.name }

func (o *object) spec() *source.Value { return o.v.Get("spec") }

// cluster is what one environment's manifests say.
type cluster struct {
	*environment
	p       *project
	objects []*object
	works   []*work
	index   map[string]*object  // by kind and name
	depends map[string][]string // by a service, those that it starts after
	// published are services that are called from outside, of which is asked already.
	published map[string]bool
	aliases   map[string]string // other names of services, as Compose's networks have them
	// secretFiles are where what is to be stored stands, by SECRET/KEY.
	secretFiles map[string]string
	// kustomized are the places of kustomize's own files.
	kustomized []source.Origin
	dotted     map[string]bool   // names that stand behind a dot in some text
	placed     []*source.Value   // selectors of several workloads' pods, in rules of scheduling
	renamed    map[string]string // by the source's KIND/NAME, the name that the import gives it
}

// work is a workload and what belongs to it.
type work struct {
	*object
	c       *cluster
	d       *draft
	pod     *source.Value // the pod template's spec
	labels  *source.Value // of the pods
	main    *source.Value // the main container
	friend  *recognised   // it is a server of the library's
	primary *object       // the Service that gives it its name, or nil
	more    []*object     // other Services
	routes  []routeOf
	planned planned
	mounted map[string]string // by the name of a mount, what it is
	exposed *source.Value     // by what it is exposed, with its settings
	// exposedBare says that a route is exposed under any host.
	exposedBare bool
	uses        []*useOf
	secrets     map[string]string // by key in the store, the Secret that has it
	internet    bool              // it names hosts outside
	elsewhere   bool              // it names services of other namespaces
}

// routeOf is a route and the port that it stands for.
type routeOf struct {
	name          string
	port          int
	containerPort int
	protocol      string
	container     *source.Value // that opens it
}

// Of an object, metadata that others look at.
func (o *object) annotations() *source.Value { return o.v.At("metadata", "annotations") }
func (o *object) labels() *source.Value      { return o.v.At("metadata", "labels") }
func (o *object) origin() source.Origin      { return o.v.Origin }
func (o *object) is(kinds ...string) bool    { return slices.Contains(kinds, o.kind) }
func (c *cluster) whole(kind string) []*object {
	return c.all(func(o *object) bool { return o.kind == kind })
}

func (c *cluster) all(match func(*object) bool) []*object {
	var out []*object
	for _, o := range c.objects {
		if match(o) {
			out = append(out, o)
		}
	}
	return out
}

// find gives an object by kind and name, or nil.
func (c *cluster) find(kind, name string) *object { return c.index[kind+"/"+name] }

// maxObjects bounds the objects of one environment: each is compared with others.
const maxObjects = 5000

// read adds documents; the items of a list stand for themselves.
func (c *cluster) read(docs []*source.Value, findings *source.Findings) {
	for _, doc := range docs {
		if doc.Kind != source.Map {
			findings.Add("manifest", doc.Origin, "", "each document has apiVersion, kind and metadata", "this is no object of Kubernetes, but %s", doc.Kind)
			continue
		}
		kind, version := doc.Get("kind").Str(), doc.Get("apiVersion").Str()
		if items := doc.Get("items"); items != nil && items.Kind == source.List && strings.HasSuffix(kind, "List") {
			c.read(items.Items, findings)
			continue
		}
		o := &object{v: doc, kind: kind, name: doc.At("metadata", "name").Str(), namespace: doc.At("metadata", "namespace").Str()}
		if group, _, ok := strings.Cut(version, "/"); ok {
			o.group = group
		}
		if kind == "Kustomization" || o.group == "kustomize.config.k8s.io" {
			c.kustomized = append(c.kustomized, doc.Origin)
			c.p.report.add(Decide, doc.Origin, "", c.name, "Kustomization", "its generators and patches are not applied; import what it builds: kustomize build DIR | %s import manifests -", c.p.kai)
			continue
		}
		if kind == "" || version == "" || o.name == "" {
			missing := "metadata.name"
			if version == "" {
				missing = "apiVersion"
			}
			if kind == "" {
				missing = "kind"
			}
			findings.Add("manifest", doc.Origin, "", "each document has apiVersion, kind and metadata.name; name the files that hold manifests, or keep others out", "this is no object of Kubernetes: it has no %s", missing)
			continue
		}
		if other := c.find(kind, o.name); other != nil && other.group == o.group {
			where := ""
			if other.namespace != o.namespace {
				where = ", in another namespace"
			}
			findings.Add("duplicate-name", doc.Origin, "metadata.name", "are these two environments? give each its own: --context NAME=PATH", "%s stands at %s as well%s", o.ref(), other.origin(), where)
			continue
		}
		if len(c.objects) == maxObjects {
			findings.Add("limit", doc.Origin, "", "import a part of them at a time", "there are more objects than the bound of %d", maxObjects)
			return
		}
		if containers := o.template().At("spec", "containers"); !containers.IsNull() && containers.Kind != source.List {
			findings.Add("manifest", containers.Origin, "containers", "", "%s has containers that are no list, but %s", o.ref(), containers.Kind)
			continue
		}
		c.objects = append(c.objects, o)
		if c.index[o.ref()] == nil {
			c.index[o.ref()] = o
		}
	}
}

// unbuilt has one finding take the place of those about objects that stand more than
// once, where a folder of kustomize's is the reason: only kustomize tells which of
// them it builds.
func (c *cluster) unbuilt(findings source.Findings) source.Findings {
	if len(c.kustomized) == 0 || !slices.ContainsFunc(findings, func(f source.Finding) bool { return f.Code == "duplicate-name" }) {
		return findings
	}
	findings = slices.DeleteFunc(findings, func(f source.Finding) bool { return f.Code == "duplicate-name" })
	findings.Add("kustomize", c.kustomized[0], "", "import what it builds: kustomize build DIR | "+c.p.kai+" import manifests -", "this is a folder of kustomize's, whose objects stand in it more than once")
	c.kustomized = nil
	return findings
}

// template gives the template of a workload's pods, or nil.
func (o *object) template() *source.Value {
	switch {
	case o.is("Deployment", "StatefulSet", "DaemonSet") && (o.group == "apps" || o.group == "extensions"), o.is("Job") && o.group == "batch", o.is("ReplicaSet") && o.group == "apps":
		return o.v.At("spec", "template")
	case o.is("CronJob") && o.group == "batch":
		return o.v.At("spec", "jobTemplate", "spec", "template")
	case o.is("Pod") && o.group == "":
		return o.v
	}
	return nil
}

// namespaceOf gives the namespace that the objects name most.
func (c *cluster) namespaceOf() string {
	votes := map[string]int{}
	best := ""
	for _, o := range c.objects {
		name := o.namespace
		if name == "" {
			continue
		}
		votes[name]++
		if votes[name] > votes[best] || votes[name] == votes[best] && name < best {
			best = name
		}
	}
	if best == "" {
		if all := c.whole("Namespace"); len(all) == 1 {
			best = all[0].name
		}
	}
	return best
}

// strangers asks about objects of other namespaces than the environment's: a
// context has one.
func (c *cluster) strangers() {
	for _, o := range c.objects {
		if o.namespace != "" && o.namespace != c.namespace {
			c.p.report.add(Decide, o.origin(), "", c.environment.name, o.ref(), "it stands in the namespace %s, and a context has one, here %s: import each namespace as a context of its own (--context NAME=PATH), or let it move", o.namespace, c.namespace)
		}
	}
}

// selects says whether a selector of labels, of which there is one at least,
// fits.
func selects(selector, labels *source.Value) bool {
	if selector == nil || len(selector.Fields) == 0 {
		return false
	}
	for _, f := range selector.Fields {
		if labels.Get(f.Key) == nil || labels.Get(f.Key).Str() != f.Value.Str() {
			return false
		}
	}
	return true
}

// selectsBy is selects for a LabelSelector. One that says nothing fits nothing.
func selectsBy(selector, labels *source.Value) bool {
	expressions := selector.Get("matchExpressions").ItemsOrNone()
	for _, e := range expressions {
		label := labels.Get(e.Get("key").Str())
		within := label != nil && slices.Contains(e.Get("values").Strings(), label.Str())
		switch e.Get("operator").Str() {
		case "In":
			if !within {
				return false
			}
		case "NotIn":
			if within {
				return false
			}
		case "Exists":
			if label == nil {
				return false
			}
		case "DoesNotExist":
			if label != nil {
				return false
			}
		default:
			return false
		}
	}
	if exact := selector.Get("matchLabels"); len(exact.FieldsOrNone()) > 0 {
		return selects(exact, labels)
	}
	return len(expressions) > 0
}

// workloads finds the workloads and their pods.
func (c *cluster) workloads() {
	for _, o := range c.objects {
		template := o.template()
		if template == nil {
			continue
		}
		w := &work{object: o, c: c, pod: template.Get("spec"), labels: template.At("metadata", "labels")}
		containers := w.pod.Get("containers").ItemsOrNone()
		hooks := strings.FieldsFunc(o.annotations().Get("helm.sh/hook").Str(), func(r rune) bool { return r == ',' || r == ' ' })
		switch {
		case len(hooks) > 0 && !slices.ContainsFunc(hooks, isInstallHook):
			o.used = true
			c.p.report.add(LeftOut, o.origin(), "", c.name, o.ref(), "it is a hook of Helm's (%s), and kai runs nothing then: put it under objects, whose hooks Helm and kai run", strings.Join(hooks, ", "))
			continue
		case o.is("ReplicaSet", "Pod"):
			o.used = true
			c.p.report.add(LeftOut, o.origin(), "", c.name, o.ref(), "kai makes no %ss; a Deployment or a Job makes them", o.kind)
			continue
		case len(containers) == 0:
			o.used = true
			c.p.report.add(LeftOut, o.origin(), "", c.name, o.ref(), "it has no containers")
			continue
		}
		o.used = true
		if len(hooks) > 0 {
			c.p.report.add(Decide, o.annotations().Get("helm.sh/hook").Origin, "", c.name, o.ref(), "it is a hook of Helm's (%s), and a service of its own now: those that it has to come before need it as a friend ({service: %s, needs: true}), and it needs those that it comes after", strings.Join(hooks, ", "), slug(o.name))
		}
		w.main = mainContainer(containers, o.name)
		c.works = append(c.works, w)
	}
}

// isInstallHook says whether a hook of Helm's runs when a release is installed or
// upgraded, as a service of the flavor job does.
func isInstallHook(hook string) bool {
	return slices.Contains([]string{"pre-install", "post-install", "pre-upgrade", "post-upgrade"}, hook)
}

// mainContainer is the one that is called like the workload, or the first.
func mainContainer(containers []*source.Value, name string) *source.Value {
	for _, v := range containers {
		if v.Get("name").Str() == name {
			return v
		}
	}
	return containers[0]
}

// services gives each workload the Services that select its pods, and its name.
// Others call the Service, so a service is called like the only one that it has
// for itself, and else like the workload.
func (c *cluster) services() {
	for _, s := range c.whole("Service") {
		if s.group != "" {
			continue
		}
		var those []*work
		for _, w := range c.works {
			if !w.is("Job", "CronJob") && sameNamespace(w.namespace, s.namespace) && selects(s.spec().Get("selector"), w.labels) {
				those = append(those, w)
			}
		}
		if len(those) != 1 {
			continue
		}
		those[0].more = append(those[0].more, s)
	}
	taken := map[string]bool{}
	for _, w := range c.works {
		slices.SortStableFunc(w.more, func(a, b *object) int {
			return cmp.Compare(serviceRank(a, w), serviceRank(b, w))
		})
		if len(w.more) > 0 {
			w.primary, w.more = w.more[0], w.more[1:]
		}
	}
	for _, w := range c.works {
		name := w.name
		if w.primary != nil {
			name = w.primary.name
		}
		w.d = newDraft(unique(slug(name), taken), c.environment.name, w.flavor())
		c.p.drafts = append(c.p.drafts, w.d)
	}
}

// sameNamespace says whether two objects stand in one namespace, as far as they
// say.
func sameNamespace(a, b string) bool { return a == b || a == "" || b == "" }

// serviceRank puts the Service first that is meant by the workload's name, and a
// headless one last.
func serviceRank(s *object, w *work) int {
	switch {
	case s.name == w.name:
		return 0
	case s.spec().Get("clusterIP").Str() == "None":
		return 2
	}
	return 1
}

// flavor chooses the flavor of a workload.
func (w *work) flavor() string {
	switch {
	case w.is("StatefulSet"):
		return "stateful"
	case w.is("Job"):
		return "job"
	case w.is("CronJob"):
		return "cronjob"
	case w.is("DaemonSet"), w.primary == nil:
		return "worker"
	}
	return "webservice"
}

// data gives what a ConfigMap holds, by key.
func (o *object) data() map[string][]byte {
	out := map[string][]byte{}
	for _, f := range o.v.Get("data").FieldsOrNone() {
		out[f.Key] = []byte(f.Value.Str())
	}
	for _, f := range o.v.Get("binaryData").FieldsOrNone() {
		if raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(f.Value.Str()), "")); err == nil {
			out[f.Key] = raw
		}
	}
	return out
}

// keys gives the keys of a ConfigMap or a Secret, in their order.
func (o *object) keys() []source.Field {
	var out []source.Field
	for _, part := range []string{"data", "stringData", "binaryData"} {
		out = append(out, o.v.Get(part).FieldsOrNone()...)
	}
	return out
}
