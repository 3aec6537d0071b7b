package graph

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// policy is a NetworkPolicy.
type policy struct {
	namespace string
	holds     labels.Selector
	in, out   bool // it speaks of calls to the pods, and of calls from them
	ingress   []rule
	egress    []rule
}

// rule lets calls through: those of any of its peers, on any of its ports.
type rule struct {
	anybody bool
	peers   []peer
	cidrs   []networkingv1.IPBlock
	ports   []networkingv1.NetworkPolicyPort
	raw     networkingv1.NetworkPolicyEgressRule // as it stands, to know it by
	name    string                               // that the caller's values give to whom it calls
}

// peer is a choice of pods.
type peer struct {
	namespace  string // of the pods, where namespaces is nil
	namespaces labels.Selector
	pods       labels.Selector // nil is all
	text       networkingv1.NetworkPolicyPeer
}

// nameLabel is the label by which namespaces are known: the one that all have.
const nameLabel = "kubernetes.io/metadata.name"

// matches says whether a peer names pods of these labels, in this namespace.
func (p peer) matches(namespace string, have labels.Set) bool {
	if p.namespaces == nil {
		if namespace != p.namespace {
			return false
		}
	} else if !p.namespaces.Matches(labels.Set{nameLabel: namespace}) {
		return false
	}
	return p.pods == nil || p.pods.Matches(have)
}

// names says whether a peer means certain pods, and not all of a namespace.
func (p peer) names() bool { return p.pods != nil && !p.pods.Empty() }

func (b *builder) policy(namespace string, fields map[string]any) error {
	var spec networkingv1.NetworkPolicySpec
	if err := into(at(fields, "spec"), &spec); err != nil {
		return err
	}
	holds, err := metav1.LabelSelectorAsSelector(&spec.PodSelector)
	if err != nil {
		return err
	}
	p := policy{namespace: namespace, holds: holds, in: spec.PolicyTypes == nil, out: spec.PolicyTypes == nil && len(spec.Egress) > 0}
	for _, t := range spec.PolicyTypes {
		p.in = p.in || t == networkingv1.PolicyTypeIngress
		p.out = p.out || t == networkingv1.PolicyTypeEgress
	}
	for _, r := range spec.Ingress {
		if err := p.add(&p.ingress, networkingv1.NetworkPolicyEgressRule{To: r.From, Ports: r.Ports}); err != nil {
			return err
		}
	}
	for _, r := range spec.Egress {
		if err := p.add(&p.egress, r); err != nil {
			return err
		}
	}
	b.policies = append(b.policies, p)
	return nil
}

func (p *policy) add(rules *[]rule, raw networkingv1.NetworkPolicyEgressRule) error {
	r := rule{anybody: len(raw.To) == 0, ports: raw.Ports, raw: raw}
	for _, to := range raw.To {
		if to.IPBlock != nil {
			r.cidrs = append(r.cidrs, *to.IPBlock)
			continue
		}
		next := peer{namespace: p.namespace, text: to}
		var err error
		if to.NamespaceSelector != nil {
			if next.namespaces, err = metav1.LabelSelectorAsSelector(to.NamespaceSelector); err != nil {
				return err
			}
		}
		if to.PodSelector != nil {
			if next.pods, err = metav1.LabelSelectorAsSelector(to.PodSelector); err != nil {
				return err
			}
		}
		r.peers = append(r.peers, next)
	}
	*rules = append(*rules, r)
	return nil
}

// lets says whether a rule lets calls through between its policy's pods and
// these. Address ranges are about what is outside of the cluster.
func (r rule) lets(namespace string, have labels.Set) bool {
	return r.anybody || slices.ContainsFunc(r.peers, func(p peer) bool { return p.matches(namespace, have) })
}

