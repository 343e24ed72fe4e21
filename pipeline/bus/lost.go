package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Marker remembers outside of JetStream which streams were created. Both methods may be repeated.
type Marker interface {
	// Created returns the names of all streams that were ever marked.
	Created(ctx context.Context) ([]string, error)
	// Mark returns once the names are stored durably.
	Mark(ctx context.Context, streams []string) error
}

// ErrLost means that streams existed and are not on the server any more. A server whose encryption key is missing shows no streams, and
// deletes the files of a stream that is created anew: so nothing is created without a person's word (Config.Recreate).
var ErrLost = errors.New("streams that existed before are not on the NATS server")

// markSubject has the names of the created streams in FAX_SESSIONS, as a JSON list. Sessions have no "." in their key.
const markSubject = "$KV." + BucketSessions + ".bus.streams"

// checkLost returns ErrLost if a stream existed and is gone.
func (b *Bus) checkLost(ctx context.Context) error {
	if b.cfg.Recreate {
		return nil
	}
	known, err := b.marked(ctx)
	if err != nil {
		return err
	}
	if b.cfg.Marker != nil {
		more, err := b.cfg.Marker.Created(ctx)
		if err != nil {
			return fmt.Errorf("read which streams were created: %w", err)
		}
		known = append(known, more...)
	}
	var lost []string
	for _, cfg := range b.wanted() {
		if !slices.Contains(known, cfg.Name) {
			continue
		}
		_, err := b.js.Stream(ctx, cfg.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			lost = append(lost, cfg.Name)
		} else if err != nil {
			return fmt.Errorf("stream %s: %w", cfg.Name, err)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s. Check that this is the right server, directory and account, and that its encryption key "+
		"is the same as before: creating them again may delete what is left. If they are lost, run `faxstream rebuild`, "+
		"which creates them and fills them from the archive",
		ErrLost, strings.Join(lost, ", "))
}

// marked reads which streams FAX_SESSIONS says to exist.
func (b *Bus) marked(ctx context.Context) (names []string, err error) {
	m, err := b.last(ctx, "KV_"+BucketSessions, markSubject)
	if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(m.Data, &names)
	}
	if err != nil {
		return nil, fmt.Errorf("read in %s which streams were created: %w", BucketSessions, err)
	}
	return names, nil
}

// mark stores that all streams exist, where that is not stored yet.
func (b *Bus) mark(ctx context.Context) error {
	var names []string
	for _, cfg := range b.wanted() {
		names = append(names, cfg.Name)
	}
	if b.cfg.Marker != nil {
		if err := b.cfg.Marker.Mark(ctx, names); err != nil {
			return fmt.Errorf("store which streams were created: %w", err)
		}
	}
	known, err := b.marked(ctx)
	if err != nil || slices.Equal(known, names) {
		return err
	}
	data, err := json.Marshal(names)
	if err != nil {
		return err
	}
	if _, err := b.js.Publish(ctx, markSubject, data); err != nil {
		return fmt.Errorf("store in %s which streams were created: %w", BucketSessions, err)
	}
	return nil
}
