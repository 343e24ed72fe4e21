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

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Headers of a dead letter.
const (
	HeaderStage    = "Fax-Stage"
	HeaderReason   = "Fax-Reason"
	HeaderDetail   = "Fax-Detail"
	HeaderOriginal = "Fax-Original-Subject"
	HeaderSession  = "Fax-Session"
	HeaderPage     = "Fax-Page"
	HeaderAttempts = "Fax-Attempts" // JSON list of session.Attempt
)

// Bury stores a dead letter; nil means that FAX_DLQ holds it. The same letter again is stored once.
func (b *Bus) Bury(ctx context.Context, d session.DeadLetter) error {
	m := nats.NewMsg(d.Subject())
	m.Data = d.Body
	set := func(header, value string) {
		if value != "" {
			m.Header.Set(header, value)
		}
	}
	set(HeaderStage, d.Stage)
	set(HeaderSession, d.Session)
	set(HeaderReason, string(d.Reason))
	set(HeaderDetail, maskSubject(d.Detail))
	set(HeaderOriginal, d.Original)
	set(HeaderTime, d.Received.UTC().Format(time.RFC3339))
	if d.Page > 0 {
		set(HeaderPage, strconv.Itoa(d.Page))
	}
	if len(d.Attempts) > 0 {
		attempts, err := json.Marshal(d.Attempts)
		if err != nil {
			return fmt.Errorf("store a dead letter of stage %s: %w", d.Stage, err)
		}
		set(HeaderAttempts, string(attempts))
	}
	_, err := b.groups[StreamDLQ].publish(ctx, m, 0)
	if errors.Is(err, errConflict) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("store a dead letter of stage %s: %w", d.Stage, err)
	}
	if b.cfg.Buried != nil {
		b.cfg.Buried(d)
	}
	return nil
}

// Letter is a dead letter that nobody has acted on yet.
type Letter struct {
	ID     uint64    `json:"id"`     // its sequence in FAX_DLQ
	Buried time.Time `json:"buried"` // when it was stored
	session.DeadLetter
}

// LetterFilter chooses letters; the zero value chooses all.
type LetterFilter struct {
	Session string
	Stage   string
	Reason  session.Reason
	Since   time.Time // buried then or later
	After   uint64    // ids above this one; Since is not looked at then
}

func (f LetterFilter) subject() string {
	if f.Session == "" && f.Stage == "" {
		return session.TypeDeadLetter + ".>"
	}
	token := func(s string) string {
		if s == "" {
			return "*"
		}
		return s
	}
	return session.TypeDeadLetter + "." + token(f.Stage) + "." + token(f.Session) + ".*"
}

// lettersAtOnce bounds one request; a letter may hold a webhook body of 64 KiB.
const lettersAtOnce = 100

// Letters gives up to limit letters, oldest first. more: there are others behind them.
func (b *Bus) Letters(ctx context.Context, f LetterFilter, limit int) (letters []Letter, more bool, err error) {
	from := []jetstreamext.GetBatchOpt{jetstreamext.GetBatchSubject(f.subject())}
	switch {
	case f.After > 0:
		from = append(from, jetstreamext.GetBatchSeq(f.After+1))
	case !f.Since.IsZero():
		from = append(from, jetstreamext.GetBatchStartTime(f.Since))
	}
	for {
		raw, err := b.batch(ctx, StreamDLQ, lettersAtOnce, from...)
		if err != nil {
			return nil, false, fmt.Errorf("read dead letters: %w", err)
		}
		for _, m := range raw {
			l, ok := letterOf(m)
			if !ok || f.Reason != "" && l.Reason != f.Reason {
				continue
			}
			if len(letters) == limit {
				return letters, true, nil
			}
			letters = append(letters, l)
		}
		if len(raw) < lettersAtOnce {
			return letters, false, nil
		}
		from = []jetstreamext.GetBatchOpt{jetstreamext.GetBatchSubject(f.subject()), jetstreamext.GetBatchSeq(raw[len(raw)-1].Sequence + 1)}
	}
}

// batch reads the next messages of a stream; fewer than most means that there are no others.
func (b *Bus) batch(ctx context.Context, stream string, most int, opts ...jetstreamext.GetBatchOpt) (msgs []*jetstream.RawStreamMsg, err error) {
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
	return msgs, nil
}

