package graph

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// dotShapes are the attributes of boxes.
var dotShapes = map[Kind]string{
	Service: `shape=box, style="rounded,filled"`, Requirement: `shape=cylinder, style=filled`,
	Dependency: `shape=hexagon, style=filled`, Outside: `shape=box, style="rounded,dashed,filled"`,
}

// writeDOT prints one digraph for Graphviz. Each graph is a cluster of it, and
// each namespace a cluster in that.
func writeDOT(w io.Writer, graphs []*Graph) error {
	var out bytes.Buffer
	out.WriteString("digraph kai {\n  rankdir=LR\n  node [fontname=\"sans-serif\", fontsize=11]\n  edge [fontname=\"sans-serif\", fontsize=9]\n")
	for i, g := range graphs {
		d := g.draw()
		fmt.Fprintf(&out, "  subgraph cluster_%d {\n    label=%s\n", i, dotText(append([]string{d.title}, d.notes...)...))
		for j, group := range d.groups() {
			fmt.Fprintf(&out, "    subgraph cluster_%d_%d {\n      label=%s\n", i, j, dotText(group))
			for k, b := range d.boxes {
				if b.group != group {
					continue
				}
				text := []string{b.name}
				for _, l := range b.lines {
					text = append(text, l.text)
				}
				c := light[b.kind]
				fmt.Fprintf(&out, "      c%dn%d [label=%s, tooltip=%s, %s, fillcolor=%q, color=%q]\n", i, k, dotText(text...), dotText(b.tip), dotShapes[b.kind], c.fill, c.stroke)
			}
			out.WriteString("    }\n")
		}
		for _, a := range d.arrows {
			attributes := []string{"tooltip=" + dotText(a.tip)}
			if a.label != "" {
				attributes = append(attributes, "label="+dotText(a.label))
			}
			switch a.style {
			case needs:
				attributes = append(attributes, "penwidth=2.5")
			case order:
				attributes = append(attributes, "penwidth=2.5", "arrowhead=dot")
			case idle:
				attributes = append(attributes, "arrowhead=dot")
			case open:
				attributes = append(attributes, "style=dashed", fmt.Sprintf("color=%q", lightWarn))
			case closed:
				attributes = append(attributes, "style=dotted", "arrowhead=tee", fmt.Sprintf("color=%q", lightWarn))
			}
			fmt.Fprintf(&out, "    c%dn%d -> c%dn%d [%s]\n", i, a.from, i, a.to, strings.Join(attributes, ", "))
		}
		out.WriteString("  }\n")
	}
	out.WriteString("}\n")
	_, err := w.Write(out.Bytes())
	return err
}

// dotText writes lines as one quoted text.
func dotText(lines ...string) string {
	quote := strings.NewReplacer(`&`, `&amp;`, `\`, `\\`, `"`, `\"`)
	var parts []string
	for _, l := range lines {
		for part := range strings.SplitSeq(l, "\n") {
			parts = append(parts, quote.Replace(printable(part)))
		}
	}
	return `"` + strings.Join(parts, `\n`) + `"`
}
