package graph

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// palette is how a kind of box looks.
type palette struct{ fill, stroke, text string }

// The colours by day and by night. Text has a contrast of more than 6 to 1 to what
// it stands on, lines one of more than 4 to 1.
var (
	light = map[Kind]palette{
		Service: {"#e8f0fe", "#2f63c4", "#14213d"}, Requirement: {"#fdf1dc", "#a16207", "#3f2a06"},
		Dependency: {"#e3f4e8", "#2b7a4b", "#0f2e1b"}, Outside: {"#f4f4f5", "#71717a", "#27272a"},
	}
	dark = map[Kind]palette{
		Service: {"#1a2947", "#7aa2f7", "#dbe6ff"}, Requirement: {"#3a2c12", "#d9a441", "#fdebc8"},
		Dependency: {"#15321f", "#6cc58f", "#d6f5e1"}, Outside: {"#2b2b30", "#a1a1aa", "#e4e4e7"},
	}
	lightPage, darkPage = palette{"#ffffff", "#64748b", "#18181b"}, palette{"#14171c", "#94a3b8", "#e4e4e7"}
)

const lightWarn, darkWarn = "#9a2c06", "#ff9d66"

// The measures of boxes and of what stands around them.
const (
	nameSize, nameHeight = 13.0, 18.0
	lineSize, lineHeight = 11.0, 15.0
	padding              = 11.0
	badge                = 24.0 // for the number of the wave
	margin               = 24.0
	slant                = 10.0 // of a hexagon's sides
	lid                  = 5.0  // half of the height of a cylinder's top
	bend                 = 14.0 // radius of what is outside
)

var kinds = []Kind{Service, Requirement, Dependency, Outside}

