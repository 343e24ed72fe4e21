package session

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// TestEveryOrderOfSixPagesAndTheirClose plays all 5,040 orders of the webhooks of a fax, with every page archived at once, before its
// announcement, or last of all; facts repeat, and revisions are assembled at once or late. The last order of a document is the same.
func TestEveryOrderOfSixPagesAndTheirClose(t *testing.T) {
	const pages = 6
	rng := rand.New(rand.NewPCG(1, 2))
	var want string
	n := 0
	permute(pages+1, func(order []int) {
		n++
		steps := shuffledHistory(rng, order, pages, n%3)
		h := newHistory(t, streaming())
		h.quick = true
		h.play(steps...)
		for revision := 1; h.state.Revision() < h.state.Ordered; revision++ {
			assembled(h.state.Revision() + 1)(h)
		}
		last := lastReady(h)
		if last == nil {
			t.Fatalf("order %v: no document was ordered", order)
		}
		last.Seq, last.Revision = 0, 0
		text, err := json.Marshal(last)
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			want = string(text)
		}
		if string(text) != want {
			t.Fatalf("order %v (%d):\n%s\nfirst order gave\n%s", order, n%3, text, want)
		}
		if last.Status != StatusComplete || last.Pages.Len() != pages || last.From != "+491" {
			t.Fatalf("order %v: %s with %d pages from %q", order, last.Status, last.Pages.Len(), last.From)
		}
	})
	if n != 5040 {
		t.Fatalf("%d orders were played, want 5,040", n)
	}
}

// shuffledHistory: pages are archived after their announcement (0), all before the first webhook (1), or anywhere (2).
func shuffledHistory(rng *rand.Rand, order []int, pages, when int) []step {
	closed := closing(Closed{Status: "success", Pages: pages, File: "f"}) // without numbers: they are page 1's
	var steps []step
	for _, i := range order {
		if i == pages {
			steps = append(steps, closed)
			continue
		}
		steps = append(steps, announced(i+1))
		if when == 0 {
			steps = append(steps, archivedPages(i+1))
		}
	}
	for p := 1; when > 0 && p <= pages; p++ {
		at := 0
		if when == 2 {
			at = rng.IntN(len(steps) + 1)
		}
		steps = slices.Insert(steps, at, archivedPages(p))
	}
	for range 4 { // repeats, and documents that are done in between
		repeat := steps[rng.IntN(len(steps))]
		steps = slices.Insert(steps, rng.IntN(len(steps)+1), repeat, assembledIfOrdered)
	}
	return steps
}

func assembledIfOrdered(h *history) {
	if h.state.Revision() < h.state.Ordered {
		assembled(h.state.Ordered)(h)
	}
}

func lastReady(h *history) *DocReady {
	for _, e := range slices.Backward(h.state.Effects) {
		if e.Ready != nil {
			ready := *e.Ready
			return &ready
		}
	}
	return nil
}

// TestRandomHistoriesEndWithTheTruth plays random facts, timers and outcomes. Whatever the order: revisions are asked for one by one, and
// once the timers are over the last document has exactly the pages that were archived, and its status says so.
func TestRandomHistoriesEndWithTheTruth(t *testing.T) {
	runs := 2000
	if testing.Short() {
		runs = 200
	}
	for seed := range runs {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { randomHistory(t, uint64(seed)) })
	}
}

func randomHistory(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 7))
	count := 1 + rng.IntN(6)
	policy := streaming()
	policy.Streaming = rng.IntN(4) > 0
	h := play(t, policy)
	have := Ranges(nil)
	archive := func(p int) {
		source := SourceFetch
		if have.Has(p) { // the first fact of a page stands
			return
		}
		have = have.Add(p)
		archivedAs(testToken, source, p)(h)
	}
	var ended bool
	for range 5 + rng.IntN(40) {
		p := 1 + rng.IntN(count)
		switch rng.IntN(9) {
		case 0, 1, 2:
			announced(p)(h)
		case 3, 4:
			archive(p)
		case 5:
			failing(p, ReasonNotYet, rng.IntN(2) == 0)(h)
		case 6:
			success(count)(h)
			ended = true
		case 7:
			assembledIfOrdered(h)
		case 8:
			fireAll(h)
		}
		if h.state.Ordered > h.state.Revision()+1 {
			t.Fatalf("revision %d is ordered while %d is in the archive", h.state.Ordered, h.state.Revision())
		}
	}
	if !ended {
		success(count)(h)
	}
	have = settleDown(h, rng, have)
	last := lastReady(h)
	if last == nil {
		t.Fatalf("no document\n%s", dump(t, h.state))
	}
	missing := h.state.Expected().Minus(have)
	if !reflect.DeepEqual(last.Pages, have) && pagesText(last.Pages) != pagesText(have) {
		t.Fatalf("last document has pages %s, archived are %s", pagesText(last.Pages), pagesText(have))
	}
	if (last.Status == StatusPartial) != (len(missing) > 0) || len(last.Missing) != missing.Len() {
		t.Fatalf("last document is %s, missing %v; really missing: %s", last.Status, last.Missing, pagesText(missing))
	}
	if h.state.Status() != last.Status {
		t.Fatalf("the fax is %s, its last document %s", h.state.Status(), last.Status)
	}
}

