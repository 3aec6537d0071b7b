package graph

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// format is a way to print graphs.
type format struct {
	name  string
	write func(w io.Writer, graphs []*Graph) error
}

func formats() []format {
	return []format{{"text", writeText}, {"mermaid", writeMermaid}, {"dot", writeDOT}, {"svg", writeSVG}, {"json", writeJSON}}
}

// Formats lists what Write takes, the usual one first.
func Formats() []string {
	var names []string
	for _, f := range formats() {
		names = append(names, f.name)
	}
	return names
}

// Write prints graphs: below one another as text and svg, as parts of one drawing
// for mermaid and dot, as a list for json. The same graphs give the same bytes. It
// fails for an unknown format, and where w does.
func Write(w io.Writer, name string, graphs []*Graph) error {
	for _, f := range formats() {
		if f.name == name {
			return f.write(w, graphs)
		}
	}
	return fmt.Errorf("%q is no format\n  hint: known: %s", name, strings.Join(Formats(), ", "))
}

// short gives ports as they are written beside a name: TCP goes without saying.
func short(ports []string) string {
	var out []string
	for _, p := range ports {
		protocol, ofAll := strings.CutPrefix(p, AllPorts+"/")
		switch {
		case p == AllPorts:
			out = append(out, "all ports")
		case ofAll:
			out = append(out, "all ports of "+protocol)
		default:
			out = append(out, ":"+strings.TrimSuffix(p, "/TCP"))
		}
	}
	return strings.Join(out, " ")
}

// words says what an opening is open to.
func (o Opening) words() string {
	var text string
	switch o.Peer {
	case Everything, Anybody:
		text = "everybody"
	case Internet:
		text = "the internet"
	case Anywhere:
		text = "every address"
	case Cluster:
		text = "every pod of the cluster"
	case Namespace:
		text = "namespace " + o.Name
		if strings.ContainsAny(o.Name, ",=") {
			text = "namespaces " + o.Name
		}
	case Pods:
		text = "pods with " + o.Name
	case Addresses, DNS:
		text = cmp.Or(o.Name, string(o.Peer))
	}
	switch {
	case o.Name == "":
	case o.Peer == Anywhere && strings.Contains(o.Name, "/"):
		text = o.Name
	case o.Peer == Anywhere || o.Peer == Internet || o.Peer == Cluster:
		text += " (for " + o.Name + ")"
	}
	return text
}

// kindWords say what a node is.
func (n Node) kindWords() string {
	switch n.Kind {
	case Requirement:
		return "requirement of " + n.Release
	case Dependency:
		return "shared friend"
	case Outside:
		return "outside"
	}
	return string(n.Kind)
}

// words says how the outside reaches a node.
func (e Exposure) words() string {
	text := e.address() + " (" + e.By
	if e.TLS {
		text += ", TLS"
	}
	if len(e.Through) > 0 {
		text += " through " + strings.Join(e.Through, ", ")
	}
	return text + ")"
}

// address gives where the outside finds a node.
func (e Exposure) address() string {
	switch {
	case e.Port != 0 && e.Host != "":
		return fmt.Sprintf("%s:%d", e.Host, e.Port)
	case e.Port != 0:
		return fmt.Sprintf("port %d", e.Port)
	case e.Host == "*":
		return "every host" + e.Path
	case e.Host == "":
		return "a port of the cluster's choice"
	}
	return e.Host + e.Path
}

// flags lists what is open at a node to more than anybody has named, or closed
// that should not be, in words.
func (g *Graph) flags(i int) []string {
	n := g.Nodes[i]
	var out []string
	in := slices.ContainsFunc(n.Callers, func(o Opening) bool { return o.Peer == Everything })
	to := slices.ContainsFunc(n.Calls, func(o Opening) bool { return o.Peer == Everything })
	switch {
	case in && to:
		out = append(out, "no network policy: may call everybody, and everybody may call it")
	case in:
		out = append(out, "no policy for callers: everybody may call it")
	case to:
		out = append(out, "no policy for its calls: may call everybody")
	}
	for _, o := range n.Callers {
		if o.Open && o.Peer != Everything {
			out = append(out, fmt.Sprintf("%s may call it on %s", o.words(), short(o.Ports)))
		}
	}
	for _, o := range n.Calls {
		if o.Open && o.Peer != Everything {
			out = append(out, fmt.Sprintf("may call %s on %s", o.words(), short(o.Ports)))
		}
	}
	for _, e := range g.Edges {
		switch {
		case e.From != i:
		case e.Open:
			out = append(out, fmt.Sprintf("may call every address on %s, for want of the address of %s", short(e.Ports), g.Nodes[e.To].Name))
		case e.Blocked:
			out = append(out, fmt.Sprintf("cannot call its friend %s: the policies have no port in common", g.Nodes[e.To].Name))
		}
	}
	return out
}
