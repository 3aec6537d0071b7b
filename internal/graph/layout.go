package graph

import (
	"cmp"
	"math"
	"slices"
)

// The layout puts boxes into columns, callers left of what they call, in the five
// steps that layered drawings are made of: circles are broken; each box gets a
// column; arrows over several columns get a lane through those between; the order
// in the columns is changed until few arrows cross; heights are chosen so that
// lanes are straight. Arrows that share a lane have one end in common, so that a
// line is never ambiguous. All steps are decided by the order of the input.

// size is what the layout knows of a box.
type size struct{ w, h float64 }

// point is a place in a drawing, from its left upper corner.
type point struct{ x, y float64 }

// rect is where a box stands.
type rect struct{ x, y, w, h float64 }

// placed is a finished layout: where the boxes are, and the points that each arrow
// goes through; an arrow that would be too long has none. From the end of a pair of points to the next pair it bends, within
// a pair it is level: a pair is a lane, the first and the last point are at boxes.
type placed struct {
	boxes  []rect
	routes [][]point
	w, h   float64
}

// move moves a layout.
func (p *placed) move(x, y float64) {
	for i := range p.boxes {
		p.boxes[i].x, p.boxes[i].y = p.boxes[i].x+x, p.boxes[i].y+y
	}
	for _, route := range p.routes {
		for i := range route {
			route[i] = point{route[i].x + x, route[i].y + y}
		}
	}
}

// link is an arrow between two boxes.
type link struct {
	from, to int
	firm     bool // its direction is kept where a circle is broken
}

// The measures of a layout.
const (
	boxGap    = 18.0 // between boxes of a column
	laneGap   = 9.0  // around a lane
	minGutter = 56.0 // between columns
	maxGutter = 200.0
	partGap   = 36.0  // between parts that nothing joins
	minRow    = 900.0 // how wide a row of parts may be at least
	maxLanes  = 5000
	sweeps    = 24
)

// slot is a place in a column: a box, or a lane.
type slot struct {
	box         int // -1 is a lane
	column      int
	h           float64
	y           float64 // of its middle
	order       int     // in its column
	left, right []wire  // to slots in the columns beside
}

// wire leads from a slot to one in the next column.
type wire struct {
	slot   int
	weight float64
}

// layout is the work on one.
type layout struct {
	sizes   []size
	links   []link
	turned  []bool // links whose direction was turned, to break a circle
	column  []int  // of each box
	slots   []slot
	columns [][]int // slots, from top to bottom
	chains  [][]int // slots of each link, from left to right
}

// arrange lays boxes out. Links from a box to itself are ignored. What is not
// joined is laid out by itself, and then put together in rows, the largest first.
func arrange(sizes []size, links []link) *placed {
	out := &placed{boxes: make([]rect, len(sizes)), routes: make([][]point, len(links))}
	parts := partsOf(len(sizes), links)
	done := make([]*placed, len(parts))
	for i, p := range parts {
		done[i] = p.arrange(sizes, links)
	}
	order := make([]int, len(parts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(len(parts[b].boxes), len(parts[a].boxes)), cmp.Compare(len(parts[b].links), len(parts[a].links)))
	})
	wide := minRow
	for _, d := range done {
		wide = max(wide, d.w)
	}
	x, y, row, large := 0.0, 0.0, 0.0, true
	for _, i := range order {
		d := done[i]
		// Boxes by themselves are nearer to one another than drawings are.
		space := partGap
		if len(parts[i].boxes) == 1 {
			space = boxGap
		}
		if first := large && space == boxGap; x > 0 && (first || x+d.w > wide) {
			x, y, row = 0, y+row+space, 0
		}
		large = space == partGap
		d.move(x, y)
		parts[i].put(out, d)
		out.w, row = max(out.w, x+d.w), max(row, d.h)
		out.h = max(out.h, y+d.h)
		x += d.w + space
	}
	return out
}

// part is a part of a graph that nothing joins to the rest.
type part struct{ boxes, links []int }

// partsOf cuts a graph into its parts, in the order of their first boxes.
func partsOf(boxes int, links []link) []part {
	root := make([]int, boxes)
	for i := range root {
		root[i] = i
	}
	find := func(v int) int {
		for root[v] != v {
			root[v] = root[root[v]]
			v = root[v]
		}
		return v
	}
	for _, k := range links {
		a, b := find(k.from), find(k.to)
		root[max(a, b)] = min(a, b)
	}
	var parts []part
	at := map[int]int{}
	for v := range boxes {
		r := find(v)
		if _, ok := at[r]; !ok {
			at[r] = len(parts)
			parts = append(parts, part{})
		}
		p := &parts[at[r]]
		p.boxes = append(p.boxes, v)
	}
	for i, k := range links {
		p := &parts[at[find(k.from)]]
		p.links = append(p.links, i)
	}
	return parts
}

