package bus

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/faxstream/faxstream/pipeline/session"
)

// small opens a bus whose streams are soon full: FAX_IN has 200 KB.
func small(t *testing.T) *Bus {
	t.Helper()
	b, err := Open(t.Context(), Config{Embedded: EmbeddedConfig{Dir: t.TempDir()}, MaxStore: 1 << 20, Log: logTo(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeBus(t, b) })
	return b
}

// fill stores pages of a session until the stream refuses one.
func fill(t *testing.T, b *Bus, id string) (refused session.PageAnnounced, err error) {
	t.Helper()
	for n := 1; n < 10_000; n++ {
		f := page(id, n)
		f.From = strings.Repeat("9", 1000)
		if _, err := b.Record(t.Context(), f); err != nil {
			return f, err
		}
	}
	t.Fatal("the stream took everything")
	panic("unreachable")
}

func purge(t *testing.T, b *Bus, stream string) {
	t.Helper()
	s, err := b.js.Stream(t.Context(), stream)
	if err == nil {
		err = s.Purge(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestNotReadyFromTheFirstRefusedPublishUntilOneSucceeds(t *testing.T) {
	t.Parallel()
	b := small(t)
	if warnings, err := b.Warnings(t.Context()); len(warnings) > 0 || err != nil {
		t.Fatalf("empty streams: %q, %v", warnings, err)
	}
	refused, err := fill(t, b, "s")
	if b.Ready(t.Context()) == nil {
		t.Fatalf("ready, though the last event was not stored: %v", err)
	}
	mustRecord(t, b, session.DocReady{Session: "s", ToToken: "1334", Revision: 1}) // another stream says nothing of this one
	if b.Takes(t.Context()) == nil {
		t.Error("webhooks can be stored in a full stream")
	}
	for range 2 {
		if err := b.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), StreamIn) ||
			!strings.Contains(err.Error(), "maximum bytes") {
			t.Errorf("ready with a full stream: %v", err)
		}
	}
	if warnings, err := b.Warnings(t.Context()); err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], StreamIn) {
		t.Errorf("warnings of a full stream: %q, %v", warnings, err)
	}
	purge(t, b, StreamIn)
	mustRecord(t, b, refused)
	if got := b.health.refusing(); len(got) != 0 {
		t.Errorf("after a publish that succeeded: %v refuse", got)
	}
	if err := b.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// Behind a load balancer that sends nothing to a process that is not ready, no webhook can make it ready again.
func TestReadyAgainWithoutAnotherWebhook(t *testing.T) {
	t.Parallel()
	b := small(t)
	if _, err := fill(t, b, "s"); b.Ready(t.Context()) == nil {
		t.Fatalf("ready, though the last event was not stored: %v", err)
	}
	purge(t, b, StreamIn)
	if err := b.Ready(patient(t)); err != nil {
		t.Errorf("not ready: %v", err)
	}
	if n := count(t, b, StreamIn); n != 0 {
		t.Errorf("%d messages are left of the check", n)
	}
}

// What refuses inside says nothing about webhooks: a load balancer goes on to send them.
func TestWebhooksAreTakenWhileAnotherStreamRefuses(t *testing.T) {
	t.Parallel()
	b := small(t)
	full := session.DocReady{Session: "s", ToToken: "1334", From: strings.Repeat("9", 1000)}
	for err := error(nil); err == nil; _, err = b.Record(t.Context(), full) {
		full.Revision++
	}
	if b.Ready(t.Context()) == nil {
		t.Errorf("ready, though %s is full", StreamDocs)
	}
	if err := b.Takes(t.Context()); err != nil {
		t.Errorf("webhooks are not taken: %v", err)
	}
	if _, err := b.Record(t.Context(), page("s", 1)); err != nil {
		t.Errorf("a page is not stored: %v", err)
	}
}

// The check of the ledgers' bucket is no ledger, and that of the events' streams no event.
func TestTheReadinessCheckIsSeenByNobody(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	events := make(chan string, 16)
	following := make(chan struct{})
	go func() {
		_ = b.Follow(t.Context(), nil, func(s Stored, _ Place) bool { events <- s.Subject; return true })
		close(following)
	}()
	for cons := 0; cons < 2; { // until it follows both streams
		cons = 0
		for _, name := range []string{StreamPages, StreamDocs} {
			s, err := b.js.Stream(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			cons += s.CachedInfo().State.Consumers
		}
	}
	for _, stream := range []string{StreamIn, StreamPages, StreamDocs, StreamDLQ, StreamTimers, "KV_" + BucketSessions} {
		b.health.published(stream, errors.New("refused"))
	}
	if err := b.Ready(patient(t)); err != nil || len(b.health.refusing()) != 0 {
		t.Fatalf("not ready: %v; %v", err, b.health.refusing())
	}
	ledgers := 0
	ctx, cancel := context.WithCancel(t.Context())
	if err := b.Ledgers(ctx, func(session.State) { ledgers++ }, cancel); err != nil || ledgers != 0 {
		t.Errorf("%d ledgers, %v", ledgers, err)
	}
	mustRecord(t, b, session.DocReady{Session: "s", ToToken: "1334", Revision: 1})
	if subject := receive(t, events); !strings.HasPrefix(subject, session.TypeDocReady) {
		t.Errorf("followed %s", subject)
	}
}

func TestReadyInSpiteOfConflictsAndCallersThatGiveUp(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	mustRecord(t, b, page("s", 1))
	if _, err := b.Record(t.Context(), page("s", 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Save(t.Context(), session.State{Session: "s"}, 99); !errors.Is(err, ErrStale) {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Record(gone, page("s", 2)); err == nil {
		t.Fatal("recorded for a caller who is gone")
	}
	timer := session.Timer{Kind: session.TimerGrace, Session: "s", Due: time.Now().Add(time.Hour)}
	if err := b.Schedule(gone, timer, nil); err == nil {
		t.Fatal("scheduled for a caller who is gone")
	}
	if err := b.Bury(t.Context(), session.DeadLetter{Stage: "x", Body: make([]byte, 2*maxPayload)}); !errors.Is(err, nats.ErrMaxPayload) {
		t.Fatal(err)
	}
	if got := b.health.refusing(); len(got) != 0 {
		t.Errorf("%v count as refusing", got)
	}
	if err := b.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// onSmallDisk gives a directory on a file system of its own, or skips.
func onSmallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("cannot mount a small file system (it takes root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// After a write error nats-server's store accepts nothing, also if the disk has space again: the process must restart, and all
// acknowledged messages must be there then.
func TestAFullDiskIsToldAtOnce(t *testing.T) {
	t.Parallel()
	dir := onSmallDisk(t)
	b := open(t, filepath.Join(dir, "nats"))
	mustRecord(t, b, page("s", 1))
	select {
	case err := <-b.Failed():
		t.Fatalf("failed with room on the disk: %v", err)
	default:
	}
	hog := filepath.Join(dir, "hog")
	fillDisk(t, hog)
	stored := 1
	for n := 2; ; n++ {
		f := page("s", n)
		f.From = strings.Repeat("9", 1000)
		if _, err := b.Record(t.Context(), f); err != nil {
			t.Log("refused with", err)
			break
		}
		stored = n
	}
	err := receive(t, b.Failed())
	if !strings.Contains(err.Error(), "no space left") || !strings.Contains(err.Error(), "restart") {
		t.Errorf("the error does not say what happened and what to do: %v", err)
	}
	if b.Ready(t.Context()) == nil {
		t.Error("ready on a full disk")
	}
	if err := os.Remove(hog); err != nil {
		t.Fatal(err)
	}
	if b.Ready(t.Context()) == nil {
		t.Error("ready although the store is dead")
	}
	_ = b.Close() // it may not be able to write its state
	b = open(t, filepath.Join(dir, "nats"))
	if err := b.Ready(t.Context()); err != nil {
		t.Errorf("not ready after the restart: %v", err)
	}
	for n := range stored {
		if repeat, err := b.Record(t.Context(), page("s", n+1)); err != nil || !repeat {
			t.Fatalf("page %s of %d is lost: %v", strconv.Itoa(n+1), stored, err)
		}
	}
	mustRecord(t, b, page("new", 1))
}

// fillDisk writes a file until there is no room for another block.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStartErrorsShowNoCredentials(t *testing.T) {
	t.Parallel()
	for _, urls := range []string{
		"nats://user:S3CR%ZZET@127.0.0.1:1", "nats://user:S3CR ET@127.0.0.1:1", "nats://S3CRET@127.0.0.1:1", "S3CRET@127.0.0.1:1",
		"nats://user:S3CRET@127.0.0.1:1", "user:S3CRET@127.0.0.1:1", "nats://user:S3CRET@127.0.0.1:", "nats://user:S3CRET@",
		"nats://user:S3CRET@127.0.0.1:x", "nats://127.0.0.1:1, nats://user:S3CR%ET@127.0.0.1:1", "nats://user:S3CR/ET@127.0.0.1:1",
		"nats://127.0.0.1:1?token=S3CRET", "wss://user:S3CRET@127.0.0.1:1,nats://user:S3CRET@127.0.0.1:1", "nats://user:S3CR\nET@127.0.0.1:1",
	} {
		var log bytes.Buffer
		b, err := Open(t.Context(), Config{URL: urls, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err == nil {
			closeBus(t, b)
			t.Errorf("%q was opened", urls)
			continue
		}
		if all := err.Error() + log.String(); strings.Contains(all, "S3CR") || strings.Contains(all, "ZZET") ||
			strings.Contains(all, "user") && !strings.Contains(all, "[user:password@]") {
			t.Errorf("%q gives %s", urls, all)
		}
	}
}

func TestNoNumberGetsIntoLogsAndDetails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const number = "13343040000"
	synctest.Test(t, func(t *testing.T) {
		var shown bytes.Buffer
		log := slog.New(slog.NewTextHandler(&shown, nil))
		b, err := Open(t.Context(), Config{Embedded: EmbeddedConfig{Dir: dir}, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		first := session.DocReady{Session: "s", ToToken: number, Revision: 1}
		mustRecord(t, b, first)
		other := first
		other.Status = "partial"
		if repeat, err := b.Record(t.Context(), other); err != nil || !repeat {
			t.Fatal(repeat, err)
		}
		consume(t, b, Consumer{Stream: StreamDocs, Durable: "assemble"}, func(_ context.Context, d Delivery) error {
			err := errors.New("cannot read " + d.Subject)
			if d.Tries == 1 {
				return err
			}
			return Dead{session.ReasonInternal, err}
		})
		time.Sleep(time.Hour)
		for _, stage := range []string{"record", "assemble"} {
			letter := lastOf(t, b, StreamDLQ, session.TypeDeadLetter+"."+stage+".>")
			shown.WriteString(letter.Header.Get(HeaderDetail))
			if got := letter.Header.Get(HeaderOriginal); got != first.Subject() {
				t.Errorf("the original subject is %q", got)
			}
		}
		large := &nats.Msg{Subject: first.Subject(), Header: nats.Header{}, Data: make([]byte, 2*maxPayload)}
		if _, err = b.groups[StreamDocs].publish(t.Context(), large, 0); !errors.Is(err, nats.ErrMaxPayload) {
			t.Fatal(err)
		}
		shown.WriteString(err.Error())
		closeBus(t, b)
		// Twice each: the repeated delivery and the burial, with subject and error. Once each: the contradiction, two details, the
		// large message.
		if all := shown.String(); strings.Contains(all, number) || strings.Count(all, "fax.v1.doc.ready.***0000.s.1") < 8 {
			t.Errorf("numbers are not masked everywhere: %s", all)
		}
	})
}

func TestMaskSubjectLeavesTheRestAlone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"fax.v1.page.archived.13343040000.s.3":                            "fax.v1.page.archived.***0000.s.3",
		"read fax.v1.doc.whole_failed.490ae330-d.s.1: x":                  "read fax.v1.doc.whole_failed.***30-d.s.1: x",
		"fax.v1.text.page.13343040000.s.3":                                "fax.v1.text.page.***0000.s.3",
		"fax.v1.page.failed.unknown.s.3.1":                                "fax.v1.page.failed.unknown.s.3.1",
		"fax.v1.in.page.13343040000.3":                                    "fax.v1.in.page.13343040000.3", // a session id
		"fax.v1.page.archived.1334.s.3, fax.v1.doc.ready.13343040000.s.1": "fax.v1.page.archived.****.s.3, fax.v1.doc.ready.***0000.s.1",
		"": "",
	} {
		if got := maskSubject(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// patient is a context for Ready: without a deadline it gives a test message one second.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
