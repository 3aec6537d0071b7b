package release

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"
)

// outage is how long a cluster that has answered before may be away, as while
// its API server restarts.
const outage = time.Minute

// patient is a transport that goes on where the API server is away for a while.
// A request that was never sent is sent again whatever it does; one whose answer
// was lost only where it reads. A cluster that has never answered is given up at
// once: its address is wrong, or it is down.
type patient struct {
	next     http.RoundTripper
	clock    Clock
	answered atomic.Bool
}

// RoundTrip implements http.RoundTripper.
func (p *patient) RoundTrip(r *http.Request) (*http.Response, error) {
	start := p.clock.Now()
	for pause := 100 * time.Millisecond; ; pause = min(pause*2, 2*time.Second) {
		response, err := p.next.RoundTrip(r)
		if err == nil {
			p.answered.Store(true)
			return response, nil
		}
		unsent := errors.Is(err, syscall.ECONNREFUSED)
		reads := r.Method == http.MethodGet && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF))
		if !p.answered.Load() || !unsent && !reads || p.clock.Now().Sub(start) >= outage {
			return nil, err
		}
		if r.Body != nil && r.GetBody == nil {
			return nil, err
		}
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-p.clock.After(pause):
		}
		if r.GetBody != nil {
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			r = r.Clone(r.Context())
			r.Body = body
		}
	}
}
