package bus

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

// watchedBus is an embedded bus in a bubble with pageConsumer running, what it delivers, and the log.
func watchedBus(t *testing.T, dir string, workers int) (b *Bus, seen chan Delivery, log *lines) {
	t.Helper()
	log = &lines{}
	b, err := Open(t.Context(), Config{Embedded: EmbeddedConfig{Dir: dir}, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	seen = make(chan Delivery, 256)
	c := pageConsumer
	c.Workers = workers
	consume(t, b, c, func(_ context.Context, d Delivery) error { seen <- d; return nil })
	return b, seen, log
}

// settleAll returns when pageConsumer has settled everything.
func settleAll(t *testing.T, b *Bus) {
	t.Helper()
	for pending, waiting := outstanding(t, b, pageConsumer); pending > 0 || waiting > 0; {
		pending, waiting = outstanding(t, b, pageConsumer)
	}
}

// lines collects what is logged.
type lines struct {
	mu  sync.Mutex
	all []string // guarded by mu
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(p))
	return len(p), nil
}

func (l *lines) count(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// Somebody deletes a durable while we run. It is made again at once and goes on where it was; a crowd of workers does not fill the log.
func TestADeletedConsumerIsMadeAgainWhereItWas(t *testing.T) {
	dir := t.TempDir()
	b, seen, log := watchedBus(t, dir, 24)
	for n := range 5 {
		mustRecord(t, b, page("s", n+1))
		receive(t, seen)
	}
	settleAll(t, b)
	b.lookAtAll(t.Context()) // saves the position
	if err := b.js.DeleteConsumer(t.Context(), StreamIn, "page"); err != nil {
		t.Fatal(err)
	}
	mustRecord(t, b, page("s", 6))
	if d := receive(t, seen); d.Subject != "fax.v1.in.page.s.6" {
		t.Errorf("%s came, want page 6: %q", d.Subject, log.all)
	}
	for pending := 1; pending > 0; {
		pending, _ = outstanding(t, b, pageConsumer)
	}
	if len(seen) > 0 || b.Ready(t.Context()) != nil {
		t.Errorf("%d messages came again; ready: %v", len(seen), b.Ready(t.Context()))
	}
	if n := log.count("work cannot be read from NATS"); n > 1 {
		t.Errorf("%d warnings, want one at most", n)
	}
	if log.count("is made again") != 1 {
		t.Errorf("nobody is told, or too often: %q", log.all)
	}
	closeBus(t, b)
}

// A durable that is deleted while no process runs is found missing at the start, and goes on where it was too.
func TestAConsumerDeletedBetweenRunsGoesOnWhereItWas(t *testing.T) {
	dir := t.TempDir()
	b, seen, _ := watchedBus(t, dir, 24)
	for n := range 5 {
		mustRecord(t, b, page("s", n+1))
		receive(t, seen)
	}
	settleAll(t, b)
	b.lookAtAll(t.Context())
	closeBus(t, b)

	b = open(t, dir)
	mustRecord(t, b, page("s", 6))
	if err := b.js.DeleteConsumer(t.Context(), StreamIn, "page"); err != nil {
		t.Fatal(err)
	}
	closeBus(t, b)

	b, seen, log := watchedBus(t, dir, 24)
	if d := receive(t, seen); d.Subject != "fax.v1.in.page.s.6" {
		t.Errorf("it began with %s, want page 6", d.Subject)
	}
	if log.count("is made again") != 1 {
		t.Errorf("nobody is told: %q", log.all)
	}
	closeBus(t, b)
}

// The positions of a stream that is not there any more say nothing of a new one of its name.
func TestPositionsOfALostStreamDoNotCount(t *testing.T) {
	dir := t.TempDir()
	b, seen, _ := watchedBus(t, dir, 24)
	for n := range 5 {
		mustRecord(t, b, page("s", n+1))
		receive(t, seen)
	}
	b.lookAtAll(t.Context())
	if err := b.js.DeleteStream(t.Context(), StreamIn); err != nil {
		t.Fatal(err)
	}
	closeBus(t, b)

	b, err := Open(t.Context(), Config{Embedded: EmbeddedConfig{Dir: dir}, Recreate: true, Log: logTo(t)})
	if err != nil {
		t.Fatal(err)
	}
	mustRecord(t, b, page("s", 1))
	closeBus(t, b)
	b, seen, _ = watchedBus(t, dir, 24)
	if d := receive(t, seen); d.Subject != "fax.v1.in.page.s.1" {
		t.Errorf("it began with %s, want page 1", d.Subject)
	}
	closeBus(t, b)
}

func TestAPausedConsumerIsNotReadyUntilItIsResumed(t *testing.T) {
	dir := t.TempDir()
	b, _, _ := watchedBus(t, dir, 1)
	if _, err := b.js.PauseConsumer(t.Context(), StreamIn, "page", time.Now().Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	mustRecord(t, b, page("s", 1))
	waits := func() bool { // the server counts a message a moment after it stores it
		b.lookAtAll(t.Context())
		all := b.Backlogs()
		return len(all) == 1 && all[0].Pending == 1
	}
	for deadline := time.Now().Add(time.Minute); !waits() && time.Now().Before(deadline); {
	}
	err := b.Ready(t.Context())
	if err == nil || !strings.Contains(err.Error(), "consumer page of FAX_IN") || !strings.Contains(err.Error(), "resume FAX_IN page") {
		t.Errorf("ready: %v; want its name and what to do", err)
	}
	if all := b.Backlogs(); len(all) != 1 || all[0].Consumer != "page" || all[0].Pending != 1 ||
		all[0].Oldest <= 0 {
		t.Errorf("backlog %+v, want one message that waits", all)
	}
	closeBus(t, b) // a restart is no resume

	b, seen, _ := watchedBus(t, dir, 1)
	if b.Ready(t.Context()) == nil || len(seen) > 0 {
		t.Error("a restart ended the pause, or hides it")
	}
	if _, err := b.js.ResumeConsumer(t.Context(), StreamIn, "page"); err != nil {
		t.Fatal(err)
	}
	receive(t, seen)
	settleAll(t, b)
	b.lookAtAll(t.Context())
	if err := b.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
	if all := b.Backlogs(); len(all) != 1 || all[0].Pending != 0 || all[0].Oldest != 0 {
		t.Errorf("backlog %+v, want none", all)
	}
	closeBus(t, b)
}

// A stream that somebody deletes while we run makes the consumers on it red, though webhooks could still be stored.
func TestADeletedStreamIsNotReady(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	c := Consumer{Stream: StreamDocs, Durable: "collect-docs", Filter: []string{session.TypeDocAssembled + ".>"}, Workers: 24}
	consume(t, b, c, func(context.Context, Delivery) error { return nil })
	if err := b.js.DeleteStream(t.Context(), StreamDocs); err != nil {
		t.Fatal(err)
	}
	b.lookAtAll(t.Context())
	b.lookAtAll(t.Context())
	if err := b.watched.trouble(); err == nil || !strings.Contains(err.Error(), "consumer collect-docs of FAX_DOCS") {
		t.Errorf("trouble: %v", err)
	}
	if err := b.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), StreamDocs) {
		t.Errorf("ready: %v", err)
	}
	closeBus(t, b)
}

func TestAConsumerThatStandsStillIsTrouble(t *testing.T) {
	at := func(minutes int, delivered, pending uint64, acks int) look {
		return look{at: testTime.Add(time.Duration(minutes) * time.Minute), info: &jetstream.ConsumerInfo{
			Stream: StreamIn, Name: "page", Config: jetstream.ConsumerConfig{MaxAckPending: 2},
			Delivered: jetstream.SequenceInfo{Consumer: delivered}, NumPending: pending, NumAckPending: acks,
		}}
	}
	for _, row := range []struct {
		name  string
		looks []look
		busy  bool
		want  bool
	}{
		{"nothing waits", []look{at(0, 1, 0, 0), at(30, 1, 0, 0)}, false, false},
		{"it delivers", []look{at(0, 1, 9, 0), at(30, 2, 9, 0)}, false, false},
		{"it has just got work", []look{at(0, 1, 0, 0), at(30, 1, 0, 0), at(31, 1, 9, 0)}, false, true},
		{"it delivers nothing", []look{at(0, 1, 9, 0), at(2, 1, 9, 0)}, false, true},
		{"a handler works for long", []look{at(0, 1, 9, 1), at(9, 1, 9, 1)}, true, false},
		{"a handler never ends", []look{at(0, 1, 9, 1), at(11, 1, 9, 1)}, true, true},
		{"others have as many as it may deliver", []look{at(0, 1, 9, 2), at(30, 1, 9, 2)}, false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			var last look
			for _, l := range row.looks {
				last = l.after(last, nil, row.busy)
			}
			if got := last.trouble != nil; got != row.want {
				t.Errorf("trouble: %v", last.trouble)
			}
		})
	}
}
