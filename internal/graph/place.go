package graph

import (
	"cmp"
	"math"
	"slices"
)

// balance chooses the heights: each slot comes as near as can be to the middle of
// those that it is joined to, lanes before boxes, and the order of the columns and
// the gaps in them are kept.
func (l *layout) balance() {
	for _, slots := range l.columns {
		y := 0.0
		for i, s := range slots {
			if i > 0 {
				y += l.gap(slots[i-1], s)
			}
			l.slots[s].y = y
		}
	}
	left := func(s *slot) []wire { return s.left }
	right := func(s *slot) []wire { return s.right }
	both := func(s *slot) []wire { return slices.Concat(s.left, s.right) }
	for i := range sweeps {
		toRight, toLeft := left, right
		if i >= sweeps/2 {
			toRight, toLeft = both, both
		}
		for c := range l.columns {
			l.settle(c, toRight)
		}
		for c := len(l.columns) - 1; c >= 0; c-- {
			l.settle(c, toLeft)
		}
	}
}

// gap is how far the middles of two neighbours in a column are apart.
func (l *layout) gap(upper, lower int) float64 {
	a, b := &l.slots[upper], &l.slots[lower]
	gap := boxGap
	switch lanes := a.box < 0; {
	case lanes && b.box < 0:
		gap = laneGap
	case lanes || b.box < 0:
		gap = laneGap + 4
	}
	return a.h/2 + b.h/2 + gap
}

// wish is a height that somebody wants, and how much.
type wish struct{ y, weight float64 }

// settle moves the slots of a column to where their wires want them, and no nearer
// to one another than the gaps between them. Where the wishes of neighbours meet,
// they move together, to the middle of all that is wished (that is isotonic
// regression: the sum of the distances from the wishes is the least there is).
func (l *layout) settle(c int, side func(*slot) []wire) {
	type block struct {
		wishes []wish // sorted, below the gaps of those above
		y      float64
		count  int
	}
	var blocks []block
	offset := 0.0
	slots := l.columns[c]
	for i, n := range slots {
		s := &l.slots[n]
		if i > 0 {
			offset += l.gap(slots[i-1], n)
		}
		var wishes []wish
		for _, w := range side(s) {
			wishes = append(wishes, wish{l.slots[w.slot].y - offset, w.weight})
		}
		if wishes == nil {
			wishes = []wish{{s.y - offset, 0.01}}
		}
		slices.SortFunc(wishes, byHeight)
		b := block{wishes, middle(wishes), 1}
		for len(blocks) > 0 && blocks[len(blocks)-1].y > b.y {
			above := blocks[len(blocks)-1]
			blocks = blocks[:len(blocks)-1]
			b.wishes = merge(above.wishes, b.wishes)
			b.count += above.count
			b.y = middle(b.wishes)
		}
		blocks = append(blocks, b)
	}
	at, offset := 0, 0.0
	for _, b := range blocks {
		for range b.count {
			if at > 0 {
				offset += l.gap(slots[at-1], slots[at])
			}
			l.slots[slots[at]].y = b.y + offset
			at++
		}
	}
}

func byHeight(a, b wish) int { return cmp.Compare(a.y, b.y) }

// merge joins two sorted lists.
func merge(a, b []wish) []wish {
	out := make([]wish, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].y <= b[0].y {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// middle gives the height above and below which the same weight is wished for.
func middle(sorted []wish) float64 {
	sum := 0.0
	for _, w := range sorted {
		sum += w.weight
	}
	half := 0.0
	for i, w := range sorted {
		half += w.weight
		switch {
		case half > sum/2+1e-9:
			return w.y
		case half >= sum/2-1e-9 && i+1 < len(sorted):
			return (w.y + sorted[i+1].y) / 2
		}
	}
	return sorted[len(sorted)-1].y
}

// place gives the finished layout, its left upper corner at 0, 0.
func (l *layout) place() *placed {
	out := &placed{boxes: make([]rect, len(l.sizes)), routes: make([][]point, len(l.links))}
	top := math.Inf(1)
	for i := range l.slots {
		top = min(top, l.slots[i].y-l.slots[i].h/2)
	}
	for i := range l.slots {
		l.slots[i].y = math.Round(l.slots[i].y - top)
	}
	widths := make([]float64, len(l.columns))
	lefts := make([]float64, len(l.columns))
	x := 0.0
	for c, slots := range l.columns {
		for _, i := range slots {
			s := &l.slots[i]
			if s.box >= 0 {
				widths[c] = max(widths[c], l.sizes[s.box].w)
			}
		}
		lefts[c] = x
		x += widths[c]
		out.w = max(out.w, x)
		x += l.gutter(c)
	}
	for _, slots := range l.columns {
		for _, i := range slots {
			s := &l.slots[i]
			out.h = max(out.h, s.y+s.h/2)
			if s.box >= 0 {
				out.boxes[s.box] = rect{lefts[s.column], s.y - s.h/2, widths[s.column], s.h}
			}
		}
	}
	l.route(out, lefts, widths)
	return out
}

// gutter is how wide the space right of a column is: steep wires want more.
func (l *layout) gutter(c int) float64 {
	steep, count := 0.0, 0
	for _, i := range l.columns[c] {
		for _, w := range l.slots[i].right {
			steep = max(steep, math.Abs(l.slots[i].y-l.slots[w.slot].y))
			count++
		}
	}
	return math.Round(min(maxGutter, minGutter+steep/8+float64(count)))
}

// route gives the points of the links. At a box, wires are spread over its side in
// the order of where they come from.
func (l *layout) route(out *placed, lefts, widths []float64) {
	type door struct{ at, to int }
	doors := map[door]float64{}
	for i := range l.slots {
		s := &l.slots[i]
		for _, side := range [][]wire{s.left, s.right} {
			side = slices.Clone(side)
			slices.SortStableFunc(side, func(a, b wire) int {
				return cmp.Or(cmp.Compare(l.slots[a.slot].y, l.slots[b.slot].y), cmp.Compare(l.slots[a.slot].order, l.slots[b.slot].order))
			})
			step := 0.0
			if len(side) > 1 && s.box >= 0 {
				step = min(10, (s.h-14)/float64(len(side)-1))
			}
			for j, w := range side {
				doors[door{i, w.slot}] = s.y + step*(float64(j)-float64(len(side)-1)/2)
			}
		}
	}
	// The only wire of both its sides is level, if the boxes are side by side.
	for i := range l.slots {
		a := &l.slots[i]
		if len(a.right) != 1 {
			continue
		}
		n := a.right[0].slot
		b := &l.slots[n]
		y := math.Round((a.y + b.y) / 2)
		if len(b.left) == 1 && a.box >= 0 && b.box >= 0 && math.Abs(y-a.y) < a.h/2-8 && math.Abs(y-b.y) < b.h/2-8 {
			doors[door{i, n}], doors[door{n, i}] = y, y
		}
	}
	for i, chain := range l.chains {
		var points []point
		for j, n := range chain {
			s := &l.slots[n]
			if j > 0 {
				points = append(points, point{lefts[s.column], doors[door{n, chain[j-1]}]})
			}
			if j < len(chain)-1 {
				points = append(points, point{lefts[s.column] + widths[s.column], doors[door{n, chain[j+1]}]})
			}
		}
		if l.turned[i] {
			slices.Reverse(points)
		}
		out.routes[i] = points
	}
}
