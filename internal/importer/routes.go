package importer

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// planned are the routes of one workload, as the descriptor has them.
type planned struct {
	main *source.Value            // list of the main container's
	side map[string]*source.Value // of the others, by name
}

// planRoutes turns the ports of a workload's Service and of its containers into
// routes, before anything refers to them.
func (w *work) planRoutes() {
	w.planned = planned{main: listOf(), side: map[string]*source.Value{}}
	taken := map[string]bool{}
	opened := map[string]bool{}
	if w.primary != nil {
		w.primary.used = true
		spec := w.primary.spec()
		for _, p := range spec.Get("ports").ItemsOrNone() {
			w.serviceRoute(p, spec, taken, opened)
		}
		w.serviceRest(spec)
	}
	for _, c := range w.running() {
		for _, p := range c.Get("ports").ItemsOrNone() {
			number, _ := p.Get("containerPort").Int()
			protocol := cmp.Or(p.Get("protocol").Str(), "TCP")
			if number == 0 {
				continue
			}
			if !opened[portKey(number, protocol)] {
				opened[portKey(number, protocol)] = true
				name := unique(portName(p.Get("name").Str(), number, protocol, true), taken)
				v := mapOf(entry("name", text(name)), entry("containerPort", source.NewInt(p.Origin, number)))
				if protocol != "TCP" {
					v.Set("protocol", text(protocol))
				}
				w.addRoute(c, v, routeOf{name: name, containerPort: number, protocol: protocol, container: c})
			}
			w.portPatch(c, p, number, protocol)
		}
	}
}

// running gives the containers that run for as long as the pod: sidecars may
// stand among the init containers.
func (w *work) running() []*source.Value {
	out := slices.Clone(w.pod.Get("containers").ItemsOrNone())
	for _, c := range w.pod.Get("initContainers").ItemsOrNone() {
		if w.listOf(c) == "sidecars" {
			out = append(out, c)
		}
	}
	return out
}

func portKey(number int, protocol string) string {
	return source.NewInt(source.Origin{}, number).Text + "/" + protocol
}

// addRoute adds a route to the container that opens its port.
func (w *work) addRoute(c, v *source.Value, r routeOf) {
	w.routes = append(w.routes, r)
	if c == nil || c == w.main {
		w.planned.main.Items = append(w.planned.main.Items, v)
		return
	}
	name := c.Get("name").Str()
	if w.planned.side[name] == nil {
		w.planned.side[name] = listOf()
	}
	w.planned.side[name].Items = append(w.planned.side[name].Items, v)
}

// serviceRoute makes a route of a Service's port.
func (w *work) serviceRoute(p, spec *source.Value, taken, opened map[string]bool) {
	port, _ := p.Get("port").Int()
	protocol := cmp.Or(p.Get("protocol").Str(), "TCP")
	if port == 0 {
		return
	}
	c, number, named := w.target(p.Get("targetPort"), port, protocol)
	if number == 0 {
		w.c.p.report.add(LeftOut, p.Origin, w.d.service, w.d.context, w.primary.ref()+" port "+p.Get("port").Str(), "no container has the port %s that it leads to", p.Get("targetPort").Str())
		return
	}
	if opened[portKey(number, protocol)] {
		// A route opens a port, and this one has a second way in.
		ports := child(w.d.fields, "patches", "service", "spec")
		list := ports.Get("ports")
		if list == nil {
			list = listOf()
			ports.Set("ports", list)
		}
		name := unique(portName(p.Get("name").Str(), port, protocol, true), taken)
		more := mapOf(entry("name", text(name)), entry("port", source.NewInt(p.Origin, port)), entry("targetPort", source.NewInt(p.Origin, number)), entry("protocol", text(protocol)))
		setIn(more, "appProtocol", p.Get("appProtocol"))
		if spec.Get("type").Str() != "ClusterIP" {
			setIn(more, "nodePort", p.Get("nodePort"))
		}
		list.Items = append(list.Items, more)
		w.c.p.report.add(Changed, p.Origin, w.d.service, w.d.context, w.primary.ref()+" port "+p.Get("port").Str(), "a route has one port of the Service, so the second stands under patches")
		return
	}
	opened[portKey(number, protocol)] = true
	name := p.Get("name").Str()
	if name == "" {
		name = named
	}
	name = unique(portName(name, port, protocol, true), taken)
	v := mapOf(entry("name", text(name)), entry("port", source.NewInt(p.Origin, port)))
	if number != port {
		v.Set("containerPort", source.NewInt(p.Origin, number))
	}
	if protocol != "TCP" {
		v.Set("protocol", text(protocol))
	}
	kind := cmp.Or(spec.Get("type").Str(), "ClusterIP")
	if spec.Get("clusterIP").Str() == "None" {
		kind = "Headless"
	}
	setIn(v, "appProtocol", p.Get("appProtocol"))
	if kind != "ClusterIP" && kind != "ExternalName" {
		v.Set("type", text(kind))
	}
	if kind == "NodePort" || kind == "LoadBalancer" {
		setIn(v, "nodePort", p.Get("nodePort"))
	}
	w.addRoute(c, v, routeOf{name: name, port: port, containerPort: number, protocol: protocol, container: c})
}

