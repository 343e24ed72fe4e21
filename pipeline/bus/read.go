package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/faxstream/faxstream/pipeline/session"
)

// subjectsAtOnce bounds one request for last messages; the server answers at most 1,024 and does not page.
const subjectsAtOnce = 256

// PageFacts reads the page.archived facts of a session, by page. A page that has none is absent.
func (b *Bus) PageFacts(ctx context.Context, id string, pages session.Ranges) (map[int]session.PageArchived, error) {
	facts := make(map[int]session.PageArchived, pages.Len())
	var subjects []string
	flush := func() error {
		if len(subjects) == 0 {
			return nil
		}
		err := b.pageFacts(ctx, subjects, facts)
		subjects = subjects[:0]
		return err
	}
	for page := range pages.All() {
		subjects = append(subjects, fmt.Sprintf("%s.*.%s.%d", session.TypePageArchived, id, page))
		if len(subjects) == subjectsAtOnce {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	return facts, flush()
}

func (b *Bus) pageFacts(ctx context.Context, subjects []string, facts map[int]session.PageArchived) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	msgs, err := jetstreamext.GetLastMsgsFor(ctx, b.js, StreamPages, subjects)
	if err != nil {
		return fmt.Errorf("read page facts: %w", err)
	}
	for m, err := range msgs {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read page facts: %w", err)
		}
		var f session.PageArchived
		if err := json.Unmarshal(m.Data, &f); err != nil {
			return fmt.Errorf("page fact %s: %w", maskSubject(m.Subject), err)
		}
		// A page may stand under `unknown` and again under its number: the latter has the number.
		if old, ok := facts[f.Page]; !ok || old.ToToken == session.UnknownToken {
			facts[f.Page] = f
		}
	}
	return nil
}

// PageFact reads the page.archived fact of one page under one number; ok is false when there is none.
func (b *Bus) PageFact(ctx context.Context, toToken, id string, page int) (f session.PageArchived, ok bool, err error) {
	s, err := b.last(ctx, StreamPages, session.PageArchived{ToToken: toToken, Session: id, Page: page}.Subject())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return f, false, nil
	}
	if err == nil {
		err = json.Unmarshal(s.Data, &f)
	}
	if err != nil {
		return f, false, fmt.Errorf("read the fact of session %s page %d: %w", id, page, err)
	}
	return f, true, nil
}

// Follow calls f with the events of pages and documents as they are stored, from now on, until ctx ends or f returns false.
func (b *Bus) Follow(ctx context.Context, f func(Stored) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan Stored, 64)
	for _, stream := range []string{StreamPages, StreamDocs} {
		cons, err := b.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverNewPolicy})
		if err != nil {
			return fmt.Errorf("follow %s: %w", stream, err)
		}
		run, err := cons.Consume(func(m jetstream.Msg) {
			meta, err := m.Metadata()
			if err != nil || strings.HasSuffix(m.Subject(), trial) {
				return // only a message that no stream delivered has no metadata
			}
			select {
			case events <- Stored{Subject: m.Subject(), Sequence: meta.Sequence.Stream, Time: meta.Timestamp.UTC(), Data: m.Data()}:
			case <-ctx.Done():
			}
		})
		if err != nil {
			return fmt.Errorf("follow %s: %w", stream, err)
		}
		defer run.Stop()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.life.Done():
			return nil
		case e := <-events:
			if !f(e) {
				return nil
			}
		}
	}
}

// EventType is the fixed part of an event's subject: fax.v1.page.archived of fax.v1.page.archived.<to>.<session>.<page>.
func EventType(subject string) string {
	parts := strings.SplitN(subject, ".", 5)
	if len(parts) < 5 {
		return subject
	}
	return strings.Join(parts[:4], ".")
}
