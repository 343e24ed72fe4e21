package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// RebuildConfig says from what to what.
type RebuildConfig struct {
	Bus interface { // *bus.Bus
		Facts
		Ledgers
	}
	Archive Reader
	Since   time.Time // pages and documents of faxes from before are not published again: subscribers had their time
	Log     *slog.Logger
}

// Rebuilt is what came of it. Where JetStream had everything all counts but the first two are 0.
type Rebuilt struct {
	Faxes   int      `json:"faxes"`   // that have a plan or a document
	Open    int      `json:"open"`    // of which there are only pages
	Ledgers int      `json:"ledgers"` // written
	Facts   int      `json:"facts"`   // published
	Silent  []string `json:"silent"`  // sessions of which nothing but the whole file was archived: the reconciler takes them in again
	Broken  []string `json:"broken"`  // sessions whose plan, manifest or sidecars cannot be read: verify them
}

// Rebuild brings back into an empty JetStream what the archive tells: of every fax that has a document the ledger, the bound number, the
// claimed file and its last facts; of one that has only pages their announcements, so that the page workers find the pages
// in the archive and publish them as if the webhooks had come anew. A revision that was planned and not committed is ordered again.
//
// Everything is create-only: run again, or on a JetStream that has all, it changes nothing. A crash leaves part of it.
func Rebuild(ctx context.Context, c RebuildConfig) (Rebuilt, error) {
	r := &rebuilder{RebuildConfig: c}
	r.done.Silent, r.done.Broken = []string{}, []string{}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for id, err := range sessionsOf(inner, c.Archive) {
		if err != nil {
			return r.done, errors.Join(err, group.Wait())
		}
		group.Go(func() error {
			err := r.session(inner, id)
			if errors.Is(err, errUnreadable) || errors.Is(err, errSidecar) {
				c.Log.Error("a fax could not be rebuilt: verify it", "session", id, "err", err)
				r.count(func(done *Rebuilt) { done.Broken = append(done.Broken, id) })
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
	for id, err := range keptSessions(ctx, r.Archive) {
		var last session.KeepEntry
		if err == nil {
			last, err = lastKept(ctx, r.Archive, id)
		}
		if err == nil && last.File != "" {
			_, err = r.Bus.Claim(ctx, session.AliasFile, last.File, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type rebuilder struct {
	RebuildConfig
	mu   sync.Mutex
	done Rebuilt // guarded by mu
}

func (r *rebuilder) count(f func(*Rebuilt)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.done)
}

func (r *rebuilder) session(ctx context.Context, id string) error {
	k := checking{Checker: Checker{Archive: r.Archive}, id: id}
	if err := k.list(ctx); err != nil {
		return err
	}
	kept, err := lastKept(ctx, r.Archive, id)
	if err != nil || kept.Kind == session.ActionPurged {
		return err // what is left of a purge is no fax
	}
	known, err := recall(ctx, readOnly{r.Archive}, id, k.listed)
	if err != nil {
		return err
	}
	if known == nil {
		return r.open(ctx, session.State{Session: id, Held: kept.Kind == session.ActionHeld, KeptAt: kept.At}, k.listed)
	}
	r.count(func(done *Rebuilt) { done.Faxes++ })
	return r.restore(ctx, known, k.listed)
}

// restore brings back a session that has a plan.
func (r *rebuilder) restore(ctx context.Context, known *recalled, keys []string) error {
	if err := known.takeNames(ctx, r.Bus, r.Bus); err != nil {
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
		r.count(func(done *Rebuilt) { done.Silent = append(done.Silent, id) })
		return nil
	}
	r.count(func(done *Rebuilt) { done.Open++ })
	for _, f := range told {
		token, err := r.Bus.Bind(ctx, id, session.NumberToken(f.To))
		if err != nil {
			return err
		}
		// The ledger is there before serve starts: the reconciler must know that the fax is open.
		e := session.Event{At: time.Now().UTC(), Fact: f, ToToken: token}
		if s, err = session.Next(session.Policy{Idle: idleAtLeast, Streaming: true}, s, e); err != nil {
			return fmt.Errorf("session %s: %w", id, err)
		}
	}
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
// are among them: the workers ask for them again.
func (r *rebuilder) announced(ctx context.Context, id string, keys []string) (told []session.PageAnnounced, err error) {
	var pages session.Ranges
	for _, key := range keys {
		page := pageOfKey(key)
		if !isSidecar(key) || page < 1 || page > session.MaxPages || pages.Has(page) {
			continue
		}
		data, err := read(ctx, readOnly{r.Archive}, key)
		if err != nil {
			return nil, err
		}
		s, err := parseSidecar(data)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", key, err)
		}
		if s.Session != id || s.Page != page || s.Object.Key != strings.TrimSuffix(key, ".json") {
			return nil, fmt.Errorf("read %s: %w", key, errUnreadable)
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
