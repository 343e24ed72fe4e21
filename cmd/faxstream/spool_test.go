package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/spool"
)

// spooling is a process that takes webhooks beside a NATS server, with a spool.
type spooling struct {
	t       *testing.T
	nats    *apptest.Server
	dir     string // of the spool
	args    []string
	addr    string // of the webhook listener
	admin   string // URL
	p       *process
	sender  *sender
	sent    map[string]bool // subjects of the facts whose webhooks were answered 200
	mu      sync.Mutex      // guards sent
	session int             // the last one
}

// newSpooling starts a NATS server that has the streams, and no process.
func newSpooling(t *testing.T, more ...string) *spooling {
	t.Helper()
	w := &spooling{
		t: t, nats: apptest.StartNATS(t), dir: filepath.Join(t.TempDir(), "unsent"), addr: apptest.FixedAddr(t), sent: map[string]bool{},
		sender: newSender(t, apptest.Patience),
	}
	b, err := bus.Open(t.Context(), bus.Config{URL: w.nats.NATSURL(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	admin := apptest.FixedAddr(t)
	w.admin = "http://" + admin
	w.args = append([]string{
		"--roles=webhook", "--nats-url=" + w.nats.NATSURL(), "--dir=" + t.TempDir(), "--spool=" + w.dir, "--webhook-addr=" + w.addr,
		"--admin-addr=" + admin,
	}, more...)
	return w
}

// start starts the process and waits until it takes webhooks.
func (w *spooling) start() {
	w.t.Helper()
	p := launch(w.t, serveCommand(nil, w.args...))
	w.p = p
	w.t.Cleanup(func() {
		if w.t.Failed() {
			w.t.Logf("log of faxstream:\n%s", tail(p.log.String(), 40))
		}
	})
	await(w.t, "the webhook listener", func() bool { status, _ := w.get("http://" + w.addr + ingest.ReadyPath); return status == 200 })
}

func (w *spooling) get(url string) (status int, body string) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// metric reads a metric without labels; -1: there is none.
func (w *spooling) metric(name string) float64 {
	_, body := w.get(w.admin + "/metrics")
	for line := range strings.Lines(body) {
		var v float64
		if n, err := fmt.Sscanf(line, name+" %g", &v); n == 1 && err == nil {
			return v
		}
	}
	return -1
}

// send sends the webhook of another page, and returns the status.
func (w *spooling) send() int {
	w.t.Helper()
	w.mu.Lock()
	w.session++
	id := fmt.Sprintf("spooled-%04d", w.session)
	w.mu.Unlock()
	target := "http://" + w.addr + ingest.Path
	status, err := w.sender.send(target, faxplustest.PageEvent(faxplustest.Fax{Session: id, Streamed: true}, 1, target))
	if err != nil {
		w.t.Errorf("webhook: %v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if status == http.StatusOK {
		w.sent["fax.v1.in.page."+id+".1"] = true
	}
	return status
}

// sendMany sends n webhooks, eight at once, and wants 200 for each.
func (w *spooling) sendMany(n int) {
	w.t.Helper()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range n / 8 {
				if status := w.send(); status != http.StatusOK {
					w.t.Errorf("a webhook is answered %d", status)
				}
			}
		})
	}
	all.Wait()
}

// checkAll wants every fact whose webhook was answered 200 to be at the NATS server, once.
func (w *spooling) checkAll() {
	w.t.Helper()
	s := readStreams(w.t, w.nats.NATSURL())
	defer s.close()
	there := s.subjects(bus.StreamIn, ">")
	for subject := range w.sent {
		if there[subject] != 1 {
			w.t.Errorf("%s is there %d times", subject, there[subject])
		}
	}
	if len(there) < len(w.sent) || len(w.sent) == 0 {
		w.t.Errorf("%d facts are there, %d webhooks were answered 200", len(there), len(w.sent))
	}
}

// run runs a command of faxstream.
func (w *spooling) run(want int, args ...string) (stdout, stderr string) {
	w.t.Helper()
	var out, errs bytes.Buffer
	if code := run(w.t.Context(), args, os.Getenv, &out, &errs); code != want {
		w.t.Errorf("%q ends with %d, want %d: %s", args, code, want, &errs)
	}
	return out.String(), errs.String()
}

// While webhooks come the NATS server is killed and started, again and again. Each webhook is answered 200, and afterwards all facts are
// there, once, and the spool is empty.
func TestNoWebhookIsRefusedWhileNATSIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("has real servers that are killed: runs without -short")
	}
	t.Parallel()
	w := newSpooling(t)
	w.start()
	w.p.awaitReady()
	over := make(chan struct{})
	var senders sync.WaitGroup
	stop := sync.OnceFunc(func() { close(over); senders.Wait() })
	t.Cleanup(stop)
	for range 8 {
		senders.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if status := w.send(); status != http.StatusOK {
					t.Errorf("a webhook is answered %d", status)
				}
			}
		})
	}
	for range 3 {
		direct := len(w.subjectsThere())
		await(t, "webhooks go to the NATS server", func() bool { return len(w.subjectsThere()) > direct })
		w.nats.Kill()
		before := w.metric("faxstream_spool_stored_total")
		await(t, "webhooks go into the spool", func() bool {
			return w.metric("faxstream_spool_stored_total") > before+100 && w.metric("faxstream_spool_active") == 1
		})
		await(t, "a load balancer is told that the spool takes them", w.says("http://"+w.addr+ingest.ReadyPath, 200, "spooling"))
		await(t, "/readyz says so too", w.says(w.admin+"/readyz", 503, "stored in the spool"))
		w.nats.Start()
		await(t, "the spool is empty", func() bool {
			began, ended := w.outages()
			return w.metric("faxstream_spool_events") == 0 && w.metric("faxstream_spool_active") == 0 && began == ended
		})
	}
	stop()
	await(t, "the spool is empty", func() bool {
		began, ended := w.outages()
		return w.metric("faxstream_spool_events") == 0 && began == ended
	})
	w.checkAll()
	if began, ended := w.outages(); began < 3 || ended != began {
		t.Errorf("the log says %d times that it begins, and %d times that it ends", began, ended)
	}
	await(t, "a load balancer is told that all is well", w.says("http://"+w.addr+ingest.ReadyPath, 200, `"ready"`))
	t.Logf("%d webhooks", len(w.sent))
}

