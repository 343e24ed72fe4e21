package bus

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A server of before 2.12 takes every configuration and ignores what it does not know. It is refused by name, and nothing is created there.
func TestAnOldServerIsRefused(t *testing.T) {
	s := startServer(t, "nats-server-2.11", "")
	b, err := Open(t.Context(), Config{URL: s.url(), Log: logTo(t)})
	if err == nil {
		closeBus(t, b)
		t.Fatal("it was opened")
	}
	if !errors.Is(err, ErrTooOld) || !strings.Contains(err.Error(), "2.12") || !strings.Contains(err.Error(), "has 2.11.") {
		t.Errorf("the error does not name the versions: %v", err)
	}
	nc, err := nats.Connect(s.url())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	list := js.StreamNames(t.Context())
	for name := range list.Name() {
		t.Errorf("stream %s was created", name)
	}
}

func TestWhatAServerIgnoresIsFound(t *testing.T) {
	b := &Bus{cfg: Config{MaxStore: DefaultMaxStore}}
	for _, cfg := range b.wanted() {
		has := cfg
		has.MaxMsgs, has.MaxConsumers, has.Metadata = max(cfg.MaxMsgs, 1), -1, map[string]string{"_nats.level": "2"} // the server's own
		if differ, err := ignored(cfg, has); err != nil || len(differ) > 0 {
			t.Errorf("%s: %q differ, %v", cfg.Name, differ, err)
		}
		has.AllowMsgSchedules, has.AllowMsgTTL, has.AllowAtomicPublish = false, false, false
		var want []string
		if cfg.AllowAtomicPublish {
			want = append(want, "allow_atomic")
		}
		if cfg.AllowMsgSchedules {
			want = append(want, "allow_msg_schedules", "allow_msg_ttl")
		}
		if differ, err := ignored(cfg, has); err != nil || !slices.Equal(differ, want) {
			t.Errorf("%s: %q differ, want %q; %v", cfg.Name, differ, want, err)
		}
	}
}

// An older client that edits a stream drops what it does not know of it. No message is refused for that, and the stream is changed back.
func TestAStreamWithoutBatchesIsChangedBack(t *testing.T) {
	b := open(t, t.TempDir())
	s, err := b.js.Stream(t.Context(), StreamIn)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.AllowAtomicPublish = false
	if _, err := b.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			if _, err := b.Record(t.Context(), page("s", n+1)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if !b.groups[StreamIn].single.Load() {
		t.Fatal("no batch was refused: the test shows nothing")
	}
	if n := count(t, b, StreamIn); n != 200 || b.Ready(t.Context()) != nil {
		t.Errorf("%d facts are stored, want 200; ready: %v", n, b.Ready(t.Context()))
	}
	b.repair(t.Context())
	if s, err = b.js.Stream(t.Context(), StreamIn); err != nil || !s.CachedInfo().Config.AllowAtomicPublish ||
		b.groups[StreamIn].single.Load() {
		t.Errorf("the stream is not changed back: %v", err)
	}
}
