package subscribers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/bus"
)

// mine reports whether a durable is the main one of a subscriber.
func mine(info *jetstream.ConsumerInfo) bool {
	return info.Config.Metadata[bus.Ours] == bus.OursSubscriber && info.Config.Metadata[metaOf] == ""
}

// status is what a durable says of a subscriber.
func status(info *jetstream.ConsumerInfo) Status {
	s := Status{
		Subscriber: Subscriber{
			Name: strings.TrimPrefix(info.Name, prefix), Lease: info.Config.AckWait, Concurrency: info.Config.MaxAckPending,
			Kind: cmp.Or(info.Config.Metadata[metaKind], KindHTTP),
		},
		Waiting: int(info.NumPending), InWork: info.NumAckPending, Again: info.NumRedelivered,
	}
	if numbers := info.Config.Metadata[metaNumbers]; numbers != "" {
		s.Numbers = strings.Split(numbers, ",")
	}
	if since, err := time.Parse(time.RFC3339, info.Config.Metadata[metaSince]); err == nil {
		s.Since = since
	}
	if t := info.Delivered.Last; t != nil {
		s.Claimed = t.UTC()
	}
	if t := info.AckFloor.Last; t != nil {
		s.Settled = t.UTC()
	}
	return s
}

// with counts an additional durable of a subscriber.
func (s *Status) with(info *jetstream.ConsumerInfo) {
	other := status(info)
	s.Waiting, s.InWork, s.Again = s.Waiting+other.Waiting, s.InWork+other.InWork, s.Again+other.Again
	if other.Claimed.After(s.Claimed) {
		s.Claimed = other.Claimed
	}
	if other.Settled.After(s.Settled) {
		s.Settled = other.Settled
	}
}

// Get gives one subscriber. The error of one that is not there matches ErrNone.
func (v *Service) Get(ctx context.Context, name string) (Status, error) {
	cons, err := v.find(ctx, name)
	if err != nil {
		return Status{}, err
	}
	s := status(cons.CachedInfo())
	if cons.CachedInfo().Config.Metadata[metaGrown] == "" {
		return s, nil
	}
	names, err := v.others(ctx, name)
	for _, n := range names {
		other, findErr := v.Bus.JetStream().Consumer(ctx, bus.StreamPages, n)
		switch {
		case findErr == nil:
			s.with(other.CachedInfo())
		case !errors.Is(findErr, jetstream.ErrConsumerNotFound):
			err = errors.Join(err, findErr)
		}
	}
	return s, err
}

// List gives all subscribers by name. While a number has a share, or a rewind runs, an event may be counted twice as waiting.
func (v *Service) List(ctx context.Context) ([]Status, error) {
	stream, err := v.Bus.JetStream().Stream(ctx, bus.StreamPages)
	if err != nil {
		return nil, fmt.Errorf("list subscribers: %w", err)
	}
	durables := map[string][]*jetstream.ConsumerInfo{} // by subscriber; the main one first
	list := stream.ListConsumers(ctx)
	for info := range list.Info() {
		of := info.Config.Metadata[metaOf]
		switch {
		case mine(info):
			name := status(info).Name
			durables[name] = slices.Insert(durables[name], 0, info)
		case of != "":
			durables[of] = append(durables[of], info)
		}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("list subscribers: %w", err)
	}
	all := []Status{}
	for _, name := range slices.Sorted(maps.Keys(durables)) {
		infos := durables[name]
		if !mine(infos[0]) {
			continue // what a removal that was interrupted has left
		}
		s := status(infos[0])
		for _, info := range infos[1:] {
			s.with(info)
		}
		if s.Oldest, err = oldest(ctx, stream, infos); err == nil {
			s.Failed, _, err = v.failures(ctx, name)
		}
		if err != nil {
			return nil, fmt.Errorf("list subscribers: %s: %w", name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// oldest is when the oldest event was stored that these durables have and is not settled.
func oldest(ctx context.Context, stream jetstream.Stream, infos []*jetstream.ConsumerInfo) (at time.Time, err error) {
	for _, info := range infos {
		if info.NumPending+uint64(info.NumAckPending) == 0 || info.Config.Metadata[metaUntil] != "" {
			continue
		}
		for _, subject := range info.Config.FilterSubjects {
			m, err := stream.GetMsg(ctx, info.AckFloor.Stream+1, jetstream.WithGetMsgSubject(subject))
			if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
				return at, err
			}
			if err == nil && (at.IsZero() || m.Time.Before(at)) {
				at = m.Time.UTC()
			}
		}
	}
	return at, nil
}
