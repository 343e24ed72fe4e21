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

// Redirect says in the archive that another session has this one's fax, so that a session whose ledger is lost makes no second document:
// nothing else that is archived of it tells whose file it was.
type Redirect struct {
	Session string    `json:"session"`
	Into    string    `json:"into"` // the session that had claimed the file first
	File    string    `json:"file"` // the provider's id of the whole file
	From    string    `json:"from"`
	To      string    `json:"to"`
	Opened  time.Time `json:"opened"`
}

// WriteRedirect writes down on both sides that a session was folded into another one. It is repeatable. Of a purged one nothing is written
// down, and that is no error: its ledger has yet to hear of the purge, by the next fact that is folded. purged: the other one is.
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

// FoldedInto gives the sessions that were folded into one, as both sides say.
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
			continue // purged by itself, or nobody's
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

// ParseRedirect gives an error matching ErrUnreadable for what is no redirect of the session.
func ParseRedirect(data []byte, id string) (Redirect, error) {
	var r Redirect
	if err := ParseStrict(data, &r); err != nil {
		return r, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if r.Session != id || r.Into == id || !session.ValidToken(r.Into) || r.File == "" {
		return r, fmt.Errorf("%w: it redirects session %q to %q", ErrUnreadable, r.Session, r.Into)
	}
	return r, nil
}
