package session

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxPages is the highest page number that is taken for one.
const MaxPages = 10_000

// Reasons of a partial document beside the provider's own status.
const (
	PartialNoClose = "no_close"      // nothing was heard for Policy.Idle
	PartialMissing = "missing_pages" // the manifest says which and why
	PartialNoPages = "no_pages"      // closed, but neither the close nor the whole file has a page
)

// Policy is how long a session waits. The zero value waits for nothing.
type Policy struct {
	Grace     time.Duration // after the close, for pages whose own fetch is not over
	Idle      time.Duration // without any fact, until a fax without a close is given up
	WholeFor  time.Duration // how long the whole file is tried
	Streaming bool          // single pages can be fetched: an unannounced page may still come during Grace
}

// Event is one thing that the ledger folds: a fact or a timer's firing.
type Event struct {
	At      time.Time // when JetStream stored it; the ledger's only clock
	Seq     uint64    // in FAX_PAGES; 0 for the others
	ToToken string    // the bound receiving number, "" while nobody holds one
	Fact    Fact      // PageAnnounced, Closed, PageArchived, PageFailed, WholeDone or DocAssembled; nil for a timer
	Timer   Timer     // where Fact is nil
}

// Effect is one short publish that a state owes. Exactly one field is set. Effects are repeatable: the payload is fixed here.
type Effect struct {
	Timer  *Timer        `json:"timer,omitempty"`
	Whole  *WholeOrdered `json:"whole,omitempty"`
	Ready  *DocReady     `json:"ready,omitempty"`
	Rebind Ranges        `json:"rebind,omitempty"` // publish these pages again, under the number
}

// maxOtherCloses bounds what a provider that never stops closing can add to a ledger.
const maxOtherCloses = 8

// Next folds one event into a state and returns the new state, whose Effects has what the event made due after
// the effects that were there. It changes nothing in s. An error means that the event can never be folded.
func Next(p Policy, s State, e Event) (State, error) {
	s = s.clone()
	if e.ToToken != "" && e.ToToken != UnknownToken {
		s.ToToken = cmp.Or(s.ToToken, e.ToToken)
	}
	if err := s.fold(p, e); err != nil {
		return State{}, err
	}
	s.Seq = max(s.Seq, e.Seq)
	s.settle(p, e.At)
	return s, nil
}

func (s *State) fold(p Policy, e Event) error {
	switch f := e.Fact.(type) {
	case nil:
		s.fire(p, e.Timer, e.At)
	case PageAnnounced:
		if err := checkPage(f.Page); err != nil {
			return err
		}
		s.seen(p, Incoming, e.At)
		s.Announced = s.Announced.Add(f.Page)
		s.numbers(f.Page, f.From, f.To)
	case Closed:
		s.seen(p, f.Direction, e.At)
		s.closed(f)
	case PageArchived:
		if err := checkPage(f.Page); err != nil {
			return err
		}
		s.archived(f)
	case PageFailed:
		if err := checkPage(f.Page); err != nil {
			return err
		}
		s.failed(Span(f.Page, f.Page), f.Reason)
		if f.Final {
			s.Final = s.Final.Add(f.Page)
		}
	case WholeDone:
		s.wholeDone(f)
	case DocAssembled:
		if s.Document == nil || f.Revision > s.Document.Revision {
			s.Document = &f
		}
	default:
		return fmt.Errorf("the ledger does not fold a %T", e.Fact)
	}
	return nil
}

func checkPage(page int) error {
	if page < 1 || page > MaxPages {
		return fmt.Errorf("page %d: want 1 to %d", page, MaxPages)
	}
	return nil
}

// seen notes that the provider spoke of the session, and sets the idle timer with the first word.
func (s *State) seen(p Policy, direction string, at time.Time) {
	if s.Opened.IsZero() {
		s.Direction, s.Opened = direction, at
		s.arm(TimerIdle, &s.IdleAt, at.Add(p.Idle))
	}
	if at.After(s.LastSeen) {
		s.LastSeen = at
	}
}

// numbers keeps the numbers of the lowest page that has any.
func (s *State) numbers(page int, from, to string) {
	if from == "" && to == "" || s.NumbersPage != 0 && s.NumbersPage <= page {
		return
	}
	s.NumbersPage, s.PageFrom, s.PageTo = page, from, to
	s.renumber()
}

// renumber prefers what the accepted close says, whichever came first.
func (s *State) renumber() {
	s.From, s.To = s.PageFrom, s.PageTo
	if s.Close != nil {
		s.From, s.To = cmp.Or(s.Close.From, s.From), cmp.Or(s.Close.To, s.To)
	}
}

