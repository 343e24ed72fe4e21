package intake

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// queue lets work of these classes wait for the only slot, in this order, and returns the order in which it gets it.
func queue(t *testing.T, classes ...Class) (order []Class) {
	t.Helper()
	var work []context.Context
	for _, c := range classes {
		work = append(work, WithClass(t.Context(), c))
	}
	for _, i := range queued(t, work) {
		order = append(order, classes[i])
	}
	return order
}

// queued does the same for contexts, and returns their indices.
func queued(t *testing.T, work []context.Context) (order []int) {
	t.Helper()
	s := NewSlots(1)
	release, err := s.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan int, len(work))
	for i, ctx := range work {
		go func() {
			release, err := s.Take(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			got <- i
			release()
		}()
		synctest.Wait()
	}
	release()
	for range work {
		order = append(order, <-got)
	}
	return order
}

func TestTheMostUrgentWorkGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := queue(t, Spare, Late, Fresh, Spare, Fresh, Late)
		if want := []Class{Fresh, Fresh, Late, Late, Spare, Spare}; !slices.Equal(got, want) {
			t.Errorf("order %v, want %v", got, want)
		}
	})
}

// Of pages that overtake a backlog the newest goes first, but every ninth time the oldest. They go before other fresh work.
func TestTheNewestPageGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work := []context.Context{WithClass(t.Context(), Fresh)}
		for i := range 2 * patience {
			work = append(work, WithOvertaking(t.Context(), time.Now().Add(time.Duration(i^1)*time.Second))) // each second one comes too late
		}
		got := queued(t, work)
		want := []int{15, 16, 13, 14, 11, 12, 9, 10, 0, 7, 8, 5, 6, 3, 4, 1, 2}
		if !slices.Equal(got, want) {
			t.Errorf("order %v, want %v", got, want)
		}
	})
}

// However much urgent work waits, late work is passed over eight times at most. Spare work that is due then goes behind it.
func TestNoClassWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work := append(slices.Repeat([]Class{Fresh}, 40), Late, Late, Spare)
		got := queue(t, work...)
		if first := slices.Index(got, Late); first != patience {
			t.Errorf("%d went before late work, want %d: %v", first, patience, got)
		}
		if spare := slices.Index(got, Spare); spare != patience+1 {
			t.Errorf("%d went before spare work, want %d: %v", spare, patience+1, got)
		}
	})
}

// Slow work that is not fresh leaves slots for fresh work, and spare work leaves slots for the rest.
func TestSlowWorkLeavesSlotsForFreshWork(t *testing.T) {
	for _, row := range []struct{ size, spare, rest int }{{24, 6, 18}, {4, 1, 3}, {2, 1, 2}, {1, 1, 1}} {
		synctest.Test(t, func(t *testing.T) {
			s := NewSlots(row.size)
			ctx, cancel := context.WithCancel(t.Context())
			counts := map[Class]int{}
			granted := make(chan Class, 3*row.size)
			for _, c := range []Class{Spare, Late, Fresh} {
				for range row.size {
					go func() {
						switch _, err := s.Take(WithClass(ctx, c)); {
						case err == nil:
							granted <- c
						case !errors.Is(err, context.Canceled):
							t.Error(err)
						}
					}()
				}
				synctest.Wait()
			}
			cancel()
			synctest.Wait()
			for len(granted) > 0 {
				counts[<-granted]++
			}
			if counts[Spare] != row.spare || counts[Spare]+counts[Late] != row.rest || counts[Fresh] != row.size-row.rest {
				t.Errorf("of %d slots spare work got %d, late work %d, fresh work %d", row.size, counts[Spare], counts[Late], counts[Fresh])
			}
		})
	}
}

// There is a slot more if somebody waits for one and nobody for the slots behind them, and a slot less if many wait there.
func TestSlotsFollowTheLineBehindThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		wait := func(s *Slots, c Class, n int) {
			for range n {
				go func() {
					if _, err := s.Take(WithClass(ctx, c)); err != nil && !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
				}()
			}
			synctest.Wait()
		}
		s, next := NewSlotsFrom(2, 4), NewSlots(1)
		follow := func(before, want int) {
			t.Helper()
			for range 3 {
				s.Follow(next, before)
			}
			if s.size != want {
				t.Errorf("there are %d slots, want %d", s.size, want)
			}
		}
		wait(s, Late, 2)
		follow(0, 2) // nobody waits for more
		wait(s, Late, 3)
		follow(1, 2) // one waits for memory
		wait(next, Spare, 6)
		follow(0, 4)           // spare work goes last
		if s.used[Late] != 3 { // late work leaves a quarter free
			t.Errorf("%d slots are in use, want 3", s.used[Late])
		}
		wait(next, Late, 2)
		follow(0, 4) // the line is as long as it should be
		follow(1, 2)
	})
}

// Who gives up while it waits takes no slot along.
func TestWhoGivesUpLeavesItsSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSlots(1)
		release, err := s.Take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan error)
		go func() {
			_, err := s.Take(ctx)
			gaveUp <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
		release()
		if _, err := s.Take(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
