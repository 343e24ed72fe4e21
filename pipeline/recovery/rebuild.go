package recovery

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/letters"
	"github.com/faxstream/faxstream/pipeline/seal"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Bus is the JetStream that Rebuild writes to. Every method may be repeated.
type Bus interface {
	Names
	// RecordFact returns when the fact is durable. stored is the payload that was on its subject before, nil if there was none.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
	// Load returns the ledger of a session. If it has none, the ledger is new and its revision 0.
	Load(ctx context.Context, id string) (s session.State, revision uint64, err error)
	// Save replaces the ledger if revision is still the newest, else the error matches bus.ErrStale. After other errors the ledger may be
	// replaced or not.
	Save(ctx context.Context, s session.State, revision uint64) (next uint64, err error)
	// Bury stores a dead letter. The same letter is stored once.
	Bury(ctx context.Context, d session.DeadLetter) error
}

// Config is what Rebuild needs. All fields are required, but Since may be zero.
type Config struct {
	Bus     Bus
	Archive archive.Reader
	Since   time.Time // pages and documents of older faxes are not published again: subscribers have handled them
	Log     *slog.Logger
}

// Rebuilt is the result of a Rebuild. If JetStream had everything, Ledgers and Facts are 0.
type Rebuilt struct {
	Faxes   int      `json:"faxes"`   // sessions with a plan or a document
	Open    int      `json:"open"`    // sessions with only pages
	Folded  int      `json:"folded"`  // sessions with only pages, and another session has the fax
	Ledgers int      `json:"ledgers"` // ledgers written
	Facts   int      `json:"facts"`   // facts published
	Silent  []string `json:"silent"`  // sessions with only the whole file: the reconciler takes them in again
	Purged  []string `json:"purged"`  // sessions that were purged, but objects remain: verify them
	Broken  []string `json:"broken"`  // sessions with an unreadable plan, manifest, redirect, sidecar or log: verify them

	Audit seal.Restored `json:"audit"` // of the caller: Rebuild does not look at FAX_AUDIT
}

// Rebuild restores into an empty JetStream what the archive knows. For a fax with a document: its ledger, its number, the owner of its
// whole file, its last facts, and the dead letters of pages that wait for a choice. For a fax
// with only pages: the announcements of the pages, so that the page workers find the pages in the archive and publish them as if
// the webhooks had come again. It orders a revision again that has a plan and no manifest.
//
// A fax that is damaged in the archive is in Broken, and is no error. An error means that the archive or JetStream failed: run it again.
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

// purged claims the files of purged faxes, so that the reconciler does not take them in as new faxes.
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

// broke notes that an object of a session is unreadable.
func (r *rebuilder) broke(id string, err error) {
	r.Log.Error("an archived object of a fax is unreadable and cannot be rebuilt: verify the fax", "session", id, "err", err)
	r.count(func(done *Rebuilt) {
		if !slices.Contains(done.Broken, id) {
			done.Broken = append(done.Broken, id)
		}
	})
}

// rebuiltAtOnce is the number of faxes that are rebuilt at the same time: their writes share a sync.
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

// session rebuilds one session, whatever it has.
func (r *rebuilder) session(ctx context.Context, id string) error {
	_, keys, err := archive.FaxKeys(ctx, r.Archive, id)
	if err != nil {
		return err
	}
	last, err := hold.LastEntry(ctx, r.Archive, id)
	if err != nil {
		return err
	}
	if last.Kind == session.ActionPurged {
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
	fresh := session.State{Session: id, Held: last.Kind == session.ActionHeld, KeptAt: last.At}
	if known == nil {
		if err := restoreWork(ctx, r.Archive, &fresh); err != nil {
			return err
		}
	}
	switch {
	case known == nil && to != nil:
		return r.folded(ctx, fresh, *to)
	case known == nil:
		if err := r.open(ctx, fresh, keys); err != nil {
			return err
		}
		return r.texts(ctx, keys)
	}
	r.count(func(done *Rebuilt) { done.Faxes++ })
	return r.restore(ctx, known, to, keys)
}

// folded restores a session without a document whose fax another session has.
func (r *rebuilder) folded(ctx context.Context, s session.State, to archive.Redirect) error {
	r.count(func(done *Rebuilt) { done.Folded++ })
	if err := fold(ctx, to, &s, r.Bus); err != nil {
		return err
	}
	return r.ledger(ctx, s, func() error { return nil })
}

// restore restores a session that has a plan; to is nil unless another session has its fax.
func (r *rebuilder) restore(ctx context.Context, known *recalled, to *archive.Redirect, keys []string) error {
	if err := known.takeNames(ctx, r.Bus, to); err != nil {
		return err
	}
	// The order and the letters come before the ledger, because the ledger says that they were made.
	err := r.ledger(ctx, known.state, func() error {
		if err := r.disputes(ctx, known.state); err != nil || len(known.state.Effects) == 0 {
			return err
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
	if err := r.texts(ctx, keys); err != nil {
		return err
	}
	if err := r.made(ctx, keys); err != nil {
		return err
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

// disputes writes the dead letters of the pages of which a person must choose an image: no event would write them again.
func (r *rebuilder) disputes(ctx context.Context, s session.State) error {
	for page := range s.Disputed().All() {
		letter, err := letters.OfChoice(s, page)
		if err == nil {
			err = r.Bus.Bury(ctx, letter)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ledger calls before and writes a ledger, if the session has none.
func (r *rebuilder) ledger(ctx context.Context, s session.State, before func() error) error {
	_, revision, err := r.Bus.Load(ctx, s.Session)
	if err != nil || revision > 0 {
		return err
	}
	if err := before(); err != nil {
		return err
	}
	_, err = r.Bus.Save(ctx, s, 0)
	if errors.Is(err, bus.ErrStale) { // another process has written it meanwhile
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
