package spool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// atOnce is how many events are sent at the same time: the servers store them together.
const atOnce = 128

// Run sends what is in the spool to the servers of Join whenever they take events, and opens the spool again when its disk could not be
// written and can. It ends with ctx.
func (s *Spool) Run(ctx context.Context) {
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { s.askAway(ctx) })
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	var disk reopener
	var again time.Time // not before this
	for {
		select {
		case <-ctx.Done():
			return
		case why := <-s.died():
			s.shut(why)
		case <-tick.C:
			if disk.opened(ctx, s) && time.Now().After(again) && s.round(ctx) {
				again = time.Now().Add(againAfter)
			}
		}
	}
}

// askAway asks servers that are away whether they take events again, until ctx ends. A long pass does not hold it up, so that new events go
// to them at once.
func (s *Spool) askAway(ctx context.Context) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		servers, away := s.servers, s.away
		s.mu.Unlock()
		if away && servers != nil {
			s.asks(ctx, servers)
		}
	}
}

func (s *Spool) died() <-chan error {
	store, _ := s.parts()
	if store == nil {
		return nil
	}
	return store.Failed()
}

// shut closes the store, which met an error of its disk: it never writes again, and another one may.
func (s *Spool) shut(why error) {
	s.cfg.Log.Error("the disk of the spool is not writable: webhooks that the NATS servers do not take are answered 503 until it is",
		"spool", s.cfg.Dir, "err", why)
	s.mu.Lock()
	store := s.store
	s.store = nil
	s.mu.Unlock()
	if err := store.Close(); err != nil {
		s.cfg.Log.Warn("closing the spool failed", "spool", s.cfg.Dir, "err", err)
	}
}

// reopener opens the store again. It does not repeat itself in the log while the disk stays as it is.
type reopener struct {
	next time.Time // not before this
	said string    // why it cannot be opened, as the log has it
}

// opened opens the store again if it was shut, and reports whether it is open.
func (r *reopener) opened(ctx context.Context, s *Spool) bool {
	if store, _ := s.parts(); store != nil {
		return true
	}
	if time.Now().Before(r.next) {
		return false
	}
	store, err := s.open(ctx)
	if err != nil {
		r.next = time.Now().Add(againAfter)
		if r.said != err.Error() {
			r.said = err.Error()
			s.cfg.Log.Warn("the spool cannot be opened again; it is tried again", "spool", s.cfg.Dir, "err", err)
		}
		return false
	}
	*r = reopener{}
	s.cfg.Log.Info("the spool is open again", "spool", s.cfg.Dir)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store, s.holds = store, true
	clear(s.kept) // a store that lost its disk may give a sequence to another event
	return true
}

// round sends what there is to servers that take events. later: some events failed, although the servers take others.
func (s *Spool) round(ctx context.Context) (later bool) {
	s.mu.Lock()
	store, servers, idle := s.store, s.servers, s.away || !s.holds && s.began.IsZero()
	s.mu.Unlock()
	if store == nil || servers == nil || idle || !s.asks(ctx, servers) {
		return false
	}
	s.hold(false) // what is stored from here on, the pass may not meet
	done, err := s.send(ctx, store, servers)
	if err != nil || done.failed != nil {
		s.hold(true)
	}
	if err == nil && done.failed != nil && s.asks(ctx, servers) {
		s.cfg.Log.Warn("events of the spool fail, although the NATS servers take others; they are sent again", "spool", s.cfg.Dir,
			"err", done.failed)
		return true
	}
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.Warn("the spool cannot be read; it is tried again", "spool", s.cfg.Dir, "err", err)
	}
	if err == nil && done.failed == nil {
		s.sentAll()
	}
	return false
}

func (s *Spool) hold(holds bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds = holds
}

