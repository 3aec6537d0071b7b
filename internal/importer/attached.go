package importer

import (
	"cmp"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// scaling gives workloads their HorizontalPodAutoscalers and budgets.
func (c *cluster) scaling() {
	for _, o := range c.whole("HorizontalPodAutoscaler") {
		o.used = true
		ref := o.spec().Get("scaleTargetRef")
		w := c.workload(ref.Get("kind").Str(), ref.Get("name").Str())
		switch {
		case w == nil:
			c.p.report.add(LeftOut, o.origin(), "", c.environment.name, o.ref(), "it scales %s/%s, which is not imported", ref.Get("kind").Str(), ref.Get("name").Str())
			continue
		case w.friend != nil:
			w.goesWith(o)
			continue
		case !w.is("Deployment"):
			w.manifest(o, func(spec *source.Value) {
				spec.Set("scaleTargetRef", mapOf(entry("apiVersion", ref.Get("apiVersion")), entry("kind", ref.Get("kind")), entry("name", text(w.d.service))))
			})
			c.p.report.add(Carried, o.origin(), w.d.service, c.environment.name, o.ref(), "a manifest of its own, under objects: the flavor %s has no scaling", w.d.flavor)
			continue
		}
		out := source.NewMap(source.Origin{})
		for _, key := range []string{"minReplicas", "maxReplicas", "metrics", "behavior"} {
			setIn(out, key, w.asIs(o.spec().Get(key)))
		}
		if out.Get("minReplicas").Str() == "1" {
			out.Delete("minReplicas")
		}
		if v := o.spec().Get("targetCPUUtilizationPercentage"); v != nil {
			target := mapOf(entry("type", text("Utilization")), entry("averageUtilization", v))
			out.Set("metrics", listOf(mapOf(entry("type", text("Resource")), entry("resource", mapOf(entry("name", text("cpu")), entry("target", target))))))
		}
		if source.Equal(out.Get("metrics"), usualMetrics) {
			out.Delete("metrics")
		}
		w.d.set("scaling", out)
		w.d.fields.Delete("replicas")
		w.patchMetadata(o)
		c.renamed[o.ref()] = w.d.service
	}
	for _, o := range c.whole("PodDisruptionBudget") {
		var those []*work
		for _, w := range c.works {
			if selectsBy(o.spec().Get("selector"), w.labels) {
				those = append(those, w)
			}
		}
		o.used = true
		if len(those) != 1 || those[0].is("Job", "CronJob", "DaemonSet") {
			c.p.report.add(LeftOut, o.origin(), "", c.environment.name, o.ref(), "it is the budget of no workload that has one, or of several; kai makes one for each")
			continue
		}
		w := those[0]
		if w.friend != nil {
			w.goesWith(o)
			continue
		}
		out := source.NewMap(source.Origin{})
		for _, key := range []string{"minAvailable", "maxUnavailable", "unhealthyPodEvictionPolicy"} {
			setIn(out, key, o.spec().Get(key))
		}
		w.d.set("disruption", out)
		w.patchMetadata(o)
		c.renamed[o.ref()] = w.d.service
	}
}

// patchMetadata carries over the labels and annotations of an object that kai makes
// and has no field for.
func (w *work) patchMetadata(o *object) {
	labels := foreign(o.labels(), ownLabels)
	for _, f := range labels.Shallow().Fields {
		if w.hasLabel(f) || f.Value.Str() == w.name || f.Value.Str() == w.d.service {
			labels.Delete(f.Key)
		}
	}
	about := source.NewMap(source.Origin{})
	setIn(about, "labels", labels)
	setIn(about, "annotations", foreign(o.annotations(), ownAnnotations))
	if len(about.Fields) > 0 {
		child(w.d.fields, "patches", strings.ToLower(o.kind)).Set("metadata", about)
	}
}

// usualMetrics are what a flavor measures by itself: 80 % of the CPU.
var usualMetrics = listOf(mapOf(entry("type", text("Resource")), entry("resource", mapOf(entry("name", text("cpu")),
	entry("target", mapOf(entry("type", text("Utilization")), entry("averageUtilization", source.NewInt(source.Origin{}, 80))))))))

func (c *cluster) workload(kind, name string) *work {
	for _, w := range c.works {
		if w.kind == kind && w.name == name {
			return w
		}
	}
	return nil
}

// accountName gives the name of the pods' ServiceAccount.
func (w *work) accountName() string {
	return cmp.Or(w.pod.Get("serviceAccountName").Str(), w.pod.Get("serviceAccount").Str(), "default")
}

// account carries over the identity of the pods: kai makes a ServiceAccount of
// the service's name for it.
func (w *work) account() {
	name := w.accountName()
	out := source.NewMap(source.Origin{})
	o := w.c.find("ServiceAccount", name)
	mounted := w.pod.Get("automountServiceAccountToken")
	switch {
	case name == "default":
	case o == nil:
		out.Set("name", text(name))
	default:
		o.used = true
		annotations := foreign(o.annotations(), ownAnnotations)
		setIn(out, "annotations", annotations)
		if name != w.d.service && len(annotations.Fields) > 0 {
			// Somebody outside of the cluster may know the account by its name.
			out.Set("name", text(name))
			out.Set("create", source.NewBool(source.Origin{}, true))
		} else if name != w.d.service {
			w.c.renamed[o.ref()] = w.d.service
			w.c.p.report.add(Changed, o.origin(), w.d.service, w.d.context, o.ref(), "each service has a ServiceAccount of its own, called like it: %s", w.d.service)
		}
		if mounted == nil {
			mounted = o.v.Get("automountServiceAccountToken")
		}
	}
	some := w.rules(name, out)
	if mounted.True() || mounted == nil && some {
		out.Set("token", source.NewBool(source.Origin{}, true))
	}
	w.d.set("serviceAccount", inOrder(out, "name", "create", "annotations", "token", "rules", "clusterRules"))
}

// rules carries over what a ServiceAccount may do.
func (w *work) rules(account string, out *source.Value) bool {
	some := false
	for _, kind := range []string{"RoleBinding", "ClusterRoleBinding"} {
		for _, binding := range w.c.whole(kind) {
			mine := slices.ContainsFunc(binding.v.Get("subjects").ItemsOrNone(), func(s *source.Value) bool {
				return s.Get("kind").Str() == "ServiceAccount" && s.Get("name").Str() == account
			})
			if !mine {
				continue
			}
			binding.used = true
			some = true
			ref := binding.v.Get("roleRef")
			role := w.c.find(ref.Get("kind").Str(), ref.Get("name").Str())
			if role == nil {
				w.bindAsIs(binding, account, out)
				continue
			}
			for _, s := range binding.v.Get("subjects").ItemsOrNone() {
				if s.Get("kind").Str() != "ServiceAccount" {
					w.c.p.report.add(LeftOut, s.Origin, w.d.service, w.d.context, binding.ref()+" subject "+s.Get("name").Str(), "kai binds the service's account alone; bind others to the role under objects")
				}
			}
			role.used = true
			key := "rules"
			if kind == "ClusterRoleBinding" {
				key = "clusterRules"
				name := cmp.Or(w.c.namespace, "default") + "-" + w.d.service
				w.c.renamed[role.ref()], w.c.renamed[binding.ref()] = name, name
			} else {
				w.c.renamed[role.ref()], w.c.renamed[binding.ref()] = w.d.service, w.d.service
			}
			list := out.Get(key)
			if list == nil {
				list = listOf()
			}
			list.Items = append(list.Items, role.v.Get("rules").ItemsOrNone()...)
			setIn(out, key, list)
		}
	}
	return some
}

// bindAsIs carries over a binding to a role that the source has not, such as one of
// Kubernetes' own: a manifest, in which the account has its new name.
func (w *work) bindAsIs(binding *object, account string, out *source.Value) {
	if binding.kept {
		w.c.p.report.add(Decide, binding.origin(), w.d.service, w.d.context, binding.ref(), "it stands under objects of another service, and there for the account that was called %s: add this service's", account)
		return
	}
	other := *binding
	other.v = binding.v.Shallow()
	subjects := binding.v.Get("subjects").Shallow()
	for i, s := range subjects.Items {
		if s.Get("kind").Str() == "ServiceAccount" && s.Get("name").Str() == account {
			subjects.Items[i] = s.Shallow()
			subjects.Items[i].Set("name", text(cmp.Or(out.Get("name").Str(), w.d.service)))
		}
	}
	other.v.Set("subjects", subjects)
	w.manifest(&other, nil)
	binding.kept = true
	w.c.p.report.add(Carried, binding.origin(), w.d.service, w.d.context, binding.ref(), "a manifest of its own, under objects: the source does not have the role that it names")
}

// policies reads the NetworkPolicies: who may call whom is a friend, and what
// lies outside is egress.
func (c *cluster) policies() {
	for _, o := range c.all(func(o *object) bool { return o.is("NetworkPolicy") && o.group == "networking.k8s.io" }) {
		o.used = true
		selector := o.spec().Get("podSelector")
		if len(selector.FieldsOrNone()) == 0 {
			c.p.report.add(Changed, o.origin(), "", c.environment.name, o.ref(), "it is about all pods; kai makes a policy for each service, which lets in friends alone")
			c.peers(o, nil)
			continue
		}
		some := false
		for _, w := range c.works {
			if selectsBy(selector, w.labels) {
				some = true
				c.renamed[o.ref()] = w.d.service
				c.peers(o, w)
			}
		}
		if !some {
			c.p.report.add(LeftOut, o.origin(), "", c.environment.name, o.ref(), "it selects no pods of those imported")
		}
	}
}

// peers carries over the rules of a policy; w is nil for one about all pods.
func (c *cluster) peers(o *object, w *work) {
	say := func(at source.Origin, why string) {
		service := ""
		if w != nil {
			service = w.d.service
		}
		c.p.report.add(LeftOut, at, service, c.environment.name, o.ref()+" rule", "%s", why)
	}
	for _, rule := range o.spec().Get("ingress").ItemsOrNone() {
		for _, from := range rule.Get("from").ItemsOrNone() {
			callers := c.selected(from)
			if callers == nil || w == nil {
				say(from.Origin, "who calls a service names it as a friend; those whom the rule lets in are no service of those imported")
				continue
			}
			for _, by := range callers {
				if by != w && w.primary != nil {
					by.use(w)
				}
			}
		}
		if len(rule.Get("from").ItemsOrNone()) == 0 && w != nil {
			say(rule.Origin, "it lets everybody in; kai's policy lets in friends, and all where a route is exposed")
		}
	}
	for _, rule := range o.spec().Get("egress").ItemsOrNone() {
		if isDNS(rule) {
			continue
		}
		var ports []*source.Value
		for _, p := range rule.Get("ports").ItemsOrNone() {
			if n := p.Get("port"); n != nil && n.Kind == source.Number && !p.Has("endPort") && (p.Get("protocol").Str() == "" || p.Get("protocol").Str() == "TCP") {
				ports = append(ports, n)
			} else if w != nil {
				say(p.Origin, "egress has ports of TCP by their number, and no others; add a NetworkPolicy for it under objects")
			}
		}
		if len(ports) == 0 && len(rule.Get("ports").ItemsOrNone()) > 0 && w != nil {
			continue // what is left would let it call every port
		}
		if len(rule.Get("to").ItemsOrNone()) == 0 && w != nil {
			w.egress(text("internet"), ports)
			w.egress(text("cluster"), ports)
		}
		for _, to := range rule.Get("to").ItemsOrNone() {
			if cidr := to.At("ipBlock", "cidr"); cidr != nil && w != nil {
				if except := to.At("ipBlock", "except"); len(except.ItemsOrNone()) > 0 {
					c.p.report.add(Decide, except.Origin, w.d.service, c.environment.name, o.ref()+" rule", "egress has no exceptions: %s is let through but for %s; write the ranges between them under egress", cidr.Str(), strings.Join(except.Strings(), ", "))
				}
				cidrs := cidr
				if cidr.Str() == "0.0.0.0/0" || cidr.Str() == "::/0" {
					cidrs = text("internet")
				}
				w.egress(cidrs, ports)
				continue
			}
			called := c.selected(to)
			if called == nil || w == nil {
				say(to.Origin, "those whom the rule lets it call are no service of those imported; add them under egress")
				continue
			}
			for _, to := range called {
				if to != w && to.primary != nil {
					w.use(to)
				}
			}
		}
	}
}

// egress adds to what a workload may call.
func (w *work) egress(to *source.Value, ports []*source.Value) {
	v := to
	if len(ports) > 0 {
		v = mapOf(entry("to", to), entry("ports", listOf(ports...)))
	}
	for _, item := range w.d.fields.Get("egress").ItemsOrNone() {
		if source.Equal(item, v) {
			return
		}
	}
	w.d.add("egress", v)
}

// selected gives the workloads that a peer of a policy means, or nil.
func (c *cluster) selected(peer *source.Value) []*work {
	if peer.Has("namespaceSelector") || !peer.Has("podSelector") {
		return nil
	}
	return c.selectedBy(peer.Get("podSelector"))
}

// isDNS says whether a rule lets pods ask for names, which kai's do.
func isDNS(rule *source.Value) bool {
	ports := rule.Get("ports").ItemsOrNone()
	for _, p := range ports {
		if p.Get("port").Str() != "53" {
			return false
		}
	}
	return len(ports) > 0
}
