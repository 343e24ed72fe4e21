package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

func TestARepeatIsARepeat(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	first := page("s", 1)
	first.EventTime, first.BodySHA256 = testTime, "aa"
	seq := mustRecord(t, b, first)
	second := page("s", 1)
	second.From, second.To, second.BodySHA256 = "anonymous", "", "bb"
	again, stored, err := b.RecordFact(t.Context(), second)
	if err != nil || again != seq {
		t.Fatalf("sequence %d, want the first one's %d; err %v", again, seq, err)
	}
	var f session.PageAnnounced
	if err := json.Unmarshal(stored, &f); err != nil || f != first {
		t.Errorf("the stored fact is %s (%v), want the first one", stored, err)
	}
	if repeat, err := b.Record(t.Context(), second); err != nil || !repeat {
		t.Errorf("repeat %t, err %v", repeat, err)
	}
	if n := count(t, b, StreamIn); n != 1 {
		t.Errorf("%d facts are stored, want 1", n)
	}
	if n := count(t, b, StreamDLQ); n != 0 {
		t.Errorf("%d dead letters of repeats", n)
	}
}

func TestAContradictionIsKeptAndTheFirstFactStands(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	first := session.Closed{Session: "s", Direction: session.Incoming, Status: "success", Pages: 2, FileName: "a.tiff"}
	mustRecord(t, b, first)
	other := first
	other.FileName = "b.tiff"
	for range 2 {
		if repeat, err := b.Record(t.Context(), other); err != nil || !repeat {
			t.Fatalf("repeat %t, err %v; want a repeat", repeat, err)
		}
	}
	if n := count(t, b, StreamDLQ); n != 1 {
		t.Fatalf("%d dead letters, want the one contradiction", n)
	}
	letter := lastOf(t, b, StreamDLQ, session.TypeDeadLetter+".>")
	var kept session.Closed
	if err := json.Unmarshal(letter.Data, &kept); err != nil || kept.FileName != "b.tiff" {
		t.Errorf("the dead letter holds %s, %v", letter.Data, err)
	}
	for header, want := range map[string]string{HeaderReason: string(session.ReasonConflict), HeaderOriginal: first.Subject()} {
		if got := letter.Header.Get(header); got != want {
			t.Errorf("header %s is %q, want %q", header, got, want)
		}
	}
	stored, err := b.last(t.Context(), StreamIn, first.Subject())
	if err != nil || !strings.Contains(string(stored.Data), "a.tiff") {
		t.Errorf("the first fact is now %s, %v", stored.Data, err)
	}
}