// asks notes whether the servers take events.
func (s *Spool) asks(ctx context.Context, servers Servers) bool {
	err := takes(ctx, servers, askTimeout)
	if err != nil {
		if ctx.Err() == nil {
			s.Away(err)
		}
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = false
	return true
}

// sentAll notes that a pass has sent everything, if nothing came since it began.
func (s *Spool) sentAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holds || s.away {
		return
	}
	if !s.began.IsZero() {
		s.cfg.Log.Info("the NATS servers take webhooks, and have all that the spool took for them", "spool", s.cfg.Dir, "events", s.sent,
			"after", time.Since(s.began).Round(time.Second).String(), "refused", len(s.kept))
	}
	s.began, s.told, s.sent = time.Time{}, false, 0
}

// Drained is what Drain did.
type Drained struct {
	Sent int `json:"sent"` // events and dead letters
	Kept int `json:"kept"` // of both: the servers never take them, and they stay in the spool
}

// Drain sends everything that is in the spool to servers. After an error the rest stays; another call goes on.
func (s *Spool) Drain(ctx context.Context, servers Servers) (d Drained, err error) {
	store, _ := s.parts()
	done, err := s.send(ctx, store, servers)
	s.mu.Lock()
	d = Drained{Sent: done.sent, Kept: len(s.kept)}
	s.mu.Unlock()
	if err := errors.Join(err, done.failed); err != nil {
		return d, err
	}
	state, err := s.State(ctx)
	if left := state.Events + state.Letters; err == nil && left > uint64(d.Kept) {
		err = fmt.Errorf("the spool in %s still has %d events that are not sent, although none failed: send it again",
			s.cfg.Dir, left-uint64(d.Kept))
	}
	return d, err
}

// sending is how far a pass over the spool has come.
type sending struct {
	sent   int
	failed error // of the last event that the servers did not take and may take later
}

// send sends events at the same time, and those that failed once more, one by one: the servers store events together, and one that they
// refuse may take others along.
func (s *Spool) send(ctx context.Context, store *bus.Bus, servers Servers) (all sending, err error) {
	for _, width := range []int{atOnce, 1} {
		done, err := s.pass(ctx, store, servers, width)
		all.sent, all.failed = all.sent+done.sent, done.failed
		if err != nil || done.failed == nil || takes(ctx, servers, askTimeout) != nil {
			return all, err
		}
	}
	return all, nil
}

// pass sends everything once, and stops where the servers take nothing any more.
func (s *Spool) pass(ctx context.Context, store *bus.Bus, servers Servers, width int) (sending, error) {
	done := sending{}
	if err := s.facts(ctx, store, servers, width, &done); err != nil || done.failed != nil && takes(ctx, servers, askTimeout) != nil {
		return done, err
	}
	return done, s.letters(ctx, store, servers, &done)
}

func (s *Spool) facts(ctx context.Context, store *bus.Bus, servers Servers, width int, done *sending) (err error) {
	stream, err := store.JetStream().Stream(ctx, bus.StreamIn)
	if err != nil {
		return err
	}
	r := remover{stream: stream}
	defer func() { err = errors.Join(err, r.end(ctx)) }()
	for next := uint64(1); ; {
		msgs, err := store.Events(ctx, next, atOnce)
		if err != nil || len(msgs) == 0 {
			return err
		}
		gone, failed := s.batch(ctx, servers, msgs, width)
		s.count(done, len(gone))
		if err := r.note(ctx, msgs, gone); err != nil {
			return err
		}
		if failed != nil {
			if done.failed = failed; takes(ctx, servers, askTimeout) != nil {
				return nil
			}
		}
		next = msgs[len(msgs)-1].Sequence + 1
	}
}

// batch sends events, so many at once, and returns which the spool need not have any more.
func (s *Spool) batch(
	ctx context.Context, servers Servers, msgs []*jetstream.RawStreamMsg, width int,
) (gone map[uint64]bool, failed error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	gone = map[uint64]bool{}
	places := make(chan struct{}, width)
	for _, m := range msgs {
		if s.isKept(place{bus.StreamIn, m.Sequence}) {
			continue
		}
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			ok, err := s.fact(ctx, servers, m)
			mu.Lock()
			defer mu.Unlock()
			if ok {
				gone[m.Sequence] = true
			}
			if err != nil {
				failed = err
			}
		})
	}
	all.Wait()
	return gone, failed
}

