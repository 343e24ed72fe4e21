package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// outageLength is how long what faxstream needs is away: FAXSTREAM_OUTAGE, else long enough for several retries.
func outageLength(t *testing.T) time.Duration {
	t.Helper()
	v := os.Getenv("FAXSTREAM_OUTAGE")
	if v == "" {
		return 4 * time.Second
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		t.Fatalf("FAXSTREAM_OUTAGE=%s: want a duration such as 1h", v)
	}
	return d
}

// switchedProvider is the simulator behind a switch.
type switchedProvider struct {
	sim   *faxplustest.Server
	addr  string
	srv   *httptest.Server
	sick  atomic.Bool  // it answers 503
	asked atomic.Int64 // requests
}

func startProvider(t *testing.T) *switchedProvider {
	t.Helper()
	p := &switchedProvider{sim: faxplustest.New(faxplustest.Config{}), addr: apptest.FixedAddr(t)}
	p.start(t)
	t.Cleanup(func() {
		p.srv.Close()
		p.sim.Close()
	})
	return p
}

func (p *switchedProvider) start(t *testing.T) {
	t.Helper()
	var l net.Listener
	await(t, "the provider's port is free", func() bool {
		var err error
		l, err = net.Listen("tcp", p.addr) // a process that was forked when it was closed may still have it
		return err == nil
	})
	p.srv = &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		if p.sick.Load() {
			http.Error(w, `{"error":"unavailable","description":"maintenance"}`, http.StatusServiceUnavailable)
			return
		}
		p.sim.ServeHTTP(w, r)
	})}}
	p.srv.Start()
}

// outage is one thing that faxstream needs, how it is taken away, and what is seen of that.
type outage struct {
	name      string
	args, env []string
	provider  *switchedProvider
	natsURL   string // "": the embedded server's own listener
	begin     func()
	end       func()
	refuses   bool   // webhooks are answered 503 meanwhile
	reason    string // in /readyz
}

func outages() map[string]func(t *testing.T) outage {
	embedded := []string{"--nats-listen=127.0.0.1:0", "--nats-listen-insecure"}
	return map[string]func(t *testing.T) outage{
		"provider refuses connections": func(t *testing.T) outage {
			p := startProvider(t)
			return outage{
				args: embedded, provider: p, reason: "the provider cannot be used",
				begin: func() { p.srv.CloseClientConnections(); p.srv.Close() }, end: func() { p.start(t) },
			}
		},
		"provider answers 503": func(t *testing.T) outage {
			p := startProvider(t)
			return outage{
				args: embedded, provider: p, reason: "the provider cannot be used",
				begin: func() { p.sick.Store(true) }, end: func() { p.sick.Store(false) },
			}
		},
		"archive is gone": func(t *testing.T) outage {
			s, args, env := apptest.StartS3(t)
			return outage{args: append(args, embedded...), env: env, provider: startProvider(t), reason: "bucket", begin: s.Kill, end: s.Start}
		},
		"archive refuses writes": func(t *testing.T) outage {
			_, args, env := apptest.StartS3(t)
			args, line := newS3Switch(t, args)
			return outage{
				args: append(args, embedded...), env: env, provider: startProvider(t), reason: "the archive refuses",
				begin: func() { line.set(s3Writes(s3Error(http.StatusForbidden, "AccessDenied"))) }, end: func() { line.set(nil) },
			}
		},
		"NATS is gone": func(t *testing.T) outage {
			s := apptest.StartNATS(t)
			return outage{
				args: []string{"--nats-url=" + s.NATSURL()}, natsURL: s.NATSURL(), provider: startProvider(t), reason: "NATS is",
				begin: s.Kill, end: s.Start, refuses: true,
			}
		},
		"NATS is gone and there is a spool": func(t *testing.T) outage {
			s := apptest.StartNATS(t)
			return outage{
				args: []string{"--nats-url=" + s.NATSURL(), "--spool=" + t.TempDir()}, natsURL: s.NATSURL(), provider: startProvider(t),
				reason: "webhooks are stored in the spool", begin: s.Kill, end: s.Start,
			}
		},
	}
}

