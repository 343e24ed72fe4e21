package recovery

import (
	"context"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Names knows which session each of the provider's names means, and which number each session has.
type Names interface {
	// Bind returns the number token of the session. If it has none yet, it binds the session to token.
	Bind(ctx context.Context, id, token string) (string, error)
	// Claim makes a session the owner of a name that the provider has for a fax, unless the name has an owner. It returns the owner.
	Claim(ctx context.Context, kind, value, id string) (owner string, err error)
}

// Restore looks in the archive for a session that has no ledger, before it counts as new: JetStream may have lost or expired the ledger.
// It returns the restored ledger, or fresh, the ledger of a new session, if the archive has none. It may be repeated.
func Restore(ctx context.Context, a archive.Reader, names Names, fresh session.State) (session.State, error) {
	keys, err := archive.RevisionKeys(ctx, a, fresh.Session)
	if err != nil {
		return fresh, err
	}
	last, err := hold.LastEntry(ctx, a, fresh.Session)
	if err != nil {
		return fresh, err
	}
	fresh.Held, fresh.KeptAt = last.Kind == session.ActionHeld, last.At
	if last.Kind == session.ActionPurged {
		fresh.Opened, fresh.Purged = last.At, true
		return fresh, nil
	}
	r, err := recall(ctx, a, fresh.Session, keys)
	if err != nil {
		return fresh, err
	}
	if r == nil {
		if err := restoreWork(ctx, a, &fresh); err != nil {
			return fresh, err
		}
	}
	to, err := readRedirect(ctx, a, fresh.Session, keys)
	if err != nil {
		return fresh, err
	}
	if r != nil {
		err = r.takeNames(ctx, names, to)
		return r.state, err
	}
	if to != nil {
		err = fold(ctx, *to, &fresh, names)
	}
	return fresh, err
}
