package pipeline

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"
)

// calmFax is a fax of six pages that is served without a fault. It is the same one for every seed.
func calmFax() *fax {
	f := newFax(rand.New(rand.NewPCG(6, 6)), 6)
	f.policy.Grace = time.Hour // everything comes between two timer firings
	f.policy.Idle = 24 * time.Hour
	f.announce("success", len(f.pages))
	return f
}

// documents is what the archive holds of the only revision: document.tiff, document.pdf and the manifest.
func (w *world) documents() []byte {
	prefix := fmt.Sprintf("faxes/%s/r", w.fax.id)
	var b bytes.Buffer
	for _, key := range w.archive.keys(prefix) {
		fmt.Fprintf(&b, "%s\n%s\n", key, w.archive.objects[key])
	}
	return b.Bytes()
}

// sameDocuments gives a check that every history ends with the bytes that the one without any trouble gives.
func sameDocuments(t *testing.T) func(*world) {
	dir := t.TempDir()
	o := simulate(t, false, func() *world {
		return newWorld(0, dir, func(w *world) *fax {
			w.later(simStart, "start", func() { w.start(0) })
			return calmFax()
		})
	}, (*world).check)
	if len(o.wrong) > 0 {
		t.Fatal(o.wrong)
	}
	want := o.world.documents()
	return func(w *world) {
		w.check()
		if got := w.documents(); !bytes.Equal(got, want) {
			w.broken("the documents are not those of the calm history:\n%.3000s\nwant\n%.3000s", printable(got), printable(want))
		}
	}
}

func printable(b []byte) string { return strings.ToValidUTF8(string(b), "?") }

// TestEveryOrderGivesTheSameDocument plays a fax of six pages in all 5,040 orders of its webhooks, each with interleavings of its own:
// plan, TIFF, PDF and manifest are the same bytes.
func TestEveryOrderGivesTheSameDocument(t *testing.T) {
	const orders = 5040
	first, n, one := sessions(t, orders, 100)
	same := sameDocuments(t)
	eachSeed(t, first, n, func(seed uint64, dir string) outcome {
		return simulate(t, one, func() *world {
			return newWorld(seed, dir, func(w *world) *fax {
				f := calmFax()
				for place, i := range permutation(int(seed)*59%orders, len(f.hooks)) {
					f.hooks[i].at = simStart.Add(time.Duration(place) * time.Second)
				}
				w.later(simStart, "start", func() { w.start(0) })
				return f
			})
		}, same)
	})
}

// permutation gives order n of the orders of 0 to k-1.
func permutation(n, k int) []int {
	rest := make([]int, k)
	for i := range rest {
		rest[i] = i
	}
	var order []int
	for ; k > 0; k-- {
		i := n % k
		n /= k
		order = append(order, rest[i])
		rest = append(rest[:i:i], rest[i+1:]...)
	}
	return order
}

// TestHistoriesOfOneFaxGiveTheSameDocument plays the same fax in random orders, with repeats, two processes and what crashes
// redeliver: the documents are the same bytes.
func TestHistoriesOfOneFaxGiveTheSameDocument(t *testing.T) {
	first, n, one := sessions(t, 2_000, 100)
	same := sameDocuments(t)
	eachSeed(t, first, n, func(seed uint64, dir string) outcome {
		return simulate(t, one, func() *world {
			return newWorld(seed, dir, func(w *world) *fax {
				f := calmFax()
				for range w.rng.IntN(8) {
					h := *f.hooks[w.rng.IntN(len(f.hooks))]
					f.hooks = append(f.hooks, &h)
				}
				for _, h := range f.hooks {
					h.at = simStart.Add(time.Duration(w.rng.Int64N(int64(10 * time.Minute))))
				}
				w.rate, w.faults = []float64{0, 0.02, 0.1}[w.rng.IntN(3)], 10
				for i := range 1 + w.rng.IntN(2) {
					w.later(simStart, "start", func() { w.start(i) })
				}
				return f
			})
		}, same)
	})
}

// TestTheSimulationIsAFunctionOfItsSeed: otherwise a failure could not be shown again.
func TestTheSimulationIsAFunctionOfItsSeed(t *testing.T) {
	dir := t.TempDir()
	for seed := range uint64(40) {
		play := func() string {
			o := simulate(t, true, func() *world { return troubledWorld(seed, dir) }, func(*world) {})
			return strings.Join(o.log, "\n")
		}
		if a, b := play(), play(); a != b {
			i := 0
			for i < len(a) && i < len(b) && a[i] == b[i] {
				i++
			}
			t.Fatalf("seed %d (GOMAXPROCS=%d): two runs part at\n%.400s\nand\n%.400s", seed, runtime.GOMAXPROCS(0), a[i:], b[i:])
		}
	}
}