// arrange lays out one part by itself.
func (p part) arrange(sizes []size, links []link) *placed {
	number := map[int]int{}
	l := &layout{turned: make([]bool, len(p.links)), column: make([]int, len(p.boxes))}
	for i, v := range p.boxes {
		number[v] = i
		l.sizes = append(l.sizes, sizes[v])
	}
	for _, i := range p.links {
		k := links[i]
		l.links = append(l.links, link{number[k.from], number[k.to], k.firm})
	}
	l.chooseColumns(l.breakCircles())
	l.makeLanes()
	l.reorder()
	l.balance()
	return l.place()
}

// put takes a part's layout into that of the whole.
func (p part) put(whole, own *placed) {
	for i, v := range p.boxes {
		whole.boxes[v] = own.boxes[i]
	}
	for i, k := range p.links {
		whole.routes[k] = own.routes[i]
	}
}

// breakCircles gives the boxes in an order that few links go against, and turns
// those. Boxes that nothing leads to come first; in a circle it is the one that
// leads to most and is led to from least. Firm links make no circle, and a box waits
// for those that lead to it.
func (l *layout) breakCircles() []int {
	n := len(l.sizes)
	in, firm, out := make([]int, n), make([]int, n), make([]int, n)
	after := make([][]int, n)
	for i, k := range l.links {
		if k.from == k.to {
			continue
		}
		in[k.to]++
		out[k.from]++
		if k.firm {
			firm[k.to]++
		}
		after[k.from] = append(after[k.from], i)
	}
	var order []int
	place := make([]int, n)
	done := make([]bool, n)
	take := func(v int) {
		place[v] = len(order)
		order = append(order, v)
		done[v] = true
		for _, i := range after[v] {
			to := l.links[i].to
			in[to]--
			if l.links[i].firm {
				firm[to]--
			}
		}
	}
	for len(order) < n {
		best := -1
		for v := range n {
			switch {
			case done[v]:
			case in[v] == 0:
				take(v)
				best = -2
			case best == -2:
			case best < 0,
				firm[v] == 0 && firm[best] > 0,
				(firm[v] == 0) == (firm[best] == 0) && out[v]-in[v] > out[best]-in[best]:
				best = v
			}
		}
		if best >= 0 {
			take(best)
		}
	}
	for i, k := range l.links {
		l.turned[i] = place[k.from] > place[k.to]
	}
	return order
}

// ends gives the ends of a link from left to right.
func (l *layout) ends(i int) (left, right int) {
	k := l.links[i]
	if l.turned[i] {
		return k.to, k.from
	}
	return k.from, k.to
}

// chooseColumns puts each box right of all that lead to it, and as near to them
// and to those that it leads to as can be. No column becomes much higher than the
// drawing is wide: what has no place in one goes into the next.
func (l *layout) chooseColumns(order []int) {
	n := len(l.sizes)
	before, after := make([][]int, n), make([][]int, n)
	for i, k := range l.links {
		if k.from != k.to {
			left, right := l.ends(i)
			before[right] = append(before[right], left)
			after[left] = append(after[left], right)
		}
	}
	push := func() {
		for _, v := range order {
			for _, w := range before[v] {
				l.column[v] = max(l.column[v], l.column[w]+1)
			}
		}
	}
	push()
	limit, height := l.limit(), l.heights()
	l.tighten(order, before, after, height, math.Inf(1))
	l.fill(order, before, after, limit, push)
	l.tighten(order, before, after, l.heights(), limit)
}

// limit is how high a column may be, for a drawing that is a little wider than
// high.
func (l *layout) limit() float64 {
	sum, wide := 0.0, 0.0
	for _, s := range l.sizes {
		sum += s.h + boxGap
		wide = max(wide, s.w)
	}
	return max(640, math.Sqrt(sum*(wide+minGutter)/1.5))
}

func (l *layout) heights() map[int]float64 {
	out := map[int]float64{}
	for v, c := range l.column {
		out[c] += l.sizes[v].h + boxGap
	}
	return out
}

// tighten moves boxes to the side on which they have more neighbours, which makes
// arrows shorter, until none moves.
func (l *layout) tighten(order []int, before, after [][]int, height map[int]float64, limit float64) {
	for range sweeps {
		moved := false
		for _, v := range slices.Concat(order, reversed(order)) {
			lowest, highest := 0, math.MaxInt
			for _, w := range before[v] {
				lowest = max(lowest, l.column[w]+1)
			}
			for _, w := range after[v] {
				highest = min(highest, l.column[w]-1)
			}
			want := l.column[v]
			switch {
			case len(after[v]) > len(before[v]):
				want = highest
			case len(before[v]) > len(after[v]):
				want = lowest
			}
			h := l.sizes[v].h + boxGap
			if want == l.column[v] || height[want]+h > limit && height[want] > 0 {
				continue
			}
			height[l.column[v]] -= h
			height[want] += h
			l.column[v] = want
			moved = true
		}
		if !moved {
			return
		}
	}
}

