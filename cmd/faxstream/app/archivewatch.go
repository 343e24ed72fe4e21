package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/trace"
	"github.com/faxstream/faxstream/storage"
)

const (
	// checkEvery is how long one successful write shows that writes work. With checkTimeout, and the time in which a store aborts a test
	// upload (10 s), readiness is red within a minute. More often would cost more at services that count requests.
	checkEvery   = 30 * time.Second
	checkTimeout = 10 * time.Second
	// recheckAfter is the time between two checks while writes fail, and where it must be known now, however many ask.
	recheckAfter = time.Second
)

// watched is an archive of which it is known whether it accepts writes: each Create shows it, and while there is none, a test write.
type watched struct {
	store
	turn chan struct{} // of capacity 1; full while a check runs

	mu      sync.Mutex
	tried   time.Time     // end of the last write that showed something; guarded by mu
	wrote   time.Time     // end of the last write that worked; guarded by mu
	failure error         // of the last write; nil: it worked; guarded by mu
	tested  time.Time     // end of the last test write; guarded by mu
	down    error         // of the last test write, until a write works; guarded by mu
	back    time.Time     // end of the first write that worked after a test write that failed; zero: none failed; guarded by mu
	doubt   chan struct{} // of capacity 1; has a value when a write or a read failed: a test write then shows whether that is the archive

	failures *prometheus.CounterVec
	tracer   *trace.Tracer // of writes; nil: off
	log      *slog.Logger
}

// watch registers the metrics of an archive.
func watch(s store, r prometheus.Registerer, log *slog.Logger) (*watched, error) {
	w := &watched{store: s, log: log, turn: make(chan struct{}, 1), doubt: make(chan struct{}, 1)}
	w.failures = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "faxstream_archive_write_failures_total",
		Help: "Writes to the archive that failed, test writes included, by reason: refused, full, other.",
	}, []string{"reason"})
	for _, reason := range []string{"refused", "full", "other"} {
		w.failures.WithLabelValues(reason) // 0, not absent: an alert on an increase sees the first one
	}
	return w, errors.Join(r.Register(w.failures), r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "faxstream_archive_last_write_timestamp_seconds",
		Help: "Unix time of the last write to the archive that worked, test writes included; 0: none yet.",
	}, w.lastWrite)))
}

func (w *watched) lastWrite() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrote.IsZero() {
		return 0
	}
	return float64(w.wrote.UnixMilli()) / 1000
}

// Create implements [storage.Archive].
func (w *watched) Create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error {
	span := w.tracer.Write(ctx, key, size)
	err := w.store.Create(ctx, key, body, size, sum)
	span.End(written(err))
	w.saw(ctx, err)
	return err
}

// CreateAll implements [storage.Batcher]. An item that was not tried has the error of the item that failed.
func (w *watched) CreateAll(ctx context.Context, items ...storage.Item) []error {
	return w.together(ctx, items, archive.BatcherOf(w.store).CreateAll)
}

// Commit implements [storage.Batcher].
func (w *watched) Commit(ctx context.Context, items ...storage.Item) []error {
	return w.together(ctx, items, archive.BatcherOf(w.store).Commit)
}

// Begin implements [storage.Batcher].
func (w *watched) Begin(file *os.File, from, to int64) {
	archive.BatcherOf(w.store).Begin(file, from, to)
}

func (w *watched) together(ctx context.Context, items []storage.Item, create func(context.Context, ...storage.Item) []error) []error {
	var spans []*trace.Span
	if w.tracer != nil {
		for _, item := range items {
			spans = append(spans, w.tracer.Write(ctx, item.Key, item.Size))
		}
	}
	errs := create(ctx, items...)
	for i, span := range spans {
		span.End(written(errs[i]))
	}
	for _, err := range errs {
		w.saw(ctx, err)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return errs
}

// Open implements [storage.Archive].
func (w *watched) Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error) {
	r, size, err := w.store.Open(ctx, key)
	w.sawRead(ctx, err)
	return r, size, err
}

// List implements [storage.Archive].
func (w *watched) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for key, err := range w.store.List(ctx, prefix, after) {
			w.sawRead(ctx, err)
			if !yield(key, err) {
				return
			}
		}
	}
}

