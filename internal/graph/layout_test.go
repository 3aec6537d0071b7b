package graph

import (
	"fmt"
	"math"
	"math/rand"
	"reflect"
	"testing"
	"time"
)

// web gives a graph of n boxes for a layout: chains, hubs, circles and boxes by
// themselves, decided by the seed.
func web(n int, seed int64) ([]size, []link) {
	r := rand.New(rand.NewSource(seed))
	sizes := make([]size, n)
	for i := range sizes {
		sizes[i] = size{60 + float64(r.Intn(120)), 30 + float64(15*r.Intn(4))}
	}
	var links []link
	for i := range n {
		switch r.Intn(6) {
		case 0: // by itself, unless others come
		case 1:
			links = append(links, link{i, r.Intn(1 + n/16), false}) // a hub
		default:
			for range 1 + r.Intn(3) {
				links = append(links, link{i, min(n-1, i+1+r.Intn(n/4+1)), i%3 == 0})
			}
			if r.Intn(5) == 0 {
				links = append(links, link{i, r.Intn(i + 1), false}) // back
			}
		}
	}
	return sizes, links
}

// faults says what is wrong with a layout: boxes that meet, or an arrow that goes
// through a box which is not its own.
func faults(p *placed, sizes []size, links []link) []string {
	var out []string
	for i, a := range p.boxes {
		if a.w < sizes[i].w || a.h < sizes[i].h {
			out = append(out, fmt.Sprintf("box %d is smaller than its text", i))
		}
		if a.x < 0 || a.y < 0 || a.x+a.w > p.w+0.5 || a.y+a.h > p.h+0.5 {
			out = append(out, fmt.Sprintf("box %d stands outside: %v of %v×%v", i, a, p.w, p.h))
		}
		for j, b := range p.boxes[:i] {
			if a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h {
				out = append(out, fmt.Sprintf("boxes %d and %d meet", j, i))
			}
		}
	}
	for i, route := range p.routes {
		k := links[i]
		if k.from == k.to {
			continue
		}
		if len(route) < 2 || len(route)%2 != 0 {
			out = append(out, fmt.Sprintf("arrow %d has %d points", i, len(route)))
			continue
		}
		for _, at := range along(route) {
			for v, b := range p.boxes {
				if v != k.from && v != k.to && at.x > b.x+0.5 && at.x < b.x+b.w-0.5 && at.y > b.y && at.y < b.y+b.h {
					out = append(out, fmt.Sprintf("arrow %d from %d to %d goes through box %d", i, k.from, k.to, v))
				}
			}
		}
	}
	return out
}

// along gives points of an arrow as it is drawn.
func along(route []point) []point {
	var out []point
	for i := 1; i < len(route); i++ {
		a, b := route[i-1], route[i]
		for t := 0.0; t <= 1; t += 0.02 {
			at := point{a.x + t*(b.x-a.x), b.y}
			if i%2 == 1 { // a bend, whose ends are level
				s := 1 - t
				mid := (a.x + b.x) / 2
				at = point{s*s*s*a.x + 3*s*t*mid + t*t*t*b.x, s*s*s*a.y + 3*s*s*t*a.y + 3*s*t*t*b.y + t*t*t*b.y}
			}
			out = append(out, at)
		}
	}
	return out
}

func TestArrange(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 8, 64, 150} {
		for seed := range int64(6) {
			sizes, links := web(n, seed)
			p := arrange(sizes, links)
			if wrong := faults(p, sizes, links); wrong != nil {
				t.Errorf("%d boxes, seed %d: %v", n, seed, wrong[0])
			}
			if again := arrange(sizes, links); !reflect.DeepEqual(p, again) {
				t.Errorf("%d boxes, seed %d: another layout the second time", n, seed)
			}
		}
	}
}

// TestArrangeDirections: callers stand left of what they call; in a circle a link
// that is firm does too.
func TestArrangeDirections(t *testing.T) {
	t.Parallel()
	sizes := make([]size, 5)
	for i := range sizes {
		sizes[i] = size{80, 40}
	}
	links := []link{{0, 1, false}, {1, 2, true}, {2, 0, false}, {2, 1, false}, {3, 0, false}, {4, 4, false}}
	p := arrange(sizes, links)
	if p.boxes[1].x >= p.boxes[2].x || p.boxes[3].x >= p.boxes[0].x {
		t.Errorf("%v", p.boxes)
	}
	if p.routes[5] != nil {
		t.Errorf("a link to itself has a route: %v", p.routes[5])
	}
	for i, k := range links[:5] {
		first, last := p.routes[i][0], p.routes[i][len(p.routes[i])-1]
		from, to := p.boxes[k.from], p.boxes[k.to]
		if math.Abs(first.y-(from.y+from.h/2)) > from.h/2 || math.Abs(last.y-(to.y+to.h/2)) > to.h/2 {
			t.Errorf("link %d does not lead from box to box: %v", i, p.routes[i])
		}
	}
	if empty := arrange(nil, nil); empty.w != 0 || empty.h != 0 {
		t.Errorf("nothing has a size: %v", empty)
	}
}

// TestArrangeShape: one that calls sixty is not one column of sixty.
func TestArrangeShape(t *testing.T) {
	t.Parallel()
	sizes := []size{{120, 40}}
	var links []link
	for i := 1; i <= 60; i++ {
		sizes = append(sizes, size{120, 40}, size{120, 50})
		links = append(links, link{0, 2*i - 1, false}, link{2*i - 1, 2 * i, true})
	}
	p := arrange(sizes, links)
	if wrong := faults(p, sizes, links); wrong != nil {
		t.Error(wrong[0])
	}
	if p.h > 2*p.w || p.w > 3*p.h {
		t.Errorf("%.0f × %.0f", p.w, p.h)
	}
}

func TestArrangeMany(t *testing.T) {
	t.Parallel()
	sizes, links := web(1000, 1)
	start := time.Now()
	arrange(sizes, links)
	// A machine that does other things too takes longer; what this finds is a step
	// whose time grows with the square.
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("1,000 boxes and %d links take %v", len(links), took)
	} else {
		t.Logf("1,000 boxes and %d links take %v", len(links), took)
	}
}

func FuzzArrange(f *testing.F) {
	f.Add([]byte{3, 0, 1, 1, 2, 2, 0})
	f.Add([]byte{9, 0, 1, 0, 2, 0, 3, 3, 4, 4, 3, 8, 8})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || len(data) > 400 {
			return
		}
		n := 1 + int(data[0])%60
		sizes := make([]size, n)
		for i := range sizes {
			sizes[i] = size{40 + float64(i%7*20), 30 + float64(i%4*15)}
		}
		var links []link
		for i := 1; i+1 < len(data); i += 2 {
			links = append(links, link{int(data[i]) % n, int(data[i+1]) % n, false})
		}
		if wrong := faults(arrange(sizes, links), sizes, links); wrong != nil {
			t.Error(wrong[0])
		}
	})
}

func BenchmarkArrange(b *testing.B) {
	for _, n := range []int{64, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			sizes, links := web(n, 1)
			for b.Loop() {
				arrange(sizes, links)
			}
		})
	}
}