// letterOf reads a message of FAX_DLQ; ok is false for the readiness check's.
func letterOf(m *jetstream.RawStreamMsg) (l Letter, ok bool) {
	if strings.HasSuffix(m.Subject, trial) {
		return l, false
	}
	l.ID, l.Buried = m.Sequence, m.Time.UTC()
	l.DeadLetter = session.DeadLetter{
		Stage: m.Header.Get(HeaderStage), Session: m.Header.Get(HeaderSession), Reason: session.Reason(m.Header.Get(HeaderReason)),
		Detail: m.Header.Get(HeaderDetail), Original: m.Header.Get(HeaderOriginal), Body: m.Data,
	}
	// We wrote these headers. Should one be spoilt, the rest of the letter is still worth showing.
	l.Page, _ = strconv.Atoi(m.Header.Get(HeaderPage))
	l.Received, _ = time.Parse(time.RFC3339, m.Header.Get(HeaderTime))
	_ = json.Unmarshal([]byte(m.Header.Get(HeaderAttempts)), &l.Attempts)
	return l, true
}

// ErrNoLetter: no dead letter has this id, or somebody has acted on it.
var ErrNoLetter = errors.New("no dead letter has this id (any more)")

// Letter reads one dead letter, or gives ErrNoLetter.
func (b *Bus) Letter(ctx context.Context, id uint64) (Letter, error) {
	s, err := b.js.Stream(ctx, StreamDLQ)
	if err != nil {
		return Letter{}, fmt.Errorf("read dead letter %d: %w", id, err)
	}
	m, err := s.GetMsg(ctx, id)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Letter{}, ErrNoLetter
	}
	if err != nil {
		return Letter{}, fmt.Errorf("read dead letter %d: %w", id, err)
	}
	l, ok := letterOf(m)
	if !ok {
		return Letter{}, ErrNoLetter
	}
	return l, nil
}

// RemoveLetter takes a letter from the live list; one that is gone already is no error. The action that removes it must be in FAX_AUDIT before.
func (b *Bus) RemoveLetter(ctx context.Context, id uint64) error {
	s, err := b.js.Stream(ctx, StreamDLQ)
	if err == nil {
		err = s.DeleteMsg(ctx, id)
	}
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		return fmt.Errorf("remove dead letter %d: %w", id, err)
	}
	if err != nil { // gone before, or not removed: look
		if _, err := b.Letter(ctx, id); !errors.Is(err, ErrNoLetter) {
			return fmt.Errorf("remove dead letter %d: it is still there (%w)", id, err)
		}
	}
	return nil
}

// LiveLetters counts the dead letters that nobody has acted on.
func (b *Bus) LiveLetters(ctx context.Context) (uint64, error) {
	s, err := b.js.Stream(ctx, StreamDLQ)
	if err != nil {
		return 0, fmt.Errorf("count dead letters: %w", err)
	}
	return s.CachedInfo().State.Msgs, nil
}

// Act stores an action in FAX_AUDIT and gives its sequence there; nil means that it holds it. The same action on the same letter within two
// minutes is stored once.
func (b *Bus) Act(ctx context.Context, a session.Action) (sequence uint64, err error) {
	data, err := json.Marshal(a)
	if err != nil {
		return 0, fmt.Errorf("store an action: %w", err)
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

// Dropped reports whether somebody has dropped exactly this letter before.
func (b *Bus) Dropped(ctx context.Context, d session.DeadLetter) (bool, error) {
	_, err := b.last(ctx, StreamAudit, session.Action{Kind: session.ActionDropped, Letter: &d}.Subject())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for a dropped letter: %w", err)
	}
	return true, nil
}

// Event reads the fact on a subject of FAX_IN; ok is false when the stream has let it go.
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

// PageFailures reads the failed attempts of one page, ascending.
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

// WholeFailed reads how the n-th order for a session's whole file failed; ok is false when it did not.
func (b *Bus) WholeFailed(ctx context.Context, id string, n int) (f session.WholeDone, ok bool, err error) {
	s, err := b.last(ctx, StreamDocs, fmt.Sprintf("%s.*.%s.%d", session.TypeWholeFailed, id, n))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return f, false, nil
	}
	if err == nil {
		err = json.Unmarshal(s.Data, &f)
	}
	if err != nil {
		return f, false, fmt.Errorf("read how the whole file of session %s failed: %w", id, err)
	}
	return f, true, nil
}
