package recovery

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/desk"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/session"
)

// recalled is what the archive knows about a session that has a plan.
type recalled struct {
	plan  archive.Plan          // the newest
	ready session.DocReady      // its order
	doc   *session.DocAssembled // the newest revision that has a manifest; nil: none has
	state session.State
}

// recall reads the newest plan and manifest of a session, and whether it is held. It returns nil if there is no plan. keys are at least
// those of the session's revisions, ascending. The error for a purged fax is an archive.PurgedError.
func recall(ctx context.Context, a archive.Reader, id string, keys []string) (*recalled, error) {
	planned := archive.Revisions(keys, id, func(name string) bool { return name == "plan.json" })
	if len(planned) == 0 {
		return nil, nil
	}
	last, err := hold.LastEntry(ctx, a, id)
	if err != nil {
		return nil, err
	}
	if last.Kind == session.ActionPurged {
		return nil, archive.PurgedError{Entry: last}
	}
	r := &recalled{}
	newest := planned[len(planned)-1]
	key := archive.RevisionKey(id, newest, "plan.json")
	if _, _, err := archive.LoadJSON(ctx, a, key, &r.plan); err != nil {
		return nil, err
	}
	if r.plan.Session != id || r.plan.Revision != newest || !session.ValidToken(r.plan.ToToken) {
		return nil, fmt.Errorf("read %s: %w", key, archive.ErrUnreadable)
	}
	committed := archive.Revisions(keys, id, func(name string) bool { return name == "manifest.json" })
	if len(committed) > 0 {
		key := archive.RevisionKey(id, committed[len(committed)-1], "manifest.json")
		var m archive.Manifest
		_, data, err := archive.LoadJSON(ctx, a, key, &m)
		if err != nil {
			return nil, err
		}
		if m.Session != id {
			return nil, fmt.Errorf("read %s: %w", key, archive.ErrUnreadable)
		}
		doc := m.Event(archive.NewObject(key, int64(len(data)), sha256.Sum256(data)))
		r.doc = &doc
	}
	r.ready = r.plan.Order()
	if r.doc != nil && r.doc.Revision >= newest {
		r.state = session.Restore(r.ready, *r.doc, r.plan.Pages, r.plan.Indexed)
	} else {
		r.state = session.RestoreOrdered(r.ready, r.doc, r.plan.Pages, r.plan.Indexed)
	}
	r.state.Held, r.state.KeptAt = last.Kind == session.ActionHeld, last.At
	if err := restoreWork(ctx, a, &r.state); err != nil {
		return nil, err
	}
	return r, r.verdicts(ctx, a, keys)
}

// restoreWork restores what people say about a fax. A damaged log costs only that: verify finds it.
func restoreWork(ctx context.Context, a archive.Reader, s *session.State) error {
	w, _, err := desk.Read(ctx, a, s.Session)
	switch {
	case err == nil:
		s.Work = w
	case !desk.Damaged(err):
		return err
	}
	return nil
}

// verdicts restores the results of comparisons with the whole file, for the images that are in use: no need to compare them again.
func (r *recalled) verdicts(ctx context.Context, a archive.Reader, keys []string) error {
	used := map[int]string{}
	for _, f := range r.plan.Pages {
		used[f.Page] = f.Original.Key
	}
	s := &r.state
	for _, key := range keys {
		if !archive.IsReport(key) {
			continue
		}
		var report archive.Report
		_, data, err := archive.LoadJSON(ctx, a, key, &report)
		if err != nil {
			if errors.Is(err, archive.ErrUnreadable) {
				continue // its pages are compared again
			}
			return err
		}
		if report.File.Key == "" {
			continue // from a replay, without the whole file
		}
		for _, v := range report.Pages {
			inUse := v.Streamed.Original != nil && v.Streamed.Original.Key == used[v.Page]
			repaired := v.Repair != nil && v.Repair.Original.Key == used[v.Page]
			chosen := v.Alternative != nil && v.Alternative.Original.Key == used[v.Page]
			if !inUse && !repaired && !chosen {
				continue
			}
			s.Compared, s.Agreed, s.Differing = s.Compared.Add(v.Page), s.Agreed.Remove(v.Page), s.Differing.Remove(v.Page)
			switch {
			case repaired || v.Verdict == archive.VerdictAgreed:
				s.Agreed = s.Agreed.Add(v.Page)
			case v.Verdict == archive.VerdictDiffers:
				s.Dispute(archive.NewObject(key, int64(len(data)), sha256.Sum256(data)), v.Page, v.Difference)
			}
		}
	}
	return nil
}

// takeNames binds the session's number again and claims the id of the whole file, unless another session has them now. If the session
// ended without a close and another session has its fax, it is folded into that; to is nil if there is none.
func (r *recalled) takeNames(ctx context.Context, names Names, to *archive.Redirect) error {
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
