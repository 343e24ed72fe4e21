package bus

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/faxstream/faxstream/pipeline/session"
)

// A restored entry has its old time and says where it was; an order among them is not carried out again. What only looks like a restored
// entry has the time of now.
func TestRestoredEntriesAreRecordsOnly(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	defer closeBus(t, b)
	old := time.Date(2026, 11, 24, 10, 30, 0, 5, time.UTC)
	purge := session.Action{Kind: session.ActionPurged, By: "bob", Session: "abc"}
	e := session.AuditEntry{
		Time: old, Subject: purge.Subject(), Data: []byte(`{"action":"purged"}`),
		Restored: &session.AuditOrigin{Stream: old.Add(-time.Hour), Sequence: 7},
	}
	if err := b.RestoreAudit(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	forged := nats.NewMsg(purge.Subject())
	forged.Header.Set(headerTime, old.Format(time.RFC3339Nano))
	forged.Header.Set(headerStream, old.Format(time.RFC3339Nano))
	forged.Header.Set(headerSequence, "8")
	if _, err := b.js.PublishMsg(t.Context(), forged); err != nil {
		t.Fatal(err)
	}
	var got []session.AuditEntry
	if err := b.AuditEntries(t.Context(), 0, func(e session.AuditEntry) bool { got = append(got, e); return true }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !got[0].Time.Equal(old) || string(got[0].Data) != string(e.Data) {
		t.Fatalf("%+v", got)
	}
	if got[0].Restored == nil || *got[0].Restored != *e.Restored {
		t.Errorf("the entry is restored from %+v, want %+v", got[0].Restored, e.Restored)
	}
	if got[1].Restored != nil || time.Since(got[1].Time) > time.Hour {
		t.Errorf("an entry that is none of a rebuild: %+v", got[1])
	}
	// Whoever carries out orders sees the second one only.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan string, 2)
	orders := Consumer{Stream: StreamAudit, Durable: "orders", Filter: []string{session.TypeAuditKeep + ".>"}}
	err := b.Consume(ctx, orders, func(_ context.Context, d Delivery) error {
		seen <- d.Subject
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if subject := <-seen; strings.Contains(subject, "restored") {
		t.Errorf("%s is carried out", subject)
	}
}
