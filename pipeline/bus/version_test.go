package bus

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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
	nc, err := nats.Connect(s.url(), nats.Timeout(time.Minute))
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
		maps.Copy(has.Metadata, cfg.Metadata)
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

// settings reads what the server has of a stream and of the durable page.
func settings(t *testing.T, b *Bus, stream string) (s jetstream.StreamConfig, c jetstream.ConsumerConfig) {
	t.Helper()
	has, err := b.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	cons, err := b.js.Consumer(t.Context(), StreamIn, "page")
	if err != nil {
		t.Fatal(err)
	}
	return has.CachedInfo().Config, cons.CachedInfo().Config
}

// Two versions share the streams. The older one, whenever it starts, leaves the settings of the newer one alone; what a version that knows
// nothing of revisions changes back is set right by the newer one, which runs.
func TestAnOlderVersionLeavesTheSettingsOfANewerAlone(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	version := func(revision int, store int64, filter ...string) *Bus {
		t.Helper()
		b, err := Open(t.Context(), Config{URL: s.url(), MaxStore: store, settings: revision, Log: logTo(t)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeBus(t, b) })
		c := pageConsumer
		c.Filter = filter
		consume(t, b, c, func(context.Context, Delivery) error { return nil })
		return b
	}
	const small, large = 1 << 30, 2 << 30
	facts := "fax.v1.in.page.>"
	version(1, small, facts)
	newer := version(2, large, facts, "fax.v1.in.new.>")
	older := version(1, small, facts)
	if stream, cons := settings(t, older, StreamIn); stream.MaxBytes != large/100*20 || len(cons.FilterSubjects) != 2 {
		t.Errorf("the older one has changed them: %d bytes, %q", stream.MaxBytes, cons.FilterSubjects)
	}
	if err := older.Ready(t.Context()); err != nil {
		t.Errorf("the older one is not ready: %v", err)
	}
	mustRecord(t, older, page("s", 1))

	stream, cons := settings(t, newer, StreamIn)
	stream.Metadata, stream.MaxBytes, cons.Metadata, cons.FilterSubjects = nil, small/100*20, nil, []string{facts}
	if _, err := older.js.UpdateStream(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	if _, err := older.js.UpdateConsumer(t.Context(), StreamIn, cons); err != nil {
		t.Fatal(err)
	}
	newer.lookAtAll(t.Context())
	older.lookAtAll(t.Context())
	if stream, cons := settings(t, newer, StreamIn); stream.MaxBytes != large/100*20 || len(cons.FilterSubjects) != 2 ||
		revisionOf(stream.Metadata) != 2 || revisionOf(cons.Metadata) != 2 {
		t.Errorf("they are not set right: %d bytes, %q, %v, %v", stream.MaxBytes, cons.FilterSubjects, stream.Metadata, cons.Metadata)
	}
}

// Whoever changes settings raises their revision: else two versions at once undo each other's.
func TestTheRevisionOfSettingsIsRaised(t *testing.T) {
	b := &Bus{cfg: Config{MaxStore: DefaultMaxStore}}
	data, err := json.Marshal(struct {
		Streams   []jetstream.StreamConfig
		Consumers []jetstream.ConsumerConfig
	}{b.wanted(), []jetstream.ConsumerConfig{Consumer{Durable: "d"}.config(), Consumer{Durable: "d", Ordered: true}.config()}})
	if err != nil {
		t.Fatal(err)
	}
	const known = "c8f8621bc07ff2b8" // of settingsRevision 1
	if got := fmt.Sprintf("%x", sha256.Sum256(data))[:16]; got != known {
		t.Errorf("the settings have the hash %s, want %s: raise settingsRevision, and write the new hash here", got, known)
	}
}

// What is weaker than the promises is named, and refused with Strict before anything is created. The servers say themselves whether they
// sync, where they may be asked.
func TestWeakServersAreNamedAndRefused(t *testing.T) {
	t.Parallel()
	bin, dir := tool(t, "nats-server"), t.TempDir()
	server := func(sync, payload string) *natsServer {
		t.Helper()
		s := &natsServer{t: t, bin: bin, addr: freeAddr(t), conf: filepath.Join(dir, sync+".conf")}
		conf := fmt.Sprintf("server_name: n-%s\nlisten: %q\nmax_payload: %s\njetstream { store_dir: %q, sync_interval: %s }\n"+
			"accounts {\n  FAX { jetstream: enabled, users: [{user: f, password: p}]\n"+
			"    imports: [{service: {account: SYS, subject: %[6]q}}] }\n"+
			"  SYS { exports: [{service: %[6]q, response_type: stream, accounts: [FAX]}] }\n}\nsystem_account: SYS\nno_auth_user: f\n",
			sync, s.addr, payload, filepath.Join(dir, sync), sync, askServers)
		if err := os.WriteFile(s.conf, []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		s.start()
		t.Cleanup(s.kill)
		return s
	}
	weak := server("10s", "64KB")
	log := &lines{}
	cfg := Config{URL: weak.url(), Strict: true, Log: slog.New(slog.NewTextHandler(log, nil))}
	if b, err := Open(t.Context(), cfg); !errors.Is(err, ErrWeak) || !strings.Contains(err.Error(), "n-10s") ||
		!strings.Contains(err.Error(), "max_payload") {
		if err == nil {
			closeBus(t, b)
		}
		t.Fatalf("a server that does not sync is opened, or the error names it not: %v", err)
	}
	e, err := Examine(t.Context(), cfg)
	if err != nil || len(e.Replicas) > 0 || len(e.Weak) != 2 || !e.Told || !e.HasClock || e.Ahead.Abs() > AheadAtMost {
		t.Errorf("it is said to be %+v, %v; want two weaknesses and no stream", e, err)
	}
	cfg.Strict = false
	b, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if w, err := b.Warnings(t.Context()); err != nil || len(w) != 2 || !strings.Contains(strings.Join(w, "\n"), "n-10s") {
		t.Errorf("the warnings are %q, %v; want both weaknesses", w, err)
	}
	closeBus(t, b)
	if n := log.count("weaker than what faxstream promises"); n != 2 {
		t.Errorf("%d warnings, want 2: %q", n, log.all)
	}

	good := server("always", "1MB")
	cfg = Config{URL: good.url(), Strict: true, Log: logTo(t)}
	if b, err = Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	closeBus(t, b)
	e, err = Examine(t.Context(), cfg)
	if err != nil || len(e.Weak) > 0 || !e.Told || e.Replicas[StreamIn] != 1 {
		t.Errorf("it is said to be %+v, %v; want no weakness", e, err)
	}
}

// A clock that is off is seen through the way of the answer, and a slow answer is no clock that is off.
func TestClocksOfServers(t *testing.T) {
	now := time.Now()
	if ahead := aheadOf(now.Add(time.Minute), now); ahead < 50*time.Second || ahead > time.Minute {
		t.Errorf("a clock a minute ahead is %s ahead", ahead)
	}
	if ahead := aheadOf(now.Add(-time.Minute), now); ahead > -59*time.Second || ahead < -70*time.Second {
		t.Errorf("a clock a minute behind is %s ahead", ahead)
	}
	if ahead := aheadOf(now.Add(-time.Second), now.Add(-3*time.Second)); ahead != 0 {
		t.Errorf("an answer that took three seconds is %s ahead", ahead)
	}
	if most := furthest([]time.Duration{time.Second, -3 * time.Second}, []report{{ahead: 2 * time.Second}}); most != -3*time.Second {
		t.Errorf("the furthest is %s, want -3s", most)
	}
}
