package bus

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"
	"go.uber.org/goleak"

	"github.com/faxstream/faxstream/pipeline/session"
)

func TestMain(m *testing.M) {
	ats.Register() // the server's access clock, outside of every synctest bubble
	code := m.Run()
	ats.Unregister()
	os.Exit(code)
}

// open starts an embedded bus in dir. The test's end closes it.
func open(t testing.TB, dir string) *Bus {
	t.Helper()
	b, err := Open(t.Context(), Config{Embedded: EmbeddedConfig{Dir: dir}, Log: logTo(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeBus(t, b) })
	return b
}

func closeBus(t testing.TB, b *Bus) {
	t.Helper()
	if b.life.Err() != nil {
		return // the test closed it itself
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func logTo(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func page(id string, n int) session.PageAnnounced {
	return session.PageAnnounced{Session: id, Page: n, From: "+49", To: "+1 334 304 0000"}
}

// mustRecord stores a fact that is new.
func mustRecord(t testing.TB, b *Bus, f session.Fact) (seq uint64) {
	t.Helper()
	seq, stored, err := b.RecordFact(t.Context(), f)
	if err != nil || stored != nil {
		t.Fatalf("record %s: stored before: %s, err %v", f.Subject(), stored, err)
	}
	return seq
}

// count is the number of messages of a stream.
func count(t testing.TB, b *Bus, stream string) uint64 {
	t.Helper()
	s, err := b.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Msgs
}

// receive waits for a value; the test's own timeout is the limit.
func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-t.Context().Done():
		t.Fatal("the test ended while it waited")
		panic("unreachable")
	}
}

func TestEverythingIsThereAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	seq := mustRecord(t, b, page("s", 1))
	if _, err := b.Bind(t.Context(), "s", "1334"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Save(t.Context(), session.State{Session: "s", From: "+49"}, 0); err != nil {
		t.Fatal(err)
	}
	closeBus(t, b)

	b = open(t, dir)
	again, stored, err := b.RecordFact(t.Context(), page("s", 1))
	if err != nil || stored == nil || again != seq {
		t.Errorf("the fact after the restart: seq %d (was %d), stored %s, err %v", again, seq, stored, err)
	}
	if token, err := b.Bind(t.Context(), "s", "999"); err != nil || token != "1334" {
		t.Errorf("the binding after the restart: %q, %v", token, err)
	}
	if s, revision, err := b.Load(t.Context(), "s"); err != nil || s.From != "+49" || revision == 0 {
		t.Errorf("the ledger after the restart: %+v at %d, %v", s, revision, err)
	}
	if err := b.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

func TestOneStoreIsOpenedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := open(t, dir)
	second, err := Open(t.Context(), Config{Embedded: EmbeddedConfig{Dir: dir}, Log: logTo(t)})
	if err == nil {
		closeBus(t, second)
		t.Fatal("a second server runs on the same store")
	}
	if !strings.Contains(err.Error(), "another faxstream") || !strings.Contains(err.Error(), dir) {
		t.Errorf("the error does not say what is wrong: %v", err)
	}
	mustRecord(t, first, page("s", 1))
	closeBus(t, first)
	open(t, dir) // free again
}

func TestOpenRefusesWhatWouldNotBeSafe(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, dir, listen, want string }{
		{"no directory", "", "", "no store directory"},
		{"every address", t.TempDir(), "0.0.0.0:0", "loopback"},
		{"an outside address", t.TempDir(), "192.0.2.1:4222", "loopback"},
		{"a name", t.TempDir(), "fax:4222", "loopback"},
		{"no host", t.TempDir(), ":4222", "loopback"},
		{"no port", t.TempDir(), "127.0.0.1", "port"},
		{"a directory that is a file", file(t), "", "not a directory"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b, err := Open(t.Context(), Config{Embedded: EmbeddedConfig{Dir: row.dir, Listen: row.listen}, Log: logTo(t)})
			if err == nil {
				closeBus(t, b)
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %q does not say %q", err, row.want)
			}
		})
	}
}

func file(t *testing.T) string {
	path := t.TempDir() + "/file"
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestASubscriberOnThisMachineReachesTheEmbeddedServer(t *testing.T) {
	t.Parallel()
	b, err := Open(t.Context(), Config{Embedded: EmbeddedConfig{Dir: t.TempDir(), Listen: "127.0.0.1:0", Insecure: true}, Log: logTo(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer closeBus(t, b)
	other, err := Open(t.Context(), Config{URL: b.ClientURL(), Log: logTo(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer closeBus(t, other)
	mustRecord(t, other, page("s", 1))
	if repeat, err := b.Record(t.Context(), page("s", 1)); err != nil || !repeat {
		t.Errorf("the other one's fact: repeat %t, err %v", repeat, err)
	}
}

// Close leaves no goroutine: not of the server, of consumers, of followers, nor of commits that were under way.
func TestCloseEndsEveryGoroutine(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	b, err := Open(t.Context(), Config{Embedded: EmbeddedConfig{Dir: t.TempDir()}, Log: logTo(t)})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan struct{}, 64)
	in := Consumer{Stream: StreamIn, Durable: "page", Filter: []string{session.TypePageAnnounced + ".>"}, Workers: 3}
	if err := b.Consume(t.Context(), in, func(context.Context, Delivery) error { seen <- struct{}{}; return nil }); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	caught := make(chan struct{})
	go func() { ended <- b.Ledgers(context.Background(), func(session.State) {}, func() { close(caught) }) }()
	go func() { ended <- b.Follow(context.Background(), nil, func(Stored, Place) bool { return true }) }()
	receive(t, caught)
	for i := range 20 {
		mustRecord(t, b, page("s", i+1))
		receive(t, seen)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := receive(t, ended); err != nil {
			t.Errorf("a watch ended with %v", err)
		}
	}
	goleak.VerifyNone(t, ignore)
}

func TestManySmallOpensAndCloses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 5 {
		b := open(t, dir)
		mustRecord(t, b, page(fmt.Sprint("s", i), 1))
		closeBus(t, b)
	}
	if n := count(t, open(t, dir), StreamIn); n != 5 {
		t.Errorf("%d facts after five restarts, want 5", n)
	}
}

var testTime = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
