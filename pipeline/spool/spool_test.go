package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// servers are NATS servers that do what a test says.
type servers struct {
	mu      sync.Mutex
	facts   map[string]int   // by subject: how often they came
	letters map[string]int   // by subject
	away    error            // of every event; guarded by mu
	refused map[string]error // of some, by subject; guarded by mu
	hang    bool             // they answer nothing; guarded by mu
	fed     int              // calls of RecordFact; guarded by mu
	slow    chan struct{}    // RecordFact waits for its end; nil: it does not
}

func newServers() *servers {
	return &servers{facts: map[string]int{}, letters: map[string]int{}, refused: map[string]error{}}
}

func (s *servers) take(ctx context.Context, subject string, into map[string]int) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.hanging(ctx); err != nil {
		return false, err
	}
	if s.away != nil {
		return false, s.away
	}
	if err := s.refused[subject]; err != nil {
		return false, err
	}
	into[subject]++
	return into[subject] > 1, nil
}

// hanging waits for the end of ctx if they answer nothing. The caller holds mu.
func (s *servers) hanging(ctx context.Context) error {
	if !s.hang {
		return nil
	}
	s.mu.Unlock()
	defer s.mu.Lock()
	<-ctx.Done()
	return ctx.Err()
}

func (s *servers) Record(ctx context.Context, f session.Fact) (bool, error) {
	return s.take(ctx, f.Subject(), s.facts)
}

func (s *servers) RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error) {
	s.set(func(s *servers) { s.fed++ })
	if s.slow != nil {
		select {
		case <-s.slow:
		case <-ctx.Done():
		}
	}
	_, err = s.take(ctx, f.Subject(), s.facts)
	return 1, nil, err
}

func (s *servers) Bury(ctx context.Context, d session.DeadLetter) error {
	_, err := s.take(ctx, d.Subject(), s.letters)
	return err
}

func (s *servers) Takes(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.hanging(ctx), s.away)
}

func (s *servers) set(change func(*servers)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// calls is how often RecordFact was called.
func (s *servers) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fed
}

// got is how many different events they have.
func (s *servers) got() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.facts) + len(s.letters)
}

func page(id string, n int) session.PageAnnounced {
	return session.PageAnnounced{Session: id, Page: n, From: "+49", To: "+1 334 304 0000"}
}

func letter(body string) session.DeadLetter {
	return session.DeadLetter{
		Stage: session.StageIngest, Reason: session.ReasonBadRequest, Detail: "no JSON", Body: []byte(body), Received: time.Now().UTC(),
	}
}

func openSpool(t *testing.T, dir string, most int64) *Spool {
	t.Helper()
	s, err := Open(t.Context(), Config{Dir: dir, Max: most, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeSpool(t, s) })
	return s
}

// closeSpool closes it once.
func closeSpool(t *testing.T, s *Spool) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store = nil
}

// run sends what is in the spool until the test ends.
func run(t *testing.T, s *Spool) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
}

func state(t *testing.T, s *Spool) State {
	t.Helper()
	st, err := s.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func record(t *testing.T, s *Spool, f session.Fact) (repeat bool) {
	t.Helper()
	repeat, err := s.Record(t.Context(), f)
	if err != nil {
		t.Fatalf("record %s: %v", f.Subject(), err)
	}
	return repeat
}

func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick, over := time.NewTicker(20*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("this never came: %s", what)
		}
	}
}

