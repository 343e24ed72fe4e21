package collect

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// recorder is a Bus that only records facts.
type recorder struct {
	Bus
	facts []session.Fact
}

func (r *recorder) RecordFact(_ context.Context, f session.Fact) (uint64, []byte, error) {
	r.facts = append(r.facts, f)
	return 1, nil, nil
}

// noLocks is a store without legal holds.
type noLocks struct{ hold.Remover }

func (noLocks) Hold(context.Context, string, bool) error { return errors.ErrUnsupported }

// A session that turns out to be a fax that was purged under another one is purged too, unless it is held itself.
func TestAPurgeIsFollowed(t *testing.T) {
	at := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	for _, held := range []bool{false, true} {
		d, _ := pipelinetest.NewDesk(t)
		log := func(id, kind string) {
			text, err := json.Marshal(session.KeepEntry{Session: id, Kind: kind, By: "ada", Why: "case 1", At: at, Asked: "a1"})
			if err != nil {
				t.Fatal(err)
			}
			d.Objects["keep/"+id+"/0001."+kind+".json"] = append(text, '\n')
		}
		log("s", session.ActionPurged)
		if held {
			log("part", session.ActionHeld)
		}
		bus := &recorder{}
		col := &Collector{Bus: bus, Archive: &hold.Guard{Store: d, Remover: noLocks{}, Log: slog.New(slog.DiscardHandler)}}
		folded := session.State{Session: "part", FoldedInto: "s", Close: &session.Closed{File: "file"}}
		for range 2 {
			if err := col.perform(t.Context(), folded); err != nil {
				t.Fatal(err)
			}
		}
		if _, purged := d.Objects["keep/part/0001.purged.json"]; purged == held {
			t.Errorf("held %t: the log of the part says purged: %t", held, purged)
		}
		for _, f := range bus.facts {
			if k, ok := f.(session.Kept); !ok || held || k.Session != "part" || k.Kind != session.ActionPurged {
				t.Errorf("held %t: there is the fact %+v", held, f)
			}
		}
		if !held && len(bus.facts) == 0 {
			t.Error("no fact says that the part was purged")
		}
	}
}
