package report

import (
	"io"
	"sync"
	"time"

	"github.com/helm-kai/helm-kai/internal/release"
)

// Progress shows a run while it goes on. Its methods may be called from several
// goroutines. After Close, which may be called twice, events are dropped.
type Progress interface {
	Event(release.Event)
	Close()
}

// Quiet shows nothing.
type Quiet struct{}

// Event drops the event.
func (Quiet) Event(release.Event) {}

// Close does nothing.
func (Quiet) Close() {}

// ends says whether a release has nothing to do after an event.
func ends(e release.Event) bool {
	return e.Release != "" && (e.Phase == release.PhaseDone || e.Phase == release.PhaseFailed || e.Phase == release.PhaseSkipped)
}

// eventText gives an event on one line, without its time. Messages say what is
// going on; what went wrong is said to have.
func eventText(e release.Event) string {
	text := e.Message
	switch e.Phase {
	case release.PhaseFailed, release.PhaseSkipped, release.PhaseWarning:
		text = string(e.Phase) + ": " + text
	}
	if text == "" {
		text = string(e.Phase)
	}
	if e.Release != "" {
		text = e.Release + ": " + text
	}
	return oneLine(text)
}

// again is after how long a line is said once more.
const again = 30 * time.Second

// lines shows events as plain lines.
type lines struct {
	mu     sync.Mutex
	w      io.Writer
	now    func() time.Time
	said   map[string]map[string]time.Time // release → line → when
	closed bool
}

// NewLines shows a run as lines that begin with the time, for logs and pipes. A
// line is said once, and again at most every 30 seconds. now gives the time of
// events that have none; errors of w are not reported, since a run does not
// depend on being watched.
func NewLines(w io.Writer, now func() time.Time) Progress {
	return &lines{w: w, now: now, said: map[string]map[string]time.Time{}}
}

// Event prints the event unless it was said just now.
func (l *lines) Event(e release.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	at := e.Time
	if at.IsZero() {
		at = l.now()
	}
	text := eventText(e)
	said := l.said[e.Release]
	if said == nil {
		said = map[string]time.Time{}
		l.said[e.Release] = said
	}
	if last, ok := said[text]; ok && at.Sub(last) < again && !ends(e) {
		return
	}
	said[text] = at
	if ends(e) {
		delete(l.said, e.Release)
	}
	_, _ = io.WriteString(l.w, at.Format(time.TimeOnly)+" "+text+"\n")
}

// Close ends the printing.
func (l *lines) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}