// says asks whether an address answers with a status and with some words.
func (w *spooling) says(url string, want int, words string) func() bool {
	return func() bool {
		status, body := w.get(url)
		return status == want && strings.Contains(body, words)
	}
}

// outages counts in the log how often the spool has begun to take webhooks, and how often it has ended.
func (w *spooling) outages() (began, ended int) {
	log := w.p.log.String()
	return strings.Count(log, "the spool takes them until they do"), strings.Count(log, "have all that the spool took")
}

func (w *spooling) subjectsThere() map[string]uint64 {
	s := readStreams(w.t, w.nats.NATSURL())
	defer s.close()
	return s.subjects(bus.StreamIn, ">")
}

// A process that starts while the NATS server is away takes webhooks, is killed, and takes more. When the server is back, all are there.
func TestAStartWithoutNATSTakesWebhooks(t *testing.T) {
	if testing.Short() {
		t.Skip("has real servers that are killed: runs without -short")
	}
	t.Parallel()
	w := newSpooling(t)
	w.nats.Kill()
	w.start()
	w.sendMany(80)
	if status, body := w.get(w.admin + "/readyz"); status != 503 || !strings.Contains(body, "waits for the NATS servers") {
		t.Errorf("/readyz says %d %s", status, body)
	}
	if status, body := w.get(w.admin + "/healthz"); status != 200 {
		t.Errorf("/healthz says %d %s", status, body)
	}
	await(t, "the metrics count 80 events", func() bool { return w.metric("faxstream_spool_events") == 80 })
	if _, errs := w.run(exitFailed, "spool", "ls", w.dir); !strings.Contains(errs, "another faxstream uses this directory") {
		t.Errorf("while a process has the spool open: %s", errs)
	}
	w.p.kill()
	out, _ := w.run(exitOK, "spool", "ls", "--json", w.dir)
	var left spool.State
	if err := json.Unmarshal([]byte(out), &left); err != nil || left.Events != 80 || time.Since(left.Oldest) > time.Hour || left.Bytes == 0 {
		t.Errorf("the spool has %s, %v", out, err)
	}
	w.start()
	w.sendMany(40)
	if code := w.p.terminate(); code != exitOK {
		t.Errorf("a process that waits for NATS ends with code %d", code)
	}
	w.start()
	w.sendMany(40)
	w.nats.Start()
	w.p.awaitReady()
	await(t, "the spool is empty", func() bool { return w.metric("faxstream_spool_events") == 0 })
	w.sendMany(8)
	w.checkAll()
	if code := w.p.terminate(); code != exitOK {
		t.Errorf("it ends with code %d", code)
	}
}

