package bus

import (
	"fmt"
	"testing"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Entries are read in the order of recording, from any entry on, also after a restart. Messages of the readiness check are not among
// them, and the creation time shows that the stream is still the same.
func TestTheAuditIsReadInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	const n = 2*auditAtOnce + 1
	for i := range n {
		if err := b.RecordAccess(t.Context(), session.Access{Kind: session.AccessRead, By: fmt.Sprint(i), Session: "abc"}); err != nil {
			t.Fatal(err)
		}
		if i == 5 {
			if _, err := b.js.Publish(t.Context(), "fax.v1.audit"+trial, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := b.Act(
		t.Context(), session.Action{Kind: session.ActionReplayed, By: "x", Session: "abc", Stage: session.ReplayDecode},
	); err != nil {
		t.Fatal(err)
	}
	created, err := b.AuditCreated(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	closeBus(t, b)
	b = open(t, dir)
	defer closeBus(t, b)
	if again, err := b.AuditCreated(t.Context()); err != nil || !again.Equal(created) {
		t.Errorf("made %s, and after a restart %s, %v", created, again, err)
	}
	read := func(after uint64, most int) (entries []session.AuditEntry) {
		t.Helper()
		if err := b.AuditEntries(t.Context(), after, func(e session.AuditEntry) bool {
			entries = append(entries, e)
			return len(entries) < most
		}); err != nil {
			t.Fatal(err)
		}
		return entries
	}
	all := read(0, n+100)
	if len(all) != n+1 || all[6].Sequence != 8 || all[0].Subject != "fax.v1.audit.access.read.abc" ||
		all[n].Subject != "fax.v1.audit.replay.decode.abc" {
		t.Fatalf("%d entries, the last %+v", len(all), all[len(all)-1])
	}
	for i := 1; i < len(all); i++ {
		if all[i].Sequence <= all[i-1].Sequence || all[i].Time.Before(all[i-1].Time) {
			t.Errorf("entry %d comes after %d", all[i].Sequence, all[i-1].Sequence)
		}
	}
	if rest := read(all[n-1].Sequence, 10); len(rest) != 1 || rest[0].Sequence != all[n].Sequence {
		t.Errorf("behind the last but one: %+v", rest)
	}
	if some := read(0, 3); len(some) != 3 {
		t.Errorf("%d entries though 3 were enough", len(some))
	}
	if rest := read(all[n].Sequence, 10); rest != nil {
		t.Errorf("behind the last: %+v", rest)
	}
	if err := b.RecordAccess(t.Context(), session.Access{Kind: session.AccessRead, Session: "a.b"}); err == nil {
		t.Error("an access of a session that is no token was recorded")
	}
}
