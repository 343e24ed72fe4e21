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
	Record(ctx context.Context, f session.Fact) (repeat bool, err error)
	Bury(ctx context.Context, d session.DeadLetter) error
	Takes(ctx context.Context) error
}

// DefaultMax is enough for half a million events, in bytes.
const DefaultMax = 250_000_000

// Config says where a spool is.
type Config struct {
	Dir string       // its directory; made if it is not there
	Max int64        // bytes of events that it takes; 0: DefaultMax
	Log *slog.Logger // required
}

const (
	patience   = 1500 * time.Millisecond // how long the NATS servers may take for one event that comes now
	askEvery   = 500 * time.Millisecond  // between two questions whether they take events again
	askTimeout = 5 * time.Second         // of one question, and of one event of the spool
	againAfter = 10 * time.Second        // until events are sent again that failed although the NATS servers take others
)

// ErrSpooling means that the spool takes events, and the NATS servers do not.
var ErrSpooling = errors.New("the NATS servers take no events; the spool does")

// Spool takes events for NATS servers. Its methods may be called concurrently.
type Spool struct {
	cfg Config

	mu      sync.Mutex
	store   *bus.Bus       // nil while its disk cannot be written; guarded by mu
	servers Servers        // nil until Join; guarded by mu
	away    bool           // the servers took the last event not; guarded by mu
	holds   bool           // the store may have events to send; guarded by mu
	began   time.Time      // when events began to go into the spool, zero: the servers have all; guarded by mu
	told    bool           // the log has said since began that the servers are away; guarded by mu
	spooled uint64         // events since Open; guarded by mu
	sent    uint64         // events since began; guarded by mu
	kept    map[place]bool // what the servers never take; guarded by mu
}

// place is where an event is in the store.
type place struct {
	stream   string
	sequence uint64
}

// Open opens the spool in a directory, or makes one there. The caller must call Close once.
func Open(ctx context.Context, cfg Config) (*Spool, error) {
	if cfg.Max == 0 {
		cfg.Max = DefaultMax
	}
	s := &Spool{cfg: cfg, kept: map[place]bool{}}
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
		Embedded: bus.EmbeddedConfig{Dir: s.cfg.Dir, Spool: true}, MaxStore: s.cfg.Max, Log: s.cfg.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	return store, nil
}

// OpenLeft opens a spool that a process has left. It makes none.
func OpenLeft(ctx context.Context, cfg Config) (*Spool, error) {
	if is, err := bus.IsSpool(cfg.Dir); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	} else if !is {
		return nil, fmt.Errorf("spool: %s is no directory of a spool: give the one that --spool of faxstream serve had", cfg.Dir)
	}
	return Open(ctx, cfg)
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

// direct are the servers, if the last event went there; nil: it did not.
func (s *Spool) direct() Servers {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return nil
	}
	return s.servers
}

// Record stores a fact at the NATS servers or in the spool. repeat: the one that has it now had it already.
func (s *Spool) Record(ctx context.Context, f session.Fact) (repeat bool, err error) {
	err = s.take(
		ctx,
		func(ctx context.Context, servers Servers) (err error) {
			repeat, err = servers.Record(ctx, f)
			return err
		},
		func(store *bus.Bus) (err error) { repeat, err = store.Record(ctx, f); return err },
	)
	return repeat, err
}

// Bury stores a dead letter at the NATS servers or in the spool.
func (s *Spool) Bury(ctx context.Context, d session.DeadLetter) error {
	return s.take(
		ctx,
		func(ctx context.Context, servers Servers) error { return servers.Bury(ctx, d) },
		func(store *bus.Bus) error { return store.Bury(ctx, d) },
	)
}

// take has an event stored by the servers, else by the store.
func (s *Spool) take(ctx context.Context, direct func(context.Context, Servers) error, spool func(*bus.Bus) error) error {
	if servers := s.direct(); servers != nil {
		patient, cancel := context.WithTimeout(ctx, patience)
		err := direct(patient, servers)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if !bus.TooLarge(err) {
			s.Away(err)
		}
	}
	store, _ := s.parts()
	if store == nil {
		return fmt.Errorf("the spool in %s cannot be written", s.cfg.Dir)
	}
	if err := spool(store); err != nil {
		return fmt.Errorf("the spool in %s does not take it: %w", s.cfg.Dir, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds = true
	s.spooled++
	return nil
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
	if servers := s.direct(); servers != nil && servers.Takes(ctx) == nil {
		return nil
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

// State is what a spool has.
type State struct {
	Events  uint64    `json:"events"`          // of webhooks
	Letters uint64    `json:"letters"`         // dead letters, of webhooks that cannot be read
	Bytes   uint64    `json:"bytes"`           // of both
	Max     uint64    `json:"max_bytes"`       // that it takes
	Oldest  time.Time `json:"oldest,omitzero"` // of both; zero: there are none
	Kept    int       `json:"kept,omitempty"`  // of both: the NATS servers never take them
	Spooled uint64    `json:"-"`               // both, since Open
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