// sawRead has a test write show whether a read that failed is about the archive: the first request of work on a page is a read.
func (w *watched) sawRead(ctx context.Context, err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
		w.mayBeAway()
	}
}

// written says for a span what a write did, and why it failed.
func written(err error) (outcome, failure string) {
	switch {
	case err == nil:
		return "written", ""
	case errors.Is(err, fs.ErrExist):
		return "exists", ""
	default:
		return "failed", "not_written"
	}
}

// saw notes the result of a write. An object that exists shows nothing: some services find that before they look for room.
func (w *watched) saw(ctx context.Context, err error) {
	for _, other := range []error{fs.ErrExist, storage.ErrMismatch, storage.ErrInvalidKey} {
		if errors.Is(err, other) {
			return
		}
	}
	if err != nil && ctx.Err() != nil && !errors.Is(context.Cause(ctx), errNoAnswer) {
		return // the caller does not want it any more
	}
	reason := "other"
	switch {
	case errors.Is(err, storage.ErrRefused):
		reason = "refused"
	case errors.Is(err, storage.ErrFull):
		reason = "full"
	}
	if err != nil {
		w.failures.WithLabelValues(reason).Inc()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tried, w.failure = time.Now(), err
	if err == nil {
		w.wrote = w.tried
		if w.down != nil {
			w.down, w.back = nil, w.tried
			w.log.Info("the archive takes writes again: work goes on")
		}
		return
	}
	w.mayBeAway()
}

func (w *watched) mayBeAway() {
	select {
	case w.doubt <- struct{}{}:
	default: // there will be a test write
	}
}

var errNoAnswer = fmt.Errorf("the archive does not answer within %s", checkTimeout)

// Check returns the error of the last write, nil if it worked. It makes a test write if the last write is too old to show something.
func (w *watched) Check(ctx context.Context) error {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-w.turn }()
	if known, err := w.known(); known {
		return err
	}
	return w.tryWrite(ctx)
}

// Outage says whether the archive takes no writes now, and when it took them last again. A write that failed says nothing: it may be about
// one object that cannot be written. A test write shows it. What was found more than a second ago does not count: another process may have
// met an outage since then.
func (w *watched) Outage(ctx context.Context) session.Outage {
	err := w.test(ctx)
	o := w.lastKnown()
	o.Now = err != nil
	return o
}

// lastKnown is Outage as it was found last.
func (w *watched) lastKnown() session.Outage {
	w.mu.Lock()
	defer w.mu.Unlock()
	return session.Outage{Now: w.down != nil, Ended: w.back}
}

// test makes a test write, unless it is known by now whether the archive takes writes.
func (w *watched) test(ctx context.Context) error {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-w.turn }()
	w.mu.Lock()
	known, down := time.Since(w.wrote) < recheckAfter || time.Since(w.tested) < recheckAfter, w.down
	w.mu.Unlock()
	if known {
		return down
	}
	return w.tryWrite(ctx)
}

// tryWrite makes a test write. The caller has the turn.
func (w *watched) tryWrite(ctx context.Context) error {
	check, cancel := context.WithTimeoutCause(ctx, checkTimeout, errNoAnswer)
	defer cancel()
	err := w.store.Check(check)
	if err != nil && errors.Is(context.Cause(check), errNoAnswer) {
		err = fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	if err != nil && ctx.Err() != nil {
		return err // it was not finished: it says nothing
	}
	w.saw(check, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tested = time.Now(); err == nil {
		return nil
	}
	if w.down == nil {
		w.log.Error("the archive takes no writes: webhooks are stored, their pages wait and nothing is lost; look at the archive and its keys",
			"err", err)
	}
	w.down = err
	return err
}

// known reports whether the result of the last write still counts, and returns it.
func (w *watched) known() (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := checkEvery
	if w.failure != nil {
		counts = recheckAfter
	}
	return !w.tried.IsZero() && time.Since(w.tried) < counts, w.failure
}

// keepChecking checks until ctx ends, so that the metrics are right also if nobody asks /readyz.
func (w *watched) keepChecking(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		_ = w.Check(ctx) // it is noted, and /readyz says it
		select {
		case <-tick.C:
		case <-w.doubt:
			_ = w.test(ctx) // the same
		case <-ctx.Done():
			return
		}
	}
}
