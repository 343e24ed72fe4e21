package bus

import (
	"context"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

// forgotten returns the subjects of a session's events, timers and letters, by stream. Facts that say that it was purged are not
// among them, and the audit is not. In FAX_IN the session follows the type, so that each type has a subject of its own here; in every
// other stream two tokens stand between the stream's part of the subject and the session.
func forgotten(id string) map[string][]string {
	var in []string
	for _, t := range session.FactTypes() {
		if streamOf(t) == StreamIn && t != session.TypeKept {
			in = append(in, t+"."+id+".>")
		}
	}
	return map[string][]string{
		StreamIn:               in,
		StreamPages:            {"fax.v1.page.*.*." + id + ".>"},
		StreamDocs:             {"fax.v1.doc.*.*." + id + ".>"},
		StreamText:             {"fax.v1.text.*.*." + id + ".>"},
		StreamTimers:           {"fax.v1.timer.*.*." + id + ".>"},
		StreamDLQ:              {session.TypeDeadLetter + ".*." + id + ".>"},
		"KV_" + BucketSessions: {ledgerSubject(id) + ".to"},
	}
}

// Forget removes a session's data from the streams: numbers, events, timers, dead letters and the binding of its number. Its
// ledger, the provider's names of its fax and the audit stay. A second call is no error. After an error some streams may still
// have data; call it again.
func (b *Bus) Forget(ctx context.Context, id string) error {
	if !session.ValidToken(id) {
		return fmt.Errorf("forget session %q: this is not a session id", id)
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
