package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

func TestTheFirstNumberIsBoundForAll(t *testing.T) {
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
	for _, row := range []struct {
		bus         *Bus
		token, want string
	}{
		{b, "", session.UnknownToken},
		{other, session.UnknownToken, session.UnknownToken},
		{other, "1334", "1334"},
		{b, "", "1334"},
		{b, "999", "1334"},
		{other, session.UnknownToken, "1334"},
	} {
		if got, err := row.bus.Bind(t.Context(), "s", row.token); err != nil || got != row.want {
			t.Fatalf("Bind(%q) gives %q, %v; want %q", row.token, got, err, row.want)
		}
	}
}

func TestConcurrentBindersAgree(t *testing.T) {
	t.Parallel()
	b, err := Open(t.Context(), Config{Embedded: EmbeddedConfig{Dir: t.TempDir(), Listen: "127.0.0.1:0", Insecure: true}, Log: logTo(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer closeBus(t, b)
	buses := []*Bus{b}
	for range 2 {
		other, err := Open(t.Context(), Config{URL: b.ClientURL(), Log: logTo(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer closeBus(t, other)
		buses = append(buses, other)
	}
	for s := range 20 {
		id := fmt.Sprint("s", s)
		tokens := make([]string, 30)
		var wg sync.WaitGroup
		for i := range tokens {
			wg.Go(func() {
				var err error
				if tokens[i], err = buses[i%len(buses)].Bind(t.Context(), id, fmt.Sprint(100+i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, token := range tokens {
			if token != tokens[0] {
				t.Fatalf("session %s is bound to %v", id, tokens)
			}
		}
	}
}

func TestALedgerIsSwappedOnlyFromItsNewestRevision(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	s, revision, err := b.Load(t.Context(), "s")
	if err != nil || revision != 0 || s.Session != "s" {
		t.Fatalf("a new ledger is %+v at %d, %v", s, revision, err)
	}
	s.From = "first"
	first, err := b.Save(t.Context(), s, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.From = "stale"
	for _, stale := range []uint64{0, first + 100} {
		if _, err := b.Save(t.Context(), s, stale); !errors.Is(err, ErrStale) {
			t.Errorf("Save at revision %d gives %v, want ErrStale", stale, err)
		}
	}
	s.From = "second"
	second, err := b.Save(t.Context(), s, first)
	if err != nil || second <= first {
		t.Fatalf("second revision %d after %d, %v", second, first, err)
	}
	if s, revision, err = b.Load(t.Context(), "s"); err != nil || revision != second || s.From != "second" {
		t.Errorf("the ledger is %+v at %d, %v", s, revision, err)
	}
}

// Many sessions are swapped at once, each by several writers that load again after a defeat: no update is lost.
func TestConcurrentSwapsLoseNothing(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	const sessions, writers, rounds = 20, 4, 5
	var wg sync.WaitGroup
	for i := range sessions {
		for range writers {
			wg.Go(func() {
				for range rounds {
					for {
						s, revision, err := b.Load(t.Context(), fmt.Sprint("s", i))
						if err != nil {
							t.Error(err)
							return
						}
						s.WholeN++
						if _, err = b.Save(t.Context(), s, revision); err == nil {
							break
						} else if !errors.Is(err, ErrStale) {
							t.Error(err)
							return
						}
					}
				}
			})
		}
	}
	wg.Wait()
	for i := range sessions {
		if s, _, err := b.Load(t.Context(), fmt.Sprint("s", i)); err != nil || s.WholeN != writers*rounds {
			t.Errorf("session %d counts %d updates, want %d; %v", i, s.WholeN, writers*rounds, err)
		}
	}
}

func TestLedgersGivesWhatIsThereAndThenEveryChange(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	for i := range 3 {
		if _, err := b.Save(t.Context(), session.State{Session: fmt.Sprint("s", i)}, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Bind(t.Context(), fmt.Sprint("s", i), "1334"); err != nil { // no ledger
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen, caught, ended := make(chan string, 16), make(chan struct{}), make(chan error)
	go func() {
		ended <- b.Ledgers(ctx, func(s session.State) { seen <- s.Session + s.From }, func() { close(caught) })
	}()
	receive(t, caught)
	got := map[string]bool{}
	for range 3 {
		got[receive(t, seen)] = true
	}
	if len(got) != 3 || len(seen) != 0 {
		t.Errorf("before it caught up it gave %v and %d more", got, len(seen))
	}
	if _, err := b.Save(t.Context(), session.State{Session: "new", From: "+49"}, 0); err != nil {
		t.Fatal(err)
	}
	if s := receive(t, seen); s != "new+49" {
		t.Errorf("the change is %s", s)
	}
	cancel()
	if err := receive(t, ended); err != nil {
		t.Error(err)
	}
}

// A ledger that somebody has deleted or overwritten with other tools hides no other one, and a process that starts gets on.
func TestAnUnreadableLedgerHidesNoOther(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	b, err := Open(t.Context(), Config{Embedded: EmbeddedConfig{Dir: t.TempDir()}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := b.Save(t.Context(), session.State{Session: fmt.Sprint("s", i)}, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.sessions.Delete(t.Context(), "s0"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.sessions.PutString(t.Context(), "s1", "{"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var seen []string
	if err := b.Ledgers(ctx, func(s session.State) { seen = append(seen, s.Session) }, cancel); err != nil || fmt.Sprint(seen) != "[s2]" {
		t.Errorf("the watch has %v, %v", seen, err)
	}
	stream, err := b.js.Stream(t.Context(), "KV_"+BucketSessions)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"s0", "s1"} { // what the page about operations says: then it can be made again
		if err := stream.Purge(t.Context(), jetstream.WithPurgeSubject(ledgerSubject(id))); err != nil {
			t.Fatal(err)
		}
		if _, revision, err := b.Load(t.Context(), id); err != nil || revision != 0 {
			t.Errorf("after the purge %s has revision %d, %v", id, revision, err)
		}
		if _, err := b.Save(t.Context(), session.State{Session: id}, 0); err != nil {
			t.Error(err)
		}
	}
	closeBus(t, b) // nobody writes into the log any more
	for _, subject := range []string{ledgerSubject("s0"), ledgerSubject("s1")} {
		if !strings.Contains(log.String(), subject) {
			t.Errorf("the log does not name %s:\n%s", subject, log.String())
		}
	}
}

// A reader of ledgers has a few of them in memory, however many there are and however slow it is. It gets each of them, and knows when it
// has all.
func TestLedgersComeInParts(t *testing.T) {
	t.Parallel()
	b, err := Open(t.Context(), Config{Embedded: EmbeddedConfig{Dir: t.TempDir()}, Log: logTo(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer closeBus(t, b)
	const n = 4 * ledgersAtOnce
	var saving sync.WaitGroup
	for i := range n {
		saving.Go(func() {
			if _, err := b.Save(t.Context(), session.State{Session: fmt.Sprint("s", i)}, 0); err != nil {
				t.Error(err)
			}
		})
	}
	saving.Wait()
	delivered := func() (n uint64) {
		stream, err := b.js.Stream(t.Context(), "KV_"+BucketSessions)
		if err != nil {
			t.Fatal(err)
		}
		for c := range stream.ListConsumers(t.Context()).Info() {
			n += c.Delivered.Consumer
		}
		return n
	}
	ctx, stop := context.WithCancel(t.Context())
	seen := map[string]bool{}
	err = b.Ledgers(ctx, func(s session.State) {
		if seen[s.Session] = true; len(seen) == 1 {
			for delivered() == 0 {
				runtime.Gosched()
			}
		}
		if most := uint64(len(seen) + ledgersAtOnce); len(seen)%100 == 1 && delivered() > most {
			t.Errorf("after %d ledgers the server has sent %d, at most %d may be on their way", len(seen), delivered(), ledgersAtOnce)
		}
	}, stop)
	if err != nil || len(seen) != n {
		t.Errorf("%d ledgers of %d came, %v", len(seen), n, err)
	}
}

// A ledger is removed as it was when it was judged: a save in between wins. Whoever had the removed one in hand must load again, and
// watchers hear nothing of it, also those that waited for it.
func TestARemovedLedgerLeavesNoMarkAndASaveWins(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	defer closeBus(t, b)
	save := func(id string, revision uint64) uint64 {
		t.Helper()
		next, err := b.Save(t.Context(), session.State{Session: id, Direction: session.Incoming, Ordered: int(revision)}, revision)
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	old, busy := save("old", 0), save("busy", 0)
	newer := save("busy", busy)
	if _, err := b.Bind(t.Context(), "old", "1334"); err != nil {
		t.Fatal(err)
	}
	var all []string
	for from := uint64(1); ; {
		m, ok, err := b.NextLedger(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		all = append(all, fmt.Sprint(m.Subject, " ", m.Sequence))
		from = m.Sequence + 1
	}
	if want := fmt.Sprintf("[%sold %d %sbusy %d]", ledgerSubject(""), old, ledgerSubject(""), newer); fmt.Sprint(all) != want {
		t.Errorf("the ledgers are %v, want %s", all, want)
	}
	for id, revision := range map[string]uint64{"old": old, "busy": busy} {
		for range 2 {
			if removed, err := b.RemoveLedger(t.Context(), id, revision); err != nil || removed != (id == "old") {
				t.Fatalf("the ledger of %s is removed: %v, %v", id, removed, err)
			}
		}
	}
	if s, revision, err := b.Load(t.Context(), "busy"); err != nil || revision != newer || s.Ordered != int(busy) {
		t.Errorf("the ledger that was saved meanwhile is %+v, revision %d, %v", s, revision, err)
	}
	if _, revision, err := b.Load(t.Context(), "old"); err != nil || revision != 0 {
		t.Errorf("the removed ledger has revision %d, %v", revision, err)
	}
	if _, err := b.Save(t.Context(), session.State{Session: "old"}, old); !errors.Is(err, ErrStale) {
		t.Errorf("a save over the removed ledger: %v, want ErrStale", err)
	}
	if token, err := b.Bind(t.Context(), "old", "999"); err != nil || token != "1334" {
		t.Errorf("the number is bound to %s, %v", token, err)
	}
	if _, err := b.RemoveLedger(t.Context(), "a.b", 1); err == nil {
		t.Error("a ledger of no session is removed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var seen []string
	if err := b.Ledgers(ctx, func(s session.State) { seen = append(seen, s.Session) }, cancel); err != nil || fmt.Sprint(seen) != "[busy]" {
		t.Errorf("the watch has %v, %v", seen, err)
	}
	save("old", 0)
}

// pendingNone is a consumer of which the server says that it delivers nothing any more.
type pendingNone struct{ jetstream.Consumer }

func (pendingNone) Info(context.Context) (*jetstream.ConsumerInfo, error) {
	return &jetstream.ConsumerInfo{}, nil
}

// Ledgers that are removed while a reader waits for them do not keep it waiting.
func TestAReaderDoesNotWaitForRemovedLedgers(t *testing.T) {
	t.Parallel()
	calls := 0
	r := &ledgerReader{left: 3, came: true, caught: func() { calls++ }}
	if !r.look(t.Context(), pendingNone{}) || calls != 0 {
		t.Error("the wait is over though a ledger came a moment ago")
	}
	if !r.look(t.Context(), pendingNone{}) || calls != 0 {
		t.Error("the wait is over though ledgers may be on their way")
	}
	if r.look(t.Context(), pendingNone{}) || calls != 1 || r.left != 0 {
		t.Errorf("the wait is not over: %d left, %d calls", r.left, calls)
	}
	if r.look(t.Context(), pendingNone{}) || calls != 1 {
		t.Error("the wait ends twice")
	}
}