// settleDown lets every timer fire and ends every order, until the ledger asks for nothing more. The whole file has some pages.
func settleDown(h *history, rng *rand.Rand, have Ranges) Ranges {
	for range 50 {
		before := dump(h.t, h.state)
		fireAll(h)
		if h.state.WholeOpen {
			have = endWhole(h, rng, have)
		}
		assembledIfOrdered(h)
		if dump(h.t, h.state) == before {
			return have
		}
	}
	h.t.Fatalf("the ledger never comes to rest\n%s", dump(h.t, h.state))
	return nil
}

// endWhole: the whole file has its first pages; their facts come before, after or never before the order's end.
func endWhole(h *history, rng *rand.Rand, have Ranges) Ranges {
	var order *WholeOrdered
	for _, e := range h.state.Effects {
		if e.Whole != nil {
			order = e.Whole
		}
	}
	if rng.IntN(4) == 0 {
		wholeFailed(order.N, ReasonUnavailable)(h)
		return have
	}
	inFile := 1 + rng.IntN(6)
	lost := PageReasons{}
	wanted := order.Wanted
	if len(wanted) == 0 {
		wanted = Span(1, inFile)
	}
	var facts []step
	for p := range wanted.All() {
		if p > inFile {
			lost[p] = ReasonNotInFile
			continue
		}
		if !have.Has(p) {
			facts = append(facts, cutPages(p))
		}
		have = have.Add(p)
	}
	facts = append(facts, wholeCut(order.N, inFile, lost))
	rng.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
	for _, f := range facts {
		f(h)
	}
	return have
}

// fireAll fires every timer that was ever set, at its time or when the clock is past it: most are stale.
func fireAll(h *history) {
	for _, e := range slices.Clone(h.state.Effects) {
		if e.Timer != nil {
			if h.now.Before(e.Timer.Due) {
				h.now = e.Timer.Due
			}
			h.feed(Event{Timer: *e.Timer})
		}
	}
}

// TestLedgerOfALongFaxStaysSmall: the document of a 10,000-page fax stays under 16 KiB in every order that a fax line and a pool of
// fetchers can produce, with its last effects in it.
func TestLedgerOfALongFaxStaysSmall(t *testing.T) {
	const pages, limit = MaxPages, 16 << 10
	rng := rand.New(rand.NewPCG(3, 4))
	window := func(w int) []int {
		order := make([]int, pages)
		for i := range order {
			order[i] = i + 1
		}
		for i := 0; i < pages; i += w {
			part := order[i:min(i+w, pages)]
			rng.Shuffle(len(part), func(a, b int) { part[a], part[b] = part[b], part[a] })
		}
		return order
	}
	backwards := window(1)
	slices.Reverse(backwards)
	for _, row := range []struct {
		name     string
		order    []int
		failFrom func(page int) bool
	}{
		{"in order", window(1), nil},
		{"backwards", backwards, nil},
		{"shuffled within 16", window(16), nil},
		{"shuffled within 256", window(256), nil},
		{"one page in a hundred fails", window(16), func(p int) bool { return p%100 == 0 }},
		{"the second half fails", window(16), func(p int) bool { return p > pages/2 }},
		{"nothing but the close", nil, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, largest := State{Session: testSession}, 0
			next := func(e Event) {
				e.At = testStart
				s.Effects = nil // done
				var err error
				if s, err = Next(streaming(), s, e); err != nil {
					t.Fatal(err)
				}
			}
			size := func() {
				if n := len(dump(t, s)); n > largest {
					largest = n
				}
			}
			for i, p := range row.order {
				next(Event{Fact: PageAnnounced{Session: testSession, Page: p, From: "+1", To: "+2"}})
				if row.failFrom != nil && row.failFrom(p) {
					next(Event{Fact: PageFailed{Session: testSession, Page: p, Reason: ReasonNotYet, Final: true}})
				} else {
					next(Event{Seq: uint64(i), Fact: PageArchived{Session: testSession, Page: p, ToToken: "2", Source: SourceFetch}})
				}
				if i%64 == 63 {
					size()
				}
			}
			next(Event{ToToken: "2", Fact: Closed{Session: testSession, Direction: Incoming, Status: "success", Pages: pages}})
			size()
			next(Event{Timer: Timer{Kind: TimerGrace, Session: testSession, Due: s.GraceAt}, Fact: nil})
			size()
			if s.WholeOpen {
				next(Event{Fact: WholeDone{Session: testSession, N: s.WholeN, Reason: ReasonNotYet}})
				size()
			}
			if s.Ordered != 1 && row.order != nil && row.failFrom == nil {
				t.Errorf("no document was ordered")
			}
			if largest > limit {
				t.Errorf("the ledger took %d bytes, want at most %d", largest, limit)
			}
			t.Logf("largest ledger: %d bytes", largest)
		})
	}
}

// A fact of a long fax stays a small message.
func TestFactsOfALongFaxStaySmall(t *testing.T) {
	lost := PageReasons{}
	for p := 1; p <= MaxPages; p++ {
		lost[p] = ReasonNotInFile
	}
	for _, f := range []Fact{
		WholeDone{Session: testSession, Lost: lost},
		DocReady{Session: testSession, Missing: lost},
		WholeOrdered{Session: testSession, Wanted: Span(1, MaxPages)},
	} {
		b, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 1024 {
			t.Errorf("a %T of %d pages takes %d bytes", f, MaxPages, len(b))
		}
	}
}