// What faxstream needs goes away while faxes are under way and others come. Nothing that was answered 200 is lost, nothing
// spins or piles up meanwhile, and when it is back every fax becomes complete without anybody's help.
func TestOutages(t *testing.T) {
	if testing.Short() {
		t.Skip("has real servers and an outage of seconds: runs without -short")
	}
	for name, make := range outages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, length := make(t), outageLength(t)
			o.name = name
			p := serve(t, o.env, append(
				o.args, "--faxplus-url=http://"+o.provider.addr, "--faxplus-page-path="+faxplustest.PagePath, "--dir="+t.TempDir(),
				fmt.Sprintf("--page-deadline=%s", length/4), fmt.Sprintf("--close-grace=%s", max(3*length, 15*time.Minute)),
			)...)
			w := &outageWorld{t: t, outage: o, p: p, sender: newSender(t, apptest.Patience)}
			if o.refuses {
				w.sender = newSender(t, answerWithin)
			}
			w.run(length)
		})
	}
}

// outageWorld is one run of TestOutages.
type outageWorld struct {
	outage
	t      *testing.T
	p      *process
	sender *sender
	faxes  []faxplustest.Fax
	left   [][]byte // webhooks that were not answered 200
}

func (w *outageWorld) run(length time.Duration) {
	t := w.t
	var first [][]byte
	for range 12 {
		first = append(first, w.next()...)
	}
	var unanswered []error
	answered, before := 0, w.usage() // the first line about the outage can come before the last of these webhooks is answered
	w.left, unanswered = w.sender.sendAll(w.p.target(), first, func([]byte) {
		if answered++; answered == len(first)/2 {
			w.begin()
		}
	})
	if len(unanswered) > 0 {
		t.Errorf("webhooks without an answer when the outage began: %v", unanswered)
	}
	w.trickle(length)
	await(t, "/readyz says "+w.reason, func() bool {
		status, text := w.p.readyz()
		return status == http.StatusServiceUnavailable && strings.Contains(text, w.reason)
	})
	w.checkUsage(before, w.usage())
	want := map[bool]int{false: http.StatusOK, true: http.StatusServiceUnavailable}[w.refuses]
	if status, text := w.p.ask(w.p.ready.Webhook + ingest.ReadyPath); status != want {
		t.Errorf("a load balancer is told %d %s, want %d", status, text, want)
	}
	if w.refuses && len(w.left) == 0 {
		t.Error("every webhook was answered 200")
	}
	w.end()
	await(t, "/readyz is green", func() bool { status, _ := w.p.readyz(); return status == http.StatusOK })
	await(t, "every webhook is taken", func() bool { w.send(nil); return len(w.left) == 0 })
	w.checkAfter()
}

// next is the webhooks of another fax.
func (w *outageWorld) next() [][]byte {
	n := len(w.faxes)
	f := apptest.SmallFax(w.t, fmt.Sprintf("%s-%d", strings.ReplaceAll(w.name, " ", "-"), n), uint64(n))
	w.provider.sim.Add(f)
	w.faxes = append(w.faxes, f)
	return apptest.Bodies(f, w.p.target())
}

// send sends webhooks, and those that were not answered 200 before.
func (w *outageWorld) send(bodies [][]byte) {
	w.left, _ = w.sender.sendAll(w.p.target(), append(w.left, bodies...), func([]byte) {})
}

// trickle sends webhooks of new faxes while the outage goes on.
func (w *outageWorld) trickle(length time.Duration) {
	over := time.After(length)
	next := time.NewTicker(max(length/400, 200*time.Millisecond))
	defer next.Stop()
	for {
		for _, body := range w.next() {
			status, err := w.sender.send(w.p.target(), body)
			if err != nil {
				w.t.Errorf("webhook: %v", err)
			}
			if status != http.StatusOK {
				w.left = append(w.left, body)
			}
			if (status == http.StatusServiceUnavailable) != w.refuses {
				w.t.Errorf("webhook answered %d during the outage", status)
			}
		}
		select {
		case <-over:
			return
		case <-next.C:
		}
	}
}

// usage is what a process has used.
type usage struct {
	at         time.Time
	cpu        time.Duration
	resident   int64 // bytes
	goroutines int
	lines      int   // of its log
	asked      int64 // requests to the provider
}

func (u usage) String() string {
	return fmt.Sprintf("%.1f s CPU, %d MB resident, %d goroutines, %d lines logged, %d requests to the provider",
		u.cpu.Seconds(), u.resident>>20, u.goroutines, u.lines, u.asked)
}

func (w *outageWorld) usage() usage {
	m := metrics(w.t, w.p)
	return usage{
		at: time.Now(), cpu: time.Duration(m["process_cpu_seconds_total"] * float64(time.Second)),
		resident: int64(m["process_resident_memory_bytes"]), goroutines: int(m["go_goroutines"]),
		lines: strings.Count(w.p.log.String(), "\n"), asked: w.provider.asked.Load(),
	}
}

