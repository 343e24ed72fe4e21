package bus

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/faxstream/faxstream/pipeline/session"
)

func archived(token, id string, n int) session.PageArchived {
	return session.PageArchived{Session: id, Page: n, ToToken: token, Source: session.SourceFetch, RasterSHA256: fmt.Sprint("hash", n)}
}

func TestPageFactsOfALongFax(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	const pages = 600
	var wg sync.WaitGroup
	for n := 1; n <= pages; n++ {
		wg.Go(func() {
			token := "1334"
			if n <= 20 || n == 500 {
				token = session.UnknownToken
			}
			if n == 300 {
				return // has no fact
			}
			if _, err := b.Record(t.Context(), archived(token, "s", n)); err != nil {
				t.Error(err)
			}
			if n <= 10 { // published again under the number
				if _, err := b.Record(t.Context(), archived("1334", "s", n)); err != nil {
					t.Error(err)
				}
			}
			if n <= 5 { // a neighbour, and what is no such fact
				_, errA := b.Record(t.Context(), archived("1334", "s2", n))
				_, errB := b.Record(t.Context(), session.PageFailed{Session: "s", Page: n, ToToken: "1334", Stage: "fetch", Attempt: 1})
				if errA != nil || errB != nil {
					t.Error(errA, errB)
				}
			}
		})
	}
	wg.Wait()
	wanted := session.Span(2, 400).Union(session.Span(450, pages+5))
	facts, err := b.PageFacts(t.Context(), "s", wanted)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= pages+5; n++ {
		f, ok := facts[n]
		if there := wanted.Has(n) && n != 300 && n <= pages; ok != there {
			t.Fatalf("page %d: read %t, want %t", n, ok, there)
		} else if !there {
			continue
		}
		token := "1334"
		if n > 10 && n <= 20 || n == 500 {
			token = session.UnknownToken
		}
		if f.Page != n || f.Session != "s" || f.ToToken != token {
			t.Fatalf("page %d is %+v, want it under %s", n, f, token)
		}
	}
	if facts, err := b.PageFacts(t.Context(), "nobody", session.Span(1, 3)); err != nil || len(facts) != 0 {
		t.Errorf("a session without facts has %v, %v", facts, err)
	}
	if facts, err := b.PageFacts(t.Context(), "s", nil); err != nil || len(facts) != 0 {
		t.Errorf("no pages have %v, %v", facts, err)
	}
}

func TestPageFactOfOneNumber(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	mustRecord(t, b, archived("1334", "s", 1))
	if f, ok, err := b.PageFact(t.Context(), "1334", "s", 1); err != nil || !ok || f.Page != 1 {
		t.Errorf("the fact is %+v %t %v", f, ok, err)
	}
	for _, token := range []string{session.UnknownToken, "999"} {
		if _, ok, err := b.PageFact(t.Context(), token, "s", 1); err != nil || ok {
			t.Errorf("under %s there is a fact: %t, %v", token, ok, err)
		}
	}
}

func TestFollowGivesNewEventsUntilItIsEnough(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	mustRecord(t, b, archived("1", "old", 1))
	events, ended := make(chan Stored), make(chan error)
	go func() {
		ended <- b.Follow(t.Context(), nil, func(e Stored, _ Place) bool { events <- e; return e.Subject != "fax.v1.doc.ready.1.end.1" })
	}()
	// Follow says nowhere that it began: probe until it answers.
	probing, enough := context.WithCancel(t.Context())
	go func() {
		for n := 1; probing.Err() == nil; n++ {
			if _, err := b.Record(probing, archived("1", "probe", n)); err != nil && probing.Err() == nil {
				t.Error(err)
			}
		}
	}()
	if e := receive(t, events); e.Subject == "fax.v1.page.archived.1.old.1" || EventType(e.Subject) != session.TypePageArchived {
		t.Errorf("the first event is %s", e.Subject)
	}
	enough()
	go func() { _, _ = b.Record(t.Context(), session.DocReady{Session: "end", ToToken: "1", Revision: 1}) }()
	for e := range events {
		if e.Sequence == 0 || e.Time.IsZero() || len(e.Data) == 0 {
			t.Errorf("event %+v", e)
		}
		if e.Subject == "fax.v1.doc.ready.1.end.1" {
			break
		}
	}
	if err := receive(t, ended); err != nil {
		t.Error(err)
	}
}

