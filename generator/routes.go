package generator

import (
	"fmt"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// route is a route as the chart needs it.
type route struct {
	name          string
	portName      string
	port          int // 0 opens the container only
	containerPort int
	protocol      string
	kind          string // type of the Service
	service       string // name of the Service
	container     string // that opens it; "" is the main one
	exposed       bool
	tls           string // name of the Secret with the certificate
	value         *source.Value
	path          string
}

// readRoutes collects the routes of the main container and of the others, and
// gives each its Service: those of the first one's type share it.
func (g *generation) readRoutes() {
	if !g.in.Resolved.BuiltIn("routes") {
		return
	}
	g.addRoutes(g.fields.Get("routes"), "routes", "")
	for _, key := range []string{"initContainers", "sidecars"} {
		if !g.in.Resolved.BuiltIn(key) {
			continue
		}
		for i, c := range g.fields.Get(key).ItemsOrNone() {
			g.addRoutes(c.Get("routes"), fmt.Sprintf("%s[%d].routes", key, i), c.Get("name").Str())
		}
	}
	first := ""
	names, ports := map[string]string{}, map[string]string{}
	opened := map[string]string{}
	served := map[string]string{}
	for i := range g.routes {
		r := &g.routes[i]
		if other, ok := names[r.name]; ok {
			g.fail("duplicate-name", r.value.Origin, r.path, "rename one of the two", "the route %q stands at %s as well", r.name, other)
		}
		names[r.name] = r.path
		if other, ok := ports[r.portName]; ok {
			g.fail("duplicate-name", r.value.Origin, r.path, "rename one of the two", "the ports of the routes %q and %q would have one name, %s", other, r.name, r.portName)
		}
		ports[r.portName] = r.name
		key := fmt.Sprintf("%d/%s", r.containerPort, r.protocol)
		if other, ok := opened[key]; ok {
			g.fail("port-conflict", r.value.Origin, r.path, "give one of them another containerPort", "the pod opens port %s twice: for %s and %s", key, other, r.name)
		}
		opened[key] = r.name
		if r.port == 0 {
			continue
		}
		if first == "" {
			first = r.kind
		}
		if r.service = g.in.Name; r.kind != first {
			r.service = serviceName(g.in.Name, r.name)
		}
		key = fmt.Sprintf("%s:%d/%s", r.service, r.port, r.protocol)
		if other, ok := served[key]; ok {
			g.fail("port-conflict", r.value.Origin, r.path, "give one of them another port", "the Service %s has port %d twice: for %s and %s", r.service, r.port, other, r.name)
		}
		served[key] = r.name
	}
}

func (g *generation) addRoutes(routes *source.Value, path, container string) {
	if routes == nil {
		return
	}
	for _, f := range routes.Fields {
		v := f.Value
		r := route{name: f.Key, portName: shortPortName(f.Key), container: container, value: v, path: path + "." + f.Key, protocol: "TCP", kind: "ClusterIP"}
		r.port, _ = v.Get("port").Int()
		r.containerPort, _ = v.Get("containerPort").Int()
		if r.containerPort == 0 {
			r.containerPort = r.port
		}
		if r.containerPort == 0 {
			g.fail("required", v.Origin, r.path, "write port: 80, or containerPort: 8080 to open the container only", "the route has no port")
			continue
		}
		if p := v.Get("protocol").Str(); p != "" {
			r.protocol = p
		}
		if t := v.Get("type").Str(); t != "" {
			r.kind = t
		}
		r.exposed = v.Has("hostname") || len(v.Get("paths").ItemsOrNone()) > 0
		if r.exposed && r.port == 0 {
			g.fail("required", v.Origin, r.path+".port", "write port: 80", "a route with a hostname or paths needs a port")
		}
		if v.Has("nodePort") && r.kind != "NodePort" && r.kind != "LoadBalancer" {
			g.fail("constraint", v.Get("nodePort").Origin, r.path+".nodePort", "write type: NodePort", "a Service of type %s has no nodePort", r.kind)
		}
		switch tls := v.Get("tls"); {
		case tls.Get("secretName").Str() != "":
			r.tls = tls.Get("secretName").Str()
		case tls.Get("secret").Str() != "":
			r.tls = g.secrets.certificate(tls)
		}
		g.routes = append(g.routes, r)
	}
}

// routeValues writes the routes.
func (g *generation) routeValues() *source.Value {
	if len(g.routes) == 0 {
		return nil
	}
	out := source.NewMap(g.fields.Get("routes").OriginOrNone())
	for _, r := range g.routes {
		at := r.value.Origin
		v := source.NewMap(at)
		if r.port != 0 {
			v.Set("port", source.NewInt(at, r.port))
		}
		v.Set("containerPort", source.NewInt(at, r.containerPort))
		v.Set("portName", source.NewString(at, r.portName))
		v.Set("protocol", source.NewString(at, r.protocol))
		for _, key := range []string{"appProtocol", "nodePort", "hostname"} {
			if x := r.value.Get(key); x != nil {
				v.Set(key, x)
			}
		}
		if r.port != 0 {
			v.Set("type", source.NewString(at, r.kind))
			v.Set("service", source.NewString(at, r.service))
		}
		if r.container != "" {
			v.Set("container", source.NewString(at, r.container))
		}
		if paths := g.paths(r); paths != nil {
			v.Set("paths", paths)
		}
		if r.tls != "" {
			v.Set("tls", source.NewMap(at, source.Field{Key: "secretName", Value: source.NewString(at, r.tls)}))
		}
		out.Set(r.name, v)
	}
	return out
}

// paths writes a route's paths, each with its type.
func (g *generation) paths(r route) *source.Value {
	list := r.value.Get("paths")
	if list == nil {
		return nil
	}
	out := source.NewList(list.Origin)
	for i, item := range list.Items {
		here := fmt.Sprintf("%s.paths[%d]", r.path, i)
		kind := source.NewString(item.Origin, "Prefix")
		path := item
		if item.Kind == source.Map {
			onlyKeys(g, item, here, "path", "pathType")
			path = item.Get("path")
			if t := item.Get("pathType"); t != nil {
				kind = t
			}
		}
		if path == nil || path.Kind != source.String || !strings.HasPrefix(path.Text, "/") {
			g.fail("constraint", item.Origin, here, "write /path, or {path: /path, pathType: Exact}", "a path begins with /")
			continue
		}
		if kind.Text != "Prefix" && kind.Text != "Exact" {
			g.fail("constraint", kind.Origin, here+".pathType", "write Prefix or Exact", "%q is no type of path that Ingress and Gateway share", kind.Text)
		}
		out.Items = append(out.Items, source.NewMap(item.Origin, source.Field{Key: "path", Value: path}, source.Field{Key: "pathType", Value: kind}))
	}
	return out
}

// expose writes how the exposed routes are reached from outside.
func (g *generation) expose() *source.Value {
	if !g.in.Resolved.BuiltIn("expose") {
		return nil
	}
	var exposed []route
	for _, r := range g.routes {
		if r.exposed {
			exposed = append(exposed, r)
		}
	}
	v := g.fields.Get("expose")
	out := source.NewMap(v.OriginOrNone())
	each := func(name string, at source.Origin, settings *source.Value) {
		if len(exposed) == 0 {
			return
		}
		switch name {
		case "none":
		case "ingress":
			out.Set("ingress", g.ingress(at, settings))
		case "gateway":
			out.Set("gateway", g.gateway(at, settings, exposed))
		case "istio":
			g.fail("unsupported", at, "expose", "use ingress or gateway", "this version of kai does not write Istio's routes")
		default:
			g.fail("constraint", at, "expose", source.Nearest(name, []string{"none", "ingress", "gateway"}), "%q is no way to expose a route", name)
		}
	}
	switch {
	case v == nil:
	case v.IsScalar():
		each(v.Text, v.Origin, nil)
	case v.Kind == source.List:
		for _, item := range v.Items {
			each(item.Str(), item.Origin, nil)
		}
	case v.Kind == source.Map:
		for _, f := range v.Fields {
			each(f.Key, f.Origin, f.Value)
		}
	}
	if len(out.Fields) == 0 {
		return nil
	}
	return out
}

// ingress gives the settings of the Ingress: the context's over the workspace's.
func (g *generation) ingress(at source.Origin, settings *source.Value) *source.Value {
	out := source.NewMap(at)
	for _, from := range []*source.Value{g.in.Ingress, settings} {
		for _, key := range []string{"className", "annotations"} {
			if v := from.Get(key); !v.IsNull() {
				out.Set(key, v)
			}
		}
	}
	if settings != nil && settings.Kind == source.Map {
		onlyKeys(g, settings, "expose.ingress", "className", "annotations")
	}
	return out
}

// gateway gives the Gateway that HTTPRoutes attach to.
func (g *generation) gateway(at source.Origin, settings *source.Value, exposed []route) *source.Value {
	parent := g.in.Gateway
	if settings != nil && len(settings.Fields) > 0 {
		parent = settings
	}
	if parent.Get("name").Str() == "" {
		g.fail("required", at, "expose", "name it in kai-workspace.yaml, gateway: {name, namespace}, or here: expose: {gateway: {name: …}}", "no Gateway is given")
		return source.NewMap(at)
	}
	onlyKeys(g, parent, "gateway", "name", "namespace", "sectionName")
	reference := source.NewMap(at)
	for _, key := range []string{"name", "namespace", "sectionName"} {
		if v := parent.Get(key); !v.IsNull() {
			reference.Set(key, v)
		}
	}
	for _, r := range exposed {
		if r.tls != "" {
			g.findings = append(g.findings, source.Finding{Origin: r.value.Get("tls").Origin, Path: r.path + ".tls", Code: "gateway-tls", Severity: source.Warning,
				Message: "an HTTPRoute carries no certificate", Hint: "give it to the Gateway's listener"})
		}
	}
	return source.NewMap(at, source.Field{Key: "parentRefs", Value: source.NewList(at, reference)})
}