// target finds the container and the port that a Service's port leads to.
func (w *work) target(target *source.Value, port int, protocol string) (c *source.Value, number int, name string) {
	if n, ok := target.Int(); ok {
		port, target = n, nil
	}
	for _, c := range w.running() {
		for _, p := range c.Get("ports").ItemsOrNone() {
			n, _ := p.Get("containerPort").Int()
			if target.IsNull() && n == port && cmp.Or(p.Get("protocol").Str(), "TCP") == protocol || !target.IsNull() && p.Get("name").Str() == target.Str() {
				return c, n, p.Get("name").Str()
			}
		}
	}
	if target.IsNull() {
		return w.main, port, ""
	}
	return nil, 0, ""
}

// serviceKnown are the fields of a Service that routes say, or the cluster.
var serviceKnown = []string{"selector", "ports", "type", "clusterIP", "clusterIPs", "ipFamilies", "externalName"}

// serviceRest carries over what routes do not say of a Service.
func (w *work) serviceRest(spec *source.Value) {
	for _, f := range spec.FieldsOrNone() {
		switch {
		case slices.Contains(serviceKnown, f.Key), f.Value.IsNull(), f.Key == "sessionAffinity" && f.Value.Str() == "None",
			strings.HasSuffix(f.Key, "TrafficPolicy") && f.Value.Str() == "Cluster", f.Key == "ipFamilyPolicy" && f.Value.Str() == "SingleStack":
			continue
		}
		child(w.d.fields, "patches", "service", "spec").Set(f.Key, w.asIs(f.Value))
	}
	about := source.NewMap(source.Origin{})
	labels := source.NewMap(source.Origin{})
	for _, f := range w.primary.labels().FieldsOrNone() {
		if !ownLabels.MatchString(f.Key) && !w.hasLabel(f) && f.Value.Str() != w.name && f.Value.Str() != w.d.service {
			labels.Set(f.Key, f.Value)
		}
	}
	setIn(about, "labels", labels)
	setIn(about, "annotations", foreign(w.primary.annotations(), ownAnnotations))
	w.d.set("service", about)
}

// hasLabel says whether the workload or its pods have a label.
func (w *work) hasLabel(f source.Field) bool {
	return source.Equal(w.labels.Get(f.Key), f.Value) || source.Equal(w.object.labels().Get(f.Key), f.Value)
}

// portPatch carries over what a route does not say of a container's port: a port
// of the node, and the same port in a second container.
func (w *work) portPatch(c, p *source.Value, number int, protocol string) {
	for _, r := range w.routes {
		if r.containerPort != number || r.protocol != protocol {
			continue
		}
		patch := mapOf(entry("name", text(r.name)))
		if r.container != c {
			patch = mapOf(entry("name", text(cmp.Or(p.Get("name").Str(), r.name))), entry("containerPort", p.Get("containerPort")), entry("protocol", text(protocol)))
		}
		for _, key := range []string{"hostPort", "hostIP"} {
			setIn(patch, key, p.Get(key))
		}
		if len(patch.Fields) > 1 {
			name := ""
			if c != w.main {
				name = w.extraName(c)
			}
			w.containerPatch(name, "ports", patch)
		}
		return
	}
}

