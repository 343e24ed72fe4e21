package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

const (
	// pollEvery is how often the list is read without an event: what people say about a fax makes none.
	pollEvery = 2 * time.Second
	// wholeEvery is how often the list is read with the faxes that only the archive has: of these, another list says nothing new.
	wholeEvery = time.Minute
	// incompleteEvery is the same after a whole list in which faxes are missing.
	incompleteEvery = 10 * time.Second
	// textEvery is how often a list by text is read, with events or without them: each read asks the search index.
	textEvery = 10 * time.Second
)

// reading says when the list is read, and what is known of the connection. At most one read is under way, and one begins a second.
type reading struct {
	asked   string // the filter of the next list
	running int    // requests that are not answered
	due     bool   // something has changed since the last read began
	whole   bool   // the next list must be whole
	rested  bool   // no read has begun since the last tick
	text    bool   // the list is one by text
	seen    string // names the faxes of lists by text that the server has recorded, and need not record again

	next  time.Time     // when the list is read without a reason
	stale time.Time     // when the next list must be whole without a reason
	delay time.Duration // until it is read again after a failure

	losses    int // how often the connection was lost: an answer to a question from before a loss is not the current state
	lost, why string
	known     time.Time // when the list was the current state
	deaf      string    // why no events come; empty: they do
}

// read reads the list, and the fax that is open, if there is a reason to. A fax of many pages costs the server much more than the list, so
// it is read when it may have changed; also with each whole list, because an edited note makes no event and leaves the row as it was.
func (m *model) read() tea.Cmd {
	due := m.due || !m.now.Before(m.next)
	if m.running > 0 || !m.rested || !due && !m.changed {
		return nil
	}
	m.rested = false
	whole := m.whole || m.asked != m.filter || !m.now.Before(m.stale)
	var list, fax tea.Cmd
	if due {
		m.running, m.due = 1, false
		list = m.list(m.asked, m.seen, whole, m.losses)
	}
	if m.open != "" && (m.changed || whole || m.unread != "" || m.deaf != "") {
		fax = m.readFax()
	}
	return tea.Batch(list, fax)
}

// again reads all of it now: a person asks.
func (m *model) again() tea.Cmd {
	m.due, m.whole, m.rested = true, true, true
	return m.read()
}

func (m *model) readFax() tea.Cmd {
	m.running++
	m.changed = false
	return m.fax(m.open, m.losses)
}

func (m *model) takeList(l listMsg) {
	m.running--
	switch {
	case l.losses != m.losses, l.filter != m.asked: // it answers an old question
		m.due = true
	case l.refused && l.filter != m.filter:
		m.asked = m.filter
		if !m.prompt.open {
			m.prompt = prompt{open: true, text: l.filter}
		}
		m.prompt.wrong = l.err.Error()
	case l.whole && l.filter == m.filter && m.lost == "" && errors.Is(l.err, context.DeadlineExceeded):
		m.due, m.whole, m.stale = true, false, m.now.Add(wholeEvery) // the list in the server's memory tells whether the server answers
		m.incomplete = fmt.Sprintf("The archive did not answer in %.0f s, so faxes that only the archive has may be out of date.",
			patience.Seconds())
	case l.err != nil:
		what := "Not up to date"
		if _, ok := errors.AsType[*url.Error](l.err); ok {
			what = "Connection lost"
		}
		m.lose(what, l.err)
		m.next = m.now.Add(m.delay)
		m.delay = min(2*m.delay, mostDelay)
	default:
		m.lost, m.why, m.known = "", "", m.now
		m.filter, m.text, m.delay = l.filter, l.text, leastDelay
		m.next = m.now.Add(m.every())
		m.keep(l)
	}
}

// every is how often the list is read at least.
func (m *model) every() time.Duration {
	if m.text {
		return textEvery
	}
	return pollEvery
}

// keep takes the faxes of a list.
func (m *model) keep(l listMsg) {
	before := m.openRow()
	defer func() { m.changed = m.changed || !reflect.DeepEqual(before, m.openRow()) }()
	m.faxes = l.list.Faxes
	if l.text {
		m.seen = l.list.Seen
	}
	if l.whole {
		m.keepWhole(l.list)
		m.stay()
		return
	}
	listed := map[string]bool{}
	for _, f := range m.faxes {
		listed[f.Session] = true
	}
	for _, f := range m.older {
		if !listed[f.Session] {
			m.faxes = append(m.faxes, f)
		}
	}
	slices.SortFunc(m.faxes, newestFirst)
	if m.more { // beyond its end the archive was not read
		m.faxes = slices.DeleteFunc(m.faxes, func(f api.Fax) bool { return newestFirst(f, m.last) > 0 })
	}
	m.faxes = m.faxes[:min(shown, len(m.faxes))]
	if m.more && len(m.faxes) < m.count { // faxes have left the list, and others come up
		m.due, m.whole = true, true
	}
	m.stay()
}

// openRow is the open fax in the list; the zero Fax if there is none.
func (m *model) openRow() (f api.Fax) {
	if i := slices.IndexFunc(m.faxes, func(f api.Fax) bool { return f.Session == m.open }); i >= 0 {
		f = m.faxes[i]
	}
	return f
}

// keepWhole takes what only a whole list says.
func (m *model) keepWhole(l api.FaxList) {
	m.whole, m.more, m.incomplete, m.count = false, l.Next != "", l.Incomplete, len(l.Faxes)
	m.older = slices.DeleteFunc(slices.Clone(l.Faxes), func(f api.Fax) bool { return !f.Older })
	if m.count > 0 {
		m.last = l.Faxes[m.count-1]
	}
	m.stale = m.now.Add(wholeEvery)
	if m.incomplete != "" {
		m.stale = m.now.Add(incompleteEvery)
	}
}

// newestFirst compares two faxes by their places in the list.
func newestFirst(a, b api.Fax) int {
	return cmp.Or(b.Opened.Compare(a.Opened), strings.Compare(b.Session, a.Session))
}

func (m *model) takeFax(f faxMsg) {
	m.running--
	if f.session != m.open || f.losses != m.losses {
		return
	}
	m.unread = ""
	if f.err != nil {
		m.unread = f.err.Error()
		return
	}
	m.detail, m.detailLosses = &f.fax, f.losses
}
