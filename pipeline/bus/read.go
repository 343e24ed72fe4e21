package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/faxstream/faxstream/pipeline/session"
)

// subjectsAtOnce limits one request for last messages; the server answers at most 1,024 and has no pages.
const subjectsAtOnce = 256

// PageFacts reads the page.archived facts of a session, by page. A page without a fact is not in the map.
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
		// A page may have a fact under `unknown` and another one under its number: the second one counts.
		if old, ok := facts[f.Page]; !ok || old.ToToken == session.UnknownToken {
			facts[f.Page] = f
		}
	}
	if err := ctx.Err(); err != nil { // the answers end then without an error
		return fmt.Errorf("read page facts: %w", err)
	}
	return nil
}

// PageFact reads the page.archived fact of one page under one number; ok is false if there is none.
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

// Recorded reports whether there is a fact on the subject of f.
func (b *Bus) Recorded(ctx context.Context, f session.Fact) (bool, error) {
	_, err := b.last(ctx, streamOf(f.Type()), f.Subject())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", maskSubject(f.Subject()), err)
	}
	return true, nil
}

// Place is how far a follower has come: the last sequence that it has got of each stream of events. Its text is a place in an API.
type Place [3]uint64

func (p Place) String() string { return fmt.Sprintf("%d-%d-%d", p[0], p[1], p[2]) }

// ParsePlace reads the text of a Place.
func ParsePlace(text string) (p Place, err error) {
	parts := strings.Split(text, "-")
	if len(parts) != len(p) {
		return p, fmt.Errorf("place %.60q: want three numbers, as an event has them", text)
	}
	for i, part := range parts {
		if p[i], err = strconv.ParseUint(part, 10, 63); err != nil {
			return p, fmt.Errorf("place %.60q: want three numbers, as an event has them", text)
		}
	}
	return p, nil
}

// Now is the place after the newest events.
func (b *Bus) Now(ctx context.Context) (place Place, err error) {
	for i, stream := range readable {
		if place[i], err = b.lastSequence(ctx, stream); err != nil {
			return place, fmt.Errorf("follow %s: %w", stream, err)
		}
	}
	return place, nil
}

// Follow calls f with every new event of pages, documents and texts and the place after it, until ctx ends, Close begins or f returns
// false; then it returns nil. It begins after a place, which f got before, or from now on if that is nil. A place that the streams have not
// reached is of other streams: it begins from now on.
func (b *Bus) Follow(ctx context.Context, after *Place, f func(Stored, Place) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type event struct {
		Stored
		stream int
	}
	events := make(chan event, 64)
	place, err := b.Now(ctx)
	if err != nil {
		return err
	}
	for i, stream := range readable {
		if after != nil {
			place[i] = min(after[i], place[i])
		}
		cons, err := b.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
			DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: place[i] + 1,
		})
		if err != nil {
			return fmt.Errorf("follow %s: %w", stream, err)
		}
		run, err := cons.Consume(func(m jetstream.Msg) {
			meta, err := m.Metadata()
			if err != nil || strings.HasSuffix(m.Subject(), trial) {
				return // a test message of the readiness check; only a message that does not come from a stream has no metadata
			}
			e := Stored{Subject: m.Subject(), Sequence: meta.Sequence.Stream, Time: meta.Timestamp.UTC(), Data: m.Data()}
			select {
			case events <- event{e, i}:
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
			if place[e.stream] = e.Sequence; !f(e.Stored, place) {
				return nil
			}
		}
	}
}

// EventType returns the fixed part of an event's subject: fax.v1.page.archived for fax.v1.page.archived.<to>.<session>.<page>.
func EventType(subject string) string {
	parts := strings.SplitN(subject, ".", 5)
	if len(parts) < 5 {
		return subject
	}
	return strings.Join(parts[:4], ".")
}

// batch reads the next messages of a stream, up to most. If it returns fewer, there are no more.
func (b *Bus) batch(
	ctx context.Context, stream string, most int, opts ...jetstreamext.GetBatchOpt,
) (msgs []*jetstream.RawStreamMsg, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answers, err := jetstreamext.GetBatch(ctx, b.js, stream, most, opts...)
	if err != nil {
		return nil, err
	}
	for m, err := range answers {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return msgs, nil
		}
		if err != nil {
			return nil, err
		}
		msgs = append(msgs, m)
	}
	return msgs, ctx.Err() // at the end of ctx the answers end without an error
}

// Event reads the fact on a subject of FAX_IN; ok is false if the stream does not have it (any more).
func (b *Bus) Event(ctx context.Context, subject string) (s Stored, ok bool, err error) {
	s, err = b.last(ctx, StreamIn, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Stored{}, false, nil
	}
	if err != nil {
		return Stored{}, false, fmt.Errorf("read %s: %w", maskSubject(subject), err)
	}
	return s, true, nil
}

