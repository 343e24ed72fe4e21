package main

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// number reads a number from the environment; where there is none it is otherwise.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		t.Fatalf("%s=%s: want a number", name, v)
	}
	return n
}

// The process is killed again and again, at its start, between two answers and at work, while a provider sends it faxes, and
// sends again what was not answered 200. FAXSTREAM_KILLS is how often in all; two of five times its servers are processes
// of their own, and some of those kills take them along.
func TestKillLosesNothing(t *testing.T) {
	kills := 100
	if testing.Short() {
		kills = 5
	}
	kills = int(number(t, "FAXSTREAM_KILLS", uint64(kills)))
	seed := number(t, "FAXSTREAM_SEED", rand.Uint64())
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		w := newKillWorld(t, seed)
		w.args = append(w.args, "--nats-listen=127.0.0.1:0", "--nats-listen-insecure")
		w.run(kills - kills*2/5)
	})
	t.Run("with servers", func(t *testing.T) {
		if testing.Short() {
			t.Skip("the embedded one is enough for the race detector")
		}
		t.Parallel()
		w := newKillWorld(t, seed+1)
		nats := apptest.StartNATS(t)
		s3, args, env := apptest.StartS3(t)
		w.servers, w.natsURL, w.env = []*apptest.Server{nats, s3}, nats.NATSURL(), env
		w.args = append(append(w.args, args...), "--nats-url="+nats.NATSURL())
		w.run(kills * 2 / 5)
	})
}

// killWorld is a provider, a faxstream that is killed, and what was promised.
type killWorld struct {
	t         *testing.T
	seed      uint64
	rng       *rand.Rand
	sim       *faxplustest.Server
	sender    *sender
	dir       string
	args, env []string
	servers   []*apptest.Server
	natsURL   string // "": the embedded server's own listener
	p         *process
	startTime time.Duration // of the last start that was not killed

	faxes    []faxplustest.Fax
	left     [][]byte          // webhooks that were not answered 200 yet
	promised map[string]string // what was: the hash of the webhook by the subject of its fact
}

func newKillWorld(t *testing.T, seed uint64) *killWorld {
	t.Helper()
	sim, flags := newSimulator(t, faxplustest.Config{})
	w := &killWorld{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), sim: sim, sender: newSender(t, apptest.Patience), dir: t.TempDir(),
		startTime: time.Second, promised: map[string]string{},
	}
	w.args = append(flags, "--dir="+w.dir, patientGrace)
	t.Cleanup(func() {
		if t.Failed() && w.p != nil {
			t.Logf("log of the last faxstream (FAXSTREAM_SEED=%d):\n%s", seed, tail(w.p.log.String(), 60))
		}
	})
	return w
}

func (w *killWorld) run(kills int) {
	w.t.Logf("%d kills with seed %d", kills, w.seed)
	for n := range kills {
		w.feed(2)
		w.round()
		if n%100 == 99 {
			w.settle()
			w.kill()
		}
	}
	w.settle()
	w.check()
}

// feed queues the webhooks of more faxes, one of four twice, in any order.
func (w *killWorld) feed(faxes int) {
	for range faxes {
		n := uint64(len(w.faxes))
		f := apptest.SmallFax(w.t, fmt.Sprintf("killed-%d", n), n)
		w.sim.Add(f)
		w.faxes = append(w.faxes, f)
		for _, body := range apptest.Bodies(f, "http://faxstream.test/v1/faxplus") {
			w.left = append(w.left, body)
			if w.rng.IntN(4) == 0 {
				w.left = append(w.left, body)
			}
		}
	}
	w.rng.Shuffle(len(w.left), func(i, j int) { w.left[i], w.left[j] = w.left[j], w.left[i] })
}

// round starts faxstream and kills it.
func (w *killWorld) round() {
	const moments = 4
	moment := w.rng.IntN(moments)
	if moment == 0 { // at its start
		w.launch()
		time.Sleep(time.Duration(w.rng.Int64N(int64(w.startTime))))
		w.kill()
		return
	}
	w.start()
	if moment == 1 { // right after an answer, or between two
		w.send(1 + w.rng.IntN(len(w.left)))
	} else { // at work
		w.send(len(w.left) + 1)
		time.Sleep(time.Duration(w.rng.Int64N(int64(300 * time.Millisecond))))
	}
	w.kill()
}

// launch starts the servers that are dead, and faxstream.
func (w *killWorld) launch() {
	w.t.Helper()
	for _, s := range w.servers {
		s.Start()
	}
	w.p = launch(w.t, serveCommand(w.env, w.args...))
}

// start launches and wants to find what was promised.
func (w *killWorld) start() {
	w.t.Helper()
	began := time.Now()
	w.launch()
	w.p.awaitReady()
	w.startTime = time.Since(began)
	s := w.streams()
	defer s.close()
	facts := s.subjects(bus.StreamIn, "fax.v1.in.>")
	for subject := range w.promised {
		if facts[subject] != 1 {
			w.t.Fatalf("%s was answered 200 and is there %d times after a kill", subject, facts[subject])
		}
	}
}

func (w *killWorld) streams() streams {
	if w.natsURL == "" {
		return readStreams(w.t, w.p.ready.NATS)
	}
	return readStreams(w.t, w.natsURL)
}

// kill ends faxstream, and now and then a server before or after it.
func (w *killWorld) kill() {
	for _, s := range w.servers {
		switch w.rng.IntN(6) {
		case 0:
			s.Kill()
		case 1:
			defer s.Kill()
		}
	}
	w.p.kill()
}

// send sends what is left, and kills faxstream when `after` of them were answered 200.
func (w *killWorld) send(after int) {
	answered := 0
	w.left, _ = w.sender.sendAll(w.p.target(), w.left, func(body []byte) {
		subject, hash := w.factOf(body)
		w.promised[subject] = hash
		if answered++; answered == after {
			w.kill()
		}
	})
}

func (w *killWorld) factOf(body []byte) (subject, hash string) {
	w.t.Helper()
	hash = fmt.Sprintf("%x", sha256.Sum256(body))
	return factSubject(w.t, body, hash), hash
}

// settle starts faxstream, sends what is left, and waits for every document.
func (w *killWorld) settle() {
	w.start()
	w.send(len(w.left) + 1)
	if len(w.left) > 0 {
		w.t.Fatalf("%d webhooks were not answered 200 by a faxstream that nobody kills", len(w.left))
	}
	s := w.streams()
	defer s.close()
	s.awaitAssembled(w.faxes)
}

// check wants what was answered 200 to be there as it was sent, and every fax complete, in one document.
func (w *killWorld) check() {
	t := w.t
	s := w.streams()
	defer s.close()
	if got := s.bodies(slices.Sorted(maps.Keys(w.promised))); !maps.Equal(got, w.promised) {
		t.Errorf("the facts are not those of the webhooks: %v, want %v", got, w.promised)
	}
	s.checkOneDocumentEach(w.faxes)
	for _, f := range w.faxes {
		w.p.awaitStatus(f.Session, session.StatusComplete)
		checkFax(t, w.p, f)
	}
	if left, err := filepath.Glob(filepath.Join(w.dir, "spool", "*")); err != nil || len(left) > 0 {
		t.Errorf("the spool directory holds %v, %v", left, err)
	}
	t.Logf("%d faxes, %d events; the last start took %s", len(w.faxes), len(w.promised), w.startTime)
}
