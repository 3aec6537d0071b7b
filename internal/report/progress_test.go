package report_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/release"
	"github.com/helm-kai/helm-kai/internal/report"
)

// clock is a time that tests move.
type clock struct{ at time.Time }

func newClock() *clock                   { return &clock{time.Date(2026, 11, 2, 12, 3, 4, 0, time.UTC)} }
func (c *clock) now() time.Time          { return c.at }
func (c *clock) forward(d time.Duration) { c.at = c.at.Add(d) }

func waiting(name, message string) release.Event {
	return release.Event{Release: name, Phase: release.PhaseWaiting, Message: "waiting for Deployment/" + name + ": " + message}
}

func TestLines(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	c := newClock()
	p := report.NewLines(&b, c.now)
	few := waiting("carts", "1 of 2 replicas available (ImagePullBackOff in carts-7d)")
	p.Event(release.Event{Message: "2 releases"})
	p.Event(few)
	c.forward(10 * time.Second)
	p.Event(few) // said just now
	p.Event(waiting("carts", "2 of 2 replicas\navailable\x1b[2J"))
	p.Event(few) // still said just now
	p.Event(waiting("orders", "1 of 2 replicas available (ImagePullBackOff in carts-7d)"))
	c.forward(20 * time.Second)
	p.Event(few) // 30 s after
	p.Event(few)
	p.Event(release.Event{Release: "carts", Phase: release.PhaseDone, Message: "upgraded, revision 4"})
	p.Event(release.Event{Time: c.at.Add(time.Hour), Release: "orders", Phase: release.PhaseFailed, Message: "it took too long\n  hint: wait longer"})
	p.Close()
	p.Close()
	p.Event(few)
	golden(t, "lines.golden", b.String())
}

// screen is as much of a terminal as NewTerminal needs.
type screen struct {
	t             *testing.T
	width, height int
	lines         []string // all that were ever on it; the cursor is in the last
	row           int
	col           int
}

func (s *screen) Write(b []byte) (int, error) {
	text := string(b)
	for text != "" {
		var n int
		switch {
		case strings.HasPrefix(text, "\x1b[J"):
			s.lines = append(s.lines[:s.row:s.row], "")
			text = text[len("\x1b[J"):]
		case strings.HasPrefix(text, "\x1b["):
			if _, err := fmt.Sscanf(text, "\x1b[%dA", &n); err != nil {
				s.t.Fatalf("not understood: %q", text)
			}
			s.row -= n
			if s.row < 0 || s.row < len(s.lines)-s.height {
				s.t.Fatalf("the cursor leaves the screen: up %d to %d of %d", n, s.row, len(s.lines))
			}
			text = text[strings.IndexByte(text, 'A')+1:]
		case text[0] == '\r':
			s.col = 0
			text = text[1:]
		case text[0] == '\n':
			s.row, s.col = s.row+1, 0
			if s.row == len(s.lines) {
				s.lines = append(s.lines, "")
			}
			text = text[1:]
		default:
			r := []rune(text)[0]
			if s.col == s.width {
				s.row, s.col = s.row+1, 0
				s.lines = append(s.lines, "")
			}
			s.lines[s.row] += string(r)
			s.col++
			text = text[len(string(r)):]
		}
	}
	return len(b), nil
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := &screen{t: t, width: 40, height: 5, lines: []string{""}}
	var steps strings.Builder
	p := report.NewTerminal(s, c.now, func() (int, int) { return s.width, s.height })
	show := func(what string, e release.Event) {
		p.Event(e)
		fmt.Fprintf(&steps, "== %s\n%s\n", what, strings.Join(s.lines, "\n"))
	}
	show("a run", release.Event{Message: "6 releases"})
	show("a release", release.Event{Release: "carts", Phase: release.PhaseSending, Message: "sending 7 objects"})
	show("a second", release.Event{Release: "orders", Phase: release.PhaseStarted, Message: "upgrading"})
	show("a warning", release.Event{Release: "carts", Phase: release.PhaseWarning, Message: "that is odd"})
	c.forward(12 * time.Second)
	show("a long line", waiting("carts", "1 of 2 replicas available (ImagePullBackOff in carts-7d)"))
	show("one is done", release.Event{Release: "carts", Phase: release.PhaseDone, Message: "upgraded, revision 4"})
	show("one is skipped", release.Event{Release: "user", Phase: release.PhaseSkipped, Message: "carts has failed"})
	for _, name := range []string{"a", "b", "c"} {
		p.Event(waiting(name, "日本語日本語日本語日本語日本語日本語"))
	}
	show("more than fit", waiting("d", ""))
	show("one fails", release.Event{Release: "orders", Phase: release.PhaseFailed, Message: "it took too long\n  hint: wait longer"})
	p.Close()
	p.Close()
	show("dropped after the end", waiting("e", ""))
	golden(t, "terminal.golden", steps.String())
}

func TestProgressFromManyGoroutines(t *testing.T) {
	t.Parallel()
	c := newClock()
	var b strings.Builder
	for _, p := range []report.Progress{report.Quiet{}, report.NewLines(&b, c.now), report.NewTerminal(&b, c.now, func() (int, int) { return 0, 0 })} {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 20 {
					p.Event(waiting(fmt.Sprint("r", i), fmt.Sprint(j)))
				}
				p.Event(release.Event{Release: fmt.Sprint("r", i), Phase: release.PhaseDone})
			})
		}
		wg.Wait()
		p.Close()
	}
}
