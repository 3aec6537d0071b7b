// Package graph is who talks to whom in a context: its services and their
// friends, what is installed before what, which ports are open between them,
// and what is open to the outside.
//
// It reads rendered objects and nothing else: what a NetworkPolicy does not say is
// not in a graph, and a friend that a policy keeps out is shown as kept out. It
// asks no cluster, reads no file and prints no secret: of the objects it takes
// names, labels, ports and addresses.
package graph

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/manifest"
)

// Input is a context as it is rendered.
type Input struct {
	Context  string
	Releases []Release
}

// Release is a release and its objects.
type Release struct {
	Name      string
	Shared    bool   // it is a friend of several, and no service
	Namespace string // that it is installed into
	Labels    map[string]string
	Needs     []string // releases that are installed before
	Objects   []manifest.Object
	// Values are the values.yaml of its chart and, by name, of the charts in it
	// (the chart's own is under ""). Of these only the names that callers give to
	// whom they call are read: an object has no room for them.
	Values map[string][]byte
}

// Graph is a context: its boxes and the ways between them.
type Graph struct {
	Context string `json:"context"`
	// Waves are the releases in the order of installation: those of a wave need
	// only what is in the waves before.
	Waves [][]string `json:"waves"`
	Nodes []Node     `json:"nodes"`
	Edges []Edge     `json:"edges"`
}

// Kind says what a node is.
type Kind string

// A service has its requirements in its own release; a dependency is a release
// that several share. What is outside is no part of the context.
const (
	Service     Kind = "service"
	Requirement Kind = "requirement"
	Dependency  Kind = "dependency"
	Outside     Kind = "outside"
)

