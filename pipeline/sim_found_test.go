package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// twiceWorld is a world in which a fax is known by two sessions: its own, by webhooks, and another one under the name that it has in the
// provider's lists, which the reconciler has fed in. The webhooks come before, after and at the same time.
func twiceWorld(seed uint64, dir string) *world {
	return newWorld(seed, dir, func(w *world) *fax {
		rng := w.rng
		f := newFax(rng, 1+rng.IntN(4))
		f.policy.Ask, f.policy.GiveUp = rng.IntN(2) == 0, 4*time.Hour
		f.policy.Reconcile = []string{session.ReconcileOff, session.ReconcileAll}[rng.IntN(2)]
		f.announce("success", len(f.pages))
		found := f.closeHook("success", len(f.pages))
		found.Session, found.EventTime, found.BodySHA256 = f.listed(), time.Time{}, bodyHash("the list")
		f.hooks = append(f.hooks, &hook{fact: found})
		if rng.IntN(4) == 0 { // a session that hears nothing more is given up, or asks
			f.hooks = slices.DeleteFunc(f.hooks, func(h *hook) bool {
				_, closed := h.fact.(session.Closed)
				return closed &&
					h.fact.SessionID() == f.id
			})
			late := f.closeHook("success", len(f.pages))
			f.hooks = append(f.hooks, &hook{fact: late, at: simStart.Add(time.Duration(rng.Int64N(int64(24 * time.Hour))))})
		}
		for _, h := range f.hooks {
			if h.at.Before(simStart.Add(time.Hour)) {
				h.at = simStart.Add(time.Duration(rng.Int64N(int64([]time.Duration{time.Second, 10 * time.Minute}[rng.IntN(2)]))))
			}
		}
		w.rate, w.faults = []float64{0, 0.03, 0.1}[rng.IntN(3)], rng.IntN(12)
		for i := range 1 + rng.IntN(2) {
			w.later(simStart, fmt.Sprintf("process %d starts", i), func() { w.start(i) })
		}
		return f
	})
}

// checkOnce: when all is at rest, one session has the file and the complete document; the other is folded into it, and whatever
// document it has was made before anybody knew.
func (w *world) checkOnce() {
	owner := w.bus.owners[session.AliasFile+"file-"+w.fax.id]
	for _, id := range []string{w.fax.id, w.fax.listed()} {
		s, err := w.bus.ledger(id)
		if err != nil {
			w.broken("the ledger of %s cannot be read: %v", id, err)
			return
		}
		w.checkRest(s)
		var newest archive.Manifest
		for _, key := range w.archive.keys("faxes/" + id + "/r") {
			if strings.HasSuffix(key, "/manifest.json") {
				if err := json.Unmarshal(w.archive.objects[key], &newest); err != nil {
					w.broken("%s: %v", key, err)
				}
			}
		}
		switch {
		case id == owner && (newest.Status != session.StatusComplete && newest.Status != session.StatusRecovered || s.FoldedInto != ""):
			w.broken("%s owns the file, and its document is %q, folded into %q", id, newest.Status, s.FoldedInto)
		case id == owner && len(newest.Pages) != len(w.fax.pages):
			w.broken("the document has %d pages of %d", len(newest.Pages), len(w.fax.pages))
		case id != owner && s.FoldedInto != owner:
			w.broken("%s is not folded into %s, which owns the file, but into %q", id, owner, s.FoldedInto)
		case id != owner && newest.Status != "" && newest.Reason != session.PartialNoClose:
			w.broken("%s is folded, and has a document: %s (%s)", id, newest.Status, newest.Reason)
		}
	}
}

// TestAFaxUnderTwoSessionsBecomesOneDocument plays a race of webhooks with the reconciler, one for each seed.
func TestAFaxUnderTwoSessionsBecomesOneDocument(t *testing.T) {
	first, n, one := sessions(t, 2_000, 200)
	eachSeed(t, first, n, func(seed uint64, dir string) outcome {
		o := simulate(t, one, func() *world { return twiceWorld(seed, dir) }, (*world).checkOnce)
		if one {
			t.Log(strings.Join(o.log, "\n"))
		}
		return o
	})
}
