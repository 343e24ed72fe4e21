package session

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// kept is an order about keeping, asked for some minutes after the start.
func kept(kind string, minutes int) step {
	return func(h *history) {
		h.feed(Event{Fact: Kept{Session: testSession, Kind: kind, Asked: "a" + kind, At: testStart.Add(time.Duration(minutes) * time.Minute)}})
	}
}

func TestKept(t *testing.T) {
	done := []step{announced(1, 2), archivedPages(1, 2), success(2), assembled(1)}
	ordered := []string{"idle timer", "ready 1 complete 1-2"}
	runTransitions(t, []transition{
		{
			"a held fax goes on", streaming(),
			append([]step{kept(ActionHeld, 1)}, done...), ordered, StatusComplete,
		},
		{
			"of a purged fax nothing is owed, whatever comes", streaming(),
			slices.Concat(done, []step{kept(ActionPurged, 1), announced(3), archivedPages(3), success(3), kept(ActionHeld, 2)}),
			ordered, StatusPurged,
		},
		{
			"purged before its first webhook", streaming(),
			append([]step{kept(ActionPurged, 1)}, done[:3]...), nil, StatusPurged,
		},
	})
}

// The latest order counts, in any order of folding. A purge counts for ever, and leaves no number in the ledger.
func TestTheLastOrderHolds(t *testing.T) {
	for name, c := range map[string]struct {
		steps        []step
		held, purged bool
	}{
		"held":                   {[]step{kept(ActionHeld, 1)}, true, false},
		"released":               {[]step{kept(ActionHeld, 1), kept(ActionReleased, 2)}, false, false},
		"released, late":         {[]step{kept(ActionReleased, 2), kept(ActionHeld, 1)}, false, false},
		"held again":             {[]step{kept(ActionHeld, 1), kept(ActionReleased, 2), kept(ActionHeld, 3)}, true, false},
		"purged":                 {[]step{kept(ActionReleased, 2), kept(ActionPurged, 3)}, false, true},
		"purged, then ordered":   {[]step{kept(ActionPurged, 3), kept(ActionHeld, 4)}, false, true},
		"purged by a slow clock": {[]step{kept(ActionHeld, 4), kept(ActionPurged, 3)}, false, true},
		"purged, then webhooks":  {[]step{kept(ActionPurged, 3), announced(2), archivedPages(2), success(2)}, false, true},
	} {
		h := play(t, streaming(), announced(1), success(1)).play(c.steps...)
		if h.state.Held != c.held || h.state.Purged != c.purged {
			t.Errorf("%s: held %t, purged %t", name, h.state.Held, h.state.Purged)
		}
		if s := h.state; c.purged && (s.From+s.To+s.PageFrom+s.PageTo+s.ToToken != "" || s.Close != nil || s.Opened.IsZero()) {
			t.Errorf("%s: the ledger still knows %+v", name, s)
		}
		roundTrip(t, h.state)
	}
}

// A reason is anybody's text, and is shown on terminals in errors.
func TestAKeepEntryIsOneLine(t *testing.T) {
	e := KeepEntry{Session: testSession, Kind: ActionHeld, By: "ada", Why: "case\n\x1b[2J1", At: testStart}
	if s := e.String(); strings.ContainsAny(s, "\n\x1b") || !strings.Contains(s, "[2J1") {
		t.Errorf("%q", s)
	}
}
