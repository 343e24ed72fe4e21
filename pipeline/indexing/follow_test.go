package indexing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/search"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/text"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func opened(t *testing.T) *search.Index {
	t.Helper()
	x, _, err := search.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

// found gives what a query finds, as "session:page,page".
func found(t *testing.T, x *search.Index, query string) (all []string) {
	t.Helper()
	hits, _, err := x.Find(t.Context(), search.Query{Text: query, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hits {
		var pages []string
		for _, p := range h.Found {
			pages = append(pages, fmt.Sprint(p.Page))
		}
		all = append(all, h.Session+":"+strings.Join(pages, ","))
	}
	return all
}

// script is a stream of events that a test writes.
type script struct {
	at     bus.Place
	events chan bus.Stored
}

func (s *script) Now(context.Context) (bus.Place, error) { return s.at, nil }

func (s *script) Follow(ctx context.Context, after *bus.Place, f func(bus.Stored, bus.Place) bool) error {
	place := *after
	for {
		select {
		case e := <-s.events:
			if place[0]++; !f(e, place) {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// desk is an archive with a fax of two pages that has a document, and its event.
func desk(t *testing.T) (*pipelinetest.Desk, bus.Stored) {
	t.Helper()
	d, order := pipelinetest.NewDesk(t)
	if err := pipelinetest.Assemble(t.Context(), d.AssemblerOf(t, "v1"), order, noon); err != nil {
		t.Fatal(err)
	}
	for subject, data := range d.Events {
		return d, bus.Stored{Subject: subject, Data: data}
	}
	t.Fatal("no event")
	return d, bus.Stored{}
}

func stored(t *testing.T, f session.Fact) bus.Stored {
	t.Helper()
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return bus.Stored{Subject: f.Subject(), Data: data}
}

// following runs a Follower until the test ends.
func following(t *testing.T, x *search.Index, a archive.Reader, s *script) *Follower {
	t.Helper()
	f := &Follower{Index: x, Archive: a, Events: s, Log: slog.New(slog.DiscardHandler)}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return f
}

// await waits until a query finds what it should.
func await(t *testing.T, x *search.Index, query string, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		got := found(t, x, query)
		if slices.Equal(got, want) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%q finds %v, want %v", query, got, want)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// An empty index is filled from the archive. Then documents, texts and purges of events come into it, in whatever order they are.
func TestTheIndexFollows(t *testing.T) {
	t.Parallel()
	d, doc := desk(t)
	x := opened(t)
	s := &script{at: bus.Place{7, 7, 7}, events: make(chan bus.Stored)}
	f := following(t, x, d, s)
	await(t, x, "15550100", "fax:0")
	s.events <- stored(t, d.Recognise(t, 1, "order 4711", noon))
	await(t, x, "4711", "fax:1")
	if !f.Complete() {
		t.Error("it is not complete although it follows")
	}
	s.events <- stored(t, d.Recognise(t, 2, "of page two", noon))
	s.events <- doc
	await(t, x, "two", "fax:2")
	await(t, x, "4711", "fax:1")
	s.events <- stored(t, d.Recognise(t, 1, "order 4712", noon.Add(time.Hour)))
	await(t, x, "4712", "fax:1")
	await(t, x, "4711")
	if place, _, err := x.Place(t.Context()); err != nil || !strings.HasPrefix(place, "11-") {
		t.Errorf("the place is %s, %v", place, err)
	}
	f.Purged("fax")
	await(t, x, "15550100")
}

// A process that comes back goes on where it was; what came meanwhile is in the index then.
func TestTheIndexGoesOn(t *testing.T) {
	t.Parallel()
	d, _ := desk(t)
	x := opened(t)
	if err := x.Write(t.Context(), search.Update{Place: "5-0-0"}); err != nil {
		t.Fatal(err)
	}
	s := &script{at: bus.Place{9, 0, 0}, events: make(chan bus.Stored)}
	following(t, x, d, s)
	text := d.Recognise(t, 1, "order 4711", noon)
	s.events <- stored(t, text) // its fax is not in the index: the document's event comes
	for subject, data := range d.Events {
		if strings.HasPrefix(subject, session.TypeDocAssembled) {
			s.events <- bus.Stored{Subject: subject, Data: data}
		}
	}
	await(t, x, "4711", "fax:1")
	if place, _, err := x.Place(t.Context()); err != nil || place != "7-0-0" {
		t.Errorf("the place is %s, %v", place, err)
	}
}

// A place that the streams have not reached is of streams that were lost: their events may be missing, so the index is made again.
func TestAfterALossOfTheStreamsTheIndexIsMadeAgain(t *testing.T) {
	t.Parallel()
	d, _ := desk(t)
	d.Recognise(t, 1, "order 4711", noon)
	x := opened(t)
	if err := x.Write(t.Context(), search.Update{Place: "500-3-8"}); err != nil {
		t.Fatal(err)
	}
	following(t, x, d, &script{at: bus.Place{9, 4, 9}, events: make(chan bus.Stored)})
	await(t, x, "4711", "fax:1")
}

// Refresh makes the index that of the archive: what is missing comes, what is gone goes, a damaged fax is counted and does not stop it.
func TestRefresh(t *testing.T) {
	t.Parallel()
	d, _ := desk(t)
	d.Recognise(t, 2, "order 4711", noon)
	x := opened(t)
	gone := search.Fax{Session: "gone", Manifest: "m", Status: "complete", Start: noon, Texts: map[int]search.Text{1: {Body: "order 4711"}}}
	if err := x.Write(t.Context(), search.Update{Faxes: []search.Fax{gone}}); err != nil {
		t.Fatal(err)
	}
	d.Objects["faxes/broken/r1/manifest.json"] = []byte("{")
	done, err := Refresh(t.Context(), x, d, 8, slog.New(slog.DiscardHandler), func(Refreshed) {})
	if err != nil || done != (Refreshed{Faxes: 1, Pages: 1, Removed: 1, Broken: 1}) {
		t.Errorf("%+v, %v", done, err)
	}
	if got := found(t, x, "4711"); !slices.Equal(got, []string{"fax:2"}) {
		t.Errorf("found %v", got)
	}
}

// failing is an archive that stops answering at an object, and that calls before each read of a manifest.
type failing struct {
	*pipelinetest.Desk
	at     string
	before func(key string)
}

func (f failing) Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error) {
	if f.at != "" && strings.Contains(key, f.at) {
		return nil, 0, errors.New("the archive is down")
	}
	if f.before != nil {
		f.before(key)
	}
	return f.Desk.Open(ctx, key)
}

// An archive that stops answering ends a refresh, and no fax is taken for one that is gone.
func TestARefreshThatFailsRemovesNothing(t *testing.T) {
	t.Parallel()
	for range 50 { // what fails and what writes run at the same time
		d, _ := desk(t)
		x := opened(t)
		kept := search.Fax{Session: "zzz", Manifest: "m", Status: "complete", Start: noon, Texts: map[int]search.Text{1: {Body: "order 4711"}}}
		if err := x.Write(t.Context(), search.Update{Faxes: []search.Fax{kept}}); err != nil {
			t.Fatal(err)
		}
		down := failing{Desk: d, at: "manifest.json"}
		if _, err := Refresh(t.Context(), x, down, 2, slog.New(slog.DiscardHandler), func(Refreshed) {}); err == nil {
			t.Fatal("the archive is down, and the index is made again")
		}
		if got := found(t, x, "4711"); !slices.Equal(got, []string{"zzz:1"}) {
			t.Fatalf("found %v", got)
		}
	}
}

// A fax that is purged while a refresh reads it is not in the index afterwards, although its text was read.
func TestARefreshBringsNoPurgedFaxBack(t *testing.T) {
	t.Parallel()
	d, _ := desk(t)
	d.Recognise(t, 2, "order 4711", noon)
	x := opened(t)
	purge := failing{Desk: d, before: func(key string) {
		if !archive.IsWords(key) {
			return
		}
		d.Mu.Lock()
		defer d.Mu.Unlock()
		d.Objects[hold.LogPrefix+"fax/0001.purged.json"] = []byte(
			`{"session":"fax","action":"purged","by":"bob","why":"privacy","at":"2026-11-27T12:00:00Z","asked":"a1"}`)
	}}
	if _, err := Refresh(t.Context(), x, purge, 1, slog.New(slog.DiscardHandler), func(Refreshed) {}); err != nil {
		t.Fatal(err)
	}
	if got := found(t, x, "4711"); got != nil {
		t.Errorf("found %v", got)
	}
}

// A word that a hyphen divides at the end of a line is one word, and other hyphens stay.
func TestDividedWords(t *testing.T) {
	var words []text.Word
	for i, line := range []string{"the infor-", "mation of self-", "employed Smith-", "Jones 2026-", "11-24 and pre\u00ad", "paid -", "x"} {
		for w := range strings.FieldsSeq(line) {
			words = append(words, text.Word{Text: w, Line: i + 1, Block: 1})
		}
	}
	got := textOf(words)
	want := search.Text{
		Body:  "the information of selfemployed Smith- Jones 2026- 11-24 and prepaid - x",
		Parts: "infor- mation self- employed pre\u00ad paid",
	}
	if got != want {
		t.Errorf("%+q, want %+q", []string{got.Body, got.Parts}, []string{want.Body, want.Parts})
	}
}
