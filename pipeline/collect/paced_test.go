package collect

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
)

// A fact that comes alone does not wait; those that come after it wait for company, but not when the process stops.
func TestBatchesComeOneGatherAfterAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var began []time.Duration
		handle := paced(func(context.Context, []bus.Delivery) []error {
			began = append(began, time.Since(start))
			return nil
		})
		handle(t.Context(), nil)
		handle(t.Context(), nil)
		handle(t.Context(), nil)
		time.Sleep(time.Hour)
		handle(t.Context(), nil)
		stopped, stop := context.WithCancel(t.Context())
		stop()
		handle(stopped, nil)
		want := []time.Duration{0, gather, 2 * gather, time.Hour + 2*gather, time.Hour + 2*gather}
		for i, at := range want {
			if began[i] != at {
				t.Errorf("call %d began after %s, want %s", i+1, began[i], at)
			}
		}
	})
}