// hold finds which policies hold which pods.
func (b *builder) hold() {
	b.index = map[string][]int{}
	inside := map[string][]int{} // pods by namespace
	for i, p := range b.pods {
		for key, value := range p.labels {
			b.index[key+"="+value] = append(b.index[key+"="+value], i)
		}
		inside[p.namespace] = append(inside[p.namespace], i)
	}
	for i := range b.policies {
		p := &b.policies[i]
		candidates := inside[p.namespace]
		if key, ok := pick(p.holds); ok {
			candidates = b.index[key]
		}
		for _, n := range candidates {
			held := &b.pods[n]
			if held.hostNetwork || held.namespace != p.namespace || !p.holds.Matches(held.labels) {
				continue
			}
			if p.in {
				held.in = append(held.in, p.ingress)
			}
			if p.out {
				held.out = append(held.out, p.egress)
				p.christen(b.names[held.node])
			}
		}
	}
}

// christen gives the names in a caller's values to the rules that they were made
// to: a rule is known by what it says, and each name is given once.
func (p *policy) christen(names []named) {
	given := make([]bool, len(names))
	for i := range p.egress {
		r := &p.egress[i]
		for j, n := range names {
			if r.name == "" && !given[j] && n.means(r.raw) {
				r.name, given[j] = n.Name, true
			}
		}
	}
}

// means says whether a rule is what the generator writes for a name.
func (n named) means(r networkingv1.NetworkPolicyEgressRule) bool {
	var to []networkingv1.NetworkPolicyPeer
	switch {
	case len(n.To) > 0:
		to = n.To
	case len(n.PodLabels) > 0:
		p := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: n.PodLabels}}
		if n.Namespace != "" {
			p.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{nameLabel: n.Namespace}}
		}
		to = append(to, p)
	default:
		for _, cidr := range n.CIDRs {
			to = append(to, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: cidr}})
		}
	}
	return equality.Semantic.DeepEqual(to, r.To) && equality.Semantic.DeepEqual(n.Ports, r.Ports)
}

// pick gives a label that all whom a selector chooses have.
func pick(s labels.Selector) (string, bool) {
	requirements, _ := s.Requirements()
	for _, r := range requirements {
		if values := r.ValuesUnsorted(); len(values) == 1 && (r.Operator() == "=" || r.Operator() == "==" || r.Operator() == "in") {
			return r.Key() + "=" + values[0], true
		}
	}
	return "", false
}

// find gives the pods that a peer names.
func (b *builder) find(p peer) []int {
	var out []int
	look := func(i int) {
		if p.matches(b.pods[i].namespace, b.pods[i].labels) {
			out = append(out, i)
		}
	}
	if key, ok := pick(p.pods); ok {
		for _, i := range b.index[key] {
			look(i)
		}
		return out
	}
	for i := range b.pods {
		look(i)
	}
	return out
}

// friendLabel is what the pods of a friend's callers carry, before its name.
const friendLabel = "friend.kai/"

// meet finds the pods of the context that may call one another: those that the
// policy of one side names, or that say they are friends.
func (b *builder) meet() {
	type pair struct{ from, to int }
	pairs := map[pair]bool{} // and whether the caller says that it is a friend
	meet := func(from, to int, friend bool) { pairs[pair{from, to}] = pairs[pair{from, to}] || friend }
	as := map[pair]string{}
	for i, p := range b.pods {
		for _, rules := range p.out {
			for _, r := range rules {
				for _, to := range r.peers {
					if !to.names() {
						continue
					}
					for _, other := range b.find(to) {
						meet(i, other, r.name != "")
						as[pair{i, other}] = cmp.Or(as[pair{i, other}], r.name)
					}
				}
			}
		}
		for _, rules := range p.in {
			for _, r := range rules {
				for _, from := range r.peers {
					if !from.names() {
						continue
					}
					for _, other := range b.find(from) {
						meet(other, i, false)
					}
				}
			}
		}
		for key := range p.labels {
			if name, ok := strings.CutPrefix(key, friendLabel); ok {
				for _, other := range b.index["app.kubernetes.io/name="+name] {
					meet(i, other, true)
				}
			}
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(pairs), func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	}) {
		from, to := &b.pods[p.from], &b.pods[p.to]
		open := meetSpans(through(from.out, to, to), through(to.in, from, to))
		if len(open) == 0 && !pairs[p] {
			continue
		}
		e := b.edge(from.node, to.node)
		e.spans = append(e.spans, open...)
		// What listens on no port has nothing that could be blocked.
		e.Blocked = len(e.spans) == 0 && len(to.ports) > 0
		e.As = cmp.Or(e.As, as[p])
	}
}

