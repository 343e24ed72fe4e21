package session

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
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

// State is what is known of one session. Its JSON is the KV document. A new session's is State{Session: id}.
//
// Page sets are ranges, so that a fax of any length stays small; what a page looks like stands in its own fact.
type State struct {
	Session     string            `json:"session"`
	Direction   string            `json:"direction"`
	ToToken     string            `json:"to_token,omitempty"`
	From        string            `json:"from,omitempty"`
	To          string            `json:"to,omitempty"`
	NumbersPage int               `json:"numbers_page,omitempty"` // the page that From and To came from; 0: none
	Opened      time.Time         `json:"opened"`                 // first fact stored
	LastSeen    time.Time         `json:"last_seen"`              // last fact of the provider stored
	Announced   Ranges            `json:"announced,omitempty"`
	Usable      Ranges            `json:"usable,omitempty"`
	Cut         Ranges            `json:"cut,omitempty"`     // of Usable, those from the whole file
	Unbound     Ranges            `json:"unbound,omitempty"` // published under UnknownToken only
	Final       Ranges            `json:"final,omitempty"`   // own fetch is over, without success
	Failed      map[Reason]Ranges `json:"failed,omitempty"`  // the last reason of each page
	Seq         uint64            `json:"seq,omitempty"`     // highest of FAX_PAGES seen
	Close       *Closed           `json:"close,omitempty"`   // the best one
	OtherCloses []Closed          `json:"other_closes,omitempty"`
	GraceAt     time.Time         `json:"grace_at,omitzero"` // when its schedule is due; zero: not set
	GraceOver   bool              `json:"grace_over,omitempty"`
	IdleAt      time.Time         `json:"idle_at,omitzero"`
	GivenUp     bool              `json:"given_up,omitempty"` // no close came within Policy.Idle
	WholeN      int               `json:"whole_n,omitempty"`  // orders so far
	WholeOpen   bool              `json:"whole_open,omitempty"`
	WholeTried  Ranges            `json:"whole_tried,omitempty"` // pages asked of the whole file
	FilePages   int               `json:"file_pages,omitempty"`  // pages in the whole file, once known
	Ordered     int               `json:"ordered,omitempty"`     // last revision asked for
	Planned     string            `json:"planned,omitempty"`     // digest of what was asked for
	Document    *DocAssembled     `json:"document,omitempty"`    // last revision that is in the archive
	Effects     []Effect          `json:"effects,omitempty"`     // not yet known to be done
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

func (s State) clone() State {
	s.Failed = maps.Clone(s.Failed)
	s.OtherCloses = slices.Clone(s.OtherCloses)
	s.Effects = slices.Clone(s.Effects)
	return s
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
		s.failed(f.Page, f.Reason)
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

// numbers keeps the numbers of the lowest page that has any; an accepted close overrides them.
func (s *State) numbers(page int, from, to string) {
	if s.Close != nil || from == "" && to == "" || s.NumbersPage != 0 && s.NumbersPage <= page {
		return
	}
	s.NumbersPage, s.From, s.To = page, from, to
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
	s.From, s.To = cmp.Or(s.Close.From, s.From), cmp.Or(s.Close.To, s.To)
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
	switch status = strings.ToLower(status); {
	case status == "success":
		return 2
	case strings.HasPrefix(status, "partially_"):
		return 1
	default:
		return 0
	}
}

func (s *State) archived(f PageArchived) {
	if f.ToToken == UnknownToken {
		if !s.Usable.Has(f.Page) {
			s.Unbound = s.Unbound.Add(f.Page)
		}
	} else {
		s.Unbound = s.Unbound.Remove(f.Page)
	}
	if !s.Usable.Has(f.Page) && f.Source == SourceWholeFile {
		s.Cut = s.Cut.Add(f.Page)
	}
	s.Usable = s.Usable.Add(f.Page)
}

func (s *State) failed(page int, reason Reason) {
	if s.Failed == nil {
		s.Failed = map[Reason]Ranges{}
	}
	for r, pages := range s.Failed {
		if pages = pages.Remove(page); len(pages) == 0 {
			delete(s.Failed, r)
		} else {
			s.Failed[r] = pages
		}
	}
	s.Failed[reason] = s.Failed[reason].Add(page)
}

func (s *State) wholeDone(f WholeDone) {
	if f.N == s.WholeN {
		s.WholeOpen = false
	}
	s.FilePages = max(s.FilePages, f.Pages)
	for page, reason := range f.Lost {
		// What is wrong with the page's own file says more than that the whole file has no such page.
		if _, known := s.reason(page); !known || reason != ReasonNotInFile {
			s.failed(page, reason)
		}
	}
	if f.Object == nil {
		for page := range s.missing().All() {
			if _, known := s.reason(page); !known {
				s.failed(page, f.Reason)
			}
		}
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

// Expected is the pages that the fax has as far as we know: those of the close and those announced.
func (s *State) Expected() Ranges {
	n := s.Announced.Max()
	counted := 0
	if s.Close != nil {
		counted = s.Close.Pages
		if counted == 0 {
			counted = s.FilePages
		}
	} else {
		counted = n
	}
	return Span(1, min(counted, MaxPages)).Union(s.Announced)
}

func (s *State) missing() Ranges { return s.Expected().Minus(s.Usable) }

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
	planned := digest16(rangesText(r.Pages), rangesText(missing), r.Status, r.Reason, closeSubject(s.Close))
	if planned == s.Planned {
		return
	}
	for page := range missing.All() {
		if r.Missing == nil {
			r.Missing = map[int]Reason{}
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

func closeSubject(c *Closed) string {
	if c == nil {
		return ""
	}
	return c.Subject()
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

func (s *State) reason(page int) (Reason, bool) {
	for reason, pages := range s.Failed {
		if pages.Has(page) {
			return reason, true
		}
	}
	return "", false
}

func (s *State) missingReason(page int) Reason {
	if r, ok := s.reason(page); ok {
		return r
	}
	if s.Announced.Has(page) {
		return ReasonNotYet
	}
	return ReasonNotAnnounced
}

// Revision is the newest one in the archive, 0 while there is none.
func (s *State) Revision() int {
	if s.Document == nil {
		return 0
	}
	return s.Document.Revision
}

// Status is the fax's status as people see it.
func (s *State) Status() string {
	if s.Document == nil {
		return StatusReceiving
	}
	return s.Document.Status
}

// PageStatus is a page's status as people see it, with the reason of a failure where there was one.
func (s *State) PageStatus(page int) (status, source string, reason Reason) {
	switch r, _ := s.reason(page); {
	case s.Usable.Has(page) && s.Cut.Has(page):
		return PageStatusArchived, SourceWholeFile, ""
	case s.Usable.Has(page):
		return PageStatusArchived, SourceFetch, ""
	case s.Document != nil || s.GivenUp:
		return PageStatusMissing, "", s.missingReason(page)
	default:
		return PageStatusAnnounced, "", r
	}
}

// Marshal gives the KV document.
func (s State) Marshal() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("ledger of session %s: %w", s.Session, err)
	}
	return b, nil
}

// ParseState reads a KV document.
func ParseState(b []byte) (State, error) {
	var s State
	if err := json.Unmarshal(b, &s); err != nil {
		return State{}, fmt.Errorf("ledger document: %w", err)
	}
	return s, nil
}
