package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/faxstream/faxstream/pipeline/session"
)

// RecordAccess stores an access in FAX_AUDIT; nil means that it holds it. After an error it may hold it all the same.
func (b *Bus) RecordAccess(ctx context.Context, a session.Access) error {
	if !session.ValidToken(a.Kind) || !session.ValidToken(a.Session) {
		return fmt.Errorf("store an access in %s: kind %q and session %q must be tokens", StreamAudit, a.Kind, a.Session)
	}
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("store an access: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err = b.js.Publish(ctx, a.Subject(), data, jetstream.WithExpectStream(StreamAudit))
	b.health.published(StreamAudit, err)
	if err != nil {
		return fmt.Errorf("store an access in %s: %w", StreamAudit, err)
	}
	return nil
}

// AuditCreated is when FAX_AUDIT was made. Sequences of one that was made anew begin at 1 again.
func (b *Bus) AuditCreated(ctx context.Context) (time.Time, error) {
	s, err := b.js.Stream(ctx, StreamAudit)
	if err != nil {
		return time.Time{}, fmt.Errorf("look at %s: %w", StreamAudit, err)
	}
	return s.CachedInfo().Created.UTC(), nil
}

// auditAtOnce bounds one request; an action may hold a letter of 64 KiB.
const auditAtOnce = 100

// AuditEntries calls f with the entries of FAX_AUDIT that have a sequence above after, in its order, until f returns false.
// It reads from any replica: one that lags gives fewer entries, never others.
func (b *Bus) AuditEntries(ctx context.Context, after uint64, f func(session.AuditEntry) bool) error {
	for {
		msgs, err := b.batch(ctx, StreamAudit, auditAtOnce, jetstreamext.GetBatchSeq(after+1))
		if err != nil {
			return fmt.Errorf("read %s: %w", StreamAudit, err)
		}
		if len(msgs) == 0 {
			return nil
		}
		for _, m := range msgs {
			after = m.Sequence
			if strings.HasSuffix(m.Subject, trial) {
				continue
			}
			if !f(session.AuditEntry{Sequence: m.Sequence, Time: m.Time.UTC(), Subject: m.Subject, Data: m.Data}) {
				return nil
			}
		}
	}
}
