package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

// settle is the only table from a handler's error to a JetStream reply:
//
//	nil           Ack
//	Dead          TermWithReason once FAX_DLQ has it, else as an outage
//	Later         NakWithDelay
//	anything else NakWithDelay, growing with the deliveries
//
// If a reply is lost, the server delivers the message again; every handler must allow that.
func (b *Bus) settle(c Consumer, m jetstream.Msg, d Delivery, err error) {
	var dead Dead
	if errors.As(err, &dead) {
		ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
		defer cancel()
		buried := b.Bury(ctx, session.DeadLetter{
			Stage: c.Durable, Session: session.SessionOf(d.Subject), Reason: dead.Reason, Detail: dead.Error(),
			Original: d.Subject, Body: d.Data, Received: d.Time,
		})
		if buried == nil {
			b.log.Error("a piece of work cannot be done, and is a dead letter: look at it with `faxstream dlq ls`",
				"work", c.Durable, "subject", maskSubject(d.Subject), "reason", dead.Reason, "err", maskSubject(err.Error()))
			b.reply(c, d, m.TermWithReason(buriedReason+string(dead.Reason)))
			b.settled(c, m, inProgress)
			return
		}
		err = errors.Join(err, buried)
	}
	if err == nil {
		b.reply(c, d, m.Ack())
		b.settled(c, m, inProgress)
		return
	}
	delay := outageDelays[min(max(d.Tries, 1), len(outageDelays))-1]
	if later, ok := errors.AsType[Later](err); ok {
		delay = later.After
	} else if b.life.Err() != nil {
		delay = time.Millisecond // the next process must not wait for our stop; a nak without delay is not stored
	} else {
		level := slog.LevelDebug // in a long outage thousands of messages are delivered many times
		if d.Tries <= len(outageDelays) || d.Tries%outageReminder == 0 {
			level = slog.LevelWarn
		}
		b.log.Log(context.Background(), level, "a piece of work failed: it comes again by itself until it is done",
			"work", c.Durable, "subject", maskSubject(d.Subject), "tries", d.Tries, "delay", delay, "err", maskSubject(err.Error()))
	}
	b.reply(c, d, m.NakWithDelay(delay))
	b.settled(c, m, fmt.Appendf(nil, "-NAK {\"delay\": %d}", delay))
}

// inProgress has no effect on a message that is acknowledged.
var inProgress = []byte("+WPI")

// settlement is the last reply of a durable: its subject, and a body that can be sent there again without an effect.
type settlement struct {
	subject string
	body    []byte
}

func (b *Bus) settled(c Consumer, m jetstream.Msg, again []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replied[c.Durable] = settlement{m.Reply(), again}
}

// syncReplies returns when the embedded server has processed every reply of every durable. The server drops its queue of
// replies at shutdown; without this, handled messages would be delivered again.
func (b *Bus) syncReplies(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for durable, s := range b.replied {
		if _, err := b.nc.RequestWithContext(ctx, s.subject, s.body); err != nil && !errors.Is(err, nats.ErrNoResponders) {
			return fmt.Errorf("consumer %s: %w", durable, err)
		}
	}
	return nil
}

func (b *Bus) reply(c Consumer, d Delivery, err error) {
	if err != nil && b.life.Err() == nil {
		b.log.Warn("NATS was not told that a piece of work is done: it is done again, which changes nothing",
			"work", c.Durable, "subject", maskSubject(d.Subject), "err", err)
	}
}
