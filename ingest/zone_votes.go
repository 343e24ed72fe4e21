package ingest

import (
	"slices"
	"time"
)

const (
	// zoneStep is what every offset from UTC is a multiple of.
	zoneStep = 15 * time.Minute
	// maxOffset is the largest offset of any zone.
	maxOffset = 14 * time.Hour
	// maxSkew is how much a webhook may seem to arrive before its event: the clocks of two machines differ.
	maxSkew = 5 * time.Minute

	votesKept   = 40 // the newest samples that count
	votesPerFax = 5  // of them at most from one fax: the webhooks of one fax may all be late together
	votesNeeded = 10 // samples that agree on an offset
	faxesNeeded = 3  // faxes that these samples are of
)

// sample returns how far the clock of the event time is ahead of UTC, in whole steps of zoneStep, if the webhook took from
// -5 to 10 minutes. A later one looks as if the clock was further behind. It is false for an event that is too far away for
// any zone, such as a webhook that is sent again after days.
func sample(event, arrived time.Time) (ahead time.Duration, ok bool) {
	late := arrived.Sub(event) + maxSkew
	steps := late / zoneStep
	if late < 0 && late%zoneStep != 0 {
		steps--
	}
	ahead = -steps * zoneStep
	return ahead, ahead >= -maxOffset && ahead <= maxOffset
}

// vote is the sample of one webhook.
type vote struct {
	session string
	ahead   time.Duration
}

// offsetVotes has the newest votes, oldest first.
type offsetVotes struct{ kept []vote }

func (o *offsetVotes) add(v vote) {
	of := 0
	for i := len(o.kept) - 1; i >= 0; i-- {
		if o.kept[i].session != v.session {
			continue
		}
		if of++; of == votesPerFax { // the oldest one of this fax goes
			o.kept = slices.Delete(o.kept, i, i+1)
			break
		}
	}
	if o.kept = append(o.kept, v); len(o.kept) > votesKept {
		o.kept = slices.Delete(o.kept, 0, 1)
	}
}

// decide returns the offset that the votes show, or false if they are too few. A webhook can be late but not early, so the
// largest offset with enough votes counts. For the same reason a known offset becomes smaller only when votesKept votes
// have come and too few of them show it: after an outage many webhooks come hours late.
func (o *offsetVotes) decide(known offset) (offset, bool) {
	var votes [2*int(maxOffset/zoneStep) + 1]int // by ahead, in steps from -maxOffset
	for _, v := range o.kept {
		votes[(v.ahead+maxOffset)/zoneStep]++
	}
	best, found := time.Duration(0), false
	for i := len(votes) - 1; i >= 0 && !found; i-- {
		if votes[i] >= votesNeeded {
			best = time.Duration(i)*zoneStep - maxOffset
			found = o.ofEnoughFaxes(best)
		}
	}
	seconds := int(best / time.Second)
	if !found || known.Known && seconds < known.Seconds && len(o.kept) < votesKept {
		return known, false
	}
	return offset{Seconds: seconds, Known: true}, true
}

// ofEnoughFaxes reports whether the votes for an offset are of at least faxesNeeded faxes.
func (o *offsetVotes) ofEnoughFaxes(ahead time.Duration) bool {
	var faxes [faxesNeeded]string
	n := 0
	for _, v := range o.kept {
		if v.ahead != ahead || slices.Contains(faxes[:n], v.session) {
			continue
		}
		faxes[n] = v.session
		if n++; n == faxesNeeded {
			return true
		}
	}
	return false
}
