package ingest

import (
	"sync"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

const (
	// perPage is how long a page is on the line at most.
	perPage = time.Minute
	// startSlack is how much two start times of one fax may differ.
	startSlack = 2 * time.Minute
)

// OpenSessions has the incoming faxes whose file is not known yet: those without a close, and those whose close has no
// file. Sessions that are folded into another one are not in it. A listed fax may be one of them, although no id says
// so. The zero value is empty; fill it with Put. Its methods may be called concurrently.
type OpenSessions struct {
	mu   sync.Mutex
	byID map[string]openSession // guarded by mu
}

type openSession struct {
	from, to       string    // numbers as the provider wrote them
	earliest, last time.Time // it started between these times
	told           bool      // its close says when
}

// Put stores what it needs of a session's newest ledger, or forgets the session if it is not open any more.
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
	s := openSession{from: st.From, to: st.To}
	// The first webhook came with a page or with the close: that is this number of pages after the start.
	pages := 1
	if len(st.Announced) > 0 {
		pages = st.Announced[0].First
	}
	if st.Close != nil {
		pages = max(pages, st.Close.Pages)
	}
	s.earliest, s.last = st.Opened.Add(-time.Duration(pages)*perPage), st.Opened
	if st.Close != nil && !st.Close.StartTime.IsZero() {
		s.earliest, s.last, s.told = st.Close.StartTime, st.Close.StartTime, true
	}
	o.byID[st.Session] = s
}

// like lists the sessions that may be the fax with these numbers and this start. An unknown number or start matches any,
// but at least one number must be the same. wall is start as the provider wrote it: a close that came before the zone was
// known has such a start.
func (o *OpenSessions) like(from, to string, start, wall time.Time) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var ids []string
	for id, s := range o.byID {
		if (s.fits(start) || s.told && s.fits(wall)) && sameNumbers(s.from, from, s.to, to) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (s openSession) fits(start time.Time) bool {
	return start.IsZero() || !start.Before(s.earliest.Add(-startSlack)) && !start.After(s.last.Add(startSlack))
}

func sameNumbers(from1, from2, to1, to2 string) bool {
	unknown := func(number string) bool { return session.NumberToken(number) == session.UnknownToken }
	from, to := session.SameNumber(from1, from2), session.SameNumber(to1, to2)
	switch {
	case from && to:
		return !unknown(from1) || !unknown(to1)
	case from:
		return !unknown(from1) && (unknown(to1) || unknown(to2))
	case to:
		return !unknown(to1) && (unknown(from1) || unknown(from2))
	}
	return false
}