// edge gives the edge between two nodes, which it makes where there is none.
func (b *builder) edge(from, to int) *Edge {
	e := b.edges[[2]int{from, to}]
	if e == nil {
		e = &Edge{From: from, To: to}
		b.edges[[2]int{from, to}] = e
	}
	return e
}

// through gives the ports of a pod that is called which the rules of one side's
// policies open to or from a peer. Where no policy holds, all are open.
func through(policies [][]rule, peer, called *pod) []span {
	if len(policies) == 0 {
		return []span{every}
	}
	var out []span
	for _, r := range slices.Concat(policies...) {
		if r.lets(peer.namespace, peer.labels) {
			out = append(out, spansOf(r.ports, called.ports)...)
		}
	}
	return out
}

// span is a range of ports of a protocol; without a protocol it is of all.
type span struct {
	protocol  string
	from, to  int
	portNamed string // a port of a pod that is not known
}

const lastPort = 65535

var every = span{from: 0, to: lastPort}

// spansOf gives the ports that a rule opens on a pod with these ports.
func spansOf(ports []networkingv1.NetworkPolicyPort, have []corev1.ContainerPort) []span {
	if len(ports) == 0 {
		return []span{every}
	}
	var out []span
	for _, p := range ports {
		s := span{protocol: "TCP", from: 0, to: lastPort}
		if p.Protocol != nil {
			s.protocol = string(*p.Protocol)
		}
		switch {
		case p.Port == nil:
		case p.Port.Type == intstr.String:
			for _, c := range have {
				if c.Name == p.Port.StrVal && cmp.Or(string(c.Protocol), "TCP") == s.protocol {
					s.from, s.to = int(c.ContainerPort), int(c.ContainerPort)
					out = append(out, s)
				}
			}
			if have == nil {
				out = append(out, span{protocol: s.protocol, portNamed: p.Port.StrVal})
			}
			continue
		default:
			s.from, s.to = p.Port.IntValue(), p.Port.IntValue()
			if p.EndPort != nil {
				s.to = int(*p.EndPort)
			}
		}
		out = append(out, s)
	}
	return out
}

// meetSpans gives what two lists of ports have in common.
func meetSpans(a, b []span) []span {
	var out []span
	for _, x := range a {
		for _, y := range b {
			s := span{protocol: cmp.Or(x.protocol, y.protocol), from: max(x.from, y.from), to: min(x.to, y.to)}
			if s.from <= s.to && (x.protocol == "" || y.protocol == "" || x.protocol == y.protocol) {
				out = append(out, s)
			}
		}
	}
	return out
}

// portsOf gives ports as they are printed, in order and each once.
func portsOf(spans []span) []string {
	var out []string
	for i, s := range spans {
		covered := false
		for j, other := range spans {
			covered = covered || other.covers(s) && (!s.covers(other) || j < i)
		}
		if !covered {
			out = append(out, s.String())
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(cmp.Compare(number(a), number(b)), cmp.Compare(a, b))
	})
	return out
}

// covers says whether all ports of another span are of this one.
func (s span) covers(other span) bool {
	return s.portNamed == other.portNamed && s.from <= other.from && s.to >= other.to && (s.protocol == "" || s.protocol == other.protocol)
}

// number gives the number that a port begins with.
func number(port string) int {
	end := strings.IndexFunc(port, func(r rune) bool { return r < '0' || r > '9' })
	n, err := strconv.Atoi(port[:max(end, 0)])
	if err != nil {
		return lastPort + 1
	}
	return n
}

// String gives ports as they are printed: 80/TCP, 8000-8100/UDP, all/TCP, all.
func (s span) String() string {
	var port string
	switch {
	case s.portNamed != "":
		port = s.portNamed
	case s.from == 0 && s.to == lastPort:
		port = AllPorts
	case s.from == s.to:
		port = strconv.Itoa(s.from)
	default:
		port = strconv.Itoa(s.from) + "-" + strconv.Itoa(s.to)
	}
	if s.protocol != "" {
		port += "/" + s.protocol
	}
	return port
}
