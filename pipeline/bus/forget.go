package bus

import (
	"context"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

// forgotten is where a session's events, timers and letters stand, by stream. What says that it was purged stays, and so does the audit.
func forgotten(id string) map[string][]string {
	in := []string{
		session.TypePageAnnounced, session.TypeClosed, session.TypeSent, session.TypeWholeOrdered, session.TypeAgain,
		session.TypeRecordAsked, session.TypeRecordSaid,
	}
	for i, t := range in {
		in[i] = t + "." + id + ".>"
	}
	return map[string][]string{
		StreamIn:               in,
		StreamPages:            {"fax.v1.page.*.*." + id + ".>"},
		StreamDocs:             {"fax.v1.doc.*.*." + id + ".>"},
		StreamTimers:           {"fax.v1.timer.*.*." + id + ".>"},
		StreamDLQ:              {session.TypeDeadLetter + ".*." + id + ".>"},
		"KV_" + BucketSessions: {ledgerSubject(id) + ".to"},
	}
}

// Forget removes what the streams hold of a session: numbers, events, timers, dead letters and the binding of its number. Its ledger, the
// provider's names of its fax and the audit stay. Repeating it is no error.
func (b *Bus) Forget(ctx context.Context, id string) error {
	if !session.ValidToken(id) {
		return fmt.Errorf("forget session %q: it is no token", id)
	}
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	for stream, subjects := range forgotten(id) {
		s, err := b.js.Stream(ctx, stream)
		for subject := range slices.Values(subjects) {
			if err == nil {
				err = s.Purge(ctx, jetstream.WithPurgeSubject(subject))
			}
		}
		if err != nil {
			return fmt.Errorf("forget session %s in %s: %w", id, stream, err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.bound, id)
	return nil
}
