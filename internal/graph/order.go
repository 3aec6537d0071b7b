package graph

import (
	"cmp"
	"slices"
)

// maxSwaps bounds the wires of a layout in which neighbours are tried in each
// other's place; in a larger one it takes too long.
const maxSwaps = 6000

// reorder changes the order in the columns until fewer wires cross: each slot goes
// to the middle of those that it is joined to, from left to right and back, and
// neighbours change places where that helps. The best order that was seen is kept.
func (l *layout) reorder() {
	best, least := l.snapshot(), l.crossings()
	wires := 0
	for _, s := range l.slots {
		wires += len(s.right)
	}
	for i := 0; i < sweeps && least > 0; i++ {
		if i%2 == 0 {
			for c := 1; c < len(l.columns); c++ {
				l.sortColumn(c, func(s *slot) []wire { return s.left })
			}
		} else {
			for c := len(l.columns) - 2; c >= 0; c-- {
				l.sortColumn(c, func(s *slot) []wire { return s.right })
			}
		}
		if wires <= maxSwaps {
			l.swap()
		}
		if n := l.crossings(); n < least {
			best, least = l.snapshot(), n
		}
	}
	for c, slots := range best {
		l.columns[c] = slots
		l.number(c)
	}
}

func (l *layout) snapshot() [][]int {
	out := make([][]int, len(l.columns))
	for c, slots := range l.columns {
		out[c] = slices.Clone(slots)
	}
	return out
}

// number notes the order of a column in its slots.
func (l *layout) number(c int) {
	for i, s := range l.columns[c] {
		l.slots[s].order = i
	}
}

// sortColumn orders a column by the places of what its slots are joined to on one
// side. A slot that is joined to nothing there keeps its place.
func (l *layout) sortColumn(c int, side func(*slot) []wire) {
	place := map[int]float64{}
	for _, i := range l.columns[c] {
		s := &l.slots[i]
		joined := side(s)
		if place[i] = float64(s.order); len(joined) == 0 {
			continue
		}
		sum := 0.0
		for _, w := range joined {
			sum += float64(l.slots[w.slot].order)
		}
		place[i] = sum / float64(len(joined))
	}
	slices.SortStableFunc(l.columns[c], func(a, b int) int { return cmp.Compare(place[a], place[b]) })
	l.number(c)
}

// swap lets neighbours change places as long as wires cross less.
func (l *layout) swap() {
	for range 8 {
		better := false
		for c, slots := range l.columns {
			for i := 1; i < len(slots); i++ {
				a, b := &l.slots[slots[i-1]], &l.slots[slots[i]]
				now := l.crossed(a.left, b.left) + l.crossed(a.right, b.right)
				then := l.crossed(b.left, a.left) + l.crossed(b.right, a.right)
				if then < now {
					slots[i-1], slots[i] = slots[i], slots[i-1]
					l.number(c)
					better = true
				}
			}
		}
		if !better {
			return
		}
	}
}

// crossed counts how many wires of an upper slot cross those of a lower one.
func (l *layout) crossed(upper, lower []wire) int {
	n := 0
	for _, u := range upper {
		for _, w := range lower {
			if l.slots[u.slot].order > l.slots[w.slot].order {
				n++
			}
		}
	}
	return n
}

// crossings counts the wires that cross in the whole layout.
func (l *layout) crossings() int {
	n := 0
	for c := 1; c < len(l.columns); c++ {
		// Wires in the order of their left ends cross where their right ends are not
		// in order: seen counts the right ends so far, in a tree of partial sums.
		seen := make([]int, len(l.columns[c])+1)
		all := 0
		for _, i := range l.columns[c-1] {
			ends := make([]int, len(l.slots[i].right))
			for j, w := range l.slots[i].right {
				ends[j] = l.slots[w.slot].order
			}
			for _, end := range ends {
				n += all
				for at := end + 1; at > 0; at -= at & -at {
					n -= seen[at]
				}
			}
			for _, end := range ends {
				for at := end + 1; at < len(seen); at += at & -at {
					seen[at]++
				}
			}
			all += len(ends)
		}
	}
	return n
}
