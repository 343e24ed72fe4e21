package bus

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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

// anyFact makes a fact of a type from fields that some type has.
func anyFact(t *testing.T, factType, id string) session.Fact {
	t.Helper()
	direction, object := session.Incoming, ""
	switch factType {
	case session.TypeSent:
		direction = session.Outgoing
	case session.TypeWholeCut:
		object = `"object": {"key": "k"},`
	}
	sum := strings.Repeat("ab", 32)
	f, err := session.ParseFact(factType, fmt.Appendf(nil, `{"session": %q, "direction": %q, %s "page": 1, "n": 1, "revision": 1,
		"asked": "a1", "kind": "purged", "stage": "fetch", "attempt": 1, "to_token": "13343040000", "status": "success", "hook": "h",
		"raster_sha256": %q, "report": {"sha256": %q}, "words": {"sha256": %q}, "record": {"sha256": %q}}`,
		id, direction, object, sum, sum, sum, sum))
	if err != nil {
		t.Fatalf("this test can make no %s: give it the fields that the type needs: %v", factType, err)
	}
	if streamOf(factType) == "" {
		t.Fatalf("no stream has the facts of type %s", factType)
	}
	return f
}

// everything stores one message of each kind that a session can have, in every stream.
func everything(t *testing.T, b *Bus, id string) {
	t.Helper()
	for _, factType := range session.FactTypes() {
		f := anyFact(t, factType, id)
		if masked := maskSubject(f.Subject()); strings.Contains(masked, "13343040000") {
			t.Errorf("%s is in logs with its number", masked)
		}
		mustRecord(t, b, f)
	}
	_, bound := b.Bind(t.Context(), id, "13343040000")
	_, saved := b.Save(t.Context(), session.State{Session: id}, 0)
	_, claimed := b.Claim(t.Context(), session.AliasFile, "file of "+id, id)
	errs := []error{bound, saved, claimed}
	for _, kind := range []string{
		session.TimerGrace, session.TimerIdle, session.TimerRetry, session.TimerWhole, session.TimerVerify, session.TimerText,
	} {
		timer := session.Timer{Kind: kind, Session: id, Page: 1, Due: time.Now().Add(time.Hour)}
		_, fired := b.js.Publish(t.Context(), timer.DueSubject(), nil)
		errs = append(errs, b.Schedule(t.Context(), timer, nil), fired)
	}
	for _, stage := range []string{
		session.StageIngest, session.StageRecord, session.StagePage, session.StageWhole, session.StageChoice, "assemble",
	} {
		errs = append(errs, b.Bury(t.Context(), session.DeadLetter{Stage: stage, Session: id}))
	}
	_, text := b.js.Publish(t.Context(), "fax.v1.text.page.13343040000."+id+".1", nil)
	chosen := session.Action{Kind: session.ActionChosen, Session: id, Page: 1, Image: session.ImageFile}
	_, acted := b.Act(t.Context(), chosen)
	restored := b.RestoreAudit(t.Context(), session.AuditEntry{
		Subject: chosen.Subject(), Time: time.Unix(1, 0), Restored: &session.AuditOrigin{Sequence: 1},
	})
	if err := errors.Join(append(errs, text, acted, restored)...); err != nil {
		t.Fatal(err)
	}
}

// subjects gives the subjects of all streams in which a token is.
func subjects(t *testing.T, b *Bus, token string) (all []string) {
	t.Helper()
	for _, cfg := range b.wanted() {
		s, err := b.js.Stream(t.Context(), cfg.Name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(">"))
		if err != nil {
			t.Fatal(err)
		}
		for subject := range info.State.Subjects {
			if slices.Contains(strings.Split(subject, "."), token) {
				all = append(all, subject)
			}
		}
	}
	slices.Sort(all)
	return all
}

// A purge reaches every kind of message that a session can have, also of a type that is added later. What stays is what it promises: that
// there was a fax which was purged, whose file it was, and the audit.
func TestForgetReachesEveryType(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	defer closeBus(t, b)
	everything(t, b, "s")
	everything(t, b, "s2")
	before := subjects(t, b, "s2")
	if n := len(subjects(t, b, "s")); n != len(before) || n < len(session.FactTypes())+20 {
		t.Fatalf("%d subjects of s, %d of s2: too little to forget", n, len(before))
	}
	if err := b.Forget(t.Context(), "s"); err != nil {
		t.Fatal(err)
	}
	want := []string{
		ledgerSubject("s"), "fax.v1.audit.choice.1.s", "fax.v1.audit.restored.choice.1.s", session.TypeKept + ".s.a1",
	}
	slices.Sort(want)
	if left := subjects(t, b, "s"); !slices.Equal(left, want) {
		t.Errorf("of s is left %v, want %v", left, want)
	}
	if after := subjects(t, b, "s2"); !slices.Equal(after, before) {
		t.Errorf("of s2 is left %v, want %v", after, before)
	}
	if owner, err := b.Owner(t.Context(), session.AliasFile, "file of s"); err != nil || owner != "s" {
		t.Errorf("the file of s belongs to %q, %v: it would come in as a new fax", owner, err)
	}
}
