package bus

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// BenchmarkConsume: processor time of a message that a handler does nothing with, from the pull to the acknowledgement, with that of the
// server (embedded: in this process). one: 24 workers; batches: one worker, up to 256 at once; trickle: 24 workers, each message is
// published when the one before is handled, so that the publish counts too.
func BenchmarkConsume(b *testing.B) {
	for _, where := range []string{"embedded", "external"} {
		for _, how := range []string{"one", "batches", "trickle"} {
			b.Run(where+"/"+how, func(b *testing.B) { benchmarkConsume(b, where == "external", how) })
		}
	}
}

func benchmarkConsume(b *testing.B, external bool, how string) {
	for b.Loop() {
		bus, pid := benchBus(b, external)
		messages, stored := 10_000, 10_000
		if how == "trickle" {
			messages, stored = 1000, 1
		}
		benchPublish(b, bus, stored)
		var handled, batches atomic.Int64
		done, next := make(chan struct{}), make(chan struct{}, 1)
		handle := func(n int) {
			switch sum := handled.Add(int64(n)); {
			case sum == int64(messages):
				close(done)
			case how == "trickle":
				next <- struct{}{}
			}
		}
		c := pageConsumer
		start, cpu := time.Now(), cpuTime(b, pid)
		if how == "batches" {
			if err := bus.ConsumeBatches(b.Context(), c, 256, func(_ context.Context, ds []Delivery) []error {
				batches.Add(1)
				handle(len(ds))
				return make([]error, len(ds))
			}); err != nil {
				b.Fatal(err)
			}
		} else {
			c.Workers = 24
			consume(b, bus, c, func(context.Context, Delivery) error { handle(1); return nil })
		}
		for n := stored; n < messages; n++ {
			receive(b, next)
			if _, err := bus.js.Publish(b.Context(), page("s", n+1).Subject(), make([]byte, 300)); err != nil {
				b.Fatal(err)
			}
		}
		receive(b, done)
		for waiting := 1; waiting > 0; { // until the server has every acknowledgement
			time.Sleep(10 * time.Millisecond)
			waiting, _ = outstanding(b, bus, c)
		}
		b.ReportMetric((cpuTime(b, pid)-cpu).Seconds()*1e6/float64(messages), "cpu-us/msg")
		b.ReportMetric(float64(messages)/time.Since(start).Seconds(), "msgs/s")
		if n := batches.Load(); n > 0 {
			b.ReportMetric(float64(messages)/float64(n), "msgs/batch")
		}
		b.ReportMetric(0, "ns/op")
		closeBus(b, bus)
	}
}

// benchPublish stores announcements that no durable has yet.
func benchPublish(b *testing.B, bus *Bus, n int) {
	b.Helper()
	var group errgroup.Group
	group.SetLimit(256)
	for i := range n {
		group.Go(func() error {
			_, err := bus.Record(b.Context(), page("s", i+1))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

// benchBus is a bus and the process of its server; 0: this process.
func benchBus(b *testing.B, external bool) (*Bus, int) {
	if !external {
		return open(b, b.TempDir()), 0
	}
	s := startNATS(b)
	return s.open(), s.cmd.Process.Pid
}

// cpuTime is the processor time of this process, and of process pid (Linux: /proc/PID/stat, in ticks of 10 ms) unless it is 0.
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		b.Fatal(err)
	}
	sum := time.Duration(own.Utime.Nano() + own.Stime.Nano())
	if pid == 0 {
		return sum
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum
}
