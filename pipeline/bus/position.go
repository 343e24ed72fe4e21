package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// positionsKey is the note with the positions of all durables, so that one that is lost can be made again where it was.
const positionsKey = "durables"

// position is how far a durable has come.
type position struct {
	Name    string    `json:"name"`    // of the consumer on the server
	Created time.Time `json:"created"` // of the stream: the sequences of another stream of the same name are other ones
	Floor   uint64    `json:"floor"`   // every message up to this sequence is settled
}

// positions are by Consumer.Durable.
type positions map[string]position

func (b *Bus) positions(ctx context.Context) (positions, uint64, error) {
	data, revision, err := b.Note(ctx, positionsKey)
	if err != nil || data == nil {
		return positions{}, revision, err
	}
	all := positions{}
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, 0, fmt.Errorf("read note %s: %w", positionsKey, err)
	}
	return all, revision, nil
}

// position reads how far a durable has come. The floor is 0 if that is not known, or is of another stream.
func (b *Bus) position(ctx context.Context, c Consumer) (position, error) {
	all, _, err := b.positions(ctx)
	if err != nil {
		return position{}, err
	}
	at := all[c.Durable]
	if at.Floor == 0 {
		return at, nil
	}
	stream, err := b.js.Stream(ctx, c.Stream)
	if err != nil {
		return position{}, fmt.Errorf("stream %s: %w", c.Stream, err)
	}
	if info := stream.CachedInfo(); !info.Created.Equal(at.Created) || info.State.LastSeq < at.Floor {
		at.Floor = 0
	}
	return at, nil
}

// savePositions stores the positions of this process's durables if they are not stored yet. Several processes share the note: a process
// that writes a moment later than another one stores what is true then.
func (b *Bus) savePositions(ctx context.Context, mine positions) error {
	return b.changePositions(ctx, func(all positions) (changed bool) {
		for durable, at := range mine {
			if all[durable] != at {
				all[durable], changed = at, true
			}
		}
		return changed
	})
}

// saveName stores that a durable has another name on the server from now on.
func (b *Bus) saveName(ctx context.Context, c Consumer, name string) error {
	return b.changePositions(ctx, func(all positions) bool {
		at := all[c.Durable]
		changed := at.Name != name
		at.Name = name
		all[c.Durable] = at
		return changed
	})
}

// errBusyNote means that other processes changed a note each time this one tried.
var errBusyNote = errors.New("other processes change it all the time")

func (b *Bus) changePositions(ctx context.Context, change func(positions) bool) error {
	for range 10 {
		all, revision, err := b.positions(ctx)
		if err != nil || !change(all) {
			return err
		}
		data, err := json.Marshal(all)
		if err != nil {
			return err
		}
		if _, ok, err := b.PutNote(ctx, positionsKey, data, revision); ok || err != nil {
			return err
		}
	}
	return fmt.Errorf("write note %s: %w", positionsKey, errBusyNote)
}

// positionOf is the position of a consumer as the server reports it.
func positionOf(info *jetstream.ConsumerInfo, created time.Time) position {
	return position{Name: info.Name, Created: created, Floor: info.AckFloor.Stream}
}
