package app

import (
	"context"
	"encoding/json"
	"path"
	"slices"
	"strings"

	"github.com/faxstream/faxstream/pipeline/archive"
)

// markerPrefix is where the archive names the streams of JetStream that were created, an object each.
const markerPrefix = "jetstream/"

// marker is a bus.Marker in the archive, which outlives JetStream.
type marker struct{ archive archive.Store }

// Created lists the streams.
func (m marker) Created(ctx context.Context) ([]string, error) {
	keys, err := archive.Keys(ctx, m.archive, markerPrefix)
	for i, key := range keys {
		keys[i] = strings.TrimSuffix(path.Base(key), ".json")
	}
	return keys, err
}

// Mark is create-only: what is marked stays so.
func (m marker) Mark(ctx context.Context, streams []string) error {
	known, err := m.Created(ctx)
	if err != nil {
		return err
	}
	for _, name := range streams {
		if slices.Contains(known, name) {
			continue
		}
		data, err := json.Marshal(map[string]string{"stream": name})
		if err != nil {
			return err
		}
		if _, err := archive.Create(ctx, m.archive, markerPrefix+name+".json", data); err != nil {
			return err
		}
	}
	return nil
}
