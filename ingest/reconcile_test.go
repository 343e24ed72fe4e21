package ingest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// What a pass makes of one listed fax, three quarters of an hour after its start.
func TestWhatAListedFaxIs(t *testing.T) {
	closed := func(st session.State, c session.Closed) session.State {
		st.Close = &c
		return st
	}
	for name, row := range map[string]struct {
		change   func(r *faxplus.Record)
		here     func(h *here, start time.Time)
		sessions func(start time.Time) []session.State // that are fed to OpenSessions
		want     string
		by       string
	}{
		"nobody knows it": {want: ingest.OutcomeFed, by: "L"},
		"known by its id": {here: func(h *here, start time.Time) {
			h.ledgers["L"] = closed(opened("L", start), session.Closed{})
		}, want: ingest.OutcomeKnown, by: "L"},
		"known by its file": {
			here: func(h *here, _ time.Time) { h.aliases["file L.tiff"] = "s1" }, want: ingest.OutcomeKnown, by: "s1",
		},
		"its listed id belongs to a fax": {
			here: func(h *here, _ time.Time) { h.aliases["listed L"] = "s1" }, want: ingest.OutcomeKnown, by: "s1",
		},
		"a file is not an id": {
			here: func(h *here, _ time.Time) { h.aliases["listed L.tiff"], h.aliases["file L"] = "s1", "s2" }, want: ingest.OutcomeFed, by: "L",
		},
		"no file, and nobody knows it": {
			change: func(r *faxplus.Record) { r.File, r.Status = "", "failed" }, want: ingest.OutcomeFed, by: "L",
		},
		"its own session lost its close": {
			here: func(h *here, start time.Time) { h.ledgers["L"] = opened("L", start) }, want: ingest.OutcomeFed, by: "L",
		},
		"so, and it is an open one": {
			here:     func(h *here, start time.Time) { h.ledgers["L"] = opened("L", start) },
			sessions: func(start time.Time) []session.State { return []session.State{opened("L", start)} }, want: ingest.OutcomeFed, by: "L",
		},
		"so, but it goes on": {
			here: func(h *here, start time.Time) { h.ledgers["L"] = opened("L", start) }, change: func(r *faxplus.Record) { r.Status = "receiving" },
			want: ingest.OutcomeInProgress,
		},
		"on the line": {change: func(r *faxplus.Record) { r.Status = "in_progress" }, want: ingest.OutcomeInProgress},
		"just over": {
			change: func(r *faxplus.Record) { r.StartTime = r.StartTime.Add(40 * time.Minute) }, want: ingest.OutcomeYoung,
		},
		"over after many pages": {change: func(r *faxplus.Record) { r.Pages = 36 }, want: ingest.OutcomeYoung},
		"a count that no call could have": {
			change: func(r *faxplus.Record) { r.StartTime, r.Pages = r.StartTime.Add(-2*time.Hour), 9999 }, want: ingest.OutcomeFed, by: "L",
		},
		"over after a few less":      {change: func(r *faxplus.Record) { r.Pages = 34 }, want: ingest.OutcomeFed, by: "L"},
		"a status that nobody knows": {change: func(r *faxplus.Record) { r.Status = "teleported" }, want: ingest.OutcomeYoung},
		"no start":                   {change: func(r *faxplus.Record) { r.StartTime = time.Time{} }, want: ingest.OutcomeYoung},
		"no id":                      {change: func(r *faxplus.Record) { r.ID = "" }, want: ingest.OutcomeUnusable},
		"an id that is no token":     {change: func(r *faxplus.Record) { r.ID = "a.b" }, want: ingest.OutcomeUnusable},
		"a sent fax":                 {change: func(r *faxplus.Record) { r.Direction = session.Outgoing }, want: ingest.OutcomeOutgoing},
		"an open session with its start": {
			sessions: func(start time.Time) []session.State { return []session.State{opened("s1", start.Add(time.Minute))} },
			want:     ingest.OutcomeOpen, by: "s1",
		},
		"an open session two minutes off": {
			sessions: func(start time.Time) []session.State { return []session.State{opened("s1", start.Add(3*time.Minute))} },
			want:     ingest.OutcomeOpen, by: "s1",
		},
		"an open session more than that": {sessions: func(start time.Time) []session.State {
			return []session.State{opened("s1", start.Add(3*time.Minute+time.Second))}
		}, want: ingest.OutcomeFed, by: "L"},
		"an open session before it": {sessions: func(start time.Time) []session.State {
			return []session.State{opened("s1", start.Add(-2*time.Minute-time.Second))}
		}, want: ingest.OutcomeFed, by: "L"},
		"an open session from page 9 on": {sessions: func(start time.Time) []session.State {
			st := opened("s1", start.Add(9*time.Minute))
			st.Announced = session.Span(9, 9)
			return []session.State{st}
		}, want: ingest.OutcomeOpen, by: "s1"},
		"an open session of other numbers": {sessions: func(start time.Time) []session.State {
			a, b := opened("s1", start), opened("s2", start)
			a.From, b.To = "+1 1", "+1 2"
			return []session.State{a, b}
		}, want: ingest.OutcomeFed, by: "L"},
		"an open session of one number": {sessions: func(start time.Time) []session.State {
			st := opened("s1", start)
			st.From = ""
			return []session.State{st}
		}, want: ingest.OutcomeOpen, by: "s1"},
		"an open session without numbers": {sessions: func(start time.Time) []session.State {
			st := opened("s1", start)
			st.From, st.To = "", ""
			return []session.State{st}
		}, want: ingest.OutcomeFed, by: "L"},
		"an open session that sends": {sessions: func(start time.Time) []session.State {
			st := opened("s1", start)
			st.Direction = session.Outgoing
			return []session.State{st}
		}, want: ingest.OutcomeFed, by: "L"},
		"a session that closed with another file": {sessions: func(start time.Time) []session.State {
			return []session.State{opened("s1", start), closed(opened("s1", start), session.Closed{File: "other.tiff", StartTime: start})}
		}, want: ingest.OutcomeFed, by: "L"},
		"a session that turned out to be another": {sessions: func(start time.Time) []session.State {
			st := opened("s1", start)
			st.FoldedInto = "s2"
			return []session.State{opened("s1", start), st}
		}, want: ingest.OutcomeFed, by: "L"},
		"its own session turned out to be another": {here: func(h *here, start time.Time) {
			st := opened("L", start)
			st.FoldedInto = "s2"
			h.ledgers["L"] = st
		}, want: ingest.OutcomeKnown, by: "L"},
		"a session that closed without a file": {sessions: func(start time.Time) []session.State {
			return []session.State{closed(opened("s1", start.Add(20*time.Minute)), session.Closed{StartTime: start, Pages: 3})}
		}, want: ingest.OutcomeOpen, by: "s1"},
		"two open sessions": {sessions: func(start time.Time) []session.State {
			return []session.State{opened("s2", start), opened("s1", start.Add(time.Minute))}
		}, want: ingest.OutcomeAmbiguous, by: "s1 s2"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				time.Sleep(time.Hour)
				start := time.Now().UTC().Add(-45 * time.Minute)
				rec := listed("L", start)
				if row.change != nil {
					row.change(&rec)
				}
				if row.here != nil {
					row.here(b.here, start)
				}
				if row.sessions != nil {
					for _, st := range row.sessions(start) {
						b.open.Put(st)
					}
				}
				b.records["inbox"] = []faxplus.Record{rec}
				dry := b.Check(t.Context(), start.Add(-4*time.Hour), true)
				if len(b.facts) != 0 {
					t.Error("a dry run feeds in")
				}
				report := b.Check(t.Context(), start.Add(-4*time.Hour), false)
				if report.Error != "" || len(report.Faxes) != 1 || report.Faxes[0].Outcome != row.want ||
					strings.Join(report.Faxes[0].Sessions, " ") != row.by {
					t.Fatalf("the report is %+v; want %s %s", report, row.want, row.by)
				}
				want := row.want
				if want == ingest.OutcomeFed {
					want = ingest.OutcomeMissing
				}
				if dry.Faxes[0].Outcome != want || !dry.DryRun {
					t.Errorf("the dry run says %+v, want %s", dry, want)
				}
				if fed := len(b.facts) == 1; fed != (row.want == ingest.OutcomeFed) {
					t.Errorf("%d facts were fed in", len(b.facts))
				}
				alert := row.want == ingest.OutcomeAmbiguous || row.want == ingest.OutcomeUnusable
				if strings.Contains(b.log.String(), "level=ERROR") != alert {
					t.Errorf("log: %s", b.log)
				}
				if n := b.metric(t, "faxstream_reconciled_faxes_total", row.want); n < 1 {
					t.Errorf("%v faxes are counted as %s", n, row.want)
				}
				if b.note != nil {
					t.Error("a pass by hand moved the position")
				}
			})
		})
	}
}

func TestWhatIsFedInIsTheFactOfAWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		start := time.Now().UTC().Add(-time.Hour)
		rec := listed("L", start)
		rec.UID, rec.FileName = "u", "name"
		b.records["spam"] = []faxplus.Record{rec}
		b.run(t, time.Minute)
		want := session.Closed{
			Session: "L", Direction: session.Incoming, Status: "success", Pages: 3, File: "L.tiff", FileName: "name", UID: "u",
			From: rec.From, To: rec.To, StartTime: start, BodySHA256: "sum of L",
		}
		if got := b.facts[want.Subject()]; got != want {
			t.Errorf("fed in %+v, want %+v", b.facts, want)
		}
		if log := b.log.String(); strings.Contains(log, "304") || !strings.Contains(log, "***1111") {
			t.Errorf("numbers are not masked: %s", log)
		}
		again := b.Check(t.Context(), start.Add(-time.Hour), false)
		if len(b.order) != 1 || again.Count(ingest.OutcomeKnown) != 1 {
			t.Errorf("before the ledger is there it is fed in again: %+v", again)
		}
	})
}

// One open session, two listed faxes that may be it: both wait, and what is left over when it has a name is fed in.
func TestTwoFaxesForOneOpenSessionWaitUntilItHasAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		start := time.Now().UTC().Add(-time.Hour)
		b.records["inbox"] = []faxplus.Record{listed("A", start), listed("B", start.Add(30*time.Second))}
		st := opened("s1", start.Add(time.Minute))
		b.open.Put(st)
		b.run(t, 50*time.Minute)
		if len(b.facts) != 0 || b.metric(t, "faxstream_reconciled_faxes_total", ingest.OutcomeAmbiguous) != 8 ||
			strings.Count(b.log.String(), "level=ERROR") != 8 {
			t.Fatalf("fed in %v; log %s", b.order, b.log)
		}
		b.aliases["file A.tiff"] = "s1"
		st.Close = &session.Closed{File: "A.tiff"}
		b.open.Put(st)
		b.run(t, time.Hour)
		if fmt.Sprint(b.order) != "[B]" {
			t.Errorf("fed in %v, want B", b.order)
		}
	})
}

