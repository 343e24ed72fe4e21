package fetch

import (
	"context"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Bus is what the workers need of JetStream. Every method may be repeated: the second time changes nothing.
type Bus interface {
	Facts
	Names
}

// Facts records facts and retries, and reads the facts of pages.
type Facts interface {
	// RecordFact returns when the fact is durable. stored is the payload that was on its subject before, nil if there was none.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
	// Schedule delivers body on the timer's due subject at its due time.
	Schedule(ctx context.Context, t session.Timer, body []byte) error
	// PageFacts returns the page.archived facts of a session by page, without those that are not in the stream yet.
	PageFacts(ctx context.Context, id string, pages session.Ranges) (map[int]session.PageArchived, error)
	// Recorded reports whether there is a fact on the subject of f.
	Recorded(ctx context.Context, f session.Fact) (bool, error)
}

// Names knows which session each of the provider's names means, and which number each session has.
type Names interface {
	// Bind returns the number token of the session. If it has none yet, it binds the session to token.
	Bind(ctx context.Context, id, token string) (string, error)
	// Claim makes a session the owner of a name that the provider has for a fax, unless the name has an owner. It returns the owner.
	Claim(ctx context.Context, kind, value, id string) (owner string, err error)
}
