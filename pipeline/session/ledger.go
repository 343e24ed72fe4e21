package session

import (
	"cmp"
	"fmt"
	"slices"
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

	// PartialUncounted: neither the close nor the whole file says how many pages there are; some may be missing that nobody knows of.
	PartialUncounted = "page_count_unknown"
)

// Policy is how long a session waits. The zero value waits for nothing.
type Policy struct {
	Grace     time.Duration // after the close, for pages whose own fetch is not over
	Idle      time.Duration // without any word of the provider, until a fax without a close is looked into
	GiveUp    time.Duration // without any word, until it is given up; only with Ask, else after Idle
	Ask       bool          // the provider's record says whether an idle fax is over
	WholeFor  time.Duration // how long the whole file is tried
	Streaming bool          // single pages can be fetched: an unannounced page may still come during Grace
	Reconcile string        // what streamed pages are compared with the whole file; "": ReconcileOff
}

// When streamed pages are compared with the whole file.
const (
	ReconcileOff     = "off"     // never
	ReconcileMissing = "missing" // when the file is fetched anyway, because pages are missing
	ReconcileAll     = "all"     // always
)

// Event is one thing that the ledger folds: a fact or a timer's firing.
type Event struct {
	At      time.Time // when JetStream stored it; the ledger's only clock
	Seq     uint64    // in FAX_PAGES; 0 for the others
	ToToken string    // the bound receiving number, "" while nobody holds one
	Owner   string    // of a close: the session that has claimed its file before; empty: this one
	Fact    Fact      // PageAnnounced, Closed, PageArchived, PageFailed, WholeDone, DocVerified, DocAssembled, DocFailed, RecordSaid, Again or Kept; nil for a timer
	Timer   Timer     // where Fact is nil
}

// Effect is one short publish that a state owes. Exactly one field is set. Effects are repeatable: the payload is fixed here.
type Effect struct {
	Timer  *Timer        `json:"timer,omitempty"`
	Whole  *WholeOrdered `json:"whole,omitempty"`
	Ask    *RecordAsked  `json:"ask,omitempty"`
	Ready  *DocReady     `json:"ready,omitempty"`
	Rebind Ranges        `json:"rebind,omitempty"` // publish these pages again, under the number
}

// maxOtherCloses bounds what a provider that never stops closing can add to a ledger.
const maxOtherCloses = 8

// Next folds one event into a state and returns the new state, whose Effects has what the event made due after
// the effects that were there. It changes nothing in s. An error means that the event can never be folded.
func Next(p Policy, s State, e Event) (State, error) {
	if s.Purged {
		return s, nil
	}
	s = s.clone()
	if e.ToToken != "" && e.ToToken != UnknownToken {
		s.ToToken = cmp.Or(s.ToToken, e.ToToken)
	}
	if err := s.fold(p, e); err != nil {
		return State{}, err
	}
	s.Seq = max(s.Seq, e.Seq)
	now := e.At
	if s.LastSeen.After(now) { // of facts that were folded before it, as another stream's may be
		now = s.LastSeen
	}
	s.settle(p, now)
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
		first := s.Close == nil
		s.closed(f)
		// A document that was made after a close stays the session's own. One that was made for want of a close was a guess.
		if e.Owner != "" && e.Owner != s.Session && first {
			s.FoldedInto = e.Owner
		}
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
		s.wholeDone(f, e.At)
	case DocVerified:
		s.verified(f)
	case DocAssembled:
		if s.Document == nil || f.Revision > s.Document.Revision {
			s.Document = &f
		}
	case DocFailed:
		s.docFailed(f)
	case RecordSaid:
		s.said(p, f, e.At)
	case Again:
		s.again(f)
	case Kept:
		s.kept(f)
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
		s.accept(f)
		s.GraceAt, s.GraceFor = time.Time{}, nil // one that was waited for before, when the fax was given up, was not after the close
	case s.Close.Subject() == f.Subject():
		return
	case better(f, *s.Close):
		s.record(*s.Close)
		s.accept(f)
	default:
		s.record(f)
	}
	s.Direction = s.Close.Direction
	s.renumber()
}

