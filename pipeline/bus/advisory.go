package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

// StreamAdvisories stores the server's advisories about messages that it does not deliver any more.
const StreamAdvisories = "FAX_ADVISORIES"

const (
	advisoryMaxDeliveries = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES"
	advisoryTerminated    = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED"

	// maxAdvisories limits the stream, which drops the oldest: faxstream itself does not cause such advisories, except after a burial
	// or when it purges a fax.
	maxAdvisories = 100_000

	// buriedReason begins the reason of every termination whose message is stored as a dead letter already.
	buriedReason = "buried: "

	// ours is the metadata key of faxstream's own durables, and of those of subscribers that claim events over HTTP: these have the value
	// OursSubscriber. Subscribers that make a durable themselves cannot touch any of them. Messages of subscribers are not our concern.
	ours = Ours
)

// Ours is the metadata key of durables that faxstream makes. OursSubscriber is its value at those of subscribers (pipeline/subscribers).
const (
	Ours           = "faxstream"
	OursSubscriber = "subscriber"
)

// advisories is the stream of the advisories about consumers of these streams.
func advisories(streams ...string) jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name:      StreamAdvisories,
		Storage:   jetstream.FileStorage,
		Retention: jetstream.LimitsPolicy,
		Discard:   jetstream.DiscardOld,
		MaxMsgs:   maxAdvisories,
		MaxAge:    horizon,
	}
	for _, s := range streams {
		cfg.Subjects = append(cfg.Subjects, advisoryMaxDeliveries+"."+s+".*", advisoryTerminated+"."+s+".*")
	}
	return cfg
}

// advisory is the server's report about one message.
type advisory struct {
	Stream     string `json:"stream"`
	Consumer   string `json:"consumer"`
	Sequence   uint64 `json:"stream_seq"`
	Deliveries uint64 `json:"deliveries"`
	Reason     string `json:"reason"` // of a termination
}

// BuryAbandoned is a safety net. Until Close it buries every message of our durables that the server gave up (MaxDeliver) or that
// was terminated without a dead letter. No handler causes this today; a consumer that was changed by hand, or another version of
// faxstream, may.
func (b *Bus) BuryAbandoned(ctx context.Context) error {
	c := Consumer{Stream: StreamAdvisories, Durable: "abandoned", Filter: []string{"$JS.EVENT.ADVISORY.CONSUMER.>"}}
	return b.Consume(ctx, c, b.abandoned)
}

func (b *Bus) abandoned(ctx context.Context, d Delivery) error {
	var a advisory
	if err := json.Unmarshal(d.Data, &a); err != nil {
		return Dead{session.ReasonInternal, fmt.Errorf("malformed advisory: %w", err)}
	}
	if strings.HasPrefix(a.Reason, buriedReason) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	cons, err := b.js.Consumer(ctx, a.Stream, a.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("consumer %s of %s: %w", a.Consumer, a.Stream, err)
	}
	stage := cons.CachedInfo().Config.Metadata[ours] // not the name, which may have a number at its end
	if stage == "" || stage == OursSubscriber {
		return nil
	}
	letter := session.DeadLetter{Stage: stage, Reason: session.ReasonInternal, Received: d.Time}
	letter.Detail = fmt.Sprintf("message %d of %s was given up after %d deliveries", a.Sequence, a.Stream, a.Deliveries)
	if strings.HasPrefix(d.Subject, advisoryTerminated) {
		letter.Detail = fmt.Sprintf("message %d of %s was terminated after %d deliveries: %s",
			a.Sequence, a.Stream, a.Deliveries, a.Reason)
	}
	stream, err := b.js.Stream(ctx, a.Stream)
	if err != nil {
		return fmt.Errorf("stream %s: %w", a.Stream, err)
	}
	m, err := stream.GetMsg(ctx, a.Sequence)
	switch {
	case err == nil:
		letter.Original, letter.Body, letter.Received = m.Subject, m.Data, m.Time.UTC()
		letter.Session = session.SessionOf(m.Subject)
	case errors.Is(err, jetstream.ErrMsgNotFound) && b.forgot(a.Stream, d.Time):
		b.log.Info("a message was deleted with its fax before it was handled", "consumer", a.Consumer, "stream", a.Stream, "sequence", a.Sequence)
		return nil
	case errors.Is(err, jetstream.ErrMsgNotFound):
		letter.Original = fmt.Sprintf("%s/%d", a.Stream, a.Sequence)
		letter.Detail += "; the stream does not have it any more"
	default:
		return fmt.Errorf("message %d of %s: %w", a.Sequence, a.Stream, err)
	}
	b.log.Error("NATS gave up a piece of work, which is a dead letter: look at it with `faxstream dlq ls`",
		"work", a.Consumer, "stream", a.Stream, "sequence", a.Sequence)
	return b.Bury(ctx, letter)
}
