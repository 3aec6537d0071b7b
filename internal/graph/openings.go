package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// opened are the openings of a node, each peer once.
type opened map[openedTo][]span

type openedTo struct {
	peer Peer
	name string
}

func (o opened) add(peer Peer, name string, ports []span) {
	to := openedTo{peer, name}
	o[to] = append(o[to], ports...)
}

// list gives openings in order: those that are open to most come first.
func (o opened) list() []Opening {
	var out []Opening
	for to, ports := range o {
		out = append(out, Opening{Peer: to.peer, Name: to.name, Ports: portsOf(ports), Open: slices.Contains(wide, to.peer)})
	}
	slices.SortFunc(out, func(a, b Opening) int {
		return cmp.Or(cmp.Compare(slices.Index(peers, a.Peer), slices.Index(peers, b.Peer)), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// wide are the peers that are more than anybody has named.
var wide = []Peer{Everything, Anybody, Internet, Anywhere, Cluster}

var peers = append(slices.Clone(wide), Namespace, Addresses, Pods, DNS)

// openings finds what the policies of pods let in and out beyond the pods of the
// context.
func (b *builder) openings() {
	in, out := map[int]opened{}, map[int]opened{}
	for i := range b.pods {
		p := &b.pods[i]
		if in[p.node] == nil {
			in[p.node], out[p.node] = opened{}, opened{}
		}
		if len(p.in) == 0 {
			in[p.node].add(Everything, "", []span{every})
		}
		if len(p.out) == 0 {
			out[p.node].add(Everything, "", []span{every})
		}
		for _, r := range slices.Concat(p.in...) {
			b.incoming(in[p.node], p, r)
		}
		for _, r := range slices.Concat(p.out...) {
			b.outgoing(out[p.node], p, r)
		}
	}
	for node := range in {
		b.nodes[node].Callers, b.nodes[node].Calls = in[node].list(), out[node].list()
	}
	for i := range b.pods {
		n := &b.nodes[b.pods[i].node]
		for _, c := range b.pods[i].ports {
			port := span{protocol: cmp.Or(string(c.Protocol), string(corev1.ProtocolTCP)), from: int(c.ContainerPort), to: int(c.ContainerPort)}
			if !slices.Contains(n.Ports, port.String()) {
				n.Ports = append(n.Ports, port.String())
			}
		}
		sortPorts(n.Ports)
	}
}

// incoming notes the callers of a rule that are no pods of the context.
func (b *builder) incoming(in opened, p *pod, r rule) {
	ports := spansOf(r.ports, p.ports)
	if r.anybody {
		in.add(Anybody, "", ports)
	}
	if len(r.cidrs) > 0 {
		peer, name := addresses(r.cidrs)
		in.add(peer, name, ports)
	}
	for _, from := range r.peers {
		switch {
		case !from.names():
			peer, name := from.whole()
			in.add(peer, name, ports)
		case len(b.find(from)) == 0 && !ofFriends(from.pods):
			in.add(Pods, from.String(), ports)
		}
	}
}

// outgoing notes whom a rule lets pods call that are no pods of the context. What
// has a name, an address of its own or labels becomes a node outside.
func (b *builder) outgoing(out opened, p *pod, r rule) {
	ports := spansOf(r.ports, nil)
	switch {
	case r.anybody && r.name != "":
		b.call(p.node, Node{Name: r.name}, ports).Open = true
	case r.anybody:
		out.add(Anybody, "", ports)
	}
	if len(r.cidrs) > 0 {
		peer, name := addresses(r.cidrs)
		if peer == Addresses {
			b.call(p.node, Node{Name: cmp.Or(r.name, name), Addresses: blocks(r.cidrs)}, ports)
		} else {
			out.add(peer, cmp.Or(unless(r.name, string(peer)), name), ports)
		}
	}
	for _, to := range r.peers {
		switch {
		case !to.names():
			peer, name := to.whole()
			if peer == Cluster && isDNS(r.ports) {
				peer = DNS
			}
			out.add(peer, name, ports)
		case len(b.find(to)) > 0:
		case isDNS(r.ports):
			out.add(DNS, to.String(), ports)
		default:
			b.call(p.node, Node{Name: cmp.Or(r.name, to.String()), Namespace: to.inNamespace()}, ports)
		}
	}
}

// unless gives a text that is not another.
func unless(text, other string) string {
	if text == other {
		return ""
	}
	return text
}

// call gives the edge to a node outside, which it makes where there is none that
// is the same.
func (b *builder) call(from int, n Node, ports []span) *Edge {
	n.Kind = Outside
	key := fmt.Sprintf("%q %q %q", n.Name, n.Namespace, n.Addresses)
	to, ok := b.outside[key]
	if !ok {
		to = len(b.nodes)
		b.nodes = append(b.nodes, n)
		b.outside[key] = to
	}
	e := b.edge(from, to)
	e.As, e.spans = n.Name, append(e.spans, ports...)
	return e
}

// addresses says what some ranges of addresses are together.
func addresses(cidrs []networkingv1.IPBlock) (Peer, string) {
	for _, c := range cidrs {
		if !strings.HasSuffix(c.CIDR, "/0") {
			continue
		}
		switch {
		case len(c.Except) == 0:
			return Anywhere, ""
		case !slices.Contains(c.Except, "10.0.0.0/8") && !slices.Contains(c.Except, "fc00::/7"):
			return Anywhere, strings.Join(blocks(cidrs), ", ")
		}
		for _, other := range cidrs {
			if strings.HasSuffix(other.CIDR, "/0") && len(other.Except) == 0 {
				return Anywhere, ""
			}
		}
		return Internet, ""
	}
	return Addresses, strings.Join(blocks(cidrs), ", ")
}

// blocks gives ranges of addresses as text.
func blocks(cidrs []networkingv1.IPBlock) []string {
	var out []string
	for _, c := range cidrs {
		text := c.CIDR
		if len(c.Except) > 0 {
			text += " but " + strings.Join(c.Except, ", ")
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// isDNS says whether ports are those of DNS alone.
func isDNS(ports []networkingv1.NetworkPolicyPort) bool {
	return len(ports) > 0 && !slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		return p.Port == nil || p.EndPort != nil || *p.Port != intstr.FromInt32(53) && *p.Port != intstr.FromString("dns")
	})
}

// ofFriends says whether a selector chooses the callers of a friend, whom nobody
// needs to be told of where there are none.
func ofFriends(s labels.Selector) bool {
	requirements, _ := s.Requirements()
	return !slices.ContainsFunc(requirements, func(r labels.Requirement) bool { return !strings.HasPrefix(r.Key(), friendLabel) })
}

// whole says what a peer is that chooses all pods of namespaces.
func (p peer) whole() (Peer, string) {
	switch {
	case p.namespaces == nil:
		return Namespace, p.namespace
	case p.namespaces.Empty():
		return Cluster, ""
	}
	return Namespace, namespaceNames(p.text.NamespaceSelector)
}

// inNamespace gives the namespaces of a peer's pods, or "" where it may be any.
func (p peer) inNamespace() string {
	switch {
	case p.namespaces == nil:
		return p.namespace
	case p.namespaces.Empty():
		return ""
	}
	return namespaceNames(p.text.NamespaceSelector)
}

// namespaceNames gives the names of the namespaces that a selector chooses, or
// the selector where it chooses by something else.
func namespaceNames(s *metav1.LabelSelector) string {
	switch {
	case len(s.MatchLabels) == 1 && s.MatchLabels[nameLabel] != "" && len(s.MatchExpressions) == 0:
		return s.MatchLabels[nameLabel]
	case len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 1 && s.MatchExpressions[0].Key == nameLabel && s.MatchExpressions[0].Operator == metav1.LabelSelectorOpIn:
		return strings.Join(slices.Sorted(slices.Values(s.MatchExpressions[0].Values)), ", ")
	}
	return metav1.FormatLabelSelector(s)
}

// String names the pods of a peer by their labels.
func (p peer) String() string { return metav1.FormatLabelSelector(p.text.PodSelector) }

// sortPorts puts ports in the order of their numbers.
func sortPorts(ports []string) {
	slices.SortFunc(ports, func(a, b string) int {
		return cmp.Or(cmp.Compare(number(a), number(b)), cmp.Compare(a, b))
	})
}
