package recovery

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Names keeps whose fax each of the provider's names and each number means.
type Names interface {
	// Bind gives the session's number token, and binds it to token if nobody has yet.
	Bind(ctx context.Context, id, token string) (string, error)
	// Claim makes a session the owner of one of the provider's names for a fax and returns the owner: it, or one that came first.
	Claim(ctx context.Context, kind, value, id string) (owner string, err error)
}

// Restore looks in the archive for a session that has no ledger, before it is taken for new: JetStream may have been lost, or
// have let it go. fresh is what a new session gets.
func Restore(ctx context.Context, a archive.Reader, names Names, fresh session.State) (session.State, error) {
	keys, err := archive.RevisionKeys(ctx, a, fresh.Session)
	if err != nil {
		return fresh, err
	}
	kept, err := hold.LastEntry(ctx, a, fresh.Session)
	if err != nil {
		return fresh, err
	}
	fresh.Held, fresh.KeptAt = kept.Kind == session.ActionHeld, kept.At
	if kept.Kind == session.ActionPurged {
		fresh.Opened, fresh.Purged = kept.At, true
		return fresh, nil
	}
	r, err := recall(ctx, a, fresh.Session, keys)
	if err != nil {
		return fresh, err
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

// readRedirect reads what WriteRedirect wrote; keys are those of the session's revisions at least, ascending. nil: there is none, or of the
// session that should have the fax there is nothing in the archive, and then this one is worth more.
func readRedirect(ctx context.Context, a archive.Reader, id string, keys []string) (*archive.Redirect, error) {
	key := archive.RedirectKey(id)
	if _, there := slices.BinarySearch(keys, key); !there {
		return nil, nil
	}
	data, err := archive.Read(ctx, a, key, archive.MaxSidecar)
	if err != nil {
		return nil, err
	}
	r, err := archive.ParseRedirect(data, id)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	kept, err := hold.LastEntry(ctx, a, r.Into)
	if err != nil || kept.Kind == session.ActionPurged {
		return &r, err
	}
	for key, err := range a.List(ctx, archive.FaxPrefix(r.Into), "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", archive.FaxPrefix(r.Into), err)
		}
		if !strings.HasPrefix(key, archive.FoldedPrefix(r.Into)) {
			return &r, nil
		}
	}
	return nil, nil
}

// fold makes the ledger of a session without a close that of a folded one, and sees to it that the owner has the file.
func fold(ctx context.Context, r archive.Redirect, s *session.State, names Names) error {
	s.FoldedInto, s.Effects = r.Into, nil // it orders no document any more
	if s.Opened.IsZero() {
		s.Direction, s.From, s.To, s.Opened, s.LastSeen = session.Incoming, r.From, r.To, r.Opened, r.Opened
	}
	_, err := names.Claim(ctx, session.AliasFile, r.File, r.Into)
	return err
}
