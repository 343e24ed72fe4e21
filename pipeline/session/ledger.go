package session

import (
	"cmp"
	"fmt"
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

// RecoveredBeyond is the reason of a recovered document: the whole file has more pages than the provider counts, and they are in it.
const RecoveredBeyond = "more_pages_than_counted"

// Policy says how long a session waits. The zero value waits for nothing.
type Policy struct {
	Grace     time.Duration // how long after the close, and after an outage, pages may come whose own fetch still runs
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

	// Fact is a PageAnnounced, Closed, PageArchived, PageFailed, WholeDone, DocVerified, DocAssembled, DocFailed, RecordSaid, Again,
	// Kept or Desk; nil for a timer.
	Fact   Fact
	Timer  Timer  // used if Fact is nil
	Outage Outage // of a timer for which State.EndsWait is true: what the process knows of archive and provider
}

// Effect is one short publish that is due. Exactly one field is set. It may be repeated: the payload is fixed here.
type Effect struct {
	Timer  *Timer        `json:"timer,omitempty"`
	Whole  *WholeOrdered `json:"whole,omitempty"`
	Ask    *RecordAsked  `json:"ask,omitempty"`
	Ready  *DocReady     `json:"ready,omitempty"`
	Rebind Ranges        `json:"rebind,omitempty"` // publish these pages again, under the number
}

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
		s.fire(p, e.Timer, e.Outage, e.At)
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
		if s.Opened.IsZero() && f.Source == SourceFetch { // the announcement is in another stream and may be folded later
			s.seen(p, Incoming, e.At)
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
	case Desk:
		s.worked(f)
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
		if f.cut() {
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
