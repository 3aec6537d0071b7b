package graph

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// mermaidShapes are the brackets around a box's text.
var mermaidShapes = map[Kind][2]string{
	Service: {"[", "]"}, Requirement: {"[(", ")]"}, Dependency: {"{{", "}}"}, Outside: {"([", "])"},
}

var mermaidArrows = map[style]string{mayCall: "-->", needs: "==>", order: "==o", idle: "--o", open: "-.->", closed: "--x"}

// writeMermaid prints one flowchart. Where there are several graphs each is a
// part of it.
func writeMermaid(w io.Writer, graphs []*Graph) error {
	var out bytes.Buffer
	out.WriteString("flowchart LR\n")
	links := 0
	var opened []string
	for i, g := range graphs {
		d := g.draw()
		in := "  "
		if len(graphs) > 1 {
			fmt.Fprintf(&out, "  subgraph c%d[%s]\n", i, mermaidText(d.title))
			in = "    "
		} else {
			fmt.Fprintf(&out, "  %%%% %s\n", printable(d.title))
		}
		for j, group := range d.groups() {
			fmt.Fprintf(&out, "%ssubgraph c%dg%d[%s]\n", in, i, j, mermaidText(group))
			for k, b := range d.boxes {
				if b.group != group {
					continue
				}
				text := []string{b.name}
				for _, l := range b.lines {
					text = append(text, l.text)
				}
				shape := mermaidShapes[b.kind]
				fmt.Fprintf(&out, "%s  c%dn%d%s%s%s:::%s\n", in, i, k, shape[0], mermaidText(text...), shape[1], b.kind)
			}
			fmt.Fprintf(&out, "%send\n", in)
		}
		for _, a := range d.arrows {
			label := ""
			if a.label != "" {
				label = "|" + mermaidText(a.label) + "|"
			}
			fmt.Fprintf(&out, "%sc%dn%d %s%s c%dn%d\n", in, i, a.from, mermaidArrows[a.style], label, i, a.to)
			if a.style == open || a.style == closed {
				opened = append(opened, fmt.Sprint(links))
			}
			links++
		}
		for _, note := range d.notes {
			fmt.Fprintf(&out, "%s%%%% %s\n", in, note)
		}
		if len(graphs) > 1 {
			out.WriteString("  end\n")
		}
	}
	for _, k := range []Kind{Service, Requirement, Dependency, Outside} {
		c := light[k]
		fmt.Fprintf(&out, "  classDef %s fill:%s,stroke:%s,color:%s\n", k, c.fill, c.stroke, c.text)
	}
	if opened != nil {
		fmt.Fprintf(&out, "  linkStyle %s stroke:%s\n", strings.Join(opened, ","), lightWarn)
	}
	_, err := w.Write(out.Bytes())
	return err
}

// mermaidText writes lines as one quoted text: all that Mermaid or HTML would take
// for more than text is written as its number.
func mermaidText(lines ...string) string {
	var out strings.Builder
	out.WriteByte('"')
	for i, l := range lines {
		if i > 0 {
			out.WriteString("<br/>")
		}
		for _, r := range printable(l) {
			if strings.ContainsRune("\"#<>&`\\{}[]|;%*_~$@", r) {
				fmt.Fprintf(&out, "#%d;", r)
				continue
			}
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
	return out.String()
}
