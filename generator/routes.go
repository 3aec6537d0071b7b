package generator

import (
	"fmt"

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
	speaks        string // one of the speeches
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
		r := route{name: f.Key, portName: shortPortName(f.Key), container: container, value: v, path: path + "." + f.Key, protocol: "TCP", kind: "ClusterIP", speaks: speaksHTTP}
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
		if speech := v.Get("speaks").Str(); speech != "" {
			r.speaks = speech
		}
		r.exposed = v.Has("hostname") || len(v.Get("paths").ItemsOrNone()) > 0 || v.Has("gatewayPort")
		if !g.called() && (r.port != 0 || r.exposed) {
			g.fail("unsupported", v.Origin, r.path, "write containerPort alone, which opens a port of the pod", "nobody calls what comes to an end: the flavor %s has no Service", g.in.Resolved.Flavor.Name)
			continue
		}
		if r.exposed && r.port == 0 {
			g.fail("required", v.Origin, r.path+".port", "write port: 80", "a route that is exposed needs a port")
		}
		if v.Has("nodePort") && r.kind != "NodePort" && r.kind != "LoadBalancer" {
			g.fail("constraint", v.Get("nodePort").Origin, r.path+".nodePort", "write type: NodePort", "a Service of type %s has no nodePort", r.kind)
		}
		switch tls := v.Get("tls"); {
		case tls.Get("secretName").Str() != "":
			r.tls = tls.Get("secretName").Str()
		case tls.Get("secret").Str() != "":
			r.tls = g.secrets.certificate(tls)
		case tls.Get("issuer").Str() != "":
			r.tls = g.issued(r)
		case !tls.IsNull():
			g.fail("required", tls.Origin, r.path+".tls", "write secretName, secret or issuer", "nothing says where the certificate is")
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
		for _, key := range []string{"appProtocol", "nodePort", "hostname", "speaks", "gatewayPort", "timeout"} {
			if x := r.value.Get(key); x != nil {
				v.Set(key, x)
			}
		}
		if speech := r.value.Get("speaks"); r.speaks == speaksGRPC && v.Get("appProtocol") == nil {
			// What Kubernetes calls HTTP/2 without TLS, for gateways that have to know.
			v.Set("appProtocol", source.NewString(speech.Origin, "kubernetes.io/h2c"))
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
			tls := source.NewMap(at, source.Field{Key: "secretName", Value: source.NewString(at, r.tls)})
			for _, key := range []string{"issuer", "issuerKind"} {
				if x := r.value.At("tls", key); x != nil {
					tls.Set(key, x)
				}
			}
			v.Set("tls", tls)
		}
		out.Set(r.name, v)
	}
	return out
}
