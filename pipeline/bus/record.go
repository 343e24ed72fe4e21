package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
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

// Record stores a fact. If err is nil, JetStream has it durably. repeat: it had the same fact already.
//
// If the subject has a different fact, the new one is buried in FAX_DLQ and counts as a repeat: the first one stays. After
// an error the fact may be stored or not; the same call may be made again.
//
// It is for facts from outside, whose sender waits for an answer: work on messages gives way to them, see precedence.
func (b *Bus) Record(ctx context.Context, f session.Fact) (repeat bool, err error) {
	b.first.begin()
	defer b.first.end()
	_, stored, err := b.RecordFact(ctx, f)
	return stored != nil, err
}

// RecordFact does the same as Record for a fact of our own. It returns the sequence of the stored fact, and if another call stored the
// fact before, the stored payload; stored is nil if this call stored it.
func (b *Bus) RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error) {
	ctx, span := b.cfg.Trace.Publish(ctx, streamOf(f.Type()), f)
	seq, stored, err = b.recordFact(ctx, f)
	switch {
	case err != nil:
		span.End("failed", "not_stored")
	case stored != nil:
		span.End("repeated", "")
	default:
		span.End("recorded", "")
	}
	return seq, stored, err
}

func (b *Bus) recordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error) {
	payload := any(f)
	if b.cfg.Outward != nil {
		payload = b.cfg.Outward(f)
	}
	data, err := json.Marshal(payload)
	if err != nil {
		return 0, nil, fmt.Errorf("record %s: %w", maskSubject(f.Subject()), err)
	}
	stream := streamOf(f.Type())
	var old Stored
	err = b.untilThere(ctx, func() (there bool, err error) {
		m := factMsg(f, data)
		b.cfg.Trace.Inject(ctx, m.Header)
		seq, err = b.groups[stream].publish(ctx, m, 0)
		if !errors.Is(err, errConflict) {
			return true, err
		}
		if old, err = b.last(ctx, stream, f.Subject()); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return true, fmt.Errorf("read back %s: %w", maskSubject(f.Subject()), err)
		}
		return err == nil, nil
	})
	if err != nil || old.Sequence == 0 {
		return seq, nil, err
	}
	if !f.Same(old.Data) {
		subject := maskSubject(f.Subject()) // people read it
		b.log.Error("a new fact contradicts the stored one; the new one goes to FAX_DLQ", "subject", subject)
		err = b.Bury(ctx, session.DeadLetter{
			Stage: session.StageRecord, Session: f.SessionID(), Reason: session.ReasonConflict, Original: f.Subject(), Body: data,
			Received: time.Now().UTC(),
			Detail: fmt.Sprintf("%s has a different fact since %s; compare the two and correct by hand",
				subject, old.Time.UTC().Format(time.RFC3339)),
		})
		if err != nil {
			return 0, nil, err
		}
	}
	return old.Sequence, old.Data, nil
}

// tooLarge is the server's error code for a message that is larger than its stream allows.
const tooLarge jetstream.ErrorCode = 10054

// TooLarge reports whether an error of Record or Bury says that the servers, as they are configured, never take this message.
func TooLarge(err error) bool {
	refusal, ok := errors.AsType[jetstream.JetStreamError](err)
	return errors.Is(err, nats.ErrMaxPayload) || ok && refusal.APIError() != nil && refusal.APIError().ErrorCode == tooLarge
}

// onItsWay is how long the message of another process is on its way, at most: a cluster may have to choose a leader meanwhile.
const onItsWay = 2 * requestTimeout

// untilThere repeats a write while it is refused for a message that cannot be read: on a cluster, that of another process may be on its
// way. write reports whether the message is there, or it has failed. After onItsWay it gives up with context.DeadlineExceeded, so that
// other work goes on: the message may be one that somebody has deleted.
func (b *Bus) untilThere(ctx context.Context, write func() (there bool, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, onItsWay)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		if there, err := write(); there || err != nil {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("the message of another process is not there yet: %w", context.Cause(ctx))
		case <-b.life.Done():
			return fmt.Errorf("the message of another process is not there yet: %w", context.Cause(b.life))
		}
	}
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