func (w *work) mainRoutes() { w.d.set("routes", w.planned.main) }

func (w *work) sideRoutes(c, out *source.Value) {
	setIn(out, "routes", w.planned.side[c.Get("name").Str()])
}

// probePort gives a probe's port: the name of the route that opens it.
func (w *work) probePort(port, c *source.Value) *source.Value {
	number, isNumber := port.Int()
	if !isNumber {
		for _, p := range c.Get("ports").ItemsOrNone() {
			if p.Get("name").Str() == port.Str() {
				number, _ = p.Get("containerPort").Int()
			}
		}
	}
	for _, r := range w.routes {
		if r.containerPort == number && r.protocol == "TCP" && r.container == c {
			return text(r.name)
		}
	}
	if number != 0 {
		return source.NewInt(port.Origin, number)
	}
	return port
}

// routeTo finds the planned route of a Service's port, by number or name.
func (w *work) routeTo(port *source.Value) *source.Value {
	if w.primary == nil {
		return nil
	}
	for _, p := range w.primary.spec().Get("ports").ItemsOrNone() {
		if port.Str() == "" || p.Get("name").Str() != port.Str() && p.Get("port").Str() != port.Str() {
			continue
		}
		number, _ := p.Get("port").Int()
		for _, list := range append([]*source.Value{w.planned.main}, sortedValues(w.planned.side)...) {
			for _, v := range list.Items {
				if n, ok := v.Get("port").Int(); ok && n == number {
					return v
				}
			}
		}
	}
	return nil
}

func sortedValues(m map[string]*source.Value) []*source.Value {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	var out []*source.Value
	for _, name := range names {
		out = append(out, m[name])
	}
	return out
}

// byService finds the workload that a Service is for, or nil.
func (c *cluster) byService(name string) *work {
	for _, w := range c.works {
		if w.primary != nil && w.primary.name == name {
			return w
		}
	}
	return nil
}

// ingresses gives routes their hosts and paths.
func (c *cluster) ingresses() {
	class := ""
	all := c.all(func(o *object) bool {
		return o.is("Ingress") && strings.Contains(o.group, "networking") || o.is("Ingress") && o.group == "extensions"
	})
	for i, o := range all {
		name := ingressClass(o)
		if i > 0 && name != class {
			class = ""
			break
		}
		class = name
	}
	if class != "" {
		child(c.more(), "ingress").Set("className", text(class))
	}
	for _, o := range all {
		c.ingress(o, class)
	}
}

// more gives the fields of the workspace's context.
func (c *cluster) more() *source.Value {
	if c.settings == nil {
		c.settings = source.NewMap(source.Origin{})
	}
	return c.settings
}

func ingressClass(o *object) string {
	return cmp.Or(o.spec().Get("ingressClassName").Str(), o.annotations().Get("kubernetes.io/ingress.class").Str())
}

var ingressBookkeeping = []string{"kubernetes.io/ingress.class"}

