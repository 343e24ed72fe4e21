package collect

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// history is what the ledger learns about one fax, and what it orders.
type history struct {
	state  session.State
	policy session.Policy
	now    time.Time
	ready  []session.DocReady
}

func (h *history) feed(t *testing.T, f session.Fact) {
	h.now = h.now.Add(time.Millisecond)
	e := session.Event{At: h.now, ToToken: "13343040000", Fact: f}
	next, err := session.Next(h.policy, h.state, e)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range next.Effects {
		if e.Ready != nil {
			h.ready = append(h.ready, *e.Ready)
		}
	}
	next.Effects = nil
	h.state = next
}

// sixPages is a fax of six pages in facts: what the provider announces, what becomes of it, and the close.
func sixPages() (facts []session.Fact, archived map[int]session.PageArchived) {
	const id, to = "s1", "+1 334 304 0000"
	start := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	archived = map[int]session.PageArchived{}
	for page := 1; page <= 6; page++ {
		from := fmt.Sprint("+49 30 ", page) // the close has none: the lowest page counts
		at := start.Add(time.Duration(page) * 40 * time.Second)
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte{byte(page)}))
		a := session.PageArchived{
			Session: id, Page: page, From: from, To: to, ToToken: "13343040000", Source: session.SourceFetch, RasterSHA256: sum,
			Width: 1728, Height: 1078,
			XResolution: 204, YResolution: 98, Coding: "mmr", EventTime: at, BodySHA256: sum,
			Original: session.Object{Key: "faxes/s1/pages/" + sum, Size: int64(page), SHA256: sum},
		}
		archived[page] = a
		facts = append(facts, session.PageAnnounced{Session: id, Page: page, From: from, To: to, EventTime: at, BodySHA256: sum}, a)
	}
	facts = append(facts, session.Closed{
		Session: id, Direction: session.Incoming, Status: "success", Pages: 6, File: "f", To: to, StartTime: start,
		EventTime: start.Add(time.Hour), BodySHA256: "c",
	})
	return facts, archived
}

// TestAHundredThousandHistoriesGiveTheSamePlan tells the ledger of one fax in random orders with repeats: it orders one document, whose
// plan is the same bytes. That the same plan gives the same documents is shown by the histories of the simulation.
func TestAHundredThousandHistoriesGiveTheSamePlan(t *testing.T) {
	histories := 100_000
	if testing.Short() {
		histories = 2_000
	}
	facts, archived := sixPages()
	var want []byte
	for seed := range uint64(histories) {
		rng := rand.New(rand.NewPCG(seed, 6))
		order := rng.Perm(len(facts))
		for range rng.IntN(12) {
			order = append(order, rng.IntN(len(facts)))
		}
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		h := history{
			state: session.State{Session: "s1"}, now: time.Date(2026, 11, 23, 9, 5, 0, 0, time.UTC),
			policy: session.Policy{Grace: time.Hour, Idle: 24 * time.Hour, Streaming: true},
		}
		for _, i := range order {
			h.feed(t, facts[i])
		}
		if len(h.ready) != 1 {
			t.Fatalf("seed %d: %d documents are ordered", seed, len(h.ready))
		}
		plan, err := archive.NewPlan(h.ready[0], archived, h.now)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		got, err := json.Marshal(plan)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("seed %d: the plan is\n%s\nand of seed 0\n%s", seed, got, want)
		}
	}
}
