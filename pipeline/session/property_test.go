package session

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
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
		last.Seq, last.Revision, last.Previous = 0, 0, 0
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
	if h.state.inFlight() {
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

// TestRandomHistoriesEndWithTheTruth plays random facts, timers and outcomes. In every order of events, revisions are ordered one by
// one, and after all timers the last document has exactly the pages that were archived and not lost, with the right status.
func TestRandomHistoriesEndWithTheTruth(t *testing.T) {
	runs := 2000
	if testing.Short() {
		runs = 200
	}
	for seed := range runs {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { newRandomFax(t, uint64(seed)).run() })
	}
}

// randomFax is a fax and what is true of it, beside its ledger.
type randomFax struct {
	*history
	rng        *rand.Rand
	count      int // pages that can be announced
	closeCount int // what the last close says; 0: nothing
	closed     bool
	have       Ranges // archived once
	lost       Ranges // of them, not any more
	filePages  int    // pages of the longest whole file
	newest     int    // pages of the newest one
	checked    int    // effects, by checkOrders
}

func newRandomFax(t *testing.T, seed uint64) *randomFax {
	rng := rand.New(rand.NewPCG(seed, 7))
	f := &randomFax{rng: rng, count: 1 + rng.IntN(6)}
	f.closeCount = f.count
	if rng.IntN(4) == 0 {
		f.closeCount = 0
	}
	policy := streaming()
	policy.Streaming = rng.IntN(4) > 0
	f.history = newHistory(t, policy)
	return f
}

func (f *randomFax) run() {
	for range 5 + f.rng.IntN(40) {
		f.something()
		f.checkOrders()
	}
	if !f.closed {
		f.close()
	}
	f.settleDown()
	f.check()
}

// checkOrders: one revision in flight at a time, and a page that was lost before is not asked of the whole file.
func (f *randomFax) checkOrders() {
	if s := f.state; s.Ordered > max(s.Revision(), s.Void)+1 {
		f.t.Fatalf("revision %d is ordered while %d is in flight", s.Ordered, s.Ordered-1)
	}
	for _, e := range f.state.Effects[f.checked:] {
		if e.Whole != nil && len(e.Whole.Wanted.Intersect(f.lost)) > 0 {
			f.t.Fatalf("lost pages %s are asked of the whole file", pagesText(e.Whole.Wanted.Intersect(f.lost)))
		}
	}
	f.checked = len(f.state.Effects)
}

func (f *randomFax) close() {
	f.closed = true
	success(f.closeCount)(f.history)
}

func (f *randomFax) something() {
	h, p := f.history, 1+f.rng.IntN(f.count)
	switch f.rng.IntN(11) {
	case 0, 1, 2:
		announced(p)(h)
	case 3, 4:
		f.archive(p)
	case 5:
		failing(p, ReasonNotYet, f.rng.IntN(2) == 0)(h)
	case 6:
		f.close()
	case 7:
		assembledIfOrdered(h)
	case 8:
		fireAll(h)
	case 9:
		closing(Closed{Status: "partially_received", Pages: f.rng.IntN(7)})(h)
	case 10:
		f.failDocument()
	}
}

// archive: the page's own fetch succeeded, or a fact that stands already is delivered again.
func (f *randomFax) archive(p int) {
	source := SourceFetch
	if f.have.Has(p) && f.state.Cut.Has(p) {
		source = SourceWholeFile
	}
	f.have = f.have.Add(p)
	archivedAs(testToken, source, p)(f.history)
}

// failDocument: the revision in flight cannot be made, for a page or two, or for no page's sake. Repeats come too.
func (f *randomFax) failDocument() {
	f.checkOrders() // those until now
	if !f.state.inFlight() {
		docFailed(f.rng.IntN(f.state.Ordered+2), Span(1, 6))(f.history)
		return
	}
	order, pages := lastReady(f.history), Ranges(nil)
	for range f.rng.IntN(3) {
		p := 1 + f.rng.IntN(6)
		if order.Pages.Has(p) {
			pages = pages.Add(p)
		}
	}
	f.lost = f.lost.Union(pages)
	docFailed(order.Revision, pages)(f.history)
}

// settleDown lets every timer fire and ends every order, until the ledger asks for nothing more. The whole file has some pages.
func (f *randomFax) settleDown() {
	for range 50 {
		before := dump(f.t, f.state)
		fireAll(f.history)
		if f.state.WholeOpen {
			f.endWhole()
		}
		if f.rng.IntN(8) == 0 && f.state.inFlight() {
			f.failDocument()
		}
		f.checkOrders()
		assembledIfOrdered(f.history)
		if dump(f.t, f.state) == before {
			return
		}
	}
	f.t.Fatalf("the ledger never comes to rest\n%s", dump(f.t, f.state))
}

