package dashboard

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

const (
	// maxTabs bounds the pages that fill in live. They have no consumers: the board tells them of changes.
	maxTabs = 1000
	// liveEvery is the least time between two updates of a page: a burst costs no more than that.
	liveEvery = time.Second
	// liveBeat is when a comment is sent at the latest, so that proxies between keep the connection.
	liveBeat = 20 * time.Second
)

// liveList streams the list of faxes that the query asks for, whenever it changes.
func (s *server) liveList(w http.ResponseWriter, r *http.Request) {
	v, err := s.listView(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	first := true
	s.live(w, r, "", func(changed map[string]bool) ([]byte, error) {
		shown := slices.ContainsFunc(v.Faxes, func(x api.Fax) bool { return changed[x.Session] })
		if !first && !shown && !s.Board.anyOf(changed, v.filter) {
			return nil, nil
		}
		first = false
		v.FaxList = s.newer(v.filter, v.after, defaultLimit, v.FaxList)
		return pages.Fragment("faxlist", v)
	})
}

// liveFax streams what the page of a fax shows, whenever it changes. It belongs to the view that the page's mark names; without a good mark
// it is a view of its own, which is recorded.
func (s *server) liveFax(w http.ResponseWriter, r *http.Request) {
	st, err := s.find(r)
	if err == nil && !s.marked(r, st.Session, 0, liveMark) {
		err = s.record(r, session.Access{Kind: session.AccessView, Session: st.Session})
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.live(w, r, st.Session, func(map[string]bool) ([]byte, error) {
		v, err := s.faxView(r)
		if err != nil {
			return nil, err
		}
		return pages.Fragment("faxbody", v)
	})
}

// live sends what render gives as server-sent events: now, and when a session changes and it gives something else than before; nil is
// nothing new. The first one comes at once, so that a page whose connection was lost shows nothing old.
func (s *server) live(w http.ResponseWriter, r *http.Request, id string, render func(changed map[string]bool) ([]byte, error)) {
	select {
	case s.tabs <- struct{}{}:
		defer func() { <-s.tabs }()
	default:
		s.fail(w, r, api.Unavailable("%d live pages are open, and there may be no more: close one, or try again later", maxTabs))
		return
	}
	watcher := s.Board.Watch(id)
	defer watcher.Stop()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return
	}
	var sent []byte
	for {
		now, err := render(watcher.Take())
		if err != nil {
			s.Log.Warn("a live page ends", "path", r.URL.Path, "err", err)
			return
		}
		if now != nil && !bytes.Equal(now, sent) {
			sent = now
			if !send(w, event(now)) || !pause(r, liveEvery) {
				return
			}
		}
		if !s.await(w, r, watcher.C) {
			return
		}
	}
}

// await waits for a change. It returns false when the reader is gone.
func (s *server) await(w http.ResponseWriter, r *http.Request, changed <-chan struct{}) bool {
	beat := time.NewTicker(liveBeat)
	defer beat.Stop()
	for {
		select {
		case <-changed:
			return true
		case <-beat.C:
			if !send(w, []byte(": \n\n")) {
				return false
			}
		case <-r.Context().Done():
			return false
		}
	}
}

// pause waits, and returns false when the reader is gone.
func pause(r *http.Request, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-r.Context().Done():
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
