package session

import "time"

// verifyDelays are the waits before a comparison is tried again after the fetch of the whole file failed. After the last one there
// is no comparison.
var verifyDelays = []time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour, 72 * time.Hour}

// streamed returns the usable pages that were fetched as single pages.
func (s *State) streamed() Ranges { return s.Usable.Minus(s.Cut) }

// comparable reports whether the fax's streamed pages must be compared when the whole file is fetched.
func (s *State) comparable(p Policy) bool {
	return s.Close != nil && s.FoldedInto == "" && s.Direction == Incoming && (p.Reconcile == ReconcileMissing || p.Reconcile == ReconcileAll)
}

// uncompared returns the pages that have no comparison yet, and for which the whole file must be ordered.
func (s *State) uncompared(p Policy) Ranges {
	if p.Reconcile != ReconcileAll || !s.comparable(p) || s.WholeOpen || !s.VerifyAt.IsZero() {
		return nil
	}
	return s.streamed().Minus(s.Compared)
}

// compare orders the whole file to compare streamed pages. No document waits for it.
func (s *State) compare(p Policy) {
	if pages := s.uncompared(p); len(pages) > 0 {
		s.orderWhole(p, nil, false, pages)
	}
}

// compareLater sets a timer for a new comparison, because the fetch of the file failed.
func (s *State) compareLater(at time.Time) {
	if len(s.Comparing) == 0 || s.VerifyTries >= len(verifyDelays) {
		return
	}
	s.arm(TimerVerify, &s.VerifyAt, at.Add(verifyDelays[s.VerifyTries]))
	s.VerifyTries++
	s.Compared = s.Compared.Minus(s.Comparing)
}

// verified folds a verdict. The verdict of the newest order counts.
func (s *State) verified(f DocVerified) {
	if f.N <= s.VerdictN {
		return
	}
	s.VerdictN = f.N
	s.Agreed = s.Agreed.Minus(f.Compared).Union(f.Agreed)
	s.Differing = s.Differing.Minus(f.Compared).Union(f.Differing)
	s.unrepair(f.Compared)
	s.dispute(f)
	if pages := f.Repaired.Minus(s.Lost); len(pages) > 0 {
		s.Repairs = append(s.Repairs, Repairs{Report: f.Report, Pages: pages})
	}
}

// unrepair removes the repairs of pages.
func (s *State) unrepair(pages Ranges) { s.Repairs = without(s.Repairs, pages) }

// without removes pages, in place.
func without(all []Repairs, pages Ranges) []Repairs {
	rest := all[:0]
	for _, r := range all {
		if r.Pages = r.Pages.Minus(pages); len(r.Pages) > 0 {
			rest = append(rest, r)
		}
	}
	if len(rest) == 0 {
		return nil // as after its JSON
	}
	return rest
}

// Repaired returns the streamed pages whose image comes from the whole file.
func (s *State) Repaired() Ranges {
	var all Ranges
	for _, r := range s.Repairs {
		if !r.Decoded && !r.Chosen {
			all = all.Union(r.Pages)
		}
	}
	return all
}

// Verification returns the result of the comparison with the whole file: one of the Verification constants.
func (s *State) Verification() string {
	streamed := s.streamed()
	switch {
	case len(s.Disputed()) > 0:
		return VerificationDiffers
	case len(s.Usable) > 0 && len(streamed.Minus(s.Agreed).Minus(s.Repaired()).Minus(s.chosen())) == 0:
		if len(s.chosen().Intersect(streamed)) > 0 {
			return VerificationChosen
		}
		return VerificationVerified
	case s.WholeOpen && len(s.Comparing) > 0 || !s.VerifyAt.IsZero():
		return VerificationPending
	case len(s.Compared) == 0:
		return VerificationNone
	}
	return VerificationUnavailable
}

func repairsText(rs []Repairs) string {
	text := ""
	for _, r := range rs {
		text += r.Report.SHA256 + ":" + rangesText(r.Pages) + ";"
	}
	return text
}
