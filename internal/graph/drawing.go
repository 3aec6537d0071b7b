package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// drawing is a graph as the formats for pictures have it: boxes with text in
// them, and arrows.
type drawing struct {
	title  string
	boxes  []box
	arrows []arrow
	notes  []string // what is true of so many boxes that arrows would hide the rest
}

// box stands for a node, or for a way in from outside.
type box struct {
	name  string
	kind  Kind
	group string // namespace, or one of the words below
	wave  int
	lines []line
	tip   string
}

// Groups that are no namespace.
const (
	nowhere = "in no namespace of its own"
	beyond  = "outside of the context"
)

// line is a line of text in a box.
type line struct {
	text string
	warn bool
}

// style is how an arrow is drawn.
type style int

const (
	mayCall style = iota
	needs
	order // it needs the other, and does not call it
	idle  // friends, of whom the other listens on no port
	open
	closed
)

// arrow leads from a caller to the one that is called, or from what needs to what
// is needed.
type arrow struct {
	from, to int
	label    string // its ports, or why there are none
	style    style
	tip      string
}

// link gives an arrow as the layout has it.
func (a arrow) link() link { return link{a.from, a.to, a.style == needs || a.style == order} }

// How much text a box takes before the rest is left to formats of text.
const (
	maxLines = 5
	maxRunes = 44
)

// draw makes the drawing of a graph.
func (g *Graph) draw() *drawing {
	d := &drawing{title: g.Title()}
	home := g.home()
	waves := 0
	for _, n := range g.Nodes {
		waves = max(waves, n.Wave)
	}
	for i, n := range g.Nodes {
		b := box{name: n.Name, kind: n.Kind, group: cmp.Or(n.Namespace, nowhere), tip: g.tip(i)}
		if n.Kind == Outside {
			b.group = beyond
		}
		if waves > 1 {
			b.wave = n.Wave
		}
		if n.Namespace != "" && n.Namespace != home {
			b.lines = append(b.lines, line{text: "in " + n.Namespace})
		}
		if len(n.Addresses) > 0 && n.Addresses[0] != n.Name {
			b.lines = append(b.lines, line{text: strings.Join(n.Addresses, ", ")})
		}
		b.lines = append(b.lines, g.portLines(i)...)
		for _, f := range g.marks(i) {
			b.lines = append(b.lines, line{f, true})
		}
		d.boxes = append(d.boxes, b)
	}
	for _, e := range g.Edges {
		if e.From == e.To {
			continue
		}
		a := arrow{from: e.From, to: e.To, label: short(e.Ports)}
		switch {
		case e.Blocked:
			a.style = closed
		case e.orders():
			a.style, a.label = order, "order only"
		case len(e.Ports) == 0:
			a.style, a.label = idle, "no port"
		case e.Open:
			a.style = open
		case e.Needs:
			a.style = needs
		}
		a.tip = g.Nodes[e.From].Name + " → " + g.Nodes[e.To].Name + e.portsText()
		switch {
		case a.style == order:
			a.tip += ": needed, and not called"
		case e.Needs:
			a.tip += ", needed"
		}
		d.arrows = append(d.arrows, a)
	}
	d.entries(g)
	d.note(g)
	for i := range d.boxes {
		d.boxes[i].trim()
	}
	return d
}

// groups lists the groups of a drawing, what is outside last.
func (d *drawing) groups() []string {
	var out []string
	for _, b := range d.boxes {
		if b.group != beyond && !slices.Contains(out, b.group) {
			out = append(out, b.group)
		}
	}
	if slices.ContainsFunc(d.boxes, func(b box) bool { return b.group == beyond }) {
		out = append(out, beyond)
	}
	return out
}

// trim bounds what a box says.
func (b *box) trim() {
	b.name = ellipsis(b.name)
	if len(b.lines) > maxLines {
		more := len(b.lines) - maxLines + 1
		b.lines = append(b.lines[:maxLines-1], line{fmt.Sprintf("and %d more", more), b.lines[maxLines-1].warn})
	}
	for i := range b.lines {
		b.lines[i].text = ellipsis(b.lines[i].text)
	}
}

