package document

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/ocr"
	"github.com/faxstream/faxstream/pipeline/session"
)

// SearchableBus is what Searchables needs of JetStream.
type SearchableBus interface {
	// RecordFact is that of Facts.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
	// Schedule sets a timer. It may be repeated.
	Schedule(ctx context.Context, t session.Timer, payload []byte) error
}

// Searchables makes the PDF with a text layer of a fax: PDF, record, event, in this order, each create-only. The first one of a revision is
// made as soon as every usable page has a text that counts, later ones when texts have changed and rest for a minute. It keeps nothing that
// it does not find again in the archive, so several processes may do the same.
type Searchables struct {
	Bus     SearchableBus
	Archive archive.Store
	Layers  Layers
	Log     *slog.Logger

	mu      sync.Mutex
	waiting map[string]session.Ranges // guarded by mu: pages without a text that counts, by the key of the newest manifest
}

const (
	textRest   = time.Minute // without another text, before a document is made again
	maxWaiting = 10_000      // faxes in Searchables.waiting
)

func (s *Searchables) recognised(ctx context.Context, d bus.Delivery) error {
	var f session.TextRecognised
	if err := json.Unmarshal(d.Data, &f); err != nil {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("text of a page: %w", err)}
	}
	return s.unlessLost(d, s.update(ctx, f.Session, false))
}

func (s *Searchables) assembled(ctx context.Context, d bus.Delivery) error {
	var f session.DocAssembled
	if err := json.Unmarshal(d.Data, &f); err != nil {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("document of a fax: %w", err)}
	}
	return s.unlessLost(d, s.update(ctx, f.Session, true))
}

func (s *Searchables) rested(ctx context.Context, d bus.Delivery) error {
	t, err := session.ParseTimer(d.Subject)
	if err != nil {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: err}
	}
	return s.unlessLost(d, s.update(ctx, t.Session, true))
}

// unlessLost gives up after some tries if objects are missing or altered: a person must look.
func (s *Searchables) unlessLost(d bus.Delivery, err error) error {
	if err != nil && (Unbuildable(err) || archive.Broken(err) || archive.Lost(err) && d.Tries >= maxAssemblies) {
		return bus.Dead{Reason: session.ReasonLost, Err: fmt.Errorf("searchable document: %w", err)}
	}
	return err
}

// update makes the searchable document of the newest revision of a fax, if every usable page has a text and there is none with these texts.
// If there is one with others, it is replaced only when due, and else later.
func (s *Searchables) update(ctx context.Context, id string, due bool) error {
	keys, err := archive.RevisionKeys(ctx, s.Archive, id)
	if err != nil {
		return err
	}
	revisions := archive.Revisions(keys, id, func(name string) bool { return name == "manifest.json" })
	if len(revisions) == 0 {
		return nil // its first manifest comes after these texts
	}
	newest := revisions[len(revisions)-1]
	key := archive.RevisionKey(id, newest, "manifest.json")
	if !due && s.waits(ctx, id, key) {
		return nil
	}
	before, self, made, err := archive.NewestSearchable(ctx, s.Archive, id, newest, keys)
	if err != nil {
		return err
	}
	if made && !due {
		return s.later(ctx, id)
	}
	manifest, texts, at, err := s.texts(ctx, id, key)
	if err != nil || len(texts) == 0 {
		return err
	}
	switch {
	case made && sameTexts(before.Pages, texts):
		_, _, err = s.Bus.RecordFact(ctx, before.Event(self)) // a crash may have come before it
		return err
	case made && time.Since(at) < textRest:
		return s.later(ctx, id) // the timer of the newest text may be this one, by the clock of another machine
	}
	return s.commit(ctx, manifest, texts, at)
}

// later has update look at a fax again when its texts rest. Those of a minute share a timer.
func (s *Searchables) later(ctx context.Context, id string) error {
	at := time.Now().Add(textRest).Truncate(textRest).Add(textRest)
	return s.Bus.Schedule(ctx, session.Timer{Kind: session.TimerText, Session: id, Due: at}, nil)
}