// A fax that cannot be decided leaves the window and is asked for by itself until it can be.
func TestUndecidedFaxesAreAskedForOneByOne(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*faxplus.Record)
		later  func(b *bench)
		want   string
	}{
		"it is over at last": {
			func(r *faxplus.Record) { r.Status = "in_progress" }, func(b *bench) { b.records["inbox"][0].Status = "success" }, "[L]",
		},
		"it is deleted":     {func(r *faxplus.Record) { r.Status = "in_progress" }, func(b *bench) { b.records["inbox"] = nil }, "[]"},
		"it never ends":     {func(r *faxplus.Record) { r.Status = "in_progress" }, func(*bench) {}, "[]"},
		"an unknown status": {func(r *faxplus.Record) { r.Status = "teleported" }, func(*bench) {}, "[L]"},
		"no start":          {func(r *faxplus.Record) { r.StartTime = time.Time{} }, func(*bench) {}, "[L]"},
		"its record is refused": {func(r *faxplus.Record) { r.Status = "in_progress" }, func(b *bench) {
			b.account.fail = func(what string) error {
				if what != "record L" {
					return nil
				}
				return &faxplus.Error{Op: "record", Reason: session.ReasonRefused, Status: 410, Err: errors.New("gone")}
			}
		}, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				rec := listed("L", time.Now().UTC().Add(-time.Hour))
				row.change(&rec)
				b.records["inbox"] = []faxplus.Record{rec}
				b.run(t, 5*time.Hour)
				b.restart(t)
				row.later(b)
				b.run(t, 66*time.Hour)
				if fmt.Sprint(b.order) != row.want {
					t.Errorf("fed in %v, want %s", b.order, row.want)
				}
				b.run(t, 7*time.Hour)
				alert := strings.Contains(b.log.String(), "was undecided for too long")
				if alert != (row.want == "[]") {
					t.Errorf("alert: %t", alert)
				}
				if n := b.metric(t, "faxstream_reconcile_passes_total", "failed"); n != 0 {
					t.Errorf("%v passes failed", n)
				}
				n := len(b.requests)
				b.run(t, time.Hour)
				if lists := 2 * 5; len(b.requests)-n > lists {
					t.Errorf("still asked for: %v", b.requests[n:])
				}
			})
		})
	}
}