// accept takes f for the truth. When it says something new the provider may have another file now: it is asked again.
func (s *State) accept(f Closed) {
	if closeDigest(s.Close) != f.Digest() {
		s.WholeTried, s.AllTried = nil, false
		s.Compared, s.VerifyTries = nil, 0
	}
	s.Close = &f
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
	if s.Lost.Has(f.Page) {
		return // a repeat: a page has one fact, and what it points to is gone
	}
	if f.ToToken == UnknownToken {
		if !s.Usable.Has(f.Page) {
			s.Unbound = s.Unbound.Add(f.Page)
		}
	} else {
		s.Unbound = s.Unbound.Remove(f.Page)
	}
	// Of the facts under `unknown` and under the number, the document uses the number's: it says where the page is from, whatever
	// the order's end says.
	if underNumber := f.ToToken != UnknownToken || s.ToToken == ""; underNumber || !s.Usable.Has(f.Page) {
		if f.Source == SourceWholeFile {
			s.Cut = s.Cut.Add(f.Page)
		} else {
			s.Cut = s.Cut.Remove(f.Page)
		}
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
	all := s.Lost
	for _, pages := range s.Failed {
		all = all.Union(pages)
	}
	return all
}

func (s *State) wholeDone(f WholeDone, at time.Time) {
	s.FilePages = max(s.FilePages, min(f.Pages, MaxPages))
	current := f.N > 0 && f.N == s.WholeN
	if current {
		s.WholeOpen = false
		s.cut(f)
		if f.Object == nil {
			s.compareLater(at)
		}
	}
	lost := f.Lost.byReason()
	for reason, pages := range lost {
		if reason != ReasonNotInFile {
			s.failed(pages, reason)
		}
	}
	// What is wrong with the page's own file says more than that the whole file has no such page.
	beyond := lost[ReasonNotInFile]
	if current && s.WholeAll && f.Pages > 0 { // all that it has: what it has not is not listed
		beyond = beyond.Union(s.missing().Intersect(s.WholeTried).Minus(inFile(f)))
	}
	s.failed(beyond.Minus(s.explained()), ReasonNotInFile)
	if f.Object == nil {
		s.failed(s.missing().Minus(s.explained()), f.Reason)
	}
}

func inFile(f WholeDone) Ranges { return Span(1, min(f.Pages, MaxPages)) }

// cut counts the pages that the newest order gave: their own facts are stored before this one, but come on another stream
// and may be folded later. Without this a document could be ordered as partial in between.
func (s *State) cut(f WholeDone) {
	if f.Object == nil {
		return
	}
	got := inFile(f)
	if !s.WholeAll {
		got = got.Intersect(s.WholeWanted)
	} else if s.AllTried { // no better close came since
		s.WholeTried = s.WholeTried.Union(got)
	}
	got = got.Minus(s.Usable).Minus(s.Lost)
	for _, lost := range f.Lost.byReason() {
		got = got.Minus(lost)
	}
	s.Usable, s.Cut = s.Usable.Union(got), s.Cut.Union(got)
	if f.ToToken == UnknownToken {
		s.Unbound = s.Unbound.Union(got)
	}
}

// docFailed gives up the revision in flight and the pages that it failed at. One that is in the archive all the same, or
// was given up before, is left alone.
func (s *State) docFailed(f DocFailed) {
	if f.Revision != s.Ordered || !s.inFlight() {
		return
	}
	s.Void = f.Revision
	lost := f.Pages.Intersect(s.Usable)
	s.Lost = s.Lost.Union(lost)
	s.Usable, s.Cut, s.Unbound = s.Usable.Minus(lost), s.Cut.Minus(lost), s.Unbound.Minus(lost)
	s.unrepair(lost)
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
		s.GraceAt = time.Time{}
	case t.Kind == TimerIdle && t.Due.Equal(s.IdleAt):
		deadline := s.LastSeen.Add(p.Idle)
		switch {
		case s.Close != nil:
			s.IdleAt = time.Time{}
		case at.Before(deadline):
			s.arm(TimerIdle, &s.IdleAt, deadline)
		case p.Ask:
			s.IdleAt = time.Time{}
			s.ask()
		default:
			s.IdleAt, s.GivenUp = time.Time{}, true
		}
	case t.Kind == TimerVerify && t.Due.Equal(s.VerifyAt):
		s.VerifyAt = time.Time{}
	}
}

// Timers is the schedules that the session waits for.
func (s *State) Timers() []Timer {
	if s.FoldedInto != "" {
		return nil
	}
	var timers []Timer
	for kind, due := range map[string]time.Time{TimerGrace: s.GraceAt, TimerIdle: s.IdleAt, TimerVerify: s.VerifyAt} {
		if !due.IsZero() {
			timers = append(timers, Timer{Kind: kind, Session: s.Session, Due: due})
		}
	}
	slices.SortFunc(timers, func(a, b Timer) int { return cmp.Compare(a.Kind, b.Kind) })
	return timers
}

// arm sets a schedule, rounded up to the millisecond that its subject can say.
func (s *State) arm(kind string, at *time.Time, due time.Time) {
	due = due.Add(time.Millisecond - 1).Truncate(time.Millisecond).UTC()
	*at = due
	s.Effects = append(s.Effects, Effect{Timer: &Timer{Kind: kind, Session: s.Session, Due: due}})
}
