package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/fetch"
	"github.com/faxstream/faxstream/pipeline/session"
)

// world runs one fax through the real pipeline, in the bubble of a synctest, on a JetStream, an archive and a provider that
// live in memory and outlive every process.
//
// Nothing in it happens by chance. Each call of the pipeline to the outside is an operation that waits until the world lets it
// happen; between two of the world's moves every goroutine is blocked. Which operation, delivery or timer is next, and whether
// it fails, comes from the seed alone. One rule keeps synctest able to tell that all are blocked: at most one batch of the
// collector is under way in a process, since the ledger's mutex is held during operations.
type world struct {
	rng       *rand.Rand
	fax       *fax
	bus       *memBus
	archive   *memArchive
	dirs      []string // spool directories, one for each process
	procs     []*process
	agenda    []event // by time
	faults    int     // how many are still allowed
	overtakes bool    // pages overtake a backlog: each announcement has a copy
	rate      float64 // of operations that fail
	serial    int     // of handlings
	steps     int
	log       []string // what happened; empty unless the log is wanted
	logging   bool
	wake      chan struct{} // an operation has come while the world sleeps
	wrong     []string      // broken promises

	mu      sync.Mutex
	pending []*operation // guarded by mu: goroutines of the pipeline add to it
}

// event is something that happens by itself at a time.
type event struct {
	at   time.Time
	what string
	do   func()
}

// operation is a call of the pipeline that waits to be made.
type operation struct {
	by    *handling
	name  string
	store string // bus, archive or provider: they fail apart from each other
	write bool
	do    func() error
	reply chan error
}

// handling is one delivery, or batch, on its way through a handler; or a process's start.
type handling struct {
	serial int
	proc   *process
	sub    *subscription
	msgs   []*pendingMsg
	found  map[int]string // rasters of pages that it has found in the archive: the best of each
}

type handlingKey struct{}

// handlingOf gives the handling on whose behalf a call is made.
func handlingOf(ctx context.Context) *handling {
	h, _ := ctx.Value(handlingKey{}).(*handling)
	return h
}

// process is one run of the pipeline, from Start until it is killed or stopped.
type process struct {
	index  int
	dir    string
	ctx    context.Context
	cancel context.CancelFunc
	subs   []*subscription // by durable
	bound  map[string]string
	dead   bool // killed: nothing that it does has an effect any more
	idle   bool // stopping: nothing is delivered to it
}

// subscription is a process's share of a durable consumer.
type subscription struct {
	consumer *consumer
	workers  int
	most     int // 0: one at a time
	busy     int
	behind   bool // what it delivers is overtaken by copies
	handle   func(context.Context, []bus.Delivery) []error
}

// errFault is what an operation gets that fails by the seed.
var (
	errFault  = errors.New("fault of the simulation")
	errKilled = errors.New("the process is no more")
)

// exits is the operation of a process that cannot start.
const exits = "exit"

const maxSteps = 50_000

func (w *world) note(format string, a ...any) {
	if w.logging {
		w.log = append(w.log, fmt.Sprintf("%-14s ", time.Since(simStart))+fmt.Sprintf(format, a...))
	}
}

func (w *world) broken(format string, a ...any) { w.wrong = append(w.wrong, fmt.Sprintf(format, a...)) }

func (w *world) chance(p float64) bool { return w.rng.Float64() < p }

// later puts something on the agenda.
func (w *world) later(at time.Time, what string, do func()) {
	i, _ := slices.BinarySearchFunc(w.agenda, at, func(e event, at time.Time) int {
		return cmp.Or(e.at.Compare(at), -1) // behind those of the same time
	})
	w.agenda = slices.Insert(w.agenda, i, event{at, what, do})
}

// perform waits until the world makes or refuses a call.
func (w *world) perform(ctx context.Context, store, name string, write bool, do func() error) error {
	h := handlingOf(ctx)
	if h == nil {
		return fmt.Errorf("%s: the context is not the handler's", name)
	}
	op := &operation{by: h, name: name, store: store, write: write, do: do, reply: make(chan error, 1)}
	w.mu.Lock()
	if h.proc.dead {
		w.mu.Unlock()
		return errKilled
	}
	w.pending = append(w.pending, op)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return <-op.reply
}

// run goes on until nothing is left to be done: no operation, no delivery, nothing on the agenda.
func (w *world) run() {
	for {
		synctest.Wait()
		if w.steps++; w.steps > maxSteps {
			w.broken("no rest after %d steps and %s", maxSteps, time.Since(simStart))
			break
		}
		if !w.step() {
			break
		}
	}
	for _, p := range slices.Clone(w.procs) {
		w.kill(p, "over")
	}
	synctest.Wait()
}

