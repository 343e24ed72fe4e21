package pipeline

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// offClockWorld is a troubled world whose provider writes times of another zone. Ingest learns that at some time: before, facts
// have times that are off; after, those of the same webhooks are right.
func offClockWorld(seed uint64, dir string) *world {
	w := troubledWorld(seed, dir)
	rng := rand.New(rand.NewPCG(seed, 0xc10c))
	off := []time.Duration{-5 * time.Hour, 2 * time.Hour, 9 * time.Hour}[rng.IntN(3)]
	shift := func(by time.Duration) {
		for _, h := range w.fax.hooks {
			h.fact = shifted(h.fact, by)
		}
		if r := w.fax.record; r != nil {
			*r = shifted(*r, by).(session.Closed)
		}
	}
	shift(off)
	learned := simStart.Add(time.Duration(rng.Int64N(int64([]time.Duration{10 * time.Minute, 72 * time.Hour}[rng.IntN(2)]))))
	w.later(learned, "the provider's zone is learned", func() { shift(-off) })
	return w
}

// shifted is a fact of the provider with other times.
func shifted(f session.Fact, by time.Duration) session.Fact {
	switch f := f.(type) {
	case session.PageAnnounced:
		f.EventTime = f.EventTime.Add(by)
		return f
	case session.Closed:
		f.StartTime = f.StartTime.Add(by)
		if !f.EventTime.IsZero() {
			f.EventTime = f.EventTime.Add(by)
		}
		return f
	}
	return f
}

// TestSimulationClocksOff keeps all promises when the provider's times change their zone, and takes no
// repeat for a contradiction: the check allows no dead letter of one.
func TestSimulationClocksOff(t *testing.T) {
	first, n, one := sessions(t, 2_000, 100)
	eachSeed(t, first, n, func(seed uint64, dir string) outcome {
		o := simulate(t, one, func() *world { return offClockWorld(seed, dir) }, (*world).check)
		if one {
			t.Log(strings.Join(o.log, "\n"))
		}
		return o
	})
}
