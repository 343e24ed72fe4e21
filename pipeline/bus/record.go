package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

// CloudEvents 1.0 binary headers.
const (
	HeaderID          = "ce-id"
	HeaderType        = "ce-type"
	HeaderSource      = "ce-source"
	HeaderTime        = "ce-time"
	HeaderSpecVersion = "ce-specversion"
	HeaderContentType = "content-type"
)

// Record stores a fact. When err is nil JetStream holds it durably. repeat: it held the same fact already.
//
// A different fact on the same subject is buried in FAX_DLQ and counts as a repeat: the first one stands.
// An error means "not known to be stored"; the same call may be made again.
func (b *Bus) Record(ctx context.Context, f session.Fact) (repeat bool, err error) {
	_, stored, err := b.RecordFact(ctx, f)
	return stored != nil, err
}

// RecordFact is Record for callers that need the sequence, or the payload that was there first (nil: ours is).
func (b *Bus) RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error) {
	subject := maskSubject(f.Subject()) // for people
	data, err := json.Marshal(f)
	if err != nil {
		return 0, nil, fmt.Errorf("record %s: %w", subject, err)
	}
	stream := streamOf(f.Type())
	seq, err = b.groups[stream].publish(ctx, factMsg(f, data), 0)
	if !errors.Is(err, errConflict) {
		return seq, nil, err
	}
	old, err := b.last(ctx, stream, f.Subject())
	if err != nil {
		return 0, nil, fmt.Errorf("read back %s: %w", subject, err)
	}
	if !f.Same(old.Data) {
		b.log.Error("a fact contradicts the one that is stored; kept in FAX_DLQ", "subject", subject)
		err = b.Bury(ctx, session.DeadLetter{
			Stage: session.StageRecord, Session: f.SessionID(), Reason: session.ReasonConflict, Original: f.Subject(), Body: data, Received: time.Now().UTC(),
			Detail: fmt.Sprintf("%s holds another fact since %s; compare the two and correct by hand", subject, old.Time.UTC().Format(time.RFC3339)),
		})
		if err != nil {
			return 0, nil, err
		}
	}
	return old.Sequence, old.Data, nil
}

func factMsg(f session.Fact, data []byte) *nats.Msg {
	m := nats.NewMsg(f.Subject())
	m.Data = data
	m.Header.Set(HeaderID, f.ID())
	m.Header.Set(HeaderType, f.Type())
	m.Header.Set(HeaderSource, "faxstream")
	m.Header.Set(HeaderSpecVersion, "1.0")
	m.Header.Set(HeaderContentType, "application/json")
	if t := f.Time(); !t.IsZero() {
		m.Header.Set(HeaderTime, t.UTC().Format(time.RFC3339))
	}
	return m
}

// Schedule sets a timer: JetStream publishes body on its due subject at its due time. Setting the same timer again changes nothing.
func (b *Bus) Schedule(ctx context.Context, t session.Timer, body []byte) error {
	m := nats.NewMsg(t.SetSubject())
	m.Data = body
	// jetstream.WithScheduleAt cuts the time to whole seconds, which fires early.
	m.Header.Set("Nats-Schedule", "@at "+t.Due.UTC().Format(time.RFC3339Nano))
	m.Header.Set("Nats-Schedule-Target", t.DueSubject())
	_, err := b.js.PublishMsg(ctx, m, jetstream.WithExpectStream(StreamTimers))
	if ctx.Err() == nil { // else the caller gave up, which says nothing of the stream
		b.health.published(StreamTimers, err)
	}
	if err != nil {
		return fmt.Errorf("set timer %s: %w", t.SetSubject(), err)
	}
	return nil
}

// Stored is one message of a stream.
type Stored struct {
	Subject  string
	Sequence uint64
	Time     time.Time
	Data     []byte
}

// last reads the last message on a subject from the stream's leader. A direct get may ask a follower that is behind.
func (b *Bus) last(ctx context.Context, stream, subject string) (Stored, error) {
	req, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return Stored{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := b.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, req)
	if err != nil {
		return Stored{}, err
	}
	var r struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(resp.Data, &r); err != nil {
		return Stored{}, err
	}
	if r.Error != nil {
		return Stored{}, r.Error
	}
	return Stored{Subject: r.Message.Subject, Sequence: r.Message.Seq, Time: r.Message.Time, Data: r.Message.Data}, nil
}
