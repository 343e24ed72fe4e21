package session

import (
	"testing"
	"time"
)

// asking looks into idle faxes before it gives them up.
func asking() Policy {
	p := streaming()
	p.Ask, p.GiveUp = true, p.Idle+30*time.Minute
	return p
}

func said(n int, says string) step {
	return func(h *history) { h.feed(Event{Fact: RecordSaid{Session: testSession, N: n, Says: says}}) }
}

// TestIdle is the transition table of faxes of which nothing is heard any more.
func TestIdle(t *testing.T) {
	silent := func(more ...step) []step { return append([]step{announced(1), archivedPages(1)}, more...) }
	runTransitions(t, []transition{
		{
			"the record says closed: its close counts as the webhook's", asking(),
			silent(due(TimerIdle), success(1), said(1, RecordClosed), assembled(1)),
			[]string{"idle timer", "ask 1", "ready 1 complete 1-1"},
			StatusComplete,
		},
		{
			"the answer is folded before the close that it tells: the fax is waited for", asking(),
			silent(due(TimerIdle), said(1, RecordClosed), success(1), assembled(1)),
			[]string{"idle timer", "ask 1", "idle timer", "ready 1 complete 1-1"},
			StatusComplete,
		},
		{
			"going on: asked again and again, never given up", asking(),
			silent(due(TimerIdle), said(1, RecordOpen), due(TimerIdle), said(2, RecordOpen), due(TimerIdle)),
			[]string{"idle timer", "ask 1", "idle timer", "ask 2", "idle timer", "ask 3"},
			StatusReceiving,
		},
		{
			"unknown: given up at the age", asking(),
			silent(due(TimerIdle), said(1, RecordUnknown), due(TimerIdle), said(2, RecordUnknown), assembled(1)),
			[]string{"idle timer", "ask 1", "idle timer", "ask 2", "ready 1 partial(no_close) 1-1"},
			StatusPartial,
		},
		{
			"a page comes meanwhile: the idle time begins anew", asking(),
			silent(late(30*time.Minute), announced(2), fires(TimerIdle, 0)),
			[]string{"idle timer", "idle timer"},
			StatusReceiving,
		},
		{
			"a second answer to the same question changes nothing", asking(),
			silent(due(TimerIdle), said(1, RecordOpen), unchanged(said(1, RecordUnknown))),
			[]string{"idle timer", "ask 1", "idle timer"},
			StatusReceiving,
		},
	})
}