func (c *cluster) ingress(o *object, class string) {
	o.used = true
	if o.group != "networking.k8s.io" || !strings.HasSuffix(o.v.Get("apiVersion").Str(), "/v1") {
		c.p.report.add(LeftOut, o.origin(), "", c.environment.name, o.ref(), "%s is gone from Kubernetes since 1.22; write it as networking.k8s.io/v1 and import it again", o.v.Get("apiVersion").Str())
		return
	}
	if back := o.spec().Get("defaultBackend"); back != nil {
		c.p.report.add(LeftOut, back.Origin, "", c.environment.name, o.ref()+" spec.defaultBackend", "a route of kai's has a host or paths")
	}
	annotations := foreign(o.annotations(), ownAnnotations)
	for _, key := range ingressBookkeeping {
		annotations.Delete(key)
	}
	served := map[*work]bool{}
	for _, rule := range o.spec().Get("rules").ItemsOrNone() {
		host := rule.Get("host").Str()
		for _, p := range rule.At("http", "paths").ItemsOrNone() {
			back := p.At("backend", "service")
			w := c.byService(back.Get("name").Str())
			port := back.At("port", "number")
			if port == nil {
				port = back.At("port", "name")
			}
			if w == nil || w.routeTo(port) == nil {
				c.p.report.add(LeftOut, p.Origin, "", c.environment.name, o.ref()+" path "+p.Get("path").Str(), "the Service %s, port %s, that it leads to is none of those imported", back.Get("name").Str(), port.Str())
				continue
			}
			route := w.routeTo(port)
			if route.Has("hostname") && route.Get("hostname").Str() != host || w.exposedBare && host != "" {
				c.p.report.add(LeftOut, rule.Origin, w.d.service, c.environment.name, o.ref()+" host "+host, "a route has one host, %s; give the second one a route with a containerPort of its own, or add this Ingress under objects", route.Get("hostname").Str())
				continue
			}
			if host != "" {
				route.Set("hostname", text(host))
			} else {
				w.exposedBare = true
			}
			w.routePath(route, p, host)
			for _, tls := range o.spec().Get("tls").ItemsOrNone() {
				if slices.Contains(tls.Get("hosts").Strings(), host) && tls.Has("secretName") {
					route.Set("tls", mapOf(entry("secretName", tls.Get("secretName"))))
				}
			}
			if !served[w] {
				served[w] = true
				settings := source.NewMap(source.Origin{})
				if name := ingressClass(o); name != class && name != "" {
					settings.Set("className", text(name))
				}
				setIn(settings, "annotations", annotations)
				c.expose(w, "ingress", settings)
			}
			c.renamed[o.ref()] = w.d.service
		}
	}
}

