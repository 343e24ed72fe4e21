package fetch

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
)

// TestRemedies goes through the table: what follows a failed attempt, before and after the deadline, with a provider that works for other
// requests and with one that is down.
func TestRemedies(t *testing.T) {
	const (
		later = "later"
		over  = "over"
		stop  = "stop"
	)
	type row struct {
		before, beforeDown string
		after, afterDown   string
	}
	patient := row{later, later, over, over}
	final := row{over, over, over, over}
	rows := map[session.Reason]row{
		session.ReasonNotYet:       patient,
		session.ReasonEmpty:        patient,
		session.ReasonTruncated:    patient,
		session.ReasonWrongType:    patient,
		session.ReasonTooLarge:     patient,
		session.ReasonRefused:      patient,
		session.ReasonNotInFile:    patient,
		session.ReasonUnavailable:  {later, stop, over, stop},
		session.ReasonUnauthorized: {later, stop, over, stop},
		session.ReasonNoPagePath:   final,
		session.ReasonManyPages:    final,
		session.ReasonDamaged:      final,
		session.ReasonUnsupported:  final,
		session.ReasonInternal:     final,
	}
	for reason, want := range rows {
		for i, want := range []string{want.before, want.beforeDown, want.after, want.afterDown} {
			synctest.Test(t, func(t *testing.T) {
				var down error
				if i%2 == 1 {
					down = errors.New("401")
				}
				w := &Worker{
					retry: DefaultRetry(),
					gate:  newGate(func(context.Context) error { return down }, probeEvery, nil, slog.New(slog.DiscardHandler)),
				}
				since := time.Now()
				at := since.Add(time.Minute)
				if i >= 2 {
					at = since.Add(w.retry.Deadline)
				}
				due, ok, err := w.again(t.Context(), leastAttempts, &intake.Failure{Reason: reason}, since.Add(w.retry.Deadline), at)
				got := over
				switch {
				case err != nil:
					got = stop
				case ok:
					got = later
				}
				if got != want || ok && !due.After(at) {
					t.Errorf("%s, case %d: %s, due %v after the attempt; want %s", reason, i, got, due.Sub(at), want)
				}
			})
		}
	}
	for reason := range remedies {
		if _, ok := rows[reason]; !ok {
			t.Errorf("%s is in the table of remedies and has no row here", reason)
		}
	}
}

// Every reason is in the table of remedies, or an attempt never fails with it. A reason that is forgotten there
// would silently get no retry.
func TestEveryReasonHasARemedy(t *testing.T) {
	never := map[session.Reason]string{
		session.ReasonDiffers:      "the comparison of two pages that both arrived",
		session.ReasonNotAnnounced: "nothing was tried",
		session.ReasonBadRequest:   "a webhook or a message",
		session.ReasonConflict:     "two facts",
		session.ReasonLost:         "the archive",
		session.ReasonKept:         "a purge",
		session.ReasonPurged:       "work on a purged fax, which ends",
	}
	source, err := parser.ParseFile(token.NewFileSet(), "../session/reason.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	ast.Inspect(source, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		value, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		seen++
		reason := session.Reason(strings.Trim(value.Value, `"`))
		_, failed := remedies[reason]
		if _, other := never[reason]; failed == other {
			t.Errorf("session.%s (%q): in the table of remedies: %t, never the reason of an attempt: %t; want one of the two",
				spec.Names[0].Name, reason, failed, other)
		}
		return true
	})
	if seen != len(remedies)+len(never) {
		t.Errorf("../session/reason.go has %d reasons, want the %d of the table and %d others", seen, len(remedies), len(never))
	}
}

// A retry that comes much later than it was due was held up by an outage of ours, which must not cost the page its time.
func TestAnOutageOfOursMovesTheDeadline(t *testing.T) {
	w := &Worker{retry: DefaultRetry()}
	due := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name        string
		until, came time.Time // zero until: a page that was asked for again
		want        time.Time
	}{
		{"in time", due.Add(time.Minute), due.Add(2 * time.Second), due.Add(time.Minute)},
		{"late, with time left", due.Add(3 * time.Hour), due.Add(2 * time.Hour), due.Add(3 * time.Hour)},
		{"late, and the time is over", due.Add(time.Minute), due.Add(2 * time.Hour), due.Add(2*time.Hour + afterOutage)},
		{"asked for again", time.Time{}, due, due.Add(w.retry.Deadline)},
	} {
		timer := session.Timer{Kind: session.TimerRetry, Session: "s", Page: 1, Due: due}
		r := session.Retry{Until: c.until}
		if err := w.extend(&r, bus.Delivery{Subject: timer.DueSubject(), Time: c.came}); err != nil || !r.Until.Equal(c.want) {
			t.Errorf("%s: until %v, %v; want %v", c.name, r.Until, err, c.want)
		}
	}
}

