package watch

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"
)

// A connection is tried again after leastDelay, and after twice as long each time it fails, up to mostDelay.
const (
	leastDelay = time.Second
	mostDelay  = 30 * time.Second
)

// follow sends the events of the server, and what becomes of their stream, until ctx ends. It opens a stream that ended again.
func follow(ctx context.Context, s Server, send func(tea.Msg)) {
	for delay := leastDelay; ; delay = min(2*delay, mostDelay) {
		ready := func() {
			delay = leastDelay
			send(openMsg{})
		}
		err := s.Events(ctx, ready, func(line []byte) error {
			e, err := parseEvent(line)
			if err != nil { // a newer server may say what we cannot read: that is no reason to be blind
				e = event{at: time.Now().UTC(), kind: "an event that cannot be read: " + err.Error()}
			}
			send(eventMsg(e))
			return nil
		})
		if ctx.Err() != nil {
			return
		}
		send(closedMsg{err: err})
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return
		}
	}
}
