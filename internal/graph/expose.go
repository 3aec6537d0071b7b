package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// expose finds the ways by which the outside reaches the pods.
func (b *builder) expose() error {
	for _, s := range b.services {
		s.node = b.behind(s)
		b.service(s)
	}
	for i := range b.pods {
		for _, c := range b.pods[i].ports {
			if c.HostPort != 0 {
				b.exposed(b.pods[i].node, Exposure{By: "hostPort", Port: int(c.HostPort)})
			}
		}
	}
	for _, r := range b.routes {
		if err := b.route(r); err != nil {
			return fmt.Errorf("%s: %s: %w", b.nodes[r.node].Release, r.object.Ref, err)
		}
	}
	for i := range b.nodes {
		list := b.nodes[i].Exposed
		slices.SortFunc(list, compareExposures)
		b.nodes[i].Exposed = slices.CompactFunc(list, func(a, b Exposure) bool { return compareExposures(a, b) == 0 })
	}
	return nil
}

func compareExposures(a, b Exposure) int {
	return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Path, b.Path), cmp.Compare(a.By, b.By), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Port, b.Port))
}

func (b *builder) exposed(node int, e Exposure) {
	b.nodes[node].Exposed = append(b.nodes[node].Exposed, e)
}

// behind gives the node whose pods a Service leads to, or its own where it leads
// to none.
func (b *builder) behind(s *service) int {
	if len(s.spec.Selector) > 0 {
		p := peer{namespace: s.namespace, pods: labels.SelectorFromSet(s.spec.Selector)}
		if found := b.find(p); len(found) > 0 {
			return b.pods[found[0]].node
		}
	}
	return s.node
}

// service notes the ports that a Service opens by itself.
func (b *builder) service(s *service) {
	for _, p := range s.spec.Ports {
		e := Exposure{By: string(s.spec.Type), Object: s.name}
		switch s.spec.Type {
		case corev1.ServiceTypeNodePort:
			e.Port = int(p.NodePort)
			b.exposed(s.node, e)
		case corev1.ServiceTypeLoadBalancer:
			e.Port = int(p.Port)
			b.exposed(s.node, e)
		}
		for _, ip := range s.spec.ExternalIPs {
			b.exposed(s.node, Exposure{By: "externalIPs", Object: s.name, Host: ip, Port: int(p.Port)})
		}
	}
}

// lead notes that an object leads from hosts to a Service; a name with dots is
// one of another namespace.
func (b *builder) lead(r route, service, namespace string, hosts []string, e Exposure) {
	name, rest, _ := strings.Cut(service, ".")
	if rest != "" {
		namespace, _, _ = strings.Cut(rest, ".")
	}
	node := r.node
	if s := b.services[cmp.Or(namespace, r.namespace)+"/"+name]; s != nil {
		node = s.node
	}
	e.By, e.Object = r.object.Ref.Kind, r.object.Ref.Name
	if len(hosts) == 0 {
		hosts = []string{"*"}
	}
	for _, e.Host = range hosts {
		b.exposed(node, e)
	}
}

func (b *builder) route(r route) error {
	switch r.object.Ref.Kind {
	case "Ingress":
		return b.ingress(r)
	case "VirtualService":
		return b.virtualService(r)
	}
	return b.gatewayRoute(r)
}

func (b *builder) ingress(r route) error {
	var spec networkingv1.IngressSpec
	if err := into(at(r.object.Fields, "spec"), &spec); err != nil {
		return err
	}
	var through []string
	if spec.IngressClassName != nil {
		through = []string{*spec.IngressClassName}
	}
	secured := func(host string) bool {
		return slices.ContainsFunc(spec.TLS, func(t networkingv1.IngressTLS) bool { return len(t.Hosts) == 0 || slices.Contains(t.Hosts, host) })
	}
	if s := spec.DefaultBackend; s != nil && s.Service != nil {
		b.lead(r, s.Service.Name, "", nil, Exposure{TLS: len(spec.TLS) > 0, Through: through})
	}
	for _, rule := range spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for _, p := range rule.HTTP.Paths {
			if p.Backend.Service == nil {
				continue
			}
			var hosts []string
			if rule.Host != "" {
				hosts = []string{rule.Host}
			}
			b.lead(r, p.Backend.Service.Name, "", hosts, Exposure{Path: below(p.Path), TLS: secured(rule.Host), Through: through})
		}
	}
	return nil
}

// below gives a path that is not the whole host.
func below(path string) string { return unless(path, "/") }

// reference is how Gateway API names another object.
type reference struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

// gatewayRoute reads what the routes of Gateway API have in common.
func (b *builder) gatewayRoute(r route) error {
	var spec struct {
		ParentRefs []reference `json:"parentRefs"`
		Hostnames  []string    `json:"hostnames"`
		Rules      []struct {
			Matches []struct {
				Path *struct {
					Value string `json:"value"`
				} `json:"path"`
			} `json:"matches"`
			BackendRefs []reference `json:"backendRefs"`
		} `json:"rules"`
	}
	if err := into(at(r.object.Fields, "spec"), &spec); err != nil {
		return err
	}
	var through []string
	for _, p := range spec.ParentRefs {
		through = append(through, strings.TrimPrefix(p.Namespace+"/"+p.Name, "/"))
	}
	for _, rule := range spec.Rules {
		paths := []string{}
		for _, m := range rule.Matches {
			if m.Path != nil {
				paths = append(paths, below(m.Path.Value))
			}
		}
		if len(paths) == 0 {
			paths = append(paths, "")
		}
		for _, backend := range rule.BackendRefs {
			for _, p := range paths {
				b.lead(r, backend.Name, backend.Namespace, spec.Hostnames, Exposure{Path: p, Through: through})
			}
		}
	}
	return nil
}

// virtualService reads Istio's route. One that is for the mesh alone exposes
// nothing.
func (b *builder) virtualService(r route) error {
	type destination struct {
		Destination struct {
			Host string `json:"host"`
		} `json:"destination"`
	}
	type leg struct {
		Match []struct {
			URI map[string]string `json:"uri"`
		} `json:"match"`
		Route []destination `json:"route"`
	}
	var spec struct {
		Hosts    []string `json:"hosts"`
		Gateways []string `json:"gateways"`
		HTTP     []leg    `json:"http"`
		TLS      []leg    `json:"tls"`
		TCP      []leg    `json:"tcp"`
	}
	fields := at(r.object.Fields, "spec")
	// Matches of TLS and TCP are about other things than paths.
	if err := into(fields, &spec); err != nil {
		return err
	}
	through := slices.DeleteFunc(spec.Gateways, func(name string) bool { return name == "mesh" })
	if len(through) == 0 {
		return nil
	}
	for _, l := range slices.Concat(spec.HTTP, spec.TLS, spec.TCP) {
		paths := []string{}
		for _, m := range l.Match {
			for _, kind := range []string{"prefix", "exact", "regex"} {
				if text := m.URI[kind]; text != "" {
					paths = append(paths, below(text))
				}
			}
		}
		if len(paths) == 0 {
			paths = append(paths, "")
		}
		for _, d := range l.Route {
			for _, p := range paths {
				b.lead(r, d.Destination.Host, "", spec.Hosts, Exposure{Path: p, Through: through})
			}
		}
	}
	return nil
}
