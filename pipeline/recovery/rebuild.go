package recovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Bus is what is brought back into. Every method may be repeated.
type Bus interface {
	Names
	// RecordFact returns once the fact is durable; stored is the payload that was on its subject before, nil if none was.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
	// Load gives a new ledger, revision 0, for a session that has none.
	Load(ctx context.Context, id string) (s session.State, revision uint64, err error)
	// Save swaps it if revision is still the newest, else bus.ErrSwapped; after other errors it may have been swapped.
	Save(ctx context.Context, s session.State, revision uint64) (next uint64, err error)
}

// Config says from what to what.
type Config struct {
	Bus     Bus
	Archive archive.Reader
	Since   time.Time // pages and documents of faxes from before are not published again: subscribers had their time
	Log     *slog.Logger
}

// Rebuilt is what came of it. Where JetStream had everything, ledgers and facts are 0.
type Rebuilt struct {
	Faxes   int      `json:"faxes"`   // that have a plan or a document
	Open    int      `json:"open"`    // of which there are only pages
	Folded  int      `json:"folded"`  // of which there are only pages, and whose fax another session has
	Ledgers int      `json:"ledgers"` // written
	Facts   int      `json:"facts"`   // published
	Silent  []string `json:"silent"`  // sessions of which nothing but the whole file was archived: the reconciler takes them in again
	Purged  []string `json:"purged"`  // sessions that were purged and of which there is something all the same: it is no fax any more, verify it
	Broken  []string `json:"broken"`  // sessions of which something cannot be read, a plan, manifest, redirect or sidecar: verify them
}

