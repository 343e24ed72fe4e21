package fetch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
)

// earlyPages are the pages that overtook a backlog. The announcement of each comes a second time, maybe while the first is in work.
type earlyPages struct {
	mu    sync.Mutex
	busy  map[pageName]bool // in work; guarded by mu
	ended map[pageName]bool // handled early without an error; guarded by mu
}

type pageName struct {
	session string
	page    int
}

const (
	maxEnded = 10_000      // after that all are forgotten, and the second announcement costs requests
	busyWait = time.Second // until a message is delivered again whose page is in work
)

func newEarlyPages() *earlyPages {
	return &earlyPages{busy: map[pageName]bool{}, ended: map[pageName]bool{}}
}

// begin claims a page. free is false if it is in work; ended is true if nothing is left to do, and then it is not claimed.
func (e *earlyPages) begin(p pageName) (free, ended bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy[p] || e.ended[p] {
		return !e.busy[p], e.ended[p]
	}
	e.busy[p] = true
	return true, false
}

// end gives a page back.
func (e *earlyPages) end(p pageName, ended bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.busy, p)
	if !ended {
		return
	}
	if len(e.ended) >= maxEnded {
		clear(e.ended)
	}
	e.ended[p] = true
}

// tryOnce makes an attempt for an announcement that comes more than once. It does nothing if another delivery has done everything.
func (w *Worker) tryOnce(ctx context.Context, a attempt) error {
	name := pageName{a.fact.Session, a.fact.Page}
	free, ended := w.early.begin(name)
	switch {
	case ended, !free && a.early:
		return nil
	case !free:
		return bus.Later{After: busyWait}
	}
	done, err := false, error(nil)
	if a.again {
		done, err = w.done(ctx, a)
	}
	if err == nil && !done {
		err = w.try(ctx, a)
	}
	w.early.end(name, err == nil && a.early)
	return err
}

// done reports whether a first attempt has left nothing to do: it failed, and its retry is scheduled, or the page is published. If the
// archive has a second original of the page, the better one counts: then the attempt is made again.
func (w *Worker) done(ctx context.Context, a attempt) (bool, error) {
	id, page := a.fact.Session, a.fact.Page
	token, err := w.bus.Bind(ctx, id, session.NumberToken(a.fact.To))
	if err != nil {
		return false, err
	}
	facts, err := w.bus.PageFacts(ctx, id, session.Span(page, page))
	if err != nil {
		return false, err
	}
	f, ok := facts[page]
	if !ok {
		return w.failedBefore(ctx, session.PageFailed{ToToken: token, Session: id, Page: page, Attempt: a.before + a.number})
	}
	originals := 0
	for key, err := range w.Archive.List(ctx, archive.PagePrefix(id, page), "") {
		if err != nil {
			return false, fmt.Errorf("list %s: %w", archive.PagePrefix(id, page), err)
		}
		if archive.IsKind(key, archive.KindOriginal) {
			originals++
		}
	}
	return f.Source == session.SourceFetch && f.ToToken == token && originals == 1, nil
}

// failedBefore reports whether an attempt failed, in one of its stages.
func (w *Worker) failedBefore(ctx context.Context, f session.PageFailed) (bool, error) {
	for _, f.Stage = range []string{stage.Fetch, stage.Decode} {
		if ok, err := w.bus.Recorded(ctx, f); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}