// Schedule sets a timer: JetStream publishes body on the timer's due subject at its due time. The same timer again changes
// nothing. After an error the timer may be set or not.
func (b *Bus) Schedule(ctx context.Context, t session.Timer, body []byte) error {
	m := nats.NewMsg(t.SetSubject())
	m.Data = body
	// jetstream.WithScheduleAt cuts the time to whole seconds, which is too early.
	m.Header.Set("Nats-Schedule", "@at "+t.Due.UTC().Format(time.RFC3339Nano))
	m.Header.Set("Nats-Schedule-Target", t.DueSubject())
	b.cfg.Trace.Inject(ctx, m.Header) // the message that fires has it too
	_, err := b.groups[StreamTimers].publish(ctx, m, anySequence)
	if err != nil {
		return fmt.Errorf("set timer %s: %w", t.SetSubject(), err)
	}
	return nil
}

// precedence makes work on messages wait while facts from outside are being stored. Their senders wait for answers, and the work would
// take the cores and the disk from these. It comes in rounds then: what begins at the same time shares syncs.
type precedence struct {
	mu    sync.Mutex
	going int           // facts that are being stored; guarded by mu
	round chan struct{} // closed at its end; nil: work need not wait; guarded by mu
	count int           // rounds that facts filled; guarded by mu
	calm  *time.Timer   // runs after the last fact; guarded by mu, made at first use
	tick  *time.Timer   // ends the round; guarded by mu, made at first use
}

const (
	calmAfter = 5 * time.Millisecond  // with its answer, a sender needs at most so long to send its next fact
	giveWay   = 50 * time.Millisecond // a round: facts that never end slow the work down, and do not stop it
)

const (
	beginAtOnce   = 16 // messages of a durable that begin in one round, about: of many workers, each begins only in some rounds
	roundsOfBatch = 10 // in one of them a batch begins: it gets more messages meanwhile, and each batch costs its syncs
)

// rounds says how many rounds have one in which a worker begins.
func (c Consumer) rounds() int {
	if c.most > 1 {
		return roundsOfBatch
	}
	return min(max(c.Workers/beginAtOnce, 1), roundsOfBatch)
}

func (p *precedence) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.going++; p.round == nil {
		p.round = make(chan struct{})
		after(&p.tick, giveWay, p.next)
	}
}

func (p *precedence) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.going--; p.going == 0 {
		after(&p.calm, calmAfter, p.rest)
	}
}

// next ends the round. The next one begins at once, or with the next fact.
func (p *precedence) next() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open()
	if p.count++; p.going > 0 {
		p.round = make(chan struct{})
		p.tick.Reset(giveWay)
	}
}

// rest ends the round, if no fact has come since the last one.
func (p *precedence) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.going == 0 {
		p.open()
	}
}

// open lets the work begin. The caller holds mu.
func (p *precedence) open() {
	if p.round != nil {
		close(p.round)
		p.round = nil
	}
}

// after sets a timer that calls f.
func after(t **time.Timer, d time.Duration, f func()) {
	if *t == nil {
		*t = time.AfterFunc(d, f)
	} else {
		(*t).Reset(d)
	}
}

// wait waits until no facts from outside are being stored, until the turn of a worker comes, which is once in so many rounds, or until ctx
// ends. It never waits for more rounds.
func (p *precedence) wait(ctx context.Context, rounds, worker int) {
	for waited := 0; waited < rounds; waited++ {
		p.mu.Lock()
		round, turn := p.round, p.count%rounds == worker%rounds
		p.mu.Unlock()
		if round == nil || turn && waited > 0 {
			return
		}
		select {
		case <-round:
		case <-ctx.Done():
			return
		}
	}
}
