package dashboard

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
	"unique"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Board is the list of faxes, newest first, kept in memory from the ledgers' changes: about 150 bytes a fax.
// The zero value is empty; feed it with Follow.
type Board struct {
	mu        sync.RWMutex
	order     []*entry                  // guarded by mu; ascending by opening time, then session; what is pointed to never changes
	byID      []*entry                  // guarded by mu; the same, ascending by session
	differing map[string]session.Ranges // guarded by mu; api.Fax.Differing of the few faxes that have any

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

// entry is one fax of the board. Most faxes have ended, and there are very many: what faxes have in common is there once.
type entry struct {
	opened int64  // Unix time in nanoseconds
	text   string // session, from and to
	common unique.Handle[common]
}

// common is what many faxes have in common.
type common struct {
	id, from                                     int // bytes of session and from in entry.text
	direction, status, reason, verdict, assignee string
	labels                                       string // separated by \x00
	revision, expected, archived                 int
	held, read, done, noted, firstPage           bool
}

func (e *entry) session() string { return e.text[:e.common.Value().id] }

// newEntry makes the entry of a fax. The pages that differ are not in it: few faxes have any.
func newEntry(f api.Fax) *entry {
	e := &entry{opened: f.Opened.UnixNano(), text: f.Session + f.From + f.To}
	e.common = unique.Make(common{
		id: len(f.Session), from: len(f.From),
		direction: f.Direction, status: f.Status, reason: f.Reason, verdict: f.Verdict, assignee: f.Assignee,
		labels: strings.Join(f.Labels, "\x00"), revision: f.Revision, expected: f.Expected, archived: f.Archived,
		held: f.Held, read: f.Read, done: f.Done, noted: f.Noted, firstPage: f.FirstPage,
	})
	return e
}

// fax is the fax of an entry. b.mu is held.
func (b *Board) fax(e *entry) api.Fax {
	c := e.common.Value()
	numbers := e.text[c.id:]
	f := api.Fax{
		Session: e.session(), From: numbers[:c.from], To: numbers[c.from:], Opened: time.Unix(0, e.opened).UTC(),
		Direction: c.direction, Status: c.status, Reason: c.reason, Verdict: c.verdict, Verified: c.verdict == session.VerificationVerified,
		Revision: c.revision, Expected: c.expected, Archived: c.archived, Held: c.held, Assignee: c.assignee,
		Read: c.read, Done: c.done, Noted: c.noted, FirstPage: c.firstPage, Differing: b.differing[e.session()],
	}
	if c.labels != "" {
		f.Labels = strings.Split(c.labels, "\x00")
	}
	return f
}

// key is the place of a fax in the list.
func (e *entry) key() orderKey { return orderKey{time.Unix(0, e.opened), e.session()} }

type orderKey struct {
	opened  time.Time
	session string
}

func (k orderKey) compare(o orderKey) int {
	return cmp.Or(k.opened.Compare(o.opened), strings.Compare(k.session, o.session))
}

func (e *entry) compare(k orderKey) int { return e.key().compare(k) }

func (e *entry) compareSession(id string) int { return strings.Compare(e.session(), id) }

// find returns the entry of a session, nil if there is none, and its place in byID. mu is held.
func (b *Board) find(id string) (*entry, int) {
	i, there := slices.BinarySearchFunc(b.byID, id, (*entry).compareSession)
	if !there {
		return nil, i
	}
	return b.byID[i], i
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
	var existing []*entry
	add := func(s session.State) {
		if e := b.pack(s); e != nil {
			existing = append(existing, e)
		}
	}
	put := add
	return l.Ledgers(ctx, func(s session.State) { put(s) }, func() {
		b.fill(existing)
		existing, put = nil, b.put
		caught()
	})
}

// fill puts existing faxes into an empty board: one by one they would move each other for too long. Of two entries of a fax the later one
// counts.
func (b *Board) fill(all []*entry) {
	slices.Reverse(all)
	slices.SortStableFunc(all, func(x, y *entry) int { return x.compareSession(y.session()) })
	b.mu.Lock()
	defer b.mu.Unlock()
	b.byID = slices.CompactFunc(all, func(x, y *entry) bool { return x.session() == y.session() })
	b.order = slices.Clone(b.byID)
	slices.SortFunc(b.order, func(x, y *entry) int { return x.compare(y.key()) })
}

// pack makes the entry of a ledger, and notes which pages differ. nil: no webhook has opened it yet.
func (b *Board) pack(s session.State) *entry {
	if s.Opened.IsZero() {
		return nil
	}
	x := summary(s)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.differing == nil {
		b.differing = map[string]session.Ranges{}
	}
	if delete(b.differing, s.Session); len(x.Differing) > 0 {
		b.differing[s.Session] = x.Differing
	}
	return newEntry(x)
}

func (b *Board) put(s session.State) {
	e := b.pack(s)
	if e == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old, at := b.find(s.Session)
	if old != nil {
		i, _ := slices.BinarySearchFunc(b.order, old.key(), (*entry).compare)
		b.order, b.byID[at] = slices.Delete(b.order, i, i+1), e
	} else {
		b.byID = slices.Insert(b.byID, at, e)
	}
	i, _ := slices.BinarySearchFunc(b.order, e.key(), (*entry).compare)
	b.order = slices.Insert(b.order, i, e)
	b.tell(s.Session)
}

// before returns up to limit faxes that a filter chooses, newest first, that come after the fax k in that order; the zero k is the
// beginning. more says that others follow.
func (b *Board) before(f faxFilter, k orderKey, limit int) (faxes []api.Fax, more bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	end := len(b.order)
	if k.session != "" {
		end, _ = slices.BinarySearchFunc(b.order, k, (*entry).compare)
	}
	for i := end - 1; i >= 0 && !time.Unix(0, b.order[i].opened).Before(f.since); i-- {
		x := b.fax(b.order[i])
		if !f.has(&x) {
			continue
		}
		if len(faxes) == limit {
			return faxes, true
		}
		faxes = append(faxes, x)
	}
	return faxes, false
}

// Differing is how many pages differ from the whole file and wait for a person who chooses an image.
func (b *Board) Differing() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	n := 0
	for _, pages := range b.differing {
		n += pages.Len()
	}
	return n
}

// anyOf reports whether a filter chooses one of some faxes.
func (b *Board) anyOf(sessions map[string]bool, f faxFilter) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for id := range sessions {
		e, _ := b.find(id)
		if e == nil {
			continue
		}
		if x := b.fax(e); f.has(&x) {
			return true
		}
	}
	return false
}

func (b *Board) has(session string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	e, _ := b.find(session)
	return e != nil
}
