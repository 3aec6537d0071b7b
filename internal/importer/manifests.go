package importer

import (
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Manifests imports objects of Kubernetes: plain files, what `kustomize build`
// wrote, a chart that Helm rendered. Each context has trees of its own.
func Manifests(o Options) (*Result, source.Findings) {
	p := newProject(o)
	var findings source.Findings
	var clusters []*cluster
	for _, e := range p.contexts {
		c := &cluster{environment: e, p: p, index: map[string]*object{}, renamed: map[string]string{}}
		for _, t := range o.Trees {
			if p.environment(t.Context) != e {
				continue
			}
			docs, more := t.documents()
			findings = append(findings, more...)
			c.read(docs, &findings)
		}
		findings = c.unbuilt(findings)
		clusters = append(clusters, c)
	}
	if findings.Err() != nil {
		return nil, findings.Sorted()
	}
	p.clusters(clusters)
	if len(p.drafts) == 0 {
		var begin source.Origin
		for _, c := range clusters {
			if len(c.objects) > 0 && begin.File == "" {
				begin = c.objects[0].origin()
			}
		}
		findings.Add("empty", begin, "", "name the files or folders that hold Deployments and the like, or pipe them in: … | kai import manifests -", "there is no workload in what is imported")
		return nil, findings
	}
	return p.result(findings)
}

// clusters turns what the environments' manifests say into drafts.
func (p *project) clusters(clusters []*cluster) {
	for _, c := range clusters {
		c.namespace = c.namespaceOf()
		c.strangers()
		c.workloads()
		c.services()
		for _, w := range c.works {
			w.planRoutes()
		}
		c.recognise()
		c.ingresses()
		c.httpRoutes()
		for _, w := range c.works {
			w.scan()
			for _, name := range c.depends[w.d.service] {
				if to := c.byService(name); to != nil && to != w {
					w.use(to)
				}
			}
		}
		c.policies()
	}
	p.settleFriends(clusters)
	p.guessFriends(clusters)
	for _, c := range clusters {
		for _, w := range c.works {
			if w.friend != nil {
				continue
			}
			w.fill()
			w.extraServices()
			w.setExpose()
			if w.internet {
				w.egress(text("internet"), nil)
			}
			if w.elsewhere {
				w.egress(text("cluster"), nil)
			}
			w.setFriends()
			c.renamed[w.ref()] = w.d.service
			if w.primary != nil {
				c.renamed[w.primary.ref()] = w.d.service
			}
			p.report.add(Carried, w.origin(), w.d.service, c.environment.name, w.ref(), "a service of the flavor %s", w.d.flavor)
		}
		c.scaling()
		c.keep()
		c.uncalled()
		c.rest()
	}
	p.clustersRead = clusters
}

// rest says what became of the objects that belong to no workload.
func (c *cluster) rest() {
	for _, o := range c.objects {
		if o.used {
			if o.is("Service", "Ingress", "HTTPRoute", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "ConfigMap") && c.renamed[o.ref()] != "" {
				c.p.report.add(Carried, o.origin(), c.serviceOf(c.renamed[o.ref()]), c.environment.name, o.ref(), "a part of its service")
			}
			continue
		}
		switch {
		case o.is("Namespace"):
			c.p.report.add(LeftOut, o.origin(), "", c.environment.name, o.ref(), "kai installs into a namespace that is there (install --create-namespace)")
		case o.is("Service") && o.group == "":
			c.sharedService(o)
		case o.is("Service", "Ingress", "ConfigMap", "ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "PersistentVolumeClaim"):
			c.p.report.add(LeftOut, o.origin(), "", c.environment.name, o.ref(), "no workload that is imported uses it")
		case o.is("Secret"):
			c.p.report.add(LeftOut, o.origin(), "", c.environment.name, o.ref(), "no workload that is imported uses it, and no secret is copied")
		default:
			c.p.report.add(LeftOut, o.origin(), "", c.environment.name, o.ref(), "kai has nothing of this kind; put the manifest under objects of the service that it belongs to")
		}
	}
}

// serviceOf gives the service that an object belongs to by its name in kai, which
// begins with the service's.
func (c *cluster) serviceOf(name string) string {
	best := ""
	for _, w := range c.works {
		if s := w.d.service; (name == s || strings.HasPrefix(name, s+"-")) && len(s) > len(best) {
			best = s
		}
	}
	return best
}

// uncalled asks who calls the services that nothing in the source names: kai's
// NetworkPolicies let in friends alone.
func (c *cluster) uncalled() {
	called := map[*work]bool{}
	for _, w := range c.works {
		for _, u := range w.uses {
			called[u.to] = true
		}
	}
	for _, w := range c.works {
		kind := ""
		if w.primary != nil {
			kind = w.primary.spec().Get("type").Str()
		}
		if w.primary == nil || w.friend != nil || called[w] || c.published[w.d.service] || w.exposed != nil || kind == "NodePort" || kind == "LoadBalancer" {
			continue
		}
		c.p.report.add(Decide, w.primary.origin(), w.d.service, c.environment.name, w.primary.ref(), "nothing in the source names it, and its NetworkPolicy lets in friends alone: make it a friend ({service: …}) of those that call it, or give a route a hostname")
	}
}

// sharedService carries over a Service for the pods of several workloads: it is
// a manifest of the first one's, and the pods keep the labels that it selects.
func (c *cluster) sharedService(o *object) {
	var those []*work
	for _, w := range c.works {
		if w.friend == nil && !w.is("Job", "CronJob") && selects(o.spec().Get("selector"), w.labels) {
			those = append(those, w)
		}
	}
	if len(those) == 0 {
		why := "it selects no pods of those imported"
		if o.spec().Get("type").Str() == "ExternalName" {
			why = "it is a name for " + o.spec().Get("externalName").Str() + "; make it a friend with chart: null"
		}
		c.p.report.add(LeftOut, o.origin(), "", c.environment.name, o.ref(), "%s", why)
		return
	}
	slices.SortStableFunc(those, func(a, b *work) int { return a.origin().Line - b.origin().Line })
	those[0].manifest(o, func(spec *source.Value) {
		ports := spec.Get("ports").Shallow()
		for i, p := range ports.Items {
			ports.Items[i] = c.sharedPort(o, p, those)
		}
		spec.Set("ports", ports)
	})
	those[0].d.notes["objects"] = "The Service " + o.name + " leads to the pods of several services. Who calls it needs each of them as a friend."
	c.p.report.add(Decide, o.origin(), those[0].d.service, c.environment.name, o.ref(), "it leads to the pods of several services, and is a manifest of the first one's, under objects; the NetworkPolicies let in who has each of them as a friend")
}

// sharedPort gives a port of a Service for the pods of several workloads: a port
// of theirs that it names may be called otherwise now, so it has the number.
func (c *cluster) sharedPort(o *object, p *source.Value, those []*work) *source.Value {
	target := p.Get("targetPort")
	if target == nil || target.Kind != source.String {
		return p
	}
	numbers := map[int]bool{}
	for _, w := range those {
		_, number, _ := w.target(target, 0, "TCP")
		numbers[number] = true
	}
	if len(numbers) > 1 || numbers[0] {
		c.p.report.add(Decide, target.Origin, those[0].d.service, c.environment.name, o.ref()+" port "+p.Get("port").Str(), "%s is not the same port of all the services that it leads to: give their routes that name", target.Str())
		return p
	}
	out := p.Shallow()
	for number := range numbers {
		out.Set("targetPort", source.NewInt(target.Origin, number))
	}
	return out
}
