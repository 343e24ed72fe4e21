package recovery

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/session"
)

// idleAtLeast is when a fax that is open again is first checked for silence. The ledger then follows the configured time.
const idleAtLeast = time.Hour

// open announces the pages of a session that has no plan. s is its new ledger.
func (r *rebuilder) open(ctx context.Context, s session.State, keys []string) error {
	id := s.Session
	told, err := r.announced(ctx, id, keys)
	if err != nil {
		return err
	}
	if len(told) == 0 {
		_, revision, err := r.Bus.Load(ctx, id)
		if err == nil && revision == 0 { // else serve is working on it
			r.count(func(done *Rebuilt) { done.Silent = append(done.Silent, id) })
		}
		return err
	}
	r.count(func(done *Rebuilt) { done.Open++ })
	now := time.Now().UTC()
	for _, f := range told {
		token, err := r.Bus.Bind(ctx, id, session.NumberToken(f.To))
		if err != nil {
			return err
		}
		// The ledger must be there before serve starts. Without it the reconciler does not know that the fax is open, and since when: it
		// would take the same fax in the provider's list for another one.
		e := session.Event{At: now, Fact: f, ToToken: token}
		if !f.EventTime.IsZero() && f.EventTime.Before(now) {
			e.At = f.EventTime
		}
		if s, err = session.Next(session.Policy{Idle: idleAtLeast, Streaming: true}, s, e); err != nil {
			return fmt.Errorf("session %s: %w", id, err)
		}
	}
	s.LastSeen = now // its pages are still to be published
	if err := r.ledger(ctx, s, func() error { return nil }); err != nil {
		return err
	}
	for _, f := range told {
		if err := r.record(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// announced reads from the sidecars which pages the provider announced, ascending. These include pages whose bytes were rejected: the
// workers fetch them again. If a sidecar is unreadable, its page is left out.
func (r *rebuilder) announced(ctx context.Context, id string, keys []string) (told []session.PageAnnounced, err error) {
	var pages session.Ranges
	for _, key := range keys {
		page := archive.PageOfKey(key)
		if !archive.IsSidecar(key) || page < 1 || page > session.MaxPages || pages.Has(page) {
			continue
		}
		s, err := r.sidecar(ctx, id, key)
		if err != nil && hold.Damaged(err) {
			r.broke(id, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		if s.Source != session.SourceFetch {
			continue
		}
		pages = pages.Add(page)
		told = append(told, session.PageAnnounced{
			Session: id, Page: page, From: s.From, To: s.To, EventTime: s.EventTime, BodySHA256: s.BodySHA256,
		})
	}
	return told, nil
}

// sidecar reads the sidecar of a page of the session.
func (r *rebuilder) sidecar(ctx context.Context, id, key string) (archive.Sidecar, error) {
	data, err := archive.Read(ctx, r.Archive, key, archive.MaxSidecar)
	if err != nil {
		return archive.Sidecar{}, err
	}
	s, err := archive.ParseSidecar(data)
	if err == nil && (s.Session != id || s.Page != archive.PageOfKey(key) || s.Object.Key != strings.TrimSuffix(key, ".json")) {
		err = archive.ErrUnreadable
	}
	if err != nil {
		return s, fmt.Errorf("read %s: %w", key, err)
	}
	return s, nil
}
