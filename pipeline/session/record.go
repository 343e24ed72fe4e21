package session

import (
	"fmt"
	"strconv"
	"time"
)

// RecordAsked orders a look at the provider's record of a fax without events for a long time.
type RecordAsked struct {
	Session string `json:"session"`
	N       int    `json:"n"` // allocated in the ledger, from 1
}

func (f RecordAsked) Subject() string {
	return fmt.Sprintf("%s.%s.%d", TypeRecordAsked, f.Session, f.N)
}

func (f RecordAsked) ID() string              { return "in.ask/" + f.Session + "/" + strconv.Itoa(f.N) }
func (f RecordAsked) Type() string            { return TypeRecordAsked }
func (f RecordAsked) SessionID() string       { return f.Session }
func (f RecordAsked) Time() time.Time         { return time.Time{} }
func (f RecordAsked) Same(stored []byte) bool { return sameJSON(f, stored, func(*RecordAsked) {}) }

// What a provider's record says about a fax.
const (
	RecordClosed  = "closed"  // over: its Closed is recorded already
	RecordOpen    = "open"    // the fax continues
	RecordUnknown = "unknown" // the provider has no such fax
)

// RecordSaid is the answer to a RecordAsked.
type RecordSaid struct {
	Session string    `json:"session"`
	N       int       `json:"n"`
	Says    string    `json:"says"`
	At      time.Time `json:"at"`
}

func (f RecordSaid) Subject() string   { return fmt.Sprintf("%s.%s.%d", TypeRecordSaid, f.Session, f.N) }
func (f RecordSaid) ID() string        { return "in.record/" + f.Session + "/" + strconv.Itoa(f.N) }
func (f RecordSaid) Type() string      { return TypeRecordSaid }
func (f RecordSaid) SessionID() string { return f.Session }
func (f RecordSaid) Time() time.Time   { return f.At }

// Same is always true: the first answer counts.
func (f RecordSaid) Same([]byte) bool { return true }

// ask orders a look at the provider's record.
func (s *State) ask() {
	s.AskedN++
	s.Asking = true
	s.Effects = append(s.Effects, Effect{Ask: &RecordAsked{Session: s.Session, N: s.AskedN}})
}

// said folds the answer. If the fax continues, the ledger waits. If the provider does not know it, it is given up in the end.
func (s *State) said(p Policy, f RecordSaid, at time.Time) {
	if !s.Asking || f.N != s.AskedN {
		return
	}
	s.Asking = false
	if s.Close != nil || s.GivenUp {
		return
	}
	next, end := at.Add(p.Idle), s.LastSeen.Add(p.GiveUp)
	switch {
	case f.Says == RecordOpen:
		s.arm(TimerIdle, &s.IdleAt, next)
	case !at.Before(end):
		s.GivenUp = true
	case end.Before(next):
		s.arm(TimerIdle, &s.IdleAt, end)
	default: // unknown, or closed, and the Closed is not folded yet
		s.arm(TimerIdle, &s.IdleAt, next)
	}
}
