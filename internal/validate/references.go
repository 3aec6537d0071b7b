package validate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func danglingServices(w *world, report reporter) {
	for _, s := range w.kinds["Service"] {
		selector := dig(s.Fields, "spec.selector")
		if len(selector) == 0 || text(dig(s.Fields, "spec")["type"]) == "ExternalName" {
			continue
		}
		if len(w.selected(s.namespace, selector)) == 0 {
			report(s, "spec.selector", "selects no pod of its namespace")
		}
	}
}

func targetPorts(w *world, report reporter) {
	for _, s := range w.kinds["Service"] {
		pods := w.selected(s.namespace, dig(s.Fields, "spec.selector"))
		if len(pods) == 0 {
			continue
		}
		for i, port := range items(dig(s.Fields, "spec")["ports"]) {
			target := port["targetPort"]
			if n, ok := number(target); target == nil || ok && n == 0 || target == "" {
				target = port["port"]
			}
			protocol := cmp.Or(text(port["protocol"]), "TCP")
			if !slices.ContainsFunc(pods, func(p *pod) bool { return p.opens(target, protocol) }) {
				report(s, fmt.Sprintf("spec.ports[%s].targetPort", itemName(port, i)), "no pod that it selects opens port %s (%s)", written(target), protocol)
			}
		}
	}
}

func itemName(item map[string]any, i int) string {
	if name := text(item["name"]); name != "" {
		return "name=" + name
	}
	return fmt.Sprint(i)
}

// probePorts looks at the ports of one kind of probe.
func probePorts(probe string) check {
	return func(w *world, report reporter) {
		w.eachContainer(func(p *pod, c container) {
			for _, way := range []string{"httpGet", "tcpSocket", "grpc"} {
				target := dig(c.fields, probe+"."+way)
				if target["port"] != nil && text(target["host"]) == "" && !c.opens(target["port"], "TCP") {
					report(p.object, c.path+"."+probe+"."+way+".port", "the container does not open port %s", written(target["port"]))
				}
			}
		})
	}
}

func (w *world) eachContainer(visit func(p *pod, c container)) {
	for _, p := range w.pods {
		for _, c := range p.containers {
			visit(p, c)
		}
	}
}

func ingressTargets(w *world, report reporter) {
	for _, o := range w.kinds["Ingress"] {
		spec := dig(o.Fields, "spec")
		w.ingressBackend(o, dig(spec, "defaultBackend"), "spec.defaultBackend", report)
		for i, rule := range items(spec["rules"]) {
			for j, path := range items(dig(rule, "http")["paths"]) {
				w.ingressBackend(o, dig(path, "backend"), fmt.Sprintf("spec.rules[%d].http.paths[%d].backend", i, j), report)
			}
		}
	}
}

func (w *world) ingressBackend(o *object, backend map[string]any, path string, report reporter) {
	service := dig(backend, "service")
	if service == nil {
		return
	}
	port := dig(service, "port")
	w.target(o, o.namespace, text(service["name"]), cmp.Or[any](port["number"], port["name"]), path+".service", report)
}

// target reports where a route leads to a Service or a port that is not there.
func (w *world) target(o *object, namespace, name string, port any, path string, report reporter) {
	service := w.named[nameKey("Service", namespace, name)]
	if service == nil {
		where := "its namespace" // whose name is another in each context
		if namespace != o.namespace {
			where = "namespace " + namespace
		}
		report(o, path, "leads to Service %s, which is not in %s", name, where)
		return
	}
	if port == nil || text(dig(service.Fields, "spec")["type"]) == "ExternalName" {
		return
	}
	n, isNumber := number(port)
	for _, one := range items(dig(service.Fields, "spec")["ports"]) {
		if has, _ := number(one["port"]); isNumber && has == n || !isNumber && text(one["name"]) == text(port) {
			return
		}
	}
	report(o, path+".port", "leads to port %s, which Service %s does not have", written(port), name)
}

// routeKinds are the routes of Gateway API.
var routeKinds = []string{"HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute"}

