package indexing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/ocr"
	"github.com/faxstream/faxstream/pipeline/search"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Events is what a Follower needs of JetStream.
type Events interface {
	// Now is the place after the newest events.
	Now(ctx context.Context) (bus.Place, error)
	// Follow calls f with every event after a place, until ctx ends or f returns false.
	Follow(ctx context.Context, after *bus.Place, f func(bus.Stored, bus.Place) bool) error
}

// Follower keeps an index up to date: it fills it where that is necessary, and then writes what the events say. Each process has its own.
type Follower struct {
	Index   *search.Index
	Archive archive.Reader
	Events  Events
	Log     *slog.Logger

	mu       sync.Mutex
	purged   map[string]bool // guarded by mu, made at first use: to be removed
	complete atomic.Bool
	broken   atomic.Bool // a fax could not be read, and is not in the index, or not as it is
}

const (
	readBeside = 2                      // faxes at once while an index is filled: pages that come do not wait for it
	gather     = 200 * time.Millisecond // of events that are written together
	atMost     = 256                    // of them
	retryAfter = 10 * time.Second       // after an error of the archive, of JetStream or of the disk
)

// old is the age of a place in the events from which on they may be gone: streams have them for 30 days.
const old = 29 * 24 * time.Hour

// Complete reports whether the index has been filled. Before that it has only a part of the archive.
func (f *Follower) Complete() bool { return f.complete.Load() }

// Whole reports whether the index has been filled, and no fax was left out because it could not be read.
func (f *Follower) Whole() bool { return f.complete.Load() && !f.broken.Load() }

// Purged says that a fax was purged: it is removed with the next events.
func (f *Follower) Purged(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.purged == nil {
		f.purged = map[string]bool{}
	}
	f.purged[id] = true
}

// Run follows until ctx ends. After an error it goes on later: the index is a view, and nothing waits for it.
func (f *Follower) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := f.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		f.Log.Error("the search index is not up to date; trying again", "after", retryAfter, "err", err)
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
		}
	}
}

// follow fills the index if that is necessary, and writes events until ctx ends or there is an error.
func (f *Follower) follow(ctx context.Context) error {
	place, err := f.start(ctx)
	if err != nil {
		return err
	}
	f.complete.Store(true)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan event, atMost)
	ended := make(chan error, 1)
	go func() {
		ended <- f.Events.Follow(ctx, &place, func(s bus.Stored, p bus.Place) bool {
			select {
			case events <- event{s, p}:
				return true
			case <-ctx.Done():
				return false
			}
		})
	}()
	tick := time.NewTicker(gather)
	defer tick.Stop()
	var batch []event
	for {
		select {
		case e := <-events:
			if batch = append(batch, e); len(batch) < atMost {
				continue
			}
		case <-tick.C:
		case err := <-ended:
			if err == nil {
				err = errors.New("the events have ended")
			}
			return err
		}
		if err := f.write(ctx, batch); err != nil {
			return err
		}
		batch = batch[:0]
	}
}

type event struct {
	bus.Stored
	place bus.Place
}

// start gives the place from which on events are to be read. If the index has none, events after it may be gone, or it is of streams that
// were lost, the index is made again first.
func (f *Follower) start(ctx context.Context) (place bus.Place, err error) {
	text, at, err := f.Index.Place(ctx)
	if err != nil {
		return place, err
	}
	if place, err = f.Events.Now(ctx); err != nil {
		return place, err
	}
	before, err := bus.ParsePlace(text)
	if err == nil && time.Since(at) < old && reached(before, place) {
		return before, nil
	}
	began := time.Now()
	done, err := Refresh(ctx, f.Index, f.Archive, readBeside, f.Log, func(Refreshed) {})
	if err != nil {
		return place, fmt.Errorf("fill the search index: %w", err)
	}
	f.broken.Store(done.Broken > 0)
	if done.Faxes > 0 {
		f.Log.Info("the search index is filled", "faxes", done.Faxes, "pages", done.Pages, "took", time.Since(began).Round(time.Millisecond))
	}
	return place, f.Index.Write(ctx, search.Update{Place: place.String()})
}

// reached reports whether streams have come as far as a place.
func reached(place, now bus.Place) bool {
	for i := range place {
		if place[i] > now[i] {
			return false
		}
	}
	return true
}

// write writes what a batch of events says, and removes what was purged.
func (f *Follower) write(ctx context.Context, batch []event) (err error) {
	u := search.Update{Removed: f.takePurged()}
	defer func() {
		if err != nil { // they are removed later
			for _, id := range u.Removed {
				f.Purged(id)
			}
		}
	}()
	faxes, pages := map[string]bool{}, map[string]session.Ranges{}
	for _, e := range batch {
		u.Place = e.place.String()
		switch bus.EventType(e.Subject) {
		case session.TypeDocAssembled:
			faxes[session.SessionOf(e.Subject)] = true
		case session.TypeTextRecognised:
			var t session.TextRecognised
			if err := json.Unmarshal(e.Data, &t); err != nil {
				f.Log.Error("an event cannot be read for the search index", "sequence", e.Sequence, "err", err)
				continue
			}
			pages[t.Session] = pages[t.Session].Add(t.Page)
		}
	}
	for id := range faxes {
		fax, ok, err := readFax(ctx, f.Archive, id)
		if err = f.skip(id, err); err != nil {
			return err
		}
		if ok {
			u.Faxes = append(u.Faxes, fax)
		}
	}
	for id, list := range pages {
		if faxes[id] {
			continue // its texts are read already
		}
		texts, err := f.texts(ctx, id, list)
		if err = f.skip(id, err); err != nil {
			return err
		}
		u.Texts = append(u.Texts, texts...)
	}
	if len(u.Faxes)+len(u.Texts)+len(u.Removed) == 0 {
		return nil // the place comes with the next change: these events may be read again
	}
	return f.Index.Write(ctx, u)
}

// skip is the error that stops the index: that of a fax whose objects are damaged is only logged.
func (f *Follower) skip(id string, err error) error {
	if err != nil && (archive.Broken(err) || archive.Lost(err) || hold.Damaged(err)) {
		f.Log.Error("a fax cannot be read for the search index: verify it", "session", id, "err", err)
		f.broken.Store(true)
		return nil
	}
	return err
}

// texts reads the texts that count of some pages of a fax that is in the index. Of another fax there are none: when its document comes, all
// of it is read.
func (f *Follower) texts(ctx context.Context, id string, pages session.Ranges) (texts []search.PageText, err error) {
	known, err := f.Index.Manifest(ctx, id)
	if err != nil || known == "" {
		return nil, err
	}
	m, sum, err := newest(ctx, f.Archive, id)
	if err != nil || sum != known {
		return nil, err // the event of the newer document comes
	}
	all := rasters(m)
	maps.DeleteFunc(all, func(page int, _ string) bool { return !pages.Has(page) })
	err = ocr.Some(ctx, f.Archive, id, all, func(p archive.PageText) {
		texts = append(texts, search.PageText{Session: id, Manifest: known, Page: p.Page, Text: textOf(p.Words)})
	})
	return texts, err
}

// takePurged gives the faxes that were purged since the last call.
func (f *Follower) takePurged() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := slices.Collect(maps.Keys(f.purged))
	f.purged = nil
	return ids
}
