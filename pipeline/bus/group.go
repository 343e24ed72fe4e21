package bus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// errConflict means that the last message on the subject does not have the expected sequence.
var errConflict = errors.New("the subject's last sequence is not the expected one")

// errNoBatches means that the stream does not accept this atomic batch, and perhaps no other. Nothing of it is stored.
var errNoBatches = errors.New("the stream accepts no atomic batches")

// noBatches has the server's error codes for it. An older client that edits a stream drops what it does not know, also that the stream
// allows batches. The server gives a batch up if it has no place for its messages before the commit.
var noBatches = []jetstream.ErrorCode{jetstreamext.JSErrCodeBatchPublishNotEnabled, jetstreamext.JSErrCodeBatchPublishIncomplete}

// Limits of one atomic batch. The server accepts up to 1,000 messages; until the commit they are in memory.
const (
	maxBatch      = 256     // messages
	maxBatchBytes = 4 << 20 // except that of a single message
)

// worth says which batches are worth it. The server makes a store for each batch, on its disk or in memory.
type worth struct {
	from  int           // messages of the smallest one
	stage time.Duration // what a batch costs beyond one message
}

// grouped has the streams with group commit.
var grouped = []string{
	StreamIn, StreamPages, StreamDocs, StreamText, StreamDLQ, StreamTimers, "KV_" + BucketSessions, "KV_" + BucketAliases,
}

// grouped has those of this server.
func (b *Bus) grouped() []string {
	if b.cfg.Embedded.Spool {
		return []string{StreamIn, StreamDLQ}
	}
	return grouped
}

// batches says which batches are worth it on this server.
func (b *Bus) batches() worth {
	if b.server == nil && b.copies > 1 {
		return worth{from: 2} // the replicas have it in their log
	}
	onDisk := worth{from: 16} // its store costs about as much as 16 syncs
	if b.server == nil {
		return onDisk
	}
	if err := b.server.stageInMemory(b.grouped()); err != nil {
		b.log.Info("unfinished batches are on disk, not in memory: webhooks that come at the same time are stored more slowly", "err", err)
		return onDisk
	}
	return worth{from: 2, stage: time.Millisecond} // its store costs no sync, but many system calls
}

// group commits concurrent publishes to one stream with one sync. JetStream has no group commit: with SyncAlways every message
// costs a sync, but an atomic batch of any size costs one.
//
// A caller that finds the group idle starts a committer, which commits until nothing waits. The callers wait for their results.
// A conflict refuses a whole batch, and so does a message that is too large: a refused batch is split in halves until each is alone.
// A stream that accepts no batches gets its messages one by one, until Bus.repair has set it right.
// A kill in a commit leaves either the whole batch or nothing, a power cut also a part of it; no caller has an answer yet.
type group struct {
	js     jetstream.JetStream
	stream string
	health *health
	line   func() context.Context // ends with the connection: without it a publish on a lost connection waits for its timeout
	worth  worth

	single atomic.Bool // the stream accepts no batches

	mu      sync.Mutex
	waiting []*put        // guarded by mu
	busy    bool          // guarded by mu: somebody commits
	quick   time.Duration // guarded by mu: in which one message was lately committed, at best; 0: not known
	last    pace          // guarded by mu: of the last commit
	want    int           // guarded by mu: a committer waits for so many messages; 0: none does
	enough  chan struct{} // guarded by mu: closed when they are there
}

// pace is how a commit went.
type pace struct {
	size  int // messages
	took  time.Duration
	ended time.Time
}

// maxGather limits how long a committer waits for company.
const maxGather = 5 * time.Millisecond

// put is one message to publish. done is closed when seq and err are set.
type put struct {
	ctx  context.Context // of the caller: after its end nobody waits for the result
	msg  *nats.Msg
	done chan struct{}
	seq  uint64
	err  error
}

func newGroup(js jetstream.JetStream, stream string, h *health, line func() context.Context, w worth) *group {
	return &group{js: js, stream: stream, health: h, line: line, worth: w}
}

// anySequence stands for an expected sequence, where a subject may have any last message.
const anySequence = math.MaxUint64

// publish stores a message if the last sequence on its subject is expect, and returns its sequence. After an error that is
// not errConflict the message may be stored or not.
func (g *group) publish(ctx context.Context, m *nats.Msg, expect uint64) (uint64, error) {
	if err := g.health.mustRestart(); err != nil { // the server does not answer any more
		return 0, fmt.Errorf("publish to %s: %w", g.stream, err)
	}
	if expect != anySequence {
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(expect, 10))
	}
	if most := g.js.Conn().MaxPayload(); most > 0 && int64(m.Size()) > most { // the server refuses the whole batch for it
		return 0, fmt.Errorf("publish to %s: %s has %d bytes with its headers, the server allows %d: %w",
			g.stream, maskSubject(m.Subject), m.Size(), most, nats.ErrMaxPayload)
	}
	p := &put{ctx: ctx, msg: m, done: make(chan struct{})}
	if g.enqueue(p) {
		go g.commitAll()
	}
	select {
	case <-p.done:
		return p.seq, p.err
	case <-ctx.Done():
		return 0, fmt.Errorf("publish to %s: %w", g.stream, context.Cause(ctx))
	}
}

// enqueue adds a message. It reports whether the group is idle: then the caller starts a committer.
func (g *group) enqueue(p *put) (idle bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, p)
	if g.want > 0 && len(g.waiting) >= g.want {
		g.want = 0
		close(g.enough)
	}
	idle, g.busy = !g.busy, true
	return idle
}

