package dashboard

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/bus"
)

// events streams the events of pages, documents and texts as server-sent events, from now on, or from where a reader stopped: the id of the
// last event that it has got comes in the header Last-Event-ID, as browsers send it, or in ?after=. Its first line is a comment that says
// that it listens.
func (s *server) events(w http.ResponseWriter, r *http.Request) {
	var after *bus.Place
	if text := cmp.Or(r.Header.Get("Last-Event-ID"), r.FormValue("after")); text != "" {
		place, err := bus.ParsePlace(text)
		if err != nil {
			s.fail(w, r, api.BadRequest("Last-Event-ID: %v", err))
			return
		}
		after = &place
	}
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		s.fail(w, r, api.Unavailable("%d event streams are open, and there may be no more: close one, or try again later", maxStreams))
		return
	}
	rc := http.NewResponseController(w)
	if err := rc.SetWriteDeadline(time.Time{}); err != nil {
		s.fail(w, r, fmt.Errorf("stream events: %w", err))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, ": listening\n\n")
	_ = rc.Flush()
	err := s.Events(r.Context(), after, func(e bus.Stored, at bus.Place) bool {
		if !sees(r, eventNumber(e.Subject)) {
			return true
		}
		var err error
		if masked(r) {
			e.Data, err = maskEvent(e.Data)
		}
		var line []byte
		if err == nil {
			line, err = json.Marshal(api.Event{Type: bus.EventType(e.Subject), Time: e.Time, Data: e.Data})
		}
		if err != nil {
			s.Log.Error("an event is not JSON", "subject", e.Subject, "err", err)
			return true
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "id: %s\ndata: %s\n\n", at, line)
		return send(w, b.Bytes())
	})
	if err != nil {
		s.Log.Error("event stream ended", "err", err)
	}
}
