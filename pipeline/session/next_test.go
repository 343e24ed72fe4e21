package session

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNext is the transition table: what the ledger asks for, in order, and the fax's status at the end.
func TestNext(t *testing.T) {
	lied := closing(Closed{Status: "success", Pages: 0, File: "f"})
	partial := closing(Closed{Status: "partially_received", Pages: 2, File: "f"})
	all := []step{announced(1, 2), archivedPages(1, 2)}
	runTransitions(t, []transition{
		{
			"pages then close: complete at the close", streaming(),
			[]step{announced(1, 2), archivedPages(1, 2), success(2), assembled(1)},
			[]string{"idle timer", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"close before pages: complete at the last page, grace set meanwhile", streaming(),
			[]step{success(2), announced(2, 1), archivedPages(2, 1), assembled(1)},
			[]string{"idle timer", "grace timer", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"pages archived before they are announced: they open the session", streaming(),
			[]step{archivedPages(2, 1), announced(2, 1), success(2), assembled(1)},
			[]string{"idle timer", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"every fact twice: one revision", streaming(),
			[]step{
				again(announced(1)), again(announced(2)), again(archivedPages(2, 1)), again(success(2)), again(assembled(1)),
				unchanged(success(2), announced(1)), unchanged(announced(2)),
			},
			[]string{"idle timer", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"close counts fewer pages than announced: the announced ones count", streaming(),
			[]step{announced(1, 2, 3), archivedPages(1, 2, 3), success(2), assembled(1)},
			[]string{"idle timer", "ready 1 complete 1-3"},
			StatusComplete,
		},
		{
			"close counts more pages than announced: the rest is cut after the grace", streaming(),
			[]step{announced(1), archivedPages(1), success(3), due(TimerGrace), cutPages(2, 3), wholeCut(1, 3, nil), assembled(1)},
			[]string{"idle timer", "grace timer", "whole 1 wants 2-3", "ready 1 complete 1-3"},
			StatusComplete,
		},
		{
			"end of the whole-file order seen before the pages it cut: no partial document in between", streaming(),
			[]step{announced(1), archivedPages(1), success(3), due(TimerGrace), wholeCut(1, 3, nil), cutPages(2, 3), assembled(1)},
			[]string{"idle timer", "grace timer", "whole 1 wants 2-3", "ready 1 complete 1-3"},
			StatusComplete,
		},
		{
			"a gap below the count is cut, one above it is no page", streaming(),
			[]step{announced(1, 3, 7), archivedPages(1, 3, 7), success(3), due(TimerGrace), cutPages(2), wholeCut(1, 3, nil), assembled(1)},
			[]string{"idle timer", "grace timer", "whole 1 wants 2-2", "ready 1 complete 1-3,7-7"},
			StatusComplete,
		},
		{
			"grace over with a streamed page missing: the whole file repairs it, recovered", streaming(),
			[]step{announced(1, 2), archivedPages(1), success(2), due(TimerGrace), cutPages(2), wholeCut(1, 2, nil), assembled(1)},
			[]string{"idle timer", "grace timer", "whole 1 wants 2-2", "ready 1 recovered 1-2"},
			StatusRecovered,
		},
		{
			"every missing page's own fetch is over: no grace is waited for", streaming(),
			[]step{announced(1, 2), archivedPages(1), failing(2, ReasonNotYet, true), success(2), cutPages(2), wholeCut(1, 2, nil), assembled(1)},
			[]string{"idle timer", "whole 1 wants 2-2", "ready 1 recovered 1-2"},
			StatusRecovered,
		},
		{
			"archive away when the grace is over: it is waited for, and for a grace time after it, so the page is streamed", streaming(),
			[]step{
				announced(1, 2), archivedPages(1), success(2), dueAway(TimerGrace), dueAway(TimerGrace), dueBack(TimerGrace, 4*time.Minute),
				archivedPages(2), assembled(1),
			},
			[]string{"idle timer", "grace timer", "grace timer", "grace timer", "grace timer", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"archive back for a grace time and the page did not come: the whole file has it", streaming(),
			[]step{
				announced(1, 2), archivedPages(1), success(2), dueAway(TimerGrace), dueBack(TimerGrace, 2*time.Minute),
				dueBack(TimerGrace, 2*time.Minute), cutPages(2), wholeCut(1, 2, nil), assembled(1),
			},
			[]string{"idle timer", "grace timer", "grace timer", "grace timer", "whole 1 wants 2-2", "ready 1 recovered 1-2"},
			StatusRecovered,
		},
		{
			"an outage that ended long before the close moves nothing", streaming(),
			[]step{announced(1), archivedPages(1), success(2), dueBack(TimerGrace, -time.Hour), cutPages(2), wholeCut(1, 2, nil), assembled(1)},
			[]string{"idle timer", "grace timer", "whole 1 wants 2-2", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"an attempt that is not the last one does not end the wait", streaming(),
			[]step{announced(1), success(1), failing(1, ReasonNotYet, false), archivedPages(1), assembled(1)},
			[]string{"idle timer", "grace timer", "ready 1 complete 1-1"},
			StatusComplete,
		},
		{
			"whole file cannot be had: partial, each page with its own reason where it has one", streaming(),
			[]step{
				announced(1, 2), archivedPages(1), failing(2, ReasonDamaged, true), success(4), due(TimerGrace), wholeFailed(1, ReasonUnavailable),
				assembled(1),
			},
			[]string{
				"idle timer", "grace timer", "whole 1 wants 2-4", "ready 1 partial(missing_pages) 1-1 -2:damaged -3:unavailable -4:unavailable",
			},
			StatusPartial,
		},
		{
			"whole file is shorter than the count: partial, and the page's own failure says more than that", streaming(),
			[]step{
				announced(1, 2), archivedPages(1), failing(2, ReasonDamaged, true), success(3), due(TimerGrace),
				wholeCut(1, 1, PageReasons{2: ReasonNotInFile, 3: ReasonNotInFile}), assembled(1),
			},
			[]string{"idle timer", "grace timer", "whole 1 wants 2-3", "ready 1 partial(missing_pages) 1-1 -2:damaged -3:not_in_file"},
			StatusPartial,
		},
		{
			"a page of the whole file that does not decode is lost with that reason", streaming(),
			[]step{announced(1), failing(1, ReasonNotYet, true), success(1), wholeCut(1, 1, PageReasons{1: ReasonUnsupported}), assembled(1)},
			[]string{"idle timer", "whole 1 wants 1-1", "ready 1 partial(missing_pages) none -1:unsupported"},
			StatusPartial,
		},
		{
			"late page after a partial document: revision 2", streaming(),
			[]step{
				announced(1, 2), archivedPages(1), success(2), due(TimerGrace), wholeFailed(1, ReasonNotYet), assembled(1), archivedPages(2),
				assembled(2),
			},
			[]string{"idle timer", "grace timer", "whole 1 wants 2-2", "ready 1 partial(missing_pages) 1-1 -2:not_ready", "ready 2 complete 1-2"},
			StatusComplete,
		},
		{
			"late announced page after assembly is waited for, then a revision", streaming(),
			[]step{announced(1), archivedPages(1), success(1), assembled(1), announced(2), archivedPages(2), assembled(2)},
			[]string{"idle timer", "ready 1 complete 1-1", "grace timer", "ready 2 complete 1-2"},
			StatusComplete,
		},
		{
			"one revision in flight: what happens meanwhile is taken together", streaming(),
			[]step{announced(1), archivedPages(1), success(1), announced(2, 3), archivedPages(2), archivedPages(3), assembled(1), assembled(2)},
			[]string{"idle timer", "ready 1 complete 1-1", "ready 2 complete 1-3"},
			StatusComplete,
		},
		{
			"an older revision's end changes nothing", streaming(),
			[]step{announced(1), archivedPages(1), success(1), assembled(1), announced(2), archivedPages(2), assembled(2), unchanged(assembled(1))},
			[]string{"idle timer", "ready 1 complete 1-1", "grace timer", "ready 2 complete 1-2"},
			StatusComplete,
		},
		{
			"partially_received then success: raised to a new revision", streaming(),
			slices.Concat(all, []step{partial, assembled(1), success(2), assembled(2)}),
			[]string{"idle timer", "ready 1 partial(partially_received) 1-2", "ready 2 complete 1-2"},
			StatusComplete,
		},
		{
			"success then partially_received: recorded, nothing changes", streaming(),
			slices.Concat(all, []step{success(2), assembled(1), partial}),
			[]string{"idle timer", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"failed close: partial with the provider's word, all pages there or not", streaming(),
			slices.Concat(all, []step{closing(Closed{Status: "failed_busy", Pages: 2}), assembled(1)}),
			[]string{"idle timer", "ready 1 partial(failed_busy) 1-2"},
			StatusPartial,
		},
		{
			"status in another case and with space is the same status", streaming(),
			slices.Concat(all, []step{closing(Closed{Status: " Success ", Pages: 2, File: "f"}), unchanged(success(2)), assembled(1)}),
			[]string{"idle timer", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"close without a status: partial", streaming(),
			slices.Concat(all, []step{closing(Closed{Pages: 2}), assembled(1)}),
			[]string{"idle timer", "ready 1 partial(unknown_status) 1-2"},
			StatusPartial,
		},
		{
			"no close, idle, all announced pages there: given up as partial", streaming(),
			slices.Concat(all, []step{due(TimerIdle), due(TimerIdle), assembled(1)}),
			[]string{"idle timer", "idle timer", "ready 1 partial(no_close) 1-2"},
			StatusPartial,
		},
		{
			"no close, idle, gap below the highest announced page: it is looked for, then missing", streaming(),
			[]step{
				announced(1, 3), archivedPages(1, 3), due(TimerIdle), due(TimerIdle), due(TimerGrace), wholeFailed(1, ReasonNotYet), assembled(1),
			},
			[]string{"idle timer", "idle timer", "grace timer", "whole 1 wants 2-2", "ready 1 partial(no_close) 1-1,3-3 -2:not_ready"},
			StatusPartial,
		},
		{
			"idle timer while pages still come: set again, not given up", streaming(),
			[]step{announced(1), late(30 * time.Minute), announced(2), fires(TimerIdle, 0)},
			[]string{"idle timer", "idle timer"},
			StatusReceiving,
		},
		{
			"close after giving up: a new revision says so", streaming(),
			slices.Concat(all, []step{due(TimerIdle), due(TimerIdle), assembled(1), success(2), assembled(2)}),
			[]string{"idle timer", "idle timer", "ready 1 partial(no_close) 1-2", "ready 2 complete 1-2"},
			StatusComplete,
		},
		{
			"idle timer after the close: nothing", streaming(),
			slices.Concat(all, []step{success(2), assembled(1), due(TimerIdle)}),
			[]string{"idle timer", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"close only, whole file only: ordered at once, complete", wholeOnly(),
			[]step{success(2), cutPages(1, 2), wholeCut(1, 2, nil), assembled(1)},
			[]string{"idle timer", "whole 1 wants 1-2", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"close only while single pages can be fetched: after the grace", streaming(),
			[]step{success(2), due(TimerGrace), wholeCut(1, 2, nil), assembled(1)},
			[]string{"idle timer", "grace timer", "whole 1 wants 1-2", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"close counting 0 pages: the whole file says how many", wholeOnly(),
			[]step{lied, wholeCut(1, 3, nil), assembled(1)},
			[]string{"idle timer", "whole 1 wants all", "ready 1 complete 1-3"},
			StatusComplete,
		},
		{
			"close counting 0 pages, one lost in the whole file: not asked for twice", wholeOnly(),
			[]step{lied, cutPages(1, 3), wholeCut(1, 3, PageReasons{2: ReasonDamaged}), assembled(1)},
			[]string{"idle timer", "whole 1 wants all", "ready 1 partial(missing_pages) 1-1,3-3 -2:damaged"},
			StatusPartial,
		},
		{
			"close counting 0 pages and no whole file: partial, and says that there is nothing", wholeOnly(),
			[]step{lied, wholeFailed(1, ReasonNotYet), assembled(1)},
			[]string{"idle timer", "whole 1 wants all", "ready 1 partial(no_pages) none"},
			StatusPartial,
		},
		{
			"sent fax: the whole file at once", streaming(),
			[]step{
				closing(Closed{Direction: Outgoing, Hook: testSession, Status: "success", Pages: 2}), cutPages(1, 2), wholeCut(1, 2, nil), assembled(1),
			},
			[]string{"idle timer", "whole 1 wants 1-2", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"sent fax that failed, then its retry succeeds: raised", streaming(),
			[]step{
				closing(Closed{Direction: Outgoing, Hook: testSession, Status: "failed_busy", Pages: 1}), wholeCut(1, 1, nil), assembled(1),
				closing(Closed{Direction: Outgoing, Hook: "retry1", Status: "success", Pages: 1}), assembled(2),
			},
			[]string{"idle timer", "whole 1 wants 1-1", "ready 1 partial(failed_busy) 1-1", "ready 2 complete 1-1"},
			StatusComplete,
		},
		{
			"pages under unknown, then the number is bound: published again, once", streaming(),
			[]step{
				anonymous(1), archivedAs(UnknownToken, SourceFetch, 1), anonymous(2), archivedAs(UnknownToken, SourceFetch, 2),
				success(2), archivedPages(1, 2), archivedAs(UnknownToken, SourceFetch, 1), assembled(1),
			},
			[]string{"idle timer", "rebind 1-2", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"a page under unknown that is folded after the whole file's under the number: the number's counts", streaming(),
			[]step{
				announced(1, 2), archivedPages(1), success(2), due(TimerGrace), cutPages(2), wholeCut(1, 2, nil), assembled(1),
				archivedAs(UnknownToken, SourceFetch, 2),
			},
			[]string{"idle timer", "grace timer", "whole 1 wants 2-2", "ready 1 recovered 1-2"},
			StatusRecovered,
		},
		{
			"a page under unknown that is folded before the whole file's under the number: the number's counts", streaming(),
			[]step{
				announced(1, 2), archivedPages(1), success(2), due(TimerGrace), archivedAs(UnknownToken, SourceFetch, 2), cutPages(2),
				wholeCut(1, 2, nil),
				assembled(1), assembled(2),
			},
			[]string{"idle timer", "grace timer", "whole 1 wants 2-2", "rebind 2-2", "ready 1 complete 1-2", "ready 2 recovered 1-2"},
			StatusRecovered,
		},
		{
			"pages under unknown and never a number: the document goes there too", streaming(),
			[]step{anonymous(1), archivedAs(UnknownToken, SourceFetch, 1), due(TimerIdle), assembled(1)},
			[]string{"idle timer", "ready 1 partial(no_close) 1-1"},
			StatusPartial,
		},
		{
			"a document that went to unknown is made again under the number", streaming(),
			[]step{
				anonymous(1), archivedAs(UnknownToken, SourceFetch, 1), due(TimerIdle), assembled(1), announced(1), archivedPages(1), assembled(2),
			},
			[]string{"idle timer", "ready 1 partial(no_close) 1-1", "rebind 1-1", "ready 2 partial(no_close) 1-1"},
			StatusPartial,
		},
		{
			"page 0, negative or beyond the limit: refused, the session is as before", streaming(),
			[]step{
				announced(1), refused(announced(0)), refused(announced(-1)), refused(announced(MaxPages + 1)), refused(announced(100_000)),
				refused(archivedPages(0)), refused(archivedPages(100_000)), refused(failing(-3, ReasonEmpty, true)), archivedPages(1), success(1),
				assembled(1),
			},
			[]string{"idle timer", "ready 1 complete 1-1"},
			StatusComplete,
		},
		{
			"timers too early, of other times, repeated or of other kinds: nothing is decided by them", streaming(),
			[]step{
				announced(1, 2), archivedPages(1), success(2),
				unchanged(foreign(Timer{Kind: TimerGrace, Due: testStart})), unchanged(foreign(Timer{Kind: TimerIdle, Due: testStart})),
				unchanged(foreign(Timer{Kind: TimerRetry, Page: 2, Due: testStart})), unchanged(foreign(Timer{Kind: "odd", Due: testStart})),
				fires(TimerGrace, -time.Second), fires(TimerGrace, 0), unchanged(fires(TimerGrace, time.Hour)),
			},
			[]string{"idle timer", "grace timer", "grace timer", "whole 1 wants 2-2"},
			StatusReceiving,
		},
	})
}

// transition is one row of the table.
type transition struct {
	name   string
	policy Policy
	steps  []step
	want   []string // effects, in order
	status string   // at the end
}

func runTransitions(t *testing.T, rows []transition) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { runTransition(t, row) })
	}
}

func runTransition(t *testing.T, row transition) *history {
	t.Helper()
	h := play(t, row.policy, row.steps...)
	if h.err != nil {
		t.Fatal(h.err)
	}
	if !slices.Equal(h.said, row.want) {
		t.Errorf("asked for\n  %s\nwant\n  %s", strings.Join(h.said, "\n  "), strings.Join(row.want, "\n  "))
	}
	if got := h.state.Status(); got != row.status {
		t.Errorf("status %s, want %s", got, row.status)
	}
	return h
}

func late(d time.Duration) step { return func(h *history) { h.now = h.now.Add(d) } }

func foreign(timer Timer) step {
	timer.Session = testSession
	return func(h *history) { h.feed(Event{Timer: timer}) }
}

// Whoever hears of an archived page finds its fax, whichever stream is folded first. The idle timer runs, so that the fax also closes.
func TestAFetchedPageOpensTheSession(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	s, err := Next(streaming(), State{Session: "s"}, Event{At: at, Fact: PageArchived{Page: 1, Source: SourceFetch}})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Opened.Equal(at) || s.Direction != Incoming || s.IdleAt.IsZero() || s.Status() != StatusReceiving {
		t.Errorf("the ledger is %+v with status %s", s, s.Status())
	}
	if s, err = Next(streaming(), s, Event{At: at.Add(time.Second), Fact: PageAnnounced{Page: 1}}); err != nil || !s.Opened.Equal(at) {
		t.Errorf("after the announcement: opened %v, %v", s.Opened, err)
	}
}

func TestNextRefusesWhatItDoesNotKnow(t *testing.T) {
	if _, err := Next(streaming(), State{Session: testSession}, Event{Fact: DocReady{Session: testSession}}); err == nil {
		t.Error("a fact that is an effect was folded")
	}
}

// The accepted close and its numbers do not depend on what came first.
func TestAcceptedCloseDoesNotDependOnOrder(t *testing.T) {
	closes := []Closed{
		{Status: "failed", Pages: 9, File: "a", From: "+1", To: "+2"},
		{Status: "partially_received", Pages: 2, File: "b", From: "+3", To: "+4"},
		{Status: "success", Pages: 2, File: "c"},
		{Status: "success", Pages: 2, File: "d"},
	}
	var want *State
	permute(len(closes)+2, func(order []int) {
		var steps []step
		for _, i := range order {
			switch {
			case i < len(closes):
				steps = append(steps, closing(closes[i]))
			default: // pages 1 and 2 have numbers, the accepted close has none
				steps = append(steps, announced(i-len(closes)+1))
			}
		}
		h := newHistory(t, streaming())
		h.quick = true
		h.play(steps...)
		if want == nil {
			want = &h.state
		}
		if h.state.From != "+491" || h.state.To != testNumber || !reflect.DeepEqual(h.state.Close, want.Close) {
			t.Fatalf("order %v: numbers %q %q, close %+v; want those of page 1 and %+v", order, h.state.From, h.state.To, h.state.Close, want.Close)
		}
		if len(h.state.OtherCloses) != 3 {
			t.Fatalf("order %v: %d other closes recorded, want 3", order, len(h.state.OtherCloses))
		}
	})
}

func TestClosesWithoutEndStayBounded(t *testing.T) {
	h := play(t, streaming())
	for i := range 1000 {
		closing(Closed{Status: "failed", Pages: i})(h)
	}
	if n := len(h.state.OtherCloses); n > maxOtherCloses {
		t.Errorf("%d other closes in the ledger, want at most %d", n, maxOtherCloses)
	}
	if h.state.Close.Pages != 999 {
		t.Errorf("accepted close counts %d pages, want the best one's 999", h.state.Close.Pages)
	}
}

func TestTimersAreDueWhenPolicySays(t *testing.T) {
	h := play(t, streaming(), announced(1), success(2))
	for _, e := range h.state.Effects {
		after := map[string]time.Duration{TimerIdle: time.Hour, TimerGrace: time.Minute + time.Second}[e.Timer.Kind]
		early := e.Timer.Due.Sub(testStart.Add(after))
		if early < 0 || early > time.Millisecond || e.Timer.Due.Nanosecond()%1e6 != 0 {
			t.Errorf("%s timer is due %s after its deadline; want the next whole millisecond", e.Timer.Kind, early)
		}
		back, err := ParseTimer(e.Timer.DueSubject())
		if err != nil || back != *e.Timer {
			t.Errorf("timer %+v comes back from its subject as %+v, %v", *e.Timer, back, err)
		}
	}
}

// TestALongOutageIsLookedAtRarely: in an outage of a day a fax whose pages wait for the archive costs some hundred schedules, and when it
// is over its pages have a whole grace time.
func TestALongOutageIsLookedAtRarely(t *testing.T) {
	h := play(t, streaming(), announced(1), success(1))
	closed := h.now
	looks := 0
	for h.now.Before(closed.Add(24 * time.Hour)) {
		before := h.now
		dueAway(TimerGrace)(h)
		if wait := h.state.GraceAt.Sub(before); wait < h.policy.Grace {
			t.Fatalf("look %d is %s after the one before, less than the grace time", looks, wait)
		}
		looks++
	}
	if looks > 24*60/5+10 {
		t.Errorf("%d looks in a day", looks)
	}
	ended := h.now.Sub(testStart)
	dueBack(TimerGrace, ended)(h)
	if want := testStart.Add(ended + h.policy.Grace); h.state.GraceAt.Before(want) && !h.state.WholeOpen {
		t.Errorf("the last look is at %s, want not before %s", h.state.GraceAt, want)
	}
	if h.state.WholeOpen && h.now.Sub(testStart) < ended+h.policy.Grace {
		t.Error("the whole file is ordered before the pages had their grace time")
	}
}

func TestPageStatus(t *testing.T) {
	h := play(t, streaming(), announced(1, 2, 3), archivedPages(1), failing(2, ReasonNotYet, false))
	check := func(page int, status, source string, reason Reason) {
		t.Helper()
		s, src, r := h.state.PageStatus(page)
		if s != status || src != source || r != reason {
			t.Errorf("page %d is %s %s %s, want %s %s %s", page, s, src, r, status, source, reason)
		}
	}
	check(1, PageStatusArchived, SourceFetch, "")
	check(2, PageStatusAnnounced, "", ReasonNotYet)
	check(3, PageStatusAnnounced, "", "")
	for _, s := range []step{success(4), due(TimerGrace), wholeCut(1, 2, PageReasons{3: ReasonNotInFile, 4: ReasonNotInFile}), assembled(1)} {
		s(h)
	}
	check(2, PageStatusArchived, SourceWholeFile, "")
	check(3, PageStatusMissing, "", ReasonNotInFile)
}

// permute calls f with every order of 0 to n-1. The slice is f's only during the call.
func permute(n int, f func([]int)) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var rec func(int)
	rec = func(k int) {
		if k == n {
			f(order)
			return
		}
		for i := k; i < n; i++ {
			order[k], order[i] = order[i], order[k]
			rec(k + 1)
			order[k], order[i] = order[i], order[k]
		}
	}
	rec(0)
}