func (s *State) closed(f Closed) {
	switch {
	case s.Close == nil:
		s.Close = &f
	case s.Close.Subject() == f.Subject():
		return
	case better(f, *s.Close):
		s.record(*s.Close)
		s.Close = &f
	default:
		s.record(f)
	}
	s.Direction = s.Close.Direction
	s.renumber()
}

func (s *State) record(f Closed) {
	same := func(o Closed) bool { return o.Subject() == f.Subject() }
	if len(s.OtherCloses) < maxOtherCloses && !slices.ContainsFunc(s.OtherCloses, same) {
		s.OtherCloses = append(s.OtherCloses, f)
	}
}

// better orders closes totally, so that the accepted one does not depend on the order of arrival.
func better(a, b Closed) bool {
	return cmp.Or(
		cmp.Compare(closeRank(a.Status), closeRank(b.Status)),
		cmp.Compare(a.Pages, b.Pages),
		cmp.Compare(a.Subject(), b.Subject())) > 0
}

func closeRank(status string) int {
	switch status = normalStatus(status); {
	case status == "success":
		return 2
	case strings.HasPrefix(status, "partially_"):
		return 1
	default:
		return 0
	}
}

func (s *State) archived(f PageArchived) {
	if f.Source == SourceFetch { // the announcement's numbers: it may be folded later
		s.numbers(f.Page, f.From, f.To)
	}
	if f.ToToken == UnknownToken {
		if !s.Usable.Has(f.Page) {
			s.Unbound = s.Unbound.Add(f.Page)
		}
	} else {
		s.Unbound = s.Unbound.Remove(f.Page)
	}
	switch {
	case f.Source != SourceWholeFile:
		s.Cut = s.Cut.Remove(f.Page) // its own fetch was stored first, whatever the order's end says
	case !s.Usable.Has(f.Page):
		s.Cut = s.Cut.Add(f.Page)
	}
	s.Usable = s.Usable.Add(f.Page)
}

// failed notes the reason of pages, their last one.
func (s *State) failed(pages Ranges, reason Reason) {
	if len(pages) == 0 {
		return
	}
	if s.Failed == nil {
		s.Failed = map[Reason]Ranges{}
	}
	for r, others := range s.Failed {
		if others = others.Minus(pages); len(others) == 0 {
			delete(s.Failed, r)
		} else {
			s.Failed[r] = others
		}
	}
	s.Failed[reason] = s.Failed[reason].Union(pages)
}

// explained is the pages that have a reason.
func (s *State) explained() Ranges {
	var all Ranges
	for _, pages := range s.Failed {
		all = all.Union(pages)
	}
	return all
}

func (s *State) wholeDone(f WholeDone) {
	if f.N == s.WholeN {
		s.WholeOpen = false
	}
	s.FilePages = max(s.FilePages, min(f.Pages, MaxPages))
	s.cut(f)
	lost := f.Lost.byReason()
	for reason, pages := range lost {
		if reason != ReasonNotInFile {
			s.failed(pages, reason)
		}
	}
	// What is wrong with the page's own file says more than that the whole file has no such page.
	s.failed(lost[ReasonNotInFile].Minus(s.explained()), ReasonNotInFile)
	if f.Object == nil {
		s.failed(s.missing().Minus(s.explained()), f.Reason)
	}
}

// cut counts the pages that an order gave: their own facts are stored before this one, but come on another stream and
// may be folded later. Without this a document could be ordered as partial in between.
func (s *State) cut(f WholeDone) {
	if f.Object == nil || f.N != s.WholeN {
		return
	}
	if len(s.WholeTried) == 0 { // an order for whatever the file has
		s.WholeTried = Span(1, s.FilePages)
	}
	got := s.WholeTried.Intersect(Span(1, min(f.Pages, MaxPages))).Minus(s.Usable)
	for _, lost := range f.Lost.byReason() {
		got = got.Minus(lost)
	}
	s.Usable, s.Cut = s.Usable.Union(got), s.Cut.Union(got)
	if f.ToToken == UnknownToken {
		s.Unbound = s.Unbound.Union(got)
	}
}

// fire folds a timer. The ledger decides by its own deadlines: early, stale and repeated firings change nothing,
// but an early one is set again, since no other schedule is outstanding.
func (s *State) fire(p Policy, t Timer, at time.Time) {
	switch {
	case t.Kind == TimerGrace && t.Due.Equal(s.GraceAt):
		if at.Before(s.GraceAt) {
			s.arm(TimerGrace, &s.GraceAt, s.GraceAt.Add(time.Millisecond))
			return
		}
		s.GraceOver = true
	case t.Kind == TimerIdle && t.Due.Equal(s.IdleAt):
		deadline := s.LastSeen.Add(p.Idle)
		switch {
		case s.Close != nil:
			s.IdleAt = time.Time{}
		case at.Before(deadline):
			s.arm(TimerIdle, &s.IdleAt, deadline)
		default:
			s.IdleAt, s.GivenUp = time.Time{}, true
		}
	}
}