// Events reads the messages of FAX_IN from a sequence on, at most most. If it returns fewer, there are no more.
func (b *Bus) Events(ctx context.Context, from uint64, most int) ([]*jetstream.RawStreamMsg, error) {
	msgs, err := b.batch(ctx, StreamIn, most, jetstreamext.GetBatchSeq(from))
	if err != nil {
		return nil, fmt.Errorf("read %s from message %d on: %w", StreamIn, from, err)
	}
	return msgs, nil
}

// PageFailures reads the failed attempts of one page, in ascending order.
func (b *Bus) PageFailures(ctx context.Context, id string, page int) ([]session.PageFailed, error) {
	var all []session.PageFailed
	next := uint64(1)
	for {
		msgs, err := b.batch(ctx, StreamPages, lettersAtOnce, jetstreamext.GetBatchSeq(next),
			jetstreamext.GetBatchSubject(fmt.Sprintf("%s.*.%s.%d.*", session.TypePageFailed, id, page)))
		if err != nil {
			return nil, fmt.Errorf("read attempts of session %s page %d: %w", id, page, err)
		}
		for _, m := range msgs {
			var f session.PageFailed
			if err := json.Unmarshal(m.Data, &f); err != nil {
				return nil, fmt.Errorf("attempt %s: %w", maskSubject(m.Subject), err)
			}
			all = append(all, f)
			next = m.Sequence + 1
		}
		if len(msgs) < lettersAtOnce {
			slices.SortStableFunc(all, func(a, b session.PageFailed) int { return a.Attempt - b.Attempt })
			return all, nil
		}
	}
}

// factsAtOnce limits one request for facts of a session; one may have the attempts of a fetch, a few kilobytes.
const factsAtOnce = 256

// Facts reads what the streams have of a session: what came in, its pages and its documents, in the order of their times, at most most of
// them. more: there are later ones.
func (b *Bus) Facts(ctx context.Context, id string, most int) (facts []Stored, more bool, err error) {
	if !session.ValidToken(id) {
		return nil, false, fmt.Errorf("facts of session %q: this is not a session id", id)
	}
	for _, of := range []struct{ stream, subject string }{
		{StreamIn, "fax.v1.in.*." + id + ".>"}, {StreamPages, "fax.v1.page.*.*." + id + ".>"}, {StreamDocs, "fax.v1.doc.*.*." + id + ".>"},
	} {
		some, err := b.firstOf(ctx, of.stream, of.subject, most+1)
		if err != nil {
			return nil, false, fmt.Errorf("read facts of session %s: %w", id, err)
		}
		facts = append(facts, some...)
	}
	slices.SortStableFunc(facts, func(a, b Stored) int { return a.Time.Compare(b.Time) })
	return facts[:min(most, len(facts))], len(facts) > most, nil
}

// firstOf reads the oldest messages under a subject, at most most.
func (b *Bus) firstOf(ctx context.Context, stream, subject string, most int) (all []Stored, err error) {
	for next := uint64(1); len(all) < most; {
		n := min(factsAtOnce, most-len(all))
		msgs, err := b.batch(ctx, stream, n, jetstreamext.GetBatchSeq(next), jetstreamext.GetBatchSubject(subject))
		if err != nil {
			return nil, err
		}
		for _, m := range msgs {
			all = append(all, Stored{Subject: m.Subject, Sequence: m.Sequence, Time: m.Time.UTC(), Data: m.Data})
			next = m.Sequence + 1
		}
		if len(msgs) < n {
			break
		}
	}
	return all, nil
}

// WholeFailed reads how the n-th order (from 1) for a session's whole file failed; ok is false if it did not fail.
func (b *Bus) WholeFailed(ctx context.Context, id string, n int) (f session.WholeDone, ok bool, err error) {
	s, err := b.last(ctx, StreamDocs, fmt.Sprintf("%s.*.%s.%d", session.TypeWholeFailed, id, n))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return f, false, nil
	}
	if err == nil {
		err = json.Unmarshal(s.Data, &f)
	}
	if err != nil {
		return f, false, fmt.Errorf("read the failure of the whole file of session %s: %w", id, err)
	}
	return f, true, nil
}

// Stored is one message of a stream.
type Stored struct {
	Subject  string
	Sequence uint64
	Time     time.Time
	Data     []byte
}

// last reads the last message on a subject from the stream's leader. A direct get can go to a follower that is behind.
func (b *Bus) last(ctx context.Context, stream, subject string) (Stored, error) {
	return b.message(ctx, stream, map[string]any{"last_by_subj": subject})
}

// message reads the message that a request names from the stream's leader. The error matches jetstream.ErrMsgNotFound if there is none.
func (b *Bus) message(ctx context.Context, stream string, named map[string]any) (Stored, error) {
	req, err := json.Marshal(named)
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
