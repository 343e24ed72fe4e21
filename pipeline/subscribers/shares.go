package subscribers

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/bus"
)

// saw notes an event of the main durable, and gives its number a share if it has a burst.
func (f *family) saw(ctx context.Context, d *durable, m message) error {
	number := numberOf(m.Subject())
	if d != f.main || f.sub.Kind != KindHTTP || len(f.sub.Numbers) == 1 || number == "" {
		return nil
	}
	last := append(f.memory.last, number)
	f.memory.last = last[max(0, len(last)-lastEvents):]
	has := slices.ContainsFunc(f.shares, func(s *durable) bool { return s.number == number })
	if has || m.meta.NumPending < shareFrom || len(f.memory.last) < lastEvents || len(f.shares) >= maxShares {
		return nil
	}
	n := 0
	for _, l := range f.memory.last {
		if l == number {
			n++
		}
	}
	if n < lastEvents/2 {
		return nil
	}
	f.memory.last = nil
	return f.split(ctx, number)
}

// split gives a number a durable of its own. Its name is new each time: a process that knows an older share must not take it for that.
// Processes that do this at the same moment know the same metaGrown, and meet at the same name.
func (f *family) split(ctx context.Context, number string) error {
	info, err := f.main.Consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("a share for one number of %s: %w", f.sub.Name, err)
	}
	grown := fnv.New32a()
	grown.Write([]byte(f.memory.grown)) // never fails
	c := config(f.sub)
	c.Durable = fmt.Sprintf("%s%s%s%s%s%x", prefix, f.sub.Name, shareMark, number, shareMark, grown.Sum32())
	c.FilterSubjects = filter([]string{number})
	c.DeliverPolicy, c.OptStartTime, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, nil, info.Delivered.Stream+1+shareAhead
	c.Metadata = map[string]string{bus.Ours: bus.OursSubscriber, metaOf: f.sub.Name, metaNumber: number}
	_, err = f.v.Bus.JetStream().CreateConsumer(ctx, bus.StreamPages, c)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerExists) { // another process made it at the same moment
		return fmt.Errorf("a share for one number of %s: %w", f.sub.Name, err)
	}
	return f.v.grow(ctx, info, c.Durable)
}

// grow tells all processes that the family of a main durable has got another one.
func (v *Service) grow(ctx context.Context, main *jetstream.ConsumerInfo, another string) error {
	c := main.Config
	c.Metadata[metaGrown] = another
	if _, err := v.Bus.JetStream().UpdateConsumer(ctx, bus.StreamPages, c); err != nil {
		return fmt.Errorf("durables of %s: %w", main.Name, err)
	}
	return nil
}

// positions are where the durables of a family are, for a rewind to end there: the last sequence of the main one, and of each share its
// number and its last one. What comes after the end of a closed share comes from the main one.
func (f *family) positions() string {
	all := strconv.FormatUint(f.main.Info().Delivered.Stream, 10)
	for _, s := range f.shares {
		if s.closed() {
			continue
		}
		all += fmt.Sprintf(",%s:%d", s.number, s.Info().Delivered.Stream)
	}
	return all
}

// tidy closes shares that have nothing to do, and removes durables that have given all. It looks at them as family found them.
func (f *family) tidy(ctx context.Context) error {
	if f.again != nil && f.again.over() {
		if err := f.v.remove(ctx, f.again.Info().Name); err != nil {
			return err
		}
		f.again = nil
	}
	var left []*durable
	for _, s := range f.shares {
		info := s.Info()
		closed, err := time.Parse(time.RFC3339Nano, info.Config.Metadata[metaClosed])
		switch {
		case s.closed() && err == nil && time.Since(closed) >= shareEnds && info.Config.Metadata[metaUntil] != "" && s.over():
			if err := f.v.remove(ctx, info.Name); err != nil {
				return err
			}
			continue
		case s.closed() && info.Config.Metadata[metaUntil] != "":
		case s.closed() || s.idle() && (info.Delivered.Consumer == 0 || f.main.Info().AckFloor.Stream >= info.Delivered.Stream):
			// The main one has passed over all that the share has delivered, or it would deliver that again.
			if err := f.close(ctx, s); err != nil && !gone(err) {
				return fmt.Errorf("close %s: %w", info.Name, err)
			}
		}
		left = append(left, s)
	}
	f.shares = left
	return nil
}

// close closes a share, and notes the last sequence of the stream as its end: whatever was passed over for it was stored before.
func (f *family) close(ctx context.Context, s *durable) error {
	c := s.Info().Config
	if !s.closed() {
		c.Metadata[metaClosed] = time.Now().UTC().Format(time.RFC3339Nano)
		if _, err := f.v.Bus.JetStream().UpdateConsumer(ctx, bus.StreamPages, c); err != nil {
			return err
		}
	}
	stream, err := f.v.Bus.JetStream().Stream(ctx, bus.StreamPages)
	if err != nil {
		return err
	}
	c.Metadata[metaUntil] = strconv.FormatUint(stream.CachedInfo().State.LastSeq, 10)
	_, err = f.v.Bus.JetStream().UpdateConsumer(ctx, bus.StreamPages, c)
	return err
}

// remove removes an additional durable.
func (v *Service) remove(ctx context.Context, durable string) error {
	err := v.Bus.JetStream().DeleteConsumer(ctx, bus.StreamPages, durable)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("remove durable %s: %w", durable, err)
	}
	return nil
}