func TestThePositionMovesOnlyAfterACompletePass(t *testing.T) {
	outage := &faxplus.Error{Op: "list", Reason: session.ReasonUnavailable, Status: 503, Err: errors.New("down")}
	for _, broken := range []string{"inbox", "spam", "record busy"} {
		t.Run(broken, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				begin := time.Now().UTC()
				busy := listed("busy", begin)
				busy.Status = "in_progress"
				b.records["spam"] = []faxplus.Record{busy}
				b.run(t, 3*time.Hour) // a position; busy is out of the window
				if lag := b.metric(t, "faxstream_reconcile_lag_seconds", ""); lag > 16*60 {
					t.Errorf("the lag is %v s", lag)
				}
				b.account.fail = func(request string) error {
					if request == broken {
						return outage
					}
					return nil
				}
				first := time.Now().UTC()
				b.records["inbox"] = append(b.records["inbox"], listed("lost", first.Add(time.Minute)))
				b.run(t, 24*time.Hour)
				if fed := fmt.Sprint(b.order); (fed == "[lost]") != (broken != "inbox") {
					t.Errorf("during the outage %v was fed in", b.order)
				}
				if lag := b.metric(t, "faxstream_reconcile_lag_seconds", ""); lag < 24*3600 || lag > 25*3600 {
					t.Errorf("after a day the lag is %v s", lag)
				}
				if b.metric(t, "faxstream_reconcile_passes_total", "failed") < 90 {
					t.Error("failed passes are not counted")
				}
				b.restart(t) // neither does a restart
				b.account.fail = nil
				b.run(t, time.Hour)
				if fmt.Sprint(b.order) != "[lost]" {
					t.Errorf("after the outage %v was fed in", b.order)
				}
				if lag := b.metric(t, "faxstream_reconcile_lag_seconds", ""); lag > 16*60 {
					t.Errorf("after the outage the lag is %v s", lag)
				}
			})
		})
	}
}

func TestADayOfDowntimeLeavesNoGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.run(t, time.Hour)
		stopped := time.Now().UTC()
		for i := range 24 * 12 {
			b.records["inbox"] = append(b.records["inbox"], listed(fmt.Sprintf("f%03d", i), stopped.Add(time.Duration(i)*5*time.Minute)))
		}
		time.Sleep(25 * time.Hour)
		b.restart(t)
		b.run(t, time.Hour)
		if len(b.order) != 24*12 || !slices.IsSorted(b.order) {
			t.Errorf("%d of %d faxes were fed in", len(b.order), 24*12)
		}
	})
}

// Many faxes in one window: it is halved until each part comes whole, at the configured rate.
func TestMoreFaxesThanAListHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *ingest.ReconcilerConfig) { c.Rate = 60 })
		now := time.Now().UTC()
		for i := range 1000 { // 20 of them in each second, at the bounds of the halves too
			b.records["inbox"] = append(b.records["inbox"], listed(fmt.Sprintf("f%04d", i), now.Add(-time.Hour+time.Duration(i/20)*time.Second)))
		}
		report := b.Check(t.Context(), now.Add(-2*time.Hour), false)
		if report.Error != "" || len(report.Faxes) != 1000 || len(b.order) != 1000 {
			t.Errorf("%d faxes, %d fed in, error %q", len(report.Faxes), len(b.order), report.Error)
		}
		for i := range b.times[1:] {
			if wait := b.times[i+1].Sub(b.times[i]); wait < time.Second {
				t.Fatalf("request %d came %s after the one before, 60 a minute are allowed", i+1, wait)
			}
		}
		if len(b.requests) > 400 {
			t.Errorf("%d requests for 1,000 faxes", len(b.requests))
		}
	})
}

func TestAListThatCannotBeReadWholeIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		now := time.Now().UTC()
		at := now.Add(-time.Hour)
		for i := range faxplus.DefaultLimit + 1 { // in one second
			b.records["inbox"] = append(b.records["inbox"], listed(fmt.Sprint("f", i), at))
		}
		report := b.Check(t.Context(), now.Add(-2*time.Hour), false)
		if !strings.Contains(report.Error, "cannot all be listed") || len(b.order) < faxplus.DefaultLimit {
			t.Errorf("%d fed in, error %q", len(b.order), report.Error)
		}
		b.requests = nil
		for i := range b.records["inbox"] { // the window is not kept to
			b.records["inbox"][i].StartTime = time.Time{}
		}
		report = b.Check(t.Context(), now.Add(-2*time.Hour), false)
		if !strings.Contains(report.Error, "ignores the time window") || len(b.requests) != 1 {
			t.Errorf("error %q after %d requests", report.Error, len(b.requests))
		}
	})
}