// writeSVG prints one picture, the graphs below one another. It draws without any
// font at hand: boxes have room for the widest of the usual ones.
func writeSVG(w io.Writer, graphs []*Graph) error {
	var body bytes.Buffer
	width, y := 480.0, margin
	var titles []string
	for _, g := range graphs {
		d := g.draw()
		s := &sheet{drawing: d, out: &body, top: y}
		s.draw()
		width = max(width, s.width)
		y = s.bottom + margin
		titles = append(titles, d.title)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%s" height="%[2]s" viewBox="0 0 %[1]s %[2]s" role="img" aria-labelledby="kai-title kai-desc">`+"\n", px(width), px(y))
	fmt.Fprintf(&out, "<title id=\"kai-title\">%s</title>\n", escape(strings.Join(titles, "; ")))
	fmt.Fprintf(&out, "<desc id=\"kai-desc\">%s</desc>\n", escape("A box is a service, a friend or something outside; an arrow leads from a caller to the one that it may call, or to what it only needs before. kai graph prints the same as text."))
	out.WriteString("<style>\n" + css() + "</style>\n<defs>\n")
	for _, a := range arrowStyles {
		fmt.Fprintf(&out, `<marker id="kai-%s" class="%[1]s" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="%s"/></marker>`+"\n", a.class, a.head)
	}
	fmt.Fprintf(&out, "</defs>\n<rect class=\"page\" width=\"%s\" height=\"%s\"/>\n", px(width), px(y))
	out.Write(body.Bytes())
	out.WriteString("</svg>\n")
	_, err := w.Write(out.Bytes())
	return err
}

// arrowStyle is how a style of arrows looks.
type arrowStyle struct {
	style
	class, words, head, css string
}

const arrowHead, barHead, dotHead = "M0 0.5 8 4 0 7.5Z", "M5.5 0h2v8h-2z", "M4 0.5a3.5 3.5 0 1 0 0.01 0Z"

// arrowStyles are in the order in which they are drawn, the last on top.
var arrowStyles = []arrowStyle{
	{mayCall, "call", "may call", arrowHead, "stroke-width:1.3"},
	{needs, "need", "needs, installed before or with it; may call", arrowHead, "stroke-width:2.6"},
	{order, "order", "needs, installed before or with it; does not call it", dotHead, "stroke-width:2.6"},
	{idle, "idle", "friends, but it listens on no port", dotHead, "stroke-width:1.3"},
	{open, "open", "may call, and every other address on that port", arrowHead, "stroke-width:1.6;stroke-dasharray:6 4"},
	{closed, "closed", "friends, but closed by the policies", barHead, "stroke-width:1.6;stroke-dasharray:2 3"},
}

func css() string {
	var out strings.Builder
	out.WriteString("text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:11px}\n" +
		"text.name{font-size:13px;font-weight:600}\ntext.title{font-size:16px;font-weight:600}\ntext.wave{font-size:10px;text-anchor:middle}\n" +
		"g.box>*{stroke-width:1.3}\ng.box text{stroke:none}\n.outside{stroke-dasharray:5 3}\npath.arrow{fill:none}\npath.arrow:hover,g:hover>path.arrow{stroke-width:4}\n")
	for _, a := range arrowStyles {
		fmt.Fprintf(&out, "path.%s{%s}\n", a.class, a.css)
	}
	colours := func(of map[Kind]palette, page palette, warn string) {
		fmt.Fprintf(&out, ".page{fill:%s}\ntext{fill:%s}\n", page.fill, page.text)
		fmt.Fprintf(&out, "path.call,path.need,path.order,path.idle{stroke:%[1]s}\n.call,.need,.order,.idle{fill:%[1]s}\n", page.stroke)
		fmt.Fprintf(&out, "path.open,path.closed{stroke:%[1]s}\n.open,.closed{fill:%[1]s}\ntext.warn{fill:%[1]s}\n", warn)
		for _, k := range kinds {
			c := of[k]
			fmt.Fprintf(&out, ".%[1]s{fill:%[2]s;stroke:%[3]s}\ntext.%[1]s-text{fill:%[4]s}\n", k, c.fill, c.stroke, c.text)
		}
	}
	colours(light, lightPage, lightWarn)
	out.WriteString("@media (prefers-color-scheme:dark){\n")
	colours(dark, darkPage, darkWarn)
	out.WriteString("}\n")
	return out.String()
}

// sheet is the part of a picture that shows one drawing.
type sheet struct {
	*drawing
	out                *bytes.Buffer
	top, width, bottom float64
}

func (s *sheet) draw() {
	sizes := make([]size, len(s.boxes))
	for i, b := range s.boxes {
		sizes[i] = b.size()
	}
	links := make([]link, len(s.arrows))
	for i, a := range s.arrows {
		links[i] = a.link()
	}
	placed := arrange(sizes, links)
	left := 0
	for _, route := range placed.routes {
		if route == nil {
			left++
		}
	}
	if left > 0 {
		s.notes = append(s.notes, fmt.Sprintf("Not drawn: %d arrows that would be too long to follow; kai graph lists them.", left))
	}
	s.text(margin, s.top+16, "title", s.title)
	s.width = max(placed.w, textWide(s.title, 16, true)) + 2*margin
	top := s.top + 40
	placed.move(margin, top)
	for _, look := range arrowStyles {
		for i, a := range s.arrows {
			if a.style == look.style {
				s.arrow(look, a, placed.routes[i], placed.boxes)
			}
		}
	}
	for i, b := range s.boxes {
		s.box(b, placed.boxes[i])
	}
	s.bottom = top + placed.h + margin
	for _, n := range s.notes {
		s.bottom += lineHeight
		s.text(margin, s.bottom, "", n)
		s.width = max(s.width, textWide(n, lineSize, false)+2*margin)
	}
	s.legend()
}

func (s *sheet) text(x, y float64, class, text string) {
	if class != "" {
		class = ` class="` + class + `"`
	}
	fmt.Fprintf(s.out, "<text x=\"%s\" y=\"%s\"%s>%s</text>\n", px(x), px(y), class, escape(text))
}

// inset is how much room the sides of a box's shape take from its text.
func (b *box) inset() float64 {
	if b.kind == Dependency {
		return slant
	}
	return 0
}

// size gives the room that a box's text takes.
func (b *box) size() size {
	w := textWide(b.name, nameSize, true)
	if b.wave > 0 {
		w += badge
	}
	h := nameHeight + 12
	for _, l := range b.lines {
		w = max(w, textWide(l.words(), lineSize, false))
		h += lineHeight
	}
	if b.kind == Requirement {
		h += 2 * lid
	}
	return size{math.Ceil(w + 2*padding + 2*b.inset()), h}
}

// words give a line of a box; what is a warning says so without its colour.
func (l line) words() string {
	if l.warn {
		return "! " + l.text
	}
	return l.text
}

// box draws one box.
func (s *sheet) box(b box, at rect) {
	fmt.Fprintf(s.out, "<g class=\"box\"><title>%s</title>\n", escape(b.tip))
	s.shape(b.kind, at)
	text := b.size()
	x, y := at.x+padding+b.inset(), at.y+(at.h-text.h)/2+6
	if b.kind == Requirement {
		y += 1.5 * lid
	}
	y += nameHeight - 5
	class := string(b.kind) + "-text"
	s.text(x, y, class+" name", b.name)
	if b.wave > 0 {
		right := at.x + at.w - b.inset() - 13
		fmt.Fprintf(s.out, "<circle class=\"%s\" cx=\"%s\" cy=\"%s\" r=\"8\"/>\n", b.kind, px(right), px(y-4.5))
		s.text(right, y-1, class+" wave", strconv.Itoa(b.wave))
	}
	for _, l := range b.lines {
		y += lineHeight
		if l.warn {
			s.text(x, y, "warn", l.words())
		} else {
			s.text(x, y, class, l.words())
		}
	}
	s.out.WriteString("</g>\n")
}

// shape draws the outline of a kind of box.
func (s *sheet) shape(k Kind, r rect) {
	switch k {
	case Requirement:
		half := fmt.Sprintf("a%s %s 0 0 0 ", px(r.w/2), px(lid))
		fmt.Fprintf(s.out, "<path class=\"%s\" d=\"M%s %sv%s%s%s 0v%s%s%s 0%s%s 0\"/>\n",
			k, px(r.x), px(r.y+lid), px(r.h-2*lid), half, px(r.w), px(2*lid-r.h), half, px(-r.w), half, px(r.w))
	case Dependency:
		fmt.Fprintf(s.out, "<path class=\"%s\" d=\"M%s %sh%sl%s %sl%s %sh%sl%s %sz\"/>\n",
			k, px(r.x+slant), px(r.y), px(r.w-2*slant), px(slant), px(r.h/2), px(-slant), px(r.h/2), px(-(r.w - 2*slant)), px(-slant), px(-r.h/2))
	default:
		radius := 5.0
		if k == Outside {
			radius = min(bend, r.h/2)
		}
		fmt.Fprintf(s.out, "<rect class=\"%s\" x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\" rx=\"%s\"/>\n", k, px(r.x), px(r.y), px(r.w), px(r.h), px(radius))
	}
}

// hollow is how far the outline of a box is inside of its side, at a height.
func hollow(k Kind, r rect, y float64) float64 {
	fromMiddle := math.Abs(y - (r.y + r.h/2))
	switch k {
	case Dependency:
		return slant * fromMiddle / (r.h / 2)
	case Outside:
		radius := min(bend, r.h/2)
		if over := fromMiddle - (r.h/2 - radius); over > 0 {
			return radius - math.Sqrt(max(0, radius*radius-over*over))
		}
	}
	return 0
}

// arrow draws an arrow: level where it passes a column, bent between columns.
func (s *sheet) arrow(look arrowStyle, a arrow, route []point, boxes []rect) {
	if len(route) == 0 {
		return
	}
	points := slices.Clone(route)
	ahead := 1.0
	if points[0].x > points[1].x {
		ahead = -1
	}
	last := len(points) - 1
	start, end := points[0], points[last]
	start.x -= ahead * hollow(s.boxes[a.from].kind, boxes[a.from], start.y)
	end.x += ahead * hollow(s.boxes[a.to].kind, boxes[a.to], end.y)
	var d strings.Builder
	fmt.Fprintf(&d, "M%s %s", px(start.x), px(start.y))
	if start.x != points[0].x {
		fmt.Fprintf(&d, "H%s", px(points[0].x))
	}
	for i := 1; i <= last; i += 2 {
		from, to := points[i-1], points[i]
		if i == last {
			to.x -= ahead * 8 // so that the arrow's head is level
		}
		if from.y == to.y {
			fmt.Fprintf(&d, "H%s", px(to.x))
		} else {
			half := (to.x - from.x) / 2
			fmt.Fprintf(&d, "C%s %s %s %s %s %s", px(from.x+half), px(from.y), px(to.x-half), px(to.y), px(to.x), px(to.y))
		}
		if i < last {
			fmt.Fprintf(&d, "H%s", px(points[i+1].x))
		}
	}
	fmt.Fprintf(&d, "H%s", px(end.x))
	fmt.Fprintf(s.out, "<g><title>%s</title><path class=\"arrow %s\" marker-end=\"url(#kai-%[2]s)\" d=\"%s\"/></g>\n", escape(a.tip), look.class, d.String())
}

// legend explains what stands in the drawing.
func (s *sheet) legend() {
	type item struct {
		words string
		draw  func(x, y float64)
	}
	var items []item
	words := map[Kind]string{Service: "service", Requirement: "requirement, in its service's release", Dependency: "shared friend", Outside: "outside"}
	for _, k := range kinds {
		if slices.ContainsFunc(s.boxes, func(b box) bool { return b.kind == k }) {
			items = append(items, item{words[k], func(x, y float64) { s.shape(k, rect{x, y - 8, 28, 16}) }})
		}
	}
	for _, look := range arrowStyles {
		if slices.ContainsFunc(s.arrows, func(a arrow) bool { return a.style == look.style }) {
			items = append(items, item{look.words, func(x, y float64) {
				fmt.Fprintf(s.out, "<path class=\"arrow %s\" marker-end=\"url(#kai-%[1]s)\" d=\"M%s %sH%s\"/>\n", look.class, px(x), px(y), px(x+28))
			}})
		}
	}
	if slices.ContainsFunc(s.boxes, func(b box) bool { return b.wave > 0 }) {
		items = append(items, item{"wave of the installation", func(x, y float64) {
			fmt.Fprintf(s.out, "<circle class=\"%s\" cx=\"%s\" cy=\"%s\" r=\"8\"/>\n", Service, px(x+20), px(y))
			s.text(x+20, y+3.5, "service-text wave", "1")
		}})
	}
	x, y := margin, s.bottom+2*lineHeight
	for _, i := range items {
		wide := 36 + textWide(i.words, lineSize, false)
		if x > margin && x+wide > s.width-margin {
			x, y = margin, y+24
		}
		s.width = max(s.width, x+wide+margin)
		i.draw(x, y)
		s.text(x+36, y+4, "", i.words)
		x += wide + 22
	}
	s.bottom = y + 8
}

// px writes a number with as many digits as matter.
func px(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10+0, 'f', -1, 64)
}

// escape writes text so that XML takes it for nothing else.
func escape(text string) string {
	var out strings.Builder
	// A builder takes all that is written.
	_ = xml.EscapeText(&out, []byte(text))
	return out.String()
}