// metrics reads the metrics without labels.
func metrics(t testing.TB, p *process) map[string]float64 {
	t.Helper()
	m := map[string]float64{}
	for line := range strings.Lines(string(apptest.Fetch(t, p.ready.Admin+"/metrics"))) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			m[name] = v
		}
	}
	return m
}

// checkUsage bounds what an outage costs, by what it is about and not by what is usual: a loop without a pause makes
// thousands of requests or lines and uses a whole core in each second.
func (w *outageWorld) checkUsage(before, after usage) {
	t, long := w.t, after.at.Sub(before.at)
	t.Logf("%s long, %d faxes\nbegan with %s\nended with %s", long.Round(time.Second), len(w.faxes), before, after)
	files := len(w.faxes)
	for _, f := range w.faxes {
		files += len(f.Pages)
	}
	const triesOfOneFile = 3 * 8 // a call asks three times, and within the deadline eight calls are made at most
	if n, most := after.asked-before.asked, int64(files*triesOfOneFile+int(long.Seconds())); n > most {
		t.Errorf("%d requests to the provider, want at most %d", n, most)
	}
	if n, most := after.lines-before.lines, 10*files+20*int(long.Seconds()); n > most {
		t.Errorf("%d lines logged, want at most %d", n, most)
	}
	w.checkWords(before, after)
	if cpu := after.cpu - before.cpu; cpu > time.Duration(math.Round(float64(long)*0.6))+time.Second {
		t.Errorf("%s of CPU time in %s", cpu, long)
	}
	if grown := after.resident - before.resident; grown > 64<<20 {
		t.Errorf("%d MB more resident after the outage than before", grown>>20)
	}
	if grown := after.goroutines - before.goroutines; grown > 200 {
		t.Errorf("%d more goroutines after the outage than before", grown)
	}
}

// checkWords wants the warnings and errors of an outage to be those that the page about operations explains, and to be few: the first three
// with the same words and how many others there were, and then not one more a second.
func (w *outageWorld) checkWords(before, after usage) {
	t, known := w.t, explainedLines(w.t)
	lines := slices.Collect(strings.Lines(w.p.log.String()))
	said, n := map[string]bool{}, 0
	for _, text := range lines[before.lines:after.lines] {
		var line struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Errorf("a line of the log: %v: %s", err, text)
		}
		if line.Level != "WARN" && line.Level != "ERROR" {
			continue
		}
		n++
		if said[line.Msg] = true; !slices.Contains(known, line.Msg) {
			t.Errorf("the page about operations does not explain %q: %s", line.Msg, text)
		}
	}
	if most := 4*len(said) + int(after.at.Sub(before.at).Seconds()); n > most {
		t.Errorf("%d warnings and errors with %d different words, want at most %d", n, len(said), most)
	}
	if len(said) == 0 {
		t.Error("the log does not say that there is an outage")
	}
}

// explainedLines are the lines of the log that the page about operations explains.
func explainedLines(t *testing.T) (lines []string) {
	t.Helper()
	page := string(apptest.ReadFile(t, filepath.Join(root(t), "deploy/docs/operations.md")))
	_, page, _ = strings.Cut(page, "\n| Line | To do |\n|---|---|\n")
	for row := range strings.Lines(page) {
		line, ok := strings.CutPrefix(row, "| `")
		if !ok {
			break
		}
		line, _, _ = strings.Cut(line, "` |")
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		t.Fatal("the page about operations explains no lines of the log")
	}
	return lines
}

// The page about operations explains no line that the program does not have.
func TestTheExplainedLinesAreThoseOfTheProgram(t *testing.T) {
	var source strings.Builder
	err := filepath.WalkDir(root(t), func(path string, e fs.DirEntry, err error) error {
		if e != nil && e.IsDir() && strings.HasPrefix(e.Name(), ".") && path != root(t) {
			return fs.SkipDir
		}
		if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			source.Write(apptest.ReadFile(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range explainedLines(t) {
		if !strings.Contains(source.String(), `"`+line+`"`) {
			t.Errorf("no part of the program logs %q", line)
		}
	}
}

// checkAfter wants every fax to become complete, and one document of each.
func (w *outageWorld) checkAfter() {
	t := w.t
	natsURL := w.natsURL
	if natsURL == "" {
		natsURL = w.p.ready.NATS
	}
	b := readStreams(t, natsURL)
	defer b.close()
	b.awaitAssembled(w.faxes)
	for _, f := range w.faxes {
		w.p.awaitStatus(f.Session, session.StatusComplete)
		checkFax(t, w.p, f)
	}
	b.checkOneDocumentEach(w.faxes)
	t.Logf("drained: %s", w.usage())
}
