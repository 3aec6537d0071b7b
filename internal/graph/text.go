package graph

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// textWidth is how long a line of text may become before it is folded.
const textWidth = 100

// writeText prints graphs for people: the order of installation, then each node
// with those around it, then what is open.
func writeText(w io.Writer, graphs []*Graph) error {
	var out bytes.Buffer
	for i, g := range graphs {
		if i > 0 {
			out.WriteByte('\n')
		}
		g.text(&out)
	}
	_, err := w.Write(out.Bytes())
	return err
}

func (g *Graph) text(out *bytes.Buffer) {
	fmt.Fprintln(out, printable(g.Title()))
	if len(g.Nodes) == 0 {
		return
	}
	fmt.Fprintln(out, "\norder of installation")
	for i, wave := range g.Waves {
		if len(wave) > 0 {
			fold(out, "  "+strconv.Itoa(i+1)+"  ", wave)
		}
	}
	for i, n := range g.Nodes {
		fmt.Fprintf(out, "\n%s  (%s)\n", printable(n.Name), printable(g.about(n)))
		needs, neededBy := g.ordered(i)
		section(out, "calls", g.called(i))
		section(out, "needs", needs)
		section(out, "called by", g.callers(i))
		section(out, "needed by", neededBy)
		var ways []string
		for _, e := range n.Exposed {
			ways = append(ways, e.words())
		}
		section(out, "exposed at", ways)
	}
	fmt.Fprintln(out, "\nopen to more than is named, or closed")
	none := true
	for i, n := range g.Nodes {
		for _, flag := range g.flags(i) {
			fold(out, "  ", []string{n.Name + ": " + flag})
			none = false
		}
	}
	if none {
		fmt.Fprintln(out, "  nothing")
	}
}

// about says what a node is, and where, if that is not where all are.
func (g *Graph) about(n Node) string {
	text := n.kindWords()
	if n.Namespace != "" && n.Namespace != g.home() {
		text += ", namespace " + n.Namespace
	}
	if len(n.Addresses) > 0 && n.Addresses[0] != n.Name {
		text += ", " + strings.Join(n.Addresses, ", ")
	}
	return text
}

// home gives the namespace that most nodes are in.
func (g *Graph) home() string {
	count := map[string]int{}
	home := ""
	for _, n := range g.Nodes {
		count[n.Namespace]++
		if n.Kind != Outside && (count[n.Namespace] > count[home] || home == "") {
			home = n.Namespace
		}
	}
	return home
}

// called lists whom a node may call.
func (g *Graph) called(i int) []string {
	var out []string
	for _, e := range g.Edges {
		if e.From != i || e.orders() {
			continue
		}
		text := g.Nodes[e.To].Name
		if e.As != "" {
			text += " as " + e.As
		}
		if text += e.portsText(); e.To == i {
			text = "its own pods" + e.portsText()
		}
		if e.Needs && g.Nodes[e.To].Kind != Requirement {
			text += " (needed)"
		}
		out = append(out, text)
	}
	for _, o := range g.Nodes[i].Calls {
		if o.Peer != DNS {
			out = append(out, o.words()+" "+short(o.Ports))
		}
	}
	return out
}

// ordered lists what a node needs and does not call, and what needs it and does
// not call it.
func (g *Graph) ordered(i int) (needs, neededBy []string) {
	for _, e := range g.Edges {
		switch {
		case !e.orders():
		case e.From == i:
			needs = append(needs, g.Nodes[e.To].Name)
		case e.To == i:
			neededBy = append(neededBy, g.Nodes[e.From].Name)
		}
	}
	return needs, neededBy
}

// callers lists who may call a node.
func (g *Graph) callers(i int) []string {
	var out []string
	for _, e := range g.Edges {
		if e.To == i && e.From != i && !e.orders() {
			out = append(out, g.Nodes[e.From].Name+e.portsText())
		}
	}
	for _, o := range g.Nodes[i].Callers {
		out = append(out, o.words()+" "+short(o.Ports))
	}
	return out
}

// orders says that an edge is about the order of installation alone.
func (e Edge) orders() bool { return e.Needs && len(e.Ports) == 0 && !e.Blocked }

// portsText gives an edge's ports after a name, or why there are none.
func (e Edge) portsText() string {
	switch {
	case e.Blocked:
		return " (closed)"
	case e.orders():
		return ""
	case len(e.Ports) == 0:
		return " (no port)"
	}
	return " " + short(e.Ports)
}

// section prints a heading and what stands below it, if there is anything.
func section(out *bytes.Buffer, heading string, items []string) {
	if len(items) > 0 {
		fold(out, fmt.Sprintf("  %-12s", heading), items)
	}
}

// fold prints items behind a heading, on as many lines as they take.
func fold(out *bytes.Buffer, heading string, items []string) {
	out.WriteString(heading)
	indent := utf8.RuneCountInString(heading)
	at := indent
	for i, item := range items {
		item = printable(item)
		if i < len(items)-1 {
			item += ","
		}
		n := utf8.RuneCountInString(item)
		switch {
		case at == indent:
		case at+1+n > textWidth:
			out.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			out.WriteByte(' ')
			at++
		}
		out.WriteString(item)
		at += n
	}
	out.WriteByte('\n')
}

// printable takes what would move a terminal's cursor out of a text.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(text, string(utf8.RuneError)))
}
