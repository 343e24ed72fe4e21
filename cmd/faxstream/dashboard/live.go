package dashboard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/layout"
	"github.com/faxstream/faxstream/pipeline/session"
)

const (
	// maxTabs bounds the pages that fill in live. They have no consumers: the board tells them of changes.
	maxTabs = 1000
	// liveEvery is the least time between two updates of a page: a burst costs no more than that.
	liveEvery = time.Second
	// maxFoundTabs bounds those with a text: each has up to maxBulk sessions in memory, about a megabyte.
	maxFoundTabs = 32
	// foundEvery is the least time between two questions of such a page to the search index.
	foundEvery = 3 * time.Second
	// liveRetry is when a page that could not be made is made again.
	liveRetry = 5 * time.Second
	// liveBeat is when a comment is sent at the latest, so that proxies between keep the connection.
	liveBeat = 20 * time.Second
)

// hub has the views that are open. Tabs with the same view share what is rendered. The zero value is empty.
type hub struct {
	mu    sync.Mutex
	views map[string]*view // guarded by mu
}

// view is what some tabs show.
type view struct {
	last []byte               // the newest event; nil: there is none yet; guarded by hub.mu
	tabs map[chan []byte]bool // guarded by hub.mu; each has at most the newest event
	stop context.CancelFunc
}

// join gives the events of a view from the newest one on, until leave is called. The first tab of a view starts run, which publishes them
// until its context ends: when the last tab has left.
func (h *hub) join(key string, run func(ctx context.Context, publish func(event []byte))) (events <-chan []byte, leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, tab := h.views[key], make(chan []byte, 1)
	if v == nil {
		ctx, stop := context.WithCancel(context.Background())
		v = &view{tabs: map[chan []byte]bool{}, stop: stop}
		if h.views == nil {
			h.views = map[string]*view{}
		}
		h.views[key] = v
		go run(ctx, func(event []byte) { h.publish(v, event) })
	}
	v.tabs[tab] = true
	if v.last != nil {
		tab <- v.last
	}
	return tab, func() { h.leave(key, v, tab) }
}

// publish gives an event to every tab of a view. A slow tab gets only the newest one.
func (h *hub) publish(v *view, event []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v.last = event
	for tab := range v.tabs {
		select {
		case <-tab:
		default:
		}
		tab <- event
	}
}

func (h *hub) leave(key string, v *view, tab chan []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if delete(v.tabs, tab); len(v.tabs) == 0 {
		v.stop()
		if h.views[key] == v {
			delete(h.views, key)
		}
	}
}