// arm sets a schedule, rounded up to the millisecond that its subject can say.
func (s *State) arm(kind string, at *time.Time, due time.Time) {
	due = due.Add(time.Millisecond - 1).Truncate(time.Millisecond).UTC()
	*at = due
	s.Effects = append(s.Effects, Effect{Timer: &Timer{Kind: kind, Session: s.Session, Due: due}})
}

// settle decides what the state as it is now asks for.
func (s *State) settle(p Policy, now time.Time) {
	if s.Opened.IsZero() {
		return // a page's own fact came before the announcement that opens the session
	}
	if s.ToToken != "" && len(s.Unbound) > 0 {
		s.Effects = append(s.Effects, Effect{Rebind: s.Unbound})
		s.Unbound = nil
	}
	if s.Close == nil && !s.GivenUp || s.Revision() < s.Ordered || s.WholeOpen {
		return
	}
	missing := s.missing()
	untried := missing.Minus(s.WholeTried)
	uncounted := len(s.Expected()) == 0 && s.WholeN == 0
	if len(untried) == 0 && !uncounted {
		s.order(missing)
		return
	}
	if s.waits(p, missing) && !s.GraceOver {
		if s.GraceAt.IsZero() {
			s.arm(TimerGrace, &s.GraceAt, now.Add(p.Grace))
		}
		return
	}
	s.WholeN++
	s.WholeOpen = true
	s.WholeTried = s.WholeTried.Union(missing)
	s.Effects = append(s.Effects, Effect{Whole: &WholeOrdered{
		Session: s.Session, N: s.WholeN, From: s.From, To: s.To, Wanted: missing, Until: now.Add(p.WholeFor).UTC(),
	}})
}

// waits reports whether a missing page may still come by itself.
func (s *State) waits(p Policy, missing Ranges) bool {
	if s.Direction == Outgoing {
		return false
	}
	if p.Streaming {
		return len(missing.Minus(s.Final)) > 0 || len(s.Expected()) == 0
	}
	return len(missing.Intersect(s.Announced).Minus(s.Final)) > 0
}

// order asks for a revision where the last one asked for says something else.
func (s *State) order(missing Ranges) {
	r := DocReady{
		Session: s.Session, Direction: s.Direction, ToToken: cmp.Or(s.ToToken, UnknownToken), Revision: s.Ordered + 1,
		From: s.From, To: s.To, Pages: s.Usable, Close: s.Close, Seq: s.Seq,
	}
	r.Status, r.Reason = s.verdict(missing)
	// Reasons of missing pages are not in the digest: a document is not made anew for another word on a slip sheet.
	planned := digest16(rangesText(r.Pages), rangesText(missing), r.Status, r.Reason, closeDigest(s.Close))
	if planned == s.Planned {
		return
	}
	for page := range missing.All() {
		if r.Missing == nil {
			r.Missing = PageReasons{}
		}
		r.Missing[page] = s.missingReason(page)
	}
	s.Ordered, s.Planned = r.Revision, planned
	s.Effects = append(s.Effects, Effect{Ready: &r})
}

func rangesText(r Ranges) string {
	var b strings.Builder
	for _, x := range r {
		b.WriteString(strconv.Itoa(x.First) + "-" + strconv.Itoa(x.Last) + ",")
	}
	return b.String()
}

// closeDigest is what a close says, not which webhook said it: a sent fax that is retried is closed again in the same words.
func closeDigest(c *Closed) string {
	if c == nil {
		return ""
	}
	return c.Digest()
}

// verdict is the document's status and, for a partial one, why.
func (s *State) verdict(missing Ranges) (status, reason string) {
	switch {
	case s.Close == nil:
		return StatusPartial, PartialNoClose
	case closeRank(s.Close.Status) < 2:
		return StatusPartial, cmp.Or(s.Close.Status, "unknown_status")
	case len(s.Usable) == 0 && len(missing) == 0:
		return StatusPartial, PartialNoPages
	case len(missing) > 0:
		return StatusPartial, PartialMissing
	case len(s.Cut.Intersect(s.Announced)) > 0:
		return StatusRecovered, ""
	default:
		return StatusComplete, ""
	}
}
