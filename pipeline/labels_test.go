package pipeline

import (
	"context"
	"runtime/pprof"
	"testing"
)

// Samples of a profile say whose message was worked on.
func TestTheWorkOfADurableIsLabelled(t *testing.T) {
	var part string
	handle := labelled("assemble", func(ctx context.Context, _ int) error {
		part, _ = pprof.Label(ctx, "part")
		return context.Canceled
	})
	if err := handle(t.Context(), 1); err != context.Canceled || part != "assemble" {
		t.Errorf("the label is %q and the result %v, want assemble and the handler's", part, err)
	}
}
