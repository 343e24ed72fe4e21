package letters

import (
	"context"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Bus is what this package needs of JetStream.
type Bus interface {
	Ledger
	Story
	Box
}

// Ledger reads ledgers and writes what changes them.
type Ledger interface {
	// Load returns the ledger of a session. If it has none, the ledger is new and its revision 0.
	Load(ctx context.Context, id string) (s session.State, revision uint64, err error)
	// RecordFact returns when the fact is durable. stored is the payload that was on its subject before, nil if there was none. It may be
	// repeated.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
	// Schedule delivers body on the timer's due subject at its due time. It may be repeated.
	Schedule(ctx context.Context, t session.Timer, body []byte) error
}

// Story reads what happened to a page or whole file.
type Story interface {
	// Event returns the message that is stored on a subject.
	Event(ctx context.Context, subject string) (s bus.Stored, ok bool, err error)
	// PageFailures returns the failed attempts of a page, oldest first.
	PageFailures(ctx context.Context, id string, page int) ([]session.PageFailed, error)
	// WholeFailed says how the n-th order for the whole file failed; ok is false if it did not fail.
	WholeFailed(ctx context.Context, id string, n int) (f session.WholeDone, ok bool, err error)
}

// Box has the dead letters and the actions about them.
type Box interface {
	// Letters returns at most limit letters; more: there are others.
	Letters(ctx context.Context, f bus.LetterFilter, limit int) (all []bus.Letter, more bool, err error)
	// Bury stores a letter.
	Bury(ctx context.Context, d session.DeadLetter) error
	// Dropped reports whether a person has dropped an equal letter.
	Dropped(ctx context.Context, d session.DeadLetter) (bool, error)
	// RemoveLetter removes a letter. It may be repeated.
	RemoveLetter(ctx context.Context, id uint64) error
	// Act stores an action in FAX_AUDIT; from there it is carried out.
	Act(ctx context.Context, a session.Action) (sequence uint64, err error)
}