func routeTargets(w *world, report reporter) {
	for _, kind := range routeKinds {
		for _, o := range w.kinds[kind] {
			for i, rule := range items(dig(o.Fields, "spec")["rules"]) {
				for j, ref := range items(rule["backendRefs"]) {
					if cmp.Or(text(ref["kind"]), "Service") == "Service" && text(ref["group"]) == "" {
						w.target(o, cmp.Or(text(ref["namespace"]), o.namespace), text(ref["name"]), ref["port"],
							fmt.Sprintf("spec.rules[%d].backendRefs[%d]", i, j), report)
					}
				}
			}
		}
	}
	for _, o := range w.kinds["VirtualService"] {
		for _, protocol := range []string{"http", "tcp", "tls"} {
			for i, rule := range items(dig(o.Fields, "spec")[protocol]) {
				for j, route := range items(rule["route"]) {
					w.meshTarget(o, dig(route, "destination"), fmt.Sprintf("spec.%s[%d].route[%d].destination", protocol, i, j), report)
				}
			}
		}
	}
}

// meshTarget checks a destination of Istio's: a Service by its name, with or
// without its namespace. Hosts elsewhere are not known here.
func (w *world) meshTarget(o *object, destination map[string]any, path string, report reporter) {
	host := text(destination["host"])
	name, rest, qualified := strings.Cut(host, ".")
	namespace, domain, _ := strings.Cut(rest, ".")
	if host == "" || qualified && !strings.HasPrefix(domain, "svc") {
		return
	}
	w.target(o, cmp.Or(namespace, o.namespace), name, dig(destination, "port")["number"], path, report)
}

// objectsTwice looks at hooks as well: Helm deletes one to make the other, whatever
// else the first is for.
func objectsTwice(w *world, report reporter) {
	first := map[string]*object{}
	for _, o := range w.objects {
		if o.Ref.Name == "" { // the cluster names it
			continue
		}
		ref := o.Ref
		ref.Namespace = o.namespace
		if kind, known := w.schemas.Kind(ref.APIVersion, ref.Kind); known && !kind.Namespaced {
			ref.Namespace = ""
		}
		other := first[ref.Key()]
		if other == nil {
			first[ref.Key()] = o
			continue
		}
		where := "release " + other.release
		if other.Source != "" {
			where += ", in " + other.Source
		}
		report(o, "metadata.name", "the object is made by %s as well", where)
	}
}

// claim is a host and path that a route answers for.
type claim struct{ kind, host, path string }

func hostsTwice(w *world, report reporter) {
	first := map[claim]*object{}
	take := func(o *object, where string, c claim) {
		other := first[c]
		switch {
		case other == nil:
			first[c] = o
		case other != o && !canary(o) && !canary(other):
			report(o, where, "%s%s is claimed by %s of release %s as well", c.host, c.path, other.Ref, other.release)
		}
	}
	for _, o := range w.kinds["Ingress"] {
		spec := dig(o.Fields, "spec")
		for i, rule := range items(spec["rules"]) {
			for _, path := range items(dig(rule, "http")["paths"]) {
				if host := text(rule["host"]); host != "" {
					take(o, fmt.Sprintf("spec.rules[%d].host", i), claim{"Ingress/" + text(spec["ingressClassName"]), host, text(path["path"])})
				}
			}
		}
	}
	for _, o := range w.kinds["HTTPRoute"] {
		w.httpClaims(o, take)
	}
}

// httpClaims takes what an HTTPRoute answers for. Routes that look at more than
// the path share one.
func (w *world) httpClaims(o *object, take func(*object, string, claim)) {
	spec := dig(o.Fields, "spec")
	parents := written(spec["parentRefs"])
	for i, host := range texts(spec["hostnames"]) {
		for _, rule := range items(spec["rules"]) {
			for _, match := range items(rule["matches"]) {
				if match["headers"] == nil && match["queryParams"] == nil && match["method"] == nil {
					path := dig(match, "path")
					take(o, fmt.Sprintf("spec.hostnames[%d]", i), claim{"HTTPRoute/" + parents, host, text(path["value"])})
				}
			}
		}
	}
}

