package pipeline

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Names keeps whose fax each of the provider's names and each number means.
type Names interface {
	// Bind gives the session's number token, and binds it to token if nobody has yet.
	Bind(ctx context.Context, id, token string) (string, error)
	// Claim makes a session the owner of one of the provider's names for a fax and returns the owner: it, or one that came first.
	Claim(ctx context.Context, kind, value, id string) (owner string, err error)
}

// restore looks in the archive for a session that has no ledger, before it is taken for new: JetStream may have been lost, or
// have let it go. fresh is what a new session gets.
func restore(ctx context.Context, a Reader, names Names, fresh session.State) (session.State, error) {
	keys, err := revisionKeys(ctx, a, fresh.Session)
	if err != nil {
		return fresh, err
	}
	kept, err := lastKept(ctx, a, fresh.Session)
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

// recalled is what the archive tells of a session that has a plan.
type recalled struct {
	plan  Plan                  // the newest
	ready session.DocReady      // its order
	doc   *session.DocAssembled // the newest revision that has a manifest; nil: none has
	state session.State
}

// recall reads the newest plan and manifest of a session, and whether it is held. keys are those of its revisions at least, ascending; nil: it
// has no plan. Of a purged fax it gives a PurgedError.
func recall(ctx context.Context, a Reader, id string, keys []string) (*recalled, error) {
	planned := revisionsOf(keys, id, func(name string) bool { return name == "plan.json" })
	if len(planned) == 0 {
		return nil, nil
	}
	kept, err := lastKept(ctx, a, id)
	if err != nil {
		return nil, err
	}
	if kept.Kind == session.ActionPurged {
		return nil, PurgedError{kept}
	}
	r := &recalled{}
	newest := planned[len(planned)-1]
	key := revisionKey(id, newest, "plan.json")
	if _, _, err := load(ctx, a, key, &r.plan); err != nil {
		return nil, err
	}
	if r.plan.Session != id || r.plan.Revision != newest || !session.ValidToken(r.plan.ToToken) {
		return nil, fmt.Errorf("read %s: %w", key, errUnreadable)
	}
	committed := revisionsOf(keys, id, func(name string) bool { return name == "manifest.json" })
	if len(committed) > 0 {
		key := revisionKey(id, committed[len(committed)-1], "manifest.json")
		var m Manifest
		_, data, err := load(ctx, a, key, &m)
		if err != nil {
			return nil, err
		}
		if m.Session != id {
			return nil, fmt.Errorf("read %s: %w", key, errUnreadable)
		}
		doc := m.event(object(key, int64(len(data)), sha256.Sum256(data)))
		r.doc = &doc
	}
	r.ready = r.plan.order()
	if r.doc != nil && r.doc.Revision >= newest {
		r.state = session.Restore(r.ready, *r.doc, r.plan.Pages, r.plan.Indexed)
	} else {
		r.state = session.RestoreOrdered(r.ready, r.doc, r.plan.Pages, r.plan.Indexed)
	}
	r.state.Held, r.state.KeptAt = kept.Kind == session.ActionHeld, kept.At
	return r, r.verdicts(ctx, a, keys)
}

// verdicts takes over what comparisons with the whole file have said of the images that are in use: they need not be made again.
func (r *recalled) verdicts(ctx context.Context, a Reader, keys []string) error {
	used := map[int]string{}
	for _, f := range r.plan.Pages {
		used[f.Page] = f.Original.Key
	}
	s := &r.state
	for _, key := range keys {
		if !isReport(key) {
			continue
		}
		var report Report
		if _, _, err := load(ctx, a, key, &report); err != nil {
			if errors.Is(err, errUnreadable) {
				continue // its pages are compared again
			}
			return err
		}
		if report.File.Key == "" {
			continue // made without the whole file
		}
		for _, v := range report.Pages {
			inUse := v.Streamed.Original != nil && v.Streamed.Original.Key == used[v.Page]
			repaired := v.Repair != nil && v.Repair.Original.Key == used[v.Page]
			if !inUse && !repaired {
				continue
			}
			s.Compared, s.Agreed, s.Differing = s.Compared.Add(v.Page), s.Agreed.Remove(v.Page), s.Differing.Remove(v.Page)
			switch {
			case repaired || v.Verdict == verdictAgreed:
				s.Agreed = s.Agreed.Add(v.Page)
			case v.Verdict == verdictDiffers:
				s.Differing = s.Differing.Add(v.Page)
			}
		}
	}
	return nil
}

// takeNames binds the session's number again and claims the whole file's id. Whoever has them by now keeps them. One that was given up
// without a close, and then turned out to be another session's fax, is folded into that; to is nil where none is known.
func (r *recalled) takeNames(ctx context.Context, names Names, to *redirect) error {
	if _, err := names.Bind(ctx, r.plan.Session, r.plan.ToToken); err != nil {
		return err
	}
	if to != nil && r.plan.Close == nil {
		return fold(ctx, *to, &r.state, names)
	}
	if c := r.plan.Close; c != nil && c.Direction != session.Outgoing && c.File != "" {
		_, err := names.Claim(ctx, session.AliasFile, c.File, r.plan.Session)
		return err
	}
	return nil
}

// readRedirect reads what keepRedirect wrote; keys are those of the session's revisions at least, ascending. nil: there is none, or of the
// session that should have the fax there is nothing in the archive, and then this one is worth more.
func readRedirect(ctx context.Context, a Reader, id string, keys []string) (*redirect, error) {
	key := redirectKey(id)
	if _, there := slices.BinarySearch(keys, key); !there {
		return nil, nil
	}
	data, err := read(ctx, a, key, maxSidecar)
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

// fold makes the ledger of a session without a close that of a folded one, and sees to it that the owner has the file.
func fold(ctx context.Context, r redirect, s *session.State, names Names) error {
	s.FoldedInto, s.Effects = r.Into, nil // it orders no document any more
	if s.Opened.IsZero() {
		s.Direction, s.From, s.To, s.Opened, s.LastSeen = session.Incoming, r.From, r.To, r.Opened, r.Opened
	}
	_, err := names.Claim(ctx, session.AliasFile, r.File, r.Into)
	return err
}
