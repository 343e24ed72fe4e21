package session

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// settle adds the effects that the present state needs.
func (s *State) settle(p Policy, now time.Time) {
	if s.Opened.IsZero() || s.FoldedInto != "" || s.Purged {
		return // not opened yet (a page's fact came before its announcement), or there is no document of this session
	}
	if s.ToToken != "" && len(s.Unbound) > 0 {
		s.Effects = append(s.Effects, Effect{Rebind: s.Unbound})
		s.Unbound = nil
	}
	if s.Close == nil && !s.GivenUp || s.inFlight() {
		return
	}
	wanted := s.missing().Minus(s.Lost) // a lost page stays lost: it has only one fact, and its object is gone
	if s.WholeOpen && s.mayGive(wanted) {
		return
	}
	if len(wanted.Minus(s.WholeTried)) == 0 && (s.AllTried || !s.uncounted()) {
		s.order(p, s.missing())
		s.compare(p)
		return
	}
	if s.WholeOpen || s.waits(p, wanted, now) {
		return
	}
	s.askWhole(p, wanted)
}

// mayGive reports whether the open order for the whole file can still bring a wanted page, or the number of pages.
func (s *State) mayGive(wanted Ranges) bool {
	if s.WholeAll {
		return len(wanted) > 0 || s.uncounted()
	}
	return len(wanted.Intersect(s.WholeWanted)) > 0
}

// askWhole orders the wanted pages from the whole file; all of its pages, if their number is unknown. The same order compares
// the streamed pages.
func (s *State) askWhole(p Policy, wanted Ranges) {
	s.WholeTried = s.WholeTried.Union(wanted)
	all := s.uncounted()
	s.AllTried = s.AllTried || all
	var compare Ranges
	if s.comparable(p) {
		compare = s.streamed().Minus(s.Compared)
	}
	s.orderWhole(p, wanted, all, compare)
}

func (s *State) orderWhole(p Policy, wanted Ranges, all bool, compare Ranges) {
	s.WholeN++
	s.WholeOpen, s.WholeWanted, s.WholeAll = true, wanted, all
	s.Comparing, s.Compared = compare, s.Compared.Union(compare)
	w := &WholeOrdered{
		Session: s.Session, N: s.WholeN, From: s.From, To: s.To, Wanted: wanted, All: all, Compare: compare, TryFor: p.WholeFor,
	}
	if s.Close != nil && s.Close.Pages > 0 {
		w.Counted = s.Close.Pages
	}
	if len(compare) > 0 {
		w.Revision = max(s.Ordered, 1)
	}
	s.Effects = append(s.Effects, Effect{Whole: w})
}

// waits reports whether a wanted page may still come by its own fetch. Pages that became expected after the last grace time get a
// new one.
func (s *State) waits(p Policy, wanted Ranges, now time.Time) bool {
	if s.Direction == Outgoing {
		return false
	}
	coming, unknown := wanted.Minus(s.Final), s.uncounted()
	if !p.Streaming { // no page comes without an announcement
		coming, unknown = coming.Intersect(s.Announced), false
	}
	switch {
	case len(coming) == 0 && !unknown:
		return false
	case !s.GraceAt.IsZero():
		return true
	case len(coming.Minus(s.GraceFor)) == 0 && (!unknown || s.GraceAll):
		return false
	}
	s.arm(TimerGrace, &s.GraceAt, now.Add(p.Grace))
	s.GraceFor, s.GraceAll = s.Expected(), s.GraceAll || unknown
	return true
}

// order orders a revision if its content differs from the last order. It leaves out pages that were cut from the whole file while
// their number was unknown, and that a better close does not count.
func (s *State) order(p Policy, missing Ranges) {
	r := DocReady{
		Session: s.Session, Direction: s.Direction, ToToken: cmp.Or(s.ToToken, UnknownToken), Revision: s.Ordered + 1,
		From: s.From, To: s.To, Pages: s.Usable.Minus(s.Cut.Minus(s.Expected())), Close: s.Close, Seq: s.Seq, Previous: s.Revision(),
	}
	r.Status, r.Reason = s.verdict(missing)
	r.Verification, r.Repairs, r.Choices = s.Verification(), s.Repairs, s.Choices
	if len(s.uncompared(p)) > 0 {
		r.Verification = VerificationPending
	}
	planned := planned(r, missing)
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

// planned identifies the content of an order. It does not contain the reasons of missing pages: for another word on a slip
// sheet there is no new document. It contains the verification only by the images that it changes. It contains the number, so
// that subscribers of the number get a fax that was first published under unknown.
func planned(r DocReady, missing Ranges) string {
	return digest16(
		rangesText(r.Pages), rangesText(missing), r.Status, r.Reason, closeDigest(r.Close), repairsText(r.Repairs)+choicesText(r.Choices),
		r.ToToken,
	)
}

func rangesText(r Ranges) string {
	var b strings.Builder
	for _, x := range r {
		b.WriteString(strconv.Itoa(x.First) + "-" + strconv.Itoa(x.Last) + ",")
	}
	return b.String()
}

// closeDigest identifies the content of a close, not its webhook: a retried sent fax is closed again with the same content.
func closeDigest(c *Closed) string {
	if c == nil {
		return ""
	}
	return c.Digest()
}

// verdict returns the document's status and, if it is partial, the reason.
func (s *State) verdict(missing Ranges) (status, reason string) {
	switch {
	case s.Close == nil:
		return StatusPartial, PartialNoClose
	case closeRank(s.Close.Status) < 2:
		return StatusPartial, cmp.Or(s.Close.Status, "unknown_status")
	case len(s.Usable) == 0 && len(missing) == 0:
		return StatusPartial, PartialNoPages
	case s.uncounted():
		return StatusPartial, PartialUncounted
	case len(missing) > 0:
		return StatusPartial, PartialMissing
	case len(s.Cut.Intersect(s.beyond().Minus(s.Announced))) > 0:
		return StatusRecovered, RecoveredBeyond
	case len(s.Cut.Intersect(s.Announced)) > 0:
		return StatusRecovered, ""
	default:
		return StatusComplete, ""
	}
}