// Messages wait at a closed gate. There is one probe in ten seconds, for any number of messages, and all go on when it succeeds.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const waiters = 10
		var probes atomic.Int64
		var alive atomic.Bool
		var told []error
		g := newGate(func(context.Context) error {
			probes.Add(1)
			if alive.Load() {
				return nil
			}
			return errors.New("the token is not valid")
		}, probeEvery, func(err error) { told = append(told, err) }, slog.New(slog.DiscardHandler))
		if err := g.pass(t.Context()); err != nil {
			t.Fatalf("an open gate: %v", err)
		}
		start := time.Now()
		if g.usable(t.Context(), false) {
			t.Fatal("the gate is open behind a dead token")
		}
		stopping, stop := context.WithCancel(t.Context())
		stop()
		time.Sleep(probeEvery) // virtual: a probe is due, but whoever is stopping does not wait for it
		if err := g.pass(stopping); !errors.Is(err, context.Canceled) {
			t.Fatalf("a closed gate lets somebody who is stopping wait: %v", err)
		}
		probes.Store(0)
		results := make(chan error, waiters)
		for range waiters {
			go func() {
				for {
					err := g.pass(t.Context())
					if err == nil || !errors.Is(err, errStopped) {
						results <- err
						return
					}
				}
			}()
		}
		time.Sleep(10 * time.Minute) // virtual
		if n := probes.Load(); len(results) > 0 || n > 600/10+1 {
			t.Fatalf("after ten minutes %d have passed, %d probes", len(results), n)
		}
		alive.Store(true)
		for range waiters {
			if err := <-results; err != nil {
				t.Fatal(err)
			}
		}
		if len(told) != 2 || told[0] == nil || told[1] != nil {
			t.Errorf("told %v, want why it stopped, then that it goes on", told)
		}
		opened := time.Now()
		time.Sleep(time.Hour)
		if o := g.outage(t.Context()); o.Now || o.Ended.After(opened) || o.Ended.Before(opened.Add(-time.Minute)) {
			t.Errorf("an hour after it opened at %s: %+v", opened, o)
		}
		alive.Store(false)
		g.usable(t.Context(), false)
		if o := g.outage(t.Context()); !o.Now {
			t.Errorf("at a closed gate: %+v", o)
		}
		alive.Store(true)
		time.Sleep(probeEvery)
		if o := g.outage(t.Context()); o.Now || time.Since(o.Ended) > 0 {
			t.Errorf("at a closed gate at which nobody waits, when the provider is back: %+v", o)
		}
		// What waited has some time of its own, though its deadline is over.
		if got := g.extended(start.Add(time.Minute), 5*time.Minute); !got.After(time.Now().Add(4 * time.Minute)) {
			t.Errorf("the deadline is %v from now", time.Until(got))
		}
		if later := time.Now().Add(time.Hour); !g.extended(later, time.Minute).Equal(later) {
			t.Error("a deadline that is not over was changed")
		}
	})
}

// A provider that is away for a while and fails at every page closes the gate, so the pages of that time come as soon as it is back: none
// waits for a retry that was set while it was away.
func TestPagesComeWhenTheProviderIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			pages   = 200
			away    = 101 * time.Second
			answers = 3 * time.Second  // how long a call tries that fails
			again   = 15 * time.Second // after which a message that waits is delivered again, at most
		)
		start := time.Now()
		back := start.Add(away)
		down := func(context.Context) error {
			if time.Now().Before(back) {
				return errors.New("connection refused")
			}
			return nil
		}
		w := &Worker{retry: DefaultRetry(), gate: newGate(down, probeEvery, nil, slog.New(slog.DiscardHandler))}
		came := make(chan time.Time, pages)
		page := func() {
			for n := 1; ; {
				if w.gate.pass(t.Context()) != nil {
					time.Sleep(again)
					continue
				}
				if down(t.Context()) == nil {
					came <- time.Now()
					return
				}
				time.Sleep(answers)
				due, ok, err := w.again(t.Context(), n, &intake.Failure{Reason: session.ReasonUnavailable}, start.Add(w.retry.Deadline), time.Now())
				switch {
				case err != nil:
					time.Sleep(again)
				case !ok:
					t.Error("a page was given up")
					return
				default:
					n++
					time.Sleep(time.Until(due))
				}
			}
		}
		for i := range pages {
			go func() { time.Sleep(away * time.Duration(i) / pages); page() }()
		}
		for range pages {
			if last := <-came; last.After(back.Add(probeEvery + again)) {
				t.Fatalf("a page came %s after the provider was back", last.Sub(back))
			}
		}
	})
}
