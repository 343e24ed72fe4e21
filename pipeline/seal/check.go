package seal

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
)

// Report is what checking the seals came to.
type Report struct {
	Seals   int      `json:"seals"`
	Entries int      `json:"entries"`
	First   string   `json:"first,omitempty"` // day of the first seal
	Last    string   `json:"last,omitempty"`
	Signed  int      `json:"signed"`
	Gaps    uint64   `json:"gaps"`   // sequences without an entry: messages of the readiness check, or entries deleted from FAX_AUDIT before they were sealed
	Faults  []string `json:"faults"` // a sentence each
}

// Check checks that the days up to until have an unbroken chain of seals, each as it was written: no entry and no seal was altered,
// added, removed or put in another's place. What the archive alone cannot tell: that the first days were removed and the chain begun
// anew with all days behind them; and, where seals are not signed, that the newest one was replaced. No seal at all is
// no fault, but proves nothing. An error: the archive could not be read.
func Check(ctx context.Context, a archive.Reader, until time.Time, keys []ed25519.PublicKey) (Report, error) {
	report := Report{Faults: []string{}}
	fault := func(format string, args ...any) { report.Faults = append(report.Faults, fmt.Sprintf(format, args...)) }
	var previous sealedDay
	for key, err := range a.List(ctx, prefix, "") {
		if err != nil {
			return report, fmt.Errorf("list %s: %w", prefix, err)
		}
		day, ok := sealDay(key)
		if !ok {
			fault("%s: no seal has such a name", key)
			continue
		}
		seal, sum, err := readSeal(ctx, a, day, func(Entry) error { return nil }, keys...)
		if err != nil && !errors.Is(err, errSeal) {
			return report, err
		}
		here := sealedDay{seal, day, sum}
		if err != nil {
			fault("%v", err)
		} else {
			report.Entries += seal.Entries
			report.Gaps += seal.Last - seal.After - uint64(seal.Entries)
			if seal.KeyID != "" {
				report.Signed++
			}
			if what := here.follows(previous); what != "" {
				fault("%s: %s", key, what)
			}
		}
		if report.Seals++; report.First == "" {
			report.First = day.Format(time.DateOnly)
		}
		report.Last = day.Format(time.DateOnly)
		previous = here
	}
	if report.Seals > 0 && previous.day.Before(dayOf(until)) {
		fault("the days after %s up to %s have no seal: they were removed, or faxstream serve has not run since", report.Last, dayOf(until).Format(time.DateOnly))
	}
	return report, nil
}

// follows says what keeps a seal from being the next one after previous; empty: nothing.
func (s sealedDay) follows(previous sealedDay) string {
	after := uint64(0)
	if s.Stream.Equal(previous.Stream) {
		after = previous.Last
	}
	switch {
	case previous.day.IsZero() && s.Previous != "":
		return "a seal went before it, and it is gone"
	case !previous.day.IsZero() && s.day != previous.day.AddDate(0, 0, 1):
		return "the seals of the days after " + previous.Day + " are gone"
	case s.Previous != previous.sum:
		return "it was not made after the seal of " + previous.Day + " that is there: one of the two was put there later"
	case s.After != after && previous.SHA256 != "": // else the one before is spoilt, which is told
		return fmt.Sprintf("it begins after entry %d, but the one before ends with %d", s.After, after)
	}
	return ""
}