func (g *group) commitAll() {
	for {
		g.gather()
		batch := g.take()
		if batch == nil {
			return
		}
		began := time.Now()
		g.commit(batch)
		g.note(len(batch), began)
		for _, p := range batch {
			close(p.done)
		}
	}
}

// gather waits until as many messages are there as the last commit had, at most half of the time that it took: its callers have their
// results, and most come back with their next message. The first of them must not be committed alone. Who was alone does not wait.
func (g *group) gather() {
	g.mu.Lock()
	wait := time.Until(g.last.ended.Add(min(g.last.took/2, maxGather)))
	if g.last.size < 2 || len(g.waiting) >= g.last.size || wait <= 0 {
		g.mu.Unlock()
		return
	}
	g.want, g.enough = g.last.size, make(chan struct{})
	enough := g.enough
	g.mu.Unlock()
	select {
	case <-enough:
	case <-time.After(wait):
		g.mu.Lock()
		g.want = 0
		g.mu.Unlock()
	}
}

func (g *group) note(size int, began time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.last = pace{size: size, took: now.Sub(began), ended: now}
}

// take removes the next batch from the queue: in order, no subject twice. It drops messages whose caller has given up, so
// that no queue is left after an outage. nil: nothing waits, and the group is idle again.
func (g *group) take() []*put {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = slices.DeleteFunc(g.waiting, func(p *put) bool { return p.ctx.Err() != nil })
	if len(g.waiting) == 0 {
		g.busy = false
		return nil
	}
	var batch, rest []*put
	subjects, size := make(map[string]bool, len(g.waiting)), 0
	for _, p := range g.waiting {
		size += p.msg.Size()
		if len(batch) == maxBatch || subjects[p.msg.Subject] || len(batch) > 0 && size > maxBatchBytes {
			rest = append(rest, p)
			continue
		}
		subjects[p.msg.Subject] = true
		batch = append(batch, p)
	}
	g.waiting = rest
	return batch
}

func (g *group) commit(batch []*put) {
	if !g.worthIt(len(batch)) {
		g.singly(batch)
		return
	}
	last, err := g.many(batch)
	if err == nil {
		for i, p := range batch {
			p.seq = last - uint64(len(batch)-1-i)
		}
		return
	}
	if errors.Is(err, errNoBatches) {
		g.single.Store(true)
		g.commit(batch)
		return
	}
	if !errors.Is(err, errConflict) && !TooLarge(err) {
		for _, p := range batch {
			p.err = err
		}
		return
	}
	g.commit(batch[:len(batch)/2])
	g.commit(batch[len(batch)/2:])
}

// worthIt reports whether n messages cost less in a batch. On a fast disk a few syncs cost less than its store.
func (g *group) worthIt(n int) bool {
	if n < g.worth.from || g.single.Load() {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.quick == 0 || time.Duration(n-1)*g.quick >= g.worth.stage
}

func (g *group) singly(batch []*put) {
	began := time.Now()
	var singles sync.WaitGroup
	for _, p := range batch[1:] {
		singles.Go(func() { p.seq, p.err = g.one(p.msg) })
	}
	batch[0].seq, batch[0].err = g.one(batch[0].msg)
	singles.Wait()
	if batch[0].err != nil {
		return
	}
	took := time.Since(began) / time.Duration(len(batch))
	g.mu.Lock()
	defer g.mu.Unlock()
	// Much that has nothing to do with the disk makes a commit slow, nothing makes it fast: the best one counts, and is forgotten slowly.
	if slower := g.quick + g.quick/16; g.quick == 0 || took < slower {
		g.quick = took
	} else {
		g.quick = slower
	}
}

func (g *group) one(m *nats.Msg) (uint64, error) {
	ctx, cancel := context.WithTimeout(g.line(), requestTimeout)
	defer cancel()
	// The message may have headers of a batch that failed before.
	for _, h := range []string{jetstreamext.BatchIDHeader, jetstreamext.BatchSeqHeader, jetstreamext.BatchCommitHeader} {
		m.Header.Del(h)
	}
	m.Reply = ""
	ack, err := g.js.PublishMsg(ctx, m, jetstream.WithExpectStream(g.stream))
	if err = g.outcome(err); err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

func (g *group) many(batch []*put) (last uint64, err error) {
	ctx, cancel := context.WithTimeout(g.line(), requestTimeout)
	defer cancel()
	msgs := make([]*nats.Msg, len(batch))
	for i, p := range batch {
		p.msg.Reply = ""
		msgs[i] = p.msg
	}
	ack, err := jetstreamext.PublishMsgBatch(ctx, g.js, msgs, jetstreamext.BatchFlowControl{})
	if err = g.outcome(err); err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// conflicts has the server's error codes for a conflict, on R1 and on R3.
var conflicts = []jetstream.ErrorCode{jetstream.JSErrCodeStreamWrongLastSequence, 10164}

// outcome converts the error of a publish and reports the result to health.
func (g *group) outcome(err error) error {
	var api *jetstream.APIError
	if refusal, ok := errors.AsType[jetstream.JetStreamError](err); ok {
		api = refusal.APIError()
	}
	if api != nil && slices.Contains(conflicts, api.ErrorCode) {
		err = fmt.Errorf("%s: %w (%s)", g.stream, errConflict, api.Description)
	} else if api != nil && slices.Contains(noBatches, api.ErrorCode) {
		return errNoBatches // the messages go one by one, and that says how the stream is
	} else if err != nil {
		err = fmt.Errorf("publish to %s: %w", g.stream, err)
	}
	g.health.published(g.stream, err)
	return err
}
