package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/bus"
)

// events streams the events of pages, documents and texts as server-sent events, from now on. Its first line is a comment that says that it
// listens.
func (s *server) events(w http.ResponseWriter, r *http.Request) {
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
	err := s.Events(r.Context(), func(e bus.Stored) bool {
		if !sees(r, eventNumber(e.Subject)) {
			return true
		}
		line, err := json.Marshal(api.Event{Type: bus.EventType(e.Subject), Time: e.Time, Data: e.Data})
		if err != nil {
			s.Log.Error("an event is not JSON", "subject", e.Subject, "err", err)
			return true
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "data: %s\n\n", line)
		if err := rc.SetWriteDeadline(time.Now().Add(eventWithin)); err != nil {
			return false
		}
		if _, err := w.Write(b.Bytes()); err != nil {
			return false // the reader went away
		}
		// Without a deadline while it waits: one that passes ends an HTTP/2 stream, even when nothing is written.
		return rc.Flush() == nil && rc.SetWriteDeadline(time.Time{}) == nil
	})
	if err != nil {
		s.Log.Error("event stream ended", "err", err)
	}
}
