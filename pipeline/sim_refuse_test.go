package pipeline

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// refusingWorld is a world in which the archive can be read, but refuses every write for up to two hours: its quota is used up, or somebody
// changed what the keys may do. Little else goes wrong.
func refusingWorld(seed uint64, dir string) *world {
	return newWorld(seed, dir, func(w *world) *fax {
		rng := w.rng
		f := newFax(rng, 1+rng.IntN(6))
		if rng.IntN(2) == 0 {
			f.trouble(rng)
		}
		f.misannounce(rng)
		w.archive.refuses = someTime(rng, 2*time.Hour)
		w.rate, w.faults = []float64{0, 0.03}[rng.IntN(2)], rng.IntN(6)
		for i := range 1 + rng.IntN(2) {
			w.later(simStart, fmt.Sprintf("process %d starts", i), func() { w.start(i) })
		}
		return f
	})
}

// someTime begins within ten minutes and is at most long.
func someTime(rng *rand.Rand, long time.Duration) span {
	from := simStart.Add(time.Duration(rng.Int64N(int64(10 * time.Minute))))
	return span{from, from.Add(time.Duration(rng.Int64N(int64(long))))}
}

// TestSimulationOfARefusingArchive: no page and no fax is given up because the archive refused them, and nothing becomes a dead letter.
func TestSimulationOfARefusingArchive(t *testing.T) {
	first, n, one := sessions(t, 400, 60)
	eachSeed(t, first, n, func(seed uint64, dir string) outcome {
		o := simulate(t, one, func() *world { return refusingWorld(seed, dir) }, (*world).check)
		if one {
			t.Log(strings.Join(o.log, "\n"))
		}
		return o
	})
}
