package session

import "time"

// verifyDelays is when a comparison is tried again for which the whole file could not be had; after the last one it stays undone.
var verifyDelays = []time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour, 72 * time.Hour}

// streamed is the pages that were fetched by themselves.
func (s *State) streamed() Ranges { return s.Usable.Minus(s.Cut) }

// comparable reports whether the fax's streamed pages are to be compared when the whole file is fetched.
func (s *State) comparable(p Policy) bool {
	return s.Close != nil && s.FoldedInto == "" && s.Direction == Incoming && (p.Reconcile == ReconcileMissing || p.Reconcile == ReconcileAll)
}

// uncompared is the pages for which the whole file is to be ordered, because nobody has compared them yet.
func (s *State) uncompared(p Policy) Ranges {
	if p.Reconcile != ReconcileAll || !s.comparable(p) || s.WholeOpen || !s.VerifyAt.IsZero() {
		return nil
	}
	return s.streamed().Minus(s.Compared)
}

// compare orders the whole file for streamed pages. No document waits for it.
func (s *State) compare(p Policy) {
	if pages := s.uncompared(p); len(pages) > 0 {
		s.orderWhole(p, nil, false, pages)
	}
}

// compareLater notes that the file could not be had.
func (s *State) compareLater(at time.Time) {
	if len(s.Comparing) == 0 || s.VerifyTries >= len(verifyDelays) {
		return
	}
	s.arm(TimerVerify, &s.VerifyAt, at.Add(verifyDelays[s.VerifyTries]))
	s.VerifyTries++
	s.Compared = s.Compared.Minus(s.Comparing)
}

// verified folds a verdict. The newest order's counts.
func (s *State) verified(f DocVerified) {
	if f.N <= s.VerdictN {
		return
	}
	s.VerdictN = f.N
	s.Agreed = s.Agreed.Minus(f.Compared).Union(f.Agreed)
	s.Differing = s.Differing.Minus(f.Compared).Union(f.Differing)
	s.unrepair(f.Compared)
	if pages := f.Repaired.Minus(s.Lost); len(pages) > 0 {
		s.Repairs = append(s.Repairs, Repairs{Report: f.Report, Pages: pages})
	}
}

// unrepair forgets repairs of pages.
func (s *State) unrepair(pages Ranges) {
	kept := s.Repairs[:0]
	for _, r := range s.Repairs {
		if r.Pages = r.Pages.Minus(pages); len(r.Pages) > 0 {
			kept = append(kept, r)
		}
	}
	s.Repairs = kept
}

// Repaired is the pages whose image is the whole file's though they were streamed.
func (s *State) Repaired() Ranges {
	var all Ranges
	for _, r := range s.Repairs {
		if !r.Decoded {
			all = all.Union(r.Pages)
		}
	}
	return all
}

// Verification says what comparing with the whole file has come to.
func (s *State) Verification() string {
	streamed := s.streamed()
	switch {
	case len(s.Differing.Intersect(streamed)) > 0:
		return VerificationDiffers
	case len(s.Usable) > 0 && len(streamed.Minus(s.Agreed).Minus(s.Repaired())) == 0:
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
