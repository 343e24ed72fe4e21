package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/fetch"
	"github.com/faxstream/faxstream/pipeline/session"
)

// recordedBus notes which durables are asked for. Its Ledgers ends with its context.
type recordedBus struct {
	Bus
	asked *[]bus.Consumer
}

func (b recordedBus) Consume(_ context.Context, c bus.Consumer, _ func(context.Context, bus.Delivery) error) error {
	*b.asked = append(*b.asked, c)
	return nil
}

func (b recordedBus) ConsumeBatches(
	_ context.Context, c bus.Consumer, _ int, _ func(context.Context, []bus.Delivery) []error,
) error {
	*b.asked = append(*b.asked, c)
	return nil
}

func (b recordedBus) Ledgers(ctx context.Context, _ func(session.State), _ func()) error {
	return ctx.Err()
}

// nobody is a provider that is not asked.
type nobody struct{ fetch.Provider }

// What a durable delivers is one of the settings that versions of faxstream must not undo: whoever changes it raises settingsRevision in
// bus/version.go. Every durable belongs to a part, so that its backlog counts.
func TestTheRevisionOfDurablesIsRaised(t *testing.T) {
	var asked []bus.Consumer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := Start(ctx, Config{
		Bus: recordedBus{asked: &asked}, Provider: nobody{}, ScratchDir: t.TempDir() + "/spool", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	type durable struct {
		Stream, Durable string
		Filter          []string
		Ordered         bool
	}
	var all []durable
	for _, c := range asked {
		all = append(all, durable{c.Stream, c.Durable, c.Filter, c.Ordered})
		if c.Part == "" {
			t.Errorf("%s belongs to no part", c.Durable)
		}
	}
	slices.SortFunc(all, func(a, b durable) int { return strings.Compare(a.Durable, b.Durable) })
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	const known = "8c212fbd7d9fd0e7" // of settingsRevision 1
	if got := fmt.Sprintf("%x", sha256.Sum256(data))[:16]; got != known {
		t.Errorf("the durables have the hash %s, want %s: raise settingsRevision in bus/version.go, and write the new hash here\n%s",
			got, known, data)
	}
}