func reversed(list []int) []int {
	out := slices.Clone(list)
	slices.Reverse(out)
	return out
}

// fill moves what has no place in a column into the next one. What belongs to one
// caller alone stays beside it, then what has the longest way to the right.
func (l *layout) fill(order []int, before, after [][]int, limit float64, push func()) {
	far := make([]int, len(order))
	for _, v := range slices.Backward(order) {
		for _, w := range after[v] {
			far[v] = max(far[v], far[w]+1)
		}
	}
	own := func(v int) int {
		if len(after[v]) == 0 && len(before[v]) == 1 && l.column[before[v][0]] == l.column[v]-1 {
			return 0
		}
		return 1
	}
	for column := 0; column <= slices.Max(append(l.column, 0)); column++ {
		var in []int
		for _, v := range order {
			if l.column[v] == column {
				in = append(in, v)
			}
		}
		slices.SortStableFunc(in, func(v, w int) int { return cmp.Or(cmp.Compare(own(v), own(w)), cmp.Compare(far[w], far[v])) })
		h := 0.0
		for i, v := range in {
			if h += l.sizes[v].h + boxGap; h > limit && i > 0 {
				l.column[v]++
			}
		}
		push()
	}
}

// makeLanes gives a slot to every box, and lanes to the links that pass columns.
// Links with one end in common share lanes: that end which more long links have.
// Where there are more lanes than anybody could follow, the longest links have no
// route.
func (l *layout) makeLanes() {
	boxSlot := make([]int, len(l.sizes))
	for v, s := range l.sizes {
		boxSlot[v] = len(l.slots)
		l.slots = append(l.slots, slot{box: v, column: l.column[v], h: s.h})
	}
	into, from := map[int]int{}, map[int]int{}
	for i := range l.links {
		if left, right := l.ends(i); l.column[right]-l.column[left] > 1 {
			into[right]++
			from[left]++
		}
	}
	type key struct {
		box, column    int
		isLeft, turned bool
	}
	lanes := map[key]int{}
	wires := map[[2]int]bool{}
	l.chains = make([][]int, len(l.links))
	span := func(i int) int {
		left, right := l.ends(i)
		return l.column[right] - l.column[left]
	}
	shortFirst := make([]int, len(l.links))
	for i := range shortFirst {
		shortFirst[i] = i
	}
	slices.SortStableFunc(shortFirst, func(a, b int) int { return cmp.Compare(span(a), span(b)) })
	for _, i := range shortFirst {
		if l.links[i].from == l.links[i].to || len(lanes)+span(i) > maxLanes {
			continue
		}
		left, right := l.ends(i)
		chain := []int{boxSlot[left]}
		for c := l.column[left] + 1; c < l.column[right]; c++ {
			at := key{right, c, false, l.turned[i]}
			if from[left] > into[right] {
				at = key{left, c, true, l.turned[i]}
			}
			lane, ok := lanes[at]
			if !ok {
				lane = len(l.slots)
				lanes[at] = lane
				l.slots = append(l.slots, slot{box: -1, column: c})
			}
			chain = append(chain, lane)
		}
		chain = append(chain, boxSlot[right])
		l.chains[i] = chain
		for j := 1; j < len(chain); j++ {
			a, b := chain[j-1], chain[j]
			if wires[[2]int{a, b}] {
				continue
			}
			wires[[2]int{a, b}] = true
			weight := 1.0
			switch lane := l.slots[a].box < 0; {
			case lane && l.slots[b].box < 0:
				weight = 8
			case lane || l.slots[b].box < 0:
				weight = 2
			}
			l.slots[a].right = append(l.slots[a].right, wire{b, weight})
			l.slots[b].left = append(l.slots[b].left, wire{a, weight})
		}
	}
	for i := range l.slots {
		s := &l.slots[i]
		if s.box >= 0 {
			s.h = max(s.h, 12+4*float64(min(40, max(len(s.left), len(s.right)))))
		}
	}
	for len(l.columns) <= slices.Max(append(l.column, 0)) {
		l.columns = append(l.columns, nil)
	}
	seen := make([]bool, len(l.slots))
	var visit func(i int)
	visit = func(i int) {
		if seen[i] {
			return
		}
		seen[i] = true
		s := &l.slots[i]
		s.order = len(l.columns[s.column])
		l.columns[s.column] = append(l.columns[s.column], i)
		for _, w := range s.right {
			visit(w.slot)
		}
		for _, w := range s.left {
			visit(w.slot)
		}
	}
	first := make([]int, len(l.slots))
	for i := range first {
		first[i] = i
	}
	slices.SortStableFunc(first, func(a, b int) int { return cmp.Compare(l.slots[a].column, l.slots[b].column) })
	for _, i := range first {
		visit(i)
	}
}
