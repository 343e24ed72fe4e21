package pipeline

import (
	"fmt"
	"testing"
	"time"
)

// handledWorld is a troubled world in which somebody also deletes and pauses durable consumers.
func handledWorld(seed uint64, dir string) *world {
	w := troubledWorld(seed, dir)
	for range 1 + w.rng.IntN(4) {
		at := simStart.Add(time.Duration(w.rng.Int64N(int64(20 * time.Minute))))
		long := time.Duration(w.rng.Int64N(int64(3 * time.Hour)))
		which, pause := w.rng.Uint64(), w.rng.IntN(2) == 0
		w.later(at, "somebody is at a consumer", func() {
			if len(w.bus.consumers) == 0 {
				return // no process has started yet
			}
			c := w.bus.consumers[which%uint64(len(w.bus.consumers))]
			if pause {
				w.note("%s is paused for %s", c.durable, long)
				c.paused = span{time.Now(), time.Now().Add(long)}
				w.later(c.paused.to, fmt.Sprintf("%s is resumed", c.durable), func() {})
				return
			}
			w.note("%s is deleted, and made again", c.durable)
			w.bus.remake(c, w.rng)
		})
	}
	return w
}

// TestSimulationOfOtherHands plays faxes with every fault of TestSimulation and with consumers that somebody deletes or pauses.
func TestSimulationOfOtherHands(t *testing.T) {
	first, n, one := sessions(t, 5_000, 100)
	eachSeed(t, first, n, func(seed uint64, dir string) outcome {
		o := simulate(t, one, func() *world { return handledWorld(seed, dir) }, (*world).check)
		if one {
			t.Log(o.log)
		}
		return o
	})
}
