package pipeline

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// newWorld makes a world with a fax in it; nothing has happened yet. It must be called in a bubble.
func newWorld(seed uint64, dir string, fill func(w *world) *fax) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 0xfa)), dirs: []string{filepath.Join(dir, "0"), filepath.Join(dir, "1")}}
	w.bus, w.wake = newBus(w), make(chan struct{}, 1)
	w.archive = &memArchive{w: w, objects: map[string][]byte{}}
	w.fax = fill(w)
	for _, h := range w.fax.hooks {
		w.later(h.at, fmt.Sprintf("webhook %s", h.fact.Subject()), func() { w.ingest(h) })
	}
	return w
}

// ingest is what the webhook handler does: a webhook that cannot be recorded is sent again.
func (w *world) ingest(h *hook) {
	again := func() {
		w.later(time.Now().Add(time.Second+w.upTo(10*time.Minute)), "webhook again "+h.fact.Subject(), func() { w.ingest(h) })
	}
	now := time.Now()
	if w.bus.down(now) {
		again()
		return
	}
	fault := w.faults > 0 && w.chance(w.rate)
	if fault {
		w.faults--
		if w.rng.IntN(2) == 0 {
			again()
			return
		}
	}
	if _, _, err := w.bus.record(h.fact); err != nil {
		w.broken("ingest: %v", err)
	}
	h.recorded = true
	if fault { // stored, but the answer did not arrive
		again()
	}
}

// troubledWorld is a world in which everything may go wrong.
func troubledWorld(seed uint64, dir string) *world {
	return newWorld(seed, dir, func(w *world) *fax {
		rng := w.rng
		f := newFax(rng, 1+rng.IntN(6))
		f.trouble(rng)
		f.misannounce(rng)
		w.rate = []float64{0, 0.01, 0.03, 0.1, 0.3}[rng.IntN(5)]
		w.faults = rng.IntN(24)
		w.overtakes = seed%3 == 0
		gone := func() span {
			from := simStart.Add(time.Duration(rng.Int64N(int64(10 * time.Minute))))
			return span{from, from.Add(time.Duration(rng.Int64N(int64(2 * time.Hour))))}
		}
		if rng.IntN(15) == 0 {
			w.bus.outage = gone()
		}
		if rng.IntN(15) == 0 {
			w.archive.outage = gone()
		}
		if rng.IntN(15) == 0 {
			w.later(simStart.Add(time.Duration(rng.Int64N(int64(10*time.Minute)))), "schedules are lost", func() { w.bus.forget(w) })
		}
		processes := 1 + rng.IntN(2)
		for i := range processes {
			w.later(simStart, fmt.Sprintf("process %d starts", i), func() { w.start(i) })
			if rng.IntN(8) == 0 {
				at := simStart.Add(time.Duration(rng.Int64N(int64(10 * time.Minute))))
				w.later(at, fmt.Sprintf("process %d stops", i), func() { w.stop(i) })
			}
		}
		return f
	})
}

// outcome is what became of one seed.
type outcome struct {
	wrong []string
	log   []string
	world *world
}

// simulate runs one world in a bubble. A goroutine that is left over makes synctest panic.
func simulate(t *testing.T, logging bool, make func() *world, check func(*world)) (o outcome) {
	defer func() {
		if p := recover(); p != nil {
			o.wrong = append(o.wrong, fmt.Sprintf("panic: %v", p))
		}
	}()
	synctest.Test(t, func(*testing.T) {
		w := make()
		w.logging = logging
		w.run()
		if len(w.wrong) == 0 {
			check(w)
		}
		o = outcome{w.wrong, w.log, w}
	})
	return o
}

// sessions is how many seeds run, and the first one. Few is for the quick check.
func sessions(t *testing.T, usual, few int) (first uint64, n int, one bool) {
	number := func(name string, usual int) int {
		text := os.Getenv(name)
		if text == "" {
			return usual
		}
		v, err := strconv.Atoi(text)
		if err != nil || v < 0 {
			t.Fatalf("%s=%q: want a number", name, text)
		}
		return v
	}
	seed := number("FAXSTREAM_SEED", -1)
	if testing.Short() {
		usual = few
	}
	if seed < 0 {
		return 0, number("FAXSTREAM_SESSIONS", usual), false
	}
	n = number("FAXSTREAM_SESSIONS", 1)
	return uint64(seed), n, n == 1
}

// maxReported ends a run that goes wrong everywhere.
const maxReported = 10

// eachSeed runs f on every core; a broken promise is reported with the command that shows it again.
func eachSeed(t *testing.T, first uint64, n int, f func(seed uint64, dir string) outcome) {
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // much is allocated, little is kept
	start := time.Now()
	var next, reported atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		dir := t.TempDir()
		wg.Go(func() {
			for reported.Load() < maxReported {
				i := next.Add(1) - 1
				if i >= int64(n) {
					return
				}
				seed := first + uint64(i)
				if o := f(seed, dir); len(o.wrong) > 0 {
					reported.Add(1)
					t.Errorf("seed %d:\n  %s\nagain: FAXSTREAM_SEED=%d GOMAXPROCS=%d go test -run '^%s$' ./pipeline",
						seed, strings.Join(o.wrong, "\n  "), seed, runtime.GOMAXPROCS(0), t.Name())
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	t.Logf("%d sessions in %s: %.0f a second", n, took.Round(time.Millisecond), float64(n)/took.Seconds())
}

// TestSimulation plays faxes with every fault that we know of: one for each seed. FAXSTREAM_SEED is the first seed, and prints what
// happens; FAXSTREAM_SESSIONS how many there are.
func TestSimulation(t *testing.T) {
	first, n, one := sessions(t, 20_000, 100)
	eachSeed(t, first, n, func(seed uint64, dir string) outcome {
		o := simulate(t, one, func() *world { return troubledWorld(seed, dir) }, (*world).check)
		if one {
			t.Log(strings.Join(o.log, "\n"))
		}
		return o
	})
}
