package seal

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
)

// Report is the result of Check.
type Report struct {
	Seals   int    `json:"seals"`
	Entries int    `json:"entries"`
	First   string `json:"first,omitempty"` // day of the first seal
	Last    string `json:"last,omitempty"`
	Signed  int    `json:"signed"`
	Parts   int    `json:"parts"`    // seals of parts of a day
	InParts int    `json:"in_parts"` // entries that only parts have: of today, or of a FAX_AUDIT that was lost
	// Gaps counts sequences without an entry: messages of the readiness check, or entries that were deleted before they were sealed.
	Gaps   uint64   `json:"gaps"`
	Faults []string `json:"faults"` // a sentence each
}

// Check checks that the days up to until have an unbroken chain of seals, each as it was written: no entry and no seal was altered, added,
// removed or moved. It checks parts in the same way, and that the daily seals have their entries. The archive alone cannot show that
// somebody removed the first days and wrote all later seals again, or, if seals are not signed, that somebody replaced the newest one. An
// archive without seals has no fault, but proves nothing. An error: the archive cannot be read.
func Check(ctx context.Context, a archive.Reader, until time.Time, keys []ed25519.PublicKey) (Report, error) {
	report := Report{Faults: []string{}}
	fault := func(format string, args ...any) { report.Faults = append(report.Faults, fmt.Sprintf(format, args...)) }
	chain := newPartCheck(ctx, a, keys, fault)
	defer chain.stop()
	var previous sealedDay
	for key, err := range a.List(ctx, prefix, "") {
		if err != nil {
			return report, fmt.Errorf("list %s: %w", prefix, err)
		}
		day, ok := sealDay(key)
		if !ok {
			fault("%s: this is not the name of a seal", key)
			continue
		}
		var entries []mark
		seal, sum, err := readSeal(ctx, a, day, func(e Entry) error { entries = append(entries, markOf(e)); return nil }, keys...)
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
			if err := chain.day(key, seal, entries); err != nil {
				return report, err
			}
		}
		if report.Seals++; report.First == "" {
			report.First = day.Format(time.DateOnly)
		}
		report.Last = day.Format(time.DateOnly)
		previous = here
	}
	if err := chain.rest(); err != nil {
		return report, err
	}
	report.Parts, report.InParts = chain.read, chain.only
	if report.Seals > 0 && previous.day.Before(dayOf(until)) {
		fault("the days after %s up to %s have no seal: they were removed, or faxstream serve has not run since",
			report.Last, dayOf(until).Format(time.DateOnly))
	}
	return report, nil
}

// follows says why a seal cannot be the next one after previous; empty: it is.
func (s sealedDay) follows(previous sealedDay) string {
	after := uint64(0)
	if s.Stream.Equal(previous.Stream) {
		after = previous.Last
	}
	switch {
	case previous.day.IsZero() && s.Previous != "":
		return "the seal before it is missing"
	case !previous.day.IsZero() && s.day != previous.day.AddDate(0, 0, 1):
		return "the seals of the days after " + previous.Day + " are missing"
	case s.Previous != previous.sum:
		return "it does not follow the present seal of " + previous.Day + ": one of the two was replaced"
	case s.After != after && previous.SHA256 != "": // else the one before is unreadable, which is a fault already
		return fmt.Sprintf("it begins after entry %d, but the seal before it ends with entry %d", s.After, after)
	}
	return ""
}
