package graph_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/helm-kai/helm-kai/internal/graph"
	"github.com/helm-kai/helm-kai/internal/manifest"
)

// app is a release of one Deployment, whose pods carry labels beside their name.
func app(t *testing.T, name, labels, ports, more string) graph.Release {
	t.Helper()
	text := fmt.Sprintf(`
# Source: %[1]s/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec: {template: {metadata: {labels: {app.kubernetes.io/name: %[1]s, %[2]s}}, spec: {containers: [{name: main, ports: [%[3]s]}]}}}
---
%[4]s`, name, labels, ports, more)
	objects, err := manifest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return graph.Release{Name: name, Namespace: "shop", Labels: map[string]string{"name": name}, Objects: objects}
}

// policy is a NetworkPolicy for the pods of an app.
func policy(name, spec string) string {
	return fmt.Sprintf("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: %[1]s}\nspec: {podSelector: {matchLabels: {app.kubernetes.io/name: %[1]s}}, %s}\n---\n", name, spec)
}

func made(t *testing.T, releases ...graph.Release) *graph.Graph {
	t.Helper()
	g, err := graph.New(graph.Input{Context: "dev", Releases: releases})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func text(t *testing.T, format string, graphs ...*graph.Graph) string {
	t.Helper()
	var out bytes.Buffer
	if err := graph.Write(&out, format, graphs); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// ways gives the edges of a graph, one a line.
func ways(g *graph.Graph) string {
	var out []string
	for _, e := range g.Edges {
		words := append([]string{g.Nodes[e.From].Name, "→", g.Nodes[e.To].Name}, e.Ports...)
		if e.Needs {
			words = append(words, "needs")
		}
		if e.Open {
			words = append(words, "open")
		}
		if e.Blocked {
			words = append(words, "blocked")
		}
		if e.As != "" {
			words = append(words, "as "+e.As)
		}
		out = append(out, strings.Join(words, " "))
	}
	return strings.Join(out, "\n")
}

// TestEdges: between two there is what the policies of both let through.
func TestEdges(t *testing.T) {
	t.Parallel()
	const ports = `{name: http, containerPort: 8080}, {name: admin, containerPort: 9090}, {name: dns, containerPort: 53, protocol: UDP}`
	friend := `friend.kai/api: "true"`
	admits := func(ports string) string {
		return `ingress: [{from: [{podSelector: {matchLabels: {friend.kai/api: "true"}}}], ports: [` + ports + `]}]`
	}
	calls := func(ports string) string {
		return `policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app.kubernetes.io/name: api}}}], ports: [` + ports + `]}]`
	}
	for name, test := range map[string]struct{ labels, web, api, want string }{
		"both name it":                   {friend, calls("{port: 8080}"), admits("{port: 8080}"), "web → api 8080/TCP"},
		"what both have in common":       {friend, calls("{port: 8080}, {port: 9090}"), admits("{port: 9090}, {port: 7}"), "web → api 9090/TCP"},
		"by the port's name":             {friend, calls("{port: http}, {port: dns, protocol: UDP}"), admits("{port: 8080}, {port: 53, protocol: UDP}"), "web → api 53/UDP 8080/TCP"},
		"a range":                        {friend, calls("{port: 8000, endPort: 8100}"), admits("{port: 8050, endPort: 9000}"), "web → api 8050-8100/TCP"},
		"all ports of a protocol":        {friend, calls("{protocol: UDP}"), admits(""), "web → api all/UDP"},
		"a port within a range":          {friend, calls("{port: 8000, endPort: 8100}, {port: 8080}"), admits(""), "web → api 8000-8100/TCP"},
		"another protocol":               {friend, calls("{port: 8080, protocol: UDP}"), admits("{port: 8080}"), "web → api blocked"},
		"not a friend":                   {"", calls("{port: 8080}"), admits("{port: 8080}"), ""},
		"the caller's is missing":        {friend, "", admits("{port: 8080}"), "web → api 8080/TCP"},
		"the other's is missing":         {"", calls("{port: 8080}"), "", "web → api 8080/TCP"},
		"none has one":                   {friend, "", "", "web → api all"},
		"none has one, and no friend":    {"", "", "", ""},
		"the caller may call nobody":     {friend, "policyTypes: [Egress]", admits(""), "web → api blocked"},
		"nobody may call the other":      {friend, "", "policyTypes: [Ingress]", "web → api blocked"},
		"one policy is for ingress only": {friend, "policyTypes: [Ingress]", admits("{port: 8080}"), "web → api 8080/TCP"},
		"everybody, and it is named":     {friend, calls("{port: 8080}"), "ingress: [{ports: [{port: 8080}]}]", "web → api 8080/TCP"},
		"by an expression":               {friend, "", `ingress: [{from: [{podSelector: {matchExpressions: [{key: app.kubernetes.io/name, operator: In, values: [web, other]}]}}]}]`, "web → api all"},
		"from another namespace only":    {friend, "", `ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: elsewhere}}, podSelector: {matchLabels: {friend.kai/api: "true"}}}]}]`, "web → api blocked"},
		"from this namespace by name":    {friend, "", `ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}, podSelector: {matchLabels: {friend.kai/api: "true"}}}]}]`, "web → api all"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var web, api string
			if test.web != "" {
				web = policy("web", test.web)
			}
			if test.api != "" {
				api = policy("api", test.api)
			}
			g := made(t, app(t, "web", test.labels, "", web), app(t, "api", "", ports, api))
			if got := ways(g); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestPoliciesAddUp: pods that several policies hold may do what any of them
// lets through, and those of another namespace hold none.
func TestPoliciesAddUp(t *testing.T) {
	t.Parallel()
	admits := func(port int) string {
		return fmt.Sprintf(`ingress: [{from: [{podSelector: {matchLabels: {app.kubernetes.io/name: web}}}], ports: [{port: %d}]}]`, port)
	}
	elsewhere := strings.Replace(policy("api", "ingress: [{ports: [{port: 3}]}]"), "{name: api}", "{name: api, namespace: elsewhere}", 1)
	g := made(t, app(t, "web", "", "", ""), app(t, "api", "", "", policy("api", admits(1))+policy("api", admits(2))+elsewhere))
	if got, want := ways(g), "web → api 1/TCP 2/TCP"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestOpenings: what leads to no pod of the context.
func TestOpenings(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ spec, values, want string }{
		"internet":   {`egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16]}}, {ipBlock: {cidr: "::/0", except: ["fc00::/7"]}}], ports: [{port: 443}]}]`, "", "! the internet :443"},
		"anywhere":   {`egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: "::/0"}}], ports: [{port: 443}, {port: 6443}]}]`, `[{name: kubernetes, to: [{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: "::/0"}}], ports: [{port: 443}, {port: 6443}]}]`, "! every address (for kubernetes) :443 :6443"},
		"but one":    {`egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}]}]`, "", "! 0.0.0.0/0 but 169.254.169.254/32 all ports"},
		"cluster":    {`egress: [{to: [{namespaceSelector: {}}]}]`, "", "! every pod of the cluster all ports"},
		"dns":        {`egress: [{to: [{namespaceSelector: {}}], ports: [{port: 53, protocol: UDP}]}]`, "", ""},
		"dns pods":   {`egress: [{to: [{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{port: 53, protocol: UDP}]}]`, "", ""},
		"everybody":  {`egress: [{}]`, "", "! everybody all ports"},
		"namespace":  {`egress: [{to: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [b, a]}]}}]}]`, "", "namespaces a, b all ports"},
		"its own":    {`egress: [{to: [{podSelector: {}}]}]`, "", "namespace shop all ports"},
		"by label":   {`egress: [{to: [{namespaceSelector: {matchLabels: {team: blue}}}]}]`, "", "namespaces team=blue all ports"},
		"addresses":  {`egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 25}]}]`, "", "192.0.2.0/24 :25"},
		"a name":     {`egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 587, protocol: TCP}]}]`, `[{name: mail, cidrs: [192.0.2.0/24], ports: [{port: 587, protocol: TCP}]}]`, "mail :587"},
		"no address": {`egress: [{ports: [{port: 587}]}]`, `[{name: mail, ports: [{port: 587}]}]`, "mail :587 open"},
		"two alike":  {`egress: [{ports: [{port: 587}]}, {ports: [{port: 587}]}]`, `[{name: mail, ports: [{port: 587}]}, {name: post, ports: [{port: 587}]}]`, "mail :587 open, post :587 open"},
		"other pods": {`egress: [{to: [{podSelector: {matchLabels: {a: b}}}], ports: [{port: metrics}]}]`, "", "a=b :metrics"},
		"named pods": {`egress: [{to: [{podSelector: {matchLabels: {a: b}}, namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: far}}}]}]`, `[{name: events, namespace: far, podLabels: {a: b}}]`, "events all ports"},
		"not asked":  {`policyTypes: [Ingress]`, "", "! everybody all ports"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := test.spec
			if strings.HasPrefix(spec, "egress") {
				spec = "policyTypes: [Ingress, Egress], " + spec
			}
			r := app(t, "web", "", "", policy("web", spec))
			if test.values != "" {
				r.Values = map[string][]byte{"": []byte("networkPolicy: {egress: " + test.values + "}\n")}
			}
			g := made(t, r)
			var got []string
			for _, e := range g.Edges {
				words := g.Nodes[e.To].Name + " :" + strings.Join(e.Ports, " :")
				words = strings.ReplaceAll(strings.ReplaceAll(words, "/TCP", ""), ":all", "all ports")
				if e.Open {
					words += " open"
				}
				got = append(got, words)
			}
			lines := regexp.MustCompile(`(?m)^  calls +(.*)$`).FindStringSubmatch(text(t, "text", g))
			if lines != nil && len(g.Edges) == 0 {
				got = append(got, lines[1])
				if !strings.HasSuffix(text(t, "text", g), "  nothing\n") {
					got[0] = "! " + got[0]
				}
			}
			if got := strings.Join(got, ", "); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestCallers: who may call that is no pod of the context.
func TestCallers(t *testing.T) {
	t.Parallel()
	g := made(t, app(t, "web", "", "{containerPort: 80}", policy("web", `ingress: [
  {from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: gateways}}}], ports: [{port: 80}]},
  {from: [{podSelector: {matchLabels: {friend.kai/web: "true"}}}]},
  {from: [{podSelector: {matchLabels: {role: prober}}}], ports: [{port: 81}]},
  {from: [{ipBlock: {cidr: 198.51.100.0/24}}], ports: [{port: 82}]},
  {ports: [{port: 83}]}]`)))
	want := "everybody :83, namespace gateways :80, 198.51.100.0/24 :82, pods with role=prober :81"
	if got := text(t, "text", g); !strings.Contains(got, "called by   "+want) {
		t.Errorf("no %q in\n%s", want, got)
	}
}

// TestExposed: the ways in, of all kinds of objects.
func TestExposed(t *testing.T) {
	t.Parallel()
	const svc = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app.kubernetes.io/name: web}, ports: [{port: 80}]}\n---\n"
	for name, test := range map[string]struct{ object, want string }{
		"ingress":         {`{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: i}, spec: {ingressClassName: nginx, tls: [{hosts: [a.example.com]}], rules: [{host: a.example.com, http: {paths: [{path: /x, backend: {service: {name: web}}}]}}]}}`, "a.example.com/x (Ingress, TLS through nginx)"},
		"default backend": {`{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: i}, spec: {defaultBackend: {service: {name: web}}}}`, "every host (Ingress)"},
		"httproute":       {`{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r}, spec: {parentRefs: [{name: g, namespace: gw}], hostnames: [a.example.com, b.example.com], rules: [{matches: [{path: {value: /}}, {path: {value: /y}}], backendRefs: [{name: web}]}]}}`, "a.example.com (HTTPRoute through gw/g), a.example.com/y (HTTPRoute through gw/g),\n              b.example.com (HTTPRoute through gw/g), b.example.com/y (HTTPRoute through gw/g)"},
		"grpcroute":       {`{apiVersion: gateway.networking.k8s.io/v1, kind: GRPCRoute, metadata: {name: r}, spec: {parentRefs: [{name: g}], hostnames: [a.example.com], rules: [{backendRefs: [{name: web}]}]}}`, "a.example.com (GRPCRoute through g)"},
		"virtualservice":  {`{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: v}, spec: {hosts: [a.example.com], gateways: [gw/g, mesh], http: [{match: [{uri: {prefix: /z}}], route: [{destination: {host: web.shop.svc.cluster.local}}]}]}}`, "a.example.com/z (VirtualService through gw/g)"},
		"mesh alone":      {`{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: v}, spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}}`, ""},
		"nodeport":        {`{apiVersion: v1, kind: Service, metadata: {name: svc}, spec: {type: NodePort, selector: {app.kubernetes.io/name: web}, ports: [{port: 80, nodePort: 30001}, {port: 81}]}}`, "a port of the cluster's choice (NodePort), port 30001 (NodePort)"},
		"loadbalancer":    {`{apiVersion: v1, kind: Service, metadata: {name: svc}, spec: {type: LoadBalancer, externalIPs: [192.0.2.1], selector: {app.kubernetes.io/name: web}, ports: [{port: 443}]}}`, "port 443 (LoadBalancer), 192.0.2.1:443 (externalIPs)"},
		"hostport":        {`{apiVersion: v1, kind: Pod, metadata: {name: p, labels: {app.kubernetes.io/name: web}}, spec: {containers: [{name: c, ports: [{containerPort: 80, hostPort: 8080}]}]}}`, "port 8080 (hostPort)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := text(t, "text", made(t, app(t, "web", "", "", svc+test.object)))
			if want := "  exposed at  " + test.want + "\n"; test.want != "" && !strings.Contains(got, want) || test.want == "" && strings.Contains(got, "exposed") {
				t.Errorf("no %q in\n%s", want, got)
			}
		})
	}
	// A route of one chart may lead to the service of another.
	g := made(t, app(t, "web", "", "", svc), app(t, "edge", "", "", `{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: i}, spec: {rules: [{host: a.example.com, http: {paths: [{backend: {service: {name: web}}}]}}]}}`))
	i := slices.IndexFunc(g.Nodes, func(n graph.Node) bool { return n.Name == "web" })
	if len(g.Nodes[i].Exposed) != 1 {
		t.Errorf("web is not exposed: %+v", g.Nodes)
	}
}

// TestParts: charts in a service's chart are requirements, those in a shared
// friend's are itself; tests are left out, and pods on the host's network are held
// by no policy.
func TestParts(t *testing.T) {
	t.Parallel()
	workload := func(source, kind, name string) string {
		return fmt.Sprintf("# Source: %s\napiVersion: apps/v1\nkind: %s\nmetadata: {name: %s}\nspec: {template: {metadata: {labels: {app.kubernetes.io/name: %[3]s}}, spec: {containers: [{name: c, ports: [{containerPort: 1}]}]}}}\n---\n", source, kind, name)
	}
	a := app(t, "a", `friend.kai/a-db: "true"`, "", workload("a/charts/db/templates/s.yaml", "StatefulSet", "a-db"))
	b := app(t, "b", "", "", workload("b/charts/db/templates/s.yaml", "StatefulSet", "b-db"))
	b.Needs = []string{"queue", "gone"}
	b.Values = map[string][]byte{"": nil, "db": nil, "empty": []byte("networkPolicy: true\n")}
	queue := app(t, "queue", "", "", workload("queue/charts/rabbit/templates/s.yaml", "StatefulSet", "rabbit")+
		"apiVersion: v1\nkind: Pod\nmetadata: {name: test, annotations: {helm.sh/hook: test}, labels: {friend.kai/a: \"true\"}}\nspec: {containers: []}\n---\n"+
		"apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: sweep}\nspec: {jobTemplate: {spec: {template: {metadata: {labels: {x: v}}, spec: {hostNetwork: true, containers: []}}}}}\n---\n"+
		policy("rabbit", "policyTypes: [Ingress, Egress]")+policy("queue", "policyTypes: [Ingress, Egress]"))
	queue.Shared = true
	g := made(t, a, b, queue)
	var names []string
	for _, n := range g.Nodes {
		names = append(names, fmt.Sprintf("%s %s %d", n.Name, n.Kind, n.Wave))
	}
	if got, want := strings.Join(names, ", "), "a service 1, a/db requirement 1, b service 2, b/db requirement 2, empty requirement 2, queue dependency 1"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := ways(g), "a → a/db all needs\nb → b/db needs\nb → empty needs\nb → queue needs"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := fmt.Sprint(g.Waves); got != "[[a queue] [b]]" {
		t.Errorf("waves: %s", got)
	}
	if calls := g.Nodes[5].Calls; len(calls) != 1 || calls[0].Peer != graph.Everything {
		t.Errorf("pods on the host's network are held: %+v", calls)
	}
	some := g.Select(func(labels map[string]string) bool { return labels["name"] == "queue" })
	if got, want := ways(some), "b → queue needs"; got != want || len(some.Nodes) != 2 || fmt.Sprint(some.Waves) != "[[queue] [b]]" {
		t.Errorf("of the queue: %s; %+v", got, some.Waves)
	}
}

// TestNeedsInCircles: what cannot be ordered is shown all the same.
func TestNeedsInCircles(t *testing.T) {
	t.Parallel()
	a, b, c := app(t, "a", "", "", ""), app(t, "b", "", "", ""), app(t, "c", "", "", "")
	a.Needs, b.Needs, c.Needs = []string{"b"}, []string{"a"}, []string{"c"}
	g := made(t, a, b, c)
	if got := fmt.Sprint(g.Waves); got != "[[c] [a b]]" {
		t.Errorf("waves: %s", got)
	}
	for _, format := range graph.Formats() {
		text(t, format, g)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	calls := func(name, to string) graph.Release {
		r := app(t, name, "", "", policy(name, "policyTypes: [Egress], egress: [{"+to+"ports: [{port: 1}]}]"))
		cidrs := ""
		if to != "" {
			cidrs = ", cidrs: [192.0.2.0/24]"
		}
		r.Values = map[string][]byte{"": []byte("networkPolicy: {egress: [{name: db, ports: [{port: 1}]" + cidrs + "}]}\n")}
		return r
	}
	g := made(t, calls("a", ""), calls("b", "to: [{ipBlock: {cidr: 192.0.2.0/24}}], "), calls("c", ""), app(t, "db", "", "", ""))
	if got, want := ways(g), "a → db (any address) 1/TCP open as db\nb → db (192.0.2.0/24) 1/TCP as db\nc → db (any address) 1/TCP open as db"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFaultyObject(t *testing.T) {
	t.Parallel()
	for object, want := range map[string]string{
		policy("a", "ingress: 7"): "NetworkPolicy/a",
		policy("a", "ingress: [{from: [{podSelector: {matchExpressions: [{key: a, operator: Perhaps}]}}]}]"): "NetworkPolicy/a",
		"{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: i}, spec: {rules: 7}}":           "Ingress/i",
		"{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r}, spec: {rules: 7}}": "HTTPRoute/r",
	} {
		_, err := graph.New(graph.Input{Releases: []graph.Release{app(t, "a", "", "", object)}})
		if err == nil || !strings.Contains(err.Error(), "a: "+want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	r := app(t, "a", "", "", "")
	r.Values = map[string][]byte{"db": []byte("{")}
	if _, err := graph.New(graph.Input{Releases: []graph.Release{r}}); err == nil || !strings.Contains(err.Error(), "a/db: values.yaml") {
		t.Error(err)
	}
	if err := graph.Write(io.Discard, "png", nil); err == nil || !strings.Contains(err.Error(), "hint") {
		t.Error(err)
	}
}

// hostile is a graph whose names are made to break out of every format.
func hostile() *graph.Graph {
	names := []string{
		`"><script>alert(1)</script>`, "]]>&amp;<!--", "end", "a\nb\x00\x1b[31m\u2028c", "`md`", `\"; x -> y; "`, "{{}}|](:::", "\xff\xfe", "", "%%{init:{}}%%",
		strings.Repeat("very-long-", 30), "漢字の名前 🧦", "#quot;#35;", "n\u0300\u0301",
	}
	g := &graph.Graph{Context: `prod"]<b>` + "\n", Waves: [][]string{names}}
	for i, n := range names {
		node := graph.Node{Name: n, Kind: []graph.Kind{graph.Service, graph.Requirement, graph.Dependency, graph.Outside}[i%4], Namespace: n, Release: n, Wave: i % 3}
		node.Exposed = []graph.Exposure{{By: n, Host: n, Path: n}}
		node.Calls = []graph.Opening{{Peer: graph.Anywhere, Name: n, Ports: []string{n}, Open: true}}
		node.Callers = []graph.Opening{{Peer: graph.Namespace, Name: n, Ports: []string{n}}}
		g.Nodes = append(g.Nodes, node)
		g.Edges = append(g.Edges, graph.Edge{From: i, To: (i + 1) % len(names), As: n, Ports: []string{n}, Needs: i%2 == 0, Open: i%3 == 0, Blocked: i%5 == 0})
	}
	return g
}

func TestSVGIsXML(t *testing.T) {
	t.Parallel()
	for name, graphs := range map[string][]*graph.Graph{"hostile": {hostile(), hostile()}, "empty": {{Context: "none"}}, "none": nil} {
		decoder := xml.NewDecoder(strings.NewReader(text(t, "svg", graphs...)))
		elements := map[string]int{}
		for {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if start, ok := token.(xml.StartElement); ok {
				elements[start.Name.Local]++
			}
		}
		if elements["svg"] != 1 || elements["script"] != 0 || elements["desc"] != 1 {
			t.Errorf("%s: %v", name, elements)
		}
	}
}

var (
	mermaidLine = regexp.MustCompile(`^ *(flowchart LR|%% .*|subgraph c\d+(g\d+)?\["[^"]*"\]|end|` +
		`c\d+n\d+(\["[^"]*"\]|\[\("[^"]*"\)\]|\{\{"[^"]*"\}\}|\(\["[^"]*"\]\)):::[a-z]+|` +
		`c\d+n\d+ (-->|==>|==o|--o|-\.->|--x)(\|"[^"]*"\|)? c\d+n\d+|classDef [a-z]+ [a-z:#0-9,]+|linkStyle [0-9,]+ stroke:#[0-9a-f]+)$`)
	dotString = `"([^"\\]|\\.)*"`
	dotValue  = `(` + dotString + `|[a-zA-Z0-9.]+)`
	dotLine   = regexp.MustCompile(`^ *(digraph kai \{|rankdir=LR|(node|edge) \[.*\]|subgraph cluster_\d+(_\d+)? \{|label=` + dotString + `|\}|` +
		`c\d+n\d+( -> c\d+n\d+)? \[([a-z]+=` + dotValue + `(, )?)*\])$`)
)

// TestLines: whatever the names are, each line of Mermaid and DOT is one of theirs.
func TestLines(t *testing.T) {
	t.Parallel()
	for format, pattern := range map[string]*regexp.Regexp{"mermaid": mermaidLine, "dot": dotLine} {
		for line := range strings.Lines(text(t, format, hostile(), hostile())) {
			if !pattern.MatchString(strings.TrimSuffix(line, "\n")) {
				t.Errorf("%s: %q", format, line)
			}
		}
	}
	for _, line := range []string{"\x1b", "\x00", "\u2028"} {
		if strings.Contains(text(t, "text", hostile()), line) {
			t.Errorf("text holds %q", line)
		}
	}
}

// TestDOT has Graphviz itself read it, where that is installed.
func TestDOT(t *testing.T) {
	t.Parallel()
	dot, err := exec.LookPath("dot")
	if err != nil {
		t.Skip("Graphviz is not installed")
	}
	cmd := exec.Command(dot, "-Tsvg")
	cmd.Stdin = strings.NewReader(text(t, "dot", hostile(), hostile()))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestJSONFollowsItsSchema(t *testing.T) {
	t.Parallel()
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(graph.Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("graph.schema.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("graph.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	web := app(t, "web", `friend.kai/api: "true"`, "{containerPort: 80, hostPort: 80}", policy("web", "policyTypes: [Egress], egress: [{}, {to: [{ipBlock: {cidr: 192.0.2.0/24}}]}]"))
	web.Needs = []string{"api"}
	for name, g := range map[string]*graph.Graph{"whole": made(t, web, app(t, "api", "", "", "")), "empty": made(t)} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(text(t, "json", g)))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiled.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := text(t, "json"); got != "[]\n" {
		t.Errorf("of no context: %s", got)
	}
}

// TestMany: a thousand services with their databases, a queue and circles of
// addresses are a graph, and a picture of it, in a short time.
func TestMany(t *testing.T) {
	t.Parallel()
	const n = 1000
	var releases []graph.Release
	for i := range n {
		name := fmt.Sprintf("s%d", i)
		other, third := fmt.Sprintf("s%d", (i*7+1)%n), fmt.Sprintf("s%d", (i+1)%n)
		labels := fmt.Sprintf("friend.kai/%s: \"true\", friend.kai/%s: \"true\", friend.kai/queue: \"true\"", other, third)
		r := app(t, name, labels, "{containerPort: 80}", policy(name, fmt.Sprintf(`policyTypes: [Ingress, Egress],
  ingress: [{from: [{podSelector: {matchLabels: {friend.kai/%[1]s: "true"}}}], ports: [{port: 80}]}],
  egress: [{to: [{podSelector: {matchLabels: {app.kubernetes.io/name: %[2]s}}}]}, {to: [{podSelector: {matchLabels: {app.kubernetes.io/name: %[3]s}}}]}, {to: [{podSelector: {matchLabels: {app.kubernetes.io/name: queue}}}]}]`, name, other, third)))
		r.Needs = []string{"queue"}
		releases = append(releases, r)
	}
	queue := app(t, "queue", "", "{containerPort: 5672}", "")
	queue.Shared = true
	start := time.Now()
	g := made(t, append(releases, queue)...)
	took := time.Since(start)
	if len(g.Nodes) != n+1 || len(g.Edges) < 2*n {
		t.Errorf("%d nodes, %d edges", len(g.Nodes), len(g.Edges))
	}
	for _, format := range graph.Formats() {
		start := time.Now()
		first := text(t, format, g)
		t.Logf("%s: %d bytes in %v", format, len(first), time.Since(start))
		if format != "svg" && first != text(t, format, g) {
			t.Errorf("%s differs from run to run", format)
		}
	}
	if took > 20*time.Second {
		t.Errorf("the graph takes %v", took)
	}
	t.Logf("the graph: %v", took)
}
