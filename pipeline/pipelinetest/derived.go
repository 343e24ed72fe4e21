package pipelinetest

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/document"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
)

// DerivingOf makes the derived documents of one process.
func (d *Desk) DerivingOf(t testing.TB, software string) *document.Deriving {
	return &document.Deriving{
		Facts: d, Archive: d, Made: &document.Derivations{Archive: d}, Log: slog.New(slog.DiscardHandler),
		Deriver: document.Deriver{Archive: d, Decoder: intake.NewDecoder(1), ScratchDir: t.TempDir(), Software: software},
	}
}

// Derive hands the n-th order to the durable that waits for it. It is about "fax".
func Derive(ctx context.Context, v *document.Deriving, n uint64, order session.Derivation) error {
	data, err := json.Marshal(session.Action{Kind: session.ActionDerived, By: "ada", Session: "fax", Derive: &order})
	if err != nil {
		return err
	}
	at := time.Date(2026, 11, 27, 12, 0, int(n), 0, time.UTC)
	return v.Consumptions()[0].Handle(ctx, bus.Delivery{Data: data, Sequence: n, Time: at, Tries: 1})
}

// Derived is the only derived document of the desk.
func (d *Desk) Derived(t testing.TB) session.DocDerived {
	t.Helper()
	var found []session.DocDerived
	for _, data := range d.Events {
		if f, err := session.ParseFact(session.TypeDocDerived, data); err == nil {
			found = append(found, f.(session.DocDerived))
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d derived documents, want one", len(found))
	}
	return found[0]
}
