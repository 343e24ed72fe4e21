package app

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// BenchmarkLongFax takes in a fax of 2,000 tiny pages, of which all announcements wait at the start: then each page may have been fetched
// before, and the archive is asked for it. cpu-us/page-100 is the processor time of the process, the simulator included, of a page about
// page 100; x-500 and x-2000 are that of later pages divided by it. Run it with -benchtime 1x.
func BenchmarkLongFax(b *testing.B) {
	const pages, window = 2000, 200
	for b.Loop() {
		r := newRig(b)
		f := faxplustest.Fax{Session: "long", Streamed: true}
		for range pages {
			f.Pages = append(f.Pages, apptest.Tiny(b))
		}
		r.Sim.Add(f)
		for _, body := range apptest.Bodies(f, "http://faxstream.test")[:pages] {
			r.Record(b, body)
		}
		cfg := Config{CloseGrace: time.Hour, IdleAfter: time.Hour}
		cpu := []time.Duration{processorTime(b)} // when so many windows of pages are archived
		archived := []int{0}
		r.Start(b, r.Bus, r.Store, cfg.policy(), cfg.retry())
		ctx, stop := context.WithTimeout(b.Context(), 20*time.Minute)
		err := r.Bus.Ledgers(ctx, func(s session.State) {
			n := s.Usable.Len()
			if n >= len(archived)*window {
				cpu, archived = append(cpu, processorTime(b)), append(archived, n)
			}
			if n == pages {
				stop()
			}
		}, func() {})
		if stop(); err != nil || archived[len(archived)-1] < pages {
			b.Fatalf("%d of %d pages are archived, %v", archived[len(archived)-1], pages, err)
		}
		each := func(page int) float64 { // of the window in which it is
			i := 1
			for archived[i] < page {
				i++
			}
			return float64((cpu[i] - cpu[i-1]).Microseconds()) / float64(archived[i]-archived[i-1])
		}
		b.ReportMetric(each(100), "cpu-us/page-100")
		b.ReportMetric(each(500)/each(100), "x-500")
		b.ReportMetric(each(pages)/each(100), "x-2000")
	}
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
