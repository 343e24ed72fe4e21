package ingest

import (
	"sync"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

const (
	// perPage is how long a page is on the line at most.
	perPage = time.Minute
	// startSlack is how far two accounts of one fax's start may lie apart.
	startSlack = 2 * time.Minute
)

// OpenSessions knows the incoming faxes whose file nobody has named yet: those without a close, and those whose close
// names none, unless they turned out to be another session. A listed fax may be one of them without anything that says so. The zero value is empty; feed it with Put.
// Its methods may be called concurrently.
type OpenSessions struct {
	mu   sync.Mutex
	byID map[string]openSession // guarded by mu
}

type openSession struct {
	from, to       string    // tokens
	earliest, last time.Time // between which it must have started
}

// Put takes note of a session's newest ledger.
func (o *OpenSessions) Put(st session.State) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if st.Opened.IsZero() || st.Direction == session.Outgoing || st.FoldedInto != "" || st.Close != nil && st.Close.File != "" {
		delete(o.byID, st.Session)
		return
	}
	if o.byID == nil {
		o.byID = map[string]openSession{}
	}
	s := openSession{from: session.NumberToken(st.From), to: session.NumberToken(st.To)}
	// The first word came while a page, or the close, was there: so many pages after the start.
	pages := 1
	if len(st.Announced) > 0 {
		pages = st.Announced[0].First
	}
	if st.Close != nil {
		pages = max(pages, st.Close.Pages)
	}
	s.earliest, s.last = st.Opened.Add(-time.Duration(pages)*perPage), st.Opened
	if st.Close != nil && !st.Close.StartTime.IsZero() {
		s.earliest, s.last = st.Close.StartTime, st.Close.StartTime
	}
	o.byID[st.Session] = s
}

// like lists the sessions that may be the fax with these numbers and this start. A number or start that nobody told fits
// any, but one number at least must be the same.
func (o *OpenSessions) like(from, to string, start time.Time) []string {
	from, to = session.NumberToken(from), session.NumberToken(to)
	o.mu.Lock()
	defer o.mu.Unlock()
	var ids []string
	for id, s := range o.byID {
		fits := start.IsZero() || !start.Before(s.earliest.Add(-startSlack)) && !start.After(s.last.Add(startSlack))
		if fits && sameNumbers(s.from, from, s.to, to) {
			ids = append(ids, id)
		}
	}
	return ids
}

func sameNumbers(from1, from2, to1, to2 string) bool {
	const unknown = session.UnknownToken
	from, to := from1 == from2, to1 == to2
	switch {
	case from && to:
		return from1 != unknown || to1 != unknown
	case from:
		return from1 != unknown && (to1 == unknown || to2 == unknown)
	case to:
		return to1 != unknown && (from1 == unknown || from2 == unknown)
	}
	return false
}