// fact sends one event. gone: the servers have it. An error: they may take it later.
func (s *Spool) fact(ctx context.Context, servers Servers, m *jetstream.RawStreamMsg) (gone bool, err error) {
	if bus.IsTrial(m.Subject) {
		return true, nil
	}
	at := place{bus.StreamIn, m.Sequence}
	f, err := session.ParseFact(bus.EventType(m.Subject), m.Data)
	if err != nil {
		s.keep(at, fmt.Errorf("this version cannot read it: %w", err))
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	_, _, err = servers.RecordFact(ctx, f) // nobody waits for it: no work gives way
	if bus.TooLarge(err) {
		s.keep(at, err)
		return false, nil
	}
	return err == nil, err
}

// removeEvery is how many events are removed together. For each removal the server writes an index of all that is left; a crash before it
// costs that so many are sent again.
const removeEvery = 20_000

const removeTimeout = time.Minute // of one removal

// remover removes events that were sent, in the order of their sequences.
type remover struct {
	stream  jetstream.Stream
	through uint64   // everything up to this sequence is sent
	waiting int      // events up to it that are not removed yet
	gap     bool     // an event after it stays
	behind  []uint64 // sequences after that gap that are sent
}

// note notes which of msgs are gone, and may remove some.
func (r *remover) note(ctx context.Context, msgs []*jetstream.RawStreamMsg, gone map[uint64]bool) error {
	for _, m := range msgs {
		switch {
		case !gone[m.Sequence]:
			r.gap = true
		case !r.gap:
			r.through = m.Sequence
			r.waiting++
		default:
			r.behind = append(r.behind, m.Sequence)
		}
	}
	if r.waiting < removeEvery {
		return nil
	}
	return r.flush(ctx)
}

// end removes everything that was noted. What is behind a gap goes one by one, which takes long: at the end of a pass no event waits for
// that. What is not removed because ctx ends is sent again.
func (r *remover) end(ctx context.Context) error {
	err := r.flush(ctx)
	for _, sequence := range r.behind {
		if err != nil {
			break
		}
		err = r.stream.DeleteMsg(ctx, sequence)
	}
	return err
}

// flush removes what waits before a gap, also where ctx has ended.
func (r *remover) flush(ctx context.Context) error {
	if r.waiting == 0 {
		return nil
	}
	r.waiting = 0
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	return r.stream.Purge(ctx, jetstream.WithPurgeSequence(r.through+1))
}

// letters sends the dead letters, one by one: there are few.
func (s *Spool) letters(ctx context.Context, store *bus.Bus, servers Servers, done *sending) error {
	for after, more := uint64(0), true; more; {
		letters, next, err := store.Letters(ctx, bus.LetterFilter{After: after}, atOnce)
		if err != nil {
			return err
		}
		for _, l := range letters {
			after = l.ID
			if s.isKept(place{bus.StreamDLQ, l.ID}) {
				continue
			}
			err := s.letter(ctx, servers, l)
			if bus.TooLarge(err) {
				s.keep(place{bus.StreamDLQ, l.ID}, err)
				continue
			}
			if err != nil {
				if done.failed = err; takes(ctx, servers, askTimeout) != nil {
					return nil
				}
				continue
			}
			if err := store.RemoveLetter(ctx, l.ID); err != nil {
				return err
			}
			s.count(done, 1)
		}
		more = next
	}
	return nil
}

func (s *Spool) letter(ctx context.Context, servers Servers, l bus.Letter) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return servers.Bury(ctx, l.DeadLetter)
}

func (s *Spool) isKept(p place) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[p]
}

// keep notes that an event cannot be sent.
func (s *Spool) keep(p place, why error) {
	s.cfg.Log.Error("an event cannot be sent to the NATS servers as it is: it stays in the spool, and the next start tries it again",
		"spool", s.cfg.Dir, "stream", p.stream, "sequence", p.sequence, "err", why)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[p] = true
}

func (s *Spool) count(done *sending, n int) {
	done.sent += n
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent += uint64(n)
}
