package pipelinetest

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Load is what a benchmark of durable writes does: Each is called with the numbers from 0 on, by Callers at the same time.
type Load struct {
	Dir     string // on the disk that the writes go to
	Callers int
	Each    func(n int) error
}

// Run calls Each b.N times and reports, beside the rate, how many calls end in the time in which the same disk, in the same run, syncs one
// append of 1 KB (per-sync, of the mean), their p50 and p99 in such times, and the processor time of the process for each call.
func (l Load) Run(b *testing.B) {
	b.Helper()
	before, typical := l.syncTime(b)
	took := make([]time.Duration, b.N)
	queue := make(chan int)
	var callers sync.WaitGroup
	b.ResetTimer()
	used, start := processorTime(b), time.Now()
	for range l.Callers {
		callers.Go(func() {
			for n := range queue {
				began := time.Now()
				if err := l.Each(n); err != nil {
					b.Error(err)
				}
				took[n] = time.Since(began)
			}
		})
	}
	for n := range b.N {
		queue <- n
	}
	close(queue)
	callers.Wait()
	wall := time.Since(start)
	used = processorTime(b) - used
	b.StopTimer()
	after, typicalAfter := l.syncTime(b)
	sync, p50 := (before+after).Seconds()/2, (typical+typicalAfter).Seconds()/2
	slices.Sort(took)
	b.ReportMetric(float64(b.N)*sync/wall.Seconds(), "per-sync")
	b.ReportMetric(took[len(took)/2].Seconds()/p50, "p50-syncs")
	b.ReportMetric(took[len(took)*99/100].Seconds()/sync, "p99-syncs")
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-us/op")
}

// syncTime is the mean and the median time in which the disk appends 1 KB to a file and syncs it.
func (l Load) syncTime(b *testing.B) (mean, median time.Duration) {
	b.Helper()
	f, err := os.Create(filepath.Join(l.Dir, "sync"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	took, block := make([]time.Duration, 300), bytes.Repeat([]byte{'x'}, 1<<10)
	for i := range took {
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		took[i] = time.Since(began)
		mean += took[i] / time.Duration(len(took))
	}
	slices.Sort(took)
	return mean, took[len(took)/2]
}

// processorTime is the user and system time of this process.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
