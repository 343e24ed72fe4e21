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
	TimerGrace = "grace" // after the close: missing pages are cut from the whole file
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
func (s *State) fire(p Policy, t Timer, at time.Time) {
	switch {
	case t.Kind == TimerGrace && t.Due.Equal(s.GraceAt):
		if at.Before(s.GraceAt) {
			s.arm(TimerGrace, &s.GraceAt, s.GraceAt.Add(time.Millisecond))
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
