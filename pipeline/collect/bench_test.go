package collect

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
)

// BenchmarkSwap: a page fact folded into the ledger of its session and saved on an embedded server, by 1, 8 and 64 callers of as many
// sessions. Every ledger has a timer and a bound number, as at the first page of a fax.
func BenchmarkSwap(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			dir := b.TempDir()
			js, err := bus.Open(b.Context(), bus.Config{Embedded: bus.EmbeddedConfig{Dir: dir}, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			defer js.Close()
			policy := session.Policy{Grace: time.Hour, Idle: time.Hour, Streaming: true}
			c := &Collector{Bus: js, Archive: pipelinetest.LocalArchive(b), Policy: policy, Observe: func(context.Context, stage.Step) {}}
			swap := func(n int) error {
				f := session.PageAnnounced{
					Session: fmt.Sprintf("bench-%d", n%callers), Page: n/callers%1000 + 1, From: "+1 334-304-0000", To: "+1 334-304-0001",
				}
				data, err := json.Marshal(f)
				if err != nil {
					return err
				}
				return c.collect(b.Context(), []bus.Delivery{{Subject: f.Subject(), Data: data, Time: time.Now(), Tries: 1}})[0]
			}
			for n := range callers {
				if err := swap(n); err != nil {
					b.Fatal(err)
				}
			}
			pipelinetest.Load{Dir: dir, Callers: callers, Each: func(n int) error { return swap(n + callers) }}.Run(b)
		})
	}
}
