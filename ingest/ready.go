package ingest

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// ReadyPath is the path at which a load balancer asks whether webhooks can be stored. Every address may ask, without a secret: the answer
// is 200 or 503 and says nothing else.
const ReadyPath = "/readyz"

// ErrSpooling is what Config.Ready returns while webhooks are stored, but only on this machine.
var ErrSpooling = errors.New("webhooks are stored in the spool of this machine")

// readyFor is how long an answer counts, so that strangers who ask often cost nothing.
const readyFor = time.Second

// readiness asks check whether webhooks can be stored, at most once in readyFor.
type readiness struct {
	check   func(context.Context) error
	timeout time.Duration

	mu    sync.Mutex
	asked time.Time // when the last check ended; guarded by mu
	err   error     // of the last check; guarded by mu
}

func (r *readiness) now(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.asked.IsZero() && time.Since(r.asked) < readyFor {
		return r.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.timeout) // the answer is for others too
	defer cancel()
	r.err = r.check(ctx)
	r.asked = time.Now()
	return r.err
}

// answer is the answer to a request for ReadyPath.
func (r *readiness) answer(w http.ResponseWriter, req *http.Request) reply {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return reply{http.StatusMethodNotAllowed, codeMethod, "ask with GET or HEAD", nil}
	}
	err := r.now(req.Context())
	if errors.Is(err, ErrSpooling) {
		return reply{http.StatusOK, codeSpooling, "", nil}
	}
	if err != nil {
		return reply{
			http.StatusServiceUnavailable, codeNotReady, "webhooks cannot be stored; /readyz of the admin listener says why", err,
		}
	}
	return reply{http.StatusOK, codeReady, "", nil}
}
