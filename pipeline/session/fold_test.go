package session

import "testing"

// A close whose file belongs to another session makes no second document.
func TestASessionFoldsIntoTheOwnerOfItsFile(t *testing.T) {
	owned := func(owner string, f Closed) step {
		return func(h *history) {
			f.Session, f.Direction = testSession, Incoming
			h.feed(Event{ToToken: testToken, Owner: owner, Fact: f})
		}
	}
	success := Closed{Status: "success", Pages: 1, File: "f"}
	runTransitions(t, []transition{
		{
			"another session's file: no document, no order", reconciling(),
			[]step{announced(1), archivedPages(1), owned("other", success), due(TimerIdle), announced(2), archivedPages(2)},
			[]string{"idle timer"},
			StatusFolded,
		},
		{
			"its own file", streaming(),
			[]step{announced(1), archivedPages(1), owned(testSession, success), assembled(1)},
			[]string{"idle timer", "ready 1 complete 1-1"},
			StatusComplete,
		},
		{
			"given up without a close, and then it is another session's fax: no second document", streaming(),
			[]step{announced(1), archivedPages(1), due(TimerIdle), assembled(1), owned("other", success)},
			[]string{"idle timer", "ready 1 partial(no_close) 1-1"},
			StatusFolded,
		},
		{
			"what has a document of its own close keeps it", streaming(),
			[]step{
				announced(1), archivedPages(1), owned(testSession, Closed{Status: "partially_received", Pages: 1, File: "e"}), assembled(1),
				owned("other", success), assembled(2),
			},
			[]string{"idle timer", "ready 1 partial(partially_received) 1-1", "ready 2 complete 1-1"},
			StatusComplete,
		},
	})
}
