package dashboard

import (
	"bufio"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// crowd is a listener with n faxes, each with an assignee of its own.
func crowd(b *testing.B, n int) (*httptest.Server, *Board) {
	b.Helper()
	board := &Board{}
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for i := range n {
		board.put(crowdFax(i, start, 3))
	}
	s := twoFaxes()
	srv := httptest.NewServer(NewHandler(Config{
		Gate: local(), Board: board, Ledgers: s, Letters: s, Archive: s, Audit: s, Log: slog.New(slog.DiscardHandler),
		Metrics: http.NotFoundHandler(),
	}))
	b.Cleanup(srv.Close)
	return srv, board
}

func crowdFax(i int, start time.Time, pages int) session.State {
	return session.State{
		Session: "fax-" + strconv.Itoa(i), Opened: start.Add(time.Duration(i) * time.Second), From: "+1 334-304-0000", To: "+1 334-304-0001",
		Announced: session.Span(1, 3), Usable: session.Span(1, pages), Work: session.Work{N: 1, Assignee: "person-" + strconv.Itoa(i)},
	}
}

// BenchmarkListOfManyFaxes is one page of the list among 100,000 faxes: of all, and of a filter that chooses one of the oldest.
func BenchmarkListOfManyFaxes(b *testing.B) {
	n := 100_000
	if testing.Short() {
		n = 1000
	}
	srv, _ := crowd(b, n)
	for name, path := range map[string]string{"all": "/", "filter": "/?assignee=person-7"} {
		b.Run(name, func(b *testing.B) {
			size := 0
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				resp, err := http.Get(srv.URL + path)
				if err != nil {
					b.Fatal(err)
				}
				data, err := bufio.NewReader(resp.Body).WriteTo(discard{&size})
				resp.Body.Close()
				if err != nil || data == 0 {
					b.Fatal(data, err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100])/1e6, "p99-ms")
			b.ReportMetric(float64(size)/float64(b.N), "bytes/page")
		})
	}
}

// discard counts bytes.
type discard struct{ n *int }

func (d discard) Write(p []byte) (int, error) { *d.n += len(p); return len(p), nil }

// BenchmarkEventsWithTabs is what a second with 100 changes of ledgers costs in processor time, the tabs' own reading included, while tabs
// are open, a fifth of them filtered. Each iteration is a second.
func BenchmarkEventsWithTabs(b *testing.B) {
	for _, tabs := range []int{0, 50} {
		b.Run(fmt.Sprint(tabs), func(b *testing.B) {
			srv, board := crowd(b, 1000)
			for i := range tabs {
				path := "/live"
				if i%5 == 0 {
					path = "/live?assignee=person-" + strconv.Itoa(i)
				}
				resp, err := http.Get(srv.URL + path)
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { resp.Body.Close() })
				n := 0
				go func() { _, _ = bufio.NewReader(resp.Body).WriteTo(discard{&n}) }()
			}
			start, tick := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), time.NewTicker(time.Second/100)
			defer tick.Stop()
			before := processorTime(b)
			for i := 0; b.Loop(); {
				for range 100 {
					<-tick.C
					board.put(crowdFax(i%1000, start, i%3+1))
					i++
				}
			}
			b.ReportMetric(float64(processorTime(b)-before)/1e6/float64(b.N), "cpu-ms/s")
		})
	}
}

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
