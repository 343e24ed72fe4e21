package collect

import (
	"context"

	"github.com/faxstream/faxstream/pipeline/recovery"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Bus is what the collector needs of JetStream. Every method may be repeated: the second time changes nothing.
type Bus interface {
	Facts
	Ledgers
	recovery.Names
}

// Facts records facts and what follows from them later.
type Facts interface {
	// RecordFact returns when the fact is durable. stored is the payload that was on its subject before, nil if there was none.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
	// Schedule delivers body on the timer's due subject at its due time.
	Schedule(ctx context.Context, t session.Timer, body []byte) error
	// PageFact reads the page.archived fact under one number token; ok is false if there is none.
	PageFact(ctx context.Context, toToken, id string, page int) (f session.PageArchived, ok bool, err error)
}

// Ledgers has one ledger per session.
type Ledgers interface {
	// Load returns the ledger of a session. If it has none, the ledger is new and its revision 0.
	Load(ctx context.Context, id string) (s session.State, revision uint64, err error)
	// Save replaces the ledger if revision is still the newest, else the error matches bus.ErrStale. After other errors the ledger may be
	// replaced or not.
	Save(ctx context.Context, s session.State, revision uint64) (next uint64, err error)
}
