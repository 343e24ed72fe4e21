package recovery

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// savedLedgers is a JetStream with ledgers and one note.
type savedLedgers struct {
	all     []bus.Stored
	note    []byte
	written uint64 // revision of the note
	reads   []uint64
	down    bool
}

func (s *savedLedgers) NextLedger(_ context.Context, from uint64) (bus.Stored, bool, error) {
	s.reads = append(s.reads, from)
	for _, m := range s.all {
		if m.Sequence >= from {
			return m, true, nil
		}
	}
	return bus.Stored{}, false, nil
}

func (s *savedLedgers) RemoveLedger(context.Context, string, uint64) (bool, error) {
	return false, errors.New("no ledger here may leave")
}

func (s *savedLedgers) Note(context.Context, string) ([]byte, uint64, error) {
	if s.down {
		return nil, 0, errors.New("the bus is down")
	}
	return s.note, s.written, nil
}

func (s *savedLedgers) PutNote(_ context.Context, _ string, data []byte, revision uint64) (uint64, bool, error) {
	if revision != s.written {
		return 0, false, nil
	}
	s.written++
	s.note = data
	return s.written, true, nil
}

// Processes take turns: after one has begun, none cleans again until the time between two runs is over.
func TestOneProcessCleansAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &savedLedgers{}
		a := Cleaner{Bus: s, Every: CleanEvery, Log: slog.New(slog.DiscardHandler)}
		b := a
		if wait, err := a.turn(t.Context()); wait != 0 || err != nil {
			t.Fatalf("the first process waits %s, %v", wait, err)
		}
		for _, c := range []Cleaner{a, b} {
			if wait, err := c.turn(t.Context()); wait != CleanEvery || err != nil {
				t.Errorf("after a run a process waits %s, %v", wait, err)
			}
		}
		s.down = true
		if wait, err := b.turn(t.Context()); wait != cleanAgain || err != nil {
			t.Errorf("without an answer a process waits %s, %v", wait, err)
		}
		s.down = false
		<-time.After(CleanEvery)
		if wait, err := b.turn(t.Context()); wait != 0 || err != nil {
			t.Errorf("a day later the other process waits %s, %v", wait, err)
		}
		s.note = []byte("x")
		if wait, err := b.turn(t.Context()); wait != cleanAgain || err != nil {
			t.Errorf("with a note that cannot be read a process waits %s, %v", wait, err)
		}
	})
}

// A run passes ledgers of which something is open, and ends at the first one that is not old enough.
func TestARunEndsAtTheFirstYoungLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &savedLedgers{}
		for i, age := range []time.Duration{40, 35, 20, 10} {
			data, err := session.State{Session: "s", Direction: session.Incoming}.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			at := time.Now().Add(-age * 24 * time.Hour)
			s.all = append(s.all, bus.Stored{Subject: "s", Sequence: uint64(10 * (i + 1)), Time: at, Data: data})
		}
		c := Cleaner{Bus: s, Age: 31 * 24 * time.Hour, Every: CleanEvery, Log: slog.New(slog.DiscardHandler)}
		done, err := c.Clean(t.Context())
		if err != nil || done.Removed != 0 || len(done.Stay) > 0 || len(s.reads) != 3 || s.reads[1] != 11 || s.reads[2] != 21 {
			t.Errorf("%+v, %v after reads from %v", done, err, s.reads)
		}
	})
}

// away is an archive that cannot be read for sessions whose id begins with "bad", and has nothing of others.
type away struct{ pipelinetest.Vault }

var errAway = errors.New("one object cannot be read")

func (a away) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	if strings.Contains(prefix, "bad") {
		return func(yield func(string, error) bool) { yield("", errAway) }
	}
	return a.Vault.List(ctx, prefix, after)
}

// A fault of one fax is told, and does not keep the others from leaving; a fault of all ends the run.
func TestAFaultOfOneFaxDoesNotStopTheCleaner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &savedLedgers{}
		add := func(data []byte) {
			s.all = append(s.all, bus.Stored{Subject: "s", Sequence: uint64(len(s.all) + 1), Time: time.Now().Add(-40 * 24 * time.Hour), Data: data})
		}
		finished := func(id string) {
			data, err := session.State{
				Session: id, Direction: session.Incoming, Ordered: 1, Close: &session.Closed{Session: id, Status: "success", Pages: 1},
				Document: &session.DocAssembled{Session: id, Revision: 1, Status: session.StatusComplete},
			}.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			add(data)
		}
		add([]byte("x"))
		for i := range cleanTries - 1 {
			finished(fmt.Sprintf("bad-%d", i))
		}
		finished("unknown")
		finished("bad-last")
		var log strings.Builder
		c := Cleaner{Bus: s, Archive: away{}, Age: time.Hour, Every: CleanEvery, Log: slog.New(slog.NewTextHandler(&log, nil))}
		done, err := c.Clean(t.Context())
		want := map[string]int{"unreadable": 1, "not compared, because of an error": cleanTries, "document": 1}
		if err != nil || done.Removed != 0 || !maps.Equal(done.Stay, want) {
			t.Errorf("%+v, %v; want %v", done, err, want)
		}
		for _, said := range []string{"unreadable", "bad-0", errAway.Error()} {
			if !strings.Contains(log.String(), said) {
				t.Errorf("the log does not say %q:\n%s", said, log.String())
			}
		}
		finished("bad-a")
		finished("bad-b")
		finished("bad-c")
		finished("bad-d")
		if _, err := c.Clean(t.Context()); !errors.Is(err, errAway) {
			t.Errorf("an archive of which nothing can be read: %v", err)
		}
	})
}
