package subscribers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/bus"
)

// durable is one of a family.
type durable struct {
	jetstream.Consumer
	number string // of a share
}

// Names and metadata of additional durables. No name of a subscriber has these characters.
const (
	shareMark = "="
	againMark = "~"

	metaOf     = "faxstream-of"     // the subscriber
	metaNumber = "faxstream-number" // of a share
	metaClosed = "faxstream-closed" // of a share: when it was closed
	metaUntil  = "faxstream-until"  // of a rewind and of a closed share: where it ends; see until
	metaGrown  = "faxstream-grown"  // of the main durable: the durable that the family got last
)

// additional reports whether a durable has the name of an additional one of a subscriber.
func additional(name, durable string) bool {
	return strings.HasPrefix(durable, prefix+name+againMark) || strings.HasPrefix(durable, prefix+name+shareMark)
}

// Info is the durable as it was last asked for.
func (d *durable) Info() *jetstream.ConsumerInfo { return d.CachedInfo() }

func (d *durable) closed() bool { return d.Info().Config.Metadata[metaClosed] != "" }

// inWork is how many events workers have. JetStream counts events whose lease is over as if they were in work, until they are delivered
// again. If nothing was delivered, extended or put off for the time of a lease, all leases are over.
func (d *durable) inWork() int {
	if d == nil {
		return 0
	}
	info := d.Info()
	if last := info.Delivered.Last; last == nil || info.TimeStamp.Sub(*last) > info.Config.AckWait {
		return 0
	}
	return info.NumAckPending
}

// free is how many more events the server lets the durable have in work.
func (d *durable) free() int { return d.Info().Config.MaxAckPending - d.Info().NumAckPending }

// idle reports whether nothing waits, nothing is in work, and nothing was to do for some time.
func (d *durable) idle() bool {
	info, last := d.Info(), d.Info().Created
	if info.Delivered.Last != nil {
		last = *info.Delivered.Last
	}
	return info.NumPending == 0 && info.NumAckPending == 0 && time.Since(last) >= shareQuiet
}

// until is the last sequence of a number that a rewind or a closed share gives; another durable has no end. It is one number, and for a
// rewind also, after commas, NUMBER:LAST of numbers that had a share.
func (d *durable) until(number string) uint64 {
	parts := strings.Split(d.Info().Config.Metadata[metaUntil], ",")
	last, err := strconv.ParseUint(parts[0], 10, 64)
	if err != nil {
		return math.MaxUint64
	}
	for _, p := range parts[1:] {
		if n, end, _ := strings.Cut(p, ":"); n == number {
			if share, err := strconv.ParseUint(end, 10, 64); err == nil {
				return share
			}
		}
	}
	return last
}

// end is the last sequence that the durable gives of any number.
func (d *durable) end() (last uint64) {
	for _, p := range strings.Split(d.Info().Config.Metadata[metaUntil], ",") {
		if n, err := strconv.ParseUint(p[strings.LastIndexByte(p, ':')+1:], 10, 64); err == nil {
			last = max(last, n)
		}
	}
	return last
}

// over reports whether a durable with an end has given all, and all of it is settled.
func (d *durable) over() bool {
	info := d.Info()
	return info.NumAckPending == 0 && (info.NumPending == 0 || info.Delivered.Stream >= d.end())
}

// still reports whether a share is the one that it was, and not closed, now.
func (d *durable) still(ctx context.Context) (bool, error) {
	made := madeOf(d.Info())
	_, err := d.Consumer.Info(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return false, err
	}
	return err == nil && madeOf(d.Info()) == made && !d.closed(), nil
}

// message is a message that a durable has delivered.
type message struct {
	jetstream.Msg
	meta *jetstream.MsgMetadata
}

// whileFull is how long a pull waits where only events can come whose lease is over.
const whileFull = 50 * time.Millisecond

// some pulls up to most messages that are there now. free is how many more the durable may have in work: asked for more, the server would
// keep the pull for a second.
func (d *durable) some(most, free int) ([]message, error) {
	if free > 0 {
		return d.pulled(d.FetchNoWait(min(most, free)))
	}
	return d.pulled(d.Fetch(most, jetstream.FetchMaxWait(whileFull)))
}

// first waits for one message. Of several it would wait for the last one.
func (d *durable) first(ctx context.Context, until time.Time) ([]message, error) {
	return d.pulled(d.Fetch(1, jetstream.FetchContext(bus.PullUntil(ctx, until))))
}

// pulled gives what a pull brings.
func (d *durable) pulled(batch jetstream.MessageBatch, err error) (msgs []message, _ error) {
	if err != nil {
		return nil, fmt.Errorf("claim events of %s: %w", d.Info().Name, err)
	}
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return nil, fmt.Errorf("claim events of %s: %w", d.Info().Name, err)
		}
		msgs = append(msgs, message{m, meta})
	}
	if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, jetstream.ErrNoMessages) && len(msgs) == 0 {
		return nil, fmt.Errorf("claim events of %s: %w", d.Info().Name, err)
	}
	return msgs, nil
}

func (d *durable) event(key []byte, m message) Event {
	return Event{
		Lease: leaseOf(key, d.Info(), m.Reply()), Subject: m.Subject(), ID: m.Headers().Get(bus.HeaderID), Time: m.meta.Timestamp.UTC(),
		Tries: int(m.meta.NumDelivered), Data: m.Data(),
	}
}
