// Package spool keeps what webhooks bring while the NATS servers do not take it, in a JetStream of its own on the disk of this machine, and
// sends it there later. Begin with Open.
//
// # Promises
//
//   - Record and Bury return nil only when the NATS servers or the spool have the event durably: on disk, if the servers always sync.
//   - What is in the spool leaves it only after the NATS servers have it. It is sent through the same Record and Bury as all that comes
//     directly, so that nothing is stored twice there, whatever a crash repeats, and the order does not matter.
//   - New events do not wait for those in the spool: they go to the NATS servers as soon as these take events again.
//   - An event that the NATS servers never take (TooLarge), or that this version cannot read, holds no other event up. It stays in the
//     spool, and each start tries it again.
//   - A full spool, and one whose disk cannot be written, refuses events and loses none.
//
// # What a crash leaves
//
//	crash in             what is left, and what happens next
//	Record, Bury         the event is in the spool, at the NATS servers, in both or in none; nobody has an answer yet
//	Run, Drain           some events are at the NATS servers and still in the spool: they are sent again, and count as repeats
//	Open                 an empty directory, or a spool without streams; the next Open goes on
package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Servers are the NATS servers that get the events: *bus.Bus.
type Servers interface {
	Record(ctx context.Context, f session.Fact) (repeat bool, err error)                   // for what comes now
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error) // for what waited
	Bury(ctx context.Context, d session.DeadLetter) error
	Takes(ctx context.Context) error
}

// DefaultMax is enough for half a million events, in bytes.
const DefaultMax = 250_000_000

// Config says where a spool is.
type Config struct {
	Dir string       // its directory; made if it is not there
	Max int64        // bytes of events that it takes, a tenth of them for bodies that are not webhooks; 0: DefaultMax
	Log *slog.Logger // required
}

const (
	patience   = 1500 * time.Millisecond // how long the NATS servers may take for one event that comes now
	askEvery   = 500 * time.Millisecond  // between two questions whether they take events again
	askTimeout = 5 * time.Second         // of one question, and of one event of the spool
	againAfter = 10 * time.Second        // until events are sent again that failed although the NATS servers take others, or a disk is tried
)

// ErrSpooling means that the spool takes events, and the NATS servers do not.
var ErrSpooling = errors.New("the NATS servers take no events; the spool does")

// Spool takes events for NATS servers. Its methods may be called concurrently.
type Spool struct {
	cfg  Config
	left bool // a process has left it: the limits of its streams stay as they are

	mu      sync.Mutex
	store   *bus.Bus       // nil while its disk cannot be written; guarded by mu
	servers Servers        // nil until Join; guarded by mu
	away    bool           // the servers took the last event not; guarded by mu
	holds   bool           // the store may have events that no pass has sent, or the pass that runs has not met; guarded by mu
	began   time.Time      // when events began to go into the spool, zero: the servers have all; guarded by mu
	told    bool           // the log has said since began that the servers are away; guarded by mu
	spooled uint64         // events since Open, without repeats; guarded by mu
	sent    uint64         // events since began; guarded by mu
	kept    map[place]bool // what the servers never take; guarded by mu
}

// place is where an event is in the store.
type place struct {
	stream   string
	sequence uint64
}

// Open opens the spool in a directory, or makes one there. The caller must call Close once.
func Open(ctx context.Context, cfg Config) (*Spool, error) { return open(ctx, cfg, false) }

func open(ctx context.Context, cfg Config, left bool) (*Spool, error) {
	if cfg.Max == 0 {
		cfg.Max = DefaultMax
	}
	s := &Spool{cfg: cfg, left: left, kept: map[place]bool{}}
	var err error
	if s.store, err = s.open(ctx); err != nil {
		return nil, err
	}
	state, err := s.State(ctx)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if n := state.Events + state.Letters; n > 0 {
		s.holds, s.began = true, time.Now()
		cfg.Log.Info("the spool has events of an earlier process; they are sent to the NATS servers", "spool", cfg.Dir, "events", n,
			"oldest", state.Oldest)
	}
	return s, nil
}

func (s *Spool) open(ctx context.Context) (*bus.Bus, error) {
	store, err := bus.Open(ctx, bus.Config{
		Embedded: bus.EmbeddedConfig{Dir: s.cfg.Dir, Spool: true}, MaxStore: s.cfg.Max, Join: s.left, Log: s.cfg.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	return store, nil
}

// OpenLeft opens a spool that a process has left. It makes none, and changes no limits of one.
func OpenLeft(ctx context.Context, cfg Config) (*Spool, error) {
	if is, err := bus.IsSpool(cfg.Dir); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	} else if !is {
		return nil, fmt.Errorf("spool: %s is not the directory of a spool: give the value of --spool of faxstream serve", cfg.Dir)
	}
	return open(ctx, cfg, true)
}

// Close closes the spool. What is in it stays. Run must have ended.
func (s *Spool) Close() error {
	store, _ := s.parts()
	if store == nil {
		return nil
	}
	return store.Close()
}

// Join says which NATS servers get the events from now on. Until then all go into the spool.
func (s *Spool) Join(servers Servers) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers = servers
}