// step makes one move, or waits until the next one is possible. false: there is none.
func (w *world) step() bool {
	w.mu.Lock()
	ops := w.pending
	slices.SortFunc(ops, func(a, b *operation) int {
		return cmp.Or(cmp.Compare(a.by.serial, b.by.serial), strings.Compare(a.name, b.name))
	})
	w.mu.Unlock()
	now := time.Now()
	var subs []*subscription
	var owners []*process
	if !w.bus.down(now) {
		for _, p := range w.procs {
			for _, s := range p.subs {
				if !p.idle && w.free(p, s) && s.consumer.ready(now) {
					subs, owners = append(subs, s), append(owners, p)
				}
			}
		}
	}
	due := 0
	if len(w.agenda) > 0 && !w.agenda[0].at.After(now) {
		due = 1
	}
	moves := len(ops) + len(subs) + due
	next := w.next(now)
	if moves == 0 && next.IsZero() {
		if !w.busy() {
			return false
		}
		next = now.Add(time.Minute) // a handler waits for a time of its own
	}
	if moves == 0 || !next.IsZero() && next.Sub(now) < time.Minute && w.chance(0.04) {
		w.sleep(next.Sub(now))
		return true
	}
	switch i := w.rng.IntN(moves); {
	case i < len(ops):
		w.release(ops[i])
	case i < len(ops)+len(subs):
		w.deliver(owners[i-len(ops)], subs[i-len(ops)], now)
	default:
		e := w.agenda[0]
		w.agenda = w.agenda[1:]
		w.note("%s", e.what)
		e.do()
	}
	return true
}

// sleep lets time pass, at most until a handler asks for something.
func (w *world) sleep(d time.Duration) {
	select {
	case <-w.wake: // of those that are waiting already
	default:
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.wake:
	}
}

// busy reports whether a handler is under way.
func (w *world) busy() bool {
	return slices.ContainsFunc(w.procs, func(p *process) bool {
		return slices.ContainsFunc(p.subs, func(s *subscription) bool { return s.busy > 0 })
	})
}

