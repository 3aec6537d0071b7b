package report

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/helm-kai/helm-kai/internal/release"
)

// terminal shows a line for each release that is at work, and redraws them in
// place; what is finished scrolls up above them.
type terminal struct {
	mu      sync.Mutex
	w       io.Writer
	now     func() time.Time
	size    func() (width, height int)
	running []row // in the order in which they began
	drawn   int   // lines on the screen that the next drawing replaces
	closed  bool
}

type row struct {
	release, text string
	began         time.Time
}

// NewTerminal shows a run on a terminal that knows ANSI's cursor movements. size
// gives the terminal's columns and lines, or zeros, and is asked at each
// drawing. Between drawings the cursor stands below the last line, and nothing
// of the terminal's state is changed, so that a run may end at any time.
func NewTerminal(w io.Writer, now func() time.Time, size func() (width, height int)) Progress {
	return &terminal{w: w, now: now, size: size}
}

// Event redraws the line of the event's release. The last event of a release,
// warnings, and what is about the run as a whole stay above.
func (t *terminal) Event(e release.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	if e.Time.IsZero() {
		e.Time = t.now()
	}
	switch text := eventText(e); {
	case e.Release == "" || e.Phase == release.PhaseWarning:
		t.draw(text + "\n")
	case ends(e):
		t.draw(text + t.finish(e) + "\n")
	case t.set(e, text):
		t.draw("")
	}
}

// Close leaves the lines as they are: they say what was going on.
func (t *terminal) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}

// set changes a release's line, and says whether it was another one before.
func (t *terminal) set(e release.Event, text string) bool {
	for i := range t.running {
		if r := &t.running[i]; r.release == e.Release {
			if r.text == text {
				return false
			}
			r.text = text
			return true
		}
	}
	t.running = append(t.running, row{e.Release, text, e.Time})
	return true
}

// finish removes a release's line, and gives how long it took where it is done.
func (t *terminal) finish(e release.Event) string {
	for i, r := range t.running {
		if r.release == e.Release {
			t.running = append(t.running[:i], t.running[i+1:]...)
			if took := e.Time.Sub(r.began).Round(time.Second); took > 0 && e.Phase == release.PhaseDone {
				return " (" + took.String() + ")"
			}
			return ""
		}
	}
	return ""
}

// draw replaces the lines on the screen, below what shall stay above. It is one
// write, so that the screen does not flicker.
func (t *terminal) draw(above string) {
	width, height := t.size()
	if width < 1 {
		width = 80
	}
	if height < 1 {
		height = 24
	}
	var b strings.Builder
	if t.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", t.drawn)
	}
	b.WriteString("\r\x1b[J" + above)
	// A line of the full width may wrap; the cursor needs a line below the last.
	shown := t.running
	if room := max(1, height-1); len(shown) > room {
		shown = shown[:room-1]
	}
	for _, r := range shown {
		b.WriteString(cut(r.text, width-1) + "\n")
	}
	t.drawn = len(shown)
	if more := len(t.running) - len(shown); more > 0 {
		b.WriteString(cut(fmt.Sprintf("and %d more", more), width-1) + "\n")
		t.drawn++
	}
	_, _ = io.WriteString(t.w, b.String())
}