func (s *Spool) parts() (*bus.Bus, Servers) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store, s.servers
}

// direct are the servers, if the last event went there or there is no store; else nil.
func (s *Spool) direct() Servers {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away && s.store != nil {
		return nil
	}
	return s.servers
}

// Record stores a fact at the NATS servers or in the spool. repeat: the one that has it now had it already.
func (s *Spool) Record(ctx context.Context, f session.Fact) (repeat bool, err error) {
	return s.take(
		ctx,
		func(ctx context.Context, servers Servers) (bool, error) { return servers.Record(ctx, f) },
		func(store *bus.Bus) (bool, error) { return store.Record(ctx, f) },
	)
}

// Bury stores a dead letter at the NATS servers or in the spool.
func (s *Spool) Bury(ctx context.Context, d session.DeadLetter) error {
	_, err := s.take(
		ctx,
		func(ctx context.Context, servers Servers) (bool, error) { return false, servers.Bury(ctx, d) },
		func(store *bus.Bus) (bool, error) { return false, store.Bury(ctx, d) },
	)
	return err
}

// take has an event stored by the servers, else by the store. repeat: the one that has it now had it already.
func (s *Spool) take(
	ctx context.Context, direct func(context.Context, Servers) (bool, error), spool func(*bus.Bus) (bool, error),
) (repeat bool, err error) {
	if servers := s.direct(); servers != nil {
		patient, cancel := context.WithTimeout(ctx, patience)
		repeat, err = direct(patient, servers)
		cancel()
		if err == nil || ctx.Err() != nil {
			return repeat, err
		}
		if !bus.TooLarge(err) {
			s.Away(err)
		}
	}
	store, _ := s.parts()
	if store == nil {
		return false, fmt.Errorf("the spool in %s cannot be written", s.cfg.Dir)
	}
	if repeat, err = spool(store); err != nil {
		return false, fmt.Errorf("the spool in %s does not take it: %w", s.cfg.Dir, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds = true // also for a repeat: one that contradicts is a dead letter
	if !repeat {
		s.spooled++
	}
	return repeat, nil
}

// Away notes that the NATS servers do not take events, and why. Events go into the spool until they do.
func (s *Spool) Away(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = true
	if s.began.IsZero() {
		s.began = time.Now()
	}
	if !s.told {
		s.told = true
		s.cfg.Log.Warn("the NATS servers do not take webhooks: the spool takes them until they do", "spool", s.cfg.Dir, "err", why)
	}
}

// Takes returns nil if the NATS servers take events, ErrSpooling if only the spool does, and else why it does not.
func (s *Spool) Takes(ctx context.Context) error {
	if servers := s.direct(); servers != nil {
		err := takes(ctx, servers, patience)
		if err == nil || ctx.Err() != nil {
			return err
		}
		s.Away(err)
	}
	store, _ := s.parts()
	if store == nil {
		return fmt.Errorf("the NATS servers take no events, and the spool in %s cannot be written", s.cfg.Dir)
	}
	if err := store.Takes(ctx); err != nil {
		return fmt.Errorf("the NATS servers take no events, and the spool in %s neither: %w", s.cfg.Dir, err)
	}
	return ErrSpooling
}

// takes asks the servers whether they take events, and waits so long for an answer.
func takes(ctx context.Context, servers Servers, most time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	return servers.Takes(ctx)
}

// State is what a spool has.
type State struct {
	Events  uint64    `json:"events"`          // of webhooks
	Letters uint64    `json:"letters"`         // dead letters, of webhooks that cannot be read
	Bytes   uint64    `json:"bytes"`           // of both
	Max     uint64    `json:"max_bytes"`       // that it takes
	Oldest  time.Time `json:"oldest,omitzero"` // of both; zero: there are none
	Kept    int       `json:"kept,omitempty"`  // of both: the NATS servers never take them
	Spooled uint64    `json:"-"`               // both, since Open, without repeated events
	Away    bool      `json:"-"`               // what comes goes into the spool
}

// State reads what the spool has.
func (s *Spool) State(ctx context.Context) (State, error) {
	s.mu.Lock()
	store, state := s.store, State{Kept: len(s.kept), Spooled: s.spooled, Away: s.away || s.servers == nil}
	s.mu.Unlock()
	if store == nil {
		return state, fmt.Errorf("the spool in %s cannot be read, because its disk cannot be written", s.cfg.Dir)
	}
	for name, n := range map[string]*uint64{bus.StreamIn: &state.Events, bus.StreamDLQ: &state.Letters} {
		stream, err := store.JetStream().Stream(ctx, name)
		if err != nil {
			return state, fmt.Errorf("read the spool in %s: %w", s.cfg.Dir, err)
		}
		info := stream.CachedInfo()
		*n, state.Bytes = info.State.Msgs, state.Bytes+info.State.Bytes
		state.Max += uint64(max(info.Config.MaxBytes, 0))
		if first := info.State.FirstTime.UTC(); *n > 0 && (state.Oldest.IsZero() || first.Before(state.Oldest)) {
			state.Oldest = first
		}
	}
	return state, nil
}
