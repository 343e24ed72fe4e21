package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Redirect says in the archive that another session has the fax of this one. So a session whose ledger is lost makes no second document:
// no other archived object of it says whose file it was.
type Redirect struct {
	Session string    `json:"session"`
	Into    string    `json:"into"` // the session that claimed the file first
	File    string    `json:"file"` // the provider's id of the whole file
	From    string    `json:"from"`
	To      string    `json:"to"`
	Opened  time.Time `json:"opened"`
}

// WriteRedirect archives, for both sessions, that s was folded into another session. It may be repeated. For a purged session it writes
// nothing, and that is no error: the next fact tells the ledger about the purge. purged: the other session is purged.
func WriteRedirect(ctx context.Context, a Store, s session.State) (purged bool, err error) {
	if s.FoldedInto == "" || s.Close == nil {
		return false, nil
	}
	r := Redirect{Session: s.Session, Into: s.FoldedInto, File: s.Close.File, From: s.From, To: s.To, Opened: s.Opened}
	text, err := json.Marshal(r)
	if err != nil {
		return false, fmt.Errorf("redirect session %s: %w", s.Session, err)
	}
	text = append(text, '\n')
	_, err = Create(ctx, a, foldedKey(s.FoldedInto, s.Session), text)
	purged = errors.Is(err, ErrPurged)
	if err == nil || purged {
		_, err = Create(ctx, a, RedirectKey(s.Session), text)
	}
	if errors.Is(err, ErrPurged) {
		err = nil
	}
	return purged, err
}

// FoldedInto returns the sessions that were folded into owner. It counts only those that both sides name.
func FoldedInto(ctx context.Context, a Reader, owner string) (ids []string, err error) {
	prefix := FoldedPrefix(owner)
	for key, err := range a.List(ctx, prefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		id, _ := strings.CutSuffix(strings.TrimPrefix(key, prefix), ".json")
		if !session.ValidToken(id) {
			continue
		}
		data, err := Read(ctx, a, RedirectKey(id), MaxSidecar)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the session was purged separately, or the entry is wrong
		}
		if err != nil {
			return nil, err
		}
		if r, err := ParseRedirect(data, id); err == nil && r.Into == owner {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// ParseRedirect reads a redirect of the session id. The error for anything else matches ErrUnreadable.
func ParseRedirect(data []byte, id string) (Redirect, error) {
	var r Redirect
	if err := ParseStrict(data, &r); err != nil {
		return r, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if r.Session != id || r.Into == id || !session.ValidToken(r.Into) || r.File == "" {
		return r, fmt.Errorf("%w: the redirect is from session %q to %q", ErrUnreadable, r.Session, r.Into)
	}
	return r, nil
}
