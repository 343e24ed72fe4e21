package replay_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/recovery"
	"github.com/faxstream/faxstream/pipeline/replay"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
)

// streams is a JetStream that has lost every ledger and takes facts.
type streams struct{ *pipelinetest.Desk }

func (streams) Load(_ context.Context, id string) (session.State, uint64, error) {
	return session.State{Session: id}, 0, nil
}

// made has a fax with a document in its archive, made when the decoder saw the pages of `otherwise` with other pixels.
func made(t *testing.T, otherwise ...int) (*pipelinetest.Desk, *replay.Replayer) {
	t.Helper()
	d, order := pipelinetest.NewDesk(t)
	for _, page := range otherwise {
		f := d.Pages[page]
		f.RasterSHA256 = strings.Repeat("0", 64)
		d.Pages[page] = f
	}
	if err := pipelinetest.Assemble(t.Context(), d.AssemblerOf(t, "v1"), order, time.Now()); err != nil {
		t.Fatal(err)
	}
	clear(d.Events)
	s := streams{d}
	pages := intake.Pages{Facts: s, Archive: d, Decoder: intake.NewDecoder(2), Observe: func(context.Context, stage.Step) {}}
	known := reader{s, recovery.Ledgers{Bus: s, Archive: d}}
	return d, &replay.Replayer{Bus: known, Archive: d, Pages: pages, Log: slog.New(slog.DiscardHandler)}
}

// reader finds the faxes of the archive, as it does in the product.
type reader struct {
	streams
	recovery.Ledgers
}

func (r reader) Load(ctx context.Context, id string) (session.State, uint64, error) {
	return r.Ledgers.Load(ctx, id)
}

func action(id, stage string) session.Action {
	return session.Action{Kind: session.ActionReplayed, By: "ada", Session: id, Stage: stage}
}

// ordered gives the order of a new revision, if there is one.
func ordered(t *testing.T, d *pipelinetest.Desk) *session.Again {
	t.Helper()
	data, ok := d.Events[session.Again{Session: "fax", Asked: "a7"}.Subject()]
	if !ok {
		return nil
	}
	var order session.Again
	if err := json.Unmarshal(data, &order); err != nil {
		t.Fatal(err)
	}
	return &order
}

// A page with other pixels gives a report, an amended page and the order of a revision that uses it. A repeat writes the same.
func TestAPageWithOtherPixelsGivesANewRevision(t *testing.T) {
	d, r := made(t, 2)
	for range 2 {
		if err := r.Replay(t.Context(), action("fax", session.ReplayDecode), "a7"); err != nil {
			t.Fatal(err)
		}
	}
	order := ordered(t, d)
	if order == nil || !order.Assemble || order.Repairs == nil || !order.Repairs.Decoded ||
		!slices.Equal(order.Repairs.Pages, session.Span(2, 2)) {
		t.Fatalf("the order is %+v, want a revision with page 2 decoded again", order)
	}
	var report archive.Report
	if ok, _, err := archive.LoadJSON(t.Context(), d, order.Repairs.Report.Key, &report); err != nil || !ok {
		t.Fatalf("the report is not in the archive: %v", err)
	}
	if len(report.Pages) != 1 || report.Pages[0].Page != 2 || report.Pages[0].Verdict != archive.VerdictDecoded {
		t.Fatalf("the report says %+v, want page 2 alone", report.Pages)
	}
	now := report.Pages[0].Repair
	if now == nil || now.RasterSHA256 == d.Pages[2].RasterSHA256 || now.Original != d.Pages[2].Original {
		t.Fatalf("the report has %+v, want the same original with its present pixels", now)
	}
	if _, ok := d.Events[session.PageAmended{PageArchived: *now}.Subject()]; !ok {
		t.Errorf("the page is not amended: there is %v", slices.Collect(maps.Keys(d.Events)))
	}
	if len(d.Wrong) > 0 {
		t.Errorf("the repeat wrote something else: %v", d.Wrong)
	}
}

// The same pixels, or an original that is missing or altered, give no new revision. A missing plan is a dead letter.
func TestWithoutOtherPixelsThereIsNoNewRevision(t *testing.T) {
	for name, c := range map[string]struct {
		otherwise []int
		damage    func(d *pipelinetest.Desk)
	}{
		"the same pixels":        {nil, func(*pipelinetest.Desk) {}},
		"an original is missing": {[]int{1}, func(d *pipelinetest.Desk) { delete(d.Objects, d.Pages[1].Original.Key) }},
		"an original is altered": {[]int{1}, func(d *pipelinetest.Desk) { d.Objects[d.Pages[1].Original.Key] = []byte("x") }},
	} {
		t.Run(name, func(t *testing.T) {
			d, r := made(t, c.otherwise...)
			c.damage(d)
			before := maps.Clone(d.Objects)
			if err := r.Replay(t.Context(), action("fax", session.ReplayDecode), "a7"); err != nil {
				t.Fatal(err)
			}
			if len(d.Events) > 0 || len(d.Objects) != len(before) {
				t.Errorf("facts %v and %d new objects, want none", slices.Collect(maps.Keys(d.Events)), len(d.Objects)-len(before))
			}
		})
	}
}

func TestAFaxWithoutADocumentIsADeadLetter(t *testing.T) {
	_, r := made(t)
	err := r.Replay(t.Context(), action("other", session.ReplayDecode), "a7")
	if dead, ok := errors.AsType[bus.Dead](err); !ok || dead.Reason != session.ReasonLost {
		t.Errorf("%v, want a dead letter with reason lost", err)
	}
}

// A new revision from the archived pages decodes nothing.
func TestANewRevisionCanBeOrderedAsItIs(t *testing.T) {
	d, r := made(t, 1)
	if err := r.Replay(t.Context(), action("fax", session.ReplayAssemble), "a7"); err != nil {
		t.Fatal(err)
	}
	if order := ordered(t, d); order == nil || !order.Assemble || order.Repairs != nil || len(d.Events) != 1 {
		t.Errorf("the order is %+v of %d facts, want one order without repairs", order, len(d.Events))
	}
}