func lastOf(t testing.TB, b *Bus, stream, subject string) *jetstream.RawStreamMsg {
	t.Helper()
	s, err := b.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetLastMsgForSubject(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestConcurrentRecords: many facts at once, most new, some twice, some known before: each is stored exactly once, exactly one caller is
// the first, and every returned sequence is that of the fact in the stream.
func TestConcurrentRecords(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	const known, fresh, twice = 100, 1500, 400
	for i := range known {
		mustRecord(t, b, page("known", i+1))
	}
	var facts []session.Fact
	for i := range known {
		facts = append(facts, page("known", i+1))
	}
	for i := range fresh {
		facts = append(facts, page("fresh", i+1))
		if i < twice {
			facts = append(facts, page("fresh", i+1))
		}
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
	type result struct {
		seq    uint64
		stored bool
		err    error
	}
	results := make([]result, len(facts))
	var wg sync.WaitGroup
	for i, f := range facts {
		wg.Go(func() {
			seq, stored, err := b.RecordFact(t.Context(), f)
			results[i] = result{seq, stored != nil, err}
		})
	}
	wg.Wait()
	firsts := map[string]int{}
	for i, r := range results {
		if r.err != nil {
			t.Fatalf("%s: %v", facts[i].Subject(), r.err)
		}
		if !r.stored {
			firsts[facts[i].Subject()]++
		}
		if at := subjectAt(t, b, r.seq); at != facts[i].Subject() {
			t.Fatalf("%s was told the sequence %d, which is %s", facts[i].Subject(), r.seq, at)
		}
	}
	for subject, n := range firsts {
		if n != 1 || strings.Contains(subject, "known") {
			t.Errorf("%s: %d callers were the first", subject, n)
		}
	}
	if len(firsts) != fresh {
		t.Errorf("%d facts were told to be new, want %d", len(firsts), fresh)
	}
	if n := count(t, b, StreamIn); n != known+fresh {
		t.Errorf("%d facts are stored, want %d", n, known+fresh)
	}
	if n := count(t, b, StreamDLQ); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

func subjectAt(t testing.TB, b *Bus, seq uint64) string {
	t.Helper()
	s, err := b.js.Stream(t.Context(), StreamIn)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(t.Context(), seq)
	if err != nil {
		t.Fatalf("sequence %d: %v", seq, err)
	}
	return m.Subject
}

func TestACallerThatGivesUpLeavesTheGroupWorking(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Record(ctx, page("s", 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("err %v, want that the caller gave up", err)
	}
	if _, err := b.Record(t.Context(), page("s", 1)); err != nil {
		t.Errorf("the same call again: %v", err)
	}
	if n := count(t, b, StreamIn); n != 1 {
		t.Errorf("%d facts are stored, want 1", n)
	}
}

// During an outage callers come and give up. Their messages must not pile up, and must not be stored long after the error.
func TestWhatWasGivenUpIsNotCommitted(t *testing.T) {
	t.Parallel()
	g := &group{busy: true}
	ctx, cancel := context.WithCancel(t.Context())
	for i := range 3 {
		g.waiting = append(g.waiting, &put{ctx: ctx, msg: nats.NewMsg(fmt.Sprint("gone.", i))})
	}
	g.waiting = append(g.waiting, &put{ctx: t.Context(), msg: nats.NewMsg("here")})
	cancel()
	batch := g.take()
	if len(batch) != 1 || batch[0].msg.Subject != "here" {
		t.Errorf("%d messages are committed, want the one that is waited for", len(batch))
	}
	if batch := g.take(); batch != nil || g.busy {
		t.Errorf("the group is not idle afterwards: %v", batch)
	}
}

func TestABatchIsInOrderBoundedAndHasNoSubjectTwice(t *testing.T) {
	t.Parallel()
	g := &group{busy: true}
	for i := range maxBatch + 10 {
		m := nats.NewMsg(fmt.Sprint("s.", i/2))
		g.waiting = append(g.waiting, &put{ctx: t.Context(), msg: m})
	}
	total := 0
	for batch := g.take(); batch != nil; batch = g.take() {
		seen := map[string]bool{}
		for _, p := range batch {
			if seen[p.msg.Subject] {
				t.Fatalf("%s is twice in a batch", p.msg.Subject)
			}
			seen[p.msg.Subject] = true
		}
		if len(batch) > maxBatch {
			t.Fatalf("a batch of %d", len(batch))
		}
		total += len(batch)
	}
	if total != maxBatch+10 {
		t.Errorf("%d messages came out, want %d", total, maxBatch+10)
	}
}

// What is committed together is in memory until then: large messages go in several batches, and one that is larger than a batch alone.
func TestABatchHasALimitOfBytes(t *testing.T) {
	t.Parallel()
	g := &group{busy: true}
	for i, size := range []int{maxBatchBytes / 2, maxBatchBytes / 3, maxBatchBytes / 3, maxBatchBytes + 1, 1} {
		m := nats.NewMsg(fmt.Sprint("s.", i))
		m.Data = make([]byte, size)
		g.waiting = append(g.waiting, &put{ctx: t.Context(), msg: m})
	}
	var sizes []int
	for batch := g.take(); batch != nil; batch = g.take() {
		sizes = append(sizes, len(batch))
	}
	if !slices.Equal(sizes, []int{2, 1, 1, 1}) {
		t.Errorf("batches of %v messages, want 2, 1, 1 and 1", sizes)
	}
}

// A message that the server can never take must not take its neighbours' batch with it.
func TestAMessageThatIsTooLargeFailsAlone(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	errs := make(chan error, 21)
	go func() {
		errs <- b.Bury(t.Context(), session.DeadLetter{Stage: "ingest", Reason: session.ReasonTooLarge, Body: make([]byte, 2<<20)})
	}()
	for i := range 20 {
		go func() { errs <- b.Bury(t.Context(), session.DeadLetter{Stage: "ingest", Body: fmt.Append(nil, i)}) }()
	}
	failed := 0
	for range 21 {
		if err := receive(t, errs); err != nil {
			failed++
			if !errors.Is(err, nats.ErrMaxPayload) {
				t.Error(err)
			}
		}
	}
	if n := count(t, b, StreamDLQ); failed != 1 || n != 20 {
		t.Errorf("%d failed, %d are stored; want 1 and 20", failed, n)
	}
}

func TestFactsCarryCloudEventsHeaders(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	f := page("s", 1)
	f.EventTime = testTime
	mustRecord(t, b, f)
	m := lastOf(t, b, StreamIn, f.Subject())
	for header, want := range map[string]string{
		"ce-id": "in.page/s/1", "ce-type": "fax.v1.in.page", "ce-source": "faxstream", "ce-specversion": "1.0",
		"ce-time": "2026-11-23T09:00:00Z", "content-type": "application/json",
	} {
		if got := m.Header.Get(header); got != want {
			t.Errorf("header %s is %q, want %q", header, got, want)
		}
	}
	if got, ok := m.Header["traceparent"]; ok {
		t.Errorf("traces are off, and the header traceparent is %v", got)
	}
}

func TestAStreamThatIsFullRefusesAndDropsNothing(t *testing.T) {
	t.Parallel()
	b, err := Open(t.Context(), Config{Embedded: EmbeddedConfig{Dir: t.TempDir()}, MaxStore: 1 << 20, Log: logTo(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer closeBus(t, b)
	stored := 0
	for ; stored < 5000; stored++ {
		if _, err = b.Record(t.Context(), page("s", stored+1)); err != nil {
			break
		}
	}
	if err == nil {
		t.Fatal("5,000 facts went into a store of 1 MiB")
	}
	if errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("full was not said at once: %v", err)
	}
	if n := count(t, b, StreamIn); n != uint64(stored) {
		t.Errorf("%d facts are stored, %d were answered", n, stored)
	}
	if repeat, err := b.Record(t.Context(), page("s", 1)); err != nil || !repeat {
		t.Errorf("a repeat while full: %t, %v", repeat, err)
	}
}

// timers collects what fires.
func timers(t testing.TB, b *Bus) <-chan Delivery {
	t.Helper()
	fired := make(chan Delivery, 16)
	c := Consumer{Stream: StreamTimers, Durable: "timers", Filter: []string{session.TypeTimerDue + ".>"}}
	if err := b.Consume(t.Context(), c, func(_ context.Context, d Delivery) error { fired <- d; return nil }); err != nil {
		t.Fatal(err)
	}
	return fired
}

func TestATimerFiresAtItsTimeOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		fired := timers(t, b)
		timer := session.Timer{
			Kind: session.TimerIdle, Session: "s", Due: time.Now().Add(time.Hour + 234*time.Millisecond).UTC().Truncate(time.Millisecond),
		}
		for range 2 {
			if err := b.Schedule(t.Context(), timer, []byte("body")); err != nil {
				t.Fatal(err)
			}
		}
		d := receive(t, fired)
		if d.Subject != timer.DueSubject() || string(d.Data) != "body" {
			t.Errorf("fired on %s with %q", d.Subject, d.Data)
		}
		if d.Time.Before(timer.Due) || d.Time.After(timer.Due.Add(2*time.Second)) {
			t.Errorf("fired at %s, due at %s", d.Time, timer.Due)
		}
		time.Sleep(2 * time.Hour)
		select {
		case d := <-fired:
			t.Errorf("fired again at %s", d.Time)
		default:
		}
		closeBus(t, b)
	})
}

func TestATimerInThePastFiresSoon(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		fired := timers(t, b)
		set := time.Now()
		timer := session.Timer{Kind: session.TimerRetry, Session: "s", Page: 3, Due: set.Add(-24 * time.Hour).UTC().Truncate(time.Millisecond)}
		if err := b.Schedule(t.Context(), timer, nil); err != nil {
			t.Fatal(err)
		}
		if d := receive(t, fired); d.Subject != timer.DueSubject() || d.Time.Sub(set) > 5*time.Second {
			t.Errorf("fired on %s after %s", d.Subject, d.Time.Sub(set))
		}
		closeBus(t, b)
	})
}

// A timer that was set by a process that is gone fires in the next one.
func TestATimerOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	timer := session.Timer{
		Kind: session.TimerGrace, Session: "s", Due: time.Now().Add(500 * time.Millisecond).UTC().Truncate(time.Millisecond),
	}
	if err := b.Schedule(t.Context(), timer, []byte("body")); err != nil {
		t.Fatal(err)
	}
	closeBus(t, b)
	b = open(t, dir)
	if d := receive(t, timers(t, b)); d.Subject != timer.DueSubject() || string(d.Data) != "body" {
		t.Errorf("fired on %s with %q", d.Subject, d.Data)
	}
}

// Timers that are set at the same time share batches, and each fires once.
func TestTimersThatAreSetTogetherFire(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	fired := timers(t, b)
	due := time.Now().Add(5 * time.Second).UTC().Truncate(time.Millisecond)
	const n = 40
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			timer := session.Timer{Kind: session.TimerIdle, Session: fmt.Sprint("s", i), Due: due}
			if err := b.Schedule(t.Context(), timer, fmt.Append(nil, i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	in := 0
	for i := range n {
		set := session.Timer{Kind: session.TimerIdle, Session: fmt.Sprint("s", i), Due: due}.SetSubject()
		if lastOf(t, b, StreamTimers, set).Header.Get("Nats-Batch-Id") != "" {
			in++
		}
	}
	if b.server.stage != "" && in < n/2 {
		t.Errorf("%d of %d timers were set in batches", in, n)
	}
	seen := map[string]bool{}
	for range n {
		d := receive(t, fired)
		if seen[d.Subject] || d.Time.Before(due) {
			t.Errorf("%s fired again, or before its time: %s before %s", d.Subject, d.Time, due)
		}
		seen[d.Subject] = true
	}
}

// What a stream or a server never takes is told from an outage, alone and beside messages that are small enough.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	s, err := b.js.Stream(t.Context(), StreamIn)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxMsgSize = 2000
	if _, err := b.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	large := page("large", 1)
	for limit, size := range map[string]int{"stream": 4000, "server": maxPayload} {
		large.From = strings.Repeat("4", size)
		if _, err := b.Record(t.Context(), large); !TooLarge(err) {
			t.Errorf("larger than the %s allows: %v", limit, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Record(ctx, page("small", 1)); err == nil || TooLarge(err) {
		t.Errorf("a caller that is gone: %v", err)
	}
	mustRecord(t, b, page("small", 2))
}
