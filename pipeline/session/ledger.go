package session

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxPages is the highest valid page number.
const MaxPages = 10_000

// Reasons of a partial document, in addition to the provider's own status.
const (
	PartialNoClose = "no_close"      // no close came for Policy.Idle, or Policy.GiveUp
	PartialMissing = "missing_pages" // the manifest says which and why
	PartialNoPages = "no_pages"      // closed, but neither the close nor the whole file has a page

	// PartialUncounted: neither the close nor the whole file says how many pages there are; unknown pages may be missing.
	PartialUncounted = "page_count_unknown"
)

// Policy says how long a session waits. The zero value waits for nothing.
type Policy struct {
	Grace     time.Duration // how long after the close pages may come whose own fetch still runs
	Idle      time.Duration // how long a fax without a close may be silent before its record is asked for, or it is given up
	GiveUp    time.Duration // how long it may be silent before it is given up; only with Ask
	Ask       bool          // true: the provider's record decides whether an idle fax is over
	WholeFor  time.Duration // how long a fetch of the whole file is retried
	Streaming bool          // single pages can be fetched: an unannounced page may still come during Grace
	Reconcile string        // which streamed pages are compared with the whole file; "": ReconcileOff
}

// When streamed pages are compared with the whole file.
const (
	ReconcileOff     = "off"     // never
	ReconcileMissing = "missing" // if the file is fetched anyway, because pages are missing
	ReconcileAll     = "all"     // always
)

// Event is one thing that the ledger folds: a fact or a timer that has fired.
type Event struct {
	At      time.Time // when JetStream stored it; the ledger's only clock
	Seq     uint64    // sequence in FAX_PAGES; 0 for other streams
	ToToken string    // the bound receiving number, "" while none is bound
	Owner   string    // of a close: the session that has claimed its file before; empty: this one

	// Fact is a PageAnnounced, Closed, PageArchived, PageFailed, WholeDone, DocVerified, DocAssembled, DocFailed, RecordSaid, Again or
	// Kept; nil for a timer.
	Fact  Fact
	Timer Timer // used if Fact is nil
}

// Effect is one short publish that is due. Exactly one field is set. It may be repeated: the payload is fixed here.
type Effect struct {
	Timer  *Timer        `json:"timer,omitempty"`
	Whole  *WholeOrdered `json:"whole,omitempty"`
	Ask    *RecordAsked  `json:"ask,omitempty"`
	Ready  *DocReady     `json:"ready,omitempty"`
	Rebind Ranges        `json:"rebind,omitempty"` // publish these pages again, under the number
}

// maxOtherCloses limits how many different closes a ledger stores.
const maxOtherCloses = 8

// Next folds one event into a state and returns the new state. Its Effects are those of s, followed by the effects that the
// event made due. Next does not change s. An error means that the event can never be folded.
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
	if s.LastSeen.After(now) { // a later fact of another stream may be folded before
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
		// If the session has a document that was made after a close, it is not folded. One that was made without a close was a guess.
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
		return fmt.Errorf("the ledger cannot fold a fact of type %T", e.Fact)
	}
	return nil
}

func checkPage(page int) error {
	if page < 1 || page > MaxPages {
		return fmt.Errorf("page %d: want 1 to %d", page, MaxPages)
	}
	return nil
}

// seen records that the provider sent an event of the session. The first one sets the idle timer.
func (s *State) seen(p Policy, direction string, at time.Time) {
	if s.Opened.IsZero() {
		s.Direction, s.Opened = direction, at
		s.arm(TimerIdle, &s.IdleAt, at.Add(p.Idle))
	}
	if at.After(s.LastSeen) {
		s.LastSeen = at
	}
}

// numbers stores the numbers of the lowest page that has any.
func (s *State) numbers(page int, from, to string) {
	if from == "" && to == "" || s.NumbersPage != 0 && s.NumbersPage <= page {
		return
	}
	s.NumbersPage, s.PageFrom, s.PageTo = page, from, to
	s.renumber()
}

// renumber sets the numbers: those of the accepted close, else those of the pages.
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
		s.GraceAt, s.GraceFor = time.Time{}, nil // a grace time of a fax that was given up before does not count
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

// accept makes f the accepted close. If its content is new, the provider may have another file now: it is fetched again.
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

// better is a total order of closes, so that the accepted one does not depend on the order in which they come.
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
	if f.Source == SourceFetch { // it has the numbers of the announcement, which may be folded later
		s.numbers(f.Page, f.From, f.To)
	}
	if s.Lost.Has(f.Page) {
		return // a repeat: a page has one fact, and its object is gone
	}
	if f.ToToken == UnknownToken {
		if !s.Usable.Has(f.Page) {
			s.Unbound = s.Unbound.Add(f.Page)
		}
	} else {
		s.Unbound = s.Unbound.Remove(f.Page)
	}
	// A page may have a fact under `unknown` and one under the number. The document uses the second one, so its source counts.
	if underNumber := f.ToToken != UnknownToken || s.ToToken == ""; underNumber || !s.Usable.Has(f.Page) {
		if f.Source == SourceWholeFile {
			s.Cut = s.Cut.Add(f.Page)
		} else {
			s.Cut = s.Cut.Remove(f.Page)
		}
	}
	s.Usable = s.Usable.Add(f.Page)
}

// failed stores the last reason of pages.
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

// explained returns the pages that have a reason.
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
	// A reason from the page's own file says more than that the whole file has no such page.
	beyond := lost[ReasonNotInFile]
	if current && s.WholeAll && f.Pages > 0 { // the order was for all pages of the file: f does not list pages that the file lacks
		beyond = beyond.Union(s.missing().Intersect(s.WholeTried).Minus(inFile(f)))
	}
	s.failed(beyond.Minus(s.explained()), ReasonNotInFile)
	if f.Object == nil {
		s.failed(s.missing().Minus(s.explained()), f.Reason)
	}
}

func inFile(f WholeDone) Ranges { return Span(1, min(f.Pages, MaxPages)) }

// cut adds the pages that the newest order cut from the file. Their own facts are stored before this one, but in another
// stream, and may be folded later. Without this a partial document could be ordered in between.
func (s *State) cut(f WholeDone) {
	if f.Object == nil {
		return
	}
	got := inFile(f)
	if !s.WholeAll {
		got = got.Intersect(s.WholeWanted)
	} else if s.AllTried { // no better close came after the order
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

// docFailed gives up the revision in flight and the pages at which it failed. If that revision is in the archive, or was
// given up before, nothing changes.
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

// fire folds a timer. The ledger decides by its own deadlines: early, old and repeated timers change nothing, but an early
// one is set again, since no other schedule is waiting.
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

// Timers returns the schedules that the session waits for.
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

// arm sets a schedule, rounded up to a millisecond, the unit in its subject.
func (s *State) arm(kind string, at *time.Time, due time.Time) {
	due = due.Add(time.Millisecond - 1).Truncate(time.Millisecond).UTC()
	*at = due
	s.Effects = append(s.Effects, Effect{Timer: &Timer{Kind: kind, Session: s.Session, Due: due}})
}