// Several processes with one note: each window is read once.
func TestOneOfSeveralProcessesMakesThePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.far = time.Second // all have read it before the first one writes
		others := []*ingest.Reconciler{b.Reconciler}
		for range 3 {
			b.restart(t)
			others = append(others, b.Reconciler)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Hour)
		defer cancel()
		for _, r := range others {
			go r.Run(ctx)
		}
		<-ctx.Done()
		synctest.Wait()
		// A pass makes two requests; a process that looks a minute before the due time waits another minute.
		if passes := len(b.requests) / 2; passes < 19 || passes > 20 {
			t.Errorf("%d passes in 5 hours", passes)
		}
	})
}

// slowAccount takes its time for a list.
type slowAccount struct {
	*account
	takes time.Duration
}

func (s slowAccount) List(ctx context.Context, category string, after, before time.Time, limit int) ([]faxplus.Record, error) {
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return s.account.List(ctx, category, after, before, limit)
}

// A pass takes longer than the time between two: another process begins the next one before it ends. The position moves all the same.
func TestThePositionMovesAlsoIfPassesOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(cfg *ingest.ReconcilerConfig) {
			cfg.Provider = slowAccount{cfg.Provider.(*account), 10 * time.Minute}
		})
		other := b.Reconciler
		b.restart(t)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Hour)
		defer cancel()
		go other.Run(ctx)
		b.Run(ctx)
		synctest.Wait()
		var note struct{ Position time.Time }
		if err := json.Unmarshal(b.note, &note); err != nil {
			t.Fatal(err)
		}
		if moved := note.Position.Sub(began); moved < 4*time.Hour || strings.Contains(b.log.String(), "not moved") {
			t.Errorf("in 5 hours the position moved by %s:\n%s", moved, b.log)
		}
	})
}

func TestTheProviderIsNotAskedBeforeItWantsToBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.account.fail = func(string) error {
			return &faxplus.Error{Op: "list", Reason: session.ReasonNotYet, Status: 429, RetryAfter: 5 * time.Hour, Err: errors.New("slow down")}
		}
		b.run(t, 4*time.Hour)
		if len(b.requests) != 1 {
			t.Errorf("asked %d times within Retry-After", len(b.requests))
		}
	})
}

func TestAnOutageOfTheStoresIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		start := time.Now().UTC().Add(-time.Hour)
		b.records["inbox"] = []faxplus.Record{listed("L", start)}
		b.here.fail = errors.New("no JetStream")
		b.run(t, 30*time.Minute)
		if len(b.requests) != 0 {
			t.Error("the provider is asked although nothing could be done with its answer")
		}
		if report := b.Check(t.Context(), start.Add(-time.Hour), false); !strings.Contains(report.Error, "no JetStream") ||
			len(report.Faxes) != 0 {
			t.Errorf("the report is %+v", report)
		}
		b.here.fail = nil
		b.run(t, 2*time.Minute)
		if fmt.Sprint(b.order) != "[L]" {
			t.Errorf("fed in %v after the outage", b.order)
		}
	})
}

func TestAReconcilerThatCannotWorkIsRefused(t *testing.T) {
	b := newBench(t, nil)
	for _, change := range []func(*ingest.ReconcilerConfig){
		func(c *ingest.ReconcilerConfig) { c.Provider = nil },
		func(c *ingest.ReconcilerConfig) { c.Sessions = nil },
		func(c *ingest.ReconcilerConfig) { c.Notes = nil },
		func(c *ingest.ReconcilerConfig) { c.Open = nil },
		func(c *ingest.ReconcilerConfig) { c.Every = -1 },
		func(c *ingest.ReconcilerConfig) { c.Rate = -1 },
	} {
		cfg := b.cfg
		cfg.Registerer = nil
		change(&cfg)
		if _, err := ingest.NewReconciler(cfg); err == nil {
			t.Errorf("taken: %+v", cfg)
		}
	}
}