func ellipsis(text string) string {
	text = printable(text)
	if runes := []rune(text); len(runes) > maxRunes {
		return string(runes[:maxRunes-1]) + "…"
	}
	return text
}

// portLines say on which ports a node is called. Where callers differ in that,
// each has its own line.
func (g *Graph) portLines(i int) []line {
	by := map[string][]string{}
	for _, e := range g.Edges {
		if e.To == i && e.From != i && len(e.Ports) > 0 {
			ports := short(e.Ports)
			by[ports] = append(by[ports], g.Nodes[e.From].Name)
		}
	}
	var sets []string
	for ports := range by {
		sets = append(sets, ports)
	}
	// What most callers use comes first, and needs no names.
	slices.SortFunc(sets, func(a, b string) int { return cmp.Or(cmp.Compare(len(by[b]), len(by[a])), cmp.Compare(a, b)) })
	var out []line
	for n, ports := range sets {
		text := ports
		if n > 0 {
			text += " for " + strings.Join(by[ports], ", ")
		}
		out = append(out, line{text: text})
	}
	for _, e := range g.Edges {
		if e.From == i && e.To == i && len(e.Ports) > 0 {
			out = append(out, line{text: "among its pods " + short(e.Ports)})
		}
	}
	return out
}

// marks are the flags of a node that no arrow shows, in few words.
func (g *Graph) marks(i int) []string {
	n := g.Nodes[i]
	var out []string
	everything := func(o Opening) bool { return o.Peer == Everything }
	in, to := slices.ContainsFunc(n.Callers, everything), slices.ContainsFunc(n.Calls, everything)
	switch {
	case in && to:
		out = append(out, "no network policy")
	case in:
		out = append(out, "open to all callers")
	case to:
		out = append(out, "may call everybody")
	}
	for _, o := range n.Callers {
		if o.Open && o.Peer != Everything {
			out = append(out, "from "+o.words()+" "+short(o.Ports))
		}
	}
	for _, o := range n.Calls {
		if o.Open && o.Peer != Everything {
			out = append(out, "to "+o.words()+" "+short(o.Ports))
		}
	}
	for _, e := range g.Edges {
		if e.To == i && e.Open {
			return append(out, "no address given: open to all")
		}
	}
	return out
}

// tip says all of a node that a line has no room for.
func (g *Graph) tip(i int) string {
	n := g.Nodes[i]
	text := n.Name + ": " + g.about(n)
	for _, f := range g.flags(i) {
		text += "\n" + f
	}
	return text
}

// entries adds the ways by which the outside comes in.
func (d *drawing) entries(g *Graph) {
	at := map[string]int{}
	for i, n := range g.Nodes {
		led := map[int]bool{}
		for _, e := range n.Exposed {
			name := e.entry()
			from, ok := at[name]
			if !ok {
				from = len(d.boxes)
				at[name] = from
				d.boxes = append(d.boxes, box{name: name, kind: Outside, group: beyond, tip: e.words()})
			}
			if !led[from] {
				led[from] = true
				d.arrows = append(d.arrows, arrow{from: from, to: i, label: e.Path, tip: name + e.Path + " → " + n.Name + " (" + e.By + ")"})
			}
		}
	}
}

// entry names the way in that several nodes may share: a host, or a port.
func (e Exposure) entry() string {
	switch {
	case e.Port != 0:
		return fmt.Sprintf("%s %s:%d", e.By, e.Host, e.Port)
	case e.Host == "*":
		return "every host"
	}
	return cmp.Or(e.Host, e.By)
}

// note says which namespaces may call how many boxes.
func (d *drawing) note(g *Graph) {
	type from struct {
		name  string
		count int
	}
	var list []from
	for _, n := range g.Nodes {
		for _, o := range n.Callers {
			if o.Open {
				continue
			}
			i := slices.IndexFunc(list, func(f from) bool { return f.name == o.words() })
			if i < 0 {
				i = len(list)
				list = append(list, from{name: o.words()})
			}
			list[i].count++
		}
	}
	slices.SortFunc(list, func(a, b from) int { return cmp.Compare(a.name, b.name) })
	for _, f := range list {
		d.notes = append(d.notes, printable(fmt.Sprintf("Not drawn: %s may call %d of these.", f.name, f.count)))
	}
}