// next is when something else becomes possible; zero: never.
func (w *world) next(now time.Time) time.Time {
	next := w.bus.nextDue(now)
	if len(w.agenda) > 0 {
		if at := w.agenda[0].at; at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

func (w *world) free(p *process, s *subscription) bool {
	if s.most == 0 {
		return s.busy < s.workers
	}
	for _, o := range p.subs {
		if o.most > 0 && o.busy > 0 {
			return false
		}
	}
	return true
}

// deliver hands one message, or a batch, to a handler.
func (w *world) deliver(p *process, s *subscription, now time.Time) {
	h := &handling{proc: p, sub: s, msgs: s.consumer.take(w, now, max(s.most, 1))}
	w.serial++
	h.serial = w.serial
	s.busy++
	deliveries := make([]bus.Delivery, len(h.msgs))
	for i, m := range h.msgs {
		m.tries++
		m.out++
		m.owners = append(m.owners, p)
		deliveries[i] = bus.Delivery{
			Subject: m.subject, Data: m.data, Sequence: m.seq, Time: m.at, Tries: m.tries,
			Again: m.tries > 1 || m.again || s.behind, Early: s.consumer.copies, Behind: s.behind,
		}
		m.acked = s.consumer.copies
		w.note("#%d process %d: %s gets %s (%d)", h.serial, p.index, s.consumer.durable, m.subject, m.tries)
	}
	ctx := context.WithValue(p.ctx, handlingKey{}, h)
	go func() {
		errs := s.handle(ctx, deliveries)
		_ = w.perform(ctx, "bus", "settle", true, func() error { // the message comes again where it does not arrive
			w.settle(h, errs)
			return nil
		})
		w.mu.Lock()
		defer w.mu.Unlock()
		s.busy--
	}()
}

// outageDelays and ackWait are those of the bus.
var outageDelays = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second}

const ackWait = 15 * time.Second

func (w *world) settle(h *handling, errs []error) {
	for i, m := range h.msgs {
		m.out = max(m.out-1, 0)
		err := errs[i]
		if m.acked {
			continue
		}
		if dead, ok := errors.AsType[bus.Dead](err); ok {
			w.bus.bury(h.sub.consumer.durable, string(dead.Reason), m.subject, dead.Error())
			err = nil
		}
		if err == nil {
			m.acked = true
			continue
		}
		m.due = time.Now().Add(outageDelays[min(m.tries, len(outageDelays))-1] + time.Duration(w.rng.IntN(int(time.Millisecond))))
		if h.proc.idle {
			m.due = time.Now().Add(time.Millisecond)
		}
	}
}

// release lets an operation happen, or fail, or happen and fail all the same; the process may end before or after it.
func (w *world) release(op *operation) {
	if op.name == exits {
		w.kill(op.by.proc, "ended by an error at its start")
		return
	}
	err := w.storeError(op)
	killed := false
	switch {
	case err != nil || op.by.proc.idle && op.store == "provider":
		err = cmp.Or(err, context.Cause(op.by.proc.ctx))
	case w.faults > 0 && w.chance(w.rate):
		w.faults--
		err, killed = w.fault(op)
	default:
		err = op.do()
	}
	if err != nil || killed {
		w.note("#%d %s: %v", op.by.serial, op.name, err)
	} else {
		w.note("#%d %s", op.by.serial, op.name)
	}
	if killed {
		w.kill(op.by.proc, "killed")
		return
	}
	w.answer(op, err)
}

func (w *world) answer(op *operation, err error) {
	w.mu.Lock()
	i := slices.Index(w.pending, op)
	w.pending = slices.Delete(w.pending, i, i+1)
	w.mu.Unlock()
	op.reply <- err
}

// fault makes one operation fail. For settling, "fails" is an acknowledgement that gets lost.
func (w *world) fault(op *operation) (err error, killed bool) {
	lost := func() {
		for _, m := range op.by.msgs {
			m.out, m.due = max(m.out-1, 0), time.Now().Add(ackWait)
		}
	}
	switch n := w.rng.IntN(6); {
	case n == 0: // killed before
		return errFault, true
	case n == 1 && op.write: // killed after
		_ = op.do()
		return errFault, true
	case n == 2 && op.name != "settle": // handled for so long that the message is given to somebody else too
		for _, m := range op.by.msgs {
			m.out, m.due = 0, time.Now()
		}
		return op.do(), false
	case n <= 3 && op.write && op.name != "settle": // done, but it looks as if it were not
		_ = op.do()
		return fmt.Errorf("%s, done: %w", op.name, errFault), false
	case op.name == "settle":
		lost()
		return errFault, false
	case op.store == "provider": // it has its own ways to fail
		return op.do(), false
	default:
		return fmt.Errorf("%s: %w", op.name, errFault), false
	}
}

// storeError is the error of a store that is down for a while.
func (w *world) storeError(op *operation) error {
	now := time.Now()
	if op.store == "archive" && op.write && w.archive.refuses.has(now) {
		return fmt.Errorf("%s: the archive refuses", op.name)
	}
	gone := op.store == "bus" && w.bus.down(now) || op.store == "archive" && w.archive.outage.has(now)
	if !gone {
		return nil
	}
	if op.name == "settle" {
		for _, m := range op.by.msgs {
			m.out, m.due = max(m.out-1, 0), now.Add(ackWait)
		}
	}
	return fmt.Errorf("%s: the %s is down", op.name, op.store)
}

// kill ends a process as SIGKILL does: what it had not done yet never happens, and its messages are given to others after AckWait.
func (w *world) kill(p *process, why string) {
	w.note("process %d is %s", p.index, why)
	w.mu.Lock()
	p.dead = true
	var mine []*operation
	w.pending = slices.DeleteFunc(w.pending, func(op *operation) bool {
		if op.by.proc != p {
			return false
		}
		mine = append(mine, op)
		return true
	})
	w.mu.Unlock()
	for _, c := range w.bus.consumers {
		for _, m := range c.msgs {
			if m.out > 0 && slices.Contains(m.owners, p) {
				m.out, m.due = 0, time.Now().Add(ackWait)
			}
		}
	}
	p.cancel()
	for _, op := range mine {
		op.reply <- errKilled
	}
	w.procs = slices.DeleteFunc(w.procs, func(o *process) bool { return o == p })
	if why != "over" {
		w.later(time.Now().Add(w.upTo(30*time.Second)), fmt.Sprintf("process %d starts again", p.index), func() { w.start(p.index) })
	}
}

// stop ends a process in order: handlers may finish, but their context ends.
func (w *world) stop(index int) {
	for _, p := range w.procs {
		if p.index == index && !p.idle {
			p.idle = true
			p.cancel()
			w.later(time.Now().Add(time.Second), fmt.Sprintf("process %d has stopped", index), func() {
				if !p.dead {
					w.kill(p, "stopped")
				}
			})
		}
	}
}

// upTo is a time up to d, seldom a long one.
func (w *world) upTo(d time.Duration) time.Duration {
	return time.Duration(float64(d) * w.rng.Float64() * w.rng.Float64())
}

// simulatedSweep is how often timers are set again: hourly, the days of the simulation would be full of it.
const simulatedSweep = 24 * time.Hour

// start starts a process on the stores as they are.
func (w *world) start(index int) {
	p := &process{index: index, dir: w.dirs[index], bound: map[string]string{}}
	w.serial++
	boot := &handling{serial: w.serial, proc: p}
	p.ctx, p.cancel = context.WithCancel(context.WithValue(context.Background(), handlingKey{}, boot))
	w.procs = append(w.procs, p)
	slices.SortFunc(w.procs, func(a, b *process) int { return cmp.Compare(a.index, b.index) })
	go func() {
		_, err := startPages(p.ctx, &pagesConfig{
			bus: &procBus{w.bus, w, p}, archive: w.archive, provider: w.fax.provider(w), policy: w.fax.policy, retry: fetch.DefaultRetry(),
			scratchDir: filepath.Join(p.dir, "spool"), software: "simulated", sweepEvery: simulatedSweep, log: slog.New(slog.DiscardHandler),
			unless: func(h handler) handler { return h },
			outage: func(context.Context) session.Outage { return w.archive.away(time.Now()) },
		})
		if err != nil {
			_ = w.perform(p.ctx, "", exits, false, nil) // as main does
		}
	}()
}

// span is a time in which something is down. The zero value is never.
type span struct{ from, to time.Time }

func (s span) has(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

func (s span) never() bool { return s.to.IsZero() }