// sameTexts reports whether pages have the same texts.
func sameTexts(a, b []archive.SearchablePage) bool {
	return slices.EqualFunc(a, b, func(a, b archive.SearchablePage) bool { return a.Page == b.Page && a.Words == b.Words })
}

// texts gives the texts that count of all usable pages of a revision, and the time of the newest. There are none if a page has none.
func (s *Searchables) texts(ctx context.Context, id, key string) (
	manifest session.Object, texts []archive.SearchablePage, at time.Time, err error,
) {
	var m archive.Manifest
	_, data, err := archive.LoadJSON(ctx, s.Archive, key, &m)
	if err != nil {
		return manifest, nil, at, err
	}
	manifest = archive.NewObject(key, int64(len(data)), sha256.Sum256(data))
	rasters := map[int]string{}
	for _, p := range m.Pages {
		if p.Status == session.PageStatusArchived {
			rasters[p.Page] = p.RasterSHA256
		}
	}
	whole, without, err := ocr.Whole(ctx, s.Archive, id, rasters)
	if err != nil {
		return manifest, nil, at, err
	}
	s.wait(key, without)
	for _, c := range whole {
		texts = append(texts, archive.SearchablePage{Page: c.Page, Words: c.Words})
		if c.At.After(at) {
			at = c.At
		}
	}
	return manifest, texts, at, nil
}

// wait notes pages without a text, so that neither the manifest nor the texts of other pages are read until all of them have one.
func (s *Searchables) wait(key string, pages session.Ranges) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil || len(s.waiting) >= maxWaiting {
		s.waiting = map[string]session.Ranges{}
	}
	if len(pages) == 0 {
		delete(s.waiting, key)
		return
	}
	s.waiting[key] = pages
}

// waits reports whether a page that had no text still has none. Each call goes on at the page at which the last one ended: in a long fax
// the texts of all pages cost about two requests a page, not two for each pair of pages.
func (s *Searchables) waits(ctx context.Context, id, key string) bool {
	s.mu.Lock()
	pages := s.waiting[key]
	s.mu.Unlock()
	for page := range pages.All() {
		if !s.hasText(ctx, id, page) {
			s.wait(key, pages.Minus(session.Span(1, page-1)))
			return true
		}
	}
	return false
}

// hasText reports whether a page has a text, or whether that cannot be known: the next request has the same error.
func (s *Searchables) hasText(ctx context.Context, id string, page int) bool {
	for range s.Archive.List(ctx, archive.TextPrefix(id, page), "") {
		return true
	}
	return false
}

// commit makes and archives the document, and publishes its event.
func (s *Searchables) commit(ctx context.Context, manifest session.Object, texts []archive.SearchablePage, at time.Time) (err error) {
	d, err := s.Layers.Make(ctx, manifest, texts)
	if err != nil {
		return fmt.Errorf("of %s: %w", manifest.Key, err)
	}
	defer func() { err = errors.Join(err, d.Remove()) }()
	d.Record.At = at.UTC()
	data, self, err := d.Record.Encode()
	if err != nil {
		return err
	}
	if _, err := archive.Commit(ctx, s.Archive, d.pdfFile.item(d.Record.PDF), archive.NewItem(self.Key, data)); err != nil {
		return err
	}
	if _, _, err := s.Bus.RecordFact(ctx, d.Record.Event(self)); err != nil {
		return err
	}
	s.Log.Info("document is searchable", "session", d.Record.Session, "revision", d.Record.Revision, "pages", len(texts))
	return nil
}

// Consumptions are the durables of searchable documents.
func (s *Searchables) Consumptions() []bus.Consumption {
	consumption := func(stream, durable string, filter []string, handle func(context.Context, bus.Delivery) error) bus.Consumption {
		return bus.Consumption{Consumer: bus.Consumer{Stream: stream, Durable: durable, Filter: filter, Workers: 2}, Handle: handle}
	}
	return []bus.Consumption{
		consumption(bus.StreamText, "searchable-texts", []string{session.TypeTextRecognised + ".>"}, s.recognised),
		consumption(bus.StreamDocs, "searchable-docs", []string{session.TypeDocAssembled + ".>"}, s.assembled),
		consumption(bus.StreamTimers, "searchable-timers", bus.TimerSubjects(session.TimerText), s.rested),
	}
}
