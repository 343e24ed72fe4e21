package session

import (
	"slices"
	"testing"
)

// reconciling compares every fax with its whole file.
func reconciling() Policy {
	p := streaming()
	p.Reconcile = ReconcileAll
	return p
}

// judged: the pages of the order were compared; those in none of the ranges could not be.
func judged(n int, compared, agreed, repaired, differing Ranges) step {
	return func(h *history) {
		h.feed(Event{Fact: DocVerified{
			Session: testSession, ToToken: testToken, Revision: 1, N: n, Report: Object{Key: "report", SHA256: "0123456789abcdef"},
			Compared: compared, Agreed: agreed, Repaired: repaired, Differing: differing,
		}})
	}
}

// TestVerification is the transition table of comparing streamed pages with the whole file.
func TestVerification(t *testing.T) {
	all := []step{announced(1, 2), archivedPages(1, 2), success(2)}
	on := func(more ...step) []step { return append(slices.Clone(all), more...) }
	for _, c := range []struct {
		transition
		verification string
	}{
		{transition{
			"off: the file is not fetched for it", streaming(),
			on(assembled(1)),
			[]string{"idle timer", "ready 1 complete 1-2"},
			StatusComplete,
		}, VerificationNone},
		{transition{
			"the document does not wait for the verdict", reconciling(),
			on(assembled(1)),
			[]string{"idle timer", "ready 1 complete 1-2 pending", "whole 1 wants none compares 1-2 of 1"},
			StatusComplete,
		}, VerificationPending},
		{transition{
			"agreement makes no new revision", reconciling(),
			on(assembled(1), judged(1, Span(1, 2), Span(1, 2), nil, nil), wholeCut(1, 2, nil)),
			[]string{"idle timer", "ready 1 complete 1-2 pending", "whole 1 wants none compares 1-2 of 1"},
			StatusComplete,
		}, VerificationVerified},
		{transition{
			"a repaired page makes revision 2", reconciling(),
			on(assembled(1), judged(1, Span(1, 2), Span(1, 1), Span(2, 2), nil), wholeCut(1, 2, nil), assembled(2)),
			[]string{"idle timer", "ready 1 complete 1-2 pending", "whole 1 wants none compares 1-2 of 1", "ready 2 complete 1-2 repaired 2-2"},
			StatusComplete,
		}, VerificationVerified},
		{transition{
			"a verdict before the first revision is in the archive waits for it", reconciling(),
			on(judged(1, Span(1, 2), Span(1, 1), Span(2, 2), nil), wholeCut(1, 2, nil), assembled(1), assembled(2)),
			[]string{"idle timer", "ready 1 complete 1-2 pending", "whole 1 wants none compares 1-2 of 1", "ready 2 complete 1-2 repaired 2-2"},
			StatusComplete,
		}, VerificationVerified},
		{transition{
			"a page that is decoded anew afterwards is not what was compared", reconciling(),
			on(assembled(1), judged(1, Span(1, 2), Span(1, 2), nil, nil), wholeCut(1, 2, nil), func(h *history) {
				h.feed(Event{Fact: Again{Session: testSession, Repairs: &Repairs{Report: Object{SHA256: "aa"}, Pages: Span(2, 2), Decoded: true}}})
			}, assembled(2)),
			[]string{
				"idle timer", "ready 1 complete 1-2 pending", "whole 1 wants none compares 1-2 of 1", "ready 2 complete 1-2 unavailable repaired 2-2",
			},
			StatusComplete,
		}, VerificationUnavailable},
		{transition{
			"a page that differs is told and changes nothing", reconciling(),
			on(assembled(1), judged(1, Span(1, 2), Span(1, 1), nil, Span(2, 2)), wholeCut(1, 2, nil)),
			[]string{"idle timer", "ready 1 complete 1-2 pending", "whole 1 wants none compares 1-2 of 1"},
			StatusComplete,
		}, VerificationDiffers},
		{transition{
			"a page that the file has not cannot be compared", reconciling(),
			on(assembled(1), judged(1, Span(1, 2), Span(1, 1), nil, nil), wholeCut(1, 1, nil)),
			[]string{"idle timer", "ready 1 complete 1-2 pending", "whole 1 wants none compares 1-2 of 1"},
			StatusComplete,
		}, VerificationUnavailable},
		{transition{
			"the file cannot be had: the document stands, a later pass tries again", reconciling(),
			on(assembled(1), wholeFailed(1, ReasonUnavailable), due(TimerVerify), judged(2, Span(1, 2), Span(1, 2), nil, nil), wholeCut(2, 2, nil)),
			[]string{
				"idle timer", "ready 1 complete 1-2 pending", "whole 1 wants none compares 1-2 of 1", "verify timer",
				"whole 2 wants none compares 1-2 of 1",
			},
			StatusComplete,
		}, VerificationVerified},
		{transition{
			"the file can never be had: four passes, then it is unavailable", reconciling(),
			on(
				assembled(1), wholeFailed(1, ReasonNotYet), due(TimerVerify), wholeFailed(2, ReasonNotYet), due(TimerVerify),
				wholeFailed(3, ReasonNotYet), due(TimerVerify), wholeFailed(4, ReasonNotYet), due(TimerVerify),
				wholeFailed(5, ReasonNotYet),
			),
			[]string{
				"idle timer", "ready 1 complete 1-2 pending", "whole 1 wants none compares 1-2 of 1", "verify timer",
				"whole 2 wants none compares 1-2 of 1", "verify timer",
				"whole 3 wants none compares 1-2 of 1", "verify timer", "whole 4 wants none compares 1-2 of 1", "verify timer",
				"whole 5 wants none compares 1-2 of 1",
			},
			StatusComplete,
		}, VerificationUnavailable},
		{transition{
			"missing pages: one fetch cuts them and compares the others", reconciling(),
			[]step{
				announced(1), archivedPages(1), success(2), due(TimerGrace), cutPages(2), judged(1, Span(1, 1), Span(1, 1), nil, nil),
				wholeCut(1, 2, nil), assembled(1),
			},
			[]string{"idle timer", "grace timer", "whole 1 wants 2-2 compares 1-1 of 1", "ready 1 complete 1-2 pending"},
			StatusComplete,
		}, VerificationVerified},
		{transition{
			"a late page is compared by itself", reconciling(),
			on(assembled(1), judged(1, Span(1, 2), Span(1, 2), nil, nil), wholeCut(1, 2, nil), announced(3), archivedPages(3), assembled(2)),
			[]string{
				"idle timer", "ready 1 complete 1-2 pending", "whole 1 wants none compares 1-2 of 1", "grace timer", "ready 2 complete 1-3 pending",
				"whole 2 wants none compares 3-3 of 2",
			},
			StatusComplete,
		}, VerificationPending},
		{transition{
			"a page that comes by itself after its grace, while the whole file is fetched, has a report of its own", reconciling(),
			[]step{
				announced(1, 2), archivedPages(1), success(2), due(TimerGrace), archivedPages(2), judged(1, Span(1, 1), Span(1, 1), nil, nil),
				wholeCut(1, 2, nil),
				assembled(1), judged(2, Span(2, 2), Span(2, 2), nil, nil), wholeCut(2, 2, nil),
			},
			[]string{
				"idle timer", "grace timer", "whole 1 wants 2-2 compares 1-1 of 1", "ready 1 complete 1-2 pending",
				"whole 2 wants none compares 2-2 of 1",
			},
			StatusComplete,
		}, VerificationVerified},
		{transition{
			"a better close may have another file: all is compared again", reconciling(),
			[]step{
				announced(1), archivedPages(1), closing(Closed{Status: "partially_received", Pages: 1, File: "a"}), assembled(1),
				judged(1, Span(1, 1), Span(1, 1), nil, nil), wholeCut(1, 1, nil), closing(Closed{Status: "success", Pages: 1, File: "b"}), assembled(2),
			},
			[]string{
				"idle timer", "ready 1 partial(partially_received) 1-1 pending", "whole 1 wants none compares 1-1 of 1",
				"ready 2 complete 1-1 pending", "whole 2 wants none compares 1-1 of 2",
			},
			StatusComplete,
		}, VerificationVerified},
		{transition{
			"a fax that never streamed has nothing to compare", reconciling(),
			[]step{success(1), due(TimerGrace), cutPages(1), wholeCut(1, 1, nil), assembled(1)},
			[]string{"idle timer", "grace timer", "whole 1 wants 1-1", "ready 1 complete 1-1"},
			StatusComplete,
		}, VerificationVerified},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := runTransition(t, c.transition).state.Verification(); got != c.verification {
				t.Errorf("verification %q, want %q", got, c.verification)
			}
		})
	}
}
