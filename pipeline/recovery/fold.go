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

// readRedirect reads the redirect of a session; keys are at least those of its revisions, ascending. It returns nil if there is none, or if
// the archive has nothing of the session that should have the fax: then this session counts.
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
	last, err := hold.LastEntry(ctx, a, r.Into)
	if err != nil || last.Kind == session.ActionPurged {
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

// fold makes s, a ledger without a close, that of a folded session, and claims the file for the owner.
func fold(ctx context.Context, r archive.Redirect, s *session.State, names Names) error {
	s.FoldedInto, s.Effects = r.Into, nil // it orders no document any more
	if s.Opened.IsZero() {
		s.Direction, s.From, s.To, s.Opened, s.LastSeen = session.Incoming, r.From, r.To, r.Opened, r.Opened
	}
	_, err := names.Claim(ctx, session.AliasFile, r.File, r.Into)
	return err
}
