package recovery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// blankBus is a JetStream in memory, which creates only; one write fails on demand.
type blankBus struct {
	*pipelinetest.Desk
	mu       sync.Mutex
	ledgers  map[string]session.State
	facts    map[string]int                // pages of announcements, 0 of others, by subject
	letters  map[string]session.DeadLetter // by subject
	writes   int
	failAt   int // of writes, from 1; 0: none fails
	persists bool
}

func blank(d *pipelinetest.Desk) *blankBus {
	return &blankBus{Desk: d, ledgers: map[string]session.State{}, facts: map[string]int{}, letters: map[string]session.DeadLetter{}}
}

// written does one write, unless it is to fail.
func (b *blankBus) written(do func()) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writes++
	fails := b.writes == b.failAt
	if !fails || b.persists {
		do()
	}
	if fails {
		return pipelinetest.ErrDesk
	}
	return nil
}

func (b *blankBus) RecordFact(_ context.Context, f session.Fact) (uint64, []byte, error) {
	page := 0
	if f, ok := f.(session.PageAnnounced); ok {
		page = f.Page
	}
	return 1, nil, b.written(func() { b.facts[f.Subject()] = page })
}

func (b *blankBus) Load(_ context.Context, id string) (session.State, uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.ledgers[id]
	if !ok {
		return session.State{Session: id}, 0, nil
	}
	return s, 1, nil
}

func (b *blankBus) Save(_ context.Context, s session.State, _ uint64) (uint64, error) {
	return 1, b.written(func() { b.ledgers[s.Session] = s })
}

func (b *blankBus) Bury(_ context.Context, l session.DeadLetter) error {
	return b.written(func() { b.letters[l.Subject()] = l })
}

// announced gives the pages, ascending.
func (b *blankBus) announced() []int {
	pages := slices.DeleteFunc(slices.Collect(maps.Values(b.facts)), func(page int) bool { return page == 0 })
	slices.Sort(pages)
	return pages
}

func (b *blankBus) PageFact(context.Context, string, string, int) (f session.PageArchived, ok bool, err error) {
	return f, false, nil
}

func (b *blankBus) Claim(_ context.Context, _, _, id string) (string, error) { return id, nil }