// liveList streams the list of faxes that the query asks for, whenever it changes. Tabs of one reader with the same filter share it.
func (s *server) liveList(w http.ResponseWriter, r *http.Request) {
	v, err := s.listView(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if v.filter.found != nil {
		s.liveFound(w, r, v)
		return
	}
	first, at := true, layout.PlaceOf(r)
	// What only the archive has is read once for a view: a tab that has read something else has a view of its own.
	key := fmt.Sprintf("%q %q %q %t %t %s %q", at, v.User, v.filter.reader.Numbers, v.Masked, v.MayChoose(), v.at(v.Cursor), v.Incomplete)
	for _, x := range v.Faxes {
		if x.Older {
			key += " " + x.Session
		}
	}
	s.live(w, r, key, "", 0, func(ctx context.Context, changed map[string]bool) ([]byte, error) {
		shown := slices.ContainsFunc(v.Faxes, func(x api.Fax) bool { return changed[x.Session] })
		if !first && !shown && !s.Board.anyOf(changed, v.filter) {
			return nil, nil
		}
		first = false
		if v.FaxList = s.newer(v.filter, v.after, defaultLimit, v.FaxList); v.Next != "" && len(v.Faxes) < defaultLimit {
			v.FaxList = s.list(ctx, v.filter, v.after, defaultLimit) // faxes have left the list, and others come up
		}
		return part(at, "faxlist", v)
	})
}

// liveFound is liveList for a filter with a text. It is a view of its own: each fax that it shows for the first time is recorded, except
// those that the page has shown: its mark names them, or the id of the last event that it got before it lost the connection. The index does
// not tell of texts that come, so it is asked again.
func (s *server) liveFound(w http.ResponseWriter, r *http.Request, v listView) {
	select {
	case s.foundTabs <- struct{}{}:
		defer func() { <-s.foundTabs }()
	default:
		s.fail(w, r, api.Unavailable("%d live lists with a text are open, and no more are allowed: close one, or load the list again "+
			"to see what is new", maxFoundTabs))
		return
	}
	first, recorded := true, s.shownBefore(r, v.Faxes)
	s.live(w, r, fmt.Sprintf("list %p", r), "", foundEvery, func(ctx context.Context, changed map[string]bool) ([]byte, error) {
		more, err := s.findAgain(ctx, &v.filter)
		if err != nil {
			return nil, err
		}
		shown := slices.ContainsFunc(v.Faxes, func(x api.Fax) bool { return changed[x.Session] })
		if !first && !more && !shown && !s.Board.anyOf(changed, v.filter) {
			return nil, nil
		}
		v.FaxList = s.foundNow(ctx, v, more)
		fresh := slices.DeleteFunc(slices.Clone(v.Faxes), func(x api.Fax) bool { return recorded[x.Session] })
		if err := s.recordFound(ctx, r, v.filter, fresh); err != nil {
			return nil, err
		}
		for _, x := range fresh {
			recorded[x.Session] = true
		}
		first = false
		e, err := part(layout.PlaceOf(r), "faxlist", v)
		return append([]byte("id: "+s.foundMark(r, v)+"\n"), e...), err
	})
}

// foundNow is the list of v as it is now; more: other faxes are found. What only the archive has is read again then, after it did not
// answer, and when faxes have left the list.
func (s *server) foundNow(ctx context.Context, v listView, more bool) api.FaxList {
	if !more && v.Incomplete == v.filter.found.incomplete(v.Next == "") {
		if l := s.newer(v.filter, v.after, defaultLimit, v.FaxList); l.Next == "" || len(l.Faxes) == defaultLimit {
			return l
		}
	}
	return s.list(ctx, v.filter, v.after, defaultLimit)
}

// liveFax streams what the page of a fax shows, whenever it changes. It belongs to the view that the page's mark names; without a good mark
// it is a view of its own, which is recorded.
func (s *server) liveFax(w http.ResponseWriter, r *http.Request) {
	st, err := s.find(r)
	if err == nil && r.Method != http.MethodHead && !s.marked(r, st.Session, 0, liveMark) {
		err = s.record(r, session.Access{Kind: session.AccessView, Session: st.Session})
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.live(w, r, fmt.Sprintf("fax %p", r), st.Session, 0, func(context.Context, map[string]bool) ([]byte, error) {
		v, err := s.faxView(r, true)
		if err != nil {
			return nil, err
		}
		return part(layout.PlaceOf(r), "faxbody", v)
	})
}

// render gives the event of a view after changes of sessions; nil: nothing is new.
type render func(ctx context.Context, changed map[string]bool) ([]byte, error)

// part is a part of a page as an event.
func part(at layout.Place, name string, data any) ([]byte, error) {
	html, err := pages.Fragment(at, name, data)
	if err != nil {
		return nil, err
	}
	return event(html), nil
}

// live sends the events of a view, the newest at once, so that a page whose connection was lost shows nothing old. The
// view is rendered after changes of a session, or of any if id is empty; where every is not 0, that long after the last time too.
func (s *server) live(w http.ResponseWriter, r *http.Request, key, id string, every time.Duration, render render) {
	select {
	case s.tabs <- struct{}{}:
		defer func() { <-s.tabs }()
	default:
		s.fail(w, r, api.Unavailable("%d live pages are open, and no more are allowed: close one, or try again later", maxTabs))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return
	}
	events, leave := s.views.join(key, func(ctx context.Context, publish func([]byte)) {
		s.follow(ctx, layout.PlaceOf(r), id, every, render, publish)
	})
	defer leave()
	beat := time.NewTicker(liveBeat)
	defer beat.Stop()
	for {
		select {
		case e := <-events:
			if !send(w, e) {
				return
			}
		case <-beat.C:
			if !send(w, []byte(": \n\n")) {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// follow publishes what render gives: now, and after changes when it gives something else than before, at most once in liveEvery.
func (s *server) follow(
	ctx context.Context, at layout.Place, id string, every time.Duration, render render, publish func([]byte),
) {
	watcher := s.Board.Watch(id)
	defer watcher.Stop()
	var sent []byte
	for {
		now, err := render(ctx, watcher.Take())
		if gone, ok := errors.AsType[*api.Error](err); ok && (gone.Status == http.StatusNotFound || gone.Status == http.StatusGone) {
			now, err = part(at, "gone", gone.Message)
		}
		if err == nil && now != nil && !bytes.Equal(now, sent) {
			sent = now
			publish(now)
		}
		if ctx.Err() != nil {
			return
		}
		wait := liveEvery
		if err != nil { // a store did not answer: it is asked again without a change
			s.Log.Warn("a live page is not up to date; it is tried again", "session", id, "err", err)
			wait = liveRetry
		}
		if !pause(ctx, time.After(wait)) || err == nil && !awake(ctx, watcher.C, every) {
			return
		}
	}
}

// awake waits for a wake, or for a time where it is not 0, and returns false when ctx has ended.
func awake(ctx context.Context, wake <-chan struct{}, every time.Duration) bool {
	var at <-chan time.Time // never
	if every > 0 {
		at = time.After(every)
	}
	select {
	case <-wake:
	case <-at:
	case <-ctx.Done():
		return false
	}
	return true
}

// pause waits for a value, and returns false when ctx has ended.
func pause[T any](ctx context.Context, c <-chan T) bool {
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// event is HTML as one server-sent event. Every kind of line end that is in it would end a line of the event.
func event(html []byte) []byte {
	html = bytes.ReplaceAll(bytes.ReplaceAll(html, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	var b bytes.Buffer
	for line := range bytes.SplitSeq(bytes.TrimRight(html, "\n"), []byte("\n")) {
		fmt.Fprintf(&b, "data: %s\n", line)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// send writes a part of a stream, and returns false when the reader is gone or leaves it unread for eventWithin. No deadline stays: one
// that passes ends an HTTP/2 stream, even when nothing is written.
func send(w http.ResponseWriter, data []byte) bool {
	rc := http.NewResponseController(w)
	if err := rc.SetWriteDeadline(time.Now().Add(eventWithin)); err != nil {
		return false
	}
	if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
		return false
	}
	return rc.Flush() == nil && rc.SetWriteDeadline(time.Time{}) == nil
}