// routePath adds a path to a route. The one that is all of a host is not written.
func (w *work) routePath(route, p *source.Value, host string) {
	where, kind := p.Get("path").Str(), p.Get("pathType").Str()
	var v *source.Value
	switch {
	case kind == "Exact", kind == "RegularExpression":
		v = mapOf(entry("path", escaped(text(where))), entry("pathType", text(kind)))
	case kind == "ImplementationSpecific" && strings.ContainsAny(where, `()[]*+?^$|\`):
		v = mapOf(entry("path", escaped(text(where))), entry("pathType", text("RegularExpression")))
	default:
		v = escaped(text(cmp.Or(where, "/")))
	}
	paths := route.Get("paths")
	if paths == nil {
		paths = listOf()
	}
	for _, item := range paths.Items {
		if source.Equal(item, v) {
			return
		}
	}
	if paths.Items == nil && host != "" && v.Kind == source.String && v.Text == "/" {
		return
	}
	paths.Items = append(paths.Items, v)
	route.Set("paths", paths)
}

// expose says by what a workload is exposed; ingress is the flavor's own.
func (c *cluster) expose(w *work, way string, settings *source.Value) {
	if w.exposed == nil {
		w.exposed = source.NewMap(source.Origin{})
	}
	w.exposed.Set(way, settings)
}

// setExpose writes what was found about a workload's exposure.
func (w *work) setExpose() {
	if w.exposed == nil {
		return
	}
	ways := w.exposed.Keys()
	bare := true
	for _, f := range w.exposed.Fields {
		bare = bare && len(f.Value.Fields) == 0
	}
	switch {
	case !bare:
		w.d.set("expose", w.exposed)
	case len(ways) == 1:
		w.d.set("expose", text(ways[0]))
	default:
		w.d.set("expose", texts(ways...))
	}
}

// httpRoutes gives routes their hosts and paths by Gateway API.
func (c *cluster) httpRoutes() {
	var parent *source.Value
	all := c.all(func(o *object) bool { return o.is("HTTPRoute") && o.group == "gateway.networking.k8s.io" })
	for _, o := range all {
		refs := o.spec().Get("parentRefs").ItemsOrNone()
		if len(refs) != 1 {
			continue
		}
		v := source.NewMap(source.Origin{})
		for _, key := range []string{"name", "namespace", "sectionName"} {
			setIn(v, key, refs[0].Get(key))
		}
		if parent == nil {
			parent = v
			c.more().Set("gateway", v)
		}
	}
	for _, o := range all {
		o.used = true
		if why := c.httpRoute(o, parent); why != "" {
			c.p.report.add(LeftOut, o.origin(), "", c.environment.name, o.ref(), "%s; add it under objects of its service", why)
		}
	}
}

// httpRoute carries over one HTTPRoute, or says why not.
func (c *cluster) httpRoute(o *object, parent *source.Value) string {
	spec := o.spec()
	refs, hosts, rules := spec.Get("parentRefs").ItemsOrNone(), spec.Get("hostnames").Strings(), spec.Get("rules").ItemsOrNone()
	if len(refs) != 1 || refs[0].Get("kind").Str() != "" && refs[0].Get("kind").Str() != "Gateway" {
		return "a route attaches to one Gateway"
	}
	if len(hosts) > 1 {
		return "a route has one host, and this has " + strings.Join(hosts, ", ")
	}
	var w *work
	var port *source.Value
	for _, rule := range rules {
		backs := rule.Get("backendRefs").ItemsOrNone()
		var kinds []string
		for _, filter := range rule.Get("filters").ItemsOrNone() {
			kinds = append(kinds, filter.Get("type").Str())
		}
		switch {
		case len(kinds) > 0:
			return "a rule of it has filters, which a route has not: " + strings.Join(kinds, ", ")
		case len(backs) != 1:
			return "a rule of it leads to several services, or to none"
		case rule.Has("sessionPersistence") || rule.Has("retry"):
			return "a rule of it says sessionPersistence or retry, which a route does not"
		}
		to := c.byService(backs[0].Get("name").Str())
		if to == nil || w != nil && to != w || port != nil && !source.Equal(port, backs[0].Get("port")) || to.routeTo(backs[0].Get("port")) == nil {
			return "it leads to a service that is not imported, or to several"
		}
		w, port = to, backs[0].Get("port")
		for _, m := range rule.Get("matches").ItemsOrNone() {
			if m.Has("queryParams") {
				return "a rule looks at the query"
			}
		}
	}
	if w == nil {
		return "it leads nowhere"
	}
	route := w.routeTo(port)
	host := ""
	if len(hosts) == 1 {
		host = hosts[0]
	}
	if route.Has("hostname") && route.Get("hostname").Str() != host {
		return "a route has one host, and it has another already: " + route.Get("hostname").Str()
	}
	if host != "" {
		route.Set("hostname", text(host))
	}
	for _, rule := range rules {
		if t := rule.At("timeouts", "request"); t != nil {
			route.Set("timeout", t)
		}
		matches := rule.Get("matches").ItemsOrNone()
		if len(matches) == 0 {
			w.routePath(route, mapOf(), host)
		}
		for _, m := range matches {
			w.gatewayPath(route, m, host)
		}
	}
	settings := source.NewMap(source.Origin{})
	own := source.NewMap(source.Origin{})
	for _, key := range []string{"name", "namespace", "sectionName"} {
		setIn(own, key, refs[0].Get(key))
	}
	if !source.Equal(own, parent) {
		settings = own
	}
	setIn(settings, "annotations", foreign(o.annotations(), ownAnnotations))
	c.expose(w, "gateway", settings)
	c.renamed[o.ref()] = w.d.service + "-" + route.Get("name").Str()
	return ""
}

// gatewayPath adds what one match of Gateway API looks at.
func (w *work) gatewayPath(route, m *source.Value, host string) {
	kind := map[string]string{"Exact": "Exact", "RegularExpression": "RegularExpression"}[m.At("path", "type").Str()]
	where := cmp.Or(m.At("path", "value").Str(), "/")
	p := mapOf(entry("path", text(where)))
	if kind != "" {
		p.Set("pathType", text(kind))
	}
	if m.Get("method") == nil && m.Get("headers") == nil {
		w.routePath(route, p, host)
		return
	}
	if m.Has("method") {
		p.Set("methods", listOf(m.Get("method")))
	}
	headers := source.NewMap(source.Origin{})
	for _, h := range m.Get("headers").ItemsOrNone() {
		v := h.Get("value")
		if h.Get("type").Str() == "RegularExpression" {
			v = mapOf(entry("regex", v))
		}
		headers.Set(h.Get("name").Str(), v)
	}
	setIn(p, "headers", headers)
	list := route.Get("paths")
	if list == nil {
		list = listOf()
	}
	list.Items = append(list.Items, p)
	route.Set("paths", list)
}

// extraServices are those that a workload has beside the one that routes make.
// They stay as they are, but for their selector.
func (w *work) extraServices() {
	governing := ""
	if w.is("StatefulSet") {
		governing = w.spec().Get("serviceName").Str()
	}
	keeps := governing != "" && w.c.namesReplicas(governing)
	if keeps {
		child(w.d.fields, "patches", "statefulset", "spec").Set("serviceName", text(governing))
	}
	for _, s := range w.more {
		s.used = true
		if s.name == governing && s.spec().Get("clusterIP").Str() == "None" && !keeps {
			w.c.p.report.add(Changed, s.origin(), w.d.service, w.d.context, s.ref(), "the Service that gives each replica its name is called %s-headless", w.d.service)
			w.c.renamed[s.ref()] = w.d.service + "-headless"
			continue
		}
		w.manifest(s, func(spec *source.Value) {
			spec.Set("selector", mapOf(entry("app.kubernetes.io/name", text(w.d.service)), entry("app.kubernetes.io/instance", text(w.d.service))))
			ports := listOf()
			for _, p := range spec.Get("ports").ItemsOrNone() {
				port, _ := p.Get("port").Int()
				p = p.Shallow()
				if _, number, _ := w.target(p.Get("targetPort"), port, cmp.Or(p.Get("protocol").Str(), "TCP")); number != 0 {
					p.Set("targetPort", source.NewInt(p.Origin, number))
				}
				ports.Items = append(ports.Items, p)
			}
			spec.Set("ports", ports)
			for _, key := range []string{"clusterIPs", "ipFamilies", "ipFamilyPolicy"} {
				spec.Delete(key)
			}
			if spec.Get("clusterIP").Str() != "None" {
				spec.Delete("clusterIP")
			}
		})
		w.c.p.report.add(Changed, s.origin(), w.d.service, w.d.context, s.ref(), "a service has one Service for routes of one type: this one is a manifest of its own, under objects")
	}
}

// dotted is a name behind a dot, such as that of a replica's Service.
var dotted = regexp.MustCompile(`\.([a-z0-9][-a-z0-9]*)`)

// namesReplicas says whether a program of the source is given the name of one
// replica, REPLICA.SERVICE.
func (c *cluster) namesReplicas(service string) bool {
	if c.dotted == nil {
		c.dotted = map[string]bool{}
		for _, o := range c.objects {
			if o.is("ConfigMap") {
				c.addDotted(o.v.Get("data"))
			} else {
				c.addDotted(o.spec())
			}
		}
	}
	return c.dotted[service]
}

// addDotted notes the names behind dots in all text of a value.
func (c *cluster) addDotted(v *source.Value) {
	if v != nil && v.Kind == source.String {
		for _, m := range dotted.FindAllStringSubmatch(v.Text, -1) {
			c.dotted[m[1]] = true
		}
	}
	for _, f := range v.FieldsOrNone() {
		c.addDotted(f.Value)
	}
	for _, item := range v.ItemsOrNone() {
		c.addDotted(item)
	}
}

// manifest adds a manifest of the source to the service's objects.
func (w *work) manifest(o *object, change func(spec *source.Value)) {
	o.kept = true
	v := source.NewMap(source.Origin{}, entry("apiVersion", o.v.Get("apiVersion")), entry("kind", o.v.Get("kind")))
	metadata := mapOf(entry("name", text(o.name)))
	labels := foreign(o.labels(), ownLabels)
	for _, f := range labels.Shallow().Fields {
		if w.hasLabel(f) {
			labels.Delete(f.Key)
		}
	}
	setIn(metadata, "labels", labels)
	setIn(metadata, "annotations", foreign(o.annotations(), ownAnnotations))
	v.Set("metadata", metadata)
	for _, f := range o.v.Fields {
		if slices.Contains([]string{"apiVersion", "kind", "metadata", "status"}, f.Key) {
			continue
		}
		x := f.Value
		if f.Key == "spec" && change != nil {
			x = x.Shallow()
			change(x)
		}
		v.Set(f.Key, x)
	}
	name := slug(o.kind+"-"+o.name) + ".yaml"
	w.d.file("manifests", name, source.AppendYAML(nil, v, nil))
	w.d.add("objects", text(path.Join("manifests", name)))
}
