package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// measureMemory sends 24 pages of 24 MB at once.
func measureMemory(ctx context.Context, b *bench, of build) (f figures, err error) {
	s, err := b.embedded(of)
	if err != nil {
		return nil, err
	}
	r, err := b.start(of, s, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	page, n := b.work.huge(), b.size.of(24, 2)
	start := time.Now()
	fax := faxplustest.Fax{Session: r.prefix + "-huge", Streamed: true}
	for range n {
		fax.Pages = append(fax.Pages, page)
	}
	work := r.webhooks([]faxplustest.Fax{fax})
	if _, err := r.post(ctx, n, work[:n]); err != nil { // without the close: it would order the whole file
		return nil, err
	}
	if err := r.events.await(ctx, session.TypePageArchived, n); err != nil {
		return nil, err
	}
	took := time.Since(start)
	peak, err := r.memory("VmHWM")
	return figures{"peak": peak, "took": took.Seconds()}, err
}

// measureBacklog measures how long a fresh fax takes, alone and behind many pages.
func measureBacklog(ctx context.Context, b *bench, of build) (figures, error) {
	f := figures{}
	for figure, pile := range map[string]func(context.Context, *rig, *gate, []faxplustest.Fax) error{"announced": announce, "retried": spoil} {
		alone, behind, err := b.behind(ctx, of, pile)
		if err != nil {
			return nil, err
		}
		f["unloaded"], f[figure] = ms(alone), ms(behind)/ms(alone)
	}
	return f, nil
}

// announce sends the webhooks of faxes while the provider answers nothing.
func announce(ctx context.Context, r *rig, g *gate, faxes []faxplustest.Fax) error {
	g.shut()
	defer g.open()
	_, err := r.post(ctx, senders, r.webhooks(faxes))
	return err
}

// spoil sends the webhooks of faxes whose pages are not ready at the first request, and waits until all of them were requested once.
func spoil(ctx context.Context, r *rig, _ *gate, faxes []faxplustest.Fax) error {
	for _, f := range faxes {
		for page := range f.Pages {
			r.provider.Script(f.Session, page+1, firstNotThere)
		}
	}
	if _, err := r.post(ctx, senders, r.webhooks(faxes)); err != nil {
		return err
	}
	return r.awaitRequests(faxes)
}

func firstNotThere(try int) faxplustest.Answer {
	if try == 1 {
		return faxplustest.Answer{Status: http.StatusNotFound}
	}
	return faxplustest.Answer{}
}

// behind measures a fresh fax on an idle pipeline, and then one behind 5,000 pages that pile sends.
func (b *bench) behind(ctx context.Context, of build, pile func(context.Context, *rig, *gate, []faxplustest.Fax) error,
) (alone, behind time.Duration, err error) {
	s, err := b.embedded(of)
	if err != nil {
		return 0, 0, err
	}
	g := &gate{}
	r, err := b.start(of, s, g.before)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	fax, err := b.work.fax(pagesOfFax)
	if err != nil {
		return 0, 0, err
	}
	for _, name := range []string{"-first", "-alone"} { // the first fax of a process finds nothing warm
		if alone, err = r.fresh(ctx, fax, name); err != nil {
			return 0, 0, err
		}
	}
	if err := pile(ctx, r, g, named(fax, r.prefix+"-pile", b.size.of(250, 2))); err != nil {
		return 0, 0, err
	}
	behind, err = r.fresh(ctx, fax, "-fresh")
	return alone, behind, err
}

// awaitRequests waits until every page was requested once.
func (r *rig) awaitRequests(faxes []faxplustest.Fax) error {
	return poll(backlog, "every page of the backlog is requested once", func() bool {
		for _, f := range faxes {
			for page := range f.Pages {
				if r.provider.Tries(f.Session, page+1) == 0 {
					return false
				}
			}
		}
		return true
	})
}

// fresh sends one fax, and returns how long after its first webhook half of its pages were archived.
func (r *rig) fresh(ctx context.Context, fax faxplustest.Fax, name string) (time.Duration, error) {
	fax.Session = r.prefix + name
	work := r.webhooks([]faxplustest.Fax{fax})
	start := time.Now()
	if _, err := r.post(ctx, 8, work); err != nil {
		return 0, err
	}
	var took []time.Duration
	for page := range fax.Pages {
		var at time.Time
		err := poll(backlog, "a page of a fresh fax is archived", func() bool {
			at = r.events.when(fax.Session, page+1)
			return !at.IsZero()
		})
		if err != nil {
			return 0, err
		}
		took = append(took, at.Sub(start))
	}
	return median(took), nil
}

// gate stands before the provider and can hold requests for pages.
type gate struct {
	mu     sync.Mutex
	closed chan struct{} // until it is closed requests wait; nil: they do not
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.closed)
	g.closed = nil
}

func (g *gate) before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		wait := g.closed
		g.mu.Unlock()
		if wait != nil {
			select {
			case <-wait:
			case <-r.Context().Done():
			}
		}
		next.ServeHTTP(w, r)
	})
}
