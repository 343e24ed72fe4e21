package pipeline

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/faxstream/faxstream/pipeline/session"
)

// restore looks in the archive for a session that has no ledger, before it is taken for new: JetStream may have been lost, or
// have let it go. fresh is what a new session gets.
func (c *collector) restore(ctx context.Context, fresh session.State) (session.State, error) {
	var keys []string
	prefix := "faxes/" + fresh.Session + "/r"
	for key, err := range c.archive.List(ctx, prefix, "") {
		if err != nil {
			return fresh, fmt.Errorf("list %s: %w", prefix, err)
		}
		keys = append(keys, key)
	}
	kept, err := lastKept(ctx, c.archive, fresh.Session)
	if err != nil {
		return fresh, err
	}
	fresh.Held, fresh.KeptAt = kept.Kind == session.ActionHeld, kept.At
	if kept.Kind == session.ActionPurged {
		fresh.Opened, fresh.Purged = kept.At, true
		return fresh, nil
	}
	r, err := recall(ctx, c.archive, fresh.Session, keys)
	if err != nil {
		return fresh, err
	}
	to, err := readRedirect(ctx, c.archive, fresh.Session, keys)
	if err != nil {
		return fresh, err
	}
	if r != nil {
		err = r.takeNames(ctx, c.facts, c.ledgers, to)
		return r.state, err
	}
	if to != nil {
		err = to.fold(ctx, &fresh, c.ledgers)
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

// errUnreadable: an archived JSON object is not what this program writes.
var errUnreadable = errors.New("it cannot be read, or belongs to another fax")

// recall reads the newest plan and manifest of a session, and whether it is held. keys are those of its revisions at least, ascending; nil: it
// has no plan. Of a purged fax it gives a PurgedError.
func recall(ctx context.Context, a Archive, id string, keys []string) (*recalled, error) {
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

// order is the order that a plan was made for, as far as the plan keeps it. Repairs are in the pages.
func (p Plan) order() session.DocReady {
	ready := session.DocReady{
		Session: p.Session, Direction: p.Direction, ToToken: p.ToToken, Revision: p.Revision, Previous: p.Previous, From: p.From, To: p.To,
		Status: p.Status, Reason: p.Reason, Missing: p.Missing, Close: p.Close, Verification: p.Verification,
	}
	for _, f := range p.Pages {
		ready.Pages = ready.Pages.Add(f.Page)
	}
	return ready
}

// verdicts takes over what comparisons with the whole file have said of the images that are in use: they need not be made again.
func (r *recalled) verdicts(ctx context.Context, a Archive, keys []string) error {
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
func (r *recalled) takeNames(ctx context.Context, facts Facts, ledgers Ledgers, to *redirect) error {
	if _, err := facts.Bind(ctx, r.plan.Session, r.plan.ToToken); err != nil {
		return err
	}
	if to != nil && r.plan.Close == nil {
		return to.fold(ctx, &r.state, ledgers)
	}
	if c := r.plan.Close; c != nil && c.Direction != session.Outgoing && c.File != "" {
		_, err := ledgers.Claim(ctx, session.AliasFile, c.File, r.plan.Session)
		return err
	}
	return nil
}
