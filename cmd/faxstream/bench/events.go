package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/faxstream/faxstream/pipeline/session"
)

// events is what an independent subscriber hears of the sessions whose names begin with a prefix.
type events struct {
	nc     *nats.Conn
	prefix string

	mu    sync.Mutex
	heard map[string]map[string]time.Time // by type of fact: when each page, or session, was heard of first
	more  chan struct{}                   // closed at the next event
}

// hear subscribes to every fact.
func hear(url, prefix string) (*events, error) {
	nc, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	e := &events{nc: nc, prefix: prefix, heard: map[string]map[string]time.Time{}, more: make(chan struct{})}
	for _, kind := range []string{session.TypePageArchived, session.TypeDocAssembled, session.TypeDocVerified} {
		e.heard[kind] = map[string]time.Time{}
		sub, err := nc.Subscribe(kind+".>", func(m *nats.Msg) { e.note(kind, m.Subject) })
		if err == nil {
			err = sub.SetPendingLimits(-1, -1)
		}
		if err != nil {
			nc.Close()
			return nil, err
		}
	}
	return e, nc.Flush()
}

func (e *events) note(kind, subject string) {
	id := session.SessionOf(subject)
	if !strings.HasPrefix(id, e.prefix) {
		return
	}
	if kind == session.TypePageArchived {
		id += subject[strings.LastIndexByte(subject, '.'):] // the page
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, again := e.heard[kind][id]; again {
		return
	}
	e.heard[kind][id] = time.Now()
	close(e.more)
	e.more = make(chan struct{})
}

// await waits for n events of one type. An error says that nothing came for so long.
func (e *events) await(ctx context.Context, kind string, n int) error {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		e.mu.Lock()
		there, more := len(e.heard[kind]), e.more
		e.mu.Unlock()
		if there >= n {
			return nil
		}
		select {
		case <-more:
			timeout.Reset(patience)
		case <-timeout.C:
			return fmt.Errorf("%d of %d %s, and no more for %s", there, n, kind, patience)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// span is when the first and the last event of one type were heard of.
func (e *events) span(kind string) (first, last time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := slices.SortedFunc(maps.Values(e.heard[kind]), time.Time.Compare)
	if len(all) == 0 {
		return first, last
	}
	return all[0], all[len(all)-1]
}

// when is when a page was archived; zero: not yet.
func (e *events) when(f string, page int) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard[session.TypePageArchived][fmt.Sprintf("%s.%d", f, page)]
}

func (e *events) close() { e.nc.Close() }

func discard(r io.Reader) { _, _ = io.Copy(io.Discard, r) } // until the writer ends