// A full spool answers 503, and loses nothing of what it took.
func TestAFullSpoolAnswers503(t *testing.T) {
	if testing.Short() {
		t.Skip("has real servers that are killed: runs without -short")
	}
	t.Parallel()
	w := newSpooling(t, "--spool-max=1")
	w.nats.Kill()
	w.start()
	for w.send() == http.StatusOK { // the limit of the test's time ends it
	}
	if len(w.sent) < 1000 {
		t.Errorf("1 MB is full after %d webhooks", len(w.sent))
	}
	await(t, "a load balancer is told", func() bool { status, _ := w.get("http://" + w.addr + ingest.ReadyPath); return status == 503 })
	w.nats.Start()
	await(t, "a webhook is taken again", func() bool { return w.send() == http.StatusOK })
	w.p.awaitReady()
	await(t, "the spool is empty", func() bool { return w.metric("faxstream_spool_events") == 0 })
	w.checkAll()
}

// The spool of a machine that is gone is sent by a command, as often as somebody likes.
func TestASpoolThatIsLeftBehindIsSentByHand(t *testing.T) {
	if testing.Short() {
		t.Skip("has real servers that are killed: runs without -short")
	}
	t.Parallel()
	w := newSpooling(t)
	url := "--nats-url=" + w.nats.NATSURL()
	w.nats.Kill()
	w.start()
	w.sendMany(200)
	w.p.kill()
	if _, errs := w.run(exitFailed, "spool", "drain", w.dir, url); !strings.Contains(errs, "connect to NATS") {
		t.Errorf("without a NATS server: %s", errs)
	}
	w.nats.Start()
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(w.dir)); err != nil {
		t.Fatal(err)
	}
	for i, dir := range []string{w.dir, copied, w.dir} {
		out, _ := w.run(exitOK, "spool", "drain", dir, url, "--json")
		if want := []string{`"sent":200`, `"sent":200`, `"sent":0`}[i]; !strings.Contains(out, want) {
			t.Errorf("time %d: %s, want %s", i, out, want)
		}
		w.checkAll()
	}
	for subject := range w.subjectsThere() {
		if !w.sent[subject] && !bus.IsTrial(subject) {
			t.Errorf("the NATS server has %s, which nobody sent", subject)
		}
	}
	out, _ := w.run(exitOK, "spool", "ls", w.dir)
	if !strings.HasPrefix(out, "events: 0, dead letters: 0, ") {
		t.Errorf("after that the spool has %s", out)
	}
	if _, errs := w.run(exitUsage, "spool", "drain", w.dir); !strings.Contains(errs, "--nats-url is required") {
		t.Errorf("without --nats-url: %s", errs)
	}
	for _, command := range [][]string{{"spool", "ls"}, {"spool", "drain", url}} {
		args := slices.Concat(command[:2], []string{t.TempDir()}, command[2:])
		if _, errs := w.run(exitFailed, args...); !strings.Contains(errs, "is not the directory of a spool") {
			t.Errorf("%q: %s", args, errs)
		}
	}
}
