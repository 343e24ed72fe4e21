package bus

import (
	"context"
	"fmt"
	"slices"
	"time"

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
		"KV_" + BucketSessions: {bindingSubject(id)},
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
		done := b.forgetting(stream)
		for subject := range slices.Values(subjects) {
			if err == nil {
				err = s.Purge(ctx, jetstream.WithPurgeSubject(subject))
			}
		}
		done()
		if err != nil {
			return fmt.Errorf("forget session %s in %s: %w", id, stream, err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.bound, id)
	return nil
}

// A span is when Forget deleted messages; it goes on while until is zero.
type span struct{ from, until time.Time }

// forgetting notes that Forget deletes messages of a stream from now until done is called.
func (b *Bus) forgetting(stream string) (done func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := span{from: time.Now()}
	if before := b.forgets[stream]; !before.from.IsZero() && before.until.IsZero() {
		s.from = before.from // another one goes on
	}
	b.forgets[stream] = s
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.forgets[stream] = span{s.from, time.Now()}
	}
}

// serverLag is by how much the time of an advisory may differ from ours.
const serverLag = 5 * time.Second

// forgot reports whether Forget deleted messages of a stream at a time.
func (b *Bus) forgot(stream string, at time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.forgets[stream]
	return !s.from.IsZero() && at.After(s.from.Add(-serverLag)) && (s.until.IsZero() || at.Before(s.until.Add(serverLag)))
}
