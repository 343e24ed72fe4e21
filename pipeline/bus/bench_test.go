package bus_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// benchmarkWrites measures writes to an embedded server by 1, 8 and 64 callers.
func benchmarkWrites(b *testing.B, write func(*bus.Bus, int) error) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			dir := b.TempDir()
			js, err := bus.Open(b.Context(), bus.Config{Embedded: bus.EmbeddedConfig{Dir: dir}, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			defer js.Close()
			pipelinetest.Load{Dir: dir, Callers: callers, Each: func(n int) error { return write(js, n) }}.Run(b)
		})
	}
}

// BenchmarkRecord: a fact to JetStream.
func BenchmarkRecord(b *testing.B) {
	benchmarkWrites(b, func(js *bus.Bus, n int) error {
		_, err := js.Record(b.Context(), session.PageAnnounced{
			Session: fmt.Sprintf("bench-%d", n%60), Page: n/60 + 1, From: "+1 334-304-0000", To: "+1 334-304-0001",
		})
		return err
	})
}

// BenchmarkSave: a new ledger to JetStream, each of a session of its own.
func BenchmarkSave(b *testing.B) {
	benchmarkWrites(b, func(js *bus.Bus, n int) error {
		_, err := js.Save(b.Context(), session.State{Session: fmt.Sprintf("bench-%d", n), From: "+1 334-304-0000"}, 0)
		return err
	})
}

// BenchmarkSchedule: a timer to JetStream.
func BenchmarkSchedule(b *testing.B) {
	due := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	benchmarkWrites(b, func(js *bus.Bus, n int) error {
		return js.Schedule(b.Context(), session.Timer{Kind: session.TimerIdle, Session: fmt.Sprintf("bench-%d", n), Due: due}, nil)
	})
}
