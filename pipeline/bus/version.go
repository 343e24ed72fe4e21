package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// apiLevel is JetStream's API level with schedules and atomic batches, that of nats-server 2.12. Servers before 2.11 say none.
const apiLevel = 2

// ErrTooOld means that the NATS server, or one of its cluster, lacks what faxstream needs.
var ErrTooOld = errors.New("faxstream needs nats-server 2.12 or newer, on every server of a cluster")

func (b *Bus) tooOld() error {
	return fmt.Errorf("%w; %s has %s", ErrTooOld, b.nc.ConnectedServerName(), b.nc.ConnectedServerVersion())
}

// checkLevel refuses a server that is too old before anything is created there. Such a server ignores what it does not know, without an
// error: no timer would ever fire.
func (b *Bus) checkLevel(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	info, err := b.js.AccountInfo(ctx)
	if err != nil {
		return fmt.Errorf("ask the NATS server for its API level: %w", err)
	}
	if info.API.Level < apiLevel {
		return b.tooOld()
	}
	return nil
}

// Examined is what a connection says about external NATS servers.
type Examined struct {
	Version  string         // of the server that answers
	Cluster  string         // the name of its cluster; empty: it is alone
	Streams  []string       // ours that exist, ascending
	Replicas map[string]int // their copies, by name
	Ahead    time.Duration  // by how much the clock of a stream's leader is ahead of ours, of the one that differs most
	HasClock bool           // Ahead is known: a stream exists
}

// Examine connects to external NATS servers and looks at them. It creates and changes nothing. A server that is too old is an error that
// matches ErrTooOld.
func Examine(ctx context.Context, cfg Config) (e Examined, err error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	life, stop := context.WithCancel(ctx)
	defer stop()
	b := &Bus{cfg: cfg, log: cfg.Log, life: life, stopping: stop, health: newHealth(life)}
	b.line, b.hangUp = context.WithCancel(life)
	if err := b.connect(); err != nil {
		return e, err
	}
	defer b.nc.Close()
	if err := b.checkLevel(ctx); err != nil {
		return e, err
	}
	e = Examined{Version: b.nc.ConnectedServerVersion(), Cluster: b.nc.ConnectedClusterName(), Replicas: map[string]int{}}
	for _, want := range b.wanted() {
		asked := time.Now()
		s, err := b.js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return e, fmt.Errorf("read the state of %s: %w", want.Name, err)
		}
		info := s.CachedInfo()
		e.Streams = append(e.Streams, want.Name)
		e.Replicas[want.Name] = info.Config.Replicas
		if ahead := info.TimeStamp.Sub(asked.Add(time.Since(asked) / 2)); !info.TimeStamp.IsZero() && ahead.Abs() >= e.Ahead.Abs() {
			e.Ahead, e.HasClock = ahead, true
		}
	}
	slices.Sort(e.Streams)
	return e, nil
}

// ignored compares a stream's configuration as the server has it with what was asked, and returns the fields that differ. A field without
// a value in asked is the server's to choose.
func ignored(asked, has jetstream.StreamConfig) ([]string, error) {
	want, err := fields(asked)
	if err != nil {
		return nil, err
	}
	got, err := fields(has)
	if err != nil {
		return nil, err
	}
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if v := want[name]; v != nil && !reflect.ValueOf(v).IsZero() && !reflect.DeepEqual(v, got[name]) {
			differ = append(differ, name)
		}
	}
	return differ, nil
}

func fields(cfg jetstream.StreamConfig) (m map[string]any, err error) {
	data, err := json.Marshal(cfg)
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}

// repair sets streams right that accept no batches any more: somebody edited them, or removed our files in memory.
func (b *Bus) repair(ctx context.Context) {
	for _, cfg := range b.wanted() {
		g := b.groups[cfg.Name]
		if g == nil || !g.single.Load() {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		_, err := b.js.UpdateStream(ctx, cfg)
		cancel()
		if err == nil && b.server != nil && b.server.stage != "" {
			err = b.server.stageStream(cfg.Name)
		}
		if err != nil {
			b.log.Warn("a stream accepts no batches, and setting it right failed; it is tried again", "stream", cfg.Name, "err", err)
			continue
		}
		g.single.Store(false)
		b.log.Warn("a stream accepted no batches; it is set right", "stream", cfg.Name)
	}
}