// canary says whether an Ingress shares its host on purpose.
func canary(o *object) bool {
	return text(dig(o.Fields, "metadata.annotations")["nginx.ingress.kubernetes.io/canary"]) == "true"
}

// friendLabel marks pods that call a friend.
const friendLabel = "friend.kai/"

func friendPolicies(w *world, report reporter) {
	admitted := map[string]bool{}
	for _, policy := range w.kinds["NetworkPolicy"] {
		for _, rule := range items(dig(policy.Fields, "spec")["ingress"]) {
			for _, peer := range items(rule["from"]) {
				for label := range dig(peer, "podSelector.matchLabels") {
					admitted[label] = true
				}
			}
		}
	}
	called := map[string]bool{} // releases that one can call: a job is waited for only
	for _, o := range w.kinds["Service"] {
		called[o.release] = true
	}
	for _, p := range w.pods {
		for label := range p.labels {
			friend, ok := strings.CutPrefix(label, friendLabel)
			if ok && !admitted[label] && (called[friend] || w.named[nameKey("Service", p.namespace, friend)] != nil) {
				report(p.object, p.at("metadata.labels"), "calls %s, and no NetworkPolicy admits pods with the label %s", friend, label)
			}
		}
	}
}

func serviceAccounts(w *world, report reporter) {
	for _, p := range w.pods {
		name := cmp.Or(text(p.spec["serviceAccountName"]), text(p.spec["serviceAccount"]))
		if name != "" && name != "default" && w.named[nameKey("ServiceAccount", p.namespace, name)] == nil {
			report(p.object, p.at("spec.serviceAccountName"), "there is no ServiceAccount %s in its namespace", name)
		}
	}
}

func mismatchingSelectors(w *world, report reporter) {
	for _, p := range w.pods {
		selector := dig(p.Fields, "spec.selector")
		if p.path == "spec.template" && selector != nil && p.Ref.Kind != "Job" && !matches(selector, p.labels) {
			report(p.object, "spec.selector", "does not select the pods of its own template%s", lacking(selector, p.labels))
		}
	}
}

// lacking names a label that a selector asks for and pods do not have.
func lacking(selector, labels map[string]any) string {
	want := dig(selector, "matchLabels")
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if have, ok := labels[k]; !ok || text(have) != text(want[k]) {
			return fmt.Sprintf(", which does not have the label %s=%s", k, text(want[k]))
		}
	}
	return ""
}

func headlessServices(w *world, report reporter) {
	for _, p := range w.pods {
		if p.Ref.Kind != "StatefulSet" {
			continue
		}
		name := text(dig(p.Fields, "spec")["serviceName"])
		service := w.named[nameKey("Service", p.namespace, name)]
		switch {
		case name == "":
			report(p.object, "spec", "names no headless Service")
		case service == nil:
			report(p.object, "spec.serviceName", "there is no Service %s", name)
		case text(dig(service.Fields, "spec")["clusterIP"]) != "None":
			report(p.object, "spec.serviceName", "Service %s is not headless", name)
		case !hasAll(p.labels, dig(service.Fields, "spec.selector")):
			report(p.object, "spec.serviceName", "Service %s does not select its pods", name)
		}
	}
}

func autoscalerTargets(w *world, report reporter) {
	for _, o := range w.kinds["HorizontalPodAutoscaler"] {
		ref := dig(o.Fields, "spec.scaleTargetRef")
		kind, name := text(ref["kind"]), text(ref["name"])
		if _, known := templates[kind]; known && w.named[nameKey(kind, o.namespace, name)] == nil {
			report(o, "spec.scaleTargetRef", "there is no %s/%s in its namespace", kind, name)
		}
	}
}

func policyTargets(w *world, report reporter) {
	for _, o := range w.kinds["NetworkPolicy"] {
		selector := dig(o.Fields, "spec.podSelector")
		if len(selector) > 0 && len(w.matched(o.namespace, selector)) == 0 {
			report(o, "spec.podSelector", "selects no pod of its namespace")
		}
	}
}
