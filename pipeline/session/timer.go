package session

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Timer kinds.
const (
	// TimerGrace: some time after the close, in which archive and provider worked, missing pages are cut from the whole file.
	TimerGrace = "grace"
	TimerIdle  = "idle"  // no event of the session came for long
	TimerRetry = "retry" // of one page
	TimerWhole = "whole" // retry of the whole file
	// TimerVerify: the comparison with the whole file is tried again, because the fetch of the file failed.
	TimerVerify = "verify"
	TimerText   = "text" // a document has its text, and another text of a page came
)

// Timer is one JetStream schedule. The due time is in the subject, in milliseconds, so that no schedule replaces another.
type Timer struct {
	Kind    string
	Session string
	Page    int // TimerRetry only, from 1
	Due     time.Time
}

func (t Timer) tail() string {
	s := t.Kind + "." + t.Session
	if t.Kind == TimerRetry {
		s += "." + strconv.Itoa(t.Page)
	}
	return s + "." + strconv.FormatInt(t.Due.UnixMilli(), 10)
}

// SetSubject returns the subject under which the schedule is stored.
func (t Timer) SetSubject() string { return TypeTimerSet + "." + t.tail() }

// DueSubject returns the subject on which it fires.
func (t Timer) DueSubject() string { return TypeTimerDue + "." + t.tail() }

// ParseTimer reads a subject on which a timer fired. It returns an error for any other subject.
func ParseTimer(subject string) (Timer, error) {
	rest, ok := strings.CutPrefix(subject, TypeTimerDue+".")
	parts := strings.Split(rest, ".")
	t := Timer{}
	if ok && (len(parts) == 3 || len(parts) == 4) {
		t.Kind, t.Session = parts[0], parts[1]
		ms, err := strconv.ParseInt(parts[len(parts)-1], 10, 64)
		if err == nil && len(parts) == 4 {
			t.Page, err = strconv.Atoi(parts[2])
		}
		t.Due = time.UnixMilli(ms).UTC()
		if t.Kind == TimerRetry && t.Page < 1 {
			err = strconv.ErrRange
		}
		if err == nil && ValidToken(t.Kind) && ValidToken(t.Session) && t.DueSubject() == subject {
			return t, nil
		}
	}
	return Timer{}, fmt.Errorf("timer subject %q: want %s.<kind>.<session>[.<page>].<due in ms>", subject, TypeTimerDue)
}

// fire folds a timer. The ledger decides by its own deadlines: early, old and repeated timers change nothing, but an early
// one is set again, since no other schedule is waiting.
func (s *State) fire(p Policy, t Timer, o Outage, at time.Time) {
	switch {
	case t.Kind == TimerGrace && t.Due.Equal(s.GraceAt):
		if at.Before(s.GraceAt) {
			s.arm(TimerGrace, &s.GraceAt, s.GraceAt.Add(time.Millisecond))
			return
		}
		if until := s.graceUntil(p, o, at); at.Before(until) {
			s.arm(TimerGrace, &s.GraceAt, until)
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

// Outage says whether the archive or the provider is away, as far as one process knows. The zero value: they work, and always did.
type Outage struct {
	Now   bool      // one of them is away
	Ended time.Time // when one of them came back last; zero: none of them was away
}

// And returns what is known of both.
func (o Outage) And(other Outage) Outage {
	o.Now = o.Now || other.Now
	if other.Ended.After(o.Ended) {
		o.Ended = other.Ended
	}
	return o
}

// EndsWait reports whether the session waits for pages until t fires: it orders the whole file then, if archive and provider work.
func (s *State) EndsWait(t Timer) bool {
	return t.Kind == TimerGrace && t.Due.Equal(s.GraceAt) && (len(s.missing()) > 0 || s.uncounted())
}

// maxLook is the longest time between two looks at a fax whose pages cannot be archived or fetched, unless the grace time is longer.
// In a long outage there are many such faxes, and each look costs a schedule.
const maxLook = 5 * time.Minute

// graceUntil returns when the pages had a whole grace time in which archive and provider worked. While one of them is away the looks
// become rarer.
func (s *State) graceUntil(p Policy, o Outage, at time.Time) time.Time {
	if o.Now {
		return at.Add(max(p.Grace, min(at.Sub(s.LastSeen), maxLook)))
	}
	if o.Ended.IsZero() {
		return s.GraceAt
	}
	return o.Ended.Add(p.Grace)
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

// Retry travels in the message of a retry timer: of a page, or of the whole file.
type Retry struct {
	Page    *PageAnnounced `json:"page,omitempty"`
	Whole   *WholeOrdered  `json:"whole,omitempty"`
	Attempt int            `json:"attempt"`          // the one to make; 1: somebody asked for it again
	Until   time.Time      `json:"until,omitzero"`   // the deadline; zero: as for an announcement
	Before  int            `json:"before,omitempty"` // attempts that a page had before somebody asked for it again
	Tried   []Attempt      `json:"tried,omitempty"`  // for the whole file so far
}
