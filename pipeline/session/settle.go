package session

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// settle decides what the state as it is now asks for.
func (s *State) settle(p Policy, now time.Time) {
	if s.Opened.IsZero() || s.FoldedInto != "" || s.Purged {
		return // a page's own fact came before the announcement that opens the session; or another session has the document, or nobody
	}
	if s.ToToken != "" && len(s.Unbound) > 0 {
		s.Effects = append(s.Effects, Effect{Rebind: s.Unbound})
		s.Unbound = nil
	}
	if s.Close == nil && !s.GivenUp || s.inFlight() {
		return
	}
	wanted := s.missing().Minus(s.Lost) // the one fact of a lost page would go on pointing to what is gone
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

// mayGive reports whether the open order for the whole file can still bring a wanted page, or how many there are.
func (s *State) mayGive(wanted Ranges) bool {
	if s.WholeAll {
		return len(wanted) > 0 || s.uncounted()
	}
	return len(wanted.Intersect(s.WholeWanted)) > 0
}

// askWhole orders the wanted pages from the whole file: all that it has where nobody knows how many there are. Streamed
// pages that are there are compared on the way.
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
	if len(compare) > 0 {
		w.Revision = max(s.Ordered, 1)
	}
	s.Effects = append(s.Effects, Effect{Whole: w})
}

// waits reports whether a wanted page may still come by itself. Pages that became expected after the last grace get one of their own.
func (s *State) waits(p Policy, wanted Ranges, now time.Time) bool {
	if s.Direction == Outgoing {
		return false
	}
	coming, unknown := wanted.Minus(s.Final), s.uncounted()
	if !p.Streaming { // nothing comes unannounced
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

// order asks for a revision where the last one asked for says something else. Pages that were cut from the whole file while nobody
// knew how many there are, and that a better close does not count, are left out.
func (s *State) order(p Policy, missing Ranges) {
	r := DocReady{
		Session: s.Session, Direction: s.Direction, ToToken: cmp.Or(s.ToToken, UnknownToken), Revision: s.Ordered + 1,
		From: s.From, To: s.To, Pages: s.Usable.Minus(s.Cut.Minus(s.Expected())), Close: s.Close, Seq: s.Seq, Previous: s.Revision(),
	}
	r.Status, r.Reason = s.verdict(missing)
	r.Verification, r.Repairs = s.Verification(), s.Repairs
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

// planned identifies what an order asks for. Reasons of missing pages are not in it: a document is not made anew for another
// word on a slip sheet. Nor is the verification, but for the images that it changes. The number is, so that those who wait
// for its faxes hear of one that had to go to unknown.
func planned(r DocReady, missing Ranges) string {
	return digest16(rangesText(r.Pages), rangesText(missing), r.Status, r.Reason, closeDigest(r.Close), repairsText(r.Repairs), r.ToToken)
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
	case s.uncounted():
		return StatusPartial, PartialUncounted
	case len(missing) > 0:
		return StatusPartial, PartialMissing
	case len(s.Cut.Intersect(s.Announced)) > 0:
		return StatusRecovered, ""
	default:
		return StatusComplete, ""
	}
}
