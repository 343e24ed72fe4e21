package dashboard

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Board is the list of faxes, newest first, kept in memory from the ledgers' changes: about 400 bytes a fax.
// The zero value is empty; feed it with Follow.
type Board struct {
	mu    sync.RWMutex
	byID  map[string]*api.Fax // guarded by mu; what is pointed to never changes
	order []orderKey          // guarded by mu; ascending by opening time, then session

	watchers map[string]map[*Watcher]bool // guarded by mu; by session, "" are those of all sessions
}

// Watcher tells of changes of faxes. Changes that come before the last ones were taken are told together.
type Watcher struct {
	C <-chan struct{} // has a value when there are changes

	board   *Board
	session string
	wake    chan struct{}
	changed map[string]bool // guarded by board.mu
}

// Watch tells of changes of a fax, or of any fax if session is empty, until Stop.
func (b *Board) Watch(session string) *Watcher {
	w := &Watcher{board: b, session: session, wake: make(chan struct{}, 1), changed: map[string]bool{}}
	w.C = w.wake
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watchers == nil {
		b.watchers = map[string]map[*Watcher]bool{}
	}
	if b.watchers[session] == nil {
		b.watchers[session] = map[*Watcher]bool{}
	}
	b.watchers[session][w] = true
	return w
}

// Take returns the sessions that have changed since the last call.
func (w *Watcher) Take() map[string]bool {
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	changed := w.changed
	w.changed = map[string]bool{}
	return changed
}

// Stop ends the watch.
func (w *Watcher) Stop() {
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	if delete(w.board.watchers[w.session], w); len(w.board.watchers[w.session]) == 0 {
		delete(w.board.watchers, w.session)
	}
}

// changed tells the watchers of a session of a change that its ledger does not have.
func (b *Board) changed(session string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tell(session)
}

// tell tells the watchers of a session, and those of all, of a change. The caller holds mu.
func (b *Board) tell(session string) {
	for _, of := range []string{session, ""} {
		for w := range b.watchers[of] {
			w.changed[session] = true
			select {
			case w.wake <- struct{}{}:
			default: // it has not taken the last ones yet
			}
		}
	}
}

type orderKey struct {
	opened  time.Time
	session string
}

func (k orderKey) compare(o orderKey) int {
	return cmp.Or(k.opened.Compare(o.opened), strings.Compare(k.session, o.session))
}

func summary(s session.State) api.Fax {
	f := api.Fax{
		Session: s.Session, Direction: s.Direction, From: s.From, To: s.To, Status: s.Status(), Revision: s.Revision(),
		Expected: s.Expected().Len(), Archived: s.Usable.Len(), Opened: s.Opened, Verdict: s.Verification(), Held: s.Held,
		Assignee: s.Work.Assignee, Labels: s.Work.Labels, Read: s.Work.Read, Done: s.Work.Done, Noted: s.Work.Note != "",
	}
	if f.Status != session.StatusPurged && f.Status != session.StatusFolded {
		f.Differing = s.Disputed()
		f.FirstPage = s.Usable.Has(1)
	}
	f.Verified = f.Verdict == session.VerificationVerified
	if s.Document != nil {
		f.Reason = s.Document.Reason
	}
	return f
}

// Ledgers reports every ledger and each change.
type Ledgers interface {
	Ledgers(ctx context.Context, f func(session.State), caught func()) error
}

// Follow feeds the board until ctx ends. It calls caught when every ledger of before is read.
func (b *Board) Follow(ctx context.Context, l Ledgers, caught func()) error {
	return l.Ledgers(ctx, b.put, caught)
}

func (b *Board) put(s session.State) {
	if s.Opened.IsZero() {
		return // no webhook has opened it yet
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byID == nil {
		b.byID = map[string]*api.Fax{}
	}
	if _, ok := b.byID[s.Session]; !ok { // the opening time never changes
		k := orderKey{s.Opened, s.Session}
		i, _ := slices.BinarySearchFunc(b.order, k, orderKey.compare)
		b.order = slices.Insert(b.order, i, k)
	}
	x := summary(s)
	b.byID[s.Session] = &x
	b.tell(s.Session)
}

// before returns up to limit faxes that a filter chooses, newest first, that come after the fax k in that order; the zero k is the
// beginning. more says that others follow.
func (b *Board) before(f faxFilter, k orderKey, limit int) (faxes []api.Fax, more bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	end := len(b.order)
	if k.session != "" {
		end, _ = slices.BinarySearchFunc(b.order, k, orderKey.compare)
	}
	for i := end - 1; i >= 0 && !b.order[i].opened.Before(f.since); i-- {
		x := b.byID[b.order[i].session]
		if !f.has(x) {
			continue
		}
		if len(faxes) == limit {
			return faxes, true
		}
		faxes = append(faxes, *x)
	}
	return faxes, false
}

// Differing is how many pages differ from the whole file and wait for a person who chooses an image.
func (b *Board) Differing() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	n := 0
	for _, x := range b.byID {
		n += x.Differing.Len()
	}
	return n
}

// anyOf reports whether a filter chooses one of some faxes.
func (b *Board) anyOf(sessions map[string]bool, f faxFilter) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for id := range sessions {
		if x := b.byID[id]; x != nil && f.has(x) {
			return true
		}
	}
	return false
}

func (b *Board) has(session string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	_, ok := b.byID[session]
	return ok
}
