package session

import (
	"slices"
	"testing"
	"time"
)

// The close does not say how many pages there are: only the whole file does.
func TestNextUncounted(t *testing.T) {
	lied := closing(Closed{Status: "success", Pages: 0, File: "f"})
	runTransitions(t, []transition{
		{
			"after one fetched page: the whole file has two more, and the fetched page stays what it is", streaming(),
			[]step{announced(1), archivedPages(1), lied, due(TimerGrace), cutPages(2, 3), wholeCut(1, 3, nil), assembled(1)},
			[]string{"idle timer", "grace timer", "whole 1 wants all", "ready 1 complete 1-3"},
			StatusComplete,
		},
		{
			"the order's end before the facts of its pages: the fetched page stays what it is", streaming(),
			[]step{announced(1), archivedPages(1), lied, due(TimerGrace), wholeCut(1, 3, nil), cutPages(2, 3), assembled(1)},
			[]string{"idle timer", "grace timer", "whole 1 wants all", "ready 1 complete 1-3"},
			StatusComplete,
		},
		{
			"whole file only: a page that is there is not waited for", wholeOnly(),
			[]step{announced(1), archivedPages(1), lied, wholeCut(1, 2, nil), assembled(1)},
			[]string{"idle timer", "whole 1 wants all", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"an announced page is missing: repaired from the whole file with the rest", streaming(),
			[]step{announced(1, 2), archivedPages(1), failing(2, ReasonDamaged, true), lied, due(TimerGrace), wholeCut(1, 3, nil), assembled(1)},
			[]string{"idle timer", "grace timer", "whole 1 wants all", "ready 1 recovered 1-3"},
			StatusRecovered,
		},
		{
			"an announced page that the whole file has not: says so", streaming(),
			[]step{announced(1, 4), archivedPages(1), lied, due(TimerGrace), wholeCut(1, 2, nil), assembled(1)},
			[]string{"idle timer", "grace timer", "whole 1 wants all", "ready 1 partial(missing_pages) 1-2 -4:not_in_file"},
			StatusPartial,
		},
		{
			"no whole file: not complete, and not asked for twice", streaming(),
			[]step{announced(1, 2), archivedPages(1, 2), lied, due(TimerGrace), wholeFailed(1, ReasonNotYet), assembled(1), unchanged(lied)},
			[]string{"idle timer", "grace timer", "whole 1 wants all", "ready 1 partial(page_count_unknown) 1-2"},
			StatusPartial,
		},
		{
			"a whole file that cannot be counted: not complete", streaming(),
			[]step{announced(1), archivedPages(1), lied, due(TimerGrace), wholeCut(1, 0, nil), assembled(1)},
			[]string{"idle timer", "grace timer", "whole 1 wants all", "ready 1 partial(page_count_unknown) 1-1"},
			StatusPartial,
		},
		{
			"every page by itself while the whole file is fetched: the count is waited for", streaming(),
			[]step{announced(1), lied, due(TimerGrace), archivedPages(1), announced(2), archivedPages(2), wholeCut(1, 2, nil), assembled(1)},
			[]string{"idle timer", "grace timer", "whole 1 wants all", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"counted by a better close meanwhile: the document at once", streaming(),
			[]step{announced(1), archivedPages(1), lied, due(TimerGrace), success(1), assembled(1), wholeCut(1, 1, nil)},
			[]string{"idle timer", "grace timer", "whole 1 wants all", "ready 1 complete 1-1"},
			StatusComplete,
		},
		{
			"a fax given up, then closed without a count: the whole file is asked, after a grace", streaming(),
			[]step{announced(1), archivedPages(1), due(TimerIdle), assembled(1), lied, due(TimerGrace), wholeCut(1, 2, nil), assembled(2)},
			[]string{"idle timer", "ready 1 partial(no_close) 1-1", "grace timer", "whole 1 wants all", "ready 2 complete 1-2"},
			StatusComplete,
		},
		{
			"closed without a count while a given-up fax's order is open: that one's count is waited for", streaming(),
			[]step{announced(2), archivedPages(2), due(TimerIdle), due(TimerGrace), lied, archivedPages(1), wholeCut(1, 2, nil), assembled(1)},
			[]string{"idle timer", "grace timer", "whole 1 wants 1-1", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"the whole file that a given-up fax asked for has counted already", streaming(),
			[]step{announced(2), archivedPages(2), due(TimerIdle), due(TimerGrace), wholeCut(1, 2, nil), assembled(1), lied, assembled(2)},
			[]string{"idle timer", "grace timer", "whole 1 wants 1-1", "ready 1 partial(no_close) 1-2", "ready 2 complete 1-2"},
			StatusComplete,
		},
	})
}

// The whole file was asked for, and then things turn out otherwise.
func TestNextWholeFileOrders(t *testing.T) {
	five := closing(Closed{Status: "partially_received", Pages: 5, File: "f"})
	runTransitions(t, []transition{
		{
			"every page comes by itself after the order: the document at once, the order's end is harmless", streaming(),
			[]step{announced(1, 2), archivedPages(1), success(2), due(TimerGrace), archivedPages(2), assembled(1), wholeCut(1, 2, nil)},
			[]string{"idle timer", "grace timer", "whole 1 wants 2-2", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"one of two comes by itself: the other is waited for", streaming(),
			[]step{announced(1), archivedPages(1), success(3), due(TimerGrace), announced(2), archivedPages(2), wholeCut(1, 3, nil), assembled(1)},
			[]string{"idle timer", "grace timer", "whole 1 wants 2-3", "ready 1 complete 1-3"},
			StatusComplete,
		},
		{
			"a page announced while the order is open is asked for when that is over", streaming(),
			[]step{
				announced(1, 2), archivedPages(1), success(2), due(TimerGrace), archivedPages(2), assembled(1), announced(3),
				wholeFailed(1, ReasonNotYet), due(TimerGrace), wholeCut(2, 3, nil), assembled(2),
			},
			[]string{
				"idle timer", "grace timer", "whole 1 wants 2-2", "ready 1 complete 1-2", "grace timer", "whole 2 wants 3-3", "ready 2 recovered 1-3",
			},
			StatusRecovered,
		},
		{
			"an order gives what it asked for, not what earlier ones did", wholeOnly(),
			[]step{
				five, wholeFailed(1, ReasonNotYet), assembled(1), success(3), wholeFailed(2, ReasonNotYet), assembled(2),
				announced(6), due(TimerGrace), wholeCut(3, 3, PageReasons{6: ReasonNotInFile}), assembled(3),
			},
			[]string{
				"idle timer", "whole 1 wants 1-5",
				"ready 1 partial(partially_received) none -1:not_ready -2:not_ready -3:not_ready -4:not_ready -5:not_ready",
				"whole 2 wants 1-3", "ready 2 partial(missing_pages) none -1:not_ready -2:not_ready -3:not_ready",
				"grace timer", "whole 3 wants 1-3,6-6", "ready 3 partial(missing_pages) 1-3 -6:not_in_file",
			},
			StatusPartial,
		},
		{
			"a page that only the whole file has is taken in, and the document says so", wholeOnly(),
			[]step{success(2), wholeCutBeyond(1, 3, Span(3, 3), nil), assembled(1)},
			[]string{"idle timer", "whole 1 wants 1-2", "ready 1 recovered(more_pages_than_counted) 1-3"},
			StatusRecovered,
		},
		{
			"a page beyond the count that cannot be read is missing", wholeOnly(),
			[]step{success(2), wholeCutBeyond(1, 3, Span(3, 3), PageReasons{3: ReasonDamaged}), assembled(1)},
			[]string{"idle timer", "whole 1 wants 1-2", "ready 1 partial(missing_pages) 1-2 -3:damaged"},
			StatusPartial,
		},
		{
			"a file with fewer pages than are counted is partial", wholeOnly(),
			[]step{success(3), wholeCut(1, 2, PageReasons{3: ReasonNotInFile}), assembled(1)},
			[]string{"idle timer", "whole 1 wants 1-3", "ready 1 partial(missing_pages) 1-2 -3:not_in_file"},
			StatusPartial,
		},
		{
			"a better close asks the whole file again", wholeOnly(),
			[]step{
				closing(Closed{Status: "partially_received", Pages: 2, File: "f"}), wholeFailed(1, ReasonNotYet), assembled(1), success(2),
				wholeCut(2, 2, nil), assembled(2),
			},
			[]string{
				"idle timer", "whole 1 wants 1-2", "ready 1 partial(partially_received) none -1:not_ready -2:not_ready",
				"whole 2 wants 1-2", "ready 2 complete 1-2",
			},
			StatusComplete,
		},
		{
			"a better close while the order is open: asked again when that failed", wholeOnly(),
			[]step{
				closing(Closed{Status: "partially_received", Pages: 2, File: "f"}), success(2), wholeFailed(1, ReasonNotYet), wholeCut(2, 2, nil),
				assembled(1),
			},
			[]string{"idle timer", "whole 1 wants 1-2", "whole 2 wants 1-2", "ready 1 complete 1-2"},
			StatusComplete,
		},
		{
			"a worse close, and the same close in other words, do not ask again", wholeOnly(),
			[]step{
				success(1), wholeFailed(1, ReasonNotYet), assembled(1), five,
				unchanged(closing(Closed{Status: "SUCCESS", Pages: 1, File: "f", From: "+49", To: testNumber})),
			},
			[]string{"idle timer", "whole 1 wants 1-1", "ready 1 partial(missing_pages) none -1:not_ready"},
			StatusPartial,
		},
		{
			"a sent fax closed again in the same words by its retry: not asked again", streaming(),
			[]step{
				closing(Closed{Direction: Outgoing, Hook: "a", Status: "failed", Pages: 1}), wholeFailed(1, ReasonNotYet), assembled(1),
				closing(Closed{Direction: Outgoing, Hook: "b", Status: "failed", Pages: 1}),
				closing(Closed{Direction: Outgoing, Hook: "c", Status: "failed", Pages: 1}),
			},
			[]string{"idle timer", "whole 1 wants 1-1", "ready 1 partial(failed) none -1:not_ready"},
			StatusPartial,
		},
	})
}

// A grace is for the pages that were expected when it began.
func TestNextGraceStartsAnew(t *testing.T) {
	givenUp := []step{
		announced(1, 3), archivedPages(1, 3), due(TimerIdle), due(TimerIdle), due(TimerGrace), wholeFailed(1, ReasonNotYet), assembled(1),
	}
	asked := []string{"idle timer", "idle timer", "grace timer", "whole 1 wants 2-2", "ready 1 partial(no_close) 1-1,3-3 -2:not_ready"}
	runTransitions(t, []transition{
		{
			"page announced after the fax was given up: its own fetch is waited for", streaming(),
			slices.Concat(givenUp, []step{announced(4), archivedPages(4), assembled(2)}),
			append(slices.Clone(asked), "grace timer", "ready 2 partial(no_close) 1-1,3-4 -2:not_ready"),
			StatusPartial,
		},
		{
			"close after the fax was given up: the pages that it counts are waited for", streaming(),
			slices.Concat(givenUp, []step{success(4), announced(4, 2), archivedPages(4, 2), assembled(2)}),
			append(slices.Clone(asked), "grace timer", "ready 2 complete 1-4"),
			StatusComplete,
		},
		{
			"close after the fax was given up, counting no more: the gap's page is waited for again", streaming(),
			slices.Concat(givenUp, []step{success(3), announced(2), archivedPages(2), assembled(2)}),
			append(slices.Clone(asked), "grace timer", "ready 2 complete 1-3"),
			StatusComplete,
		},
		{
			"close after the fax was given up: the same, the pages first", streaming(),
			slices.Concat(givenUp, []step{announced(4, 2), archivedPages(4, 2), success(4), assembled(2), assembled(3)}),
			append(slices.Clone(asked), "grace timer", "ready 2 partial(no_close) 1-1,3-4 -2:not_ready", "ready 3 complete 1-4"),
			StatusComplete,
		},
		{
			"close after the fax was given up, and nothing comes: the whole file is asked after the grace", streaming(),
			slices.Concat(givenUp, []step{success(4), due(TimerGrace), wholeCut(2, 4, nil), assembled(2)}),
			append(slices.Clone(asked), "grace timer", "whole 2 wants 2-2,4-4", "ready 2 complete 1-4"),
			StatusComplete,
		},
		{
			"page announced after the grace of another one was over", streaming(),
			[]step{
				announced(1, 2), archivedPages(1), success(2), due(TimerGrace), wholeCut(1, 2, nil), assembled(1),
				announced(3), archivedPages(3), assembled(2),
			},
			[]string{"idle timer", "grace timer", "whole 1 wants 2-2", "ready 1 recovered 1-2", "grace timer", "ready 2 recovered 1-3"},
			StatusRecovered,
		},
		{
			"page announced just before a grace ends that began without it", streaming(),
			[]step{
				announced(1, 2), archivedPages(1), success(2), archivedPages(2), assembled(1), late(50 * time.Second),
				announced(3), due(TimerGrace), archivedPages(3), assembled(2),
			},
			[]string{"idle timer", "grace timer", "ready 1 complete 1-2", "grace timer", "ready 2 complete 1-3"},
			StatusComplete,
		},
		{
			"a page whose grace is over is not waited for again with the next one's", streaming(),
			[]step{
				announced(1, 2), archivedPages(1), success(2), due(TimerGrace), wholeFailed(1, ReasonNotYet), assembled(1),
				announced(3), due(TimerGrace), wholeCut(2, 3, nil), assembled(2),
			},
			[]string{
				"idle timer", "grace timer", "whole 1 wants 2-2", "ready 1 partial(missing_pages) 1-1 -2:not_ready",
				"grace timer", "whole 2 wants 2-3", "ready 2 recovered 1-3",
			},
			StatusRecovered,
		},
	})
}

// A revision that was ordered can never be made.
func TestNextDocFailed(t *testing.T) {
	three := []step{announced(1, 2, 3), archivedPages(1, 2, 3), success(3)}
	runTransitions(t, []transition{
		{
			"pages named: the next revision does without them, and their facts do not bring them back", streaming(),
			slices.Concat(three, []step{docFailed(1, Span(2, 2)), archivedPages(2), assembled(2), archivedPages(2), due(TimerIdle)}),
			[]string{"idle timer", "ready 1 complete 1-3", "ready 2 partial(missing_pages) 1-1,3-3 -2:lost"},
			StatusPartial,
		},
		{
			"every page named: a document of slip sheets", streaming(),
			slices.Concat(three, []step{docFailed(1, Span(1, 3)), assembled(2)}),
			[]string{"idle timer", "ready 1 complete 1-3", "ready 2 partial(missing_pages) none -1:lost -2:lost -3:lost"},
			StatusPartial,
		},
		{
			"again and again: each revision has its number", streaming(),
			slices.Concat(three, []step{
				again(docFailed(1, Span(2, 2))), again(docFailed(2, Span(3, 3))), assembled(3), docFailed(3, Span(1, 1)), docFailed(2, Span(1, 1)),
			}),
			[]string{
				"idle timer", "ready 1 complete 1-3", "ready 2 partial(missing_pages) 1-1,3-3 -2:lost",
				"ready 3 partial(missing_pages) 1-1 -2:lost -3:lost",
			},
			StatusPartial,
		},
		{
			"a failure of a revision that is in the archive, or of one never ordered, changes nothing", streaming(),
			slices.Concat(three, []step{
				unchanged(docFailed(7, Span(1, 1)), docFailed(0, Span(1, 1))), assembled(1),
				unchanged(docFailed(1, Span(2, 2)), docFailed(2, Span(2, 2))),
			}),
			[]string{"idle timer", "ready 1 complete 1-3"},
			StatusComplete,
		},
		{
			"no page named: no new order, partial", streaming(),
			slices.Concat(
				three, []step{docFailed(1, nil), unchanged(docFailed(1, nil), docFailed(1, Span(1, 3)), announced(1), success(3)), archivedPages(1)},
			),
			[]string{"idle timer", "ready 1 complete 1-3"},
			StatusPartial,
		},
		{
			"no page named, then one more page comes: the next number", streaming(),
			slices.Concat(three, []step{docFailed(1, nil), announced(4), archivedPages(4), assembled(2)}),
			[]string{"idle timer", "ready 1 complete 1-3", "grace timer", "ready 2 complete 1-4"},
			StatusComplete,
		},
		{
			"no page named, but in the archive all the same: its own status", streaming(),
			slices.Concat(three, []step{docFailed(1, nil), assembled(1)}),
			[]string{"idle timer", "ready 1 complete 1-3"},
			StatusComplete,
		},
		{
			"the second revision fails: the first one's status is not the fax's", streaming(),
			slices.Concat(three, []step{assembled(1), announced(4), archivedPages(4), docFailed(2, nil)}),
			[]string{"idle timer", "ready 1 complete 1-3", "grace timer", "ready 2 complete 1-4"},
			StatusPartial,
		},
		{
			"the whole file is asked for another page, not for the lost one, and does not bring it back", streaming(),
			slices.Concat(
				three, []step{docFailed(1, Span(2, 2)), assembled(2), announced(4), due(TimerGrace), cutPages(4), wholeCut(1, 4, nil), assembled(3)},
			),
			[]string{
				"idle timer", "ready 1 complete 1-3", "ready 2 partial(missing_pages) 1-1,3-3 -2:lost", "grace timer", "whole 1 wants 4-4",
				"ready 3 partial(missing_pages) 1-1,3-4 -2:lost",
			},
			StatusPartial,
		},
		{
			"a page of a whole file that was asked for all is lost: its fact and the order's end, again, do not bring it back", wholeOnly(),
			[]step{
				closing(Closed{Status: "success", File: "f"}), wholeCut(1, 3, nil), docFailed(1, Span(3, 3)),
				cutPages(3), wholeCut(1, 3, nil), assembled(2), success(3), assembled(3),
			},
			[]string{
				"idle timer", "whole 1 wants all", "ready 1 complete 1-3", "ready 2 partial(missing_pages) 1-2 -3:lost",
				"ready 3 partial(missing_pages) 1-2 -3:lost",
			},
			StatusPartial,
		},
		{
			"a page that nobody announced or counted is lost: it is missed all the same", streaming(),
			[]step{announced(1), archivedPages(1, 2), success(1), docFailed(1, Span(2, 2)), assembled(2)},
			[]string{"idle timer", "ready 1 complete 1-2", "ready 2 partial(missing_pages) 1-1 -2:lost"},
			StatusPartial,
		},
		{
			"pages come while the failing revision is in flight: taken into the next one", streaming(),
			slices.Concat(three, []step{announced(4), archivedPages(4), docFailed(1, Span(1, 1)), assembled(2)}),
			[]string{"idle timer", "ready 1 complete 1-3", "ready 2 partial(missing_pages) 2-4 -1:lost"},
			StatusPartial,
		},
	})
}

// Previous is the newest revision that has a manifest when the order is given, whatever its number.
func TestReadyNamesThePreviousManifest(t *testing.T) {
	h := play(t, streaming(), announced(1, 2), archivedPages(1, 2), success(2))
	for _, row := range []struct {
		step
		revision, previous int
	}{
		{docFailed(1, Span(1, 1)), 2, 0},
		{assembled(2), 2, 0},
		{inTurn(announced(3), archivedPages(3)), 3, 2},
		{docFailed(3, Span(2, 2)), 4, 2},
		{inTurn(assembled(4), announced(4), archivedPages(4)), 5, 4},
	} {
		h.play(row.step)
		if r := lastReady(h); r.Revision != row.revision || r.Previous != row.previous {
			t.Errorf("revision %d follows %d, want %d after %d", r.Revision, r.Previous, row.revision, row.previous)
		}
	}
}

func inTurn(steps ...step) step { return func(h *history) { h.play(steps...) } }

func TestPageStatusOfLostPages(t *testing.T) {
	h := play(t, streaming(), announced(1, 2), archivedPages(1, 2), success(2), docFailed(1, Span(2, 2)), failing(2, ReasonNotYet, true))
	if status, _, reason := h.state.PageStatus(2); status != PageStatusMissing || reason != ReasonLost {
		t.Errorf("a lost page is %s, %s; want %s, %s", status, reason, PageStatusMissing, ReasonLost)
	}
	if status, source, _ := h.state.PageStatus(1); status != PageStatusArchived || source != SourceFetch {
		t.Errorf("the other page is %s, %s", status, source)
	}
}
