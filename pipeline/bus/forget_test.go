package bus

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Of a session nothing is left but its ledger and what says that it was purged; of one whose name begins alike, all is.
func TestForget(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	defer closeBus(t, b)
	letter := func(id string) session.DeadLetter {
		return session.DeadLetter{Stage: session.StagePage, Session: id, Page: 1, Original: page(id, 1).Subject(), Body: []byte(id)}
	}
	for _, id := range []string{"s", "s2"} {
		for _, f := range []session.Fact{
			page(id, 1),
			session.Closed{Session: id, Direction: session.Incoming},
			session.WholeOrdered{Session: id, N: 1},
			session.PageArchived{Session: id, Page: 1, ToToken: "1555"},
			session.DocReady{Session: id, ToToken: "1555", Revision: 1},
			session.Kept{Session: id, Kind: session.ActionPurged, Asked: "a1"},
		} {
			mustRecord(t, b, f)
		}
		_, bound := b.Bind(t.Context(), id, "1555")
		_, saved := b.Save(t.Context(), session.State{Session: id}, 0)
		scheduled := b.Schedule(
			t.Context(), session.Timer{Kind: session.TimerRetry, Session: id, Page: 1, Due: time.Now().Add(time.Hour)}, []byte("{}"),
		)
		if err := errors.Join(bound, saved, scheduled, b.Bury(t.Context(), letter(id))); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := b.Forget(t.Context(), "s"); err != nil {
			t.Fatal(err)
		}
	}
	for stream, want := range map[string][2]uint64{ // messages of s, of s2
		StreamIn: {1, 4}, StreamPages: {0, 1}, StreamDocs: {0, 1}, StreamTimers: {0, 1}, StreamDLQ: {0, 1}, "KV_" + BucketSessions: {1, 2},
	} {
		s, err := b.js.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(">"))
		if err != nil {
			t.Fatal(err)
		}
		if n := info.State.Msgs - info.State.Subjects[markSubject]; n != want[0]+want[1] {
			t.Errorf("%s has %d messages, want %d of s and %d of s2: %v", stream, n, want[0], want[1], info.State.Subjects)
		}
	}
	if token, err := b.Bind(t.Context(), "s", session.UnknownToken); err != nil || token != session.UnknownToken {
		t.Errorf("the number of s is still %q, %v", token, err)
	}
	if err := b.Forget(t.Context(), "*"); err == nil {
		t.Error("every session was forgotten at once")
	}
}