// endWhole: the whole file has its first pages; their facts come before or after the order's end.
func (f *randomFax) endWhole() {
	var order *WholeOrdered
	for _, e := range f.state.Effects {
		if e.Whole != nil {
			order = e.Whole
		}
	}
	if f.rng.IntN(4) == 0 {
		wholeFailed(order.N, ReasonUnavailable)(f.history)
		return
	}
	inFile := 1 + f.rng.IntN(6)
	f.filePages, f.newest = max(f.filePages, inFile), inFile
	var beyond Ranges
	if order.Counted > 0 && inFile > order.Counted {
		beyond = Span(order.Counted+1, inFile)
	}
	lost := PageReasons{}
	wanted := order.Wanted
	if order.All {
		wanted = wanted.Union(Span(1, inFile))
	}
	wanted = wanted.Union(beyond)
	var facts []step
	for p := range wanted.All() {
		if p > inFile {
			lost[p] = ReasonNotInFile
			continue
		}
		facts = append(facts, cutPages(p)) // for one that is there it changes nothing
		f.have = f.have.Add(p)
	}
	facts = append(facts, wholeCutBeyond(order.N, inFile, beyond, lost))
	f.rng.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
	for _, fact := range facts {
		fact(f.history)
	}
}

func (f *randomFax) check() {
	t, s := f.t, f.state
	last := lastReady(f.history)
	if last == nil {
		t.Fatalf("no document\n%s", dump(t, s))
	}
	expected := Span(1, f.closeCount).Union(s.Announced).Union(f.lost)
	if f.closeCount == 0 {
		expected = expected.Union(Span(1, f.filePages))
	} else {
		expected = expected.Union(Span(1, f.newest)) // what is in the file was sent, whatever the provider counts
	}
	have := f.have.Minus(f.lost)
	missing := expected.Minus(have)
	have = have.Minus(s.Cut.Minus(expected)) // cut while nobody had counted them, and not counted since
	if pagesText(last.Pages) != pagesText(have) {
		t.Fatalf("last document has pages %s, archived are %s, lost %s", pagesText(last.Pages), pagesText(f.have), pagesText(f.lost))
	}
	if len(last.Missing) != missing.Len() {
		t.Fatalf("last document misses %v; really missing: %s", last.Missing, pagesText(missing))
	}
	unknown := f.closeCount == 0 && f.filePages == 0
	if (last.Status == StatusPartial) != (len(missing) > 0 || unknown) {
		t.Fatalf("last document is %s; missing: %s, page count unknown: %t", last.Status, pagesText(missing), unknown)
	}
	for p := range f.lost.All() {
		if last.Missing[p] != ReasonLost {
			t.Fatalf("page %d is missing as %q, want %q", p, last.Missing[p], ReasonLost)
		}
	}
	want := last.Status
	if s.Void == s.Ordered && s.Revision() < s.Void {
		want = StatusPartial // it could not be made
	}
	if s.Status() != want {
		t.Fatalf("the fax is %s, its last document %s", s.Status(), last.Status)
	}
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

// TestALatePageOfALongFaxCostsTheLedgerNoMore: the last 64 of 2,000 pages cost at most 1.2 times the memory and the bytes of 64 pages from
// page 321 on. They come in order, or shuffled as by a pool of fetchers. (Go allocates nothing for numbers below 256, so these pages are no
// measure.)
func TestALatePageOfALongFaxCostsTheLedgerNoMore(t *testing.T) {
	const part, pool = 64, 16
	for _, shuffled := range []bool{false, true} {
		place := rand.New(rand.NewPCG(1, 2)).Perm(pool)
		order := make([]int, 2000)
		for i := range order {
			if order[i] = i + 1; shuffled {
				order[i] = i - i%pool + place[i%pool] + 1
			}
		}
		written := 0
		add := func(s State, pages []int) State {
			for _, p := range pages {
				for _, f := range []Fact{
					PageAnnounced{Session: testSession, Page: p, From: "+1", To: "+2"},
					PageArchived{Session: testSession, Page: p, ToToken: "2", Source: SourceFetch},
				} {
					s.Effects = nil // done
					var err error
					if s, err = Next(streaming(), s, Event{At: testStart, Fact: f}); err != nil {
						t.Fatal(err)
					}
					data, err := s.Marshal()
					if err != nil {
						t.Fatal(err)
					}
					written += len(data)
				}
			}
			return s
		}
		cost := func(from int) (allocs, size float64) {
			s := add(State{Session: testSession}, order[:from])
			written = 0
			allocs = testing.AllocsPerRun(1, func() { add(s, order[from:from+part]) })
			return allocs, float64(written)
		}
		allocs, size := cost(5 * part)
		lateAllocs, lateSize := cost(len(order) - part)
		if lateAllocs > 1.2*allocs || lateSize > 1.2*size {
			t.Errorf("shuffled %t: late pages cost %.0f allocations and %.0f bytes, early ones %.0f and %.0f",
				shuffled, lateAllocs, lateSize, allocs, size)
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
			if row.failFrom != nil { // then every 96th page is lost, one at a time
				for s.inFlight() && s.Lost.Len() < 100 {
					p := 96*(s.Lost.Len()+1) - 1
					next(Event{Fact: DocFailed{Session: testSession, ToToken: "2", Revision: s.Ordered, Pages: Span(p, p)}})
					size()
				}
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
