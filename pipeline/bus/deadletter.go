package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// Bury stores a dead letter. After nil FAX_DLQ has it durably; after an error it may have it or not. The same letter is
// stored once. Receiving numbers in its detail are masked.
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

// Letter is a dead letter for which nobody has done anything yet.
type Letter struct {
	ID     uint64    `json:"id"`     // its sequence in FAX_DLQ
	Buried time.Time `json:"buried"` // when it was stored
	session.DeadLetter
}

// LetterFilter selects letters; the zero value selects all.
type LetterFilter struct {
	Session string
	Stage   string
	Reason  session.Reason
	Since   time.Time // buried at this time or later
	After   uint64    // ids above this one; if it is set, Since has no effect
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

// lettersAtOnce limits one request; a letter may contain a webhook body of 64 KiB.
const lettersAtOnce = 100

// Letters returns up to limit letters, oldest first. more: there are more letters after them.
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

// letterOf reads a message of FAX_DLQ; ok is false for a message of the readiness check.
func letterOf(m *jetstream.RawStreamMsg) (l Letter, ok bool) {
	if strings.HasSuffix(m.Subject, trial) {
		return l, false
	}
	l.ID, l.Buried = m.Sequence, m.Time.UTC()
	l.DeadLetter = session.DeadLetter{
		Stage: m.Header.Get(HeaderStage), Session: m.Header.Get(HeaderSession), Reason: session.Reason(m.Header.Get(HeaderReason)),
		Detail: m.Header.Get(HeaderDetail), Original: m.Header.Get(HeaderOriginal), Body: m.Data,
	}
	// We wrote these headers. If one is damaged, the rest of the letter is still useful.
	l.Page, _ = strconv.Atoi(m.Header.Get(HeaderPage))
	l.Received, _ = time.Parse(time.RFC3339, m.Header.Get(HeaderTime))
	_ = json.Unmarshal([]byte(m.Header.Get(HeaderAttempts)), &l.Attempts)
	return l, true
}

// ErrNoLetter means that no dead letter has this id: there never was one, or an action has removed it.
var ErrNoLetter = errors.New("no dead letter has this id (any more)")

// Letter reads one dead letter; ErrNoLetter if there is none.
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

// RemoveLetter removes a letter from FAX_DLQ. If it is gone already, that is no error. The action that removes it must be in
// FAX_AUDIT before.
func (b *Bus) RemoveLetter(ctx context.Context, id uint64) error {
	s, err := b.js.Stream(ctx, StreamDLQ)
	if err == nil {
		err = s.DeleteMsg(ctx, id)
	}
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		return fmt.Errorf("remove dead letter %d: %w", id, err)
	}
	if err != nil { // it was gone already, or is not removed: check
		if _, err := b.Letter(ctx, id); !errors.Is(err, ErrNoLetter) {
			return fmt.Errorf("remove dead letter %d: it is still there (%w)", id, err)
		}
	}
	return nil
}

// LiveLetters returns the number of dead letters in FAX_DLQ.
func (b *Bus) LiveLetters(ctx context.Context) (uint64, error) {
	s, err := b.js.Stream(ctx, StreamDLQ)
	if err != nil {
		return 0, fmt.Errorf("count dead letters: %w", err)
	}
	return s.CachedInfo().State.Msgs, nil
}

// Dropped reports whether a person has dropped exactly this letter before.
func (b *Bus) Dropped(ctx context.Context, d session.DeadLetter) (bool, error) {
	_, err := b.last(ctx, StreamAudit, session.Action{Kind: session.ActionDropped, Letter: &d}.Subject())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("search %s for a dropped letter: %w", StreamAudit, err)
	}
	return true, nil
}
