package intake

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Class says how urgent work is. A smaller one goes first.
type Class int

// Classes of work.
const (
	Fresh   Class = iota // pages that were announced just now
	Late                 // a backlog of pages, retries, whole files and documents; also everything without a class
	Spare                // comparisons with the whole file, and replays
	classes int   = iota
)

type classKey struct{}

// urgency is what the work of a context has.
type urgency struct {
	class Class
	since time.Time // of fresh work that overtakes a backlog: when it was announced; else zero
}

// WithClass gives the work of ctx a class.
func WithClass(ctx context.Context, c Class) context.Context {
	return context.WithValue(ctx, classKey{}, urgency{class: c})
}

// WithOvertaking makes the work of ctx fresh work that overtakes a backlog: what was announced last goes first.
func WithOvertaking(ctx context.Context, announced time.Time) context.Context {
	return context.WithValue(ctx, classKey{}, urgency{Fresh, announced})
}

func urgencyOf(ctx context.Context) urgency {
	if u, ok := ctx.Value(classKey{}).(urgency); ok {
		return u
	}
	return urgency{class: Late}
}

// Slots limit how much work is done at once. A slot that comes free goes to the most urgent class that waits, and in a class to the one
// that has waited longest; work that overtakes a backlog (WithOvertaking) goes before all, the newest first. So that nobody waits for ever,
// a class that was passed over eight times goes first, and so does the oldest of the work that overtakes. So that fresh work finds a slot
// soon even if all other work is slow, the rest has at most three quarters of the slots (rounded up), and spare work one quarter of them
// (rounded down, at least one).
type Slots struct {
	least, most int

	mu      sync.Mutex // guards all below
	size    int        // slots that there are now: least to most
	used    [classes]int
	waiting [classes][]waiter // who goes first is first
	passed  [classes]int      // how often a less urgent class that waits was passed over
	newest  int               // how often in a row the newest work that overtakes went first
}

type waiter struct {
	ready chan struct{} // closed when its slot is granted
	since time.Time     // as in urgency
}

// patience is how often a class, or the oldest work that overtakes, is passed over.
const patience = 8

// NewSlots returns size slots, at least one.
func NewSlots(size int) *Slots { return NewSlotsFrom(size, size) }

// NewSlotsFrom returns least slots, which Follow may make up to most.
func NewSlotsFrom(least, most int) *Slots {
	most = max(most, 1)
	least = min(max(least, 1), most)
	return &Slots{least: least, most: most, size: least}
}

// Follow is called when work with a slot is done. next are slots for which such work waits on its way, and before is how much of it waits
// for something else there. If nobody waits, the work takes its time elsewhere, and more of it may be on its way: there is one slot more,
// if somebody waits for it. If many wait, more slots would do no more work; they would only make a line of work that is not urgent any
// more, before urgent work that comes later. Then there is one slot less. Spare work does not count: it waits there nearly always, and
// goes last.
func (s *Slots) Follow(next *Slots, before int) {
	next.mu.Lock()
	line, long := before+next.line()-len(next.waiting[Spare]), next.size
	next.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case line == 0 && s.size < s.most && s.line() > 0:
		s.size++
		s.grant()
	case line > 2*long && s.size > s.least:
		s.size--
	}
}

// line is how many wait. s.mu is held.
func (s *Slots) line() (n int) {
	for _, w := range s.waiting {
		n += len(w)
	}
	return n
}

// Take waits for a slot for the class of ctx. An error means that ctx ended; else the caller must call release once.
func (s *Slots) Take(ctx context.Context) (release func(), err error) {
	u, ready := urgencyOf(ctx), make(chan struct{})
	c := u.class
	s.mu.Lock()
	s.enter(c, waiter{ready, u.since})
	s.grant()
	s.mu.Unlock()
	release = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.used[c]--
		s.grant()
	}
	select {
	case <-ready:
		return release, nil
	case <-ctx.Done():
		if !s.leave(c, ready) {
			release()
		}
		return nil, context.Cause(ctx)
	}
}

// enter puts one that waits behind all that go before it. s.mu is held.
func (s *Slots) enter(c Class, w waiter) {
	i := len(s.waiting[c])
	for i > 0 && s.waiting[c][i-1].since.Before(w.since) {
		i--
	}
	s.waiting[c] = slices.Insert(s.waiting[c], i, w)
}

// leave removes one that waits. false: its slot was granted.
func (s *Slots) leave(c Class, ready chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.waiting[c], func(w waiter) bool { return w.ready == ready })
	if i >= 0 {
		s.waiting[c] = slices.Delete(s.waiting[c], i, i+1)
	}
	return i >= 0
}

// grant gives free slots away. s.mu is held.
func (s *Slots) grant() {
	for {
		c, ok := s.next()
		if !ok {
			return
		}
		i := s.first(c)
		close(s.waiting[c][i].ready)
		s.waiting[c] = slices.Delete(s.waiting[c], i, i+1)
		s.used[c]++
	}
}

// first is the index of the one that goes first of those that wait in a class. s.mu is held.
func (s *Slots) first(c Class) int {
	if s.waiting[c][0].since.IsZero() {
		return 0
	}
	if s.newest++; s.newest <= patience {
		return 0
	}
	s.newest = 0
	return len(s.waiting[c]) - 1
}

// next chooses the class that gets the next slot. ok is false if there is none to give, or nobody may have it.
func (s *Slots) next() (next Class, ok bool) {
	var may []Class
	for c := Fresh; c <= Spare; c++ {
		if len(s.waiting[c]) > 0 && s.may(c) {
			may = append(may, c)
		}
	}
	if len(may) == 0 {
		return 0, false
	}
	next = may[0]
	if i := slices.IndexFunc(may, func(c Class) bool { return s.passed[c] >= patience }); i >= 0 {
		next = may[i]
	}
	for _, c := range may {
		if c > next {
			s.passed[c]++
		}
	}
	s.passed[next] = 0
	return next, true
}

// may reports whether a class may have one more slot.
func (s *Slots) may(c Class) bool {
	late, spare := s.used[Late]+s.used[Spare], s.used[Spare]
	return s.used[Fresh]+late < s.size &&
		(c < Late || late < s.size-s.size/4) &&
		(c < Spare || spare < max(s.size/4, 1))
}
