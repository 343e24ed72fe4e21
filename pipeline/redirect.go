package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// redirect says in the archive that another session has this one's fax, so that a session whose ledger is lost makes no second document:
// nothing else that is archived of it tells whose file it was.
type redirect struct {
	Session string    `json:"session"`
	Into    string    `json:"into"` // the session that had claimed the file first
	File    string    `json:"file"` // the provider's id of the whole file
	From    string    `json:"from"`
	To      string    `json:"to"`
	Opened  time.Time `json:"opened"`
}

// redirectKey begins as the keys of revisions do: whoever lists those sees it.
func redirectKey(id string) string { return faxPrefix(id) + "redirect.json" }

// foldedPrefix is where a session's archive names those that were folded into it: whoever holds or purges its fax means them too.
func foldedPrefix(id string) string { return faxPrefix(id) + "folded/" }

func foldedKey(owner, id string) string { return foldedPrefix(owner) + id + ".json" }

// keepRedirect writes down on both sides that a session was folded into another one. It is repeatable. Of a purged one nothing is written
// down, and that is no error: its ledger has yet to hear of the purge, by the next fact that is folded. purged: the other one is.
func keepRedirect(ctx context.Context, a Archive, s session.State) (purged bool, err error) {
	if s.FoldedInto == "" || s.Close == nil {
		return false, nil
	}
	r := redirect{Session: s.Session, Into: s.FoldedInto, File: s.Close.File, From: s.From, To: s.To, Opened: s.Opened}
	text, err := json.Marshal(r)
	if err != nil {
		return false, fmt.Errorf("redirect session %s: %w", s.Session, err)
	}
	text = append(text, '\n')
	_, err = create(ctx, a, foldedKey(s.FoldedInto, s.Session), text)
	purged = errors.Is(err, ErrPurged)
	if err == nil || purged {
		_, err = create(ctx, a, redirectKey(s.Session), text)
	}
	if errors.Is(err, ErrPurged) {
		err = nil
	}
	return purged, err
}

// foldedInto gives the sessions that were folded into one, as both sides say.
func foldedInto(ctx context.Context, a Reader, owner string) (ids []string, err error) {
	prefix := foldedPrefix(owner)
	for key, err := range a.List(ctx, prefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		id, _ := strings.CutSuffix(strings.TrimPrefix(key, prefix), ".json")
		if !session.ValidToken(id) {
			continue
		}
		data, err := readUpTo(ctx, a, redirectKey(id), maxSidecar)
		if errors.Is(err, fs.ErrNotExist) {
			continue // purged by itself, or nobody's
		}
		if err != nil {
			return nil, err
		}
		if r, err := parseRedirect(data, id); err == nil && r.Into == owner {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// readRedirect reads what keepRedirect wrote; keys are those of the session's revisions at least, ascending. nil: there is none, or of the
// session that should have the fax there is nothing in the archive, and then this one is worth more.
func readRedirect(ctx context.Context, a Archive, id string, keys []string) (*redirect, error) {
	key := redirectKey(id)
	if _, there := slices.BinarySearch(keys, key); !there {
		return nil, nil
	}
	data, err := readUpTo(ctx, a, key, maxSidecar)
	if err != nil {
		return nil, err
	}
	r, err := parseRedirect(data, id)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	kept, err := lastKept(ctx, a, r.Into)
	if err != nil || kept.Kind == session.ActionPurged {
		return &r, err
	}
	for key, err := range a.List(ctx, faxPrefix(r.Into), "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", faxPrefix(r.Into), err)
		}
		if !strings.HasPrefix(key, foldedPrefix(r.Into)) {
			return &r, nil
		}
	}
	return nil, nil
}

// parseRedirect gives an error matching errUnreadable for what is no redirect of the session.
func parseRedirect(data []byte, id string) (redirect, error) {
	var r redirect
	if err := strict(data, &r); err != nil {
		return r, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	if r.Session != id || r.Into == id || !session.ValidToken(r.Into) || r.File == "" {
		return r, fmt.Errorf("%w: it redirects session %q to %q", errUnreadable, r.Session, r.Into)
	}
	return r, nil
}

// fold makes the ledger of a session without a close that of a folded one, and sees to it that the owner has the file.
func (r redirect) fold(ctx context.Context, s *session.State, ledgers Aliases) error {
	s.FoldedInto, s.Effects = r.Into, nil // it orders no document any more
	if s.Opened.IsZero() {
		s.Direction, s.From, s.To, s.Opened, s.LastSeen = session.Incoming, r.From, r.To, r.Opened, r.Opened
	}
	_, err := ledgers.Claim(ctx, session.AliasFile, r.File, r.Into)
	return err
}

// redirect checks what says that another session has the fax, or that this one has the fax of others.
func (k *checking) redirect(ctx context.Context) error {
	for _, key := range k.listed {
		from, folded := strings.CutPrefix(key, foldedPrefix(k.id))
		from = strings.TrimSuffix(from, ".json")
		switch {
		case key == redirectKey(k.id):
			from = k.id
		case !folded:
			continue
		}
		data, ok, err := k.read(ctx, key, maxSidecar)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		k.named[key] = object(key, int64(len(data)), sha256.Sum256(data))
		if r, err := parseRedirect(data, from); err != nil {
			k.found.fault(FaultUnreadable, key, 0, err.Error())
		} else if folded && r.Into != k.id {
			k.found.fault(FaultForeign, key, 0, "It redirects session "+r.Session+" to "+r.Into)
		}
	}
	return nil
}