// A follower that stopped goes on where it was, over all streams, and misses nothing. A place that the streams have not reached is of
// streams that were lost.
func TestFollowGoesOnFromAPlace(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	follow := func(after *Place, n int) (subjects []string, at Place) {
		t.Helper()
		err := b.Follow(t.Context(), after, func(e Stored, p Place) bool {
			subjects, at = append(subjects, e.Subject), p
			return len(subjects) < n
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(subjects)
		return subjects, at
	}
	begin := &Place{}
	mustRecord(t, b, archived("1", "s", 1))
	mustRecord(t, b, session.DocReady{Session: "s", ToToken: "1", Revision: 1})
	first, at := follow(begin, 2)
	mustRecord(t, b, archived("1", "s", 2))
	mustRecord(t, b, session.TextRecognised{Session: "s", Page: 1, ToToken: "1", Words: session.Object{SHA256: "0123456789abcdef"}})
	again, err := ParsePlace(at.String())
	if err != nil || again != at {
		t.Errorf("%s is read as %v, %v", at, again, err)
	}
	next, end := follow(&at, 2)
	want := []string{"fax.v1.page.archived.1.s.2", "fax.v1.text.recognised.1.s.1.0123456789abcdef"}
	before := []string{"fax.v1.doc.ready.1.s.1", "fax.v1.page.archived.1.s.1"}
	if !slices.Equal(first, before) || !slices.Equal(next, want) || end != (Place{2, 1, 1}) {
		t.Errorf("first %v up to %s, then %v up to %s", first, at, next, end)
	}
	lost := &Place{1000, 0, 1000}
	if docs, _ := follow(lost, 1); !slices.Equal(docs, []string{"fax.v1.doc.ready.1.s.1"}) {
		t.Errorf("from a place of other streams: %v", docs)
	}
	for _, bad := range []string{"", "1-2", "1-2-x", "1-2-3-4", "-1-2-3", "1-2-99999999999999999999"} {
		if _, err := ParsePlace(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

func TestEventType(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]string{
		"fax.v1.page.archived.1.s.2": "fax.v1.page.archived", "fax.v1.in.page.s.1": "fax.v1.in.page", "fax.v1.x": "fax.v1.x",
	} {
		if got := EventType(subject); got != want {
			t.Errorf("EventType(%s) is %s, want %s", subject, got, want)
		}
	}
}

// The facts of a session are those of all streams in the order of their times, and of no other session, also when they come in several
// portions.
func TestFactsOfASession(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	var want []string
	put := func(f session.Fact) {
		mustRecord(t, b, f)
		if f.SessionID() == "s" {
			want = append(want, f.Type())
		}
	}
	put(session.PageAnnounced{Session: "s", Page: 1})
	put(session.PageAnnounced{Session: "s2", Page: 1})
	put(session.PageFailed{Session: "s", Page: 1, ToToken: "1334", Stage: "fetch", Attempt: 1})
	for n := range factsAtOnce + 10 {
		put(archived("1334", "s", n+1))
	}
	put(archived("1334", "s2", 1))
	put(session.Closed{Session: "s", Direction: session.Outgoing, Hook: "h", Status: "success", Pages: 2})
	put(session.DocFailed{Session: "s", ToToken: "1334", Revision: 1})
	for _, most := range []int{1, 3, factsAtOnce, factsAtOnce + 1, len(want) - 1, len(want), len(want) + 1} {
		facts, more, err := b.Facts(t.Context(), "s", most)
		var got []string
		for _, f := range facts {
			got = append(got, EventType(f.Subject))
		}
		if err != nil || more != (most < len(want)) || !slices.Equal(got, want[:min(most, len(want))]) {
			t.Errorf("at most %d: %d facts, more %t, %v: %v", most, len(got), more, err, got[:min(5, len(got))])
		}
	}
	if facts, more, err := b.Facts(t.Context(), "nobody", 5); err != nil || more || len(facts) > 0 {
		t.Errorf("of nobody: %v %t %v", facts, more, err)
	}
	if _, _, err := b.Facts(t.Context(), "a.>", 5); err == nil {
		t.Error("a subject is no session")
	}
}
