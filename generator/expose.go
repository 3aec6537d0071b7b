package generator

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// What may be spoken on a route, and decides how it can be exposed.
const (
	speaksHTTP = "http"
	speaksGRPC = "grpc"
	speaksTCP  = "tcp"
	speaksTLS  = "tls" // TLS that the service itself ends
)

// The ways by which routes are exposed.
const (
	byIngress = "ingress"
	byGateway = "gateway"
	byIstio   = "istio"
)

// ways are those that a context may name.
var ways = []string{"none", byIngress, byGateway, byIstio}

// expose writes how the exposed routes are reached from outside.
func (g *generation) expose() *source.Value {
	if !g.in.Resolved.BuiltIn("expose") {
		return nil
	}
	var exposed []route
	for _, r := range g.routes {
		if r.exposed {
			exposed = append(exposed, r)
			g.checkSpeech(r)
		}
	}
	v := g.fields.Get("expose")
	out := source.NewMap(v.OriginOrNone())
	each := func(name string, at source.Origin, settings *source.Value) {
		switch {
		case !slices.Contains(ways, name):
			g.fail("constraint", at, "expose", source.Nearest(name, ways), "%q is no way to expose a route", name)
			return
		case len(exposed) == 0:
			return
		}
		switch name {
		case "none":
			return
		case byIngress:
			out.Set(name, g.ingress(at, settings, exposed))
		case byGateway:
			out.Set(name, g.gateway(at, settings, exposed))
		case byIstio:
			out.Set(name, g.istio(at, settings, exposed))
		}
		for _, r := range exposed {
			g.checkWay(name, r)
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

// door notes the namespace whose pods bring in what comes by one way, or "".
func (g *generation) door(namespace string) {
	g.doors = append(g.doors, namespace)
}

// settings gives some keys of the workspace's settings, and over them of the
// context's.
func (g *generation) settings(at source.Origin, way string, workspace, context *source.Value, keys ...string) *source.Value {
	out := source.NewMap(at)
	for _, from := range []*source.Value{workspace, context} {
		for _, key := range keys {
			if v := from.Get(key); !v.IsNull() {
				out.Set(key, v)
			}
		}
	}
	if context != nil && context.Kind == source.Map {
		onlyKeys(g, context, "expose."+way, keys...)
	}
	return out
}

// ingress gives the settings of the Ingress.
func (g *generation) ingress(at source.Origin, settings *source.Value, exposed []route) *source.Value {
	g.door(g.in.Ingress.Get("namespace").Str())
	g.oneIssuer(exposed, "an Ingress")
	return g.settings(at, byIngress, g.in.Ingress, settings, "className", "annotations")
}

// gateway gives the Gateway that routes attach to: one that is there, or with
// className one of the service's own.
func (g *generation) gateway(at source.Origin, settings *source.Value, exposed []route) *source.Value {
	workspace := g.in.Gateway
	if settings.Get("name") != nil || settings.Get("className") != nil {
		workspace = nil // it is another one
	}
	all := g.settings(at, byGateway, workspace, settings, "name", "namespace", "sectionName", "className", "annotations")
	g.door(all.Get("namespace").Str())
	out := source.NewMap(at)
	parent := source.NewMap(at)
	switch class := all.Get("className"); {
	case class != nil && all.Has("name"):
		g.fail("exclusive", class.Origin, "expose.gateway.className", "keep one of the two", "name is a Gateway that is there, and className makes one")
	case class != nil:
		out.Set("className", class)
		parent.Set("name", source.NewString(at, g.in.Name))
		g.oneIssuer(exposed, "a Gateway")
	case all.Get("name").Str() == "":
		g.fail("required", at, "expose", "name it in kai-workspace.yaml, gateway: {name, namespace}, or here: expose: {gateway: {name: …}}", "no Gateway is given")
	default:
		for _, key := range []string{"name", "namespace", "sectionName"} {
			if v := all.Get(key); v != nil {
				parent.Set(key, v)
			}
		}
		g.warnCertificates(exposed, "gateway-tls", "a route of Gateway API carries no certificate", "give it to the Gateway's listener")
	}
	out.Set("parentRefs", source.NewList(at, parent))
	if v := all.Get("annotations"); v != nil {
		out.Set("annotations", v)
	}
	return out
}

// istio gives the Gateway of Istio that VirtualServices attach to: one that is
// there, or with a selector one of the service's own.
func (g *generation) istio(at source.Origin, settings *source.Value, exposed []route) *source.Value {
	workspace := g.in.Istio
	if settings.Get("gateway") != nil || settings.Get("selector") != nil {
		workspace = source.NewMap(at)
		if v := g.in.Istio.Get("namespace"); v != nil {
			workspace.Set("namespace", v)
		}
	}
	all := g.settings(at, byIstio, workspace, settings, "gateway", "selector", "namespace", "annotations")
	g.door(all.Get("namespace").Str())
	out := source.NewMap(at)
	name := all.Get("gateway")
	switch selector := all.Get("selector"); {
	case selector != nil && name != nil:
		g.fail("exclusive", selector.Origin, "expose.istio.selector", "keep one of the two", "gateway is one that is there, and selector makes one")
	case selector != nil:
		name = source.NewString(at, g.in.Name)
		out.Set("selector", selector)
		g.checkCredentials(exposed, all.Get("namespace").Str())
	case name.Str() == "":
		g.fail("required", at, "expose", "name it in kai-workspace.yaml, istio: {gateway: NAMESPACE/NAME, namespace: …}, or here: expose: {istio: {gateway: …}}", "no Gateway of Istio is given")
		return out
	default:
		g.warnCertificates(exposed, "istio-tls", "a VirtualService carries no certificate", "give it to the Gateway's server")
	}
	out.Set("gateways", source.NewList(at, name))
	if v := all.Get("annotations"); v != nil {
		out.Set("annotations", v)
	}
	return out
}

// warnCertificates says where a certificate is without effect.
func (g *generation) warnCertificates(exposed []route, code, message, hint string) {
	for _, r := range exposed {
		if r.tls != "" {
			g.findings = append(g.findings, source.Finding{Origin: r.value.Get("tls").Origin, Path: r.path + ".tls", Code: code, Severity: source.Warning, Message: message, Hint: hint})
		}
	}
}

// checkCredentials finds certificates that Istio would look for elsewhere.
func (g *generation) checkCredentials(exposed []route, namespace string) {
	for _, r := range exposed {
		tls := r.value.Get("tls")
		if r.tls == "" || tls.Get("secretName") != nil || namespace != "" && namespace == g.in.Namespace {
			continue
		}
		g.fail("unsupported", tls.Origin, r.path+".tls", "write tls: {secretName: …}, a Secret in that namespace; or expose by ingress or gateway",
			"Istio reads certificates in the namespace of its gateway, and this one would be made in the service's")
	}
}

// oneIssuer finds issuers that one object cannot name together.
func (g *generation) oneIssuer(exposed []route, object string) {
	var first *source.Value
	for _, r := range exposed {
		tls := r.value.Get("tls")
		if tls.Get("issuer") == nil {
			continue
		}
		if first == nil {
			first = tls
		}
		if tls.Get("issuer").Str() != first.Get("issuer").Str() || tls.Get("issuerKind").Str() != first.Get("issuerKind").Str() {
			g.fail("unsupported", tls.Get("issuer").Origin, r.path+".tls.issuer", "take one issuer for all, or write secretName for one of them",
				"%s has one issuer for all its certificates, and %s names another", object, first.Get("issuer").Origin)
		}
	}
}

// issued gives the name of the Secret that an issuer puts a route's certificate
// in: one for each host.
func (g *generation) issued(r route) string {
	host := r.value.Get("hostname")
	if host == nil {
		g.fail("required", r.value.Get("tls").Origin, r.path+".hostname", "write hostname: app.example.com", "an issuer wants to know the host of the certificate")
	}
	return ObjectName(g.in.Name, dnsName(strings.ReplaceAll(host.Str(), "*", "wildcard")), "tls")
}

// headerName is what HTTP takes for the name of a header, without capitals: they
// make no difference, and Istio wants none.
var headerName = regexp.MustCompile("^[a-z0-9!#$%&'*+.^_`|~-]+$")

// paths writes a route's paths, each with its type and what else a request must
// have.
func (g *generation) paths(r route) *source.Value {
	list := r.value.Get("paths")
	if list == nil {
		return nil
	}
	out := source.NewList(list.Origin)
	for i, item := range list.Items {
		if p := g.pathMatch(item, fmt.Sprintf("%s.paths[%d]", r.path, i)); p != nil {
			out.Items = append(out.Items, p)
		}
	}
	return out
}

func (g *generation) pathMatch(item *source.Value, here string) *source.Value {
	kind := source.NewString(item.Origin, "Prefix")
	path := item
	if item.Kind == source.Map {
		onlyKeys(g, item, here, "path", "pathType", "methods", "headers")
		if path = item.Get("path"); path == nil && len(item.Fields) > 0 {
			path = source.NewString(item.Origin, "/")
		}
		if t := item.Get("pathType"); t != nil {
			kind = t
		}
	}
	if path == nil || path.Kind != source.String || !strings.HasPrefix(path.Text, "/") {
		g.fail("constraint", item.Origin, here, "write /path, or {path: /path, pathType: Exact}", "a path begins with /")
		return nil
	}
	types := []string{"Prefix", "Exact", pathRegexp}
	if !slices.Contains(types, kind.Str()) {
		g.fail("constraint", kind.Origin, here+".pathType", source.Nearest(kind.Str(), types), "%q is no type of path", kind.Str())
	}
	if kind.Str() == pathRegexp {
		g.checkRegexp(path, here+".path")
	}
	out := source.NewMap(item.Origin, source.Field{Key: "path", Value: path}, source.Field{Key: "pathType", Value: kind})
	if methods := item.Get("methods"); methods != nil {
		for _, m := range methods.ItemsOrNone() {
			if !slices.Contains(httpMethods, m.Str()) {
				g.fail("constraint", m.Origin, here+".methods", source.Nearest(m.Str(), httpMethods), "%q is no method of HTTP", m.Str())
			}
		}
		if methods.Kind != source.List {
			g.fail("wrong-type", methods.Origin, here+".methods", "write [GET, POST]", "expected a list, got %s", methods.Kind)
		}
		out.Set("methods", methods)
	}
	if headers := item.Get("headers"); headers != nil {
		out.Set("headers", g.headers(headers, here+".headers"))
	}
	return out
}

const pathRegexp = "RegularExpression"

var httpMethods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

// checkRegexp finds what is no regular expression to those who read it: all of
// them use RE2.
func (g *generation) checkRegexp(v *source.Value, path string) {
	if _, err := regexp.Compile(v.Str()); err != nil {
		g.fail("constraint", v.Origin, path, "write it as RE2 has it", "%s", err)
	}
}

// headers writes the headers that a request must have.
func (g *generation) headers(v *source.Value, path string) *source.Value {
	out := source.NewList(v.Origin)
	if v.Kind != source.Map {
		g.fail("wrong-type", v.Origin, path, "write {x-canary: always}, or {x-version: {regex: '2\\..*'}}", "expected a map, got %s", v.Kind)
	}
	for _, f := range v.FieldsOrNone() {
		here := path + "." + f.Key
		if !headerName.MatchString(strings.ToLower(f.Key)) {
			g.fail("constraint", f.Origin, here, "use letters, digits and -, such as x-canary", "%q cannot be the name of a header", f.Key)
		}
		kind, value := "Exact", f.Value
		if value != nil && value.Kind == source.Map {
			onlyKeys(g, value, here, "regex")
			if kind, value = pathRegexp, value.Get("regex"); value.IsScalar() {
				g.checkRegexp(value, here+".regex")
			}
		}
		if !value.IsScalar() || value.Str() == "" {
			g.fail("wrong-type", f.Origin, here, "write text, or {regex: TEXT}", "a header is compared with text")
			continue
		}
		text := *value
		text.Kind = source.String
		out.Items = append(out.Items, source.NewMap(f.Origin,
			source.Field{Key: "name", Value: source.NewString(f.Origin, strings.ToLower(f.Key))},
			source.Field{Key: "value", Value: &text},
			source.Field{Key: "type", Value: source.NewString(f.Origin, kind)}))
	}
	return out
}

// checkSpeech finds what a route cannot have because of what is spoken on it.
func (g *generation) checkSpeech(r route) {
	not := func(hint, format string, keys ...string) {
		for _, key := range keys {
			if v := r.value.Get(key); v != nil {
				g.fail("exclusive", v.Origin, r.path+"."+key, hint, format, r.speaks, key)
			}
		}
	}
	if r.protocol != "TCP" {
		g.fail("unsupported", r.value.Get("protocol").Origin, r.path+".protocol", "expose it by type: LoadBalancer, without hostname and paths", "what is exposed is carried by TCP, and this is %s", r.protocol)
	}
	switch r.speaks {
	case speaksGRPC:
		for i, item := range r.value.Get("paths").ItemsOrNone() {
			here := fmt.Sprintf("%s.paths[%d]", r.path, i)
			if v := item.Get("methods"); v != nil {
				g.fail("exclusive", v.Origin, here+".methods", "write path: /SERVICE/METHOD", "every call of gRPC is a POST")
			}
			path := item
			if item.Kind == source.Map {
				path = item.Get("path")
			}
			if path.IsScalar() && item.Get("pathType").Str() != pathRegexp && !grpcPath.MatchString(path.Text) {
				g.fail("constraint", path.Origin, here, "write /package.Service or /package.Service/Method", "%q is no path of gRPC", path.Text)
			}
		}
	case speaksTCP:
		not("remove it", "a route that speaks %s has no %s", "hostname", "paths", "timeout", "tls")
		if !r.value.Has("gatewayPort") {
			g.fail("required", r.value.Origin, r.path+".gatewayPort", "write gatewayPort: 5432", "without hosts a gateway tells routes by its port")
		}
	case speaksTLS:
		not("remove it: the gateway sees no more than the name of the host", "a route that speaks %s has no %s", "paths", "timeout")
		not("the service shows its own certificate; with speaks: http the gateway shows one", "a route that speaks %s has no %s", "tls")
		if !r.value.Has("hostname") {
			g.fail("required", r.value.Origin, r.path+".hostname", "write hostname: app.example.com", "a gateway tells TLS by the name of the host")
		}
	}
}

var grpcPath = regexp.MustCompile(`^/(\.?[A-Za-z_][A-Za-z_0-9]*(\.[A-Za-z_][A-Za-z_0-9]*)*(/([A-Za-z_][A-Za-z_0-9]*)?)?)?$`)

// checkWay finds what a route asks for and one way of exposing it cannot
// express, and says which can.
func (g *generation) checkWay(way string, r route) {
	no := func(v *source.Value, path, hint, format string, args ...any) {
		g.fail("unsupported", v.Origin, r.path+path, hint, format, args...)
	}
	switch {
	case way == byIngress && r.speaks != speaksHTTP:
		no(r.value.Get("speaks"), ".speaks", "expose by gateway or istio", "an Ingress cannot carry %s", r.speaks)
		return
	case way == byIngress:
		if v := r.value.Get("timeout"); v != nil {
			no(v, ".timeout", "expose by gateway or istio, or set the controller's own: expose: {ingress: {annotations: …}}", "an Ingress has no timeouts")
		}
		if v := r.value.Get("gatewayPort"); v != nil {
			no(v, ".gatewayPort", "expose by gateway or istio", "an Ingress has the ports 80 and 443 alone")
		}
	case way == byGateway && r.speaks == speaksGRPC:
		if v := r.value.Get("timeout"); v != nil {
			no(v, ".timeout", "expose by istio", "a GRPCRoute has no timeouts")
		}
	}
	matches := 0
	for i, item := range r.value.Get("paths").ItemsOrNone() {
		here := fmt.Sprintf(".paths[%d]", i)
		matches += max(1, len(item.Get("methods").ItemsOrNone()))
		kind := item.Get("pathType")
		if way == byIngress {
			for _, key := range []string{"headers", "methods"} {
				if v := item.Get(key); v != nil {
					no(v, here+"."+key, "expose by gateway or istio", "an Ingress cannot match %s", key)
				}
			}
			if kind.Str() == pathRegexp {
				no(kind, here+".pathType", "expose by gateway or istio", "an Ingress has no regular expressions that all controllers read")
			}
		}
		if way == byGateway && r.speaks == speaksGRPC && kind.Str() == pathRegexp {
			no(kind, here+".pathType", "expose by istio, or write /package.Service/Method", "a GRPCRoute matches whole services and methods")
		}
	}
	if way == byGateway && matches > maxMatches {
		no(r.value.Get("paths"), ".paths", "make two routes of it, or expose by istio", "an HTTPRoute has at most %d paths, each method counted, and here are %d", maxMatches, matches)
	}
}

// maxMatches is how many matches a rule of Gateway API may have.
const maxMatches = 64