// Rebuild brings back into an empty JetStream what the archive tells: of every fax that has a document the ledger, the bound number, the
// claimed file and its last facts; of one that has only pages their announcements, so that the page workers find the pages
// in the archive and publish them as if the webhooks had come anew. A revision that was planned and not committed is ordered again.
//
// Everything is create-only: run again, or on a JetStream that has all, it changes nothing. A crash leaves part of it.
func Rebuild(ctx context.Context, c Config) (Rebuilt, error) {
	r := &rebuilder{Config: c}
	r.done.Silent, r.done.Purged, r.done.Broken = []string{}, []string{}, []string{}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(rebuiltAtOnce)
	for id, err := range archive.Sessions(inner, c.Archive) {
		if err != nil {
			return r.done, errors.Join(err, group.Wait())
		}
		group.Go(func() error {
			err := r.session(inner, id)
			if hold.Damaged(err) {
				r.broke(id, err)
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return r.done, err
	}
	return r.done, r.purged(ctx)
}

// purged claims the files of purged faxes, so that the reconciler does not take them in as new ones.
func (r *rebuilder) purged(ctx context.Context) error {
	for id, err := range hold.Sessions(ctx, r.Archive) {
		var last session.KeepEntry
		if err == nil {
			last, err = hold.LastEntry(ctx, r.Archive, id)
		}
		if err == nil && last.File != "" {
			_, err = r.Bus.Claim(ctx, session.AliasFile, last.File, id)
		}
		switch {
		case err != nil && hold.Damaged(err):
			r.broke(cmp.Or(id, hold.LogPrefix), err)
		case err != nil:
			return err
		}
	}
	return nil
}

// broke notes that something of a session cannot be read.
func (r *rebuilder) broke(id string, err error) {
	r.Log.Error("something that is archived of a fax cannot be read, and is not rebuilt: verify it", "session", id, "err", err)
	r.count(func(done *Rebuilt) {
		if !slices.Contains(done.Broken, id) {
			done.Broken = append(done.Broken, id)
		}
	})
}

// rebuiltAtOnce is how many faxes are rebuilt concurrently: their writes share a sync.
const rebuiltAtOnce = 64

type rebuilder struct {
	Config
	mu   sync.Mutex
	done Rebuilt // guarded by mu
}

func (r *rebuilder) count(f func(*Rebuilt)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.done)
}

func (r *rebuilder) session(ctx context.Context, id string) error {
	_, keys, err := archive.FaxKeys(ctx, r.Archive, id)
	if err != nil {
		return err
	}
	kept, err := hold.LastEntry(ctx, r.Archive, id)
	if err != nil {
		return err
	}
	if kept.Kind == session.ActionPurged {
		r.count(func(done *Rebuilt) { done.Purged = append(done.Purged, id) })
		return nil
	}
	known, err := recall(ctx, r.Archive, id, keys)
	if err != nil {
		return err
	}
	to, err := readRedirect(ctx, r.Archive, id, keys)
	if err != nil {
		return err
	}
	fresh := session.State{Session: id, Held: kept.Kind == session.ActionHeld, KeptAt: kept.At}
	switch {
	case known == nil && to != nil:
		return r.folded(ctx, fresh, *to)
	case known == nil:
		return r.open(ctx, fresh, keys)
	}
	r.count(func(done *Rebuilt) { done.Faxes++ })
	return r.restore(ctx, known, to, keys)
}

// folded brings back a session without a document whose fax another session has.
func (r *rebuilder) folded(ctx context.Context, s session.State, to archive.Redirect) error {
	r.count(func(done *Rebuilt) { done.Folded++ })
	if err := fold(ctx, to, &s, r.Bus); err != nil {
		return err
	}
	return r.ledger(ctx, s, func() error { return nil })
}

// restore brings back a session that has a plan; to is nil unless another one has its fax.
func (r *rebuilder) restore(ctx context.Context, known *recalled, to *archive.Redirect, keys []string) error {
	if err := known.takeNames(ctx, r.Bus, to); err != nil {
		return err
	}
	// The order comes before the ledger that says it was made.
	err := r.ledger(ctx, known.state, func() error {
		if len(known.state.Effects) == 0 {
			return nil
		}
		return r.record(ctx, known.ready)
	})
	if err != nil || known.plan.Indexed.Before(r.Since) {
		return err
	}
	for _, f := range known.plan.Pages {
		if err := r.record(ctx, f); err != nil {
			return err
		}
	}
	if known.doc != nil {
		if err := r.record(ctx, *known.doc); err != nil {
			return err
		}
	}
	// Pages that came after the newest plan.
	told, err := r.announced(ctx, known.plan.Session, keys)
	if err != nil {
		return err
	}
	for _, f := range told {
		if !known.ready.Pages.Has(f.Page) && known.plan.Missing[f.Page] != session.ReasonLost {
			if err := r.record(ctx, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// ledger writes a ledger where there is none, after before.
func (r *rebuilder) ledger(ctx context.Context, s session.State, before func() error) error {
	_, revision, err := r.Bus.Load(ctx, s.Session)
	if err != nil || revision > 0 {
		return err
	}
	if err := before(); err != nil {
		return err
	}
	_, err = r.Bus.Save(ctx, s, 0)
	if errors.Is(err, bus.ErrSwapped) { // somebody is at work on it: then it is known
		return nil
	}
	if err == nil {
		r.count(func(done *Rebuilt) { done.Ledgers++ })
	}
	return err
}

func (r *rebuilder) record(ctx context.Context, f session.Fact) error {
	_, stored, err := r.Bus.RecordFact(ctx, f)
	if err == nil && stored == nil {
		r.count(func(done *Rebuilt) { done.Facts++ })
	}
	return err
}

// idleAtLeast is when a fax that is open again is first looked at for having fallen silent; the ledger puts it off as it is configured.
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
		if err == nil && revision == 0 { // else serve is at work on it
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
		// The ledger is there before serve starts: the reconciler must know that the fax is open, and since when, or takes the same fax in
		// the provider's list for another one.
		e := session.Event{At: now, Fact: f, ToToken: token}
		if !f.EventTime.IsZero() && f.EventTime.Before(now) {
			e.At = f.EventTime
		}
		if s, err = session.Next(session.Policy{Idle: idleAtLeast, Streaming: true}, s, e); err != nil {
			return fmt.Errorf("session %s: %w", id, err)
		}
	}
	s.LastSeen = now // its pages have yet to come back
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

// announced reads from sidecars which pages the provider has announced, ascending. Pages whose bytes never came, or were no page,
// are among them: the workers ask for them again. A sidecar that cannot be read costs its page.
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

// sidecar reads one of a page of the session.
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