// Node is a service, a friend, or something outside that a policy names.
type Node struct {
	Name      string `json:"name"`
	Kind      Kind   `json:"kind"`
	Release   string `json:"release,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	// Wave is the number of its release's wave, from 1.
	Wave int `json:"wave,omitempty"`
	// Ports are those that its containers name.
	Ports []string `json:"ports,omitempty"`
	// Addresses are those of what is outside, or nothing where any will do.
	Addresses []string `json:"addresses,omitempty"`
	// Exposed are the ways by which the outside reaches it.
	Exposed []Exposure `json:"exposed,omitempty"`
	// Callers and Calls are what its policies let in and out beyond the edges:
	// peers that are no node of the graph.
	Callers []Opening `json:"callers,omitempty"`
	Calls   []Opening `json:"calls,omitempty"`

	labels map[string]string
}

// Edge is a way from one node to another, a need, or both. Without ports there is
// no way: it is blocked, or there is only the need, or the other is a friend that
// listens on no port.
type Edge struct {
	From int `json:"-"` // index of the caller in Nodes
	To   int `json:"-"`
	// As is what the caller calls the other, where that is another name.
	As string `json:"as,omitempty"`
	// Ports are those of the other's pods that the policies of both sides open.
	Ports []string `json:"ports,omitempty"`
	// Needs says that the other is installed before, or with it.
	Needs bool `json:"needs,omitempty"`
	// Open says that the port is open to every address, for want of the other's.
	Open bool `json:"open,omitempty"`
	// Blocked says that the two are friends, and that a policy lets none through.
	Blocked bool `json:"blocked,omitempty"`

	spans []span
}

// Exposure is a way by which the outside reaches a node.
type Exposure struct {
	By     string `json:"by"` // kind of the object: Ingress, HTTPRoute, NodePort, …
	Object string `json:"object,omitempty"`
	Host   string `json:"host,omitempty"`
	Path   string `json:"path,omitempty"`
	Port   int    `json:"port,omitempty"`
	TLS    bool   `json:"tls,omitempty"`
	// Through are the gateways or the class of the ingress controller.
	Through []string `json:"through,omitempty"`
}

// Peer says what an opening is open to.
type Peer string

// The peers of openings.
const (
	Everything Peer = "everything" // no policy holds
	Anybody    Peer = "anybody"    // a rule that names no peer
	Internet   Peer = "internet"   // all addresses but private ones
	Anywhere   Peer = "anywhere"   // all addresses, but for exceptions
	Cluster    Peer = "cluster"    // all pods of the cluster
	Namespace  Peer = "namespace"  // all pods of some namespaces
	Pods       Peer = "pods"       // pods that are not in the graph
	Addresses  Peer = "addresses"
	DNS        Peer = "dns" // the cluster's pods, on the port of DNS alone
)

// Opening is a way to or from peers that are no node.
type Opening struct {
	Peer Peer `json:"peer"`
	// Name is how it is called where policies or values give it a name.
	Name  string   `json:"name,omitempty"`
	Ports []string `json:"ports"`
	// Open says that it is open to more than anybody has named.
	Open bool `json:"open,omitempty"`
}

// AllPorts stands for every port in a list of ports.
const AllPorts = "all"

// New makes the graph of a context. It fails where an object is not what its kind
// says.
func New(in Input) (*Graph, error) {
	b := &builder{
		services: map[string]*service{}, own: map[string]int{}, names: map[int][]named{},
		outside: map[string]int{}, edges: map[[2]int]*Edge{},
	}
	for i := range in.Releases {
		if err := b.release(&in.Releases[i]); err != nil {
			return nil, err
		}
	}
	b.hold()
	b.meet()
	b.openings()
	if err := b.expose(); err != nil {
		return nil, err
	}
	b.name()
	for _, r := range in.Releases {
		for _, need := range r.Needs {
			if to, ok := b.own[need]; ok {
				b.edge(b.own[r.Name], to).Needs = true
			}
		}
	}
	g := &Graph{Context: in.Context, Waves: wavesOf(in.Releases), Nodes: b.nodes}
	wave := map[string]int{}
	for i, names := range g.Waves {
		for _, name := range names {
			wave[name] = i + 1
		}
	}
	for i, n := range g.Nodes {
		g.Nodes[i].Wave = wave[n.Release]
	}
	for _, e := range b.edges {
		e.Ports = portsOf(e.spans)
		if e.As == g.Nodes[e.To].Name {
			e.As = ""
		}
		g.Edges = append(g.Edges, *e)
	}
	g.sort()
	return g, nil
}

// wavesOf orders releases so that each comes after those that it needs. Those of a
// circle, which nothing can order, come last.
func wavesOf(releases []Release) [][]string {
	left := map[string]*Release{}
	for i, r := range releases {
		left[r.Name] = &releases[i]
	}
	waves := [][]string{}
	for len(left) > 0 {
		var wave []string
		for name, r := range left {
			if !slices.ContainsFunc(r.Needs, func(need string) bool { return left[need] != nil && need != name }) {
				wave = append(wave, name)
			}
		}
		if wave == nil {
			wave = slices.Collect(maps.Keys(left))
		}
		slices.Sort(wave)
		for _, name := range wave {
			delete(left, name)
		}
		waves = append(waves, wave)
	}
	return waves
}

// rank is the order of kinds in a list of nodes.
var rank = map[Kind]int{Service: 0, Requirement: 0, Dependency: 1, Outside: 2}

// sort puts nodes and edges in the order in which they are printed: services with
// their requirements, then what is shared, then what is outside.
func (g *Graph) sort() {
	order := make([]int, len(g.Nodes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := g.Nodes[i], g.Nodes[j]
		return cmp.Or(cmp.Compare(rank[a.Kind], rank[b.Kind]), cmp.Compare(a.Release, b.Release), -cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(i, j))
	})
	g.keep(order)
}

// keep makes a graph of some of its nodes, in the order given.
func (g *Graph) keep(order []int) {
	place := map[int]int{}
	nodes := make([]Node, len(order))
	for to, from := range order {
		place[from], nodes[to] = to, g.Nodes[from]
	}
	edges := []Edge{}
	for _, e := range g.Edges {
		from, ok := place[e.From]
		to, also := place[e.To]
		if ok && also {
			e.From, e.To = from, to
			edges = append(edges, e)
		}
	}
	slices.SortFunc(edges, func(a, b Edge) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	g.Nodes, g.Edges = nodes, edges
}

// Select gives the part of a graph that is about some releases: their nodes, and
// those that they call or are called by. The numbers of waves stay.
func (g *Graph) Select(want func(labels map[string]string) bool) *Graph {
	wanted, near := make([]bool, len(g.Nodes)), make([]bool, len(g.Nodes))
	for i, n := range g.Nodes {
		wanted[i] = n.Kind != Outside && want(n.labels)
		near[i] = wanted[i]
	}
	out := &Graph{Context: g.Context, Waves: make([][]string, len(g.Waves))}
	for _, e := range g.Edges {
		if wanted[e.From] || wanted[e.To] {
			near[e.From], near[e.To] = true, true
			out.Edges = append(out.Edges, e)
		}
	}
	releases := map[string]bool{}
	var order []int
	for i, n := range g.Nodes {
		if near[i] {
			order = append(order, i)
			releases[n.Release] = true
		}
	}
	for i, wave := range g.Waves {
		out.Waves[i] = slices.DeleteFunc(slices.Clone(wave), func(name string) bool { return !releases[name] })
	}
	out.Nodes = g.Nodes
	out.keep(order)
	return out
}

// Title says in a line what the graph shows.
func (g *Graph) Title() string {
	count := map[Kind]int{}
	namespaces := map[string]bool{}
	for _, n := range g.Nodes {
		count[n.Kind]++
		if n.Kind != Outside && n.Namespace != "" {
			namespaces[n.Namespace] = true
		}
	}
	var parts []string
	for _, p := range []struct {
		kind      Kind
		one, many string
	}{
		{Service, "service", "services"}, {Requirement, "requirement", "requirements"},
		{Dependency, "shared friend", "shared friends"}, {Outside, "outside", "outside"},
	} {
		switch n := count[p.kind]; n {
		case 0:
		case 1:
			parts = append(parts, "1 "+p.one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, p.many))
		}
	}
	if parts == nil {
		parts = []string{"nothing"}
	}
	title := g.Context + ": " + strings.Join(parts, ", ")
	if len(namespaces) > 0 {
		title += ", in " + strings.Join(slices.Sorted(maps.Keys(namespaces)), ", ")
	}
	return title
}
