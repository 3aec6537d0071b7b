package kubeschema

import (
	"fmt"
	"net/netip"
	"strings"
)

func serviceSpec(c *checker, where *at, m map[string]any) {
	ports := list(m, "ports")
	external := text(m["type"]) == "ExternalName"
	headless := text(m["clusterIP"]) == "None"
	if len(ports) == 0 && !external && !headless {
		c.add(where.child("ports"), Required, "", "the field is required")
	}
	if external && text(m["externalName"]) == "" {
		c.add(where.child("externalName"), Required, "", "the field is required where the type is ExternalName")
	}
	c.unique(where.child("ports"), ports, "name")
	seen := map[string]bool{}
	for i, port := range ports {
		here := where.child("ports").item(i, port)
		if len(ports) > 1 && text(port["name"]) == "" {
			c.add(here.child("name"), Required, "", "the field is required where there are several ports")
		}
		number, _ := whole(port["port"])
		protocol := text(port["protocol"])
		if protocol == "" {
			protocol = "TCP"
		}
		k := fmt.Sprint(number, protocol)
		if seen[k] {
			c.add(here, Value, "", "port %d of %s stands there twice", number, protocol)
		}
		seen[k] = true
		kind := text(m["type"])
		if node, ok := whole(port["nodePort"]); ok && node != 0 && (kind == "" || kind == "ClusterIP") {
			c.add(here.child("nodePort"), Value, "", "may be set only where the type is NodePort or LoadBalancer")
		}
	}
	if problem := labels(m["selector"]); problem != "" {
		c.add(where.child("selector"), Value, "", "%s", problem)
	}
	if ip := text(m["clusterIP"]); ip != "" && ip != "None" {
		if problem := address(ip); problem != "" {
			c.add(where.child("clusterIP"), Value, "", "%s", problem)
		}
	}
	if kind := text(m["type"]); m["externalTrafficPolicy"] != nil && text(m["externalTrafficPolicy"]) != "" &&
		(kind == "" || kind == "ClusterIP") && m["externalIPs"] == nil {
		c.add(where.child("externalTrafficPolicy"), Value, "", "may be set only for services that are reached from outside")
	}
}

func ingressSpec(c *checker, where *at, m map[string]any) {
	if empty(m["rules"]) && m["defaultBackend"] == nil {
		c.add(where, Value, "", "must have rules or a defaultBackend")
	}
}

func ingressPath(c *checker, where *at, m map[string]any) {
	p, kind := text(m["path"]), text(m["pathType"])
	if !strings.HasPrefix(p, "/") && (p != "" || kind != "ImplementationSpecific") {
		c.add(where.child("path"), Value, "", "must begin with /")
		return
	}
	if kind == "ImplementationSpecific" {
		return
	}
	for _, part := range []string{"//", "/./", "/../", "%2f", "%2F"} {
		if strings.Contains(p, part) {
			c.add(where.child("path"), Value, "", "must not contain %q", part)
		}
	}
	if strings.HasSuffix(p, "/..") || strings.HasSuffix(p, "/.") {
		c.add(where.child("path"), Value, "", "must not end in /. or /..")
	}
}

func ingressBackend(c *checker, where *at, m map[string]any) {
	exactlyOne("service", "resource")(c, where, m)
	service := object(m, "service")
	if service == nil {
		return
	}
	if problem := label(service["name"]); problem != "" {
		c.add(where.child("service").child("name"), Value, "", "%s", problem)
	}
	port := object(service, "port")
	number, _ := whole(port["number"])
	if named := text(port["name"]) != ""; named == (number != 0) {
		c.add(where.child("service").child("port"), Value, "", "must have either a number or a name")
	}
}

func networkPolicySpec(c *checker, where *at, m map[string]any) {
	types, _ := m["policyTypes"].([]any)
	if len(types) > 2 {
		c.add(where.child("policyTypes"), Value, "", "may have two types")
	}
	for i, one := range types {
		if text(one) == "" {
			c.add(where.child("policyTypes").item(i, nil), Value, "it takes Ingress, Egress", "must not be empty")
		}
	}
}

func networkPolicyPeer(c *checker, where *at, m map[string]any) {
	if countOf(m, []string{"podSelector", "namespaceSelector", "ipBlock"}) == 0 {
		c.add(where, Required, "", "must have a podSelector, a namespaceSelector or an ipBlock")
	}
	if m["ipBlock"] != nil && (m["podSelector"] != nil || m["namespaceSelector"] != nil) {
		c.add(where, Value, "", "may not have selectors beside an ipBlock")
	}
}

// ipBlock checks that each exception is a part of the block, and not all of it.
func ipBlock(c *checker, where *at, m map[string]any) {
	block, wrong := netip.ParsePrefix(text(m["cidr"]))
	items, _ := m["except"].([]any)
	for i, item := range items {
		here := where.child("except").item(i, item)
		except, err := netip.ParsePrefix(text(item))
		switch problem := cidr(item); {
		case problem != "":
			c.add(here, Value, "", "%s", problem)
		case empty(item):
			c.add(here, Value, "", "must not be empty")
		case wrong != nil || err != nil || block.Addr().Is4In6() || except.Addr().Is4In6(): // it may be right
		case !block.Contains(except.Addr()) || except.Bits() <= block.Bits():
			c.add(here, Value, "", "must lie within %s, and be smaller", text(m["cidr"]))
		}
	}
}

func networkPolicyPort(c *checker, where *at, m map[string]any) {
	port, isNumber := whole(m["port"])
	end, ok := whole(m["endPort"])
	if s, isText := m["protocol"].(string); isText && s == "" {
		c.add(where.child("protocol"), Value, "it takes TCP, UDP, SCTP", "must not be empty")
	}
	if s, isText := m["port"].(string); isText && s == "" {
		c.add(where.child("port"), Value, "", "must not be empty")
	}
	if ok && (!isNumber || end < port || end > 65535) {
		c.add(where.child("endPort"), Value, "", "must be a port at or above the first, which must be a number")
	}
}