func (b *blankBus) rebuild(t *testing.T) Rebuilt {
	t.Helper()
	done, err := Rebuild(t.Context(), Config{Bus: b, Archive: b.Desk, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// If a sidecar is damaged, its page is lost, not the fax, and the fax is named.
func TestARebuildGoesOnWithoutASpoiltSidecar(t *testing.T) {
	for name, spoilt := range map[string][]byte{"altered": []byte("{"), "of any size": make([]byte, archive.MaxSidecar+1)} {
		d, _ := pipelinetest.NewDesk(t)
		d.Objects[archive.SidecarKey(d.Pages[1].Original.Key)] = spoilt
		b := blank(d)
		if done := b.rebuild(t); done.Open != 1 || !slices.Equal(done.Broken, []string{"fax"}) || !slices.Equal(b.announced(), []int{2}) {
			t.Errorf("%s: rebuilt %+v, announced %v; want page 2 alone", name, done, b.announced())
		}
	}
}

// A fax of which only the whole file is there has nothing that could be announced; that is said, unless serve is at work on it.
func TestARebuildNamesWhatItCannotBringBack(t *testing.T) {
	d, _ := pipelinetest.NewDesk(t)
	clear(d.Objects)
	pipelinetest.WholeFile(t, d, "three-pages-fine-g4.tiff")
	b := blank(d)
	if done := b.rebuild(t); strings.Join(done.Silent, " ") != "whole" || len(b.ledgers) > 0 {
		t.Errorf("rebuilt %+v", done)
	}
	b.ledgers["whole"] = session.State{Session: "whole"}
	if done := b.rebuild(t); len(done.Silent) > 0 {
		t.Errorf("with its ledger there: %+v", done)
	}
}

// If a log of holds is damaged, its fax is not rebuilt, and every other fax is.
func TestARebuildGoesOnWithoutASpoiltLog(t *testing.T) {
	d := pipelinetest.OddDesk(t)
	d.Objects["keep/fax/0001.held.json"] = []byte("{")
	b := blank(d)
	if done := b.rebuild(t); !slices.Equal(done.Broken, []string{"fax"}) || b.ledgers["whole"].Document == nil || len(b.ledgers) != 1 {
		t.Errorf("rebuilt %+v", done)
	}
}

// What people say about a fax is restored with it, whether it has a document or not. If their log is damaged, only that is unknown.
func TestARebuildRestoresTheDesk(t *testing.T) {
	d := pipelinetest.OddDesk(t)
	openFax(t, d)
	for _, id := range []string{"fax", "open"} {
		d.Objects["desk/"+id+"/0001.changed.json"] = fmt.Appendf(nil,
			`{"session":%q,"by":"ada","at":"2026-11-24T12:00:00Z","asked":"a1","assignee":"bob","done":true}`, id)
	}
	d.Objects["desk/whole/0001.changed.json"] = []byte("{")
	b := blank(d)
	if done := b.rebuild(t); len(done.Broken) > 0 || b.ledgers["whole"].Document == nil || b.ledgers["whole"].Work.N != 0 {
		t.Errorf("rebuilt %+v, with %+v", done, b.ledgers["whole"].Work)
	}
	fresh, err := Restore(t.Context(), d, b, session.State{Session: "open"})
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range map[string]session.Work{"a fax with a document": b.ledgers["fax"].Work, "an open fax": fresh.Work} {
		if w.N != 1 || w.Assignee != "bob" || !w.Done {
			t.Errorf("%s has %+v", name, w)
		}
	}
}

// openFax archives two pages of a fax that has no document.
func openFax(t *testing.T, d *pipelinetest.Desk) {
	t.Helper()
	for page := 1; page <= 2; page++ {
		data := d.Objects[d.Pages[page].Original.Key]
		sum := sha256.Sum256(data)
		o := intake.Origin{Session: "open", Page: page, From: "+15550199", To: "+15550100", Source: session.SourceFetch}
		obj := archive.NewObject(archive.PageKey("open", page, sum, archive.KindOriginal), int64(len(data)), sum)
		if _, err := archive.CreateFile(t.Context(), d, bytes.NewReader(data), sum, o.Sidecar(obj, "")); err != nil {
			t.Fatal(err)
		}
	}
}

// disputePage archives a report that found page 1 of the first fax different in the whole file.
func disputePage(t *testing.T, d *pipelinetest.Desk) {
	t.Helper()
	streamed := d.Pages[1]
	_, err := archive.WriteReport(t.Context(), d, archive.ReportVerified, archive.Report{
		Session: "fax", Revision: 1, File: session.Object{Key: "faxes/fax/whole.tiff"}, Pages: []archive.PageVerdict{{
			Page: 1, Verdict: archive.VerdictDiffers, Difference: "inverted", Streamed: archive.PageImage{Original: &streamed.Original},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A page that waits for a choice has its dead letter again after a rebuild. When the ledger is there, no rebuild writes it another time: a
// person may have dropped it.
func TestARebuildWritesTheLetterOfAPageThatDiffers(t *testing.T) {
	d := pipelinetest.OddDesk(t)
	disputePage(t, d)
	b := blank(d)
	for _, want := range []int{1, 0} {
		clear(b.letters)
		b.rebuild(t)
		if len(b.letters) != want {
			t.Fatalf("the rebuild wrote %d letters, want %d", len(b.letters), want)
		}
		for _, l := range b.letters {
			if l.Stage != session.StageChoice || l.Session != "fax" || l.Page != 1 || l.Reason != session.ReasonDiffers {
				t.Errorf("the letter is %+v", l)
			}
		}
	}
}

// A rebuild that ended at any of its writes brings back the same when it is run again.
func TestARebuildHealsAtEveryWrite(t *testing.T) {
	d := pipelinetest.OddDesk(t)
	delete(d.Objects, "faxes/whole/r1/manifest.json") // planned
	openFax(t, d)
	disputePage(t, d)
	clean := blank(d)
	clean.rebuild(t)
	if len(clean.ledgers) != 3 || clean.ledgers["fax"].Document == nil || len(clean.ledgers["whole"].Effects) == 0 ||
		len(clean.letters) != 1 {
		t.Fatalf("nothing to compare with: %+v", clean.ledgers)
	}
	for at := 1; at <= clean.writes; at++ {
		for _, persists := range []bool{false, true} {
			b := blank(d)
			b.failAt, b.persists = at, persists
			_, err := Rebuild(t.Context(), Config{Bus: b, Archive: d, Log: slog.New(slog.DiscardHandler)})
			if !errors.Is(err, pipelinetest.ErrDesk) {
				t.Fatalf("write %d failed, and the rebuild says %v", at, err)
			}
			b.rebuild(t)
			if !maps.Equal(b.facts, clean.facts) || len(b.letters) != 1 ||
				!slices.Equal(slices.Sorted(maps.Keys(b.ledgers)), slices.Sorted(maps.Keys(clean.ledgers))) {
				t.Errorf("after write %d, persists %v: facts %v and %d ledgers, want %v", at, persists, b.facts, len(b.ledgers),
					clean.facts)
			}
		}
	}
}