// While the servers are away, events go into the spool; when they are back they get them, and new ones directly. A repeat is one.
func TestEventsWaitForTheServers(t *testing.T) {
	t.Parallel()
	s, they := openSpool(t, filepath.Join(t.TempDir(), "new"), 0), newServers()
	record(t, s, page("before-the-start", 1))
	if err := s.Takes(t.Context()); !errors.Is(err, ErrSpooling) {
		t.Errorf("before the servers are known: %v", err)
	}
	they.away = errors.New("a cable is cut")
	s.Join(they)
	run(t, s)
	for n := range 300 {
		record(t, s, page("away", n+1))
	}
	if !record(t, s, page("away", 7)) {
		t.Error("the same event again is no repeat in the spool")
	}
	if n := state(t, s).Spooled; n != 301 {
		t.Errorf("%d events count as stored in the spool, want 301", n)
	}
	for range 2 {
		if err := s.Bury(t.Context(), letter("{")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Takes(t.Context()); !errors.Is(err, ErrSpooling) {
		t.Errorf("while the servers are away: %v", err)
	}
	if st := state(t, s); st.Events != 301 || st.Letters != 1 || st.Bytes == 0 || st.Oldest.IsZero() || !st.Away || they.got() > 0 {
		t.Errorf("the spool has %+v, the servers have %d", st, they.got())
	}
	they.set(func(s *servers) { s.away = nil })
	await(t, "the spool is empty", func() bool { st := state(t, s); return st.Events+st.Letters == 0 && !st.Away })
	await(t, "an event goes to the servers", func() bool { record(t, s, page("after", 1)); return they.got() == 303 })
	if err := s.Takes(t.Context()); err != nil {
		t.Errorf("after the outage: %v", err)
	}
	if n := they.calls(); n != 301 {
		t.Errorf("%d of 301 events came as ones that nobody waits for", n)
	}
	for subject, n := range they.facts {
		if n != 1 && subject != page("after", 1).Subject() {
			t.Errorf("%s came %d times", subject, n)
		}
	}
}

// Servers that do not answer are away, and a sender that does not wait is no outage.
func TestServersThatHangAreAway(t *testing.T) {
	t.Parallel()
	s, they := openSpool(t, t.TempDir(), 0), newServers()
	they.hang = true
	s.Join(they)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Record(gone, page("gone", 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("a sender that is gone: %v", err)
	}
	if st := state(t, s); st.Away || st.Events > 0 {
		t.Errorf("for a sender that is gone the spool is used: %+v", st)
	}
	record(t, s, page("hang", 1))
	if st := state(t, s); !st.Away || st.Events != 1 {
		t.Errorf("servers that hang are not away: %+v", st)
	}
	asked := openSpool(t, t.TempDir(), 0)
	asked.Join(they)
	if err := asked.Takes(t.Context()); !errors.Is(err, ErrSpooling) || !state(t, asked).Away {
		t.Errorf("asked while the servers hang, it says %v", err)
	}
}

// Servers that were away for a moment get new events as soon as they take them, also while what waits is being sent.
func TestNewEventsDoNotWaitForAPass(t *testing.T) {
	t.Parallel()
	s, they := openSpool(t, t.TempDir(), 0), newServers()
	they.slow = make(chan struct{})
	record(t, s, page("waits", 1))
	s.Join(they)
	run(t, s)
	await(t, "an event of the spool is being sent", func() bool { return they.calls() == 1 })
	s.Away(errors.New("a short outage"))
	await(t, "the servers are there again", func() bool { return !state(t, s).Away })
	record(t, s, page("new", 1))
	if they.got() != 1 || they.calls() != 1 {
		t.Errorf("the servers have %d events after %d calls of the pass", they.got(), they.calls())
	}
	close(they.slow)
	await(t, "the spool is empty", func() bool { return state(t, s).Events == 0 })
}

// Without an answer of the store nothing counts as read: a drain that reads nothing is not done.
func TestADrainWithoutAnswersFails(t *testing.T) {
	t.Parallel()
	s, they := openSpool(t, t.TempDir(), 0), newServers()
	record(t, s, page("s", 1))
	over, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if msgs, err := s.store.Events(over, 1, atOnce); err == nil {
		t.Errorf("a read without an answer returns %d events and no error", len(msgs))
	}
	if d, err := s.Drain(over, they); err == nil {
		t.Errorf("a drain without answers is done: %+v", d)
	}
}

// Without a store there is nothing but the servers, also if they were away.
func TestWithoutAStoreTheServersAreAsked(t *testing.T) {
	t.Parallel()
	s, they := openSpool(t, t.TempDir(), 0), newServers()
	s.Join(they)
	s.Away(errors.New("a cable is cut"))
	s.shut(errors.New("the disk is full"))
	record(t, s, page("s", 1))
	if err := s.Takes(t.Context()); err != nil || they.got() != 1 {
		t.Errorf("the servers have %d events, and it says %v", they.got(), err)
	}
}

// A spool that is left keeps its limits, also one that was killed before it had streams.
func TestASpoolThatIsLeftKeepsItsLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openSpool(t, dir, 2_000_000)
	closeSpool(t, s)
	empty := t.TempDir()
	if err := os.WriteFile(filepath.Join(empty, "use"), []byte("spool\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for of, want := range map[string]uint64{dir: 2_000_000, empty: DefaultMax} {
		s, err := OpenLeft(t.Context(), Config{Dir: of, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if st := state(t, s); st.Max != want {
			t.Errorf("it takes %d bytes, want %d", st.Max, want)
		}
		closeSpool(t, s)
	}
}

// What was in a spool when its process ended is sent by the next one.
func TestTheNextProcessSendsWhatIsLeft(t *testing.T) {
	t.Parallel()
	dir, they := t.TempDir(), newServers()
	s := openSpool(t, dir, 0)
	for n := range 10 {
		record(t, s, page("left", n+1))
	}
	closeSpool(t, s)
	s = openSpool(t, dir, 0)
	s.Join(they)
	run(t, s)
	await(t, "the spool is empty", func() bool { return state(t, s).Events == 0 })
	if they.got() != 10 {
		t.Errorf("the servers have %d events", they.got())
	}
}

// A full spool refuses events, and keeps those that it took, also with a lower limit.
func TestAFullSpoolRefuses(t *testing.T) {
	t.Parallel()
	dir, they := t.TempDir(), newServers()
	s := openSpool(t, dir, 1_000_000)
	taken := fill(t, s)
	if taken < 1000 {
		t.Errorf("1 MB is %d events", taken)
	}
	if err := s.Takes(t.Context()); err == nil || errors.Is(err, ErrSpooling) {
		t.Errorf("a full spool says %v", err)
	}
	closeSpool(t, s)
	s = openSpool(t, dir, 100_000)
	if _, err := s.Record(t.Context(), page("more", 1)); err == nil {
		t.Error("a spool with a lower limit takes more")
	}
	d, err := s.Drain(t.Context(), they)
	if err != nil || d.Sent != taken || they.got() != taken {
		t.Errorf("%d were taken; %+v, %v, and the servers have %d", taken, d, err, they.got())
	}
	record(t, s, page("more", 1))
}

// fill records events, many at a time, until the spool takes none, and returns how many it took.
func fill(t *testing.T, s *Spool) (taken int) {
	t.Helper()
	for session, full := 0, false; !full; session++ {
		var mu sync.Mutex
		var all sync.WaitGroup
		for n := range 64 {
			all.Go(func() {
				_, err := s.Record(t.Context(), page(fmt.Sprint("full-", session), n+1))
				mu.Lock()
				defer mu.Unlock()
				if full = full || err != nil; err == nil {
					taken++
				}
			})
		}
		all.Wait()
	}
	for n := 1; ; n++ { // what was refused together may have place alone
		if _, err := s.Record(t.Context(), page("alone", n)); err != nil {
			return taken
		}
		taken++
	}
}

// An event that the servers never take, one that fails, and one of a newer version hold nobody up, and are not lost.
func TestNoEventHoldsOthersUp(t *testing.T) {
	t.Parallel()
	dir, they := t.TempDir(), newServers()
	large, failing, bad := page("s", 100), page("s", 200), letter("large")
	they.refused[large.Subject()], they.refused[bad.Subject()] = nats.ErrMaxPayload, nats.ErrMaxPayload
	they.refused[failing.Subject()] = errors.New("no permission")
	s := openSpool(t, dir, 0)
	for n := range 300 {
		record(t, s, page("s", n+1))
	}
	if err := errors.Join(s.Bury(t.Context(), bad), s.Bury(t.Context(), letter("good"))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.JetStream().Publish(t.Context(), "fax.v1.in.later.s.1", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	d, err := s.Drain(t.Context(), they)
	if d.Sent != 299 || d.Kept != 3 || err == nil || !strings.Contains(err.Error(), "no permission") {
		t.Errorf("%+v, %v", d, err)
	}
	if st := state(t, s); st.Events != 3 || st.Letters != 1 {
		t.Errorf("the spool has %+v", st)
	}
	delete(they.refused, failing.Subject())
	if d, err := s.Drain(t.Context(), they); err != nil || d.Sent != 1 || d.Kept != 3 {
		t.Errorf("when one no longer fails: %+v, %v", d, err)
	}
	closeSpool(t, s)
	clear(they.refused)
	s = openSpool(t, dir, 0)
	if d, err := s.Drain(t.Context(), they); err != nil || d.Sent != 2 || d.Kept != 1 || they.got() != 302 {
		t.Errorf("after a start with other limits: %+v, %v, the servers have %d", d, err, they.got())
	}
}

// One event that the servers refuse does not send those that come to the spool, but itself.
func TestAnEventThatIsTooLargeIsKept(t *testing.T) {
	t.Parallel()
	s, they := openSpool(t, t.TempDir(), 0), newServers()
	large := page("s", 1)
	they.refused[large.Subject()] = nats.ErrMaxPayload
	s.Join(they)
	run(t, s)
	record(t, s, large)
	record(t, s, page("s", 2))
	await(t, "the event is kept", func() bool { return state(t, s).Kept == 1 })
	if st := state(t, s); st.Away || st.Events != 1 || they.got() != 1 {
		t.Errorf("the spool has %+v, the servers have %d", st, they.got())
	}
}

// A spool whose disk could not be written is opened again, with what it has; meanwhile it refuses.
func TestASpoolIsOpenedAgain(t *testing.T) {
	t.Parallel()
	s, they := openSpool(t, t.TempDir(), 0), newServers()
	record(t, s, page("s", 1))
	s.shut(errors.New("the disk is full"))
	_, err := s.Record(t.Context(), page("s", 2))
	if says := s.Takes(t.Context()); err == nil || says == nil || errors.Is(says, ErrSpooling) {
		t.Errorf("a spool that is closed takes events: %v, %v", err, says)
	}
	if _, err := s.State(t.Context()); err == nil {
		t.Error("it says what it has")
	}
	s.Join(they)
	run(t, s)
	await(t, "it is open again and empty", func() bool { st, err := s.State(t.Context()); return err == nil && st.Events == 0 })
	if they.got() != 1 {
		t.Errorf("the servers have %d events", they.got())
	}
}

// A disk that stays as it is is tried now and then, and the log says once why the spool is closed.
func TestTheLogSaysOnceThatADiskIsBad(t *testing.T) {
	t.Parallel()
	s := openSpool(t, t.TempDir(), 0)
	var log strings.Builder
	s.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	s.shut(errors.New("the disk is full"))
	dir := s.cfg.Dir
	s.cfg.Dir = filepath.Join(dir, "use", "no-directory")
	var disk reopener
	for range 2 {
		if disk.opened(t.Context(), s) || disk.next.IsZero() {
			t.Error("a file is opened as a directory, or is tried again at once")
		}
		disk.next = time.Time{}
	}
	if n := strings.Count(log.String(), "cannot be opened again"); n != 1 {
		t.Errorf("the log says it %d times:\n%s", n, &log)
	}
	s.cfg.Dir, disk.next = dir, time.Now().Add(time.Hour)
	if disk.opened(t.Context(), s) {
		t.Error("it does not wait")
	}
	disk.next = time.Time{}
	if !disk.opened(t.Context(), s) {
		t.Errorf("a good disk is not opened:\n%s", &log)
	}
}

// A spool is sent to real servers as what comes directly: again it changes nothing, and a contradiction becomes a dead letter there.
func TestASpoolThatIsSentTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left, copied := filepath.Join(dir, "left"), filepath.Join(dir, "copy")
	s := openSpool(t, left, 0)
	for n := range 200 {
		record(t, s, page("s", n+1))
	}
	closed := session.Closed{Session: "s", Pages: 200, Status: "ok"}
	record(t, s, closed)
	closeSpool(t, s)
	if err := os.CopyFS(copied, os.DirFS(left)); err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	b, err := bus.Open(t.Context(), bus.Config{Embedded: bus.EmbeddedConfig{Dir: filepath.Join(dir, "nats")}, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	for i, of := range []string{left, copied, left} {
		s, err := OpenLeft(t.Context(), Config{Dir: of, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.Drain(t.Context(), b)
		if want := []int{201, 201, 0}[i]; err != nil || d.Sent != want || d.Kept != 0 {
			t.Errorf("time %d: %+v, %v, want %d", i, d, err, want)
		}
		closeSpool(t, s)
		stream, err := b.JetStream().Stream(t.Context(), bus.StreamIn)
		if err != nil || stream.CachedInfo().State.Msgs != 201 {
			t.Fatalf("time %d: the servers have %+v, %v", i, stream, err)
		}
	}
}

// A directory is for one thing.
func TestADirectoryIsForOneThing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	of := func(name string) string { return filepath.Join(dir, name) }
	closeSpool(t, openSpool(t, of("spool"), 0))
	streams := func(name string) error {
		b, err := bus.Open(t.Context(), bus.Config{Embedded: bus.EmbeddedConfig{Dir: of(name)}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		return b.Close()
	}
	if err := streams("nats"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(of("nats"), "use")); err != nil { // an older version writes none
		t.Fatal(err)
	}
	if err := streams("nats"); err != nil {
		t.Errorf("the store of an older version: %v", err)
	}
	if err := errors.Join(
		os.MkdirAll(of("cluster/jetstream/$SYS"), 0o700), os.MkdirAll(of("named/jetstream/operator/_js_/S-R3F-a"), 0o700),
		os.Mkdir(of("killed"), 0o700), os.MkdirAll(of("other/photos"), 0o700),
		os.WriteFile(filepath.Join(of("killed"), "lock"), nil, 0o600), os.WriteFile(filepath.Join(of("killed"), "use.new"), nil, 0o600),
	); err != nil {
		t.Fatal(err)
	}
	closeSpool(t, openSpool(t, of("killed"), 0)) // the first start was killed before the directory was its own
	asSpool := func(open func(context.Context, Config) (*Spool, error), name string) error {
		_, err := open(t.Context(), Config{Dir: of(name), Log: slog.New(slog.DiscardHandler)})
		return err
	}
	before, err := os.ReadDir(of("nats"))
	if err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		`for "spool"`:   streams("spool"),
		`for "streams"`: asSpool(Open, "nats"),
		of("cluster") + ": a nats-server of a cluster":  streams("cluster"),
		of("named") + ": a nats-server of a cluster":    asSpool(Open, "named"),
		"files that are not of a spool":                 asSpool(Open, "other"),
		of("nats") + " is not the directory of a spool": asSpool(OpenLeft, "nats"),
		of("none") + " is not the directory of a spool": asSpool(OpenLeft, "none"),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	after, err := os.ReadDir(of("nats"))
	names := func(all []os.DirEntry) (list []string) {
		for _, e := range all {
			list = append(list, e.Name())
		}
		return list
	}
	if _, none := os.Stat(of("none")); !os.IsNotExist(none) || err != nil || !slices.Equal(names(before), names(after)) {
		t.Errorf("a refusal changes something: %v %v %v, %v", none, names(before), names(after), err)
	}
}
