package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/faxstream/faxstream/pipeline/session"
)

// RecordAccess stores an access in FAX_AUDIT. After nil it is stored durably; after an error it may be stored or not.
func (b *Bus) RecordAccess(ctx context.Context, a session.Access) error {
	if !session.ValidToken(a.Kind) || !session.ValidToken(a.Session) {
		return fmt.Errorf("store an access in %s: kind %q and session %q must be tokens", StreamAudit, a.Kind, a.Session)
	}
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("store an access in %s: %w", StreamAudit, err)
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

// AuditCreated returns when FAX_AUDIT was created, UTC. If the stream is lost and created again, its sequences start at 1 again.
func (b *Bus) AuditCreated(ctx context.Context) (time.Time, error) {
	s, err := b.js.Stream(ctx, StreamAudit)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the state of %s: %w", StreamAudit, err)
	}
	return s.CachedInfo().Created.UTC(), nil
}

// auditAtOnce limits one request; an action may contain a letter of 64 KiB.
const auditAtOnce = 100

// AuditEntries calls f with the entries of FAX_AUDIT that have a sequence above after, in the order of the stream, until f
// returns false. It reads from any replica: a replica that is behind has fewer entries, never other ones.
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
			if !f(auditEntry(m)) {
				return nil
			}
		}
	}
}

// Headers of a restored entry: where it was before, and when it was stored there.
const (
	headerStream   = "Faxstream-Audit-Stream"
	headerSequence = "Faxstream-Audit-Sequence"
	headerTime     = "Faxstream-Audit-Time"
)

// auditEntry reads a message of FAX_AUDIT. Only a subject of restored entries makes a message one; with headers that are none, it counts
// as an entry of now.
func auditEntry(m *jetstream.RawStreamMsg) session.AuditEntry {
	e := session.AuditEntry{Sequence: m.Sequence, Time: m.Time.UTC(), Subject: m.Subject, Data: m.Data}
	if !strings.HasPrefix(m.Subject, session.TypeAuditRestored+".") {
		return e
	}
	stream, serr := time.Parse(time.RFC3339Nano, m.Header.Get(headerStream))
	first, terr := time.Parse(time.RFC3339Nano, m.Header.Get(headerTime))
	sequence, nerr := strconv.ParseUint(m.Header.Get(headerSequence), 10, 64)
	if errors.Join(serr, terr, nerr) == nil && first.Before(e.Time) {
		e.Time, e.Restored = first.UTC(), &session.AuditOrigin{Stream: stream.UTC(), Sequence: sequence}
	}
	return e
}

// RestoreAudit stores an entry of a lost FAX_AUDIT again, as restored: e.Restored says where it was. After nil it is stored durably; after
// an error it may be stored or not.
func (b *Bus) RestoreAudit(ctx context.Context, e session.AuditEntry) error {
	m := nats.NewMsg(session.RestoredSubject(e.Subject))
	m.Data = e.Data
	m.Header.Set(headerStream, e.Restored.Stream.UTC().Format(time.RFC3339Nano))
	m.Header.Set(headerSequence, strconv.FormatUint(e.Restored.Sequence, 10))
	m.Header.Set(headerTime, e.Time.UTC().Format(time.RFC3339Nano))
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := b.js.PublishMsg(ctx, m, jetstream.WithExpectStream(StreamAudit))
	b.health.published(StreamAudit, err)
	if err != nil {
		return fmt.Errorf("restore an entry in %s: %w", StreamAudit, err)
	}
	return nil
}

// Act stores an action in FAX_AUDIT and returns its sequence there. After nil it is stored durably; after an error it may be
// stored or not. The same action on the same letter within two minutes is stored once.
func (b *Bus) Act(ctx context.Context, a session.Action) (sequence uint64, err error) {
	data, err := json.Marshal(a)
	if err != nil {
		return 0, fmt.Errorf("store an action in %s: %w", StreamAudit, err)
	}
	opts := []jetstream.PublishOpt{jetstream.WithExpectStream(StreamAudit)}
	if a.LetterID > 0 {
		opts = append(opts, jetstream.WithMsgID(fmt.Sprintf("dlq-%d-%s", a.LetterID, a.Kind)))
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stored, err := b.js.Publish(ctx, a.Subject(), data, opts...)
	b.health.published(StreamAudit, err)
	if err != nil {
		return 0, fmt.Errorf("store an action in %s: %w", StreamAudit, err)
	}
	return stored.Sequence, nil
}
