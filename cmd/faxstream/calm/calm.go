// Package calm keeps a log readable in an outage: of warnings and errors with the same words and reason it passes on the first few, then
// ever fewer while they go on, and says how many others there were, unless the process ends before. Begin with New. Dead letters, metrics
// and /readyz have what is left out here.
package calm

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// The first window of lines with the same words has `most` of them. While some are left out, each next window is twice as long, at most
	// longest, and has one.
	window  = 10 * time.Second
	longest = 160 * time.Second
	most    = 3
	// maxKinds bounds what is remembered; words and reasons are constants of the program, so there are fewer.
	maxKinds = 1000
)

// Handler is a slog.Handler that leaves lines out.
type Handler struct {
	slog.Handler
	state *state
}

// state is what a handler and those made from it share.
type state struct {
	mu    sync.Mutex
	kinds map[fault]*kind // guarded by mu
}

// fault is what lines that are counted together tell of. Another reason is another fault, though the words are the same.
type fault struct {
	level         slog.Level
	words, reason string
}

// faultOf is what a line tells of.
func faultOf(r slog.Record) fault {
	of := fault{level: r.Level, words: r.Message}
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "reason" {
			of.reason = a.Value.String()
		}
		return of.reason == ""
	})
	return of
}

// kind is the lines of a fault in one window.
type kind struct {
	began   time.Time
	window  time.Duration
	most    int // lines that are passed on
	passed  int
	leftOut int
}

// New makes a handler that writes to another one.
func New(h slog.Handler) *Handler { return &Handler{h, &state{kinds: map[fault]*kind{}}} }

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Handler{h.Handler.WithAttrs(attrs), h.state}
}

// WithGroup implements slog.Handler.
func (h *Handler) WithGroup(name string) slog.Handler {
	return &Handler{h.Handler.WithGroup(name), h.state}
}

// Handle writes a line, or counts it. Lines below warnings are always written.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn || h.pass(faultOf(r)) {
		return h.Handler.Handle(ctx, r)
	}
	return nil
}

// pass reports whether a line is written. When the first one of a window is left out, a line at the end of the window says how many were.
func (h *Handler) pass(of fault) bool {
	s, now := h.state, time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[of]
	if k == nil || now.Sub(k.began) >= k.window {
		if len(s.kinds) >= maxKinds {
			clear(s.kinds)
		}
		k = k.next(now)
		s.kinds[of] = k
	}
	if k.passed < k.most {
		k.passed++
		return true
	}
	if k.leftOut++; k.leftOut == 1 {
		time.AfterFunc(k.window-now.Sub(k.began), func() { h.tell(of, k) })
	}
	return false
}

// next is the window that begins now, after another one or, if that is nil, none.
func (k *kind) next(now time.Time) *kind {
	if k == nil || k.leftOut == 0 || now.Sub(k.began) >= 2*k.window { // it was quiet for as long
		return &kind{began: now, window: window, most: most}
	}
	return &kind{began: now, window: min(2*k.window, longest), most: 1}
}

// tell says how many lines were left out.
func (h *Handler) tell(of fault, k *kind) {
	h.state.mu.Lock()
	n := k.leftOut
	h.state.mu.Unlock()
	r := slog.NewRecord(time.Now(), of.level, of.words, 0)
	if of.reason != "" {
		r.Add("reason", of.reason)
	}
	r.Add("left_out", n, "within", k.window.String())
	_ = h.Handler.Handle(context.Background(), r) // as for every line: there is nobody to tell that a log cannot be written
}
