package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// syncRate measures how often a second the disk under dir can append 1 KB and sync it, one by one.
func syncRate(b *testing.B, dir string) float64 {
	b.Helper()
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	n, block := 0, bytes.Repeat([]byte{'x'}, 1<<10)
	start := time.Now()
	for ; time.Since(start) < time.Second; n++ {
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(start).Seconds()
}

// BenchmarkWebhooks: webhooks answered 200 a second by 64 senders, with p50 and p99, beside the disk's own sync rate.
// The pipeline works on what comes in all the while (it refuses each page at once: no page path).
func BenchmarkWebhooks(b *testing.B) {
	const faxes, pages, senders = 60, 100, 64
	for b.Loop() {
		dir := b.TempDir()
		before := syncRate(b, dir)
		p := serve(b, nil, "--dir="+filepath.Join(dir, "state"), "--faxplus-url=http://127.0.0.1:9", "--faxplus-page-path=none")
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}}
		queue := make(chan []byte, faxes*pages)
		for page := range pages {
			for n := range faxes {
				queue <- faxplustest.PageEvent(faxplustest.Fax{Session: fmt.Sprintf("bench-%d", n)}, page+1, p.target())
			}
		}
		close(queue)
		var mu sync.Mutex
		var took []time.Duration
		var wg sync.WaitGroup
		start := time.Now()
		for range senders {
			wg.Go(func() {
				for body := range queue {
					t0 := time.Now()
					resp, err := client.Post(p.target(), "application/json", bytes.NewReader(body))
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if resp.StatusCode != 200 {
						b.Errorf("webhook answered %d", resp.StatusCode)
					}
					mu.Lock()
					took = append(took, time.Since(t0))
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		rate := float64(len(took)) / time.Since(start).Seconds()
		after := syncRate(b, dir)
		slices.Sort(took)
		b.ReportMetric(rate, "webhooks/s")
		b.ReportMetric(before, "syncs/s-before")
		b.ReportMetric(after, "syncs/s-during")
		b.ReportMetric(rate/((before+after)/2), "webhooks/sync")
		b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
		b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
		if code := p.terminate(); code != 0 {
			b.Errorf("exit code %d", code)
		}
		b.ReportMetric(0, "ns/op")
	}
}

// BenchmarkPages: pages a second from webhook to page.archived and document, with CPU per page and peak memory of the process.
func BenchmarkPages(b *testing.B) {
	for _, s := range settings() {
		b.Run(s.name, func(b *testing.B) { benchmarkPages(b, s) })
	}
}

func benchmarkPages(b *testing.B, s setting) {
	const faxes, pages = 60, 20
	page := benchPage(b)
	for b.Loop() {
		sim, flags := newSimulator(b, faxplustest.Config{})
		args, env, natsURL := s.start(b)
		p := serve(b, env, append(append(args, flags...), "--dir="+b.TempDir())...)
		if natsURL == "" {
			natsURL = p.ready.NATS
		}
		var archived atomic.Int64
		all := make(chan struct{})
		countPages(b, natsURL, func() {
			if archived.Add(1) == faxes*pages {
				close(all)
			}
		})
		var sessions []string
		var work [][]byte
		for n := range faxes {
			f := faxplustest.Fax{Session: fmt.Sprintf("bench-%d", n), Streamed: true}
			for range pages {
				f.Pages = append(f.Pages, page)
			}
			sim.Add(f)
			sessions = append(sessions, f.Session)
			work = append(work, apptest.Bodies(f, p.target())...)
		}
		cpu := p.cpuSeconds()
		start := time.Now()
		postAll(b, sim, p.target(), work)
		select {
		case <-all:
		case <-time.After(apptest.Patience):
			b.Fatalf("%d pages archived within %s", archived.Load(), apptest.Patience)
		}
		took := time.Since(start).Seconds()
		p.awaitDocuments(sessions...)
		b.ReportMetric(faxes*pages/took, "pages/s")
		b.ReportMetric(faxes*pages/time.Since(start).Seconds(), "pages-in-documents/s")
		b.ReportMetric((p.cpuSeconds()-cpu)*1000/(faxes*pages), "cpu-ms/page")
		b.ReportMetric(p.peakMB(), "peak-MB")
		b.ReportMetric(float64(len(page))/1000, "page-KB")
		b.ReportMetric(0, "ns/op")
		if code := p.terminate(); code != 0 {
			b.Errorf("exit code %d", code)
		}
	}
}

func postAll(b *testing.B, sim *faxplustest.Server, target string, work [][]byte) {
	b.Helper()
	queue := make(chan []byte, len(work))
	for _, body := range work {
		queue <- body
	}
	close(queue)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for body := range queue {
				if status, err := sim.Post(b.Context(), target, body); err != nil || status != 200 {
					b.Errorf("webhook answered %d, %v", status, err)
				}
			}
		})
	}
	wg.Wait()
}

// benchPage is a Group 4 page of 76 KB: a sheet of text, and the same text once more between its lines.
func benchPage(b *testing.B) []byte {
	b.Helper()
	data, err := os.ReadFile(filepath.Join(root(b), "testdata", "a4-fine-g4.tiff"))
	if err != nil {
		b.Fatal(err)
	}
	f, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	p := apptest.DecodePage(b, f, 0)
	const lower = 10 // rows
	for y := p.Height - 1; y >= lower; y-- {
		for i, above := range p.Row(y - lower) {
			p.Row(y)[i] |= above
		}
	}
	return apptest.FileOf(b, p)
}

// cpuSeconds is the user and system time that the process has used (Linux: /proc/PID/stat, in ticks of 1/100 s).
func (p *process) cpuSeconds() float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, errU := strconv.Atoi(fields[11])
	sys, errS := strconv.Atoi(fields[12])
	if errU != nil || errS != nil {
		p.t.Fatalf("%s: %v, %v", stat, errU, errS)
	}
	return float64(user+sys) / 100
}

// peakMB is the largest resident set so far, in 10^6 bytes (Linux: VmHWM).
func (p *process) peakMB() float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				p.t.Fatal(err)
			}
			return float64(kb) * 1024 / 1e6
		}
	}
	p.t.Fatalf("no VmHWM on %s", runtime.GOOS)
	return 0
}

// countPages calls f for each page.archived that an independent subscriber hears.
func countPages(b *testing.B, url string, f func()) {
	b.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	if _, err := nc.Subscribe(session.TypePageArchived+".>", func(*nats.Msg) { f() }); err != nil {
		b.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		b.Fatal(err)
	}
}
