package pipeline

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
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

// awayWorld is a world in which nothing goes wrong but one thing: the archive is away or refuses every write, or the provider refuses the
// token, from before the first page until after the grace after the close, and perhaps for much longer. The grace is longer than a message
// may be under way in the simulation.
func awayWorld(seed uint64, dir string) *world {
	return newWorld(seed, dir, func(w *world) *fax {
		rng := w.rng
		f := newFax(rng, 1+rng.IntN(6))
		f.policy.Grace, f.policy.Ask, f.policy.GiveUp = 5*time.Minute, true, 24*time.Hour
		f.announce("success", len(f.pages))
		closed := f.hooks[len(f.hooks)-1].at
		gone := span{simStart, closed.Add(f.policy.Grace + time.Second + w.upTo(3*time.Hour))}
		processes := 1 + rng.IntN(2)
		switch rng.IntN(3) {
		case 0:
			w.archive.outage = gone
		case 1:
			w.archive.refuses = gone
		case 2:
			f.token, processes = gone, 1 // only the process that is refused knows of it
		}
		for i := range processes {
			w.later(simStart, fmt.Sprintf("process %d starts", i), func() { w.start(i) })
		}
		return f
	})
}

// checkStreamed: every page came by its own fetch, and the whole file was not asked for.
func (w *world) checkStreamed() {
	w.check()
	for _, m := range w.bus.all {
		if bus.EventType(m.subject) == session.TypeWholeOrdered {
			w.broken("the whole file was ordered %s after the start", m.at.Sub(simStart))
		}
	}
	if m, _ := w.manifest(1); m.Status != session.StatusComplete {
		w.broken("the document is %s", m.Status)
	}
}

// TestAnOutageAtTheCloseCostsNoStreamedPage: the grace after the close does not end while archive or provider is away, and not before the
// pages that waited for it are archived.
func TestAnOutageAtTheCloseCostsNoStreamedPage(t *testing.T) {
	first, n, one := sessions(t, 400, 20)
	eachSeed(t, first, n, func(seed uint64, dir string) outcome {
		o := simulate(t, one, func() *world { return awayWorld(seed, dir) }, (*world).checkStreamed)
		if one {
			t.Log(strings.Join(o.log, "\n"))
		}
		return o
	})
}

// someTime begins within ten minutes and is at most long.
func someTime(rng *rand.Rand, long time.Duration) span {
	from := simStart.Add(time.Duration(rng.Int64N(int64(10 * time.Minute))))
	return span{from, from.Add(time.Duration(rng.Int64N(int64(long))))}
}

// TestSimulationOfARefusingArchive: no page and no fax is given up because the archive refused them, and nothing becomes a dead letter.
func TestSimulationOfARefusingArchive(t *testing.T) {
	first, n, one := sessions(t, 400, 20)
	eachSeed(t, first, n, func(seed uint64, dir string) outcome {
		o := simulate(t, one, func() *world { return refusingWorld(seed, dir) }, (*world).check)
		if one {
			t.Log(strings.Join(o.log, "\n"))
		}
		return o
	})
}
